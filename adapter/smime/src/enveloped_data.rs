//! AuthEnvelopedData and EnvelopedData: the content under a key of its own, that key under each recipient's
//! (RFC 5083, RFC 5084, RFC 5652 6).

use crate::algorithm::{Algorithm, Hash, oid};
use crate::asn1::{self, Layer, Malformed, Value, tag};
use crate::bounds;
use crate::error::{OpenError, SealError};
use crate::key_agreement::{self, KeyAgreement};
use crate::key_transport::{self, KeyTransport};
use crate::path::{self, Fields, KeyType};
use crate::stream::cipher::{CbcDecipher, CbcEncipher, Cipher, Deciphering, Enciphering, Gcm, NONCE, TAG, Way};
use crate::stream::tlv::{Chunks, Tlv};
use crate::stream::{Source, drain};
use aes::{Aes128, Aes192, Aes256};
use der::asn1::ObjectIdentifier;
use rand_core::CryptoRng;
use std::io::{self, Write};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

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

/// An envelope for its recipients, RSA and P-256 side by side, before anything is in it.
pub(crate) struct Sealing {
    scheme: Scheme,
    cipher: Box<dyn Cipher>,
    /// The algorithm with its parameters.
    algorithm: Vec<u8>,
    infos: Vec<u8>,
    agrees: bool,
}

