//! Which connections wait for the header of a request, and since when: where there is no place for another one, whoever
//! has waited longest has to go. A peer that sends its request in drops keeps nobody out that way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// While a request is answered.
const BUSY: u64 = u64::MAX;

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Waits {
    began: Instant,
    all: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    next: u64,
    waits: HashMap<u64, Arc<Wait>>,
}

#[derive(Debug)]
struct Wait {
    /// Nanoseconds since the server's start, or [`BUSY`].
    since: AtomicU64,
    end: Notify,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Waiter {
    waits: Arc<Waits>,
    number: u64,
    wait: Arc<Wait>,
}

impl Waits {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), all: Mutex::default() }
    }

    /// A connection that begins to wait for its first request.
    pub(super) fn enter(self: &Arc<Self>) -> Waiter {
        let wait = Arc::new(Wait { since: AtomicU64::new(self.now()), end: Notify::new() });
        let mut known = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let number = known.next;
        known.next += 1;
        known.waits.insert(number, Arc::clone(&wait));
        Waiter { waits: Arc::clone(self), number, wait }
    }

    /// Ends the connection that has waited longest. Returns whether there was one.
    pub(super) fn end_longest(&self) -> bool {
        let known = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = known
            .waits
            .values()
            .map(|wait| (wait.since.load(Ordering::Relaxed), wait))
            .filter(|(since, _)| *since != BUSY)
            .min_by_key(|(since, _)| *since);
        let Some((_, wait)) = longest else {
            return false;
        };
        // It goes: the next one who needs a place has to look for another.
        wait.since.store(BUSY, Ordering::Relaxed);
        wait.end.notify_one();
        true
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(BUSY).min(BUSY - 1)
    }
}

impl Waiter {
    /// A request is there.
    pub(super) fn is_busy(&self) {
        self.wait.since.store(BUSY, Ordering::Relaxed);
    }

    /// It is answered, and the connection waits for the next one.
    pub(super) fn waits(&self) {
        self.wait.since.store(self.waits.now(), Ordering::Relaxed);
    }

    /// Returns when the connection has to end.
    pub(super) async fn ended(&self) {
        self.wait.end.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waits.all.lock().unwrap_or_else(PoisonError::into_inner).waits.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn who_waited_longest_goes_and_who_is_answered_stays() {
        let waits = Arc::new(Waits::new());
        let (first, second, third) = (waits.enter(), waits.enter(), waits.enter());
        // By the clock they may have come at the same moment.
        for (waiter, since) in [(&first, 1), (&second, 2), (&third, 3)] {
            waiter.wait.since.store(since, Ordering::Relaxed);
        }
        first.is_busy();
        assert!(waits.end_longest());
        second.ended().await;
        assert!(waits.end_longest());
        third.ended().await;
        assert!(!waits.end_longest(), "one is busy, the others go already");
        first.waits();
        assert!(waits.end_longest());
        first.ended().await;
        drop((first, second, third));
        assert!(waits.all.lock().unwrap().waits.is_empty());
    }
}
