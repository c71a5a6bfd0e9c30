//! Open in two steps that cannot be taken in another order (ST914-916, then ST917-920; RFC 8551 3.8).
//!
//! [`decrypt`] yields a [`Decrypted`] that shows nothing of its content; only [`Decrypted::verify`] turns it into
//! [`Opened`]. So nothing is released before the tag and the inner signature hold (EFAIL).

use crate::algorithm::{Digesting, Digests, oid};
use crate::ber;
use crate::bounds;
use crate::enveloped_data::{ContentEncryption, ContentKey, Floor, Head, Reading, read_content};
use crate::error::OpenError;
use crate::key::PrivateKey;
use crate::mime::{self, Body, Entity, MimeError};
use crate::path::{self, Fields, Use};
use crate::receipt::{self, ReceiptTerms};
use crate::recipients;
use crate::signed_data::{self, SignedData, SignerIdentifier};
use crate::stream::tlv::Tlv;
use crate::stream::{Input, Keep, Release, Source, drain, push_secret};
use crate::{address, same_address, speaks_for};
use core::fmt;
use std::io::{BufRead, Cursor, Seek, Write};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// How far the clocks of sender and recipient may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(24 * 60 * 60);

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

/// Decrypts a mail, or its `application/pkcs7-mime` entity alone, with the card's key (ST914-916).
pub async fn decrypt(mail: &[u8], key: &dyn PrivateKey) -> Result<Decrypted, OpenError> {
    let mut mail = Cursor::new(mail);
    let opening = Opening::begin(&mut mail, key, Floor::Today).await?;
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
    let opening = Opening::begin(&mut mail, key, floor).await?;
    let (found, ()) = opening.read(&mut mail, || ())?;
    Ok(DecryptedStream { found, mail, opening })
}

/// What opens a mail, and opens it again.
struct Opening {
    head: Head,
    key: ContentKey,
    /// What was encrypted and then signed: the signature, and the entity that it was taken off.
    outer: Option<(Passed, Vec<u8>)>,
}

/// What a mail holds, without its content.
#[derive(PartialEq, Eq)]
struct Found {
    encryption: ContentEncryption,
    /// The signature inside.
    inner: Option<Passed>,
    /// The signature around the envelope (RFC 2634 1.1: the third layer of a triple wrap).
    outer: Option<Passed>,
    digests: Digests,
    /// The content's header section.
    head: Zeroizing<Vec<u8>>,
}

/// A SignedData without its content, in definite lengths, and its content's digests.
#[derive(Clone, PartialEq, Eq)]
struct Passed {
    cms: Zeroizing<Vec<u8>>,
    digests: Digests,
}

impl Opening {
    /// Finds what is meant for the card, and has the card give up the key to it.
    async fn begin(
        mail: &mut (impl BufRead + Seek + Send),
        key: &dyn PrivateKey,
        floor: Floor,
    ) -> Result<Self, OpenError> {
        let (head, outer) = match envelope_head(mail)? {
            Around::Envelope(head) => (head, None),
            Around::Signature(passed, entity) => match envelope_head(&mut Cursor::new(&entity))? {
                Around::Envelope(head) => (head, Some((passed, entity))),
                Around::Signature(..) => return Err(OpenError::NotSealed),
            },
        };
        let envelope = head.envelope(key.certificate(), floor)?;
        let answer = key.raw(&envelope.block()?).await?;
        let key = envelope.content_key(&answer)?;
        Ok(Self { head, key, outer })
    }

    /// Reads the whole mail. What it holds goes into what `keep` makes; that counts only if all is sound.
    fn read<K: Keep>(&self, mail: &mut (impl BufRead + Seek), keep: impl Fn() -> K) -> Result<(Found, K), OpenError> {
        match &self.outer {
            None => self.read_envelope(mail, keep),
            Some((passed, entity)) => {
                let (found, kept) = self.read_envelope(&mut Cursor::new(entity), keep)?;
                Ok((Found { outer: Some(passed.clone()), ..found }, kept))
            }
        }
    }

