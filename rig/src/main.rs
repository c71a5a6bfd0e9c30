//! The rig's command line (DESIGN.md, "Commands"): human text on standard error, versioned JSON and nothing else on
//! standard output, exit codes 0 well, 1 failed, 2 usage, 3 the tool or the bench itself broke.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand, ValueEnum};
use sealfax_rig::demo::{self, live};
use sealfax_rig::report::{RunReport, Verdict, json};
use sealfax_rig::scenario::{self, BenchKind, Scenario, runner, select};

/// The hardware-in-the-loop rig of Sealfax.
#[derive(Parser)]
#[command(name = "cargo rig", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

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
        #[arg(long, default_value = "target/rig")]
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
        /// Your own page(s): TIFF, PNG, PDF or text.
        #[arg(long)]
        document: Option<PathBuf>,
        /// Where the artefacts and reports go.
        #[arg(long, default_value = "target/demo")]
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
        let style = verdict_style(result.verdict);
        let verdict = style.apply_to(format!("{} {:<11}", result.verdict.mark(), result.verdict.name()));
        eprintln!("{verdict} {:>7.2} s  {}", result.elapsed.as_secs_f64(), result.name);
        if let Some(why) = &result.why {
            eprintln!("              {why}");
        }
    })
    .await;
    if let Err(error) = report.write_all(&options.out) {
        eprintln!("error: {:?}", miette::miette!("{error}"));
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

fn conclude(report: &RunReport, options: &runner::Options) {
    let verdict = report.verdict();
    let passed = report.count(Verdict::Pass);
    let style = verdict_style(verdict);
    eprintln!();
    eprintln!(
        "{} {passed} of {} passed on {} with seed {}",
        style.apply_to(verdict.mark()),
        report.results.len(),
        report.bench,
        report.seed
    );
    eprintln!("  {}", options.out.join("report.html").display());
    if let [only] = report.results.as_slice() {
        for path in only.artefacts().into_iter().filter(|path| !path.starts_with("screens/")) {
            eprintln!("  {}", only.folder.join(path).display());
        }
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
