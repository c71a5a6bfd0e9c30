//! Notices prepared while the mail that they tell of is still being written: the connection to the adapter is open and has the
//! envelope when the mail is durable, and only then gets the notice (ST811).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealfax_client::smtp::{Connection, Outgoing, RecipientResult};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::Core;
use super::warm::Way;
use super::way::{adapter_addresses, adapter_upgrade};
use crate::accounts::Account;

/// An envelope that is waited for no longer: its mail was refused.
const KEPT: Duration = Duration::from_secs(5);

/// A connection whose server has an envelope.
pub(super) struct Ready {
    pub(super) way: Way,
    pub(super) connection: Connection,
    pub(super) results: Vec<RecipientResult>,
}

struct Promise {
    recipient: String,
    ready: oneshot::Receiver<Ready>,
    since: Instant,
}

/// What is on its way to being ready.
#[derive(Default)]
pub(in crate::mail) struct Ahead {
    /// By the adapter's host name: one at a time.
    promises: Mutex<HashMap<String, Promise>>,
    /// Accounts that were notified a short while ago, and until when they are not again.
    quiet: Mutex<HashMap<String, u64>>,
}

impl Ahead {
    /// The next notice for this account is not due before then.
    pub(super) fn quiet_until(&self, account: &str, until: u64) {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner).insert(account.to_owned(), until);
    }

    /// Its mailbox was emptied: the next mail is told of at once.
    pub(in crate::mail) fn no_longer_quiet(&self, account: &str) {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }

    /// Whether a mail for this account will be told of at once.
    pub(in crate::mail) fn expects(&self, account: &str, now: u64) -> bool {
        let quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        quiet.get(account).is_none_or(|until| *until <= now)
    }

    /// The connection that has this very envelope, once it is ready.
    pub(super) async fn redeem(&self, host: &str, outgoing: &Outgoing<'_>) -> Option<Ready> {
        let promise = {
            let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
            let same = |promise: &Promise| {
                outgoing.reverse_path.is_none() && matches!(outgoing.recipients, [only] if *only == promise.recipient)
            };
            if !promises.get(host).is_some_and(same) {
                return None;
            }
            promises.remove(host)?
        };
        timeout(KEPT, promise.ready).await.ok()?.ok()
    }

    /// Those that nobody has redeemed.
    pub(super) fn stale(&self) -> Vec<Ready> {
        let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        let old: Vec<String> = promises
            .iter()
            .filter(|(_, promise)| promise.since.elapsed() >= KEPT)
            .map(|(host, _)| host.clone())
            .collect();
        old.iter().filter_map(|host| promises.remove(host)?.ready.try_recv().ok()).collect()
    }
}

/// Begins to prepare a notice for `account` at each of the adapters that will get one.
pub(super) fn prepare(core: &Arc<Core>, account: &Account, work: &mut JoinSet<()>) {
    let first_only = core.config().escalation.as_ref().is_some_and(|rules| rules.first_adapter_only);
    for host in account.adapters.iter().take(if first_only { 1 } else { usize::MAX }) {
        let (hand, ready) = oneshot::channel();
        {
            let mut promises = core.ahead.promises.lock().unwrap_or_else(PoisonError::into_inner);
            if promises.contains_key(host) {
                continue;
            }
            let promise = Promise { recipient: account.address.clone(), ready, since: Instant::now() };
            promises.insert(host.clone(), promise);
        }
        let (core, host, recipient) = (core.clone(), host.clone(), account.address.clone());
        work.spawn(async move {
            // Whoever waits hears of a failure by nothing coming; the notice itself then finds out why.
            if let Some(ready) = ready_for(&core, &host, &recipient).await {
                let _ = hand.send(ready);
            }
        });
    }
}

async fn ready_for(core: &Core, host: &str, recipient: &str) -> Option<Ready> {
    let upgrade = adapter_upgrade(core, host).ok()?;
    let to = *adapter_addresses(core, host).await.ok()?.first()?;
    let way = Way::new(to, &upgrade);
    let mut connection = match core.warm.take(&way) {
        Some(open) => open,
        None => Connection::open(core.seams.network.as_ref(), to, core.host(), &upgrade).await.ok()?,
    };
    let recipients = [recipient.to_owned()];
    let results = connection.envelope(Outgoing::notice(&recipients, b"")).await.ok()?;
    Some(Ready { way, connection, results })
}
