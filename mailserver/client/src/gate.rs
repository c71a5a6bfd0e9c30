//! The gate of a listener: accepts, counts sessions in all and from each address, and runs every session as a task of
//! its own. The same for every protocol.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::seam::{BoxStream, Journal, Listener};

/// Whether there is room for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// To be served.
    Served,
    /// Too many are here: to be turned away in the protocol's own words.
    TurnedAway,
}

/// What a gate is told.
pub(crate) struct Gate {
    /// Most sessions at once.
    pub(crate) sessions: usize,
    /// Most sessions at once from one address.
    pub(crate) sessions_per_address: usize,
    /// The name in the journal.
    pub(crate) host: String,
    /// Where trouble is written down.
    pub(crate) journal: Arc<dyn Journal>,
    /// Code of "cannot accept a connection".
    pub(crate) accept_code: &'static str,
    /// Code of "too many sessions".
    pub(crate) sessions_code: &'static str,
}

impl Gate {
    /// Runs `session` for each connection until `shutdown` turns true or its sender is gone, then waits for those that
    /// run. Dropping the future aborts every session at once.
    pub(crate) async fn keep<F, Fut>(self, listener: Box<dyn Listener>, mut shutdown: watch::Receiver<bool>, session: F)
    where
        F: Fn(BoxStream, SocketAddr, Admission) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let Self { host, journal, .. } = &self;
        let counts: Counts = Arc::default();
        let mut sessions = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    journal.failure(host, self.accept_code, format!("cannot accept a connection: {error}"));
                    // Out of descriptors: without a pause this would spin.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let place = Place::take(&counts, peer.ip());
            let mut admission = Admission::Served;
            if sessions.len() >= self.sessions || place.count > self.sessions_per_address {
                admission = Admission::TurnedAway;
                journal.security(host, self.sessions_code, format!("too many sessions, {peer} turned away"));
                // Even turning away costs a task: beyond this there is not a word.
                if sessions.len() >= self.sessions.saturating_mul(2) {
                    continue;
                }
            }
            let running = session(stream, peer, admission);
            sessions.spawn(async move {
                let _place = place;
                running.await;
            });
        }
        while sessions.join_next().await.is_some() {}
    }
}

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One session's place in the count of its address; given back when dropped.
struct Place {
    counts: Counts,
    address: IpAddr,
    count: usize,
}

impl Place {
    fn take(counts: &Counts, address: IpAddr) -> Self {
        let mut guard = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = guard.entry(address).or_insert(0);
        *count += 1;
        let count = *count;
        Self { counts: counts.clone(), address, count }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guard = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = guard.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                guard.remove(&self.address);
            }
        }
    }
}
