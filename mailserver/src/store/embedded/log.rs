//! The log: every commit is one frame at its end, on the disk before anybody is told (one `fdatasync` for all who waited).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate};

use super::change::{Change, Cursor, Logged, Place};
use super::frame;
use super::segments::Segments;
use crate::store::StoreError;

/// How large a segment grows.
pub(super) const SEGMENT: u64 = 64 << 20;
/// Space that is kept for what makes space: deletions, and the end of what is queued.
const RESERVE: u64 = 256 << 10;
/// How far ahead space is taken, at least and at most.
const AHEAD: (u64, u64) = (1 << 20, 16 << 20);
/// Bodies up to this length are copied together; longer ones are written from where they are.
const SMALL: usize = 32 << 10;

/// The log's end.
#[derive(Debug)]
pub(super) struct Log {
    segments: Arc<Segments>,
    token: u64,
    file: Arc<File>,
    /// Where the next frame goes.
    end: Cursor,
    /// Octets of the current segment whose space is ours.
    taken: u64,
}

/// Why nothing was appended.
#[derive(Debug)]
pub(super) enum NotAppended {
    /// There is no space; the log is as it was.
    Full(io::Error),
    /// It may be anything: the log has to be opened anew.
    Broken(io::Error),
}

impl Log {
    /// Opens the log and tells `each` what it holds behind `known`. What a power cut left half-written at its end, which
    /// nobody was told of, is cut off; anything else that is no frame is damage.
    pub(super) fn open(
        segments: Arc<Segments>,
        token: u64,
        known: Cursor,
        mut each: impl FnMut(Vec<Logged>, Cursor) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let list = segments.list().map_err(StoreError::Folder)?;
        let Some(last) = list.last().copied() else {
            if known != Cursor::START {
                return Err(StoreError::LogMissing);
            }
            let file = segments.create(known.segment).map_err(StoreError::Folder)?;
            return Ok(Self { segments, token, file, end: known, taken: 0 });
        };
        if !list.contains(&known.segment) {
            return Err(StoreError::LogMissing);
        }
        let mut end = known;
        for segment in list.into_iter().filter(|segment| *segment >= known.segment) {
            if segment != end.segment {
                end = Cursor { segment, offset: 0, ..end };
            }
            let file = segments.file(segment).map_err(StoreError::Folder)?;
            let length = file.metadata().map_err(StoreError::Folder)?.len();
            loop {
                let read = frame::read(&file, token, length, end).map_err(StoreError::Disk)?;
                let Some(frame) = read else { break };
                let bodies = frame.changes.iter().filter_map(|logged| logged.body);
                let whole = bodies.map(|place| frame::is_whole(&file, &place)).collect::<io::Result<Vec<bool>>>();
                if whole.map_err(StoreError::Disk)?.contains(&false) {
                    break;
                }
                end = Cursor { offset: end.offset + frame.octets, number: end.number + 1, ..end };
                each(frame.changes, end)?;
            }
            let damaged = if segment == last {
                let behind = Cursor { number: end.number + 1, ..end };
                frame::find(&file, token, length, behind).map_err(StoreError::Disk)?.is_some()
            } else {
                end.offset != length
            };
            if damaged {
                return Err(StoreError::LogDamaged { segment, offset: end.offset });
            }
        }
        let file = segments.file(last).map_err(StoreError::Folder)?;
        file.set_len(end.offset).and_then(|()| file.sync_all()).map_err(StoreError::Disk)?;
        Ok(Self { segments, token, file, end, taken: end.offset })
    }

    /// Where the next frame goes.
    pub(super) fn end(&self) -> Cursor {
        self.end
    }

    /// Whether the next frame should begin a new segment.
    pub(super) fn is_full(&self) -> bool {
        self.end.offset >= SEGMENT
    }

    /// Begins a new segment.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        self.file.set_len(self.end.offset)?;
        self.file.sync_all()?;
        let segment = self.end.number;
        self.file = self.segments.create(segment)?;
        self.end = Cursor { segment, offset: 0, ..self.end };
        self.taken = 0;
        Ok(())
    }

    /// Writes the changes and their bodies through to the disk as one frame; says where each body is. `next` is the number
    /// that the first new mail among them gets.
    pub(super) fn append(&mut self, next: u64, changes: &[Change]) -> Result<Vec<Option<Place>>, NotAppended> {
        let composed = frame::compose(self.token, next, changes, self.end);
        let (head, places, octets) = composed.map_err(NotAppended::Broken)?;
        let brings_mail = places.iter().any(Option::is_some);
        self.take_space(octets + if brings_mail { RESERVE } else { 0 }).map_err(NotAppended::Full)?;
        self.write(head, changes).and_then(|()| self.file.sync_data()).map_err(NotAppended::Broken)?;
        self.end = Cursor { offset: self.end.offset + octets, number: self.end.number + 1, ..self.end };
        Ok(places)
    }

    fn write(&self, mut together: Vec<u8>, changes: &[Change]) -> io::Result<()> {
        let mut offset = self.end.offset;
        for body in changes.iter().filter_map(Change::body).flatten() {
            if body.len() <= SMALL {
                together.extend_from_slice(body);
                continue;
            }
            self.file.write_all_at(&together, offset)?;
            offset += together.len() as u64;
            together.clear();
            self.file.write_all_at(body, offset)?;
            offset += body.len() as u64;
        }
        self.file.write_all_at(&together, offset)
    }

    /// Makes sure that this many octets can be written behind the end.
    fn take_space(&mut self, octets: u64) -> io::Result<()> {
        let least = self.end.offset + octets;
        if least <= self.taken {
            return Ok(());
        }
        let ahead = self.taken.saturating_add(self.end.offset.clamp(AHEAD.0, AHEAD.1)).max(least);
        for until in [ahead, least] {
            match fallocate(&*self.file, FallocateFlags::empty(), self.taken, until - self.taken) {
                // A file system that cannot promise space says so when it is written to.
                Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {
                    self.taken = until;
                    return Ok(());
                }
                Err(error) if until == least => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok(())
    }
}
