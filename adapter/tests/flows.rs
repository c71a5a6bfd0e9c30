//! Properties of both figures: whatever happens in whatever order, nothing is printed without card, PIN, valid
//! certificate and good signature, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use sealfax_adapter::flow::card_session::CardInput;
use sealfax_adapter::flow::desk::{Action, Desk, Event};
use sealfax_adapter::flow::receiving::{Fetched, MailId, ReceivingAction, ReceivingEvent, SessionId, Unfit};
use sealfax_adapter::flow::sending::{DocumentId, SendingAction, SendingEvent};
use sealfax_adapter::flow::{At, Owner};
use sealfax_drivers::display::{CardFault, NotSent, Screen};
use sealfax_drivers::pin::Pin;

const PEOPLE: [&str; 3] = ["taro@a.example", "hanako@b.example", "jiro@b.example"];

fn owner(index: usize) -> Owner {
    let address = PEOPLE[index % PEOPLE.len()];
    Owner { address: address.into(), name: address.split('@').next().unwrap().into() }
}

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
        Just(Err(Unfit::Unchecked)),
        Just(Err(Unfit::CardGone)),
    ];
    let sent = prop_oneof![
        3 => Just(Ok(())),
        1 => Just(Err(NotSent::ServerUnreachable)),
        1 => Just(Err(NotSent::NoCertificate(vec!["x@y.example".into()]))),
    ];
    let kind = prop_oneof![3 => Just(Fetched::Sealed), 1 => Just(Fetched::Plain), 1 => Just(Fetched::Printed)];
    prop_oneof![
        4 => Just(Event::Card(1, CardInput::Inserted)),
        2 => Just(Event::Card(1, CardInput::Removed)),
        6 => (0usize..3, 0u8..4).prop_map(|(who, tries_left)| Event::Card(1, CardInput::Read { owner: owner(who), tries_left })),
        1 => Just(Event::Card(1, CardInput::Unusable(CardFault::Incomplete))),
        1 => (0u8..9).prop_map(|n| Event::Card(1, CardInput::PinProgress(n))),
        6 => Just(Event::Card(1, CardInput::PinEntered(Pin::new(b"123456").unwrap()))),
        6 => Just(Event::Card(1, CardInput::PinAccepted)),
        1 => (0u8..3).prop_map(|tries_left| Event::Card(1, CardInput::PinRefused { tries_left })),
        6 => Just(Event::Card(1, CardInput::PathHolds)),
        6 => Just(Event::Card(1, CardInput::CertificateValid)),
        1 => Just(Event::Card(1, CardInput::CertificateInvalid(CardFault::Revoked))),
        4 => (document.clone(), 0usize..3, 0usize..3).prop_map(|(id, from, to)| Event::Sending(SendingEvent::Document {
            id, from: PEOPLE[from].into(), recipients: vec![PEOPLE[to].into()] })),
        1 => document.clone().prop_map(|id| Event::Sending(SendingEvent::TerminalGone(id))),
        4 => (document.clone(), sent.clone()).prop_map(|(id, r)| Event::Sending(SendingEvent::Certificates(id, r))),
        4 => (document.clone(), sent.clone()).prop_map(|(id, r)| Event::Sending(SendingEvent::Sealed(id, r))),
        4 => (document, sent).prop_map(|(id, r)| Event::Sending(SendingEvent::Submitted(id, r))),
        3 => (0usize..3).prop_map(|who| Event::Receiving(ReceivingEvent::Notice(owner(who)))),
        4 => session.clone().prop_map(|id| Event::Receiving(ReceivingEvent::Receive(id))),
        5 => (session.clone(), prop::collection::vec((mail.clone(), kind), 0..3))
            .prop_map(|(id, mails)| Event::Receiving(ReceivingEvent::Fetched(id, mails))),
        1 => session.clone().prop_map(|id| Event::Receiving(ReceivingEvent::FetchFailed(id))),
        6 => (mail.clone(), unfit.clone()).prop_map(|(id, r)| Event::Receiving(ReceivingEvent::Decrypted(id, r))),
        6 => (mail.clone(), unfit.clone()).prop_map(|(id, r)| Event::Receiving(ReceivingEvent::SenderCertificate(id, r))),
        6 => (mail.clone(), unfit).prop_map(|(id, r)| Event::Receiving(ReceivingEvent::Verified(id, r))),
        4 => (session.clone(), prop::collection::vec(mail.clone(), 0..3))
            .prop_map(|(id, taken)| Event::Receiving(ReceivingEvent::Taken(id, taken))),
        1 => session.prop_map(|id| Event::Receiving(ReceivingEvent::TerminalLeft(id))),
        4 => (mail, any::<bool>()).prop_map(|(id, queued)| Event::Receiving(ReceivingEvent::Confirmed(id, queued))),
        2 => Just(Event::Tick),
    ]
}

