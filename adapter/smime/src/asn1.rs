//! Reading and writing the few ASN.1 values CMS is made of (ITU-T X.690, DER).
//!
//! A reader that keeps each value's own octets: what was signed is digested as it came, certificates are compared and
//! handed on as they came.

use der::asn1::{GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Decode, Encode};
use std::time::SystemTime;

/// Tags by their identifier octet (X.690 8.1.2).
pub(crate) mod tag {
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const CONSTRUCTED_OCTET_STRING: u8 = 0x24;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// Context-specific and primitive.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }
    /// Context-specific and constructed.
    pub(crate) const fn constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

/// The octets are not the value that was expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// One value: its tag, its content octets, and both with the length between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Value<'a> {
    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader(self.content)
    }

    pub(crate) fn object_identifier(&self) -> Result<ObjectIdentifier, Malformed> {
        if self.tag != tag::OBJECT_IDENTIFIER {
            return Err(Malformed);
        }
        ObjectIdentifier::from_bytes(self.content).map_err(|_| Malformed)
    }

    /// `Time` (RFC 5652 11.3).
    pub(crate) fn time(&self) -> Result<SystemTime, Malformed> {
        match self.tag {
            tag::UTC_TIME => UtcTime::from_der(self.whole).map(|time| time.to_system_time()),
            tag::GENERALIZED_TIME => GeneralizedTime::from_der(self.whole).map(|time| time.to_system_time()),
            _ => return Err(Malformed),
        }
        .map_err(|_| Malformed)
    }
}

/// Walks over values of definite length that stand one after another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    pub(crate) fn value(&mut self) -> Result<Value<'a>, Malformed> {
        let (header, length) = definite_header(self.0)?;
        let end = header.checked_add(length).ok_or(Malformed)?;
        let (whole, rest) = self.0.split_at_checked(end).ok_or(Malformed)?;
        let (head, content) = whole.split_at_checked(header).ok_or(Malformed)?;
        self.0 = rest;
        Ok(Value { tag: *head.first().ok_or(Malformed)?, content, whole })
    }

    pub(crate) fn expect(&mut self, tag: u8) -> Result<Value<'a>, Malformed> {
        let value = self.value()?;
        if value.tag == tag { Ok(value) } else { Err(Malformed) }
    }

    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Value<'a>>, Malformed> {
        if self.peek() == Some(tag) { self.value().map(Some) } else { Ok(None) }
    }

    /// All values to the end, at most `limit`.
    pub(crate) fn all(mut self, limit: usize) -> Result<Vec<Value<'a>>, Malformed> {
        let mut values = Vec::new();
        while !self.is_empty() {
            if values.len() == limit {
                return Err(Malformed);
            }
            values.push(self.value()?);
        }
        Ok(values)
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// The one value that `octets` are.
pub(crate) fn single(octets: &[u8], tag: u8) -> Result<Value<'_>, Malformed> {
    let mut reader = Reader::new(octets);
    let value = reader.expect(tag)?;
    reader.end()?;
    Ok(value)
}

/// Length of identifier and length octets, and the length they announce.
fn definite_header(octets: &[u8]) -> Result<(usize, usize), Malformed> {
    match header(octets)? {
        (size, Some(length)) => Ok((size, length)),
        (_, None) => Err(Malformed),
    }
}

/// As above; `None` is the indefinite form (X.690 8.1.3.6).
pub(crate) fn header(octets: &[u8]) -> Result<(usize, Option<usize>), Malformed> {
    let tag = *octets.first().ok_or(Malformed)?;
    if tag & 0x1f == 0x1f {
        return Err(Malformed); // CMS has no tag above 30
    }
    let first = *octets.get(1).ok_or(Malformed)?;
    match first {
        0..0x80 => Ok((2, Some(usize::from(first)))),
        0x80 if tag & 0x20 != 0 => Ok((2, None)),
        0x80 => Err(Malformed),
        _ => {
            let count = usize::from(first & 0x7f);
            let mut length = 0usize;
            for octet in octets.get(2..2 + count).ok_or(Malformed)? {
                if length >> 24 != 0 {
                    return Err(Malformed);
                }
                length = length << 8 | usize::from(*octet);
            }
            Ok((2 + count, Some(length)))
        }
    }
}

/// Identifier and length octets, as short as DER wants them.
pub(crate) fn header_octets(tag: u8, length: usize) -> Vec<u8> {
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        out.push(0x80 | (octets.len() - zeros) as u8);
        out.extend(octets.iter().skip(zeros));
    }
    out
}

