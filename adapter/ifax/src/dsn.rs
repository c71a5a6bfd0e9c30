//! Delivery status notifications: RFC 3464 inside multipart/report of RFC 6522, read only. A bounce at the sender
//! raises an alarm; the mail server writes its own.

use crate::header::{HeaderError, Headers};
use crate::mail::message_id;
use crate::mime::{Entity, MimeError};

/// Most octets of a bounce; the original may be enclosed.
pub const MAX_OCTETS: usize = 64 << 20;
/// Most recipients in one bounce.
pub const MAX_RECIPIENTS: usize = 200;

/// RFC 3464 clause 2.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Given up.
    Failed,
    /// Still being tried.
    Delayed,
    /// In the mailbox.
    Delivered,
    /// Handed to a server that gives no notifications.
    Relayed,
    /// Sent on to several.
    Expanded,
}

/// An enhanced status code (RFC 3463): class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    /// 2 success, 4 for now, 5 for ever.
    pub class: u8,
    /// Subject, such as 1 addressing.
    pub subject: u16,
    /// Detail, such as 1 no such mailbox.
    pub detail: u16,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Status {
    /// Parses `5.1.1`; a comment may follow.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().next()?.split('.');
        let class = numbers.next()?.parse().ok().filter(|class| [2, 4, 5].contains(class))?;
        let mut number = || numbers.next().filter(|n| n.len() <= 3)?.parse().ok();
        let status = Self { class, subject: number()?, detail: number()? };
        numbers.next().is_none().then_some(status)
    }
}

/// What happened for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientStatus {
    /// The address it was tried for (its type, mostly `rfc822`, left out); as written, not checked.
    pub final_recipient: String,
    /// The address the sender wrote.
    pub original_recipient: Option<String>,
    /// What was done.
    pub action: Action,
    /// Why.
    pub status: Status,
    /// The remote server's words, control characters replaced.
    pub diagnostic: Option<String>,
}

/// A delivery status notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// Who reports.
    pub reporting_mta: Option<String>,
    /// ENVID of the original envelope (RFC 3461).
    pub original_envelope_id: Option<String>,
    /// Message-ID of the returned mail, without angle brackets.
    pub original_message_id: Option<String>,
    /// One entry a recipient, at least one.
    pub recipients: Vec<RecipientStatus>,
}

