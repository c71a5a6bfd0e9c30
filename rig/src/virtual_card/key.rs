//! Private keys of the virtual card and their raw operations (NIST SP 800-73-5 part 2, 3.2.4).
//!
//! This is the only place in Sealfax where an RSA private operation runs in software. It is blinded, but not proof
//! against somebody who measures its time (RUSTSEC-2023-0071): it is for the rig, never for the field.

use p256::{
    ProjectivePoint, PublicKey,
    ecdsa::{DerSignature, SigningKey, signature::hazmat::PrehashSigner},
    elliptic_curve::{point::AffineCoordinates, sec1::ToSec1Point as _},
};
use pkcs8::DecodePrivateKey;
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _};
use rsa::{BoxedUint, RsaPrivateKey, traits::PublicKeyParts};
use sealfax_drivers::card::{piv::Algorithm, tlv};
use zeroize::Zeroizing;

/// Why octets are not a key that the card can hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardKeyError {
    /// Not PKCS#8, or neither RSA nor P-256.
    #[error("this is no RSA or P-256 key in PKCS#8: {0}; make one with `openssl genpkey`")]
    Encoding(#[source] pkcs8::Error),
    /// An RSA key of another size than 2048 or 3072 bits.
    #[error("a card holds RSA keys of 2048 or 3072 bits, not {0}")]
    Size(u32),
    /// A key could not be made.
    #[error("no RSA key could be made: {0}")]
    Generate(#[source] rsa::Error),
}

/// A private key. `Debug` shows its kind only.
#[derive(Clone)]
pub struct CardKey(Secret, Algorithm);

#[derive(Clone)]
enum Secret {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::SecretKey),
}

impl std::fmt::Debug for CardKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CardKey({:?})", self.1)
    }
}

impl TryFrom<RsaPrivateKey> for CardKey {
    type Error = CardKeyError;

    fn try_from(key: RsaPrivateKey) -> Result<Self, CardKeyError> {
        let algorithm = match key.n().bits() {
            2048 => Algorithm::Rsa2048,
            3072 => Algorithm::Rsa3072,
            bits => return Err(CardKeyError::Size(bits)),
        };
        Ok(Self(Secret::Rsa(Box::new(key)), algorithm))
    }
}

impl From<p256::SecretKey> for CardKey {
    fn from(key: p256::SecretKey) -> Self {
        Self(Secret::P256(key), Algorithm::P256)
    }
}

impl CardKey {
    /// Reads a key in PKCS#8, DER.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, CardKeyError> {
        if let Ok(key) = p256::SecretKey::from_pkcs8_der(der) {
            return Ok(key.into());
        }
        RsaPrivateKey::from_pkcs8_der(der).map_err(CardKeyError::Encoding)?.try_into()
    }

    /// A fresh RSA key of 2048 bits; takes up to a few seconds.
    pub fn generate_rsa2048(rng: &mut ChaCha20Rng) -> Result<Self, CardKeyError> {
        RsaPrivateKey::new(rng, 2048).map_err(CardKeyError::Generate)?.try_into()
    }

    /// A fresh key.
    pub fn generate(algorithm: Algorithm, rng: &mut ChaCha20Rng) -> Result<Self, CardKeyError> {
        let bits = match algorithm {
            Algorithm::Rsa2048 => 2048,
            Algorithm::Rsa3072 => 3072,
            _ => {
                // All but a few of the numbers below 2^256 are keys.
                loop {
                    let mut octets = Zeroizing::new([0; 32]);
                    rng.fill_bytes(octets.as_mut_slice());
                    if let Ok(key) = p256::SecretKey::from_slice(octets.as_slice()) {
                        return Ok(key.into());
                    }
                }
            }
        };
        RsaPrivateKey::new(rng, bits).map_err(CardKeyError::Generate)?.try_into()
    }

    /// The public key as GENERATE ASYMMETRIC KEY PAIR answers it (part 2, 3.3.2): the content of template 7F49.
    pub(super) fn public_template(&self) -> Vec<u8> {
        let mut template = Vec::new();
        match &self.0 {
            Secret::Rsa(key) => {
                tlv::write(&mut template, 0x81, &key.n().to_be_bytes_trimmed_vartime());
                tlv::write(&mut template, 0x82, &key.e().to_be_bytes_trimmed_vartime());
            }
            Secret::P256(key) => tlv::write(&mut template, 0x86, key.public_key().to_sec1_point(false).as_bytes()),
        }
        template
    }

    /// What kind of key it is.
    pub const fn algorithm(&self) -> Algorithm {
        self.1
    }

    /// RSA: the private exponentiation of a block as long as the modulus and smaller in value.
    /// P-256: ECDSA over a digest of 32 octets. `None` if the block is neither.
    pub(super) fn challenge(&self, rng: &mut ChaCha20Rng, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match &self.0 {
            Secret::Rsa(key) => {
                if block.len() != key.size() {
                    return None;
                }
                let number = BoxedUint::from_be_slice(block, key.n_bits_precision()).ok()?;
                // Checks that the number is below the modulus, blinds, and checks the result for a fault.
                let result = rsa::hazmat::rsa_decrypt_and_check(key.as_ref(), Some(rng), &number).ok()?;
                Some(Zeroizing::new(result.to_be_bytes().into_vec()))
            }
            Secret::P256(key) => {
                if block.len() != 32 {
                    return None;
                }
                let signature: DerSignature = SigningKey::from(key).sign_prehash(block).ok()?;
                Some(Zeroizing::new(signature.as_bytes().to_vec()))
            }
        }
    }

    /// P-256: the x coordinate of the shared point. `None` for RSA, and for octets that are no uncompressed point.
    pub(super) fn exponentiation(&self, point: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let Secret::P256(key) = &self.0 else {
            return None;
        };
        if point.len() != 65 {
            return None;
        }
        let peer = PublicKey::from_sec1_bytes(point).ok()?;
        let shared = ProjectivePoint::from(*peer.as_affine()) * *key.to_nonzero_scalar();
        Some(Zeroizing::new(shared.to_affine().x().to_vec()))
    }
}
