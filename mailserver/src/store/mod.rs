//! What the mail server keeps: accounts, mailboxes (M1), the queue, and who is to be notified of what.
//!
//! Every method is synchronous and durable when it returns; callers run it off the network threads. Times are
//! milliseconds since 1970 UTC.

mod embedded;
mod postgres;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

pub use embedded::{EmbeddedStore, Finding};
pub use postgres::PostgresStore;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sealfax_client::smtp_server::Dsn;
use serde::{Deserialize, Serialize};

use crate::accounts::Account;

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder cannot be made or entered.
    #[error("the data folder cannot be used; check that it exists, is writable and has space")]
    Folder(#[source] std::io::Error),
    /// Another process has it open.
    #[error("the store is in use; stop the other mail server that uses this data folder")]
    InUse,
    /// Disk or database trouble.
    #[error("the store failed; check the disk's health and free space")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Written by a newer version.
    #[error("the store has format {found}, this program knows {known}; use the newer program")]
    Format {
        /// What the store says.
        found: u64,
        /// What this program knows.
        known: u64,
    },
    /// Written before the first release.
    #[error("the data folder was written by a version before the first release; start with an empty one")]
    Old,
    /// No space is left.
    #[error("no space is left on the disk of the data folder; make some, nothing else is needed")]
    Full,
    /// The disk cannot be read or written.
    #[error("the disk of the data folder failed; check its health")]
    Disk(#[source] std::io::Error),
    /// Something failed before, and it does not open now.
    #[error("the store does not work now: {0}; it is tried again with the next mail")]
    Broken(String),
    /// The index knows of a log that is not there.
    #[error("the log of the store is not where its index says; restore the data folder from its backup as a whole")]
    LogMissing,
    /// The log holds what was never written, before what was.
    #[error(
        "segment {segment:016x} of the store's log is damaged at octet {offset}; run `sealfax-mailserver store repair`"
    )]
    LogDamaged {
        /// Which segment.
        segment: u64,
        /// Where in it.
        offset: u64,
    },
    /// A mail is not what was written.
    #[error("a mail is damaged (segment {segment:016x}, octet {offset}); run `sealfax-mailserver store repair`")]
    BodyDamaged {
        /// Which segment.
        segment: u64,
        /// Where in it.
        offset: u64,
    },
    /// A backup needs a folder of its own.
    #[error("{} holds a store already; name an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// The database is backed up by its own means.
    #[error("the store is a PostgreSQL database; back it up with its own tools, such as pg_basebackup or pg_dump")]
    BackupElsewhere,
    /// A record makes no sense.
    #[error("a record of the store is damaged; restore the data folder from its backup")]
    Damaged(#[source] serde_json::Error),
}

/// A mail in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMail {
    /// Its number, ascending by arrival, never used again.
    pub id: u64,
    /// Unique-id for POP3.
    pub uid: Arc<str>,
    /// Octets as [`Store::read`] yields them.
    pub size: u64,
    /// Whether its arrival is to be notified.
    pub sealed: bool,
    /// When it was stored.
    pub received: u64,
}

/// What a mailbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Mails.
    pub mails: u64,
    /// Their octets.
    pub octets: u64,
    /// Those of them whose arrival is notified.
    pub sealed: u64,
}

/// Where a queued mail is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// To the mail exchanger of this domain.
    Domain(String),
    /// Straight to these adapters' hosts; each is removed once it has the mail.
    Adapters(Vec<String>),
}

/// A mail on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueItem {
    /// Its number.
    pub id: u64,
    /// Its body's number.
    pub body: u64,
    /// Where to.
    pub route: Route,
    /// Reverse path; none is `<>`.
    pub reverse_path: Option<String>,
    /// Recipients still wanting it.
    pub recipients: Vec<String>,
    /// Attempts made.
    pub attempts: u32,
    /// Not before this time.
    pub next: u64,
    /// Given up at this time.
    pub expires: u64,
    /// When it was queued.
    pub queued: u64,
    /// The last failure, for the bounce.
    pub last_error: String,
    /// Whether any adapter took it.
    pub delivered: bool,
    /// What its sender wants to hear.
    #[serde(default)]
    pub dsn: Dsn,
    /// Whether its sender was told that it takes long.
    #[serde(default)]
    pub warned: bool,
    /// Whether it is only for servers that know SMTPUTF8.
    #[serde(default)]
    pub utf8: bool,
}

impl QueueItem {
    /// One of a delivery's, which has no numbers yet.
    fn new(new: &NewItem, delivery: &Delivery) -> Self {
        Self {
            id: 0,
            body: 0,
            route: new.route.clone(),
            reverse_path: delivery.reverse_path.clone(),
            recipients: new.recipients.clone(),
            attempts: 0,
            next: delivery.now,
            expires: new.expires,
            queued: delivery.now,
            last_error: String::new(),
            delivered: false,
            dsn: delivery.dsn.clone(),
            warned: false,
            utf8: delivery.utf8,
        }
    }
}

/// What to queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewItem {
    /// Where to.
    pub route: Route,
    /// Who wants it.
    pub recipients: Vec<String>,
    /// Given up at this time.
    pub expires: u64,
}

/// One accepted mail with all its destinations: kept as a whole or not at all.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Delivery {
    /// What is written before the mail: our `Received` field.
    #[serde(skip)]
    pub head: Vec<u8>,
    /// The mail as it came; both are kept beside the rest.
    #[serde(skip)]
    pub mail: Vec<u8>,
    /// Its reverse path; none is `<>`.
    pub reverse_path: Option<String>,
    /// Accounts whose mailbox gets it.
    pub mailboxes: Vec<String>,
    /// Whether these mailboxes' owners are to be notified.
    pub sealed: bool,
    /// Further ways.
    pub queue: Vec<NewItem>,
    /// What its sender wants to hear.
    #[serde(default)]
    pub dsn: Dsn,
    /// Whether addresses and header may go beyond ASCII.
    #[serde(default)]
    pub utf8: bool,
    /// The time now.
    pub now: u64,
    /// When a notice of it is given up.
    pub notice_expires: u64,
}

