//! Checks a whole history from its folder, with nothing but the public key: every record against the tree, the tree against
//! what was signed. Where something does not fit, it says at which record.

use std::path::Path;

use sealfax_client::history::{Checkpoint, Digest256, Leaf, LogKey};
use tlog_tiles::tlog::{self, Hash};

use super::HistoryError;
use super::embedded::{Frame, Frames, Next, first_changed};

/// What a good history says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its head.
    pub head: Checkpoint,
    /// Records whose personal part was erased.
    pub erased: u64,
    /// Records after the last checkpoint: taken in just now, or left unfinished by a power cut; nobody was answered.
    pub unfinished: u64,
}

/// The right edge of the tree: roots of full subtrees, the largest first (RFC 9162, 2.1.1).
#[derive(Debug, Clone, Default)]
struct Edge(Vec<(u8, Hash)>);

impl Edge {
    fn push(&mut self, leaf: Hash) {
        let mut node = (0, leaf);
        while let Some((level, left)) = self.0.pop_if(|last| last.0 == node.0) {
            node = (level + 1, tlog::node_hash(left, node.1));
        }
        self.0.push(node);
    }

    fn root(&self) -> Digest256 {
        let mut right = self.0.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = right.next() else { return Digest256(tlog::EMPTY_HASH.0) };
        Digest256(right.fold(last, |right, left| tlog::node_hash(left, right)).0)
    }
}

/// Checks the history in `folder`. `seen` are checkpoints that somebody got from it earlier: the history has to hold them.
/// `progress` hears of every 65,536th record.
pub fn verify(
    folder: &Path,
    key: &LogKey,
    seen: &[Checkpoint],
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, HistoryError> {
    let mut check =
        Check { folder, edge: Edge::default(), records: 0, erased: 0, good: (0, 0), group: Vec::new(), last: None };
    let mut frames = Frames::of(folder)?;
    let mut seen = seen.to_vec();
    seen.sort_by_key(|checkpoint| checkpoint.size);
    let mut seen = seen.into_iter().peekable();
    loop {
        while let Some(earlier) = seen.next_if(|earlier| earlier.size == check.records) {
            if earlier.root != check.edge.root() {
                return Err(
                    check.tampered("one of the records up to here is not what it was when its receipt was given")
                );
            }
        }
        match frames.next().map_err(HistoryError::disk(folder))? {
            Next::Frame(Frame::Record { leaf, personal }) => {
                check.record(&leaf, personal.as_deref())?;
                if check.records.is_multiple_of(1 << 16) {
                    progress(check.records);
                }
            }
            Next::Frame(Frame::Checkpoint(note)) => check.checkpoint(note, key)?,
            Next::End => break,
            Next::Broken => {
                if frames.resumes()? {
                    return Err(check.tampered("it is no whole record"));
                }
                break;
            }
        }
    }
    if let Some(earlier) = seen.next() {
        let why = format!("the history ends here, and held {} records once: it was rolled back", earlier.size);
        return Err(check.tampered(&why));
    }
    check.end(key)
}

struct Check<'a> {
    folder: &'a Path,
    edge: Edge,
    records: u64,
    erased: u64,
    /// Records, and erased ones, under the last checkpoint.
    good: (u64, u64),
    /// Hashes of the records since.
    group: Vec<Hash>,
    last: Option<(Checkpoint, String)>,
}

impl Check<'_> {
    fn tampered(&self, why: &str) -> HistoryError {
        HistoryError::Tampered { index: self.records, why: why.to_owned() }
    }

    fn record(&mut self, leaf: &str, personal: Option<&str>) -> Result<(), HistoryError> {
        let parsed: Leaf = serde_json::from_str(leaf).map_err(|_| self.tampered("it cannot be read"))?;
        if parsed.index != self.records {
            let why = format!("record {} stands here: one was dropped, or they were reordered", parsed.index);
            return Err(self.tampered(&why));
        }
        match personal {
            Some(text) if Digest256::of(text.as_bytes()) != parsed.personal => {
                return Err(self.tampered("its personal part was changed"));
            }
            Some(_) => {}
            None => self.erased += 1,
        }
        let hash = tlog::record_hash(leaf.as_bytes());
        self.edge.push(hash);
        self.group.push(hash);
        self.records += 1;
        Ok(())
    }

    /// The text of every checkpoint is held against the tree; the signature of the last one vouches for all before it.
    fn checkpoint(&mut self, note: String, key: &LogKey) -> Result<(), HistoryError> {
        let here = Checkpoint { size: self.records, root: self.edge.root() };
        let says = said(&note);
        if says != Some(here) {
            // Whose fault it is: a record under a good checkpoint, or the checkpoint itself.
            let signed = key.checkpoint(&note).is_ok();
            let first = self.good.0;
            let changed = first_changed(self.folder, first, &self.group);
            let index = changed.unwrap_or(first);
            let why = match (signed, says) {
                (false, _) => "the checkpoint after it is not signed by the history's key".to_owned(),
                (true, Some(says)) if says.size != self.records => {
                    format!("{} records were signed here, and {} are there", says.size, self.records)
                }
                _ if changed.is_some() => "it is not what was signed".to_owned(),
                _ => format!("it, or another one up to {}, is not what was signed", self.records.saturating_sub(1)),
            };
            return Err(HistoryError::Tampered { index, why });
        }
        self.good = (self.records, self.erased);
        self.group.clear();
        self.last = Some((here, note));
        Ok(())
    }

    fn end(self, key: &LogKey) -> Result<Verified, HistoryError> {
        let (head, erased) = match &self.last {
            None => (Checkpoint { size: 0, root: Edge::default().root() }, 0),
            Some((head, note)) => {
                if key.checkpoint(note) != Ok(*head) {
                    let why = "the last checkpoint is not signed by the history's key: records were changed by somebody who \
                               cannot sign, or the key is another history's";
                    return Err(HistoryError::Tampered { index: 0, why: why.to_owned() });
                }
                (*head, self.good.1)
            }
        };
        Ok(Verified { head, erased, unfinished: self.records - head.size })
    }
}

/// What the text of a checkpoint says, whoever signed it.
fn said(note: &str) -> Option<Checkpoint> {
    let text = note.split_once("\n\n")?.0;
    let parsed = tlog_tiles::Checkpoint::from_bytes(format!("{text}\n").as_bytes()).ok()?;
    Some(Checkpoint { size: parsed.size(), root: Digest256(parsed.hash().0) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The vectors of RFC 6962's reference implementation (certificate-transparency, merkle_tree_test).
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut edge = Edge::default();
        for (leaf, root) in leaves.into_iter().zip(roots) {
            edge.push(tlog::record_hash(leaf));
            assert_eq!(edge.root().to_string(), root);
        }
    }
}
