//! What is read from a certificate (RFC 5280, 4.1) without judging it.

use std::time::SystemTime;

use der::{Decode, Encode};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;

/// SHA-256 of the certificate's public key (SubjectPublicKeyInfo, DER): the same key in a renewed certificate has the same.
/// `None` if it cannot be read.
pub fn key_fingerprint(certificate: &[u8]) -> Option<[u8; 32]> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let key = certificate.tbs_certificate().subject_public_key_info().to_der().ok()?;
    Some(Sha256::digest(key).into())
}

/// Its last second. `None` if it cannot be read.
pub fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_system_time())
}
