//! Delivery status notifications: RFC 3464 inside multipart/report of RFC 6522. A bounce at the sender raises an alarm; a
//! fax machine of extended mode (RFC 2532) gets the ones it asked for. The mail server writes its own.

use crate::header::{HeaderError, Headers};
use crate::mail::{MailError, checked_id, message_id, text_part};
use crate::mime::{Entity, MimeError, is_boundary};

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

impl Status {
    /// 2.1.5, the address was good and the mail is there.
    pub const DELIVERED: Self = Self { class: 2, subject: 1, detail: 5 };
    /// 5.0.0, it failed for a reason that no code says.
    pub const FAILED: Self = Self { class: 5, subject: 0, detail: 0 };
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

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
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

/// Writes the entity: Content-Type and body, CRLF, 7-bit. `text` is what a person reads. Of the mail that it is about it
/// encloses nothing but the Message-ID: whoever asks knows the rest, and nobody else has to.
///
/// Addresses and the reporter's name have to be ASCII, and there has to be a recipient.
pub fn compose(status: &DeliveryStatus, text: &str, boundary: &str) -> Result<Vec<u8>, DsnError> {
    if !is_boundary(boundary) {
        return Err(DsnError::Structure("the boundary is not usable; take a random one"));
    }
    if status.recipients.is_empty() || status.recipients.len() > MAX_RECIPIENTS {
        return Err(DsnError::Field("Final-Recipient"));
    }
    let mut message = Headers::new();
    let mta = status.reporting_mta.as_deref().filter(|mta| mta.is_ascii()).ok_or(DsnError::Field("Reporting-MTA"))?;
    message.push("Reporting-MTA", &format!("dns; {mta}"))?;
    if let Some(envelope) = &status.original_envelope_id {
        message.push("Original-Envelope-ID", &ascii(envelope))?;
    }
    let mut groups = message.to_octets();
    for recipient in &status.recipients {
        let mut fields = Headers::new();
        if let Some(original) = recipient.original_recipient.as_deref().filter(|address| address.is_ascii()) {
            fields.push("Original-Recipient", &format!("rfc822; {original}"))?;
        }
        if !recipient.final_recipient.is_ascii() {
            return Err(DsnError::Field("Final-Recipient"));
        }
        fields.push("Final-Recipient", &format!("rfc822; {}", recipient.final_recipient))?;
        fields.push("Action", recipient.action.word())?;
        fields.push("Status", &recipient.status.to_string())?;
        if let Some(diagnostic) = &recipient.diagnostic {
            fields.push("Diagnostic-Code", &format!("smtp; {}", ascii(&clean(diagnostic))))?;
        }
        groups.extend_from_slice(b"\r\n");
        groups.extend(fields.to_octets());
    }
    let mut head = Headers::new();
    head.push("Content-Type", &format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\""))?;
    let mut out = head.to_octets();
    out.extend(format!("\r\n--{boundary}\r\n").bytes());
    out.extend(text_part(text, boundary).map_err(|error| match error {
        MailError::Header(error) => DsnError::Header(error),
        _ => DsnError::Structure("the text cannot be written"),
    })?);
    out.extend(format!("--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n").bytes());
    out.extend(groups);
    if let Some(id) = &status.original_message_id {
        let mut returned = Headers::new();
        returned.push("Message-ID", &format!("<{}>", checked_id(id)?))?;
        out.extend(format!("\r\n--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n").bytes());
        out.extend(returned.to_octets());
    }
    out.extend(format!("\r\n--{boundary}--\r\n").bytes());
    Ok(out)
}

/// What is not ASCII may not stand in a field of a notification.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
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

    fn both() -> DeliveryStatus {
        let recipient = |address: &str, action, status| RecipientStatus {
            final_recipient: address.into(),
            original_recipient: Some(address.into()),
            action,
            status,
            diagnostic: (action == Action::Failed).then(|| "550 5.1.1 unknown".to_owned()),
        };
        DeliveryStatus {
            reporting_mta: Some("adapter.a.example".into()),
            original_envelope_id: Some("fax-1".into()),
            original_message_id: Some("1@a.example".into()),
            recipients: vec![
                recipient("sato@b.example", Action::Delivered, Status::DELIVERED),
                recipient("nobody@b.example", Action::Failed, Status { class: 5, subject: 1, detail: 1 }),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let octets = compose(&both(), "配達されました。\nDelivered.\n", "=_dsn-1").unwrap();
        assert!(octets.is_ascii() && octets.windows(2).all(|w| (w[1] == b'\n') == (w[0] == b'\r')));
        assert_eq!(parse(&octets).unwrap(), both());
        insta::assert_snapshot!(String::from_utf8(octets).unwrap().replace("\r\n", "\n"));
    }

    #[test]
    fn values_cannot_add_fields() {
        let with = |change: &dyn Fn(&mut DeliveryStatus)| {
            let mut status = both();
            change(&mut status);
            compose(&status, "x", "=_dsn-1")
        };
        assert!(with(&|s| s.reporting_mta = Some("a\r\nAction: failed".into())).is_err());
        assert!(with(&|s| s.original_message_id = Some("a>\r\n\r\n--=_dsn-1--".into())).is_err());
        assert!(with(&|s| s.recipients[0].final_recipient = "a@b\r\nAction: failed".into()).is_err());
        assert!(with(&|s| s.recipients.clear()).is_err());
        // Words of others are cleaned, for they are only words.
        let octets = with(&|s| s.recipients[1].diagnostic = Some("名\r\nAction: delivered".into())).unwrap();
        assert_eq!(parse(&octets).unwrap().recipients[1].action, Action::Failed);
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
