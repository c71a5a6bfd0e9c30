//! The certificate server (T2, C4, C7, C8): a small certificate authority, its OCSP responder (RFC 6960) and its
//! certificate store by address (RFC 4387).

mod audit;
mod ca;
mod cache;
pub mod cli;
mod crl;
mod index;
pub mod keys;
mod lock;
mod lookup;
mod marked;
mod ocsp;
mod profile;
mod request;
mod server;
mod settings;
mod skim;
mod tally;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

pub use audit::{AuditEntry, AuditSummary};
pub use ca::{
    Access, Authority, AuthorityOptions, CardRequest, EndpointRequest, NewPassphrase, PersonRequest, Protect, Signed,
};
pub use crl::RevocationList;
pub use index::{Issued, Purpose, Standing};
pub use request::MAX_REQUEST;
pub use sealfax_client::lookup::Use;
pub use server::{DirectoryConfig, DirectoryServer};
pub use settings::Settings;

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
    /// A secret stands where everybody can read it.
    #[error("{0} can be read by other users; give it mode 0600: chmod 600 {0}")]
    Exposed(PathBuf),
    /// Somebody else has been writing for long.
    #[error("another process holds {0}; see which one with `fuser {0}`, and wait until it has ended or end it")]
    Busy(PathBuf),
    /// Settings stand where others can change them.
    #[error("{0} can be written by other users, who could have any program run; give it mode 0644")]
    Writable(PathBuf),
    /// The settings are not good.
    #[error("{path} is not good")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key file is encrypted, and there is no passphrase.
    #[error("{0} is encrypted; name the file that holds its passphrase with --key-passphrase-file")]
    PassphraseNeeded(PathBuf),
    /// The passphrase does not open the key file.
    #[error("the passphrase does not open {0}; check it, and that the file is not damaged")]
    WrongPassphrase(PathBuf),
    /// A token does not do what it is asked.
    #[error("the token cannot be used: {why} ({uri})")]
    Token {
        /// Which key was wanted.
        uri: String,
        /// What is wrong, and what to do.
        why: &'static str,
        /// What the module said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The key for this act was not opened here.
    #[error("the {0} key is not open here; do this where the authority's keys are")]
    KeyAbsent(&'static str),
    /// The OCSP signer's certificate has expired, and the key to renew it is not here.
    #[error("the OCSP signer's certificate is not valid now; renew it with `sealfax-mailserver ca renew-ocsp`")]
    SignerExpired,
    /// The OCSP key is another one since this process opened it.
    #[error("the OCSP signer has a new key; start the server again to have it sign with that")]
    SignerReplaced,
    /// The index was changed by someone who cannot sign for the authority.
    #[error(
        "the certificate index was tampered with at line {line}: {why}; keep it as evidence and restore the backup"
    )]
    Forged {
        /// Line, counted from 1; 0 if it is not one line.
        line: u64,
        /// What does not fit.
        why: &'static str,
    },
    /// The index is from before something that it should know.
    #[error(
        "the certificate index is older than {witness}: somebody put an old one in its place; keep it as evidence and \
         restore the newest backup"
    )]
    RolledBack {
        /// What knows more.
        witness: String,
    },
    /// A key made a signature that does not hold.
    #[error(
        "a signature of the issuing key does not hold, and nothing was written; check the token, and that it is the right \
         one"
    )]
    BadSignature,
    /// Passphrases do not fit the settings.
    #[error("no key was encrypted: {0}")]
    Passphrases(&'static str),
    /// The index is from a version that did not mark it, or was stripped of its marks.
    #[error(
        "{0} bears no mark of the authority; if it comes from an older version, look it through and run \
         `sealfax-mailserver ca protect`"
    )]
    Unmarked(PathBuf),
    /// An entry of the audit log does not fit.
    #[error("the audit log was tampered with at entry {entry}: {why}; keep it as evidence and look at the backups")]
    AuditTampered {
        /// The first entry that does not fit, counted from 0.
        entry: u64,
        /// What does not fit.
        why: &'static str,
    },
    /// The person has a certificate for this use already, for another key.
    #[error(
        "{address} already has a valid certificate for this use and another key ({serial}); say --replace if this card \
         is to take its place"
    )]
    AlreadyIssued {
        /// Whose.
        address: String,
        /// The serial number of the one that is valid.
        serial: String,
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
    /// A hold can be lifted again, which nothing here does.
    #[error("a certificate is revoked for ever, not put on hold; choose another reason, key-compromise for instance")]
    Hold,
    /// It is revoked, but the list that says so was not made.
    #[error(
        "the certificate {serial} is revoked; only the revocation list could not be published: run \
         `sealfax-mailserver ca crl`"
    )]
    ListUnpublished {
        /// Which certificate.
        serial: String,
        /// Why.
        #[source]
        source: Box<AuthorityError>,
    },
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
