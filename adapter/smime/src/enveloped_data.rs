//! AuthEnvelopedData and EnvelopedData: the content under a key of its own, that key under each recipient's
//! (RFC 5083, RFC 5084, RFC 5652 6).

use crate::algorithm::{Algorithm, Hash, oid};
use crate::asn1::{self, Layer, Malformed, Value, tag};
use crate::bounds;
use crate::error::{OpenError, SealError};
use crate::key_agreement::{self, KeyAgreement};
use crate::key_transport::{self, KeyTransport};
use crate::path::{self, Fields, KeyType};
use crate::signed_data::read_content_info;
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, KeyInit};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, KeyIvInit};
use der::asn1::ObjectIdentifier;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Octets of a GCM nonce and tag, the only lengths written and accepted.
const NONCE: usize = 12;
const TAG: usize = 16;

/// What is made for whom. By default the newest; what peers agree on that read nothing newer, by their administrators' word alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scheme {
    /// AuthEnvelopedData with AES-256-GCM, the key by RSAES-OAEP with SHA-256 (RFC 8551 2.7, RFC 3560).
    #[default]
    Aes256Gcm,
    /// EnvelopedData with AES-256-CBC, the key by RSAES-PKCS1-v1_5 (RFC 5751): nothing in it shows a change by itself.
    Aes256Cbc,
    /// EnvelopedData with triple DES in CBC mode, the key by RSAES-PKCS1-v1_5 (RFC 2633): the scheme of the document's time.
    DesEde3Cbc,
}

impl Scheme {
    /// As the smime-type parameter says it (RFC 8551 3.2.2).
    pub(crate) fn smime_type(self) -> &'static str {
        if self == Self::Aes256Gcm { "authEnveloped-data" } else { "enveloped-data" }
    }

    fn key_length(self) -> usize {
        if self == Self::DesEde3Cbc { 24 } else { 32 }
    }

    /// How the key goes to an RSA card.
    fn padding(self) -> key_transport::Padding {
        match self {
            Self::Aes256Gcm => key_transport::Padding::Oaep(Hash::Sha256, Hash::Sha256),
            Self::Aes256Cbc | Self::DesEde3Cbc => key_transport::Padding::Pkcs1V15,
        }
    }
}

