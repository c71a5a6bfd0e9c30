//! The index: one redb file that says what of the log is whose. Its commits cost no `fsync`; now and then it is written through
//! (a checkpoint), and what the log holds behind that is applied again when it is opened.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, WriteTransaction,
};
use rustix::fs::{FallocateFlags, fallocate};
use sealfax_client::seam::Entropy;

use super::change::{Cursor, Logged, Place};
use super::tables::{
    ACCOUNTS, BODIES, BOXES, FREED, META, NOTICES, NOTICES_DUE, QUEUE, QUEUE_DUE, SEGMENTS, Tables, USAGE, database,
    decode,
};
use crate::accounts::Account;
use crate::store::{NoticeState, QueueItem, Route, StoreError, StoredMail, Usage, return_path};

/// The format this program writes. 1 had the mails themselves in the file `mail.redb`.
const FORMAT: u64 = 2;
/// Most queued mails that are told as due at once.
const AT_ONCE: usize = 1000;
/// Most that are passed over and yielded at once, of those that are due.
const MOST_LOOKED_AT: usize = 20_000;
/// Memory for pages of the index.
const CACHE: usize = 1 << 20;

/// The index of one store.
pub(super) struct Index {
    database: Database,
    path: PathBuf,
    /// The same file, for taking space.
    file: File,
    length: AtomicU64,
    /// Part of every unique-id and of the log's checksums, so that a folder made anew repeats none.
    token: u64,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Index")
    }
}

/// Where the index of a folder is.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("index.redb")
}

/// Where the token of a folder is.
pub(super) fn token_path(folder: &Path) -> PathBuf {
    folder.join("token")
}

/// The token of a folder, beside the index: the log can be read without the index, but not without it. Drawn where the folder
/// is new.
fn token(folder: &Path, entropy: &dyn Entropy, new: bool) -> io::Result<u64> {
    let path = token_path(folder);
    match std::fs::read_to_string(&path) {
        Ok(text) => u64::from_str_radix(text.trim(), 16).map_err(io::Error::other),
        Err(error) if new && error.kind() == io::ErrorKind::NotFound => {
            let mut octets = [0u8; 8];
            entropy.fill(&mut octets);
            let token = u64::from_le_bytes(octets);
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
            write!(file, "{token:016x}")?;
            file.sync_all()?;
            Ok(token)
        }
        Err(error) => Err(error),
    }
}

/// A row of the queue, or of the notices: what is due, and when the next one is.
type Due<T> = (Vec<T>, Option<u64>);

