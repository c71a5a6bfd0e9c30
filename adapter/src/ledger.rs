//! What must survive a power cut: what was handed to the terminal (print once), what is still owed to the network
//! (confirmations, history), what the sender still waits for (open transmissions), and what the terminal has not
//! fetched yet (reports). No content of any document is in here, and no password.
//!
//! One small redb database; a method returns when its change is on the disk.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

mod entries;
mod history;
mod transmissions;

pub use entries::{Closed, Delivered, Former, Handed, KnownKey, KnownKeys, OpenTransmission, Owed, Print};
pub use transmissions::Closing;

pub use crate::flow::confirming::Alarm;

type Table = TableDefinition<'static, &'static str, &'static [u8]>;

const HANDED: Table = TableDefinition::new("handed");
const OPEN: Table = TableDefinition::new("open transmissions");
const OUTBOX: Table = TableDefinition::new("outbox");
const DELIVERED: Table = TableDefinition::new("delivered, not yet reported");
const REPORTS: Table = TableDefinition::new("reports");
const SEEN: Table = TableDefinition::new("documents handed before");
const CORRESPONDENTS: Table = TableDefinition::new("keys of correspondents");
const NOTIFICATIONS: Table = TableDefinition::new("notifications for the fax machine");
const CLOSED: Table = TableDefinition::new("closed transmissions");
const ALARMS: Table = TableDefinition::new("failures that nobody has seen");
const HISTORY: Table = TableDefinition::new("the history server");
const TABLES: [Table; 11] =
    [HANDED, OPEN, OUTBOX, DELIVERED, REPORTS, SEEN, CORRESPONDENTS, NOTIFICATIONS, CLOSED, ALARMS, HISTORY];

/// How many documents are remembered after they are gone from the server, so that a replayed mail does not look new.
const REMEMBERED: u64 = 10_000;
/// How many correspondents' keys are remembered.
const CORRESPONDENTS_REMEMBERED: u64 = 4096;
/// How many notifications wait for a fax machine that does not fetch them; then the oldest goes.
const NOTIFICATIONS_KEPT: u64 = 1000;

/// Why the ledger failed. The flow that asked must stop: what is not written down did not happen.
#[derive(Debug, thiserror::Error)]
#[error("the adapter's ledger could not be {what}; check the data partition with `sealfax-adapter diagnose`")]
pub struct LedgerError {
    what: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn failed<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> LedgerError {
    move |source| LedgerError { what, source: Box::new(source) }
}

/// The adapter's durable memory. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    database: Arc<Database>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledger")
    }
}

