//! Fig. 10, *receiving*: a notice becomes an alert, the right person's card becomes a fetch, and what was opened and
//! found genuine goes to the terminal; only then is it confirmed and deleted (ST901-ST922).
//!
//! A *session* is one log-in of the terminal at our POP3 door. It is personal when a card is accepted at that moment,
//! ordinary otherwise; only a personal session ever opens anything.

mod events;
mod showing;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use sealfax_drivers::display::CardFault;

pub use events::{Fetched, MailId, ReceivingAction, ReceivingEvent, SessionId, Unfit};
use steps::*;

use super::{At, CardChange, Owner, Protection};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Decrypting,
    FindingSender,
    Verifying,
    Fit,
    Unfit,
    /// It could not be judged now, for want of a card or a server: nothing is known against it, and it still waits.
    Unjudged,
    Confirmed,
}

#[derive(Debug, Clone)]
struct Mail {
    id: MailId,
    kind: Fetched,
    protection: Protection,
    progress: Progress,
    taken: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// ST908: whether the card is still valid.
    CheckingCard,
    Fetching,
    Opening,
    /// The terminal has been given what is fit.
    Handed,
    /// The terminal is done; confirmations are being made.
    Confirming,
}

#[derive(Debug, Clone)]
struct Session {
    id: SessionId,
    owner: Owner,
    stage: Stage,
    mails: Vec<Mail>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Alert {
    name: String,
    documents: u32,
    order: u64,
    /// When the first of its documents was announced.
    arrived: At,
    /// Since when its recipient was not here.
    alone: At,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Card {
    Out,
    Pending(Owner),
    Valid(Owner),
    /// Accepted, and done with what its PIN was given for.
    Rested(Owner),
    Invalid,
}

/// How a person's session ended, for the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This many documents were printed and confirmed; at least one of them with the least of protections.
    Done(u32, Protection),
    /// Something was not handed over.
    Unfit(Unfit),
    /// The mail server could not be reached.
    Unreachable,
}

/// The machine of Fig. 10.
#[derive(Debug)]
pub struct Receiving {
    card: Card,
    alerts: BTreeMap<String, Alert>,
    arrivals: u64,
    session: Option<Session>,
    outcome: Option<Outcome>,
    signed: bool,
    /// After how long without its recipient an alert becomes louder.
    louder_after: Option<Duration>,
}

impl Default for Receiving {
    fn default() -> Self {
        Self {
            card: Card::Out,
            alerts: BTreeMap::new(),
            arrivals: 0,
            session: None,
            outcome: None,
            signed: false,
            louder_after: None,
        }
    }
}

impl Receiving {
    /// An alert becomes louder when its recipient was not here for so long; zero is never.
    pub fn louder_after(&mut self, alone: Duration) {
        self.louder_after = Some(alone).filter(|alone| !alone.is_zero());
    }

    /// One event.
    pub fn handle(&mut self, at: At, event: ReceivingEvent) -> Vec<ReceivingAction> {
        let mut actions = Vec::new();
        match event {
            ReceivingEvent::Notice(owner) => self.notice(at, owner, &mut actions),
            ReceivingEvent::Card(change) => self.card_changed(at, change, &mut actions),
            ReceivingEvent::Receive(id) => self.receive(id, &mut actions),
            ReceivingEvent::Fetched(id, mails) => self.fetched(id, mails, &mut actions),
            ReceivingEvent::FetchFailed(id) => {
                if self.in_stage(id, &Stage::Fetching) {
                    self.session = None;
                    self.outcome = Some(Outcome::Unreachable);
                    actions.push(ReceivingAction::Refuse(id));
                }
            }
            ReceivingEvent::Decrypted(id, result) => {
                let next = match result {
                    Ok(Protection::EncryptedOnly) => Progress::Fit,
                    _ => Progress::FindingSender,
                };
                if self.advance(id, Progress::Decrypting, next, result.map(drop)) {
                    actions.push(STEP_915);
                    match result {
                        // There is no signature to be verified, and nobody to ask about.
                        Ok(Protection::EncryptedOnly) => {
                            actions.push(STEP_UNSIGNED);
                            self.protected(id, Protection::EncryptedOnly);
                            self.open_next(&mut actions);
                        }
                        Ok(_) => actions.extend([STEP_917, ReceivingAction::FindSenderCertificate(id)]),
                        Err(unfit) => self.unfit(unfit, &mut actions),
                    }
                }
            }
            ReceivingEvent::SenderCertificate(id, result) => {
                if self.advance(id, Progress::FindingSender, Progress::Verifying, result) {
                    match result {
                        Ok(()) => actions.extend([STEP_918, ReceivingAction::Verify(id)]),
                        Err(unfit) => self.unfit(unfit, &mut actions),
                    }
                }
            }
            ReceivingEvent::Verified(id, result) => {
                if self.advance(id, Progress::Verifying, Progress::Fit, result.map(drop)) {
                    actions.push(STEP_919);
                    match result {
                        Ok(protection) => {
                            match protection {
                                Protection::Unbound => actions.push(STEP_UNBOUND),
                                Protection::SignedOnly => actions.push(STEP_READABLE),
                                _ => {}
                            }
                            self.protected(id, protection);
                            self.open_next(&mut actions);
                        }
                        Err(unfit) => self.unfit(unfit, &mut actions),
                    }
                }
            }
            ReceivingEvent::Unprintable(id, code) => self.unprintable(id, code),
            ReceivingEvent::Taken(id, taken) => self.taken(id, &taken, &mut actions),
            ReceivingEvent::TerminalLeft(id) => {
                // The alert stays: nothing was confirmed, nothing deleted.
                if self.session.as_ref().is_some_and(|session| session.id == id && session.stage != Stage::Confirming) {
                    self.session = None;
                    actions.push(ReceivingAction::Settle(id, vec![]));
                }
            }
            ReceivingEvent::Confirmed(id, queued) => self.confirmed(id, queued, &mut actions),
        }
        actions
    }

