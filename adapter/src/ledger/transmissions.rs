//! What the sender waits for: open and closed transmissions, what is reported of them, and alarms that nobody has seen.

use std::time::SystemTime;

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use sealfax_client::history::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::flow::confirming::Ending;

/// How many ended transmissions are remembered; then the older half goes.
const CLOSED_REMEMBERED: u64 = 10_000;
/// How many alarms are kept for nobody to see them.
const ALARMS_KEPT: u64 = 1000;

/// The end of a transmission, or another one than was known.
#[derive(Debug, Clone, Copy)]
pub struct Closing<'a> {
    /// What it was, and what it is now.
    pub closed: &'a Closed,
    /// What the report says.
    pub report: &'a Delivered,
    /// Event and evidence for the history.
    pub record: &'a Owed,
    /// For the fax machine that asked.
    pub notifications: &'a [String],
    /// What somebody has to see.
    pub alarm: Option<&'a Alarm>,
}

type Rows<'t> = redb::Table<'t, &'static str, &'static [u8]>;

impl Ledger {
    /// Registers transmissions that wait for their confirmations, all or none.
    pub fn open_transmissions(&self, transmissions: &[OpenTransmission]) -> Result<(), LedgerError> {
        self.change(|write| {
            let mut table = rows(write, OPEN)?;
            transmissions.iter().try_for_each(|transmission| insert(&mut table, &key_of(transmission), transmission))
        })
    }

    /// Takes back what [`Self::open_transmissions`] registered: the mail was not sent after all.
    pub fn withdraw(&self, transmissions: &[OpenTransmission]) -> Result<(), LedgerError> {
        self.change(|write| {
            let mut table = rows(write, OPEN)?;
            for transmission in transmissions {
                table.remove(key_of(transmission).as_str()).map_err(failed("written"))?;
            }
            Ok(())
        })
    }

    /// ST612: the mail server has it. That is owed to the history, in the same commit. What was confirmed meanwhile has
    /// said so already.
    pub fn submitted(&self, id: &str, transmissions: &[OpenTransmission], at: SystemTime) -> Result<(), LedgerError> {
        self.change(|write| {
            let mut open = rows(write, OPEN)?;
            let mut outbox = rows(write, OUTBOX)?;
            for (number, transmission) in transmissions.iter().enumerate() {
                let key = key_of(transmission);
                let Some(mut there) = row::<OpenTransmission>(&open, &key)?.filter(|it| it.submitted.is_none()) else {
                    continue;
                };
                there.submitted = Some(at);
                insert(&mut open, &key, &there)?;
                insert(&mut outbox, &format!("{id}-{number:03}"), &owed(&there, Event::Submission, at))?;
            }
            Ok(())
        })
    }

    /// No confirmation came within the set time. `false`: it is not open any more, or known to be overdue. The history is
    /// told if it was told of the submission.
    pub fn becomes_overdue(
        &self,
        id: &str,
        transmission: &OpenTransmission,
        since: SystemTime,
    ) -> Result<bool, LedgerError> {
        self.change(|write| {
            let mut open = rows(write, OPEN)?;
            let key = key_of(transmission);
            let Some(mut there) = row::<OpenTransmission>(&open, &key)?.filter(|it| it.overdue.is_none()) else {
                return Ok(false);
            };
            there.overdue = Some(since);
            insert(&mut open, &key, &there)?;
            if there.submitted.is_some() {
                insert(&mut rows(write, OUTBOX)?, id, &owed(&there, Event::Overdue, since))?;
            }
            Ok(true)
        })
    }

