//! Both stations against far ends that do what they like: scripted ones for each rule, random ones for all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use proptest::prelude::*;

use super::called::Called;
use super::caller::{Caller, Order};
use super::dis::{Dcs, Dis};
use super::ecm::partial_page;
use super::frame::*;
use super::training::check_octets;
use super::*;
use crate::modem::format::{Coding, PageFormat, PageWish, Phase, Resolution};
use crate::modem::identity::{Capabilities, Identity};

const SECOND: Duration = Duration::from_secs(1);

fn order(pages: usize) -> Order {
    Order {
        me: Identity::new("1"),
        pages: vec![PageWish { width: 1728, resolution: Resolution::Fine }; pages],
        subaddress: None,
        password: None,
        only_for: None,
    }
}

fn burst(fcf: u8, fif: &[u8]) -> Event {
    Event::Burst { frames: vec![Frame { fcf, fif: fif.to_vec(), last: true }], damaged: false }
}

fn dis(change: impl FnOnce(&mut Capabilities)) -> Event {
    let mut far = Capabilities::default();
    change(&mut far);
    burst(DIS, &Dis::field(&far))
}

/// The last frame that an action sends.
fn sends(action: &Action) -> u8 {
    match action {
        Action::Frames(frames) => plain(frames.last().unwrap().fcf),
        _ => panic!("{action:?} sends no frames"),
    }
}

/// A caller with its page sent and its post-message command out, listening.
fn caller_after_page(pages: usize, change: impl FnOnce(&mut Capabilities)) -> Caller {
    let mut caller = Caller::new(order(pages));
    let now = SECOND;
    caller.step(now, Event::Begin);
    assert_eq!(sends(&caller.step(now, dis(change))), DCS);
    let Action::SendFast { long_training: true, .. } = caller.step(now, Event::Done) else { panic!() };
    caller.step(now, Event::Done);
    let Action::Fetch { page: 0, .. } = caller.step(now, burst(CFR, &[])) else { panic!() };
    let Action::SendFast { long_training: false, .. } = caller.step(now, Event::Page(Ok(vec![1; 1000]))) else {
        panic!()
    };
    caller.step(now, Event::Done);
    assert!(matches!(caller.step(now, Event::Done), Action::Listen { .. }));
    caller
}

/// What a far end of this number says first, if that is not lost on the way.
fn says(number: Option<&str>, damaged: bool) -> Event {
    let csi = number.map(|number| Frame::new(CSI, text_field(number)));
    let dis = Frame { fcf: DIS, fif: Dis::field(&Capabilities::default()), last: true };
    Event::Burst { frames: csi.into_iter().chain([dis]).collect(), damaged }
}

#[test]
fn nobody_but_the_right_machine_is_sent_anything() {
    let called = || {
        let only_for = Some(vec!["11".to_owned(), "+81 3-1234-5678".to_owned()]);
        let mut caller = Caller::new(Order { only_for, ..order(1) });
        caller.step(SECOND, Event::Begin);
        caller
    };
    for right in ["11", "+81312345678", " +81 3 1234 5678"] {
        assert_eq!(sends(&called().step(SECOND, says(Some(right), false))), DCS, "{right}");
    }
    for wrong in [Some("12"), Some("111"), Some("+1 1"), Some(""), None] {
        let mut caller = called();
        let refused = caller.step(SECOND, says(wrong, false));
        let reason = ends(&mut caller, &refused).unwrap_err();
        assert_eq!((reason.code(), caller.confirmed), ("FAX-054", 0), "{wrong:?}");
    }
    // A number that was lost is waited for, as long as the far end goes on saying it.
    let mut caller = called();
    assert!(matches!(caller.step(SECOND, says(None, true)), Action::Listen { .. }));
    assert_eq!(sends(&caller.step(SECOND * 4, says(Some("11"), true))), DCS);
    let mut caller = called();
    caller.step(SECOND, says(None, true));
    let late = caller.step(SECOND + T1, says(None, true));
    assert_eq!(ends(&mut caller, &late).unwrap_err().code(), "FAX-054");
}

