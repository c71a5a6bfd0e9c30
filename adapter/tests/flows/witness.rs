//! What has been proven, counted beside the machine by somebody else.

use std::collections::{BTreeMap, BTreeSet};

use sealfax_adapter::flow::card_session::CardInput;
use sealfax_adapter::flow::desk::{Action, Event};
use sealfax_adapter::flow::receiving::{Fetched, MailId, ReceivingAction, ReceivingEvent, SessionId};
use sealfax_adapter::flow::sending::{DocumentId, SendingAction, SendingEvent};
use sealfax_adapter::flow::{Owner, Protection};
use sealfax_drivers::display::CardFault;

/// An independent account of what has been proven, kept beside the machine.
#[derive(Default)]
pub struct Witness {
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
    /// Taken though nobody signed them.
    unsigned: BTreeSet<MailId>,
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

    pub fn before(&mut self, event: &Event) {
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
            Event::Sending(SendingEvent::Sealed(id, Ok(_))) => drop(self.sealed.insert(*id)),
            Event::Sending(SendingEvent::Submitted(id, Ok(()))) => drop(self.submitted.insert(*id)),
            Event::Receiving(ReceivingEvent::Fetched(id, mails)) if self.fetching == Some(*id) => {
                self.fetching = None;
                for (mail, kind) in mails {
                    if *kind != Fetched::Sealed {
                        self.harmless.insert(*mail, *kind);
                    }
                }
            }
            Event::Receiving(ReceivingEvent::Decrypted(id, Ok(with))) if self.asked_decrypt.contains(id) => {
                // What it was found to be first it stays.
                let first = self.decrypted.insert(*id);
                if first && *with == Protection::EncryptedOnly {
                    self.unsigned.insert(*id);
                }
            }
            Event::Receiving(ReceivingEvent::SenderCertificate(id, Ok(()))) if self.asked_sender.contains(id) => {
                self.sender.insert(*id);
            }
            Event::Receiving(ReceivingEvent::Verified(id, Ok(_))) if self.asked_verify.contains(id) => {
                self.verified.insert(*id);
            }
            Event::Receiving(ReceivingEvent::Taken(_, taken)) => self.taken.extend(taken),
            Event::Receiving(ReceivingEvent::Confirmed(id, true)) if self.asked_confirm.contains(id) => {
                self.confirmed.insert(*id);
            }
            _ => {}
        }
    }

    pub fn after(&mut self, action: &Action) {
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
                    &mut self.unsigned,
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
                    let proven = self.sender.contains(id) && self.verified.contains(id);
                    let good = self.decrypted.contains(id) && (proven != self.unsigned.contains(id));
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
