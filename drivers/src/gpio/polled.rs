//! An input that may tell its edges or not, as `rppal` has them: read again and again by a thread that does nothing else. To
//! sleep and to read a register costs a board much less than a turn of the whole reactor does, day and night.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Input, LineError, POLL};

/// How often a line is read at which no hand was seen lately. Where edges are told, none is missed for that; where they are
/// not, as on emulated boards, the first press has to be that long.
const REST: Duration = Duration::from_secs(3);
/// How long a hand counts as being there.
const LATELY: Duration = Duration::from_secs(60);

/// A line whose level can be read.
pub(super) trait Level: Send + 'static {
    /// High.
    fn level(&mut self) -> bool;

    /// Has `wake` called at each edge, where edges are told.
    fn at_edges(&mut self, wake: Box<dyn Fn() + Send>);
}

/// The input. Dropping it gives its line free.
#[derive(Debug)]
pub(super) struct Polled<L> {
    line: Arc<Mutex<L>>,
    changes: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

impl<L: Level> Polled<L> {
    /// Begins to read; `chip` and `number` are named where no thread can be had.
    pub(super) fn new(line: L, chip: &str, number: u32) -> Result<Self, LineError> {
        let line = Arc::new(Mutex::new(line));
        let (told, changes) = watch::channel(level(&line));
        let read = Arc::downgrade(&line);
        let reading = move || {
            let mut moved: Option<Instant> = None;
            while let Some(line) = read.upgrade().filter(|_| !told.is_closed()) {
                let now = level(&line);
                if told.send_if_modified(|before| std::mem::replace(before, now) != now) {
                    moved = Some(Instant::now());
                }
                drop(line);
                let lately = moved.is_some_and(|then| then.elapsed() < LATELY);
                thread::park_timeout(if lately { POLL } else { REST });
            }
        };
        let refused =
            |error: std::io::Error| LineError::Refused { chip: chip.into(), line: number, why: error.to_string() };
        let thread = thread::Builder::new().name("gpio-input".into()).spawn(reading).map_err(refused)?;
        let reader = thread.thread().clone();
        line.lock().unwrap_or_else(PoisonError::into_inner).at_edges(Box::new(move || reader.unpark()));
        Ok(Self { line, changes, thread: Some(thread) })
    }
}

fn level<L: Level>(line: &Mutex<L>) -> bool {
    line.lock().unwrap_or_else(PoisonError::into_inner).level()
}

#[async_trait]
impl<L: Level> Input for Polled<L> {
    fn high(&mut self) -> Result<bool, LineError> {
        Ok(level(&self.line))
    }

    async fn changed(&mut self) -> Result<(), LineError> {
        // Whatever is read next is news.
        let _ = self.changes.changed().await;
        Ok(())
    }
}

impl<L> Drop for Polled<L> {
    fn drop(&mut self) {
        // The thread has to be gone before the line is: who opens it next would be told that it is held.
        let (_, closed) = watch::channel(false);
        self.changes = closed;
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    type Wake = Box<dyn Fn() + Send>;

    #[derive(Clone, Default)]
    struct Wire(Arc<AtomicBool>, Arc<Mutex<Option<Wake>>>);

    impl Level for Wire {
        fn level(&mut self) -> bool {
            self.0.load(Ordering::Relaxed)
        }

        fn at_edges(&mut self, wake: Wake) {
            *self.1.lock().unwrap() = Some(wake);
        }
    }

    #[tokio::test]
    async fn a_change_is_told_and_the_line_is_free_afterwards() {
        let wire = Wire::default();
        let mut polled = Polled::new(wire.clone(), "chip", 4).unwrap();
        assert!(!polled.high().unwrap());
        // Without an edge, and with one.
        for high in [true, false] {
            wire.0.store(high, Ordering::Relaxed);
            if !high {
                wire.1.lock().unwrap().as_ref().unwrap()();
            }
            polled.changed().await.unwrap();
            assert_eq!(polled.high().unwrap(), high);
        }
        drop(polled);
        assert_eq!(Arc::strong_count(&wire.0), 1, "nobody holds the line any more");
    }
}
