//! From what PC/SC reports of a reader to what is seen of its slot, without a socket or a clock.
//!
//! pcsc-lite counts a reader's insertions and removals in the upper 16 bits of `dwEventState`. A card that went and came
//! back between two looks leaves the same flags and another count: that is how a fast swap is told.

use crate::card::sight::Sight;

/// `SCARD_STATE_*` flags of `dwEventState` that matter here (PC/SC part 5, and pcsc-lite's `pcsclite.h`).
pub mod flag {
    /// The reader is not there; other flags mean nothing.
    pub const IGNORE: u32 = 0x0001;
    /// The reader's name is not known.
    pub const UNKNOWN: u32 = 0x0004;
    /// The reader cannot be used.
    pub const UNAVAILABLE: u32 = 0x0008;
    /// A card is in.
    pub const PRESENT: u32 = 0x0020;
}

/// One look at a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// PC/SC cannot be reached, or it has no such reader.
    Nothing,
    /// The reader's `dwEventState`: flags below, the event count above.
    State(u32),
}

/// Turns looks into sights: numbers the insertions and the times the reader came.
#[derive(Debug, Clone)]
pub struct Watch {
    sight: Sight,
    plugs: u64,
    insertions: u64,
    /// The event count at which the card that is in was seen.
    count: u16,
}

impl Default for Watch {
    /// A reader that is there and empty, until the first look says otherwise.
    fn default() -> Self {
        Self { sight: Sight::EMPTY, plugs: 0, insertions: 0, count: 0 }
    }
}

impl Watch {
    /// Takes a look and says what is seen now.
    pub fn look(&mut self, look: Look) -> Sight {
        const GONE: u32 = flag::IGNORE | flag::UNKNOWN | flag::UNAVAILABLE;
        match look {
            Look::State(state) if state & GONE == 0 => {
                let [high, low, ..] = state.to_be_bytes();
                self.reader(state & flag::PRESENT != 0, u16::from_be_bytes([high, low]));
            }
            _ => self.sight = Sight { plugged: None, card: None },
        }
        self.sight
    }

    /// What is seen now.
    pub fn sight(&self) -> Sight {
        self.sight
    }

