//! What a sender has to see: documents that came back or were refused, confirmations that did not come. It stands on lamp
//! and screen until somebody has answered it; that it was printed, or hidden beneath another screen, answers nothing.

use std::time::Duration;

use sealfax_drivers::display::{NotSent, Screen};

use super::confirming::Alarm;
use super::{At, Owner, whole_minutes};

/// What somebody has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    /// What came back or was refused.
    pub failures: Vec<Alarm>,
    /// All that are overdue.
    pub overdue: bool,
}

/// What nobody has seen.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    failures: Vec<Alarm>,
    /// Those that were shown to their sender, whose card is in.
    shown: Vec<Alarm>,
    /// How many are overdue, for how long the oldest was when that was told, and when that was.
    overdue: Option<(u32, Duration, At)>,
}

impl Alarms {
    pub(super) fn failed(&mut self, alarm: Alarm) {
        if !self.failures.contains(&alarm) {
            self.failures.push(alarm);
        }
    }

    /// It was delivered after all.
    pub(super) fn failed_not(&mut self, message_id: &str, recipient: &str) {
        self.failures.retain(|alarm| alarm.message_id != message_id || alarm.recipient != recipient);
    }

    /// So many are overdue now, for so long; none ends the alarm.
    pub(super) fn overdue(&mut self, at: At, count: u32, since: Duration) {
        self.overdue = (count > 0).then_some((count, since, at));
    }

    /// What failed, for the screen.
    pub(super) fn failure(&self) -> Option<Screen> {
        let of = |refused| {
            let mut of: Vec<String> = Vec::new();
            for alarm in self.failures.iter().filter(|alarm| alarm.refused == refused) {
                if !of.contains(&alarm.recipient) {
                    of.push(alarm.recipient.clone());
                }
            }
            Some(of).filter(|of| !of.is_empty())
        };
        let why = of(false).map(NotSent::Returned).or_else(|| of(true).map(NotSent::Declined));
        why.map(Screen::NotSent)
    }

    /// What was not confirmed in time, for the screen.
    pub(super) fn missing(&self, at: At) -> Option<Screen> {
        let (count, since, told) = self.overdue?;
        Some(Screen::Overdue { count, since: whole_minutes(since + at.saturating_sub(told)) })
    }

    /// The button answers what is shown.
    pub(super) fn button(&mut self, shown: &Screen) -> Option<Answered> {
        match shown {
            Screen::NotSent(NotSent::Returned(_)) => self.answer(|alarm| !alarm.refused),
            Screen::NotSent(NotSent::Declined(_)) => self.answer(|alarm| alarm.refused),
            Screen::Overdue { .. } => {
                self.overdue = None;
                Some(Answered { overdue: true, ..Answered::default() })
            }
            _ => None,
        }
    }

    /// This is shown, to whoever's card is accepted.
    pub(super) fn shown(&mut self, screen: &Screen, to: Option<&Owner>) {
        let Some(owner) = to else { return self.shown.clear() };
        let refused = match screen {
            Screen::NotSent(NotSent::Returned(_)) => false,
            Screen::NotSent(NotSent::Declined(_)) => true,
            _ => return,
        };
        for alarm in &self.failures {
            if alarm.sender == owner.address && alarm.refused == refused && !self.shown.contains(alarm) {
                self.shown.push(alarm.clone());
            }
        }
    }

    /// The card is out. An adapter may have no button: its sender has stood there and seen it.
    pub(super) fn left(&mut self) -> Option<Answered> {
        let shown = std::mem::take(&mut self.shown);
        self.answer(|alarm| shown.contains(alarm))
    }

    fn answer(&mut self, which: impl Fn(&Alarm) -> bool) -> Option<Answered> {
        let (failures, others): (Vec<_>, _) =
            std::mem::take(&mut self.failures).into_iter().partition(|alarm| which(alarm));
        self.failures = others;
        (!failures.is_empty()).then_some(Answered { failures, overdue: false })
    }
}
