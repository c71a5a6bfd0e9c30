//! Open in two steps that cannot be taken in another order (ST914-916, then ST917-920; RFC 8551 3.8).
//!
//! [`decrypt`] yields a [`Decrypted`] that shows nothing of its content; only [`Decrypted::verify`] turns it into
//! [`Opened`]. So nothing is released before the tag and the inner signature hold (EFAIL).

use crate::algorithm::{Hash, oid};
use crate::ber;
use crate::bounds;
use crate::enveloped_data::{ContentEncryption, Envelope};
use crate::error::OpenError;
use crate::key::PrivateKey;
use crate::mime::{self, Entity, MimeError};
use crate::path::{self, Fields, Use};
use crate::receipt::{self, ReceiptTerms};
use crate::recipients;
use crate::signed_data::{SignedData, SignerIdentifier};
use crate::{address, same_address, speaks_for};
use core::fmt;
use sha2::{Digest, Sha256};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// A mail that was decrypted and is not yet believed. It shows who claims to have signed it, and nothing else.
pub struct Decrypted {
    inner: Inner,
    encryption: ContentEncryption,
}

impl fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decrypted").field("encryption", &self.encryption).finish_non_exhaustive()
    }
}

/// Who claims to have signed, for asking the certificate server (ST917). Unproven.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignerHint {
    /// IssuerAndSerialNumber in DER, if the signer is named so.
    pub issuer_and_serial: Option<Vec<u8>>,
    /// subjectKeyIdentifier, if the signer is named so.
    pub subject_key_identifier: Option<Vec<u8>>,
    /// The certificates sent along, DER.
    pub certificates: Vec<Vec<u8>>,
    /// The one among them that the signer is named by.
    pub certificate: Option<Vec<u8>>,
}

/// What an opened mail is held against.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    /// Trust anchors, DER.
    pub anchors: &'a [Vec<u8>],
    /// The time certificates have to be valid at.
    pub now: SystemTime,
    /// From, which is MAIL FROM.
    pub sender: &'a str,
    /// The sender's certificates from the certificate server (ST917); the signer's has to be among them.
    pub sender_certificates: &'a [Vec<u8>],
    /// The address of the card's owner.
    pub recipient: &'a str,
    /// The certificate of the card's decryption key, DER.
    pub recipient_certificate: &'a [u8],
    /// Accept a mail that does not say whom it was sealed for (the sender's domain is configured so).
    pub allow_unbound: bool,
}

/// A mail whose tag, signature, signer and binding hold.
#[non_exhaustive]
pub struct Opened {
    /// The MIME entity or message that was sealed.
    pub content: Zeroizing<Vec<u8>>,
    /// The signer's certificate, DER.
    pub signer_certificate: Vec<u8>,
    /// The signing time the signer claims.
    pub signing_time: Option<SystemTime>,
    /// The SignerInfo's signature value, which a signed receipt quotes.
    pub signature: Vec<u8>,
    /// SHA-256 of the content.
    pub content_digest: [u8; 32],
    /// Does it say that it was sealed for this recipient? False only under `allow_unbound`, and then to be shown.
    pub bound: bool,
    /// What a receipt has to quote, if the sender asks for one.
    pub receipt: Option<ReceiptTerms>,
    /// How it was encrypted.
    pub encryption: ContentEncryption,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("octets", &self.content.len())
            .field("signing_time", &self.signing_time)
            .field("bound", &self.bound)
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}

/// A mail that was encrypted and bears no signature (V3): whole, as its tag shows, and from nobody who can be named.
#[non_exhaustive]
pub struct EncryptedOnly {
    /// The MIME entity or message that was encrypted.
    pub content: Zeroizing<Vec<u8>>,
    /// SHA-256 of the content.
    pub content_digest: [u8; 32],
}

impl fmt::Debug for EncryptedOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedOnly").field("octets", &self.content.len()).finish_non_exhaustive()
    }
}

/// Decrypts a mail, or its `application/pkcs7-mime` entity alone, with the card's key (ST914-916).
pub async fn decrypt(mail: &[u8], key: &dyn PrivateKey) -> Result<Decrypted, OpenError> {
    let cms = enveloped_octets(mail)?;
    let envelope = Envelope::read(&cms, key.certificate())?;
    let encryption = envelope.encryption;
    let answer = key.raw(&envelope.block()?).await?;
    let content = envelope.decrypt(&answer)?;
    match Inner::read(&content) {
        // Without a tag, nonsense inside is how a wrong key or a changed text shows; it must not look different.
        Ok(Inner::Unsigned(_)) | Err(_) if !encryption.is_authenticated() => Err(OpenError::CannotDecrypt),
        inner => Ok(Decrypted { inner: inner?, encryption }),
    }
}

