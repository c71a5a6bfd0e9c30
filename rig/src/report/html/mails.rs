//! The mails of a story, taken apart for a reader: the head in plain words, the parts, and the source without the pages
//! of base64 (RFC 5322, RFC 2045).

use std::fs;
use std::path::Path;

use mail_parser::{Address, MessageParser, MimeHeaders as _, PartType};
use serde::Serialize;

use crate::report::escape::visible;

/// Longest mail read, in octets.
const LONGEST_MAIL: usize = 2 * 1024 * 1024;
/// Longest source shown, in characters.
const LONGEST_SOURCE: usize = 12 * 1024;
/// Longest text of one part shown, in characters.
const LONGEST_TEXT: usize = 2 * 1024;
/// Most parts shown.
const MOST_PARTS: usize = 40;
/// The head's fields that say what a mail is.
const FIELDS: [&str; 8] =
    ["From", "To", "Date", "Subject", "Message-ID", "In-Reply-To", "Disposition-Notification-To", "Content-Type"];

/// One mail.
#[derive(Serialize)]
pub(super) struct Mail {
    name: String,
    what: String,
    link: String,
    octets: usize,
    head: Vec<(String, String)>,
    parts: Vec<Part>,
    source: String,
}

#[derive(Serialize)]
struct Part {
    kind: String,
    name: Option<String>,
    octets: usize,
    text: Option<String>,
}

/// Reads the mail at `path`; `what` says what it is, `link` leads to it from the page.
pub(super) fn read(path: &Path, name: &str, what: &str, link: String) -> Option<Mail> {
    let whole = fs::read(path).ok()?;
    let octets = whole.get(..LONGEST_MAIL.min(whole.len())).unwrap_or_default();
    let mut mail = Mail {
        name: visible(name),
        what: visible(what),
        link,
        octets: whole.len(),
        head: Vec::new(),
        parts: Vec::new(),
        source: source(&String::from_utf8_lossy(octets)),
    };
    if let Some(message) = MessageParser::default().parse(octets) {
        let raw: Vec<(&str, &str)> = message.headers_raw().collect();
        for field in FIELDS {
            let of_name = raw.iter().find(|(name, _)| name.eq_ignore_ascii_case(field));
            // Encoded words (RFC 2047) are for machines.
            let value = match field {
                "Subject" => message.subject().map(str::to_owned),
                "From" => message.from().map(addresses),
                "To" => message.to().map(addresses),
                _ => of_name.map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" ")),
            };
            mail.head.extend(value.map(|value| (field.to_owned(), cut(&visible(&value), LONGEST_TEXT))));
        }
        for part in message.parts.iter().take(MOST_PARTS) {
            let kind = part.content_type().map(|kind| match kind.subtype() {
                Some(subtype) => format!("{}/{subtype}", kind.ctype()),
                None => kind.ctype().to_owned(),
            });
            let text = match &part.body {
                PartType::Text(text) | PartType::Html(text) => Some(cut(&visible(text), LONGEST_TEXT)),
                _ => None,
            };
            mail.parts.push(Part {
                kind: visible(&kind.unwrap_or_else(|| "text/plain".to_owned())),
                name: part.attachment_name().map(visible),
                octets: part.len(),
                text,
            });
        }
    }
    Some(mail)
}

/// `山田 太郎 <taro@a.example>, ...`
fn addresses(field: &Address<'_>) -> String {
    let one = |one: &mail_parser::Addr<'_>| match (one.name(), one.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.or(address).unwrap_or_default().to_owned(),
    };
    field.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The source, runs of base64 summed up.
fn source(text: &str) -> String {
    let mut shown = String::new();
    let mut run: Vec<&str> = Vec::new();
    for line in text.lines() {
        if shown.len() > LONGEST_SOURCE {
            shown.push_str("[…]\n");
            return shown;
        }
        if is_base64(line) {
            run.push(line);
            continue;
        }
        end_of_run(&mut shown, &mut run);
        shown.push_str(&cut(&visible(line), LONGEST_TEXT));
        shown.push('\n');
    }
    end_of_run(&mut shown, &mut run);
    shown
}

/// A line of base64 that is as long as encoders make them, or the rest of such a run.
fn is_base64(line: &str) -> bool {
    line.len() >= 48 && line.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+/=".contains(&octet))
}

fn end_of_run(shown: &mut String, run: &mut Vec<&str>) {
    match run.as_slice() {
        [first, second, middle @ .., last] if middle.len() > 3 => {
            let octets: usize = middle.iter().map(|line| line.len()).sum();
            for line in [*first, *second, &format!("[… {} lines of base64, {octets} octets]", middle.len()), *last] {
                shown.push_str(line);
                shown.push('\n');
            }
        }
        few => {
            for line in few {
                shown.push_str(line);
                shown.push('\n');
            }
        }
    }
    run.clear();
}

/// At most so many characters, marked if there were more.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_mail_is_taken_apart_and_its_base64_summed_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.eml");
        let line = "QUJD".repeat(19);
        let base64 = [line.as_str(); 20].join("\r\n");
        let mail = format!(
            "From: =?utf-8?B?5bGx55Sw?= <taro@a.example>\r\nSubject: =?utf-8?B?6KaL56mN?=\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n\
             --b\r\nContent-Type: image/tiff; name=fax.tif\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64}\r\n--b--\r\n"
        );
        fs::write(&path, mail).unwrap();
        let mail = read(&path, "mail/1.eml", "what left", "mail/1.eml".into()).unwrap();
        assert!(mail.head.contains(&("Subject".into(), "見積".into())));
        assert!(mail.head.contains(&("From".into(), "山田 <taro@a.example>".into())), "{:?}", mail.head);
        let kinds: Vec<_> = mail.parts.iter().map(|part| part.kind.as_str()).collect();
        assert_eq!(kinds, ["multipart/mixed", "text/plain", "image/tiff"]);
        assert_eq!(mail.parts[1].text.as_deref().map(str::trim), Some("Hello"));
        assert_eq!(mail.parts[2].name.as_deref(), Some("fax.tif"));
        assert!(mail.source.contains("[… 17 lines of base64, 1292 octets]"), "{}", mail.source);
        assert!(mail.source.contains("--b--"));
    }

    #[test]
    fn what_is_no_mail_is_shown_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.eml");
        fs::write(&path, [0xff, 0xfe, 0, b'\n']).unwrap();
        assert!(read(&path, "1.eml", "", String::new()).unwrap().source.contains("\\x00"));
        assert!(read(&folder.path().join("none.eml"), "", "", String::new()).is_none());
    }
}
