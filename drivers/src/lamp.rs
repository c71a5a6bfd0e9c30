//! The indicator lamp: one output that is on or off, and the patterns a person can tell apart from five metres.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How the lamp behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LampPattern {
    /// Dark.
    #[default]
    Off,
    /// Lit.
    Steady,
    /// On for half of each period, beginning lit.
    Blink {
        /// One on and one off phase together.
        period: Duration,
    },
    /// A short flash at the beginning of each period: calmer than [`LampPattern::Blink`] and told apart from it.
    Flash {
        /// From one flash to the next.
        period: Duration,
        /// How long each is lit.
        lit: Duration,
    },
}

impl LampPattern {
    /// Once a second.
    pub const HZ_1: Self = Self::Blink { period: Duration::from_millis(1000) };
    /// Twice a second.
    pub const HZ_2: Self = Self::Blink { period: Duration::from_millis(500) };
    /// Four times a second.
    pub const HZ_4: Self = Self::Blink { period: Duration::from_millis(250) };
    /// Once a second, but lit for a tenth of it only.
    pub const HZ_1_SLOW: Self = Self::Flash { period: Duration::from_millis(1000), lit: Duration::from_millis(100) };

    /// Whether the lamp is lit when the pattern has run for `since_start`.
    pub fn lit_at(self, since_start: Duration) -> bool {
        match self.cycle() {
            Err(level) => level,
            Ok((period, lit)) => phase(since_start, period) < lit.as_nanos(),
        }
    }

    /// When, counted from the pattern's start, the lamp next changes after `since_start`; `None`: never.
    pub fn next_change(self, since_start: Duration) -> Option<Duration> {
        let (period, lit) = self.cycle().ok()?;
        let phase = phase(since_start, period);
        let ahead = if phase < lit.as_nanos() { lit.as_nanos() - phase } else { period.as_nanos() - phase };
        since_start.checked_add(Duration::from_nanos(u64::try_from(ahead).ok()?))
    }

    /// Period and lit part of a pattern that changes, or the level of one that does not.
    fn cycle(self) -> Result<(Duration, Duration), bool> {
        let (period, lit) = match self {
            Self::Off => return Err(false),
            Self::Steady => return Err(true),
            Self::Blink { period } => (period, period / 2),
            Self::Flash { period, lit } => (period, lit),
        };
        if lit.is_zero() {
            Err(false)
        } else if lit >= period {
            Err(true)
        } else {
            Ok((period, lit))
        }
    }
}

fn phase(since_start: Duration, period: Duration) -> u128 {
    since_start.as_nanos().checked_rem(period.as_nanos()).unwrap_or(0)
}

/// Why a lamp could not be set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LampError {
    /// The output line refused; look at the wiring and at who else holds the line.
    #[error("the lamp's output line could not be driven; check the wiring and that no other program holds the line")]
    Line(#[source] std::io::Error),
}

/// A lamp on one output line.
pub trait Lamp: Send {
    /// Drives the line.
    fn set(&mut self, lit: bool) -> Result<(), LampError>;

    /// The line's level as read back.
    fn level(&mut self) -> Result<bool, LampError>;
}

/// Drives `lamp` by the newest pattern; each new value starts its pattern anew. Ends when every sender is gone or the
/// line fails. However it ends, also by being dropped, the lamp is left dark.
pub async fn run(lamp: Box<dyn Lamp>, mut patterns: watch::Receiver<LampPattern>) -> Result<(), LampError> {
    let mut lamp = Dark(lamp);
    loop {
        let pattern = *patterns.borrow_and_update();
        let start = Instant::now();
        // The line is set by schedule, not by reading the clock back: a late wake-up shortens a phase, never skips one.
        let mut at = Duration::ZERO;
        lamp.0.set(pattern.lit_at(at))?;
        loop {
            let next = pattern.next_change(at);
            let change = async {
                match next.and_then(|next| start.checked_add(next)) {
                    Some(instant) => sleep_until(instant).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = patterns.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return lamp.0.set(false),
                },
                () = change => {
                    at = next.unwrap_or(at);
                    lamp.0.set(pattern.lit_at(at))?;
                }
            }
        }
    }
}

/// Leaves the lamp dark when dropped.
struct Dark(Box<dyn Lamp>);

impl Drop for Dark {
    fn drop(&mut self) {
        if let Err(error) = self.0.set(false) {
            tracing::warn!(%error, "the lamp may have stayed lit");
        }
    }
}

