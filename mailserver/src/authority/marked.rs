//! An append-only file of lines under marks: after each act stands a signature, by the issuing authority's key, over
//! the digest of everything above it.
//!
//! Who cannot sign can neither add, change nor drop a line above the last mark unnoticed. What stands below the last
//! mark is what a power cut left behind: it counts for nothing, and the next append cuts it away. One process may
//! append while others read. The last mark covers the whole file, so reading 100,000 lines costs one verification.
//!
//! The file is the one that has the name now: a copy that is moved into its place (a backup, rsync) is read from its
//! beginning, and must begin as the one before it did.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::AuthorityError;
use super::keys::AuthorityKey;
use super::lock::Lock;

/// What a mark signs begins with this, so that it can never pass for a certificate or an OCSP answer.
const CONTEXT: &[u8] = b"sealfax index mark 1\n";
const MARK: &[u8] = b"{\"mark\":\"";
const MARK_END: &[u8] = b"\"}";
/// Octets of one line.
const MAX_LINE: usize = 64 * 1024;
/// Octets read at a time.
const CHUNK: usize = 1024 * 1024;

/// Which file has the name, its length and the time of its last change: while all stay, nothing was appended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: i64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            // Not the time of modification, which whoever copies a file can set.
            changed: metadata.ctime().wrapping_mul(1_000_000_000).wrapping_add(metadata.ctime_nsec()),
        }
    }

    fn same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct Marked {
    path: PathBuf,
    /// Another one after the file was replaced.
    file: Mutex<Arc<File>>,
}

/// A place behind a mark, with the digest of everything above it.
#[derive(Debug, Clone, Default)]
struct Position {
    offset: u64,
    lines: u64,
    digest: Sha256,
}

/// How far a reader has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// Of the file when it was read.
    pub(super) stamp: Stamp,
    /// Behind the last mark that was seen. Whatever the file is replaced by must be the same up to here.
    seen: Position,
    /// Up to here lines were handed over.
    taken: Position,
}

impl Reading {
    /// How many lines stand under good marks.
    pub(super) fn lines(&self) -> u64 {
        self.seen.lines
    }

    /// Has every line handed over again, of a file that still begins as it did.
    pub(super) fn start_over(&mut self) {
        self.stamp = Stamp::default();
        self.taken = Position::default();
    }
}