    /// ST901-ST903.
    fn notice(&mut self, at: At, owner: Owner, actions: &mut Vec<ReceivingAction>) {
        self.arrivals += 1;
        let order = self.arrivals;
        self.alerts
            .entry(owner.address)
            .and_modify(|alert| {
                alert.documents = alert.documents.saturating_add(1);
                alert.name.clone_from(&owner.name);
            })
            .or_insert(Alert { name: owner.name, documents: 1, order, arrived: at, alone: at });
        actions.extend([STEP_902, STEP_903]);
    }

    fn card_changed(&mut self, at: At, change: CardChange, actions: &mut Vec<ReceivingAction>) {
        match change {
            CardChange::Inserted(owner) => {
                if !self.alerts.is_empty() {
                    actions.extend([STEP_904, if self.awaits(&owner) { STEP_905 } else { STEP_906 }]);
                }
                self.card = Card::Pending(owner);
            }
            CardChange::Checking => {
                if self.card_is_awaited() {
                    actions.extend([STEP_907, STEP_908]);
                }
            }
            CardChange::Valid(owner) => {
                if self.awaits(&owner) {
                    actions.extend([STEP_909, STEP_910]);
                }
                self.card = Card::Valid(owner);
            }
            CardChange::Invalid(_) => {
                if self.card_is_awaited() || self.session.is_some() {
                    actions.push(STEP_911);
                }
                self.card = Card::Invalid;
                self.outcome = None;
                self.abandon(actions);
            }
            CardChange::CheckingAgain => {
                if self.checking().is_some() {
                    actions.push(STEP_908);
                }
            }
            CardChange::StillValid(owner) => {
                self.card = Card::Valid(owner);
                if self.checking().is_some() {
                    actions.push(STEP_909);
                    self.fetch(actions);
                }
            }
            CardChange::Unchecked => {
                if let Some(id) = self.checking() {
                    self.session = None;
                    self.outcome = Some(Outcome::Unfit(Unfit::Unchecked(CardFault::Unchecked.code())));
                    actions.push(ReceivingAction::Refuse(id));
                }
            }
            CardChange::Rested => {
                if let Card::Valid(owner) = &self.card {
                    self.card = Card::Rested(owner.clone());
                }
            }
            CardChange::Out => {
                // Whoever was here knows; until they are forgotten again it need not be louder.
                if let Card::Valid(owner) | Card::Rested(owner) = &self.card
                    && let Some(alert) = self.alerts.get_mut(&owner.address)
                {
                    alert.alone = at;
                }
                self.card = Card::Out;
                self.outcome = None;
                self.abandon(actions);
            }
        }
    }

    /// The session that waits for the certificate server's word on its card.
    fn checking(&self) -> Option<SessionId> {
        self.session.as_ref().filter(|session| session.stage == Stage::CheckingCard).map(|session| session.id)
    }

    /// The card is gone or found not valid: what is not opened stays sealed, what is handed is cut off, what is being confirmed fails by
    /// itself. The alert stays in every case.
    fn abandon(&mut self, actions: &mut Vec<ReceivingAction>) {
        let Some(session) = &mut self.session else { return };
        let id = session.id;
        match session.stage {
            Stage::CheckingCard | Stage::Fetching | Stage::Opening => {
                self.session = None;
                actions.push(ReceivingAction::Refuse(id));
            }
            Stage::Handed => actions.push(ReceivingAction::Cut(id)),
            Stage::Confirming => {}
        }
    }

