//! The tables of a report: what stands in `requirements.toml` and in `threats.toml`, and what this run says of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{RunReport, ScenarioResult, Verdict};
use crate::requirements::{self, Requirement};

/// One requirement or threat, as this run leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its identifier.
    pub id: &'a str,
    /// What it demands.
    pub text: &'a str,
    /// What the run says of it; `None` where no scenario of the run says anything.
    pub verdict: Option<Verdict>,
    /// Places in the run's results of the scenarios that name it or carried it out.
    pub scenarios: Vec<usize>,
    /// Without a verdict: why.
    pub why: Option<&'a str>,
}

impl Line<'_> {
    /// The verdict's name, or "not exercised".
    pub fn verdict_name(&self) -> &'static str {
        self.verdict.map_or("not exercised", Verdict::name)
    }
}

/// Every requirement, in the order of the source document.
pub fn table(report: &RunReport) -> Vec<Line<'static>> {
    lines(requirements::all(), report)
}

/// Every threat, by its name.
pub fn threats(report: &RunReport) -> Vec<Line<'static>> {
    lines(requirements::threats(), report)
}

fn lines(of: &'static BTreeMap<String, Requirement>, report: &RunReport) -> Vec<Line<'static>> {
    let exercised: Vec<BTreeSet<&str>> =
        report.results.iter().map(|result| crate::events::exercised(&result.events)).collect();
    let mut lines: Vec<Line<'static>> =
        of.iter().map(|(id, requirement)| line(id, requirement, report, &exercised)).collect();
    lines.sort_by_key(|line| requirements::order(line.id));
    lines
}

fn line(
    id: &'static str,
    requirement: &'static Requirement,
    report: &RunReport,
    exercised: &[BTreeSet<&str>],
) -> Line<'static> {
    let declares = |result: &ScenarioResult| result.requirements.iter().any(|declared| declared == id);
    let both = report.results.iter().zip(exercised).enumerate();
    let touching = both.filter(|(_, (result, steps))| declares(result) || steps.contains(id));
    let touching: Vec<(usize, &ScenarioResult)> = touching.map(|(index, (result, _))| (index, result)).collect();
    let of = |verdict, declared: bool| {
        touching.iter().any(|(_, result)| result.verdict == verdict && (!declared || declares(result)))
    };
    // Who sets out to prove it and fails speaks loudest; a step on the way of a story that failed elsewhere says nothing.
    let verdict = if of(Verdict::Fail, true) {
        Some(Verdict::Fail)
    } else if of(Verdict::Flaky, true) {
        Some(Verdict::Flaky)
    } else if of(Verdict::Pass, false) {
        Some(Verdict::Pass)
    } else if of(Verdict::Flaky, false) {
        Some(Verdict::Flaky)
    } else {
        [Verdict::InfraError, Verdict::Unsupported].into_iter().find(|verdict| of(*verdict, true))
    };
    Line {
        id,
        text: &requirement.text,
        verdict,
        scenarios: touching.into_iter().map(|(index, _)| index).collect(),
        why: verdict.is_none().then_some(requirements::NOT_EXERCISED),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::report::sample;
    use std::path::Path;

    fn verdict(report: &RunReport, id: &str) -> Option<Verdict> {
        table(report).into_iter().find(|line| line.id == id).unwrap().verdict
    }

    #[test]
    fn who_sets_out_to_prove_it_speaks_loudest() {
        let mut report = sample::report(Path::new("."));
        assert_eq!(verdict(&report, "ST801"), Some(Verdict::Pass));
        assert_eq!(verdict(&report, "ST611"), Some(Verdict::Fail));
        assert_eq!(verdict(&report, "V2"), None);
        // A story that fails elsewhere takes nothing from what another has shown...
        report.results[1].requirements = vec!["ST615".into()];
        report.results[1].events = report.results[0].events.clone();
        assert_eq!(verdict(&report, "ST801"), Some(Verdict::Pass));
        // ... but by itself it shows nothing.
        report.results.remove(0);
        assert_eq!(verdict(&report, "ST801"), None);
        report.results[0].verdict = Verdict::Unsupported;
        assert_eq!(verdict(&report, "ST615"), Some(Verdict::Unsupported));
    }

    #[test]
    fn every_requirement_has_a_line_in_order() {
        let lines = table(&sample::report(Path::new(".")));
        assert_eq!(lines.len(), requirements::all().len());
        assert!(lines.iter().all(|line| line.verdict.is_some() != line.why.is_some()));
        assert_eq!(threats(&sample::report(Path::new("."))).len(), requirements::threats().len());
        let place = |id| lines.iter().position(|line| line.id == id).unwrap();
        assert!(place("C2") < place("C10"));
    }
}
