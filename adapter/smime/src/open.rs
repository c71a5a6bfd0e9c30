//! Open in two steps that cannot be taken in another order (ST914-916, then ST917-920; RFC 8551 3.8).
//!
//! [`decrypt`] yields a [`Decrypted`] that shows nothing of its content; only [`Decrypted::verify`] turns it into
//! [`Opened`]. So nothing is released before the tag and the inner signature hold (EFAIL).

use crate::bounds;
use crate::enveloped_data::{ContentEncryption, Floor};
use crate::error::OpenError;
use crate::key::PrivateKey;
use crate::layers::{Around, Found, Opening, envelope_head, multipart_signed, passed};
use crate::mime::Entity;
use crate::receipt::ReceiptTerms;
use crate::stream::Release;
use core::fmt;
use std::io::{BufRead, Cursor, Seek, Write};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// A mail that was decrypted and is not yet believed. It shows who claims to have signed it, and nothing else.
pub struct Decrypted {
    found: Found,
    content: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decrypted").field("encryption", &self.found.encryption).finish_non_exhaustive()
    }
}

/// The same of a mail of any length, in memory that does not grow with it: what is inside was looked through and forgotten, and is
/// decrypted once more when it may be released.
pub struct DecryptedStream<M> {
    found: Found,
    mail: M,
    opening: Opening,
}

impl<M> fmt::Debug for DecryptedStream<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptedStream").field("encryption", &self.found.encryption).finish_non_exhaustive()
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
    /// When they claim to have signed.
    pub signing_time: Option<SystemTime>,
}

/// What an opened mail is held against.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    /// Trust anchors, DER.
    pub anchors: &'a [Vec<u8>],
    /// The time certificates have to be valid at; they had to be so at the signing time too.
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
    /// What was found about it.
    pub verdict: Verdict,
}

/// What was found about a mail that holds.
#[derive(Clone)]
#[non_exhaustive]
pub struct Verdict {
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
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdict")
            .field("signing_time", &self.signing_time)
            .field("bound", &self.bound)
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}

/// The same of a mail that is read once more to be released.
pub struct OpenedStream<M> {
    /// What was found about it.
    pub verdict: Verdict,
    found: Found,
    mail: M,
    opening: Opening,
}

impl<M> fmt::Debug for OpenedStream<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedStream").field("verdict", &self.verdict).finish_non_exhaustive()
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

/// A mail that was signed and not encrypted (ST611's option): whole and its sender's, and anybody on the way could read it.
#[non_exhaustive]
pub struct SignedOnly {
    /// The MIME entity or message that was signed.
    pub content: Zeroizing<Vec<u8>>,
    /// SHA-256 of the content.
    pub content_digest: [u8; 32],
    /// Does it say that it is for this recipient? False only under `allow_unbound`, and then to be shown.
    pub bound: bool,
}

impl fmt::Debug for SignedOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedOnly")
            .field("octets", &self.content.len())
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

/// Decrypts a mail, or its `application/pkcs7-mime` entity alone, with the card's key (ST914-916).
pub async fn decrypt(mail: &[u8], key: &dyn PrivateKey) -> Result<Decrypted, OpenError> {
    let mut mail = Cursor::new(mail);
    let mut opening = Opening::begin(&mut mail, key, Floor::Today).await?;
    let room = mail.get_ref().len();
    let (found, content) = opening.read(&mut mail, || Zeroizing::new(Vec::with_capacity(room)))?;
    Ok(Decrypted { found, content })
}

/// The same for a mail of any length: it is read now, and once more by [`OpenedStream::release`].
///
/// A document that is signed beside its signature (`multipart/signed`) is held in memory as a whole.
pub async fn decrypt_stream<M: BufRead + Seek + Send>(
    mut mail: M,
    key: &dyn PrivateKey,
    floor: Floor,
) -> Result<DecryptedStream<M>, OpenError> {
    let mut opening = Opening::begin(&mut mail, key, floor).await?;
    let (found, ()) = opening.read(&mut mail, || ())?;
    Ok(DecryptedStream { found, mail, opening })
}

impl Decrypted {
    /// Who claims to have signed it.
    pub fn signer_hint(&self) -> Result<SignerHint, OpenError> {
        self.found.signer_hint()
    }

    /// How it was encrypted.
    pub fn encryption(&self) -> ContentEncryption {
        self.found.encryption
    }

    /// Is there a signature to be checked?
    pub fn is_signed(&self) -> bool {
        self.found.signature().is_ok()
    }

    /// V3: releases what bears no signature, for whoever has decided to take such mails; of a signed mail nothing.
    pub fn without_signature(self) -> Option<EncryptedOnly> {
        let unsigned = !self.is_signed();
        unsigned.then(|| EncryptedOnly { content_digest: self.found.digests.sha256, content: self.content })
    }

    /// Checks signature, signer and binding (ST917-920) and only then releases the content.
    pub fn verify(self, against: &Verification<'_>) -> Result<Opened, OpenError> {
        let verdict = self.found.verify(against)?;
        Ok(Opened { content: self.content, verdict })
    }
}

impl<M: BufRead + Seek> DecryptedStream<M> {
    /// Who claims to have signed it.
    pub fn signer_hint(&self) -> Result<SignerHint, OpenError> {
        self.found.signer_hint()
    }

    /// How it was encrypted.
    pub fn encryption(&self) -> ContentEncryption {
        self.found.encryption
    }

    /// Checks signature, signer and binding (ST917-920); only then can the content be released.
    pub fn verify(self, against: &Verification<'_>) -> Result<OpenedStream<M>, OpenError> {
        let verdict = self.found.verify(against)?;
        Ok(OpenedStream { verdict, found: self.found, mail: self.mail, opening: self.opening })
    }
}

impl<M: BufRead + Seek> OpenedStream<M> {
    /// Reads the mail once more and writes what it holds. The mail must be the same as before: if it is not, an error says so,
    /// and nothing that was written may be used.
    pub fn release(mut self, out: &mut impl Write) -> Result<(), OpenError> {
        let out = std::cell::RefCell::new(out);
        let (found, _) = self.opening.read(&mut self.mail, || Release(&out))?;
        if found != self.found {
            return Err(OpenError::Changed);
        }
        out.into_inner().flush().map_err(|error| OpenError::Write(error.to_string()))
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
    /// SHA-256 of the entity.
    pub content_digest: [u8; 32],
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
    let passed = passed(&entity, cms)?;
    passed.believe(entity, anchors, now, certificates, expected_signer)
}

/// Checks a mail that is signed and not encrypted, whichever way (RFC 8551 3.5): signer, time and for whom, as of a sealed one.
pub fn verify_signed(mail: &[u8], against: &Verification<'_>) -> Result<SignedOnly, OpenError> {
    match envelope_head(&mut Cursor::new(mail)) {
        Ok(Around::Signature(passed, entity)) => passed.verify_alone(entity, against),
        Ok(Around::Envelope(_)) | Err(OpenError::NotSealed) => Err(OpenError::Unsigned),
        Err(error) => Err(error),
    }
}
