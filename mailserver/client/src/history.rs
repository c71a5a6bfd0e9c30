//! Registers what happened to transmissions in the history server, and asks for it (C12, D1, V5).
//!
//! A [`Record`] says who sent to whom, when, and with which digests, and holds the signed evidence; never the subject,
//! never the content. What the server answers is a [`Receipt`] that proves to anybody that the record stands in the log.

mod digest;
mod proof;
mod record;
mod rfc3339;

use std::time::SystemTime;

pub use digest::Digest256;
pub use proof::{Checkpoint, LogKey, Proof, Proven, Receipt, Unproven};
pub use record::{Entry, Event, Leaf, MAX_EVIDENCE, MAX_FIELD, Personal, Record};
use serde::{Deserialize, Serialize};

use crate::http::{self, HttpError, Limits, Server, percent_encode};
use crate::seam::Network;

/// Longest answer to a registration: a receipt holds the evidence.
const MAX_ANSWER: usize = 1 << 20;

/// What the history server says to a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Whether the same record was there already.
    pub known: bool,
    /// That it stands there.
    pub receipt: Receipt,
    /// That the log continues the one of the size that was named in the question (RFC 9162, 2.1.4); `None` if it does not.
    pub continues: Option<Vec<Digest256>>,
}

/// Which records to list; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this sender.
    pub sender: Option<String>,
    /// Only those to this recipient.
    pub recipient: Option<String>,
    /// Only those registered at this time or later.
    pub since: Option<SystemTime>,
}

/// Why a record is not registered, or the list not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The server could not be asked, or refused.
    #[error("the history server could not be used; the transmission stays queued and is registered later")]
    Http(#[from] HttpError),
    /// The same event of the same message and recipient stands there with other content.
    #[error(
        "the history holds another record of the same event, Message-ID and recipient; an administrator has to look at it"
    )]
    Conflict,
    /// What came is not a history server's answer.
    #[error("the history server's answer cannot be read; check that the address is right")]
    Malformed(#[source] serde_json::Error),
    /// The record itself is not acceptable.
    #[error("the field {0} of the record cannot be stored")]
    BadField(&'static str),
    /// The answer proves nothing.
    #[error(
        "the history server's receipt does not hold; it is not taken for registered, and an administrator has to look at the server"
    )]
    Unproven(#[from] Unproven),
}

impl HistoryError {
    /// Stable code for logs and screens.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http(_) => "HISTORY-001",
            Self::Conflict => "HISTORY-002",
            Self::Malformed(_) => "HISTORY-003",
            Self::BadField(_) => "HISTORY-004",
            Self::Unproven(Unproven::Inconsistent { .. }) => "HISTORY-006",
            Self::Unproven(_) => "HISTORY-005",
        }
    }

    /// Whether trying again later may help. A receipt that does not hold may come from somebody between us and the server.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http(HttpError::Status { status, .. }) => !matches!(status, 400 | 413),
            Self::Http(_) | Self::Unproven(_) | Self::Malformed(_) => true,
            Self::Conflict | Self::BadField(_) => false,
        }
    }
}

/// Registers `record` and checks the receipt under `key`. With `seen`, the last head of the log that was believed, the new
/// one has to continue it. Registering the same again is harmless and says `known`.
pub async fn register(
    network: &dyn Network,
    server: &Server,
    key: &LogKey,
    seen: Option<&Checkpoint>,
    record: &Record,
) -> Result<(Registered, Checkpoint), HistoryError> {
    record.check().map_err(HistoryError::BadField)?;
    let body = serde_json::to_vec(record).map_err(HistoryError::Malformed)?;
    let path = format!("/records?seen={}", seen.map_or(0, |seen| seen.size));
    let limits = Limits { body: MAX_ANSWER, ..Limits::default() };
    let response = http::post(network, server, &path, "application/json", body, limits).await?;
    if response.status == 409 {
        return Err(HistoryError::Conflict);
    }
    let registered: Registered = serde_json::from_slice(&response.success()?.body).map_err(HistoryError::Malformed)?;
    let proven = registered.receipt.verify_for(key, record)?;
    // Only of a record that stood there before can who and what have been erased.
    if proven.personal.is_none() && !registered.known {
        return Err(Unproven::Personal.into());
    }
    let head = proven.head;
    if let Some(seen) = seen {
        let path = registered.continues.as_deref();
        head.continues(seen, path.ok_or(Unproven::Inconsistent { earlier: seen.size, later: head.size })?)?;
    }
    Ok((registered, head))
}

/// The history's public key, as the server itself tells it: believed by who cannot have it from a better source.
pub async fn key(network: &dyn Network, server: &Server) -> Result<LogKey, HistoryError> {
    let response = http::get(network, server, "/key", "text/plain", Limits::default()).await?.success()?;
    Ok(LogKey::parse(&String::from_utf8_lossy(&response.body))?)
}

/// Lists what `filter` selects of what whoever asks may see, oldest first.
pub async fn list(network: &dyn Network, server: &Server, filter: &Filter) -> Result<Vec<Entry>, HistoryError> {
    let mut query = Vec::new();
    if let Some(sender) = &filter.sender {
        query.push(format!("sender={}", percent_encode(sender)));
    }
    if let Some(recipient) = &filter.recipient {
        query.push(format!("recipient={}", percent_encode(recipient)));
    }
    if let Some(since) = filter.since {
        query.push(format!("since={}", percent_encode(&rfc3339::text(since))));
    }
    let path = format!("/records?{}", query.join("&"));
    let limits = Limits { body: 16 << 20, ..Limits::default() };
    let response = http::get(network, server, &path, "application/json", limits).await?.success()?;
    serde_json::from_slice(&response.body).map_err(HistoryError::Malformed)
}

/// `time` as RFC 3339 text in UTC, as records carry it.
pub fn time_text(time: SystemTime) -> String {
    rfc3339::text(time)
}

/// The time that an RFC 3339 text names.
pub fn parse_time(text: &str) -> Option<SystemTime> {
    rfc3339::parse(text)
}
