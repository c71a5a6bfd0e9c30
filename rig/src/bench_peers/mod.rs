//! `cargo rig bench NAME`: what ours does beside what others' does, measured in turn in one run (DESIGN.md, "Commands").
//!
//! A benchmark is a function that yields [`Row`]s. Absolute figures of a shared machine mean little, so every row has
//! both sides, measured A B A B, the best round of each, and the ratio counts.

mod card;
mod directory;
mod history;
mod lamp;
pub mod load;
mod mail;
pub mod meter;
mod pages;
mod progress;
mod sealing;
mod sim;
mod twin;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use progress::Progress;
use serde::Serialize;

use crate::peer::process::PeerError;

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// In which unit: "1/s", "us", "MB".
    pub unit: String,
    /// Our figure.
    pub ours: f64,
    /// The peer's figure, if there is one to compare with.
    pub peer: Option<f64>,
    /// Who the peer is; empty if there is none.
    pub peer_name: String,
    /// How many times better ours is, whether more or less is better: above 1 is better.
    pub ratio: Option<f64>,
    /// What was set out to reach, in words; empty if nothing was.
    pub goal: String,
    /// Whether it was reached; true if nothing was set out.
    pub met: bool,
}

impl Row {
    /// A figure of ours alone, with nothing to reach.
    pub fn alone(name: &str, unit: &str, ours: f64) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ours,
            peer: None,
            peer_name: String::new(),
            ratio: None,
            goal: String::new(),
            met: true,
        }
    }

    /// Beside the peer's, where more is better.
    pub fn more(name: &str, unit: &str, ours: f64, peer_name: &str, peer: f64) -> Self {
        let ratio = (peer > 0.0).then(|| ours / peer);
        Self { peer: Some(peer), peer_name: peer_name.to_owned(), ratio, ..Self::alone(name, unit, ours) }
    }

    /// Beside the peer's, where less is better.
    pub fn less(name: &str, unit: &str, ours: f64, peer_name: &str, peer: f64) -> Self {
        let ratio = (ours > 0.0).then(|| peer / ours);
        Self { ratio, ..Self::more(name, unit, ours, peer_name, peer) }
    }

    /// The goal: at least `ratio` times as good as the peer.
    #[must_use]
    pub fn at_least(mut self, ratio: f64) -> Self {
        self.met = self.ratio.is_some_and(|reached| reached >= ratio);
        self.goal = format!(">= {ratio} x {}", self.peer_name);
        self
    }

    /// The goal: at least this much, whatever the peer does.
    #[must_use]
    pub fn no_less_than(mut self, figure: f64) -> Self {
        self.met = self.ours >= figure;
        self.goal = format!(">= {} {}", round(figure), self.unit);
        self
    }

    /// The goal: at most this much, whatever the peer does.
    #[must_use]
    pub fn no_more_than(mut self, figure: f64) -> Self {
        self.met = self.ours <= figure;
        self.goal = format!("<= {} {}", round(figure), self.unit);
        self
    }
}

/// How to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// How large the world is: certificates in a store, and the like.
    pub entries: usize,
    /// Seconds of one round of one contender.
    pub seconds: f64,
    /// Rounds of each contender; the best one counts.
    pub rounds: u32,
    /// The `sealfax-mailserver` to measure; the one beside this program without it.
    pub server: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { entries: 100_000, seconds: 2.0, rounds: 3, server: None }
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A peer is missing or broken.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Ours, or the machine, does not do what it should.
    #[error("{0}")]
    Broken(String),
}

impl BenchError {
    /// Something does not do what it should.
    pub fn broken(why: impl std::fmt::Display) -> Self {
        Self::Broken(why.to_string())
    }
}

/// A benchmark.
#[derive(Debug, Clone, Copy)]
pub struct Benchmark {
    /// What it is called on the command line.
    pub name: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// Measures.
    pub run: fn(&Options, &Progress) -> Result<Vec<Row>, BenchError>,
}

/// Every benchmark there is.
pub fn all() -> Vec<Benchmark> {
    vec![
        card::BENCHMARK,
        directory::BENCHMARK,
        history::BENCHMARK,
        lamp::BENCHMARK,
        mail::BENCHMARK,
        pages::BENCHMARK,
        sealing::BENCHMARK,
        sim::BENCHMARK,
        twin::BENCHMARK,
    ]
}

/// What one round brought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Operations that succeeded.
    pub operations: u64,
    /// Wall-clock time, in seconds.
    pub seconds: f64,
    /// Processor time of the measured program, in seconds.
    pub cpu: Option<f64>,
}

impl Sample {
    /// Operations a second.
    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }

    /// Processor time of one operation, in microseconds.
    pub fn cpu_micros(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu * 1e6 / self.operations.max(1) as f64)
    }
}

/// One side of a comparison.
pub struct Contender<'a> {
    /// For the progress line.
    pub name: &'a str,
    /// Plays one round.
    pub round: Box<dyn FnMut() -> Result<Sample, BenchError> + 'a>,
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Contender({})", self.name)
    }
}

