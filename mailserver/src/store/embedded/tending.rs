//! Looking after a store that nobody uses: whether it is whole, and making it whole from its log.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use redb::ReadableTable;
use sealfax_client::seam::Entropy;

use super::change::{Cursor, Place};
use super::frame::{self, Frame};
use super::index::{self, Index};
use super::segments::Segments;
use super::tables::database;
use super::{EmbeddedStore, log_folder};
use crate::store::{QueueItem, StoreError};

/// Something about a store that should not be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Its stable name.
    pub name: &'static str,
    /// Whether mail is touched by it; where not, the store works.
    pub serious: bool,
    /// What, and where.
    pub text: String,
}

impl Finding {
    fn new(name: &'static str, serious: bool, text: impl Into<String>) -> Self {
        Self { name, serious, text: text.into() }
    }
}

/// Walks through every frame of the log, over whatever is none.
fn walk(
    segments: &Segments,
    token: u64,
    mut each: impl FnMut(Frame, Cursor) -> Result<(), StoreError>,
) -> Result<(Cursor, Vec<Finding>), StoreError> {
    let list = segments.list().map_err(StoreError::Disk)?;
    let (last, mut findings, mut end) = (list.last().copied(), Vec::new(), Cursor::START);
    for segment in list {
        if end.number > segment || (end != Cursor::START && end.number < segment && last == Some(segment)) {
            let text = format!("segment {segment:016x} does not follow frame {}", end.number);
            findings.push(Finding::new("LOG-003", true, text));
        }
        end = Cursor { segment, offset: 0, number: segment };
        let file = segments.file(segment).map_err(StoreError::Disk)?;
        let length = file.metadata().map_err(StoreError::Disk)?.len();
        while end.offset < length {
            if let Some(frame) = frame::read(&file, token, length, end).map_err(StoreError::Disk)? {
                let after = Cursor { offset: end.offset + frame.octets, number: end.number + 1, ..end };
                each(frame, after)?;
                end = after;
                continue;
            }
            let behind = Cursor { number: end.number + 1, ..end };
            match frame::find(&file, token, length, behind).map_err(StoreError::Disk)? {
                Some(next) => {
                    let lost = next.offset - end.offset;
                    let text = format!("segment {segment:016x}: {lost} octets from {} on are no frame", end.offset);
                    findings.push(Finding::new("LOG-001", false, text));
                    end = next;
                }
                // What was being written when the power went, or space that was taken ahead.
                None if last == Some(segment) => break,
                None => {
                    let text = format!("segment {segment:016x}: from octet {} on there is no frame", end.offset);
                    findings.push(Finding::new("LOG-002", false, text));
                    break;
                }
            }
        }
    }
    Ok((end, findings))
}

/// Who wants which body, by the mailboxes and the queue.
fn wanted(index: &Index) -> Result<BTreeMap<u64, Vec<String>>, StoreError> {
    let mut wanted: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    index.with_tables(|tables| {
        for row in tables.boxes.iter().map_err(database)? {
            let (key, row) = row.map_err(database)?;
            wanted.entry(row.value().0).or_default().push(key.value().0.to_owned());
        }
        Ok(())
    })?;
    for item in index.queue()? {
        let QueueItem { body, recipients, .. } = item;
        wanted.entry(body).or_default().push(format!("the queue, for {}", recipients.join(", ")));
    }
    Ok(wanted)
}

fn places(index: &Index) -> Result<Vec<(u64, Place, u32)>, StoreError> {
    index.with_tables(|tables| {
        let rows = tables.bodies.iter().map_err(database)?;
        rows.map(|row| {
            let (key, row) = row.map_err(database)?;
            let (segment, offset, length, crc, references) = row.value();
            Ok((key.value(), Place { segment, offset, length, crc }, references))
        })
        .collect()
    })
}

