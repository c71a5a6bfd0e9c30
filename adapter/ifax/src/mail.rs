//! Internet fax mail: ITU-T T.37 simple mode (RFC 3965), image/tiff (RFC 3302) with `application=faxbw` (RFC 3949),
//! and the disposition notification request of extended mode (RFC 2532).

use std::time::SystemTime;

use crate::address::{AddressError, Mailbox};
use crate::header::{HeaderError, Headers, decode_words, encode_words, format_date, parse_date};
use crate::mime::{Entity, MimeError, base64_lines, is_boundary};
use crate::mime_bounds::{self, MimeBoundsError, MimeLimits};
use crate::tiff::{self, TiffError};

/// Content type of the pages.
pub const FAX_CONTENT_TYPE: &str = "image/tiff; application=faxbw";
/// Multiparts inside multiparts a fax mail may have.
const MAX_DEPTH: usize = 4;

/// A fax as a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaxMail {
    /// Who sends.
    pub from: Mailbox,
    /// To whom: To and Cc together.
    pub to: Vec<Mailbox>,
    /// Subject, decoded.
    pub subject: String,
    /// When it was sent; whole seconds.
    pub date: SystemTime,
    /// Message-ID without angle brackets.
    pub message_id: String,
    /// Where a disposition notification is asked for (RFC 8098 clause 2.1).
    pub notify: Option<Mailbox>,
    /// Cover text, lines ended by LF.
    pub text: Option<String>,
    /// The pages as a TIFF file.
    pub pages: Vec<u8>,
    /// Boundary used where there is a cover text; without one the mail is a single part.
    pub boundary: String,
}

/// What a reader accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Of the mail.
    pub mime: MimeLimits,
    /// Of the pages, where several attachments become one document.
    pub tiff: tiff::Limits,
}

