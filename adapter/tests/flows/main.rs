//! Properties of both figures: whatever happens in whatever order, nothing is printed without card, PIN, valid
//! certificate and good signature, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alarms;
mod witness;
mod world;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use sealfax_adapter::flow::card_session::CardInput;
use sealfax_adapter::flow::desk::{Action, Desk, Event, OUTCOME_READ, OUTCOME_SHOWN, PAD_RESTS};
use sealfax_adapter::flow::receiving::{Fetched, MailId, ReceivingAction, ReceivingEvent, SessionId};
use sealfax_adapter::flow::sending::{DocumentId, SendingAction, SendingEvent};
use sealfax_adapter::flow::{At, Owner, Protection};
use sealfax_drivers::display::{CardFault, NotSent, Screen};
use sealfax_drivers::pin::Pin;
use world::{Tally, any_move, live};

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
        receive(&mut desk, ReceivingEvent::Decrypted(mail, Ok(Protection::Signed))),
        [ReceivingAction::FindSenderCertificate(mail)]
    );
    assert_eq!(receive(&mut desk, ReceivingEvent::SenderCertificate(mail, Ok(()))), [ReceivingAction::Verify(mail)]);
    assert_eq!(
        receive(&mut desk, ReceivingEvent::Verified(mail, Ok(Protection::Signed))),
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
    desk.handle(at, Event::Sending(SendingEvent::Sealed(DocumentId(1), Ok(Protection::Signed))));
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
    sent_with(Protection::Signed, desk, at, id)
}

fn sent_with(protection: Protection, desk: &mut Desk, at: At, id: u64) -> Vec<String> {
    let id = DocumentId(id);
    let mut actions = desk.handle(at, Event::Card(1, CardInput::CertificateValid));
    for event in [
        SendingEvent::Certificates(id, Ok(())),
        SendingEvent::Sealed(id, Ok(protection)),
        SendingEvent::Submitted(id, Ok(())),
    ] {
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

#[test]
fn what_became_of_a_document_is_read_before_the_pin_is_asked_for_what_has_come() {
    let at = At::ZERO;
    let mut desk = new_desk();
    accepted(&mut desk, at, 0);
    asks_again(desk.handle(at, document(1)));
    let notice = Event::Receiving(ReceivingEvent::Notice(owner(0)));
    // It comes while the document is still on its way, and another one behind it.
    desk.handle(at, notice.clone());
    sent(&mut desk, at, 1);
    assert_eq!(desk.screen(at), Screen::Sent);
    assert!(!orders(desk.handle(at, notice)).contains(&show(Action::ReadAgain(1))));
    assert_eq!(desk.screen(at), Screen::Sent);
    assert_eq!(desk.next_timer(at), Some(at + OUTCOME_READ));
    assert_eq!(orders(desk.handle(at + OUTCOME_READ, Event::Tick)), [show(Action::ReadAgain(1))]);
}

#[test]
fn what_goes_without_a_signature_is_said_to() {
    let at = At::ZERO;
    let mut desk = new_desk();
    accepted(&mut desk, at, 0);
    asks_again(desk.handle(at, document(1)));
    sent_with(Protection::EncryptedOnly, &mut desk, at, 1);
    assert_eq!(desk.screen(at), Screen::SentUnsigned);
    desk.handle(at, Event::Card(1, CardInput::Removed));
    assert_eq!(desk.screen(at), Screen::Idle);
}

#[test]
fn what_came_without_a_signature_is_printed_as_such_though_the_rest_was_signed() {
    let at = At::ZERO;
    let mut desk = new_desk();
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    accepted(&mut desk, at, 1);
    let (session, unsigned, signed) = (SessionId(1), MailId(1), MailId(2));
    let mails = vec![(unsigned, Fetched::Sealed), (signed, Fetched::Sealed)];
    asks_again(desk.handle(at, Event::Receiving(ReceivingEvent::Receive(session))));
    desk.handle(at, Event::Card(1, CardInput::CertificateValid));
    let mut last = Vec::new();
    for event in [
        ReceivingEvent::Fetched(session, mails),
        ReceivingEvent::Decrypted(unsigned, Ok(Protection::EncryptedOnly)),
        ReceivingEvent::Decrypted(signed, Ok(Protection::Signed)),
        ReceivingEvent::SenderCertificate(signed, Ok(())),
        ReceivingEvent::Verified(signed, Ok(Protection::Signed)),
    ] {
        last = orders(desk.handle(at, Event::Receiving(event)));
    }
    assert_eq!(last, [show(Action::Receiving(ReceivingAction::Hand(session, vec![unsigned, signed])))]);
    desk.handle(at, Event::Receiving(ReceivingEvent::Taken(session, vec![unsigned, signed])));
    for mail in [unsigned, signed] {
        desk.handle(at, Event::Receiving(ReceivingEvent::Confirmed(mail, true)));
    }
    assert_eq!(desk.screen(at), Screen::DoneUnsigned { documents: 2 });
}

#[test]
fn what_the_machine_cannot_print_is_told_and_keeps_nothing_else_from_being_printed() {
    let at = At::ZERO;
    let mut desk = new_desk();
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    accepted(&mut desk, at, 1);
    let (session, good, bad) = (SessionId(1), MailId(1), MailId(2));
    asks_again(desk.handle(at, Event::Receiving(ReceivingEvent::Receive(session))));
    desk.handle(at, Event::Card(1, CardInput::CertificateValid));
    let unprintable = || Event::Receiving(ReceivingEvent::Unprintable(bad, "FAX-062"));
    // Before it was handed over nobody can say so.
    assert!(desk.handle(at, unprintable()).is_empty());
    for event in [
        ReceivingEvent::Fetched(session, vec![(good, Fetched::Sealed), (bad, Fetched::Sealed)]),
        ReceivingEvent::Decrypted(good, Ok(Protection::Signed)),
        ReceivingEvent::SenderCertificate(good, Ok(())),
        ReceivingEvent::Verified(good, Ok(Protection::Signed)),
        ReceivingEvent::Decrypted(bad, Ok(Protection::Signed)),
        ReceivingEvent::SenderCertificate(bad, Ok(())),
        ReceivingEvent::Verified(bad, Ok(Protection::Signed)),
    ] {
        desk.handle(at, Event::Receiving(event));
    }
    desk.handle(at, unprintable());
    let taken = orders(desk.handle(at, Event::Receiving(ReceivingEvent::Taken(session, vec![good, bad]))));
    assert_eq!(
        taken,
        [show(Action::Receiving(ReceivingAction::Confirm(good)))],
        "what was not printed is not confirmed"
    );
    let settled = orders(desk.handle(at, Event::Receiving(ReceivingEvent::Confirmed(good, true))));
    assert!(settled.contains(&show(Action::Receiving(ReceivingAction::Settle(session, vec![good])))), "{settled:?}");
    assert_eq!(desk.screen(at), Screen::CannotOpen { code: "FAX-062" });
    desk.handle(at, Event::Card(1, CardInput::Removed));
    assert_eq!(desk.screen(at), Screen::Idle, "it was told: the lamp goes out");
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