fn look(index: &mut Index, segments: &Segments) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    if !index.is_whole()? {
        findings.push(Finding::new("INDEX-001", true, "the index was not whole"));
    }
    findings.extend(walk(segments, index.token(), |_, _| Ok(()))?.1);
    let mut wanted = wanted(index)?;
    for (body, place, references) in places(index)? {
        let by = wanted.remove(&body).unwrap_or_default();
        if by.len() != references as usize {
            let text = format!("mail {body} is wanted {} times, the index counts {references}", by.len());
            findings.push(Finding::new("INDEX-002", true, text));
        }
        let whole = segments.file(place.segment).and_then(|file| frame::is_whole(&file, &place));
        if !whole.unwrap_or(false) {
            let text = format!("mail {body} ({} octets, {}) is damaged", place.length, by.join(", "));
            findings.push(Finding::new("MAIL-001", true, text));
        }
    }
    for (body, by) in wanted {
        findings.push(Finding::new("INDEX-003", true, format!("mail {body} of {} is not there", by.join(", "))));
    }
    Ok(findings)
}

impl EmbeddedStore {
    /// Says what is wrong with the store of a folder that no server uses. Reads every mail.
    pub fn check(folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Vec<Finding>, StoreError> {
        if !index::path(folder).exists() {
            let text = format!("{} has no index", folder.display());
            return Ok(vec![Finding::new("INDEX-001", true, text)]);
        }
        match Self::open(folder, entropy) {
            // Half-written ends are cut off, and the index is brought up to the log.
            Ok(store) => drop(store),
            Err(StoreError::Database(error)) => {
                return Ok(vec![Finding::new("INDEX-001", true, format!("the index cannot be opened: {error}"))]);
            }
            Err(error @ StoreError::LogDamaged { .. }) => {
                return Ok(vec![Finding::new("LOG-001", true, error.to_string())]);
            }
            Err(error) => return Err(error),
        }
        let segments = Segments::open(&log_folder(folder)).map_err(StoreError::Folder)?;
        look(&mut Index::open(folder, entropy.as_ref())?, &segments)
    }

    /// Makes the index of a folder anew from its log, and says what was lost on the way. The old index stays beside it; what is
    /// left of damaged mails goes into the folder `damaged`.
    pub fn repair(folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Vec<Finding>, StoreError> {
        let path = index::path(folder);
        if let Err(StoreError::InUse) = Index::open(folder, entropy.as_ref()) {
            return Err(StoreError::InUse);
        }
        let mut kept = 1;
        while folder.join(format!("index.redb.old-{kept}")).exists() {
            kept += 1;
        }
        std::fs::rename(&path, folder.join(format!("index.redb.old-{kept}"))).map_err(StoreError::Folder)?;
        let index = Index::open(folder, entropy.as_ref())?;
        let segments = Segments::open(&log_folder(folder)).map_err(StoreError::Folder)?;
        let (end, mut findings) = walk(&segments, index.token(), |frame, end| {
            index.with_tables(|tables| tables.put_number("next", frame.next))?;
            index.apply(&frame.changes, end).map(drop)
        })?;
        index.with_tables(|tables| tables.put_cursor(end))?;
        for (body, place, _) in places(&index)? {
            let file = segments.file(place.segment).map_err(StoreError::Disk)?;
            if frame::is_whole(&file, &place).map_err(StoreError::Disk)? {
                continue;
            }
            let (boxes, queued) = index.with_tables(|tables| tables.lose(body))?;
            let octets = read_anyhow(&segments, &place);
            // A hole: it was deleted, by a change that went with its segment.
            if octets.iter().all(|octet| *octet == 0) {
                continue;
            }
            let saved = folder.join("damaged").join(format!("{body}.eml"));
            super::make(&folder.join("damaged")).map_err(StoreError::Folder)?;
            let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&saved);
            file.and_then(|mut file| file.write_all(&octets)).map_err(StoreError::Folder)?;
            let whose = boxes.join(", ");
            let text = format!("mail {body} of [{whose}] and {queued} in the queue is damaged: {}", saved.display());
            findings.push(Finding::new("MAIL-001", true, text));
        }
        index.checkpoint()?;
        Ok(findings)
    }
}

/// Its octets, whatever they are.
fn read_anyhow(segments: &Segments, place: &Place) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let mut octets = vec![0u8; usize::try_from(place.length).unwrap_or_default()];
    if let Ok(file) = segments.file(place.segment) {
        let _ = file.read_exact_at(&mut octets, place.offset);
    }
    octets
}
