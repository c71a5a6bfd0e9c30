//! The history server (T2, C12, V5): an append-only log of what happened to transmissions, whose every record anybody can
//! check against one signed line, and which nobody can change unseen.
//!
//! The log is a Merkle tree (RFC 9162, 2.1) with checkpoints as signed notes and tiles for monitors (C2SP tlog-checkpoint,
//! signed-note, tlog-tiles). [`EmbeddedHistory`] keeps it in a folder, [`PostgresHistory`] in a database that several servers share.

use std::ops::Range;

use async_trait::async_trait;
use sealfax_client::history::{Checkpoint, Digest256, Receipt, Record};
use tlog_tiles::Tile;

pub mod cli;
mod embedded;
mod error;
pub mod export;
mod people;
mod postgres;
mod retention;
mod server;
mod signing;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod tiles;
mod tree;
pub mod verify;
mod view;
mod web;

pub use embedded::EmbeddedHistory;
pub use error::HistoryError;
pub use postgres::PostgresHistory;
pub use server::{HistoryConfig, HistoryServer, HistoryTls};
pub use signing::LogSigner;
pub use view::{Query, State, Transmission};

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Whether the same record was there already.
    pub known: bool,
    /// That it stands there, durably.
    pub receipt: Receipt,
    /// The head of the log that the receipt's proof leads to.
    pub head: Checkpoint,
}

/// Where a history is kept. What is no `async fn` waits for a disk or a database, and is not for a network thread.
#[async_trait]
pub trait History: Send + Sync + std::fmt::Debug {
    /// Takes in `record`; when this returns it is durable, and stands under a signed checkpoint.
    async fn register(&self, record: Record, registrar: Option<Digest256>) -> Result<Acknowledged, HistoryError>;

    /// The head of the log, and the same signed.
    fn checkpoint(&self) -> Result<(Checkpoint, String), HistoryError>;

    /// What proves that a record stands in the log.
    fn receipt(&self, index: u64) -> Result<Receipt, HistoryError>;

    /// What proves that the log of `later` records continues the one of `earlier`.
    fn continues(&self, earlier: u64, later: u64) -> Result<Vec<Digest256>, HistoryError>;

    /// The hashes of a tile that the log has.
    fn tile(&self, tile: &Tile) -> Result<Vec<u8>, HistoryError>;

    /// The leaves of these records, as they are hashed; of as many as there are.
    fn leaves(&self, indexes: Range<u64>) -> Result<Vec<String>, HistoryError>;

    /// Leaves and personal parts of these records, as they are hashed; of as many as there are.
    fn stored(&self, indexes: Range<u64>) -> Result<Vec<(String, Option<String>)>, HistoryError>;

    /// The transmissions that `query` selects, newest first, at most `limit`.
    fn find(&self, query: &Query, limit: usize) -> Result<Vec<Transmission>, HistoryError>;

    /// One transmission.
    fn transmission(&self, number: u64) -> Result<Option<Transmission>, HistoryError>;

    /// How many have become `state`, which is not *delivered*; counted up to `most`.
    fn count(&self, state: State, most: usize) -> Result<usize, HistoryError>;

    /// Erases what is personal of a transmission: who, to whom, which mail, and the evidence. The log stays as it is.
    async fn erase(&self, number: u64) -> Result<(), HistoryError>;
}
