//! The log itself: one file of frames, `records`. A group of records ends with the signed checkpoint over all records so
//! far, and is written and flushed as one; what a power cut left of a group without its checkpoint was never answered for
//! and is cut away.
//!
//! A frame is its kind (`R` record, `E` record whose personal part was erased, `C` checkpoint), three zero octets, the
//! length of the leaf and of the personal part, and the CRC-32 of both lengths and the leaf, each in four octets, little
//! end first; then the leaf and the personal part. What is erased becomes zeros, and a hole in the file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sealfax_client::history::MAX_EVIDENCE;

use crate::history::HistoryError;

/// The log's name inside the data folder.
pub(in crate::history) const FILE: &str = "records";
/// What a history of the first version was called.
const OLDER: &str = "history.jsonl";

/// Octets that a group may have: the evidence in base64, and what else is in a record.
pub(super) const MOST_UNFINISHED: u64 = 64 << 20;

const HEADER: usize = 16;
/// Octets of a leaf, or of a checkpoint.
const MAX_LEAF: usize = 64 * 1024;
/// Octets of a personal part: the evidence in base64, and two addresses and a Message-ID whose every octet may be escaped.
const MAX_PERSONAL: usize = MAX_EVIDENCE / 3 * 4 + 32 * 1024;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::history) enum Frame {
    /// A record; no personal part if it was erased.
    Record {
        /// The hashed part.
        leaf: String,
        /// The other.
        personal: Option<String>,
    },
    /// A signed note.
    Checkpoint(String),
}

