//! The certificate store's answers (RFC 4387 2): which certificates a query selects, and how they travel.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::{Decode, Encode};
use sealfax_client::lookup::{Use, is_address};
use sha1::{Digest, Sha1};
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use super::AuthorityError;
use super::ca::Authority;

/// Certificates in one answer.
const MAX_CERTIFICATES: usize = 32;

/// What a query is for: one attribute of RFC 4387 2.2.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Search {
    Email(String),
    /// Subject's common name.
    Name(String),
    /// SHA-1 of the certificate.
    Certificate([u8; 20]),
    /// SHA-1 of the issuer's distinguished name: all that it issued is too much, so only authorities are found.
    Issuer([u8; 20]),
    /// SHA-1 of the subject's distinguished name.
    Subject([u8; 20]),
    /// SHA-1 of IssuerAndSerialNumber.
    IssuerAndSerial([u8; 20]),
    /// SHA-1 of the subject key identifier.
    KeyIdentifier([u8; 20]),
}

/// A whole query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub search: Search,
    pub usage: Option<Use>,
}

/// The query in these parameters: exactly one attribute, and at most our own addition `usage`.
pub(super) fn parse(parameters: &[(String, String)]) -> Result<Query, &'static str> {
    let mut search = None;
    let mut usage = None;
    for (name, value) in parameters {
        if name == "usage" {
            usage = Some(match value.as_str() {
                "sign" => Use::Sign,
                "encrypt" => Use::Encrypt,
                _ => return Err("usage is sign or encrypt"),
            });
            continue;
        }
        let found = match name.as_str() {
            "email" if is_address(value) => Search::Email(value.clone()),
            "email" => return Err("email is not a mail address"),
            "name" if (1..=256).contains(&value.len()) => Search::Name(value.clone()),
            "certHash" => Search::Certificate(hash(value)?),
            "iHash" => Search::Issuer(hash(value)?),
            "sHash" => Search::Subject(hash(value)?),
            "iAndSHash" => Search::IssuerAndSerial(hash(value)?),
            "sKIDHash" => Search::KeyIdentifier(hash(value)?),
            _ => return Err("unknown attribute"),
        };
        if search.replace(found).is_some() {
            return Err("one attribute at a time");
        }
    }
    let search = search.ok_or("an attribute is needed, such as email")?;
    Ok(Query { search, usage })
}

fn hash(value: &str) -> Result<[u8; 20], &'static str> {
    STANDARD.decode(value).ok().and_then(|octets| octets.try_into().ok()).ok_or("a hash is SHA-1 in base64")
}

/// The certificates (DER) that `query` selects.
pub(super) fn select(authority: &Authority, query: &Query) -> Result<Vec<Vec<u8>>, AuthorityError> {
    let issued = match &query.search {
        Search::Email(address) => authority.by_address(address, query.usage)?,
        _ => {
            let now = authority.now();
            authority
                .list()?
                .into_iter()
                .filter(|issued| query.usage.is_none_or(|usage| issued.usage == usage))
                .filter(|issued| query.usage == Some(Use::Sign) || issued.counts_at(now))
                .collect()
        }
    };
    let mut found = Vec::new();
    // The authorities themselves are found by every attribute but a person's.
    for der in [authority.anchor_der()?, authority.issuing_der()?] {
        if query.usage.is_none() && matches(&query.search, "", &der)? {
            found.push(der);
        }
    }
    for one in issued {
        if found.len() == MAX_CERTIFICATES {
            break;
        }
        let by_address = matches!(query.search, Search::Email(_));
        let by_issuer = matches!(query.search, Search::Issuer(_));
        if by_address || (!by_issuer && matches(&query.search, &one.name, &one.certificate)?) {
            found.push(one.certificate);
        }
    }
    Ok(found)
}

fn matches(search: &Search, name: &str, der: &[u8]) -> Result<bool, AuthorityError> {
    let is = |wanted: &[u8; 20], octets: &[u8]| Sha1::digest(octets).as_slice() == wanted;
    let certificate = Certificate::from_der(der)?;
    let tbs = certificate.tbs_certificate();
    Ok(match search {
        Search::Email(_) => false,
        Search::Name(wanted) => wanted == name,
        Search::Certificate(wanted) => is(wanted, der),
        Search::Issuer(wanted) => is(wanted, &tbs.issuer().to_der()?),
        Search::Subject(wanted) => is(wanted, &tbs.subject().to_der()?),
        Search::IssuerAndSerial(wanted) => {
            let parts = [tbs.issuer().to_der()?, tbs.serial_number().to_der()?];
            is(wanted, &sequence(&parts)?)
        }
        Search::KeyIdentifier(wanted) => match tbs.get_extension::<SubjectKeyIdentifier>()? {
            Some((_, identifier)) => is(wanted, identifier.0.as_bytes()),
            None => false,
        },
    })
}

/// How an answer travels.
#[derive(Debug)]
pub(super) struct Body {
    pub content_type: String,
    pub octets: Vec<u8>,
}

/// One certificate goes as it is; several go as `multipart/mixed` (RFC 4387 2), or as certs-only where the asker
/// prefers that. `boundary` is a token that no certificate contains.
pub(super) fn body(certificates: &[Vec<u8>], certs_only_wanted: bool, boundary: &str) -> Result<Body, AuthorityError> {
    if certs_only_wanted {
        return Ok(Body {
            content_type: "application/pkcs7-mime; smime-type=certs-only".to_owned(),
            octets: certs_only(certificates)?,
        });
    }
    if let [one] = certificates {
        return Ok(Body { content_type: "application/pkix-cert".to_owned(), octets: one.clone() });
    }
    let mut octets = Vec::new();
    for certificate in certificates {
        octets.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Type: application/pkix-cert\r\n\
                 Content-Transfer-Encoding: binary\r\n\r\n"
            )
            .as_bytes(),
        );
        octets.extend_from_slice(certificate);
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(Body { content_type: format!("multipart/mixed; boundary={boundary}"), octets })
}

/// The degenerate SignedData of RFC 5652 5.1: no content, no signers, only certificates.
fn certs_only(certificates: &[Vec<u8>]) -> Result<Vec<u8>, AuthorityError> {
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
