//! Notices that nobody answers: when they go to more adapters, and to a deputy's (ST811).
//!
//! What decides is pure: a notice's state, the mails that lie unread, the rules and the time go in, what to do comes out.
//! When the next escalation is due stands in the notice's state, so a restart neither forgets nor repeats one.

use std::time::Duration;

use serde::Deserialize;

use super::config::duration;
use crate::store::{NoticeState, StoredMail, millis_of};

/// The rules. Without them nothing escalates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Escalation {
    /// How long a notice that an adapter accepted may stay unanswered.
    #[serde(deserialize_with = "duration")]
    pub after: Duration,
    /// How often it escalates from then on, until it loses its meaning.
    #[serde(deserialize_with = "duration")]
    pub repeat: Duration,
    /// Before that only the first adapter that takes it gets a notice, and not all of them.
    pub first_adapter_only: bool,
}

impl Default for Escalation {
    fn default() -> Self {
        Self { after: Duration::from_secs(30 * 60), repeat: Duration::from_secs(2 * 3600), first_adapter_only: false }
    }
}

/// What to do with a notice now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// To whom it always goes.
    Usual,
    /// To all adapters, and to the deputy's.
    Escalate,
    /// Nothing before this time.
    Wait(u64),
}

/// What came of sending one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    /// Some adapter took it.
    pub(super) taken: bool,
    /// No adapter is left that might take it if it were asked again.
    pub(super) whole: bool,
}

/// What holds of a notice and its mailbox at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// None: escalation is off.
    pub(super) rules: Option<&'a Escalation>,
    /// The notice.
    pub(super) state: &'a NoticeState,
    /// When the oldest of the sealed mails came that nobody has fetched.
    pub(super) oldest: Option<u64>,
    /// Shortest time between two usual notices.
    pub(super) interval: u64,
    /// The time.
    pub(super) now: u64,
}

/// When the oldest of the sealed mails came that nobody has fetched.
pub(super) fn oldest_unread(mails: &[StoredMail], answered: Option<u64>) -> Option<u64> {
    // Numbers ascend, so the first is the oldest.
    mails
        .iter()
        .find(|mail| mail.sealed && answered.is_none_or(|answered| mail.id > answered))
        .map(|mail| mail.received)
}

impl Moment<'_> {
    /// When it escalates. A mail that came after the one for which that was planned has its own time.
    fn due(&self) -> Option<u64> {
        let (rules, planned, oldest) = (self.rules?, self.state.escalates?, self.oldest?);
        Some(planned.max(oldest.saturating_add(millis_of(rules.after))))
    }

    /// What to do, at a time at which the notice's state says that something is to be done.
    pub(super) fn step(&self) -> Step {
        let due = self.due();
        if due.is_some_and(|due| due <= self.now) {
            return Step::Escalate;
        }
        let woken_to_escalate = self.state.attempts == 0 && self.state.escalates == Some(self.state.next);
        match self.state.last_sent.map(|sent| sent.saturating_add(self.interval)) {
            // What was to escalate was fetched meanwhile; that alone is no reason for a usual notice before its time.
            Some(usual) if woken_to_escalate && usual > self.now => Step::Wait(due.map_or(usual, |due| due.min(usual))),
            _ => Step::Usual,
        }
    }

    /// The state after waiting was decided.
    pub(super) fn waiting(&self, until: u64) -> NoticeState {
        NoticeState { next: until, escalates: self.due(), ..self.state.clone() }
    }

    /// The state after it was sent, at this moment or, if nobody took it, `wait` after it.
    pub(super) fn after(&self, step: Step, sent: Sent, wait: u64) -> NoticeState {
        let due = self.due();
        let in_time = |next: u64| due.filter(|due| *due > self.now).map_or(next, |due| due.min(next));
        if !sent.taken {
            let next = in_time(self.now.saturating_add(wait));
            return NoticeState { attempts: self.state.attempts.saturating_add(1), next, ..self.state.clone() };
        }
        let later = |wait: Duration| Some(self.now.saturating_add(millis_of(wait)));
        let escalates = match (self.rules, self.oldest) {
            (Some(rules), Some(_)) if step == Step::Escalate && sent.whole => later(rules.repeat),
            // Whom it did not reach is tried again with the next usual notice, for the escalation stays due.
            (Some(rules), Some(_)) => due.or_else(|| later(rules.after)),
            _ => None,
        };
        let usual = self.now.saturating_add(self.interval);
        let next = escalates.filter(|at| *at > self.now).map_or(usual, |at| at.min(usual));
        NoticeState { last_sent: Some(self.now), attempts: 0, next, escalates, ..self.state.clone() }
    }
}

#[cfg(test)]
#[path = "escalation_tests.rs"]
mod tests;
