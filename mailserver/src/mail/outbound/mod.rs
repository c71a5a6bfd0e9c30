//! Mail on its way: relay (ST806), error mails (ST804), confirmations to the sender's adapter (ST813), notices (ST811).
//!
//! One loop looks for what is due, woken at once by every durable commit; attempts run beside it.

mod ahead;
mod notices;
mod report;
mod warm;
mod way;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sealfax_client::seam::TransmissionId;
use sealfax_client::smtp::Outgoing;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub(super) use self::ahead::Ahead;
pub(super) use self::report::origin_report;
use self::report::report;
pub(super) use self::warm::Warm;
use self::way::{Taken, domain_addresses, send_to_first, to_adapter};
use super::Core;
use crate::accounts::Account;
use crate::bounce::Outcome;
use crate::header;
use crate::store::{Delivery, QueueItem, Route, StoreError, millis, millis_of};

/// Most attempts at once, each with its mail in memory.
const AT_ONCE: usize = 32;
/// Most notices at once, beside those.
const NOTICES_AT_ONCE: usize = 64;
/// Most attempts at once at one domain.
const AT_ONE_DOMAIN: usize = 8;
/// Longest sleep of the loop: bounds what a clock that was set costs.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What an attempt was about, so that it is not started twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Job {
    /// Its number, and the domain it goes to.
    Item(u64, Option<String>),
    Notice(String),
}

