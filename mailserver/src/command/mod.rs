//! What an administrator does from the command line: accounts, the queue, the store.

mod account;
mod queue;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use miette::{IntoDiagnostic, Result, miette};
use sealfax_client::seam::Seams;
use sealfax_mailserver::mail::{Administration, AskError, MailConfig, Order, Told, ask};
use sealfax_mailserver::store::StoreError;

pub use self::account::AccountArgs;
pub use self::queue::QueueArgs;
pub use self::store::StoreArgs;

/// Where the server's configuration is.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
}

impl ConfigArgs {
    fn mail(&self) -> Result<MailConfig> {
        let configuration = crate::read_configuration(&self.config)?;
        configuration.mail.ok_or_else(|| miette!("the configuration has no [mail] section"))
    }
}

/// Has the running server carry out an order, or does it itself where none runs.
fn perform(config: &MailConfig, order: Order) -> Result<Told> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().into_diagnostic()?;
    let mut attempts = 0;
    let told = loop {
        match runtime.block_on(ask(&config.data, &order)) {
            Err(AskError::NoServer) => {}
            other => break other.into_diagnostic()?,
        }
        let Seams { entropy, clock, .. } = Seams::system();
        match Administration::open(config, entropy, clock) {
            Ok(administration) => break administration.perform(order),
            // A server that is about to take orders, or one that has just taken its last.
            Err(StoreError::InUse) if attempts < 100 => attempts += 1,
            Err(error) => return Err(error).into_diagnostic(),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    match told {
        Told::Refused(why) => Err(miette!("{why}")),
        told => Ok(told),
    }
}

/// Carries out an order of which only its end is told.
fn order(config: &MailConfig, order: Order) -> Result<()> {
    if let Told::Done(text) = perform(config, order)? {
        eprintln!("{text}");
    }
    Ok(())
}
