//! One signature value under one certificate (RFC 5652 5.6, RFC 4056, RFC 5753, RFC 5754).

use crate::algorithm::{Algorithm, Hash, oid, pss_parameters};
use crate::error::OpenError;
use crate::path::{Fields, KeyType};
use core::ops::RangeInclusive;
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs8::DecodePublicKey;
use rsa::pss::Pss;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use sha2::{Sha256, Sha384, Sha512};
use webpki::EndEntityCert;

/// Does `signature` over `message` hold under the certificate's key? `hash` is the digestAlgorithm.
pub(crate) fn verify(
    certificate: &[u8],
    algorithm: &Algorithm<'_>,
    hash: Hash,
    message: &[u8],
    signature: &[u8],
) -> Result<(), OpenError> {
    let refused = || OpenError::SignatureAlgorithm(algorithm.oid.to_string());
    let fields = Fields::of(certificate).map_err(|_| OpenError::SignatureMalformed)?;
    let key_type = fields.key_type().map_err(|_| OpenError::SignatureMalformed)?;
    match (key_type, algorithm.oid, hash) {
        (_, _, Hash::Sha1) => Err(OpenError::SignatureAlgorithm("SHA-1".to_owned())),
        (KeyType::Rsa, oid::RSA_ENCRYPTION, _)
        | (KeyType::Rsa, oid::SHA256_WITH_RSA, Hash::Sha256)
        | (KeyType::Rsa, oid::SHA384_WITH_RSA, Hash::Sha384)
        | (KeyType::Rsa, oid::SHA512_WITH_RSA, Hash::Sha512) => {
            let scheme = match hash {
                Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
                Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
                _ => Pkcs1v15Sign::new::<Sha256>(),
            };
            rsa_key(&fields)?.verify(scheme, &hash.digest(message), signature).map_err(|_| OpenError::SignatureInvalid)
        }
        (KeyType::Rsa, oid::ID_RSASSA_PSS, _) => {
            let parameters = pss_parameters(algorithm.parameters).map_err(|_| OpenError::SignatureMalformed)?;
            let Some((_, _, salt)) = parameters.filter(|(own, mask, _)| *own == hash && *mask == hash) else {
                return Err(refused());
            };
            let key = rsa_key(&fields)?;
            if salt > key.size() {
                return Err(OpenError::SignatureInvalid);
            }
            let digest = hash.digest(message);
            match hash {
                Hash::Sha384 => key.verify(Pss::<Sha384>::new_with_salt(salt), &digest, signature),
                Hash::Sha512 => key.verify(Pss::<Sha512>::new_with_salt(salt), &digest, signature),
                _ => key.verify(Pss::<Sha256>::new_with_salt(salt), &digest, signature),
            }
            .map_err(|_| OpenError::SignatureInvalid)
        }
        (KeyType::P256, oid::ECDSA_WITH_SHA256, Hash::Sha256)
        | (KeyType::P256, oid::ECDSA_WITH_SHA384, Hash::Sha384)
        | (KeyType::P256, oid::ECDSA_WITH_SHA512, Hash::Sha512) => {
            let key = fields.p256_point().map_err(|_| OpenError::SignatureMalformed)?;
            let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| OpenError::SignatureInvalid)?;
            VerifyingKey::from(key)
                .verify_prehash(&hash.digest(message), &signature)
                .map_err(|_| OpenError::SignatureInvalid)
        }
        (KeyType::P384, oid::ECDSA_WITH_SHA256, Hash::Sha256) => {
            p384(certificate, webpki::ring::ECDSA_P384_SHA256, message, signature)
        }
        (KeyType::P384, oid::ECDSA_WITH_SHA384, Hash::Sha384) => {
            p384(certificate, webpki::ring::ECDSA_P384_SHA384, message, signature)
        }
        _ => Err(refused()),
    }
}

fn rsa_key(fields: &Fields<'_>) -> Result<RsaPublicKey, OpenError> {
    let key = RsaPublicKey::from_public_key_der(fields.public_key).map_err(|_| OpenError::SignatureMalformed)?;
    let bits = key.size() * 8;
    let accepted: RangeInclusive<usize> = crate::bounds::RSA_BITS;
    if accepted.contains(&bits) { Ok(key) } else { Err(OpenError::SignatureAlgorithm(format!("RSA of {bits} bits"))) }
}

/// Has `answer` the shape of a signature by this key? For RSA the modulus' length; for P-256 an Ecdsa-Sig-Value in DER
/// whose two integers are in range (RFC 5480 A, SEC 1 4.1.4), so that no relay or reader has to be lenient.
pub(crate) fn is_well_formed(fields: &Fields<'_>, answer: &[u8]) -> bool {
    match fields.key_type() {
        Ok(KeyType::Rsa) => fields.rsa_modulus().is_ok_and(|modulus| modulus.len() == answer.len()),
        Ok(KeyType::P256) => p256::ecdsa::Signature::from_der(answer).is_ok(),
        _ => false,
    }
}

fn p384(
    certificate: &[u8],
    algorithm: &dyn SignatureVerificationAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), OpenError> {
    let octets = CertificateDer::from(certificate);
    EndEntityCert::try_from(&octets)
        .map_err(|_| OpenError::SignatureMalformed)?
        .verify_signature(algorithm, message, signature)
        .map_err(|_| OpenError::SignatureInvalid)
}
