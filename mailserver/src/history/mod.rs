//! The history server (T2, C12, V5): transmissions registered on their confirmation, in a chain that shows tampering.

mod chain;
pub mod cli;
pub(crate) mod lines;
mod page;
mod server;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

pub use chain::{Chain, HistoryError};
pub use server::{HistoryConfig, HistoryServer};
