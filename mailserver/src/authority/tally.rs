//! What a busy server writes down: each exchange while they are few, and their sums when they are many.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lines a second that are written one by one.
const LINES: u64 = 20;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Kind {
    Good,
    Revoked,
    Unknown,
    Cached,
    Found,
    Missing,
    Refused,
}

const KINDS: usize = 7;

/// Sums since the last line about them.
#[derive(Debug)]
pub(super) struct Tally {
    began: Instant,
    second: AtomicU64,
    lines: AtomicU64,
    silent: [AtomicU64; KINDS],
    total: [AtomicU64; KINDS],
    summed: Mutex<Instant>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            second: AtomicU64::new(0),
            lines: AtomicU64::new(0),
            silent: Default::default(),
            total: Default::default(),
            summed: Mutex::new(now),
        }
    }

    /// Counts one, and says whether it may have a line of its own.
    pub(super) fn count(&self, kind: Kind) -> bool {
        add(&self.total, kind);
        let second = self.began.elapsed().as_secs();
        if self.second.load(Ordering::Relaxed) != second {
            self.second.store(second, Ordering::Relaxed);
            self.lines.store(0, Ordering::Relaxed);
        }
        // Far above the limit nothing need be written any more, not even this number.
        let own = self.lines.load(Ordering::Relaxed) < LINES && self.lines.fetch_add(1, Ordering::Relaxed) < LINES;
        if !own {
            add(&self.silent, kind);
        }
        own
    }

    /// Counts one that is also counted otherwise.
    pub(super) fn also(&self, kind: Kind) {
        add(&self.total, kind);
    }

    /// What had no line of its own since this was asked last, if anything; and in which time.
    pub(super) fn silent(&self) -> Option<([u64; KINDS], Duration)> {
        let sums = self.silent.each_ref().map(|sum| sum.swap(0, Ordering::Relaxed));
        let mut summed = self.summed.lock().unwrap_or_else(PoisonError::into_inner);
        let span = summed.elapsed();
        *summed = Instant::now();
        sums.iter().any(|sum| *sum > 0).then_some((sums, span))
    }

    /// Everything counted since the start.
    pub(super) fn total(&self, kind: Kind) -> u64 {
        self.total.get(kind as usize).map_or(0, |sum| sum.load(Ordering::Relaxed))
    }
}

fn add(sums: &[AtomicU64; KINDS], kind: Kind) {
    if let Some(sum) = sums.get(kind as usize) {
        sum.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_exchange_is_in_a_line_or_in_a_sum() {
        let tally = Tally::new();
        let own = (0..1000).filter(|_| tally.count(Kind::Good)).count() as u64;
        // A second may end while this runs.
        assert!((LINES..1000).contains(&own), "{own}");
        let (sums, _) = tally.silent().unwrap();
        assert_eq!(own + sums[Kind::Good as usize], 1000);
        assert_eq!(tally.total(Kind::Good), 1000);
        assert!(tally.silent().is_none());
    }
}