/// Why a bounce cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DsnError {
    /// Over [`MAX_OCTETS`].
    #[error("the bounce is over {MAX_OCTETS} octets")]
    TooLarge,
    /// Not a report of the right type.
    #[error("this is not a delivery status notification: {0}")]
    Structure(&'static str),
    /// A field is missing or unreadable.
    #[error("field {0} of the bounce is missing or cannot be read")]
    Field(&'static str),
    /// Its MIME structure.
    #[error(transparent)]
    Mime(#[from] MimeError),
    /// A header.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// Reads a bounce from its mail or multipart/report entity.
pub fn parse(entity: &[u8]) -> Result<DeliveryStatus, DsnError> {
    if entity.len() > MAX_OCTETS {
        return Err(DsnError::TooLarge);
    }
    let entity = Entity::parse(entity)?;
    let kind = entity.content_type()?;
    let report = kind.param("report-type").unwrap_or_default();
    if kind.essence != "multipart/report" || !report.eq_ignore_ascii_case("delivery-status") {
        return Err(DsnError::Structure("not multipart/report; report-type=delivery-status"));
    }
    let parts = entity.parts()?;
    let machine = parts.get(1).ok_or(DsnError::Structure("it has fewer than two parts"))?;
    if !matches!(machine.content_type()?.essence.as_str(), "message/delivery-status" | "message/global-delivery-status")
    {
        return Err(DsnError::Structure("its second part is not message/delivery-status"));
    }
    let octets = machine.decoded()?;
    let (message, mut rest) = Headers::parse(&octets)?;
    let mut recipients = Vec::new();
    loop {
        // Groups stand apart by empty lines, and writers differ in how many.
        while let Some(stripped) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
            rest = stripped;
        }
        if rest.is_empty() {
            break;
        }
        if recipients.len() >= MAX_RECIPIENTS {
            return Err(DsnError::Structure("it has too many recipients"));
        }
        let (fields, after) = Headers::parse(rest)?;
        rest = after;
        recipients.push(recipient(&fields)?);
    }
    if recipients.is_empty() {
        return Err(DsnError::Field("Final-Recipient"));
    }
    let original_message_id = match parts.get(2) {
        None => None,
        Some(returned) => {
            let octets = returned.decoded()?;
            Headers::parse(&octets).ok().and_then(|(headers, _)| headers.get("Message-ID").and_then(message_id))
        }
    };
    Ok(DeliveryStatus {
        reporting_mta: message.get("Reporting-MTA").map(after_type),
        original_envelope_id: message.get("Original-Envelope-ID").map(clean),
        original_message_id,
        recipients,
    })
}

fn recipient(fields: &Headers) -> Result<RecipientStatus, DsnError> {
    let action = match fields.only("Action")?.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "failed" => Action::Failed,
        "delayed" => Action::Delayed,
        "delivered" => Action::Delivered,
        "relayed" => Action::Relayed,
        "expanded" => Action::Expanded,
        _ => return Err(DsnError::Field("Action")),
    };
    Ok(RecipientStatus {
        final_recipient: fields.only("Final-Recipient")?.map(after_type).ok_or(DsnError::Field("Final-Recipient"))?,
        original_recipient: fields.get("Original-Recipient").map(after_type),
        action,
        status: fields.only("Status")?.and_then(Status::parse).ok_or(DsnError::Field("Status"))?,
        diagnostic: fields.get("Diagnostic-Code").map(after_type),
    })
}

/// `type; value` without the type.
fn after_type(value: &str) -> String {
    clean(value.split_once(';').map_or(value, |(_, value)| value))
}

fn clean(value: &str) -> String {
    value.trim().chars().take(500).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const BOUNCE: &str = "From: MAILER-DAEMON@b.example\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"b\"\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.b.example\r\nOriginal-Envelope-ID: E1\r\n\r\nFinal-Recipient: rfc822; nobody@b.example\r\nOriginal-Recipient: rfc822;nobody@b.example\r\nAction: failed\r\nStatus: 5.1.1 (no such user)\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n <nobody@b.example> unknown\r\n\r\nFinal-Recipient: rfc822; slow@b.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <1@a.example>\r\nSubject: x\r\n--b--\r\n";

    #[test]
    fn a_bounce_is_read() {
        let read = parse(BOUNCE.as_bytes()).unwrap();
        assert_eq!(read.original_message_id.as_deref(), Some("1@a.example"));
        assert_eq!(read.reporting_mta.as_deref(), Some("mail.b.example"));
        assert_eq!(read.recipients.len(), 2);
        let first = &read.recipients[0];
        assert_eq!((first.action, first.status.to_string().as_str()), (Action::Failed, "5.1.1"));
        assert_eq!(first.diagnostic.as_deref(), Some("550 5.1.1 <nobody@b.example> unknown"));
        assert_eq!(read.recipients[1].action, Action::Delayed);
    }

    #[test]
    fn it_is_strict() {
        for (from, to) in [
            ("delivery-status;", "x;"),
            ("failed", "eaten"),
            ("5.1.1 (", "6.1.1 ("),
            ("Final-Recipient: rfc822; n", "X: n"),
        ] {
            assert!(parse(BOUNCE.replacen(from, to, 1).as_bytes()).is_err(), "{from}");
        }
    }

    proptest! {
        #[test]
        fn mutations_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..10)) {
            let mut octets = BOUNCE.as_bytes().to_vec();
            for (at, octet) in flips {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
            let _ = parse(&octets);
        }
    }
}
