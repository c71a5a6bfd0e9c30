//! Encrypting key files, all or none, and marking an index that bears no mark.

use std::path::{Path, PathBuf};

use sealfax_client::seam::Seams;
use serde_json::json;

use super::{Authority, INDEX, ISSUING, OCSP, ROOT, file};
use crate::authority::AuthorityError;
use crate::authority::audit::{self, Audit};
use crate::authority::index::Store;
use crate::authority::keys::{AuthorityKey, KeyPlace, Passphrase, PassphraseSource, Protection, file as files};
use crate::authority::settings::Settings;

/// A passphrase for key files.
#[derive(Debug, Clone)]
pub struct NewPassphrase {
    /// The passphrase.
    pub passphrase: Passphrase,
    /// The file that it stands in, unless it was typed.
    pub file: Option<PathBuf>,
}

/// Which key files to encrypt, and how.
#[derive(Debug)]
pub struct Protect<'a> {
    /// `root`, `issuing`, `ocsp`.
    pub which: &'a [&'a str],
    /// What opens the root and issuing keys until now.
    pub old: &'a PassphraseSource,
    /// What opens the OCSP key until now.
    pub old_ocsp: &'a PassphraseSource,
    /// The new passphrase.
    pub new: NewPassphrase,
    /// That of the OCSP key, where it is to be another one.
    pub new_ocsp: Option<NewPassphrase>,
}

impl Authority {
    /// Encrypts key files that are in clear or under an old passphrase, and marks an index that bears no mark. Nothing
    /// is changed unless all keys can be opened. Returns what was done, for a person.
    pub fn protect(dir: &Path, how: &Protect<'_>, seams: &Seams) -> Result<Vec<String>, AuthorityError> {
        let new_ocsp = how.new_ocsp.as_ref().unwrap_or(&how.new);
        how.new.passphrase.check_new()?;
        new_ocsp.passphrase.check_new()?;
        let settings = Settings::load(dir)?;
        let (issuing, ocsp) = settings.places(dir)?;
        let places = [(ROOT, KeyPlace::File(file(dir, ROOT, "key.pem"))), (ISSUING, issuing.clone()), (OCSP, ocsp)];
        let mut keys = Vec::new();
        for (what, place) in &places {
            let KeyPlace::File(path) = place else {
                continue;
            };
            // The root's key may lie in a safe.
            if !how.which.contains(what) || (*what == ROOT && !path.exists()) {
                continue;
            }
            let (old, new) = if *what == OCSP { (how.old_ocsp, new_ocsp) } else { (how.old, &how.new) };
            keys.push((*what, path, files::load_key(path, old)?.0, new));
        }
        let changes = |what: &str| keys.iter().any(|(changed, ..)| *changed == what);
        if settings.names_two() && changes(OCSP) {
            let both = match (changes(ROOT) || changes(ISSUING), &places) {
                (true, _) => how.new.passphrase.same_as(&new_ocsp.passphrase),
                (false, [_, (_, place), _]) => opens(place, new_ocsp),
            };
            if both {
                return Err(AuthorityError::Passphrases(
                    "authority.toml names two passphrases; give the OCSP key one of its own with \
                     --new-ocsp-key-passphrase-file",
                ));
            }
        }
        let new_issuing = changes(ISSUING).then_some(&how.new);
        let told = match &places {
            [_, _, (_, KeyPlace::Token(_))] => settings.with_passphrases(new_issuing, new_issuing)?,
            _ => settings.with_passphrases(new_issuing, changes(OCSP).then_some(new_ocsp))?,
        };
        // Everything is on the disk before the first file changes.
        let mut prepared = Vec::new();
        let mut done = Vec::new();
        for (_, path, key, new) in &keys {
            let pem = files::key_pem(key, Some(&new.passphrase), seams.entropy.as_ref())?;
            prepared.push(files::Prepared::beside(path, pem.as_bytes(), 0o600)?);
            done.push(format!("{} is encrypted now", path.display()));
        }
        if told != settings {
            prepared.push(told.prepare(dir)?);
            done.push("authority.toml names the new passphrase files".to_owned());
        }
        let log = Audit::new(audit::path(dir));
        for (what, ..) in &keys {
            log.record("protect", json!({ "key": what }), None, seams.clock.now())?;
        }
        prepared.into_iter().try_for_each(files::Prepared::put)?;
        if how.which.contains(&ISSUING) {
            let source = match &issuing {
                KeyPlace::File(_) => &PassphraseSource::given(how.new.passphrase.clone()),
                KeyPlace::Token(_) => how.old,
            };
            let key: Box<dyn AuthorityKey> = issuing.open(source, false)?.0;
            Store::adopt(&dir.join(INDEX), key.as_ref())?;
        }
        Ok(done)
    }
}

/// Whether the key at `place` is under this passphrase.
fn opens(place: &KeyPlace, new: &NewPassphrase) -> bool {
    match place {
        KeyPlace::File(path) => files::load_key(path, &PassphraseSource::given(new.passphrase.clone()))
            .is_ok_and(|(_, protection)| protection == Protection::Passphrase),
        KeyPlace::Token(_) => false,
    }
}
