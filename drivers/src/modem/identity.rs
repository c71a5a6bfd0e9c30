//! Who a station says it is, and what it can do (ITU-T T.30: CSI, TSI, CIG and table 2).

use super::format::{Coding, Rate, Resolution};

/// A station as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its own number: at most 20 digits, `+` and spaces; empty: it does not say.
    pub number: String,
    /// What it can do.
    pub capabilities: Capabilities,
}

impl Identity {
    /// A station with that number that can do everything.
    pub fn new(number: impl Into<String>) -> Self {
        Self { number: number.into(), capabilities: Capabilities::default() }
    }
}

/// A number without what stands in it for the eye, `+` and at most 20 digits, `#` and `*`; `None` if it is none.
pub fn plain_number(text: &str) -> Option<String> {
    let number: String = text.chars().filter(|c| !" -.()/".contains(*c)).collect();
    let rest = number.strip_prefix('+').unwrap_or(&number);
    let good = (1..=20).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit() || b == b'#' || b == b'*');
    good.then_some(number)
}

/// Whether two spellings are one number.
pub fn same_number(one: &str, other: &str) -> bool {
    plain_number(one).is_some_and(|one| plain_number(other) == Some(one))
}

/// What a station can do, as receiver and as sender. What every machine can do need not be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The rates, in any order. As a receiver a scheme is offered with all its rates or not at all, and V.17 only together
    /// with the other two, for a DIS has no words for less.
    pub rates: Vec<Rate>,
    /// Error correction (Annex A).
    pub ecm: bool,
    /// Frames of 64 octets rather than 256, with error correction: better on a bad line.
    pub short_frames: bool,
    /// The codings; MMR counts with error correction only.
    pub codings: Vec<Coding>,
    /// The best resolution; those below it are understood too.
    pub resolution: Resolution,
    /// The widest line: 1728, 2048 or 2432; those below it are understood too.
    pub width: u32,
    /// The least time a received line must take, in milliseconds: 0, 5, 10, 20 or 40. Who prints from memory needs none.
    pub minimum_scan_line_ms: u8,
    /// Subaddresses (SUB), and passwords (SID).
    pub subaddress: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            rates: Rate::STEPS.to_vec(),
            ecm: true,
            short_frames: false,
            codings: vec![Coding::Mh, Coding::Mr, Coding::Mmr],
            resolution: Resolution::Superfine,
            width: 2432,
            minimum_scan_line_ms: 0,
            subaddress: true,
        }
    }
}

impl Capabilities {
    /// What every machine can do, and no more: MH, standard resolution, V.27ter fall-back, no error correction.
    pub fn basic() -> Self {
        Self {
            rates: vec![Rate::LOWEST],
            ecm: false,
            short_frames: false,
            codings: vec![Coding::Mh],
            resolution: Resolution::Standard,
            width: 1728,
            minimum_scan_line_ms: 20,
            subaddress: false,
        }
    }
}