    /// ST912. Whatever was said of the card when it was inserted: RECEIVE is pressed now.
    fn receive(&mut self, id: SessionId, actions: &mut Vec<ReceivingAction>) {
        let Card::Valid(owner) = self.card.clone() else {
            actions.push(ReceivingAction::Ordinary(id));
            return;
        };
        if self.session.is_some() {
            // One terminal, one session: a second log-in while the first is at work finds the door shut.
            actions.push(ReceivingAction::Refuse(id));
            return;
        }
        self.outcome = None;
        self.answered(&owner);
        actions.extend([STEP_912, ReceivingAction::CheckCard]);
        self.session = Some(Session { id, owner, stage: Stage::CheckingCard, mails: Vec::new() });
    }

    /// What was announced so far is being taken; only news takes the screen back from what becomes of it.
    fn answered(&mut self, owner: &Owner) {
        if let Some(alert) = self.alerts.get_mut(&owner.address) {
            alert.documents = 0;
        }
    }

    /// ST913.
    fn fetch(&mut self, actions: &mut Vec<ReceivingAction>) {
        let Some(session) = &mut self.session else { return };
        session.stage = Stage::Fetching;
        let (id, owner) = (session.id, session.owner.clone());
        // Notices that come from here on are for mails this fetch may not see.
        self.answered(&owner);
        actions.extend([STEP_913, ReceivingAction::Fetch(id, owner)]);
    }

    fn fetched(&mut self, id: SessionId, mails: Vec<(MailId, Fetched)>, actions: &mut Vec<ReceivingAction>) {
        if !self.in_stage(id, &Stage::Fetching) {
            return;
        }
        if let Some(session) = &mut self.session {
            session.stage = Stage::Opening;
            session.mails = mails
                .into_iter()
                .map(|(id, kind)| {
                    let progress = if kind == Fetched::Sealed { Progress::Waiting } else { Progress::Fit };
                    Mail { id, kind, protection: Protection::default(), progress, taken: false }
                })
                .collect();
        }
        self.open_next(actions);
    }

    /// Opens the next sealed mail, or hands over when all are judged.
    fn open_next(&mut self, actions: &mut Vec<ReceivingAction>) {
        let Some(session) = &mut self.session else { return };
        if session.stage != Stage::Opening {
            return;
        }
        if let Some(mail) = session.mails.iter_mut().find(|mail| mail.progress == Progress::Waiting) {
            mail.progress = Progress::Decrypting;
            let id = mail.id;
            actions.extend([STEP_914, ReceivingAction::Decrypt(id)]);
            return;
        }
        session.stage = Stage::Handed;
        let fit: Vec<MailId> = session
            .mails
            .iter()
            .filter(|mail| mail.progress == Progress::Fit && mail.kind != Fetched::Printed)
            .map(|mail| mail.id)
            .collect();
        if !fit.is_empty() {
            actions.push(STEP_921);
        }
        actions.push(ReceivingAction::Hand(session.id, fit));
    }

    /// ST916, ST920: shown, and the others go on.
    fn unfit(&mut self, unfit: Unfit, actions: &mut Vec<ReceivingAction>) {
        match unfit {
            Unfit::CannotOpen(_) => actions.push(STEP_916),
            Unfit::NotGenuine(_) | Unfit::Unconfirmed(_) => actions.push(STEP_920),
            Unfit::Unchecked(_) | Unfit::CardGone => {}
        }
        self.outcome = Some(Outcome::Unfit(unfit));
        self.open_next(actions);
    }

    /// Moves the mail from `from` to `to` (or to unfit) if it is there; late answers change nothing.
    fn advance(&mut self, id: MailId, from: Progress, to: Progress, result: Result<(), Unfit>) -> bool {
        let Some(mail) = self
            .session
            .as_mut()
            .filter(|session| session.stage == Stage::Opening)
            .and_then(|session| session.mails.iter_mut().find(|mail| mail.id == id && mail.progress == from))
        else {
            return false;
        };
        mail.progress = match result {
            Ok(()) => to,
            Err(Unfit::Unconfirmed(_) | Unfit::Unchecked(_) | Unfit::CardGone) => Progress::Unjudged,
            Err(Unfit::CannotOpen(_) | Unfit::NotGenuine(_)) => Progress::Unfit,
        };
        true
    }

    fn protected(&mut self, id: MailId, protection: Protection) {
        let mails = self.session.iter_mut().flat_map(|session| &mut session.mails);
        for mail in mails.filter(|mail| mail.id == id) {
            mail.protection = protection;
        }
    }