/// An arrival notification that is due or was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeState {
    /// Whom it is for.
    pub account: String,
    /// When it was last accepted by an adapter.
    pub last_sent: Option<u64>,
    /// Failed attempts since.
    pub attempts: u32,
    /// Not before this time.
    pub next: u64,
    /// Given up at this time.
    pub expires: u64,
    /// When it escalates, unless it is answered before; none before an adapter took it, and where nothing escalates.
    #[serde(default)]
    pub escalates: Option<u64>,
    /// The newest mail that somebody has fetched: up to that one it is answered.
    #[serde(default)]
    pub answered: Option<u64>,
}

impl NoticeState {
    /// One that is due at `now` and was never sent.
    pub(crate) fn new(account: &str, now: u64, expires: u64) -> Self {
        let account = account.to_owned();
        Self { account, last_sent: None, attempts: 0, next: now, expires, escalates: None, answered: None }
    }
}

/// Who is told of an end, from whatever thread.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What another server did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Something may be due.
    Work,
    /// Accounts have changed.
    Accounts,
}

/// Who hears of it, from whatever thread.
pub type OnNews = Box<dyn Fn(News) + Send>;

/// An opened mailbox.
pub trait MailboxLock: Send {}

/// The store. One suite of tests holds for every implementation.
pub trait Store: Send + Sync {
    /// Keeps a mail for all its destinations at once; with `sealed`, notices become due.
    fn deliver(&self, delivery: Delivery) -> Result<(), StoreError>;
    /// The same without waiting: `done` is told when it is kept, or why it is not.
    fn deliver_then(&self, delivery: Delivery, done: Done);
    /// The mails of an account, oldest first.
    fn list(&self, account: &str) -> Result<Vec<StoredMail>, StoreError>;
    /// How much an account holds; costs the same however much it is.
    fn usage(&self, account: &str) -> Result<Usage, StoreError>;
    /// One mail with its `Return-Path`; none if it is gone.
    fn read(&self, account: &str, id: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// Takes a mailbox for one session, among all servers of the store; `None`: another has it. Given back when dropped.
    fn lock(&self, account: &str) -> Result<Option<Box<dyn MailboxLock>>, StoreError>;
    /// Deletes mails. Drops the notice when nothing sealed is left; makes it due at `now` for sealed mails that came
    /// after the last one was sent.
    fn delete(&self, account: &str, ids: &[u64], now: u64) -> Result<(), StoreError>;

    /// Queued mails due at `now` but to none of the domains `but`, and when the next one is due. They are this server's to try,
    /// until it settles them. There may be more.
    fn due(&self, now: u64, but: &[String]) -> Result<(Vec<QueueItem>, Option<u64>), StoreError>;
    /// All queued mails, in order of arrival.
    fn queue(&self) -> Result<Vec<QueueItem>, StoreError>;
    /// How many there are.
    fn queue_length(&self) -> Result<u64, StoreError>;
    /// The octets of a queued mail.
    fn queued_body(&self, item: &QueueItem) -> Result<Option<Vec<u8>>, StoreError>;
    /// Replaces a queued mail after an attempt, or ends it with `None`; `then` is kept in the same step. `false`, and nothing
    /// is kept, if it was ended already.
    fn settle(&self, id: u64, item: Option<QueueItem>, then: Option<Delivery>) -> Result<bool, StoreError>;

    /// Notices due at `now`, and when the next one is due.
    fn notices_due(&self, now: u64) -> Result<(Vec<NoticeState>, Option<u64>), StoreError>;
    /// All notices that are due or were sent while something waits, by account; they stay whose they are.
    fn notices(&self) -> Result<Vec<NoticeState>, StoreError>;
    /// Replaces the state `was` of a notice after an attempt (`None` drops it), unless it was dropped or made due
    /// anew meanwhile; an expiry that was put off, and an answer that came meanwhile, are kept.
    fn settle_notice(&self, was: NoticeState, state: Option<NoticeState>) -> Result<(), StoreError>;
    /// Somebody has fetched this mail: the account's notice, if there is one, is answered up to it.
    fn answer_notice(&self, account: &str, id: u64) -> Result<(), StoreError>;

    /// All accounts.
    fn accounts(&self) -> Result<Vec<Account>, StoreError>;
    /// Adds or replaces one.
    fn put_account(&self, account: &Account) -> Result<(), StoreError>;
    /// Removes one with its mailbox; `false` if there was none.
    fn remove_account(&self, address: &str) -> Result<bool, StoreError>;
    /// Gives one another address; its mails and notices go with it. `false` if there was none.
    fn rename_account(&self, from: &str, to: &str) -> Result<bool, StoreError>;

    /// Copies the store as it is now into an empty folder, while it goes on working.
    fn backup(&self, to: &Path) -> Result<(), StoreError>;
    /// Has `tell` hear what other servers of the store did.
    fn on_news(&self, tell: OnNews);
}

/// `Return-Path` as final delivery adds it (RFC 5321, 4.4).
fn return_path(reverse_path: Option<&str>) -> String {
    format!("Return-Path: <{}>\r\n", reverse_path.unwrap_or(""))
}

/// A time as the store counts it.
pub fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as the store counts it.
pub fn millis_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A stored time as the system's.
pub fn system_time(at: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at)).unwrap_or(SystemTime::UNIX_EPOCH)
}
