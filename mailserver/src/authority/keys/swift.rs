//! A key in memory that signs several times faster than the portable code: `ring`'s P-256. It signs OCSP answers, which
//! adapters ask for with a nonce each, so that every one must be signed.

use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use pkcs8::EncodePrivateKey;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use super::AuthorityKey;
use crate::authority::AuthorityError;

pub(super) struct SwiftKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    public: VerifyingKey,
}

impl SwiftKey {
    pub(super) fn new(key: &SigningKey) -> Result<Self, AuthorityError> {
        let random = SystemRandom::new();
        let der = key.to_pkcs8_der().map_err(|error| AuthorityError::Build(Box::new(error)))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.as_bytes(), &random)
            .map_err(|error| AuthorityError::Build(error.to_string().into()))?;
        Ok(Self { pair, random, public: *key.verifying_key() })
    }
}

impl std::fmt::Debug for SwiftKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SwiftKey")
    }
}

impl AuthorityKey for SwiftKey {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<DerSignature, AuthorityError> {
        let signature =
            self.pair.sign(&self.random, message).map_err(|error| AuthorityError::Build(error.to_string().into()))?;
        DerSignature::from_bytes(signature.as_ref()).map_err(|error| AuthorityError::Build(Box::new(error)))
    }

    fn waits(&self) -> bool {
        false
    }
}