/// An independent account of what has been proven, kept beside the machine.
#[derive(Default)]
struct Witness {
    /// The insertion: read, PIN asked of the card and accepted, path, certificate server.
    read_asked: bool,
    read: Option<Owner>,
    pin_asked: bool,
    pin_accepted: bool,
    check_asked: bool,
    path: bool,
    valid: bool,
    /// Per mail of the running session.
    asked_decrypt: BTreeSet<MailId>,
    decrypted: BTreeSet<MailId>,
    asked_sender: BTreeSet<MailId>,
    sender: BTreeSet<MailId>,
    asked_verify: BTreeSet<MailId>,
    verified: BTreeSet<MailId>,
    harmless: BTreeMap<MailId, Fetched>,
    handed: BTreeSet<MailId>,
    taken: BTreeSet<MailId>,
    asked_confirm: BTreeSet<MailId>,
    confirmed: BTreeSet<MailId>,
    fetching: Option<SessionId>,
    /// Per document at the terminal.
    open_documents: BTreeMap<DocumentId, String>,
    certificates: BTreeSet<DocumentId>,
    sealed: BTreeSet<DocumentId>,
    submitted: BTreeSet<DocumentId>,
}

impl Witness {
    fn accepted(&self) -> Option<&Owner> {
        let proven = self.pin_asked && self.pin_accepted && self.check_asked && self.path && self.valid;
        self.read.as_ref().filter(|_| proven)
    }

    fn before(&mut self, event: &Event) {
        match event {
            Event::Card(_, input) => match input {
                CardInput::Inserted | CardInput::Removed => {
                    self.read_asked = false;
                    (self.read, self.pin_asked, self.pin_accepted) = (None, false, false);
                    (self.check_asked, self.path, self.valid) = (false, false, false);
                }
                CardInput::Read { owner, .. } if std::mem::take(&mut self.read_asked) => {
                    self.read = Some(owner.clone())
                }
                CardInput::PinAccepted => self.pin_accepted |= self.pin_asked,
                CardInput::PinRefused { .. } if !self.pin_accepted => self.pin_asked = false,
                CardInput::PathHolds => self.path |= self.check_asked,
                CardInput::CertificateValid => self.valid |= self.path,
                CardInput::CertificateInvalid(_) | CardInput::Unusable(_) => {}
                _ => {}
            },
            Event::Sending(SendingEvent::Document { id, from, .. }) => {
                self.open_documents.entry(*id).or_insert_with(|| from.clone());
            }
            Event::Sending(SendingEvent::TerminalGone(id)) => {
                self.open_documents.remove(id);
                self.certificates.remove(id);
                self.sealed.remove(id);
                self.submitted.remove(id);
            }
            Event::Sending(SendingEvent::Certificates(id, Ok(()))) => drop(self.certificates.insert(*id)),
            Event::Sending(SendingEvent::Sealed(id, Ok(()))) => drop(self.sealed.insert(*id)),
            Event::Sending(SendingEvent::Submitted(id, Ok(()))) => drop(self.submitted.insert(*id)),
            Event::Receiving(ReceivingEvent::Fetched(id, mails)) if self.fetching == Some(*id) => {
                self.fetching = None;
                for (mail, kind) in mails {
                    if *kind != Fetched::Sealed {
                        self.harmless.insert(*mail, *kind);
                    }
                }
            }
            Event::Receiving(ReceivingEvent::Decrypted(id, Ok(()))) if self.asked_decrypt.contains(id) => {
                self.decrypted.insert(*id);
            }
            Event::Receiving(ReceivingEvent::SenderCertificate(id, Ok(()))) if self.asked_sender.contains(id) => {
                self.sender.insert(*id);
            }
            Event::Receiving(ReceivingEvent::Verified(id, Ok(()))) if self.asked_verify.contains(id) => {
                self.verified.insert(*id);
            }
            Event::Receiving(ReceivingEvent::Taken(_, taken)) => self.taken.extend(taken),
            Event::Receiving(ReceivingEvent::Confirmed(id, true)) if self.asked_confirm.contains(id) => {
                self.confirmed.insert(*id);
            }
            _ => {}
        }
    }

