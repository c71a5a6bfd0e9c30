//! Checks signatures on certificates and OCSP answers: RSA PKCS#1 v1.5 (RFC 8017 8.2) with SHA-2, ECDSA on P-256
//! with SHA-256 (RFC 5758).

use der::asn1::{Any, BitString, ObjectIdentifier};
use der::{Decode, Encode, Sequence};
use p256::ecdsa::signature::Verifier;
use sha2::{Sha256, Sha384, Sha512};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::Certificate;

const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// Why a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The mathematics says no, or key and algorithm do not go together.
    Bad,
    /// An algorithm or curve that this program does not check.
    Unsupported,
}

/// Whether `signature` over `message` was made with the private key of `key`.
pub(super) fn verify(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &BitString,
) -> Result<(), Refusal> {
    let octets = signature.as_bytes().ok_or(Refusal::Bad)?;
    match algorithm.oid {
        ECDSA_WITH_SHA256 => {
            let spki = key.to_der().map_err(|_| Refusal::Bad)?;
            let public: p256::PublicKey =
                spki::DecodePublicKey::from_public_key_der(&spki).map_err(|_| Refusal::Unsupported)?;
            let signature = p256::ecdsa::DerSignature::from_bytes(octets).map_err(|_| Refusal::Bad)?;
            p256::ecdsa::VerifyingKey::from(public).verify(message, &signature).map_err(|_| Refusal::Bad)
        }
        SHA256_WITH_RSA => rsa::<Sha256>(key, message, octets),
        SHA384_WITH_RSA => rsa::<Sha384>(key, message, octets),
        SHA512_WITH_RSA => rsa::<Sha512>(key, message, octets),
        _ => Err(Refusal::Unsupported),
    }
}

fn rsa<D>(key: &SubjectPublicKeyInfoOwned, message: &[u8], octets: &[u8]) -> Result<(), Refusal>
where
    D: sha2::Digest + der::oid::AssociatedOid,
{
    let spki = key.to_der().map_err(|_| Refusal::Bad)?;
    let public: rsa::RsaPublicKey =
        spki::DecodePublicKey::from_public_key_der(&spki).map_err(|_| Refusal::Unsupported)?;
    let signature = rsa::pkcs1v15::Signature::try_from(octets).map_err(|_| Refusal::Bad)?;
    rsa::pkcs1v15::VerifyingKey::<D>::new(public).verify(message, &signature).map_err(|_| Refusal::Bad)
}

/// The three parts of any signed structure (RFC 5280 4.1), the signed one as it came.
#[derive(Sequence)]
struct Signed {
    tbs: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// Whether the certificate in `der` was signed by the key of `issuer`.
pub(super) fn certificate_signed_by(der: &[u8], issuer: &Certificate) -> Result<(), Refusal> {
    let signed = Signed::from_der(der).map_err(|_| Refusal::Bad)?;
    let tbs = signed.tbs.to_der().map_err(|_| Refusal::Bad)?;
    verify(issuer.tbs_certificate().subject_public_key_info(), &signed.algorithm, &tbs, &signed.signature)
}
