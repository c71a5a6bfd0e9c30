//! The secure adapter beside an Internet fax machine: seals what goes out, opens what comes in, and lets nobody have a
//! page printed but the person it is meant for.
//!
//! [`flow`] decides (pure), everything else carries out: [`terminal`] towards the fax machine, [`server`] towards the
//! network, [`card`] towards the card, [`supervisor`] holds it all together.

pub mod card;
pub mod config;
mod confirmation;
pub mod console;
pub mod devices;
pub mod flow;
pub mod incoming;
pub mod ledger;
pub mod office;
mod outer;
pub mod outgoing;
mod sealed;
pub mod server;
pub mod supervisor;
pub mod terminal;
pub mod trust;

pub use config::Config;
pub use devices::Devices;
pub use supervisor::{Adapter, StartError};
