//! A certification request made by the card (PKCS#10, RFC 2986): the card's own key signs it, that of 9D too, which proves
//! to the authority that the key is where it is said to be. What is asked for stands in extensionRequest (RFC 2985 5.4.2).

use der::pem::LineEnding;
use sealfax_drivers::card::piv::{Algorithm, Piv, Slot};
use sealfax_drivers::card::tlv;
use sealfax_drivers::pin::Pin;
use sealfax_smime::path::Use;

use super::error::CardCommandError;
use super::proof;

const SEQUENCE: u32 = 0x30;
const SET: u32 = 0x31;
const INTEGER: u32 = 0x02;
const BIT_STRING: u32 = 0x03;
const OCTET_STRING: u32 = 0x04;
const NULL: u32 = 0x05;
const OBJECT_IDENTIFIER: u32 = 0x06;
const UTF8_STRING: u32 = 0x0C;
const BOOLEAN: u32 = 0x01;
/// [0] IMPLICIT SET OF Attribute.
const ATTRIBUTES: u32 = 0xA0;
/// GeneralName rfc822Name.
const RFC822_NAME: u32 = 0x81;

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const EXTENSION_REQUEST: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 14];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1D, 17];
const KEY_USAGE: &[u8] = &[0x55, 0x1D, 15];
const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1D, 37];
const EMAIL_PROTECTION: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 3, 4];
const SHA256_WITH_RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11];
const ECDSA_WITH_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];

/// What a certificate is wanted for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The person's name.
    pub name: &'a str,
    /// The person's mail address.
    pub address: &'a str,
    /// How many days it is to be valid.
    pub days: u32,
}

/// A signed request, and what it asks.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Whose.
    pub subject: Subject<'a>,
    /// Which key.
    pub slot: Slot,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// CertificationRequest, DER.
    pub der: Vec<u8>,
}

impl Request<'_> {
    /// The request in PEM (RFC 7468 7).
    pub fn pem(&self) -> Result<String, CardCommandError> {
        der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, &self.der)
            .map_err(|error| CardCommandError::Unfit(format!("the request cannot be written in PEM: {error}")))
    }
}

/// What the slot's key is for.
pub const fn purpose(slot: Slot) -> Use {
    match slot {
        Slot::KeyManagement => Use::Encrypt,
        _ => Use::Sign,
    }
}

/// The same as an argument for an authority: `sign` or `encrypt`.
pub const fn usage(slot: Slot) -> &'static str {
    match purpose(slot) {
        Use::Encrypt => "encrypt",
        Use::Sign => "sign",
    }
}

/// Has the card sign a request for one of its keys.
pub fn make<'a>(
    piv: &mut Piv,
    slot: Slot,
    public_key: Vec<u8>,
    subject: Subject<'a>,
    pin: &Pin,
) -> Result<Request<'a>, CardCommandError> {
    let algorithm = Algorithm::of_public_key(&public_key)
        .ok_or_else(|| CardCommandError::Unfit("the card's key is of a kind this adapter does not use".to_owned()))?;
    let info = certification_request_info(slot, algorithm, &public_key, subject);
    let signature = proof::sign(piv, slot, algorithm, pin, &info)?;
    if !proof::verifies(&public_key, &info, &signature) {
        return Err(CardCommandError::Unfit(format!(
            "the key in {:02X} is not the one the card says it made; generate it again",
            slot.key_reference()
        )));
    }
    let signature_algorithm = match algorithm {
        Algorithm::P256 => sequence(&[&value(OBJECT_IDENTIFIER, ECDSA_WITH_SHA256)]),
        _ => sequence(&[&value(OBJECT_IDENTIFIER, SHA256_WITH_RSA), &value(NULL, &[])]),
    };
    let der = sequence(&[&info, &signature_algorithm, &value(BIT_STRING, &[&[0], &signature[..]].concat())]);
    Ok(Request { subject, slot, public_key, der })
}

/// CertificationRequestInfo (RFC 2986 4.1).
fn certification_request_info(slot: Slot, algorithm: Algorithm, public_key: &[u8], subject: Subject<'_>) -> Vec<u8> {
    let common_name = sequence(&[&value(OBJECT_IDENTIFIER, COMMON_NAME), &value(UTF8_STRING, subject.name.as_bytes())]);
    let extensions = sequence(&[
        &extension(KEY_USAGE, true, &value(BIT_STRING, key_usage(slot, algorithm))),
        &extension(EXT_KEY_USAGE, false, &sequence(&[&value(OBJECT_IDENTIFIER, EMAIL_PROTECTION)])),
        &extension(SUBJECT_ALT_NAME, false, &sequence(&[&value(RFC822_NAME, subject.address.as_bytes())])),
    ]);
    let attribute = sequence(&[&value(OBJECT_IDENTIFIER, EXTENSION_REQUEST), &value(SET, &extensions)]);
    sequence(&[
        &value(INTEGER, &[0]),
        &sequence(&[&value(SET, &common_name)]),
        public_key,
        &value(ATTRIBUTES, &attribute),
    ])
}

/// The BIT STRING's content: unused bits, then bits from the most significant (RFC 5280 4.2.1.3; RFC 5480 3).
const fn key_usage(slot: Slot, algorithm: Algorithm) -> &'static [u8] {
    match (purpose(slot), algorithm) {
        // digitalSignature, nonRepudiation
        (Use::Sign, _) => &[6, 0xC0],
        // keyAgreement
        (Use::Encrypt, Algorithm::P256) => &[3, 0x08],
        // keyEncipherment
        (Use::Encrypt, _) => &[5, 0x20],
    }
}

fn extension(identifier: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let identifier = value(OBJECT_IDENTIFIER, identifier);
    let content = value(OCTET_STRING, content);
    if critical {
        sequence(&[&identifier, &value(BOOLEAN, &[0xFF]), &content])
    } else {
        sequence(&[&identifier, &content])
    }
}

/// DER writes tags and shortest lengths as BER-TLV data objects do.
fn value(tag: u32, content: &[u8]) -> Vec<u8> {
    tlv::encode(tag, content).to_vec()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(SEQUENCE, &parts.concat())
}
