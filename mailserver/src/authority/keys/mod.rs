//! The authority's keys: ECDSA on P-256 with SHA-256 (RFC 5758 3.2), in an encrypted file (RFC 5958, RFC 8018) or in a
//! PKCS#11 token. Where each one is, is said in the authority's settings and decided at run time.

pub(super) mod file;
mod login;
mod passphrase;
mod swift;
mod token;
mod uri;

use der::asn1::ObjectIdentifier;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use sealfax_client::seam::Entropy;
use signature::Signer as _;
use spki::{AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier};

pub use passphrase::{Passphrase, PassphraseSource};
pub use uri::{Pkcs11Uri, UriError};

use super::AuthorityError;

/// ecdsa-with-SHA256 (RFC 5758 3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// A private key of the authority, wherever it lives.
pub trait AuthorityKey: Send + Sync + std::fmt::Debug {
    /// Its public half.
    fn verifying_key(&self) -> &VerifyingKey;

    /// Signs the SHA-256 digest of `message`.
    fn sign(&self, message: &[u8]) -> Result<DerSignature, AuthorityError>;

    /// Whether signing waits for a device, so that it must not hold up other work.
    fn waits(&self) -> bool;
}

/// A key in this process's memory; it is zeroised when dropped.
pub(super) struct SoftwareKey {
    key: SigningKey,
    public: VerifyingKey,
}

impl SoftwareKey {
    pub(super) fn new(key: SigningKey) -> Self {
        let public = *key.verifying_key();
        Self { key, public }
    }
}

impl std::fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SoftwareKey")
    }
}

impl AuthorityKey for SoftwareKey {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<DerSignature, AuthorityError> {
        self.key.try_sign(message).map_err(|error| AuthorityError::Build(Box::new(error)))
    }

    fn waits(&self) -> bool {
        false
    }
}

/// How every [`AuthorityKey`] signs (RFC 5758 3.2).
pub(super) fn signature_algorithm() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None }
}

/// An [`AuthorityKey`] as the cryptographic crates want a signer.
pub(super) struct Signer<'a>(pub(super) &'a dyn AuthorityKey);

impl signature::Keypair for Signer<'_> {
    type VerifyingKey = VerifyingKey;

    fn verifying_key(&self) -> VerifyingKey {
        *self.0.verifying_key()
    }
}

impl DynSignatureAlgorithmIdentifier for Signer<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(signature_algorithm())
    }
}

impl signature::Signer<DerSignature> for Signer<'_> {
    fn try_sign(&self, message: &[u8]) -> signature::Result<DerSignature> {
        self.0.sign(message).map_err(signature::Error::from_source)
    }
}

/// Where a key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// A PKCS#8 file, PEM.
    File(std::path::PathBuf),
    /// An object in a token.
    Token(Pkcs11Uri),
}

impl KeyPlace {
    /// The place written as `text`: a `pkcs11:` URI, or a file, relative to the folder `dir`.
    pub fn parse(text: &str, dir: &std::path::Path) -> Result<Self, UriError> {
        if text.starts_with("pkcs11:") {
            return Ok(Self::Token(Pkcs11Uri::parse(text)?));
        }
        Ok(Self::File(dir.join(text)))
    }

    /// Opens the key; one that signs thousands of answers a second should be `swift`.
    pub(super) fn open(
        &self,
        passphrase: &PassphraseSource,
        swift: bool,
    ) -> Result<(Box<dyn AuthorityKey>, Protection), AuthorityError> {
        match self {
            Self::File(path) => {
                let (key, protection) = file::load_key(path, passphrase)?;
                if swift {
                    return Ok((Box::new(swift::SwiftKey::new(&key)?), protection));
                }
                Ok((Box::new(SoftwareKey::new(key)), protection))
            }
            Self::Token(uri) => Ok((Box::new(token::TokenKey::open(uri)?), Protection::Token)),
        }
    }

    /// Makes a new key there. Nothing that is there already is overwritten.
    pub(super) fn create(
        &self,
        passphrase: Option<&Passphrase>,
        entropy: &std::sync::Arc<dyn Entropy>,
    ) -> Result<Box<dyn AuthorityKey>, AuthorityError> {
        match self {
            Self::File(path) => {
                if path.exists() {
                    return Err(AuthorityError::Exists(path.clone()));
                }
                let key = file::generate(entropy);
                file::save_key(path, &key, passphrase, entropy)?;
                Ok(Box::new(SoftwareKey::new(key)))
            }
            Self::Token(uri) => Ok(Box::new(token::TokenKey::create(uri)?)),
        }
    }
}

/// How a key is guarded at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// In clear, by the file's mode alone.
    Plain,
    /// By a passphrase.
    Passphrase,
    /// By a token.
    Token,
}