/// The end after DCN.
fn ends(caller: &mut Caller, action: &Action) -> Result<(), EndReason> {
    assert_eq!(sends(action), DCN);
    match caller.step(SECOND, Event::Done) {
        Action::End(result) => result,
        other => panic!("{other:?}"),
    }
}

/// A called station that has heard a DCS and a good training check and waits for the page.
fn called_before_page(ecm: bool) -> (Called, Dcs) {
    let mut called = Called::new(Identity::new("2"));
    assert_eq!(sends(&called.step(SECOND, Event::Begin)), DIS);
    called.step(SECOND, Event::Done);
    let theirs = Dis::parse(&Dis::field(&Capabilities::default()));
    let ours = Capabilities { ecm, codings: vec![Coding::Mh], ..Capabilities::default() };
    let wish = PageWish { width: 1728, resolution: Resolution::Fine };
    let dcs = Dcs::agree(&ours, &theirs, wish, Rate::STEPS[0], false);
    let action = called.step(SECOND, burst(DCS | FROM_CALLER, &dcs.field()));
    assert!(matches!(action, Action::ReceiveFast { long_training: true, .. }), "{action:?}");
    let action = called.step(SECOND, Event::Fast(vec![0; check_octets(Rate::STEPS[0])]));
    assert_eq!(sends(&action), CFR);
    let action = called.step(SECOND, Event::Done);
    assert!(matches!(action, Action::ReceiveFast { long_training: false, .. }), "{action:?}");
    (called, dcs)
}

fn called_end(called: &mut Called) -> Result<(), EndReason> {
    match called.step(SECOND, Event::Done) {
        Action::End(result) => result,
        other => panic!("{other:?}"),
    }
}

#[test]
fn far_ends_that_cannot_take_it() {
    for (field, wanted) in [(vec![0x00, 0x00, 0x08], "FAX-031"), (vec![0x00, 0x01, 0x08], "FAX-031")] {
        let mut caller = Caller::new(order(1));
        caller.step(SECOND, Event::Begin);
        let action = caller.step(SECOND, burst(DIS, &field));
        assert_eq!(ends(&mut caller, &action).unwrap_err().code(), wanted);
    }
    for (fcf, wanted) in [(DTC, "FAX-034"), (DCN, "FAX-022")] {
        let mut caller = Caller::new(order(1));
        caller.step(SECOND, Event::Begin);
        let action = caller.step(SECOND, burst(fcf, &[]));
        assert_eq!(ends(&mut caller, &action).unwrap_err().code(), wanted);
    }
}

/// What a sender does with each answer to its page, without error correction.
#[test]
fn answers_to_a_page() {
    // Answer, next frame or None for a page at once, pages confirmed.
    for (answer, next, confirmed) in [
        (MCF, None, 1),
        (PIP, None, 1),
        (RTP, Some(DCS), 1),
        (RTN, Some(DCS), 0),
        (PIN, Some(DCS), 0),
        (CRP, Some(MPS), 0),
        (CFR, Some(MPS), 0),
    ] {
        let mut caller = caller_after_page(2, |far| far.ecm = false);
        let action = caller.step(SECOND, burst(answer, &[]));
        match next {
            None => assert!(matches!(action, Action::Fetch { page: 1, .. })),
            Some(fcf) => assert_eq!(sends(&action), fcf, "{}", name(answer)),
        }
        assert_eq!(caller.confirmed, confirmed);
    }
    // The same for the last page.
    for (answer, good) in [(MCF, true), (PIP, true), (RTP, true), (DCN, false)] {
        let mut caller = caller_after_page(1, |far| far.ecm = false);
        let action = caller.step(SECOND, burst(answer, &[]));
        assert_eq!(ends(&mut caller, &action).is_ok(), good);
    }
}

/// Three tries of a command, then DCN.
#[test]
fn three_tries() {
    for event in [|| Event::Nothing, || Event::Burst { frames: Vec::new(), damaged: true }] {
        let mut caller = caller_after_page(1, |far| far.ecm = false);
        for _ in 1..TRIES {
            assert_eq!(sends(&caller.step(SECOND, event())), EOP);
            caller.step(SECOND, Event::Done);
        }
        let action = caller.step(SECOND, event());
        assert!(matches!(ends(&mut caller, &action), Err(EndReason::Silent(Phase::PostMessage))));
    }
}

