//! What a sender wants to hear of a mail's delivery (RFC 3461): RET and ENVID of the mail, NOTIFY and ORCPT of each recipient.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Of one mail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dsn {
    /// `RET`: how much of the mail comes back with a report of a failure.
    #[serde(default)]
    pub ret: Option<Return>,
    /// `ENVID`, without its coding.
    #[serde(default)]
    pub envid: Option<String>,
    /// Of each recipient that says something, by its address as it was written.
    #[serde(default)]
    pub recipients: BTreeMap<String, RecipientDsn>,
}

/// `RET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Return {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

/// Of one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecipientDsn {
    /// `NOTIFY`; `None`: it was not said, which means failures, and delays as the server likes.
    #[serde(default)]
    pub notify: Option<Notify>,
    /// The address of `ORCPT`, without its coding.
    #[serde(default)]
    pub orcpt: Option<String>,
}

/// `NOTIFY`; none of the three is `NEVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Notify {
    /// When it was delivered.
    pub success: bool,
    /// When it cannot be.
    pub failure: bool,
    /// When it takes long.
    pub delay: bool,
}

impl Dsn {
    fn of(&self, recipient: &str) -> Option<Notify> {
        self.recipients.get(recipient).and_then(|wishes| wishes.notify)
    }

    /// Whether this recipient's sender wants to hear of a delivery.
    pub fn wants_success(&self, recipient: &str) -> bool {
        self.of(recipient).is_some_and(|notify| notify.success)
    }

    /// Of a failure.
    pub fn wants_failure(&self, recipient: &str) -> bool {
        self.of(recipient).is_none_or(|notify| notify.failure)
    }

    /// Of a delay.
    pub fn wants_delay(&self, recipient: &str) -> bool {
        self.of(recipient).is_none_or(|notify| notify.delay)
    }

    /// Whether nothing was said.
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// For MAIL, each behind a blank.
    pub fn mail_parameters(&self) -> String {
        let mut text = String::new();
        match self.ret {
            Some(Return::Full) => text.push_str(" RET=FULL"),
            Some(Return::Headers) => text.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = &self.envid {
            let _ = write!(text, " ENVID={}", xtext(envid));
        }
        text
    }

    /// For RCPT, each behind a blank.
    pub fn rcpt_parameters(&self, recipient: &str) -> String {
        let Some(wishes) = self.recipients.get(recipient) else { return String::new() };
        let mut text = String::new();
        if let Some(Notify { success, failure, delay }) = wishes.notify {
            let named = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
            let mut words: Vec<&str> = named.into_iter().filter(|(wanted, _)| *wanted).map(|(_, word)| word).collect();
            if words.is_empty() {
                words.push("NEVER");
            }
            let _ = write!(text, " NOTIFY={}", words.join(","));
        }
        if let Some(orcpt) = &wishes.orcpt {
            if orcpt.is_ascii() {
                let _ = write!(text, " ORCPT=rfc822;{}", xtext(orcpt));
            } else {
                let _ = write!(text, " ORCPT=utf-8;{}", utf8_addr_xtext(orcpt));
            }
        }
        text
    }
}

/// As xtext (RFC 3461, 4).
fn xtext(text: &str) -> String {
    let mut coded = String::new();
    for octet in text.bytes() {
        if (b'!'..=b'~').contains(&octet) && !b"+=".contains(&octet) {
            coded.push(char::from(octet));
        } else {
            let _ = write!(coded, "+{octet:02X}");
        }
    }
    coded
}

/// An address beyond ASCII so that seven bits carry it, `utf-8-addr-xtext` (RFC 6533, 3).
pub fn utf8_addr_xtext(address: &str) -> String {
    let mut coded = String::new();
    for character in address.chars() {
        if character.is_ascii_graphic() && !matches!(character, '\\' | '+' | '=') {
            coded.push(character);
        } else {
            let _ = write!(coded, "\\x{{{:X}}}", u32::from(character));
        }
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_written_as_they_were_read() {
        let wishes = RecipientDsn {
            notify: Some(Notify { success: true, failure: true, delay: false }),
            orcpt: Some("a+b @c.test".to_owned()),
        };
        let never = RecipientDsn { notify: Some(Notify::default()), orcpt: None };
        let recipients = [("a@c.test".to_owned(), wishes), ("b@c.test".to_owned(), never)].into();
        let dsn = Dsn { ret: Some(Return::Headers), envid: Some("x=1".to_owned()), recipients };
        assert_eq!(dsn.mail_parameters(), " RET=HDRS ENVID=x+3D1");
        assert_eq!(dsn.rcpt_parameters("a@c.test"), " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb+20@c.test");
        assert_eq!(dsn.rcpt_parameters("b@c.test"), " NOTIFY=NEVER");
        assert_eq!(dsn.rcpt_parameters("c@c.test"), "");
        assert_eq!(utf8_addr_xtext("花+b@c.test"), "\\x{82B1}\\x{2B}b@c.test");
        let wants = |who| (dsn.wants_success(who), dsn.wants_failure(who), dsn.wants_delay(who));
        assert_eq!(wants("a@c.test"), (true, true, false));
        assert_eq!(wants("b@c.test"), (false, false, false));
        assert_eq!(wants("c@c.test"), (false, true, true));
    }
}
