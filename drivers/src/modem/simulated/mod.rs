//! Two Class 1 modems (ITU-T T.31) on one simulated telephone line, in memory: the virtual backend, chosen at run time.
//!
//! Each end is a stream that speaks AT commands like a modem on a serial port. The line has a delay of zero, a rate that
//! it carries, bit errors that follow from a seed, and may be cut at a chosen place. Time is tokio's, so a test pauses it;
//! who cannot pause it lets the line run faster ([`Line::speed`]). A carrier stays in the line for a moment until its
//! receiver listens, so that a host that is slow against a fast line misses nothing it would have heard on a real one.

mod fax;
mod modem;

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::port::Port;
use modem::Modem;

/// How the exchange treats a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Exchange {
    /// It rings.
    #[default]
    Rings,
    /// Busy.
    Busy,
    /// It rings and nobody lifts.
    NobodyLifts,
    /// Somebody lifts who is no fax machine.
    VoiceAnswers,
    /// The line is dead.
    NoDialTone,
}

/// Where the line is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// Right after a frame with this control field (its lowest bit apart) has passed for the n-th time, counted from 1.
    AfterFrame {
        /// The facsimile control field.
        fcf: u8,
        /// Which one.
        count: u32,
    },
    /// After so many octets of messages, training checks included.
    AfterOctets(u64),
}

/// A telephone line. Begins as [`Line::default`], a good one in real time, and is changed field by field.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Line {
    /// Where its errors come from.
    pub seed: u64,
    /// Of bits on the message channel, this share is wrong.
    pub bit_errors: f64,
    /// Of frames at 300 bit/s, this share is damaged.
    pub frame_errors: f64,
    /// The fastest rate, in bit/s, that the line carries: training at a faster one brings noise.
    pub carries: u32,
    /// Where it is cut.
    pub cut: Option<Cut>,
    /// Whether the modems are told of a cut (loop current); a real line mostly just falls silent.
    pub cut_is_told: bool,
    /// How the exchange treats calls.
    pub exchange: Exchange,
    /// The calling number that the exchange shows (`NMBR`).
    pub caller_number: Option<String>,
    /// The dialled number that the exchange shows (`NDID`).
    pub dialled_number: Option<String>,
    /// How much faster than real time it runs.
    pub speed: f64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            seed: 0,
            bit_errors: 0.0,
            frame_errors: 0.0,
            carries: 14_400,
            cut: None,
            cut_is_told: false,
            exchange: Exchange::Rings,
            caller_number: None,
            dialled_number: None,
            speed: 1.0,
        }
    }
}

/// What passes over the line.
#[derive(Debug, Clone)]
enum Signal {
    Ring {
        dialled: String,
    },
    Answered,
    HungUp,
    /// The exchange says so (loop current).
    Dead,
    /// A carrier: 3, or the code of `+FTM`.
    Carrier(u8),
    /// With its FCS.
    Frame(Vec<u8>),
    Octets(Vec<u8>),
    Off,
}

/// One signal and when it passed.
#[derive(Debug, Clone)]
struct Passed {
    signal: Signal,
    at: Instant,
}

/// What both ends have in common.
#[derive(Debug)]
struct Shared {
    line: Line,
    random: u64,
    is_cut: bool,
    octets: u64,
    frames: u32,
}

impl Shared {
    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// True with this chance.
    fn happens(&mut self, chance: f64) -> bool {
        // 53 bits are what a double holds.
        chance > 0.0 && ((self.random() >> 11) as f64) < chance * (1u64 << 53) as f64
    }

    /// What arrives of `octets` that were sent at `bits` a second.
    fn damage(&mut self, octets: &mut [u8], bits: u32) {
        let hopeless = bits > self.line.carries;
        for octet in octets {
            if hopeless {
                *octet = (self.random() & 0xFF) as u8;
            } else if self.line.bit_errors > 0.0 {
                for place in 0..8 {
                    if self.happens(self.line.bit_errors) {
                        *octet ^= 1 << place;
                    }
                }
            }
        }
    }

    /// Counts what passes and cuts the line where it is to be cut.
    fn pass(&mut self, signal: &Signal) {
        match (signal, self.line.cut) {
            (Signal::Octets(octets), Some(Cut::AfterOctets(most))) => {
                self.octets += octets.len() as u64;
                self.is_cut |= self.octets >= most;
            }
            (Signal::Frame(frame), Some(Cut::AfterFrame { fcf, count }))
                if frame.get(2).is_some_and(|it| it | 1 == fcf | 1) =>
            {
                self.frames += 1;
                self.is_cut |= self.frames >= count;
            }
            _ => {}
        }
    }
}

/// The host's side of one simulated modem: a stream like a serial port. Dropping it takes the modem off the line.
#[derive(Debug)]
pub struct SimModem {
    stream: DuplexStream,
    modem: JoinHandle<()>,
    shared: Arc<Mutex<Shared>>,
}

impl SimModem {
    /// A hand on the line, to change it while it is in use.
    pub fn line(&self) -> LineInHand {
        LineInHand { shared: Arc::clone(&self.shared) }
    }
}

/// A line that may be changed while it is in use.
#[derive(Debug, Clone)]
pub struct LineInHand {
    shared: Arc<Mutex<Shared>>,
}

impl LineInHand {
    /// Changes it; its speed stays what it was. A line that was cut is whole again, and what its next cut waits for is
    /// counted anew.
    pub fn change(&self, change: impl FnOnce(&mut Line)) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut shared.line);
        (shared.is_cut, shared.octets, shared.frames) = (false, 0, 0);
    }

    /// Cuts it now, silently.
    pub fn cut(&self) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).is_cut = true;
    }
}

impl Drop for SimModem {
    fn drop(&mut self) {
        self.modem.abort();
    }
}

/// Two modems on one line. Needs a tokio runtime, for each modem is a task.
pub fn line(line: Line) -> (SimModem, SimModem) {
    let speed = if line.speed.is_finite() && line.speed > 0.0 { line.speed } else { 1.0 };
    let shared = Shared { random: line.seed, line, is_cut: false, octets: 0, frames: 0 };
    let shared = Arc::new(Mutex::new(shared));
    let (to_second, from_first) = mpsc::unbounded_channel();
    let (to_first, from_second) = mpsc::unbounded_channel();
    let end = |send, receive| {
        let (stream, host) = tokio::io::duplex(4096);
        let modem = Modem::new(host, send, receive, Arc::clone(&shared), speed);
        SimModem { stream, modem: tokio::spawn(modem.run()), shared: Arc::clone(&shared) }
    };
    (end(to_second, from_second), end(to_first, from_first))
}

/// A time on the line as tokio's clock has it.
fn scaled(duration: Duration, speed: f64) -> Duration {
    duration.div_f64(speed)
}

impl AsyncRead for SimModem {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for SimModem {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Port for SimModem {}
