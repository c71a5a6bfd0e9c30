//! What a run yields: verdicts, and from the one event log every report there is.

mod escape;
pub mod html;
pub mod json;
pub mod junit;
pub mod program;
pub mod table;
pub mod vcd;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::events::{Event, EventKind};

/// How a scenario ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything it expects happened.
    Pass,
    /// Passed in some of several runs and failed in others.
    Flaky,
    /// The bench lacks something it needs.
    Unsupported,
    /// Something it expects did not happen.
    Fail,
    /// The bench itself broke; nothing is said about the product.
    InfraError,
}

impl Verdict {
    /// The name in every report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Flaky => "flaky",
            Self::Unsupported => "unsupported",
            Self::Fail => "fail",
            Self::InfraError => "infra-error",
        }
    }

    /// A shape beside the colour.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Pass => "✓",
            Self::Flaky => "≈",
            Self::Unsupported => "–",
            Self::Fail => "✗",
            Self::InfraError => "!",
        }
    }
}

/// One scenario's outcome and evidence.
#[derive(Debug, Clone)]
pub struct ScenarioResult {
    /// The stable name.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why, unless it passed.
    pub why: Option<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// What it sets out to prove.
    pub requirements: Vec<String>,
    /// Everything that happened.
    pub events: Vec<Event>,
    /// Where its artefacts lie.
    pub folder: PathBuf,
}

impl ScenarioResult {
    /// The artefacts that were written, relative to the folder, in order, each once.
    pub fn artefacts(&self) -> Vec<&str> {
        let mut paths = Vec::new();
        for event in &self.events {
            if let EventKind::Artefact { path } = &event.kind
                && !paths.contains(&path.as_str())
            {
                paths.push(path.as_str());
            }
        }
        paths
    }
}

/// One run of one or more scenarios on one bench.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// The bench's name.
    pub bench: String,
    /// The seed that replays it.
    pub seed: u64,
    /// When it began.
    pub started: SystemTime,
    /// What it ran on: versions, machine.
    pub environment: BTreeMap<String, String>,
    /// In the order in which they ran.
    pub results: Vec<ScenarioResult>,
}