/// RNR is answered by RR, for a minute.
#[test]
fn not_ready_until_t5() {
    let mut caller = caller_after_page(1, |_| ());
    let mut seconds = 0;
    loop {
        let now = SECOND * (1 + seconds);
        let action = caller.step(now, burst(RNR, &[]));
        if seconds > 60 {
            assert_eq!(ends(&mut caller, &action).unwrap_err().code(), "FAX-042");
            break;
        }
        assert_eq!(sends(&action), RR);
        caller.step(now, Event::Done);
        seconds += 5;
    }
    let mut caller = caller_after_page(1, |_| ());
    assert_eq!(sends(&caller.step(SECOND, burst(RNR, &[]))), RR);
    caller.step(SECOND, Event::Done);
    let action = caller.step(SECOND, burst(MCF, &[]));
    assert!(ends(&mut caller, &action).is_ok());
}

/// The fourth PPR in a row lowers the rate; with none left the page is given up.
#[test]
fn partial_page_requests_lower_the_rate() {
    let mut caller = caller_after_page(1, |far| far.rates = vec![Rate::STEPS[6], Rate::LOWEST]);
    let mut map = [0u8; 32];
    map[0] = 0b0000_0101;
    for request in 1..=8 {
        let action = caller.step(SECOND, burst(PPR, &map));
        if request == 4 {
            let Action::Frames(frames) = &action else { panic!("{action:?}") };
            assert_eq!((plain(frames[0].fcf), dis::rate_of(&frames[0].fif)), (CTC, Some(Rate::LOWEST)));
            caller.step(SECOND, Event::Done);
            let action = caller.step(SECOND, burst(CTR, &[]));
            assert!(matches!(action, Action::SendFast { rate: Rate::LOWEST, long_training: true, .. }));
        } else if request == 8 {
            assert_eq!(ends(&mut caller, &action).unwrap_err().code(), "FAX-041");
            return;
        } else {
            assert!(matches!(action, Action::SendFast { long_training: false, .. }), "{request}: {action:?}");
        }
        assert_eq!(sends(&caller.step(SECOND, Event::Done)), PPS);
        caller.step(SECOND, Event::Done);
    }
}

#[test]
fn polling_is_refused() {
    let mut called = Called::new(Identity::new("2"));
    called.step(SECOND, Event::Begin);
    called.step(SECOND, Event::Done);
    assert_eq!(sends(&called.step(SECOND, burst(DTC, &[]))), DCN);
    assert_eq!(called_end(&mut called).unwrap_err().code(), "FAX-034");
}

#[test]
fn what_was_not_offered_ends_the_call() {
    let mut called = Called::new(Identity { number: String::new(), capabilities: Capabilities::basic() });
    called.step(SECOND, Event::Begin);
    called.step(SECOND, Event::Done);
    // V.17.
    assert_eq!(sends(&called.step(SECOND, burst(DCS | FROM_CALLER, &[0, 0x22, 0]))), DCN);
    assert_eq!(called_end(&mut called).unwrap_err().code(), "FAX-032");
}

/// Nobody calling: DIS again and again until T1.
#[test]
fn identification_ends_with_t1() {
    let mut called = Called::new(Identity::new("2"));
    let mut now = Duration::ZERO;
    let mut action = called.step(now, Event::Begin);
    let mut identified = 0;
    let reason = loop {
        action = match action {
            Action::Frames(_) => {
                identified += 1;
                now += SECOND * 2;
                called.step(now, Event::Done)
            }
            Action::Listen { within } => {
                now += within;
                called.step(now, Event::Nothing)
            }
            Action::End(result) => break result.unwrap_err(),
            other => panic!("{other:?}"),
        };
    };
    assert_eq!(reason.code(), "FAX-015");
    assert!(identified > 5 && now < T1 + SECOND * 10, "{identified} {now:?}");
}

