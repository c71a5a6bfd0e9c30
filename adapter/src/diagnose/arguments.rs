//! The command line of `sealfax-adapter diagnose`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use sealfax_drivers::display::Language;

/// `sealfax-adapter diagnose ...`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong, 1 something is broken, 2 warnings only, 3 the tool or its command line, \
                        4 not supported here"
)]
pub struct DiagnoseArgs {
    /// The adapter's configuration
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/sealfax/adapter.toml")]
    pub config: PathBuf,
    /// Versioned JSON, and nothing else, on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// The language of what is said; the configuration's if not given
    #[arg(long, global = true, value_enum)]
    pub language: Option<Tongue>,
    /// Stay, look again every few seconds, and show it as a screen; q ends it
    #[arg(long, conflicts_with_all = ["json", "bundle", "from"])]
    pub watch: bool,
    /// Write report, facts, configuration and journal into this file, without secrets, to be sent to somebody
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Judge the facts of a bundle instead of this machine's
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    pub from: Option<PathBuf>,
    /// Another place for /sys, /proc, /dev and /run
    #[arg(long, global = true, hide = true, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// One device alone
    #[command(subcommand)]
    pub one: Option<One>,
}

/// One device, tried with the help of whoever stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum One {
    /// Blink the lamp three times, and ask whether it was seen
    Lamp(Assent),
    /// Sound the buzzer, and ask whether it was heard
    Buzzer(Assent),
    /// Show a test picture, and ask whether all of it is seen
    Display(Assent),
    /// Look at the reader and at a card; no PIN is asked for
    Card(Assent),
    /// The fax modem
    Modem,
    /// Ports, names, servers, clock
    Network,
}

/// Whether anybody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Assent {
    /// Ask nobody: take it for seen, heard, inserted
    #[arg(long)]
    pub yes: bool,
}

/// Languages by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tongue {
    /// 日本語
    Japanese,
    /// English
    English,
}

impl From<Tongue> for Language {
    fn from(tongue: Tongue) -> Self {
        match tongue {
            Tongue::Japanese => Self::Japanese,
            Tongue::English => Self::English,
        }
    }
}
