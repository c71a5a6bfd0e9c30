//! What a sender has to see, until they have seen it; and what becomes louder, until somebody comes.

use super::*;
use sealfax_adapter::flow::alarms::Answered;
use sealfax_adapter::flow::confirming::Alarm;
use sealfax_drivers::buzzer::BuzzerSignal;
use sealfax_drivers::lamp::LampPattern;

fn alarm(to: &str, refused: bool) -> Alarm {
    Alarm { sender: PEOPLE[0].into(), recipient: to.into(), refused, message_id: format!("<{to}>") }
}

fn returned(to: &[&str]) -> Screen {
    Screen::NotSent(NotSent::Returned(to.iter().map(|to| (*to).to_owned()).collect()))
}

fn seen(actions: Vec<Action>) -> Vec<(Vec<Alarm>, bool)> {
    let acknowledged = |action| match action {
        Action::Acknowledge(Answered { failures, overdue }) => Some((failures, overdue)),
        _ => None,
    };
    actions.into_iter().filter_map(acknowledged).collect()
}

#[test]
fn what_failed_stays_until_the_button_is_pressed_before_it() {
    let at = At::ZERO;
    let mut desk = new_desk();
    desk.handle(at, Event::Failed(alarm("x@b.example", false)));
    desk.handle(at, Event::Failed(alarm("x@b.example", false)));
    desk.handle(at, Event::Failed(alarm("y@b.example", true)));
    assert_eq!(desk.screen(at), returned(&["x@b.example"]));
    assert_eq!(desk.screen(at).lamp(), LampPattern::Steady);
    // It is on paper; nobody need have looked at that.
    desk.handle(at, Event::ReportsTaken);
    assert_eq!(desk.screen(at), returned(&["x@b.example"]));
    // A press that silences another alert has not seen what lies beneath.
    desk.handle(at, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    assert_eq!(seen(desk.handle(at, Event::Button)), []);
    accepted(&mut desk, at, 1);
    fetch_nothing(&mut desk, at);
    desk.handle(at, Event::Card(1, CardInput::Removed));
    assert_eq!(seen(desk.handle(at, Event::Button)), [(vec![alarm("x@b.example", false)], false)]);
    assert_eq!(desk.screen(at), Screen::NotSent(NotSent::Declined(vec!["y@b.example".into()])));
    assert_eq!(seen(desk.handle(at, Event::Button)), [(vec![alarm("y@b.example", true)], false)]);
    assert_eq!(desk.screen(at), Screen::Idle);
    assert_eq!(seen(desk.handle(at, Event::Button)), []);
}

/// Hanako's RECEIVE, with nothing in her mailbox any more.
fn fetch_nothing(desk: &mut Desk, at: At) {
    let session = SessionId(1);
    desk.handle(at, Event::Receiving(ReceivingEvent::Receive(session)));
    desk.handle(at, Event::Card(1, CardInput::CertificateValid));
    desk.handle(at, Event::Receiving(ReceivingEvent::Fetched(session, Vec::new())));
    desk.handle(at, Event::Receiving(ReceivingEvent::Taken(session, Vec::new())));
}

#[test]
fn its_own_sender_has_seen_it_and_nobody_else_by_a_card() {
    let at = At::ZERO;
    let mut desk = new_desk();
    desk.handle(at, Event::Failed(alarm("x@b.example", false)));
    accepted(&mut desk, at, 1);
    assert_eq!(desk.screen(at), returned(&["x@b.example"]));
    assert_eq!(seen(desk.handle(at, Event::Card(1, CardInput::Removed))), []);
    accepted(&mut desk, at, 0);
    assert_eq!(desk.screen(at), returned(&["x@b.example"]));
    let left = desk.handle(at, Event::Card(1, CardInput::Removed));
    assert_eq!(seen(left), [(vec![alarm("x@b.example", false)], false)]);
    assert_eq!(desk.screen(at), Screen::Idle);
}

#[test]
fn what_came_after_all_is_no_alarm() {
    let at = At::ZERO;
    let mut desk = new_desk();
    desk.handle(at, Event::Failed(alarm("x@b.example", false)));
    desk.handle(at, Event::FailedNot { message_id: "<x@b.example>".into(), recipient: "x@b.example".into() });
    assert_eq!(desk.screen(at), Screen::Idle);
}

#[test]
fn overdue_counts_on_and_ends_by_a_confirmation_or_by_the_button() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let overdue = |n, since| Event::Overdue { count: n, since };
    let mut desk = new_desk();
    desk.handle(minutes(1), overdue(2, Duration::from_secs(90)));
    assert_eq!(desk.screen(minutes(1)), Screen::Overdue { count: 2, since: minutes(1) });
    assert_eq!(desk.screen(minutes(5)), Screen::Overdue { count: 2, since: minutes(5) });
    desk.handle(minutes(5), overdue(0, Duration::ZERO));
    assert_eq!(desk.screen(minutes(5)), Screen::Idle);
    desk.handle(minutes(6), overdue(1, Duration::ZERO));
    assert_eq!(seen(desk.handle(minutes(6), Event::Button)), [(Vec::new(), true)]);
    assert_eq!(desk.screen(minutes(6)), Screen::Idle);
}

#[test]
fn who_does_not_come_is_called_louder_until_they_come() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let waiting = |n| Screen::StillWaiting { names: vec!["hanako".into()], since: minutes(n) };
    let arrived = Screen::Arrived { names: vec!["hanako".into()] };
    let mut desk = new_desk().louder_after(minutes(10));
    desk.handle(minutes(1), Event::Receiving(ReceivingEvent::Notice(owner(1))));
    assert_eq!(desk.screen(minutes(10)), arrived);
    assert_eq!(desk.next_timer(minutes(1)), Some(minutes(11)));
    // More of the same does not make it wait anew.
    desk.handle(minutes(9), Event::Receiving(ReceivingEvent::Notice(owner(1))));
    assert_eq!(desk.screen(minutes(11)), waiting(10));
    let (calm, loud) = (arrived.buzzer(), waiting(10).buzzer());
    let every = |signal: BuzzerSignal| signal.repeat().expect("an alert is repeated");
    assert!(every(loud) < every(calm));
    assert_ne!(waiting(10).lamp(), arrived.lamp());
    // Another person's card shows theirs, and does not end it.
    desk.handle(minutes(12), Event::Card(1, CardInput::Inserted));
    desk.handle(minutes(12), Event::Card(1, CardInput::Read { owner: owner(2), tries_left: 3, pad: false }));
    assert_eq!(desk.screen(minutes(12)), Screen::WrongCard { names: vec!["hanako".into()] });
    desk.handle(minutes(12), Event::Card(1, CardInput::Removed));
    assert_eq!(desk.screen(minutes(12)), waiting(11));
    // She was here and left without it: she knows, and is called as at first for a while.
    accepted(&mut desk, minutes(13), 1);
    assert_eq!(desk.screen(minutes(13)), Screen::PressReceive { name: "hanako".into(), documents: 2 });
    desk.handle(minutes(14), Event::Card(1, CardInput::Removed));
    assert_eq!(desk.screen(minutes(14)), arrived);
    assert_eq!(desk.screen(minutes(24)), waiting(23));
    let mut desk = new_desk();
    desk.handle(At::ZERO, Event::Receiving(ReceivingEvent::Notice(owner(1))));
    assert_eq!((desk.screen(minutes(999)), desk.next_timer(At::ZERO)), (arrived, None));
}
