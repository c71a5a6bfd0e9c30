//! The telephone line: what a modem says in answer to commands, the octets of its data, and the frames of a far end to which
//! both stations of T.30 have to answer.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sealfax_drivers::modem::at::{self, Lines};
use sealfax_drivers::modem::hdlc::{Deframer, Frame};
use sealfax_drivers::modem::identity::{plain_number, same_number};
use sealfax_drivers::modem::t30::called::Called;
use sealfax_drivers::modem::t30::caller::{Caller, Order};
use sealfax_drivers::modem::t30::training::check_octets;
use sealfax_drivers::modem::t30::{Action, Event};
use sealfax_drivers::modem::t31::Unstuffer;
use sealfax_drivers::modem::{CopyQuality, Identity, PageWish, Resolution};

/// After so many steps a station that hears nothing more has to have given up.
const PATIENCE: usize = 2_000;

fuzz_target!(|octets: &[u8]| {
    answers(octets);
    let Some((which, said)) = octets.split_first() else { return };
    if which & 1 == 0 {
        let pages = vec![PageWish { width: 1728, resolution: Resolution::Fine }; 2];
        let only_for = (which & 2 != 0).then(|| vec!["11".to_owned()]);
        let mut caller =
            Caller::new(Order { me: Identity::new("1"), pages, subaddress: None, password: None, only_for });
        let sent = call(said, |now, event| caller.step(now, event));
        assert!(!sent || caller.confirmed == 2, "what is sent was confirmed");
    } else {
        let mut called = Called::new(Identity::new("2"));
        call(said, |now, event| called.step(now, event));
        assert!(called.confirmed <= called.pages.len(), "no more is confirmed than came");
    }
});

/// What a modem says between calls.
fn answers(octets: &[u8]) {
    let (mut lines, mut unstuffer, mut deframer) = (Lines::default(), Unstuffer::default(), Deframer::default());
    for octet in octets {
        let _ = (lines.take(*octet), unstuffer.take(*octet));
    }
    deframer.take(octets, |frame| drop(Frame::parse(frame)));
    let text = String::from_utf8_lossy(octets);
    let _ = (at::has_class_1(&text), at::codes(&text));
    if let Some(dialled) = at::dial_string(&text) {
        assert!(!dialled.contains(['\r', '\n', ';']), "one command at a time");
    }
    if let Some(number) = plain_number(&text) {
        assert!(same_number(&number, &text));
    }
}

/// One call against a far end that says this: each piece is its length and its octets. Whether the station counts it as good.
fn call(mut said: &[u8], mut step: impl FnMut(Duration, Event) -> Action) -> bool {
    let mut now = Duration::ZERO;
    let mut action = step(now, Event::Begin);
    for _ in 0..PATIENCE {
        let piece = match said.split_first() {
            Some((length, rest)) if matches!(action, Action::Listen { .. } | Action::ReceiveFast { .. }) => {
                let (piece, rest) = rest.split_at(rest.len().min(usize::from(*length)));
                said = rest;
                Some(piece)
            }
            _ => None,
        };
        let event = match (&action, piece) {
            (Action::End(result), _) => return result.is_ok(),
            (Action::Frames(_) | Action::SendFast { .. }, _) => Event::Done,
            (Action::Fetch { .. }, _) => Event::Page(Ok(vec![5; 3000])),
            (Action::Deliver { octets, .. }, _) => Event::Judged(match octets.len() % 3 {
                0 => CopyQuality::Unusable,
                1 => CopyQuality::Poor,
                _ => CopyQuality::Good,
            }),
            (Action::Ask { .. }, _) => Event::Decision(Some(true)),
            (Action::Listen { .. }, Some([fcf, fif @ ..])) => {
                Event::Burst { frames: vec![Frame { fcf: *fcf, fif: fif.to_vec(), last: true }], damaged: false }
            }
            // No octets stand for a training check that went well: nobody guesses a thousand zeros.
            (Action::ReceiveFast { rate, .. }, Some([])) => Event::Fast(vec![0; check_octets(*rate)]),
            (Action::ReceiveFast { .. }, Some([0])) => Event::OtherCarrier,
            (Action::ReceiveFast { .. }, Some(octets)) => Event::Fast(octets.to_vec()),
            (Action::Listen { .. } | Action::ReceiveFast { .. }, _) => Event::Nothing,
        };
        if let Action::Listen { within } | Action::ReceiveFast { within, .. } | Action::Ask { within } = &action {
            now += *within;
        }
        action = step(now, event);
    }
    panic!("a station that hears nothing goes on for ever");
}
