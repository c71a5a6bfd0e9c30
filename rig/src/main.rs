//! The rig's command line (DESIGN.md, "Commands"): human text on standard error, versioned JSON and nothing else on
//! standard output, exit codes 0 well, 1 failed, 2 usage, 3 the tool or the bench itself broke.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sealfax_rig::bench_peers;
use sealfax_rig::compare::Comparison;
use sealfax_rig::demo::{self, live};
use sealfax_rig::endpoint::scanner;
use sealfax_rig::events::EventKind;
use sealfax_rig::lab::command::{self, BenchFileArgument, LabCommand};
use sealfax_rig::package;
use sealfax_rig::peer::pcscd;
use sealfax_rig::report::{RunReport, ScenarioResult, Verdict, json};
use sealfax_rig::scenario::{self, BenchKind, Cards, Scenario, runner, select};
use sealfax_rig::twin::{self, Gpio, Image, Offices, TwinError, Twins};
use sealfax_rig::up;

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
  cargo rig demo --bench twin            the same on emulated boards, after `cargo rig twin build`
  cargo rig run wrong --bench lab --bench-file bench.toml
                                         on real boards, after `cargo rig lab check`
  cargo rig up                           a system that runs, and a screen to work at it
  cargo rig run wrong --verbose          the scenarios with \"wrong\" in their name, with everything that happens
  cargo run --release -p sealfax-rig -- bench directory
                                         figures beside those of other people's programs

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
        /// Parts of scenarios' names, or patterns with `*`; all without any.
        #[arg(value_name = "PATTERN")]
        patterns: Vec<String>,
        /// On which bench.
        #[arg(long, value_enum, default_value = "sim")]
        bench: BenchName,
        /// How cards reach the adapters in process.
        #[arg(long, value_enum, default_value = "virtual")]
        cards: CardsName,
        #[command(flatten)]
        twins: TwinArguments,
        #[command(flatten)]
        file: BenchFileArgument,
        /// What everything random follows from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the artefacts and reports go.
        #[arg(long, value_name = "DIR", default_value = "target/rig")]
        out: PathBuf,
        /// How often each scenario runs; more than once tells flaky ones.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        repeat: u32,
        /// How many benches stand side by side [default: two for each processor; on boards, with a pcscd or with
        /// --verbose one after the other].
        #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
        jobs: Option<u16>,
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
        /// On which bench.
        #[arg(long, value_enum, default_value = "sim")]
        bench: BenchName,
        #[command(flatten)]
        twins: TwinArguments,
        #[command(flatten)]
        file: BenchFileArgument,
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
    /// Leave a whole system running and work there: insert cards, type PINs, press RECEIVE, pull cables.
    Up {
        /// The offices, by letter: c has one person more.
        #[arg(long, default_value = "ab", value_parser = offices)]
        offices: String,
        /// What the fax machines send: TIFF, PNG, PDF or text [default: a built-in letter].
        #[arg(long, value_name = "FILE")]
        document: Option<PathBuf>,
        /// Where pictures of the screens, pages and certificates go.
        #[arg(long, value_name = "DIR", default_value = "target/up")]
        out: PathBuf,
        /// What everything random follows from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Lines to be done, one after the other, instead of the live screen; `-` is standard input. `help` lists them.
        #[arg(long, value_name = "FILE")]
        script: Option<PathBuf>,
        /// What came of each line as JSON on standard output.
        #[arg(long, requires = "script")]
        json: bool,
    },
    /// Make the adapter's Debian packages.
    Package {
        /// For which machines; both without it. arm64 on an amd64 machine needs the compiler that SEALFAX_CROSS names.
        #[arg(long, value_enum)]
        arch: Vec<ArchName>,
        /// Where they go.
        #[arg(long, value_name = "DIR", default_value = "target/deb")]
        out: PathBuf,
        /// Pack the program of this machine that the tests have built, rather than one for the field.
        #[arg(long)]
        built: bool,
        /// The packages as JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Build the digital twin's image, or see whether it starts.
    Twin {
        #[command(subcommand)]
        command: TwinCommand,
    },
    /// Look at a lab bench, hold it, or lay out a board that is not there.
    Lab {
        #[command(subcommand)]
        command: LabCommand,
    },
    /// What two runs have not in common, scenario by scenario, and why.
    Compare {
        /// The folder of a run, as given to it with --out.
        a: PathBuf,
        /// The folder of another run.
        b: PathBuf,
        /// As JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Measure ours beside what others have, in turn in one run.
    Bench {
        /// Which benchmark; the list of them without it.
        name: Option<String>,
        /// The figures as JSON on standard output.
        #[arg(long)]
        json: bool,
        /// Exit with 1 if a goal is not met.
        #[arg(long)]
        strict: bool,
        /// How large the world is: certificates in a store, and the like.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
        entries: u32,
        /// Seconds of one round of one contender.
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
        /// Rounds of each contender; the best one counts.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
        rounds: u32,
        /// The sealfax-mailserver to measure [default: the one beside this program].
        #[arg(long, value_name = "FILE")]
        server: Option<PathBuf>,
        /// Measure a build without optimisation all the same; its figures mean nothing.
        #[arg(long)]
        unoptimised: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum BenchName {
    /// Adapters in process, virtual devices, real sockets on loopback.
    Sim,
    /// The field's own program on emulated boards; `cargo rig twin build` comes first.
    Twin,
    /// Real boards with instruments at them, as --bench-file says.
    Lab,
}

/// Of the bench `twin`.
#[derive(Args)]
struct TwinArguments {
    /// The offices whose adapters run on emulated boards: `all`, or letters.
    #[arg(long, value_name = "OFFICES", default_value = "all")]
    twins: Offices,
    /// Which driver works lamp, buzzer and button there.
    #[arg(long, value_enum, default_value = "rppal")]
    twin_gpio: GpioName,
    /// Where the image is.
    #[arg(long, value_name = "DIR", default_value = Image::PLACE)]
    twin_image: PathBuf,
}

impl TwinArguments {
    /// The bench and its boards.
    fn bench(&self, name: BenchName) -> Result<(BenchKind, Option<Twins>), TwinError> {
        match name {
            BenchName::Sim => Ok((BenchKind::Sim, None)),
            BenchName::Lab => Ok((BenchKind::Lab, None)),
            BenchName::Twin => {
                let image = Arc::new(Image::open(&self.twin_image)?);
                let gpio = match self.twin_gpio {
                    GpioName::Rppal => Gpio::Rppal,
                    GpioName::Gpiocdev => Gpio::Gpiocdev,
                };
                Ok((BenchKind::Twin, Some(Twins { image, offices: self.twins.clone(), gpio })))
            }
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum GpioName {
    /// The controller's registers, mapped.
    Rppal,
    /// The kernel's character device.
    Gpiocdev,
}

#[derive(Subcommand)]
enum TwinCommand {
    /// Fetch Debian's arm64 packages, take or build the adapter, and put the image together.
    Build {
        /// The adapter's arm64 package whose program is to be tested; without it cargo builds one.
        #[arg(long, value_name = "FILE")]
        package: Option<PathBuf>,
        /// Where the image goes.
        #[arg(long, value_name = "DIR", default_value = Image::PLACE)]
        out: PathBuf,
        /// Fetch the Debian packages anew.
        #[arg(long)]
        refresh: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CardsName {
    /// Through a reader in software.
    Virtual,
    /// Through a private pcscd with virtual readers and the driver of the field.
    Pcscd,
}

#[derive(Clone, Copy, ValueEnum)]
enum ArchName {
    /// Raspberry Pi and other 64-bit ARM boards.
    Arm64,
    /// Desks and servers.
    Amd64,
}

impl From<ArchName> for package::Arch {
    fn from(name: ArchName) -> Self {
        match name {
            ArchName::Arm64 => Self::Arm64,
            ArchName::Amd64 => Self::Amd64,
        }
    }
}

impl From<CardsName> for Cards {
    fn from(name: CardsName) -> Self {
        match name {
            CardsName::Virtual => Self::Virtual,
            CardsName::Pcscd => Self::Pcscd,
        }
    }
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
        Command::Package { arch, out, built, json } => {
            let archs = if arch.is_empty() { vec![ArchName::Arm64, ArchName::Amd64] } else { arch };
            let program = if built { package::Program::Built } else { package::Program::Field };
            tokio::task::block_in_place(|| pack(&archs, &out, program, json))
        }
        Command::Twin { command: TwinCommand::Build { package, out, refresh } } => {
            let options = twin::build::Options { out, package, refresh };
            let building = tokio::task::spawn_blocking(move || build_twin(&options));
            building.await.unwrap_or(BROKE)
        }
        Command::Lab { command } => command::execute(command, say).await,
        Command::Up { offices, document, out, seed, script, json } => {
            let offices = offices.chars().collect();
            match up::run(&up::Options { offices, document, out, seed, script, json }).await {
                Ok(good) => u8::from(!good),
                Err(error) => {
                    eprintln!("error: {error}");
                    BROKE
                }
            }
        }
        Command::Compare { a, b, json } => compare(&a, &b, json),
        Command::Run { patterns, bench, cards, twins, file, seed, out, repeat, jobs, json, verbose } => {
            let chosen = match select::select(&scenario::all(), &patterns) {
                Ok(chosen) => chosen,
                Err(error) => {
                    eprintln!("error: {error}");
                    return ExitCode::from(USAGE);
                }
            };
            let live = verbose.then(|| printer(live::Detail::Everything));
            let (bench, twins) = match twins.bench(bench) {
                Ok(bench) => bench,
                Err(error) => {
                    eprintln!("error: {error}");
                    return ExitCode::from(BROKE);
                }
            };
            let cards = cards.into();
            let alone = bench != BenchKind::Sim || cards == Cards::Pcscd || verbose;
            let jobs = jobs.map_or_else(|| if alone { 1 } else { side_by_side() }, usize::from);
            let usual = runner::Options::new(out);
            let options = runner::Options { bench, cards, twins, seed, repeat, jobs, live, ..usual };
            if bench == BenchKind::Lab {
                on_bench(&chosen, options, &file, json).await
            } else if cards == Cards::Pcscd {
                match own_pcscd() {
                    Ok(_folder) => run(&chosen, &options, json).await,
                    Err(error) => {
                        eprintln!("error: {error}");
                        BROKE
                    }
                }
            } else {
                run(&chosen, &options, json).await
            }
        }
        Command::Bench { name, json, strict, entries, seconds, rounds, server, unoptimised } => {
            let options =
                bench_peers::Options { entries: entries as usize, seconds: seconds.clamp(0.05, 600.0), rounds, server };
            let _folder = match (name.as_deref() == Some("card")).then(own_pcscd).transpose() {
                Ok(folder) => folder,
                Err(error) => {
                    eprintln!("error: {error}");
                    return ExitCode::from(BROKE);
                }
            };
            // Load clients block; the runtime of everything else is not theirs.
            let measured =
                tokio::task::spawn_blocking(move || measure(name.as_deref(), &options, json, strict, unoptimised));
            measured.await.unwrap_or(BROKE)
        }
        Command::Demo { document, bench, twins, file, out, seed, json, verbose } => {
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
            let (bench, twins) = match twins.bench(bench) {
                Ok(bench) => bench,
                Err(error) => {
                    eprintln!("error: {error}");
                    return ExitCode::from(BROKE);
                }
            };
            let usual = runner::Options::new(out);
            let options = runner::Options { bench, twins, seed, document, flat: true, live, ..usual };
            if bench == BenchKind::Lab {
                on_bench(std::slice::from_ref(story), options, &file, json).await
            } else {
                run(std::slice::from_ref(story), &options, json).await
            }
        }
    })
}

/// Letters of offices, each once.
fn offices(word: &str) -> Result<String, String> {
    let known = word.chars().all(|letter| matches!(letter, 'a'..='c')) && !word.is_empty();
    let twice = word.char_indices().any(|(at, letter)| word.chars().take(at).any(|before| before == letter));
    if known && !twice { Ok(word.to_owned()) } else { Err("write letters from a to c, each once: ab".to_owned()) }
}

/// Benches mostly wait: for lamps, for people, for each other.
fn side_by_side() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// libpcsclite finds its daemon by a variable of its process's environment: this process is started again with it. Gives
/// the folder in which the daemon's socket is, and takes it away at the end.
fn own_pcscd() -> std::io::Result<pcscd::OwnFolder> {
    use std::os::unix::process::CommandExt as _;
    if let Some(folder) = pcscd::OwnFolder::of_this_process() {
        return Ok(folder);
    }
    let socket = pcscd::OwnFolder::prepare()?;
    let program = std::env::current_exe()?;
    Err(std::process::Command::new(program).args(std::env::args_os().skip(1)).env(pcscd::SOCKET, socket).exec())
}

fn measure(name: Option<&str>, options: &bench_peers::Options, json: bool, strict: bool, unoptimised: bool) -> u8 {
    let benchmarks = bench_peers::all();
    let Some(name) = name else {
        let width = benchmarks.iter().map(|benchmark| benchmark.name.len()).max().unwrap_or(0);
        let lines = benchmarks.iter().map(|benchmark| format!("{:width$}  {}", benchmark.name, benchmark.title));
        return say(&lines.collect::<Vec<_>>().join("\n"));
    };
    let Some(benchmark) = benchmarks.iter().find(|benchmark| benchmark.name == name) else {
        let known: Vec<_> = benchmarks.iter().map(|benchmark| benchmark.name).collect();
        eprintln!("error: there is no benchmark {name:?}; there are: {}", known.join(", "));
        return USAGE;
    };
    if cfg!(debug_assertions) {
        let command = format!("cargo run --release -p sealfax-rig -- bench {name}");
        if !unoptimised {
            eprintln!("error: this build is not optimised, its figures would mean nothing; run");
            eprintln!("  cargo build --release -p sealfax-mailserver && {command}");
            eprintln!("or say --unoptimised to try the measuring itself");
            return USAGE;
        }
        eprintln!("WARNING: this build is not optimised and its figures mean nothing; honest ones: {command}");
    }
    let progress = bench_peers::Progress::stderr();
    let rows = (benchmark.run)(options, &progress);
    drop(progress);
    match rows {
        Ok(rows) => {
            bench_peers::conclude(&rows, json);
            u8::from(strict && rows.iter().any(|row| !row.met))
        }
        Err(error) => {
            eprintln!("error: {error}");
            BROKE
        }
    }
}

/// Builds the twin's image and says what is in it.
fn build_twin(options: &twin::build::Options) -> u8 {
    match twin::build(options, &mut |what| eprintln!("{what} ...")) {
        Ok(image) => {
            let facts = &image.facts;
            eprintln!("twin of kernel {} in {}", facts.kernel, options.out.display());
            eprintln!(
                "sealfax-adapter {} ({}, {} octets)",
                facts.adapter_sha256, facts.adapter_from, facts.adapter_octets
            );
            0
        }
        Err(error) => {
            eprintln!("error: {error}");
            BROKE
        }
    }
}

/// Says what two runs have not in common; what nobody can explain fails.
fn compare(a: &std::path::Path, b: &std::path::Path, json: bool) -> u8 {
    let comparison = match Comparison::of(a, b) {
        Ok(comparison) => comparison,
        Err(error) => {
            eprintln!("error: {error}");
            return BROKE;
        }
    };
    eprint!("{comparison}");
    if json {
        match serde_json::to_string(&comparison) {
            Ok(text) => say(&text),
            Err(error) => {
                eprintln!("error: {error}");
                return BROKE;
            }
        };
    }
    u8::from(comparison.unexplained() > 0)
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
    let lines = scenarios.iter().map(|scenario| format!("{:width$}  {}", scenario.name, scenario.title));
    say(&lines.collect::<Vec<_>>().join("\n"))
}

fn pack(archs: &[ArchName], out: &std::path::Path, program: package::Program, json: bool) -> u8 {
    let Some(root) = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent() else { return BROKE };
    let mut packages = Vec::new();
    for arch in archs {
        match package::make(root, (*arch).into(), program, out) {
            Ok(package) => {
                let (file, mib) = (package.file.display(), package.octets as f64 / f64::from(1 << 20));
                eprintln!("{file}: {mib:.1} MiB; the program's sha256 is {}", package.program_sha256);
                packages.push(package);
            }
            Err(error) => {
                eprintln!("error: {error}");
                return BROKE;
            }
        }
    }
    if json { say(&serde_json::json!({"schema": 1, "packages": packages}).to_string()) } else { 0 }
}

/// JSON on standard output; a reader that is gone is no failure of ours.
fn say(text: &str) -> u8 {
    let _ = writeln!(std::io::stdout(), "{text}");
    0
}

/// On a bench of the lab, from its reservation to its release.
async fn on_bench(scenarios: &[Scenario], options: runner::Options, file: &BenchFileArgument, json: bool) -> u8 {
    command::on_bench(&file.bench_file, |lab| async move {
        run(scenarios, &runner::Options { lab: Some(lab), ..options }, json).await
    })
    .await
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
