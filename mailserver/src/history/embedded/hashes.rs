//! The hashes of the tree, in one file: every node over a full subtree, in the order in which they become known (Crosby and
//! Wallach, 3.3). A record adds two on average and a proof reads about log2 of the records. The file follows from the log and
//! is made anew where it does not.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sealfax_client::history::Digest256;
use tlog_tiles::tlog::{self, Error, Hash, HashReader};

use crate::history::HistoryError;

/// Octets of one hash.
const SIZE: u64 = 32;

/// The hashes of a growing tree.
#[derive(Debug)]
pub(in crate::history) struct Hashes {
    file: File,
    /// How many stand in the file.
    written: u64,
    /// Those that do not yet.
    pending: Vec<Hash>,
}

impl Hashes {
    /// Opens or makes the file with the hashes of a log of `records`; `false` beside it if they are not there.
    pub(super) fn open(path: &Path, records: u64) -> Result<(Self, bool), HistoryError> {
        let disk = || HistoryError::disk(path);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(disk())?;
        let wanted = tlog::stored_hash_count(records);
        let whole = file.metadata().map_err(disk())?.len() / SIZE >= wanted;
        let written = if whole { wanted } else { 0 };
        file.set_len(written * SIZE).map_err(disk())?;
        Ok((Self { file, written, pending: Vec::new() }, whole))
    }

    /// The same file, for reading a tree that it holds already.
    pub(super) fn reader(&self) -> std::io::Result<HashFile> {
        self.file.try_clone().map(HashFile)
    }

    /// Takes the record number `n` in.
    pub(super) fn push(&mut self, n: u64, leaf: &[u8]) -> Result<(), Error> {
        let hashes = tlog::stored_hashes(n, leaf, self)?;
        self.pending.extend(hashes);
        Ok(())
    }

    /// The root over the first `records`.
    pub(super) fn root(&self, records: u64) -> Result<Digest256, Error> {
        tlog::tree_hash(records, self).map(|hash| Digest256(hash.0))
    }

    /// Forgets all but the first `records`.
    pub(super) fn forget_after(&mut self, records: u64) {
        self.pending.clear();
        self.written = self.written.min(tlog::stored_hash_count(records));
    }

    /// Writes what was pushed; it need not be on the disk then.
    pub(super) fn write(&mut self) -> std::io::Result<()> {
        let octets: Vec<u8> = self.pending.iter().flat_map(|hash| hash.0).collect();
        self.file.write_all_at(&octets, self.written * SIZE)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

impl HashReader for Hashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        indexes
            .iter()
            .map(|index| match index.checked_sub(self.written) {
                None => read(&self.file, *index),
                Some(at) => {
                    let at = usize::try_from(at).map_err(|_| Error::IndexesNotInTree)?;
                    self.pending.get(at).copied().ok_or(Error::IndexesNotInTree)
                }
            })
            .collect()
    }
}

/// The name of the file inside the data folder.
pub(in crate::history) const FILE: &str = "hashes";

/// The number of the first record from `from` on whose hash is another than the one that was written down for it.
pub(in crate::history) fn first_changed(folder: &Path, from: u64, leaves: &[Hash]) -> Option<u64> {
    let file = File::open(folder.join(FILE)).ok()?;
    let numbered = (from..).zip(leaves);
    let mut known =
        numbered.map_while(|(n, leaf)| Some((n, read(&file, tlog::stored_hash_index(0, n)).ok()? == *leaf)));
    known.find(|(_, same)| !same).map(|(n, _)| n)
}

/// The hashes that are written, for everybody.
#[derive(Debug)]
pub(in crate::history) struct HashFile(File);

impl HashReader for HashFile {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        indexes.iter().map(|index| read(&self.0, *index)).collect()
    }
}

fn read(file: &File, index: u64) -> Result<Hash, Error> {
    let mut hash = Hash([0; 32]);
    file.read_exact_at(&mut hash.0, index * SIZE).map_err(|_| Error::IndexesNotInTree)?;
    Ok(hash)
}
