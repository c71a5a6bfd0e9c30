//! The tables of the index, and what each change does to them.

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change::{Change, Cursor, Logged, Place};
use crate::store::{Delivery, NoticeState, QueueItem, StoreError, return_path};

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const ACCOUNTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("accounts");
/// Segment, offset, length, CRC-32, and how many mailboxes and queue entries want it.
pub(super) const BODIES: TableDefinition<'_, u64, (u64, u64, u64, u32, u32)> = TableDefinition::new("bodies");
/// By account and number.
pub(super) const BOXES: TableDefinition<'_, (&str, u64), Row<'static>> = TableDefinition::new("boxes");
/// Mails of an account, their octets, and how many of them are sealed.
pub(super) const USAGE: TableDefinition<'_, &str, (u64, u64, u64)> = TableDefinition::new("usage");
pub(super) const QUEUE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("queue");
/// By when it is due, and the number in the queue.
pub(super) const QUEUE_DUE: TableDefinition<'_, (u64, u64), ()> = TableDefinition::new("queue-due");
pub(super) const NOTICES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("notices");
/// By when it is due, and the account.
pub(super) const NOTICES_DUE: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("notices-due");
/// Bodies that live in a segment.
pub(super) const SEGMENTS: TableDefinition<'_, u64, u64> = TableDefinition::new("segments");
/// What is to be taken off the disk: segment and offset, length.
pub(super) const FREED: TableDefinition<'_, (u64, u64), u64> = TableDefinition::new("freed");

/// A mail in a mailbox: its body's number, size as it is handed out, whether it is sealed, when it came, reverse path.
pub(super) type Row<'a> = (u64, u64, bool, u64, Option<&'a str>);

pub(super) fn database(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Database(Box::new(error.into()))
}

pub(super) fn decode<T: DeserializeOwned>(octets: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(octets).map_err(StoreError::Damaged)
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(StoreError::Damaged)
}

/// All tables of one transaction.
pub(super) struct Tables<'t> {
    pub(super) meta: Table<'t, &'static str, u64>,
    pub(super) accounts: Table<'t, &'static str, &'static [u8]>,
    pub(super) bodies: Table<'t, u64, (u64, u64, u64, u32, u32)>,
    pub(super) boxes: Table<'t, (&'static str, u64), Row<'static>>,
    usage: Table<'t, &'static str, (u64, u64, u64)>,
    queue: Table<'t, u64, &'static [u8]>,
    queue_due: Table<'t, (u64, u64), ()>,
    notices: Table<'t, &'static str, &'static [u8]>,
    notices_due: Table<'t, (u64, &'static str), ()>,
    pub(super) segments: Table<'t, u64, u64>,
    pub(super) freed: Table<'t, (u64, u64), u64>,
}