/// Why a mail is not a fax, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// It breaks a bound.
    #[error(transparent)]
    Bounds(#[from] MimeBoundsError),
    /// Its header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Its MIME structure.
    #[error(transparent)]
    Mime(#[from] MimeError),
    /// An address.
    #[error("field {field}: {source}")]
    Address {
        /// Field name.
        field: &'static str,
        /// Why.
        source: AddressError,
    },
    /// A field every mail has is missing or unreadable.
    #[error("field {0} is missing or cannot be read; the fax machine must set it")]
    Missing(&'static str),
    /// No pages in it.
    #[error("the mail has no image/tiff attachment; it is no fax")]
    NoPages,
    /// Several attachments that could not be made one document.
    #[error("the attachments cannot be joined: {0}")]
    Pages(#[from] TiffError),
    /// The boundary has characters it must not have, or stands in the text.
    #[error("the boundary is not usable; take a random one")]
    Boundary,
}

/// Writes the mail: CRLF, 7-bit, lines of at most 78 octets wherever they can be folded.
pub fn compose(mail: &FaxMail) -> Result<Vec<u8>, MailError> {
    if mail.to.is_empty() {
        return Err(MailError::Missing("To"));
    }
    let mut headers = Headers::new();
    headers.push("From", &mail.from.to_header())?;
    let to: Vec<String> = mail.to.iter().map(Mailbox::to_header).collect();
    headers.push("To", &to.join(", "))?;
    // A subject with a line break is refused, not cleaned: someone tried something.
    if mail.subject.chars().any(|c| c.is_control() && c != '\t') {
        return Err(HeaderError::Injection("Subject".into()).into());
    }
    headers.push("Subject", &encode_words(&mail.subject))?;
    headers.push("Date", &format_date(mail.date))?;
    headers.push("Message-ID", &format!("<{}>", checked_id(&mail.message_id)?))?;
    if let Some(notify) = &mail.notify {
        headers.push("Disposition-Notification-To", &notify.to_header())?;
    }
    headers.push("MIME-Version", "1.0")?;
    let mut part = Headers::new();
    part.push("Content-Type", FAX_CONTENT_TYPE)?;
    part.push("Content-Transfer-Encoding", "base64")?;
    part.push("Content-Disposition", "attachment; filename=\"fax.tif\"")?;
    let pages = base64_lines(&mail.pages);
    let Some(text) = &mail.text else {
        let mut out = headers.to_octets();
        out.extend(part.to_octets());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(pages.as_bytes());
        return Ok(out);
    };
    if !is_boundary(&mail.boundary) {
        return Err(MailError::Boundary);
    }
    let boundary = &mail.boundary;
    headers.push("Content-Type", &format!("multipart/mixed; boundary=\"{boundary}\""))?;
    let mut out = headers.to_octets();
    out.extend(format!("\r\n--{boundary}\r\n").bytes());
    out.extend(text_part(text, boundary)?);
    out.extend(format!("--{boundary}\r\n").bytes());
    out.extend(part.to_octets());
    out.extend(format!("\r\n{pages}--{boundary}--\r\n").bytes());
    Ok(out)
}

/// A text/plain entity: 7bit where it is short ASCII lines, else base64. Ends with CRLF.
pub(crate) fn text_part(text: &str, boundary: &str) -> Result<Vec<u8>, MailError> {
    let lines: Vec<&str> = text.lines().collect();
    let plain = |line: &&str| line.len() <= 76 && line.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b));
    let mut headers = Headers::new();
    headers.push("Content-Type", "text/plain; charset=utf-8")?;
    let whole = lines.join("\r\n") + "\r\n";
    // A delimiter inside plain text would cut it; base64 has no such line.
    let encoded = !lines.iter().all(plain) || lines.iter().any(|l| l.starts_with("--") && l.contains(boundary));
    headers.push("Content-Transfer-Encoding", if encoded { "base64" } else { "7bit" })?;
    let mut out = headers.to_octets();
    out.extend_from_slice(b"\r\n");
    out.extend(if encoded { base64_lines(whole.as_bytes()).into_bytes() } else { whole.into_bytes() });
    Ok(out)
}

/// Reads a fax mail. Bounds come first, then the structure; the pages are decoded from their transfer encoding but
/// not looked at, unless several attachments have to be joined.
pub fn parse(mail: &[u8], limits: &Limits) -> Result<FaxMail, MailError> {
    mime_bounds::check(mail, &limits.mime)?;
    let entity = Entity::parse(mail)?;
    let headers = &entity.headers;
    let mailboxes = |field: &'static str, value: Option<&str>| {
        value.map_or(Ok(Vec::new()), Mailbox::parse_list).map_err(|source| MailError::Address { field, source })
    };
    let mut from = mailboxes("From", headers.only("From")?)?;
    let from = match (from.pop(), from.is_empty()) {
        (Some(from), true) => from,
        // Several authors have no one card.
        _ => return Err(MailError::Missing("From")),
    };
    let mut to = mailboxes("To", headers.only("To")?)?;
    to.extend(mailboxes("Cc", headers.only("Cc")?)?);
    if to.is_empty() {
        return Err(MailError::Missing("To"));
    }
    let notify = mailboxes("Disposition-Notification-To", headers.only("Disposition-Notification-To")?)?.pop();
    let date = headers.only("Date")?.and_then(parse_date).ok_or(MailError::Missing("Date"))?;
    let message_id = headers.only("Message-ID")?.and_then(message_id).ok_or(MailError::Missing("Message-ID"))?;
    let subject = decode_words(headers.only("Subject")?.unwrap_or_default());
    let content_type = entity.content_type()?;
    let boundary = content_type.param("boundary").unwrap_or_default().to_owned();

    let (mut text, mut documents) = (None, Vec::new());
    let mut open = vec![(entity.clone(), 0)];
    while let Some((part, depth)) = open.pop() {
        let kind = part.content_type()?;
        if kind.essence.starts_with("multipart/") {
            if depth >= MAX_DEPTH {
                return Err(MimeError::ContentType("multipart nested too deep".into()).into());
            }
            // Last in, first out: reversed, so that parts come in their order.
            open.extend(part.parts()?.into_iter().rev().map(|part| (part, depth + 1)));
        } else if is_tiff(&kind, &part.headers) {
            documents.push(part.decoded()?);
        } else if kind.essence == "text/plain" && text.is_none() {
            text = Some(part.text()?);
        }
    }
    let pages = match documents.len() {
        0 => return Err(MailError::NoPages),
        1 => documents.pop().unwrap_or_default(),
        _ => {
            let mut pages = Vec::new();
            for document in &documents {
                pages.extend(tiff::read(document, &limits.tiff)?);
                if pages.len() > limits.tiff.pages {
                    return Err(TiffError::Pages { limit: limits.tiff.pages }.into());
                }
            }
            tiff::write(&pages)?
        }
    };
    Ok(FaxMail { from, to, subject, date, message_id, notify, text, pages, boundary })
}

fn is_tiff(kind: &crate::mime::ContentType, headers: &Headers) -> bool {
    let named = || {
        let disposition = headers.get("Content-Disposition").unwrap_or_default().to_ascii_lowercase();
        let name = kind.param("name").unwrap_or_default().to_ascii_lowercase();
        [name.as_str(), disposition.trim_end_matches('"')].iter().any(|n| n.ends_with(".tif") || n.ends_with(".tiff"))
    };
    match kind.essence.as_str() {
        "image/tiff" | "image/tiff-fx" => true,
        "application/octet-stream" => named(),
        _ => false,
    }
}

/// The identifier in a Message-ID or Original-Message-ID value, without its angle brackets.
pub fn message_id(value: &str) -> Option<String> {
    let inner = value.trim().strip_prefix('<')?.strip_suffix('>')?;
    checked_id(inner).ok().map(str::to_owned)
}

pub(crate) fn checked_id(id: &str) -> Result<&str, HeaderError> {
    let good = (1..=250).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b));
    if good { Ok(id) } else { Err(HeaderError::Injection("Message-ID".into())) }
}

#[cfg(test)]
mod tests;
