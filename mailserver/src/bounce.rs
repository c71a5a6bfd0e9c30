//! Delivery status notifications (RFC 3464 in multipart/report of RFC 6522; ST804, M2): the error mail.
//!
//! Sent with a null return path and `Auto-Submitted: auto-replied` (RFC 3834), never for a mail whose own return path
//! is null. Of the original only identifying header fields are returned: neither content nor subject leaves.

use std::fmt::Write as _;
use std::time::SystemTime;

use sealfax_client::smtp_server::{Dsn, utf8_addr_xtext};

use crate::header::{base64_lines, date, one_line, split};

/// What became of a mail (RFC 3464, 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is given up.
    Failed,
    /// It is still being tried.
    Delayed,
    /// It is in the mailbox.
    Delivered,
    /// It went on to a server that does not report.
    Relayed,
}

impl Outcome {
    fn action(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
        }
    }

    fn subject(self) -> &'static str {
        match self {
            Self::Failed => "Delivery failed",
            Self::Delayed => "Delivery delayed",
            Self::Delivered => "Delivered",
            Self::Relayed => "Sent on",
        }
    }

    /// For people: before the list of recipients, and behind it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Failed => (
                "送信できませんでした。次の宛先には届いていません。\r\nYour mail could not be delivered to the following:",
                "宛先を確かめてから、もう一度送ってください。\r\nPlease check the address and send it again.",
            ),
            Self::Delayed => (
                "次の宛先にはまだ届いていません。\r\nYour mail has not been delivered yet to the following:",
                "引き続き送信を試みます。もう一度送る必要はありません。\r\nIt is still being tried; you need not send it again.",
            ),
            Self::Delivered => (
                "次の宛先の郵便箱に届きました。\r\nYour mail is in the mailbox of the following:",
                "開かれたことの確認ではありません。\r\nThis does not say that anybody has opened it.",
            ),
            Self::Relayed => (
                "次の宛先のサーバーに渡しました。\r\nYour mail was handed to the server of the following:",
                "そのサーバーからの配達通知はありません。\r\nThat server does not report deliveries.",
            ),
        }
    }
}

/// What a report says.
#[derive(Debug, Clone)]
pub struct BounceFacts<'a> {
    /// What became of the mail.
    pub outcome: Outcome,
    /// What its sender wants to hear, and by which names.
    pub dsn: &'a Dsn,
    /// This server's name.
    pub host: &'a str,
    /// Whom to tell.
    pub to: &'a str,
    /// Recipients it is about, each with the reason (a reply, or a sentence).
    pub recipients: &'a [(String, String)],
    /// The mail.
    pub original: &'a [u8],
    /// When it came in.
    pub arrived: SystemTime,
    /// The time now.
    pub now: SystemTime,
    /// Makes Message-ID and boundary unique.
    pub token: &'a str,
}

/// The bounce, as a mail with CRLF line ends.
pub fn compose(facts: &BounceFacts<'_>) -> Vec<u8> {
    let BounceFacts { host, to, token, .. } = facts;
    let boundary = format!("=_dsn_{token}");
    let (before, behind) = facts.outcome.words();
    let mut human = format!("{before}\r\n\r\n");
    let mut status = format!("Reporting-MTA: dns; {host}\r\n");
    if let Some(envid) = &facts.dsn.envid {
        let _ = write!(status, "Original-Envelope-Id: {}\r\n", one_line(envid));
    }
    let _ = write!(status, "Arrival-Date: {}\r\n", date(facts.arrived));
    for (recipient, why) in facts.recipients {
        let why = one_line(why);
        let _ = write!(human, "  {recipient}\r\n      {why}\r\n");
        status.push_str("\r\n");
        let original = facts.dsn.recipients.get(recipient).and_then(|wishes| wishes.orcpt.as_deref());
        if let Some(original) = original {
            let _ = write!(status, "Original-Recipient: {}\r\n", typed_address(original));
        }
        let _ = write!(
            status,
            "Final-Recipient: {}\r\nAction: {}\r\nStatus: {}\r\nDiagnostic-Code: {}; {why}\r\n",
            typed_address(recipient),
            facts.outcome.action(),
            status_code(facts.outcome, &why),
            if reply_code(&why).is_some() { "smtp" } else { "x-sealfax" }
        );
    }
    let _ = write!(human, "\r\n{behind}\r\n");
    let mut headers = String::new();
    for field in split(facts.original).0 {
        let identifies = ["Message-ID", "Date", "From", "To", "Cc", "In-Reply-To", "References", "MIME-Version"]
            .iter()
            .any(|name| field.is(name));
        if identifies {
            let _ = write!(headers, "{}: {}\r\n", field.name, one_line(&field.value));
        }
    }
    format!(
        "From: Mail Delivery <postmaster@{host}>\r\n\
         To: <{to}>\r\n\
         Subject: {subject}\r\n\
         Date: {date}\r\n\
         Message-ID: <dsn.{token}@{host}>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\
         \r\n\
         --{boundary}\r\n\
         Content-Type: text/plain; charset=UTF-8\r\n\
         Content-Transfer-Encoding: base64\r\n\
         \r\n\
         {human}\r\n\
         --{boundary}\r\n\
         Content-Type: message/delivery-status\r\n\
         \r\n\
         {status}\r\n\
         --{boundary}\r\n\
         Content-Type: text/rfc822-headers\r\n\
         \r\n\
         {headers}\r\n\
         --{boundary}--\r\n",
        date = date(facts.now),
        subject = facts.outcome.subject(),
        human = base64_lines(human.as_bytes()),
    )
    .into_bytes()
}

