//! The history's receipts, each a small file of its own: what proves, without the server and without this adapter, that a
//! record stands in the log. `sealfax-mailserver history verify` reads them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sealfax_client::history::Receipt;

/// The folder of receipts.
#[derive(Debug)]
pub(crate) struct Receipts {
    folder: PathBuf,
    kept: usize,
}

impl Receipts {
    /// In the folder `data`, the newest `kept` of them.
    pub(crate) fn new(data: &Path, kept: usize) -> Self {
        Self { folder: data.join("receipts"), kept }
    }

    /// Keeps `receipt`: it is on the disk when this returns.
    pub(crate) fn keep(&self, receipt: &Receipt) -> io::Result<()> {
        if self.kept == 0 {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let text = serde_json::to_vec(receipt)?;
        // One at a time writes here: what a power cut left of the last is written over.
        let unfinished = self.folder.join("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&text)?;
        // A board whose clock is not set yet writes nothing that is older than what is there.
        let others = self.all()?;
        if let Some((newest, ..)) = others.last() {
            file.set_modified(SystemTime::now().max(*newest))?;
        }
        file.sync_all()?;
        let path = self.folder.join(format!("{}.json", receipt.proof.index));
        fs::rename(&unfinished, &path)?;
        File::open(&self.folder)?.sync_all()?;
        let others: Vec<PathBuf> = others.into_iter().map(|(.., other)| other).filter(|other| *other != path).collect();
        let over = (others.len() + 1).saturating_sub(self.kept);
        others.iter().take(over).try_for_each(fs::remove_file)
    }

    /// All that are there, the oldest first. By age, not by number: another history begins with 0 again.
    fn all(&self) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
        let mut all: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if let Some(number) = number.filter(|_| path.extension().is_some_and(|kind| kind == "json")) {
                all.push((fs::metadata(&path)?.modified()?, number, path));
            }
        }
        all.sort();
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::os::unix::fs::PermissionsExt as _;

    use sealfax_client::history::Proof;

    use super::*;

    fn receipt(index: u64) -> Receipt {
        let proof = Proof { index, path: Vec::new(), checkpoint: "history\n1\n\n— history x\n".into() };
        Receipt { leaf: "{}".into(), personal: None, proof }
    }

    #[test]
    fn the_newest_are_kept_for_their_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let receipts = Receipts::new(data.path(), 2);
        for index in [9, 10, 11] {
            receipts.keep(&receipt(index)).unwrap();
            let past = SystemTime::now() - std::time::Duration::from_secs(100 - index);
            let file = File::open(data.path().join(format!("receipts/{index}.json"))).unwrap();
            file.set_modified(past).unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(data.path().join("receipts")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["10.json", "11.json"]);
        let path = data.path().join("receipts/11.json");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read: Receipt = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(read, receipt(11));
    }

    #[test]
    fn none_are_kept_where_none_are_wanted() {
        let data = tempfile::tempdir().unwrap();
        Receipts::new(data.path(), 0).keep(&receipt(1)).unwrap();
        assert!(!data.path().join("receipts").exists());
    }
}
