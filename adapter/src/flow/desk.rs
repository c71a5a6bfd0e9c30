//! The place where a person stands: the card's session and both figures together, and the one screen they share.

use std::sync::Arc;
use std::time::Duration;

use sealfax_drivers::display::Screen;
use sealfax_drivers::pin::Pin;

use super::alarms::{Alarms, Answered};
use super::card_session::{CardAction, CardInput, CardSession};
use super::confirming::Alarm;
use super::receiving::{Receiving, ReceivingAction, ReceivingEvent};
use super::sending::{Sending, SendingAction, SendingEvent};
use super::{At, CardChange, Owner, Protection};

/// How long an outcome stays on the screen when the card does not end it sooner.
pub const OUTCOME_SHOWN: Duration = Duration::from_secs(20);
/// How long a person has for reading it before something else is asked of them.
pub const OUTCOME_READ: Duration = Duration::from_secs(2);
/// How long a reader's own keys rest after a PIN entry that came to nothing: whoever gave up is not asked again at once.
pub const PAD_RESTS: Duration = Duration::from_secs(5);
/// Changed certificates that are told at once.
const CHANGED: usize = 8;

/// What happened at or around the adapter.
#[derive(Debug, Clone)]
pub enum Event {
    /// At the card slot or the PIN pad, with the number of the insertion it belongs to. What comes late from an
    /// earlier insertion proves nothing for this one.
    Card(Insertion, CardInput),
    /// For Fig. 7.
    Sending(SendingEvent),
    /// For Fig. 10.
    Receiving(ReceivingEvent),
    /// D1: this many confirmations were matched and stand on a report that waits for the terminal.
    Delivered(u32),
    /// A document came back, or was refused. The report says why; somebody has to see it.
    Failed(Alarm),
    /// It was delivered after all.
    FailedNot {
        /// Of which mail, with its angle brackets.
        message_id: String,
        /// Whom it reached.
        recipient: String,
    },
    /// The button was pressed while the desk's screen could be seen.
    Button,
    /// Another certificate than before was relied on for this correspondent.
    CertificateChanged(String),
    /// The terminal took the reports.
    ReportsTaken,
    /// Confirmations overdue: how many, and for how long the oldest; 0 ends the alarm.
    Overdue {
        /// How many.
        count: u32,
        /// How long the oldest is overdue.
        since: Duration,
    },
    /// The card of this insertion is to sign, and its reader asks for the PIN on its own keys; or is done asking.
    SigningOnPad(Insertion, bool),
    /// Time went by.
    Tick,
}

/// Counts insertions of cards. Each begins with [`CardInput::Inserted`] under a number of its own.
pub type Insertion = u64;

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Action {
    /// Read the card of this insertion.
    ReadCard(Insertion),
    /// Read the retry counter of the card of this insertion anew.
    ReadAgain(Insertion),
    /// Present the PIN to the card of this insertion, and to no other, and only if no fewer tries are left than the
    /// person was shown.
    VerifyPin(Insertion, Arc<Pin>, u8),
    /// Have the reader ask for the PIN on its own keys, likewise.
    VerifyPinOnPad(Insertion, u8),
    /// Check path and validity of the certificates on the card of this insertion.
    CheckCertificate(Insertion),
    /// Ask, beside the card of this insertion, for its owner.
    ProvePerson(Insertion),
    /// Check path and validity once more, for the act that begins with the card of this insertion.
    CheckAgain(Insertion),
    /// The card's proof is void: forget everything that came from it.
    ForgetCard,
    /// The PIN has done its service: forget it. The card stays what it was.
    ForgetPin,
    /// The card of this insertion is refused: what was read of it stays known, and others may have it.
    LetGo(Insertion),
    /// Of Fig. 7.
    Sending(SendingAction),
    /// Of Fig. 10.
    Receiving(ReceivingAction),
    /// Somebody has seen this.
    Acknowledge(Answered),
}

