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
use crate::signed_data::{self, Content};
use crate::{same_address, speaks_for};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::time::SystemTime;
use zeroize::Zeroizing;

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
    check_content(content)?;
    let checked = check_recipients(recipients)?;

    let named = recipients::encode(checked.iter().copied());
    let mut extra = vec![(oid::RECIPIENT_EMAILS, named)];
    let requested = receipt::request(signing.key.certificate(), rng);
    let identifier = requested.map(|(value, identifier)| {
        extra.push((oid::ID_AA_RECEIPT_REQUEST, value));
        identifier
    });
    let what = Content { kind: oid::ID_DATA, octets: content, encapsulate: true };
    let signed = signed_data::make(what, signing, &extra).await?;
    let inner = Zeroizing::new(mime::pkcs7_mime("signed-data", &Zeroizing::new(signed.cms)));
    let sealed = enveloped_data::make(inner, &checked, scheme, rng)?;
    Ok(Sealed {
        entity: mime::pkcs7_mime(scheme.smime_type(), &sealed),
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
    check_content(content)?;
    let checked = check_recipients(recipients)?;
    let sealed = enveloped_data::make(Zeroizing::new(content.to_vec()), &checked, Scheme::default(), rng)?;
    Ok(Sealed {
        entity: mime::pkcs7_mime("authEnveloped-data", &sealed),
        signature: None,
        receipt: None,
        content_digest: Sha256::digest(content).into(),
    })
}

/// Signs `entity` in clear: a `multipart/signed` entity (RFC 8551 3.5.3), as confirmations are sent.
///
/// The entity has to be canonical and 7-bit, so that no relay has reason to change it.
pub async fn sign_detached(entity: &[u8], signing: &Signing<'_>) -> Result<Vec<u8>, SealError> {
    check_content(entity)?;
    if !entity.is_ascii() {
        return Err(SealError::NotSevenBit);
    }
    let what = Content { kind: oid::ID_DATA, octets: entity, encapsulate: false };
    let signed = signed_data::make(what, signing, &[]).await?;
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
    mime::base64_lines(&signed.cms, &mut out);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Ok(out)
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

fn check_content(content: &[u8]) -> Result<(), SealError> {
    // Base64 twice over makes 1.9 of it, and the receiver holds to the same limit.
    if content.len() > bounds::MESSAGE / 2 {
        return Err(SealError::TooLarge);
    }
    if mime::is_canonical(content) { Ok(()) } else { Err(SealError::NotCanonical) }
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
