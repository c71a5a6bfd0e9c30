//! `sealfax-adapter`: the daemon beside a fax machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use miette::IntoDiagnostic as _;
use sealfax_adapter::card_command::{self, CardArgs};
use sealfax_adapter::config::{CardConfig, LogForm};
use sealfax_adapter::diagnose::{self, DiagnoseArgs};
use sealfax_adapter::service::{self, Ending, HardwareWatchdog, Manager as _, Systemd};
use sealfax_adapter::{Adapter, Config, Devices, console, hardware, ports};
use sealfax_client::seam::Seams;
use sealfax_drivers::card::CardReader;
use sealfax_drivers::pattern::NamePattern;
use sealfax_drivers::pin::{Keypad, KeypadChoice};

/// The secure adapter beside an Internet fax machine.
#[derive(Debug, Parser)]
#[command(name = "sealfax-adapter", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the adapter until it is told to stop.
    Run {
        /// The configuration; every key is explained in sealfax-adapter.example.toml.
        #[arg(long, default_value = "/etc/sealfax/adapter.toml")]
        config: PathBuf,
        /// Only check the configuration and the files that it names, and say everything that is wrong.
        #[arg(long)]
        check: bool,
    },
    /// Lamp dark and buzzer silent, after a daemon that was killed.
    #[command(hide = true)]
    SafeState {
        /// The configuration.
        #[arg(long, default_value = "/etc/sealfax/adapter.toml")]
        config: PathBuf,
    },
    /// Show, check, issue and renew cards; change and unblock PINs.
    Card(Box<CardArgs>),
    /// Find out what is wrong: every check with its evidence, the likeliest cause and the next thing to do.
    Diagnose(Box<DiagnoseArgs>),
}

/// The command line or the configuration is wrong: starting again changes nothing.
const USAGE: u8 = 2;
/// A part of the adapter ended by itself: starting again is the cure.
const BROKE: u8 = 3;
/// Threads that mail, desk and timers share: whatever computes or blocks for long has threads of its own, and each more would
/// only be woken to find nothing to do.
const WORKERS: usize = 2;
/// How long a thread that computes or blocks waits for the next such work: the screen's clock is drawn once a minute, and a
/// new thread for it each time costs a board more than the drawing.
const KEPT: Duration = Duration::from_secs(90);
/// How long a call that blocks, as into a card reader, may keep the program from ending.
const LAST_WAIT: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    sealfax_drivers::pin::no_core_dumps();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            // What the other commands say with 2 is "warnings only" here.
            let diagnoses = std::env::args_os().nth(1).is_some_and(|command| command == "diagnose");
            let usage = if diagnoses { diagnose::TOOL } else { USAGE };
            return ExitCode::from(if error.use_stderr() { usage } else { 0 });
        }
    };
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.worker_threads(WORKERS).thread_keep_alive(KEPT);
    let runtime = match threads.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads can be started: {error}");
            return ExitCode::from(BROKE);
        }
    };
    let code = runtime.block_on(async {
        match arguments.command {
            Command::Run { config, check: true } => check(&config),
            Command::Run { config, check: false } => run(&config).await,
            Command::SafeState { config } => safe_state(&config),
            Command::Card(arguments) => {
                log(LogForm::Text, "warn");
                card(*arguments).await
            }
            // What is wrong stands in the report, also that the configuration is.
            Command::Diagnose(arguments) => {
                let config = Config::read(&arguments.config).ok();
                let hands = config.and_then(|config| hardware::hands(&config).ok()).unwrap_or_default();
                diagnose::run(*arguments, hands).await
            }
        }
    });
    runtime.shutdown_timeout(LAST_WAIT);
    code
}

fn log(form: LogForm, level: &str) {
    if let Err(error) = service::start_log(form, level) {
        eprintln!("there is no journal: {error}");
    }
}

/// A card blocks while it computes, and so does the person who types.
async fn card(arguments: CardArgs) -> ExitCode {
    let work = tokio::task::spawn_blocking(move || {
        let reader = card_command::open_reader(arguments.reader.as_deref());
        let (console, out) = (&mut card_command::Terminal, &mut std::io::stdout());
        card_command::run(&arguments, reader, console, out, &Seams::system())
    });
    ExitCode::from(work.await.unwrap_or(3))
}

