//! The parts of a certificate by which it is looked for, found without decoding the whole (RFC 5280 4.1): an index of
//! 100,000 has to open quickly.

use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode, Header, Length, Reader, SliceReader, Tag};

/// id-ce-subjectKeyIdentifier.
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");

/// Slices of a certificate, each with tag and length unless said otherwise.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) public_key: &'a [u8],
    /// The subject key identifier's octets alone.
    pub(super) key_identifier: Option<&'a [u8]>,
}

/// The parts of the certificate `der`.
pub(super) fn skim(der: &[u8]) -> der::Result<Parts<'_>> {
    let certificate = inside(der, Tag::Sequence)?;
    let mut outer = SliceReader::new(certificate)?;
    let mut tbs = SliceReader::new(inside(outer.tlv_bytes()?, Tag::Sequence)?)?;
    if tbs.peek_byte() == Some(0xa0) {
        tbs.tlv_bytes()?; // version
    }
    let serial = tbs.tlv_bytes()?;
    tbs.tlv_bytes()?; // signature
    let issuer = tbs.tlv_bytes()?;
    tbs.tlv_bytes()?; // validity
    let subject = tbs.tlv_bytes()?;
    let public_key = tbs.tlv_bytes()?;
    let mut key_identifier = None;
    while !tbs.is_finished() {
        let last = tbs.tlv_bytes()?;
        if last.first() == Some(&0xa3) {
            key_identifier = find_key_identifier(contents(last)?)?;
        }
    }
    Ok(Parts { serial, issuer, subject, public_key, key_identifier })
}

fn find_key_identifier(extensions: &[u8]) -> der::Result<Option<&[u8]>> {
    let mut list = SliceReader::new(inside(extensions, Tag::Sequence)?)?;
    while !list.is_finished() {
        let mut extension = SliceReader::new(inside(list.tlv_bytes()?, Tag::Sequence)?)?;
        if ObjectIdentifier::decode(&mut extension)? == SUBJECT_KEY_IDENTIFIER {
            let mut value = extension.tlv_bytes()?;
            if value.first() == Some(&0x01) {
                value = extension.tlv_bytes()?; // behind "critical"
            }
            let wrapped = <&OctetStringRef>::from_der(value)?;
            return Ok(Some(<&OctetStringRef>::from_der(wrapped.as_bytes())?.as_bytes()));
        }
    }
    Ok(None)
}

/// The value of the element `tlv`, which must have this tag and nothing behind it.
fn inside(tlv: &[u8], tag: Tag) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(tlv)?;
    let header = Header::decode(&mut reader)?;
    if header.tag() != tag {
        return Err(der::ErrorKind::TagUnexpected { expected: Some(tag), actual: header.tag() }.into());
    }
    let value = reader.read_slice(header.length())?;
    reader.finish()?;
    Ok(value)
}

/// The value of the element `tlv`, whatever its tag.
fn contents(tlv: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(tlv)?;
    let length: Length = Header::decode(&mut reader)?.length();
    reader.read_slice(length)
}
