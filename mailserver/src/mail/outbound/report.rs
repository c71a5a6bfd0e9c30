//! What the origin of a mail is told of it: error mails (ST804, M2), delays, deliveries (RFC 3461).

use sealfax_client::smtp_server::Dsn;

use super::Core;
use crate::accounts::{domain_of, normalise};
use crate::bounce::{self, BounceFacts, Outcome};
use crate::store::{Delivery, NewItem, QueueItem, Route, millis_of, system_time};

/// The report to the origin; none for a null return path. An error mail (ST804) if it failed.
pub(super) fn report(
    core: &Core,
    outcome: Outcome,
    item: &QueueItem,
    recipients: &[(String, String)],
    mail: &[u8],
    now: u64,
) -> Option<Delivery> {
    let Some(to) = item.reverse_path.clone() else {
        if outcome == Outcome::Failed {
            let whom: Vec<&str> = recipients.iter().map(|(recipient, _)| recipient.as_str()).collect();
            let text = format!("a mail without return path is given up for {}", whom.join(", "));
            core.seams.journal.failure(core.host(), "BOUNCE-NULL", text);
        }
        return None;
    };
    let count = recipients.len();
    match outcome {
        Outcome::Failed => {
            core.metrics.bounced.inc();
            core.step(&["ST803", "ST804", "M2"], format!("error mail to {to} for {count} recipient(s)"));
        }
        _ => core.seams.journal.note(core.host(), format!("{outcome:?}: {to} is told for {count} recipient(s)")),
    }
    origin_report(core, outcome, &to, &item.dsn, recipients, mail, (item.queued, now))
}

/// The report as a delivery of its own; times are when the mail came, and now.
pub(in crate::mail) fn origin_report(
    core: &Core,
    outcome: Outcome,
    to: &str,
    dsn: &Dsn,
    recipients: &[(String, String)],
    original: &[u8],
    (arrived, now): (u64, u64),
) -> Option<Delivery> {
    let composed = bounce::compose(&BounceFacts {
        outcome,
        dsn,
        host: core.host(),
        to,
        recipients,
        original,
        arrived: system_time(arrived),
        now: system_time(now),
        token: &core.seams.entropy.token(),
    });
    let utf8 = !to.is_ascii();
    let mut delivery = Delivery { mail: composed, utf8, now, ..Delivery::default() };
    if !core.is_ours(&domain_of(to)) {
        delivery.queue.push(NewItem {
            route: Route::Domain(domain_of(to)),
            recipients: vec![to.to_owned()],
            expires: now.saturating_add(millis_of(core.config().queue_expiry)),
        });
    } else if let Some(account) = core.accounts.find(to) {
        // The adapter that sent it closes the transmission and prints why it failed; where there is none, or it does not
        // know the mail, and whatever else is reported, stays in the mailbox.
        if account.adapters.is_empty() || outcome != Outcome::Failed {
            delivery.mailboxes.push(account.address);
        } else {
            delivery.queue.push(NewItem {
                route: Route::Adapters(account.adapters),
                recipients: vec![normalise(to)],
                expires: now.saturating_add(millis_of(core.config().queue_expiry)),
            });
        }
    } else {
        core.seams.journal.failure(core.host(), "BOUNCE-LOST", format!("the origin {to} has no mailbox here"));
        return None;
    }
    Some(delivery)
}
