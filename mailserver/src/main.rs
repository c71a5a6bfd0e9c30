//! `sealfax-mailserver`: runs and administers the mail, certificate and history servers.

mod dumps;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::Seams;
use sealfax_mailserver::accounts::Accounts;
use sealfax_mailserver::authority::cli::CaArgs;
use sealfax_mailserver::authority::{DirectoryConfig, DirectoryServer};
use sealfax_mailserver::history::cli::HistoryArgs;
use sealfax_mailserver::history::{HistoryConfig, HistoryServer};
use sealfax_mailserver::mail::{MailConfig, MailServer};
use sealfax_mailserver::store::EmbeddedStore;
use serde::Deserialize;

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
    },
    /// Mail accounts; the mail server must not be running
    Account(AccountArgs),
    /// The certificate authority
    Ca(CaArgs),
    /// The history
    History(HistoryArgs),
}

#[derive(Debug, Args)]
struct AccountArgs {
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Add an account; the password is read from standard input
    Add {
        /// Mail address
        address: String,
        /// The person's name, shown at the adapter
        #[arg(long, default_value = "")]
        name: String,
        /// Host name of an adapter the person is registered at; may be given several times
        #[arg(long = "adapter")]
        adapters: Vec<String>,
    },
    /// List accounts
    List {
        /// Versioned JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Change the password, read from standard input
    Passwd {
        /// Mail address
        address: String,
    },
    /// Change the adapters
    Adapters {
        /// Mail address
        address: String,
        /// Host names; none for "not notified"
        adapters: Vec<String>,
    },
    /// Change the other addresses whose mail is the account's
    Aliases {
        /// Mail address
        address: String,
        /// Mail addresses; none for "no other"
        aliases: Vec<String>,
    },
    /// Let nobody log in any more; mail is kept
    Suspend {
        /// Mail address
        address: String,
    },
    /// Let them log in again
    Resume {
        /// Mail address
        address: String,
    },
    /// Remove an account with its mails
    Remove {
        /// Mail address
        address: String,
    },
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
        Command::Serve { config, check } => {
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
            if check {
                eprintln!("{} is good.", config.display());
                return Ok(());
            }
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .with_env_filter(
                    tracing_subscriber::EnvFilter::try_from_default_env()
                        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
                )
                .init();
            tokio::runtime::Runtime::new().into_diagnostic()?.block_on(serve(configuration))
        }
        Command::Account(account) => {
            let configuration = read_configuration(&account.config)?;
            let mail = configuration.mail.ok_or_else(|| miette!("the configuration has no [mail] section"))?;
            administer(&mail, account.command)
        }
        Command::Ca(arguments) => {
            dumps::no_core_dumps();
            arguments.run(&Seams::system()).into_diagnostic()
        }
        Command::History(arguments) => arguments.run().into_diagnostic(),
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

async fn serve(configuration: Configuration) -> Result<()> {
    let seams = Seams::system();
    let mut mail = None;
    let mut directory = None;
    let mut history = None;
    if let Some(config) = configuration.mail {
        let server = MailServer::start(config, seams.clone()).await.into_diagnostic()?;
        eprintln!("Mail: SMTP at {}, POP3 at {}", server.smtp_addr(), server.pop3_addr());
        mail = Some(server);
    }
    if let Some(config) = configuration.directory {
        let server = DirectoryServer::open(config, seams.clone()).await.into_diagnostic()?;
        eprintln!("Certificates: HTTP at {}", server.addr());
        directory = Some(server);
    }
    if let Some(config) = configuration.history {
        let server = HistoryServer::start(config, seams).await.into_diagnostic()?;
        eprintln!("History: HTTP at {}", server.addr());
        history = Some(server);
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).into_diagnostic()?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
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

fn administer(config: &MailConfig, command: AccountCommand) -> Result<()> {
    let entropy = Seams::system().entropy;
    let store = EmbeddedStore::open(&config.data, &entropy).into_diagnostic()?;
    let accounts = Accounts::open(Arc::new(store), entropy).into_diagnostic()?;
    match command {
        AccountCommand::Add { address, name, adapters } => {
            let password = read_password()?;
            let account = accounts.add(&address, &name, &password, &adapters).into_diagnostic()?;
            eprintln!("Added {}.", account.address);
        }
        AccountCommand::List { json } => {
            let list = accounts.list();
            if json {
                let rows: Vec<_> = list
                    .iter()
                    .map(|account| {
                        serde_json::json!({
                            "address": account.address,
                            "display_name": account.display_name,
                            "adapters": account.adapters,
                            "aliases": account.aliases,
                            "suspended": account.suspended,
                        })
                    })
                    .collect();
                println!("{}", serde_json::json!({"schema": 1, "accounts": rows}));
            } else {
                for account in list {
                    let (adapters, aliases) = (account.adapters.join(" "), account.aliases.join(" "));
                    let suspended = if account.suspended { "  suspended" } else { "" };
                    println!("{}  {}  {adapters}  {aliases}{suspended}", account.address, account.display_name);
                }
            }
        }
        AccountCommand::Passwd { address } => {
            accounts.set_password(&address, &read_password()?).into_diagnostic()?;
            eprintln!("Password of {address} changed.");
        }
        AccountCommand::Adapters { address, adapters } => {
            accounts.set_adapters(&address, &adapters).into_diagnostic()?;
            eprintln!("Adapters of {address} changed.");
        }
        AccountCommand::Aliases { address, aliases } => {
            accounts.set_aliases(&address, &aliases).into_diagnostic()?;
            eprintln!("Aliases of {address} changed.");
        }
        AccountCommand::Suspend { address } => {
            accounts.suspend(&address, true).into_diagnostic()?;
            eprintln!("Nobody logs in as {address} any more; its mail is kept.");
        }
        AccountCommand::Resume { address } => {
            accounts.suspend(&address, false).into_diagnostic()?;
            eprintln!("{address} can log in again.");
        }
        AccountCommand::Remove { address } => {
            accounts.remove(&address).into_diagnostic()?;
            eprintln!("Removed {address} with its mails.");
        }
    }
    Ok(())
}

/// One line of standard input. Never an argument: those are seen by every user of the machine.
fn read_password() -> Result<Password> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        eprint!("Password (it will be visible; pipe it in to keep it from the screen): ");
        std::io::stderr().flush().into_diagnostic()?;
    }
    let mut octets = Vec::with_capacity(512);
    let mut octet = [0u8; 1];
    while octets.len() < 512 && input.read(&mut octet).into_diagnostic()? == 1 && octet != *b"\n" {
        octets.extend_from_slice(&octet);
    }
    if octets.last() == Some(&b'\r') {
        octets.pop();
    }
    Ok(Password::new(octets))
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
