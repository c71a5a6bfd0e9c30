//! The adapter as a service of its host: tells systemd that it is ready, how it is and that it stops (sd_notify(3)), feeds the
//! watchdogs while no worker is stuck, and ends when it is told to or when a worker ended.

mod hardware_watchdog;
mod log;

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

pub use hardware_watchdog::HardwareWatchdog;
pub use log::{JournalLine, LineKind, start as start_log};

use crate::pulse;
use crate::supervisor::Adapter;
use crate::workers::Ended;

/// Longest between two looks at the workers. A board's own watchdog waits for 15 s at least.
const LOOK: Duration = Duration::from_secs(10);

/// How a service ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was told to, and let its sessions finish.
    Stopped,
    /// It was told twice, and did not wait.
    AtOnce,
    /// A worker ended by itself.
    Broken(Ended),
}

/// Whom the service tells how it is. [`Systemd`] in the field.
pub trait Manager: Send + Sync {
    /// Tells it this. Nobody listening is no failure.
    fn tell(&self, states: &[NotifyState<'_>]);
    /// After which time without a feeding it would end us; `None`: it would not.
    fn watchdog(&self) -> Option<Duration>;
}

/// The service manager that started us, by its environment variables.
#[derive(Debug, Clone, Copy, Default)]
pub struct Systemd;

impl Manager for Systemd {
    fn tell(&self, states: &[NotifyState<'_>]) {
        // A manager that does not read what it is told, for its socket takes ten words, holds nobody else up.
        if let Err(error) = tokio::task::block_in_place(|| sd_notify::notify(states)) {
            tracing::debug!(%error, "the service manager could not be told");
        }
    }

    fn watchdog(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }
}

/// Keeps the adapter until `stop` is told or a worker ends. Each item of `stop` is one demand to stop: the first lets sessions
/// finish, the second does not.
pub async fn keep(
    mut adapter: Adapter,
    manager: &dyn Manager,
    mut hardware: Option<HardwareWatchdog>,
    stop: &mut tokio::sync::mpsc::UnboundedReceiver<()>,
) -> Ending {
    let mut status = adapter.state_of_health();
    manager.tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    // A third leaves room for a late one.
    let fed_every = manager.watchdog().map(|limit| limit / 3);
    let mut fed: Option<Instant> = None;
    let mut complained = false;
    let look = fed_every.map_or(LOOK, |every| every.min(LOOK)).max(Duration::from_millis(1));
    let broken = loop {
        let silent = adapter.silent();
        if let Some(worst) = silent.first() {
            if !std::mem::replace(&mut complained, true) {
                adapter.complain(worst);
            }
        } else {
            complained = false;
            if let Some(hardware) = &mut hardware {
                hardware.feed();
            }
            if fed_every.is_some_and(|every| fed.is_none_or(|last| last.elapsed() >= every)) {
                fed = Some(Instant::now());
                manager.tell(&[NotifyState::Watchdog]);
            }
        }
        let now = adapter.state_of_health();
        if now != status {
            status = now;
            manager.tell(&[NotifyState::Status(&status)]);
        }
        tokio::select! {
            ended = adapter.ended() => break Some(ended),
            _ = stop.recv() => break None,
            () = pulse::tick(look) => {}
        }
    };
    let last_words = broken.as_ref().map_or_else(|| "stopping".to_owned(), ToString::to_string);
    manager.tell(&[NotifyState::Stopping, NotifyState::Status(&last_words)]);
    let ending = tokio::select! {
        () = adapter.shutdown() => broken.map_or(Ending::Stopped, Ending::Broken),
        _ = stop.recv() => Ending::AtOnce,
    };
    // Of a service that broke the watchdog stays armed: if it does not come back, the machine starts anew.
    if let (Some(hardware), Ending::Stopped | Ending::AtOnce) = (hardware, &ending) {
        hardware.disarm();
    }
    ending
}
