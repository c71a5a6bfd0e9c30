//! The history itself (C12, V5): a chain of entries, each with the SHA-256 of the one before it.
//!
//! Whoever changes, drops or reorders an entry breaks the chain at that place. Entries are idempotent by Message-ID
//! and recipient.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sealfax_client::history::{Digest256, Entry, Filter, Receipt, Transmission};
use sealfax_client::lookup::same_address;

use super::lines::Lines;

/// Name of the file inside the data folder.
const FILE: &str = "history.jsonl";

/// Why the history cannot be used or did not take an entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The disk failed.
    #[error("the history at {path} cannot be read or written; check the disk and its free space")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An entry does not fit the one before it.
    #[error("the history was tampered with at entry {index}: {why}; keep the file as evidence and restore a backup")]
    Tampered {
        /// The first entry that does not fit, counted from 0.
        index: u64,
        /// What does not fit.
        why: &'static str,
    },
    /// The same Message-ID and recipient stand there with other content.
    #[error("entry {index} already holds another transmission with this Message-ID and recipient")]
    Conflict {
        /// The entry that stands there.
        index: u64,
    },
    /// A field may not be stored.
    #[error("the field {0} is empty, too long, or holds control characters")]
    BadField(&'static str),
}

/// The chain, in memory and on disk.
#[derive(Debug)]
pub struct Chain {
    path: PathBuf,
    lines: Lines,
    entries: Vec<(Entry, Digest256)>,
    known: HashMap<(String, String), usize>,
}

impl Chain {
    /// Opens the history in the folder `data`, creating both if need be, and checks the whole chain.
    pub fn open(data: &Path) -> Result<Self, HistoryError> {
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| HistoryError::Disk { path, source }
        };
        std::fs::create_dir_all(data).map_err(disk(data))?;
        let path = data.join(FILE);
        let lines = Lines::open(&path).map_err(disk(&path))?;
        let mut chain = Self { path, lines, entries: Vec::new(), known: HashMap::new() };
        chain.refresh()?;
        Ok(chain)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// SHA-256 of the last entry: who knows it can tell a history that was rolled back.
    pub fn head(&self) -> Digest256 {
        self.entries.last().map_or(Digest256::default(), |(_, digest)| *digest)
    }

    /// Takes in `transmission` at `now`; when this returns it is on the disk.
    pub fn register(&mut self, transmission: Transmission, now: SystemTime) -> Result<Receipt, HistoryError> {
        transmission.check().map_err(HistoryError::BadField)?;
        let _lock = self.lines.lock().map_err(|source| self.disk(source))?;
        self.refresh()?;
        let key = key(&transmission);
        if let Some((entry, digest)) = self.known.get(&key).and_then(|at| self.entries.get(*at)) {
            if entry.transmission != transmission {
                return Err(HistoryError::Conflict { index: entry.index });
            }
            return Ok(Receipt { index: entry.index, digest: *digest, known: true });
        }
        let entry = Entry { index: self.entries.len() as u64, registered: now, previous: self.head(), transmission };
        let line = serde_json::to_string(&entry).map_err(|error| self.disk(error.into()))?;
        self.lines.append(&line).map_err(|source| self.disk(source))?;
        let digest = Digest256::of(line.as_bytes());
        let index = entry.index;
        self.known.insert(key, self.entries.len());
        self.entries.push((entry, digest));
        Ok(Receipt { index, digest, known: false })
    }

    /// The entries that `filter` selects, oldest first, at most `limit`.
    pub fn list(&self, filter: &Filter, limit: usize) -> Vec<Entry> {
        let fits = |wanted: &Option<String>, address: &str| {
            wanted.as_deref().is_none_or(|wanted| same_address(wanted, address))
        };
        self.entries
            .iter()
            .map(|(entry, _)| entry)
            .filter(|entry| {
                fits(&filter.sender, &entry.transmission.sender)
                    && fits(&filter.recipient, &entry.transmission.recipient)
                    && filter.since.is_none_or(|since| entry.registered >= since)
            })
            .take(limit)
            .cloned()
            .collect()
    }

    /// Reads what other processes appended, checking each link.
    fn refresh(&mut self) -> Result<(), HistoryError> {
        let fresh = self.lines.fresh().map_err(|source| self.disk(source))?;
        for line in fresh {
            let index = self.entries.len() as u64;
            let tampered = |why| HistoryError::Tampered { index, why };
            let entry: Entry = serde_json::from_str(&line).map_err(|_| tampered("it cannot be read"))?;
            if entry.index != index {
                return Err(tampered("its number is out of order"));
            }
            if entry.previous != self.head() {
                return Err(tampered("it does not follow the entry before"));
            }
            self.known.insert(key(&entry.transmission), self.entries.len());
            self.entries.push((entry, Digest256::of(line.as_bytes())));
        }
        Ok(())
    }

    fn disk(&self, source: io::Error) -> HistoryError {
        HistoryError::Disk { path: self.path.clone(), source }
    }
}

fn key(transmission: &Transmission) -> (String, String) {
    (transmission.message_id.clone(), transmission.recipient.clone())
}
