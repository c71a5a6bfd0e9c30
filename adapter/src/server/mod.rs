//! Towards the network: notices and confirmations come in, confirmations and history records go out.

pub mod confirmations;
pub mod notices;
pub mod outbox;
mod receipts;
mod registering;
mod reports;
