//! The embedded store: one redb file, every commit on the disk before it returns.
//!
//! A mail's body is kept once, however many mailboxes and queue entries refer to it; the references are counted in
//! the same transaction that adds or removes them.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use sealfax_client::seam::Entropy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Delivery, NewItem, NoticeState, QueueItem, Store, StoreError, StoredMail};
use crate::accounts::Account;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const ACCOUNTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("accounts");
const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
const REFERENCES: TableDefinition<'_, u64, u32> = TableDefinition::new("references");
const BOXES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("boxes");
const QUEUE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("queue");
const NOTICES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("notices");

/// The format this program writes.
const FORMAT: u64 = 1;

/// An entry of a mailbox.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    body: u64,
    size: u64,
    sealed: bool,
    received: u64,
    reverse_path: Option<String>,
}

/// One redb file in the data folder.
pub struct EmbeddedStore {
    database: Database,
    /// Part of every unique-id, so that a folder made anew never repeats one.
    token: u64,
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedStore")
    }
}

fn database(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Database(Box::new(error.into()))
}

fn decode<T: DeserializeOwned>(octets: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(octets).map_err(StoreError::Damaged)
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(StoreError::Damaged)
}

impl EmbeddedStore {
    /// Opens the store in `folder`, making both when missing.
    pub fn open(folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(StoreError::Folder)?;
        let file = folder.join("mail.redb");
        // An empty file is a new database; made here, because the database would let everybody read people's mail.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&file)
            .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
            .map_err(StoreError::Folder)?;
        let database_file = Database::create(&file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
            other => database(other),
        })?;
        // The file's name itself must survive a power cut.
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::Folder)?;
        let write = database_file.begin_write().map_err(database)?;
        let token;
        {
            let mut meta = write.open_table(META).map_err(database)?;
            let found = meta.get("format").map_err(database)?.map(|value| value.value());
            match found {
                None => {
                    let mut octets = [0u8; 8];
                    entropy.fill(&mut octets);
                    meta.insert("format", FORMAT).map_err(database)?;
                    meta.insert("token", u64::from_le_bytes(octets)).map_err(database)?;
                }
                Some(FORMAT) => {}
                Some(found) => return Err(StoreError::Format { found, known: FORMAT }),
            }
            token = meta.get("token").map_err(database)?.map_or(0, |value| value.value());
            write.open_table(ACCOUNTS).map_err(database)?;
            write.open_table(BODIES).map_err(database)?;
            write.open_table(REFERENCES).map_err(database)?;
            write.open_table(BOXES).map_err(database)?;
            write.open_table(QUEUE).map_err(database)?;
            write.open_table(NOTICES).map_err(database)?;
        }
        write.commit().map_err(database)?;
        Ok(Self { database: database_file, token })
    }
}

/// The next number of a sequence; numbers are never used again.
fn next_number(write: &WriteTransaction, sequence: &str) -> Result<u64, StoreError> {
    let mut meta = write.open_table(META).map_err(database)?;
    let number = meta.get(sequence).map_err(database)?.map_or(1, |value| value.value());
    meta.insert(sequence, number + 1).map_err(database)?;
    Ok(number)
}

fn add_references(write: &WriteTransaction, body: u64, count: u32) -> Result<(), StoreError> {
    let mut references = write.open_table(REFERENCES).map_err(database)?;
    let held = references.get(body).map_err(database)?.map_or(0, |value| value.value());
    references.insert(body, held + count).map_err(database)?;
    Ok(())
}

fn drop_reference(write: &WriteTransaction, body: u64) -> Result<(), StoreError> {
    let mut references = write.open_table(REFERENCES).map_err(database)?;
    let held = references.get(body).map_err(database)?.map_or(0, |value| value.value());
    if held > 1 {
        references.insert(body, held - 1).map_err(database)?;
    } else {
        references.remove(body).map_err(database)?;
        write.open_table(BODIES).map_err(database)?.remove(body).map_err(database)?;
    }
    Ok(())
}

