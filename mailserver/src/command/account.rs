//! `sealfax-mailserver account`.

use std::io::{IsTerminal, Read, Write};

use clap::{Args, Subcommand};
use miette::{IntoDiagnostic, Result};
use sealfax_client::pop3_server::Password;
use sealfax_mailserver::mail::{AccountRow, Order, Secret, Told};

use super::{ConfigArgs, order, perform};

#[derive(Debug, Args)]
pub struct AccountArgs {
    #[command(flatten)]
    config: ConfigArgs,
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
    /// Change how much the mailbox may hold
    Quota {
        /// Mail address
        address: String,
        /// Octets, 0 for "no bound"; leave it away for what the configuration says
        octets: Option<u64>,
    },
    /// Name who is told as well when nobody answers notices, where [mail.escalation] is on
    Deputy {
        /// Mail address of the account whose notices they are
        address: String,
        /// Mail address of the account whose adapters get a copy
        #[arg(required_unless_present = "none")]
        deputy: Option<String>,
        /// Nobody any more
        #[arg(long, conflicts_with = "deputy")]
        none: bool,
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
    /// Give an account another address; its mails go with it
    Move {
        /// The old mail address
        from: String,
        /// The new one
        to: String,
    },
    /// Remove an account with its mails
    Remove {
        /// Mail address
        address: String,
    },
}

impl AccountArgs {
    /// Does it.
    pub fn run(self) -> Result<()> {
        let config = self.config.mail()?;
        let wanted = match self.command {
            AccountCommand::List { json } => {
                if let Told::Accounts(rows) = perform(&config, Order::Accounts)? {
                    list(&rows, json);
                }
                return Ok(());
            }
            AccountCommand::Add { address, name, adapters } => {
                Order::Add { address, name, password: read_password()?, adapters }
            }
            AccountCommand::Passwd { address } => Order::Passwd { address, password: read_password()? },
            AccountCommand::Adapters { address, adapters } => Order::Adapters { address, adapters },
            AccountCommand::Aliases { address, aliases } => Order::Aliases { address, aliases },
            AccountCommand::Quota { address, octets } => Order::Quota { address, octets },
            AccountCommand::Deputy { address, deputy, none: _ } => Order::Deputy { address, deputy },
            AccountCommand::Suspend { address } => Order::Suspend { address, suspended: true },
            AccountCommand::Resume { address } => Order::Suspend { address, suspended: false },
            AccountCommand::Move { from, to } => Order::Move { from, to },
            AccountCommand::Remove { address } => Order::Remove { address },
        };
        order(&config, wanted)
    }
}

fn list(rows: &[AccountRow], json: bool) {
    if json {
        println!("{}", serde_json::json!({"schema": 1, "accounts": rows}));
        return;
    }
    for row in rows {
        let (adapters, aliases) = (row.adapters.join(" "), row.aliases.join(" "));
        let suspended = if row.suspended { "  suspended" } else { "" };
        let deputy = row.deputy.as_ref().map_or(String::new(), |deputy| format!("  deputy {deputy}"));
        let holds = format!("{} mail(s), {} octets", row.mails, row.octets);
        println!("{}  {}  {adapters}  {aliases}  {holds}{deputy}{suspended}", row.address, row.display_name);
    }
}

/// One line of standard input. Never an argument: those are seen by every user of the machine.
fn read_password() -> Result<Secret> {
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
    Ok(Secret(Password::new(octets)))
}
