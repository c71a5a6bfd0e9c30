//! The parity ledger: what two runs have not in common, scenario by scenario, each difference with its reason.
//!
//! A run is read back from its folder (`report.json`, `events.jsonl`). Of each scenario the [`Facet`]s are compared: what is
//! the same on every bench if the product is the same. Times are none of them. A difference that no reason of `reasons.rs`
//! explains is the point of the exercise.

mod reasons;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why runs cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Its folder has no report.
    #[error("{} cannot be read ({source}); give the folder that a run was given with --out", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The report is none of ours.
    #[error("{} is no report of this rig ({source})", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// What is compared of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facet {
    /// How it ended.
    Verdict,
    /// Which requirements each host exercised.
    Step,
    /// Failures and security events, by code.
    Code,
    /// What each display showed: state and words.
    Screen,
    /// Whether each lamp was ever lit.
    Lamp,
    /// Whether each buzzer was ever heard.
    Buzzer,
    /// Who spoke to whom.
    Wire,
    /// Which commands each card was given. How much of an answer is asked for at a time is the transport's affair.
    Apdu,
    /// What people did.
    Person,
    /// Files that were written.
    Artefact,
}

impl Facet {
    /// Its name in text and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Step => "step",
            Self::Code => "code",
            Self::Screen => "screen",
            Self::Lamp => "lamp",
            Self::Buzzer => "buzzer",
            Self::Wire => "wire",
            Self::Apdu => "apdu",
            Self::Person => "person",
            Self::Artefact => "artefact",
        }
    }
}

/// How often each thing was seen in a scenario.
type Facts = BTreeMap<(Facet, String), usize>;

/// One run, as far as it is compared.
#[derive(Debug)]
struct Run {
    bench: String,
    environment: BTreeMap<String, String>,
    scenarios: BTreeMap<String, Facts>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In which scenario.
    pub scenario: String,
    /// Of what.
    pub facet: Facet,
    /// What it is about.
    pub what: String,
    /// How often in the first run.
    pub a: usize,
    /// How often in the second run.
    pub b: usize,
    /// Why the benches differ here; `None` if nobody knows.
    pub reason: Option<&'static str>,
}

/// The outcome.
#[derive(Debug, Serialize)]
pub struct Comparison {
    schema: u32,
    benches: [String; 2],
    /// What the runs ran on, where that differs.
    environment: BTreeMap<String, [Option<String>; 2]>,
    /// Scenarios of both runs.
    scenarios: Vec<String>,
    /// Those of one run alone, with the bench that has them.
    alone: BTreeMap<String, String>,
    /// What differs.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Compares the runs in two folders.
    pub fn of(a: &Path, b: &Path) -> Result<Self, CompareError> {
        Ok(Self::between(&read(a)?, &read(b)?))
    }

    fn between(a: &Run, b: &Run) -> Self {
        let benches = [a.bench.clone(), b.bench.clone()];
        let mut environment = BTreeMap::new();
        for name in a.environment.keys().chain(b.environment.keys()) {
            let both = [a.environment.get(name).cloned(), b.environment.get(name).cloned()];
            if both.first() != both.last() {
                environment.insert(name.clone(), both);
            }
        }
        let (mut scenarios, mut alone, mut differences) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (name, of_a) in &a.scenarios {
            let Some(of_b) = b.scenarios.get(name) else {
                alone.insert(name.clone(), a.bench.clone());
                continue;
            };
            scenarios.push(name.clone());
            differences.extend(differ(name, of_a, of_b, [&a.bench, &b.bench]));
        }
        for name in b.scenarios.keys().filter(|name| !a.scenarios.contains_key(*name)) {
            alone.insert(name.clone(), b.bench.clone());
        }
        Self { schema: 1, benches, environment, scenarios, alone, differences }
    }

    /// How many differences nobody can explain.
    pub fn unexplained(&self) -> usize {
        self.differences.iter().filter(|difference| difference.reason.is_none()).count()
    }
}

fn differ(scenario: &str, a: &Facts, b: &Facts, benches: [&str; 2]) -> Vec<Difference> {
    let mut keys: Vec<&(Facet, String)> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut differences = Vec::new();
    for key in keys {
        let counts = [a, b].map(|facts| facts.get(key).copied().unwrap_or_default());
        let [in_a, in_b] = counts;
        if in_a != in_b {
            let (facet, what) = key.clone();
            let reason = reasons::why(facet, &what, counts, benches);
            differences.push(Difference { scenario: scenario.to_owned(), facet, what, a: in_a, b: in_b, reason });
        }
    }
    differences
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.benches;
        writeln!(f, "{a} and {b}, {} scenario(s) of both", self.scenarios.len())?;
        for (name, [in_a, in_b]) in &self.environment {
            let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            writeln!(f, "  {name}: {} | {}", or_none(in_a), or_none(in_b))?;
        }
        for (name, bench) in &self.alone {
            writeln!(f, "  {name}: on {bench} alone")?;
        }
        for scenario in &self.scenarios {
            let of_it: Vec<_> = self.differences.iter().filter(|one| one.scenario == *scenario).collect();
            let open = of_it.iter().filter(|one| one.reason.is_none()).count();
            writeln!(f, "{scenario}: {} difference(s), {open} without a reason", of_it.len())?;
            for one in of_it.iter().filter(|one| one.reason.is_none()) {
                writeln!(f, "  ! {} {}: {} | {}", one.facet.name(), one.what, one.a, one.b)?;
            }
            let mut explained: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
            for one in of_it {
                if let Some(reason) = one.reason {
                    explained.entry(reason).or_default().push(one);
                }
            }
            for (reason, differences) in explained {
                writeln!(f, "  {reason}")?;
                for one in differences {
                    writeln!(f, "    {} {}: {} | {}", one.facet.name(), one.what, one.a, one.b)?;
                }
            }
        }
        writeln!(f, "{} difference(s), {} without a reason", self.differences.len(), self.unexplained())
    }
}

