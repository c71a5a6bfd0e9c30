//! Random octets fit for keys and nonces.

use std::convert::Infallible;
use std::sync::Arc;

use rand_core::{TryCryptoRng, TryRng};

/// A source of random octets fit for keys and nonces.
pub trait Entropy: Send + Sync {
    /// Fills `octets` with unpredictable values.
    fn fill(&self, octets: &mut [u8]);

    /// Sixteen random octets in lower-case hexadecimal: for identifiers, boundaries and file names.
    fn token(&self) -> String {
        let mut octets = [0u8; 16];
        self.fill(&mut octets);
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

/// The operating system's generator, through the per-thread ChaCha of the `rand` crate.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, octets: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), octets);
    }
}

/// An [`Entropy`] as a `rand_core` generator, for the cryptographic crates.
#[derive(Clone)]
pub struct EntropyRng(pub Arc<dyn Entropy>);

impl std::fmt::Debug for EntropyRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EntropyRng")
    }
}

impl TryRng for EntropyRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut octets = [0u8; 4];
        self.0.fill(&mut octets);
        Ok(u32::from_le_bytes(octets))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut octets = [0u8; 8];
        self.0.fill(&mut octets);
        Ok(u64::from_le_bytes(octets))
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(octets);
        Ok(())
    }
}

// A `Rng` with an infallible error and this marker is a `CryptoRng`.
impl TryCryptoRng for EntropyRng {}
