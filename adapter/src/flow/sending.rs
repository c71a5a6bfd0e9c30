//! Fig. 7, *sending*: a document from the terminal becomes a sealed mail at the mail server, or an error at the
//! terminal (ST601-ST615).
//!
//! *Hold open* (S1a): the terminal's DATA is answered only when the mail server has the sealed mail or it is clear
//! that it will not. Until then the terminal keeps the document and nothing is stored here.

use std::collections::VecDeque;
use std::time::Duration;

use sealfax_drivers::display::{CardFault, NotSent, Screen};

use super::{At, CardChange, Owner, Protection, Step};

/// A document the terminal is handing over, for as long as its DATA is unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(pub u64);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendingEvent {
    /// The card's state changed.
    Card(CardChange),
    /// ST604, ST605: a message came from the terminal; its origin and destinations are known.
    Document {
        /// Which.
        id: DocumentId,
        /// The origin as the terminal gives it, normalised.
        from: String,
        /// The destinations, normalised.
        recipients: Vec<String>,
    },
    /// The terminal hung up before its answer.
    TerminalGone(DocumentId),
    /// ST607: the certificate server answered for every destination, or why not.
    Certificates(DocumentId, Result<(), NotSent>),
    /// ST608, ST609 are done, and with what; or why not.
    Sealed(DocumentId, Result<Protection, NotSent>),
    /// ST612: the mail server has it, or why not.
    Submitted(DocumentId, Result<(), NotSent>),
    /// Time went by.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendingAction {
    /// Write the step down.
    Step(Step),
    /// ST602: the card was accepted earlier; before it signs, the certificate server is asked anew.
    CheckCard,
    /// ST606: ask the certificate server for the certificates of these addresses.
    FindCertificates(DocumentId, Vec<String>),
    /// ST608, ST609: sign with this owner's card, then encrypt.
    Seal(DocumentId, Owner),
    /// ST610: send to the mail server.
    Submit(DocumentId),
    /// ST611, ST615, ST708: answer the terminal. Each document is answered once.
    Answer(DocumentId, Result<(), NotSent>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// S1: waiting for its sender's card.
    Held {
        until: At,
    },
    /// ST602: whether its sender's card is still valid.
    CheckingCard,
    FindingCertificates,
    Sealing,
    Submitting,
}

#[derive(Debug, Clone)]
struct Document {
    id: DocumentId,
    from: String,
    recipients: Vec<String>,
    protection: Protection,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Card {
    Out,
    Pending,
    Valid(Owner),
    Invalid(CardFault),
}

/// The machine of Fig. 7.
#[derive(Debug)]
pub struct Sending {
    hold: Duration,
    machine_addresses: Vec<String>,
    card: Card,
    /// Whose card is in, proven or not; `None` while nothing could be read from it.
    owner: Option<Owner>,
    /// The owner of the card came to receive: what the machine holds in nobody's name is not theirs to send.
    came_to_receive: bool,
    documents: VecDeque<Document>,
    outcome: Option<Result<Protection, NotSent>>,
    signed: bool,
}

impl Sending {
    /// `hold`: how long a document waits for its sender's card. `machine_addresses`: origins that belong to the fax
    /// machine rather than to a person; whoever's card is in sends in their own name then.
    pub fn new(hold: Duration, machine_addresses: Vec<String>) -> Self {
        Self {
            hold,
            machine_addresses,
            card: Card::Out,
            owner: None,
            came_to_receive: false,
            documents: VecDeque::new(),
            outcome: None,
            signed: false,
        }
    }

