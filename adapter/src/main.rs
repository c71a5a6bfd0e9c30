//! `sealfax-adapter`: the daemon beside a fax machine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use miette::IntoDiagnostic as _;
use sealfax_adapter::{Adapter, Config, console};
use sealfax_client::seam::{Seams, TcpNetwork};

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
        /// Only read and check the configuration.
        #[arg(long)]
        check: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let Command::Run { config, check } = arguments.command;
    match run(&config, check).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: &std::path::Path, check: bool) -> miette::Result<()> {
    let config = Config::read(config).into_diagnostic()?;
    if check {
        eprintln!("the configuration is sound");
        return Ok(());
    }
    let devices = console::devices();
    let mut adapter = Adapter::start(config, Seams::system(), Arc::new(TcpNetwork), devices).await.into_diagnostic()?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).into_diagnostic()?;
    let died = tokio::select! {
        () = adapter.ended() => true,
        _ = terminate.recv() => false,
        _ = tokio::signal::ctrl_c() => false,
    };
    adapter.shutdown().await;
    if died {
        return Err(miette::miette!("a part of the adapter ended by itself; the lines above say why"));
    }
    Ok(())
}
