//! What is written to the log: each change of the store, as it is asked for. Applied to the same index in the same order, the
//! same changes give the same index.

use serde::{Deserialize, Serialize};

use crate::accounts::Account;
use crate::store::{Delivery, NoticeState, QueueItem};

/// One change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Change {
    /// [`crate::store::Store::deliver`].
    Deliver(Delivery),
    /// [`crate::store::Store::delete`].
    Delete { account: String, ids: Vec<u64>, now: u64 },
    /// [`crate::store::Store::settle`].
    Settle { id: u64, item: Option<Box<QueueItem>>, then: Option<Delivery> },
    /// [`crate::store::Store::settle_notice`].
    SettleNotice { was: NoticeState, state: Option<NoticeState> },
    /// [`crate::store::Store::answer_notice`].
    AnswerNotice { account: String, id: u64 },
    /// [`crate::store::Store::put_account`].
    PutAccount(Account),
    /// [`crate::store::Store::remove_account`].
    RemoveAccount { address: String },
    /// [`crate::store::Store::rename_account`].
    RenameAccount { from: String, to: String },
    /// All accounts, which older segments may have been the only ones to say.
    Snapshot { accounts: Vec<Account> },
}

impl Change {
    /// The mail that it brings, in two parts: kept once, beside the change.
    pub(super) fn body(&self) -> Option<[&[u8]; 2]> {
        match self {
            Self::Deliver(delivery) => Some(delivery),
            Self::Settle { then, .. } => then.as_ref(),
            _ => None,
        }
        .filter(|delivery| !delivery.mailboxes.is_empty() || !delivery.queue.is_empty())
        .map(|delivery| [delivery.head.as_slice(), delivery.mail.as_slice()])
    }
}

/// Where a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its segment.
    pub(super) segment: u64,
    /// Octets before it in there.
    pub(super) offset: u64,
    /// Its length in octets.
    pub(super) length: u64,
    /// CRC-32 of it.
    pub(super) crc: u32,
}

/// A change that is in the log, with its body's place.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) change: Change,
    pub(super) body: Option<Place>,
}

/// How far the log is, or how much of it an index knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    /// The segment of the next frame.
    pub(super) segment: u64,
    /// Octets before it in there.
    pub(super) offset: u64,
    /// Its number.
    pub(super) number: u64,
}

impl Cursor {
    /// Before everything.
    pub(super) const START: Self = Self { segment: 1, offset: 0, number: 1 };
}