/// All that is decided at one adapter.
#[derive(Debug)]
pub struct Desk {
    card: CardSession,
    insertion: Insertion,
    sending: Sending,
    receiving: Receiving,
    /// How long an accepted card may wait for its act.
    pin_life: Duration,
    /// Until when the accepted card's PIN counts.
    pin_until: Option<At>,
    /// The card has signed since its PIN was given.
    signed: bool,
    /// The reader asks for the PIN of a signature.
    signing_on_pad: bool,
    /// Until when the reader's own keys are left alone.
    pad_rests: Option<At>,
    tries_left: u8,
    /// What happened to the last document or card, shown for a while.
    shown: Option<(Screen, At)>,
    delivered: u32,
    alarms: Alarms,
    /// Correspondents whose certificate changed, for the person whose card is in.
    changed: Vec<String>,
}

impl Desk {
    /// `pin_life`: how long an accepted card may wait for its act before its PIN is asked anew. The others: see
    /// [`Sending::new`].
    pub fn new(hold: Duration, machine_addresses: Vec<String>, pin_life: Duration) -> Self {
        Self {
            card: CardSession::Out,
            insertion: 0,
            sending: Sending::new(hold, machine_addresses),
            receiving: Receiving::default(),
            pin_life,
            pin_until: None,
            signed: false,
            signing_on_pad: false,
            pad_rests: None,
            tries_left: 0,
            shown: None,
            delivered: 0,
            alarms: Alarms::default(),
            changed: Vec::new(),
        }
    }

    /// Documents that wait for so long without their recipient call louder; zero is never.
    #[must_use]
    pub fn louder_after(mut self, waiting: Duration) -> Self {
        self.receiving.louder_after(waiting);
        self
    }