    /// One event.
    pub fn handle(&mut self, at: At, event: SendingEvent) -> Vec<SendingAction> {
        let mut actions = Vec::new();
        // What the certificate server has just said counts for the document that waited for it, and for no later one.
        let just_checked = matches!(event, SendingEvent::Card(CardChange::Valid(_)));
        match event {
            SendingEvent::Card(change) => self.card_changed(change, &mut actions),
            SendingEvent::Document { id, from, recipients } => {
                self.document_came(at, id, from, recipients, &mut actions);
            }
            SendingEvent::TerminalGone(id) => self.documents.retain(|document| document.id != id),
            SendingEvent::Certificates(id, found) => {
                if self.stage(id) == Some(Stage::FindingCertificates) {
                    actions.push(STEP_607);
                    match (found, &self.card) {
                        (Ok(()), Card::Valid(owner)) => {
                            actions.push(STEP_608);
                            actions.push(SendingAction::Seal(id, owner.clone()));
                            self.set_stage(id, Stage::Sealing);
                        }
                        (Ok(()), _) => self.fail(id, NotSent::CardPulled, &mut actions),
                        (Err(why), _) => self.fail(id, why, &mut actions),
                    }
                }
            }
            SendingEvent::Sealed(id, sealed) => {
                if self.stage(id) == Some(Stage::Sealing) {
                    self.signed = true;
                    match sealed {
                        Ok(protection) => {
                            match protection {
                                // What is made always says for whom.
                                Protection::Signed | Protection::Unbound => {}
                                Protection::Legacy => actions.push(STEP_LEGACY),
                                Protection::SignedOnly => actions.push(STEP_READABLE),
                                Protection::EncryptedOnly => actions.push(STEP_UNSIGNED),
                            }
                            if let Some(document) = self.documents.iter_mut().find(|document| document.id == id) {
                                document.protection = protection;
                            }
                            actions.push(STEP_610);
                            actions.push(SendingAction::Submit(id));
                            self.set_stage(id, Stage::Submitting);
                        }
                        Err(why) => self.fail(id, why, &mut actions),
                    }
                }
            }
            SendingEvent::Submitted(id, submitted) => {
                if self.stage(id) == Some(Stage::Submitting) {
                    actions.push(STEP_612);
                    match submitted {
                        Ok(()) => self.answer(id, Ok(()), &mut actions),
                        Err(why) => self.fail(id, why, &mut actions),
                    }
                }
            }
            SendingEvent::Tick => {
                for id in self.in_stages(|stage| matches!(stage, Stage::Held { until } if until <= at)) {
                    self.fail(id, NotSent::CardDidNotCome, &mut actions);
                }
            }
        }
        self.begin_next(just_checked, &mut actions);
        actions
    }

    fn card_changed(&mut self, change: CardChange, actions: &mut Vec<SendingAction>) {
        match change {
            CardChange::Inserted(owner) => {
                actions.push(STEP_601);
                self.owner = Some(owner);
                self.card = Card::Pending;
            }
            CardChange::Checking => actions.push(STEP_602),
            CardChange::Valid(owner) => {
                actions.push(STEP_603);
                actions.push(STEP_604);
                self.card = Card::Valid(owner);
            }
            CardChange::Invalid(fault) => {
                actions.push(STEP_613);
                self.card = Card::Invalid(fault);
                // What is sealed already was signed by a card that was valid then. What is held waits on for its
                // sender's card, unless this was it.
                let refused = |document: &&Document| match document.stage {
                    Stage::Submitting => false,
                    Stage::Held { .. } => self.speaks_for(fault, &document.from),
                    _ => true,
                };
                let refused: Vec<_> = self.documents.iter().filter(refused).map(|document| document.id).collect();
                for id in refused {
                    self.refuse_for_card(id, fault, actions);
                }
            }
            CardChange::CheckingAgain => {
                if !self.in_stages(|stage| stage == Stage::CheckingCard).is_empty() {
                    actions.push(STEP_602);
                }
            }
            CardChange::StillValid(owner) => {
                self.card = Card::Valid(owner);
                for id in self.in_stages(|stage| stage == Stage::CheckingCard) {
                    actions.push(STEP_603);
                    self.begin(id, actions);
                }
            }
            CardChange::Unchecked => {
                for id in self.in_stages(|stage| stage == Stage::CheckingCard) {
                    self.fail(id, NotSent::CertificateServerUnreachable(CardFault::Unchecked.code()), actions);
                }
            }
            CardChange::Rested => self.card = Card::Pending,
            CardChange::Out => {
                self.card = Card::Out;
                self.owner = None;
                self.outcome = None;
                // What is not sealed yet needs the card that is gone. What is sealed goes on without it.
                let needs_card =
                    |stage| matches!(stage, Stage::CheckingCard | Stage::FindingCertificates | Stage::Sealing);
                for id in self.in_stages(needs_card) {
                    self.fail(id, NotSent::CardPulled, actions);
                }
            }
        }
    }