impl Ledger {
    /// Opens or makes `ledger.redb` in `directory`, with access for its owner alone.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed("opened"))?;
        let path = directory.join("ledger.redb");
        // An empty file is a new database; made here, because the database would let everybody read it.
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed("opened"))?;
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed("opened"))?;
        drop(file);
        let database = Database::create(path).map_err(failed("opened"))?;
        let transaction = database.begin_write().map_err(failed("opened"))?;
        for table in TABLES {
            transaction.open_table(table).map_err(failed("opened"))?;
        }
        transaction.commit().map_err(failed("opened"))?;
        Ok(Self { database: Arc::new(database) })
    }

    /// A mail is about to be given to the terminal. `true`: the same signed content was given out before for the same
    /// person, under whatever identifier and in whatever mail: it may be on paper already.
    ///
    /// The content's digest is under the sender's signature; a Message-ID outside of it is anybody's to change.
    pub fn hand(&self, uid: &str, handed: &Handed, at: SystemTime) -> Result<bool, LedgerError> {
        let document = format!("{} {}", handed.content_digest, handed.recipient);
        let write = self.database.begin_write().map_err(failed("written"))?;
        let before = {
            let mut table = write.open_table(HANDED).map_err(failed("written"))?;
            let value = serde_json::to_vec(handed).map_err(failed("written"))?;
            let known = table.insert(uid, value.as_slice()).map_err(failed("written"))?.is_some();
            let mut seen = write.open_table(SEEN).map_err(failed("written"))?;
            let value = serde_json::to_vec(&at).map_err(failed("written"))?;
            let seen_before = seen.insert(document.as_str(), value.as_slice()).map_err(failed("written"))?.is_some();
            if seen.len().map_err(failed("written"))? > REMEMBERED {
                forget_the_oldest(&mut seen)?;
            }
            known || seen_before
        };
        write.commit().map_err(failed("written"))?;
        Ok(before)
    }

    /// What is known of a mail of this unique identifier.
    pub fn handed(&self, uid: &str) -> Result<Option<Handed>, LedgerError> {
        self.get(HANDED, uid)
    }

    /// The terminal took it: it is not printed again.
    pub fn printed(&self, uid: &str) -> Result<(), LedgerError> {
        match self.get::<Handed>(HANDED, uid)? {
            Some(handed) => self.put(HANDED, uid, &Handed { print: Print::Printed, ..handed }),
            None => Ok(()),
        }
    }

    /// The mail is gone from the server: nothing need be remembered.
    pub fn forget(&self, uid: &str) -> Result<(), LedgerError> {
        self.remove(HANDED, uid)
    }

    /// ST922: the confirmation is owed to the network and no longer to the reader, in one commit.
    pub fn confirm(&self, id: &str, uid: &str, handed: &Handed, owed: &Owed) -> Result<(), LedgerError> {
        let confirmed = Handed { print: Print::Confirmed, ..handed.clone() };
        let write = self.database.begin_write().map_err(failed("written"))?;
        {
            let mut outbox = write.open_table(OUTBOX).map_err(failed("written"))?;
            let value = serde_json::to_vec(owed).map_err(failed("written"))?;
            outbox.insert(id, value.as_slice()).map_err(failed("written"))?;
            let mut table = write.open_table(HANDED).map_err(failed("written"))?;
            let value = serde_json::to_vec(&confirmed).map_err(failed("written"))?;
            table.insert(uid, value.as_slice()).map_err(failed("written"))?;
        }
        write.commit().map_err(failed("written"))
    }

    /// All that is owed, oldest first.
    pub fn owed(&self) -> Result<Vec<(String, Owed)>, LedgerError> {
        self.all(OUTBOX)
    }

    /// The server has it.
    pub fn paid(&self, id: &str) -> Result<(), LedgerError> {
        self.remove(OUTBOX, id)
    }

    /// The keys relied on for a correspondent so far; `of` is an address and what they are used for.
    pub fn known_keys(&self, of: &str) -> Result<Option<KnownKeys>, LedgerError> {
        self.get(CORRESPONDENTS, of)
    }

    /// Remembers them; whoever was not written to for longest is forgotten first.
    pub fn remember_keys(&self, of: &str, known: &KnownKeys) -> Result<(), LedgerError> {
        self.put(CORRESPONDENTS, of, known)?;
        let read = self.database.begin_read().map_err(failed("read"))?;
        let count = read.open_table(CORRESPONDENTS).map_err(failed("read"))?.len().map_err(failed("read"))?;
        if count <= CORRESPONDENTS_REMEMBERED {
            return Ok(());
        }
        let oldest = self.all::<KnownKeys>(CORRESPONDENTS)?.into_iter().min_by_key(|(_, known)| known.last);
        oldest.map_or(Ok(()), |(of, _)| self.remove(CORRESPONDENTS, &of))
    }

    fn put<T: Serialize>(&self, table: Table, key: &str, value: &T) -> Result<(), LedgerError> {
        let octets = serde_json::to_vec(value).map_err(failed("written"))?;
        let write = self.database.begin_write().map_err(failed("written"))?;
        write
            .open_table(table)
            .map_err(failed("written"))?
            .insert(key, octets.as_slice())
            .map_err(failed("written"))?;
        write.commit().map_err(failed("written"))
    }

    fn remove(&self, table: Table, key: &str) -> Result<(), LedgerError> {
        let write = self.database.begin_write().map_err(failed("written"))?;
        write.open_table(table).map_err(failed("written"))?.remove(key).map_err(failed("written"))?;
        write.commit().map_err(failed("written"))
    }

    fn get<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<T>, LedgerError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let table = read.open_table(table).map_err(failed("read"))?;
        let value = table.get(key).map_err(failed("read"))?;
        value.map(|value| serde_json::from_slice(value.value()).map_err(failed("read"))).transpose()
    }

    fn mails(&self, table: Table) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let table = read.open_table(table).map_err(failed("read"))?;
        let mut mails = Vec::new();
        for entry in table.iter().map_err(failed("read"))? {
            let (key, value) = entry.map_err(failed("read"))?;
            mails.push((key.value().to_owned(), value.value().to_vec()));
        }
        Ok(mails)
    }

    fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<(String, T)>, LedgerError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let table = read.open_table(table).map_err(failed("read"))?;
        let mut rows = Vec::new();
        for entry in table.iter().map_err(failed("read"))? {
            let (key, value) = entry.map_err(failed("read"))?;
            rows.push((key.value().to_owned(), serde_json::from_slice(value.value()).map_err(failed("read"))?));
        }
        Ok(rows)
    }
}

/// Makes room: the older half goes.
fn forget_the_oldest(seen: &mut redb::Table<'_, &'static str, &'static [u8]>) -> Result<(), LedgerError> {
    let mut all: Vec<(SystemTime, String)> = Vec::new();
    for entry in seen.iter().map_err(failed("read"))? {
        let (key, value) = entry.map_err(failed("read"))?;
        let at = serde_json::from_slice(value.value()).unwrap_or(SystemTime::UNIX_EPOCH);
        all.push((at, key.value().to_owned()));
    }
    all.sort();
    for (_, key) in all.iter().take(all.len() / 2) {
        seen.remove(key.as_str()).map_err(failed("written"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
