//! Random stories: people who mostly do what the screen says, a world that mostly answers what it is asked, and anything
//! at all in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sealfax_adapter::flow::card_session::CardInput;
use sealfax_adapter::flow::confirming::Alarm;
use sealfax_adapter::flow::desk::{Action, Desk, Event};
use sealfax_adapter::flow::receiving::{Fetched, MailId, ReceivingAction, ReceivingEvent, SessionId, Unfit};
use sealfax_adapter::flow::sending::{DocumentId, SendingAction, SendingEvent};
use sealfax_adapter::flow::{At, Owner, Protection};
use sealfax_drivers::display::{CardFault, NotSent, Screen};
use sealfax_drivers::pin::Pin;

use super::witness::Witness;
use super::{PEOPLE, new_desk, owner};

/// Any event at all, likely or not, with small numbers so that they meet.
fn any_event() -> impl Strategy<Value = Event> {
    let mail = (0u64..6).prop_map(MailId);
    let session = (0u64..4).prop_map(SessionId);
    let document = (0u64..4).prop_map(DocumentId);
    let unfit = prop_oneof![
        Just(Ok(())),
        Just(Ok(())),
        Just(Ok(())),
        Just(Err(Unfit::CannotOpen("OPEN-001"))),
        Just(Err(Unfit::NotGenuine("OPEN-020"))),
        Just(Err(Unfit::Unchecked("RECV-004"))),
        Just(Err(Unfit::Unconfirmed("TRUST-113"))),
        Just(Err(Unfit::CardGone)),
    ];
    let sent = prop_oneof![
        3 => Just(Ok(())),
        1 => Just(Err(NotSent::ServerUnreachable)),
        1 => Just(Err(NotSent::NoCertificate(vec!["x@y.example".into()]))),
    ];
    let protection = prop_oneof![3 => Just(Protection::Signed), 1 => Just(Protection::EncryptedOnly)];
    let kind = prop_oneof![3 => Just(Fetched::Sealed), 1 => Just(Fetched::Plain), 1 => Just(Fetched::Printed)];
    prop_oneof![
        4 => Just(Event::Card(1, CardInput::Inserted)),
        2 => Just(Event::Card(1, CardInput::Removed)),
        6 => (0usize..3, 0u8..4, any::<bool>()).prop_map(|(who, tries_left, pad)| Event::Card(1, CardInput::Read { owner: owner(who), tries_left, pad })),
        1 => any::<bool>().prop_map(|asking| Event::SigningOnPad(1, asking)),
        1 => Just(Event::Card(1, CardInput::PinCancelled)),
        1 => Just(Event::Card(1, CardInput::PadCancelled)),
        1 => (0u8..3).prop_map(|tries_left| Event::Card(1, CardInput::PinUntried { tries_left })),
        1 => Just(Event::Card(1, CardInput::Unusable(CardFault::Unreadable))),
        1 => Just(Event::Card(1, CardInput::Unusable(CardFault::Incomplete))),
        1 => (0u8..9).prop_map(|n| Event::Card(1, CardInput::PinProgress(n))),
        6 => Just(Event::Card(1, CardInput::PinEntered(Arc::new(Pin::new(b"123456").unwrap())))),
        6 => Just(Event::Card(1, CardInput::PinAccepted)),
        1 => (0u8..3).prop_map(|tries_left| Event::Card(1, CardInput::PinRefused { tries_left })),
        6 => Just(Event::Card(1, CardInput::PathHolds)),
        6 => Just(Event::Card(1, CardInput::CertificateValid)),
        3 => Just(Event::Card(1, CardInput::PersonWanted)),
        4 => Just(Event::Card(1, CardInput::PersonProven)),
        1 => Just(Event::Card(1, CardInput::PersonNotProven)),
        1 => Just(Event::Card(1, CardInput::PersonUnasked)),
        1 => Just(Event::Card(1, CardInput::CertificateInvalid(CardFault::Revoked))),
        1 => Just(Event::Card(1, CardInput::CertificateInvalid(CardFault::Unchecked))),
        4 => (document.clone(), 0usize..3, 0usize..3).prop_map(|(id, from, to)| Event::Sending(SendingEvent::Document {
            id, from: PEOPLE[from].into(), recipients: vec![PEOPLE[to].into()] })),
        1 => document.clone().prop_map(|id| Event::Sending(SendingEvent::TerminalGone(id))),
        4 => (document.clone(), sent.clone()).prop_map(|(id, r)| Event::Sending(SendingEvent::Certificates(id, r))),
        4 => (document.clone(), sent.clone(), protection.clone())
            .prop_map(|(id, r, with)| Event::Sending(SendingEvent::Sealed(id, r.map(|()| with)))),
        4 => (document, sent).prop_map(|(id, r)| Event::Sending(SendingEvent::Submitted(id, r))),
        3 => (0usize..3).prop_map(|who| Event::Receiving(ReceivingEvent::Notice(owner(who)))),
        4 => session.clone().prop_map(|id| Event::Receiving(ReceivingEvent::Receive(id))),
        5 => (session.clone(), prop::collection::vec((mail.clone(), kind), 0..3))
            .prop_map(|(id, mails)| Event::Receiving(ReceivingEvent::Fetched(id, mails))),
        1 => session.clone().prop_map(|id| Event::Receiving(ReceivingEvent::FetchFailed(id))),
        6 => (mail.clone(), unfit.clone(), protection.clone())
            .prop_map(|(id, r, with)| Event::Receiving(ReceivingEvent::Decrypted(id, r.map(|()| with)))),
        6 => (mail.clone(), unfit.clone()).prop_map(|(id, r)| Event::Receiving(ReceivingEvent::SenderCertificate(id, r))),
        6 => (mail.clone(), unfit, protection)
            .prop_map(|(id, r, with)| Event::Receiving(ReceivingEvent::Verified(id, r.map(|()| with)))),
        4 => (session.clone(), prop::collection::vec(mail.clone(), 0..3))
            .prop_map(|(id, taken)| Event::Receiving(ReceivingEvent::Taken(id, taken))),
        1 => mail.clone().prop_map(|id| Event::Receiving(ReceivingEvent::Unprintable(id, "FAX-062"))),
        1 => session.prop_map(|id| Event::Receiving(ReceivingEvent::TerminalLeft(id))),
        4 => (mail, any::<bool>()).prop_map(|(id, queued)| Event::Receiving(ReceivingEvent::Confirmed(id, queued))),
        2 => Just(Event::Tick),
        1 => (0usize..3, 0usize..3, any::<bool>()).prop_map(|(from, to, refused)| Event::Failed(Alarm {
            message_id: format!("<{from}.{to}>"),
            sender: PEOPLE[from].into(), recipient: PEOPLE[to].into(), refused })),
        1 => (0u32..3).prop_map(|count| Event::Overdue { count, since: Duration::from_secs(90) }),
        1 => Just(Event::Button),
    ]
}