    /// One event.
    pub fn handle(&mut self, at: At, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Card(insertion, input) => {
                if matches!(input, CardInput::Inserted) {
                    self.insertion = insertion;
                    self.pad_rests = None;
                }
                if insertion == self.insertion {
                    match input {
                        CardInput::Read { tries_left, .. }
                        | CardInput::PinRefused { tries_left }
                        | CardInput::PinUntried { tries_left } => self.tries_left = tries_left,
                        CardInput::PadCancelled => self.pad_rests = Some(at + PAD_RESTS),
                        _ => {}
                    }
                    let answers = self.card.handle(input);
                    self.card_acts(at, answers, &mut actions);
                }
            }
            Event::SigningOnPad(insertion, asking) => self.signing_on_pad = asking && insertion == self.insertion,
            Event::Sending(event) => {
                if matches!(event, SendingEvent::Document { .. }) {
                    // What became of the last document must not hide that the next one waits for a card.
                    self.shown = None;
                }
                self.send(at, event, &mut actions);
            }
            Event::Receiving(event) => {
                self.receive(at, event, &mut actions);
            }
            Event::Delivered(count) => self.delivered = self.delivered.saturating_add(count),
            Event::Failed(alarm) => self.alarms.failed(alarm),
            Event::FailedNot { message_id, recipient } => self.alarms.failed_not(&message_id, &recipient),
            Event::Button => {
                let shown = self.screen(at);
                actions.extend(self.alarms.button(&shown).map(Action::Acknowledge));
            }
            Event::CertificateChanged(address) => {
                if self.changed.len() < CHANGED && !self.changed.contains(&address) {
                    self.changed.push(address);
                }
            }
            // What failed is on paper now; whether somebody has seen it is another question.
            Event::ReportsTaken => self.delivered = 0,
            Event::Overdue { count, since } => self.alarms.overdue(at, count, since),
            Event::Tick => self.send(at, SendingEvent::Tick, &mut actions),
        }
        self.shown.take_if(|(_, until)| *until <= at);
        let owner = self.at_the_desk().cloned();
        self.alarms.shown(&self.screen(at), owner.as_ref());
        self.rest(at, &mut actions);
        self.seat(at, &mut actions);
        self.pad_rests.take_if(|until| *until <= at);
        if self.pad_rests.is_none()
            && let Some(asking) = self.card.ask_on_pad()
        {
            self.card_acts(at, vec![asking], &mut actions);
        }
        actions
    }

    /// A PIN is good for one act: what was there to be sent, or one RECEIVE. It is forgotten when that is over, and when
    /// nothing was begun in time.
    fn rest(&mut self, at: At, actions: &mut Vec<Action>) {
        self.signed |= self.sending.take_signed() | self.receiving.take_signed();
        if self.card.accepted().is_none() || self.sending.at_work() || self.receiving.at_work() {
            return;
        }
        if self.signed || self.pin_until.is_some_and(|until| until <= at) {
            let answers = self.card.act_over();
            self.card_acts(at, answers, actions);
        }
    }

    fn send(&mut self, at: At, event: SendingEvent, actions: &mut Vec<Action>) {
        let mut check = false;
        for action in self.sending.handle(at, event) {
            match action {
                SendingAction::CheckCard => check = true,
                other => actions.push(Action::Sending(other)),
            }
        }
        if check {
            self.check_again(at, actions);
        }
        if let Some(outcome) = self.sending.take_outcome() {
            let screen = match outcome {
                Ok(Protection::Signed | Protection::Unbound) => Screen::Sent,
                Ok(Protection::SignedOnly) => Screen::SentReadable,
                Ok(Protection::Legacy) => Screen::SentLegacy,
                Ok(Protection::EncryptedOnly) => Screen::SentUnsigned,
                Err(why) => Screen::NotSent(why),
            };
            self.shown = Some((screen, at + OUTCOME_SHOWN));
        }
    }

    fn receive(&mut self, at: At, event: ReceivingEvent, actions: &mut Vec<Action>) {
        let mut check = false;
        for action in self.receiving.handle(at, event) {
            match action {
                ReceivingAction::CheckCard => check = true,
                other => actions.push(Action::Receiving(other)),
            }
        }
        if check {
            self.check_again(at, actions);
        }
    }

    fn check_again(&mut self, at: At, actions: &mut Vec<Action>) {
        let answers = self.card.check_again();
        self.card_acts(at, answers, actions);
    }

    fn card_acts(&mut self, at: At, answers: Vec<CardAction>, actions: &mut Vec<Action>) {
        for answer in answers {
            match answer {
                CardAction::Read => actions.push(Action::ReadCard(self.insertion)),
                CardAction::ReadAgain => actions.push(Action::ReadAgain(self.insertion)),
                CardAction::VerifyPin(pin, shown) => actions.push(Action::VerifyPin(self.insertion, pin, shown)),
                CardAction::VerifyPinOnPad(shown) => actions.push(Action::VerifyPinOnPad(self.insertion, shown)),
                CardAction::CheckCertificate => actions.push(Action::CheckCertificate(self.insertion)),
                CardAction::ProvePerson => actions.push(Action::ProvePerson(self.insertion)),
                CardAction::CheckAgain => actions.push(Action::CheckAgain(self.insertion)),
                CardAction::LetGo => actions.push(Action::LetGo(self.insertion)),
                CardAction::Tell(change) => {
                    if matches!(change, CardChange::Out | CardChange::Invalid(_)) {
                        actions.push(Action::ForgetCard);
                    }
                    match &change {
                        CardChange::Inserted(owner) => self.sending.card_came(self.receiving.awaits(owner)),
                        CardChange::Valid(_) => {
                            self.signed = false;
                            self.pin_until = Some(at + self.pin_life);
                        }
                        CardChange::Rested => actions.push(Action::ForgetPin),
                        _ => {}
                    }
                    match change {
                        // Good news goes with the person; a failure stays a while for who comes back.
                        CardChange::Out => {
                            actions.extend(self.alarms.left().map(Action::Acknowledge));
                            self.shown.take_if(|(screen, _)| {
                                matches!(
                                    screen,
                                    Screen::Sent | Screen::SentUnsigned | Screen::SentLegacy | Screen::SentReadable
                                )
                            });
                            // Told when the person's business is done, and they still stand there.
                            let addresses = std::mem::take(&mut self.changed);
                            if !addresses.is_empty() {
                                self.shown = Some((Screen::CertificateChanged { addresses }, at + OUTCOME_SHOWN));
                            }
                        }
                        // What became of the act is still to be read.
                        CardChange::Rested => {}
                        // A new card begins with a clean screen.
                        _ => self.shown = None,
                    }
                    self.receive(at, ReceivingEvent::Card(change.clone()), actions);
                    self.send(at, SendingEvent::Card(change), actions);
                }
            }
        }
    }

    /// ST905, ST906: while documents wait for others, a card for which there is nothing here is parked; it is asked
    /// for its PIN as soon as there is.
    fn seat(&mut self, at: At, actions: &mut Vec<Action>) {
        let Some(owner) = self.card.owner() else { return };
        let holds = self.sending.holds_for(owner);
        if matches!(self.card, CardSession::Rested(_)) && !holds && !self.receiving.wants(owner) {
            return;
        }
        if self.to_be_read().is_some_and(|until| at < until) {
            return;
        }
        if holds || self.receiving.awaits(owner) || !self.receiving.alerting() {
            let answers = self.card.resume();
            self.card_acts(at, answers, actions);
        } else {
            self.card.park();
        }
    }

    /// Until when the person who is still there reads what became of their document.
    fn to_be_read(&self) -> Option<At> {
        let (_, until) = self.shown.as_ref().filter(|_| matches!(self.card, CardSession::Rested(_)))?;
        Some(*until - OUTCOME_SHOWN + OUTCOME_READ)
    }

    /// The owner whose card was accepted in this insertion, whether or not its PIN was spent since.
    fn at_the_desk(&self) -> Option<&Owner> {
        match &self.card {
            CardSession::Rested(owner) => Some(owner),
            card => card.accepted(),
        }
    }

    /// The owner whose card is accepted now.
    pub fn accepted(&self) -> Option<&Owner> {
        self.card.accepted()
    }

    /// When something is due by time alone.
    pub fn next_timer(&self, at: At) -> Option<At> {
        let second = matches!(self.screen(at), Screen::Held { .. }).then(|| at + Duration::from_secs(1));
        let shown = self.shown.as_ref().map(|(_, until)| *until);
        let waiting = self.card.accepted().is_some() && !self.sending.at_work() && !self.receiving.at_work();
        let pin = self.pin_until.filter(|_| waiting);
        let read = self.to_be_read().filter(|until| at < *until);
        let louder = self.receiving.next_timer(at);
        [self.sending.next_timer(), shown, second, pin, self.pad_rests, read, louder].into_iter().flatten().min()
    }

    /// The one screen: what the person has to know or do next.
    pub fn screen(&self, at: At) -> Screen {
        if let Some(screen) = self.card.screen() {
            return screen;
        }
        if let Some(owner) = self.card.owner().filter(|_| self.signing_on_pad) {
            return Screen::Pin { name: owner.name.clone(), entered: 0, tries_left: self.tries_left };
        }
        let receiving = self.receiving.screen(at);
        let busy = |screen: &Screen| matches!(screen, Screen::Receiving { .. });
        if let Some(screen) = receiving.clone().filter(busy) {
            return screen;
        }
        let sending = self.sending.screen(at);
        if let Some(Screen::Sending) = sending {
            return Screen::Sending;
        }
        if let Some((screen, _)) = &self.shown {
            return screen.clone();
        }
        if self.at_the_desk().is_some() && receiving.is_some() {
            return receiving.unwrap_or(Screen::Idle);
        }
        if let Some(screen) = sending {
            return screen;
        }
        if let Some(screen) = receiving {
            return screen;
        }
        if let Some(screen) = self.alarms.failure() {
            return screen;
        }
        // Whoever was accepted has to know that they can begin; what was delivered is still there when they are done.
        if let Some(owner) = self.at_the_desk() {
            return Screen::Ready { name: owner.name.clone() };
        }
        if self.delivered > 0 {
            return Screen::Delivered { count: self.delivered };
        }
        self.alarms.missing(at).unwrap_or(Screen::Idle)
    }
}
