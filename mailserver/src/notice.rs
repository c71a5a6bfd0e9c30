//! The arrival notification (ST811, C1): a small mail that says only that something waits, and for whom.
//!
//! It carries no content, subject or sender of what waits; whoever forges one can light a lamp and nothing else.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::accounts::Account;
use crate::header::{base64_lines, date, phrase};

/// What a notice says.
#[derive(Debug, Clone)]
pub struct NoticeFacts<'a> {
    /// This server's name.
    pub host: &'a str,
    /// Whom it is for.
    pub account: &'a Account,
    /// How many sealed mails wait.
    pub count: usize,
    /// The time now.
    pub now: SystemTime,
    /// When it loses its meaning.
    pub expires: SystemTime,
    /// Whether it goes beyond whom it went to before, because nobody answered.
    pub escalated: bool,
    /// Makes the Message-ID unique.
    pub token: &'a str,
}

/// The notice, as a mail with CRLF line ends.
pub fn compose(facts: &NoticeFacts<'_>) -> Vec<u8> {
    let NoticeFacts { host, account, count, token, .. } = facts;
    let expires = OffsetDateTime::from(facts.expires);
    let expires = expires.replace_nanosecond(0).unwrap_or(expires).format(&Rfc3339).unwrap_or_default();
    let escalated = if facts.escalated { "; escalated" } else { "" };
    let text = format!(
        "親展ファクスが {count} 件届いています。カードを差してください。\r\n\
         {count} confidential fax(es) waiting. Please insert your card.\r\n"
    );
    format!(
        "From: Sealfax <postmaster@{host}>\r\n\
         To: {name} <{address}>\r\n\
         Subject: Sealfax arrival notification\r\n\
         Date: {date}\r\n\
         Message-ID: <notice.{token}@{host}>\r\n\
         Auto-Submitted: auto-generated\r\n\
         Sealfax-Notice: arrival; count={count}; expires={expires}{escalated}\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=UTF-8\r\n\
         Content-Transfer-Encoding: base64\r\n\
         \r\n\
         {body}",
        name = phrase(&account.display_name),
        address = account.address,
        date = date(facts.now),
        body = base64_lines(text.as_bytes()),
    )
    .into_bytes()
}
