//! What stands in the ledger.

use std::time::SystemTime;

use sealfax_client::history::{self, Digest256, Record};
use sealfax_client::seam::TransmissionId;
use sealfax_smime::ReceiptTerms;
use serde::{Deserialize, Serialize};

use crate::flow::Protection;
use crate::flow::confirming::{Ending, Remark};
use crate::notification::Wanted;

/// How far a mail came on its way to paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Print {
    /// It was given to the terminal; whether it is on paper is not known.
    Handed,
    /// The terminal took it completely; its confirmation is owed.
    Printed,
    /// Its confirmation is in the outbox; it only has to be deleted at the mail server.
    Confirmed,
}

/// A mail that was handed to the terminal, and what its confirmation needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// How far it came.
    pub print: Print,
    /// Whose confirmation is owed.
    pub recipient: String,
    /// To whom.
    pub sender: String,
    /// Of which mail.
    pub message_id: String,
    /// SHA-256 of the content as signed, hexadecimal.
    pub content_digest: String,
    /// What the sender asks to have quoted in a signed receipt.
    #[serde(default)]
    pub receipt: Option<ReceiptTerms>,
}

/// A transmission that waits for its confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTransmission {
    /// Message-ID of the sealed mail.
    pub message_id: String,
    /// Who sent it.
    pub sender: String,
    /// Who has to confirm it.
    pub recipient: String,
    /// When the mail server took it.
    pub sent: SystemTime,
    /// SHA-256 of the content as signed, hexadecimal.
    pub content_digest: String,
    /// Pages, as far as known.
    pub pages: Option<u32>,
    /// What its lines in the journal have in common.
    #[serde(default)]
    pub transmission: Option<TransmissionId>,
    /// What it was sealed with.
    #[serde(default)]
    pub protection: Protection,
    /// What a signed receipt of it has to quote.
    #[serde(default)]
    pub receipt: Option<ReceiptTerms>,
    /// What the fax machine asked to be told in mails of its own (T.37 extended mode).
    #[serde(default)]
    pub wanted: Option<Wanted>,
    /// When the mail server said that it has it, and that went to the history. `None`: the line broke or the power failed
    /// before, so that only its recipient can tell that it was sent.
    #[serde(default)]
    pub submitted: Option<SystemTime>,
    /// Since when its confirmation is overdue.
    #[serde(default)]
    pub overdue: Option<SystemTime>,
    /// Somebody has seen that it is.
    #[serde(default)]
    pub seen: bool,
}

impl OpenTransmission {
    pub(super) fn key(message_id: &str, recipient: &str) -> String {
        format!("{message_id} {recipient}")
    }

    /// What the history is told of it.
    pub fn record(&self, event: history::Event, at: SystemTime) -> Record {
        Record {
            event,
            message_id: self.message_id.clone(),
            sender: self.sender.clone(),
            recipient: self.recipient.clone(),
            sent: self.sent,
            at,
            content_digest: self.content_digest.parse().unwrap_or_else(|_| Digest256::of(b"")),
            evidence_digest: Digest256::of(b""),
            evidence: Vec::new(),
        }
    }
}

/// A transmission that ended, so that what comes for it later is known for what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// What was open.
    pub transmission: OpenTransmission,
    /// How it ended.
    pub ending: Ending,
    /// When that was known.
    pub at: SystemTime,
}

/// A transmission that was confirmed and waits to be reported on paper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// What was open.
    pub transmission: OpenTransmission,
    /// When it was confirmed, by the confirmation's own date.
    pub at: SystemTime,
    /// The name beside the recipient's address in the confirmation; may be empty.
    pub recipient_name: String,
    /// Why it failed, for a bounce or a refusal.
    pub failure: Option<String>,
    /// Its recipient refused it.
    #[serde(default)]
    pub refused: bool,
    /// What else the report says.
    #[serde(default)]
    pub remark: Option<Remark>,
    /// When the confirmation came.
    #[serde(default)]
    pub taken: Option<SystemTime>,
}

/// The keys that were relied on for a correspondent, so that another one does not go unnoticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownKeys {
    /// When they were relied on last.
    pub last: SystemTime,
    /// One for each key.
    pub keys: Vec<KnownKey>,
}

/// One key of a correspondent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownKey {
    /// SHA-256 of the public key, hexadecimal.
    pub fingerprint: String,
    /// The certificate it came in, DER in base64: whether that still counts can be asked.
    pub certificate: String,
}

/// Something owed to a server, kept until the server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owed {
    /// A signed confirmation for a sender, to be submitted with a null return path.
    Confirmation {
        /// The sender of the confirmed mail.
        to: String,
        /// The mail, CRLF.
        mail: String,
        /// What the document's lines in the journal have in common.
        #[serde(default)]
        transmission: Option<TransmissionId>,
    },
    /// A record for the history server, as version 0.1.0 queued it.
    History(Former),
    /// A record for the history server.
    Record {
        /// What is to stand there.
        record: Box<Record>,
        /// What the document's lines in the journal have in common.
        #[serde(default)]
        transmission: Option<TransmissionId>,
    },
}

/// A record of version 0.1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // as they were written
pub struct Former {
    pub message_id: String,
    pub sender: String,
    pub recipient: String,
    pub sent: String,
    pub delivered: String,
    pub content_digest: Digest256,
    pub confirmation_digest: Digest256,
    pub outcome: String,
}

impl Former {
    /// The same as it is registered today; `None` if it cannot be read.
    pub fn record(&self) -> Option<Record> {
        let delivered = self.outcome.eq_ignore_ascii_case("delivered");
        Some(Record {
            event: if delivered { history::Event::Retrieval } else { history::Event::NonDelivery },
            message_id: self.message_id.clone(),
            sender: self.sender.clone(),
            recipient: self.recipient.clone(),
            sent: history::parse_time(&self.sent)?,
            at: history::parse_time(&self.delivered)?,
            content_digest: self.content_digest,
            evidence_digest: self.confirmation_digest,
            evidence: Vec::new(),
        })
    }
}
