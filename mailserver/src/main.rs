//! `sealfax-mailserver`: runs and administers the mail, certificate and history servers.

mod command;
mod dumps;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use sd_notify::NotifyState;
use sealfax_client::seam::Seams;
use sealfax_mailserver::authority::cli::CaArgs;
use sealfax_mailserver::authority::{DirectoryConfig, DirectoryServer};
use sealfax_mailserver::history::cli::HistoryArgs;
use sealfax_mailserver::history::{HistoryConfig, HistoryServer};
use sealfax_mailserver::mail::{MailConfig, MailServer};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

use self::command::{AccountArgs, QueueArgs, StoreArgs};

/// Mails are taken in by one thread and let go by another, and a password's hash takes 19 MiB for a moment: this allocator
/// gives back what it does not need, where that of the C library keeps it for each thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Mail, certificate and history servers of Sealfax
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the servers that the configuration names
    Serve {
        /// Configuration file (see sealfax-mailserver.example.toml)
        #[arg(long)]
        config: PathBuf,
        /// Only say whether the configuration is good
        #[arg(long)]
        check: bool,
        /// Log lines as JSON, one object a line
        #[arg(long)]
        json_log: bool,
    },
    /// Mail accounts
    Account(AccountArgs),
    /// Mail that is on its way to other hosts
    Queue(QueueArgs),
    /// The store of the mail server
    Store(StoreArgs),
    /// The certificate authority
    Ca(CaArgs),
    /// The history
    History(HistoryArgs),
}

/// The configuration file: one section for each server to run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    mail: Option<MailConfig>,
    directory: Option<DirectoryConfig>,
    history: Option<HistoryConfig>,
}

impl Configuration {
    fn names_no_server(&self) -> bool {
        self.mail.is_none() && self.directory.is_none() && self.history.is_none()
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Serve { config, check, json_log } => {
            dumps::no_core_dumps();
            let configuration = read_configuration(&config)?;
            if configuration.names_no_server() {
                return Err(miette!(
                    "the configuration names no server; give it a [mail], [directory] or [history] section"
                ));
            }
            if let Some(mail) = &configuration.mail {
                mail.check_files().into_diagnostic()?;
            }
            if let Some(history) = &configuration.history {
                history.check_files().into_diagnostic()?;
            }
            if check {
                eprintln!("{} is good.", config.display());
                return Ok(());
            }
            let filter = tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
            let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
            if json_log {
                lines.json().flatten_event(true).init();
            } else {
                lines.init();
            }
            tokio::runtime::Runtime::new().into_diagnostic()?.block_on(serve(&config, configuration))
        }
        Command::Account(arguments) => arguments.run(),
        Command::Queue(arguments) => arguments.run(),
        Command::Store(arguments) => arguments.run(),
        Command::Ca(arguments) => {
            dumps::no_core_dumps();
            arguments.run(&Seams::system()).into_diagnostic()
        }
        Command::History(arguments) => arguments.run(),
    }
}

fn read_configuration(file: &Path) -> Result<Configuration> {
    let text = std::fs::read_to_string(file)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read the configuration {}", file.display()))?;
    let configuration: Configuration = toml::from_str(&text)
        .into_diagnostic()
        .wrap_err_with(|| format!("{} is not a good configuration; compare it with the example", file.display()))?;
    if let Some(mail) = &configuration.mail {
        mail.check().into_diagnostic()?;
    }
    Ok(configuration)
}

async fn serve(file: &Path, configuration: Configuration) -> Result<()> {
    let seams = Seams::system();
    let mut mail = None;
    let mut directory = None;
    let mut history = None;
    if let Some(config) = configuration.mail {
        let server = MailServer::start(config, seams.clone()).await.into_diagnostic()?;
        eprintln!("Mail: SMTP at {}, POP3 at {}", server.smtp_addr(), server.pop3_addr());
        if let Some(at) = server.administration_addr() {
            eprintln!("Administration: HTTP at {at}");
        }
        mail = Some(server);
    }
    if let Some(config) = configuration.directory {
        let server = DirectoryServer::open(config, seams.clone()).await.into_diagnostic()?;
        eprintln!("Certificates: HTTP at {}", server.addr());
        directory = Some(server);
    }
    if let Some(config) = configuration.history {
        let accounts = mail.as_ref().map(|mail| mail.accounts().clone());
        let server = HistoryServer::start(config, accounts, seams).await.into_diagnostic()?;
        eprintln!("History: HTTP at {}, key {}", server.addr(), server.key());
        history = Some(server);
    }
    let mut terminate = signal(SignalKind::terminate()).into_diagnostic()?;
    let mut hang_up = signal(SignalKind::hangup()).into_diagnostic()?;
    tell_manager(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => {
                tell_manager(&NotifyState::monotonic_usec_now().map_or(vec![NotifyState::Reloading], |now| {
                    vec![NotifyState::Reloading, now]
                }));
                reload(file, mail.as_ref());
                tell_manager(&[NotifyState::Ready]);
            }
        }
    }
    tell_manager(&[NotifyState::Stopping]);
    eprintln!("Stopping.");
    if let Some(server) = mail {
        server.shutdown().await;
    }
    if let Some(server) = directory {
        server.shutdown().await;
    }
    if let Some(server) = history {
        server.shutdown().await;
    }
    Ok(())
}

/// Tells whoever started us (sd_notify(3)); nobody listening is no failure.
fn tell_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// Reads the [mail] section and its TLS files anew. What cannot be read changes nothing.
fn reload(file: &Path, mail: Option<&MailServer>) {
    let Some(server) = mail else { return };
    let read = read_configuration(file).and_then(|configuration| {
        let config = configuration.mail.ok_or_else(|| miette!("the configuration has no [mail] section any more"))?;
        config.check_files().into_diagnostic()?;
        server.reload(config).into_diagnostic()
    });
    match read {
        Ok(later) if later.is_empty() => tracing::info!("the configuration is read anew"),
        Ok(later) => {
            tracing::warn!("the configuration is read anew; from the next start on hold: {}", later.join("; "))
        }
        Err(error) => tracing::error!("the configuration stays as it was: {error:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_example_runs_all_three_servers() {
        let configuration: Configuration = toml::from_str(include_str!("../sealfax-mailserver.example.toml")).unwrap();
        configuration.mail.unwrap().check().unwrap();
        assert!(configuration.directory.is_some() && configuration.history.is_some());
    }

    #[test]
    fn an_unknown_section_is_refused_by_name() {
        let error = toml::from_str::<Configuration>("[maill]\n").unwrap_err();
        assert!(error.to_string().contains("maill"), "{error}");
    }
}
