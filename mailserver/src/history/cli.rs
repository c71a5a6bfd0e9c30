//! `sealfax-mailserver history`: look at the history and check it, without the server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealfax_client::history::{Filter, time_text};

use super::chain::{Chain, HistoryError};

/// `sealfax-mailserver history ...`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Folder of the history
    #[arg(long)]
    data: PathBuf,
    /// Versioned JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: HistoryCommand,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// List transmissions, oldest first
    List {
        /// Only those of this sender
        #[arg(long)]
        sender: Option<String>,
        /// Only those to this recipient
        #[arg(long)]
        recipient: Option<String>,
    },
    /// Check every link of the chain
    Verify,
}

impl HistoryArgs {
    /// Runs the command.
    pub fn run(self) -> Result<(), HistoryError> {
        let chain = Chain::open(&self.data)?;
        match self.command {
            HistoryCommand::List { sender, recipient } => {
                let filter = Filter { sender, recipient, since: None };
                let entries = chain.list(&filter, usize::MAX);
                if self.json {
                    println!("{}", serde_json::json!({"schema": 1, "entries": entries}));
                    return Ok(());
                }
                for entry in entries {
                    let transmission = entry.transmission;
                    eprintln!(
                        "{:6}  {}  {} -> {}  {:?}",
                        entry.index,
                        time_text(transmission.sent),
                        transmission.sender,
                        transmission.recipient,
                        transmission.outcome
                    );
                }
            }
            HistoryCommand::Verify => {
                // Opening has checked every link.
                if self.json {
                    println!("{}", serde_json::json!({"schema": 1, "entries": chain.len(), "head": chain.head()}));
                } else {
                    eprintln!("{} entries, unbroken; head {}", chain.len(), chain.head());
                }
            }
        }
        Ok(())
    }
}