impl<'t> Tables<'t> {
    /// Opens all, making those that are missing.
    pub(super) fn open(write: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            meta: write.open_table(META).map_err(database)?,
            accounts: write.open_table(ACCOUNTS).map_err(database)?,
            bodies: write.open_table(BODIES).map_err(database)?,
            boxes: write.open_table(BOXES).map_err(database)?,
            usage: write.open_table(USAGE).map_err(database)?,
            queue: write.open_table(QUEUE).map_err(database)?,
            queue_due: write.open_table(QUEUE_DUE).map_err(database)?,
            notices: write.open_table(NOTICES).map_err(database)?,
            notices_due: write.open_table(NOTICES_DUE).map_err(database)?,
            segments: write.open_table(SEGMENTS).map_err(database)?,
            freed: write.open_table(FREED).map_err(database)?,
        })
    }

    /// A number of the index itself.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.meta.get(key).map_err(database)?.map(|value| value.value()))
    }

    /// Keeps a number of the index itself.
    pub(super) fn put_number(&mut self, key: &str, value: u64) -> Result<(), StoreError> {
        self.meta.insert(key, value).map_err(database)?;
        Ok(())
    }

    /// How much of the log the index knows.
    pub(super) fn put_cursor(&mut self, cursor: Cursor) -> Result<(), StoreError> {
        self.put_number("segment", cursor.segment)?;
        self.put_number("offset", cursor.offset)?;
        self.put_number("number", cursor.number)
    }

    /// Does one change; says whether there was what it is about.
    pub(super) fn apply(&mut self, logged: &Logged) -> Result<bool, StoreError> {
        match &logged.change {
            Change::Deliver(delivery) => self.keep(delivery, logged.body).map(|()| true),
            Change::Delete { account, ids, now } => self.delete(account, ids, *now).map(|()| true),
            Change::Settle { id, item, then } => {
                let known = self.settle(*id, item.as_deref())?;
                if let (true, Some(delivery)) = (known, then) {
                    self.keep(delivery, logged.body)?;
                }
                Ok(known)
            }
            Change::SettleNotice { was, state } => self.settle_notice(was, state.as_ref()).map(|()| true),
            Change::AnswerNotice { account, id } => self.answer_notice(account, *id),
            Change::PutAccount(account) => {
                self.accounts.insert(account.address.as_str(), encode(account)?.as_slice()).map_err(database)?;
                Ok(true)
            }
            Change::RemoveAccount { address } => self.remove_account(address),
            Change::RenameAccount { from, to } => self.rename_account(from, to),
            Change::Snapshot { accounts } => {
                self.accounts.retain(|_, _| false).map_err(database)?;
                for account in accounts {
                    self.accounts.insert(account.address.as_str(), encode(account)?.as_slice()).map_err(database)?;
                }
                Ok(true)
            }
        }
    }

    /// The next number; numbers are never used again.
    fn next(&mut self) -> Result<u64, StoreError> {
        let number = self.number("next")?.unwrap_or(1);
        self.put_number("next", number + 1)?;
        Ok(number)
    }

    fn keep(&mut self, delivery: &Delivery, place: Option<Place>) -> Result<(), StoreError> {
        let Some(Place { segment, offset, length, crc }) = place else { return Ok(()) };
        let references = u32::try_from(delivery.mailboxes.len() + delivery.queue.len()).unwrap_or(u32::MAX);
        let body = self.next()?;
        self.bodies.insert(body, (segment, offset, length, crc, references)).map_err(database)?;
        let live = self.segments.get(segment).map_err(database)?.map_or(0, |live| live.value());
        self.segments.insert(segment, live + 1).map_err(database)?;
        let reverse_path = delivery.reverse_path.as_deref();
        let size = length + return_path(reverse_path).len() as u64;
        for account in &delivery.mailboxes {
            let id = self.next()?;
            let row = (body, size, delivery.sealed, delivery.now, reverse_path);
            self.boxes.insert((account.as_str(), id), row).map_err(database)?;
            let (mails, octets, sealed) = self.usage_of(account)?;
            let usage = (mails + 1, octets + size, sealed + u64::from(delivery.sealed));
            self.usage.insert(account.as_str(), usage).map_err(database)?;
            if delivery.sealed {
                let (now, expires) = (delivery.now, delivery.notice_expires);
                let state = match self.notice(account)? {
                    // One is due or was just sent: this mail rides with the next.
                    Some(state) => NoticeState { expires, ..state },
                    None => NoticeState::new(account, now, expires),
                };
                self.put_notice(&state)?;
            }
        }
        for new in &delivery.queue {
            let id = self.next()?;
            self.put_item(&QueueItem { id, body, ..QueueItem::new(new, delivery) })?;
        }
        Ok(())
    }

    fn drop_reference(&mut self, body: u64) -> Result<(), StoreError> {
        let Some(known) = self.bodies.get(body).map_err(database)?.map(|value| value.value()) else { return Ok(()) };
        let (segment, offset, length, crc, references) = known;
        if references > 1 {
            self.bodies.insert(body, (segment, offset, length, crc, references - 1)).map_err(database)?;
            return Ok(());
        }
        self.bodies.remove(body).map_err(database)?;
        self.freed.insert((segment, offset), length).map_err(database)?;
        let live = self.segments.get(segment).map_err(database)?.map_or(0, |live| live.value());
        self.segments.insert(segment, live.saturating_sub(1)).map_err(database)?;
        Ok(())
    }

    /// Takes a body off, with whatever wants it; says which mailboxes did, and how many entries of the queue.
    pub(super) fn lose(&mut self, body: u64) -> Result<(Vec<String>, usize), StoreError> {
        let mut boxes = Vec::new();
        for row in self.boxes.iter().map_err(database)? {
            let (key, value) = row.map_err(database)?;
            if value.value().0 == body {
                boxes.push((key.value().0.to_owned(), key.value().1));
            }
        }
        for (account, id) in &boxes {
            self.take(account, *id)?;
            self.drop_reference(body)?;
        }
        let mut queued = Vec::new();
        for row in self.queue.iter().map_err(database)? {
            let item: QueueItem = decode(row.map_err(database)?.1.value())?;
            if item.body == body {
                queued.push(item.id);
            }
        }
        for id in &queued {
            self.settle(*id, None)?;
        }
        // Whatever the count of its references was.
        while self.bodies.get(body).map_err(database)?.is_some() {
            self.drop_reference(body)?;
        }
        Ok((boxes.into_iter().map(|(account, _)| account).collect(), queued.len()))
    }

    fn usage_of(&self, account: &str) -> Result<(u64, u64, u64), StoreError> {
        Ok(self.usage.get(account).map_err(database)?.map(|usage| usage.value()).unwrap_or_default())
    }

    /// Takes a mail out of a mailbox; its body's number.
    fn take(&mut self, account: &str, id: u64) -> Result<Option<u64>, StoreError> {
        let taken = self.boxes.remove((account, id)).map_err(database)?.map(|row| {
            let (body, size, sealed, ..) = row.value();
            (body, size, sealed)
        });
        let Some((body, size, sealed)) = taken else { return Ok(None) };
        let (mails, octets, all_sealed) = self.usage_of(account)?;
        if mails > 1 {
            let usage = (mails - 1, octets.saturating_sub(size), all_sealed.saturating_sub(u64::from(sealed)));
            self.usage.insert(account, usage).map_err(database)?;
        } else {
            self.usage.remove(account).map_err(database)?;
        }
        Ok(Some(body))
    }

    fn delete(&mut self, account: &str, ids: &[u64], now: u64) -> Result<(), StoreError> {
        for id in ids {
            if let Some(body) = self.take(account, *id)? {
                self.drop_reference(body)?;
            }
        }
        let Some(state) = self.notice(account)? else { return Ok(()) };
        if self.usage_of(account)?.2 == 0 {
            return self.drop_notice(account);
        }
        if let Some(last) = state.last_sent
            && self.newest_sealed(account)?.is_some_and(|received| received > last)
        {
            self.put_notice(&NoticeState { next: now, ..state })?;
        }
        Ok(())
    }

    /// When the newest sealed mail came.
    fn newest_sealed(&self, account: &str) -> Result<Option<u64>, StoreError> {
        for row in self.boxes.range((account, 0)..=(account, u64::MAX)).map_err(database)?.rev() {
            let row = row.map_err(database)?.1;
            let (_, _, sealed, received, _) = row.value();
            if sealed {
                return Ok(Some(received));
            }
        }
        Ok(None)
    }

    fn item(&self, id: u64) -> Result<Option<QueueItem>, StoreError> {
        self.queue.get(id).map_err(database)?.map(|value| decode(value.value())).transpose()
    }

    fn put_item(&mut self, item: &QueueItem) -> Result<(), StoreError> {
        self.queue.insert(item.id, encode(item)?.as_slice()).map_err(database)?;
        self.queue_due.insert((item.next, item.id), ()).map_err(database)?;
        Ok(())
    }

    fn settle(&mut self, id: u64, item: Option<&QueueItem>) -> Result<bool, StoreError> {
        let Some(known) = self.item(id)? else { return Ok(false) };
        self.queue_due.remove((known.next, id)).map_err(database)?;
        match item {
            Some(item) => self.put_item(item)?,
            None => {
                self.queue.remove(id).map_err(database)?;
                self.drop_reference(known.body)?;
            }
        }
        Ok(true)
    }

    fn notice(&self, account: &str) -> Result<Option<NoticeState>, StoreError> {
        self.notices.get(account).map_err(database)?.map(|value| decode(value.value())).transpose()
    }

    fn drop_notice(&mut self, account: &str) -> Result<(), StoreError> {
        if let Some(known) = self.notice(account)? {
            self.notices.remove(account).map_err(database)?;
            self.notices_due.remove((known.next, account)).map_err(database)?;
        }
        Ok(())
    }

    fn put_notice(&mut self, state: &NoticeState) -> Result<(), StoreError> {
        let account = state.account.as_str();
        self.drop_notice(account)?;
        self.notices.insert(account, encode(state)?.as_slice()).map_err(database)?;
        self.notices_due.insert((state.next, account), ()).map_err(database)?;
        Ok(())
    }

    fn settle_notice(&mut self, was: &NoticeState, state: Option<&NoticeState>) -> Result<(), StoreError> {
        let known = self.notice(&was.account)?;
        let Some(known) = known.filter(|known| known.next == was.next && known.last_sent == was.last_sent) else {
            return Ok(());
        };
        match state {
            Some(state) => {
                let (expires, answered) = (known.expires.max(state.expires), known.answered.max(state.answered));
                self.put_notice(&NoticeState { expires, answered, ..state.clone() })
            }
            None => self.drop_notice(&was.account),
        }
    }

    fn answer_notice(&mut self, account: &str, id: u64) -> Result<bool, StoreError> {
        let Some(known) = self.notice(account)? else { return Ok(false) };
        self.put_notice(&NoticeState { answered: known.answered.max(Some(id)), ..known })?;
        Ok(true)
    }

    fn mails_of(&self, account: &str) -> Result<Vec<u64>, StoreError> {
        let rows = self.boxes.range((account, 0)..=(account, u64::MAX)).map_err(database)?;
        rows.map(|row| row.map(|(key, _)| key.value().1).map_err(database)).collect()
    }

    fn remove_account(&mut self, address: &str) -> Result<bool, StoreError> {
        let existed = self.accounts.remove(address).map_err(database)?.is_some();
        for id in self.mails_of(address)? {
            if let Some(body) = self.take(address, id)? {
                self.drop_reference(body)?;
            }
        }
        self.drop_notice(address)?;
        Ok(existed)
    }

    fn rename_account(&mut self, from: &str, to: &str) -> Result<bool, StoreError> {
        let account = self.accounts.remove(from).map_err(database)?.map(|value| decode(value.value())).transpose()?;
        let Some(account): Option<crate::accounts::Account> = account else { return Ok(false) };
        self.accounts.insert(to, encode(&account.renamed(to))?.as_slice()).map_err(database)?;
        for id in self.mails_of(from)? {
            let row = self.boxes.remove((from, id)).map_err(database)?.map(|row| {
                let (body, size, sealed, received, path) = row.value();
                (body, size, sealed, received, path.map(str::to_owned))
            });
            if let Some((body, size, sealed, received, path)) = row {
                self.boxes.insert((to, id), (body, size, sealed, received, path.as_deref())).map_err(database)?;
            }
        }
        let usage = self.usage.remove(from).map_err(database)?.map(|usage| usage.value());
        if let Some(usage) = usage {
            self.usage.insert(to, usage).map_err(database)?;
        }
        if let Some(state) = self.notice(from)? {
            self.drop_notice(from)?;
            self.put_notice(&NoticeState { account: to.to_owned(), ..state })?;
        }
        Ok(true)
    }
}
