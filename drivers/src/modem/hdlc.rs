//! HDLC as facsimile uses it (ITU-T T.30, 5.3; T.4 Annex A): frames of address, control, FCF and FIF, and the framing
//! itself for error-corrected pages, which a Class 1 modem leaves to its host: flags, zero insertion, FCS.
//!
//! Octets stand here as the modem takes them: the first bit on the line is the least significant one.

/// The address field of every facsimile frame.
pub const ADDRESS: u8 = 0xFF;
/// The control field of a frame that others follow.
pub const MORE: u8 = 0x03;
/// The bit of the control field that says: the last frame before the line turns.
pub const FINAL: u8 = 0x10;
/// Longest frame that is looked at: an FCD frame of 256 octets, or what a maker puts into an NSF.
pub const MAX_FRAME: usize = 400;

/// A frame without its FCS.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Facsimile control field, as received: for answers its lowest bit tells who sent it.
    pub fcf: u8,
    /// Facsimile information field.
    pub fif: Vec<u8>,
    /// Whether it is the last before the line turns.
    pub last: bool,
}

impl std::fmt::Debug for Frame {
    /// Without the information field: it may be part of a page or a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({:02X}, {} octets{})", self.fcf, self.fif.len(), if self.last { ", last" } else { "" })
    }
}

impl Frame {
    /// A frame that others follow.
    pub fn new(fcf: u8, fif: impl Into<Vec<u8>>) -> Self {
        Self { fcf, fif: fif.into(), last: false }
    }

    /// Reads a frame, without FCS; `None`: not a facsimile frame.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        match octets {
            [ADDRESS, control, fcf, fif @ ..] if control & !FINAL == MORE => {
                Some(Self { fcf: *fcf, fif: fif.to_vec(), last: control & FINAL != 0 })
            }
            _ => None,
        }
    }

    /// Its octets without FCS, as a modem takes them.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(3 + self.fif.len());
        octets.extend([ADDRESS, if self.last { MORE | FINAL } else { MORE }, self.fcf]);
        octets.extend_from_slice(&self.fif);
        octets
    }
}

/// The FCS (CRC-16 of ISO/IEC 13239) over `octets`, as it goes on the line, low octet first.
pub fn fcs(octets: &[u8]) -> [u8; 2] {
    (!register(octets)).to_le_bytes()
}

/// Whether the last two octets are the FCS of those before.
pub fn fcs_holds(octets: &[u8]) -> bool {
    octets.len() > 2 && register(octets) == 0xF0B8
}

fn register(octets: &[u8]) -> u16 {
    octets.iter().fold(0xFFFF, |mut register, octet| {
        register ^= u16::from(*octet);
        for _ in 0..8 {
            register = if register & 1 == 1 { register >> 1 ^ 0x8408 } else { register >> 1 };
        }
        register
    })
}

/// Puts frames on a synchronous line: flags between them, a zero after five ones.
#[derive(Debug, Default)]
pub struct Framer {
    octets: Vec<u8>,
    partial: u32,
    bits: u32,
}

impl Framer {
    /// Beginning with `flags` flags, by which the receiver finds the first frame.
    pub fn new(flags: usize) -> Self {
        let mut framer = Self::default();
        framer.flags(flags);
        framer
    }

    /// That many flags.
    pub fn flags(&mut self, count: usize) {
        for _ in 0..count {
            for bit in [0, 1, 1, 1, 1, 1, 1, 0] {
                self.bit(bit);
            }
        }
    }

    /// A frame and a flag; `frame` without FCS.
    pub fn frame(&mut self, frame: &[u8]) {
        let mut ones = 0;
        for octet in frame.iter().chain(&fcs(frame)) {
            for place in 0..8 {
                let bit = u32::from(octet >> place & 1);
                self.bit(bit);
                ones = if bit == 1 { ones + 1 } else { 0 };
                if ones == 5 {
                    self.bit(0);
                    ones = 0;
                }
            }
        }
        self.flags(1);
    }

    /// The octets for the modem; the last one is filled up with ones.
    pub fn finish(mut self) -> Vec<u8> {
        while self.bits > 0 {
            self.bit(1);
        }
        self.octets
    }

