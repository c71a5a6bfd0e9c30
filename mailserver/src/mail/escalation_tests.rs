#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! When a notice escalates, on a clock that is only a number.

use super::*;

const MINUTE: u64 = 60_000;
const INTERVAL: u64 = 5 * MINUTE;
const WAIT: u64 = MINUTE / 2;
const WHOLE: Sent = Sent { taken: true, whole: true };
const PARTLY: Sent = Sent { taken: true, whole: false };
const NOBODY: Sent = Sent { taken: false, whole: false };

fn new() -> NoticeState {
    NoticeState { expires: 100_000 * MINUTE, ..NoticeState::new("hanako@b.test", 0, 0) }
}

fn moment<'a>(rules: Option<&'a Escalation>, state: &'a NoticeState, oldest: Option<u64>, now: u64) -> Moment<'a> {
    Moment { rules, state, oldest, interval: INTERVAL, now }
}

/// Plays until `end`; `outcome` says what adapters make of what is sent when. Minutes at which it escalated.
fn play(
    rules: Option<&Escalation>,
    mut state: NoticeState,
    end: u64,
    oldest: impl Fn(u64) -> Option<u64>,
    outcome: impl Fn(u64, Step) -> Sent,
) -> (Vec<u64>, Vec<u64>, NoticeState) {
    let (mut escalated, mut usual) = (Vec::new(), Vec::new());
    while state.next <= end {
        let now = state.next;
        let at = moment(rules, &state, oldest(now), now);
        let step = at.step();
        state = match step {
            Step::Wait(until) => {
                assert!(until > now, "it would be asked again at once");
                at.waiting(until)
            }
            Step::Usual | Step::Escalate => {
                if step == Step::Usual {
                    usual.push(now / MINUTE)
                } else {
                    escalated.push(now / MINUTE)
                }
                at.after(step, outcome(now, step), WAIT)
            }
        };
        assert!(state.next > now);
    }
    (escalated, usual, state)
}

#[test]
fn what_stays_unread_escalates_at_its_time_and_again() {
    let rules = Escalation::default();
    let (escalated, usual, _) = play(Some(&rules), new(), 300 * MINUTE, |_| Some(0), |_, _| WHOLE);
    assert_eq!(escalated, [30, 150, 270]);
    assert_eq!(&usual[..7], [0, 5, 10, 15, 20, 25, 35], "the usual notices go on");
    let (escalated, usual, _) = play(None, new(), 300 * MINUTE, |_| Some(0), |_, _| WHOLE);
    assert_eq!((escalated.len(), usual.len()), (0, 61));
}

#[test]
fn the_time_runs_from_when_an_adapter_took_it() {
    let rules = Escalation::default();
    // For the first hour nobody takes it.
    let outcome = |now: u64, _| if now < 60 * MINUTE { NOBODY } else { WHOLE };
    let (escalated, ..) = play(Some(&rules), new(), 120 * MINUTE, |_| Some(0), outcome);
    assert_eq!(escalated, [90]);
}

#[test]
fn a_long_interval_does_not_put_it_off() {
    let rules = Escalation::default();
    let state = new();
    let at = Moment { interval: 1000 * MINUTE, ..moment(Some(&rules), &state, Some(0), 0) };
    let sent = at.after(Step::Usual, WHOLE, WAIT);
    assert_eq!((sent.next, sent.escalates), (30 * MINUTE, Some(30 * MINUTE)));
    // Fetched before that, it is no reason for a usual notice before its time either.
    let at = Moment { interval: 1000 * MINUTE, ..moment(Some(&rules), &sent, None, 30 * MINUTE) };
    assert_eq!(at.step(), Step::Wait(1000 * MINUTE));
    assert_eq!(at.waiting(1000 * MINUTE).escalates, None);
    // Nor does a long wait after a failure.
    let state = NoticeState { attempts: 0, ..sent };
    let failed = moment(Some(&rules), &state, Some(0), 20 * MINUTE).after(Step::Usual, NOBODY, 60 * MINUTE);
    assert_eq!((failed.next, failed.attempts, failed.last_sent), (30 * MINUTE, 1, Some(0)));
}

