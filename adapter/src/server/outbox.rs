//! What is owed to the network goes out as soon as it can, and again until it is taken: signed confirmations to the mail
//! server (ST922), records to the history server (C12). Also looks for confirmations that are overdue.

use std::sync::Arc;
use std::time::Duration;

use sealfax_client::http::Server;
use sealfax_client::{history, smtp};

use crate::flow::desk::Event;
use crate::ledger::Owed;
use crate::office::Office;

/// How long it rests when nothing is owed and nothing is open: who changes that wakes it.
const REST: Duration = Duration::from_secs(600);

/// Runs for as long as the adapter.
pub(crate) async fn run(office: Arc<Office>) {
    let pause = Duration::from_secs(office.config.confirmations.retry_seconds.max(1));
    loop {
        let owing = pay(&office).await;
        let waiting = look_for_overdue(&office);
        let pause = if owing || waiting { pause } else { pause.max(REST) };
        let _ = tokio::time::timeout(pause, office.owed.notified()).await;
    }
}

/// Whether something is still owed then, as far as that is known.
async fn pay(office: &Office) -> bool {
    let owed = match office.ledger.owed() {
        Ok(owed) => owed,
        Err(error) => {
            office.failed("LEDGER-001", error.to_string());
            return true;
        }
    };
    let mut owing = false;
    for (id, owed) in owed {
        let paid = match &owed {
            Owed::Confirmation { to, mail, transmission } => match transmission.clone() {
                Some(id) => id.follow(confirm(office, to, mail)).await,
                None => confirm(office, to, mail).await,
            },
            Owed::History(record) => register(office, record).await,
        };
        owing |= !paid;
        if paid && let Err(error) = office.ledger.paid(&id) {
            office.failed("LEDGER-001", error.to_string());
            owing = true;
        }
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

/// C12. Registering twice is harmless. `true`: it need not be tried again.
async fn register(office: &Office, record: &history::Transmission) -> bool {
    match history::register(&office.seams, &Server::at(office.config.network.history), record).await {
        Ok(receipt) => {
            office.did(
                &["C12", "D1"],
                format!("{} stands in the history as number {}", record.message_id, receipt.index),
            );
            true
        }
        Err(error) => {
            office.failed(error.code(), format!("{} is not in the history yet: {error}", record.message_id));
            !error.is_transient()
        }
    }
}

/// Whether a confirmation is waited for, as far as that is known.
fn look_for_overdue(office: &Office) -> bool {
    let open = match office.ledger.all_open() {
        Ok(open) => open,
        Err(error) => {
            office.failed("LEDGER-001", error.to_string());
            return true;
        }
    };
    let limit = Duration::from_secs(office.config.confirmations.overdue_seconds);
    let now = office.seams.clock.now();
    let late: Vec<Duration> =
        open.iter().filter_map(|transmission| now.duration_since(transmission.sent).ok()?.checked_sub(limit)).collect();
    let count = u32::try_from(late.len()).unwrap_or(u32::MAX);
    let since = late.into_iter().max().unwrap_or_default();
    office.tell(Event::Overdue { count, since: Duration::from_secs(since.as_secs() / 60 * 60) });
    !open.is_empty()
}