    fn bit(&mut self, bit: u32) {
        self.partial |= bit << self.bits;
        self.bits += 1;
        if self.bits == 8 {
            self.octets.push((self.partial & 0xFF) as u8);
            self.partial = 0;
            self.bits = 0;
        }
    }
}

/// Finds frames in what a synchronous line brought, wherever their octets begin.
#[derive(Debug, Default)]
pub struct Deframer {
    frame: Vec<u8>,
    partial: u8,
    bits: u32,
    ones: u32,
    inside: bool,
}

impl Deframer {
    /// Takes octets; `found` gets each frame whose FCS holds, without FCS.
    pub fn take(&mut self, octets: &[u8], mut found: impl FnMut(&[u8])) {
        for octet in octets {
            for place in 0..8 {
                self.bit(octet >> place & 1, &mut found);
            }
        }
    }

    fn bit(&mut self, bit: u8, found: &mut impl FnMut(&[u8])) {
        if bit == 1 {
            self.ones += 1;
            if self.ones > 6 {
                // Seven ones abort a frame.
                self.inside = false;
                return;
            }
        } else {
            let ones = std::mem::take(&mut self.ones);
            if ones == 5 {
                return;
            }
            if ones >= 6 {
                // A flag, whose first seven bits were taken for the frame's: what came before them is the frame.
                if ones == 6 && self.inside && self.bits == 7 && fcs_holds(&self.frame) {
                    found(self.frame.get(..self.frame.len().saturating_sub(2)).unwrap_or_default());
                }
                self.frame.clear();
                self.partial = 0;
                self.bits = 0;
                self.inside = ones == 6;
                return;
            }
        }
        if !self.inside {
            return;
        }
        self.partial |= bit << self.bits;
        self.bits += 1;
        if self.bits == 8 {
            self.frame.push(self.partial);
            self.partial = 0;
            self.bits = 0;
            if self.frame.len() > MAX_FRAME {
                self.inside = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fcs_of_the_standards_example() {
        // ISO/IEC 13239's check value: CRC-16/X-25 over "123456789" is 0x906E.
        assert_eq!(fcs(b"123456789"), [0x6E, 0x90]);
        assert!(fcs_holds(b"123456789\x6E\x90"));
        assert!(!fcs_holds(b"123456780\x6E\x90"));
    }

    #[test]
    fn a_frame_reads_back() {
        let frame = Frame { fcf: 0x80, fif: vec![0, 0xCE, 0xB9], last: true };
        assert_eq!(frame.octets(), [0xFF, 0x13, 0x80, 0, 0xCE, 0xB9]);
        assert_eq!(Frame::parse(&frame.octets()), Some(frame));
        assert_eq!(Frame::parse(&[0xFF, 0x03]), None);
        assert_eq!(Frame::parse(&[0x00, 0x03, 0x80]), None);
    }

    proptest! {
        /// Frames come out as they went in, at any shift against the octets.
        #[test]
        fn framing(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 3..300), 0..8),
            shift in 0u32..8,
            flags in 1usize..6,
        ) {
            let mut framer = Framer::default();
            for _ in 0..shift { framer.bit(1); }
            framer.flags(flags);
            for frame in &frames { framer.frame(frame); }
            let mut got = Vec::new();
            Deframer::default().take(&framer.finish(), |frame| got.push(frame.to_vec()));
            prop_assert_eq!(got, frames);
        }

        /// A flipped bit never makes a frame that was not sent.
        #[test]
        fn damage_is_seen(frame in proptest::collection::vec(any::<u8>(), 3..64), at in any::<prop::sample::Index>()) {
            let mut framer = Framer::new(4);
            framer.frame(&frame);
            let mut octets = framer.finish();
            let at = at.index(octets.len() * 8);
            octets[at / 8] ^= 1 << (at % 8);
            Deframer::default().take(&octets, |found| assert_eq!(found, frame, "only what was sent"));
        }

        /// Whatever the line brings.
        #[test]
        fn anything(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
            Deframer::default().take(&octets, |frame| assert!(frame.len() <= MAX_FRAME));
        }
    }
}
