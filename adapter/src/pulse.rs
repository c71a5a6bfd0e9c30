//! Whether the adapter's workers still go on. Each says when it takes something up and when it waits again; one that has been
//! at something for longer than it may is stuck, and then nobody tells a watchdog that all is well. Who waits is not woken to
//! say so: a board with nothing to do sleeps. The desk alone is woken every few seconds, so that it is seen when nobody is
//! given a turn any more.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::flow::At;

/// How often the desk beats that has nothing else to do.
pub const EVERY: Duration = Duration::from_secs(10);
/// How long a worker may be at something. A picture is drawn, a file is written through to a slow card: that takes no such time.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// Waits for the next moment, at most `every` away, at which all look who look so often: a board with nothing to do is
/// woken once for them all.
pub(crate) async fn tick(every: Duration) {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    tokio::time::sleep(until_next(every, BEGAN.elapsed())).await;
}

/// From `since` to the next whole multiple of `every`.
fn until_next(every: Duration, since: Duration) -> Duration {
    let over = since.as_nanos().checked_rem(every.as_nanos()).unwrap_or_default();
    every.saturating_sub(Duration::from_nanos(u64::try_from(over).unwrap_or_default()))
}

/// Judges beats. No clock of its own.
#[derive(Debug)]
pub struct Pulse {
    patience: Duration,
    /// When each last took something up; `None`: it waits.
    last: BTreeMap<&'static str, Option<At>>,
}

/// A worker that is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent {
    /// Which.
    pub worker: &'static str,
    /// For how long it has been at the same thing.
    pub since: Duration,
}

impl Pulse {
    /// Of no workers yet.
    pub fn new(patience: Duration) -> Self {
        Self { patience, last: BTreeMap::new() }
    }

    /// The worker takes something up.
    pub fn beat(&mut self, worker: &'static str, at: At) {
        let last = self.last.entry(worker).or_default();
        *last = (*last).max(Some(at));
    }

    /// The worker waits, however long it takes, for something to happen.
    pub fn waits(&mut self, worker: &'static str) {
        self.last.insert(worker, None);
    }

    /// The worker has ended; that is for others to judge.
    pub fn gone(&mut self, worker: &'static str) {
        self.last.remove(worker);
    }

    /// All that are stuck, by name.
    pub fn silent(&self, at: At) -> Vec<Silent> {
        let busy = self.last.iter().filter_map(|(worker, last)| Some((worker, (*last)?)));
        let since = busy.map(|(worker, last)| Silent { worker, since: at.saturating_sub(last) });
        since.filter(|silent| silent.since > self.patience).collect()
    }
}

/// A pulse that is shared, with the time since it began. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Heart {
    pulse: Arc<Mutex<Pulse>>,
    began: Instant,
}

impl Heart {
    pub(crate) fn new() -> Self {
        Self { pulse: Arc::new(Mutex::new(Pulse::new(PATIENCE))), began: Instant::now() }
    }

    /// The beats of a new worker, which takes its work up now.
    pub(crate) fn worker(&self, name: &'static str) -> Beat {
        let beat = Beat { heart: self.clone(), name };
        beat.beat();
        beat
    }

    pub(crate) fn silent(&self) -> Vec<Silent> {
        self.silent_in(Duration::ZERO)
    }

    /// Those who would be stuck if nothing happened for this time.
    pub(crate) fn silent_in(&self, time: Duration) -> Vec<Silent> {
        let at = self.began.elapsed().saturating_add(time);
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner).silent(at)
    }
}

/// The beats of one worker; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Beat {
    heart: Heart,
    name: &'static str,
}

impl Beat {
    /// The worker came round, or takes something up.
    pub(crate) fn beat(&self) {
        let at = self.heart.began.elapsed();
        self.heart.pulse.lock().unwrap_or_else(PoisonError::into_inner).beat(self.name, at);
    }

    /// The worker waits for something to happen.
    pub(crate) fn waits(&self) {
        self.heart.pulse.lock().unwrap_or_else(PoisonError::into_inner).waits(self.name);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.heart.pulse.lock().unwrap_or_else(PoisonError::into_inner).gone(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_looks_equally_often_looks_at_the_same_moment() {
        let next = |milliseconds| {
            let since = Duration::from_millis(milliseconds);
            since + until_next(5 * SECOND, since)
        };
        assert_eq!([0, 1, 3_000, 4_999].map(next), [5 * SECOND; 4]);
        // Who comes at the very moment waits for the next.
        assert_eq!(next(5_000), 10 * SECOND);
        assert_eq!(until_next(Duration::ZERO, SECOND), Duration::ZERO);
    }

    #[test]
    fn who_is_silent_for_too_long_is_stuck() {
        let mut pulse = Pulse::new(10 * SECOND);
        pulse.beat("desk", At::ZERO);
        pulse.beat("screen", 5 * SECOND);
        assert!(pulse.silent(10 * SECOND).is_empty());
        assert_eq!(pulse.silent(11 * SECOND), [Silent { worker: "desk", since: 11 * SECOND }]);
        pulse.beat("desk", 11 * SECOND);
        assert!(pulse.silent(12 * SECOND).is_empty());
        // A beat that is told late takes nothing back.
        pulse.beat("desk", 3 * SECOND);
        assert!(pulse.silent(15 * SECOND).is_empty());
        let both = pulse.silent(60 * SECOND);
        assert_eq!(both.iter().map(|silent| silent.worker).collect::<Vec<_>>(), ["desk", "screen"]);
        // Who waits may wait for ever, and is late again only for what it takes up then.
        pulse.waits("screen");
        assert_eq!(pulse.silent(60 * SECOND), [Silent { worker: "desk", since: 49 * SECOND }]);
        pulse.beat("screen", 3600 * SECOND);
        pulse.gone("desk");
        assert!(pulse.silent(3610 * SECOND).is_empty());
        assert_eq!(pulse.silent(3611 * SECOND), [Silent { worker: "screen", since: 11 * SECOND }]);
        pulse.gone("screen");
        assert!(pulse.silent(7200 * SECOND).is_empty());
    }
}
