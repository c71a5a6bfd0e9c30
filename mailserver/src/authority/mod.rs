//! The certificate server (T2, C4, C7, C8): a small certificate authority, its OCSP responder (RFC 6960) and its
//! certificate store by address (RFC 4387).

mod ca;
pub mod cli;
mod index;
mod keys;
mod lookup;
mod ocsp;
mod profile;
mod server;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
pub mod web;

pub use ca::{Authority, AuthorityOptions, PersonRequest};
pub use index::{Issued, Standing};
pub use sealfax_client::lookup::Use;
pub use server::{DirectoryConfig, DirectoryServer};

use std::path::PathBuf;

/// Why the authority cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The disk failed.
    #[error("{path} cannot be read or written; check the disk, and that this user may use the folder")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is an authority in this folder already.
    #[error("{0} already holds a certificate authority; choose an empty folder")]
    Exists(PathBuf),
    /// A key or certificate file cannot be read.
    #[error("{path} is not a {what}; restore it from the backup")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What should stand there.
        what: &'static str,
    },
    /// The index has a line that is not ours.
    #[error("line {line} of the certificate index cannot be read; restore it from the backup")]
    Index {
        /// Line, counted from 1.
        line: u64,
    },
    /// The request is not one to issue a certificate on.
    #[error("no certificate can be issued: {0}")]
    BadRequest(&'static str),
    /// There is no certificate with this serial number.
    #[error("no certificate with the serial number {0} was issued here")]
    UnknownSerial(String),
    /// It was revoked before.
    #[error("the certificate {0} was revoked before; its time and reason stand")]
    AlreadyRevoked(String),
    /// Encoding or signing failed.
    #[error("the certificate cannot be made")]
    Build(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<der::Error> for AuthorityError {
    fn from(error: der::Error) -> Self {
        Self::Build(Box::new(error))
    }
}

impl From<x509_cert::builder::Error> for AuthorityError {
    fn from(error: x509_cert::builder::Error) -> Self {
        Self::Build(Box::new(error))
    }
}