    /// Somebody has seen these failures, and with `overdue` that confirmations are missing.
    pub fn acknowledge(&self, alarms: &[Alarm], overdue: bool) -> Result<(), LedgerError> {
        self.change(|write| {
            let mut table = rows(write, ALARMS)?;
            for (key, alarm) in all::<Alarm>(&table)? {
                if alarms.contains(&alarm) {
                    table.remove(key.as_str()).map_err(failed("written"))?;
                }
            }
            if overdue {
                let mut open = rows(write, OPEN)?;
                for (key, mut transmission) in all::<OpenTransmission>(&open)? {
                    if transmission.overdue.is_some() && !transmission.seen {
                        transmission.seen = true;
                        insert(&mut open, &key, &transmission)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// What failed and nobody has seen.
    pub fn alarms(&self) -> Result<Vec<Alarm>, LedgerError> {
        Ok(self.all(ALARMS)?.into_iter().map(|(_, alarm)| alarm).collect())
    }

    /// The transmission that a confirmation may end, if it has not ended.
    pub fn open_transmission(
        &self,
        message_id: &str,
        recipient: &str,
    ) -> Result<Option<OpenTransmission>, LedgerError> {
        self.get(OPEN, &OpenTransmission::key(message_id, recipient))
    }

    /// The transmission that has ended.
    pub fn closed_transmission(&self, message_id: &str, recipient: &str) -> Result<Option<Closed>, LedgerError> {
        self.get(CLOSED, &OpenTransmission::key(message_id, recipient))
    }

    /// All that wait.
    pub fn all_open(&self) -> Result<Vec<OpenTransmission>, LedgerError> {
        Ok(self.all(OPEN)?.into_iter().map(|(_, value)| value).collect())
    }

    /// D1: ends a transmission, notes it for the report, keeps the notifications that the fax machine asked for and owes
    /// it to the history, in one commit. `false`: it did not stand as it was judged, so nothing changed.
    pub fn close(&self, id: &str, closing: Closing<'_>, before: Option<Ending>) -> Result<bool, LedgerError> {
        let key = key_of(&closing.closed.transmission);
        self.change(|write| {
            let mut open = rows(write, OPEN)?;
            let mut closed = rows(write, CLOSED)?;
            let was_open = open.remove(key.as_str()).map_err(failed("written"))?.is_some();
            let was = row::<Closed>(&closed, &key)?.map(|closed| closed.ending);
            if was_open == before.is_some() || (!was_open && was != before) {
                return Ok(None);
            }
            insert(&mut closed, &key, closing.closed)?;
            if closed.len().map_err(failed("read"))? > CLOSED_REMEMBERED {
                trim(&mut closed)?;
            }
            insert(&mut rows(write, DELIVERED)?, id, closing.report)?;
            let mut outbox = rows(write, OUTBOX)?;
            // The answer of the mail server was lost, and here is what proves that it had the mail.
            if was_open && closing.closed.transmission.submitted.is_none() {
                let transmission = &closing.closed.transmission;
                let submission = owed(transmission, Event::Submission, transmission.sent);
                insert(&mut outbox, &format!("{id}-0"), &submission)?;
            }
            insert(&mut outbox, &format!("{id}-1"), closing.record)?;
            let mut alarms = rows(write, ALARMS)?;
            match closing.alarm {
                Some(alarm) => insert(&mut alarms, &key, alarm)?,
                // It has come after all.
                None => drop(alarms.remove(key.as_str()).map_err(failed("written"))?),
            }
            while alarms.len().map_err(failed("read"))? > ALARMS_KEPT {
                alarms.pop_first().map_err(failed("written"))?;
            }
            let mut table = rows(write, NOTIFICATIONS)?;
            for (number, mail) in closing.notifications.iter().enumerate() {
                let key = format!("{id}-{number}");
                table.insert(key.as_str(), mail.as_bytes()).map_err(failed("written"))?;
            }
            while table.len().map_err(failed("read"))? > NOTIFICATIONS_KEPT {
                table.pop_first().map_err(failed("written"))?;
            }
            Ok(Some(()))
        })
        .map(|done| done.is_some())
    }

    /// Ended transmissions that stand on no report yet, oldest first.
    pub fn unreported(&self) -> Result<Vec<(String, Delivered)>, LedgerError> {
        self.all(DELIVERED)
    }

    /// C11: a report takes the place of the transmissions it lists, in one commit. `false`: one of them stands on another
    /// report already, so nothing changed.
    pub fn report(&self, id: &str, mail: &str, listed: &[String]) -> Result<bool, LedgerError> {
        self.change(|write| {
            let mut delivered = rows(write, DELIVERED)?;
            for id in listed {
                if delivered.get(id.as_str()).map_err(failed("read"))?.is_none() {
                    return Ok(false);
                }
            }
            for id in listed {
                delivered.remove(id.as_str()).map_err(failed("written"))?;
            }
            rows(write, REPORTS)?.insert(id, mail.as_bytes()).map_err(failed("written"))?;
            Ok(true)
        })
    }

    /// Reports the terminal has not taken, oldest first.
    pub fn reports(&self) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        self.mails(REPORTS)
    }

    /// Notifications the terminal asked for and has not taken, oldest first.
    pub fn notifications(&self) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        self.mails(NOTIFICATIONS)
    }

    /// The terminal took the notification.
    pub fn notification_taken(&self, id: &str) -> Result<(), LedgerError> {
        self.remove(NOTIFICATIONS, id)
    }

    /// The terminal took the report.
    pub fn report_taken(&self, id: &str) -> Result<(), LedgerError> {
        self.remove(REPORTS, id)
    }

    /// Does `work` in one commit; nothing is written if it fails.
    pub(super) fn change<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let write = self.database.begin_write().map_err(failed("written"))?;
        let done = work(&write)?;
        write.commit().map_err(failed("written"))?;
        Ok(done)
    }
}

fn key_of(transmission: &OpenTransmission) -> String {
    OpenTransmission::key(&transmission.message_id, &transmission.recipient)
}

fn owed(transmission: &OpenTransmission, event: Event, at: SystemTime) -> Owed {
    let record = Box::new(transmission.record(event, at));
    Owed::Record { record, transmission: transmission.transmission.clone() }
}

fn rows(write: &WriteTransaction, table: Table) -> Result<Rows<'_>, LedgerError> {
    write.open_table(table).map_err(failed("written"))
}

fn insert<T: Serialize>(table: &mut Rows<'_>, key: &str, value: &T) -> Result<(), LedgerError> {
    let octets = serde_json::to_vec(value).map_err(failed("written"))?;
    table.insert(key, octets.as_slice()).map_err(failed("written"))?;
    Ok(())
}

fn row<T: DeserializeOwned>(table: &Rows<'_>, key: &str) -> Result<Option<T>, LedgerError> {
    let value = table.get(key).map_err(failed("read"))?;
    value.map(|value| serde_json::from_slice(value.value()).map_err(failed("read"))).transpose()
}

fn all<T: DeserializeOwned>(table: &Rows<'_>) -> Result<Vec<(String, T)>, LedgerError> {
    let mut found = Vec::new();
    for entry in table.iter().map_err(failed("read"))? {
        let (key, value) = entry.map_err(failed("read"))?;
        found.push((key.value().to_owned(), serde_json::from_slice(value.value()).map_err(failed("read"))?));
    }
    Ok(found)
}

/// Makes room: the older half goes.
fn trim(table: &mut Rows<'_>) -> Result<(), LedgerError> {
    let mut by_age: Vec<(SystemTime, String)> =
        all::<Closed>(table)?.into_iter().map(|(key, closed)| (closed.at, key)).collect();
    by_age.sort();
    for (_, key) in by_age.iter().take(by_age.len() / 2) {
        table.remove(key.as_str()).map_err(failed("written"))?;
    }
    Ok(())
}
