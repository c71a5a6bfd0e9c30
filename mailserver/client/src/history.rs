//! Registers transmissions in the history server and lists them (C12, D1, V5).
//!
//! A record says who sent to whom, when, and with which digests; never the subject, never the content.

mod digest;
mod rfc3339;

use std::time::SystemTime;

pub use digest::Digest256;
use serde::{Deserialize, Serialize};

use crate::http::{self, HttpError, Limits, Server, percent_encode};
use crate::seam::Seams;

/// How a transmission ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A verified confirmation says that the page was printed.
    Delivered,
    /// It came back undeliverable.
    Failed,
    /// The recipient's adapter refused it.
    Refused,
}

/// One transmission to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transmission {
    /// Message-ID of the sealed mail, with its angle brackets.
    pub message_id: String,
    /// The sender's address.
    pub sender: String,
    /// The recipient's address.
    pub recipient: String,
    /// When the sealed mail was sent.
    #[serde(with = "rfc3339")]
    pub sent: SystemTime,
    /// When the confirmation says it was delivered, or when it was known to have failed.
    #[serde(with = "rfc3339")]
    pub delivered: SystemTime,
    /// SHA-256 of the mail as the terminal gave it.
    pub content_digest: Digest256,
    /// SHA-256 of the confirmation as it came.
    pub confirmation_digest: Digest256,
    /// How it ended.
    pub outcome: Outcome,
}

/// Octets of one Message-ID, and of one address, in a record.
pub const MAX_FIELD: usize = 998;

impl Transmission {
    /// Whether every field is of a form that may be stored: printable, not empty, bounded.
    pub fn check(&self) -> Result<(), &'static str> {
        let printable = |field: &str| {
            (1..=MAX_FIELD).contains(&field.len())
                && !field
                    .chars()
                    .any(|character| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}'))
        };
        if !printable(&self.message_id) {
            return Err("message_id");
        }
        if !printable(&self.sender) || !self.sender.contains('@') {
            return Err("sender");
        }
        if !printable(&self.recipient) || !self.recipient.contains('@') {
            return Err("recipient");
        }
        Ok(())
    }
}

/// A transmission as it stands in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the history, counted from 0.
    pub index: u64,
    /// When the history server took it in.
    #[serde(with = "rfc3339")]
    pub registered: SystemTime,
    /// SHA-256 of the entry before, all zero for the first: a changed entry breaks the chain.
    pub previous: Digest256,
    /// The transmission.
    pub transmission: Transmission,
}

/// What the history server says to a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Position in the history, counted from 0.
    pub index: u64,
    /// SHA-256 of the entry as stored.
    pub digest: Digest256,
    /// Whether the same transmission was there already.
    pub known: bool,
}

/// Which transmissions to list; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this sender.
    pub sender: Option<String>,
    /// Only those to this recipient.
    pub recipient: Option<String>,
    /// Only those registered at this time or later.
    pub since: Option<SystemTime>,
}

/// Why a transmission is not registered, or the list not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The server could not be asked, or refused.
    #[error("the history server could not be used; the transmission stays queued and is registered later")]
    Http(#[from] HttpError),
    /// The same message and recipient stand there with other content.
    #[error(
        "the history holds another transmission with the same Message-ID and recipient; an administrator has to look at it"
    )]
    Conflict,
    /// What came is not a history server's answer.
    #[error("the history server's answer cannot be read; check that the address is right")]
    Malformed(#[source] serde_json::Error),
    /// The record itself is not acceptable.
    #[error("the field {0} of the transmission cannot be stored")]
    BadField(&'static str),
}

impl HistoryError {
    /// Stable code for logs and screens.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http(_) => "HISTORY-001",
            Self::Conflict => "HISTORY-002",
            Self::Malformed(_) => "HISTORY-003",
            Self::BadField(_) => "HISTORY-004",
        }
    }

    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http(HttpError::Status { status, .. }) => *status >= 500,
            Self::Http(_) => true,
            _ => false,
        }
    }
}

/// Registers `transmission`. Registering the same again is harmless and says `known`.
pub async fn register(seams: &Seams, server: &Server, transmission: &Transmission) -> Result<Receipt, HistoryError> {
    transmission.check().map_err(HistoryError::BadField)?;
    let body = serde_json::to_vec(transmission).map_err(HistoryError::Malformed)?;
    let response =
        http::post(seams.network.as_ref(), server, "/transmissions", "application/json", body, Limits::default())
            .await?;
    if response.status == 409 {
        return Err(HistoryError::Conflict);
    }
    serde_json::from_slice(&response.success()?.body).map_err(HistoryError::Malformed)
}

/// Lists what `filter` selects, oldest first.
pub async fn list(seams: &Seams, server: &Server, filter: &Filter) -> Result<Vec<Entry>, HistoryError> {
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
    let path = format!("/transmissions?{}", query.join("&"));
    let limits = Limits { body: 16 << 20, ..Limits::default() };
    let response = http::get(seams.network.as_ref(), server, &path, "application/json", limits).await?.success()?;
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
