//! The index's file and what is in memory of it, shared by everything in a process; and how lines are added.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::VerifyingKey;
use sealfax_client::history::time_text;
use x509_cert::ext::pkix::CrlReason;

use super::{Index, Issued, Line, Serial, Standing};
use crate::authority::AuthorityError;
use crate::authority::keys::AuthorityKey;
use crate::authority::marked::Marked;

/// The file and its index, shared by everything in a process.
#[derive(Debug)]
pub(in crate::authority) struct Store {
    file: Marked,
    signer: VerifyingKey,
    index: RwLock<Index>,
    writing: Mutex<()>,
}

impl Store {
    /// Opens the index at `path`, whose marks are by `signer`.
    pub(in crate::authority) fn open(path: &Path, signer: VerifyingKey) -> Result<Self, AuthorityError> {
        let store =
            Self { file: Marked::open(path)?, signer, index: RwLock::new(Index::default()), writing: Mutex::new(()) };
        store.refresh()?;
        Ok(store)
    }

    /// Makes an index with nothing in it.
    pub(in crate::authority) fn found(path: &Path, key: &dyn AuthorityKey) -> Result<(), AuthorityError> {
        Marked::found(path, key)
    }

    /// Sets a mark under an index of a version that set none.
    pub(in crate::authority) fn adopt(path: &Path, key: &dyn AuthorityKey) -> Result<(), AuthorityError> {
        Marked::open(path)?.adopt(key)
    }

    /// The index as the file has it now.
    pub(in crate::authority) fn read(&self) -> Result<RwLockReadGuard<'_, Index>, AuthorityError> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        if self.file.stamp()? == index.reading.stamp {
            return Ok(index);
        }
        drop(index);
        self.refresh()?;
        Ok(self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what was appended since, by whomever.
    fn refresh(&self) -> Result<(), AuthorityError> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have done it meanwhile.
        if self.file.stamp()? == index.reading.stamp {
            return Ok(());
        }
        if index.broken {
            return Err(AuthorityError::Forged { line: 0, why: "it was found broken before; restart after repair" });
        }
        let mut reading = index.reading.clone();
        let mut taken = false;
        let outcome = self.file.read_on(&mut reading, &self.signer, |number, line| {
            taken = true;
            index.take(number, line)
        });
        match &outcome {
            Ok(()) => index.reading = reading,
            // From here on nothing is said rather than something wrong.
            Err(AuthorityError::Forged { .. } | AuthorityError::Index { .. }) => {
                index.broken = true;
                index.reading.start_over();
            }
            // The disk may be well again the next time, but half a batch was taken in.
            Err(_) if taken => index.start_over(),
            Err(_) => {}
        }
        outcome
    }

    /// Does something while nobody else appends.
    pub(in crate::authority) fn locked<T>(
        &self,
        act: impl FnOnce() -> Result<T, AuthorityError>,
    ) -> Result<T, AuthorityError> {
        // The file's lock is between processes; this one is between threads.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.file.lock()?;
        act()
    }

    /// Writes down the new certificates that `make` makes; when this returns they are on the disk.
    pub(in crate::authority) fn issue(
        &self,
        key: &dyn AuthorityKey,
        make: impl FnOnce(&Index) -> Result<Vec<Issued>, AuthorityError>,
    ) -> Result<(), AuthorityError> {
        self.append(key, |index| {
            make(index)?
                .iter()
                .map(|issued| {
                    line(&Line::Issued {
                        serial: &issued.serial,
                        address: Cow::Borrowed(&issued.address),
                        name: Cow::Borrowed(&issued.name),
                        usage: issued.purpose,
                        not_before: &time_text(issued.not_before),
                        not_after: &time_text(issued.not_after),
                        certificate: &STANDARD.encode(&issued.certificate),
                    })
                })
                .collect()
        })
    }

    /// Writes down a revocation, after `audited` wrote down that it is made; when this returns it is on the disk. A
    /// compromised key takes the place of a weaker reason, as of the time that stands.
    pub(in crate::authority) fn revoke(
        &self,
        key: &dyn AuthorityKey,
        serial: &Serial,
        reason: CrlReason,
        at: SystemTime,
        audited: impl FnOnce(&Index) -> Result<(), AuthorityError>,
    ) -> Result<(), AuthorityError> {
        self.append(key, |index| {
            let standing = index.by_serial(serial).map(|entry| entry.standing);
            let since = match standing.ok_or_else(|| AuthorityError::UnknownSerial(serial.hex()))? {
                Standing::Good => at,
                Standing::Revoked { at, reason: before } if graver(reason, before) => at,
                Standing::Revoked { .. } => return Err(AuthorityError::AlreadyRevoked(serial.hex())),
            };
            audited(index)?;
            let revoked = Line::Revoked { serial: &serial.hex(), reason: reason as u32, at: &time_text(since) };
            Ok(vec![line(&revoked)?])
        })
    }

    fn append(
        &self,
        key: &dyn AuthorityKey,
        make: impl FnOnce(&Index) -> Result<Vec<String>, AuthorityError>,
    ) -> Result<(), AuthorityError> {
        self.locked(|| {
            self.refresh()?;
            let (lines, reading) = {
                let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
                (make(&index)?, index.reading.clone())
            };
            self.file.append(&reading, key, &self.signer, &lines)?;
            self.refresh()
        })
    }
}

/// Whether `reason` says that others may hold the key, and `before` did not.
fn graver(reason: CrlReason, before: CrlReason) -> bool {
    use CrlReason::{AaCompromise, CaCompromise, KeyCompromise};
    reason == KeyCompromise && !matches!(before, KeyCompromise | CaCompromise | AaCompromise)
}

fn line(line: &Line<'_>) -> Result<String, AuthorityError> {
    serde_json::to_string(line).map_err(|error| AuthorityError::Build(Box::new(error)))
}
