//! What a diagnosis found, and its JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::area::Area;
use super::catalogue::{Entry, Severity};
use super::words::Words;

/// The version of the JSON; raised when a field changes its meaning.
pub const VERSION: u32 = 1;

/// A fact, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What of.
    pub name: String,
    /// What it is.
    pub value: String,
}

impl Evidence {
    /// A fact.
    pub fn new(name: impl Into<String>, value: impl ToString) -> Self {
        Self { name: name.into(), value: value.to_string() }
    }
}

/// One thing that is wrong, or that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its place in the catalogue.
    pub entry: &'static Entry,
    /// With which of several things: "lamp, line 17". Empty where there is but one.
    pub subject: String,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// A finding about the only thing of its kind.
    pub fn new(entry: &'static Entry) -> Self {
        Self { entry, subject: String::new(), evidence: Vec::new() }
    }

    /// About one of several things.
    pub fn about(entry: &'static Entry, subject: impl Into<String>) -> Self {
        Self { entry, subject: subject.into(), evidence: Vec::new() }
    }

    /// With a fact that shows it.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.evidence.push(Evidence::new(name, value));
        self
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is broken; there may be warnings.
    Ok,
    /// Something is broken.
    Failed,
    /// Not to be judged before another one is mended.
    Blocked(Area),
    /// There is nothing to check, and why.
    Skipped(Words),
    /// It could not be found out, and why.
    Unknown(Words),
}

impl State {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Blocked(_) => "blocked",
            Self::Skipped(_) => "skipped",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What a judge says of an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How it ended.
    pub state: State,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What was seen, right or wrong.
    pub evidence: Vec<Evidence>,
}

impl Judgement {
    /// Failed if one of the findings is a failure.
    pub fn of(findings: Vec<Finding>, evidence: Vec<Evidence>) -> Self {
        let failed = findings.iter().any(|finding| finding.entry.severity == Severity::Failure);
        Self { state: if failed { State::Failed } else { State::Ok }, findings, evidence }
    }

    /// Without findings.
    pub fn plain(state: State) -> Self {
        Self { state, findings: Vec::new(), evidence: Vec::new() }
    }

    /// Unless something failed: `state`.
    pub fn or(mut self, state: State) -> Self {
        if self.state == State::Ok {
            self.state = state;
        }
        self
    }
}

/// One check, done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which.
    pub area: Area,
    /// What its judge says.
    pub judgement: Judgement,
    /// How long it took; nothing where facts were replayed.
    pub took: Duration,
}

impl Check {
    /// Whether it found nothing worse than warnings, and at least one.
    pub fn warns(&self) -> bool {
        self.judgement.state == State::Ok && !self.judgement.findings.is_empty()
    }
}

/// How things are altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing is wrong.
    Healthy,
    /// Warnings alone.
    Warnings,
    /// Something failed.
    Failing,
}

impl Health {
    /// The process's exit code.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Failing => 1,
            Self::Warnings => 2,
        }
    }

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Warnings => "warnings",
            Self::Failing => "failing",
        }
    }
}

/// A whole diagnosis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which program gathered the facts.
    pub tool: String,
    /// By the adapter's clock, seconds since 1970.
    pub at: i64,
    /// In the order of [`Area::ALL`].
    pub checks: Vec<Check>,
}

impl Report {
    /// How things are altogether.
    pub fn health(&self) -> Health {
        let mut health = Health::Healthy;
        for check in &self.checks {
            match check.judgement.state {
                State::Failed => return Health::Failing,
                _ if !check.judgement.findings.is_empty() => health = Health::Warnings,
                _ => {}
            }
        }
        health
    }

    /// Every finding with its check, failures first.
    pub fn findings(&self) -> Vec<(&Check, &Finding)> {
        let mut all: Vec<_> =
            self.checks.iter().flat_map(|check| check.judgement.findings.iter().map(move |one| (check, one))).collect();
        all.sort_by_key(|(_, finding)| finding.entry.severity == Severity::Warning);
        all
    }

    /// One of the checks.
    pub fn check(&self, area: Area) -> Option<&Check> {
        self.checks.iter().find(|check| check.area == area)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let health = self.health();
        json!({
            "version": VERSION,
            "tool": self.tool,
            "at": rfc3339(self.at),
            "health": health.name(),
            "exit": health.exit(),
            "checks": self.checks.iter().map(Check::json).collect::<Vec<_>>(),
        })
    }
}

impl Check {
    fn json(&self) -> Value {
        let Judgement { state, findings, evidence } = &self.judgement;
        let (blocked_by, why) = match state {
            State::Blocked(by) => (Some(by.name()), None),
            State::Skipped(why) | State::Unknown(why) => (None, Some(*why)),
            State::Ok | State::Failed => (None, None),
        };
        json!({
            "name": self.area.name(),
            "title": self.area.title(),
            "state": state.name(),
            "blocked_by": blocked_by,
            "why": why,
            "milliseconds": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "evidence": evidence_json(evidence),
            "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }
}

impl Finding {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "code": self.entry.code,
            "severity": self.entry.severity,
            "subject": self.subject,
            "title": self.entry.title,
            "cause": self.entry.cause,
            "action": self.entry.action,
            "evidence": evidence_json(&self.evidence),
        })
    }
}

fn evidence_json(evidence: &[Evidence]) -> Vec<Value> {
    evidence.iter().map(|one| json!({"name": one.name, "value": one.value})).collect()
}

/// A time as RFC 3339 has it, in universal time; one that cannot be written is given in seconds.
pub fn rfc3339(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} s"))
}
