//! Sign, then encrypt (ST608-609, S2; RFC 8551 3.3 and 3.5): all recipients or none.

use crate::algorithm::{Hash, oid};
use crate::bounds;
use crate::enveloped_data::{self, Scheme};
use crate::error::SealError;
use crate::key::PrivateKey;
use crate::mime;
use crate::path::{self, Fields, KeyType, Use};
use crate::receipt::{self, ReceiptTerms};
use crate::recipients;
use crate::signed_data;
use crate::stream::PIECE;
use crate::stream::base64::{Lines, text_length};
use crate::stream::cipher::Enciphering;
use crate::{same_address, speaks_for};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, Cursor, Seek, Write};
use std::time::SystemTime;

/// For whom a mail is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The address as the terminal gave it.
    pub address: String,
    /// The certificate from the certificate server, DER. Its path and validity are the caller's to check.
    pub certificate: Vec<u8>,
}

/// Who signs, and when.
#[derive(Clone, Copy)]
pub struct Signing<'a> {
    /// The card's signing key, with its certificate.
    pub key: &'a dyn PrivateKey,
    /// Certificates between the signer's and the anchor, DER, to be sent along.
    pub chain: &'a [Vec<u8>],
    /// The signing time attribute.
    pub signing_time: SystemTime,
}

/// A sealed mail's body and what identifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sealed {
    /// A MIME entity with its own Content-* fields; the mail's other fields (MIME-Version too) go in front of it.
    pub entity: Vec<u8>,
    /// What identifies it.
    pub seal: Seal,
}

/// What identifies a sealed mail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seal {
    /// The SignerInfo's signature value, which a signed receipt quotes (RFC 2634 2); none without a signature.
    pub signature: Option<Vec<u8>>,
    /// What each recipient's receipt has to quote; none without a signature.
    pub receipt: Option<ReceiptTerms>,
    /// SHA-256 of the content.
    pub content_digest: [u8; 32],
}

/// Seals `content`, a complete MIME entity or message in CRLF lines, for every recipient.
///
/// Every recipient is named inside the signature, so each learns the others' addresses.
pub async fn seal(
    content: &[u8],
    signing: &Signing<'_>,
    recipients: &[Recipient],
    rng: &mut impl CryptoRng,
) -> Result<Sealed, SealError> {
    seal_as(content, signing, recipients, Scheme::default(), rng).await
}

/// The same in another scheme, for peers that read nothing newer.
pub async fn seal_as(
    content: &[u8],
    signing: &Signing<'_>,
    recipients: &[Recipient],
    scheme: Scheme,
    rng: &mut impl CryptoRng,
) -> Result<Sealed, SealError> {
    let mut entity = Vec::with_capacity(content.len() * 2 + 16 * 1024);
    let seal = seal_stream(&mut Cursor::new(content), signing, recipients, scheme, rng, &mut entity).await?;
    Ok(Sealed { entity, seal })
}

/// The same from any source into any sink, in memory that does not grow with the content: that is read twice, first to be signed,
/// then to be written, and must not change in between.
pub async fn seal_stream(
    content: &mut (impl BufRead + Seek + Send),
    signing: &Signing<'_>,
    recipients: &[Recipient],
    scheme: Scheme,
    rng: &mut impl CryptoRng,
    out: &mut (impl Write + Send),
) -> Result<Seal, SealError> {
    let (length, content_digest) = look_through(content)?;
    let checked = check_recipients(recipients)?;
    let mut extra = vec![(oid::RECIPIENT_EMAILS, recipients::encode(checked.iter().copied()))];
    let requested = receipt::request(signing.key.certificate(), rng);
    let identifier = requested.map(|(value, identifier)| {
        extra.push((oid::ID_AA_RECEIPT_REQUEST, value));
        identifier
    });
    let signed = signed_data::sign(oid::ID_DATA, content_digest, signing, &extra).await?;
    let (before, behind) = signed.around(length);

    let header = mime::pkcs7_mime_header("signed-data");
    let inside = header.len() + text_length(before.len() + length + behind.len());
    enveloped(inside, &checked, scheme, rng, out, |envelope| {
        envelope.write_all(&header).map_err(unwritten)?;
        let mut lines = Lines::new(envelope);
        lines.write_all(&before).map_err(unwritten)?;
        copy(content, length, &mut lines)?;
        lines.write_all(&behind).map_err(unwritten)?;
        lines.finish().map(drop).map_err(unwritten)
    })?;
    Ok(Seal {
        receipt: identifier.map(|identifier| ReceiptTerms {
            identifier,
            signature: signed.signature.clone(),
            attributes_digest: signed.attributes_digest.to_vec(),
            hash: Hash::Sha256,
        }),
        signature: Some(signed.signature),
        content_digest: signed.content_digest,
    })
}