/// Not through the adapter: what it holds need not be sound for this.
fn safe_state(config: &Path) -> ExitCode {
    let errors = match Config::read(config) {
        Ok(config) => hardware::safe_state(&config).iter().map(ToString::to_string).collect::<Vec<_>>(),
        Err(error) => vec![error.to_string()],
    };
    errors.iter().for_each(|error| eprintln!("{error}"));
    if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The devices that the configuration names; what else there is, is the console's.
fn devices(config: &Config) -> miette::Result<Devices> {
    let mut devices = console::devices();
    hardware::plug_in(&mut devices, config).into_diagnostic()?;
    let card = &config.card;
    if let Some(reader) = reader(card)? {
        devices.reader = reader;
    }
    if let Some(keypad) = &card.keypad {
        let choice = match keypad.strip_prefix('/') {
            Some(_) => KeypadChoice::Path(keypad.into()),
            None => KeypadChoice::Name(NamePattern::new(keypad)),
        };
        devices.pin_pad = Box::new(Keypad::new(choice));
    }
    Ok(devices)
}

/// The PC/SC reader; it need not be plugged in yet.
#[cfg(feature = "pcsc")]
fn reader(card: &CardConfig) -> miette::Result<Option<Box<dyn CardReader>>> {
    use sealfax_drivers::card::pcsc::PcscReader;
    let pattern = NamePattern::new(card.reader.as_deref().unwrap_or_default());
    Ok(Some(Box::new(PcscReader::open(pattern).into_diagnostic()?)))
}

/// This build has no card readers.
#[cfg(not(feature = "pcsc"))]
fn reader(card: &CardConfig) -> miette::Result<Option<Box<dyn CardReader>>> {
    match &card.reader {
        None => Ok(None),
        Some(_) => Err(miette::miette!(
            help = "install libpcsclite-dev and build with `--features pcsc`, or take card.reader out of the configuration",
            "the configuration names a card reader, and this build has none"
        )),
    }
}

/// `run --check`.
fn check(path: &Path) -> ExitCode {
    match Config::read(path).and_then(|config| config.check_files(path)) {
        Ok(()) => {
            eprintln!("the configuration is sound");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{:?}", miette::Report::msg(error));
            ExitCode::from(USAGE)
        }
    }
}

/// `run`.
async fn run(path: &Path) -> ExitCode {
    let config = match Config::read(path).into_diagnostic() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error:?}");
            return ExitCode::from(USAGE);
        }
    };
    log(config.service.log, "info");
    // On a thread that is awake in any case, rather than on this one.
    let kept = tokio::spawn(keep(config)).await;
    match kept.unwrap_or_else(|error| Err(miette::Report::msg(error))) {
        Ok(Ending::Stopped) => ExitCode::SUCCESS,
        Ok(Ending::AtOnce) => ExitCode::FAILURE,
        Ok(Ending::Broken(ended)) => {
            tracing::error!(code = "SERVICE-002", "{ended}");
            ExitCode::from(BROKE)
        }
        Err(error) => {
            Systemd.tell(&[sd_notify::NotifyState::Status(&error.to_string())]);
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the adapter and keeps it as a service.
async fn keep(config: Config) -> miette::Result<Ending> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate()).into_diagnostic()?, signal(SignalKind::interrupt()).into_diagnostic()?);
    let (told, mut stop) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if told.send(()).is_err() {
                return;
            }
        }
    });
    let devices = devices(&config)?;
    let watched = config.service.hardware_watchdog;
    let (terminal, network) = ports::networks(config.ports.as_ref());
    let adapter =
        Adapter::start(config, Seams { network, ..Seams::system() }, terminal, devices).await.into_diagnostic()?;
    // Armed when there is something to feed it: a machine that cannot start at all is better left to its administrator.
    let hardware = match watched.then(HardwareWatchdog::of_this_board).transpose() {
        Ok(hardware) => hardware,
        Err(error) => {
            tracing::error!(code = "SERVICE-003", %error, "/dev/watchdog cannot be opened; is another program feeding it?");
            None
        }
    };
    Ok(service::keep(adapter, &Systemd, hardware, &mut stop).await)
}