pub(super) async fn run(core: Arc<Core>, mut expected: mpsc::Receiver<Account>, mut stopped: watch::Receiver<bool>) {
    let mut running: HashSet<Job> = HashSet::new();
    let mut prepared: JoinSet<()> = JoinSet::new();
    let mut attempts: JoinSet<Job> = JoinSet::new();
    loop {
        let wait = match start_due(&core, &mut running, &mut attempts).await {
            Ok(wait) => wait,
            Err(error) => {
                core.seams.journal.failure(core.host(), "STORE-QUEUE", format!("the queue cannot be read: {error}"));
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            () = core.wake.notified() => {}
            Some(account) = expected.recv() => {
                ahead::prepare(&core, &account, &mut prepared);
                continue;
            }
            Some(_) = prepared.join_next(), if !prepared.is_empty() => continue,
            Some(done) = attempts.join_next(), if !attempts.is_empty() => match done {
                Ok(job) => { running.remove(&job); }
                // An attempt that panicked leaves its job marked as running; the next start takes it up again.
                Err(error) => core.seams.journal.failure(core.host(), "QUEUE-TASK", error.to_string()),
            },
            () = tokio::time::sleep(wait.min(LONGEST_SLEEP)) => {}
        }
        for mut ready in core.ahead.stale() {
            if ready.connection.reset().await.is_ok() {
                core.warm.keep(ready.way, ready.connection, ready.results);
            }
        }
        core.warm.part(false).await;
    }
    while attempts.join_next().await.is_some() {}
    core.warm.part(true).await;
}

/// Starts what is due; says how long nothing else will be.
async fn start_due(
    core: &Arc<Core>,
    running: &mut HashSet<Job>,
    attempts: &mut JoinSet<Job>,
) -> Result<Duration, StoreError> {
    let now = millis(core.seams.clock.now());
    let mut at_domain: HashMap<String, usize> = HashMap::new();
    for job in running.iter() {
        if let Job::Item(_, Some(domain)) = job {
            *at_domain.entry(domain.clone()).or_default() += 1;
        }
    }
    let crowded = at_domain.iter().filter(|(_, there)| **there >= AT_ONE_DOMAIN).map(|(domain, _)| domain.clone());
    let crowded: Vec<String> = crowded.collect();
    let ((notices, next_notice), (items, next_item)) =
        core.with_store(move |store| Ok((store.notices_due(now)?, store.due(now, &crowded)?))).await?;
    let mut notices_running = running.iter().filter(|job| matches!(job, Job::Notice(_))).count();
    let mut items_running = running.len() - notices_running;
    for state in notices {
        let job = Job::Notice(state.account.clone());
        if notices_running < NOTICES_AT_ONCE && running.insert(job.clone()) {
            notices_running += 1;
            let core = core.clone();
            attempts.spawn(async move {
                notices::attempt(&core, state).await;
                job
            });
        }
    }
    for item in items {
        let domain = match &item.route {
            Route::Domain(domain) => Some(domain.clone()),
            Route::Adapters(_) => None,
        };
        // One domain that answers slowly does not hold up the others.
        let there = domain.clone().map(|domain| at_domain.entry(domain).or_default());
        let job = Job::Item(item.id, domain);
        let room = items_running < AT_ONCE && there.as_ref().is_none_or(|there| **there < AT_ONE_DOMAIN);
        if room && running.insert(job.clone()) {
            items_running += 1;
            if let Some(there) = there {
                *there += 1;
            }
            let core = core.clone();
            attempts.spawn(async move {
                attempt_item(&core, item).await;
                job
            });
        }
    }
    let next = [next_notice, next_item].into_iter().flatten().min();
    Ok(next.map_or(LONGEST_SLEEP, |next| Duration::from_millis(next.saturating_sub(now).max(1))))
}

async fn attempt_item(core: &Core, item: QueueItem) {
    let lookup = item.clone();
    let mail = match core.with_store(move |store| store.queued_body(&lookup)).await {
        Ok(Some(mail)) => mail,
        Ok(None) => {
            core.seams.journal.failure(core.host(), "QUEUE-BODY", format!("queued mail {} has no body", item.id));
            settle(core, item.id, None, None).await;
            return;
        }
        Err(error) => {
            core.seams.journal.failure(core.host(), "STORE-QUEUE", error.to_string());
            tokio::time::sleep(Duration::from_secs(1)).await;
            return;
        }
    };
    TransmissionId::follow_if(header::log_id(&mail, core.host()), attempt(core, item, mail)).await;
}

async fn attempt(core: &Core, mut item: QueueItem, mail: Vec<u8>) {
    let mut failed: Vec<(String, String)> = Vec::new();
    let mut relayed: Vec<(String, String)> = Vec::new();
    match item.route.clone() {
        Route::Domain(domain) => relay(core, &mut item, &domain, &mail, &mut failed, &mut relayed).await,
        Route::Adapters(hosts) => forward(core, &mut item, hosts, &mail).await,
    }
    item.attempts = item.attempts.saturating_add(1);
    let now = millis(core.seams.clock.now());
    let expired = now >= item.expires;
    if let Route::Adapters(hosts) = &item.route {
        let (over, delivered) = (hosts.is_empty() || expired, item.delivered);
        if over {
            // Nobody took it: rather in the mailbox than lost.
            let kept = (!delivered).then(|| Delivery {
                mail: mail.clone(),
                reverse_path: item.reverse_path.clone(),
                mailboxes: item.recipients.clone(),
                now,
                ..Delivery::default()
            });
            if kept.is_some() {
                core.seams.journal.failure(
                    core.host(),
                    "CONFIRMATION-KEPT",
                    format!("no adapter took the report for {}: kept in the mailbox", item.recipients.join(", ")),
                );
            }
            settle(core, item.id, None, kept).await;
            return;
        }
    } else if expired {
        let why = item.last_error.clone();
        failed.extend(item.recipients.drain(..).map(|recipient| (recipient, why.clone())));
    }
    failed.retain(|(recipient, _)| item.dsn.wants_failure(recipient));
    relayed.retain(|(recipient, _)| item.dsn.wants_success(recipient));
    let report = if !failed.is_empty() {
        report(core, Outcome::Failed, &item, &failed, &mail, now)
    } else if !relayed.is_empty() {
        report(core, Outcome::Relayed, &item, &relayed, &mail, now)
    } else {
        delay(core, &mut item, &mail, now)
    };
    if item.recipients.is_empty() {
        settle(core, item.id, None, report).await;
    } else {
        item.next =
            now.saturating_add(millis_of(core.config().retry_after(item.attempts))).min(item.expires.max(now + 1));
        let id = item.id;
        settle(core, id, Some(item), report).await;
    }
}

/// The mail has been waiting long enough that its sender should know, once.
fn delay(core: &Core, item: &mut QueueItem, mail: &[u8], now: u64) -> Option<Delivery> {
    let since = now.saturating_sub(item.queued);
    if item.warned || since < millis_of(core.config().delay_warning) || !matches!(item.route, Route::Domain(_)) {
        return None;
    }
    let waiting = item.recipients.iter().filter(|recipient| item.dsn.wants_delay(recipient));
    let waiting: Vec<(String, String)> =
        waiting.map(|recipient| (recipient.clone(), item.last_error.clone())).collect();
    item.warned = true;
    if waiting.is_empty() { None } else { report(core, Outcome::Delayed, item, &waiting, mail, now) }
}

async fn relay(
    core: &Core,
    item: &mut QueueItem,
    domain: &str,
    mail: &[u8],
    failed: &mut Vec<(String, String)>,
    relayed: &mut Vec<(String, String)>,
) {
    let outgoing = Outgoing {
        reverse_path: item.reverse_path.as_deref(),
        recipients: &item.recipients,
        mail,
        all_or_nothing: false,
        utf8: item.utf8,
        dsn: Some(&item.dsn).filter(|dsn| !dsn.is_silent()),
    };
    let outcome = match domain_addresses(core, domain).await {
        Ok(targets) => send_to_first(core, &targets, &core.relay_upgrade, outgoing).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(Taken { refused, reports }) => {
            let taken = item.recipients.len() - refused.len();
            if taken > 0 {
                core.metrics.relayed.inc();
                core.step(&["ST806"], format!("relayed to {domain} for {taken} recipient(s)"));
            }
            if !reports {
                let went = item.recipients.iter().filter(|went| !refused.iter().any(|(refused, _)| refused == *went));
                relayed.extend(went.map(|recipient| (recipient.clone(), format!("250 2.0.0 handed to {domain}"))));
            }
            item.recipients.clear();
            for (recipient, rejection) in refused {
                item.last_error = rejection.to_string();
                if rejection.is_permanent() {
                    failed.push((recipient, rejection.to_string()));
                } else {
                    item.recipients.push(recipient);
                }
            }
        }
        Err(failure) => {
            core.seams.journal.failure(core.host(), "RELAY-FAILED", format!("{domain}: {}", failure.text));
            item.last_error.clone_from(&failure.text);
            if failure.permanent {
                failed.extend(item.recipients.drain(..).map(|recipient| (recipient, failure.text.clone())));
            }
        }
    }
}

/// ST813: to every adapter the original sender is registered at.
async fn forward(core: &Core, item: &mut QueueItem, hosts: Vec<String>, mail: &[u8]) {
    let mut left = Vec::new();
    for host in hosts {
        let outgoing = Outgoing {
            reverse_path: item.reverse_path.as_deref(),
            recipients: &item.recipients,
            mail,
            all_or_nothing: false,
            utf8: item.utf8,
            dsn: None,
        };
        let (permanent, text) = match to_adapter(core, &host, outgoing).await {
            Ok(taken) => match taken.refused.first() {
                None => {
                    core.step(&["ST813", "D1"], format!("confirmation or bounce forwarded to {host}"));
                    item.delivered = true;
                    continue;
                }
                Some((_, rejection)) => (rejection.is_permanent(), rejection.to_string()),
            },
            Err(failure) => (failure.permanent, failure.text),
        };
        core.seams.journal.failure(core.host(), "FORWARD-FAILED", format!("confirmation or bounce to {host}: {text}"));
        item.last_error = text;
        if !permanent {
            left.push(host);
        }
    }
    item.route = Route::Adapters(left);
}

async fn settle(core: &Core, id: u64, item: Option<QueueItem>, then: Option<Delivery>) {
    let settled = core.with_store(move |store| store.settle(id, item, then)).await;
    match settled {
        Ok(_) => core.wake.notify_one(),
        Err(error) => {
            core.seams.journal.failure(core.host(), "STORE-QUEUE", error.to_string());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