    fn after(&mut self, action: &Action) {
        match action {
            Action::ReadCard(_) => self.read_asked = true,
            Action::VerifyPin(..) => self.pin_asked = true,
            Action::CheckCertificate(_) => {
                assert!(self.pin_accepted, "certificate checked before the PIN was accepted");
                self.check_asked = true;
            }
            Action::Sending(SendingAction::FindCertificates(id, _)) => {
                assert!(self.accepted().is_some(), "certificates sought before a card was accepted");
                self.certificates.remove(id);
            }
            Action::Sending(SendingAction::Seal(id, owner)) => {
                assert_eq!(self.accepted(), Some(owner), "sealed with a card that is not accepted");
                assert_eq!(self.open_documents.get(id), Some(&owner.address), "sealed another person's document");
                assert!(self.certificates.contains(id), "sealed without the recipients' certificates");
                self.sealed.remove(id);
            }
            Action::Sending(SendingAction::Submit(id)) => {
                assert!(self.sealed.contains(id), "submitted unsealed");
                self.submitted.remove(id);
            }
            Action::Sending(SendingAction::Answer(id, answer)) => {
                assert!(self.open_documents.remove(id).is_some(), "a document was answered twice");
                if answer.is_ok() {
                    assert!(self.sealed.contains(id) && self.submitted.contains(id), "answered well too early");
                }
                self.certificates.remove(id);
                self.sealed.remove(id);
                self.submitted.remove(id);
            }
            Action::Receiving(ReceivingAction::Fetch(id, owner)) => {
                assert_eq!(self.accepted(), Some(owner), "mailbox fetched without an accepted card");
                self.fetching = Some(*id);
                for set in [
                    &mut self.asked_decrypt,
                    &mut self.decrypted,
                    &mut self.asked_sender,
                    &mut self.sender,
                    &mut self.asked_verify,
                    &mut self.verified,
                    &mut self.handed,
                    &mut self.taken,
                    &mut self.asked_confirm,
                    &mut self.confirmed,
                ] {
                    set.clear();
                }
                self.harmless.clear();
            }
            Action::Receiving(ReceivingAction::Decrypt(id)) => {
                assert!(self.accepted().is_some(), "decryption without an accepted card");
                self.asked_decrypt.insert(*id);
            }
            Action::Receiving(ReceivingAction::FindSenderCertificate(id)) => {
                assert!(self.decrypted.contains(id));
                self.asked_sender.insert(*id);
            }
            Action::Receiving(ReceivingAction::Verify(id)) => {
                assert!(self.sender.contains(id));
                self.asked_verify.insert(*id);
            }
            Action::Receiving(ReceivingAction::Hand(_, mails)) => {
                assert!(self.accepted().is_some(), "handed over without an accepted card");
                for id in mails {
                    let good = self.decrypted.contains(id) && self.sender.contains(id) && self.verified.contains(id);
                    let plain = self.harmless.get(id) == Some(&Fetched::Plain);
                    assert!(good || plain, "handed over unopened or unverified");
                    self.handed.insert(*id);
                }
            }
            Action::Receiving(ReceivingAction::Confirm(id)) => {
                let owed = self.harmless.get(id) == Some(&Fetched::Printed);
                assert!(
                    owed || (self.handed.contains(id) && self.taken.contains(id)),
                    "confirmed what was not printed"
                );
                self.asked_confirm.insert(*id);
            }
            Action::Receiving(ReceivingAction::Settle(_, deleted)) => {
                for id in deleted {
                    let plain = self.harmless.get(id) == Some(&Fetched::Plain) && self.taken.contains(id);
                    assert!(plain || self.confirmed.contains(id), "deleted before its confirmation was queued");
                }
            }
            _ => {}
        }
    }
}

