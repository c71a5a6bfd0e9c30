//! ASN.1 values piece by piece, in BER or DER (ITU-T X.690 8.1): small ones as a whole, the content of large strings as it comes.

use super::Source;
use crate::asn1::{self, tag};
use crate::ber;
use crate::bounds;
use crate::error::OpenError;
use der::asn1::ObjectIdentifier;

/// Walks through nested values. Whatever is not as it has to be is `malformed`.
pub(crate) struct Tlv<S> {
    source: S,
    malformed: OpenError,
    at: usize,
    /// Where each value ends that was entered; `None` for those that end-of-contents octets end.
    ends: Vec<Option<usize>>,
}

/// Identifier and length octets as they came.
struct Header {
    octets: Vec<u8>,
    length: Option<usize>,
}

impl<S: Source> Tlv<S> {
    pub(crate) fn new(source: S, malformed: OpenError) -> Self {
        Self { source, malformed, at: 0, ends: Vec::new() }
    }

    fn malformed<T>(&self) -> Result<T, OpenError> {
        Err(self.malformed.clone())
    }

    fn octet(&mut self) -> Result<u8, OpenError> {
        self.at += 1;
        self.source.octet()?.ok_or_else(|| self.malformed.clone())
    }

    fn header(&mut self) -> Result<Header, OpenError> {
        let mut octets = vec![self.octet()?, self.octet()?];
        if let Some(count @ 1..) = octets.last().filter(|first| **first & 0x80 != 0).map(|first| first & 0x7f) {
            if count > 8 {
                return self.malformed();
            }
            for _ in 0..count {
                octets.push(self.octet()?);
            }
        }
        let Ok((_, length)) = asn1::header(&octets) else { return self.malformed() };
        // Nothing reaches beyond what it stands in; where that has no known end, its own parts are counted.
        let end = length.map(|length| self.at + length);
        match self.ends.iter().rev().find_map(|end| *end) {
            Some(around) if end.unwrap_or(self.at) > around => self.malformed(),
            _ => Ok(Header { octets, length }),
        }
    }

    /// The tag of the next value in the innermost that was entered, `None` at its end.
    pub(crate) fn next(&mut self) -> Result<Option<u8>, OpenError> {
        if let Some(Some(end)) = self.ends.last()
            && *end == self.at
        {
            return Ok(None);
        }
        match (self.source.ahead()?.first(), self.ends.last()) {
            (Some(0), Some(None)) | (None, None) => Ok(None),
            (Some(tag), _) => Ok(Some(*tag)),
            (None, Some(_)) => self.malformed(),
        }
    }

    /// Goes into the next value.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<(), OpenError> {
        if self.next()? != Some(tag) || self.ends.len() == bounds::ASN1_DEPTH {
            return self.malformed();
        }
        let header = self.header()?;
        self.ends.push(header.length.map(|length| self.at + length));
        Ok(())
    }

    /// Goes out of it, behind its last value.
    pub(crate) fn leave(&mut self) -> Result<(), OpenError> {
        if self.next()?.is_some() {
            return self.malformed();
        }
        match self.ends.pop() {
            Some(Some(_)) => Ok(()),
            Some(None) if [self.octet()?, self.octet()?] == [0, 0] => Ok(()),
            _ => self.malformed(),
        }
    }

    /// Nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), OpenError> {
        if self.ends.is_empty() && self.source.ahead()?.is_empty() { Ok(()) } else { self.malformed() }
    }

    /// The next value whole, in definite lengths, of at most `limit` octets.
    pub(crate) fn value(&mut self, limit: usize) -> Result<Vec<u8>, OpenError> {
        if self.next()?.is_none() {
            return self.malformed();
        }
        let mut out = Vec::new();
        self.copy(&mut out, limit, 0)?;
        ber::definite(out).or_else(|_| self.malformed())
    }

    /// The next value if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8, limit: usize) -> Result<Option<Vec<u8>>, OpenError> {
        if self.next()? == Some(tag) { self.value(limit).map(Some) } else { Ok(None) }
    }

    /// What an encoded OBJECT IDENTIFIER says.
    pub(crate) fn object_identifier(&self, encoded: &[u8]) -> Result<ObjectIdentifier, OpenError> {
        let value = asn1::single(encoded, tag::OBJECT_IDENTIFIER).and_then(|value| value.object_identifier());
        value.or_else(|_| self.malformed())
    }

    fn copy(&mut self, out: &mut Vec<u8>, limit: usize, depth: usize) -> Result<(), OpenError> {
        if depth == bounds::ASN1_DEPTH {
            return self.malformed();
        }
        let header = self.header()?;
        if out.len() + header.octets.len() + header.length.unwrap_or(2) > limit {
            return self.malformed();
        }
        out.extend_from_slice(&header.octets);
        match header.length {
            Some(mut left) => {
                while left > 0 {
                    let piece = self.source.ahead()?;
                    if piece.is_empty() {
                        return self.malformed();
                    }
                    let piece = piece.get(..left).unwrap_or(piece);
                    out.extend_from_slice(piece);
                    let length = piece.len();
                    self.source.pass(length);
                    self.at += length;
                    left -= length;
                }
                Ok(())
            }
            None => {
                self.ends.push(None);
                while self.next()?.is_some() {
                    self.copy(out, limit, depth + 1)?;
                }
                out.extend_from_slice(&[0, 0]);
                self.leave()
            }
        }
    }

    /// The content of the next value, a string that is tagged so, whole or in chunks (X.690 8.7).
    pub(crate) fn string(&mut self, whole: u8, in_chunks: u8) -> Result<Chunks<'_, S>, OpenError> {
        let outside = self.ends.len();
        let mut left = 0;
        match self.next()? {
            Some(tag) if tag == whole => {
                let Some(length) = self.header()?.length else { return self.malformed() };
                left = length;
            }
            Some(tag) if tag == in_chunks => self.enter(in_chunks)?,
            _ => return self.malformed(),
        }
        Ok(Chunks { tlv: self, outside, left, failed: None })
    }
}

