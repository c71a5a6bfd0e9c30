//! Keys and certificates of the authority on disk: PKCS#8 as PEM, encrypted (RFC 5958 3, PBES2 of RFC 8018 with scrypt
//! of RFC 7914 and AES-256-CBC) or, from older versions, in clear; certificates as PEM (RFC 7468).

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use der::{DecodePem, EncodePem};
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::Generate;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{DecodePrivateKey, EncodePrivateKey, EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef};
use sealfax_client::seam::{Entropy, EntropyRng};
use x509_cert::Certificate;
use zeroize::Zeroizing;

use super::{Passphrase, PassphraseSource, Protection};
use crate::authority::AuthorityError;

/// scrypt's cost, log2 N: 16 MiB and some ten milliseconds; OpenSSL's own default, above which it refuses to read.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
/// Octets of a certificate or revocation list file.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Octets of a key file.
const MAX_KEY: u64 = 64 * 1024;

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const PLAIN: &str = "PRIVATE KEY";

pub(in crate::authority) fn generate(entropy: &Arc<dyn Entropy>) -> SigningKey {
    SigningKey::generate_from_rng(&mut EntropyRng(Arc::clone(entropy)))
}

/// Writes a key, encrypted if there is a `passphrase`.
pub(in crate::authority) fn save_key(
    path: &Path,
    key: &SigningKey,
    passphrase: Option<&Passphrase>,
    entropy: &Arc<dyn Entropy>,
) -> Result<(), AuthorityError> {
    write(path, key_pem(key, passphrase, entropy.as_ref())?.as_bytes(), 0o600)
}

/// A key as PEM, encrypted if there is a `passphrase`.
pub(in crate::authority) fn key_pem(
    key: &SigningKey,
    passphrase: Option<&Passphrase>,
    entropy: &dyn Entropy,
) -> Result<Zeroizing<String>, AuthorityError> {
    let failed = |error: pkcs8::Error| AuthorityError::Build(Box::new(error));
    let plain = key.to_pkcs8_der().map_err(failed)?;
    let Some(passphrase) = passphrase else {
        return Ok(plain.to_pem(PLAIN, LineEnding::LF)?);
    };
    let mut salt = [0u8; 16];
    let mut iv = [0u8; 16];
    entropy.fill(&mut salt);
    entropy.fill(&mut iv);
    let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P)
        .map_err(|error| AuthorityError::Build(Box::new(error)))?;
    let kdf = pbes2::ScryptParams::from_params_and_salt(cost, &salt)
        .map_err(|error| AuthorityError::Build(Box::new(error)))?;
    let scheme = pbes2::Parameters { kdf: kdf.into(), encryption: pbes2::EncryptionScheme::Aes256Cbc { iv } };
    let info = PrivateKeyInfoRef::try_from(plain.as_bytes()).map_err(failed)?;
    let sealed = info.encrypt_with_params(scheme, passphrase.octets()).map_err(failed)?;
    Ok(sealed.to_pem(ENCRYPTED, LineEnding::LF)?)
}

/// Reads a key, and how it was protected. The passphrase is asked for only if the file needs one.
pub(in crate::authority) fn load_key(
    path: &Path,
    passphrase: &PassphraseSource,
) -> Result<(SigningKey, Protection), AuthorityError> {
    let unreadable = || AuthorityError::Unreadable { path: path.to_owned(), what: "P-256 private key in PKCS#8 PEM" };
    let (pem, mode) = read_secret(path)?;
    // A group may share an encrypted key, whose passphrase not all of its members have.
    let closed = if pem.contains(ENCRYPTED) { 0o007 } else { 0o077 };
    if mode & closed != 0 {
        return Err(AuthorityError::Exposed(path.to_owned()));
    }
    if !pem.contains(ENCRYPTED) {
        return Ok((SigningKey::from_pkcs8_pem(&pem).map_err(|_| unreadable())?, Protection::Plain));
    }
    let (label, document) = der::SecretDocument::from_pem(&pem).map_err(|_| unreadable())?;
    if label != ENCRYPTED {
        return Err(unreadable());
    }
    let what = path.file_name().unwrap_or_default().to_string_lossy();
    let passphrase = passphrase.fetch(&what)?.ok_or_else(|| AuthorityError::PassphraseNeeded(path.to_owned()))?;
    let sealed = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| unreadable())?;
    let plain = sealed.decrypt(passphrase.octets()).map_err(|_| AuthorityError::WrongPassphrase(path.to_owned()))?;
    let key = SigningKey::from_pkcs8_der(plain.as_bytes()).map_err(|_| unreadable())?;
    Ok((key, Protection::Passphrase))
}

pub(in crate::authority) fn save_certificate(path: &Path, certificate: &Certificate) -> Result<(), AuthorityError> {
    write(path, certificate.to_pem(LineEnding::LF)?.as_bytes(), 0o644)
}