/// The CMS object of the mail, in definite lengths.
fn enveloped_octets(mail: &[u8]) -> Result<Vec<u8>, OpenError> {
    if mail.len() > bounds::MESSAGE {
        return Err(OpenError::TooLarge);
    }
    let entity = Entity::parse(mail)?;
    let content_type = entity.content_type()?;
    if !content_type.is_pkcs7("pkcs7-mime") && content_type.essence != "application/octet-stream" {
        return Err(OpenError::NotSealed);
    }
    // What it is, its object identifier says; smime-type is only a hint (STANDARDS, rule 6).
    ber::definite(entity.decoded()?).map_err(|_| OpenError::Malformed)
}

/// What was found inside the envelope.
enum Inner {
    Signed {
        /// SignedData as a ContentInfo in definite lengths.
        cms: Zeroizing<Vec<u8>>,
        /// The signed entity when it stood beside its signature.
        detached: Option<Zeroizing<Vec<u8>>>,
    },
    /// An entity that is not of S/MIME.
    Unsigned(Zeroizing<Vec<u8>>),
}

impl Inner {
    fn read(content: &[u8]) -> Result<Self, OpenError> {
        let entity = Entity::parse(content).map_err(|_| OpenError::Unsigned)?;
        let content_type = entity.content_type().map_err(|_| OpenError::Unsigned)?;
        if content_type.is_pkcs7("pkcs7-mime") {
            let octets = entity.decoded().map_err(|_| OpenError::SignatureMalformed)?;
            let cms = Zeroizing::new(ber::definite(octets).map_err(|_| OpenError::SignatureMalformed)?);
            let signed = SignedData::read(&cms).map_err(|_| OpenError::SignatureMalformed)?;
            if signed.content.is_none() {
                return Err(OpenError::SignatureMalformed);
            }
            return Ok(Self::Signed { cms, detached: None });
        }
        if content_type.essence != "multipart/signed" {
            return Ok(Self::Unsigned(Zeroizing::new(content.to_vec())));
        }
        let (detached, cms) = multipart_signed(&entity, &content_type)?;
        Ok(Self::Signed { cms: Zeroizing::new(cms), detached: Some(Zeroizing::new(detached)) })
    }
}

/// The canonical first part of multipart/signed and the SignedData of the second (RFC 8551 3.5.3).
fn multipart_signed(entity: &Entity<'_>, content_type: &mime::ContentType) -> Result<(Vec<u8>, Vec<u8>), OpenError> {
    if content_type.essence != "multipart/signed" {
        return Err(OpenError::Unsigned);
    }
    let malformed = |_: MimeError| OpenError::SignatureMalformed;
    let (first, second) = entity.signed_parts(content_type).map_err(malformed)?;
    let second = Entity::parse(second).map_err(malformed)?;
    if !second.content_type().map_err(malformed)?.is_pkcs7("pkcs7-signature") {
        return Err(OpenError::Unsigned);
    }
    let cms = ber::definite(second.decoded().map_err(malformed)?).map_err(|_| OpenError::SignatureMalformed)?;
    if SignedData::read(&cms).map_err(|_| OpenError::SignatureMalformed)?.content.is_some() {
        return Err(OpenError::SignatureMalformed);
    }
    Ok((mime::canonical(first), cms))
}

impl Decrypted {
    /// Who claims to have signed it.
    pub fn signer_hint(&self) -> Result<SignerHint, OpenError> {
        let Inner::Signed { cms, .. } = &self.inner else { return Err(OpenError::Unsigned) };
        let signed = SignedData::read(cms).map_err(|_| OpenError::SignatureMalformed)?;
        let (issuer_and_serial, subject_key_identifier) = match signed.signer {
            SignerIdentifier::IssuerAndSerialNumber(name) => (Some(name.to_vec()), None),
            SignerIdentifier::SubjectKeyIdentifier(identifier) => (None, Some(identifier.to_vec())),
        };
        let certificate = signed.certificates.iter().find(|one| signed.signer.names(one));
        Ok(SignerHint {
            issuer_and_serial,
            subject_key_identifier,
            certificate: certificate.map(|one| one.to_vec()),
            certificates: signed.certificates.iter().map(|one| one.to_vec()).collect(),
        })
    }

    /// How it was encrypted.
    pub fn encryption(&self) -> ContentEncryption {
        self.encryption
    }

    /// Is there a signature to be checked?
    pub fn is_signed(&self) -> bool {
        matches!(self.inner, Inner::Signed { .. })
    }

    /// V3: releases what bears no signature, for whoever has decided to take such mails; of a signed mail nothing.
    pub fn without_signature(self) -> Option<EncryptedOnly> {
        match self.inner {
            Inner::Unsigned(content) => {
                Some(EncryptedOnly { content_digest: Sha256::digest(&content).into(), content })
            }
            Inner::Signed { .. } => None,
        }
    }

