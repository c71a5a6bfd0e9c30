//! What Fig. 10 has to show.

use sealfax_drivers::display::{NotSent, Screen};

use super::{Alert, Card, Fetched, Outcome, Progress, Receiving, Stage, Unfit};
use crate::flow::{At, Protection, whole_minutes};

impl Receiving {
    /// The names of those for whom documents wait, in order of arrival.
    pub fn names(&self) -> Vec<String> {
        let mut alerts: Vec<&Alert> = self.alerts.values().collect();
        alerts.sort_by_key(|alert| alert.order);
        alerts.into_iter().map(|alert| alert.name.clone()).collect()
    }

    /// How the last session ended, until the card is out or another session begins.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// What Fig. 10 has to show now; `None` leaves the screen to others.
    pub fn screen(&self, at: At) -> Option<Screen> {
        if let Some(session) = &self.session
            && self.card != Card::Out
        {
            let total = session.mails.iter().filter(|mail| mail.kind != Fetched::Printed).count().max(1);
            let judged = session
                .mails
                .iter()
                .filter(|mail| {
                    matches!(mail.progress, Progress::Fit | Progress::Unfit | Progress::Unjudged | Progress::Confirmed)
                })
                .count();
            let number = if session.stage == Stage::Opening { (judged + 1).min(total) } else { total };
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            return Some(Screen::Receiving { number: count(number), total: count(total) });
        }
        match (&self.card, self.outcome) {
            // What was refused is told until the card is out or RECEIVE is pressed again, whatever comes meanwhile.
            (Card::Valid(_) | Card::Rested(_), Some(Outcome::Unfit(Unfit::CannotOpen(code)))) => {
                return Some(Screen::CannotOpen { code });
            }
            (
                Card::Valid(_) | Card::Rested(_),
                Some(Outcome::Unfit(Unfit::NotGenuine(code) | Unfit::Unconfirmed(code))),
            ) => {
                return Some(Screen::NotGenuine { code });
            }
            // A notice that came after the fetch began is news: it takes the screen back.
            (Card::Valid(owner) | Card::Rested(owner), _)
                if self.alerts.get(&owner.address).is_some_and(|alert| alert.documents > 0) => {}
            (Card::Valid(_) | Card::Rested(_), Some(Outcome::Done(documents, protection))) => {
                return Some(match protection {
                    Protection::Signed => Screen::Done { documents },
                    Protection::Legacy => Screen::DoneLegacy { documents },
                    Protection::Unbound => Screen::DoneUnbound { documents },
                    Protection::SignedOnly => Screen::DoneReadable { documents },
                    Protection::EncryptedOnly => Screen::DoneUnsigned { documents },
                });
            }
            (Card::Valid(_) | Card::Rested(_), Some(Outcome::Unfit(Unfit::Unchecked(code)))) => {
                return Some(Screen::NotSent(NotSent::CertificateServerUnreachable(code)));
            }
            (Card::Valid(_) | Card::Rested(_), Some(Outcome::Unfit(Unfit::CardGone) | Outcome::Unreachable)) => {
                return Some(Screen::NotSent(NotSent::ServerUnreachable));
            }
            _ => {}
        }
        match &self.card {
            Card::Valid(owner) => self
                .alerts
                .get(&owner.address)
                .map(|alert| Screen::PressReceive { name: owner.name.clone(), documents: alert.documents.max(1) }),
            Card::Pending(owner) if self.alerting() && !self.awaits(owner) => {
                Some(Screen::WrongCard { names: self.names() })
            }
            _ if self.loud(at) => {
                let oldest = self.alerts.values().map(|alert| alert.arrived).min().unwrap_or(at);
                Some(Screen::StillWaiting { names: self.names(), since: whole_minutes(at.saturating_sub(oldest)) })
            }
            _ if self.alerting() => Some(Screen::Arrived { names: self.names() }),
            _ => None,
        }
    }

    /// Whether somebody's documents have waited for so long that the alert is louder.
    fn loud(&self, at: At) -> bool {
        let Some(after) = self.louder_after else { return false };
        self.alerts.values().any(|alert| at.saturating_sub(alert.alone) >= after)
    }

    /// When the next alert becomes louder.
    pub fn next_timer(&self, at: At) -> Option<At> {
        let after = self.louder_after?;
        self.alerts.values().map(|alert| alert.alone.saturating_add(after)).filter(|louder| *louder > at).min()
    }
}
