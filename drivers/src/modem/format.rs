//! What two machines agree on for a page (ITU-T T.30, table 2): coding, width, resolution, scan line time, rate.

use std::fmt;

/// How a page is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    /// Modified Huffman, T.4 one-dimensional: every machine has it.
    Mh,
    /// Modified READ, T.4 two-dimensional.
    Mr,
    /// Modified modified READ, T.6: with error correction only.
    Mmr,
}

/// Lines to the inch, across and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolution {
    /// 204 x 98 (R8 x 3.85 lines/mm): every machine has it.
    Standard,
    /// 204 x 196 (R8 x 7.7 lines/mm).
    Fine,
    /// 204 x 391 (R8 x 15.4 lines/mm).
    Superfine,
}

/// A modulation scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// 2400 and 4800 bit/s: every machine has it.
    V27ter,
    /// 7200 and 9600 bit/s.
    V29,
    /// 7200 to 14 400 bit/s.
    V17,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V27ter => "V.27ter",
            Self::V29 => "V.29",
            Self::V17 => "V.17",
        })
    }
}

/// A data signalling rate: a scheme at one of its speeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// The scheme.
    pub scheme: Scheme,
    /// Bits a second.
    pub bits: u32,
}

impl Rate {
    /// All there are, in the order in which training steps down.
    pub const STEPS: [Self; 8] = [
        Self { scheme: Scheme::V17, bits: 14_400 },
        Self { scheme: Scheme::V17, bits: 12_000 },
        Self { scheme: Scheme::V17, bits: 9600 },
        Self { scheme: Scheme::V29, bits: 9600 },
        Self { scheme: Scheme::V17, bits: 7200 },
        Self { scheme: Scheme::V29, bits: 7200 },
        Self { scheme: Scheme::V27ter, bits: 4800 },
        Self { scheme: Scheme::V27ter, bits: 2400 },
    ];
    /// The last step of all.
    pub const LOWEST: Self = Self { scheme: Scheme::V27ter, bits: 2400 };
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bit/s ({})", self.bits, self.scheme)
    }
}

/// What was agreed for a page (DCS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PageFormat {
    /// How its octets are coded.
    pub coding: Coding,
    /// Pixels a line: 1728, 2048 or 2432.
    pub width: u32,
    /// Lines to the inch.
    pub resolution: Resolution,
    /// The least time that a line must take on the way, in milliseconds; none with error correction.
    pub minimum_scan_line_ms: u8,
    /// Whether errors are corrected (T.30 Annex A): the receiver has the octets as they were sent, or nothing.
    pub ecm: bool,
    /// The rate that was agreed when the page was asked for; training may lower it later.
    pub rate: Rate,
    /// MR: every how many lines one is coded in one dimension (T.4, 4.2.2): 2 at standard resolution, else 4 or 8.
    pub k: u32,
}

impl PageFormat {
    /// What every machine takes: MH, 1728 pixels, standard resolution, at the lowest rate.
    pub const BASIC: Self = Self {
        coding: Coding::Mh,
        width: 1728,
        resolution: Resolution::Standard,
        minimum_scan_line_ms: 20,
        ecm: false,
        rate: Rate::LOWEST,
        k: 2,
    };

    /// Bits that a coded line must at least have, its EOL included; what is missing is fill (T.4, 4.1.3).
    pub fn minimum_line_bits(&self) -> u32 {
        if self.ecm { 0 } else { (self.rate.bits * u32::from(self.minimum_scan_line_ms)).div_ceil(1000) }
    }

    /// The same in octets, for a coder that aligns its lines.
    pub fn minimum_line_octets(&self) -> u32 {
        self.minimum_line_bits().div_ceil(8)
    }
}

/// What a page is before anything was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageWish {
    /// Pixels a line: 1728, 2048 or 2432.
    pub width: u32,
    /// Lines to the inch.
    pub resolution: Resolution,
}

/// What a receiver thinks of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyQuality {
    /// As it should be: MCF.
    Good,
    /// Readable, the line wants new training: RTP.
    Poor,
    /// To be sent again: RTN.
    Unusable,
}

/// Where in a call something happened (T.30, clause 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// A: the call is set up.
    SetUp,
    /// B: the machines tell each other what they are, and train.
    Negotiation,
    /// C: a page is on the line.
    Message,
    /// D: the page is confirmed.
    PostMessage,
    /// E: the call is over.
    Release,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetUp => "phase A, the call is set up",
            Self::Negotiation => "phase B, identification and training",
            Self::Message => "phase C, a page on the line",
            Self::PostMessage => "phase D, a page to be confirmed",
            Self::Release => "phase E, the call's end",
        })
    }
}