    /// It stays at the server like a mail that cannot be opened, and is told like one: whoever pressed RECEIVE would wait for
    /// ever else.
    fn unprintable(&mut self, id: MailId, code: &'static str) {
        let handed = self.session.as_mut().filter(|session| session.stage == Stage::Handed);
        let mail = handed
            .and_then(|session| session.mails.iter_mut().find(|mail| mail.id == id && mail.progress == Progress::Fit));
        if let Some(mail) = mail.filter(|mail| mail.kind != Fetched::Printed) {
            mail.progress = Progress::Unfit;
            self.outcome = Some(Outcome::Unfit(Unfit::CannotOpen(code)));
        }
    }

    /// ST921 is over: what the terminal took is confirmed, and what the ledger still owed.
    fn taken(&mut self, id: SessionId, taken: &[MailId], actions: &mut Vec<ReceivingAction>) {
        if !self.in_stage(id, &Stage::Handed) {
            return;
        }
        let Some(session) = &mut self.session else { return };
        session.stage = Stage::Confirming;
        for mail in &mut session.mails {
            if mail.progress != Progress::Fit {
                continue;
            }
            mail.taken = mail.kind == Fetched::Printed || taken.contains(&mail.id);
            if !mail.taken {
                continue;
            }
            if mail.kind == Fetched::Plain {
                mail.progress = Progress::Confirmed;
            } else {
                actions.extend([STEP_922, ReceivingAction::Confirm(mail.id)]);
            }
        }
        self.settle_if_done(actions);
    }

    fn confirmed(&mut self, id: MailId, queued: bool, actions: &mut Vec<ReceivingAction>) {
        self.signed = true;
        let Some(mail) =
            self.session.as_mut().filter(|session| session.stage == Stage::Confirming).and_then(|session| {
                session.mails.iter_mut().find(|mail| mail.id == id && mail.progress == Progress::Fit)
            })
        else {
            return;
        };
        mail.progress = if queued { Progress::Confirmed } else { Progress::Unfit };
        self.settle_if_done(actions);
    }

    fn settle_if_done(&mut self, actions: &mut Vec<ReceivingAction>) {
        let Some(session) = &self.session else { return };
        if session.mails.iter().any(|mail| mail.taken && mail.progress == Progress::Fit) {
            return;
        }
        let settled: Vec<MailId> = session
            .mails
            .iter()
            .filter(|mail| mail.taken && mail.progress == Progress::Confirmed)
            .map(|mail| mail.id)
            .collect();
        let printed: Vec<Protection> = session
            .mails
            .iter()
            .filter(|mail| mail.taken && mail.progress == Progress::Confirmed && mail.kind != Fetched::Printed)
            .map(|mail| mail.protection)
            .collect();
        // The alert is answered when the person was here and nothing of the mailbox was left behind for want of a
        // card or a server; an unfit mail was shown as such, and the server will speak of it again.
        let left_behind = session.mails.iter().any(|mail| match mail.progress {
            Progress::Unjudged => true,
            Progress::Unfit => mail.taken,
            Progress::Fit => !mail.taken,
            _ => false,
        });
        actions.push(ReceivingAction::Settle(session.id, settled));
        let address = session.owner.address.clone();
        self.session = None;
        if !left_behind && self.alerts.get(&address).is_some_and(|alert| alert.documents == 0) {
            self.alerts.remove(&address);
        }
        if self.outcome.is_none() && !printed.is_empty() {
            let least = printed.iter().max().copied().unwrap_or_default();
            self.outcome = Some(Outcome::Done(u32::try_from(printed.len()).unwrap_or(u32::MAX), least));
        }
    }

    fn in_stage(&self, id: SessionId, stage: &Stage) -> bool {
        self.session.as_ref().is_some_and(|session| session.id == id && session.stage == *stage)
    }

    /// Whether this person's PIN is to be asked for, now that it was used once. What was refused is read first: it is
    /// told until the card is out.
    pub fn wants(&self, owner: &Owner) -> bool {
        self.awaits(owner) && !matches!(self.outcome, Some(Outcome::Unfit(_)))
    }

    /// A session is under way.
    pub fn at_work(&self) -> bool {
        self.session.is_some()
    }

    /// Whether the card was asked to sign since this was last asked.
    pub fn take_signed(&mut self) -> bool {
        std::mem::take(&mut self.signed)
    }

    fn card_is_awaited(&self) -> bool {
        matches!(&self.card, Card::Pending(owner) | Card::Valid(owner) if self.awaits(owner))
    }

    /// A document waits for this person.
    pub fn awaits(&self, owner: &Owner) -> bool {
        self.alerts.contains_key(&owner.address)
    }

    /// Documents wait for somebody.
    pub fn alerting(&self) -> bool {
        !self.alerts.is_empty()
    }
}
