//! A line as the list of its changing elements (T.4 clause 4.2.1.1), made to be read ahead of and written behind without asking how
//! long it is.

use super::line::Edges;
use super::two_d::Reference;
use crate::page::MAX_WIDTH;

/// Where the list begins: there is something before it, so that one may step back from its first entry.
pub(super) const FIRST: usize = 2;
/// Entries that are read or written at once.
pub(super) const AT_ONCE: usize = 8;
/// How often the width stands behind the list: for b1, b2 and all that is read at once with them.
const ENDS: usize = AT_ONCE + 4;
/// A power of two, so that an index is made to fit rather than asked whether it does.
const ROOM: usize = 8192;
/// Most entries that may be written before [`Changes::is_too_long`] is asked again.
const SLACK: usize = 1024;
const _: () = assert!(FIRST + MAX_WIDTH as usize + 1 + SLACK + ENDS < ROOM);

/// Far more than any line has, and as many more than [`ROOM`] as are read at once.
pub(super) struct Entries([u16; ROOM + AT_ONCE]);

impl Entries {
    /// The entry at an index.
    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> u32 {
        self.0.get(index % ROOM).map_or(0, |at| u32::from(*at))
    }

    /// Sets an entry.
    #[inline(always)]
    pub(super) fn set(&mut self, index: usize, at: u32) {
        if let Some(entry) = self.0.get_mut(index % ROOM) {
            *entry = at as u16;
        }
    }

    /// Sets [`AT_ONCE`] entries to those of another list.
    #[inline(always)]
    pub(super) fn copy(&mut self, index: usize, other: &Self, from: usize) {
        let entries = other.0.get(from % ROOM..).and_then(<[u16]>::first_chunk::<AT_ONCE>);
        let to = self.0.get_mut(index % ROOM..).and_then(<[u16]>::first_chunk_mut::<AT_ONCE>);
        if let (Some(entries), Some(to)) = (entries, to) {
            *to = *entries;
        }
    }
}

/// Changing elements in ascending order; those with even numbers turn black, for a line begins white. Behind them stands the width.
pub(super) struct Changes {
    entries: Box<Entries>,
    /// One behind the last entry.
    end: usize,
}

impl Changes {
    /// Of a white line.
    pub(super) fn new(width: u32) -> Self {
        let mut changes = Self { entries: Box::new(Entries([0; _])), end: FIRST };
        changes.finish(width);
        changes
    }

    pub(super) fn clear(&mut self) {
        self.end = FIRST;
    }

    /// Its entries, and those behind them.
    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// As [`Changes::entries`]; what is set behind the end is none until [`Changes::set_end`] says so.
    pub(super) fn entries_mut(&mut self) -> &mut Entries {
        &mut self.entries
    }

    /// One behind the index of the last entry.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The list ends before this index, up to which entries were set.
    pub(super) fn set_end(&mut self, end: usize) {
        self.end = end;
    }

    /// More entries than any line of this width can have.
    pub(super) fn is_too_long(&self, width: u32) -> bool {
        self.end > FIRST + width as usize + 1
    }

    /// Appends a changing element; a run of no pixels inside the line joins its neighbours.
    #[inline]
    pub(super) fn change(&mut self, at: u32) {
        if self.end > FIRST && self.entries.at(self.end - 1) == at {
            self.end -= 1;
        } else {
            self.entries.set(self.end, at);
            self.end += 1;
        }
    }

    /// Takes over those of a line that is about to be painted.
    pub(super) fn take(&mut self, edges: &Edges, width: u32) {
        self.clear();
        edges.each(|at| {
            self.entries.set(self.end, at);
            self.end += 1;
        });
        self.finish(width);
    }

    /// The line is complete. What stands at its end is no change.
    pub(super) fn finish(&mut self, width: u32) {
        while self.end > FIRST && self.entries.at(self.end - 1) >= width {
            self.end -= 1;
        }
        for index in self.end..self.end + ENDS {
            self.entries.set(index, width);
        }
    }

    /// The list.
    pub(super) fn list(&self) -> &[u16] {
        self.entries.0.get(FIRST..self.end).unwrap_or_default()
    }
}

impl Reference for Changes {
    fn turn(&self, to_black: bool, from: u32) -> u32 {
        let index = FIRST + self.list().partition_point(|at| u32::from(*at) < from);
        self.entries.at(if to_black == (index % 2 == FIRST % 2) { index } else { index + 1 })
    }
}
