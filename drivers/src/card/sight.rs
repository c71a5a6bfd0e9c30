//! What can be seen of a slot at one moment, and the events between two looks.
//!
//! Whoever watches a slot keeps only its latest [`Sight`]; whoever waits for events compares it with what was seen
//! before. However many insertions lie between, none of them is taken for another: every one has a number.

use tokio::sync::watch::Receiver;

use super::{CardError, CardEvent};

/// A slot at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Counts the times the reader was plugged in; `None` while it is not there.
    pub plugged: Option<u64>,
    /// Counts the insertions; `None` while no card is in.
    pub card: Option<u64>,
}

impl Sight {
    /// A reader that is there, its slot empty: what is assumed before the first look.
    pub const EMPTY: Self = Self { plugged: Some(0), card: None };
}

/// The next event on the way from what was seen to what is, and what is seen after it; `None` once both are the same.
pub fn step(seen: Sight, now: Sight) -> Option<(CardEvent, Sight)> {
    // A reader that was away had its card without power: it is another insertion, whatever the count says.
    if seen.card.is_some() && (seen.card, seen.plugged) != (now.card, now.plugged) {
        return Some((CardEvent::Removed, Sight { card: None, ..seen }));
    }
    match (seen.plugged, now.plugged) {
        (Some(was), is) if is != Some(was) => {
            return Some((CardEvent::ReaderLost, Sight { plugged: None, card: None }));
        }
        (None, Some(_)) => return Some((CardEvent::ReaderFound, Sight { plugged: now.plugged, card: None })),
        _ => {}
    }
    (seen.card != now.card).then_some((CardEvent::Inserted, now))
}

/// Waits for the next event behind `seen`, and moves it on. Fails when nobody watches the slot any more.
pub async fn next_event(sight: &mut Receiver<Sight>, seen: &mut Sight) -> Result<CardEvent, CardError> {
    loop {
        let now = *sight.borrow_and_update();
        if let Some((event, after)) = step(*seen, now) {
            *seen = after;
            return Ok(event);
        }
        if sight.changed().await.is_err() {
            return Err(CardError::NoReader);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use CardEvent::{Inserted, ReaderFound, ReaderLost, Removed};
    use proptest::prelude::*;

    pub(crate) fn between(mut seen: Sight, now: Sight) -> Vec<CardEvent> {
        let mut events = Vec::new();
        while let Some((event, after)) = step(seen, now) {
            events.push(event);
            seen = after;
            assert!(events.len() < 9, "{events:?}");
        }
        events
    }

    const fn sight(plugged: Option<u64>, card: Option<u64>) -> Sight {
        Sight { plugged, card }
    }

    #[test]
    fn vectors() {
        let full = sight(Some(0), Some(1));
        assert_eq!(between(Sight::EMPTY, full), [Inserted]);
        assert_eq!(between(full, full), []);
        assert_eq!(between(full, Sight::EMPTY), [Removed]);
        assert_eq!(between(full, sight(Some(0), Some(2))), [Removed, Inserted], "a swap nobody saw");
        assert_eq!(between(full, sight(None, None)), [Removed, ReaderLost]);
        assert_eq!(between(sight(None, None), sight(Some(1), Some(2))), [ReaderFound, Inserted]);
        assert_eq!(between(full, sight(Some(1), Some(2))), [Removed, ReaderLost, ReaderFound, Inserted]);
    }

    proptest! {
        /// Whatever lies between, the events told make sense one after the other and end at what is.
        #[test]
        fn events_alternate(
            from in (proptest::option::of(0u64..3), proptest::option::of(0u64..3)),
            to in (proptest::option::of(0u64..3), proptest::option::of(0u64..3)),
        ) {
            // Without a reader there is no card.
            let honest = |(plugged, card): (Option<u64>, Option<u64>)| sight(plugged, plugged.and(card));
            let (from, to) = (honest(from), honest(to));
            let (mut there, mut card) = (from.plugged.is_some(), from.card.is_some());
            for event in between(from, to) {
                match event {
                    Inserted => { prop_assert!(there && !card); card = true; }
                    Removed => { prop_assert!(card); card = false; }
                    ReaderLost => { prop_assert!(there && !card); there = false; }
                    ReaderFound => { prop_assert!(!there && !card); there = true; }
                }
            }
            prop_assert_eq!((there, card), (to.plugged.is_some(), to.card.is_some()));
        }
    }
}
