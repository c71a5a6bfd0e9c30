//! Properties of both figures: whatever happens in whatever order, nothing is printed without card, PIN, valid
//! certificate and good signature, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use sealfax_adapter::flow::card_session::CardInput;
use sealfax_adapter::flow::desk::{Action, Desk, Event, OUTCOME_SHOWN, PAD_RESTS};
use sealfax_adapter::flow::receiving::{Fetched, MailId, ReceivingAction, ReceivingEvent, SessionId, Unfit};
use sealfax_adapter::flow::sending::{DocumentId, SendingAction, SendingEvent};
use sealfax_adapter::flow::{At, Owner};
use sealfax_drivers::display::{CardFault, NotSent, Screen};
use sealfax_drivers::pin::Pin;

/// The fax machine's own address.
const MACHINE: &str = "fax@a.example";
const PEOPLE: [&str; 3] = ["taro@a.example", "hanako@b.example", "jiro@b.example"];

/// How long an accepted card may wait for its act.
const PIN_LIFE: Duration = Duration::from_secs(300);

fn new_desk() -> Desk {
    Desk::new(Duration::from_secs(540), vec![MACHINE.into()], PIN_LIFE)
}

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
        Just(Err(Unfit::Unchecked("RECV-004"))),
        Just(Err(Unfit::Unconfirmed("TRUST-113"))),
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
    /// The certificate server was asked and has not answered.
    check_open: bool,
    /// Somebody is asked for beside the card.
    person_asked: bool,
    /// It said *good* since a document came, since RECEIVE was pressed: for one act each.
    fresh_document: bool,
    fresh_receive: bool,
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
                    (self.check_open, self.fresh_document, self.fresh_receive) = (false, false, false);
                    self.person_asked = false;
                }
                CardInput::Read { owner, .. } if std::mem::take(&mut self.read_asked) => {
                    self.read = Some(owner.clone())
                }
                CardInput::PinAccepted => self.pin_accepted |= self.pin_asked,
                CardInput::PinRefused { .. } | CardInput::PinUntried { .. } if !self.pin_accepted => {
                    self.pin_asked = false
                }
                CardInput::PathHolds => self.path |= self.check_asked,
                CardInput::CertificateValid if self.path && std::mem::take(&mut self.check_open) => {
                    (self.valid, self.fresh_document, self.fresh_receive) = (true, true, true);
                }
                // Good alone is not enough here; a card that was accepted is not asked for its owner again.
                CardInput::PersonWanted if self.path && !self.valid => self.check_open = false,
                CardInput::PersonProven if std::mem::take(&mut self.person_asked) => {
                    (self.valid, self.fresh_document, self.fresh_receive) = (true, true, true);
                }
                CardInput::PersonNotProven | CardInput::PersonUnasked => self.person_asked = false,
                CardInput::CertificateInvalid(fault) => {
                    // No answer says nothing against a card that was accepted; anything else ends what was proven.
                    let asked = std::mem::take(&mut self.check_open);
                    self.valid &= !asked || *fault == CardFault::Unchecked;
                }
                CardInput::Unusable(_) => self.valid &= !self.check_open,
                _ => {}
            },
            Event::Receiving(ReceivingEvent::Receive(_)) => self.fresh_receive = false,
            Event::Sending(SendingEvent::Document { id, from, .. }) => {
                self.fresh_document = false;
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
            Action::ReadCard(_) | Action::ReadAgain(_) => self.read_asked = true,
            Action::VerifyPin(..) | Action::VerifyPinOnPad(..) => self.pin_asked = true,
            // What was proven with the PIN counts for one act alone.
            Action::ForgetPin => {
                (self.pin_asked, self.pin_accepted, self.valid, self.person_asked) = (false, false, false, false);
            }
            Action::ProvePerson(_) => {
                assert!(
                    self.pin_accepted && self.path && !self.check_open,
                    "asked for the owner of a card that is not valid"
                );
                self.person_asked = true;
            }
            Action::CheckCertificate(_) => {
                assert!(self.pin_accepted, "certificate checked before the PIN was accepted");
                (self.check_asked, self.check_open, self.path) = (true, true, false);
            }
            Action::CheckAgain(_) => {
                assert!(self.accepted().is_some(), "asked again about a card that was never accepted");
                self.check_open = true;
            }
            Action::Sending(SendingAction::FindCertificates(id, _)) => {
                assert!(self.accepted().is_some(), "certificates sought before a card was accepted");
                assert!(
                    std::mem::take(&mut self.fresh_document),
                    "an act on what was said of the card for another one"
                );
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
                assert!(std::mem::take(&mut self.fresh_receive), "fetched on what was said of the card before RECEIVE");
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
struct Tally {
    handed: usize,
    deleted: usize,
    sent: usize,
    cut: usize,
    asked_again: usize,
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
        total.asked_again += tally.asked_again;
    }
    assert!(total.handed > 50 && total.deleted > 50 && total.sent > 50 && total.cut > 5, "{total:?}");
    assert!(total.asked_again > 100, "{total:?}");
}

/// What is to be done besides writing steps down, as text that can be compared.
fn orders(actions: Vec<Action>) -> Vec<String> {
    let written = |action: &Action| {
        matches!(action, Action::Receiving(ReceivingAction::Step(_)) | Action::Sending(SendingAction::Step(_)))
    };
    actions.into_iter().filter(|action| !written(action)).map(show).collect()
}

fn show(action: Action) -> String {
    format!("{action:?}")
}

/// The certificate server is asked about the card again, and nothing else is done before it answers.
fn asks_again(actions: Vec<Action>) {
    assert_eq!(orders(actions), [show(Action::CheckAgain(1))]);
}

/// Drives a desk with a card that is accepted.
fn accepted(desk: &mut Desk, at: At, who: usize) {
    for input in [
        CardInput::Inserted,
        CardInput::Read { owner: owner(who), tries_left: 3, pad: false },
        CardInput::PinEntered(Arc::new(Pin::new(b"123456").unwrap())),
        CardInput::PinAccepted,
        CardInput::PathHolds,
        CardInput::CertificateValid,
    ] {
        desk.handle(at, Event::Card(1, input));
    }
    assert_eq!(desk.accepted(), Some(&owner(who)));
}

/// V2: who is to be proven beside the card has three tries, and without one that succeeds the card counts for nothing.
#[test]
fn a_card_alone_is_not_its_owner() {
    let at = At::ZERO;
    let wanted = || {
        let mut desk = new_desk();
        for input in [
            CardInput::Inserted,
            CardInput::Read { owner: owner(1), tries_left: 3, pad: false },
            CardInput::PinEntered(Arc::new(Pin::new(b"123456").unwrap())),
            CardInput::PinAccepted,
            CardInput::PathHolds,
        ] {
            desk.handle(at, Event::Card(1, input));
        }
        let asked = orders(desk.handle(at, Event::Card(1, CardInput::PersonWanted)));
        assert_eq!(asked, [show(Action::ProvePerson(1))]);
        assert_eq!((desk.accepted(), desk.screen(at)), (None, Screen::Person { name: "hanako".into(), tries_left: 3 }));
        desk
    };
    let mut desk = wanted();
    // Nothing else is a proof.
    for input in [CardInput::CertificateValid, CardInput::PinAccepted, CardInput::PathHolds] {
        assert!(orders(desk.handle(at, Event::Card(1, input))).is_empty());
    }
    for tries_left in [2, 1] {
        let again = orders(desk.handle(at, Event::Card(1, CardInput::PersonNotProven)));
        assert_eq!(again, [show(Action::ProvePerson(1))]);
        assert_eq!(desk.screen(at), Screen::Person { name: "hanako".into(), tries_left });
    }
    desk.handle(at, Event::Card(1, CardInput::PersonNotProven));
    assert_eq!(desk.screen(at), Screen::CardInvalid(CardFault::NotThePerson));
    desk.handle(at, Event::Card(1, CardInput::PersonProven));
    assert_eq!(desk.accepted(), None);

    let mut desk = wanted();
    desk.handle(at, Event::Card(1, CardInput::PersonUnasked));
    assert_eq!(desk.screen(at), Screen::CardInvalid(CardFault::PersonUnasked));

    let mut desk = wanted();
    desk.handle(at, Event::Card(1, CardInput::Removed));
    desk.handle(at, Event::Card(1, CardInput::PersonProven));
    assert_eq!((desk.accepted(), desk.screen(at)), (None, Screen::Idle));

    let mut desk = wanted();
    desk.handle(at, Event::Card(1, CardInput::PersonProven));
    assert_eq!(desk.accepted(), Some(&owner(1)));
}

#[test]
fn a_notice_a_card_and_a_press_print_and_confirm() {
    let mut desk = new_desk();
    let at = At::ZERO;
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    assert_eq!(desk.screen(at), Screen::Arrived { names: vec!["hanako".into()] });
    accepted(&mut desk, at, 1);
    assert_eq!(desk.screen(at), Screen::PressReceive { name: "hanako".into(), documents: 1 });
    let receive = |desk: &mut Desk, event| {
        desk.handle(at, Event::Receiving(event))
            .into_iter()
            .filter_map(|action| match action {
                Action::Receiving(ReceivingAction::Step(_)) | Action::ForgetPin => None,
                Action::Receiving(action) => Some(action),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let (session, mail) = (SessionId(1), MailId(1));
    asks_again(desk.handle(at, Event::Receiving(ReceivingEvent::Receive(session))));
    let still_valid = desk.handle(at, Event::Card(1, CardInput::CertificateValid));
    assert_eq!(orders(still_valid), [ReceivingAction::Fetch(session, owner(1))].map(Action::Receiving).map(show));
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

fn document(number: u64) -> Event {
    let (id, from, to) = (DocumentId(number), PEOPLE[0].to_owned(), PEOPLE[1].to_owned());
    Event::Sending(SendingEvent::Document { id, from, recipients: vec![to] })
}

#[test]
fn a_card_revoked_while_it_stays_in_signs_and_fetches_nothing_more() {
    let at = At::ZERO;
    let revoked = || Event::Card(1, CardInput::CertificateInvalid(CardFault::Revoked));
    let mut desk = new_desk();
    accepted(&mut desk, at, 0);
    asks_again(desk.handle(at, document(1)));
    assert_eq!(desk.screen(at), Screen::Checking { card: true, certificate: true, server: false });
    let refusal = SendingAction::Answer(DocumentId(1), Err(NotSent::CardInvalid));
    assert_eq!(
        orders(desk.handle(at, revoked())),
        [show(Action::ForgetCard), show(Action::Sending(refusal)), show(Action::LetGo(1))]
    );
    assert_eq!(desk.screen(at), Screen::CardInvalid(CardFault::Revoked));

    let mut desk = new_desk();
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    accepted(&mut desk, at, 1);
    asks_again(desk.handle(at, Event::Receiving(ReceivingEvent::Receive(SessionId(1)))));
    let refusal = ReceivingAction::Refuse(SessionId(1));
    assert_eq!(
        orders(desk.handle(at, revoked())),
        [show(Action::ForgetCard), show(Action::Receiving(refusal)), show(Action::LetGo(1))]
    );
    assert_eq!(desk.screen(at), Screen::CardInvalid(CardFault::Revoked));
    desk.handle(at, Event::Card(1, CardInput::Removed));
    assert_eq!(desk.screen(at), Screen::Arrived { names: vec!["hanako".into()] });
}

#[test]
fn a_document_found_waiting_by_its_card_is_asked_for_once_and_the_next_one_anew() {
    let at = At::ZERO;
    let mut desk = new_desk();
    desk.handle(at, document(1));
    accepted(&mut desk, at, 0);
    let to = vec![PEOPLE[1].to_owned()];
    // The answer that accepted the card was the first document's own; the second waits its turn, then asks.
    assert!(orders(desk.handle(at, document(2))).is_empty());
    desk.handle(at, Event::Sending(SendingEvent::Certificates(DocumentId(1), Ok(()))));
    desk.handle(at, Event::Sending(SendingEvent::Sealed(DocumentId(1), Ok(()))));
    let done = orders(desk.handle(at, Event::Sending(SendingEvent::Submitted(DocumentId(1), Ok(())))));
    let answer = show(Action::Sending(SendingAction::Answer(DocumentId(1), Ok(()))));
    assert_eq!(done, [answer, show(Action::CheckAgain(1))]);
    let still = orders(desk.handle(at, Event::Card(1, CardInput::CertificateValid)));
    assert_eq!(still, [show(Action::Sending(SendingAction::FindCertificates(DocumentId(2), to)))]);
}

#[test]
fn no_answer_about_an_accepted_card_refuses_the_act_and_the_next_one_asks_again() {
    let at = At::ZERO;
    let unchecked = || Event::Card(1, CardInput::CertificateInvalid(CardFault::Unchecked));
    let mut desk = new_desk();
    accepted(&mut desk, at, 0);
    for number in 1..=2 {
        asks_again(desk.handle(at, document(number)));
        let why = NotSent::CertificateServerUnreachable("CARD-107");
        let refusal = SendingAction::Answer(DocumentId(number), Err(why));
        assert_eq!(orders(desk.handle(at, unchecked())), [show(Action::Sending(refusal))]);
        let session = SessionId(number);
        asks_again(desk.handle(at, Event::Receiving(ReceivingEvent::Receive(session))));
        let refusal = ReceivingAction::Refuse(session);
        assert_eq!(orders(desk.handle(at, unchecked())), [show(Action::Receiving(refusal))]);
        assert_eq!(desk.accepted(), Some(&owner(0)));
    }

    // Told to a person for whom something waits, who may press again; the alert stays in any case.
    let mut desk = new_desk();
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    accepted(&mut desk, at, 1);
    desk.handle(at, Event::Receiving(ReceivingEvent::Receive(SessionId(1))));
    desk.handle(at, unchecked());
    assert_eq!(desk.screen(at), Screen::NotSent(NotSent::CertificateServerUnreachable("CARD-107")));
    desk.handle(at, Event::Card(1, CardInput::Removed));
    assert_eq!(desk.screen(at), Screen::Arrived { names: vec!["hanako".into()] });
}

#[test]
fn a_changed_certificate_is_told_when_the_card_is_taken() {
    let at = At::ZERO;
    let mut desk = new_desk();
    accepted(&mut desk, at, 0);
    for _ in 0..2 {
        desk.handle(at, Event::CertificateChanged(PEOPLE[1].into()));
    }
    assert_eq!(desk.screen(at), Screen::Ready { name: "taro".into() });
    desk.handle(at, Event::Card(1, CardInput::Removed));
    assert_eq!(desk.screen(at), Screen::CertificateChanged { addresses: vec![PEOPLE[1].into()] });
    desk.handle(OUTCOME_SHOWN, Event::Tick);
    assert_eq!(desk.screen(OUTCOME_SHOWN), Screen::Idle);
}

#[test]
fn the_wrong_card_is_shown_the_door_but_may_send() {
    let mut desk = new_desk();
    let at = At::ZERO;
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    desk.handle(at, Event::Card(1, CardInput::Inserted));
    desk.handle(at, Event::Card(1, CardInput::Read { owner: owner(2), tries_left: 3, pad: false }));
    assert_eq!(desk.screen(at), Screen::WrongCard { names: vec!["hanako".into()] });
    let document =
        SendingEvent::Document { id: DocumentId(1), from: PEOPLE[2].into(), recipients: vec![PEOPLE[0].into()] };
    desk.handle(at, Event::Sending(document));
    desk.handle(at, Event::Card(1, CardInput::Read { owner: owner(2), tries_left: 3, pad: false }));
    assert_eq!(desk.screen(at), Screen::Pin { name: "jiro".into(), entered: 0, tries_left: 3 });
}

/// Put in the wrong way round, a card is nobody's; and one person's card says nothing of another's documents.
#[test]
fn a_bad_card_ends_nobody_elses_waiting() {
    let at = At::ZERO;
    let answered = |actions: Vec<Action>| -> Vec<DocumentId> {
        let answers = actions.into_iter().filter_map(|action| match action {
            Action::Sending(SendingAction::Answer(id, answer)) => {
                assert_eq!(answer, Err(NotSent::CardInvalid));
                Some(id)
            }
            _ => None,
        });
        answers.collect()
    };
    let of = |number: u64, from: &str| {
        let id = DocumentId(number);
        Event::Sending(SendingEvent::Document { id, from: from.into(), recipients: vec![PEOPLE[1].into()] })
    };
    for fault in [CardFault::Unreadable, CardFault::Incomplete, CardFault::OtherAddress] {
        let mut desk = new_desk();
        desk.handle(at, of(1, PEOPLE[0]));
        desk.handle(at, of(2, MACHINE));
        desk.handle(at, Event::Card(1, CardInput::Inserted));
        assert!(answered(desk.handle(at, Event::Card(1, CardInput::Unusable(fault)))).is_empty(), "{fault:?}");
        assert_eq!(desk.screen(at), Screen::CardInvalid(fault));
        // Nor is what comes while it is in refused for it.
        assert!(answered(desk.handle(at, of(3, PEOPLE[2]))).is_empty());
        desk.handle(at, Event::Card(1, CardInput::Removed));
        // The right way round it is sent.
        accepted(&mut desk, at, 0);
        assert_eq!(desk.screen(at), Screen::Sending);
    }
    let mut desk = new_desk();
    for (number, from) in [(1, PEOPLE[0]), (2, PEOPLE[2]), (3, MACHINE)] {
        desk.handle(at, of(number, from));
    }
    desk.handle(at, Event::Card(1, CardInput::Inserted));
    for input in [
        CardInput::Read { owner: owner(0), tries_left: 3, pad: false },
        CardInput::PinEntered(Arc::new(Pin::new(b"123456").unwrap())),
        CardInput::PinAccepted,
    ] {
        desk.handle(at, Event::Card(1, input));
    }
    let revoked = Event::Card(1, CardInput::CertificateInvalid(CardFault::Revoked));
    assert_eq!(answered(desk.handle(at, revoked)), [DocumentId(1), DocumentId(3)]);
    assert!(answered(desk.handle(at, of(4, PEOPLE[2]))).is_empty());
    assert_eq!(answered(desk.handle(at, of(5, PEOPLE[0]))), [DocumentId(5)]);
}

#[test]
fn a_held_document_ends_with_451_when_no_card_comes() {
    let mut desk = new_desk();
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

/// A document of `from`, from scan to the mail server's answer.
fn sent(desk: &mut Desk, at: At, id: u64) -> Vec<String> {
    let id = DocumentId(id);
    let mut actions = desk.handle(at, Event::Card(1, CardInput::CertificateValid));
    for event in
        [SendingEvent::Certificates(id, Ok(())), SendingEvent::Sealed(id, Ok(())), SendingEvent::Submitted(id, Ok(()))]
    {
        actions.extend(desk.handle(at, Event::Sending(event)));
    }
    orders(actions)
}

#[test]
fn a_pin_is_good_for_one_act() {
    let at = At::ZERO;
    let mut desk = new_desk();
    accepted(&mut desk, at, 0);
    asks_again(desk.handle(at, document(1)));
    assert_eq!(sent(&mut desk, at, 1).last(), Some(&show(Action::ForgetPin)));
    assert_eq!(desk.accepted(), None);
    assert_eq!(desk.screen(at), Screen::Sent);
    let later = at + OUTCOME_SHOWN;
    desk.handle(later, Event::Tick);
    assert_eq!(desk.screen(later), Screen::Ready { name: "taro".into() });
    // The next document waits for its PIN, as it would wait for a card.
    assert_eq!(orders(desk.handle(later, document(2))), [show(Action::ReadAgain(1))]);
    // Somebody spent a try meanwhile; what is shown is what the card says now, and it goes with the PIN.
    desk.handle(later, Event::Card(1, CardInput::Read { owner: owner(0), tries_left: 2, pad: false }));
    assert_eq!(desk.screen(later), Screen::Pin { name: "taro".into(), entered: 0, tries_left: 2 });
    let asked = desk.handle(later, pin_entered());
    assert!(matches!(asked[..], [Action::VerifyPin(1, _, 2)]), "{asked:?}");
    // The card had even fewer: it was not asked, and the person sees it before they type again.
    desk.handle(later, Event::Card(1, CardInput::PinUntried { tries_left: 1 }));
    assert_eq!(desk.screen(later), Screen::Pin { name: "taro".into(), entered: 0, tries_left: 1 });
    let asked = desk.handle(later, pin_entered());
    assert!(matches!(asked[..], [Action::VerifyPin(1, _, 1)]), "{asked:?}");
    desk.handle(later, Event::Card(1, CardInput::PinUntried { tries_left: 0 }));
    assert_eq!(desk.screen(later), Screen::PinBlocked);
}

fn pin_entered() -> Event {
    Event::Card(1, CardInput::PinEntered(Arc::new(Pin::new(b"123456").unwrap())))
}

#[test]
fn a_pin_that_is_not_used_in_time_is_forgotten() {
    let mut desk = new_desk();
    accepted(&mut desk, At::ZERO, 0);
    assert_eq!(desk.next_timer(At::ZERO), Some(PIN_LIFE));
    assert_eq!(orders(desk.handle(PIN_LIFE, Event::Tick)), [show(Action::ForgetPin)]);
    assert_eq!(desk.accepted(), None);
    assert_eq!(desk.screen(PIN_LIFE), Screen::Ready { name: "taro".into() });
}

#[test]
fn who_came_to_receive_does_not_send_what_the_machine_holds_in_nobodys_name() {
    let at = At::ZERO;
    let (id, to) = (DocumentId(1), vec![PEOPLE[2].to_owned()]);
    let held = || Event::Sending(SendingEvent::Document { id, from: MACHINE.into(), recipients: to.clone() });
    let mut desk = new_desk();
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    desk.handle(at, held());
    accepted(&mut desk, at, 1);
    assert_eq!(desk.screen(at), Screen::PressReceive { name: "hanako".into(), documents: 1 });
    desk.handle(at, Event::Card(1, CardInput::Removed));
    // Whose it is comes for it.
    desk.handle(at, Event::Card(1, CardInput::Inserted));
    for input in [
        CardInput::Read { owner: owner(0), tries_left: 3, pad: false },
        CardInput::PinEntered(Arc::new(Pin::new(b"123456").unwrap())),
        CardInput::PinAccepted,
        CardInput::PathHolds,
    ] {
        desk.handle(at, Event::Card(1, input));
    }
    let begun = orders(desk.handle(at, Event::Card(1, CardInput::CertificateValid)));
    assert_eq!(begun, [show(Action::Sending(SendingAction::FindCertificates(id, to)))]);
}

#[test]
fn a_reader_with_keys_asks_for_the_pin_itself_until_it_has_one() {
    let at = At::ZERO;
    let mut desk = new_desk();
    desk.handle(at, Event::Card(1, CardInput::Inserted));
    let read = CardInput::Read { owner: owner(0), tries_left: 3, pad: true };
    assert_eq!(orders(desk.handle(at, Event::Card(1, read))), [show(Action::VerifyPinOnPad(1, 3))]);
    // What is typed on another keypad is not this card's PIN.
    let typed = CardInput::PinEntered(Arc::new(Pin::new(b"123456").unwrap()));
    assert!(orders(desk.handle(at, Event::Card(1, typed))).is_empty());
    // Nor is its cancel key this reader's: the reader goes on asking, and is not asked twice.
    for _ in 0..3 {
        assert!(orders(desk.handle(at, Event::Card(1, CardInput::PinCancelled))).is_empty());
    }
    let refused = CardInput::PinRefused { tries_left: 2 };
    assert_eq!(orders(desk.handle(at, Event::Card(1, refused))), [show(Action::VerifyPinOnPad(1, 2))]);
    // Whoever gives up at the reader is left alone for a while, however often the desk looks up.
    assert!(orders(desk.handle(at, Event::Card(1, CardInput::PadCancelled))).is_empty());
    assert_eq!(desk.next_timer(at), Some(at + PAD_RESTS));
    assert!(orders(desk.handle(at + PAD_RESTS / 2, Event::Tick)).is_empty());
    let at = at + PAD_RESTS;
    assert_eq!(orders(desk.handle(at, Event::Tick)), [show(Action::VerifyPinOnPad(1, 2))]);
    assert_eq!(orders(desk.handle(at, Event::Card(1, CardInput::PinAccepted))), [show(Action::CheckCertificate(1))]);
    desk.handle(at, Event::Card(1, CardInput::PathHolds));
    desk.handle(at, Event::Card(1, CardInput::CertificateValid));
    // A signature asks at the reader again, and the screen says so.
    desk.handle(at, Event::SigningOnPad(1, true));
    assert!(matches!(desk.screen(at), Screen::Pin { .. }));
    desk.handle(at, Event::SigningOnPad(1, false));
    assert_eq!(desk.screen(at), Screen::Ready { name: "taro".into() });
}