/// PRI-EOP is EOP where nobody stands; an EOP that comes again because our MCF was lost gets it again, and no page twice.
#[test]
fn confirmations_are_repeated() {
    let (mut called, _) = called_before_page(false);
    called.step(SECOND, Event::Fast(vec![1; 1000]));
    let action = called.step(SECOND, burst(PRI_EOP | FROM_CALLER, &[]));
    assert!(matches!(action, Action::Deliver { .. }));
    assert!(matches!(called.step(SECOND, Event::Judged(CopyQuality::Good)), Action::Ask { .. }));
    assert_eq!(sends(&called.step(SECOND, Event::Decision(Some(true)))), MCF);
    called.step(SECOND, Event::Done);
    assert_eq!(sends(&called.step(SECOND * 4, burst(EOP | FROM_CALLER, &[]))), MCF);
    called.step(SECOND * 4, Event::Done);
    assert_eq!(sends(&called.step(SECOND * 4, burst(CRP | FROM_CALLER, &[]))), MCF);
    called.step(SECOND * 4, Event::Done);
    assert_eq!((called.pages.len(), called.confirmed), (1, 1));
    assert!(matches!(called.step(SECOND * 9, Event::Nothing), Action::End(Ok(()))), "a DCN that was lost does no harm");
}

/// A page whose message was not heard at all is asked for again.
#[test]
fn a_page_that_was_not_heard() {
    let (mut called, _) = called_before_page(false);
    assert!(matches!(called.step(SECOND, Event::OtherCarrier), Action::Listen { .. }));
    assert_eq!(sends(&called.step(SECOND, burst(EOP | FROM_CALLER, &[]))), RTN);
    assert!(called.pages.is_empty());
}

/// EOR: the sender gives a page up. It hears ERR, and no confirmation of the document.
#[test]
fn a_page_with_a_hole_is_not_taken() {
    let (mut called, dcs) = called_before_page(true);
    let line = partial_page([(0u8, [7u8; 256].as_slice())].into_iter(), dcs.format.rate);
    called.step(SECOND, Event::Fast(line));
    let action = called.step(SECOND, burst(PPS | FROM_CALLER, &[EOP | FROM_CALLER, 0, 0, 2]));
    let Action::Frames(frames) = &action else { panic!("{action:?}") };
    assert_eq!((frames[0].fcf, frames[0].fif[0] & 0b111), (PPR, 0b110));
    called.step(SECOND, Event::Done);
    called.step(SECOND, Event::OtherCarrier);
    assert_eq!(sends(&called.step(SECOND, burst(EOR | FROM_CALLER, &[EOP | FROM_CALLER]))), ERR);
    called.step(SECOND, Event::Done);
    match called.step(SECOND, burst(DCN | FROM_CALLER, &[])) {
        Action::End(Err(reason)) => assert_eq!(reason.code(), "FAX-041"),
        other => panic!("{other:?}"),
    }
}

/// CTC: the rest comes at another rate, with the long training sequence.
#[test]
fn the_rest_comes_slower() {
    let (mut called, mut dcs) = called_before_page(true);
    called.step(SECOND, Event::Nothing);
    dcs.format.rate = Rate::LOWEST;
    assert_eq!(sends(&called.step(SECOND, burst(CTC | FROM_CALLER, &dcs.rate_field()))), CTR);
    let action = called.step(SECOND, Event::Done);
    assert!(matches!(action, Action::ReceiveFast { rate: Rate::LOWEST, long_training: true, .. }), "{action:?}");
}

/// A partial page that was confirmed and comes again is not taken twice.
#[test]
fn a_partial_page_is_taken_once() {
    let (mut called, dcs) = called_before_page(true);
    let line = partial_page([(0u8, [7u8; 256].as_slice())].into_iter(), dcs.format.rate);
    let pps = || burst(PPS | FROM_CALLER, &[MPS | FROM_CALLER, 0, 0, 0]);
    called.step(SECOND, Event::Fast(line));
    let Action::Deliver { octets, .. } = called.step(SECOND, pps()) else { panic!() };
    assert_eq!(octets, [7; 256]);
    assert_eq!(sends(&called.step(SECOND, Event::Judged(CopyQuality::Good))), MCF);
    called.step(SECOND, Event::Done);
    called.step(SECOND, Event::OtherCarrier);
    assert_eq!(sends(&called.step(SECOND, pps())), MCF);
    assert_eq!(called.pages.len(), 1);
}

