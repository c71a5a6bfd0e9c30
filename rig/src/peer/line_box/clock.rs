//! A tokio runtime whose clock is that of a line: a driver's time-outs of T.30 then cost no real time, and come neither early nor
//! late because a machine is slow. The line waits at every tick until the driver has followed.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::LineBox;

/// Ticks on their way to whoever follows the line's time.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    state: Mutex<Follower>,
    followed: Condvar,
}

#[derive(Debug, Default)]
struct Follower {
    /// Where to tell; nobody follows without it.
    told: Option<mpsc::UnboundedSender<Duration>>,
    /// Whether the last tick has not been followed yet.
    waits: bool,
}

impl Ticks {
    /// Returns when the follower, if there is one, has come as far as `time`.
    pub(super) fn follow(&self, time: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told.as_ref().is_none_or(|told| told.send(time).is_err()) {
            return;
        }
        state.waits = true;
        while state.waits {
            state = self.followed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The line has ended: its follower learns it.
    pub(super) fn end(&self) {
        self.set(|state| state.told = None);
    }

    fn set(&self, change: impl FnOnce(&mut Follower)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.followed.notify_all();
    }
}

/// How often whoever waits for input is asked before time goes on, and after it went on: what has come from the line is
/// read, thought about and answered.
const TURNS: usize = 4;
/// How time goes on without a line.
const STEP: Duration = Duration::from_millis(20);

/// Runs `work` in a runtime of its own, whose time stands still but for what goes by on the line.
pub fn on_line_time<T>(line: &LineBox, work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    let ticks = &line.shared.ticks;
    let (told, mut tick) = mpsc::unbounded_channel();
    // As long as a blocking task is there, tokio does not move its paused time by itself.
    let (done, until_done) = std::sync::mpsc::channel::<()>();
    let answer = runtime.block_on(async {
        tokio::task::spawn_blocking(move || until_done.recv());
        ticks.set(|state| state.told = Some(told));
        let follow = async {
            let mut now: Option<Duration> = None;
            while let Some(time) = tick.recv().await {
                turns().await;
                tokio::time::advance(now.map_or(Duration::ZERO, |now| time.saturating_sub(now))).await;
                turns().await;
                now = Some(time);
                ticks.set(|state| state.waits = false);
            }
            // The line has ended; who still waits for something has to see his time-outs nevertheless.
            ended().await
        };
        tokio::select! {
            answer = work => answer,
            never = follow => match never {},
        }
    });
    ticks.set(|state| *state = Follower::default());
    drop(done);
    Ok(answer)
}

/// Time without a line.
async fn ended() -> std::convert::Infallible {
    loop {
        tokio::time::advance(STEP).await;
        turns().await;
    }
}

async fn turns() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}