/// What a frame is made of.
pub(in crate::history) enum Part<'a> {
    /// A record.
    Record {
        /// The hashed part.
        leaf: &'a str,
        /// The other.
        personal: &'a str,
    },
    /// A record whose personal part was erased.
    Erased(&'a str),
    /// A signed note.
    Checkpoint(&'a str),
}

/// Appends the frame of `part` to `octets`.
pub(in crate::history) fn encode(part: Part<'_>, octets: &mut Vec<u8>) {
    let (kind, leaf, personal) = match part {
        Part::Record { leaf, personal } => (b'R', leaf, personal),
        Part::Erased(leaf) => (b'E', leaf, ""),
        Part::Checkpoint(note) => (b'C', note, ""),
    };
    // Both are bounded far below 4 GiB where records are taken in.
    let lengths = [leaf.len(), personal.len()].map(|length| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    octets.extend_from_slice(&[kind, 0, 0, 0]);
    octets.extend_from_slice(lengths.as_flattened());
    octets.extend_from_slice(&checksum(lengths.as_flattened(), leaf.as_bytes()).to_le_bytes());
    octets.extend_from_slice(leaf.as_bytes());
    octets.extend_from_slice(personal.as_bytes());
}

fn checksum(lengths: &[u8], leaf: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(lengths);
    crc.update(leaf);
    crc.finalize()
}

/// A header that may be one.
struct Header {
    kind: u8,
    leaf: usize,
    personal: usize,
    lengths: [u8; 8],
    crc: u32,
}

impl Header {
    fn parse(octets: &[u8; HEADER]) -> Option<Self> {
        let [kind, 0, 0, 0, l0, l1, l2, l3, p0, p1, p2, p3, c0, c1, c2, c3] = *octets else { return None };
        let leaf = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?;
        let personal = usize::try_from(u32::from_le_bytes([p0, p1, p2, p3])).ok()?;
        let bounded = leaf <= MAX_LEAF && personal <= MAX_PERSONAL && matches!(kind, b'R' | b'E' | b'C');
        let lengths = [l0, l1, l2, l3, p0, p1, p2, p3];
        bounded.then_some(Self { kind, leaf, personal, lengths, crc: u32::from_le_bytes([c0, c1, c2, c3]) })
    }

    fn frame(&self, leaf: Vec<u8>, personal: Vec<u8>) -> Option<Frame> {
        if checksum(&self.lengths, &leaf) != self.crc {
            return None;
        }
        let leaf = String::from_utf8(leaf).ok()?;
        Some(match self.kind {
            b'C' => Frame::Checkpoint(leaf),
            b'E' => Frame::Record { leaf, personal: None },
            // What is no text any more was changed; it is told so where it is held against the leaf.
            _ => Frame::Record { leaf, personal: Some(String::from_utf8_lossy(&personal).into_owned()) },
        })
    }
}

/// Reads frames one after the other.
pub(in crate::history) struct Frames<R> {
    from: R,
    /// Where the next frame begins.
    pub(in crate::history) at: u64,
}

/// What stands where a frame should.
#[derive(Debug)]
pub(in crate::history) enum Next {
    /// A frame.
    Frame(Frame),
    /// Nothing.
    End,
    /// Something that is no frame, or not a whole one.
    Broken,
}

impl Frames<BufReader<File>> {
    /// The frames of the log in `folder`, from the beginning.
    pub(in crate::history) fn of(folder: &Path) -> Result<Self, HistoryError> {
        let path = folder.join(FILE);
        let file = File::open(&path).map_err(HistoryError::disk(&path))?;
        Ok(Self { from: BufReader::with_capacity(1 << 20, file), at: 0 })
    }
}

impl<R: Read + Seek> Frames<R> {
    /// Whether checkpoints follow, after something that is no frame: then it was one, and was changed.
    pub(in crate::history) fn resumes(&mut self) -> Result<bool, HistoryError> {
        let mut rest = Vec::new();
        self.from.seek(SeekFrom::Start(self.at)).map_err(HistoryError::disk(Path::new(FILE)))?;
        let read = self.from.by_ref().take(MOST_UNFINISHED + 1).read_to_end(&mut rest);
        read.map_err(HistoryError::disk(Path::new(FILE)))?;
        Ok(rest.len() as u64 > MOST_UNFINISHED || checkpoints(&rest) > 0)
    }
}

impl<R: Read> Frames<R> {
    /// What was not read yet, as octets.
    pub(super) fn rest(&mut self) -> &mut R {
        &mut self.from
    }

    pub(in crate::history) fn next(&mut self) -> io::Result<Next> {
        let mut header = [0; HEADER];
        match fill(&mut self.from, &mut header)? {
            0 => return Ok(Next::End),
            HEADER => {}
            _ => return Ok(Next::Broken),
        }
        let Some(header) = Header::parse(&header) else { return Ok(Next::Broken) };
        let (mut leaf, mut personal) = (vec![0; header.leaf], vec![0; header.personal]);
        if fill(&mut self.from, &mut leaf)? < header.leaf || fill(&mut self.from, &mut personal)? < header.personal {
            return Ok(Next::Broken);
        }
        let Some(frame) = header.frame(leaf, personal) else { return Ok(Next::Broken) };
        self.at += (HEADER + header.leaf + header.personal) as u64;
        Ok(Next::Frame(frame))
    }
}

/// How many whole checkpoints are in `octets`, wherever they begin, and whoever signed them.
pub(super) fn checkpoints(octets: &[u8]) -> usize {
    let found = memchr::memmem::find_iter(octets, b"C\0\0\0").filter(|at| {
        let mut frames = Frames { from: octets.get(*at..).unwrap_or_default(), at: 0 };
        matches!(frames.next(), Ok(Next::Frame(Frame::Checkpoint(_))))
    });
    found.count()
}

/// Reads as much as there is.
fn fill(from: &mut impl Read, octets: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = octets.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// The open log.
#[derive(Debug)]
pub(in crate::history) struct LogFile {
    file: File,
    path: PathBuf,
    /// Octets that count.
    pub(super) end: u64,
}

impl LogFile {
    /// Opens or makes the log in `folder`; no other process can have it open so until this is dropped.
    pub(super) fn open(folder: &Path) -> Result<Self, HistoryError> {
        if folder.join(OLDER).exists() {
            return Err(HistoryError::Older(folder.join(OLDER)));
        }
        let path = folder.join(FILE);
        let disk = || HistoryError::disk(&path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(&path)
            .map_err(disk())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(HistoryError::InUse(folder.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => return Err(disk()(error)),
        }
        // The name of a new file must survive a power cut as well as its octets.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk())?;
        let end = file.metadata().map_err(disk())?.len();
        Ok(Self { file, path, end })
    }

    /// The frames from octet `at` on.
    pub(super) fn frames(&self, at: u64) -> Result<Frames<BufReader<Section>>, HistoryError> {
        let file = self.file.try_clone().map_err(HistoryError::disk(&self.path))?;
        Ok(Frames { from: BufReader::with_capacity(1 << 20, Section { file, at }), at })
    }

    /// For whoever reads single frames.
    pub(super) fn reader(&self) -> io::Result<FrameFile> {
        self.file.try_clone().map(FrameFile)
    }

    /// Takes off the disk what stands behind octet `at`.
    pub(super) fn cut(&mut self, at: u64) -> Result<(), HistoryError> {
        // What could not be flushed stands there too, beyond what counts.
        if self.file.metadata().map_err(HistoryError::disk(&self.path))?.len() > at {
            self.file.set_len(at).and_then(|()| self.file.sync_all()).map_err(HistoryError::disk(&self.path))?;
        }
        self.end = at;
        Ok(())
    }

    /// Appends whole frames; when this returns they are on the disk. If it fails nothing counts as written.
    pub(super) fn append(&mut self, octets: &[u8]) -> Result<(), HistoryError> {
        self.file
            .write_all_at(octets, self.end)
            .and_then(|()| self.file.sync_data())
            .map_err(HistoryError::disk(&self.path))?;
        self.end += octets.len() as u64;
        Ok(())
    }

    /// Erases the personal part of the record whose frame begins at octet `at`, on the disk too.
    pub(super) fn erase(&self, at: u64) -> Result<(), HistoryError> {
        let erase = || -> io::Result<()> {
            let mut header = [0; HEADER];
            self.file.read_exact_at(&mut header, at)?;
            let header = Header::parse(&header).ok_or(io::ErrorKind::InvalidData)?;
            // First it says so: a cut between the two leaves a record whose personal part nobody reads any more.
            self.file.write_all_at(b"E", at)?;
            self.file.sync_data()?;
            let from = at + (HEADER + header.leaf) as u64;
            self.file.write_all_at(&vec![0; header.personal], from)?;
            self.file.sync_data()?;
            let hole = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
            // A file system that knows no holes keeps the zeros.
            let _ = rustix::fs::fallocate(&self.file, hole, from, header.personal as u64);
            Ok(())
        };
        erase().map_err(HistoryError::disk(&self.path))
    }
}

/// A file read from a place of one's own.
#[derive(Debug)]
pub(super) struct Section {
    file: File,
    at: u64,
}

impl Read for Section {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(octets, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Reads single frames of a log.
#[derive(Debug)]
pub(super) struct FrameFile(File);

impl FrameFile {
    /// The leaf of the record whose frame begins at octet `at`; `None` where another frame stands.
    pub(super) fn leaf(&self, at: u64) -> io::Result<Option<String>> {
        let mut header = [0; HEADER];
        self.0.read_exact_at(&mut header, at)?;
        let header = Header::parse(&header).ok_or(io::ErrorKind::InvalidData)?;
        let mut leaf = vec![0; header.leaf];
        self.0.read_exact_at(&mut leaf, at + HEADER as u64)?;
        match header.frame(leaf, Vec::new()).ok_or(io::ErrorKind::InvalidData)? {
            Frame::Record { leaf, .. } => Ok(Some(leaf)),
            Frame::Checkpoint(_) => Ok(None),
        }
    }

    /// The frame that begins at octet `at`.
    pub(super) fn read(&self, at: u64) -> io::Result<Frame> {
        let mut header = [0; HEADER];
        self.0.read_exact_at(&mut header, at)?;
        let header = Header::parse(&header).ok_or(io::ErrorKind::InvalidData)?;
        let mut both = vec![0; header.leaf + header.personal];
        self.0.read_exact_at(&mut both, at + HEADER as u64)?;
        let personal = both.split_off(header.leaf);
        header.frame(both, personal).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
