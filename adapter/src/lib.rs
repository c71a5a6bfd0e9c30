//! The secure adapter beside an Internet fax machine: seals what goes out, opens what comes in, and lets nobody have a
//! page printed but the person it is meant for.
//!
//! [`flow`] decides (pure), everything else carries out: [`terminal`] towards the fax machine, [`server`] towards the
//! network, [`card`] towards the card, [`ports`] are the two sides' Ethernet devices, [`supervisor`] holds it all together,
//! [`service`] keeps it as a service of its host. [`card_command`] is the administrator's desk, [`diagnose`] the
//! technician's.

pub mod card;
pub mod card_command;
pub mod config;
mod confirmation;
pub mod console;
pub mod devices;
pub mod diagnose;
pub mod flow;
pub mod hardware;
pub mod header_protection;
pub mod incoming;
pub mod ledger;
pub mod notification;
pub mod office;
mod outer;
pub mod outgoing;
mod person;
pub mod ports;
pub mod pulse;
mod sealed;
pub mod server;
pub mod service;
mod status;
pub mod supervisor;
pub mod terminal;
mod track;
pub mod trust;
mod typing;
mod workers;

pub use config::Config;
pub use devices::Devices;
pub use supervisor::{Adapter, StartError};
pub use workers::Ended;
