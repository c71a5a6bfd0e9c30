//! The command line as clap reads it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sealfax_ifax::Resolution;
use sealfax_rig::lab::command::{BenchFileArgument, LabCommand};
use sealfax_rig::package;
use sealfax_rig::scenario::{BenchKind, Cards};
use sealfax_rig::twin::{Gpio, Image, Offices, TwinError, Twins};

/// The rig of Sealfax: plays whole offices with their fax machines, adapters, cards and servers, and says what held.
#[derive(Parser)]
#[command(name = "sealfax-rig", bin_name = "cargo rig", version, disable_help_subcommand = true, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

pub const EXAMPLES: &str = "\
Examples:
  cargo rig demo                         the whole flow, told live; then open target/demo/report.html
  cargo rig demo --document offer.pdf    the same with your own pages
  cargo rig scan photo.jpg --out x.tif   what a fax machine would make of it
  cargo rig run                          every scenario; then open target/rig/report.html
  cargo rig demo --bench twin            the same on emulated boards, after `cargo rig twin build`
  cargo rig run wrong --bench lab --bench-file bench.toml
                                         on real boards, after `cargo rig lab check`
  cargo rig up                           a system that runs, and a screen to work at it
  cargo rig run wrong --verbose          the scenarios with \"wrong\" in their name, with everything that happens
  cargo run --release -p sealfax-rig -- bench directory
                                         figures beside those of other people's programs

Exit codes: 0 well, 1 something failed, 2 the command line was wrong, 3 the rig itself broke.";

/// T.4's vertical resolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResolutionName {
    Standard,
    Fine,
    Superfine,
}

impl From<ResolutionName> for Resolution {
    fn from(name: ResolutionName) -> Self {
        match name {
            ResolutionName::Standard => Self::Standard,
            ResolutionName::Fine => Self::Fine,
            ResolutionName::Superfine => Self::Superfine,
        }
    }
}

#[derive(Subcommand)]
pub enum Command {
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
        /// Your own page(s): PDF, TIFF, PNG, JPEG or text [default: a built-in letter].
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
        /// What the fax machines send: PDF, TIFF, PNG, JPEG or text [default: a built-in letter].
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
    /// Make fax pages of a document, as a fax machine's scanner does: a TIFF of profile S.
    Scan {
        /// PDF, TIFF, PNG, JPEG or text; `letter` is the built-in one.
        #[arg(value_name = "FILE")]
        document: PathBuf,
        /// Where the pages go.
        #[arg(long, value_name = "X.tif", default_value = "target/scan.tif")]
        out: PathBuf,
        /// Lines per inch: 98, 196 or 391.
        #[arg(long, value_enum, default_value = "fine")]
        resolution: ResolutionName,
        /// What came of it as JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Make the adapter's Debian packages, or those of the servers.
    Package {
        /// The servers rather than the adapter.
        #[arg(long)]
        server: bool,
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
pub enum BenchName {
    /// Adapters in process, virtual devices, real sockets on loopback.
    Sim,
    /// The field's own program on emulated boards; `cargo rig twin build` comes first.
    Twin,
    /// Real boards with instruments at them, as --bench-file says.
    Lab,
}

/// Of the bench `twin`.
#[derive(Args)]
pub struct TwinArguments {
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
    pub fn bench(&self, name: BenchName) -> Result<(BenchKind, Option<Twins>), TwinError> {
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
pub enum GpioName {
    /// The controller's registers, mapped.
    Rppal,
    /// The kernel's character device.
    Gpiocdev,
}

#[derive(Subcommand)]
pub enum TwinCommand {
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
pub enum CardsName {
    /// Through a reader in software.
    Virtual,
    /// Through a private pcscd with virtual readers and the driver of the field.
    Pcscd,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum ArchName {
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

/// Letters of offices, each once.
fn offices(word: &str) -> Result<String, String> {
    let known = word.chars().all(|letter| matches!(letter, 'a'..='c')) && !word.is_empty();
    let twice = word.char_indices().any(|(at, letter)| word.chars().take(at).any(|before| before == letter));
    if known && !twice { Ok(word.to_owned()) } else { Err("write letters from a to c, each once: ab".to_owned()) }
}
