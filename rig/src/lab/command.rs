//! The lab on the command line: `cargo rig lab check`, `reserve`, `stand-in`, and a run on a bench from its reservation to its
//! release. Human text is on standard error; the exit code is given back.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::check::{self, Report};
use super::lease::Lease;
use super::stand_in::StandIn;
use super::{BenchFile, Lab, LabError};
use crate::twin::Image;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const BROKE: u8 = 3;

/// Where the bench is described.
#[derive(Debug, Clone, Args)]
pub struct BenchFileArgument {
    /// What stands on the bench `lab`; rig/lab-bench.example.toml has every key.
    #[arg(long, value_name = "FILE", default_value = "lab-bench.toml")]
    pub bench_file: PathBuf,
}

/// `cargo rig lab ...`.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Look at each instrument of a bench, and whether the right board answers. Switches, presses and types nothing.
    Check {
        /// Which bench.
        #[command(flatten)]
        file: BenchFileArgument,
        /// The findings as JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Hold the bench's place at labgrid until Ctrl-C, for work by hand.
    Reserve {
        /// Which bench.
        #[command(flatten)]
        file: BenchFileArgument,
    },
    /// Lay out a twin as a board on a bench, to try the bench itself where there is no board; ends with Ctrl-C.
    StandIn {
        /// Where its connectors and its bench file go; a short path, as sockets want it.
        #[arg(long, value_name = "DIR", default_value = "/tmp/sealfax-stand-in")]
        out: PathBuf,
        /// Which office the board plays.
        #[arg(long, default_value = "b")]
        office: char,
        /// Where the twin's image is.
        #[arg(long, value_name = "DIR", default_value = Image::PLACE)]
        twin_image: PathBuf,
    },
}

/// Does it. `say` writes to standard output.
pub async fn execute(command: LabCommand, say: fn(&str) -> u8) -> u8 {
    match command {
        LabCommand::Check { file, json } => {
            let file = match BenchFile::read(&file.bench_file) {
                Ok(file) => file,
                Err(error) => return complain(&error),
            };
            let (lease, report) = looked_at(file).await;
            eprint!("{report}");
            if let Some(lease) = lease {
                lease.release().await;
            }
            if json {
                match serde_json::to_string(&report) {
                    Ok(text) => say(&text),
                    Err(error) => {
                        eprintln!("error: {error}");
                        return BROKE;
                    }
                };
            }
            if report.is_sound() { 0 } else { FAILED }
        }
        LabCommand::Reserve { file } => match BenchFile::read(&file.bench_file) {
            Ok(file) => reserve(&file).await,
            Err(error) => complain(&error),
        },
        LabCommand::StandIn { out, office, twin_image } => stand_in(&out, office, &twin_image).await,
    }
}

/// A mistake in the bench file is one of the command line; the rest is the bench's.
fn complain(error: &LabError) -> u8 {
    eprintln!("error: {error}");
    match error {
        LabError::NoFile { .. } | LabError::Unusable { .. } => USAGE,
        _ => BROKE,
    }
}

/// Reserves the place for the look, if nobody has it: whoever has it is not disturbed, and is told by the check.
async fn looked_at(mut file: BenchFile) -> (Option<Lease>, Report) {
    if let Some(labgrid) = &mut file.labgrid {
        labgrid.wait_seconds = 0;
    }
    let lease = take(&file).await.ok().flatten();
    let report = check::check(&file, lease.is_some()).await;
    (lease, report)
}

async fn take(file: &BenchFile) -> Result<Option<Lease>, LabError> {
    let Some(labgrid) = &file.labgrid else { return Ok(None) };
    let lease = Lease::take(labgrid, |words| eprintln!("{words}")).await?;
    eprintln!("the place {:?} is reserved for this rig", labgrid.place);
    Ok(Some(lease))
}

async fn reserve(file: &BenchFile) -> u8 {
    let lease = match take(file).await {
        Ok(Some(lease)) => lease,
        Ok(None) => {
            eprintln!("error: the bench file has no [labgrid]: nobody shares this bench");
            return USAGE;
        }
        Err(error) => return complain(&error),
    };
    eprintln!("Ctrl-C gives it back");
    until_lost(Some(lease), std::future::pending()).await.unwrap_or(0)
}

/// Does `work` while the place is ours; gives it back when that is done, or when somebody presses Ctrl-C (`None`).
async fn until_lost(mut lease: Option<Lease>, work: impl Future<Output = u8>) -> Option<u8> {
    let lost = async {
        match &mut lease {
            Some(lease) => lease.lost().await,
            None => std::future::pending().await,
        }
    };
    let code = tokio::select! {
        code = work => Some(code),
        why = lost => {
            // Somebody else may have the bench from now on: not a finger is moved any more.
            eprintln!("error: the place is no longer ours: {why}");
            Some(BROKE)
        }
        _ = tokio::signal::ctrl_c() => None,
    };
    if let Some(lease) = lease {
        lease.release().await;
    }
    code
}

/// Plays `work` on the bench: reserved, looked at, and given back afterwards. What is broken makes every story an
/// infra-error, with a report all the same.
pub async fn on_bench<Work, Code>(path: &Path, work: Work) -> u8
where
    Work: FnOnce(Lab) -> Code,
    Code: Future<Output = u8>,
{
    let file = match BenchFile::read(path) {
        Ok(file) => Arc::new(file),
        Err(error) => return complain(&error),
    };
    let (lease, broken) = match take(&file).await {
        Ok(lease) => (lease, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let playing = async {
        let (broken, programs) = match broken {
            Some(why) => {
                eprintln!("error: {why}");
                (Some(why), Vec::new())
            }
            None => {
                let report = check::check(&file, true).await;
                tell(&report);
                (report.reason(), report.programs)
            }
        };
        work(Lab { file: file.clone(), programs, broken }).await
    };
    until_lost(lease, playing).await.unwrap_or_else(|| {
        eprintln!("interrupted");
        BROKE
    })
}

/// A sound bench is a line, a broken one all that was found.
fn tell(report: &Report) {
    if report.is_sound() {
        eprintln!("✓ bench {:?} is sound", report.bench);
    } else {
        eprint!("{report}");
    }
}

async fn stand_in(out: &Path, office: char, image: &Path) -> u8 {
    let (out, image) = (out.to_path_buf(), image.to_path_buf());
    let starting = tokio::task::spawn_blocking(move || {
        let image = Image::open(&image).map_err(|error| error.to_string())?;
        StandIn::start(Arc::new(image), &out, office).map_err(|error| error.to_string())
    });
    match starting.await.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(stand_in) => {
            let file = stand_in.bench_file();
            eprintln!(
                "a board that is not there plays office {}; its bench file is {}",
                office.to_ascii_uppercase(),
                file.display()
            );
            eprintln!("in another terminal: cargo rig lab check --bench-file {}", file.display());
            let _ = tokio::signal::ctrl_c().await;
            let _ = tokio::task::spawn_blocking(move || drop(stand_in)).await;
            0
        }
        Err(why) => {
            eprintln!("error: {why}");
            BROKE
        }
    }
}
