//! A correspondent's key that was never relied on before, while an old one still counts: told, or refused.
//!
//! Whoever can make the authority issue a second certificate in somebody's name can read that person's documents. A person
//! who gets a new card has the old one revoked, or it has expired; both are as they should be and not worth a word.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealfax_client::certificate::{key_fingerprint, not_after};
use sealfax_client::ocsp::Status;
use sealfax_drivers::display::CardFault;
use sealfax_smime::path::Use;

use super::{Found, Trust, Untrusted};
use crate::config::ChangeRule;
use crate::ledger::{KnownKey, KnownKeys, LedgerError};
use crate::outgoing::hex;

/// Keys of one person that are remembered.
const MAX_KEYS: usize = 8;
/// How exactly it is known when somebody was written to last.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Trust {
    /// Compares with what was relied on before, and remembers. `good` are the certificates that are valid now, newest first.
    pub(super) async fn noticing_change(
        &self,
        address: &str,
        purpose: Use,
        good: Vec<Vec<u8>>,
    ) -> Result<Found, Untrusted> {
        self.compare(address, purpose, good).await.unwrap_or_else(|error| {
            // What is not written down did not happen: without memory nobody can say that nothing has changed.
            self.seams.journal.failure(&self.host, "LEDGER-001", error.to_string());
            Err(Untrusted::Unreachable(error.to_string()))
        })
    }

    /// Whether a certificate to seal for somebody was relied on before. Whoever had one then does not have none today: somebody on
    /// the way, or the certificate server, says so who would like to read along.
    pub fn was_sealed_for(&self, address: &str) -> Result<bool, LedgerError> {
        Ok(self.ledger.known_keys(&remembered_as(address, Use::Encrypt))?.is_some())
    }

    async fn compare(
        &self,
        address: &str,
        purpose: Use,
        mut good: Vec<Vec<u8>>,
    ) -> Result<Result<Found, Untrusted>, LedgerError> {
        let of = remembered_as(address, purpose);
        let (now, known) = (self.seams.clock.now(), self.ledger.known_keys(&of)?);
        let recent = known.as_ref().is_some_and(|known| known.last <= now && now < known.last + A_DAY);
        let before = known.map(|known| known.keys).unwrap_or_default();
        let is_known = |certificate: &Vec<u8>| {
            let key = fingerprint(certificate);
            before.iter().any(|known| known.fingerprint == key)
        };
        let new = good.iter().any(|certificate| !is_known(certificate));
        let mut changed = new && !before.is_empty() && self.one_still_counts(&before, &good).await;
        if changed {
            let text = format!(
                "another certificate than before appeared for {address}, and the old one is neither expired nor revoked"
            );
            self.seams.journal.security(&self.host, CardFault::Changed.correspondent_code(), text);
            if self.on_change == ChangeRule::Refuse {
                good.retain(is_known);
                changed = false;
            }
        }
        if good.is_empty() {
            let why = "it is another one than before, and the old one is neither expired nor revoked; have that revoked \
                       as superseded if the change is right";
            let fault = CardFault::Changed;
            return Ok(Err(Untrusted::NotAccepted { address: address.to_owned(), fault, why: why.into() }));
        }
        // The usual case: nothing new, and nothing to be written.
        if !new && recent {
            return Ok(Ok(Found { certificates: good, changed }));
        }
        let mut keys: Vec<KnownKey> = good
            .iter()
            .map(|certificate| KnownKey {
                fingerprint: fingerprint(certificate),
                certificate: STANDARD.encode(certificate),
            })
            .collect();
        let gone: Vec<KnownKey> =
            before.into_iter().filter(|old| keys.iter().all(|key| key.fingerprint != old.fingerprint)).collect();
        keys.extend(gone);
        keys.truncate(MAX_KEYS);
        self.ledger.remember_keys(&of, &KnownKeys { last: now, keys })?;
        Ok(Ok(Found { certificates: good, changed }))
    }

    /// Whether one of the keys known before is neither expired nor revoked. One that cannot be asked about counts.
    async fn one_still_counts(&self, before: &[KnownKey], good: &[Vec<u8>]) -> bool {
        for known in before {
            if good.iter().any(|certificate| fingerprint(certificate) == known.fingerprint) {
                return true;
            }
            let Ok(certificate) = STANDARD.decode(&known.certificate) else { continue };
            if not_after(&certificate).is_none_or(|end| end < self.seams.clock.now()) {
                continue;
            }
            let issuers = self.intermediates.iter().chain(&self.anchors);
            if !matches!(self.status.ask(&certificate, issuers).await, Ok(Status::Revoked { .. })) {
                return true;
            }
        }
        false
    }
}

fn remembered_as(address: &str, purpose: Use) -> String {
    format!("{address} {}", if purpose == Use::Encrypt { "encrypt" } else { "sign" })
}

fn fingerprint(certificate: &[u8]) -> String {
    key_fingerprint(certificate).map(|key| hex(&key)).unwrap_or_default()
}
