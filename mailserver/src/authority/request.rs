//! Certification requests (PKCS#10, RFC 2986): the proof that whoever asks holds the private key, and nothing else. The
//! subject and extensions that a request wishes for are not looked at.

use der::asn1::{Any, BitString, ObjectIdentifier};
use der::{Decode, Encode, Sequence};
use p256::ecdsa::DerSignature;
use p256::ecdsa::signature::Verifier;
use rsa::traits::PublicKeyParts;
use sha2::Sha256;
use spki::{AlgorithmIdentifierOwned, DecodePublicKey, SubjectPublicKeyInfoOwned};
use x509_cert::request::CertReqInfo;

use super::AuthorityError;

const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Octets of a request, PEM.
pub const MAX_REQUEST: usize = 64 * 1024;
/// Bits of an RSA modulus: below, it can be broken; above, no card has it and checking it is expensive.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// CertificationRequest, with the signed part as it came.
#[derive(Sequence)]
struct Signed {
    info: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// The public key (SubjectPublicKeyInfo) of the request in `pem`, if it proves possession of the private one.
pub(super) fn public_key(pem: &[u8]) -> Result<SubjectPublicKeyInfoOwned, AuthorityError> {
    let unreadable = || AuthorityError::BadRequest("this is not a certification request in PEM (PKCS#10)");
    if pem.len() > MAX_REQUEST {
        return Err(unreadable());
    }
    let (label, der) = der::pem::decode_vec(pem).map_err(|_| unreadable())?;
    if !matches!(label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
        return Err(unreadable());
    }
    let signed = Signed::from_der(&der).map_err(|_| unreadable())?;
    let message = signed.info.to_der().map_err(|_| unreadable())?;
    let info = CertReqInfo::from_der(&message).map_err(|_| unreadable())?;
    check_key(&info.public_key)?;
    verify(&info.public_key, &signed, &message)?;
    Ok(info.public_key)
}

/// Refuses keys that are too weak, or of a kind that neither cards nor adapters know.
pub(super) fn check_key(key: &SubjectPublicKeyInfoOwned) -> Result<(), AuthorityError> {
    match key.algorithm.oid {
        RSA_ENCRYPTION => {
            let key = rsa_key(key)?;
            if !RSA_BITS.contains(&usize::try_from(key.n().bits()).unwrap_or(0)) {
                return Err(AuthorityError::BadRequest("an RSA key must have 2048 to 4096 bits"));
            }
            if *key.e() < rsa::BoxedUint::from(65_537u32) {
                return Err(AuthorityError::BadRequest("the public exponent of an RSA key must be at least 65537"));
            }
            Ok(())
        }
        EC_PUBLIC_KEY => p256_key(key).map(drop),
        _ => Err(AuthorityError::BadRequest("the key must be RSA or on the curve P-256")),
    }
}

fn verify(key: &SubjectPublicKeyInfoOwned, signed: &Signed, message: &[u8]) -> Result<(), AuthorityError> {
    let no_proof = || {
        AuthorityError::BadRequest("the request's signature does not hold, so it does not prove that the key is there")
    };
    let signature = signed.signature.as_bytes().ok_or_else(no_proof)?;
    match signed.algorithm.oid {
        SHA256_WITH_RSA => {
            let signature = rsa::pkcs1v15::Signature::try_from(signature).map_err(|_| no_proof())?;
            rsa::pkcs1v15::VerifyingKey::<Sha256>::new(rsa_key(key)?)
                .verify(message, &signature)
                .map_err(|_| no_proof())
        }
        ECDSA_WITH_SHA256 => {
            let signature = DerSignature::from_bytes(signature).map_err(|_| no_proof())?;
            p256::ecdsa::VerifyingKey::from(p256_key(key)?).verify(message, &signature).map_err(|_| no_proof())
        }
        _ => Err(AuthorityError::BadRequest("the request must be signed with RSA (PKCS#1) or ECDSA, and SHA-256")),
    }
}

fn rsa_key(key: &SubjectPublicKeyInfoOwned) -> Result<rsa::RsaPublicKey, AuthorityError> {
    rsa::RsaPublicKey::from_public_key_der(&key.to_der()?)
        .map_err(|_| AuthorityError::BadRequest("the RSA key cannot be read, or has more than 4096 bits"))
}

fn p256_key(key: &SubjectPublicKeyInfoOwned) -> Result<p256::PublicKey, AuthorityError> {
    p256::PublicKey::from_public_key_der(&key.to_der()?)
        .map_err(|_| AuthorityError::BadRequest("an elliptic-curve key must be on P-256"))
}
