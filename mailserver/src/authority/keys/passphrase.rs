//! Passphrases of key files: from a file or a systemd credential, or asked at the terminal; never from a command line
//! or the environment, which others can read.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use zeroize::{Zeroize, Zeroizing};

use crate::authority::AuthorityError;

/// Octets of a passphrase.
const MAX_PASSPHRASE: usize = 1024;
/// Characters below which no new key is encrypted: what can be guessed protects nothing.
const MIN_NEW: usize = 12;
/// Name of the systemd credential (`LoadCredential=`) that holds a passphrase.
const CREDENTIAL: &str = "sealfax-ca-passphrase";

/// A passphrase; zeroised when dropped, never shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the octets as they are.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The first line of the file at `path`, which must not be readable by everybody.
    pub fn read(path: &Path) -> Result<Self, AuthorityError> {
        let disk = |source| AuthorityError::Disk { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(disk)?;
        if file.metadata().map_err(disk)?.permissions().mode() & 0o007 != 0 {
            return Err(AuthorityError::Exposed(path.to_owned()));
        }
        let mut octets = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE + 2));
        file.take(MAX_PASSPHRASE as u64 + 2).read_to_end(&mut octets).map_err(disk)?;
        let end = octets.iter().position(|octet| matches!(octet, b'\n' | b'\r')).unwrap_or(octets.len());
        octets.truncate(end);
        if octets.is_empty() || octets.len() > MAX_PASSPHRASE {
            return Err(AuthorityError::Unreadable { path: path.to_owned(), what: "passphrase of 1 to 1024 octets" });
        }
        Ok(Self(octets))
    }

    /// Whether it is fit to protect a new key.
    pub fn check_new(&self) -> Result<(), AuthorityError> {
        if self.0.len() < MIN_NEW {
            return Err(AuthorityError::BadRequest("a new passphrase must have at least 12 octets"));
        }
        Ok(())
    }

    /// Whether both are the same.
    pub fn same_as(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Where a passphrase comes from when a key turns out to need one. It is fetched once and kept until dropped.
#[derive(Debug, Default)]
pub struct PassphraseSource {
    file: Option<PathBuf>,
    ask: bool,
    known: Mutex<Option<Passphrase>>,
}

impl PassphraseSource {
    /// From the file, if one is named, else from the systemd credential, else, if `ask`, from the terminal.
    pub fn new(file: Option<PathBuf>, ask: bool) -> Self {
        Self { file: file.or_else(credential), ask, known: Mutex::new(None) }
    }

    /// This passphrase and no other.
    pub fn given(passphrase: Passphrase) -> Self {
        Self { file: None, ask: false, known: Mutex::new(Some(passphrase)) }
    }

    /// Whether a person types it.
    pub fn was_typed(&self) -> bool {
        self.file.is_none() && self.ask
    }

    /// The passphrase for `what`; `None` if there is no source.
    pub fn fetch(&self, what: &str) -> Result<Option<Passphrase>, AuthorityError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = match &self.file {
                Some(path) => Some(Passphrase::read(path)?),
                None if self.ask => Some(ask(what)?),
                None => None,
            };
        }
        Ok(known.clone())
    }
}

/// The credential that systemd laid down for this service, if it did.
fn credential() -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let path = Path::new(&folder).join(CREDENTIAL);
    path.is_file().then_some(path)
}

fn ask(what: &str) -> Result<Passphrase, AuthorityError> {
    let mut typed = rpassword::prompt_password(format!("Passphrase of {what}: "))
        .map_err(|source| AuthorityError::Disk { path: PathBuf::from("/dev/tty"), source })?;
    let passphrase = Passphrase::new(typed.as_bytes().to_vec());
    typed.zeroize();
    Ok(passphrase)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_first_line_counts_and_the_world_must_not_read_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "correct horse\r\nbattery\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let passphrase = Passphrase::read(&path).unwrap();
        assert_eq!(passphrase.octets(), b"correct horse");
        assert_eq!(format!("{passphrase:?}"), "Passphrase(..)");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Passphrase::read(&path), Err(AuthorityError::Exposed(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(Passphrase::read(&path), Err(AuthorityError::Unreadable { .. })));
        assert!(Passphrase::new(b"short".to_vec()).check_new().is_err());
    }
}