fn keep(write: &WriteTransaction, delivery: &Delivery) -> Result<(), StoreError> {
    let count = u32::try_from(delivery.mailboxes.len() + delivery.queue.len()).unwrap_or(u32::MAX);
    if count == 0 {
        return Ok(());
    }
    let body = next_number(write, "next")?;
    write.open_table(BODIES).map_err(database)?.insert(body, delivery.mail.as_slice()).map_err(database)?;
    add_references(write, body, count)?;
    let mut boxes = write.open_table(BOXES).map_err(database)?;
    let mut notices = write.open_table(NOTICES).map_err(database)?;
    for account in &delivery.mailboxes {
        let entry = Entry {
            body,
            size: (delivery.mail.len() + return_path(delivery.reverse_path.as_deref()).len()) as u64,
            sealed: delivery.sealed,
            received: delivery.now,
            reverse_path: delivery.reverse_path.clone(),
        };
        let id = next_number(write, "next")?;
        boxes.insert((account.as_str(), id), encode(&entry)?.as_slice()).map_err(database)?;
        if delivery.sealed {
            let known: Option<NoticeState> =
                notices.get(account.as_str()).map_err(database)?.map(|value| decode(value.value())).transpose()?;
            let state = match known {
                // One is due or was just sent: this mail rides with the next.
                Some(state) => NoticeState { expires: delivery.notice_expires, ..state },
                None => NoticeState {
                    account: account.clone(),
                    last_sent: None,
                    attempts: 0,
                    next: delivery.now,
                    expires: delivery.notice_expires,
                },
            };
            notices.insert(account.as_str(), encode(&state)?.as_slice()).map_err(database)?;
        }
    }
    let mut queue = write.open_table(QUEUE).map_err(database)?;
    for NewItem { route, recipients, expires } in &delivery.queue {
        let id = next_number(write, "next")?;
        let item = QueueItem {
            id,
            body,
            route: route.clone(),
            reverse_path: delivery.reverse_path.clone(),
            recipients: recipients.clone(),
            attempts: 0,
            next: delivery.now,
            expires: *expires,
            queued: delivery.now,
            last_error: String::new(),
            delivered: false,
        };
        queue.insert(id, encode(&item)?.as_slice()).map_err(database)?;
    }
    Ok(())
}

/// `Return-Path` as final delivery adds it (RFC 5321, 4.4).
fn return_path(reverse_path: Option<&str>) -> String {
    format!("Return-Path: <{}>\r\n", reverse_path.unwrap_or(""))
}

fn entries<'txn>(
    boxes: &Table<'txn, (&'static str, u64), &'static [u8]>,
    account: &str,
) -> Result<Vec<(u64, Entry)>, StoreError> {
    let mut found = Vec::new();
    for row in boxes.range((account, 0)..=(account, u64::MAX)).map_err(database)? {
        let (key, value) = row.map_err(database)?;
        found.push((key.value().1, decode(value.value())?));
    }
    Ok(found)
}

impl Store for EmbeddedStore {
    fn deliver(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(database)?;
        keep(&write, delivery)?;
        write.commit().map_err(database)
    }