impl Marked {
    /// Opens the file at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, AuthorityError> {
        let file = open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                AuthorityError::Unreadable { path: path.to_owned(), what: "certificate index, or it is gone" }
            }
            _ => AuthorityError::Disk { path: path.to_owned(), source },
        })?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(Arc::new(file)) })
    }

    /// Makes the file, with a first mark over nothing: one that is emptied is found out then.
    pub(super) fn found(path: &Path, key: &dyn AuthorityKey) -> Result<(), AuthorityError> {
        let text = mark(&Sha256::new(), key, key.verifying_key())?;
        let attempt = || {
            let mut file = OpenOptions::new().append(true).create_new(true).mode(0o640).open(path)?;
            file.write_all(&text)?;
            file.sync_all()?;
            // The name of a new file must survive a power cut as well as its octets.
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        attempt().map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => AuthorityError::Exists(path.to_owned()),
            _ => AuthorityError::Disk { path: path.to_owned(), source },
        })
    }

    /// The file's present stamp: one system call.
    pub(super) fn stamp(&self) -> Result<Stamp, AuthorityError> {
        std::fs::metadata(&self.path).map(|metadata| Stamp::of(&metadata)).map_err(|source| self.disk(source))
    }

    /// Keeps other processes from appending until the guard falls. Read on after taking it.
    pub(super) fn lock(&self) -> Result<Lock, AuthorityError> {
        Lock::take(&lock_file(&self.path))
    }

    /// Hands over every line that `reading` has not and that stands under a good mark, in order, then moves it.
    /// Nothing is handed over if the last mark is not by `signer`, or the file is not the one it was.
    pub(super) fn read_on(
        &self,
        reading: &mut Reading,
        signer: &VerifyingKey,
        mut take: impl FnMut(u64, &str) -> Result<(), AuthorityError>,
    ) -> Result<(), AuthorityError> {
        let (file, stamp) = self.present()?;
        if stamp.length < reading.seen.offset {
            return Err(AuthorityError::Forged { line: reading.seen.lines, why: "the file became shorter" });
        }
        let replaced = !stamp.same_file(&reading.stamp);
        let start = if replaced { Position::default() } else { reading.seen.clone() };
        match self.last_mark(&file, start, &reading.seen, stamp.length)? {
            Some(last) => {
                let end = last.end;
                if signer.verify(&message(&last.signed), &last.signature).is_err() {
                    return Err(AuthorityError::Forged {
                        line: end.lines,
                        why: "its mark is not by the issuing authority",
                    });
                }
                let mut number = reading.taken.lines;
                self.lines(&file, reading.taken.offset, end.offset, |line| {
                    number += 1;
                    let broken = || AuthorityError::Index { line: number };
                    let line = line.ok_or_else(broken)?;
                    if line.starts_with(MARK) {
                        return Ok(());
                    }
                    take(number, std::str::from_utf8(line).map_err(|_| broken())?)
                })?;
                reading.taken = end.clone();
                reading.seen = end;
            }
            // From a version that set no marks, or stripped of them: a person must look.
            None if reading.seen.offset == 0 => return Err(AuthorityError::Unmarked(self.path.clone())),
            None => {}
        }
        reading.stamp = stamp;
        Ok(())
    }

    /// The file that has the name now, and its stamp.
    fn present(&self) -> Result<(Arc<File>, Stamp), AuthorityError> {
        let mut place = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = || {
            let stamp = Stamp::of(&place.metadata()?);
            if stamp.same_file(&Stamp::of(&std::fs::metadata(&self.path)?)) {
                return Ok((Arc::clone(&place), stamp));
            }
            let file = open(&self.path)?;
            let stamp = Stamp::of(&file.metadata()?);
            Ok((Arc::new(file), stamp))
        };
        let (file, stamp) = attempt().map_err(|source| self.disk(source))?;
        *place = Arc::clone(&file);
        Ok((file, stamp))
    }

    /// The last mark between `start` and `length`. What was `seen` before must be there again.
    fn last_mark(
        &self,
        file: &File,
        start: Position,
        seen: &Position,
        length: u64,
    ) -> Result<Option<LastMark>, AuthorityError> {
        let from = start.offset;
        let mut here = start;
        let mut agrees = here.offset >= seen.offset;
        let mut too_long = None;
        let mut found = None;
        self.lines(file, from, length, |line| {
            let mark = line.and_then(|line| line.strip_prefix(MARK));
            match (too_long, line) {
                // Below the last mark anything may stand, above it nothing that nobody reads.
                (Some(line), _) if mark.is_some() => {
                    return Err(AuthorityError::Forged { line, why: "a line is longer than 65536 octets" });
                }
                (Some(_), _) => return Ok(()),
                (None, None) => {
                    too_long = Some(here.lines + 1);
                    return Ok(());
                }
                (None, Some(line)) => {
                    let signed = mark.map(|text| (here.digest.clone(), text.to_vec()));
                    here.take(line);
                    if here.offset == seen.offset && !agrees {
                        agrees = here.digest.clone().finalize() == seen.digest.clone().finalize();
                    }
                    if let Some((signed, text)) = signed {
                        found = Some((here.clone(), signed, text));
                    }
                }
            }
            Ok(())
        })?;
        if !agrees {
            return Err(AuthorityError::Forged { line: 0, why: "it was replaced by one that does not begin like it" });
        }
        let Some((end, signed, text)) = found else {
            return Ok(None);
        };
        let bad = || AuthorityError::Forged { line: end.lines, why: "a mark cannot be read" };
        let octets = text.strip_suffix(MARK_END).and_then(|text| STANDARD.decode(text).ok()).ok_or_else(bad)?;
        let signature = DerSignature::from_bytes(&octets).map_err(|_| bad())?;
        Ok(Some(LastMark { end, signed, signature }))
    }

    /// Appends `lines` and their mark, which is by `signer`; when this returns they are on the disk. Under
    /// [`Marked::lock`], after [`Marked::read_on`], with the reading it left.
    pub(super) fn append(
        &self,
        reading: &Reading,
        key: &dyn AuthorityKey,
        signer: &VerifyingKey,
        lines: &[String],
    ) -> Result<(), AuthorityError> {
        let mut text = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum::<usize>() + 160);
        for line in lines {
            if line.len() > MAX_LINE || line.contains('\n') || line.as_bytes().starts_with(MARK) {
                return Err(AuthorityError::BadRequest("a record must be one line of at most 65536 octets"));
            }
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        let mut signed = reading.seen.digest.clone();
        signed.update(&text);
        text.extend_from_slice(&mark(&signed, key, signer)?);
        let (file, stamp) = self.present()?;
        if !stamp.same_file(&reading.stamp) {
            let why = "it was replaced while it was being written";
            return Err(AuthorityError::Forged { line: 0, why });
        }
        let attempt = || {
            if stamp.length != reading.seen.offset {
                file.set_len(reading.seen.offset)?;
            }
            (&*file).write_all(&text)?;
            file.sync_data()
        };
        attempt().map_err(|source| self.disk(source))
    }

    /// Sets a first mark under a file that has none.
    pub(super) fn adopt(&self, key: &dyn AuthorityKey) -> Result<(), AuthorityError> {
        let _lock = self.lock()?;
        let (file, stamp) = self.present()?;
        let mut position = Position::default();
        let mut marks = false;
        self.lines(&file, 0, stamp.length, |line| {
            let line = line.ok_or(AuthorityError::Index { line: position.lines + 1 })?;
            marks |= line.starts_with(MARK);
            position.take(line);
            Ok(())
        })?;
        if marks {
            return Ok(());
        }
        let text = mark(&position.digest, key, key.verifying_key())?;
        let attempt = || {
            file.set_len(position.offset)?;
            (&*file).write_all(&text)?;
            file.sync_data()
        };
        attempt().map_err(|source| self.disk(source))
    }

    /// Every complete line from `from` to `until`; `None` for one that is too long.
    fn lines(
        &self,
        file: &File,
        from: u64,
        until: u64,
        mut take: impl FnMut(Option<&[u8]>) -> Result<(), AuthorityError>,
    ) -> Result<(), AuthorityError> {
        let mut at = from;
        let mut held: Vec<u8> = Vec::new();
        let mut chunk = vec![0u8; CHUNK.min(usize::try_from(until.saturating_sub(from)).unwrap_or(CHUNK)).max(1)];
        while at < until {
            let wanted = chunk.len().min(usize::try_from(until - at).unwrap_or(CHUNK));
            let place = chunk.get_mut(..wanted).unwrap_or_default();
            let count = file.read_at(place, at).map_err(|source| self.disk(source))?;
            if count == 0 {
                break;
            }
            at += count as u64;
            let mut rest = chunk.get(..count).unwrap_or_default();
            while let Some(end) = memchr::memchr(b'\n', rest) {
                let (line, after) = rest.split_at(end);
                rest = after.get(1..).unwrap_or_default();
                if held.is_empty() {
                    take((line.len() <= MAX_LINE).then_some(line))?;
                } else {
                    held.extend_from_slice(line);
                    take((held.len() <= MAX_LINE).then_some(held.as_slice()))?;
                    held.clear();
                }
            }
            // Of a line that is too long, enough is kept to know that it is.
            let room = (MAX_LINE + 1).saturating_sub(held.len());
            held.extend_from_slice(rest.get(..room.min(rest.len())).unwrap_or_default());
        }
        Ok(())
    }

    fn disk(&self, source: io::Error) -> AuthorityError {
        AuthorityError::Disk { path: self.path.clone(), source }
    }
}

