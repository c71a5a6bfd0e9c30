//! The indicator lamp: one output that is on or off, and the patterns a person can tell apart from five metres.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::gpio::LineError;

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

/// Why a lamp could not be set, or is not as it was set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LampError {
    /// The output line refused; look at the wiring and at who else holds the line.
    #[error("the lamp's output line could not be driven; check the wiring and that no other program holds the line")]
    Line(#[source] std::io::Error),
    /// Its line on the GPIO chip cannot be had.
    #[error("the lamp cannot be driven: {0}")]
    Gpio(#[source] LineError),
    /// The pin is not at the level it is driven to.
    #[error("the lamp is driven {} and its pin reads the opposite; look for a short circuit at the pin", lit_or_dark(*.lit))]
    Stuck {
        /// What was wanted.
        lit: bool,
    },
    /// The sense line says otherwise.
    #[error(
        "the lamp is driven {} and its sense line says {}; check the wire to the lamp, its plug, and the sense wire",
        lit_or_dark(*.lit), lit_or_dark(!*.lit)
    )]
    Sense {
        /// What was wanted.
        lit: bool,
    },
}

fn lit_or_dark(lit: bool) -> &'static str {
    if lit { "lit" } else { "dark" }
}

impl LampError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Line(_) | Self::Gpio(_) => "LAMP-001",
            Self::Stuck { .. } => "LAMP-002",
            Self::Sense { .. } => "LAMP-003",
        }
    }

    /// At which level of the lamp it shows, if not at both.
    pub fn lit(&self) -> Option<bool> {
        match self {
            Self::Line(_) | Self::Gpio(_) => None,
            Self::Stuck { lit } | Self::Sense { lit } => Some(*lit),
        }
    }
}

/// A lamp on one output line.
pub trait Lamp: Send {
    /// Drives the line.
    fn set(&mut self, lit: bool) -> Result<(), LampError>;

    /// The line's level as read back.
    fn level(&mut self) -> Result<bool, LampError>;

    /// Whether the lamp is what it was last set to: asked a little after each change ([`SETTLING`]).
    fn check(&mut self) -> Result<(), LampError> {
        Ok(())
    }
}

