//! What is owed to the network goes out as soon as it can, and again until it is taken: signed confirmations to the mail
//! server (ST922), records to the history server (C12). Also does what is due by time alone: confirmations that are
//! overdue, batches that are not full.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sealfax_client::seam::TransmissionId;
use sealfax_client::smtp;

use super::registering::{Registering, register};
use super::reports;
use crate::flow::desk::Event;
use crate::ledger::{LedgerError, OpenTransmission, Owed};
use crate::office::Office;

/// A clock that was set is noticed within so many times the pause between two tries.
const LOOKS: u32 = 10;

/// Runs for as long as the adapter.
pub(crate) async fn run(office: Arc<Office>) {
    let retry = Duration::from_secs(office.config.confirmations.retry_seconds.max(1));
    // What nobody had seen before the power failed is still to be seen.
    for alarm in told(&office, office.ledger.alarms()).unwrap_or_default() {
        office.tell(Event::Failed(alarm));
    }
    loop {
        let owing = pay(&office).await;
        let overdue = told(&office, look_for_overdue(&office));
        let batch = told(&office, reports::report_if_due(&office));
        let mut pause = (owing || overdue.is_none() || batch.is_none()).then_some(retry);
        if let Some(due) = [overdue, batch].into_iter().flatten().flatten().min() {
            let now = office.seams.clock.now();
            let sleep = due.duration_since(now).unwrap_or_default().clamp(Duration::from_secs(1), retry * LOOKS);
            pause = Some(pause.map_or(sleep, |pause| pause.min(sleep)));
        }
        match pause {
            Some(pause) => drop(tokio::time::timeout(pause, office.owed.notified()).await),
            None => office.owed.notified().await,
        }
    }
}

/// What went well; what did not is written down.
fn told<T>(office: &Office, result: Result<T, LedgerError>) -> Option<T> {
    result.map_err(|error| office.failed("LEDGER-001", error.to_string())).ok()
}

/// Whether something is still owed then, as far as that is known.
async fn pay(office: &Office) -> bool {
    let Some(mut owed) = told(office, office.ledger.owed()) else { return true };
    // Somebody waits for a confirmation; for a record nobody does.
    owed.sort_by_key(|(_, owed)| !matches!(owed, Owed::Confirmation { .. }));
    let (mut owing, mut history) = (false, true);
    for (id, owed) in owed {
        let paid = match &owed {
            Owed::Confirmation { to, mail, transmission } => {
                TransmissionId::follow_if(transmission.clone(), confirm(office, to, mail)).await
            }
            Owed::History(former) => match former.record() {
                Some(record) if history => {
                    let registering = register(office, &id, &record).await;
                    history = registering != Registering::AgainLater;
                    registering == Registering::Done
                }
                Some(_) => false,
                None => {
                    office.failed("HISTORY-004", "a record of an older version cannot be read and is not registered");
                    true
                }
            },
            Owed::Record { record, transmission } if history => {
                let registering = TransmissionId::follow_if(transmission.clone(), register(office, &id, record)).await;
                history = registering != Registering::AgainLater;
                registering == Registering::Done
            }
            Owed::Record { .. } => false,
        };
        owing |= !paid;
        owing |= paid && told(office, office.ledger.paid(&id)).is_none();
    }
    owing
}

/// ST922. The null return path keeps a confirmation from ever being answered. `true`: it need not be tried again.
async fn confirm(office: &Office, to: &str, mail: &str) -> bool {
    let recipients = [to.to_owned()];
    let network = office.mail.as_ref();
    let server = office.config.network.smtp;
    match smtp::send(network, server, office.host(), None, &recipients, mail.as_bytes()).await {
        Ok(results) => match results.into_iter().find_map(|result| result.outcome.err()) {
            None => {
                office.did(&["ST922", "C9", "D1"], format!("the confirmation for {to} is at the mail server"));
                true
            }
            Some(rejection) => {
                office.failed("CONFIRM-010", format!("the confirmation for {to} was refused: {rejection}"));
                rejection.is_permanent()
            }
        },
        Err(error) => {
            office.failed("CONFIRM-010", format!("the confirmation for {to} could not be sent: {error}"));
            error.is_permanent()
        }
    }
}

/// Alarms for what was not confirmed in time, once each for the history. When the next one is due.
fn look_for_overdue(office: &Office) -> Result<Option<SystemTime>, LedgerError> {
    let limit = Duration::from_secs(office.config.confirmations.overdue_seconds);
    let now = office.seams.clock.now();
    let (mut next, mut count, mut longest) = (None::<SystemTime>, 0u32, Duration::ZERO);
    for transmission in office.ledger.all_open()? {
        // A limit beyond all times is none.
        let Some(due) = transmission.sent.checked_add(limit) else { continue };
        if transmission.overdue.is_none() && due > now {
            next = Some(next.map_or(due, |next| next.min(due)));
            continue;
        }
        if transmission.overdue.is_none() {
            becomes_overdue(office, &transmission, due)?;
        }
        if !transmission.seen {
            count = count.saturating_add(1);
            longest = longest.max(now.duration_since(transmission.overdue.unwrap_or(due)).unwrap_or_default());
        }
    }
    office.tell(Event::Overdue { count, since: longest });
    Ok(next)
}

fn becomes_overdue(office: &Office, transmission: &OpenTransmission, since: SystemTime) -> Result<(), LedgerError> {
    if !office.ledger.becomes_overdue(&office.ledger_key(), transmission, since)? {
        return Ok(());
    }
    office.owed.notify_one();
    let tell = || {
        let (id, recipient) = (&transmission.message_id, &transmission.recipient);
        office.failed("CONFIRM-014", format!("{recipient} has not confirmed {id} within the set time"));
    };
    match transmission.transmission.clone() {
        Some(id) => id.during(tell),
        None => tell(),
    }
    Ok(())
}
