//! Runs scenarios and says what came of them: words for people on standard error, JSON on standard output.

use std::io::Write;
use std::sync::Arc;

use sealfax_rig::demo::live;
use sealfax_rig::events::EventKind;
use sealfax_rig::report::{RunReport, ScenarioResult, Verdict, json};
use sealfax_rig::scenario::{self, Scenario, runner};

use super::BROKE;

pub fn list(json: bool) -> u8 {
    let scenarios = scenario::all();
    if json {
        let rows = scenarios.iter().map(|scenario| {
            serde_json::json!({"scenario": scenario.name, "title": scenario.title, "requirements": scenario.requirements})
        });
        let rows: Vec<_> = rows.collect();
        return say(&serde_json::json!({"schema": 1, "scenarios": rows}).to_string());
    }
    let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let lines = scenarios.iter().map(|scenario| format!("{:width$}  {}", scenario.name, scenario.title));
    say(&lines.collect::<Vec<_>>().join("\n"))
}

pub fn printer(detail: live::Detail) -> Arc<dyn Fn(&sealfax_rig::events::Event) + Send + Sync> {
    let printer = live::LivePrinter::stderr(detail);
    Arc::new(move |event| printer.print(event))
}

/// JSON on standard output; a reader that is gone is no failure of ours.
pub fn say(text: &str) -> u8 {
    let _ = writeln!(std::io::stdout(), "{text}");
    0
}

pub async fn run(scenarios: &[Scenario], options: &runner::Options, json: bool) -> u8 {
    let report = runner::run(scenarios, options, |result| {
        // The demonstration ends with its own verdict.
        if options.flat && result.verdict == Verdict::Pass {
            return;
        }
        let style = verdict_style(result.verdict);
        let verdict = style.apply_to(format!("{} {:<11}", result.verdict.mark(), result.verdict.name()));
        eprintln!("{verdict} {:>7.2} s  {}", result.elapsed.as_secs_f64(), result.name);
        if let Some(why) = &result.why {
            eprintln!("                         {why}");
        }
    })
    .await;
    if let Err(error) = report.write_all(&options.out) {
        let why = std::error::Error::source(&error).map(|source| format!(" ({source})")).unwrap_or_default();
        eprintln!("error: {error}{why}");
        return BROKE;
    }
    conclude(&report, options);
    if json {
        match json::render_results(&report) {
            Ok(text) => say(&text),
            Err(error) => {
                eprintln!("error: {error}");
                return BROKE;
            }
        };
    }
    report.exit_code()
}

/// The verdict, and where to look first.
pub fn conclude(report: &RunReport, options: &runner::Options) {
    let verdict = report.verdict();
    let style = verdict_style(verdict).bold();
    eprintln!();
    match report.results.as_slice() {
        [only] if options.flat => {
            let seconds = only.elapsed.as_secs_f64();
            let verdict = style.apply_to(format!("{} {}", verdict.mark(), verdict.name()));
            eprintln!("{verdict} in {seconds:.2} s: {}", only.title);
        }
        results => {
            let passed = report.count(Verdict::Pass);
            let mark = style.apply_to(verdict.mark());
            eprintln!("{mark} {passed} of {} passed on {} with seed {}", results.len(), report.bench, report.seed);
        }
    }
    let bold = console::Style::new().for_stderr().bold();
    eprintln!("Look first at {}", bold.apply_to(options.out.join("report.html").display()));
    if let [only] = report.results.as_slice() {
        artefacts(only);
    }
}

/// The files a person may want to open, each with what it is; of a kind that comes in numbers, only how many.
pub fn artefacts(result: &ScenarioResult) {
    let mut told: Vec<(String, &str)> = Vec::new();
    let mut counted = std::collections::BTreeMap::<&str, usize>::new();
    for event in &result.events {
        match &event.kind {
            EventKind::Screen { png: Some(_), .. } => *counted.entry("screens").or_default() += 1,
            EventKind::Artefact { path } if path.starts_with("screens/") => {}
            EventKind::Artefact { path } if path.starts_with("pki/") => *counted.entry("pki").or_default() += 1,
            EventKind::Artefact { path } if *path != event.text => told.push((path.clone(), &event.text)),
            _ => {}
        }
    }
    for (folder, what) in [
        ("screens", "pictures: everything the displays showed"),
        ("pki", "certificates and demo-only keys: check the mails with them"),
    ] {
        if let Some(count) = counted.get(folder) {
            told.push((format!("{folder}/ ({count})"), what));
        }
    }
    if told.is_empty() {
        return;
    }
    eprintln!("Then, in {}:", result.folder.display());
    let width = told.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
    for (path, what) in told {
        eprintln!("  {path:width$}  {what}");
    }
}

pub fn verdict_style(verdict: Verdict) -> console::Style {
    let style = console::Style::new().for_stderr();
    match verdict {
        Verdict::Pass => style.green(),
        Verdict::Flaky | Verdict::Unsupported => style.yellow(),
        _ => style.red(),
    }
}
