//! What a hand does with a button, from the level of its line: contacts bounce for some milliseconds, a press is short
//! when it is let go, and long while it is still held. Pure: the caller brings level and time.

use std::time::Duration;

use crate::button::{ButtonPress, LONG_PRESS};

/// So long a level has to stand before it counts: contacts bounce for 5 ms, old ones for 15.
pub const DEBOUNCE: Duration = Duration::from_millis(20);

/// The button's state. Times are counted from any fixed start and never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presses {
    /// The level as last seen, and since when.
    seen: bool,
    since: Duration,
    /// The level that counts.
    settled: bool,
    /// When the press began that goes on and has not been told yet.
    pressed: Option<Duration>,
}

impl Presses {
    /// A button as it is found. One that is found pressed is jammed, or its wire is short: it counts once it was let go.
    pub fn new(down: bool) -> Self {
        Self { seen: down, since: Duration::ZERO, settled: down, pressed: None }
    }

    /// The level at `at`; also when nothing changed, at [`Presses::next`]. A press is told at most once.
    pub fn level(&mut self, down: bool, at: Duration) -> Option<ButtonPress> {
        // What was due before this moment comes first, however late we look.
        let press = self.elapse(at);
        if down != self.seen {
            (self.seen, self.since) = (down, at);
        }
        // A bounce that is over may have hidden that the five seconds are.
        press.or_else(|| self.elapse(at))
    }

    /// When to look again although no level changed.
    pub fn next(&self) -> Option<Duration> {
        if self.seen != self.settled {
            return self.since.checked_add(DEBOUNCE);
        }
        self.pressed.and_then(|began| began.checked_add(LONG_PRESS))
    }

    fn elapse(&mut self, at: Duration) -> Option<ButtonPress> {
        let settles = self.since.saturating_add(DEBOUNCE);
        // A hand that let go before the five seconds were over did not hold for five seconds, even if nobody looked.
        let until = if self.settled && !self.seen { self.since } else { at };
        let long = self.pressed.is_some_and(|began| until >= began.saturating_add(LONG_PRESS));
        let mut press = None;
        if long {
            self.pressed = None;
            press = Some(ButtonPress::Long);
        }
        if self.seen != self.settled && at >= settles {
            self.settled = self.seen;
            if self.settled {
                self.pressed = Some(self.since);
                // Held all the while that nobody looked.
                if at >= self.since.saturating_add(LONG_PRESS) {
                    self.pressed = None;
                    press = Some(ButtonPress::Long);
                }
            } else if self.pressed.take().is_some() {
                press = Some(ButtonPress::Short);
            }
        }
        press
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 1000;

    /// Plays phases (down, milliseconds), looking at every change, when `next` asks for it, and every `also` ms.
    fn play(phases: &[(bool, u64)], also: u64) -> Vec<(ButtonPress, u64)> {
        let mut presses = Presses::new(false);
        let mut told = Vec::new();
        let (mut begin, mut level) = (START, false);
        let mut look = |presses: &mut Presses, level, at: u64| {
            told.extend(presses.level(level, Duration::from_millis(at)).map(|press| (press, at)));
        };
        for (down, length) in phases.iter().chain([&(false, 60_000)]) {
            // The moment of the change is seen with the new level.
            level = *down;
            let mut at = begin;
            while at < begin + length {
                look(&mut presses, level, at);
                let due = presses.next().map_or(u64::MAX, |due| due.as_millis() as u64);
                at = (at + also).min(due.max(at + 1));
            }
            begin += length;
        }
        look(&mut presses, level, begin);
        told
    }

    #[test]
    fn short_when_let_go_long_while_held() {
        let told = play(&[(true, 200)], 1_000_000);
        assert_eq!(told, [(ButtonPress::Short, START + 220)]);
        let told = play(&[(true, 9000)], 1_000_000);
        assert_eq!(told, [(ButtonPress::Long, START + 5000)]);
        assert_eq!(play(&[(true, 19)], 1_000_000), []);
    }

    #[test]
    fn late_looks_tell_the_same() {
        let ms = Duration::from_millis;
        let mut presses = Presses::new(false);
        assert_eq!(presses.level(true, ms(0)), None);
        assert_eq!(presses.level(true, ms(30)), None);
        assert_eq!(presses.level(false, ms(4000)), None);
        assert_eq!(presses.level(false, ms(9000)), Some(ButtonPress::Short));
        assert_eq!(presses.level(true, ms(10_000)), None);
        assert_eq!(presses.level(true, ms(20_000)), Some(ButtonPress::Long));
        assert_eq!(presses.level(false, ms(21_000)), None);
        assert_eq!(presses.level(false, ms(22_000)), None);
        assert_eq!(presses.next(), None);
    }

    #[test]
    fn a_jammed_button_does_nothing_until_it_is_let_go() {
        let ms = Duration::from_millis;
        let mut presses = Presses::new(true);
        for at in 0..100 {
            assert_eq!(presses.level(true, ms(at * 100)), None);
        }
        assert_eq!(presses.next(), None);
        assert_eq!(presses.level(false, ms(10_000)), None);
        assert_eq!(presses.level(false, ms(10_020)), None);
        assert_eq!(presses.level(true, ms(11_000)), None);
        assert_eq!(presses.level(true, ms(11_020)), None);
        assert_eq!(presses.level(false, ms(11_100)), None);
        assert_eq!(presses.level(false, ms(11_120)), Some(ButtonPress::Short));
    }

    proptest! {
        /// Noise shorter than the debounce time is never a press.
        #[test]
        fn noise_is_nothing(phases in prop::collection::vec((1_u64..20, 20_u64..500), 0..40), also in 1_u64..50) {
            let phases: Vec<_> = phases.iter().flat_map(|(down, up)| [(true, *down), (false, *up)]).collect();
            prop_assert_eq!(play(&phases, also), []);
        }

        /// Each hold is told once, as what it was, whatever bounces at its ends and however often one looks.
        #[test]
        fn each_hold_is_told_once(
            holds in prop::collection::vec((40_u64..12_000, 40_u64..2000, prop::collection::vec(1_u64..19, 0..6)), 0..8),
            also in 1_u64..200,
        ) {
            let (mut phases, mut wanted) = (Vec::new(), Vec::new());
            for (down, up, bounces) in &holds {
                // Bouncing ends closed, so an odd number of bounces would be the first contact itself.
                for pair in bounces.chunks_exact(2) {
                    phases.extend([(true, pair[0]), (false, pair[1])]);
                }
                phases.extend([(true, *down), (false, *up)]);
                wanted.push(if *down >= 5000 { ButtonPress::Long } else { ButtonPress::Short });
            }
            let told: Vec<_> = play(&phases, also).into_iter().map(|(press, _)| press).collect();
            prop_assert_eq!(told, wanted);
        }

        /// Whatever the levels and times, at most one press for each time the button goes down, and what is asked for is
        /// in the future.
        #[test]
        fn never_more_presses_than_pushes(steps in prop::collection::vec((any::<bool>(), 0_u64..8000), 0..60)) {
            let mut presses = Presses::new(false);
            let (mut at, mut pushes, mut told, mut before) = (0, 0, 0, false);
            for (down, wait) in steps {
                at += wait;
                pushes += usize::from(down && !before);
                before = down;
                told += usize::from(presses.level(down, Duration::from_millis(at)).is_some());
                prop_assert!(told <= pushes);
                if let Some(next) = presses.next() {
                    prop_assert!(next > Duration::from_millis(at));
                }
            }
        }
    }
}
