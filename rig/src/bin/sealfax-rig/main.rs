//! The rig's command line (DESIGN.md, "Commands"): human text on standard error, versioned JSON and nothing else on
//! standard output, exit codes 0 well, 1 failed, 2 usage, 3 the tool or the bench itself broke.

mod arguments;
mod tell;

use std::process::ExitCode;

use arguments::{ArchName, Arguments, Command, TwinCommand};
use clap::Parser;
use sealfax_ifax::{Resolution, tiff};
use sealfax_rig::bench_peers;
use sealfax_rig::compare::Comparison;
use sealfax_rig::demo::{self, live};
use sealfax_rig::endpoint::scanner;
use sealfax_rig::lab::command::{self, BenchFileArgument};
use sealfax_rig::package;
use sealfax_rig::peer::pcscd;
use sealfax_rig::scenario::{self, BenchKind, Cards, Scenario, runner, select};
use sealfax_rig::twin;
use sealfax_rig::up;
use tell::{list, printer, run, say};

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
        Command::Package { server, arch, out, built, json } => {
            let contents = if server { package::Contents::MailServer } else { package::Contents::Adapter };
            let archs = if arch.is_empty() { vec![ArchName::Arm64, ArchName::Amd64] } else { arch };
            let program = if built { package::Program::Built } else { package::Program::Field };
            tokio::task::block_in_place(|| pack(contents, &archs, &out, program, json))
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
        Command::Scan { document, out, resolution, json } => scan(&document, &out, resolution.into(), json),
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

/// Makes fax pages of a document.
fn scan(document: &std::path::Path, out: &std::path::Path, resolution: Resolution, json: bool) -> u8 {
    let letter = document == std::path::Path::new("letter");
    let scanned = if letter { scanner::scan(None) } else { scanner::scan_at(document, resolution) };
    let pages = match scanned {
        Ok(pages) => pages,
        Err(error) => {
            eprintln!("error: {error}");
            return USAGE;
        }
    };
    let written = tiff::write(&pages).map_err(std::io::Error::other).and_then(|octets| {
        out.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(out, &octets)?;
        Ok(octets.len())
    });
    let octets = match written {
        Ok(octets) => octets,
        Err(error) => {
            eprintln!("error: {} cannot be written: {error}", out.display());
            return BROKE;
        }
    };
    let mut listed = Vec::new();
    for (number, page) in (1..).zip(&pages) {
        let (across, down) = page.resolution().dpi();
        let black = page.black_pixels() as f64 / (f64::from(page.width()) * f64::from(page.height()).max(1.0));
        let (width, height) = (page.width(), page.height());
        eprintln!("page {number}: {width}x{height} at {across}x{down} dots per inch, {:.1} % black", black * 100.0);
        listed.push(serde_json::json!({"width": width, "height": height, "dpi": [across, down], "black": black}));
    }
    eprintln!("{} page(s), {octets} octets of MH in {}", pages.len(), out.display());
    if json {
        let file = out.display().to_string();
        return say(&serde_json::json!({"schema": 1, "file": file, "octets": octets, "pages": listed}).to_string());
    }
    0
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

fn pack(
    contents: package::Contents,
    archs: &[ArchName],
    out: &std::path::Path,
    program: package::Program,
    json: bool,
) -> u8 {
    let Some(root) = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent() else { return BROKE };
    let mut packages = Vec::new();
    for arch in archs {
        match package::make(root, contents, (*arch).into(), program, out) {
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

/// On a bench of the lab, from its reservation to its release.
async fn on_bench(scenarios: &[Scenario], options: runner::Options, file: &BenchFileArgument, json: bool) -> u8 {
    command::on_bench(&file.bench_file, |lab| async move {
        run(scenarios, &runner::Options { lab: Some(lab), ..options }, json).await
    })
    .await
}
