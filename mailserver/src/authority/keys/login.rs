//! Logging in to a PKCS#11 token (OASIS PKCS#11 3.1, 5.6) without ever locking it: a PIN that was refused is not shown
//! again until its file changes, and the last try is left to a person.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use sha2::{Digest, Sha256};

use super::token::{failed, token_error};
use super::{Passphrase, Pkcs11Uri};
use crate::authority::AuthorityError;

/// Modules that this process has loaded. PKCS#11 wants each initialised once a process, however many keys are used.
static MODULES: Mutex<Option<HashMap<PathBuf, Pkcs11>>> = Mutex::new(None);
/// PINs that tokens refused. Held while logging in: two keys of one token must not spend two tries.
static REFUSED: Mutex<Refused> = Mutex::new(Refused(BTreeMap::new()));

/// A session of the token, logged in.
pub(super) fn session(uri: &Pkcs11Uri) -> Result<Session, AuthorityError> {
    let module = module(&uri.module).map_err(failed(uri))?;
    let (slot, token) = slot(uri, &module)?;
    let session = module.open_rw_session(slot).map_err(failed(uri))?;
    let mut refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
    let attempt = Attempt::with(&uri.pin_file)?;
    let whose = format!("{} {} {}", uri.module.display(), token.serial_number(), uri.pin_file.display());
    may_try(token.user_pin_locked(), token.user_pin_final_try())
        .and_then(|()| refused.check(&whose, &attempt.mark))
        .map_err(|why| token_error(uri, why))?;
    let pin = std::str::from_utf8(attempt.pin.octets())
        .map_err(|_| token_error(uri, "its PIN file is not UTF-8; write the PIN alone into it"))?;
    match session.login(UserType::User, Some(&AuthPin::new(pin.into()))) {
        // Logging in counts for all sessions of a process.
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
            refused.forget(&whose);
            Ok(session)
        }
        Err(Pkcs11Error::Pkcs11(RvError::PinIncorrect, _)) => {
            refused.note(whose, attempt.mark);
            Err(token_error(uri, "the PIN is wrong; correct the PIN file before the token locks"))
        }
        Err(Pkcs11Error::Pkcs11(RvError::PinLocked, _)) => Err(token_error(uri, LOCKED)),
        Err(error) => Err(failed(uri)(error)),
    }
}

const LOCKED: &str = "its PIN is locked; unlock it with the token's own tool and the security officer's PIN";

/// Whether a try may be spent, by the token's flags (CKF_USER_PIN_LOCKED, CKF_USER_PIN_FINAL_TRY).
fn may_try(locked: bool, final_try: bool) -> Result<(), &'static str> {
    match (locked, final_try) {
        (true, _) => Err(LOCKED),
        (_, true) => {
            Err("one try of its PIN is left; look at the PIN file, then log in once with the token's own tool \
                          (pkcs11-tool --login --list-objects), so that the tries are counted anew")
        }
        _ => Ok(()),
    }
}

/// A PIN as its file has it now.
struct Attempt {
    pin: Passphrase,
    mark: Mark,
}

/// By what a PIN file is known to be another one: when it was written, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    written: (i64, i64),
    digest: [u8; 32],
}

impl Attempt {
    fn with(path: &Path) -> Result<Self, AuthorityError> {
        let metadata =
            std::fs::metadata(path).map_err(|source| AuthorityError::Disk { path: path.to_owned(), source })?;
        let pin = Passphrase::read(path)?;
        let mark =
            Mark { written: (metadata.mtime(), metadata.mtime_nsec()), digest: Sha256::digest(pin.octets()).into() };
        Ok(Self { pin, mark })
    }
}

/// Which PIN was refused last, for each token and PIN file.
struct Refused(BTreeMap<String, Mark>);

impl Refused {
    fn check(&self, whose: &str, mark: &Mark) -> Result<(), &'static str> {
        match self.0.get(whose) {
            Some(refused) if refused == mark => {
                Err("the PIN is wrong and is not tried again; correct the PIN file, then it is")
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, whose: String, mark: Mark) {
        self.0.insert(whose, mark);
    }

    fn forget(&mut self, whose: &str) {
        self.0.remove(whose);
    }
}

fn module(path: &Path) -> Result<Pkcs11, Pkcs11Error> {
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let modules = modules.get_or_insert_with(HashMap::new);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let module = Pkcs11::new(path)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(error),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

/// The one slot whose token is meant.
fn slot(uri: &Pkcs11Uri, module: &Pkcs11) -> Result<(Slot, TokenInfo), AuthorityError> {
    let mut found = None;
    for slot in module.get_slots_with_token().map_err(failed(uri))? {
        let Ok(info) = module.get_token_info(slot) else {
            continue;
        };
        let label_fits = uri.token.as_deref().is_none_or(|wanted| wanted == info.label().trim_end());
        let serial_fits = uri.serial.as_deref().is_none_or(|wanted| wanted == info.serial_number().trim_end());
        if label_fits && serial_fits && found.replace((slot, info)).is_some() {
            return Err(token_error(uri, "several tokens fit; name it by serial"));
        }
    }
    found.ok_or_else(|| token_error(uri, "no such token is there; put it in, and check its label and serial"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    #[test]
    fn the_last_try_is_a_persons() {
        assert!(may_try(false, false).is_ok());
        assert!(may_try(false, true).unwrap_err().contains("one try"));
        assert!(may_try(true, true).unwrap_err().contains("locked"));
    }

    #[test]
    fn a_refused_pin_is_not_shown_again_until_its_file_changes() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("pin");
        let write = |pin: &str, at: u64| {
            std::fs::write(&path, pin).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(at)).unwrap();
            Attempt::with(&path).unwrap().mark
        };
        let mut refused = Refused(BTreeMap::new());
        let wrong = write("999999\n", 1);
        assert!(refused.check("token", &wrong).is_ok());
        refused.note("token".to_owned(), wrong.clone());
        assert!(refused.check("token", &write("999999\n", 1)).unwrap_err().contains("not tried again"));
        assert!(refused.check("another", &wrong).is_ok());
        assert!(refused.check("token", &write("999999\n", 2)).is_ok(), "written again");
        assert!(refused.check("token", &write("654321\n", 1)).is_ok(), "another PIN");
        refused.forget("token");
        assert!(refused.check("token", &wrong).is_ok());
    }
}
