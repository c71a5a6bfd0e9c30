//! The place where a person stands: the card's session and both figures together, and the one screen they share.

use std::time::Duration;

use sealfax_drivers::display::{NotSent, Screen};
use sealfax_drivers::pin::Pin;

use super::card_session::{CardAction, CardInput, CardSession};
use super::receiving::{Receiving, ReceivingAction, ReceivingEvent};
use super::sending::{Sending, SendingAction, SendingEvent};
use super::{At, CardChange, Owner};

/// How long an outcome stays on the screen when the card does not end it sooner.
pub const OUTCOME_SHOWN: Duration = Duration::from_secs(20);

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
    /// A document came back: it will not reach this address. The report says why.
    Returned(String),
    /// The terminal took the reports.
    ReportsTaken,
    /// Confirmations overdue: how many, and for how long the oldest; 0 ends the alarm.
    Overdue {
        /// How many.
        count: u32,
        /// How long the oldest is overdue.
        since: Duration,
    },
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
    /// Present the PIN to the card of this insertion, and to no other.
    VerifyPin(Insertion, Pin),
    /// Check path and validity of the certificates on the card of this insertion.
    CheckCertificate(Insertion),
    /// The card's proof is void: forget everything that came from it.
    ForgetCard,
    /// Of Fig. 7.
    Sending(SendingAction),
    /// Of Fig. 10.
    Receiving(ReceivingAction),
}

/// All that is decided at one adapter.
#[derive(Debug)]
pub struct Desk {
    card: CardSession,
    insertion: Insertion,
    sending: Sending,
    receiving: Receiving,
    /// What happened to the last document or card, shown for a while.
    shown: Option<(Screen, At)>,
    delivered: u32,
    returned: Vec<String>,
    overdue: Option<(u32, Duration)>,
}

impl Desk {
    /// See [`Sending::new`].
    pub fn new(hold: Duration, machine_addresses: Vec<String>) -> Self {
        Self {
            card: CardSession::Out,
            insertion: 0,
            sending: Sending::new(hold, machine_addresses),
            receiving: Receiving::default(),
            shown: None,
            delivered: 0,
            returned: Vec::new(),
            overdue: None,
        }
    }

    /// One event.
    pub fn handle(&mut self, at: At, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Card(insertion, input) => {
                if matches!(input, CardInput::Inserted) {
                    self.insertion = insertion;
                }
                if insertion == self.insertion {
                    let answers = self.card.handle(input);
                    self.card_acts(at, answers, &mut actions);
                }
            }
            Event::Sending(event) => {
                if matches!(event, SendingEvent::Document { .. }) {
                    // What became of the last document must not hide that the next one waits for a card.
                    self.shown = None;
                }
                self.send(at, event, &mut actions);
            }
            Event::Receiving(event) => {
                actions.extend(self.receiving.handle(event).into_iter().map(Action::Receiving));
            }
            Event::Delivered(count) => self.delivered = self.delivered.saturating_add(count),
            Event::Returned(address) => {
                if !self.returned.contains(&address) {
                    self.returned.push(address);
                }
            }
            Event::ReportsTaken => {
                self.delivered = 0;
                self.returned.clear();
            }
            Event::Overdue { count, since } => self.overdue = (count > 0).then_some((count, since)),
            Event::Tick => self.send(at, SendingEvent::Tick, &mut actions),
        }
        self.shown.take_if(|(_, until)| *until <= at);
        self.seat(at, &mut actions);
        actions
    }

    fn send(&mut self, at: At, event: SendingEvent, actions: &mut Vec<Action>) {
        actions.extend(self.sending.handle(at, event).into_iter().map(Action::Sending));
        if let Some(outcome) = self.sending.take_outcome() {
            let screen = outcome.map_or_else(Screen::NotSent, |()| Screen::Sent);
            self.shown = Some((screen, at + OUTCOME_SHOWN));
        }
    }

    fn card_acts(&mut self, at: At, answers: Vec<CardAction>, actions: &mut Vec<Action>) {
        for answer in answers {
            match answer {
                CardAction::Read => actions.push(Action::ReadCard(self.insertion)),
                CardAction::VerifyPin(pin) => actions.push(Action::VerifyPin(self.insertion, pin)),
                CardAction::CheckCertificate => actions.push(Action::CheckCertificate(self.insertion)),
                CardAction::Tell(change) => {
                    if matches!(change, CardChange::Out | CardChange::Invalid(_)) {
                        actions.push(Action::ForgetCard);
                    }
                    match change {
                        // Good news goes with the person; a failure stays a while for who comes back.
                        CardChange::Out => drop(self.shown.take_if(|(screen, _)| *screen == Screen::Sent)),
                        // A new card begins with a clean screen.
                        _ => self.shown = None,
                    }
                    let told = self.receiving.handle(ReceivingEvent::Card(change.clone()));
                    actions.extend(told.into_iter().map(Action::Receiving));
                    self.send(at, SendingEvent::Card(change), actions);
                }
            }
        }
    }

    /// ST905, ST906: while documents wait for others, a card for which there is nothing here is parked; it is asked
    /// for its PIN as soon as there is.
    fn seat(&mut self, at: At, actions: &mut Vec<Action>) {
        let Some(owner) = self.card.owner() else { return };
        let concerned = !self.receiving.alerting() || self.receiving.awaits(owner) || self.sending.holds_for(owner);
        if concerned {
            let answers = self.card.resume();
            self.card_acts(at, answers, actions);
        } else {
            self.card.park();
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
        [self.sending.next_timer(), shown, second].into_iter().flatten().min()
    }

    /// The one screen: what the person has to know or do next.
    pub fn screen(&self, at: At) -> Screen {
        if let Some(screen) = self.card.screen() {
            return screen;
        }
        let receiving = self.receiving.screen();
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
        if self.card.accepted().is_some() && receiving.is_some() {
            return receiving.unwrap_or(Screen::Idle);
        }
        if let Some(screen) = sending {
            return screen;
        }
        if let Some(screen) = receiving {
            return screen;
        }
        if !self.returned.is_empty() {
            return Screen::NotSent(NotSent::Returned(self.returned.clone()));
        }
        if self.delivered > 0 {
            return Screen::Delivered { count: self.delivered };
        }
        if let Some(owner) = self.card.accepted() {
            return Screen::Ready { name: owner.name.clone() };
        }
        if let Some((count, since)) = self.overdue {
            return Screen::Overdue { count, since };
        }
        Screen::Idle
    }
}
