//! `report.json`, schema 1 (DESIGN.md, "Commands"), and `events.jsonl`, the whole log a line an event.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{RunReport, Verdict};
use crate::events::Event;
use crate::requirements::Traceability;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    verdict: Verdict,
    bench: &'a str,
    seed: u64,
    environment: &'a BTreeMap<String, String>,
    results: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requirements: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unexercised: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Row<'a> {
    scenario: &'a str,
    verdict: Verdict,
    requirements: Vec<String>,
    seconds: f64,
    why: Option<&'a str>,
}

fn rows(report: &RunReport) -> Vec<Row<'_>> {
    let rows = report.results.iter().map(|result| Row {
        scenario: &result.name,
        verdict: result.verdict,
        requirements: exercised_by(result),
        seconds: (result.elapsed.as_secs_f64() * 1e6).round() / 1e6,
        why: result.why.as_deref(),
    });
    rows.collect()
}

/// What one scenario declares and exercised, in the order of the source document.
pub(super) fn exercised_by(result: &super::ScenarioResult) -> Vec<String> {
    let steps = crate::events::exercised(&result.events);
    let mut ids: Vec<String> = steps.into_iter().map(str::to_owned).collect();
    ids.extend(result.requirements.iter().cloned());
    ids.sort_by_key(|id| crate::requirements::order(id));
    ids.dedup();
    ids
}

/// The document with the requirement table.
pub fn render(report: &RunReport) -> Result<String, serde_json::Error> {
    let traceability = Traceability::of(report);
    serde_json::to_string_pretty(&Document {
        schema: 1,
        verdict: report.verdict(),
        bench: &report.bench,
        seed: report.seed,
        environment: &report.environment,
        results: rows(report),
        requirements: Some(traceability.exercised),
        unexercised: Some(traceability.unexercised),
    })
}

/// What `cargo rig run --json` prints: the same without the table.
pub fn render_results(report: &RunReport) -> Result<String, serde_json::Error> {
    serde_json::to_string(&serde_json::json!({
        "schema": 1,
        "bench": report.bench,
        "seed": report.seed,
        "results": rows(report),
    }))
}

#[derive(Serialize)]
struct EventRow<'a> {
    scenario: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

/// Every event of every scenario, one JSON object a line.
pub fn render_events(report: &RunReport) -> Result<String, serde_json::Error> {
    let mut lines = String::new();
    for result in &report.results {
        for event in &result.events {
            let row = EventRow { scenario: &result.name, event };
            lines.push_str(&serde_json::to_string(&row)?);
            lines.push('\n');
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::report::sample;
    use std::path::Path;

    #[test]
    fn schema_1() {
        let text = render(&sample::report(Path::new("."))).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["schema"], 1);
        assert_eq!(document["verdict"], "fail");
        assert_eq!(document["results"][0]["scenario"], "confidential-fax");
        assert_eq!(document["results"][0]["requirements"], serde_json::json!(["C1", "ST601", "ST801", "ST802"]));
        let requirements = document["requirements"].as_object().unwrap();
        assert_eq!(requirements.len(), crate::requirements::all().len());
        assert_eq!(requirements["ST801"], serde_json::json!(["confidential-fax"]));
        // The scenario that declares ST611 failed: it proves nothing.
        assert_eq!(requirements["ST611"], serde_json::json!([]));
        assert!(document["unexercised"]["V2"].as_str().unwrap().contains("biometric"));
        for (id, scenarios) in requirements {
            let none = scenarios.as_array().unwrap().is_empty();
            assert_eq!(none, document["unexercised"].get(id).is_some(), "{id}");
        }
    }

    #[test]
    fn each_event_is_one_line() {
        let report = sample::report(Path::new("."));
        let text = render_events(&report).unwrap();
        assert_eq!(text.lines().count(), report.results[0].events.len());
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(event["at"].is_number() && event["lane"].is_string() && event["kind"].is_string(), "{line}");
        }
    }
}