    fn document_came(
        &mut self,
        at: At,
        id: DocumentId,
        from: String,
        recipients: Vec<String>,
        actions: &mut Vec<SendingAction>,
    ) {
        if self.stage(id).is_some() {
            return;
        }
        actions.push(STEP_605);
        let document = Document {
            id,
            from,
            recipients,
            protection: Protection::default(),
            stage: Stage::Held { until: at + self.hold },
        };
        let acceptable = !document.recipients.is_empty();
        let invalid = match self.card {
            Card::Invalid(fault) if self.speaks_for(fault, &document.from) => Some(fault),
            _ => None,
        };
        let stranger = matches!(&self.card, Card::Valid(owner)
            if owner.address != document.from && !self.is_machine(&document.from));
        self.documents.push_back(document);
        if !acceptable {
            self.fail(id, NotSent::Unacceptable, actions);
        } else if let Some(fault) = invalid {
            self.refuse_for_card(id, fault, actions);
        } else if stranger {
            self.fail(id, NotSent::NotYourAddress, actions);
        } else if !matches!(self.card, Card::Valid(_)) {
            actions.push(STEP_HELD);
        }
    }

    /// A6: only the owner of the card sends from that address. What comes in the machine's name is sent by who comes to
    /// send it, not by who happens to fetch a document of their own meanwhile.
    fn may_send(&self, owner: &Owner, from: &str) -> bool {
        owner.address == from || (!self.came_to_receive && self.is_machine(from))
    }

    /// Whether what is wrong with the card in the slot is the answer to a document from there. A card that cannot be
    /// read, put in the wrong way round perhaps, is nobody's, and says nothing of anybody's documents.
    fn speaks_for(&self, fault: CardFault, from: &str) -> bool {
        fault != CardFault::Unreadable && self.owner.as_ref().is_some_and(|owner| self.may_send(owner, from))
    }

    fn is_machine(&self, from: &str) -> bool {
        self.machine_addresses.iter().any(|machine| machine == from)
    }

    /// A card was inserted, and documents wait for its owner or not.
    pub fn card_came(&mut self, to_receive: bool) {
        self.came_to_receive = to_receive;
    }

    /// A document is on its way.
    pub fn at_work(&self) -> bool {
        self.documents.iter().any(|document| !matches!(document.stage, Stage::Held { .. }))
    }

    /// Whether the card was asked to sign since this was last asked.
    pub fn take_signed(&mut self) -> bool {
        std::mem::take(&mut self.signed)
    }

    /// One document at a time, in order of arrival; held ones of other people are passed over.
    fn begin_next(&mut self, just_checked: bool, actions: &mut Vec<SendingAction>) {
        let Card::Valid(owner) = self.card.clone() else { return };
        if self.at_work() {
            return;
        }
        let next = self.documents.iter().find(|document| self.may_send(&owner, &document.from));
        let Some(id) = next.map(|document| document.id) else { return };
        self.outcome = None;
        if just_checked {
            self.begin(id, actions);
        } else {
            self.set_stage(id, Stage::CheckingCard);
            actions.push(SendingAction::CheckCard);
        }
    }

    /// ST606.
    fn begin(&mut self, id: DocumentId, actions: &mut Vec<SendingAction>) {
        if let Some(document) = self.documents.iter_mut().find(|document| document.id == id) {
            document.stage = Stage::FindingCertificates;
            actions.push(STEP_606);
            actions.push(SendingAction::FindCertificates(id, document.recipients.clone()));
        }
    }

    /// ST614, ST615. Where nothing is known against the card, the terminal may try again.
    fn refuse_for_card(&mut self, id: DocumentId, fault: CardFault, actions: &mut Vec<SendingAction>) {
        actions.push(STEP_614);
        let why = match fault {
            CardFault::Unchecked => NotSent::CertificateServerUnreachable(fault.code()),
            fault if fault.is_of_the_answer() => NotSent::CardNotConfirmed,
            _ => NotSent::CardInvalid,
        };
        self.answer(id, Err(why), actions);
    }

