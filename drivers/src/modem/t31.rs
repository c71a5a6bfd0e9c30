//! Service class 1 (ITU-T T.31): codes of modulations, and data between host and modem, where DLE marks what is not data.

use super::format::{Rate, Scheme};

/// Marks what is not data.
pub const DLE: u8 = 0x10;
/// After DLE: the data end.
pub const ETX: u8 = 0x03;
/// After DLE: two DLE (clause 8.4).
pub const SUB: u8 = 0x1A;
/// Breaks a reception off (8.3.3).
pub const CAN: u8 = 0x18;
/// The code of V.21 channel 2, 300 bit/s, for `+FTH` and `+FRH`.
pub const V21: u8 = 3;

/// The code of a rate for `+FTM` and `+FRM` (table 4); V.17 has two, for the long and the short training sequence.
pub fn code(rate: Rate, long_training: bool) -> u8 {
    let long = match (rate.scheme, rate.bits) {
        (Scheme::V27ter, 4800) => 48,
        (Scheme::V27ter, _) => 24,
        (Scheme::V29, 9600) => 96,
        (Scheme::V29, _) => 72,
        (Scheme::V17, 14_400) => 145,
        (Scheme::V17, 12_000) => 121,
        (Scheme::V17, 9600) => 97,
        (Scheme::V17, _) => 73,
    };
    if rate.scheme == Scheme::V17 && !long_training { long + 1 } else { long }
}

/// The rate of a code, and whether it trains long; `None` for V.21 and what no table has.
pub fn rate(number: u8) -> Option<(Rate, bool)> {
    [true, false]
        .into_iter()
        .find_map(|long| Rate::STEPS.into_iter().find(|rate| code(*rate, long) == number).map(|rate| (rate, long)))
}

/// The rates that a modem can both send and receive, given the codes it lists for `+FTM` and `+FRM`.
pub fn rates(send: &[u8], receive: &[u8]) -> Vec<Rate> {
    let has = |codes: &[u8], rate: &Rate| codes.contains(&code(*rate, true));
    Rate::STEPS.into_iter().filter(|rate| has(send, rate) && has(receive, rate)).collect()
}

/// Data for the modem, closed with DLE ETX.
pub fn stuffed(octets: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(octets.len() + octets.len() / 64 + 2);
    for octet in octets {
        if *octet == DLE {
            stuffed.push(DLE);
        }
        stuffed.push(*octet);
    }
    stuffed.extend([DLE, ETX]);
    stuffed
}

/// Takes data from the modem.
#[derive(Debug, Default)]
pub struct Unstuffer {
    escaped: bool,
}

/// What an octet from the modem was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstuffed {
    /// Nothing yet, or something that is no data.
    Nothing,
    /// An octet.
    Octet(u8),
    /// DLE SUB: two octets, both DLE.
    TwoDle,
    /// DLE ETX.
    End,
}

impl Unstuffer {
    /// Takes one octet.
    pub fn take(&mut self, octet: u8) -> Unstuffed {
        match (std::mem::take(&mut self.escaped), octet) {
            (false, DLE) => {
                self.escaped = true;
                Unstuffed::Nothing
            }
            (false, octet) => Unstuffed::Octet(octet),
            (true, DLE) => Unstuffed::Octet(DLE),
            (true, SUB) => Unstuffed::TwoDle,
            (true, ETX) => Unstuffed::End,
            (true, _) => Unstuffed::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_of_table_4() {
        for (number, bits, long) in [
            (24, 2400, true),
            (48, 4800, true),
            (72, 7200, true),
            (73, 7200, true),
            (74, 7200, false),
            (96, 9600, true),
            (97, 9600, true),
            (98, 9600, false),
            (121, 12_000, true),
            (122, 12_000, false),
            (145, 14_400, true),
            (146, 14_400, false),
        ] {
            let (found, trains_long) = rate(number).unwrap();
            assert_eq!((found.bits, trains_long, code(found, long)), (bits, long, number));
        }
        assert_eq!(rate(V21), None);
        assert_eq!(rates(&[24, 48, 96], &[24, 48, 72, 96]).len(), 3);
    }

    proptest! {
        /// Data come back, and end where they end.
        #[test]
        fn stuffing(octets in proptest::collection::vec(prop_oneof![Just(DLE), Just(ETX), any::<u8>()], 0..300)) {
            let mut unstuffer = Unstuffer::default();
            let mut got = Vec::new();
            let mut ended = false;
            for octet in stuffed(&octets) {
                prop_assert!(!ended);
                match unstuffer.take(octet) {
                    Unstuffed::Octet(octet) => got.push(octet),
                    Unstuffed::TwoDle => got.extend([DLE, DLE]),
                    Unstuffed::End => ended = true,
                    Unstuffed::Nothing => {}
                }
            }
            prop_assert!(ended);
            prop_assert_eq!(got, octets);
        }
    }
}