impl Index {
    /// Opens it, making it where it is missing.
    pub(super) fn open(folder: &Path, entropy: &dyn Entropy) -> Result<Self, StoreError> {
        if folder.join("mail.redb").exists() {
            return Err(StoreError::Old);
        }
        let path = path(folder);
        let new = !path.exists();
        let token = token(folder, entropy, new).map_err(StoreError::Folder)?;
        // An empty file is a new database; made here, because the database would let everybody read it.
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let file = file.map_err(StoreError::Folder)?;
        file.set_permissions(Permissions::from_mode(0o600)).map_err(StoreError::Folder)?;
        let database_file = Builder::new().set_cache_size(CACHE).create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
            other => database(other),
        })?;
        // The file's name itself must survive a power cut.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::Folder)?;
        let write = database_file.begin_write().map_err(database)?;
        let mut tables = Tables::open(&write)?;
        match tables.number("format")? {
            None => {
                tables.put_number("format", FORMAT)?;
                tables.put_cursor(Cursor::START)?;
                drop(tables);
                write.commit().map_err(database)?;
            }
            // Nothing is new: the last checkpoint stays what the next start finds.
            Some(FORMAT) => {
                drop(tables);
                write.abort().map_err(database)?;
            }
            Some(found) => return Err(StoreError::Format { found, known: FORMAT }),
        }
        Ok(Self { database: database_file, path, file, length: AtomicU64::new(0), token })
    }

    /// Copies token and index into another folder; nobody may be writing meanwhile.
    pub(super) fn copy(&self, to: &Path) -> io::Result<()> {
        let from = self.path.parent().unwrap_or(Path::new("."));
        for (from, to) in [(token_path(from), token_path(to)), (self.path.clone(), path(to))] {
            std::fs::copy(from, &to)?;
            File::open(&to)?.sync_all()?;
        }
        Ok(())
    }

    /// Part of every unique-id and of the log's checksums.
    pub(super) fn token(&self) -> u64 {
        self.token
    }

    /// Whether the file is whole; slow.
    pub(super) fn is_whole(&mut self) -> Result<bool, StoreError> {
        self.database.check_integrity().map_err(database)
    }

    fn begin(&self, durability: Durability) -> Result<WriteTransaction, StoreError> {
        let mut write = self.database.begin_write().map_err(database)?;
        write.set_durability(durability).map_err(|error| StoreError::Database(Box::new(error)))?;
        // A start after a crash need not read all of it.
        write.set_quick_repair(matches!(durability, Durability::Immediate));
        Ok(write)
    }

    /// Applies changes of the log that end at `cursor`; says of each whether there was what it is about.
    pub(super) fn apply(&self, changes: &[Logged], cursor: Cursor) -> Result<Vec<bool>, StoreError> {
        self.with_tables(|tables| {
            tables.put_cursor(cursor)?;
            changes.iter().map(|change| tables.apply(change)).collect()
        })
    }

    /// Writes the index through to the disk.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        let write = self.begin(Durability::Immediate)?;
        write.commit().map_err(database)
    }

    /// Takes the space of the file as long as it has become: who fills the disk later cannot make the index fail. `false`: there
    /// is none left.
    pub(super) fn take_space(&self) -> bool {
        let Ok(length) = self.file.metadata().map(|data| data.len()) else { return false };
        if self.length.load(Ordering::Relaxed) == length {
            return true;
        }
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, length.max(1)) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {
                self.length.store(length, Ordering::Relaxed);
                true
            }
            Err(_) => false,
        }
    }

    fn reading(&self) -> Result<ReadTransaction, StoreError> {
        self.database.begin_read().map_err(database)
    }

    /// How much of the log it knows.
    pub(super) fn cursor(&self) -> Result<Cursor, StoreError> {
        let read = self.reading()?;
        let meta = read.open_table(META).map_err(database)?;
        let number = |key| Ok::<_, StoreError>(meta.get(key).map_err(database)?.map_or(0, |value| value.value()));
        Ok(Cursor { segment: number("segment")?, offset: number("offset")?, number: number("number")? })
    }

    /// The number that the next mail gets.
    pub(super) fn next(&self) -> Result<u64, StoreError> {
        let read = self.reading()?;
        let meta = read.open_table(META).map_err(database)?;
        Ok(meta.get("next").map_err(database)?.map_or(1, |value| value.value()))
    }

    pub(super) fn list(&self, account: &str) -> Result<Vec<StoredMail>, StoreError> {
        let read = self.reading()?;
        let boxes = read.open_table(BOXES).map_err(database)?;
        let mut mails = Vec::new();
        let mut uid = format!("{:016x}-", self.token);
        let prefix = uid.len();
        for row in boxes.range((account, 0)..=(account, u64::MAX)).map_err(database)? {
            let (key, row) = row.map_err(database)?;
            let (id, (_, size, sealed, received, _)) = (key.value().1, row.value());
            uid.truncate(prefix);
            // A string takes whatever is written.
            let _ = write!(uid, "{id:x}");
            mails.push(StoredMail { id, uid: uid.as_str().into(), size, sealed, received });
        }
        Ok(mails)
    }

    pub(super) fn usage(&self, account: &str) -> Result<Usage, StoreError> {
        let usage = self.reading()?.open_table(USAGE).map_err(database)?;
        let (mails, octets, sealed) = usage.get(account).map_err(database)?.map(|u| u.value()).unwrap_or_default();
        Ok(Usage { mails, octets, sealed })
    }

    /// Where a mail's body is, and its `Return-Path`.
    pub(super) fn find(&self, account: &str, id: u64) -> Result<Option<(Place, String)>, StoreError> {
        let boxes = self.reading()?.open_table(BOXES).map_err(database)?;
        let Some(row) = boxes.get((account, id)).map_err(database)? else { return Ok(None) };
        let (body, _, _, _, path) = row.value();
        Ok(self.place(body)?.map(|place| (place, return_path(path))))
    }

    pub(super) fn place(&self, body: u64) -> Result<Option<Place>, StoreError> {
        let bodies = self.reading()?.open_table(BODIES).map_err(database)?;
        let row = bodies.get(body).map_err(database)?.map(|row| row.value());
        Ok(row.map(|(segment, offset, length, crc, _)| Place { segment, offset, length, crc }))
    }

    pub(super) fn due(&self, now: u64, but: &[String]) -> Result<Due<QueueItem>, StoreError> {
        let read = self.reading()?;
        let (queue, by_time) =
            (read.open_table(QUEUE).map_err(database)?, read.open_table(QUEUE_DUE).map_err(database)?);
        let mut due = Vec::new();
        for (looked_at, row) in by_time.iter().map_err(database)?.enumerate() {
            let (next, id) = row.map_err(database)?.0.value();
            if next > now {
                return Ok((due, Some(next)));
            }
            if due.len() >= AT_ONCE || looked_at >= MOST_LOOKED_AT {
                break;
            }
            if let Some(item) = queue.get(id).map_err(database)? {
                let item: QueueItem = decode(item.value())?;
                if !matches!(&item.route, Route::Domain(domain) if but.contains(domain)) {
                    due.push(item);
                }
            }
        }
        Ok((due, None))
    }

    pub(super) fn queue(&self) -> Result<Vec<QueueItem>, StoreError> {
        let queue = self.reading()?.open_table(QUEUE).map_err(database)?;
        let rows = queue.iter().map_err(database)?;
        rows.map(|row| decode(row.map_err(database)?.1.value())).collect()
    }

    pub(super) fn queue_length(&self) -> Result<u64, StoreError> {
        self.reading()?.open_table(QUEUE).map_err(database)?.len().map_err(database)
    }

    pub(super) fn notices_due(&self, now: u64) -> Result<Due<NoticeState>, StoreError> {
        let read = self.reading()?;
        let notices = read.open_table(NOTICES).map_err(database)?;
        let mut due = Vec::new();
        for row in read.open_table(NOTICES_DUE).map_err(database)?.iter().map_err(database)? {
            let key = row.map_err(database)?.0;
            let (next, account) = key.value();
            if next > now {
                return Ok((due, Some(next)));
            }
            if let Some(state) = notices.get(account).map_err(database)? {
                due.push(decode(state.value())?);
            }
        }
        Ok((due, None))
    }

    pub(super) fn notices(&self) -> Result<Vec<NoticeState>, StoreError> {
        let notices = self.reading()?.open_table(NOTICES).map_err(database)?;
        let rows = notices.iter().map_err(database)?;
        rows.map(|row| decode(row.map_err(database)?.1.value())).collect()
    }

    pub(super) fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let accounts = self.reading()?.open_table(ACCOUNTS).map_err(database)?;
        let rows = accounts.iter().map_err(database)?;
        rows.map(|row| decode(row.map_err(database)?.1.value())).collect()
    }

    /// What is to be taken off the disk: segment, offset, length.
    pub(super) fn freed(&self) -> Result<Vec<(u64, u64, u64)>, StoreError> {
        let freed = self.reading()?.open_table(FREED).map_err(database)?;
        let rows = freed.iter().map_err(database)?;
        rows.map(|row| {
            let (key, length) = row.map_err(database)?;
            let (segment, offset) = key.value();
            Ok((segment, offset, length.value()))
        })
        .collect()
    }

    /// Segments in which no mail lives; one that was never mentioned has none either.
    pub(super) fn live(&self, segment: u64) -> Result<u64, StoreError> {
        let segments = self.reading()?.open_table(SEGMENTS).map_err(database)?;
        Ok(segments.get(segment).map_err(database)?.map_or(0, |live| live.value()))
    }

    /// Does something to the tables in one step of their own.
    pub(super) fn with_tables<T>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let write = self.begin(Durability::None)?;
        let mut tables = Tables::open(&write)?;
        let done = work(&mut tables)?;
        drop(tables);
        write.commit().map_err(database)?;
        Ok(done)
    }

    /// These are off the disk: bodies, and whole segments.
    pub(super) fn forget(&self, freed: &[(u64, u64, u64)], segments: &[u64]) -> Result<(), StoreError> {
        self.with_tables(|tables| {
            for (segment, offset, _) in freed {
                tables.freed.remove((*segment, *offset)).map_err(database)?;
            }
            for segment in segments {
                tables.segments.remove(segment).map_err(database)?;
            }
            Ok(())
        })
    }
}
