//! BER-TLV data objects as cards use them (ISO 7816-4, 5.2.2 and annex E): definite lengths, tags of one to three
//! octets. Reading borrows, allocates nothing, never recurses and never panics.

use zeroize::Zeroizing;

/// Why octets are not a sound sequence of data objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlvError {
    /// The data ends inside an object.
    #[error("a data object is cut short")]
    Truncated,
    /// A tag of zero, or longer than three octets.
    #[error("a data object's tag is not valid")]
    Tag,
    /// An indefinite length, or one of more than three octets.
    #[error("a data object's length is not valid")]
    Length,
    /// An object that must be there is not.
    #[error("a data object is missing")]
    Missing,
    /// The same object twice, or one where nothing may follow.
    #[error("a data object stands where none may")]
    Unexpected,
}

impl TlvError {
    /// The same words as [`std::fmt::Display`], for [`super::CardError::Malformed`].
    pub const fn what(self) -> &'static str {
        match self {
            Self::Truncated => "a data object is cut short",
            Self::Tag => "a data object's tag is not valid",
            Self::Length => "a data object's length is not valid",
            Self::Missing => "a data object is missing",
            Self::Unexpected => "a data object stands where none may",
        }
    }
}

/// One data object: its tag as the number its octets make (`0x5FC10A`), and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag's octets, big-endian.
    pub tag: u32,
    /// The value field.
    pub value: &'a [u8],
}

impl std::fmt::Debug for Tlv<'_> {
    /// Values may be secrets: only their length shows.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tlv({:02X}, {} octets)", self.tag, self.value.len())
    }
}

/// Reads data objects one after the other; ends after the first error.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over a sequence of data objects.
    pub const fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    fn octet(&mut self) -> Result<u8, TlvError> {
        let (first, rest) = self.rest.split_first().ok_or(TlvError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    fn tag(&mut self) -> Result<u32, TlvError> {
        let first = self.octet()?;
        if first == 0 {
            return Err(TlvError::Tag);
        }
        let mut tag = u32::from(first);
        if first & 0x1f != 0x1f {
            return Ok(tag);
        }
        for position in 0..2 {
            let next = self.octet()?;
            if position == 0 && next == 0x80 {
                return Err(TlvError::Tag);
            }
            tag = (tag << 8) | u32::from(next);
            if next & 0x80 == 0 {
                return Ok(tag);
            }
        }
        Err(TlvError::Tag)
    }

    fn length(&mut self) -> Result<usize, TlvError> {
        let first = self.octet()?;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        // Cards in the field write lengths longer than they need be; only the indefinite form is no length at all.
        let octets = first & 0x7f;
        if !(1..=3).contains(&octets) {
            return Err(TlvError::Length);
        }
        let mut length = 0usize;
        for _ in 0..octets {
            length = (length << 8) | usize::from(self.octet()?);
        }
        Ok(length)
    }

    fn object(&mut self) -> Result<Tlv<'a>, TlvError> {
        let tag = self.tag()?;
        let length = self.length()?;
        let (value, rest) = self.rest.split_at_checked(length).ok_or(TlvError::Truncated)?;
        self.rest = rest;
        Ok(Tlv { tag, value })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Tlv<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let object = self.object();
        if object.is_err() {
            self.rest = &[];
        }
        Some(object)
    }
}

/// The value of `tag` in a sequence that must be sound to its end and hold that tag at most once.
pub fn find(data: &[u8], tag: u32) -> Result<Option<&[u8]>, TlvError> {
    let mut found = None;
    for object in Reader::new(data) {
        let object = object?;
        if object.tag == tag && found.replace(object.value).is_some() {
            return Err(TlvError::Unexpected);
        }
    }
    Ok(found)
}

/// The value of the one object that `data` must be, with the given tag and nothing after it.
pub fn single(data: &[u8], tag: u32) -> Result<&[u8], TlvError> {
    let mut reader = Reader::new(data);
    let object = reader.next().ok_or(TlvError::Missing)??;
    if object.tag != tag {
        return Err(TlvError::Missing);
    }
    match reader.next() {
        None => Ok(object.value),
        Some(_) => Err(TlvError::Unexpected),
    }
}

