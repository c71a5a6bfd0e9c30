//! Scenarios: short stories that name requirements, actors and expectations, run unchanged on every bench
//! (DESIGN.md, "One scenario suite, three benches").

pub mod evidence;
pub mod preflight;
pub mod runner;
pub mod select;
pub mod stories;
pub mod trouble;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::events::{EventLog, TimedOut};
use crate::lab::Lab;
use crate::twin::Twins;
use evidence::Evidence;
use trouble::Trouble;

/// Longest a scenario may take unless it says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// One story.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Stable, in lower case with hyphens: the name in every report.
    pub name: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// Requirements it sets out to prove, beyond those whose steps the journal will carry.
    pub requirements: &'static [&'static str],
    /// Longest it may take.
    pub deadline: Duration,
    /// The story itself.
    pub run: fn(Bench) -> BoxFuture<'static, Result<(), Failure>>,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scenario({})", self.name)
    }
}

/// Every scenario there is, in the order in which a run takes them.
pub fn all() -> Vec<Scenario> {
    let mut all = vec![preflight::SCENARIO];
    all.extend(stories::all());
    all
}

/// Which kind of bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BenchKind {
    /// Adapters in process, virtual devices, real sockets on loopback.
    Sim,
    /// The field's own program on emulated boards; see [`crate::twin`].
    Twin,
    /// Real boards with instruments at them; see [`crate::lab`].
    Lab,
}

impl BenchKind {
    /// The name in every report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Twin => "twin",
            Self::Lab => "lab",
        }
    }

    /// How much longer a story may take here: an emulated board is slower, and starts for every story; a real one is set up
    /// for every story.
    pub fn patience(self) -> u32 {
        match self {
            Self::Sim => 1,
            Self::Twin | Self::Lab => 6,
        }
    }
}

/// How cards reach the adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Cards {
    /// Through a reader in software, in the same process.
    #[default]
    Virtual,
    /// Through a real pcscd with virtual readers, and the driver that the field has.
    Pcscd,
}

impl Cards {
    /// The name in every report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Pcscd => "pcscd",
        }
    }
}

/// What a scenario is given: where to write, what to draw chance from, and the log.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Which kind.
    pub kind: BenchKind,
    /// Everything random follows from it.
    pub seed: u64,
    /// Where this scenario's artefacts go; it exists.
    pub folder: PathBuf,
    /// The one log.
    pub log: EventLog,
    /// The user's own page(s), if any.
    pub document: Option<PathBuf>,
    /// How cards reach the adapters.
    pub cards: Cards,
    /// The boards, on the bench `twin`.
    pub twins: Option<Twins>,
    /// Whether every screen is kept as a picture, whatever the story asks for.
    pub pictures: bool,
    /// The boards, on the bench `lab`.
    pub lab: Option<Lab>,
    /// What the bench finds out about itself while the story runs.
    pub trouble: Trouble,
    /// What is kept of a story that does not pass.
    pub evidence: Evidence,
    ready: Arc<AtomicBool>,
}

impl Bench {
    /// A bench of its own for one scenario.
    pub fn new(kind: BenchKind, seed: u64, folder: PathBuf, log: EventLog) -> Self {
        Self {
            kind,
            seed,
            folder,
            log,
            document: None,
            cards: Cards::default(),
            twins: None,
            pictures: false,
            lab: None,
            trouble: Trouble::default(),
            evidence: Evidence::default(),
            ready: Arc::default(),
        }
    }

    /// The world stands: from now on a panic is the product's or the scenario's failure, no longer the bench's.
    pub fn ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Writes a file of the run's folder (path relative to it) and notes it in the log.
    pub fn save(&self, host: &str, path: &str, octets: &[u8], text: &str) -> Result<(), Failure> {
        let whole = self.folder.join(path);
        let write = || {
            whole.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(&whole, octets)
        };
        write()
            .map_err(|error| Failure::infrastructure(format!("{} could not be written: {error}", whole.display())))?;
        self.log.artefact(host, path, text);
        Ok(())
    }
}

/// Why a scenario did not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Something expected did not happen, or something forbidden did.
    #[error("{0}")]
    Expectation(String),
    /// The bench itself broke.
    #[error("{0}")]
    Infrastructure(String),
    /// The bench lacks something the scenario needs.
    #[error("this bench has no {0}")]
    Unsupported(String),
}

impl Failure {
    /// Something expected did not happen.
    pub fn expectation(why: impl std::fmt::Display) -> Self {
        Self::Expectation(why.to_string())
    }

    /// The bench itself broke.
    pub fn infrastructure(why: impl std::fmt::Display) -> Self {
        Self::Infrastructure(why.to_string())
    }
}

impl From<TimedOut> for Failure {
    fn from(timed_out: TimedOut) -> Self {
        Self::Expectation(timed_out.to_string())
    }
}

/// An expectation in words: fails the scenario unless `holds`.
pub fn expect(holds: bool, what: impl std::fmt::Display) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Expectation(format!("expected: {what}"))) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_are_unique_and_steady() {
        let mut names: Vec<&str> = all().iter().map(|scenario| scenario.name).collect();
        let good = |name: &str| {
            name.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-')
        };
        assert!(names.iter().all(|name| good(name)), "{names:?}");
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "two scenarios share a name");
    }
}
