//! The embedded store: a log of everything that was asked for, and an index of it.
//!
//! A mail is written once, into the log (`log/*.log`), and stays where it is until nobody wants it any more; then its place
//! becomes a hole. What is whose stands in the index (`index.redb`), which costs no `fsync`: it is written through now and
//! then, and what the log holds behind that is applied again at the next opening. All who wait share one commit.

mod change;
mod frame;
mod index;
mod log;
mod segments;
mod tables;
mod tending;
mod writer;

use std::collections::HashSet;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use sealfax_client::seam::Entropy;

use self::change::Change;
use self::index::Index;
use self::segments::Segments;
pub use self::tending::Finding;
use self::writer::{Job, Parts, Shared, Writer};
use super::{Delivery, Done, MailboxLock, NoticeState, OnNews, QueueItem, Store, StoreError, StoredMail, Usage};
use crate::accounts::Account;

/// A data folder with its thread.
pub struct EmbeddedStore {
    index: Shared,
    segments: Arc<Segments>,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Mailboxes that a session has open.
    open: Arc<Mutex<HashSet<String>>>,
}

/// The exclusive lock on a mailbox; given back when dropped.
struct Lock {
    open: Arc<Mutex<HashSet<String>>>,
    account: String,
}

impl MailboxLock for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedStore")
    }
}

fn log_folder(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

impl EmbeddedStore {
    /// Opens the store in `folder`, making both when missing.
    pub fn open(folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Self, StoreError> {
        make(folder).map_err(StoreError::Folder)?;
        let segments = Arc::new(Segments::open(&log_folder(folder)).map_err(StoreError::Folder)?);
        let parts = Parts::open(folder, &segments, entropy.as_ref())?;
        let index: Shared = Arc::new(RwLock::new(Some(parts.index.clone())));
        let (jobs, waiting) = channel();
        let writer = Writer {
            folder: folder.to_path_buf(),
            segments: segments.clone(),
            entropy: entropy.clone(),
            shared: index.clone(),
            parts: Some(parts),
            jobs: waiting,
            broke: None,
            unsaved: (0, None),
            holding: 0,
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || writer.run());
        Ok(Self {
            index,
            segments,
            jobs: Some(jobs),
            thread: Some(thread.map_err(StoreError::Folder)?),
            open: Arc::default(),
        })
    }

    fn ask(&self, job: Job) -> Result<(), StoreError> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(StoreError::Broken("its thread ended".to_owned())) }
    }

    fn change(&self, change: Change) -> Result<bool, StoreError> {
        let (answer, answered) = sync_channel(1);
        // Who asked may be gone; the change holds all the same.
        let tell = move |outcome| drop(answer.send(outcome));
        self.ask(Job::Change(Box::new(change), Box::new(tell)))?;
        answered.recv().unwrap_or_else(|_| Err(StoreError::Broken("its thread ended".to_owned())))
    }

    fn index(&self) -> Result<Arc<Index>, StoreError> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner).clone();
        index.ok_or_else(|| StoreError::Broken("it is being opened anew".to_owned()))
    }

    fn body(&self, place: &change::Place, prefix: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.segments.read(place, prefix).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => {
                StoreError::BodyDamaged { segment: place.segment, offset: place.offset }
            }
            _ => StoreError::Disk(error),
        })
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Store for EmbeddedStore {
    fn deliver(&self, delivery: Delivery) -> Result<(), StoreError> {
        self.change(Change::Deliver(delivery)).map(drop)
    }

    fn deliver_then(&self, delivery: Delivery, done: Done) {
        let job = Job::Change(Box::new(Change::Deliver(delivery)), Box::new(|outcome| done(outcome.map(drop))));
        let unsent = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        if let Some(Job::Change(_, answer)) = unsent {
            answer(Err(StoreError::Broken("its thread ended".to_owned())));
        }
    }

    fn list(&self, account: &str) -> Result<Vec<StoredMail>, StoreError> {
        self.index()?.list(account)
    }

    fn usage(&self, account: &str) -> Result<Usage, StoreError> {
        self.index()?.usage(account)
    }

    fn read(&self, account: &str, id: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.index()?.find(account, id)?;
        found.map(|(place, return_path)| self.body(&place, return_path.as_bytes())).transpose()
    }

    fn delete(&self, account: &str, ids: &[u64], now: u64) -> Result<(), StoreError> {
        self.change(Change::Delete { account: account.to_owned(), ids: ids.to_vec(), now }).map(drop)
    }

    fn lock(&self, account: &str) -> Result<Option<Box<dyn MailboxLock>>, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let free = open.insert(account.to_owned());
        Ok(free
            .then(|| Box::new(Lock { open: self.open.clone(), account: account.to_owned() }) as Box<dyn MailboxLock>))
    }

    fn queue(&self) -> Result<Vec<QueueItem>, StoreError> {
        self.index()?.queue()
    }

    fn queue_length(&self) -> Result<u64, StoreError> {
        self.index()?.queue_length()
    }

    fn due(&self, now: u64, but: &[String]) -> Result<(Vec<QueueItem>, Option<u64>), StoreError> {
        self.index()?.due(now, but)
    }

    fn queued_body(&self, item: &QueueItem) -> Result<Option<Vec<u8>>, StoreError> {
        let place = self.index()?.place(item.body)?;
        place.map(|place| self.body(&place, b"")).transpose()
    }

    fn settle(&self, id: u64, item: Option<QueueItem>, then: Option<Delivery>) -> Result<bool, StoreError> {
        self.change(Change::Settle { id, item: item.map(Box::new), then })
    }

    fn notices_due(&self, now: u64) -> Result<(Vec<NoticeState>, Option<u64>), StoreError> {
        self.index()?.notices_due(now)
    }

    fn notices(&self) -> Result<Vec<NoticeState>, StoreError> {
        self.index()?.notices()
    }

    fn settle_notice(&self, was: NoticeState, state: Option<NoticeState>) -> Result<(), StoreError> {
        self.change(Change::SettleNotice { was, state }).map(drop)
    }

    fn answer_notice(&self, account: &str, id: u64) -> Result<(), StoreError> {
        self.change(Change::AnswerNotice { account: account.to_owned(), id }).map(drop)
    }

    fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.index()?.accounts()
    }

    fn put_account(&self, account: &Account) -> Result<(), StoreError> {
        self.change(Change::PutAccount(account.clone())).map(drop)
    }

    fn remove_account(&self, address: &str) -> Result<bool, StoreError> {
        self.change(Change::RemoveAccount { address: address.to_owned() })
    }

    fn rename_account(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        self.change(Change::RenameAccount { from: from.to_owned(), to: to.to_owned() })
    }

    fn backup(&self, to: &Path) -> Result<(), StoreError> {
        make(to).map_err(StoreError::Folder)?;
        if index::path(to).exists() || log_folder(to).exists() {
            return Err(StoreError::NotEmpty(to.to_path_buf()));
        }
        let segments = Segments::open(&log_folder(to)).map_err(StoreError::Folder)?;
        let (answer, answered) = sync_channel(1);
        self.ask(Job::Hold(to.to_path_buf(), answer))?;
        let belonging = answered.recv().unwrap_or_else(|_| Err(StoreError::Broken("its thread ended".to_owned())))?;
        let copied =
            belonging.into_iter().try_for_each(|(segment, octets)| self.segments.copy(segment, octets, &segments));
        self.ask(Job::Release)?;
        copied.and_then(|()| segments.sync()).map_err(StoreError::Disk)
    }

    /// Nobody else works on this store.
    fn on_news(&self, _: OnNews) {}
}

#[cfg(test)]
mod tests;
