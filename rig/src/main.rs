//! The rig's command line (DESIGN.md, "Commands"): human text on standard error, versioned JSON and nothing else on
//! standard output, exit codes 0 well, 1 failed, 2 usage, 3 the tool or the bench itself broke.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand, ValueEnum};
use sealfax_rig::demo::{self, live};
use sealfax_rig::endpoint::scanner;
use sealfax_rig::events::EventKind;
use sealfax_rig::report::{RunReport, ScenarioResult, Verdict, json};
use sealfax_rig::scenario::{self, BenchKind, Scenario, runner, select};

/// The rig of Sealfax: plays whole offices with their fax machines, adapters, cards and servers, and says what held.
#[derive(Parser)]
#[command(name = "sealfax-rig", bin_name = "cargo rig", version, disable_help_subcommand = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cargo rig demo                         the whole flow, told live; then open target/demo/report.html
  cargo rig demo --document offer.pdf    the same with your own pages
  cargo rig run                          every scenario; then open target/rig/report.html
  cargo rig run wrong --verbose          the scenarios with \"wrong\" in their name, with everything that happens

Exit codes: 0 well, 1 something failed, 2 the command line was wrong, 3 the rig itself broke.";

#[derive(Subcommand)]
enum Command {
    /// List the scenarios.
    List {
        /// As JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Run scenarios and write the reports.
    Run {
        /// Part of a scenario's name, or a pattern with `*`; all without it.
        pattern: Option<String>,
        /// On which bench.
        #[arg(long, value_enum, default_value = "sim")]
        bench: BenchName,
        /// What everything random follows from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the artefacts and reports go.
        #[arg(long, value_name = "DIR", default_value = "target/rig")]
        out: PathBuf,
        /// How often each scenario runs; more than once tells flaky ones.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        repeat: u32,
        /// Results as JSON on standard output.
        #[arg(long)]
        json: bool,
        /// Tell everything that happens.
        #[arg(long, short)]
        verbose: bool,
    },
    /// Two offices, one confidential fax: the whole flow, told live.
    Demo {
        /// Your own page(s): TIFF, PNG, PDF or text [default: a built-in letter].
        #[arg(long, value_name = "FILE")]
        document: Option<PathBuf>,
        /// Where the artefacts and reports go.
        #[arg(long, value_name = "DIR", default_value = "target/demo")]
        out: PathBuf,
        /// What everything random follows from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The result as JSON on standard output.
        #[arg(long)]
        json: bool,
        /// Tell everything that happens.
        #[arg(long, short)]
        verbose: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum BenchName {
    /// Adapters in process, virtual devices, real sockets on loopback.
    Sim,
}

const USAGE: u8 = 2;
const BROKE: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    ExitCode::from(match arguments.command {
        Command::List { json } => list(json),
        Command::Run { pattern, bench: BenchName::Sim, seed, out, repeat, json, verbose } => {
            let chosen = match select::select(&scenario::all(), pattern.as_deref()) {
                Ok(chosen) => chosen,
                Err(error) => {
                    eprintln!("error: {error}");
                    return ExitCode::from(USAGE);
                }
            };
            let live = verbose.then(|| printer(live::Detail::Everything));
            let options =
                runner::Options { bench: BenchKind::Sim, seed, out, document: None, repeat, flat: false, live };
            run(&chosen, &options, json).await
        }
        Command::Demo { document, out, seed, json, verbose } => {
            let all = scenario::all();
            let Some(story) = all.iter().find(|scenario| scenario.name == demo::SCENARIO) else {
                eprintln!("error: this build has no scenario {:?} to tell; run `list`", demo::SCENARIO);
                return ExitCode::from(BROKE);
            };
            // A file that cannot be sent is a slip on the command line, and is said before anything starts.
            if let Err(error) = scanner::scan(document.as_deref()) {
                eprintln!("error: --document {error}");
                return ExitCode::from(USAGE);
            }
            let detail = if verbose { live::Detail::Everything } else { live::Detail::Story };
            let live = Some(printer(detail));
            let options = runner::Options { bench: BenchKind::Sim, seed, out, document, repeat: 1, flat: true, live };
            run(std::slice::from_ref(story), &options, json).await
        }
    })
}

fn printer(detail: live::Detail) -> Arc<dyn Fn(&sealfax_rig::events::Event) + Send + Sync> {
    let printer = live::LivePrinter::stderr(detail);
    Arc::new(move |event| printer.print(event))
}

fn list(json: bool) -> u8 {
    let scenarios = scenario::all();
    if json {
        let rows = scenarios.iter().map(|scenario| {
            serde_json::json!({"scenario": scenario.name, "title": scenario.title, "requirements": scenario.requirements})
        });
        let rows: Vec<_> = rows.collect();
        return say(&serde_json::json!({"schema": 1, "scenarios": rows}).to_string());
    }
    let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    for scenario in scenarios {
        eprintln!("{:width$}  {}", scenario.name, scenario.title);
    }
    0
}

/// JSON on standard output; a reader that is gone is no failure of ours.
fn say(text: &str) -> u8 {
    let _ = writeln!(std::io::stdout(), "{text}");
    0
}

async fn run(scenarios: &[Scenario], options: &runner::Options, json: bool) -> u8 {
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
fn conclude(report: &RunReport, options: &runner::Options) {
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
fn artefacts(result: &ScenarioResult) {
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

fn verdict_style(verdict: Verdict) -> console::Style {
    let style = console::Style::new().for_stderr();
    match verdict {
        Verdict::Pass => style.green(),
        Verdict::Flaky | Verdict::Unsupported => style.yellow(),
        _ => style.red(),
    }
}