impl RunReport {
    /// The worst verdict; an empty run proves nothing and is an infrastructure error.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.results.iter().map(|result| result.verdict);
        verdicts.max().unwrap_or(Verdict::InfraError)
    }

    /// The exit code of DESIGN.md: 0 well, 1 failed, 3 the bench itself broke.
    pub fn exit_code(&self) -> u8 {
        match self.verdict() {
            Verdict::Pass | Verdict::Flaky | Verdict::Unsupported => 0,
            Verdict::Fail => 1,
            Verdict::InfraError => 3,
        }
    }

    /// How many scenarios ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict == verdict).count()
    }

    /// Writes `report.html`, `report.json`, `junit.xml`, `signals.vcd` and `events.jsonl` into `folder`.
    pub fn write_all(&self, folder: &Path) -> Result<(), ReportError> {
        let failed = |path: PathBuf| move |source| ReportError::Write { path, source };
        fs::create_dir_all(folder).map_err(failed(folder.to_path_buf()))?;
        let files: [(&str, Vec<u8>); 5] = [
            ("report.json", json::render(self, folder)?.into_bytes()),
            ("junit.xml", junit::render(self).into_bytes()),
            ("signals.vcd", vcd::render(self).map_err(ReportError::Vcd)?),
            ("events.jsonl", json::render_events(self)?.into_bytes()),
            ("report.html", html::render(self, folder).into_bytes()),
        ];
        for (name, octets) in files {
            let path = folder.join(name);
            fs::write(&path, octets).map_err(failed(path))?;
        }
        Ok(())
    }
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file system refused.
    #[error("{} could not be written; check the folder given with --out", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// JSON could not be made.
    #[error("report.json could not be made; this is a mistake in the rig")]
    Json(#[from] serde_json::Error),
    /// VCD could not be made.
    #[error("signals.vcd could not be made; this is a mistake in the rig")]
    Vcd(#[source] io::Error),
}

#[cfg(test)]
pub(crate) mod sample {
    //! A small run with something in every lane, for the tests of every format.
    use super::*;
    use crate::events::{Direction, Lane};
    use sealfax_drivers::display::ScreenKind;

    fn event(millis: u64, lane: Lane, host: &str, kind: EventKind, text: &str) -> Event {
        let at = Duration::from_millis(millis);
        Event { at, lane, host: host.into(), text: text.into(), kind }
    }

    pub(crate) fn report(folder: &Path) -> RunReport {
        let screen = |screen, words: &[&str], png: &str| EventKind::Screen {
            screen,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            png: Some(png.to_owned()),
        };
        let wire = |direction, octets| EventKind::Wire {
            connection: 0,
            direction,
            from: "adapter-a".into(),
            to: "mail-a:2525".into(),
            octets,
        };
        let events = vec![
            event(
                0,
                Lane::Screen,
                "adapter-a",
                screen(ScreenKind::Idle, &["待機中", "Ready"], "screens/001.png"),
                "待機中 / Ready",
            ),
            event(500, Lane::Person, "Taro", EventKind::Action, "inserts his card"),
            event(
                510,
                Lane::Card,
                "adapter-a",
                EventKind::Apdu { command: "SELECT PIV".into(), status: 0x9000 },
                "SELECT PIV → 9000",
            ),
            event(520, Lane::Adapter, "adapter-a", EventKind::Step { ids: vec!["ST601"] }, "card inserted"),
            event(530, Lane::Lamp, "adapter-a", EventKind::Level { lit: true }, "lit"),
            event(540, Lane::Buzzer, "adapter-a", EventKind::Tone { hertz: Some(1760) }, "1760 Hz"),
            event(740, Lane::Buzzer, "adapter-a", EventKind::Tone { hertz: None }, "silent"),
            event(800, Lane::Smtp, "adapter-a", wire(Direction::ToServer, 16), "EHLO adapter-a"),
            event(810, Lane::Smtp, "mail-a", wire(Direction::ToClient, 12), "250 <b>&\"'"),
            event(900, Lane::Server, "mail-a", EventKind::Step { ids: vec!["ST801", "ST802"] }, "received"),
            event(
                950,
                Lane::Server,
                "mail-a",
                EventKind::Security { code: "SMTP-004" },
                "bare LF <script>alert(1)</script>",
            ),
            event(
                1000,
                Lane::Adapter,
                "adapter-a",
                EventKind::Artefact { path: "mail/1-submitted.eml".into() },
                "the mail as sent",
            ),
            event(1200, Lane::Lamp, "adapter-a", EventKind::Level { lit: false }, "dark"),
        ];
        let environment = [("os".to_owned(), "linux".to_owned())];
        RunReport {
            bench: "sim".into(),
            seed: 7,
            started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            environment: environment.into(),
            results: vec![
                ScenarioResult {
                    name: "confidential-fax".into(),
                    title: "A confidential fax from office A is printed in office B".into(),
                    verdict: Verdict::Pass,
                    why: None,
                    elapsed: Duration::from_millis(1234),
                    requirements: vec!["C1".into(), "ST601".into()],
                    events,
                    folder: folder.to_path_buf(),
                },
                ScenarioResult {
                    name: "server-down".into(),
                    title: "The server is down when sending".into(),
                    verdict: Verdict::Fail,
                    why: Some("waited 5.000 s in vain for: <the LCD>".into()),
                    elapsed: Duration::from_secs(5),
                    requirements: vec!["ST611".into()],
                    events: Vec::new(),
                    folder: folder.to_path_buf(),
                },
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_report_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let report = sample::report(folder.path());
        report.write_all(folder.path()).unwrap();
        for name in ["report.html", "report.json", "junit.xml", "signals.vcd", "events.jsonl"] {
            assert!(folder.path().join(name).metadata().unwrap().len() > 0, "{name}");
        }
        assert_eq!(report.verdict(), Verdict::Fail);
        assert_eq!(report.exit_code(), 1);
    }

    #[test]
    fn an_empty_run_is_not_a_pass() {
        let mut report = sample::report(Path::new("."));
        report.results.clear();
        assert_eq!(report.exit_code(), 3);
    }
}
