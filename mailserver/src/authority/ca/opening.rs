//! Opening an authority: with which keys, and whether its index is the newest one.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use der::Encode;
use sealfax_client::seam::Seams;

use super::{Authority, INDEX, ISSUING, OCSP, ROOT, file, key_of};
use crate::authority::AuthorityError;
use crate::authority::audit::{self, Audit};
use crate::authority::crl;
use crate::authority::index::{Standing, Store};
use crate::authority::keys::{KeyPlace, PassphraseSource, Protection, file as files};
use crate::authority::settings::Settings;

/// Which keys to open.
#[derive(Debug)]
pub enum Access {
    /// All, to issue, revoke and answer.
    Full {
        /// Of the issuing key, if it is a file.
        passphrase: PassphraseSource,
        /// Of the OCSP key, if it is a file.
        ocsp_passphrase: PassphraseSource,
    },
    /// The issuing key alone, to issue and revoke: the OCSP key may be elsewhere, or under another passphrase.
    Issue {
        /// Of the issuing key, if it is a file.
        passphrase: PassphraseSource,
    },
    /// The OCSP key alone, to answer.
    Answer,
    /// None, to look.
    Read,
}

impl Authority {
    /// Opens the authority in the folder `dir` with all its keys, passphrases coming from where its settings say.
    pub fn open(dir: &Path, seams: &Seams) -> Result<Self, AuthorityError> {
        let settings = Settings::load(dir)?;
        let passphrase = PassphraseSource::new(settings.key_passphrase_file.clone(), false);
        let ocsp_passphrase = PassphraseSource::new(settings.ocsp_passphrase_file(), false);
        Self::open_with(dir, Access::Full { passphrase, ocsp_passphrase }, seams)
    }

    /// Opens the authority in the folder `dir` with the keys that a server needs: the OCSP key, and the issuing key
    /// only if the settings say `renew_online`.
    pub fn open_online(dir: &Path, seams: &Seams) -> Result<Self, AuthorityError> {
        if Settings::load(dir)?.renew_online {
            Self::open(dir, seams)
        } else {
            Self::open_with(dir, Access::Answer, seams)
        }
    }

    /// Opens the authority in the folder `dir` with the keys that `access` says.
    pub fn open_with(dir: &Path, access: Access, seams: &Seams) -> Result<Self, AuthorityError> {
        let settings = Settings::load(dir)?;
        let root = files::load_certificate(&file(dir, ROOT, "pem"))?;
        let issuing = files::load_certificate(&file(dir, ISSUING, "pem"))?;
        let organization = issuing
            .tbs_certificate()
            .subject()
            .organization()?
            .map_or_else(|| "Sealfax".to_owned(), |name| name.value().into_owned());
        let (issuing_place, ocsp_place) = settings.places(dir)?;
        let mut unprotected = Vec::new();
        let mut opened = |place: &KeyPlace, source: &PassphraseSource, what: &'static str| {
            let (key, protection) = place.open(source, what == OCSP)?;
            if protection == Protection::Plain {
                unprotected.push(what);
            }
            Ok::<_, AuthorityError>(key)
        };
        let (issuing_key, ocsp_key) = match &access {
            Access::Full { passphrase, ocsp_passphrase } => {
                let issuing = opened(&issuing_place, passphrase, ISSUING)?;
                // Where the authority works apart from its server, the OCSP key may be at the server alone.
                let elsewhere = matches!(&ocsp_place, KeyPlace::File(path) if !path.exists());
                let ocsp = if elsewhere { None } else { Some(opened(&ocsp_place, ocsp_passphrase, OCSP)?) };
                (Some(issuing), ocsp)
            }
            Access::Issue { passphrase } => (Some(opened(&issuing_place, passphrase, ISSUING)?), None),
            Access::Answer => {
                let source = PassphraseSource::new(settings.ocsp_passphrase_file(), false);
                (None, Some(opened(&ocsp_place, &source, OCSP)?))
            }
            Access::Read => (None, None),
        };
        let issuing_public = key_of(&issuing)?;
        if issuing_key.as_ref().is_some_and(|key| *key.verifying_key() != issuing_public) {
            let path = file(dir, ISSUING, "pem");
            return Err(AuthorityError::Unreadable { path, what: "certificate of the issuing key" });
        }
        let mut authority = Self {
            dir: dir.to_owned(),
            settings,
            anchor: root.to_der()?.into(),
            issuing_der: issuing.to_der()?.into(),
            root,
            issuing,
            issuing_key,
            ocsp_key: ocsp_key.map(Arc::from),
            signer: RwLock::new(None),
            renewing: Mutex::new(()),
            store: Store::open(&dir.join(INDEX), issuing_public)?,
            audit: Audit::new(audit::path(dir)),
            clock: Arc::clone(&seams.clock),
            entropy: Arc::clone(&seams.entropy),
            organization,
            unprotected,
            warnings: Vec::new(),
        };
        authority.refuse_old_index()?;
        // Renewed in time, whenever somebody works here; who came to revoke does not go away because of it.
        if authority.can_issue()
            && let Err(error) = authority.renew_if_due()
        {
            authority.warnings.push(format!("the OCSP signer's certificate could not be renewed: {error}"));
        }
        Ok(authority)
    }

    /// Opens the OCSP key too.
    pub fn open_ocsp_key(&mut self, source: &PassphraseSource) -> Result<(), AuthorityError> {
        let (_, place) = self.settings.places(&self.dir)?;
        let (key, protection) = place.open(source, true)?;
        if protection == Protection::Plain {
            self.unprotected.push(OCSP);
        }
        self.ocsp_key = Some(Arc::from(key));
        Ok(())
    }

    /// An index under good marks may still be an old one that somebody put back. The revocation list and the audit log
    /// know what it has to say at least.
    fn refuse_old_index(&self) -> Result<(), AuthorityError> {
        // What they say was in the index before it was in them: so they are read first.
        let path = self.dir.join(crl::ISSUING_FILE);
        let named = match std::fs::exists(&path) {
            Ok(false) => Vec::new(),
            _ => crl::named(&files::read_octets(&path)?, &key_of(&self.issuing)?)
                .map_err(|_| AuthorityError::Unreadable { path, what: "revocation list of the issuing authority" })?,
        };
        let noted = self.audit.last_index();
        let index = self.read()?;
        for serial in named {
            if !matches!(index.by_serial(&serial).map(|entry| entry.standing), Some(Standing::Revoked { .. })) {
                let witness = format!("the revocation list, which names {}", serial.hex());
                return Err(AuthorityError::RolledBack { witness });
            }
        }
        match noted {
            Some((entry, lines)) if lines > index.lines() => {
                Err(AuthorityError::RolledBack { witness: format!("entry {entry} of the audit log") })
            }
            _ => Ok(()),
        }
    }
}
