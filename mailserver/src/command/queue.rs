//! `sealfax-mailserver queue`.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use miette::Result;
use sealfax_mailserver::mail::{Order, QueueRow, Told};

use super::{ConfigArgs, order, perform};

#[derive(Debug, Args)]
pub struct QueueArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: QueueCommand,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// List the mails that are on their way to other hosts
    List {
        /// Versioned JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Try mails now
    Retry {
        /// Their numbers; none for all
        ids: Vec<u64>,
    },
    /// Give mails up; nobody is told
    Drop {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<u64>,
    },
}

impl QueueArgs {
    /// Does it.
    pub fn run(self) -> Result<()> {
        let config = self.config.mail()?;
        match self.command {
            QueueCommand::Retry { ids } => order(&config, Order::Retry { ids }),
            QueueCommand::Drop { ids } => order(&config, Order::Drop { ids }),
            QueueCommand::List { json } => {
                if let Told::Queue(rows) = perform(&config, Order::Queue)? {
                    list(&rows, json);
                }
                Ok(())
            }
        }
    }
}

fn list(rows: &[QueueRow], json: bool) {
    if json {
        println!("{}", serde_json::json!({"schema": 1, "queue": rows}));
        return;
    }
    if rows.is_empty() {
        eprintln!("The queue is empty.");
    }
    let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let time = |millis| humantime::format_rfc3339_seconds(at(millis)).to_string();
    for row in rows {
        let from = row.reverse_path.as_deref().unwrap_or("");
        println!("{}  {}  <{from}> to {} by {}", row.id, time(row.queued), row.recipients.join(", "), row.to);
        let (attempts, next, expires) = (row.attempts, time(row.next), time(row.expires));
        println!("    {attempts} attempt(s), next {next}, given up {expires}  {}", row.last_error);
    }
}
