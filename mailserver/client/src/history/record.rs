//! What stands in the history: a record in two parts. The *leaf* is hashed into the log and can never change; what is
//! personal stands beside it, bound by its digest, and can be erased without breaking the log.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Digest256, rfc3339};

/// Octets of one Message-ID, and of one address, in a record.
pub const MAX_FIELD: usize = 998;

/// Octets of evidence in one record. What is longer is kept by its digest alone.
pub const MAX_EVIDENCE: usize = 128 * 1024;

/// What happened to a mail on its way to one recipient, after the events of ETSI EN 319 522-1, clause 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The mail server took it from the sender's adapter (A: submission).
    Submission,
    /// It went on to the recipient's mail server (B: relay).
    Relay,
    /// It lies in the recipient's mailbox (D: delivery, there *consignment*).
    Delivery,
    /// The recipient opened it with card and PIN and it was printed, which their card signed (E: retrieval, there
    /// *handover*).
    Retrieval,
    /// It came back undeliverable.
    NonDelivery,
    /// The recipient's side refused it.
    Refusal,
    /// No confirmation came within the set time.
    Overdue,
}

impl Event {
    /// All of them, in the order of a transmission's life.
    pub const ALL: [Self; 7] = [
        Self::Submission,
        Self::Relay,
        Self::Delivery,
        Self::Retrieval,
        Self::NonDelivery,
        Self::Refusal,
        Self::Overdue,
    ];

    /// The word that records, queries and exports use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Relay => "relay",
            Self::Delivery => "delivery",
            Self::Retrieval => "retrieval",
            Self::NonDelivery => "non-delivery",
            Self::Refusal => "refusal",
            Self::Overdue => "overdue",
        }
    }

    /// The event of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.word() == word)
    }

    /// The name of this event in signed evidence, after ETSI EN 319 522-1, table 1.
    pub const fn evidence_name(self) -> &'static str {
        match self {
            Self::Submission => "SubmissionAcceptance",
            Self::Relay => "RelayAcceptance",
            Self::Delivery => "ContentConsignment",
            Self::Retrieval => "ContentHandover",
            Self::NonDelivery => "RelayFailure",
            Self::Refusal => "ContentHandoverFailure",
            Self::Overdue => "ContentHandoverOverdue",
        }
    }
}

/// What an adapter asks to have written down: one event of one mail to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What happened.
    pub event: Event,
    /// Message-ID of the sealed mail, with its angle brackets.
    pub message_id: String,
    /// The sender's address.
    pub sender: String,
    /// The recipient's address.
    pub recipient: String,
    /// When the sealed mail was sent.
    #[serde(with = "rfc3339")]
    pub sent: SystemTime,
    /// When it happened, or became known.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// SHA-256 of the content as signed.
    pub content_digest: Digest256,
    /// SHA-256 of the evidence as it came: the signed confirmation, the bounce. Of nothing, where there is none.
    pub evidence_digest: Digest256,
    /// The evidence itself; empty where there is none, or more than [`MAX_EVIDENCE`].
    #[serde(default, with = "base64_octets")]
    pub evidence: Vec<u8>,
}

impl Record {
    /// Puts `evidence` into the record, or its digest alone if it is too long.
    #[must_use]
    pub fn with_evidence(mut self, evidence: &[u8]) -> Self {
        self.evidence_digest = Digest256::of(evidence);
        self.evidence = if evidence.len() <= MAX_EVIDENCE { evidence.to_vec() } else { Vec::new() };
        self
    }

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
        let whole = Digest256::of(&self.evidence) == self.evidence_digest;
        if self.evidence.len() > MAX_EVIDENCE || !(whole || self.evidence.is_empty()) {
            return Err("evidence");
        }
        Ok(())
    }
}

/// The part of a record that the log's tree is built over: who and what are in it as digests alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// Position in the log, counted from 0.
    pub index: u64,
    /// When the history server took it in.
    #[serde(with = "rfc3339")]
    pub registered: SystemTime,
    /// What happened.
    pub event: Event,
    /// When the sealed mail was sent.
    #[serde(with = "rfc3339")]
    pub sent: SystemTime,
    /// When it happened, or became known.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// SHA-256 of the content as signed.
    pub content_digest: Digest256,
    /// SHA-256 of the evidence as it came.
    pub evidence_digest: Digest256,
    /// SHA-256 of the certificate of whoever registered it, if one was shown.
    pub registrar: Option<Digest256>,
    /// SHA-256 of the [`Personal`] part as stored.
    pub personal: Digest256,
}

/// The part of a record that can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Personal {
    /// Chance: without it nobody could tell from the leaf's digest whether a guess at the rest is right.
    pub salt: Digest256,
    /// Message-ID of the sealed mail, with its angle brackets.
    pub message_id: String,
    /// The sender's address.
    pub sender: String,
    /// The recipient's address.
    pub recipient: String,
    /// The evidence, if it is kept.
    #[serde(with = "base64_octets")]
    pub evidence: Vec<u8>,
}

impl Personal {
    /// What is personal in `record`, with `salt`.
    pub fn of(record: &Record, salt: Digest256) -> Self {
        Self {
            salt,
            message_id: record.message_id.clone(),
            sender: record.sender.clone(),
            recipient: record.recipient.clone(),
            evidence: record.evidence.clone(),
        }
    }

    /// As it is stored and hashed: JSON, the fields in this order.
    pub fn text(&self) -> String {
        // Strings and octets always have a text.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A record as the history gives it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What can never change.
    pub leaf: Leaf,
    /// Who and what, unless it was erased.
    pub personal: Option<Personal>,
}

mod base64_octets {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(octets: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(octets))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
