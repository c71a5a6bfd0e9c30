//! The little of BER that LDAP uses (RFC 4511 5.1; X.690 8.1): definite lengths only, strings in one piece. Lengths may
//! be longer than they need be, as Active Directory writes them; nothing is allocated on a peer's word.

/// Most octets of a length field that are read; what would need more is far past every bound of ours.
const MAX_LENGTH_OCTETS: usize = 8;

/// BOOLEAN.
pub(super) const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// ENUMERATED.
pub(super) const ENUMERATED: u8 = 0x0a;
/// SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// SET.
pub(super) const SET: u8 = 0x31;

/// Appends one element.
pub(super) fn put(into: &mut Vec<u8>, tag: u8, content: &[u8]) {
    into.push(tag);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => into.push(short),
        _ => {
            let length = content.len().to_be_bytes();
            let used = length.iter().position(|octet| *octet != 0).and_then(|first| length.get(first..));
            let used = used.unwrap_or_default();
            // At most eight octets of length.
            into.push(0x80 | used.len() as u8);
            into.extend_from_slice(used);
        }
    }
    into.extend_from_slice(content);
}

/// Appends a number as INTEGER or ENUMERATED.
pub(super) fn put_number(into: &mut Vec<u8>, tag: u8, number: u32) {
    let octets = number.to_be_bytes();
    // A leading zero keeps it positive; no more of them than that.
    let mut first = octets.iter().take_while(|octet| **octet == 0).count().min(3);
    if octets.get(first).is_some_and(|octet| octet & 0x80 != 0) {
        match first.checked_sub(1) {
            Some(earlier) => first = earlier,
            None => return put(into, tag, &[&[0], octets.as_slice()].concat()),
        }
    }
    put(into, tag, octets.get(first..).unwrap_or_default());
}

/// One element that a peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Identifier octet; LDAP has no tags above 30.
    pub(super) tag: u8,
    /// Contents octets.
    pub(super) content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The contents, if the element bears this tag.
    pub(super) fn of(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }

    /// The contents as a number that is not negative.
    pub(super) fn number(self, tag: u8) -> Option<u32> {
        let content = self.of(tag)?;
        if content.is_empty() || content.first().is_some_and(|first| first & 0x80 != 0) {
            return None;
        }
        let mut significant = content.iter().skip_while(|octet| **octet == 0);
        significant.try_fold(0u32, |number, octet| number.checked_mul(256)?.checked_add(u32::from(*octet)))
    }
}

/// What the first octets of an element say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// More octets are needed to tell.
    Incomplete,
    /// This is no element that LDAP allows.
    Invalid,
    /// Identifier octet, octets before the contents, octets of contents.
    Known { tag: u8, before: usize, content: usize },
}

/// Reads identifier and length.
pub(super) fn head(octets: &[u8]) -> Head {
    let (Some(tag), Some(first)) = (octets.first().copied(), octets.get(1).copied()) else {
        return Head::Incomplete;
    };
    if tag & 0x1f == 0x1f {
        return Head::Invalid;
    }
    if first < 0x80 {
        return Head::Known { tag, before: 2, content: usize::from(first) };
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > MAX_LENGTH_OCTETS {
        return Head::Invalid;
    }
    let Some(length) = octets.get(2..2 + count) else {
        return Head::Incomplete;
    };
    let content = length.iter().try_fold(0usize, |sum, octet| sum.checked_mul(256)?.checked_add(usize::from(*octet)));
    match content {
        Some(content) => Head::Known { tag, before: 2 + count, content },
        None => Head::Invalid,
    }
}

/// Goes through the elements inside of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element; `None` at the end, and for octets that are none.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let Head::Known { tag, before, content } = head(self.0) else {
            return None;
        };
        let end = before.checked_add(content)?;
        let element = Element { tag, content: self.0.get(before..end)? };
        self.0 = self.0.get(end..)?;
        Some(element)
    }

    /// Whether everything was read.
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn number(value: u32) -> Vec<u8> {
        let mut octets = Vec::new();
        put_number(&mut octets, INTEGER, value);
        octets
    }

    #[test]
    fn numbers_take_as_few_octets_as_they_need() {
        assert_eq!(number(0), [2, 1, 0]);
        assert_eq!(number(127), [2, 1, 127]);
        assert_eq!(number(128), [2, 2, 0, 128]);
        assert_eq!(number(0x7fff_ffff), [2, 4, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(number(u32::MAX), [2, 5, 0, 0xff, 0xff, 0xff, 0xff]);
        for value in [0, 1, 127, 128, 255, 256, 65_535, 65_536, u32::MAX] {
            let octets = number(value);
            assert_eq!(Reader(&octets).next().unwrap().number(INTEGER), Some(value));
        }
    }

    #[test]
    fn lengths_of_every_form_are_read() {
        for length in [0usize, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let mut octets = Vec::new();
            put(&mut octets, OCTET_STRING, &content);
            let mut reader = Reader(&octets);
            assert_eq!(reader.next().unwrap().of(OCTET_STRING), Some(content.as_slice()));
            assert!(reader.is_empty());
        }
        // Four octets of length for one octet of contents, as Active Directory writes it.
        assert_eq!(Reader(&[4, 0x84, 0, 0, 0, 1, 9]).next().unwrap().content, [9]);
    }

    #[test]
    fn what_ldap_does_not_allow_is_no_element() {
        // Indefinite length; a long tag; a length that no memory holds; one that says more than there is.
        for octets in [&[0x30, 0x80, 0, 0][..], &[0x1f, 1, 0], &[4, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0], &[4, 3, 0]] {
            assert!(Reader(octets).next().is_none(), "{octets:?}");
        }
        assert_eq!(head(&[0x30, 0x82, 1]), Head::Incomplete);
        // Negative, empty and overlong numbers.
        for octets in [&[2, 1, 0x80][..], &[2, 0], &[2, 5, 1, 0, 0, 0, 0]] {
            assert_eq!(Reader(octets).next().unwrap().number(INTEGER), None, "{octets:?}");
        }
    }
}