/// Lets the contenders play in turn, `rounds` times, and returns the best of each: highest rate, least processor time.
/// The best rather than the mean, because whatever else runs on the machine only ever takes something away.
pub fn in_turn(
    what: &str,
    rounds: u32,
    progress: &Progress,
    contenders: &mut [Contender<'_>],
) -> Result<Vec<(f64, Option<f64>)>, BenchError> {
    let mut best: Vec<(f64, Option<f64>)> = vec![(0.0, None); contenders.len()];
    for round in 1..=rounds {
        for (contender, best) in contenders.iter_mut().zip(&mut best) {
            progress.at(format!("{what}: {}, round {round} of {rounds}", contender.name));
            let sample = (contender.round)()?;
            best.0 = best.0.max(sample.rate());
            if let Some(cpu) = sample.cpu_micros() {
                best.1 = Some(best.1.map_or(cpu, |known| known.min(cpu)));
            }
        }
    }
    for (contender, best) in contenders.iter().zip(&best) {
        let cpu = best.1.map(|cpu| format!(", {cpu:.1} us of its processor time each")).unwrap_or_default();
        progress.say(format!("{what}: {} {:.0}/s{cpu}", contender.name, best.0));
    }
    Ok(best)
}

/// A program that was built with this one.
fn beside(name: &str) -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().map_err(BenchError::broken)?;
    let program = own.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    Err(BenchError::broken(format!("{} is not built; run `cargo build{profile} -p {name}`", program.display())))
}

/// The options with the servers' program as it is shipped, built now if need be; in a debug build, the one that was built with
/// this one.
fn with_shipped_server(options: &Options, progress: &Progress) -> Result<Options, BenchError> {
    const NAME: &str = "sealfax-mailserver";
    if options.server.is_some() || cfg!(debug_assertions) {
        return Ok(options.clone());
    }
    progress.at("building the servers as they are shipped: some minutes, once");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--profile", "server", "--package", NAME]).stdin(Stdio::null());
    let built = cargo.status().map_err(BenchError::broken)?;
    let own = std::env::current_exe().map_err(BenchError::broken)?;
    let program = own.parent().and_then(Path::parent).map(|target| target.join("server").join(NAME));
    let program = program.filter(|program| built.success() && program.is_file()).ok_or_else(|| {
        BenchError::broken(format!("{NAME} is not built; run `cargo build --profile server -p {NAME}` to see why"))
    })?;
    Ok(Options { server: Some(program), ..options.clone() })
}

/// The rows as versioned JSON.
pub fn json(rows: &[Row]) -> String {
    serde_json::json!({"schema": 1, "rows": rows}).to_string()
}

/// The rows as a table for people.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![["what", "unit", "ours", "peer", "", "better by", "goal", ""].map(str::to_owned)];
    for row in rows {
        lines.push([
            row.name.clone(),
            row.unit.clone(),
            round(row.ours),
            row.peer.map(round).unwrap_or_default(),
            row.peer_name.clone(),
            row.ratio.map(|ratio| format!("{ratio:.2} x")).unwrap_or_default(),
            row.goal.clone(),
            if row.goal.is_empty() {
                ""
            } else if row.met {
                "met"
            } else {
                "NOT MET"
            }
            .to_owned(),
        ]);
    }
    let mut widths = [0usize; 8];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
            2 | 3 | 5 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Three digits that mean something, thousands apart.
fn round(figure: f64) -> String {
    if figure.abs() < 100.0 {
        return if figure.fract() == 0.0 { format!("{figure:.0}") } else { format!("{figure:.2}") };
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes the result: JSON on standard output if wanted, the table on standard error.
pub fn conclude(rows: &[Row], as_json: bool) {
    eprint!("\n{}", table(rows));
    if as_json {
        // A reader that is gone is no failure of ours.
        let _ = writeln!(std::io::stdout(), "{}", json(rows));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_one_is_better_whichever_way() {
        let more = Row::more("answers", "1/s", 30_000.0, "openssl", 2_500.0).at_least(10.0);
        assert!(more.met && more.ratio == Some(12.0));
        let less = Row::less("memory", "MB", 50.0, "slapd", 100.0).at_least(3.0);
        assert!(!less.met && less.ratio == Some(2.0));
        assert!(Row::alone("open", "s", 0.2).no_more_than(1.0).met);
        assert!(!Row::alone("client", "1/s", 10.0).no_less_than(60_000.0).met);
    }

    #[test]
    fn the_contract_of_the_json_is_kept() {
        let rows = [Row::more("a", "1/s", 2.0, "peer", 1.0).at_least(2.0), Row::alone("b", "MB", 1.5)];
        let value: serde_json::Value = serde_json::from_str(&json(&rows)).unwrap_or_default();
        assert_eq!(value["schema"], 1);
        let keys = |row: &serde_json::Value| {
            row.as_object().map(|row| row.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
        };
        let wanted = ["goal", "met", "name", "ours", "peer", "peer_name", "ratio", "unit"];
        assert_eq!(keys(&value["rows"][0]), wanted);
        assert_eq!(keys(&value["rows"][1]), wanted);
        assert!(value["rows"][1]["peer"].is_null() && value["rows"][0]["met"] == true);
    }

    #[test]
    fn the_table_says_what_was_not_met() {
        let text = table(&[Row::more("answers", "1/s", 23_456.7, "openssl", 9_000.0).at_least(10.0)]);
        assert!(text.contains("23,457") && text.contains("NOT MET") && text.contains("2.61 x"), "{text}");
    }

    #[test]
    fn the_best_round_of_each_counts() {
        let mut figures = [(100, 0.5), (300, 0.9), (200, 0.1)].into_iter();
        let round = move || {
            let (operations, cpu) = figures.next().unwrap_or((0, 0.0));
            Ok(Sample { operations, seconds: 1.0, cpu: Some(cpu) })
        };
        let mut contenders = [Contender { name: "ours", round: Box::new(round) }];
        let best = in_turn("x", 3, &Progress::silent(), &mut contenders);
        assert!(matches!(best.as_deref(), Ok([(rate, Some(cpu))]) if *rate == 300.0 && (*cpu - 500.0).abs() < 1e-6));
    }
}