/// Encrypts `entity` without signing it (V3): anybody can make such a mail, and [`crate::Decrypted::verify`] refuses it
/// unless what is inside is signed.
pub fn encrypt_only(content: &[u8], recipients: &[Recipient], rng: &mut impl CryptoRng) -> Result<Sealed, SealError> {
    let (length, content_digest) = look_through(&mut Cursor::new(content))?;
    let checked = check_recipients(recipients)?;
    let mut entity = Vec::with_capacity(content.len() * 3 / 2 + 16 * 1024);
    enveloped(length, &checked, Scheme::default(), rng, &mut entity, |envelope| {
        envelope.write_all(content).map_err(unwritten)
    })?;
    Ok(Sealed { entity, seal: Seal { signature: None, receipt: None, content_digest } })
}

/// An entity with an envelope, in which `write` writes so many octets.
fn enveloped<W: Write>(
    length: usize,
    recipients: &[(&str, Fields<'_>)],
    scheme: Scheme,
    rng: &mut impl CryptoRng,
    out: &mut W,
    write: impl FnOnce(&mut Enciphering<Lines<&mut W>>) -> Result<(), SealError>,
) -> Result<(), SealError> {
    let sealing = enveloped_data::Sealing::new(recipients, scheme, rng)?;
    out.write_all(&mime::pkcs7_mime_header(scheme.smime_type())).map_err(unwritten)?;
    let mut envelope = sealing.begin(length, Lines::new(out)).map_err(unwritten)?;
    write(&mut envelope)?;
    enveloped_data::finish(envelope).and_then(Lines::finish).map(drop).map_err(unwritten)
}

/// Length and SHA-256 of content that may be sealed.
fn look_through(content: &mut (impl BufRead + Seek)) -> Result<(usize, [u8; 32]), SealError> {
    let (mut length, mut digest, mut canonical) = (0usize, Sha256::new(), mime::Canonical::default());
    content.rewind().map_err(unread)?;
    loop {
        let piece = content.fill_buf().map_err(unread)?;
        // What may be a whole document is looked at while it is near.
        let piece = piece.get(..PIECE).unwrap_or(piece);
        if piece.is_empty() {
            break;
        }
        length += piece.len();
        check_length(length)?;
        canonical.update(piece);
        digest.update(piece);
        let taken = piece.len();
        content.consume(taken);
    }
    if canonical.holds() { Ok((length, digest.finalize().into())) } else { Err(SealError::NotCanonical) }
}

/// Writes the content, which has to be as long as before.
fn copy(content: &mut (impl BufRead + Seek), length: usize, out: &mut impl Write) -> Result<(), SealError> {
    content.rewind().map_err(unread)?;
    let mut left = length;
    loop {
        let piece = content.fill_buf().map_err(unread)?;
        let taken = piece.len();
        if taken == 0 && left == 0 {
            return Ok(());
        }
        if taken == 0 || taken > left {
            return Err(SealError::Read("the document changed while it was sealed".to_owned()));
        }
        out.write_all(piece).map_err(unwritten)?;
        left -= taken;
        content.consume(taken);
    }
}

fn unread(error: io::Error) -> SealError {
    SealError::Read(error.to_string())
}

fn unwritten(error: io::Error) -> SealError {
    SealError::Write(error.to_string())
}

/// Signs `entity` in clear: a `multipart/signed` entity (RFC 8551 3.5.3), as confirmations are sent.
///
/// The entity has to be canonical and 7-bit, so that no relay has reason to change it.
pub async fn sign_detached(entity: &[u8], signing: &Signing<'_>) -> Result<Vec<u8>, SealError> {
    sign_only(entity, signing).await.map(|signed| signed.entity)
}

/// The same with what identifies the mail.
pub async fn sign_only(entity: &[u8], signing: &Signing<'_>) -> Result<Sealed, SealError> {
    let (_, content_digest) = look_through(&mut Cursor::new(entity))?;
    if !entity.is_ascii() {
        return Err(SealError::NotSevenBit);
    }
    let signed = signed_data::sign(oid::ID_DATA, content_digest, signing, &[]).await?;
    let boundary = boundary(entity);
    let mut out = format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg=sha-256;\r\n \
         boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n"
    )
    .into_bytes();
    out.extend_from_slice(entity);
    out.extend_from_slice(
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n\
             Content-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n"
        )
        .as_bytes(),
    );
    mime::base64_lines(&signed.detached(), &mut out);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let seal = Seal { signature: Some(signed.signature), receipt: None, content_digest };
    Ok(Sealed { entity: out, seal })
}

