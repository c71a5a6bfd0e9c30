//! The seams of a simulated host: the machine's clock, shifted if a story wants it so; loopback sockets with everything
//! recorded; chance that follows from the run's seed; the one event log.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sealfax_client::seam::{Clock, Entropy, Network, Seams};

use super::people::seed_of;
use crate::events::{EventLog, HostJournal};

/// The region's wall clock: the machine's own, moved by whole seconds.
#[derive(Debug, Clone, Default)]
pub struct ShiftedClock(Arc<AtomicI64>);

impl ShiftedClock {
    /// Moves the region's time.
    pub fn shift(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> SystemTime {
        let shift = self.0.load(Ordering::SeqCst);
        let by = Duration::from_secs(shift.unsigned_abs());
        if shift >= 0 { SystemTime::now() + by } else { SystemTime::now() - by }
    }
}

/// Chance that follows from the run's seed and the host's name.
pub struct SeededEntropy(Mutex<ChaCha20Rng>);

impl SeededEntropy {
    /// For `host` in the run of `seed`.
    pub fn new(host: &str, seed: u64) -> Self {
        Self(Mutex::new(ChaCha20Rng::from_seed(seed_of(host, seed))))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, octets: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(octets);
    }
}

/// The seams of one host.
pub fn seams(host: &str, seed: u64, network: Arc<dyn Network>, clock: &ShiftedClock, log: &EventLog) -> Seams {
    Seams {
        clock: Arc::new(clock.clone()),
        network,
        entropy: Arc::new(SeededEntropy::new(host, seed)),
        journal: Arc::new(HostJournal::new(log.clone())),
    }
}