impl Position {
    fn take(&mut self, line: &[u8]) {
        self.lines += 1;
        self.offset += line.len() as u64 + 1;
        self.digest.update(line);
        self.digest.update(b"\n");
    }
}

/// The last mark of a file: what it signs, and where it ends.
struct LastMark {
    end: Position,
    signed: Sha256,
    signature: DerSignature,
}

/// The file that is locked while the one at `path` is written.
pub(super) fn lock_file(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

fn open(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).append(true).open(path) {
        // A server that only answers need not be able to write.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            File::open(path)
        }
        other => other,
    }
}

/// The line that marks everything in `signed`. One that no reader would believe would be worse than none: what the key
/// made is held against `signer` first.
fn mark(signed: &Sha256, key: &dyn AuthorityKey, signer: &VerifyingKey) -> Result<Vec<u8>, AuthorityError> {
    let message = message(signed);
    let signature = key.sign(&message)?;
    if signer.verify(&message, &signature).is_err() {
        return Err(AuthorityError::BadSignature);
    }
    Ok([MARK, STANDARD.encode(signature.as_bytes()).as_bytes(), MARK_END, b"\n"].concat())
}

fn message(signed: &Sha256) -> Vec<u8> {
    let mut message = CONTEXT.to_vec();
    message.extend_from_slice(&signed.clone().finalize());
    message
}