    fn read_envelope<K: Keep>(
        &self,
        mail: &mut (impl BufRead + Seek),
        keep: impl Fn() -> K,
    ) -> Result<(Found, K), OpenError> {
        let mut authenticated = Vec::new();
        // Attributes are authenticated before the content and stand behind it: with them it takes two readings.
        for _ in 0..2 {
            let mut tlv = object(mail)?;
            if Head::read(signed_data::content_info_kind(&mut tlv)?, &mut tlv)? != self.head {
                return Err(OpenError::Changed);
            }
            let mut kept = keep();
            let reading = read_content(&mut tlv, &self.key, &authenticated, |source| {
                let found = read_inside(source, self.key.encryption, &mut kept)?;
                // Where nothing else shows a change, what is not signed may be anything.
                let shown = found.inner.is_some() || self.outer.is_some() || self.key.encryption.is_authenticated();
                if shown { Ok(found) } else { Err(OpenError::CannotDecrypt) }
            })?;
            match reading {
                Reading::Done(found) => return Ok((found, kept)),
                Reading::Again(attributes) => authenticated = attributes,
            }
        }
        Err(OpenError::Changed)
    }
}

/// What a mail is at its outside.
enum Around {
    Envelope(Head),
    /// A signature, and the entity in it.
    Signature(Passed, Vec<u8>),
}

/// The CMS object of a mail, whose header section said that it is one.
fn object<M: BufRead + Seek>(mail: &mut M) -> Result<Tlv<Body<Input<&mut M>>>, OpenError> {
    let (header, source) = header(mail)?;
    Ok(Tlv::new(Body::of(&Entity::parse(&header)?, source)?, OpenError::Malformed))
}

fn header<M: BufRead + Seek>(mail: &mut M) -> Result<(Zeroizing<Vec<u8>>, Input<&mut M>), OpenError> {
    mail.rewind().map_err(|error| OpenError::Read(error.to_string()))?;
    let mut source = Input::new(mail, bounds::MESSAGE);
    Ok((mime::header_section(&mut source)?, source))
}

fn envelope_head(mail: &mut (impl BufRead + Seek)) -> Result<Around, OpenError> {
    let (mut whole, mut source) = header(mail)?;
    let content_type = Entity::parse(&whole)?.content_type()?;
    if content_type.essence == "multipart/signed" {
        drain(&mut source, |piece| {
            push_secret(&mut whole, piece);
            Ok(())
        })?;
        let (entity, cms) = multipart_signed(&Entity::parse(&whole)?, &content_type)?;
        return Ok(Around::Signature(passed(&entity, cms)?, entity));
    }
    if !content_type.is_pkcs7("pkcs7-mime") && content_type.essence != "application/octet-stream" {
        return Err(OpenError::NotSealed);
    }
    // What it is, its object identifier says; smime-type is only a hint (STANDARDS, rule 6).
    let mut tlv = object(mail)?;
    let kind = signed_data::content_info_kind(&mut tlv)?;
    if kind != oid::ID_SIGNED_DATA {
        return Head::read(kind, &mut tlv).map(Around::Envelope);
    }
    let mut entity = Entirely(Vec::new());
    let signed = signed_data::read_passing(&mut tlv, &mut entity)?;
    Ok(Around::Signature(Passed { cms: Zeroizing::new(signed.cms), digests: signed.digests }, entity.0))
}

/// Into memory that grows: of what is encrypted, and of what the whole is needed for.
struct Entirely(Vec<u8>);

impl Keep for Entirely {
    fn put(&mut self, octets: &[u8]) -> Result<(), OpenError> {
        self.0.extend_from_slice(octets);
        Ok(())
    }
}

/// A signature that stood beside `entity`.
fn passed(entity: &[u8], cms: Vec<u8>) -> Result<Passed, OpenError> {
    let signed = SignedData::read(&cms).map_err(|_| OpenError::SignatureMalformed)?;
    let digests = Digests::of(entity, signed.digest_algorithm().as_slice());
    Ok(Passed { cms: Zeroizing::new(cms), digests })
}

