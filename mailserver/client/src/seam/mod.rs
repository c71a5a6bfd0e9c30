//! Seams: the few things a program takes from the world, as small traits given at start.
//!
//! The same code then runs on a Pi, in a test with virtual time and on a simulated network. Sleeping is
//! [`tokio::time`]'s affair (tests pause it); these traits only answer "what time is it", "give me a stream",
//! "give me random octets" and "write this down".

mod clock;
mod entropy;
mod journal;
mod network;

pub use clock::{Clock, SystemClock};
pub use entropy::{Entropy, EntropyRng, SystemEntropy};
pub use journal::{Journal, Record, RecordKind, TracingJournal, TransmissionId};
pub use network::{BoxStream, Listener, Network, Stream, TcpNetwork};

use std::sync::Arc;

/// The world as one part of the system sees it. Cheap to clone.
#[derive(Clone)]
pub struct Seams {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Streams to and from other hosts.
    pub network: Arc<dyn Network>,
    /// Random octets fit for keys and nonces.
    pub entropy: Arc<dyn Entropy>,
    /// Where steps, security events and failures are written down.
    pub journal: Arc<dyn Journal>,
}

impl Seams {
    /// The real world: system clock, TCP, the kernel's random numbers, and `tracing` as the journal.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            network: Arc::new(TcpNetwork),
            entropy: Arc::new(SystemEntropy),
            journal: Arc::new(TracingJournal),
        }
    }
}

impl std::fmt::Debug for Seams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seams").finish_non_exhaustive()
    }
}
