//! What a screen says of itself: the name in its EDID (VESA E-EDID 1.4, 3.10.3.4), or else its maker and model.

/// A screen's name, made of printable ASCII; `None` if this is no EDID.
pub fn name(edid: &[u8]) -> Option<String> {
    const HEADER: [u8; 8] = [0, 255, 255, 255, 255, 255, 255, 0];
    const NAME: [u8; 5] = [0, 0, 0, 0xfc, 0];
    let block = edid.get(..128).filter(|block| block.starts_with(&HEADER))?;
    let named = block.get(54..126)?.chunks_exact(18).find_map(|descriptor| descriptor.strip_prefix(&NAME));
    let text = |octets: &[u8]| -> String {
        let line = octets.split(|octet| *octet == b'\n').next().unwrap_or_default();
        line.iter().map(|octet| char::from(*octet)).filter(|c| c.is_ascii_graphic() || *c == ' ').collect()
    };
    let name = named.map(text).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.or_else(|| {
        // Three letters of five bits each, most significant first; A is one.
        let maker = u16::from_be_bytes(block.get(8..10)?.try_into().ok()?);
        let model = u16::from_le_bytes(block.get(10..12)?.try_into().ok()?);
        let letter = |shift: u16| char::from(b'@' + (maker >> shift & 31) as u8);
        Some(format!("{}{}{} {model:04X}", letter(10), letter(5), letter(0)))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn edid(descriptor: &[u8]) -> Vec<u8> {
        let mut edid = vec![0; 128];
        edid[1..7].fill(255);
        edid[8..12].copy_from_slice(&[0x10, 0xac, 0x64, 0xa0]);
        edid[72..72 + descriptor.len()].copy_from_slice(descriptor);
        edid
    }

    #[test]
    fn by_name_or_by_maker() {
        assert_eq!(name(&edid(b"\0\0\0\xfc\0DELL U2412M\n ")).as_deref(), Some("DELL U2412M"));
        assert_eq!(name(&edid(b"\0\0\0\xfc\0\n            ")).as_deref(), Some("DEL A064"));
        assert_eq!(name(&edid(b"")).as_deref(), Some("DEL A064"));
        assert_eq!(name(&[0; 128]), None);
        assert_eq!(name(b"\0\xff"), None);
    }

    proptest! {
        #[test]
        fn any_octets(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut edid = edid(b"");
            edid.splice(8.., octets);
            if let Some(name) = name(&edid) {
                prop_assert!(name.chars().all(|c| c.is_ascii_graphic() || c == ' '));
            }
        }
    }
}