/// What is inside the envelope.
fn read_inside(
    source: &mut impl Source,
    encryption: ContentEncryption,
    keep: &mut impl Keep,
) -> Result<Found, OpenError> {
    let unsigned = |_: OpenError| OpenError::Unsigned;
    let header = mime::header_section(source).map_err(unsigned)?;
    let entity = Entity::parse(&header).map_err(|_| OpenError::Unsigned)?;
    let content_type = entity.content_type().map_err(|_| OpenError::Unsigned)?;
    if content_type.is_pkcs7("pkcs7-mime") {
        let malformed = OpenError::SignatureMalformed;
        let body = Body::of(&entity, source).map_err(|_| malformed.clone())?;
        let mut tlv = Tlv::new(body, malformed.clone());
        let read = signed_data::content_info_kind(&mut tlv).and_then(|kind| match kind {
            oid::ID_SIGNED_DATA => signed_data::read_passing(&mut tlv, keep),
            _ => Err(malformed.clone()),
        });
        let signed = read.map_err(|error| match error {
            // Text that is no base64.
            OpenError::Mime(_) => malformed.clone(),
            other => other,
        })?;
        SignedData::read(&signed.cms).map_err(|_| malformed)?;
        let inner = Some(Passed { cms: Zeroizing::new(signed.cms), digests: signed.digests.clone() });
        return Ok(Found { encryption, inner, outer: None, digests: signed.digests, head: signed.head });
    }
    if content_type.essence != "multipart/signed" {
        let (mut digesting, mut head) = (Digesting::new(&[]), signed_data::Head::default());
        digesting.update(&header);
        head.update(&header);
        keep.put(&header)?;
        drain(source, |piece| {
            digesting.update(piece);
            keep.put(piece)
        })?;
        return Ok(Found { encryption, inner: None, outer: None, digests: digesting.finish(), head: head.octets });
    }
    let mut whole = Zeroizing::new(header.to_vec());
    drain(source, |piece| {
        whole.extend_from_slice(piece);
        Ok(())
    })?;
    let entity = Entity::parse(&whole).map_err(|_| OpenError::Unsigned)?;
    let (signed, cms) = multipart_signed(&entity, &content_type)?;
    let signed = Zeroizing::new(signed);
    let inner = passed(&signed, cms)?;
    let mut head = signed_data::Head::default();
    head.update(&signed);
    keep.put(&signed)?;
    Ok(Found { encryption, digests: inner.digests.clone(), inner: Some(inner), outer: None, head: head.octets })
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

impl Found {
    /// The signature that the content is to be believed by: the one nearest to it.
    fn signature(&self) -> Result<&Passed, OpenError> {
        self.inner.as_ref().or(self.outer.as_ref()).ok_or(OpenError::Unsigned)
    }

    fn signer_hint(&self) -> Result<SignerHint, OpenError> {
        let signed = SignedData::read(&self.signature()?.cms).map_err(|_| OpenError::SignatureMalformed)?;
        let (issuer_and_serial, subject_key_identifier) = match signed.signer {
            SignerIdentifier::IssuerAndSerialNumber(name) => (Some(name.to_vec()), None),
            SignerIdentifier::SubjectKeyIdentifier(identifier) => (None, Some(identifier.to_vec())),
        };
        let certificate = signed.certificates.iter().find(|one| signed.signer.names(one));
        Ok(SignerHint {
            issuer_and_serial,
            subject_key_identifier,
            certificate: certificate.map(|one| one.to_vec()),
            signing_time: signed.signing_time()?,
            certificates: signed.certificates.iter().map(|one| one.to_vec()).collect(),
        })
    }

    /// Checks signature, signer and binding (ST917-920).
    fn verify(&self, against: &Verification<'_>) -> Result<Verdict, OpenError> {
        let nearest = self.signature()?;
        let signed = SignedData::read(&nearest.cms).map_err(|_| OpenError::SignatureMalformed)?;
        let signer = check_sender(&signed, &nearest.digests, against)?;
        if let (Some(_), Some(outer)) = (&self.inner, &self.outer) {
            let around = SignedData::read(&outer.cms).map_err(|_| OpenError::SignatureMalformed)?;
            check_sender(&around, &outer.digests, against)?;
        }
        Ok(Verdict {
            bound: self.check_binding(&signed, against)?,
            receipt: receipt::terms(&signed, against.recipient)?,
            signing_time: signed.signing_time()?,
            signature: signed.signature.to_vec(),
            signer_certificate: signer,
            content_digest: self.digests.sha256,
            encryption: self.encryption,
        })
    }

    /// Was it sealed for this recipient? The attribute decides; without it, the protected To and Cc.
    fn check_binding(&self, signed: &SignedData<'_>, against: &Verification<'_>) -> Result<bool, OpenError> {
        const NAME: &str = "recipient-emails";
        let malformed = |_| OpenError::Attribute(NAME);
        if let Some(attribute) = signed.attribute(oid::RECIPIENT_EMAILS).map_err(malformed)? {
            let certificate = Fields::of(against.recipient_certificate).map_err(|_| OpenError::NotForThisCard)?;
            return match recipients::names(&attribute, against.recipient, &certificate).map_err(malformed)? {
                true => Ok(true),
                false => Err(OpenError::SealedForAnother),
            };
        }
        // What was signed around the envelope names the recipients' certificates: nobody can have sealed it for another.
        let names_this_card = self.inner.is_none();
        let mut addressees = Vec::new();
        match Entity::parse(&self.head) {
            Ok(entity) => {
                for name in ["to", "cc"] {
                    if let Some(field) = entity.field(name)? {
                        addressees.extend(address::address_list(field));
                    }
                }
            }
            Err(_) if names_this_card => {}
            Err(error) => return Err(error.into()),
        }
        if addressees.iter().any(|addressee| same_address(addressee, against.recipient)) {
            Ok(true)
        } else if !addressees.is_empty() {
            Err(OpenError::SealedForAnother)
        } else if names_this_card {
            Ok(true)
        } else if against.allow_unbound {
            Ok(false)
        } else {
            Err(OpenError::Unbound)
        }
    }
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

/// Is it data, signed by the sender? The signer's certificate.
fn check_sender(signed: &SignedData<'_>, digests: &Digests, against: &Verification<'_>) -> Result<Vec<u8>, OpenError> {
    let known = against.sender_certificates.iter().find(|certificate| signed.signer.names(certificate));
    let signer = known.ok_or(OpenError::UnknownSigner)?;
    only_data(signed)?;
    check_signer(signed, digests, signer, against.sender, against.anchors, against.now)?;
    // Whoever signs with a certificate that is valid today says when they did, and it had to be valid then too. A day is what
    // clocks may differ by, and cards be younger than what is signed with them.
    if let Some(signing_time) = signed.signing_time()? {
        if against.now + CLOCKS_DIFFER < signing_time {
            return Err(OpenError::Attribute("signingTime"));
        }
        if signing_time + CLOCKS_DIFFER < against.now {
            let between: Vec<Vec<u8>> = signed.certificates.iter().map(|one| one.to_vec()).collect();
            path::check_path(signer, &between, against.anchors, signing_time, Use::Sign)?;
        }
    }
    Ok(signer.clone())
}

/// A mail is data; a receipt that is signed likewise is none.
fn only_data(signed: &SignedData<'_>) -> Result<(), OpenError> {
    if signed.content_type == oid::ID_DATA { Ok(()) } else { Err(OpenError::Attribute("contentType")) }
}

/// Tamper and origin: the signature holds, its certificate is the sender's and leads to an anchor.
pub(crate) fn check_signer(
    signed: &SignedData<'_>,
    digests: &Digests,
    signer: &[u8],
    sender: &str,
    anchors: &[Vec<u8>],
    now: SystemTime,
) -> Result<(), OpenError> {
    signed.verify(digests, signer)?;
    if !speaks_for(signer, sender) {
        return Err(OpenError::SenderMismatch { sender: sender.to_owned(), certified: path::addresses(signer) });
    }
    let between: Vec<Vec<u8>> = signed.certificates.iter().map(|one| one.to_vec()).collect();
    path::check_path(signer, &between, anchors, now, Use::Sign)?;
    Ok(())
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

/// Checks a mail that is signed and not encrypted, whichever way (RFC 8551 3.5), as [`verify_detached`] does.
pub fn verify_signed(
    mail: &[u8],
    anchors: &[Vec<u8>],
    now: SystemTime,
    certificates: Option<&[Vec<u8>]>,
    expected_signer: &str,
) -> Result<SignedEntity, OpenError> {
    match envelope_head(&mut Cursor::new(mail)) {
        Ok(Around::Signature(passed, entity)) => passed.believe(entity, anchors, now, certificates, expected_signer),
        Ok(Around::Envelope(_)) | Err(OpenError::NotSealed) => Err(OpenError::Unsigned),
        Err(error) => Err(error),
    }
}

impl Passed {
    fn believe(
        &self,
        entity: Vec<u8>,
        anchors: &[Vec<u8>],
        now: SystemTime,
        certificates: Option<&[Vec<u8>]>,
        expected_signer: &str,
    ) -> Result<SignedEntity, OpenError> {
        let signed = SignedData::read(&self.cms).map_err(|_| OpenError::SignatureMalformed)?;
        only_data(&signed)?;
        let signer = signed.signer_among(certificates).ok_or(OpenError::UnknownSigner)?;
        check_signer(&signed, &self.digests, signer, expected_signer, anchors, now)?;
        Ok(SignedEntity {
            signer_certificate: signer.to_vec(),
            signing_time: signed.signing_time()?,
            content_digest: self.digests.sha256,
            entity,
        })
    }
}