    fn fail(&mut self, id: DocumentId, why: NotSent, actions: &mut Vec<SendingAction>) {
        actions.push(STEP_611);
        self.answer(id, Err(why), actions);
    }

    fn answer(&mut self, id: DocumentId, answer: Result<(), NotSent>, actions: &mut Vec<SendingAction>) {
        let of = self.documents.iter().find(|document| document.id == id);
        let protection = of.map(|document| document.protection).unwrap_or_default();
        self.documents.retain(|document| document.id != id);
        self.outcome = Some(answer.clone().map(|()| protection));
        actions.push(SendingAction::Answer(id, answer));
    }

    fn in_stages(&self, wanted: impl Fn(Stage) -> bool) -> Vec<DocumentId> {
        self.documents.iter().filter(|document| wanted(document.stage)).map(|document| document.id).collect()
    }

    fn stage(&self, id: DocumentId) -> Option<Stage> {
        self.documents.iter().find(|document| document.id == id).map(|document| document.stage)
    }

    fn set_stage(&mut self, id: DocumentId, stage: Stage) {
        if let Some(document) = self.documents.iter_mut().find(|document| document.id == id) {
            document.stage = stage;
        }
    }

    /// A held document may be released by this owner's card.
    pub fn holds_for(&self, owner: &Owner) -> bool {
        self.documents.iter().any(|document| self.may_send(owner, &document.from))
    }

    /// The outcome of the last document, once; the desk shows it for a while.
    pub fn take_outcome(&mut self) -> Option<Result<Protection, NotSent>> {
        self.outcome.take()
    }

    /// When the next hold ends.
    pub fn next_timer(&self) -> Option<At> {
        self.documents
            .iter()
            .filter_map(|document| match document.stage {
                Stage::Held { until } => Some(until),
                _ => None,
            })
            .min()
    }

    /// What Fig. 7 has to show now; `None` leaves the screen to others.
    pub fn screen(&self, at: At) -> Option<Screen> {
        if self.at_work() {
            return Some(Screen::Sending);
        }
        let until = self.next_timer()?;
        let left = until.saturating_sub(at);
        // Whole seconds, rounded up, so that the screen changes once a second and never shows 0:00 too early.
        Some(Screen::Held { left: Duration::from_secs(left.as_millis().div_ceil(1000) as u64) })
    }
}

const fn step(ids: &'static [&'static str], text: &'static str) -> SendingAction {
    SendingAction::Step(Step::new(ids, text))
}

const STEP_601: SendingAction = step(&["ST601"], "a card was inserted");
const STEP_602: SendingAction =
    step(&["ST602"], "the certificate server is asked whether the sender's certificate is valid");
const STEP_603: SendingAction = step(&["ST603", "C5", "C6", "C8"], "the sender's certificate is valid");
const STEP_604: SendingAction = step(&["ST604"], "waiting for the terminal's message");
const STEP_605: SendingAction = step(&["ST605"], "the destinations were taken from the message");
const STEP_606: SendingAction =
    step(&["ST606", "C7"], "the certificate server is asked for the destinations' certificates");
const STEP_607: SendingAction = step(&["ST607"], "the certificate server answered");
const STEP_608: SendingAction = step(&["ST608", "ST609", "S2", "A5"], "signing, then encrypting");
const STEP_LEGACY: SendingAction = step(&["S2"], "for these recipients it goes under the cipher of old peers");
const STEP_READABLE: SendingAction =
    step(&["ST611"], "these recipients have no certificate: it goes signed, readable by everybody on the way");
const STEP_UNSIGNED: SendingAction = step(&["V3"], "for these recipients it goes encrypted, without a signature");
const STEP_610: SendingAction = step(&["ST610"], "sending to the mail server");
const STEP_611: SendingAction = step(&["ST611"], "the terminal is told that the document was not sent");
const STEP_612: SendingAction = step(&["ST612"], "the mail server's answer came");
const STEP_613: SendingAction = step(&["ST613"], "the display says that the card is not valid");
const STEP_614: SendingAction = step(&["ST614", "ST615"], "a message came with an invalid card: the terminal is told");
const STEP_HELD: SendingAction = step(&["S1"], "the document is held until its sender's card is confirmed");
