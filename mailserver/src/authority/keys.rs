//! Keys and certificates of the authority on disk: PKCS#8 (RFC 5958) and certificates as PEM (RFC 7468).
//!
//! Everything that touches a private key file is here, so that encryption at rest and PKCS#11 have one place to go.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use der::{DecodePem, EncodePem};
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::Generate;
use pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use sealfax_client::seam::{Entropy, EntropyRng};
use x509_cert::Certificate;
use zeroize::Zeroizing;

use super::AuthorityError;

pub(super) fn generate(entropy: &Arc<dyn Entropy>) -> SigningKey {
    SigningKey::generate_from_rng(&mut EntropyRng(Arc::clone(entropy)))
}

pub(super) fn save_key(path: &Path, key: &SigningKey) -> Result<(), AuthorityError> {
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| AuthorityError::Build(Box::new(error)))?;
    write(path, pem.as_bytes(), 0o600)
}

pub(super) fn load_key(path: &Path) -> Result<SigningKey, AuthorityError> {
    let pem = Zeroizing::new(read(path)?);
    SigningKey::from_pkcs8_pem(&pem)
        .map_err(|_| AuthorityError::Unreadable { path: path.to_owned(), what: "P-256 private key in PKCS#8 PEM" })
}

pub(super) fn save_certificate(path: &Path, certificate: &Certificate) -> Result<(), AuthorityError> {
    write(path, certificate.to_pem(LineEnding::LF)?.as_bytes(), 0o644)
}

pub(super) fn load_certificate(path: &Path) -> Result<Certificate, AuthorityError> {
    Certificate::from_pem(read(path)?)
        .map_err(|_| AuthorityError::Unreadable { path: path.to_owned(), what: "certificate in PEM" })
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    std::fs::read_to_string(path).map_err(|source| AuthorityError::Disk { path: path.to_owned(), source })
}

/// Writes beside, syncs, then renames: whoever reads sees the old file or the new one.
fn write(path: &Path, octets: &[u8], mode: u32) -> Result<(), AuthorityError> {
    let attempt = || {
        let beside = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        file.write_all(octets)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    attempt().map_err(|source| AuthorityError::Disk { path: path.to_owned(), source })
}