/// Appends one data object with the shortest tag and length.
pub fn write(out: &mut Vec<u8>, tag: u32, value: &[u8]) {
    out.extend_from_slice(significant(&tag.to_be_bytes()));
    let length = value.len();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let octets = length.to_be_bytes();
            let octets = significant(&octets);
            // At most eight octets, so the sum stays an octet.
            out.push(0x80 | (octets.len() as u8));
            out.extend_from_slice(octets);
        }
    }
    out.extend_from_slice(value);
}

/// One data object in a buffer that is zeroised when dropped and was never reallocated on the way.
pub fn encode(tag: u32, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() + HEADER));
    write(&mut out, tag, value);
    out
}

/// The most octets that [`write()`] puts before a value.
pub const HEADER: usize = 13;

/// Without leading zero octets, but at least one octet.
fn significant(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|o| **o == 0).count();
    octets.get(zeros.min(octets.len().saturating_sub(1))..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    /// Every tag that the reader can return.
    fn tags() -> impl Strategy<Value = u32> {
        prop_oneof![
            (1u32..0x100).prop_filter("one octet", |t| t & 0x1f != 0x1f),
            (0u32..8, 0u32..0x80).prop_map(|(class, n)| (class << 13) | 0x1f00 | n),
            (0u32..8, 0x81u32..0x100, 0u32..0x80).prop_map(|(class, m, n)| (class << 21) | 0x1f_0000 | (m << 8) | n),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(objects in prop::collection::vec((tags(), prop::collection::vec(any::<u8>(), 0..600)), 0..6)) {
            let mut out = Vec::new();
            for (tag, value) in &objects {
                write(&mut out, *tag, value);
            }
            let read: Vec<_> = Reader::new(&out).map(|o| o.map(|o| (o.tag, o.value.to_vec()))).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read, objects);
        }

        #[test]
        fn a_cut_object_is_never_taken_for_a_whole_one(tag in tags(), value in prop::collection::vec(any::<u8>(), 1..300), cut in any::<prop::sample::Index>()) {
            let out = encode(tag, &value);
            let cut = cut.index(out.len());
            prop_assert!(single(&out[..cut], tag).is_err());
        }

        #[test]
        fn noise_ends(data in prop::collection::vec(any::<u8>(), 0..200), tag in any::<u32>()) {
            let total: usize = Reader::new(&data).flatten().map(|o| o.value.len() + 2).sum();
            prop_assert!(total <= data.len());
            prop_assert!(Reader::new(&data).count() <= data.len());
            let _ = (find(&data, tag), single(&data, tag));
        }
    }

    #[test]
    fn lengths_of_every_form() {
        for length in [0usize, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let value = vec![0xa5; length];
            assert_eq!(single(&encode(0x5f_c1_0a, &value), 0x5f_c1_0a), Ok(&value[..]));
        }
        assert_eq!(&encode(0x53, &[1])[..], &[0x53, 1, 1]);
        assert_eq!(&encode(0x53, &[0; 200])[..3], &[0x53, 0x81, 200]);
    }

    #[test]
    fn what_is_refused() {
        for (data, error) in [
            (&[0x00, 0x00][..], TlvError::Tag),
            (&[0x53, 0x80, 0x00, 0x00], TlvError::Length),
            (&[0x53, 0x84, 0, 0, 0, 0], TlvError::Length),
            (&[0x5f, 0x81, 0x81, 0x01, 0x00], TlvError::Tag),
            (&[0x5f, 0x80, 0x01, 0x00], TlvError::Tag),
            (&[0x53, 0x05, 0x01], TlvError::Truncated),
            (&[0x53], TlvError::Truncated),
            (&[], TlvError::Missing),
            (&[0x54, 0x00], TlvError::Missing),
            (&[0x53, 0x00, 0x53, 0x00], TlvError::Unexpected),
        ] {
            assert_eq!(single(data, 0x53), Err(error), "{data:02x?}");
            assert_eq!(error.to_string(), error.what());
        }
        assert_eq!(find(&[0x53, 0, 0x53, 0], 0x53), Err(TlvError::Unexpected));
        assert_eq!(find(&[0x54, 0], 0x53), Ok(None));
    }

    #[test]
    fn a_value_does_not_show_itself() {
        let object = Tlv { tag: 0x53, value: b"secret" };
        assert_eq!(format!("{object:?}"), "Tlv(53, 6 octets)");
    }
}