/// A string's content, octet for octet as if it came in one.
pub(crate) struct Chunks<'a, S> {
    tlv: &'a mut Tlv<S>,
    /// How many values the string stands in.
    outside: usize,
    /// Octets of the chunk at hand.
    left: usize,
    failed: Option<OpenError>,
}

impl<S: Source> Chunks<'_, S> {
    fn next_chunk(&mut self) -> Result<(), OpenError> {
        while self.left == 0 && self.tlv.ends.len() > self.outside {
            match self.tlv.next()? {
                Some(tag::OCTET_STRING) => match self.tlv.header()?.length {
                    Some(length) => self.left = length,
                    None => return self.tlv.malformed(),
                },
                Some(tag::CONSTRUCTED_OCTET_STRING) => self.tlv.enter(tag::CONSTRUCTED_OCTET_STRING)?,
                Some(_) => return self.tlv.malformed(),
                None => self.tlv.leave()?,
            }
        }
        Ok(())
    }
}

impl<S: Source> Source for Chunks<'_, S> {
    fn ahead(&mut self) -> Result<&[u8], OpenError> {
        if self.failed.is_none() {
            self.failed = self.next_chunk().err();
        }
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.left == 0 {
            return Ok(&[]);
        }
        let piece = self.tlv.source.ahead()?;
        if piece.is_empty() {
            return Err(self.tlv.malformed.clone());
        }
        Ok(piece.get(..self.left).unwrap_or(piece))
    }

    fn pass(&mut self, octets: usize) {
        self.tlv.source.pass(octets);
        self.tlv.at += octets;
        self.left = self.left.saturating_sub(octets);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{Pieces, all};
    use super::*;
    use proptest::prelude::*;

    const BAD: OpenError = OpenError::Malformed;

    fn tlv(octets: &[u8]) -> Tlv<Pieces<'_>> {
        Tlv::new(Pieces(octets, 3), BAD)
    }

    #[test]
    fn values_of_either_form() {
        let octets = [0x30, 0x80, 2, 1, 5, 0x30, 0x80, 0x24, 0x80, 4, 1, 7, 4, 1, 8, 0, 0, 0, 0, 4, 1, 9, 0, 0];
        let mut tlv = tlv(&octets);
        tlv.enter(tag::SEQUENCE).unwrap();
        assert_eq!(tlv.value(9).unwrap(), [2, 1, 5]);
        assert_eq!(tlv.value(99).unwrap(), [0x30, 4, 4, 2, 7, 8]);
        assert_eq!(tlv.optional(tag::SET, 9).unwrap(), None);
        assert_eq!(tlv.next().unwrap(), Some(tag::OCTET_STRING));
        assert_eq!(tlv.value(9).unwrap(), [4, 1, 9]);
        tlv.leave().unwrap();
        tlv.end().unwrap();
    }

    #[test]
    fn strings_of_either_form() {
        for octets in [
            &[4, 5, 1, 2, 3, 4, 5][..],
            &[0x24, 9, 4, 2, 1, 2, 4, 3, 3, 4, 5],
            &[0x24, 0x80, 4, 2, 1, 2, 4, 0, 0x24, 0x80, 4, 3, 3, 4, 5, 0, 0, 0, 0],
        ] {
            let mut tlv = tlv(octets);
            assert_eq!(
                all(tlv.string(tag::OCTET_STRING, tag::CONSTRUCTED_OCTET_STRING).unwrap()).unwrap(),
                [1, 2, 3, 4, 5]
            );
            tlv.end().unwrap();
        }
    }

    #[test]
    fn what_is_not_so_is_refused() {
        for octets in [
            &[4, 5, 1, 2][..],
            &[0x24, 4, 4, 9, 1, 2],
            &[0x24, 0x80, 4, 1, 1],
            &[0x24, 3, 2, 1, 1],
            &[5, 0],
            &[0x24, 0x80, 4, 0x80],
        ] {
            let mut tlv = tlv(octets);
            let read = tlv.string(tag::OCTET_STRING, tag::CONSTRUCTED_OCTET_STRING).and_then(all);
            assert_eq!(read, Err(BAD), "{octets:?}");
        }
        let mut long = tlv(&[0x30, 0x80, 0x30, 0x80, 4, 0x84, 0x7f, 0xff, 0xff, 0xff]);
        long.enter(tag::SEQUENCE).unwrap();
        assert_eq!(long.value(1000), Err(BAD));
        let deep = [0x30, 0x80].repeat(1000);
        assert_eq!(tlv(&deep).value(1 << 20), Err(BAD));
        let mut more = tlv(&[0x30, 0, 1]);
        more.enter(tag::SEQUENCE).unwrap();
        more.leave().unwrap();
        assert_eq!(more.end(), Err(BAD));
    }

    proptest! {
        #[test]
        fn a_value_is_what_it_is_in_memory(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut tlv = tlv(&octets);
            let read = tlv.value(400).and_then(|value| tlv.end().map(|()| value));
            prop_assert_eq!(read.ok(), ber::definite(octets.clone()).ok());
        }
    }
}
