//! Which document an action of the desk is about, so that its lines in the journal can be found together.
//!
//! On the way out a document gets its identifier with its DATA. On the way in it is that of the notice for its addressee, with
//! a number for each document of one RECEIVE.

use sealfax_client::seam::TransmissionId;

use crate::flow::desk::{Action, Event};
use crate::flow::receiving::{MailId, ReceivingAction, ReceivingEvent, SessionId};
use crate::flow::sending::{DocumentId, SendingAction, SendingEvent};
use crate::incoming::Incoming;
use crate::outgoing::Outgoing;

/// What something at the desk is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A document on its way out.
    Document(DocumentId),
    /// What waits for this address.
    Addressee(String),
    /// One RECEIVE.
    Session(SessionId),
    /// A document on its way in.
    Mail(MailId),
}

impl Subject {
    /// Its lines' identifier, while it is at hand.
    pub(crate) fn transmission(&self, outgoing: &Outgoing, incoming: &Incoming) -> Option<TransmissionId> {
        match self {
            Self::Document(id) => outgoing.transmission(*id),
            Self::Addressee(address) => Some(incoming.transmission_for(address)),
            Self::Session(id) => incoming.transmission_of_session(*id),
            Self::Mail(id) => incoming.transmission_of(*id),
        }
    }
}

/// What an event is about.
pub(crate) fn of_event(event: &Event) -> Option<Subject> {
    match event {
        Event::Sending(event) => match event {
            SendingEvent::Document { id, .. }
            | SendingEvent::TerminalGone(id)
            | SendingEvent::Certificates(id, _)
            | SendingEvent::Sealed(id, _)
            | SendingEvent::Submitted(id, _) => Some(Subject::Document(*id)),
            SendingEvent::Card(_) | SendingEvent::Tick => None,
        },
        Event::Receiving(event) => match event {
            ReceivingEvent::Notice(owner) => Some(Subject::Addressee(owner.address.clone())),
            ReceivingEvent::Receive(id)
            | ReceivingEvent::Fetched(id, _)
            | ReceivingEvent::FetchFailed(id)
            | ReceivingEvent::Taken(id, _)
            | ReceivingEvent::TerminalLeft(id) => Some(Subject::Session(*id)),
            ReceivingEvent::Decrypted(id, _)
            | ReceivingEvent::SenderCertificate(id, _)
            | ReceivingEvent::Verified(id, _)
            | ReceivingEvent::Unprintable(id, _)
            | ReceivingEvent::Confirmed(id, _) => Some(Subject::Mail(*id)),
            ReceivingEvent::Card(_) => None,
        },
        _ => None,
    }
}

/// What each of these actions is about, which came of one event. A step is written before that which it announces: it is
/// about the same; the last ones are about what the event was about.
pub(crate) fn of_actions(event: Option<Subject>, actions: &[Action]) -> Vec<Option<Subject>> {
    let mut next = event;
    let mut subjects: Vec<Option<Subject>> = actions
        .iter()
        .rev()
        .map(|action| {
            match of_action(action) {
                Named::This(subject) => next = Some(subject),
                Named::TheNext => {}
                Named::None => return None,
            }
            next.clone()
        })
        .collect();
    subjects.reverse();
    subjects
}

enum Named {
    This(Subject),
    TheNext,
    None,
}

fn of_action(action: &Action) -> Named {
    match action {
        Action::Sending(action) => match action {
            SendingAction::FindCertificates(id, _)
            | SendingAction::Seal(id, _)
            | SendingAction::Submit(id)
            | SendingAction::Answer(id, _) => Named::This(Subject::Document(*id)),
            SendingAction::Step(_) => Named::TheNext,
            SendingAction::CheckCard => Named::None,
        },
        Action::Receiving(action) => match action {
            // Whose it is was not known when the terminal logged in.
            ReceivingAction::Fetch(_, owner) => Named::This(Subject::Addressee(owner.address.clone())),
            ReceivingAction::Ordinary(id)
            | ReceivingAction::Hand(id, _)
            | ReceivingAction::Refuse(id)
            | ReceivingAction::Cut(id)
            | ReceivingAction::Settle(id, _) => Named::This(Subject::Session(*id)),
            ReceivingAction::Decrypt(id)
            | ReceivingAction::FindSenderCertificate(id)
            | ReceivingAction::Verify(id)
            | ReceivingAction::Confirm(id) => Named::This(Subject::Mail(*id)),
            ReceivingAction::Step(_) => Named::TheNext,
            ReceivingAction::CheckCard => Named::None,
        },
        // The card is its owner's, not a document's.
        _ => Named::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Step;

    #[test]
    fn a_step_is_about_what_it_announces() {
        let step = || Action::Sending(SendingAction::Step(Step::new(&["ST607"], "x")));
        let (one, two) = (DocumentId(1), DocumentId(2));
        let actions = [
            step(),
            Action::Sending(SendingAction::Answer(one, Ok(()))),
            Action::ForgetPin,
            step(),
            Action::Sending(SendingAction::FindCertificates(two, Vec::new())),
        ];
        let about = |id| Some(Subject::Document(id));
        let subjects = of_actions(about(one), &actions);
        assert_eq!(subjects, [about(one), about(one), None, about(two), about(two)]);
        assert_eq!(of_actions(about(two), &[step()]), [about(two)]);
        assert_eq!(of_actions(None, &[step()]), [None]);
    }
}