/// One move of a random story. A story made of arbitrary events alone would never get as far as a print; so the world
/// mostly answers what it was asked, and people mostly do what the screen says.
#[derive(Debug, Clone)]
pub enum Move {
    /// Something that was asked for is answered: which of the open questions, and how.
    Answer(u8, Fate),
    /// Somebody does what people do.
    Person(u8),
    /// Anything at all.
    Anything(Event),
}

/// How an answer turns out.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    Good,
    Bad(u8),
}

pub fn any_move() -> impl Strategy<Value = Move> {
    let fate = prop_oneof![6 => Just(Fate::Good), 1 => any::<u8>().prop_map(Fate::Bad)];
    prop_oneof![
        8 => (any::<u8>(), fate).prop_map(|(which, fate)| Move::Answer(which, fate)),
        4 => any::<u8>().prop_map(Move::Person),
        1 => any_event().prop_map(Move::Anything),
    ]
}

/// A question that the desk has asked and the world has not answered.
#[derive(Debug, Clone)]
enum Question {
    Read(u64),
    Pin(u64),
    Path(u64),
    Status(u64),
    Again(u64),
    Person(u64),
    Sending(SendingAction),
    Receiving(ReceivingAction),
}

/// A story in the making.
struct World {
    desk: Desk,
    witness: Witness,
    at: At,
    questions: Vec<Question>,
    insertion: u64,
    card: usize,
    numbers: u64,
    alerts: BTreeSet<String>,
    visitor: Option<Owner>,
    tally: Tally,
}

/// How far stories got.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub handed: usize,
    pub deleted: usize,
    pub sent: usize,
    pub cut: usize,
    pub asked_again: usize,
}

