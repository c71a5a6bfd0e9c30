//! Notices on their way (ST811): to the recipient's adapters, and where nobody answers to more of them and to a deputy's.

use sealfax_client::smtp::Outgoing;

use super::way::to_adapter;
use super::{Core, Duration};
use crate::accounts::Account;
use crate::mail::escalation::{Escalation, Moment, Sent, Step, oldest_unread};
use crate::notice::{self, NoticeFacts};
use crate::store::{NoticeState, StoreError, millis, millis_of, system_time};

/// What an adapter made of a notice.
enum Outcome {
    Taken,
    /// It may take it another time.
    Later,
    Never,
}

pub(super) async fn attempt(core: &Core, state: NoticeState) {
    let now = millis(core.seams.clock.now());
    let config = core.config();
    let rules = config.escalation.as_ref();
    // What cannot be counted now is taken to be there and unread, for that was why the notice was made.
    let (count, oldest) = waiting(core, &state, rules.is_some()).await.unwrap_or((1, Some(0)));
    let account = core.accounts.find(&state.account);
    let Some(account) = account.filter(|account| count > 0 && now < state.expires && !account.adapters.is_empty())
    else {
        if count > 0 {
            let name = &state.account;
            core.seams.journal.failure(
                core.host(),
                "NOTICE-END",
                format!("the notice for {name} is given up: expired, or no adapter is registered for this account"),
            );
        }
        settle(core, state, None).await;
        return;
    };
    let moment = Moment { rules, state: &state, oldest, interval: millis_of(config.notice_interval), now };
    let step = moment.step();
    if let Step::Wait(until) = step {
        let next = moment.waiting(until);
        settle(core, state, Some(next)).await;
        return;
    }
    let mail = notice::compose(&NoticeFacts {
        host: core.host(),
        account: &account,
        count,
        now: system_time(now),
        expires: system_time(state.expires),
        escalated: step == Step::Escalate,
        token: &core.seams.entropy.token(),
    });
    let sent = match step {
        Step::Escalate => escalate(core, &account, &mail, count).await,
        Step::Usual | Step::Wait(_) => usual(core, &account, rules, &mail, count).await,
    };
    // Attempts take their time where an adapter does not answer.
    let tried = if sent.taken { now } else { millis(core.seams.clock.now()) };
    let wait = millis_of(config.retry_after(state.attempts.saturating_add(1)));
    let next = Moment { now: tried, ..moment }.after(step, sent, wait);
    if sent.taken {
        core.ahead.quiet_until(&state.account, next.next);
    }
    settle(core, state, Some(next)).await;
}

/// How many sealed mails wait, and, if that is wanted, when the oldest came that nobody has fetched.
async fn waiting(core: &Core, state: &NoticeState, unread: bool) -> Result<(usize, Option<u64>), StoreError> {
    let (name, answered) = (state.account.clone(), state.answered);
    let asked = core.with_store(move |store| {
        let usage = store.usage(&name)?;
        let oldest = if unread { oldest_unread(&store.list(&name)?, answered) } else { None };
        Ok((usize::try_from(usage.sealed).unwrap_or(usize::MAX), oldest))
    });
    asked.await
}

/// To all of the recipient's adapters, or to the first that takes it.
async fn usual(core: &Core, account: &Account, rules: Option<&Escalation>, mail: &[u8], count: usize) -> Sent {
    let mut sent = Sent { taken: false, whole: true };
    for host in &account.adapters {
        if matches!(bring(core, account, host, mail).await, Outcome::Taken) {
            sent.taken = true;
            let text = format!("{host} notified that {count} sealed mail(s) wait for {}", account.address);
            core.step(&["ST811", "C1", "C13"], text);
            if rules.is_some_and(|rules| rules.first_adapter_only) {
                break;
            }
        }
    }
    sent
}

/// To all of the recipient's adapters, and a copy to the deputy's. The copy is the same to the letter, addressed to the
/// recipient: an adapter shows for whom it is, and the deputy, who cannot open the mail, tells that person.
async fn escalate(core: &Core, account: &Account, mail: &[u8], count: usize) -> Sent {
    let deputy = deputy(core, account);
    let deputies = deputy.iter().flat_map(|deputy| &deputy.adapters).filter(|host| !account.adapters.contains(host));
    let targets = account.adapters.iter().map(|host| (host, None)).chain(deputies.map(|host| (host, deputy.as_ref())));
    let mut sent = Sent { taken: false, whole: true };
    core.metrics.escalated.inc();
    for (host, deputy) in targets {
        match bring(core, account, host, mail).await {
            Outcome::Taken => {
                sent.taken = true;
                let whose =
                    deputy.map_or(String::new(), |deputy| format!(", as that of the deputy {}", deputy.address));
                let address = &account.address;
                let text = format!(
                    "NOTICE-ESCALATED: {host} notified{whose}: nobody has fetched the {count} sealed mail(s) that wait \
                     for {address}"
                );
                core.step(&["ST811", "C1", "C13"], text);
            }
            Outcome::Later => sent.whole = false,
            Outcome::Never => {}
        }
    }
    sent
}

/// Who is told in the recipient's stead; none where none is named.
fn deputy(core: &Core, account: &Account) -> Option<Account> {
    let named = account.deputy.as_ref()?;
    let deputy = core.accounts.find(named).filter(|deputy| !deputy.suspended && !deputy.adapters.is_empty());
    if deputy.is_none() {
        core.seams.journal.failure(
            core.host(),
            "NOTICE-DEPUTY",
            format!("{named} is not told of {}'s mail: no account, suspended, or without an adapter", account.address),
        );
    }
    deputy
}

async fn bring(core: &Core, account: &Account, host: &str, mail: &[u8]) -> Outcome {
    let recipients = [account.address.clone()];
    match to_adapter(core, host, Outgoing::notice(&recipients, mail)).await {
        Ok(taken) => match taken.refused.first() {
            None => {
                core.metrics.notices.inc();
                Outcome::Taken
            }
            Some((_, why)) => {
                core.seams.journal.failure(core.host(), "NOTICE-REFUSED", format!("{host} refused the notice: {why}"));
                if why.is_permanent() { Outcome::Never } else { Outcome::Later }
            }
        },
        Err(failure) => {
            core.metrics.notices_failed.inc();
            core.seams.journal.failure(
                core.host(),
                "NOTICE-UNSENT",
                format!("the notice for {} did not reach {host}: {}", account.address, failure.text),
            );
            if failure.permanent { Outcome::Never } else { Outcome::Later }
        }
    }
}

async fn settle(core: &Core, was: NoticeState, state: Option<NoticeState>) {
    let settled = core.with_store(move |store| store.settle_notice(was, state)).await;
    if let Err(error) = settled {
        core.seams.journal.failure(core.host(), "STORE-NOTICE", error.to_string());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
