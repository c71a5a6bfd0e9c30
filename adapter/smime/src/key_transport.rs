//! KeyTransRecipientInfo: the content key under an RSA key (RFC 5652 6.2.1, RFC 3560, RFC 8017 7).

use crate::algorithm::{self, Algorithm, Hash, oid};
use crate::asn1::{self, Malformed, Value, tag};
use crate::error::{OpenError, SealError};
use crate::path::Fields;
use crate::rsa_padding;
use rand_core::CryptoRng;
use rsa::pkcs8::DecodePublicKey;
use rsa::{Oaep, Pkcs1v15Encrypt, RsaPublicKey};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The content key under the recipient's key, by RSAES-OAEP with SHA-256 or, for old peers, RSAES-PKCS1-v1_5.
pub(crate) fn make(
    content_key: &[u8],
    recipient: &Fields<'_>,
    padding: Padding,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, SealError> {
    let public = RsaPublicKey::from_public_key_der(recipient.public_key).map_err(|_| SealError::Encryption)?;
    let (algorithm, wrapped) = match padding {
        Padding::Oaep(..) => (algorithm::oaep_sha256(), public.encrypt(rng, Oaep::<Sha256>::new(), content_key)),
        Padding::Pkcs1V15 => {
            let null = asn1::value::<[u8; 0]>(tag::NULL, &[]);
            (asn1::algorithm(&oid::RSA_ENCRYPTION, &null), public.encrypt(rng, Pkcs1v15Encrypt, content_key))
        }
    };
    let wrapped = wrapped.map_err(|_| SealError::Encryption)?;
    Ok(asn1::sequence(&[
        asn1::small_integer(0),
        recipient.issuer_and_serial(),
        algorithm,
        asn1::octet_string(&wrapped),
    ]))
}

/// How the padding is taken off.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Padding {
    Oaep(Hash, Hash),
    Pkcs1V15,
}

/// What one KeyTransRecipientInfo holds, before its algorithm is looked at.
#[derive(Debug)]
pub(crate) struct Info<'a> {
    /// RecipientIdentifier.
    pub(crate) rid: Value<'a>,
    algorithm: Algorithm<'a>,
    encrypted_key: &'a [u8],
}

impl<'a> Info<'a> {
    pub(crate) fn read(recipient: &Value<'a>) -> Result<Self, Malformed> {
        let mut info = recipient.reader();
        info.expect(tag::INTEGER)?;
        let rid = info.value()?;
        let algorithm = Algorithm::read(&info.value()?)?;
        let encrypted_key = info.expect(tag::OCTET_STRING)?.content;
        info.end()?;
        Ok(Self { rid, algorithm, encrypted_key })
    }

    /// The transport to the holder of `recipient`, whom the rid names.
    pub(crate) fn transport(self, recipient: &Fields<'a>) -> Result<KeyTransport<'a>, OpenError> {
        let refused = || OpenError::Algorithm(self.algorithm.oid.to_string());
        let padding = match self.algorithm.oid {
            oid::ID_RSAES_OAEP => algorithm::oaep_parameters(self.algorithm.parameters)
                .map_err(|_| OpenError::Malformed)?
                .map(|(hash, mask)| Padding::Oaep(hash, mask))
                .ok_or_else(refused)?,
            oid::RSA_ENCRYPTION => Padding::Pkcs1V15,
            _ => return Err(refused()),
        };
        let modulus = recipient.rsa_modulus().map_err(|_| OpenError::NotForThisCard)?;
        Ok(KeyTransport { padding, encrypted_key: self.encrypted_key, modulus })
    }
}

/// Key transport to one recipient.
#[derive(Debug)]
pub(crate) struct KeyTransport<'a> {
    padding: Padding,
    encrypted_key: &'a [u8],
    modulus: &'a [u8],
}

impl KeyTransport<'_> {
    /// The block for the card, as long as the modulus and below it.
    pub(crate) fn block(&self) -> Option<Vec<u8>> {
        let missing = self.modulus.len().checked_sub(self.encrypted_key.len())?;
        let mut block = vec![0; missing];
        block.extend_from_slice(self.encrypted_key);
        // The card would refuse a block not below the modulus, and that refusal is the same failure.
        (block.as_slice() < self.modulus).then_some(block)
    }

    /// The content key of `length` octets from what the card answered; a wrong padding gives another key.
    pub(crate) fn content_key(&self, answer: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
        if answer.len() != self.modulus.len() {
            return None;
        }
        match self.padding {
            Padding::Oaep(hash, mask) => rsa_padding::eme_oaep(answer, self.encrypted_key, hash, mask, length),
            Padding::Pkcs1V15 => rsa_padding::eme_pkcs1_v1_5(answer, self.encrypted_key, length),
        }
    }
}