/// Encrypts `content` for each certificate, RSA and P-256 side by side: a ContentInfo with AuthEnvelopedData or, in an older
/// scheme, EnvelopedData.
pub(crate) fn make(
    mut content: Zeroizing<Vec<u8>>,
    recipients: &[(&str, Fields<'_>)],
    scheme: Scheme,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, SealError> {
    let mut key = Zeroizing::new(vec![0u8; scheme.key_length()]);
    rng.fill_bytes(key.as_mut_slice());

    let (mut infos, mut agrees) = (Vec::with_capacity(recipients.len()), false);
    for (address, fields) in recipients {
        infos.push(match fields.key_type() {
            Ok(KeyType::Rsa) => key_transport::make(key.as_slice(), fields, scheme.padding(), rng)?,
            Ok(KeyType::P256) => {
                agrees = true;
                key_agreement::make(key.as_slice(), fields, rng)?
            }
            _ => return Err(SealError::UnsupportedKey { address: (*address).to_owned() }),
        });
    }
    let infos = asn1::set_of(tag::SET, infos);

    let (algorithm, tag_octets) = encrypt(&mut content, &key, scheme, rng)?;
    let (kind, version) = match tag_octets {
        Some(_) => (oid::ID_CT_AUTH_ENVELOPED_DATA, 0),
        // RFC 5652 6.1: 2 where a recipient is not one of key transport by name.
        None => (oid::ID_ENVELOPED_DATA, if agrees { 2 } else { 0 }),
    };
    let tag_octets = tag_octets.map(|octets| asn1::octet_string(&octets)).unwrap_or_default();
    let before = [asn1::small_integer(version), infos].concat();
    let info = [asn1::object_identifier(&oid::ID_DATA), algorithm].concat();
    let kind = asn1::object_identifier(&kind);
    let layers = [
        Layer::new(tag::SEQUENCE, &kind),
        Layer::new(tag::constructed(0), &[]),
        Layer { tag: tag::SEQUENCE, before: &before, behind: &tag_octets },
        Layer::new(tag::SEQUENCE, &info),
        Layer::new(tag::context(0), &[]),
    ];
    Ok(asn1::within(&layers, &content))
}

/// Encrypts in place; the algorithm with its parameters, and the tag of one that has a tag.
fn encrypt(
    content: &mut Vec<u8>,
    key: &[u8],
    scheme: Scheme,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(Vec<u8>, Option<[u8; TAG]>), SealError> {
    let failed = |_| SealError::Encryption;
    let mut chance = [0u8; 16];
    rng.fill_bytes(&mut chance);
    match scheme {
        Scheme::Aes256Gcm => {
            let nonce: [u8; NONCE] = chance.first_chunk().copied().ok_or(SealError::Encryption)?;
            let cipher = Aes256Gcm::new_from_slice(key).map_err(|_| SealError::Encryption)?;
            let tag_octets = cipher
                .encrypt_inout_detached(&nonce.into(), &[], content.as_mut_slice().into())
                .map_err(|_| SealError::Encryption)?;
            let parameters = asn1::sequence(&[asn1::octet_string(&nonce), asn1::small_integer(TAG as u8)]);
            Ok((asn1::algorithm(&oid::AES256_GCM, &parameters), Some(tag_octets.into())))
        }
        Scheme::Aes256Cbc => {
            cbc_seal::<cbc::Encryptor<Aes256>>(key, &chance, content).ok_or(()).map_err(failed)?;
            Ok((asn1::algorithm(&oid::AES256_CBC, &asn1::octet_string(&chance)), None))
        }
        Scheme::DesEde3Cbc => {
            let (iv, _) = chance.split_at(8);
            cbc_seal::<cbc::Encryptor<des::TdesEde3>>(key, iv, content).ok_or(()).map_err(failed)?;
            Ok((asn1::algorithm(&oid::DES_EDE3_CBC, &asn1::octet_string(iv)), None))
        }
    }
}

fn cbc_seal<C>(key: &[u8], iv: &[u8], content: &mut Vec<u8>) -> Option<()>
where
    C: KeyIvInit + BlockModeEncrypt + BlockSizeUser,
{
    let length = content.len();
    content.resize(length + C::block_size(), 0);
    let sealed = C::new_from_slices(key, iv).ok()?.encrypt_padded::<Pkcs7>(content, length).ok()?.len();
    content.truncate(sealed);
    Some(())
}

/// How the content is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentEncryption {
    /// AES-128-GCM in AuthEnvelopedData.
    Aes128Gcm,
    /// AES-256-GCM in AuthEnvelopedData: what we send.
    Aes256Gcm,
    /// AES-128-CBC in EnvelopedData, without authentication of its own.
    Aes128Cbc,
    /// AES-192-CBC in EnvelopedData.
    Aes192Cbc,
    /// AES-256-CBC in EnvelopedData.
    Aes256Cbc,
    /// Triple DES, the oldest that is read.
    DesEde3Cbc,
}

impl ContentEncryption {
    fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        Some(match oid {
            oid::AES128_GCM => Self::Aes128Gcm,
            oid::AES256_GCM => Self::Aes256Gcm,
            oid::AES128_CBC => Self::Aes128Cbc,
            oid::AES192_CBC => Self::Aes192Cbc,
            oid::AES256_CBC => Self::Aes256Cbc,
            oid::DES_EDE3_CBC => Self::DesEde3Cbc,
            _ => return None,
        })
    }

    fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Cbc => 16,
            Self::Aes192Cbc | Self::DesEde3Cbc => 24,
            Self::Aes256Gcm | Self::Aes256Cbc => 32,
        }
    }

    /// Does the cipher itself tell when the content was changed?
    pub fn is_authenticated(self) -> bool {
        matches!(self, Self::Aes128Gcm | Self::Aes256Gcm)
    }
}