/// One move of a random story. A story made of arbitrary events alone would never get as far as a print; so the world
/// mostly answers what it was asked, and people mostly do what the screen says.
#[derive(Debug, Clone)]
enum Move {
    /// Something that was asked for is answered: which of the open questions, and how.
    Answer(u8, Fate),
    /// Somebody does what people do.
    Person(u8),
    /// Anything at all.
    Anything(Event),
}

/// How an answer turns out.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Good,
    Bad(u8),
}

fn any_move() -> impl Strategy<Value = Move> {
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
struct Tally {
    handed: usize,
    deleted: usize,
    sent: usize,
    cut: usize,
}

impl World {
    fn new() -> Self {
        Self {
            desk: Desk::new(Duration::from_secs(540), vec![]),
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
            1 | 2 => Event::Card(self.insertion, CardInput::PinEntered(Pin::new(b"123456").unwrap())),
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
                Err([Unfit::CannotOpen("OPEN-016"), Unfit::NotGenuine("OPEN-028"), Unfit::Unchecked, Unfit::CardGone]
                    [usize::from(kind) % 4])
            }
        };
        let sent = if good { Ok(()) } else { Err(NotSent::ServerUnreachable) };
        Some(match question {
            Question::Read(n) if good => Event::Card(n, CardInput::Read { owner: owner(self.card), tries_left: 3 }),
            Question::Read(n) => Event::Card(n, CardInput::Unusable(CardFault::Incomplete)),
            Question::Pin(n) if good => Event::Card(n, CardInput::PinAccepted),
            Question::Pin(n) => Event::Card(n, CardInput::PinRefused { tries_left: 2 }),
            Question::Path(n) if good => {
                self.questions.push(Question::Status(n));
                Event::Card(n, CardInput::PathHolds)
            }
            Question::Status(n) if good => Event::Card(n, CardInput::CertificateValid),
            Question::Path(n) | Question::Status(n) => {
                Event::Card(n, CardInput::CertificateInvalid(CardFault::Revoked))
            }
            Question::Sending(action) => Event::Sending(match action {
                SendingAction::FindCertificates(id, _) => SendingEvent::Certificates(id, sent),
                SendingAction::Seal(id, _) => SendingEvent::Sealed(id, sent),
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
                ReceivingAction::Decrypt(id) => ReceivingEvent::Decrypted(id, unfit),
                ReceivingAction::FindSenderCertificate(id) => ReceivingEvent::SenderCertificate(id, unfit),
                ReceivingAction::Verify(id) => ReceivingEvent::Verified(id, unfit),
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
        Action::ReadCard(n) => Question::Read(n),
        Action::VerifyPin(n, _) => Question::Pin(n),
        Action::CheckCertificate(n) => Question::Path(n),
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

fn live(moves: Vec<Move>) -> Tally {
    let mut world = World::new();
    for next in moves {
        world.play(next);
    }
    world.tally
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_printed_unproven_and_nothing_is_lost(moves in prop::collection::vec(any_move(), 1..200)) {
        live(moves);
    }
}

/// The property above would hold of stories that never get anywhere. These do.
#[test]
fn random_stories_get_as_far_as_printing_sending_and_deleting() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let stories = prop::collection::vec(any_move(), 200);
    let mut total = Tally::default();
    for _ in 0..300 {
        let moves = stories.new_tree(&mut runner).unwrap().current();
        let tally = live(moves);
        total.handed += tally.handed;
        total.deleted += tally.deleted;
        total.sent += tally.sent;
        total.cut += tally.cut;
    }
    assert!(total.handed > 50 && total.deleted > 50 && total.sent > 50 && total.cut > 5, "{total:?}");
}

/// Drives a desk with a card that is accepted.
fn accepted(desk: &mut Desk, at: At, who: usize) {
    for input in [
        CardInput::Inserted,
        CardInput::Read { owner: owner(who), tries_left: 3 },
        CardInput::PinEntered(Pin::new(b"123456").unwrap()),
        CardInput::PinAccepted,
        CardInput::PathHolds,
        CardInput::CertificateValid,
    ] {
        desk.handle(at, Event::Card(1, input));
    }
    assert_eq!(desk.accepted(), Some(&owner(who)));
}

#[test]
fn a_notice_a_card_and_a_press_print_and_confirm() {
    let mut desk = Desk::new(Duration::from_secs(540), vec![]);
    let at = At::ZERO;
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    assert_eq!(desk.screen(at), Screen::Arrived { names: vec!["hanako".into()] });
    accepted(&mut desk, at, 1);
    assert_eq!(desk.screen(at), Screen::PressReceive { name: "hanako".into(), documents: 1 });
    let receive = |desk: &mut Desk, event| {
        desk.handle(at, Event::Receiving(event))
            .into_iter()
            .filter_map(|action| match action {
                Action::Receiving(ReceivingAction::Step(_)) => None,
                Action::Receiving(action) => Some(action),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let (session, mail) = (SessionId(1), MailId(1));
    assert_eq!(receive(&mut desk, ReceivingEvent::Receive(session)), [ReceivingAction::Fetch(session, owner(1))]);
    assert_eq!(
        receive(&mut desk, ReceivingEvent::Fetched(session, vec![(mail, Fetched::Sealed)])),
        [ReceivingAction::Decrypt(mail)]
    );
    assert_eq!(desk.screen(at), Screen::Receiving { number: 1, total: 1 });
    assert_eq!(
        receive(&mut desk, ReceivingEvent::Decrypted(mail, Ok(()))),
        [ReceivingAction::FindSenderCertificate(mail)]
    );
    assert_eq!(receive(&mut desk, ReceivingEvent::SenderCertificate(mail, Ok(()))), [ReceivingAction::Verify(mail)]);
    assert_eq!(
        receive(&mut desk, ReceivingEvent::Verified(mail, Ok(()))),
        [ReceivingAction::Hand(session, vec![mail])]
    );
    assert_eq!(receive(&mut desk, ReceivingEvent::Taken(session, vec![mail])), [ReceivingAction::Confirm(mail)]);
    assert_eq!(
        receive(&mut desk, ReceivingEvent::Confirmed(mail, true)),
        [ReceivingAction::Settle(session, vec![mail])]
    );
    assert_eq!(desk.screen(at), Screen::Done { documents: 1 });
    desk.handle(at, Event::Card(1, CardInput::Removed));
    assert_eq!(desk.screen(at), Screen::Idle);
}

#[test]
fn the_wrong_card_is_shown_the_door_but_may_send() {
    let mut desk = Desk::new(Duration::from_secs(540), vec![]);
    let at = At::ZERO;
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    desk.handle(at, Event::Card(1, CardInput::Inserted));
    desk.handle(at, Event::Card(1, CardInput::Read { owner: owner(2), tries_left: 3 }));
    assert_eq!(desk.screen(at), Screen::WrongCard { names: vec!["hanako".into()] });
    let document =
        SendingEvent::Document { id: DocumentId(1), from: PEOPLE[2].into(), recipients: vec![PEOPLE[0].into()] };
    desk.handle(at, Event::Sending(document));
    desk.handle(at, Event::Card(1, CardInput::Read { owner: owner(2), tries_left: 3 }));
    assert_eq!(desk.screen(at), Screen::Pin { name: "jiro".into(), entered: 0, tries_left: 3 });
}

#[test]
fn a_held_document_ends_with_451_when_no_card_comes() {
    let mut desk = Desk::new(Duration::from_secs(540), vec![]);
    let document =
        SendingEvent::Document { id: DocumentId(1), from: PEOPLE[0].into(), recipients: vec![PEOPLE[1].into()] };
    desk.handle(At::ZERO, Event::Sending(document));
    assert_eq!(desk.screen(At::ZERO), Screen::Held { left: Duration::from_secs(540) });
    assert_eq!(desk.next_timer(At::ZERO), Some(Duration::from_secs(1)));
    let late = desk.handle(Duration::from_secs(540), Event::Tick);
    let answer = late.iter().find_map(|action| match action {
        Action::Sending(SendingAction::Answer(id, answer)) => Some((*id, answer.clone())),
        _ => None,
    });
    assert_eq!(answer, Some((DocumentId(1), Err(NotSent::CardDidNotCome))));
}
