//! Serial numbers (RFC 5280 4.1.2.2), as octets and as people write them.

/// A serial number without leading zeros, at most 20 octets (RFC 5280 4.1.2.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(in crate::authority) struct Serial {
    octets: [u8; 20],
    length: u8,
}

impl Serial {
    pub(in crate::authority) fn new(octets: &[u8]) -> Option<Self> {
        let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
        let significant = octets.get(start..)?;
        let mut serial = Self { octets: [0; 20], length: u8::try_from(significant.len()).ok()? };
        serial.octets.get_mut(..significant.len())?.copy_from_slice(significant);
        Some(serial)
    }

    pub(in crate::authority) fn from_hex(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.len() > 42 {
            return None;
        }
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        let digits = digits?;
        let odd = digits.len() % 2;
        let mut octets: Vec<u8> = digits.get(..odd)?.to_vec();
        octets.extend(digits.get(odd..)?.chunks_exact(2).map(|pair| match pair {
            [high, low] => (high << 4) | low,
            _ => 0,
        }));
        Self::new(&octets)
    }

    pub(in crate::authority) fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    pub(in crate::authority) fn hex(&self) -> String {
        crate::authority::ca::hex(self.as_bytes())
    }
}
