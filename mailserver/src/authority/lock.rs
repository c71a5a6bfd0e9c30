//! One writer at a time: a lock on a file of its own beside the index.
//!
//! Whoever can open a file can lock it (flock(2)), and many may read the index: so the lock is on a file that only its
//! owner can open, and nobody waits for it for ever.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::time::{Duration, Instant};

use super::AuthorityError;

/// How long to wait for another process.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// From one attempt to the next.
const PAUSE: Duration = Duration::from_millis(20);

/// Held while writing; other processes wait.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock on the file at `path`, making it if it is not there.
    pub(super) fn take(path: &Path) -> Result<Self, AuthorityError> {
        Self::within(path, PATIENCE)
    }

    pub(super) fn within(path: &Path, patience: Duration) -> Result<Self, AuthorityError> {
        let disk = |source| AuthorityError::Disk { path: path.to_owned(), source };
        let deadline = Instant::now() + patience;
        loop {
            let file = open(path).map_err(disk)?;
            wait(&file, path, deadline)?;
            let (ours, named) = (file.metadata().map_err(disk)?, std::fs::metadata(path));
            // Replaced while we waited, it is another file that the next one locks.
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Self(file));
            }
            if Instant::now() >= deadline {
                return Err(AuthorityError::Busy(path.to_owned()));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The kernel lets go at close in any case.
        let _ = self.0.unlock();
    }
}

/// Locks `file`, which is the one at `path`, until it is closed; not longer than `patience` in waiting.
pub(super) fn lock(file: &File, path: &Path, patience: Duration) -> Result<(), AuthorityError> {
    wait(file, path, Instant::now() + patience)
}

fn wait(file: &File, path: &Path, deadline: Instant) -> Result<(), AuthorityError> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(AuthorityError::Disk { path: path.to_owned(), source }),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(AuthorityError::Busy(path.to_owned()));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let options = |options: &mut OpenOptions| options.read(true).write(true).open(path);
    match options(OpenOptions::new().create_new(true).mode(0o600)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options(&mut OpenOptions::new()),
        Ok(file) => {
            // Made by root in a service's folder, it has to serve the service too. It is new: nobody can have put a
            // link in its place.
            if let (Ok(own), Some(Ok(folder))) = (file.metadata(), path.parent().map(std::fs::metadata))
                && own.uid() != folder.uid()
            {
                let _ = fchown(&file, Some(folder.uid()), Some(folder.gid()));
            }
            Ok(file)
        }
        failed => failed,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn nobody_waits_for_ever_and_only_its_owner_may_lock() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("index.lock");
        let held = Lock::take(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let refused = Lock::within(&path, Duration::ZERO).unwrap_err();
        assert!(matches!(&refused, AuthorityError::Busy(at) if *at == path), "{refused}");
        assert!(refused.to_string().contains("another process"), "{refused}");
        // Another file in its place is another lock: who holds the old one keeps nobody out, and is kept out by none.
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        let second = Lock::within(&path, Duration::ZERO).unwrap();
        drop((held, second));
        Lock::within(&path, Duration::ZERO).unwrap();
    }
}
