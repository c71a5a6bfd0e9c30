//! What both stores do with records and the tree over them.

use std::time::SystemTime;

use sealfax_client::history::{Digest256, Entry, Event, Leaf, Personal, Record};
use sealfax_client::seam::Entropy;
use tlog_tiles::tlog::Hash;

use super::HistoryError;

/// Reads a record, and holds its personal part against its leaf.
pub(super) fn entry(index: u64, leaf: &str, personal: Option<&str>) -> Result<Entry, HistoryError> {
    let parsed: Leaf = serde_json::from_str(leaf).map_err(|_| tampered(index, "it cannot be read"))?;
    if parsed.index != index {
        return Err(tampered(index, "another record stands at its place"));
    }
    let personal = match personal {
        None => None,
        Some(text) if Digest256::of(text.as_bytes()) != parsed.personal => {
            return Err(tampered(index, "its personal part was changed"));
        }
        Some(text) => {
            Some(serde_json::from_str(text).map_err(|_| tampered(index, "its personal part cannot be read"))?)
        }
    };
    Ok(Entry { leaf: parsed, personal })
}

pub(super) fn tampered(index: u64, why: &str) -> HistoryError {
    HistoryError::Tampered { index, why: why.to_owned() }
}

pub(super) fn digests(path: Vec<Hash>) -> Vec<Digest256> {
    path.into_iter().map(|hash| Digest256(hash.0)).collect()
}

/// Whether a record that stands in the log is `record`.
pub(super) fn is_of(leaf: &Leaf, personal: Option<&Personal>, record: &Record) -> bool {
    leaf.event == record.event
        && leaf.sent == record.sent
        && leaf.at == record.at
        && leaf.content_digest == record.content_digest
        && leaf.evidence_digest == record.evidence_digest
        && personal.is_none_or(|personal| *personal == Personal::of(record, personal.salt))
}

/// The number by which a store keeps an event: its position in the list, of which there are seven.
pub(super) fn number_of(event: Event) -> u8 {
    Event::ALL.iter().position(|known| *known == event).map_or(0, |at| at as u8)
}

/// The event of that number.
pub(super) fn event_of(number: impl TryInto<usize>) -> Option<Event> {
    Event::ALL.get(number.try_into().ok()?).copied()
}

/// A record as it goes into the log: both parts, and both as they are stored and hashed.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) leaf: Leaf,
    pub(super) leaf_text: String,
    pub(super) personal: Personal,
    pub(super) personal_text: String,
}

impl Stored {
    /// `record` as number `index`.
    pub(super) fn of(
        record: &Record,
        registrar: Option<Digest256>,
        index: u64,
        registered: SystemTime,
        entropy: &dyn Entropy,
    ) -> Result<Self, HistoryError> {
        let mut salt = Digest256::default();
        entropy.fill(&mut salt.0);
        let personal = Personal::of(record, salt);
        let personal_text = personal.text();
        let leaf = Leaf {
            index,
            registered,
            event: record.event,
            sent: record.sent,
            at: record.at,
            content_digest: record.content_digest,
            evidence_digest: record.evidence_digest,
            registrar,
            personal: Digest256::of(personal_text.as_bytes()),
        };
        let leaf_text = serde_json::to_string(&leaf).map_err(HistoryError::index)?;
        Ok(Self { leaf, leaf_text, personal, personal_text })
    }
}
