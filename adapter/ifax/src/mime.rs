//! MIME entities (RFC 2045, RFC 2046): content types, transfer encodings, the parts of a multipart as they stand in
//! the octets. One level at a time, never recursive; the caller decides how deep to look.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::header::{HeaderError, Headers};

/// Most parts of one multipart.
pub const MAX_PARTS: usize = 64;

/// Why an entity cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MimeError {
    /// Its header.
    #[error("the header of a part cannot be read: {0}")]
    Header(#[from] HeaderError),
    /// Content-Type breaks RFC 2045.
    #[error("the Content-Type \"{0}\" cannot be read")]
    ContentType(String),
    /// A Content-Transfer-Encoding nobody defined.
    #[error("the Content-Transfer-Encoding \"{0}\" is unknown; use base64")]
    Encoding(String),
    /// The base64 or quoted-printable text is damaged.
    #[error("the {0} text of a part is damaged; send it again")]
    Damaged(&'static str),
    /// The delimiter that closes a multipart is missing.
    #[error("the mail ends in the middle of a multipart; it was cut on the way, send it again")]
    Cut,
    /// Over [`MAX_PARTS`] parts.
    #[error("a multipart has over {MAX_PARTS} parts")]
    TooMany,
}

/// A Content-Type: type and subtype in lower case, parameters by lower-case name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// Such as `multipart/report`.
    pub essence: String,
    params: Vec<(String, String)>,
}

impl ContentType {
    /// Parses the value of a Content-Type field (RFC 2045 clause 5.1). A repeated parameter is refused.
    pub fn parse(value: &str) -> Result<Self, MimeError> {
        let bad = || MimeError::ContentType(value.chars().take(80).flat_map(char::escape_default).collect());
        let mut sections = split_semicolons(value);
        let essence = sections.next().unwrap_or_default().trim().to_ascii_lowercase();
        let token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
        };
        if !essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype)) {
            return Err(bad());
        }
        let mut params: Vec<(String, String)> = Vec::new();
        for section in sections {
            let section = section.trim();
            if section.is_empty() {
                continue;
            }
            let (name, text) = section.split_once('=').ok_or_else(bad)?;
            let (name, text) = (name.trim().to_ascii_lowercase(), text.trim());
            let text = match text.strip_prefix('"') {
                Some(rest) => unquote(rest.strip_suffix('"').ok_or_else(bad)?),
                None => text.to_owned(),
            };
            if !token(&name) || params.len() >= 32 || params.iter().any(|(known, _)| *known == name) {
                return Err(bad());
            }
            params.push((name, text));
        }
        Ok(Self { essence, params })
    }

    /// A parameter's value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn unquote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

fn split_semicolons(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |c| {
        let literal = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && !literal => escaped = true,
            '"' if !literal => quoted = !quoted,
            _ => {}
        }
        c == ';' && !quoted
    })
}

/// An entity: header and body, borrowed from the mail.
#[derive(Debug, Clone)]
pub struct Entity<'a> {
    /// The fields.
    pub headers: Headers,
    /// The body as transferred.
    pub body: &'a [u8],
    /// Header and body as they stand, which is what a signature covers.
    pub raw: &'a [u8],
}

impl<'a> Entity<'a> {
    /// Splits header and body.
    pub fn parse(raw: &'a [u8]) -> Result<Self, MimeError> {
        let (headers, body) = Headers::parse(raw)?;
        Ok(Self { headers, body, raw })
    }

    /// The content type; `text/plain` where there is none.
    pub fn content_type(&self) -> Result<ContentType, MimeError> {
        ContentType::parse(self.headers.only("Content-Type")?.unwrap_or("text/plain; charset=us-ascii"))
    }

    /// The body with its transfer encoding undone. Never longer than the body.
    pub fn decoded(&self) -> Result<Vec<u8>, MimeError> {
        let encoding = self.headers.only("Content-Transfer-Encoding")?.unwrap_or("7bit").trim().to_ascii_lowercase();
        match encoding.as_str() {
            "7bit" | "8bit" | "binary" | "" => Ok(self.body.to_vec()),
            "base64" => {
                let mut text: Vec<u8> = self.body.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
                // Some machines leave the padding out.
                while !text.len().is_multiple_of(4) && text.len() % 4 != 1 {
                    text.push(b'=');
                }
                BASE64.decode(text).map_err(|_| MimeError::Damaged("base64"))
            }
            "quoted-printable" => quoted_printable(self.body).ok_or(MimeError::Damaged("quoted-printable")),
            _ => Err(MimeError::Encoding(encoding.chars().take(40).flat_map(char::escape_default).collect())),
        }
    }

    /// The body as text: UTF-8, what is none replaced, every line ended by LF. (The line break before a delimiter
    /// belongs to the delimiter, so that of the last line would depend on the transfer encoding.)
    pub fn text(&self) -> Result<String, MimeError> {
        let mut text = String::from_utf8_lossy(&self.decoded()?).replace("\r\n", "\n");
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }

    /// The parts of a multipart, one level; an empty list where it is none.
    pub fn parts(&self) -> Result<Vec<Entity<'a>>, MimeError> {
        let content_type = self.content_type()?;
        if !content_type.essence.starts_with("multipart/") {
            return Ok(Vec::new());
        }
        let boundary = content_type.param("boundary").filter(|b| (1..=70).contains(&b.len()));
        let boundary = boundary.ok_or_else(|| MimeError::ContentType("multipart without a boundary".into()))?;
        let mut out = Vec::new();
        let (mut at, mut start) = (0, None);
        for line in self.body.split_inclusive(|octet| *octet == b'\n') {
            let end_of_line = at + line.len();
            let rest = line.trim_ascii_end().strip_prefix(b"--").and_then(|l| l.strip_prefix(boundary.as_bytes()));
            // Trailing white space was taken off; anything else but the closing dashes is another boundary.
            if let Some(tail @ (b"" | b"--")) = rest {
                if let Some(start) = start {
                    // The line break before a delimiter belongs to it.
                    let part = self.body.get(start..at).unwrap_or_default();
                    let part = part.strip_suffix(b"\n").unwrap_or(part);
                    let part = part.strip_suffix(b"\r").unwrap_or(part);
                    if out.len() >= MAX_PARTS {
                        return Err(MimeError::TooMany);
                    }
                    out.push(Entity::parse(part)?);
                }
                if tail == b"--" {
                    return Ok(out);
                }
                start = Some(end_of_line);
            }
            at = end_of_line;
        }
        Err(MimeError::Cut)
    }
}

fn quoted_printable(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|octet| *octet == b'\n') {
        let text = line.trim_ascii_end();
        let (text, soft) = text.strip_suffix(b"=").map_or((text, false), |text| (text, true));
        let mut octets = text.iter();
        while let Some(octet) = octets.next() {
            if *octet != b'=' {
                out.push(*octet);
                continue;
            }
            let digit = |octet: Option<&u8>| octet.and_then(|b| char::from(*b).to_digit(16));
            let (high, low) = (digit(octets.next())?, digit(octets.next())?);
            out.push((high << 4 | low) as u8);
        }
        if !soft && line.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
    Some(out)
}

/// Base64 in lines of 76 characters, each ended by CRLF (RFC 2045 clause 6.8).
pub fn base64_lines(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len() * 4 / 3 + octets.len() / 28 + 8);
    for chunk in octets.chunks(57) {
        BASE64.encode_string(chunk, &mut out);
        out.push_str("\r\n");
    }
    out
}

/// Whether a text may be a boundary that needs no quotes and no care (RFC 2046 clause 5.1.1).
pub(crate) fn is_boundary(text: &str) -> bool {
    (1..=70).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"'+_-.=".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn content_types_are_parsed_with_their_quotes() {
        let parsed = ContentType::parse("Multipart/Report; Report-Type=x; boundary=\"a;b\\\"c\"").unwrap();
        assert_eq!(parsed.essence, "multipart/report");
        assert_eq!((parsed.param("report-type"), parsed.param("BOUNDARY")), (Some("x"), Some("a;b\"c")));
        for bad in ["", "text", "text/plain; a", "text/plain; a=b; A=c", "text/plain; a=\"b", "te xt/plain"] {
            assert!(ContentType::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_stand_between_delimiters() {
        let mail = b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--bb\r\n--b  \r\nContent-Type: x/y\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nt=\r\nw=6F\r\n--b--\r\nepilogue";
        let parts = Entity::parse(mail).unwrap().parts().unwrap();
        assert_eq!(parts[0].body, b"one\r\n--bb");
        assert_eq!(parts[1].decoded().unwrap(), b"two");
        assert_eq!(Entity::parse(&mail[..mail.len() - 15]).unwrap().parts().unwrap_err(), MimeError::Cut);
    }

    proptest! {
        #[test]
        fn no_octets_panic(body in prop::collection::vec(any::<u8>(), 0..800), encoding in 0usize..3) {
            let encoding = ["base64", "quoted-printable", "8bit"][encoding];
            let mut mail = format!("Content-Type: multipart/mixed; boundary=-\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").into_bytes();
            mail.extend(&body);
            let entity = Entity::parse(&mail).unwrap();
            let _ = (entity.decoded(), entity.parts(), entity.text());
            let _ = Entity::parse(&body).map(|e| (e.parts().is_ok(), e.decoded().is_ok()));
        }

        #[test]
        fn base64_comes_back(octets in prop::collection::vec(any::<u8>(), 0..500)) {
            let mail = format!("Content-Transfer-Encoding: base64\r\n\r\n{}", base64_lines(&octets));
            prop_assert_eq!(Entity::parse(mail.as_bytes()).unwrap().decoded().unwrap(), octets);
            prop_assert!(mail.lines().all(|line| line.len() <= 76));
        }
    }
}