#[test]
fn whom_an_escalation_did_not_reach_is_tried_with_the_next_notice() {
    let rules = Escalation::default();
    let outcome = |now: u64, step| if step == Step::Escalate && now < 40 * MINUTE { PARTLY } else { WHOLE };
    let (escalated, ..) = play(Some(&rules), new(), 170 * MINUTE, |_| Some(0), outcome);
    assert_eq!(escalated, [30, 35, 40, 160]);
    // If nobody at all took it, after the wait of a failure.
    let outcome = |now: u64, step| if step == Step::Escalate && now < 31 * MINUTE { NOBODY } else { WHOLE };
    let (escalated, ..) = play(Some(&rules), new(), 40 * MINUTE, |_| Some(0), outcome);
    assert_eq!(escalated, [30, 30, 31]);
}

#[test]
fn a_mail_that_was_fetched_ends_it_and_a_later_one_has_its_own_time() {
    let rules = Escalation::default();
    let (escalated, usual, state) =
        play(Some(&rules), new(), 200 * MINUTE, |now| (now < 27 * MINUTE).then_some(0), |_, _| WHOLE);
    assert_eq!((escalated.as_slice(), state.escalates), ([].as_slice(), None));
    assert!(usual.is_sorted_by(|one, next| next - one == 5), "a notice before its time: {usual:?}");
    // At 12 one came that is read with the first, at 29 one that is not.
    let oldest = |now: u64| Some(if now < 27 * MINUTE { 0 } else { 29 * MINUTE });
    let (escalated, usual, _) = play(Some(&rules), new(), 100 * MINUTE, oldest, |_, _| WHOLE);
    assert_eq!(escalated, [59]);
    assert!(usual.iter().zip(&usual[1..]).all(|(one, next)| next - one >= 5), "{usual:?}");
}

#[test]
fn a_restart_finds_the_time_and_what_is_overdue_goes_once() {
    let rules = Escalation::default();
    let (.., state) = play(Some(&rules), new(), 20 * MINUTE, |_| Some(0), |_, _| WHOLE);
    let kept: NoticeState = serde_json::from_slice(&serde_json::to_vec(&state).unwrap()).unwrap();
    assert_eq!(kept, state);
    let late = moment(Some(&rules), &kept, Some(0), 500 * MINUTE);
    assert_eq!(late.step(), Step::Escalate);
    let next = late.after(Step::Escalate, WHOLE, WAIT);
    assert_eq!(next.escalates, Some(620 * MINUTE));
    // A state that an older version kept has no time yet; it gets one with the next notice.
    let old = r#"{"account":"h@b.test","last_sent":0,"attempts":0,"next":300000,"expires":9000000}"#;
    let old: NoticeState = serde_json::from_str(old).unwrap();
    let at = moment(Some(&rules), &old, Some(0), 5 * MINUTE);
    assert_eq!((at.step(), at.after(Step::Usual, WHOLE, WAIT).escalates), (Step::Usual, Some(35 * MINUTE)));
    // Switched off meanwhile, nothing is left of it.
    let at = moment(None, &kept, Some(0), 500 * MINUTE);
    assert_eq!((at.step(), at.after(Step::Usual, WHOLE, WAIT).escalates), (Step::Usual, None));
}

#[test]
fn only_sealed_mails_that_nobody_fetched_count() {
    let mail = |id, sealed| StoredMail { id, uid: "x".into(), size: 1, sealed, received: id * 10 };
    let mails = [mail(1, false), mail(2, true), mail(3, true), mail(4, false)];
    assert_eq!(oldest_unread(&mails, None), Some(20));
    assert_eq!(oldest_unread(&mails, Some(2)), Some(30));
    assert_eq!(oldest_unread(&mails, Some(3)), None);
}
