//! The files of the log: named by the number of their first frame, written at the end, never anywhere else. What is deleted
//! leaves a hole, which gives its space back and takes its octets off the disk.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::buffer::spare_capacity;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, pread};

use super::change::Place;

/// Most files that are kept open for reading.
const OPEN: usize = 64;

/// The folder of them.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    open: Mutex<HashMap<u64, Arc<File>>>,
}

impl Segments {
    /// Opens the folder, making it where it is missing.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_path_buf(), open: Mutex::default() })
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.folder.join(format!("{segment:016x}.log"))
    }

    /// All that are there, in order.
    pub(super) fn list(&self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
            found.extend(number.and_then(|number| u64::from_str_radix(number, 16).ok()));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Makes one; its name survives a power cut.
    pub(super) fn create(&self, segment: u64) -> io::Result<Arc<File>> {
        let options = OpenOptions::new().create(true).truncate(true).read(true).write(true).mode(0o600).clone();
        let file = Arc::new(options.open(self.path(segment))?);
        File::open(&self.folder)?.sync_all()?;
        self.keep_open(segment, &file);
        Ok(file)
    }

    fn keep_open(&self, segment: u64, file: &Arc<File>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN {
            open.clear();
        }
        open.insert(segment, file.clone());
    }

    /// One, for reading and writing.
    pub(super) fn file(&self, segment: u64) -> io::Result<Arc<File>> {
        if let Some(file) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&segment) {
            return Ok(file.clone());
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(self.path(segment))?);
        self.keep_open(segment, &file);
        Ok(file)
    }

    /// The octets of a body behind `prefix`; `InvalidData` where they are not what was written.
    pub(super) fn read(&self, place: &Place, prefix: &[u8]) -> io::Result<Vec<u8>> {
        let file = self.file(place.segment)?;
        let end = prefix.len() + usize::try_from(place.length).map_err(io::Error::other)?;
        let mut octets = Vec::with_capacity(end);
        octets.extend_from_slice(prefix);
        // Read into what nobody has filled with zeros before.
        while octets.len() < end {
            let at = place.offset + (octets.len() - prefix.len()) as u64;
            match pread(&*file, spare_capacity(&mut octets), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        octets.truncate(end);
        let body = octets.get(prefix.len()..).unwrap_or_default();
        if crc32fast::hash(body) == place.crc { Ok(octets) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Takes a body off the disk. A file system that knows no holes keeps it until its segment goes.
    pub(super) fn free(&self, segment: u64, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let file = match self.file(segment) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        match fallocate(&*file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, length) {
            Err(error) if error != Errno::OPNOTSUPP => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Removes one.
    pub(super) fn remove(&self, segment: u64) -> io::Result<()> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&segment);
        std::fs::remove_file(self.path(segment))
    }

    /// Copies the first octets of one into another folder.
    pub(super) fn copy(&self, segment: u64, octets: u64, to: &Self) -> io::Result<()> {
        let from = File::open(self.path(segment))?;
        let mut copy = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to.path(segment))?;
        io::copy(&mut io::Read::take(from, octets), &mut copy)?;
        copy.sync_all()
    }

    /// Has the names of files that were made and removed survive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}
