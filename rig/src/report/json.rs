//! `report.json` and `events.jsonl`, the whole log a line an event. Both are published: `rig/schema/report-1.schema.json`
//! and `rig/schema/event-1.schema.json` (JSON Schema 2020-12). What a reader of schema 1 knows keeps its name and its meaning;
//! new names may come beside it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::table::{self, Line};
use super::{RunReport, Verdict};
use crate::events::Event;
use crate::requirements::Traceability;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    verdict: Verdict,
    bench: &'a str,
    seed: u64,
    started: String,
    environment: &'a BTreeMap<String, String>,
    results: Vec<LongRow<'a>>,
    requirements: BTreeMap<String, Vec<String>>,
    unexercised: BTreeMap<String, String>,
    requirement_verdicts: BTreeMap<&'a str, &'static str>,
    threats: BTreeMap<&'a str, Threat<'a>>,
}

/// What a run says of one threat.
#[derive(Serialize)]
struct Threat<'a> {
    verdict: &'static str,
    scenarios: Vec<&'a str>,
    why: Option<&'a str>,
}

fn threats(report: &RunReport) -> BTreeMap<&str, Threat<'_>> {
    let name = |place: &usize| report.results.get(*place).map(|result| result.name.as_str());
    let threat = |line: Line<'static>| {
        let scenarios = line.scenarios.iter().filter_map(name).collect();
        (line.id, Threat { verdict: line.verdict_name(), scenarios, why: line.why })
    };
    table::threats(report).into_iter().map(threat).collect()
}

#[derive(Serialize)]
struct Row<'a> {
    scenario: &'a str,
    verdict: Verdict,
    requirements: Vec<String>,
    seconds: f64,
    why: Option<&'a str>,
}

/// What `report.json` has besides.
#[derive(Serialize)]
struct LongRow<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    title: &'a str,
    folder: String,
    artefacts: Vec<&'a str>,
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

/// The document with the requirement table. `folder` is where it will lie: paths are relative to it.
pub fn render(report: &RunReport, folder: &Path) -> Result<String, serde_json::Error> {
    let traceability = Traceability::of(report);
    let started = time::OffsetDateTime::from(report.started);
    let long = rows(report).into_iter().zip(&report.results).map(|(row, result)| LongRow {
        row,
        title: &result.title,
        folder: result.folder.strip_prefix(folder).unwrap_or(&result.folder).display().to_string(),
        artefacts: result.artefacts(),
    });
    let lines = table::table(report);
    serde_json::to_string_pretty(&Document {
        schema: 1,
        verdict: report.verdict(),
        bench: &report.bench,
        seed: report.seed,
        started: started.format(&time::format_description::well_known::Rfc3339).unwrap_or_default(),
        environment: &report.environment,
        results: long.collect(),
        requirements: traceability.exercised,
        unexercised: traceability.unexercised,
        requirement_verdicts: lines.iter().map(|line| (line.id, line.verdict_name())).collect(),
        threats: threats(report),
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
    use crate::events::Lane;
    use crate::report::sample;

    #[test]
    fn schema_1() {
        let text = render(&sample::report(Path::new("out/it")), Path::new("out")).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["schema"], 1);
        assert_eq!(document["verdict"], "fail");
        assert_eq!(document["results"][0]["scenario"], "confidential-fax");
        assert_eq!(document["results"][0]["requirements"], serde_json::json!(["C1", "ST601", "ST801", "ST802"]));
        assert_eq!(document["results"][0]["folder"], "it");
        assert_eq!(document["results"][0]["artefacts"], serde_json::json!(["mail/1-submitted.eml"]));
        assert_eq!(document["started"], "2023-11-14T22:13:20Z");
        assert_eq!(document["requirement_verdicts"]["ST611"], "fail");
        assert_eq!(document["threats"]["power-cut"]["verdict"], "not exercised");
        let requirements = document["requirements"].as_object().unwrap();
        assert_eq!(requirements.len(), crate::requirements::all().len());
        assert_eq!(requirements["ST801"], serde_json::json!(["confidential-fax"]));
        // The scenario that declares ST611 failed: it proves nothing.
        assert_eq!(requirements["ST611"], serde_json::json!([]));
        assert!(document["unexercised"]["V3"].as_str().unwrap().contains("no passing scenario"));
        for (id, scenarios) in requirements {
            let none = scenarios.as_array().unwrap().is_empty();
            assert_eq!(none, document["unexercised"].get(id).is_some(), "{id}");
        }
    }

    #[test]
    fn the_published_schemas_know_every_name() {
        let schema = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let names = |value: &serde_json::Value| {
            value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let report = schema(include_str!("../../schema/report-1.schema.json"));
        let verdicts = [Verdict::Pass, Verdict::Flaky, Verdict::Unsupported, Verdict::Fail, Verdict::InfraError]
            .map(Verdict::name);
        assert_eq!(names(&report["$defs"]["verdict"]["enum"]), verdicts);
        let document = schema(&render(&sample::report(Path::new(".")), Path::new(".")).unwrap());
        for (part, value) in [
            (&report, &document),
            (&report["$defs"]["longRow"], &document["results"][0]),
            (&report["properties"]["threats"]["additionalProperties"], &document["threats"]["replay"]),
        ] {
            for name in value.as_object().unwrap().keys() {
                assert!(part["properties"].get(name).is_some(), "{name}");
                assert!(names(&part["required"]).contains(name), "{name}");
            }
        }
        let event = schema(include_str!("../../schema/event-1.schema.json"));
        assert_eq!(names(&event["properties"]["lane"]["enum"]), Lane::ALL.map(Lane::name));
        let kinds: Vec<_> =
            event["oneOf"].as_array().unwrap().iter().map(|kind| &kind["properties"]["kind"]["const"]).collect();
        for line in render_events(&sample::report(Path::new("."))).unwrap().lines() {
            let line = schema(line);
            assert!(kinds.contains(&&line["kind"]), "{line}");
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