#[derive(Deserialize)]
struct Report {
    bench: String,
    environment: BTreeMap<String, String>,
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    scenario: String,
    verdict: String,
}

fn read(folder: &Path) -> Result<Run, CompareError> {
    let text = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|source| CompareError::Read { path, source })
    };
    let wrong = |name: &str| {
        let path = folder.join(name);
        move |source| CompareError::Parse { path, source }
    };
    let report: Report = serde_json::from_str(&text("report.json")?).map_err(wrong("report.json"))?;
    let mut scenarios: BTreeMap<String, Facts> = BTreeMap::new();
    for Row { scenario, verdict } in report.results {
        scenarios.entry(scenario).or_default().insert((Facet::Verdict, verdict), 1);
    }
    for line in text("events.jsonl")?.lines() {
        let event: Value = serde_json::from_str(line).map_err(wrong("events.jsonl"))?;
        let scenario = event.get("scenario").and_then(Value::as_str).unwrap_or_default();
        let facts = scenarios.entry(scenario.to_owned()).or_default();
        for (facet, what, once) in facts_of(&event) {
            let count = facts.entry((facet, what)).or_default();
            *count = if once { 1 } else { *count + 1 };
        }
    }
    Ok(Run { bench: report.bench, environment: report.environment, scenarios })
}

/// What an event is evidence of, and whether that it happened counts rather than how often.
fn facts_of(event: &Value) -> Vec<(Facet, String, bool)> {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let host = text("host");
    match text("kind") {
        "step" => {
            let ids = event.get("ids").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            ids.map(|id| (Facet::Step, format!("{host} {id}"), true)).collect()
        }
        "security" | "failure" => vec![(Facet::Code, format!("{host} {}", text("code")), true)],
        "screen" => {
            let words = event.get("words").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            let words: Vec<&str> = words.collect();
            vec![(Facet::Screen, format!("{host} {}: {}", text("screen"), words.join(" / ")), true)]
        }
        "level" => {
            let lit = event.get("lit").and_then(Value::as_bool).unwrap_or_default();
            vec![(Facet::Lamp, format!("{host} {}", if lit { "lit" } else { "dark" }), true)]
        }
        "tone" => {
            let sounds = event.get("hertz").is_some_and(|hertz| !hertz.is_null());
            vec![(Facet::Buzzer, format!("{host} {}", if sounds { "sounds" } else { "silent" }), true)]
        }
        "wire" => {
            // The port that the system chose is chance.
            let side = |key: &str| text(key).to_owned();
            vec![(Facet::Wire, format!("{} - {}", side("from"), side("to")), true)]
        }
        "apdu" => {
            let command = text("command");
            let command = command.split_once(" Ne=").map_or(command, |(command, _)| command);
            vec![(Facet::Apdu, format!("{host} {command}"), true)]
        }
        "action" => vec![(Facet::Person, format!("{host} {}", text("text")), false)],
        "artefact" => {
            // Screens are numbered through; how many there are is the screens' own affair.
            let path = text("path");
            if path.starts_with("screens/") { Vec::new() } else { vec![(Facet::Artefact, path.to_owned(), true)] }
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn run(folder: &Path, bench: &str, events: &[Value]) {
        std::fs::create_dir_all(folder).unwrap();
        let report = serde_json::json!({
            "schema": 1, "bench": bench, "seed": 1, "environment": {"cards": bench},
            "results": [{"scenario": "s", "verdict": "pass", "requirements": [], "seconds": 1.0, "why": null}],
        });
        std::fs::write(folder.join("report.json"), report.to_string()).unwrap();
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        std::fs::write(folder.join("events.jsonl"), lines.join("\n")).unwrap();
    }

    fn screen(host: &str, kind: &str, words: &[&str]) -> Value {
        serde_json::json!({"scenario": "s", "host": host, "kind": "screen", "screen": kind, "words": words, "text": ""})
    }

    #[test]
    fn what_is_explained_and_what_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let step = |id: &str| serde_json::json!({"scenario": "s", "host": "adapter-b", "kind": "step", "ids": [id]});
        let idle = screen("adapter-b", "Idle", &["Ready"]);
        let checking = screen("adapter-b", "Checking", &["Checking your card"]);
        run(&a, "sim", &[idle.clone(), checking, step("ST904"), step("ST904"), step("ST922")]);
        run(&b, "twin", &[idle, step("ST904")]);
        let comparison = Comparison::of(&a, &b).unwrap();
        assert_eq!(comparison.environment.len(), 1);
        assert_eq!(comparison.differences.len(), 2, "{comparison}");
        assert_eq!(comparison.unexplained(), 1, "{comparison}");
        let text = comparison.to_string();
        assert!(text.contains("! step adapter-b ST922: 1 | 0"), "{text}");
        assert!(serde_json::to_string(&comparison).unwrap().contains("\"schema\":1"));
    }

    #[test]
    fn the_expected_length_of_an_answer_is_no_difference() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let apdu = |command: &str| serde_json::json!({"scenario": "s", "host": "adapter-b", "kind": "apdu", "command": command, "status": 36864});
        run(&a, "sim", &[apdu("GET DATA 00 CB 3F FF 5C017E Ne=256")]);
        run(&b, "twin", &[apdu("GET DATA 00 CB 3F FF 5C017E")]);
        assert!(Comparison::of(&a, &b).unwrap().differences.is_empty());
    }

    #[test]
    fn a_folder_without_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let error = Comparison::of(folder.path(), folder.path()).unwrap_err();
        assert!(error.to_string().contains("--out"), "{error}");
    }
}
