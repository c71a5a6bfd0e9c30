//! An append-only file of lines, durable before anything is answered, shared by processes through a file lock.
//!
//! A line counts from its newline on: what a power cut left behind without one is cut away by the next append.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Octets of one line.
const MAX_LINE: usize = 64 * 1024;

/// An open file of lines.
#[derive(Debug)]
pub(crate) struct Lines {
    file: File,
    read: u64,
}

impl Lines {
    /// Opens or creates the file at `path`; nothing is read yet.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        if let Some(folder) = path.parent() {
            // The name of a new file must survive a power cut as well as its octets.
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { file, read: 0 })
    }

    /// The complete lines that stand behind those already read, whoever wrote them.
    pub(crate) fn fresh(&mut self) -> io::Result<Vec<String>> {
        if self.file.metadata()?.len() <= self.read {
            return Ok(Vec::new());
        }
        self.file.seek(SeekFrom::Start(self.read))?;
        let mut octets = Vec::new();
        (&self.file).read_to_end(&mut octets)?;
        let complete = octets.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        octets.truncate(complete);
        self.read += complete as u64;
        let text = String::from_utf8(octets).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Keeps other processes from appending until the guard falls. Read [`Lines::fresh`] after taking it.
    pub(crate) fn lock(&self) -> io::Result<Lock> {
        let file = self.file.try_clone()?;
        file.lock()?;
        Ok(Lock(file))
    }

    /// Appends one line; when this returns it is on the disk. Under [`Lines::lock`], after [`Lines::fresh`].
    pub(crate) fn append(&mut self, line: &str) -> io::Result<()> {
        if line.len() > MAX_LINE || line.contains('\n') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a record must be one line of at most 65536 octets",
            ));
        }
        if self.file.metadata()?.len() != self.read {
            self.file.set_len(self.read)?;
        }
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()?;
        self.read += line.len() as u64 + 1;
        Ok(())
    }
}

/// Held while appending.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // The kernel lets go at close in any case.
        let _ = self.0.unlock();
    }
}
