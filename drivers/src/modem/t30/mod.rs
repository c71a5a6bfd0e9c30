//! The procedures of a fax call (ITU-T T.30, clause 5 and Annex A), pure: what happened goes in, what the modem is to do
//! next comes out. No clock, no modem, no page: the time is told, pages are asked for and handed over.
//!
//! A call is half duplex, so there is always exactly one thing to do: each [`Action`] is answered by one [`Event`].
//! [`caller::Caller`] is the transmitter, [`called::Called`] the receiver of a document.

pub mod called;
mod called_ecm;
pub mod caller;
mod caller_ecm;
pub mod dis;
pub mod ecm;
pub mod frame;
pub mod training;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::error::EndReason;
use super::format::{CopyQuality, PageFormat, Phase, Rate};
use super::hdlc::Frame;

/// How long the two stations have to identify each other.
pub const T1: Duration = Duration::from_secs(35);
/// How long the called station waits for a command.
pub const T2: Duration = Duration::from_secs(6);
/// How long a command waits for its answer, automatic operation.
pub const T4: Duration = Duration::from_secs(3);
/// How long a receiver may be not ready (Annex A).
pub const T5: Duration = Duration::from_secs(60);
/// How often a command is sent before the call is given up (5.3.6).
pub const TRIES: u32 = 3;
/// No call takes longer.
pub const LONGEST_CALL: Duration = Duration::from_secs(4 * 3600);
/// No call has more to it, whatever the far end says.
pub const MOST_STEPS: u32 = 200_000;

/// What the modem, or the owner of the pages, is to do next.
#[derive(Debug)]
pub enum Action {
    /// Send frames at 300 bit/s (V.21), the last one final. Answered by [`Event::Done`].
    Frames(Vec<Frame>),
    /// Wait for frames at 300 bit/s. Answered by [`Event::Burst`] or [`Event::Nothing`].
    Listen {
        /// How long for the first of them.
        within: Duration,
    },
    /// Send octets on the message channel. Answered by [`Event::Done`].
    SendFast {
        /// At this rate.
        rate: Rate,
        /// V.17: with the long training sequence.
        long_training: bool,
        /// Lowest bit first.
        octets: Vec<u8>,
    },
    /// Receive octets on the message channel until the carrier goes. Answered by [`Event::Fast`],
    /// [`Event::OtherCarrier`] or [`Event::Nothing`].
    ReceiveFast {
        /// At this rate.
        rate: Rate,
        /// V.17: with the long training sequence.
        long_training: bool,
        /// How long until the carrier must be there.
        within: Duration,
    },
    /// Fetch a page of the document. Answered by [`Event::Page`].
    Fetch {
        /// Counted from 0.
        page: usize,
        /// As what.
        format: PageFormat,
    },
    /// Hand over a received page. Answered by [`Event::Judged`].
    Deliver {
        /// As what it was sent.
        format: PageFormat,
        /// Its octets.
        octets: Vec<u8>,
    },
    /// The last page is there: is the document accepted? Answered by [`Event::Decision`].
    Ask {
        /// How long the far end can be kept waiting now.
        within: Duration,
    },
    /// The call is over: hang up.
    End(Result<(), EndReason>),
}

/// What came of it.
#[derive(Debug)]
pub enum Event {
    /// The call stands; the modem listens (caller) or may send (called).
    Begin,
    /// What was to be sent is sent.
    Done,
    /// Frames came.
    Burst {
        /// Those whose FCS held, in order.
        frames: Vec<Frame>,
        /// Whether there were others.
        damaged: bool,
    },
    /// Nothing came in time.
    Nothing,
    /// The octets of a message, or of a training check.
    Fast(Vec<u8>),
    /// Another carrier than the one that was waited for: the far end speaks at 300 bit/s.
    OtherCarrier,
    /// A page of the document.
    Page(Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>),
    /// What the tray thinks of a page.
    Judged(CopyQuality),
    /// Whether the document is accepted; `None`: not known yet.
    Decision(Option<bool>),
    /// The line is gone, or the modem.
    Lost(EndReason),
}

/// The frame that matters in a burst: the last one, if it was said to be the last.
fn command(frames: &[Frame]) -> Option<&Frame> {
    frames.last().filter(|frame| frame.last)
}

/// A final frame without information field.
fn answer(fcf: u8) -> Vec<Frame> {
    vec![Frame { fcf, fif: Vec::new(), last: true }]
}

/// A line that was cut was cut in the phase that the station knows of.
fn in_phase(reason: EndReason, phase: Phase) -> EndReason {
    match reason {
        EndReason::LineCut(_) => EndReason::LineCut(phase),
        other => other,
    }
}

/// Whether a call has gone on for too long, in time or in steps.
fn is_endless(now: Duration, steps: u32) -> bool {
    now > LONGEST_CALL || steps > MOST_STEPS
}