    /// Checks signature, signer and binding (ST917-920) and only then releases the content.
    pub fn verify(self, against: &Verification<'_>) -> Result<Opened, OpenError> {
        let Inner::Signed { cms, detached } = &self.inner else { return Err(OpenError::Unsigned) };
        let signed = SignedData::read(cms).map_err(|_| OpenError::SignatureMalformed)?;
        let content = match (detached, signed.content) {
            (Some(entity), None) => entity.as_slice(),
            (None, Some(content)) => content,
            _ => return Err(OpenError::SignatureMalformed),
        };
        let signer = against
            .sender_certificates
            .iter()
            .find(|certificate| signed.signer.names(certificate))
            .ok_or(OpenError::UnknownSigner)?;
        only_data(&signed)?;
        let digest = check_signer(&signed, content, signer, against.sender, against.anchors, against.now)?;
        let bound = check_binding(&signed, content, against)?;
        let receipt = receipt::terms(&signed, against.recipient)?;
        Ok(Opened {
            signer_certificate: signer.clone(),
            signing_time: signed.signing_time()?,
            signature: signed.signature.to_vec(),
            content_digest: match (digest.0, <[u8; 32]>::try_from(digest.1)) {
                (Hash::Sha256, Ok(digest)) => digest,
                _ => Sha256::digest(content).into(),
            },
            bound,
            receipt,
            encryption: self.encryption,
            content: Zeroizing::new(content.to_vec()),
        })
    }
}

/// A mail is data; a receipt that is signed likewise is none.
fn only_data(signed: &SignedData<'_>) -> Result<(), OpenError> {
    if signed.content_type == oid::ID_DATA { Ok(()) } else { Err(OpenError::Attribute("contentType")) }
}

/// Tamper and origin: the signature holds, its certificate is the sender's and leads to an anchor.
pub(crate) fn check_signer(
    signed: &SignedData<'_>,
    content: &[u8],
    signer: &[u8],
    sender: &str,
    anchors: &[Vec<u8>],
    now: SystemTime,
) -> Result<(Hash, Vec<u8>), OpenError> {
    let digest = signed.verify(content, signer)?;
    if !speaks_for(signer, sender) {
        return Err(OpenError::SenderMismatch { sender: sender.to_owned(), certified: path::addresses(signer) });
    }
    let between: Vec<Vec<u8>> = signed.certificates.iter().map(|one| one.to_vec()).collect();
    path::check_path(signer, &between, anchors, now, Use::Sign)?;
    Ok(digest)
}

/// Was it sealed for this recipient? The attribute decides; without it, the protected To and Cc.
fn check_binding(signed: &SignedData<'_>, content: &[u8], against: &Verification<'_>) -> Result<bool, OpenError> {
    const NAME: &str = "recipient-emails";
    let malformed = |_| OpenError::Attribute(NAME);
    if let Some(attribute) = signed.attribute(oid::RECIPIENT_EMAILS).map_err(malformed)? {
        let certificate = Fields::of(against.recipient_certificate).map_err(|_| OpenError::NotForThisCard)?;
        return match recipients::names(&attribute, against.recipient, &certificate).map_err(malformed)? {
            true => Ok(true),
            false => Err(OpenError::SealedForAnother),
        };
    }
    let entity = Entity::parse(content)?;
    let mut addressees = Vec::new();
    for name in ["to", "cc"] {
        if let Some(field) = entity.field(name)? {
            addressees.extend(address::address_list(field));
        }
    }
    if addressees.iter().any(|addressee| same_address(addressee, against.recipient)) {
        Ok(true)
    } else if !addressees.is_empty() {
        Err(OpenError::SealedForAnother)
    } else if against.allow_unbound {
        Ok(false)
    } else {
        Err(OpenError::Unbound)
    }
}

/// An entity whose detached signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedEntity {
    /// The entity's octets exactly as they were signed, in CRLF lines.
    pub entity: Vec<u8>,
    /// The signer's certificate, DER.
    pub signer_certificate: Vec<u8>,
    /// The signing time the signer claims.
    pub signing_time: Option<SystemTime>,
}

/// Checks a `multipart/signed` mail or entity, as confirmations are (ST922, D1).
///
/// `certificates` are those the certificate server has for `expected_signer`; with `None` the certificate sent along
/// is taken, and the path and its address alone say whose it is.
pub fn verify_detached(
    mail: &[u8],
    anchors: &[Vec<u8>],
    now: SystemTime,
    certificates: Option<&[Vec<u8>]>,
    expected_signer: &str,
) -> Result<SignedEntity, OpenError> {
    if mail.len() > bounds::MESSAGE {
        return Err(OpenError::TooLarge);
    }
    let outer = Entity::parse(mail)?;
    let (entity, cms) = multipart_signed(&outer, &outer.content_type()?)?;
    let signed = SignedData::read(&cms).map_err(|_| OpenError::SignatureMalformed)?;
    only_data(&signed)?;
    let signer = signed.signer_among(certificates).ok_or(OpenError::UnknownSigner)?;
    check_signer(&signed, &entity, signer, expected_signer, anchors, now)?;
    Ok(SignedEntity { signer_certificate: signer.to_vec(), signing_time: signed.signing_time()?, entity })
}