/// An address with its type (RFC 3464, 2.3.1); beyond ASCII written so that seven bits carry it (RFC 6533, 3).
fn typed_address(address: &str) -> String {
    if address.is_ascii() {
        return format!("rfc822; {}", one_line(address));
    }
    format!("utf-8; {}", utf8_addr_xtext(address))
}

fn reply_code(why: &str) -> Option<u16> {
    let code: u16 = why.get(..3)?.parse().ok()?;
    (200..600).contains(&code).then_some(code)
}

/// The enhanced status code in a reply, or a general one (RFC 3463).
fn status_code(outcome: Outcome, why: &str) -> String {
    let class = match outcome {
        // Whatever the peer called it, for us it is so.
        Outcome::Failed => '5',
        Outcome::Delayed => '4',
        Outcome::Delivered | Outcome::Relayed => return "2.0.0".to_owned(),
    };
    for word in why.split_ascii_whitespace().take(3) {
        let mut parts = word.split('.');
        let said = parts.next();
        let numbers =
            parts.clone().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|o| o.is_ascii_digit()));
        if parts.count() == 2 && numbers && matches!(said, Some("4" | "5")) {
            return format!("{class}{}", word.get(1..).unwrap_or(".0.0"));
        }
    }
    if reply_code(why).is_some() { format!("{class}.0.0") } else { format!("{class}.4.7") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{Kind, judge};

    #[test]
    fn a_bounce() {
        let failed = [("x@b.test".to_owned(), "550 5.1.1 No such user\r\nX-Forged: yes".to_owned())];
        let mail = compose(&BounceFacts {
            host: "mail.a.test",
            to: "taro@a.test",
            outcome: Outcome::Failed,
            dsn: &Dsn::default(),
            recipients: &failed,
            original:
                b"From: taro@a.test\r\nTo: x@b.test\r\nSubject: secret\r\nMessage-ID: <1@a.test>\r\n\r\nsecret body\r\n",
            arrived: SystemTime::UNIX_EPOCH,
            now: SystemTime::UNIX_EPOCH,
            token: "0123456789abcdef",
        });
        let text = String::from_utf8_lossy(&mail).into_owned();
        assert!(!text.contains("secret") && !text.contains("\nX-Forged"));
        assert_eq!(judge(&mail, false).kind, Kind::Bounce);
        insta::assert_snapshot!(text.replace("\r\n", "\n"));
    }

    #[test]
    fn addresses_beyond_ascii() {
        assert_eq!(typed_address("a+b@c.test"), "rfc822; a+b@c.test");
        assert_eq!(typed_address("花+b@c.test"), "utf-8; \\x{82B1}\\x{2B}b@c.test");
        assert_eq!(typed_address("花\r\nX: y"), "utf-8; \\x{82B1}\\x{D}\\x{A}X:\\x{20}y");
    }

    #[test]
    fn status_codes() {
        assert_eq!(status_code(Outcome::Failed, "550 5.1.1 no"), "5.1.1");
        assert_eq!(status_code(Outcome::Failed, "450 4.2.1 later"), "5.2.1");
        assert_eq!(status_code(Outcome::Failed, "550 no"), "5.0.0");
        assert_eq!(status_code(Outcome::Failed, "cannot be reached"), "5.4.7");
    }
}