impl World {
    fn new() -> Self {
        Self {
            desk: new_desk(),
            witness: Witness::default(),
            at: At::ZERO,
            questions: Vec::new(),
            insertion: 0,
            card: 0,
            numbers: 100,
            alerts: BTreeSet::new(),
            visitor: None,
            tally: Tally::default(),
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn play(&mut self, next: Move) {
        let event = match next {
            Move::Anything(event) => Some(event),
            Move::Person(what) => Some(self.person(what)),
            Move::Answer(which, fate) => self.answer(which, fate),
        };
        if let Some(event) = event {
            self.happen(event);
        }
    }

    /// What people do: insert a card, type a PIN, press RECEIVE, send, take the card; notices come by themselves.
    fn person(&mut self, what: u8) -> Event {
        let number = self.number();
        match what % 8 {
            0 => {
                self.insertion += 1;
                self.card = usize::from(what / 8) % PEOPLE.len();
                Event::Card(self.insertion, CardInput::Inserted)
            }
            1 | 2 => Event::Card(self.insertion, CardInput::PinEntered(Arc::new(Pin::new(b"123456").unwrap()))),
            3 | 4 => Event::Receiving(ReceivingEvent::Receive(SessionId(number))),
            5 => Event::Receiving(ReceivingEvent::Notice(owner(usize::from(what / 8)))),
            6 => Event::Sending(SendingEvent::Document {
                id: DocumentId(number),
                from: owner(self.card).address,
                recipients: vec![owner(usize::from(what / 8)).address],
            }),
            _ if what > 200 => Event::Card(self.insertion, CardInput::Removed),
            _ => Event::Tick,
        }
    }

    fn answer(&mut self, which: u8, fate: Fate) -> Option<Event> {
        if self.questions.is_empty() {
            return None;
        }
        let question = self.questions.remove(usize::from(which) % self.questions.len());
        let good = matches!(fate, Fate::Good);
        let unfit = match fate {
            Fate::Good => Ok(()),
            Fate::Bad(kind) => {
                let all = [
                    Unfit::CannotOpen("OPEN-016"),
                    Unfit::NotGenuine("OPEN-028"),
                    Unfit::Unconfirmed("TRUST-113"),
                    Unfit::Unchecked("RECV-004"),
                    Unfit::CardGone,
                ];
                Err(all[usize::from(kind) % all.len()])
            }
        };
        let with = if which.is_multiple_of(5) { Protection::EncryptedOnly } else { Protection::Signed };
        let sent = if good { Ok(()) } else { Err(NotSent::ServerUnreachable) };
        Some(match question {
            Question::Read(n) if good => {
                let pad = which.is_multiple_of(3);
                Event::Card(n, CardInput::Read { owner: owner(self.card), tries_left: 3, pad })
            }
            Question::Read(n) => Event::Card(n, CardInput::Unusable(CardFault::Incomplete)),
            Question::Pin(n) if good => Event::Card(n, CardInput::PinAccepted),
            Question::Pin(n) if which.is_multiple_of(3) => Event::Card(n, CardInput::PinUntried { tries_left: 2 }),
            Question::Pin(n) => Event::Card(n, CardInput::PinRefused { tries_left: 2 }),
            Question::Path(n) if good => {
                self.questions.push(Question::Status(n));
                Event::Card(n, CardInput::PathHolds)
            }
            Question::Status(n) if good && which.is_multiple_of(4) => Event::Card(n, CardInput::PersonWanted),
            Question::Person(n) if good => Event::Card(n, CardInput::PersonProven),
            Question::Person(n) if which.is_multiple_of(3) => Event::Card(n, CardInput::PersonUnasked),
            Question::Person(n) => Event::Card(n, CardInput::PersonNotProven),
            Question::Status(n) | Question::Again(n) if good => Event::Card(n, CardInput::CertificateValid),
            Question::Again(n) if which.is_multiple_of(2) => {
                Event::Card(n, CardInput::CertificateInvalid(CardFault::Unchecked))
            }
            Question::Path(n) | Question::Status(n) | Question::Again(n) => {
                Event::Card(n, CardInput::CertificateInvalid(CardFault::Revoked))
            }
            Question::Sending(action) => Event::Sending(match action {
                SendingAction::FindCertificates(id, _) => SendingEvent::Certificates(id, sent),
                SendingAction::Seal(id, _) => SendingEvent::Sealed(id, sent.map(|()| with)),
                SendingAction::Submit(id) => SendingEvent::Submitted(id, sent),
                other => panic!("not a question: {other:?}"),
            }),
            Question::Receiving(action) => Event::Receiving(match action {
                ReceivingAction::Fetch(id, _) if good => {
                    let kinds = [Fetched::Sealed, Fetched::Plain, Fetched::Sealed, Fetched::Printed];
                    let mails = (0..usize::from(which) % 4).map(|n| (MailId(self.number()), kinds[n])).collect();
                    ReceivingEvent::Fetched(id, mails)
                }
                ReceivingAction::Fetch(id, _) => ReceivingEvent::FetchFailed(id),
                ReceivingAction::Decrypt(id) => ReceivingEvent::Decrypted(id, unfit.map(|()| with)),
                ReceivingAction::FindSenderCertificate(id) => ReceivingEvent::SenderCertificate(id, unfit),
                ReceivingAction::Verify(id) => ReceivingEvent::Verified(id, unfit.map(|()| with)),
                ReceivingAction::Hand(id, mails) if good => ReceivingEvent::Taken(id, mails),
                ReceivingAction::Hand(id, _) => ReceivingEvent::TerminalLeft(id),
                ReceivingAction::Confirm(id) => ReceivingEvent::Confirmed(id, good),
                other => panic!("not a question: {other:?}"),
            }),
        })
    }

    fn happen(&mut self, event: Event) {
        self.at += Duration::from_secs(7);
        // The machine hears nothing of an insertion that is over; nor does the witness.
        match &event {
            Event::Card(n, CardInput::Inserted) => self.insertion = *n,
            Event::Card(n, _) if *n != self.insertion => {
                // What time alone brings has come by then.
                self.happen(Event::Tick);
                assert!(self.desk.handle(self.at, event).is_empty(), "a late answer of an earlier card had an effect");
                return;
            }
            _ => {}
        }
        self.witness.before(&event);
        if let Event::Receiving(ReceivingEvent::Notice(owner)) = &event {
            self.alerts.insert(owner.address.clone());
        }
        for action in self.desk.handle(self.at, event) {
            self.witness.after(&action);
            match &action {
                Action::Receiving(ReceivingAction::Settle(_, deleted)) => {
                    self.tally.deleted += deleted.len();
                    // A session that ran its course may answer the alert of the person whose session it was.
                    if let Some(owner) = self.visitor.take() {
                        self.alerts.remove(&owner.address);
                    }
                }
                Action::Receiving(ReceivingAction::Fetch(_, owner)) => self.visitor = Some(owner.clone()),
                Action::Receiving(ReceivingAction::Hand(_, mails)) => self.tally.handed += mails.len(),
                Action::Receiving(ReceivingAction::Cut(_)) => self.tally.cut += 1,
                Action::Sending(SendingAction::Answer(_, Ok(()))) => self.tally.sent += 1,
                Action::CheckAgain(_) => self.tally.asked_again += 1,
                _ => {}
            }
            self.questions.extend(question(action));
        }
        // An alert is answered by its person or goes on: with no card accepted, the screen does not say "nothing".
        if self.desk.accepted().is_none() && !self.alerts.is_empty() {
            assert_ne!(self.desk.screen(self.at), Screen::Idle);
        }
    }
}

fn question(action: Action) -> Option<Question> {
    Some(match action {
        Action::ReadCard(n) | Action::ReadAgain(n) => Question::Read(n),
        Action::VerifyPin(n, ..) | Action::VerifyPinOnPad(n, _) => Question::Pin(n),
        Action::CheckCertificate(n) => Question::Path(n),
        Action::CheckAgain(n) => Question::Again(n),
        Action::ProvePerson(n) => Question::Person(n),
        Action::Sending(
            action @ (SendingAction::FindCertificates(..) | SendingAction::Seal(..) | SendingAction::Submit(_)),
        ) => Question::Sending(action),
        Action::Receiving(
            action @ (ReceivingAction::Fetch(..)
            | ReceivingAction::Decrypt(_)
            | ReceivingAction::FindSenderCertificate(_)
            | ReceivingAction::Verify(_)
            | ReceivingAction::Hand(..)
            | ReceivingAction::Confirm(_)),
        ) => Question::Receiving(action),
        _ => return None,
    })
}

pub fn live(moves: Vec<Move>) -> Tally {
    let mut world = World::new();
    for next in moves {
        world.play(next);
    }
    world.tally
}