    fn reader(&mut self, present: bool, count: u16) {
        if self.sight.plugged.is_none() {
            self.plugs += 1;
            self.sight = Sight { plugged: Some(self.plugs), card: None };
        }
        let same = self.sight.card.is_some() && self.count == count;
        if present && !same {
            self.insertions += 1;
            self.sight.card = Some(self.insertions);
            self.count = count;
        } else if !present {
            self.sight.card = None;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::card::CardEvent::{self, Inserted, ReaderFound, ReaderLost, Removed};
    use crate::card::sight::step;
    use proptest::prelude::*;

    const EMPTY: u32 = 0x0010;
    const CHANGED: u32 = 0x0002;
    const IN_USE: u32 = 0x0100;
    const EXCLUSIVE: u32 = 0x0080;
    const MUTE: u32 = 0x0200;

    const fn card(count: u32) -> Look {
        Look::State(flag::PRESENT | CHANGED | count << 16)
    }

    const fn empty(count: u32) -> Look {
        Look::State(EMPTY | CHANGED | count << 16)
    }

    fn events(looks: &[Look]) -> Vec<CardEvent> {
        let mut watch = Watch::default();
        let mut seen = watch.sight();
        let mut told = Vec::new();
        for look in looks {
            let now = watch.look(*look);
            while let Some((event, after)) = step(seen, now) {
                told.push(event);
                seen = after;
            }
        }
        told
    }

    #[test]
    fn insertion_and_removal() {
        assert_eq!(events(&[empty(0), card(1), empty(2), card(3)]), [Inserted, Removed, Inserted]);
        assert_eq!(events(&[card(1)]), [Inserted], "a card that is in at the beginning");
        assert_eq!(events(&[card(0)]), [Inserted], "even when nothing was counted yet");
        assert_eq!(events(&[empty(0), empty(0)]), []);
    }

    #[test]
    fn a_fast_swap_is_told_by_the_count() {
        assert_eq!(events(&[card(1), card(3)]), [Inserted, Removed, Inserted]);
        assert_eq!(events(&[card(0), card(2)]), [Inserted, Removed, Inserted]);
        assert_eq!(events(&[card(0xFFFF), card(1)]), [Inserted, Removed, Inserted], "the count goes round");
        assert_eq!(events(&[empty(0), empty(2)]), [], "a card that nobody saw, and that is gone");
    }

    #[test]
    fn who_uses_the_card_is_no_event() {
        let used = |flags: u32| Look::State(flag::PRESENT | CHANGED | flags | 1 << 16);
        assert_eq!(events(&[card(1), used(IN_USE), used(IN_USE | EXCLUSIVE), card(1)]), [Inserted]);
        assert_eq!(events(&[used(MUTE)]), [Inserted], "a card the wrong way round is a card");
    }

    #[test]
    fn a_reader_comes_and_goes() {
        assert_eq!(events(&[Look::Nothing]), [ReaderLost]);
        assert_eq!(events(&[Look::Nothing, Look::Nothing, empty(0)]), [ReaderLost, ReaderFound]);
        let away = [Removed, ReaderLost, ReaderFound, Inserted];
        for gone in [
            Look::Nothing,
            Look::State(flag::UNKNOWN | CHANGED),
            Look::State(flag::UNAVAILABLE | flag::PRESENT | 1 << 16),
            Look::State(flag::IGNORE | flag::UNAVAILABLE | CHANGED | EMPTY),
        ] {
            assert_eq!(events(&[card(1), gone, card(1)])[1..], away, "{gone:?}");
        }
    }

    fn any_look() -> impl Strategy<Value = Look> {
        prop_oneof![1 => Just(Look::Nothing), 9 => any::<u32>().prop_map(Look::State)]
    }

    /// What happens at a slot.
    #[derive(Debug, Clone, Copy)]
    enum Deed {
        Insert,
        Remove,
        Unplug,
        Plug,
        Looked,
    }

    fn any_deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            4 => Just(Deed::Insert), 4 => Just(Deed::Remove), 4 => Just(Deed::Looked),
            1 => Just(Deed::Unplug), 1 => Just(Deed::Plug),
        ]
    }

    proptest! {
        /// No report, however odd, breaks the order of events.
        #[test]
        fn order(looks in proptest::collection::vec(any_look(), 0..60)) {
            let (mut there, mut card) = (true, false);
            for event in events(&looks) {
                match event {
                    Inserted => { prop_assert!(there && !card); card = true; }
                    Removed => { prop_assert!(card); card = false; }
                    ReaderLost => { prop_assert!(there && !card); there = false; }
                    ReaderFound => { prop_assert!(!there); there = true; }
                }
            }
        }

        /// However rarely it is looked: a card put in since the last look is never taken for the one before.
        #[test]
        fn every_insertion_has_its_own_number(deeds in proptest::collection::vec(any_deed(), 0..120)) {
            let (mut plugged, mut present, mut count) = (true, false, 0u32);
            let mut number = 0u64;
            let mut watch = Watch::default();
            let mut known = std::collections::HashMap::new();
            for deed in deeds {
                match deed {
                    Deed::Insert if plugged && !present => { present = true; count += 1; number += 1; }
                    Deed::Remove if plugged && present => { present = false; count += 1; }
                    // A reader that is unplugged and plugged between two looks is a case for the channel.
                    Deed::Unplug if plugged => { plugged = false; present = false; count = 0; watch.look(Look::Nothing); }
                    Deed::Plug => plugged = true,
                    _ => {}
                }
                if !matches!(deed, Deed::Looked) { continue; }
                let state = (if present { flag::PRESENT } else { EMPTY }) | count << 16;
                let sight = watch.look(if plugged { Look::State(state) } else { Look::Nothing });
                prop_assert_eq!(sight.plugged.is_some(), plugged);
                prop_assert_eq!(sight.card.is_some(), plugged && present);
                if let Some(seen) = sight.card {
                    prop_assert_eq!(*known.entry(seen).or_insert(number), number);
                    prop_assert_eq!(known.values().filter(|real| **real == number).count(), 1);
                }
            }
        }
    }
}
