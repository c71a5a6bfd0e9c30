//! Delivery status notifications (RFC 3464 in multipart/report of RFC 6522; ST804, M2): the error mail.
//!
//! Sent with a null return path and `Auto-Submitted: auto-replied` (RFC 3834), never for a mail whose own return path
//! is null. Of the original only identifying header fields are returned: neither content nor subject leaves.

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::header::{base64_lines, date, one_line, split};

/// What a bounce reports.
#[derive(Debug, Clone)]
pub struct BounceFacts<'a> {
    /// This server's name.
    pub host: &'a str,
    /// Whom to tell.
    pub to: &'a str,
    /// Recipients that will not get the mail, each with the reason (a reply, or a sentence).
    pub failed: &'a [(String, String)],
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
    let mut human = String::from(
        "送信できませんでした。次の宛先には届いていません。\r\nYour mail could not be delivered to the following:\r\n\r\n",
    );
    let mut status = format!("Reporting-MTA: dns; {host}\r\nArrival-Date: {}\r\n", date(facts.arrived));
    for (recipient, why) in facts.failed {
        let why = one_line(why);
        let _ = write!(human, "  {}\r\n      {why}\r\n", one_line(recipient));
        let _ = write!(
            status,
            "\r\nFinal-Recipient: rfc822; {}\r\nAction: failed\r\nStatus: {}\r\nDiagnostic-Code: {}; {why}\r\n",
            one_line(recipient),
            status_code(&why),
            if reply_code(&why).is_some() { "smtp" } else { "x-sealfax" }
        );
    }
    human.push_str(
        "\r\n宛先を確かめてから、もう一度送ってください。\r\nPlease check the address and send it again.\r\n",
    );
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
         Subject: Delivery failed\r\n\
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
        human = base64_lines(human.as_bytes()),
    )
    .into_bytes()
}

fn reply_code(why: &str) -> Option<u16> {
    let code: u16 = why.get(..3)?.parse().ok()?;
    (200..600).contains(&code).then_some(code)
}

/// The enhanced status code in a reply, or a general one (RFC 3463).
fn status_code(why: &str) -> String {
    for word in why.split_ascii_whitespace().take(3) {
        let mut parts = word.split('.');
        let class = parts.next();
        let numbers =
            parts.clone().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|o| o.is_ascii_digit()));
        // Whatever the peer called it, for us it failed for good.
        if parts.count() == 2 && numbers && matches!(class, Some("4" | "5")) {
            return format!("5{}", word.get(1..).unwrap_or(".0.0"));
        }
    }
    if reply_code(why).is_some() { "5.0.0".to_owned() } else { "5.4.7".to_owned() }
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
            failed: &failed,
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
    fn status_codes() {
        assert_eq!(status_code("550 5.1.1 no"), "5.1.1");
        assert_eq!(status_code("450 4.2.1 later"), "5.2.1");
        assert_eq!(status_code("550 no"), "5.0.0");
        assert_eq!(status_code("cannot be reached"), "5.4.7");
    }
}
