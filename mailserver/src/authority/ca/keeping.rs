//! Keeping an authority going: the OCSP signer's short-lived certificate, and its key.

use std::sync::{Arc, PoisonError, TryLockError};
use std::time::{Duration, SystemTime};

use serde_json::json;
use x509_cert::Certificate;

use super::{Authority, BACKDATE, DAY, OCSP, file, hex, key_of, serial, spki_of};
use crate::authority::AuthorityError;
use crate::authority::keys::{AuthorityKey, KeyPlace, PassphraseSource, Protection, file as files};
use crate::authority::ocsp::OcspSigner;
use crate::authority::profile::{Kind, Plan, Pointers, build, name};

/// The signer's certificate is renewed this long before it ends, if it lives long enough.
const RENEWAL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Authority {
    /// The OCSP signer: its key and its certificate. It is renewed if it is about to expire and the issuing key is
    /// open; else the file is looked at again, where another process may have put a new one. While the present one is
    /// valid, neither a file that cannot be read nor a renewal that fails stops the answers.
    pub(in crate::authority) fn ocsp_signer(&self) -> Result<Arc<OcspSigner>, AuthorityError> {
        let now = self.clock.now();
        let will_do =
            |signer: &OcspSigner| !signer.due(now) || (signer.valid_at(now) && signer.looked_at_recently(now));
        let before = self.signer_in_memory();
        if let Some(signer) = before.as_ref().filter(|signer| will_do(signer)) {
            return Ok(Arc::clone(signer));
        }
        // A renewal may wait for a token or another process: whoever can go on with the present one does.
        let _renewing = match (self.renewing.try_lock(), before) {
            (Ok(guard), _) => guard,
            (Err(TryLockError::Poisoned(guard)), _) => guard.into_inner(),
            (Err(_), Some(signer)) if signer.valid_at(now) => return Ok(signer),
            (Err(_), _) => self.renewing.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let before = self.signer_in_memory();
        if let Some(signer) = before.as_ref().filter(|signer| will_do(signer)) {
            return Ok(Arc::clone(signer));
        }
        let key = self.ocsp_key.clone().ok_or(AuthorityError::KeyAbsent("OCSP"))?;
        let valid = |signer: &OcspSigner| signer.valid_at(now);
        let kept = || before.as_ref().map(|signer| signer.looked_at_again(now)).filter(valid);
        let present = self.signer_on_disk(&key, now).filter(valid).or_else(kept);
        // Its key was replaced while this process runs: the old one's time is not made longer.
        let replaced = before.is_some()
            && self
                .signer_certificate()
                .and_then(|found| key_of(&found))
                .is_ok_and(|found| found != *key.verifying_key());
        let signer = match present {
            Some(signer) if !signer.due(now) || replaced || !self.can_issue() => signer,
            None if replaced => return Err(AuthorityError::SignerReplaced),
            present if self.can_issue() => self.renewed(&key, now).or_else(|error| present.ok_or(error))?,
            _ => return Err(AuthorityError::SignerExpired),
        };
        let signer = Arc::new(signer);
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&signer));
        Ok(signer)
    }

    fn signer_in_memory(&self) -> Option<Arc<OcspSigner>> {
        self.signer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether signing an answer waits for a device.
    pub(in crate::authority) fn waits(&self) -> bool {
        self.ocsp_key.as_ref().is_some_and(|key| key.waits())
    }

    fn signer_on_disk(&self, key: &Arc<dyn AuthorityKey>, now: SystemTime) -> Option<OcspSigner> {
        let certificate = self.signer_certificate().ok()?;
        let fits = key_of(&certificate).is_ok_and(|public| public == *key.verifying_key());
        fits.then(|| OcspSigner::new(Arc::clone(key), &certificate, now).ok()).flatten()
    }

    fn signer_certificate(&self) -> Result<Certificate, AuthorityError> {
        files::load_certificate(&file(&self.dir, OCSP, "pem"))
    }

    fn renewed(&self, key: &Arc<dyn AuthorityKey>, now: SystemTime) -> Result<OcspSigner, AuthorityError> {
        self.store.locked(|| {
            // Another process may have been quicker.
            match self.signer_on_disk(key, now) {
                Some(signer) if !signer.due(now) => Ok(signer),
                _ => OcspSigner::new(Arc::clone(key), &self.certify_signer(*key.verifying_key(), now)?, now),
            }
        })
    }

    /// Renews the OCSP signer's certificate if it is time, whether its key is open here or not.
    pub(super) fn renew_if_due(&self) -> Result<(), AuthorityError> {
        if self.ocsp_key.is_some() {
            return self.ocsp_signer().map(drop);
        }
        let now = self.clock.now();
        let is_due = |certificate: &Certificate| {
            let validity = certificate.tbs_certificate().validity();
            due(validity.not_before.to_system_time(), validity.not_after.to_system_time(), now)
        };
        if !is_due(&self.signer_certificate()?) {
            return Ok(());
        }
        self.store.locked(|| {
            let certificate = self.signer_certificate()?;
            if is_due(&certificate) {
                self.certify_signer(key_of(&certificate)?, now)?;
            }
            Ok(())
        })
    }

    /// Gives the OCSP signer a new certificate, whether it is time or not. Its key need not be here: the present
    /// certificate says which one it is. Returns when the new one ends.
    pub fn renew_signer(&self) -> Result<SystemTime, AuthorityError> {
        let public = match &self.ocsp_key {
            Some(key) => *key.verifying_key(),
            None => key_of(&self.signer_certificate()?)?,
        };
        self.renew_signer_for(public)
    }

    /// Makes a new OCSP key where the settings say, and gives it a certificate. A key file is replaced, under the same
    /// passphrase, which `source` has; in a token a key of the name that the settings say must not be there yet. A
    /// running server goes on with the old one until it is started again. Returns when the certificate ends.
    pub fn renew_signer_key(&self, source: &PassphraseSource) -> Result<SystemTime, AuthorityError> {
        let (_, place) = self.settings.places(&self.dir)?;
        let note = || self.note("new-ocsp-key", json!({}));
        let public = match &place {
            KeyPlace::File(path) => {
                let plain = path.exists() && files::load_key(path, source)?.1 == Protection::Plain;
                let passphrase = match plain {
                    true => None,
                    false => {
                        let found = source.fetch("the new OCSP key")?;
                        Some(found.ok_or_else(|| AuthorityError::PassphraseNeeded(path.clone()))?)
                    }
                };
                let key = files::generate(&self.entropy);
                note()?;
                files::save_key(path, &key, passphrase.as_ref(), &self.entropy)?;
                *key.verifying_key()
            }
            KeyPlace::Token(_) => {
                note()?;
                *place.create(None, &self.entropy)?.verifying_key()
            }
        };
        self.renew_signer_for(public)
    }

    fn renew_signer_for(&self, public: p256::ecdsa::VerifyingKey) -> Result<SystemTime, AuthorityError> {
        let _renewing = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let certificate = self.store.locked(|| self.certify_signer(public, self.clock.now()))?;
        // Read from the disk when it is needed next.
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(certificate.tbs_certificate().validity().not_after.to_system_time())
    }

    /// Under the index's lock: two processes must not renew at once.
    fn certify_signer(
        &self,
        public: p256::ecdsa::VerifyingKey,
        now: SystemTime,
    ) -> Result<Certificate, AuthorityError> {
        let serial = serial(self.entropy.as_ref())?;
        let what = json!({ "serial": hex(serial.as_bytes()) });
        let last = self.issuing.tbs_certificate().validity().not_after.to_system_time();
        let plan = Plan {
            kind: Kind::OcspSigner,
            pointers: Pointers::default(),
            serial,
            subject: name(&self.organization, &format!("{} OCSP", self.organization))?,
            key: spki_of(&public)?,
            not_before: now - BACKDATE,
            not_after: (now + self.settings.ocsp_signer_days.max(1) * DAY).min(last),
        };
        self.note("renew-ocsp", what)?;
        let certificate = build(plan, Some(&self.issuing), self.issuing_key()?)?;
        files::save_certificate(&file(&self.dir, OCSP, "pem"), &certificate)?;
        Ok(certificate)
    }
}

/// How long before its end a signer is renewed: it cannot be revoked (id-pkix-ocsp-nocheck), so a cautious authority
/// lets it live shortly.
pub(in crate::authority) fn renewal(not_before: SystemTime, not_after: SystemTime) -> Duration {
    RENEWAL.min(not_after.duration_since(not_before).unwrap_or_default() / 3)
}

/// Whether a signer must be renewed, also when a clock was set back before its first second.
pub(in crate::authority) fn due(not_before: SystemTime, not_after: SystemTime, now: SystemTime) -> bool {
    not_after < now + renewal(not_before, not_after) || !(not_before..=not_after).contains(&now)
}