pub(in crate::authority) fn load_certificate(path: &Path) -> Result<Certificate, AuthorityError> {
    Certificate::from_pem(read(path)?)
        .map_err(|_| AuthorityError::Unreadable { path: path.to_owned(), what: "certificate in PEM" })
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    let octets = read_octets(path)?;
    String::from_utf8(octets).map_err(|_| AuthorityError::Unreadable { path: path.to_owned(), what: "PEM file" })
}

/// A key file's text, and its mode.
fn read_secret(path: &Path) -> Result<(Zeroizing<String>, u32), AuthorityError> {
    let attempt = || {
        let file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        let mut octets = Zeroizing::new(Vec::with_capacity(MAX_KEY as usize));
        file.take(MAX_KEY).read_to_end(&mut octets)?;
        Ok((octets, mode))
    };
    let (octets, mode) = attempt().map_err(|source| AuthorityError::Disk { path: path.to_owned(), source })?;
    let text = std::str::from_utf8(&octets)
        .map_err(|_| AuthorityError::Unreadable { path: path.to_owned(), what: "PEM file" })?;
    Ok((Zeroizing::new(text.to_owned()), mode))
}

/// The file's octets, if it is not absurdly large.
pub(in crate::authority) fn read_octets(path: &Path) -> Result<Vec<u8>, AuthorityError> {
    let attempt = || {
        let mut octets = Vec::new();
        File::open(path)?.take(MAX_FILE).read_to_end(&mut octets)?;
        Ok(octets)
    };
    attempt().map_err(|source| AuthorityError::Disk { path: path.to_owned(), source })
}

/// Writes beside, syncs, then renames: whoever reads sees the old file or the new one.
pub(in crate::authority) fn write(path: &Path, octets: &[u8], mode: u32) -> Result<(), AuthorityError> {
    Prepared::beside(path, octets, mode)?.put()
}

/// A file that is on the disk but has not its name yet: what may fail has not failed. It is removed when dropped.
#[derive(Debug)]
pub(in crate::authority) struct Prepared {
    path: PathBuf,
    beside: Option<PathBuf>,
}

impl Prepared {
    /// Writes the file that will be at `path`.
    pub(in crate::authority) fn beside(path: &Path, octets: &[u8], mode: u32) -> Result<Self, AuthorityError> {
        let mut beside = path.as_os_str().to_owned();
        // Another process may be writing the same file now.
        beside.push(format!(".{:016x}.new", rand::random::<u64>()));
        let prepared = Self { path: path.to_owned(), beside: Some(PathBuf::from(&beside)) };
        let attempt = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
            file.write_all(octets)?;
            file.sync_all()
        };
        attempt().map_err(|source| AuthorityError::Disk { path: path.to_owned(), source })?;
        Ok(prepared)
    }

    /// Puts it in its place.
    pub(in crate::authority) fn put(mut self) -> Result<(), AuthorityError> {
        let attempt = || {
            if let Some(beside) = &self.beside {
                std::fs::rename(beside, &self.path)?;
            }
            match self.path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
                _ => File::open(".")?.sync_all(),
            }
        };
        attempt().map_err(|source| AuthorityError::Disk { path: self.path.clone(), source })?;
        self.beside = None;
        Ok(())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // Nobody looks at it.
            let _ = std::fs::remove_file(beside);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use sealfax_client::seam::Seams;

    #[test]
    fn a_key_that_others_can_read_is_not_used() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("key.pem");
        let entropy = Seams::system().entropy;
        let secret = Passphrase::new(b"a passphrase of some length".to_vec());
        for (passphrase, mode, fits) in [
            (None, 0o600, true),
            (None, 0o640, false),
            (None, 0o604, false),
            (Some(&secret), 0o600, true),
            (Some(&secret), 0o640, true),
            (Some(&secret), 0o644, false),
        ] {
            save_key(&path, &generate(&entropy), passphrase, &entropy).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let loaded = load_key(&path, &PassphraseSource::given(secret.clone()));
            match loaded {
                Ok(_) => assert!(fits, "{mode:o}"),
                Err(error @ AuthorityError::Exposed(_)) => {
                    assert!(!fits && error.to_string().contains("chmod 600"), "{mode:o}: {error}");
                }
                Err(error) => panic!("{mode:o}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_not_put_in_its_place_leaves_nothing() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("file");
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        // Two at once do not disturb each other.
        let (first, second) =
            (Prepared::beside(&path, b"first", 0o600).unwrap(), Prepared::beside(&path, b"second", 0o600).unwrap());
        second.put().unwrap();
        drop(first);
        assert_eq!((std::fs::read(&path).unwrap(), names()), (b"second".to_vec(), 1));
    }
}
