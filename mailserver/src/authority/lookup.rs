//! The certificate store's answers (RFC 4387 2): which certificates and revocation lists a query selects, and how they
//! travel.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use der::Encode;
use sealfax_client::lookup::{Use, is_address};
use sha1::{Digest, Sha1};

use super::AuthorityError;
use super::ca::Authority;
use super::index::{Attribute, Entry, issuer_and_serial};
use super::skim::skim;

/// Certificates in one answer.
const MAX_CERTIFICATES: usize = 32;
/// Octets of a query.
const MAX_QUERY: usize = 2048;
/// Octets of a name.
const MAX_NAME: usize = 256;

/// What a query is for: one attribute of RFC 4387 2.2.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// `email`, or `uri` with a mail address: a person's address.
    Email(String),
    /// `uri`: the first name of a server or adapter.
    Uri(String),
    /// `name`, `cn`: the subject's common name.
    Name(String),
    /// `certHash`: SHA-1 of the certificate or revocation list.
    Certificate([u8; 20]),
    /// `iHash`: SHA-1 of the issuer's distinguished name: all that it issued is too much, so only authorities are
    /// found, and its revocation list.
    Issuer([u8; 20]),
    /// `sHash`: SHA-1 of the subject's distinguished name.
    Subject([u8; 20]),
    /// `iAndSHash`: SHA-1 of IssuerAndSerialNumber.
    IssuerAndSerial([u8; 20]),
    /// `sKIDHash`: SHA-1 of the subject key identifier; of a list, that of its issuer.
    KeyIdentifier([u8; 20]),
}

/// A whole query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) search: Search,
    pub(super) usage: Option<Use>,
}

/// The query in this text, what stands behind the question mark: exactly one attribute, and at most our own addition
/// `usage`.
pub(super) fn parse(text: &str) -> Result<Query, &'static str> {
    if text.len() > MAX_QUERY {
        return Err("the query is too long");
    }
    let mut search = None;
    let mut usage = None;
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or("a parameter has no value")?;
        let value = decode(value).ok_or("a value is not UTF-8, percent-encoded")?;
        if name == "usage" {
            usage = Some(match value.as_ref() {
                "sign" => Use::Sign,
                "encrypt" => Use::Encrypt,
                _ => return Err("usage is sign or encrypt"),
            });
            continue;
        }
        let found = match name {
            "email" | "uri" if is_address(&value) => Search::Email(value.into_owned()),
            "email" => return Err("email is not a mail address"),
            "uri" if (1..=MAX_NAME).contains(&value.len()) => Search::Uri(value.into_owned()),
            // In a form's encoding a plus sign is a space; in the other values it can only be itself.
            "name" | "cn" if (1..=MAX_NAME).contains(&value.len()) => Search::Name(value.replace('+', " ")),
            "certHash" => Search::Certificate(hash(&value)?),
            "iHash" => Search::Issuer(hash(&value)?),
            "sHash" => Search::Subject(hash(&value)?),
            "iAndSHash" => Search::IssuerAndSerial(hash(&value)?),
            "sKIDHash" => Search::KeyIdentifier(hash(&value)?),
            _ => return Err("unknown attribute, or its value is too long"),
        };
        if search.replace(found).is_some() {
            return Err("one attribute at a time");
        }
    }
    let search = search.ok_or("an attribute is needed, such as email")?;
    Ok(Query { search, usage })
}

/// Base64 of 20 octets, without the padding that adds nothing (RFC 4387 2.1).
fn hash(value: &str) -> Result<[u8; 20], &'static str> {
    let octets = STANDARD_NO_PAD.decode(value).ok().and_then(|octets| octets.try_into().ok());
    octets.ok_or("a hash is SHA-1 in base64 without padding: 27 characters")
}

/// Takes percent-encoding away (RFC 3986 2.1).
pub(super) fn decode(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains('%') {
        return Some(Cow::Borrowed(value));
    }
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        octets.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(octets).ok().map(Cow::Owned)
}

/// One of our own authorities: certificate, or revocation list with its issuer's identity.
#[derive(Debug)]
struct Known {
    der: Bytes,
    name: String,
    certificate: [u8; 20],
    issuer: [u8; 20],
    subject: [u8; 20],
    issuer_and_serial: [u8; 20],
    key_identifier: [u8; 20],
}

/// Root and issuing authority, ready to be found.
#[derive(Debug)]
pub(super) struct Authorities(Vec<Known>);

impl Authorities {
    pub(super) fn of(authority: &Authority) -> Result<Self, AuthorityError> {
        let mut all = Vec::new();
        for der in authority.authorities() {
            let parts = skim(der)?;
            let certificate = <x509_cert::Certificate as der::Decode>::from_der(der)?;
            let name = certificate.tbs_certificate().subject().common_name()?;
            all.push(Known {
                der: der.clone(),
                name: name.map(|name| name.value().into_owned()).unwrap_or_default(),
                certificate: Sha1::digest(der).into(),
                issuer: Sha1::digest(parts.issuer).into(),
                subject: Sha1::digest(parts.subject).into(),
                issuer_and_serial: issuer_and_serial(&parts).unwrap_or_default(),
                key_identifier: Sha1::digest(parts.key_identifier.unwrap_or_default()).into(),
            });
        }
        Ok(Self(all))
    }

    /// Which of our authorities (0 the root, 1 the issuing one) has the revocation list that `search` is for.
    pub(super) fn list_of(&self, search: &Search) -> Option<usize> {
        self.0.iter().position(|known| match search {
            // The issuer of a list is the authority itself.
            Search::Issuer(wanted) => known.subject == *wanted,
            Search::KeyIdentifier(wanted) => known.key_identifier == *wanted,
            _ => false,
        })
    }