pub(crate) fn value<P: AsRef<[u8]>>(tag: u8, parts: &[P]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.as_ref().len()).sum();
    let mut out = header_octets(tag, length);
    out.reserve_exact(length);
    for part in parts {
        out.extend_from_slice(part.as_ref());
    }
    out
}

/// One of several values of which each stands within the one before it.
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a> {
    pub(crate) tag: u8,
    /// What stands in it before the next, and behind.
    pub(crate) before: &'a [u8],
    pub(crate) behind: &'a [u8],
}

impl<'a> Layer<'a> {
    pub(crate) fn new(tag: u8, before: &'a [u8]) -> Self {
        Self { tag, before, behind: &[] }
    }
}

/// What stands before and behind content of so many octets within these layers, the outermost first.
pub(crate) fn around(layers: &[Layer<'_>], length: usize) -> (Vec<u8>, Vec<u8>) {
    let mut inside = length;
    let mut headers = Vec::with_capacity(layers.len());
    for layer in layers.iter().rev() {
        inside += layer.before.len() + layer.behind.len();
        let header = header_octets(layer.tag, inside);
        inside += header.len();
        headers.push(header);
    }
    let mut before = Vec::new();
    for (layer, header) in layers.iter().zip(headers.iter().rev()) {
        before.extend_from_slice(header);
        before.extend_from_slice(layer.before);
    }
    (before, layers.iter().rev().flat_map(|layer| layer.behind).copied().collect())
}

pub(crate) fn sequence<P: AsRef<[u8]>>(parts: &[P]) -> Vec<u8> {
    value(tag::SEQUENCE, parts)
}

/// SET OF with its elements in ascending order (X.690 11.6).
pub(crate) fn set_of(tag: u8, mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    value(tag, &elements)
}

pub(crate) fn octet_string(octets: &[u8]) -> Vec<u8> {
    value(tag::OCTET_STRING, &[octets])
}

pub(crate) fn small_integer(number: u8) -> Vec<u8> {
    value(tag::INTEGER, &[[number]])
}

pub(crate) fn object_identifier(oid: &ObjectIdentifier) -> Vec<u8> {
    value(tag::OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

/// AlgorithmIdentifier; `parameters` are the encoded value, or nothing at all.
pub(crate) fn algorithm(oid: &ObjectIdentifier, parameters: &[u8]) -> Vec<u8> {
    sequence(&[&object_identifier(oid), parameters])
}

/// `Time`: UTCTime through 2049, GeneralizedTime after (RFC 5652 11.3).
pub(crate) fn time(time: SystemTime) -> Result<Vec<u8>, Malformed> {
    match UtcTime::from_system_time(time) {
        Ok(utc) => utc.to_der(),
        Err(_) => GeneralizedTime::from_system_time(time).and_then(|time| time.to_der()),
    }
    .map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn lengths_are_minimal_and_read_back() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let octets = value(tag::OCTET_STRING, &[vec![7u8; length]]);
            let read = single(&octets, tag::OCTET_STRING).unwrap();
            assert_eq!(read.content.len(), length);
        }
        assert_eq!(header_octets(tag::SEQUENCE, 0x80), [0x30, 0x81, 0x80]);
    }

    #[test]
    fn set_of_is_sorted() {
        assert_eq!(set_of(tag::SET, vec![small_integer(9), small_integer(3)]), [0x31, 6, 2, 1, 3, 2, 1, 9]);
    }

    #[test]
    fn time_changes_form_in_2050() {
        let before = UNIX_EPOCH + Duration::from_secs(2_524_607_999);
        let after = UNIX_EPOCH + Duration::from_secs(2_524_608_000);
        assert_eq!(time(before).unwrap().first(), Some(&tag::UTC_TIME));
        assert_eq!(time(after).unwrap().first(), Some(&tag::GENERALIZED_TIME));
        for instant in [before, after] {
            let octets = time(instant).unwrap();
            assert_eq!(Reader::new(&octets).value().unwrap().time().unwrap(), instant);
        }
    }

    #[test]
    fn lengths_beyond_the_octets_are_refused() {
        for octets in [&[0x30][..], &[0x30, 2, 0], &[0x30, 0x85, 1, 0, 0, 0, 0], &[0x1f, 0x81, 0], &[0x04, 0x80]] {
            assert!(Reader::new(octets).value().is_err(), "{octets:?}");
        }
    }
}
