//! C12: what happened to a transmission goes into the history, and what the history proves of it is kept.

use sealfax_client::history::{self, Checkpoint, Event, HistoryError, LogKey, Receipt, Record, Unproven};
use sealfax_client::http::HttpError;
use sealfax_drivers::display::Fault;

use super::receipts::Receipts;
use crate::ledger::LedgerError;
use crate::office::Office;

/// The fault band's words, Japanese and English.
const UNPROVEN: (&str, &str) = ("履歴サーバーの受領証が正しくありません", "History server: receipt does not hold");
const REFUSED: (&str, &str) = ("履歴サーバーが記録を受け付けません", "History server: a record is refused");
const REWRITTEN: (&str, &str) = ("履歴サーバーの記録が書き換えられています", "History server: records were rewritten");

/// What came of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registering {
    /// It stands there, or cannot by what we ourselves know of it.
    Done,
    /// It is to be tried again, and others meanwhile.
    Again,
    /// The server is not to be used now: others need not be tried.
    AgainLater,
}

/// Registers one record, which is owed under `id`.
pub(crate) async fn register(office: &Office, id: &str, record: &Record) -> Registering {
    let what = format!("{} of {}", record.event.word(), record.message_id);
    match registered(office, record).await {
        Ok((key, receipt, head)) => {
            let receipts = Receipts::new(&office.config.data, office.config.confirmations.receipts_kept);
            if let Err(error) = receipts.keep(&receipt) {
                office.failed("LEDGER-001", format!("the receipt for the {what} cannot be written: {error}"));
                return Registering::Again;
            }
            if let Err(error) = office.ledger.registered(id, &key, head) {
                office.failed("LEDGER-001", error.to_string());
                return Registering::Again;
            }
            office.set_fault("HISTORY-", None);
            let ids: &[&'static str] = match record.event {
                Event::Submission | Event::Overdue => &["C12"],
                _ => &["C12", "D1"],
            };
            office.did(ids, format!("the {what} stands in the history as number {}", receipt.proof.index));
            Registering::Done
        }
        Err(Trouble::Ledger(error)) => {
            office.failed("LEDGER-001", error.to_string());
            Registering::Again
        }
        Err(Trouble::History(error)) => {
            let (code, text) = (error.code(), format!("the {what} is not in the history yet: {error}"));
            let HistoryError::Unproven(why) = &error else {
                office.failed(code, text);
                let of_this_one = match &error {
                    // We ourselves see that it can never stand there.
                    HistoryError::BadField(_) => return Registering::Done,
                    HistoryError::Conflict => true,
                    HistoryError::Http(HttpError::Status { status, .. }) => {
                        (400..500).contains(status) && *status != 429
                    }
                    _ => false,
                };
                if !of_this_one {
                    return Registering::AgainLater;
                }
                // Whoever stands between us and the server could say so too: nothing is given up for it.
                let (japanese, english) = REFUSED;
                office.set_fault("HISTORY-", Some(Fault { code, japanese: japanese.into(), english: english.into() }));
                return Registering::Again;
            };
            office.suspicious(code, text);
            let (japanese, english) = match why {
                Unproven::Inconsistent { .. } => REWRITTEN,
                _ => UNPROVEN,
            };
            office.set_fault("HISTORY-", Some(Fault { code, japanese: japanese.into(), english: english.into() }));
            match why {
                // Of this one record alone.
                Unproven::Other(_) | Unproven::Personal => Registering::Again,
                _ => Registering::AgainLater,
            }
        }
    }
}

enum Trouble {
    Ledger(LedgerError),
    History(HistoryError),
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl<E: Into<HistoryError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::History(error.into())
    }
}

async fn registered(office: &Office, record: &Record) -> Result<(LogKey, Receipt, Checkpoint), Trouble> {
    let (network, server) = &office.history;
    let key = key(office).await?;
    let seen = office.ledger.history_seen(&key)?;
    let (registered, head) = history::register(network.as_ref(), server, &key, seen.as_ref(), record).await?;
    Ok((key, registered.receipt, head))
}

/// The key that is configured, else the one that the server told when it was asked for the first time.
async fn key(office: &Office) -> Result<LogKey, Trouble> {
    if let Some(key) = &office.config.network.history_key {
        return Ok(LogKey::parse(key)?);
    }
    if let Some(key) = office.ledger.pinned_history_key()? {
        return Ok(LogKey::parse(&key)?);
    }
    let (network, server) = &office.history;
    let key = history::key(network.as_ref(), server).await?;
    office.ledger.pin_history_key(&key)?;
    office.seams.journal.note(office.host(), format!("the history's key is {key}; from now on no other is believed"));
    Ok(key)
}