/// How the content key comes to the recipient (RFC 5652 6.2).
#[derive(Debug)]
enum KeyManagement<'a> {
    Transport(KeyTransport<'a>),
    Agreement(KeyAgreement<'a>),
}

/// An enveloped object whose RecipientInfo for one certificate was found.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) encryption: ContentEncryption,
    management: KeyManagement<'a>,
    nonce: &'a [u8],
    encrypted: Vec<u8>,
    authenticated: Vec<u8>,
    tag: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads a ContentInfo in definite lengths and finds what is meant for `certificate`.
    pub(crate) fn read(cms: &'a [u8], certificate: &'a [u8]) -> Result<Self, OpenError> {
        let (kind, content) = read_content_info(cms).map_err(|_| OpenError::Malformed)?;
        let authenticated = match kind {
            oid::ID_CT_AUTH_ENVELOPED_DATA => true,
            oid::ID_ENVELOPED_DATA => false,
            _ => return Err(OpenError::NotSealed),
        };
        let parts = Parts::read(content, authenticated).map_err(|_| OpenError::Malformed)?;
        let encryption = ContentEncryption::from_oid(parts.algorithm.oid)
            .filter(|encryption| encryption.is_authenticated() == authenticated)
            .ok_or_else(|| OpenError::Algorithm(parts.algorithm.oid.to_string()))?;
        let nonce = parts.nonce(encryption)?;
        let fields = Fields::of(certificate).map_err(|_| OpenError::NotForThisCard)?;
        let management = parts.key_management(certificate, &fields)?;
        Ok(Self {
            encryption,
            management,
            nonce,
            authenticated: parts.authenticated(),
            encrypted: parts.encrypted,
            tag: parts.tag,
        })
    }

    /// The block for the card: for RSA the encrypted key, for P-256 the sender's ephemeral point.
    pub(crate) fn block(&self) -> Result<Vec<u8>, OpenError> {
        match &self.management {
            KeyManagement::Transport(transport) => transport.block(),
            KeyManagement::Agreement(agreement) => agreement.block(),
        }
        .ok_or(OpenError::CannotDecrypt)
    }

    /// Decrypts with what the card answered. A wrong key, tag or padding is one and the same failure.
    pub(crate) fn decrypt(self, answer: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let length = self.encryption.key_length();
        let key = match &self.management {
            KeyManagement::Transport(transport) => transport.content_key(answer, length),
            KeyManagement::Agreement(agreement) => agreement.content_key(answer, length),
        }
        .ok_or(OpenError::CannotDecrypt)?;
        let mut content = Zeroizing::new(self.encrypted);
        let parts = (self.nonce, self.authenticated.as_slice(), self.tag);
        match self.encryption {
            ContentEncryption::Aes128Gcm => gcm::<Aes128Gcm>(&key, parts, &mut content),
            ContentEncryption::Aes256Gcm => gcm::<Aes256Gcm>(&key, parts, &mut content),
            ContentEncryption::Aes128Cbc => cbc_open::<cbc::Decryptor<Aes128>>(&key, self.nonce, &mut content),
            ContentEncryption::Aes192Cbc => cbc_open::<cbc::Decryptor<Aes192>>(&key, self.nonce, &mut content),
            ContentEncryption::Aes256Cbc => cbc_open::<cbc::Decryptor<Aes256>>(&key, self.nonce, &mut content),
            ContentEncryption::DesEde3Cbc => cbc_open::<cbc::Decryptor<des::TdesEde3>>(&key, self.nonce, &mut content),
        }
        .ok_or(OpenError::CannotDecrypt)?;
        Ok(content)
    }
}

fn gcm<C>(key: &[u8], (nonce, authenticated, tag): (&[u8], &[u8], &[u8]), content: &mut [u8]) -> Option<()>
where
    C: KeyInit + AeadInOut,
{
    let cipher = C::new_from_slice(key).ok()?;
    let (nonce, tag) = (nonce.try_into().ok()?, tag.try_into().ok()?);
    cipher.decrypt_inout_detached(&nonce, authenticated, content.into(), &tag).ok()
}

fn cbc_open<C>(key: &[u8], iv: &[u8], content: &mut Vec<u8>) -> Option<()>
where
    C: KeyIvInit + BlockModeDecrypt,
{
    let length = C::new_from_slices(key, iv).ok()?.decrypt_padded::<Pkcs7>(content).ok()?.len();
    content.truncate(length);
    Some(())
}