/// How long a change takes until it is seen at the lamp's far end.
pub const SETTLING: Duration = Duration::from_millis(30);
/// How soon a lamp that cannot be driven is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Drives `lamp` by the newest pattern; each new value starts its pattern anew. Ends when every sender is gone. However
/// it ends, also by being dropped, the lamp is left dark. A lamp that fails is tried again; `tell` hears what is wrong when
/// that changes, and `None` when it is well again.
pub async fn run(
    lamp: Box<dyn Lamp>,
    mut patterns: watch::Receiver<LampPattern>,
    tell: impl FnMut(Option<LampError>) + Send,
) {
    let mut lamp = Watched { lamp: Dark(lamp), trouble: None, tell };
    loop {
        let pattern = *patterns.borrow_and_update();
        let start = Instant::now();
        // The line is set by schedule, not by reading the clock back: a late wake-up shortens a phase, never skips one.
        let mut at = Duration::ZERO;
        let mut driven = lamp.set(pattern.lit_at(at));
        let mut check = driven.then(|| start + SETTLING);
        loop {
            // What cannot be driven cannot blink either.
            let next = if driven { pattern.next_change(at) } else { start.elapsed().checked_add(AGAIN) };
            let due = next.and_then(|next| start.checked_add(next));
            tokio::select! {
                biased;
                changed = patterns.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                () = until(due) => {
                    at = next.unwrap_or(at);
                    driven = lamp.set(pattern.lit_at(at));
                    check = driven.then(|| Instant::now() + SETTLING);
                }
                () = until(check) => {
                    check = lamp.check(pattern.lit_at(at)).then(|| Instant::now() + AGAIN);
                }
            }
        }
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// A lamp and what is known to be wrong with it.
struct Watched<T> {
    lamp: Dark,
    /// In words, and at which level it shows.
    trouble: Option<(String, Option<bool>)>,
    tell: T,
}

impl<T: FnMut(Option<LampError>)> Watched<T> {
    /// Whether it could be driven.
    fn set(&mut self, lit: bool) -> bool {
        match self.lamp.0.set(lit) {
            Ok(()) => true,
            Err(error) => {
                self.wrong(error);
                false
            }
        }
    }

    /// Whether to ask again soon: something is or was wrong.
    fn check(&mut self, lit: bool) -> bool {
        match self.lamp.0.check() {
            // A lamp that does not light is dark when it should be: that proves nothing.
            Ok(()) if self.trouble.as_ref().is_some_and(|(_, at)| at.is_none_or(|at| at == lit)) => {
                self.trouble = None;
                (self.tell)(None);
            }
            Ok(()) => {}
            Err(error) => self.wrong(error),
        }
        self.trouble.is_some()
    }

    fn wrong(&mut self, error: LampError) {
        let trouble = Some((error.to_string(), error.lit()));
        if self.trouble != trouble {
            self.trouble = trouble;
            (self.tell)(Some(error));
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
        let task = tokio::spawn(run(lamp, receive, |_| {}));
        tokio::time::sleep(Duration::from_millis(1100)).await;
        send.send(LampPattern::Steady).unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        drop(send);
        task.await.unwrap();
        let seen = seen.lock().unwrap();
        let expected = [(0, true), (250, false), (500, true), (750, false), (1000, true)];
        assert_eq!(seen[..5], expected);
        assert_eq!(seen[5..], [(3_601_100, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_means_dark() {
        let (seen, lamp) = watched();
        let (_send, receive) = watch::channel(LampPattern::Steady);
        let task = tokio::spawn(run(lamp, receive, |_| {}));
        tokio::time::sleep(Duration::from_millis(10)).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(*seen.lock().unwrap(), [(0, true), (10, false)]);
    }

    /// A lamp that fails and recovers as the test wants it.
    struct Moody(Mood);

    /// Why it cannot be set, and at which level it is not what it was set to.
    type Mood = Arc<Mutex<(Option<&'static str>, Option<bool>)>>;

    impl Lamp for Moody {
        fn set(&mut self, _: bool) -> Result<(), LampError> {
            match self.0.lock().unwrap().0 {
                Some(why) => Err(LampError::Line(std::io::Error::other(why))),
                None => Ok(()),
            }
        }
        fn level(&mut self) -> Result<bool, LampError> {
            Ok(false)
        }
        fn check(&mut self) -> Result<(), LampError> {
            match self.0.lock().unwrap().1 {
                Some(lit) => Err(LampError::Sense { lit }),
                None => Ok(()),
            }
        }
    }

    type Told = Arc<Mutex<Vec<Option<&'static str>>>>;

    fn moody(pattern: LampPattern) -> (Mood, Told, watch::Sender<LampPattern>) {
        let (mood, told) = (Arc::default(), Told::default());
        let (send, receive) = watch::channel(pattern);
        let log = told.clone();
        let lamp = Box::new(Moody(Arc::clone(&mood)));
        tokio::spawn(run(lamp, receive, move |error| log.lock().unwrap().push(error.map(|error| error.code()))));
        (mood, told, send)
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_line_is_told_once_and_tried_again() {
        let (mood, told, _send) = moody(LampPattern::HZ_1);
        mood.lock().unwrap().0 = Some("short circuit");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(*told.lock().unwrap(), [Some("LAMP-001")]);
        mood.lock().unwrap().0 = None;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(*told.lock().unwrap(), [Some("LAMP-001"), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lamp_that_does_not_light_goes_on_blinking_and_is_not_well_because_it_is_dark() {
        let (mood, told, send) = moody(LampPattern::Steady);
        mood.lock().unwrap().1 = Some(true);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*told.lock().unwrap(), [Some("LAMP-003")]);
        mood.lock().unwrap().1 = None;
        send.send(LampPattern::Off).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(*told.lock().unwrap(), [Some("LAMP-003")]);
        send.send(LampPattern::HZ_1).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(*told.lock().unwrap(), [Some("LAMP-003"), None]);
    }
}
