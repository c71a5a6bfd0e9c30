//! Header fields of a mail (RFC 5322, section 2.2) read with bounds and without recursion, and values written safely.

use std::borrow::Cow;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealfax_client::seam::TransmissionId;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Most header fields looked at.
const MAX_FIELDS: usize = 1000;
/// Longest field looked at, unfolded, in octets.
const MAX_FIELD: usize = 64 * 1024;

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, as written.
    pub name: Cow<'a, str>,
    /// Its value, unfolded, without blanks at either end.
    pub value: String,
}

impl Field<'_> {
    /// Whether it has this name, compared without case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The header fields of a mail or body part, and its body. Lines that are no fields are skipped.
pub fn split(entity: &[u8]) -> (Vec<Field<'_>>, &[u8]) {
    let mut fields: Vec<Field<'_>> = Vec::new();
    let mut rest = entity;
    loop {
        let end = rest.iter().position(|&octet| octet == b'\n').map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at(end);
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() {
            return (fields, after);
        }
        rest = after;
        if matches!(text.first(), Some(b' ' | b'\t')) {
            if let Some(field) = fields.last_mut()
                && field.value.len() + text.len() <= MAX_FIELD
            {
                field.value.push(' ');
                field.value.push_str(String::from_utf8_lossy(text).trim());
            }
        } else if let Some(colon) = text.iter().position(|&octet| octet == b':')
            && fields.len() < MAX_FIELDS
        {
            let (name, value) = text.split_at(colon);
            let name = name.trim_ascii_end();
            let value = value.get(1..).unwrap_or_default();
            if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) && value.len() <= MAX_FIELD {
                let value = String::from_utf8_lossy(value).trim().to_owned();
                fields.push(Field { name: String::from_utf8_lossy(name), value });
            }
        }
    }
}

/// By what this server's log calls the mail: the id of the `Received` field that it put on top.
pub fn log_id(mail: &[u8], host: &str) -> Option<TransmissionId> {
    // It stands within the first few lines; `Return-Path` may be above it.
    let (fields, _) = split(mail.get(..2048).unwrap_or(mail));
    let received = fields.into_iter().find(|field| field.is("Received"))?;
    // Word for word as `receiver.rs` writes it: nothing that a client says can stand for one of ours.
    let words: Vec<&str> = received.value.split_ascii_whitespace().take(9).collect();
    match words.as_slice() {
        ["from", _, _, "by", by, "with", _, "id", id] if *by == host => TransmissionId::read(id.trim_end_matches(';')),
        _ => None,
    }
}

/// How many times a mail went through a server: the count of its `Received` fields (RFC 5321, 6.3).
pub fn hops(mail: &[u8]) -> usize {
    split(mail).0.iter().filter(|field| field.is("Received")).count()
}

/// A date as RFC 5322 (3.3) writes it.
pub fn date(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(&Rfc2822).unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 +0000".to_owned())
}

/// A phrase before an address (RFC 5322, 3.2.5), as encoded-words of RFC 2047 where it is not plain text.
///
/// Control characters are dropped, so that no name can add a field.
pub fn phrase(text: &str) -> String {
    let clean: String = text.chars().filter(|character| !character.is_control()).take(200).collect();
    if clean.is_ascii() {
        return format!("\"{}\"", clean.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let mut words: Vec<String> = Vec::new();
    let mut chunk = String::new();
    for character in clean.chars() {
        // An encoded-word is at most 75 octets: 45 octets of text in base64 with its frame.
        if chunk.len() + character.len_utf8() > 42 {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(character);
    }
    words.push(chunk);
    let encoded: Vec<String> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word))).collect();
    encoded.join("\r\n ")
}

/// Text in base64 lines of 76 characters.
pub fn base64_lines(text: &[u8]) -> String {
    let encoded = STANDARD.encode(text);
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 38);
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index % 76 == 0 {
            lines.push_str("\r\n");
        }
        lines.push(character);
    }
    lines.push_str("\r\n");
    lines
}

/// Text of a peer made fit for one line of ASCII.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_ascii() && !character.is_ascii_control() { character } else { '?' })
        .take(400)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unfolded_and_bounded() {
        let (fields, body) = split(b"A: b\r\n c\r\nX-y :\tz\r\nnonsense\r\n\r\nbody: no\r\n");
        assert_eq!(fields.len(), 2);
        assert_eq!(fields.first().map(|f| f.value.as_str()), Some("b c"));
        assert!(fields.last().is_some_and(|f| f.is("x-Y") && f.value == "z"));
        assert_eq!(body, b"body: no\r\n");
    }

    #[test]
    fn the_id_that_the_log_calls_a_mail_by() {
        let mail = b"Return-Path: <a@a.test>\r\nReceived: from x ([127.0.0.1])\r\n\tby mail.b.test with ESMTP id 0123456789abcdef\r\n\t\
            for <b@b.test>;\r\n\tThu\r\nSubject: id ffffffffffffffff\r\n\r\n";
        assert_eq!(log_id(mail, "mail.b.test").map(|id| id.to_string()).as_deref(), Some("0123456789abcdef"));
        assert_eq!(log_id(mail, "mail.c.test"), None, "another server's");
        let by = b"Received: from by ([::1])\r\n\tby mail.b.test with SMTP id 0123456789abcdef;\r\n\tThu\r\n\r\n";
        assert!(log_id(by, "mail.b.test").is_some(), "a client that calls itself so hides nothing");
        assert_eq!(log_id(b"Subject: x\r\n\r\n", "mail.b.test"), None);
    }

    #[test]
    fn a_name_cannot_add_a_field() {
        assert_eq!(phrase("a\r\nBcc: x"), "\"aBcc: x\"");
        assert_eq!(phrase("佐藤花子"), "=?UTF-8?B?5L2Q6Jek6Iqx5a2Q?=");
    }
}
