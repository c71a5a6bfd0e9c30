//! `sealfax-mailserver store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use miette::{IntoDiagnostic, Result, miette};
use sealfax_client::seam::Seams;
use sealfax_mailserver::mail::Order;
use sealfax_mailserver::store::{EmbeddedStore, Finding};

use super::{ConfigArgs, order};

#[derive(Debug, Args)]
pub struct StoreArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Read everything and say what is damaged; the mail server must not be running
    Check {
        /// Versioned JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Make the index anew from the log, and set damaged mails aside; the mail server must not be running
    Repair,
    /// Copy the store into an empty folder, also while the mail server runs
    Backup {
        /// The folder
        to: PathBuf,
    },
}

impl StoreArgs {
    /// Does it.
    pub fn run(self) -> Result<()> {
        let config = self.config.mail()?;
        let entropy = Seams::system().entropy;
        match self.command {
            StoreCommand::Backup { to } => {
                // The server has a working folder of its own.
                let to = std::path::absolute(to).into_diagnostic()?;
                order(&config, Order::Backup { to })
            }
            StoreCommand::Check { json } => {
                let findings = EmbeddedStore::check(&config.data, &entropy).into_diagnostic()?;
                if json {
                    println!("{}", serde_json::json!({"schema": 1, "findings": findings}));
                } else {
                    tell(&findings);
                }
                let serious = findings.iter().any(|finding| finding.serious);
                let remedy = "the store is damaged; make a copy of its folder, then run `store repair`";
                if serious { Err(miette!("{remedy}")) } else { Ok(()) }
            }
            StoreCommand::Repair => {
                let findings = EmbeddedStore::repair(&config.data, &entropy).into_diagnostic()?;
                tell(&findings);
                eprintln!("The index is new; the old one lies beside it.");
                Ok(())
            }
        }
    }
}

fn tell(findings: &[Finding]) {
    if findings.is_empty() {
        eprintln!("Everything is as it was written.");
    }
    for finding in findings {
        let weight = if finding.serious { "" } else { "  (no mail is touched by it)" };
        println!("{}  {}{weight}", finding.name, finding.text);
    }
}
