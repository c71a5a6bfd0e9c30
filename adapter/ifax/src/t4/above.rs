//! The line above the one that is read: the reference line of two-dimensional coding (T.4 clause 4.2.1.1), in the form in which
//! lines like it are read below it fastest.

use super::bits::BitReader;
use super::changes::Changes;
use super::line::{Edges, Turns};
use super::one_d::Damaged;
use super::{dense, sparse};

/// Pixels from change to change below which a line is dense: a dithered picture, not text.
const DENSE: u32 = 5;

/// A list of its changing elements, or, of a dense one, a bit for each pixel.
pub(super) struct Above {
    width: u32,
    is_dense: bool,
    changes: Changes,
    turns: Turns,
    /// That of the line that is read, while it is.
    current: Changes,
}

impl Above {
    /// Above the first line stands a white one.
    pub(super) fn new(width: u32) -> Self {
        let [changes, current] = [Changes::new(width), Changes::new(width)];
        Self { width, is_dense: false, changes, turns: Turns::new(width), current }
    }

    /// It is this line from now on.
    pub(super) fn take(&mut self, edges: &Edges) {
        self.is_dense = edges.count() > self.width / DENSE;
        if self.is_dense {
            self.turns.take(edges);
        } else {
            self.changes.take(edges, self.width);
        }
    }

    /// Reads the line below it, of which nothing has been changed yet; and then it is that one.
    pub(super) fn decode_next(&mut self, reader: &mut BitReader<'_>, edges: &mut Edges) -> Result<(), Damaged> {
        if self.is_dense {
            dense::decode(reader, &self.turns, self.width, edges)?;
            self.take(edges);
            return Ok(());
        }
        sparse::decode(reader, &self.changes, self.width, &mut self.current)?;
        edges.take(self.current.list());
        self.is_dense = self.current.list().len() > (self.width / DENSE) as usize;
        if self.is_dense {
            self.turns.take(edges);
        } else {
            std::mem::swap(&mut self.current, &mut self.changes);
        }
        Ok(())
    }
}
