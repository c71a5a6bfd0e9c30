//! What a card's answer to reset says about it (ISO 7816-3, 8.2), as far as commands depend on it: the card capabilities
//! among the historical octets (ISO 7816-4, 12.1.1).

/// What a card says it can do (ISO 7816-4, 12.1.1.9, third software function table).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Command chaining.
    pub chaining: bool,
    /// Extended Lc and Le fields.
    pub extended_length: bool,
}

/// The historical octets; `None` if the answer to reset is not one.
pub fn historical(atr: &[u8]) -> Option<&[u8]> {
    let [_ts, t0, rest @ ..] = atr else { return None };
    let count = usize::from(t0 & 0x0F);
    let mut rest = rest;
    // TA, TB, TC and TD are there or not as Y says; TD carries the next Y.
    let mut indicator = t0 >> 4;
    loop {
        let here = (indicator & 0x07).count_ones() as usize;
        rest = rest.get(here..)?;
        if indicator & 0x08 == 0 {
            break;
        }
        let (td, after) = rest.split_first()?;
        (indicator, rest) = (td >> 4, after);
    }
    rest.get(..count)
}

/// What the card says it can do; without a word about it, nothing.
pub fn capabilities(atr: &[u8]) -> Capabilities {
    let data = match historical(atr) {
        // The last three octets are a status indicator.
        Some([0x00, data @ .., _, _, _]) => data,
        Some([0x80, data @ ..]) => data,
        _ => return Capabilities::default(),
    };
    // Compact TLV: a nibble of tag, a nibble of length.
    let mut rest = data;
    while let Some((head, after)) = rest.split_first() {
        let Some((value, next)) = after.split_at_checked(usize::from(head & 0x0F)) else { break };
        if let (0x7, [_, _, table]) = (head >> 4, value) {
            return Capabilities { chaining: table & 0x80 != 0, extended_length: table & 0x40 != 0 };
        }
        rest = next;
    }
    Capabilities::default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::card::apdu::tests::unhex;
    use proptest::prelude::*;

    const BOTH: Capabilities = Capabilities { chaining: true, extended_length: true };
    const NOTHING: Capabilities = Capabilities { chaining: false, extended_length: false };

    #[test]
    fn cards() {
        for (what, atr, historical_octets, wanted) in [
            ("a security key with CCID, T=1", "3BFD1300008131FE158073C021C057597562694B657940", 13, BOTH),
            ("no historical octets, T=0 and T=1", "3B80800101", 0, NOTHING),
            ("T=0 alone", "3B00", 0, NOTHING),
            ("capabilities without a third table", "3B8480010080728080", 4, NOTHING),
            ("category 00: three octets of status at the end", "3B8880010073C021C000009000", 8, BOTH),
            ("chaining alone", "3B858001807300008000", 5, Capabilities { chaining: true, extended_length: false }),
            ("other data objects before", "3B87800180310073C021C001", 7, BOTH),
            ("another category", "3B86800110730000C000", 6, NOTHING),
        ] {
            let atr = unhex(atr);
            assert_eq!(historical(&atr).map(<[u8]>::len), Some(historical_octets), "{what}");
            assert_eq!(capabilities(&atr), wanted, "{what}");
        }
    }

    #[test]
    fn broken_off() {
        let whole = unhex("3BFD1300008131FE158073C021C057597562694B6579");
        for length in 0..whole.len() {
            assert_eq!(historical(&whole[..length]), None, "{length}");
            assert_eq!(capabilities(&whole[..length]), NOTHING, "{length}");
        }
    }

    proptest! {
        #[test]
        fn anything(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = capabilities(&octets);
        }
    }
}