/// The fields of either kind of envelope.
struct Parts<'a> {
    recipients: Vec<Value<'a>>,
    algorithm: Algorithm<'a>,
    encrypted: Vec<u8>,
    attributes: Option<Value<'a>>,
    tag: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(content: Value<'a>, authenticated: bool) -> Result<Self, Malformed> {
        let mut data = content.reader();
        data.expect(tag::INTEGER)?;
        data.optional(tag::constructed(0))?;
        let recipients = data.expect(tag::SET)?.reader().all(bounds::RECIPIENTS)?;
        let mut info = data.expect(tag::SEQUENCE)?.reader();
        if info.value()?.object_identifier()? != oid::ID_DATA {
            return Err(Malformed);
        }
        let algorithm = Algorithm::read(&info.value()?)?;
        let encrypted = joined(&info.value()?)?;
        info.end()?;
        let attributes = data.optional(tag::constructed(1))?;
        let tag = if authenticated {
            let tag = data.expect(tag::OCTET_STRING)?.content;
            data.optional(tag::constructed(2))?;
            tag
        } else {
            &[]
        };
        data.end()?;
        Ok(Self { recipients, algorithm, encrypted, attributes, tag })
    }

    /// Nonce or IV; only full tags are accepted (STANDARDS: 16 octets).
    fn nonce(&self, encryption: ContentEncryption) -> Result<&'a [u8], OpenError> {
        let parameters = self.algorithm.parameters.ok_or(OpenError::Malformed)?;
        if !encryption.is_authenticated() {
            return Ok(asn1::single(parameters.whole, tag::OCTET_STRING).map_err(|_| OpenError::Malformed)?.content);
        }
        let read = || -> Result<(&'a [u8], &'a [u8]), Malformed> {
            let mut reader = asn1::single(parameters.whole, tag::SEQUENCE)?.reader();
            let nonce = reader.expect(tag::OCTET_STRING)?.content;
            let length = reader.optional(tag::INTEGER)?.map_or(&[12u8][..], |value| value.content);
            reader.end()?;
            Ok((nonce, length))
        };
        let (nonce, length) = read().map_err(|_| OpenError::Malformed)?;
        if nonce.len() == NONCE && length == [TAG as u8] && self.tag.len() == TAG {
            Ok(nonce)
        } else {
            Err(OpenError::Algorithm("GCM with a short nonce or tag".to_owned()))
        }
    }

    /// authAttrs as they are authenticated: a SET OF (RFC 5083 2.2).
    fn authenticated(&self) -> Vec<u8> {
        match self.attributes {
            Some(attributes) if !self.tag.is_empty() => asn1::value(tag::SET, &[attributes.content]),
            _ => Vec::new(),
        }
    }

    /// The RecipientInfo that names the certificate. Kinds we do not know are other recipients'.
    fn key_management(&self, certificate: &[u8], fields: &Fields<'a>) -> Result<KeyManagement<'a>, OpenError> {
        let identifier = path::subject_key_identifier(certificate);
        let key_type = fields.key_type().map_err(|_| OpenError::NotForThisCard)?;
        for recipient in &self.recipients {
            match recipient.tag {
                tag::SEQUENCE => {
                    let info = key_transport::Info::read(recipient).map_err(|_| OpenError::Malformed)?;
                    let ours = match info.rid.tag {
                        tag::SEQUENCE => fields.is_named_by(info.rid.whole),
                        other if other == tag::context(0) => identifier.as_deref() == Some(info.rid.content),
                        _ => return Err(OpenError::Malformed),
                    };
                    if ours && key_type == KeyType::Rsa {
                        return info.transport(fields).map(KeyManagement::Transport);
                    }
                }
                other if other == tag::constructed(1) => {
                    let info = key_agreement::Info::read(recipient).map_err(|_| OpenError::Malformed)?;
                    for (rid, encrypted_key) in &info.keys {
                        let ours = match rid.tag {
                            tag::SEQUENCE => fields.is_named_by(rid.whole),
                            // RecipientKeyIdentifier; its date and other attribute would only tell keys of one
                            // identifier apart.
                            other if other == tag::constructed(0) => {
                                let named = rid.reader().expect(tag::OCTET_STRING).map_err(|_| OpenError::Malformed)?;
                                identifier.as_deref() == Some(named.content)
                            }
                            _ => return Err(OpenError::Malformed),
                        };
                        if ours && key_type == KeyType::P256 {
                            return info.agreement(encrypted_key).map(KeyManagement::Agreement);
                        }
                    }
                }
                _ => {}
            }
        }
        Err(OpenError::NotForThisCard)
    }
}

/// `[0] IMPLICIT OCTET STRING`, whole or in chunks.
fn joined(value: &Value<'_>) -> Result<Vec<u8>, Malformed> {
    if value.tag == tag::context(0) {
        return Ok(value.content.to_vec());
    }
    if value.tag != tag::constructed(0) {
        return Err(Malformed);
    }
    let mut out = Vec::with_capacity(value.content.len());
    let mut chunks = value.reader();
    while !chunks.is_empty() {
        out.extend_from_slice(chunks.expect(tag::OCTET_STRING)?.content);
    }
    Ok(out)
}
