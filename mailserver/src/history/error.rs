//! What can go wrong with a history.

use std::io;
use std::path::PathBuf;

use sealfax_client::history::Unproven;

/// Why the history cannot be used or did not take a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The disk failed.
    #[error("the history at {path} cannot be read or written; check the disk and its free space")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error("the history at {0} is in use by another process; ask that one, or stop it first")]
    InUse(PathBuf),
    /// The index failed.
    #[error(
        "the index of the history cannot be used; stop the server and remove index.redb, it is made anew from the log"
    )]
    Index(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database of a history of several nodes failed.
    #[error("the history's database cannot be used; check that PostgreSQL runs and the URL is right")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The log is not what was signed.
    #[error("the history was tampered with at record {index}: {why}; keep the folder as evidence and restore a backup")]
    Tampered {
        /// The first record that does not fit, counted from 0.
        index: u64,
        /// What does not fit.
        why: String,
    },
    /// The same event of the same mail and recipient stands there with other content.
    #[error("record {index} already holds this event of this Message-ID and recipient, with other content")]
    Conflict {
        /// The record that stands there.
        index: u64,
    },
    /// A field may not be stored.
    #[error("the field {0} is empty, too long, or holds what may not stand there")]
    BadField(&'static str),
    /// The signing key.
    #[error("the key of the history at {path} cannot be used: {why}")]
    Key {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such record, or tree of that size.
    #[error("the history has no record {0}")]
    NoSuchRecord(u64),
    /// A proof does not hold.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// A file of an older version of this program.
    #[error(
        "{0} is a history of an older version; keep it, verify it with that version, and give this one a folder of its own"
    )]
    Older(PathBuf),
    /// The server is going down.
    #[error("the history is being closed; try again later")]
    Closed,
}

impl HistoryError {
    pub(super) fn index(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Index(Box::new(error))
    }

    pub(super) fn disk(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { path, source }
    }
}