    fn list(&self, account: &str) -> Result<Vec<StoredMail>, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let boxes = read.open_table(BOXES).map_err(database)?;
        let mut mails = Vec::new();
        for row in boxes.range((account, 0)..=(account, u64::MAX)).map_err(database)? {
            let (key, value) = row.map_err(database)?;
            let id = key.value().1;
            let entry: Entry = decode(value.value())?;
            mails.push(StoredMail {
                id,
                uid: format!("{:016x}-{id:x}", self.token),
                size: entry.size,
                sealed: entry.sealed,
                received: entry.received,
            });
        }
        Ok(mails)
    }

    fn read(&self, account: &str, id: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let boxes = read.open_table(BOXES).map_err(database)?;
        let Some(entry) = boxes.get((account, id)).map_err(database)? else {
            return Ok(None);
        };
        let entry: Entry = decode(entry.value())?;
        let bodies = read.open_table(BODIES).map_err(database)?;
        let Some(body) = bodies.get(entry.body).map_err(database)? else {
            return Ok(None);
        };
        let mut mail = return_path(entry.reverse_path.as_deref()).into_bytes();
        mail.extend_from_slice(body.value());
        Ok(Some(mail))
    }

    fn delete(&self, account: &str, ids: &[u64], now: u64) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(database)?;
        {
            let mut boxes = write.open_table(BOXES).map_err(database)?;
            for &id in ids {
                let removed = boxes.remove((account, id)).map_err(database)?;
                let entry: Option<Entry> = removed.map(|value| decode(value.value())).transpose()?;
                if let Some(entry) = entry {
                    drop_reference(&write, entry.body)?;
                }
            }
            let mut notices = write.open_table(NOTICES).map_err(database)?;
            let known: Option<NoticeState> =
                notices.get(account).map_err(database)?.map(|value| decode(value.value())).transpose()?;
            if let Some(state) = known {
                let left = entries(&boxes, account)?;
                if !left.iter().any(|(_, entry)| entry.sealed) {
                    notices.remove(account).map_err(database)?;
                } else if let Some(last) = state.last_sent
                    && left.iter().any(|(_, entry)| entry.sealed && entry.received > last)
                {
                    let state = NoticeState { next: now, ..state };
                    notices.insert(account, encode(&state)?.as_slice()).map_err(database)?;
                }
            }
        }
        write.commit().map_err(database)
    }

    fn due(&self, now: u64) -> Result<(Vec<QueueItem>, Option<u64>), StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let queue = read.open_table(QUEUE).map_err(database)?;
        let mut due = Vec::new();
        let mut next: Option<u64> = None;
        for row in queue.iter().map_err(database)? {
            let item: QueueItem = decode(row.map_err(database)?.1.value())?;
            if item.next <= now {
                due.push(item);
            } else {
                next = Some(next.map_or(item.next, |next| next.min(item.next)));
            }
        }
        Ok((due, next))
    }

    fn queued_body(&self, item: &QueueItem) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let bodies = read.open_table(BODIES).map_err(database)?;
        let body = bodies.get(item.body).map_err(database)?.map(|value| value.value().to_vec());
        Ok(body)
    }

    fn settle(&self, id: u64, item: Option<&QueueItem>, then: Option<&Delivery>) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(database)?;
        {
            let mut queue = write.open_table(QUEUE).map_err(database)?;
            match item {
                Some(item) => {
                    queue.insert(id, encode(item)?.as_slice()).map_err(database)?;
                }
                None => {
                    let removed = queue.remove(id).map_err(database)?;
                    let item: Option<QueueItem> = removed.map(|value| decode(value.value())).transpose()?;
                    if let Some(item) = item {
                        drop_reference(&write, item.body)?;
                    }
                }
            }
        }
        if let Some(delivery) = then {
            keep(&write, delivery)?;
        }
        write.commit().map_err(database)
    }

    fn notices_due(&self, now: u64) -> Result<(Vec<NoticeState>, Option<u64>), StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let notices = read.open_table(NOTICES).map_err(database)?;
        let mut due = Vec::new();
        let mut next: Option<u64> = None;
        for row in notices.iter().map_err(database)? {
            let state: NoticeState = decode(row.map_err(database)?.1.value())?;
            if state.next <= now {
                due.push(state);
            } else {
                next = Some(next.map_or(state.next, |next| next.min(state.next)));
            }
        }
        Ok((due, next))
    }

    fn settle_notice(&self, was: &NoticeState, state: Option<&NoticeState>) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(database)?;
        {
            let mut notices = write.open_table(NOTICES).map_err(database)?;
            let account = was.account.as_str();
            let known: Option<NoticeState> =
                notices.get(account).map_err(database)?.map(|value| decode(value.value())).transpose()?;
            if let Some(known) = known.filter(|known| known.next == was.next && known.last_sent == was.last_sent) {
                match state {
                    Some(state) => {
                        let state = NoticeState { expires: known.expires.max(state.expires), ..state.clone() };
                        notices.insert(account, encode(&state)?.as_slice()).map_err(database)?;
                    }
                    None => {
                        notices.remove(account).map_err(database)?;
                    }
                }
            }
        }
        write.commit().map_err(database)
    }

    fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let read = self.database.begin_read().map_err(database)?;
        let accounts = read.open_table(ACCOUNTS).map_err(database)?;
        let mut found = Vec::new();
        for row in accounts.iter().map_err(database)? {
            found.push(decode(row.map_err(database)?.1.value())?);
        }
        Ok(found)
    }

    fn put_account(&self, account: &Account) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(database)?;
        {
            let mut accounts = write.open_table(ACCOUNTS).map_err(database)?;
            accounts.insert(account.address.as_str(), encode(account)?.as_slice()).map_err(database)?;
        }
        write.commit().map_err(database)
    }

    fn remove_account(&self, address: &str) -> Result<bool, StoreError> {
        let write = self.database.begin_write().map_err(database)?;
        let existed;
        {
            let mut accounts = write.open_table(ACCOUNTS).map_err(database)?;
            existed = accounts.remove(address).map_err(database)?.is_some();
            let mut boxes = write.open_table(BOXES).map_err(database)?;
            for (id, entry) in entries(&boxes, address)? {
                boxes.remove((address, id)).map_err(database)?;
                drop_reference(&write, entry.body)?;
            }
            write.open_table(NOTICES).map_err(database)?.remove(address).map_err(database)?;
        }
        write.commit().map_err(database)?;
        Ok(existed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use sealfax_client::seam::SystemEntropy;

    use super::*;

    #[test]
    fn nobody_else_may_read_peoples_mail() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        for _ in 0..2 {
            drop(EmbeddedStore::open(&data, &entropy).unwrap());
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&data), mode(&data.join("mail.redb"))), (0o700, 0o600));
        }
    }
}