impl Sealing {
    /// Draws a key and wraps it for each certificate.
    pub(crate) fn new(
        recipients: &[(&str, Fields<'_>)],
        scheme: Scheme,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, SealError> {
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
        let mut chance = [0u8; 16];
        rng.fill_bytes(&mut chance);
        let (cipher, algorithm) = enciphering(scheme, &key, &chance).ok_or(SealError::Encryption)?;
        Ok(Self { scheme, cipher, algorithm, infos: asn1::set_of(tag::SET, infos), agrees })
    }

    /// Begins to write the ContentInfo, around content of so many octets.
    pub(crate) fn begin<W: Write>(self, content: usize, mut out: W) -> io::Result<Enciphering<W>> {
        out.write_all(&self.before(content))?;
        Ok(Enciphering::new(out, self.cipher))
    }

    /// What stands before the encrypted content; behind it stands at most a tag.
    fn before(&self, content: usize) -> Vec<u8> {
        let (kind, version, behind) = match self.scheme {
            Scheme::Aes256Gcm => (oid::ID_CT_AUTH_ENVELOPED_DATA, 0, asn1::octet_string(&[0; TAG])),
            // RFC 5652 6.1: 2 where a recipient is not one of key transport by name.
            _ => (oid::ID_ENVELOPED_DATA, if self.agrees { 2 } else { 0 }, Vec::new()),
        };
        let encrypted = match self.scheme {
            Scheme::Aes256Gcm => content,
            Scheme::Aes256Cbc => content + 16 - content % 16,
            Scheme::DesEde3Cbc => content + 8 - content % 8,
        };
        let before = [asn1::small_integer(version).as_slice(), &self.infos].concat();
        let info = [asn1::object_identifier(&oid::ID_DATA), self.algorithm.clone()].concat();
        let kind = asn1::object_identifier(&kind);
        let layers = [
            Layer::new(tag::SEQUENCE, &kind),
            Layer::new(tag::constructed(0), &[]),
            Layer { tag: tag::SEQUENCE, before: &before, behind: &behind },
            Layer::new(tag::SEQUENCE, &info),
            Layer::new(tag::context(0), &[]),
        ];
        asn1::around(&layers, encrypted).0
    }
}

/// Writes the rest of the ContentInfo.
pub(crate) fn finish<W: Write>(enciphering: Enciphering<W>) -> io::Result<W> {
    let (mut out, tag) = enciphering.finish()?;
    if let Some(tag) = tag {
        out.write_all(&asn1::octet_string(&tag))?;
    }
    Ok(out)
}

fn enciphering(scheme: Scheme, key: &[u8], chance: &[u8; 16]) -> Option<(Box<dyn Cipher>, Vec<u8>)> {
    Some(match scheme {
        Scheme::Aes256Gcm => {
            let nonce: &[u8; NONCE] = chance.first_chunk()?;
            let parameters = asn1::sequence(&[asn1::octet_string(nonce), asn1::small_integer(TAG as u8)]);
            let cipher = Gcm::<Aes256>::new(key, nonce, &[], Way::Encipher)?;
            (Box::new(cipher), asn1::algorithm(&oid::AES256_GCM, &parameters))
        }
        Scheme::Aes256Cbc => {
            let cipher = CbcEncipher::<cbc::Encryptor<Aes256>>::new(key, chance)?;
            (Box::new(cipher), asn1::algorithm(&oid::AES256_CBC, &asn1::octet_string(chance)))
        }
        Scheme::DesEde3Cbc => {
            let (iv, _) = chance.split_at(8);
            let cipher = CbcEncipher::<cbc::Encryptor<des::TdesEde3>>::new(key, iv)?;
            (Box::new(cipher), asn1::algorithm(&oid::DES_EDE3_CBC, &asn1::octet_string(iv)))
        }
    })
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
    /// Single DES, which is read from archives alone and by [`Floor::Archive`] alone, and never written.
    DesCbc,
}

/// How old what is read may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Floor {
    /// Triple DES and above.
    #[default]
    Today,
    /// Single DES too: anybody can try all its keys in days.
    Archive,
}

impl ContentEncryption {
    fn from_oid(oid: ObjectIdentifier, floor: Floor) -> Option<Self> {
        Some(match oid {
            oid::AES128_GCM => Self::Aes128Gcm,
            oid::AES256_GCM => Self::Aes256Gcm,
            oid::AES128_CBC => Self::Aes128Cbc,
            oid::AES192_CBC => Self::Aes192Cbc,
            oid::AES256_CBC => Self::Aes256Cbc,
            oid::DES_EDE3_CBC => Self::DesEde3Cbc,
            oid::DES_CBC if floor == Floor::Archive => Self::DesCbc,
            _ => return None,
        })
    }

    fn key_length(self) -> usize {
        match self {
            Self::DesCbc => 8,
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

/// What stands before the encrypted content, in definite lengths.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Head {
    authenticated: bool,
    recipients: Vec<u8>,
    algorithm: Vec<u8>,
}

impl Head {
    /// Reads on from a ContentInfo's contentType, as far as to the encrypted content.
    pub(crate) fn read<S: Source>(kind: ObjectIdentifier, tlv: &mut Tlv<S>) -> Result<Self, OpenError> {
        let authenticated = match kind {
            oid::ID_CT_AUTH_ENVELOPED_DATA => true,
            oid::ID_ENVELOPED_DATA => false,
            _ => return Err(OpenError::NotSealed),
        };
        tlv.enter(tag::constructed(0))?;
        tlv.enter(tag::SEQUENCE)?;
        tlv.value(bounds::ASN1_SMALL)?; // version
        tlv.optional(tag::constructed(0), bounds::ASN1_SET)?; // originatorInfo
        let recipients = tlv.value(bounds::ASN1_SET)?;
        tlv.enter(tag::SEQUENCE)?;
        if tlv.value(bounds::ASN1_SMALL)? != asn1::object_identifier(&oid::ID_DATA) {
            return Err(OpenError::Malformed);
        }
        let algorithm = tlv.value(bounds::ASN1_SMALL)?;
        Ok(Self { authenticated, recipients, algorithm })
    }

    /// What in it is meant for `certificate`.
    pub(crate) fn envelope<'a>(&'a self, certificate: &'a [u8], floor: Floor) -> Result<Envelope<'a>, OpenError> {
        let malformed = |_| OpenError::Malformed;
        let algorithm = asn1::single(&self.algorithm, tag::SEQUENCE)
            .and_then(|value| Algorithm::read(&value))
            .map_err(malformed)?;
        let encryption = ContentEncryption::from_oid(algorithm.oid, floor)
            .filter(|encryption| encryption.is_authenticated() == self.authenticated)
            .ok_or_else(|| OpenError::Algorithm(algorithm.oid.to_string()))?;
        let nonce = nonce(&algorithm, encryption)?;
        let fields = Fields::of(certificate).map_err(|_| OpenError::NotForThisCard)?;
        let recipients = asn1::single(&self.recipients, tag::SET)
            .and_then(|set| set.reader().all(bounds::RECIPIENTS))
            .map_err(malformed)?;
        let management = key_management(&recipients, certificate, &fields)?;
        Ok(Envelope { encryption, management, nonce })
    }
}

/// An enveloped object whose RecipientInfo for one certificate was found.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) encryption: ContentEncryption,
    management: KeyManagement<'a>,
    nonce: &'a [u8],
}

impl Envelope<'_> {
    /// The block for the card: for RSA the encrypted key, for P-256 the sender's ephemeral point.
    pub(crate) fn block(&self) -> Result<Vec<u8>, OpenError> {
        match &self.management {
            KeyManagement::Transport(transport) => transport.block(),
            KeyManagement::Agreement(agreement) => agreement.block(),
        }
        .ok_or(OpenError::CannotDecrypt)
    }

    /// The key to the content out of what the card answered.
    pub(crate) fn content_key(&self, answer: &[u8]) -> Result<ContentKey, OpenError> {
        let length = self.encryption.key_length();
        let key = match &self.management {
            KeyManagement::Transport(transport) => transport.content_key(answer, length),
            KeyManagement::Agreement(agreement) => agreement.content_key(answer, length),
        }
        .ok_or(OpenError::CannotDecrypt)?;
        Ok(ContentKey { encryption: self.encryption, key, nonce: self.nonce.to_vec() })
    }
}

/// What decrypts a content.
pub(crate) struct ContentKey {
    pub(crate) encryption: ContentEncryption,
    key: Zeroizing<Vec<u8>>,
    nonce: Vec<u8>,
}

impl ContentKey {
    fn cipher(&self, authenticated: &[u8]) -> Option<Box<dyn Cipher>> {
        let (key, iv) = (self.key.as_slice(), self.nonce.as_slice());
        Some(match self.encryption {
            ContentEncryption::Aes128Gcm => {
                Box::new(Gcm::<Aes128>::new(key, iv.try_into().ok()?, authenticated, Way::Decipher)?)
            }
            ContentEncryption::Aes256Gcm => {
                Box::new(Gcm::<Aes256>::new(key, iv.try_into().ok()?, authenticated, Way::Decipher)?)
            }
            ContentEncryption::Aes128Cbc => Box::new(CbcDecipher::<cbc::Decryptor<Aes128>>::new(key, iv)?),
            ContentEncryption::Aes192Cbc => Box::new(CbcDecipher::<cbc::Decryptor<Aes192>>::new(key, iv)?),
            ContentEncryption::Aes256Cbc => Box::new(CbcDecipher::<cbc::Decryptor<Aes256>>::new(key, iv)?),
            ContentEncryption::DesEde3Cbc => Box::new(CbcDecipher::<cbc::Decryptor<des::TdesEde3>>::new(key, iv)?),
            ContentEncryption::DesCbc => Box::new(CbcDecipher::<cbc::Decryptor<des::Des>>::new(key, iv)?),
        })
    }
}

/// What one reading of the content came to.
pub(crate) enum Reading<T> {
    Done(T),
    /// It has to be read once more, for these attributes are authenticated before the content, and stand behind it.
    Again(Vec<u8>),
}

/// Reads the content and what stands behind it. What `inner` makes of the content counts only if the whole is sound: a wrong
/// key, tag or padding is one and the same failure, whatever `inner` found.
pub(crate) fn read_content<S: Source, T>(
    tlv: &mut Tlv<S>,
    key: &ContentKey,
    authenticated: &[u8],
    inner: impl FnOnce(&mut Deciphering<Chunks<'_, S>>) -> Result<T, OpenError>,
) -> Result<Reading<T>, OpenError> {
    let cipher = key.cipher(authenticated).ok_or(OpenError::CannotDecrypt)?;
    let chunks = tlv.string(tag::context(0), tag::constructed(0))?;
    let mut deciphering = Deciphering::new(chunks, cipher);
    let found = inner(&mut deciphering);
    drain(&mut deciphering, |_| Ok(()))?;
    let expected = deciphering.tag();
    drop(deciphering);

    tlv.leave()?;
    let attributes = tlv.optional(tag::constructed(1), bounds::ASN1_SET)?.unwrap_or_default();
    if let Some(expected) = expected {
        // authAttrs are authenticated as a SET OF (RFC 5083 2.2).
        let attributes = match asn1::single(&attributes, tag::constructed(1)) {
            Ok(attributes) => asn1::value(tag::SET, &[attributes.content]),
            Err(_) => Vec::new(),
        };
        if attributes != authenticated {
            return Ok(Reading::Again(attributes));
        }
        let mac = tlv.value(bounds::ASN1_SMALL)?;
        let mac = asn1::single(&mac, tag::OCTET_STRING).map_err(|_| OpenError::Malformed)?;
        if mac.content.len() != TAG {
            return Err(OpenError::Algorithm("GCM with a short nonce or tag".to_owned()));
        }
        tlv.optional(tag::constructed(2), bounds::ASN1_SET)?;
        if !bool::from(expected.ct_eq(mac.content)) {
            return Err(OpenError::CannotDecrypt);
        }
    }
    for _ in 0..3 {
        tlv.leave()?;
    }
    tlv.end()?;
    match found {
        Err(error) if !key.encryption.is_authenticated() && !matches!(error, OpenError::Write(_)) => {
            // Without a tag, nonsense inside is how a wrong key or a changed text shows; it must not look different.
            Err(OpenError::CannotDecrypt)
        }
        found => found.map(Reading::Done),
    }
}

/// Nonce or IV; only full tags are accepted (STANDARDS: 16 octets).
fn nonce<'a>(algorithm: &Algorithm<'a>, encryption: ContentEncryption) -> Result<&'a [u8], OpenError> {
    let parameters = algorithm.parameters.ok_or(OpenError::Malformed)?;
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
    if nonce.len() == NONCE && length == [TAG as u8] {
        Ok(nonce)
    } else {
        Err(OpenError::Algorithm("GCM with a short nonce or tag".to_owned()))
    }
}

/// The RecipientInfo that names the certificate. Kinds we do not know are other recipients'.
fn key_management<'a>(
    recipients: &[Value<'a>],
    certificate: &[u8],
    fields: &Fields<'a>,
) -> Result<KeyManagement<'a>, OpenError> {
    let identifier = path::subject_key_identifier(certificate);
    let key_type = fields.key_type().map_err(|_| OpenError::NotForThisCard)?;
    for recipient in recipients {
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