/// Any frame there is, and some there are not.
fn any_frame() -> impl Strategy<Value = Frame> {
    let known = prop::sample::select(vec![
        DIS, CSI, NSF, DTC, PWD, SEP, CIG, DCS, TSI, SUB, SID, CTC, CFR, FTT, CTR, EOM, MPS, EOP, PRI_EOM, PRI_MPS,
        PRI_EOP, PPS, EOR, RR, MCF, RTP, RTN, PIP, PIN, PPR, RNR, ERR, DCN, CRP, FCD, RCP,
    ]);
    let fcf = prop_oneof![8 => known, 1 => any::<u8>()];
    let field = prop_oneof![
        Just(Dis::field(&Capabilities::default())),
        Just(vec![EOP | FROM_CALLER, 0, 0, 0]),
        Just(vec![NULL, 0, 0, 255]),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    (fcf, any::<bool>(), field, prop::bool::weighted(0.9)).prop_map(|(fcf, caller, fif, last)| Frame {
        fcf: fcf | u8::from(caller),
        fif,
        last,
    })
}

#[derive(Debug, Clone)]
enum Happens {
    Burst(Vec<Frame>, bool),
    Nothing,
    Fast(Vec<u8>),
    TrainingCheck,
    Page(u8),
    OtherCarrier,
}

fn any_happening() -> impl Strategy<Value = (Happens, u8)> {
    let happens = prop_oneof![
        6 => (prop::collection::vec(any_frame(), 1..3), any::<bool>()).prop_map(|(frames, bad)| Happens::Burst(frames, bad)),
        1 => Just(Happens::Nothing),
        1 => prop::collection::vec(any::<u8>(), 0..600).prop_map(Happens::Fast),
        3 => Just(Happens::TrainingCheck),
        2 => any::<u8>().prop_map(Happens::Page),
        1 => Just(Happens::OtherCarrier),
    ];
    (happens, 0u8..8)
}

/// What answers an action, if the line is like that.
fn follow(action: &Action, happens: &Happens, turn: u8) -> Event {
    match (action, happens) {
        (Action::Frames(_) | Action::SendFast { .. }, _) => Event::Done,
        (Action::Fetch { .. }, _) if turn == 0 => Event::Page(Err("gone".into())),
        (Action::Fetch { .. }, _) => Event::Page(Ok(vec![5; usize::from(turn) * 20_000])),
        (Action::Deliver { .. }, _) => Event::Judged(match turn {
            0 => CopyQuality::Unusable,
            1 => CopyQuality::Poor,
            _ => CopyQuality::Good,
        }),
        (Action::Ask { .. }, _) => Event::Decision(match turn {
            0 => Some(false),
            1..4 => Some(true),
            _ => None,
        }),
        (Action::Listen { .. }, Happens::Burst(frames, damaged)) => {
            Event::Burst { frames: frames.clone(), damaged: *damaged }
        }
        (Action::ReceiveFast { .. }, Happens::Fast(octets)) => Event::Fast(octets.clone()),
        (Action::ReceiveFast { rate, .. }, Happens::TrainingCheck) => Event::Fast(vec![0; check_octets(*rate)]),
        (Action::ReceiveFast { rate, .. }, Happens::Page(frames)) => {
            let data = [9u8; 256];
            Event::Fast(partial_page((0..*frames).map(|number| (number, data.as_slice())), *rate))
        }
        (Action::ReceiveFast { .. }, Happens::Burst(..) | Happens::OtherCarrier) => Event::OtherCarrier,
        _ => Event::Nothing,
    }
}

/// How long an action takes at most.
fn takes(action: &Action) -> Duration {
    match action {
        Action::Listen { within } | Action::ReceiveFast { within, .. } | Action::Ask { within } => *within,
        _ => SECOND,
    }
}

/// A receiver that has been told what comes and waits for the training check.
fn called_told(subaddress: bool, heard: Option<&str>) -> (Called, Action) {
    let mut called = Called::new(Identity::new("2"));
    called.step(SECOND, Event::Begin);
    called.step(SECOND, Event::Done);
    let dcs = Dcs { format: PageFormat::BASIC, frame_octets: 256, subaddress };
    let mut frames: Vec<Frame> = heard.map(|number| Frame::new(SUB, text_field(number))).into_iter().collect();
    frames.push(Frame { fcf: DCS, fif: dcs.field(), last: true });
    let action = called.step(SECOND, Event::Burst { frames, damaged: true });
    (called, action)
}

#[test]
fn a_subaddress_that_was_not_heard_is_asked_for() {
    let (_, action) = called_told(true, None);
    assert_eq!(sends(&action), CRP);
    for (subaddress, heard) in [(true, Some("101")), (false, None)] {
        let (_, action) = called_told(subaddress, heard);
        assert!(matches!(action, Action::ReceiveFast { .. }), "{action:?}");
    }
}

#[test]
fn nobody_trains_in_vain_for_ever() {
    let (mut called, mut action) = called_told(false, None);
    let dcs = Dcs { format: PageFormat::BASIC, frame_octets: 256, subaddress: false };
    for turn in 0.. {
        assert!(turn < 200, "no end");
        let event = match action {
            Action::ReceiveFast { .. } => Event::Fast(vec![0xff; 100]),
            Action::Listen { .. } => burst(DCS, &dcs.field()),
            Action::End(result) => return assert!(matches!(result, Err(EndReason::TrainingFailed(_))), "{result:?}"),
            _ => Event::Done,
        };
        action = called.step(SECOND, event);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the far end says, the sender ends, asks only for pages there are, and never counts one as confirmed twice.
    #[test]
    fn a_caller_ends(script in prop::collection::vec(any_happening(), 1..120), pages in 1usize..4) {
        let mut caller = Caller::new(order(pages));
        let mut now = Duration::ZERO;
        let mut action = caller.step(now, Event::Begin);
        let mut turns = script.iter();
        let mut after = 0;
        let result = loop {
            let event = match turns.next() {
                Some((happens, turn)) => follow(&action, happens, *turn),
                None => {
                    after += 1;
                    prop_assert!(after < 400, "no end after silence");
                    follow(&action, &Happens::Nothing, 7)
                }
            };
            if let Action::Fetch { page, .. } = action {
                prop_assert!(page < pages && page == caller.confirmed);
            }
            now += takes(&action);
            action = caller.step(now, event);
            if let Action::End(result) = action {
                break result;
            }
        };
        prop_assert!(caller.confirmed <= pages);
        prop_assert_eq!(result.is_ok(), caller.confirmed == pages);
    }

    /// Whatever the far end says, the receiver ends; it confirms only what the tray has taken, and the last page only when
    /// the document was accepted.
    #[test]
    fn a_called_station_ends(script in prop::collection::vec(any_happening(), 1..120)) {
        let mut called = Called::new(Identity::new("2"));
        let mut now = Duration::ZERO;
        let mut action = called.step(now, Event::Begin);
        let mut turns = script.iter();
        let (mut after, mut taken, mut accepted) = (0, 0, 0);
        let result = loop {
            let event = match turns.next() {
                Some((happens, turn)) => follow(&action, happens, *turn),
                None => {
                    after += 1;
                    prop_assert!(after < 400, "no end after silence");
                    follow(&action, &Happens::Nothing, 7)
                }
            };
            match &event {
                Event::Judged(CopyQuality::Good | CopyQuality::Poor) => taken += 1,
                Event::Decision(Some(true)) => accepted += 1,
                _ => {}
            }
            now += takes(&action);
            action = called.step(now, event);
            if let Action::End(result) = action {
                break result;
            }
            let goes_on = matches!(action, Action::Deliver { .. } | Action::Ask { .. });
            prop_assert!(accepted == 0 || !goes_on, "nothing more is taken");
        };
        prop_assert!(called.confirmed <= taken);
        prop_assert_eq!(called.pages.len(), taken);
        prop_assert_eq!(result.is_ok(), accepted > 0, "{:?}", result);
    }
}