/// A boundary that does not occur in the entity: its own digest, hashed on while it does.
fn boundary(entity: &[u8]) -> String {
    let mut digest = Sha256::digest(entity);
    loop {
        let hex: String = digest.iter().take(16).map(|octet| format!("{octet:02x}")).collect();
        let boundary = format!("=_sealfax_{hex}");
        if !entity.windows(boundary.len()).any(|window| window == boundary.as_bytes()) {
            return boundary;
        }
        digest = Sha256::digest(digest);
    }
}

fn check_length(length: usize) -> Result<(), SealError> {
    // Base64 twice over makes 1.9 of it, and the receiver holds to the same limit.
    if length > bounds::MESSAGE / 2 { Err(SealError::TooLarge) } else { Ok(()) }
}

fn check_recipients(recipients: &[Recipient]) -> Result<Vec<(&str, Fields<'_>)>, SealError> {
    if recipients.is_empty() {
        return Err(SealError::NoRecipient);
    }
    if recipients.len() > bounds::RECIPIENTS {
        return Err(SealError::TooManyRecipients);
    }
    let mut checked = Vec::with_capacity(recipients.len());
    for (number, recipient) in recipients.iter().enumerate() {
        let twice = recipients.iter().take(number).any(|other| {
            same_address(&other.address, &recipient.address) || other.certificate == recipient.certificate
        });
        if twice {
            return Err(SealError::DuplicateRecipient { address: recipient.address.clone() });
        }
        checked.push((recipient.address.as_str(), check_recipient(recipient)?));
    }
    Ok(checked)
}

fn check_recipient(recipient: &Recipient) -> Result<Fields<'_>, SealError> {
    let address = || recipient.address.clone();
    let unreadable = || SealError::BadCertificate { address: address() };
    let fields = Fields::of(&recipient.certificate).map_err(|_| unreadable())?;
    let key_type = fields.key_type().map_err(|_| unreadable())?;
    let may_encrypt = path::allows(&recipient.certificate, Use::Encrypt).map_err(|_| unreadable())?;
    // IA5String has no room for more; such an address also has no certificate.
    if !recipient.address.is_ascii() || !speaks_for(&recipient.certificate, &recipient.address) {
        let certified = path::addresses(&recipient.certificate);
        return Err(SealError::AddressMismatch { address: address(), certified });
    }
    if !matches!(key_type, KeyType::Rsa | KeyType::P256) {
        return Err(SealError::UnsupportedKey { address: address() });
    }
    if !may_encrypt {
        return Err(SealError::NotForEncryption { address: address() });
    }
    if key_type == KeyType::P256 {
        // A point that is not on the curve would give the content key away.
        fields.p256_point().map_err(|_| unreadable())?;
        return Ok(fields);
    }
    let modulus = fields.rsa_modulus().map_err(|_| unreadable())?;
    let bits = (modulus.len() * 8).saturating_sub(modulus.first().map_or(0, |octet| octet.leading_zeros() as usize));
    if !bounds::RSA_BITS.contains(&bits) {
        return Err(SealError::KeySize { address: address() });
    }
    Ok(fields)
}