    fn select(&self, search: &Search, found: &mut Vec<Bytes>) {
        for known in &self.0 {
            let fits = match search {
                Search::Email(_) | Search::Uri(_) => false,
                Search::Name(wanted) => known.name == *wanted,
                Search::Certificate(wanted) => known.certificate == *wanted,
                Search::Issuer(wanted) => known.issuer == *wanted,
                Search::Subject(wanted) => known.subject == *wanted,
                Search::IssuerAndSerial(wanted) => known.issuer_and_serial == *wanted,
                Search::KeyIdentifier(wanted) => known.key_identifier == *wanted,
            };
            if fits {
                found.push(known.der.clone());
            }
        }
    }
}

/// The certificates (DER) that `query` selects, those that count now first, newest first. To verify with, also those
/// that do not count any more: what was signed may be older than a revocation.
pub(super) fn select(
    authority: &Authority,
    authorities: &Authorities,
    query: &Query,
) -> Result<Vec<Bytes>, AuthorityError> {
    let mut found = Vec::new();
    if query.usage.is_none() {
        authorities.select(&query.search, &mut found);
    }
    let now = authority.now();
    let index = authority.read()?;
    let mut past = Vec::new();
    let mut take = |entry: &Entry| {
        if query.usage.is_some_and(|usage| entry.purpose != usage.into()) {
            return;
        }
        if entry.counts_at(now) {
            found.push(entry.certificate.clone());
        } else if query.usage == Some(Use::Sign) {
            past.push(entry.certificate.clone());
        }
    };
    // A person has a few certificates; whoever has thousands is not walked through for every question.
    let most = 4 * MAX_CERTIFICATES;
    match &query.search {
        Search::Email(address) => index.by_address(address).take(most).for_each(&mut take),
        Search::Uri(name) => index.find(Attribute::Address, name.clone().into_bytes()).take(most).for_each(&mut take),
        Search::Name(name) => index.find(Attribute::Name, name.clone().into_bytes()).take(most).for_each(&mut take),
        Search::Certificate(hash) => index.find(Attribute::Certificate, hash.to_vec()).take(most).for_each(&mut take),
        Search::Subject(hash) => index.find(Attribute::Subject, hash.to_vec()).take(most).for_each(&mut take),
        Search::IssuerAndSerial(hash) => {
            index.find(Attribute::IssuerAndSerial, hash.to_vec()).take(most).for_each(&mut take);
        }
        Search::KeyIdentifier(hash) => {
            index.find(Attribute::KeyIdentifier, hash.to_vec()).take(most).for_each(&mut take);
        }
        Search::Issuer(_) => {}
    }
    drop(index);
    found.append(&mut past);
    found.truncate(MAX_CERTIFICATES);
    Ok(found)
}

/// How an answer travels.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) content_type: Cow<'static, str>,
    pub(super) octets: Bytes,
}

/// One certificate goes as it is; several go as `multipart/mixed` (RFC 4387 2), or as certs-only where the asker
/// prefers that. `boundary` is a token that no certificate contains.
pub(super) fn body(certificates: &[Bytes], certs_only_wanted: bool, boundary: &str) -> Result<Body, AuthorityError> {
    if certs_only_wanted {
        return Ok(Body {
            content_type: Cow::Borrowed("application/pkcs7-mime; smime-type=certs-only"),
            octets: certs_only(certificates)?.into(),
        });
    }
    if let [one] = certificates {
        return Ok(Body { content_type: Cow::Borrowed("application/pkix-cert"), octets: one.clone() });
    }
    let length: usize = certificates.iter().map(|one| one.len() + boundary.len() + 96).sum();
    let mut octets = BytesMut::with_capacity(length + boundary.len() + 8);
    for certificate in certificates {
        octets.put_slice(b"--");
        octets.put_slice(boundary.as_bytes());
        octets.put_slice(b"\r\nContent-Type: application/pkix-cert\r\nContent-Transfer-Encoding: binary\r\n\r\n");
        octets.put_slice(certificate);
        octets.put_slice(b"\r\n");
    }
    octets.put_slice(b"--");
    octets.put_slice(boundary.as_bytes());
    octets.put_slice(b"--\r\n");
    Ok(Body { content_type: Cow::Owned(format!("multipart/mixed; boundary={boundary}")), octets: octets.freeze() })
}

/// The degenerate SignedData of RFC 5652 5.1: no content, no signers, only certificates.
fn certs_only(certificates: &[Bytes]) -> Result<Vec<u8>, AuthorityError> {
    let signed_data = der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2").to_der()?;
    let data = der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1").to_der()?;
    let mut sorted = certificates.to_vec();
    // DER wants a SET in order.
    sorted.sort();
    let set = tlv(0xa0, &sorted.concat())?;
    let empty = tlv(0x31, &[])?;
    let version = 1u8.to_der()?;
    let inner = sequence(&[version, empty.clone(), sequence(&[data])?, set, empty])?;
    sequence(&[signed_data, tlv(0xa0, &inner)?])
}

fn sequence(parts: &[Vec<u8>]) -> Result<Vec<u8>, AuthorityError> {
    tlv(0x30, &parts.concat())
}

fn tlv(tag: u8, value: &[u8]) -> Result<Vec<u8>, AuthorityError> {
    let mut octets = vec![tag];
    octets.extend(der::Length::try_from(value.len())?.to_der()?);
    octets.extend_from_slice(value);
    Ok(octets)
}