/// A lamp for the rig: an observer sees each change of level.
pub struct VirtualLamp {
    observer: Box<dyn FnMut(bool) + Send>,
    lit: bool,
}

impl VirtualLamp {
    /// A dark lamp watched by `observer`, which is called only when the level changes.
    pub fn new(observer: impl FnMut(bool) + Send + 'static) -> Self {
        Self { observer: Box::new(observer), lit: false }
    }
}

impl std::fmt::Debug for VirtualLamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VirtualLamp({})", if self.lit { "lit" } else { "dark" })
    }
}

impl Lamp for VirtualLamp {
    fn set(&mut self, lit: bool) -> Result<(), LampError> {
        if lit != self.lit {
            self.lit = lit;
            (self.observer)(lit);
        }
        Ok(())
    }

    fn level(&mut self) -> Result<bool, LampError> {
        Ok(self.lit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;
    use std::sync::{Arc, Mutex};

    type Seen = Arc<Mutex<Vec<(u128, bool)>>>;

    fn watched() -> (Seen, Box<VirtualLamp>) {
        let seen = Seen::default();
        let start = Instant::now();
        let log = seen.clone();
        let lamp = VirtualLamp::new(move |lit| {
            log.lock().unwrap().push((start.elapsed().as_millis(), lit));
        });
        (seen, Box::new(lamp))
    }

    #[test]
    fn patterns_by_hand() {
        let ms = Duration::from_millis;
        assert!(LampPattern::HZ_1.lit_at(ms(0)));
        assert!(LampPattern::HZ_1.lit_at(ms(499)));
        assert!(!LampPattern::HZ_1.lit_at(ms(500)));
        assert_eq!(LampPattern::HZ_4.next_change(ms(130)), Some(ms(250)));
        assert_eq!(LampPattern::HZ_1_SLOW.next_change(ms(0)), Some(ms(100)));
        assert_eq!(LampPattern::Steady.next_change(ms(5)), None);
        let still = LampPattern::Blink { period: Duration::ZERO };
        assert_eq!((still.lit_at(ms(1)), still.next_change(ms(1))), (false, None));
    }

    proptest! {
        /// The next change is later, changes the level, and nothing changes before it.
        #[test]
        fn next_change_is_the_next(period in 2_u64..10_000, lit in 1_u64..10_000, at in 0_u64..100_000) {
            let ms = Duration::from_millis;
            let pattern = LampPattern::Flash { period: ms(period), lit: ms(lit) };
            if let Some(next) = pattern.next_change(ms(at)) {
                prop_assert!(next > ms(at));
                prop_assert_ne!(pattern.lit_at(next), pattern.lit_at(ms(at)));
                prop_assert_eq!(pattern.lit_at(next - ms(1)), pattern.lit_at(ms(at)));
            } else {
                prop_assert!(lit >= period);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_pattern_starts_at_once_and_the_end_is_dark() {
        let (seen, lamp) = watched();
        let (send, receive) = watch::channel(LampPattern::HZ_2);
        let task = tokio::spawn(run(lamp, receive));
        tokio::time::sleep(Duration::from_millis(1100)).await;
        send.send(LampPattern::Steady).unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        drop(send);
        task.await.unwrap().unwrap();
        let seen = seen.lock().unwrap();
        let expected = [(0, true), (250, false), (500, true), (750, false), (1000, true)];
        assert_eq!(seen[..5], expected);
        assert_eq!(seen[5..], [(3_601_100, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_means_dark() {
        let (seen, lamp) = watched();
        let (_send, receive) = watch::channel(LampPattern::Steady);
        let task = tokio::spawn(run(lamp, receive));
        tokio::time::sleep(Duration::from_millis(10)).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(*seen.lock().unwrap(), [(0, true), (10, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_line_is_reported() {
        struct Broken;
        impl Lamp for Broken {
            fn set(&mut self, _: bool) -> Result<(), LampError> {
                Err(LampError::Line(std::io::Error::other("short circuit")))
            }
            fn level(&mut self) -> Result<bool, LampError> {
                Ok(false)
            }
        }
        let (_send, receive) = watch::channel(LampPattern::HZ_1);
        let error = run(Box::new(Broken), receive).await.unwrap_err();
        assert!(error.to_string().contains("check the wiring"));
    }
}
