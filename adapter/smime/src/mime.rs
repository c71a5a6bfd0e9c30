//! As much of MIME as S/MIME needs (RFC 2045, RFC 1847, RFC 8551 3): header fields, base64, and the two parts of
//! multipart/signed, octet for octet. Bounded; no nesting is followed here.

use crate::bounds;
use crate::error::OpenError;
use crate::stream::base64::{Decoder, Lines};
use crate::stream::{Input, Source, drain, push_secret};
use std::io::Write;
use zeroize::Zeroizing;

/// What is wrong with an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MimeError {
    /// A limit of [`crate::bounds`] is passed.
    #[error("the header section is too long")]
    TooLong,
    /// A header field that is none, or stands twice where once is allowed.
    #[error("the header section is malformed")]
    Header,
    /// No readable Content-Type.
    #[error("the Content-Type is malformed")]
    ContentType,
    /// Neither identity nor good base64.
    #[error("the transfer encoding is unknown or broken")]
    TransferEncoding,
    /// Not two parts with one boundary.
    #[error("the multipart structure is malformed")]
    Multipart,
}

/// Header fields and body of an entity.
#[derive(Debug)]
pub(crate) struct Entity<'a> {
    fields: Vec<(String, String)>,
    pub(crate) body: &'a [u8],
}

/// A Content-Type or Content-Disposition value: lower case type, parameters with lower case names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ContentType {
    pub(crate) essence: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// `application/pkcs7-mime` or its older name.
    pub(crate) fn is_pkcs7(&self, subtype: &str) -> bool {
        self.essence
            .strip_prefix("application/")
            .is_some_and(|own| own == subtype || own.strip_prefix("x-").is_some_and(|own| own == subtype))
    }
}

impl<'a> Entity<'a> {
    /// Splits header section and body. Lines may end in LF alone, as files do.
    pub(crate) fn parse(octets: &'a [u8]) -> Result<Self, MimeError> {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut rest = octets;
        let mut section = 0usize;
        loop {
            let Some(end) = rest.iter().take(bounds::HEADER_LINE).position(|octet| *octet == b'\n') else {
                return Err(if rest.len() > bounds::HEADER_LINE { MimeError::TooLong } else { MimeError::Header });
            };
            let (line, after) = rest.split_at_checked(end + 1).ok_or(MimeError::Header)?;
            rest = after;
            section += line.len();
            if section > bounds::HEADER_SECTION {
                return Err(MimeError::TooLong);
            }
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                return Ok(Self { fields, body: rest });
            }
            if line.iter().any(|octet| matches!(octet, b'\r' | 0)) {
                return Err(MimeError::Header);
            }
            let text = String::from_utf8_lossy(line);
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                fields.last_mut().ok_or(MimeError::Header)?.1.push_str(&text);
                continue;
            }
            let (name, value) = text.split_once(':').ok_or(MimeError::Header)?;
            if fields.len() == bounds::HEADER_FIELDS {
                return Err(MimeError::TooLong);
            }
            fields.push((name.trim_end().to_ascii_lowercase(), value.to_owned()));
        }
    }

    /// The field of that name, which may stand only once.
    pub(crate) fn field(&self, name: &str) -> Result<Option<&str>, MimeError> {
        let mut found = self.fields.iter().filter(|(own, _)| own == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(MimeError::Header);
        }
        Ok(first.map(|(_, value)| value.trim()))
    }

    pub(crate) fn content_type(&self) -> Result<ContentType, MimeError> {
        parse_content_type(self.field("content-type")?.ok_or(MimeError::ContentType)?)
    }

    /// Is the body in base64? Other encodings than those of S/MIME are refused.
    pub(crate) fn is_base64(&self) -> Result<bool, MimeError> {
        match self.field("content-transfer-encoding")?.unwrap_or("7bit").to_ascii_lowercase().as_str() {
            "base64" => Ok(true),
            "7bit" | "8bit" | "binary" => Ok(false),
            _ => Err(MimeError::TransferEncoding),
        }
    }

    /// The body without its transfer encoding.
    pub(crate) fn decoded(&self) -> Result<Vec<u8>, MimeError> {
        if !self.is_base64()? {
            return Ok(self.body.to_vec());
        }
        let mut out = Vec::with_capacity(self.body.len() / 4 * 3);
        let mut decoder = Decoder::new(Input::new(self.body, self.body.len()));
        drain(&mut decoder, |piece| {
            out.extend_from_slice(piece);
            Ok(())
        })
        .map_err(|_| MimeError::TransferEncoding)?;
        Ok(out)
    }

    /// The two parts of multipart/signed: the first exactly as it stands, the second for its signature.
    pub(crate) fn signed_parts(&self, content_type: &ContentType) -> Result<(&'a [u8], &'a [u8]), MimeError> {
        let boundary = content_type.parameter("boundary").ok_or(MimeError::Multipart)?;
        if boundary.is_empty() || boundary.len() > 70 {
            return Err(MimeError::Multipart);
        }
        let mut parts = Vec::with_capacity(2);
        let mut start: Option<usize> = None;
        let mut at = 0usize;
        let mut closed = false;
        for line in self.body.split_inclusive(|octet| *octet == b'\n') {
            let next = at + line.len();
            if let Some(closing) = delimiter(line, boundary.as_bytes()) {
                if let Some(start) = start {
                    let part = self.body.get(start..at).ok_or(MimeError::Multipart)?;
                    // The line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1).
                    let part = part.strip_suffix(b"\n").ok_or(MimeError::Multipart)?;
                    parts.push(part.strip_suffix(b"\r").unwrap_or(part));
                }
                if closing {
                    closed = true;
                    break;
                }
                if parts.len() == 2 {
                    return Err(MimeError::Multipart);
                }
                start = Some(next);
            }
            at = next;
        }
        match parts.as_slice() {
            [entity, signature] if closed => Ok((entity, signature)),
            _ => Err(MimeError::Multipart),
        }
    }
}

/// Header fields with the empty line behind them, as far as they are not too long.
pub(crate) fn header_section(source: &mut impl Source) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let mut section = Zeroizing::new(Vec::new());
    loop {
        let start = section.len();
        loop {
            let piece = source.ahead()?;
            let (length, ends) = match memchr::memchr(b'\n', piece) {
                Some(at) => (at + 1, true),
                None => (piece.len(), piece.is_empty()),
            };
            if section.len() + length > bounds::HEADER_SECTION {
                return Err(MimeError::TooLong.into());
            }
            push_secret(&mut section, piece.get(..length).unwrap_or_default());
            source.pass(length);
            if ends {
                break;
            }
        }
        if matches!(section.get(start..), Some(b"" | b"\n" | b"\r\n") | None) {
            return Ok(section);
        }
    }
}

/// A body while its transfer encoding is taken off.
pub(crate) enum Body<S> {
    Base64(Decoder<S>),
    AsItIs(S),
}

impl<S: Source> Body<S> {
    pub(crate) fn of(entity: &Entity<'_>, source: S) -> Result<Self, MimeError> {
        Ok(if entity.is_base64()? { Self::Base64(Decoder::new(source)) } else { Self::AsItIs(source) })
    }
}

impl<S: Source> Source for Body<S> {
    fn ahead(&mut self) -> Result<&[u8], OpenError> {
        match self {
            Self::Base64(decoder) => decoder.ahead(),
            Self::AsItIs(source) => source.ahead(),
        }
    }

    fn pass(&mut self, octets: usize) {
        match self {
            Self::Base64(decoder) => decoder.pass(octets),
            Self::AsItIs(source) => source.pass(octets),
        }
    }
}

/// Is the line a delimiter, and the closing one?
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let after = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (closing, after) = match after.strip_prefix(b"--") {
        Some(after) => (true, after),
        None => (false, after),
    };
    after.iter().all(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')).then_some(closing)
}

/// type/subtype and parameters (RFC 2045 5.1), with comments skipped.
pub(crate) fn parse_content_type(value: &str) -> Result<ContentType, MimeError> {
    let mut essence = String::new();
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (number, piece) in split_parameters(value)?.into_iter().enumerate() {
        if number == 0 {
            essence = piece.trim().to_ascii_lowercase();
            continue;
        }
        if piece.trim().is_empty() {
            continue; // a semicolon at the end is common
        }
        let (name, value) = piece.split_once('=').ok_or(MimeError::ContentType)?;
        let name = name.trim().to_ascii_lowercase();
        if parameters.len() == bounds::PARAMETERS || parameters.iter().any(|(own, _)| *own == name) {
            return Err(MimeError::ContentType);
        }
        parameters.push((name, value.trim().to_owned()));
    }
    let token = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic());
    match essence.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => Ok(ContentType { essence, parameters }),
        _ => Err(MimeError::ContentType),
    }
}

/// Splits at semicolons outside quotes and comments; quotes are taken off.
fn split_parameters(value: &str) -> Result<Vec<String>, MimeError> {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    let mut comment = 0u32;
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let Some(piece) = pieces.last_mut() else { return Err(MimeError::ContentType) };
        match character {
            '\\' if quoted || comment > 0 => {
                let escaped = characters.next().ok_or(MimeError::ContentType)?;
                if comment == 0 {
                    piece.push(escaped);
                }
            }
            '"' if comment == 0 => quoted = !quoted,
            _ if quoted => piece.push(character),
            '(' => comment = comment.saturating_add(1),
            ')' if comment > 0 => comment -= 1,
            _ if comment > 0 => {}
            ';' => {
                if pieces.len() > bounds::PARAMETERS {
                    return Err(MimeError::ContentType);
                }
                pieces.push(String::new());
            }
            _ => piece.push(character),
        }
    }
    if quoted || comment > 0 { Err(MimeError::ContentType) } else { Ok(pieces) }
}

/// Are all line ends CRLF, with no CR or LF alone and no NUL (RFC 8551 3.1.1)? Of a text that comes in pieces.
#[derive(Default)]
pub(crate) struct Canonical {
    broken: bool,
    open: bool,
}

impl Canonical {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else { return };
        let mut pairs = usize::from(self.open && *first == b'\n');
        let begins = pairs;
        for end in memchr::memchr_iter(b'\n', piece).skip(begins) {
            pairs += usize::from(end.checked_sub(1).and_then(|at| piece.get(at)) == Some(&b'\r'));
        }
        let breaks = memchr::memchr_iter(b'\n', piece).count();
        let returns = memchr::memchr_iter(b'\r', piece).count() + usize::from(self.open);
        self.open = *last == b'\r';
        // Each CR but one at the end has its LF, each LF its CR.
        self.broken |=
            breaks != pairs || returns - usize::from(self.open) != pairs || memchr::memchr(0, piece).is_some();
    }

    pub(crate) fn holds(&self) -> bool {
        !self.broken && !self.open
    }
}

/// The same text with every line end CRLF.
pub(crate) fn canonical(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut before = 0u8;
    for octet in octets {
        if *octet == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(*octet);
        before = *octet;
    }
    out
}

/// Base64 in lines of 76 characters that end in CRLF (RFC 2045 6.8).
pub(crate) fn base64_lines(octets: &[u8], out: &mut Vec<u8>) {
    let mut lines = Lines::new(out);
    // Memory takes everything.
    let _ = lines.write_all(octets).and_then(|()| lines.finish().map(drop));
}

/// The header section of an `application/pkcs7-mime` entity (RFC 8551 3.2).
pub(crate) fn pkcs7_mime_header(smime_type: &str) -> Vec<u8> {
    format!(
        "Content-Type: application/pkcs7-mime; smime-type={smime_type};\r\n name=\"smime.p7m\"\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n"
    )
    .into_bytes()
}

/// An `application/pkcs7-mime` entity around a CMS object.
pub(crate) fn pkcs7_mime(smime_type: &str, cms: &[u8]) -> Vec<u8> {
    let mut out = pkcs7_mime_header(smime_type);
    base64_lines(cms, &mut out);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn content_types() {
        let read =
            parse_content_type("Application/PKCS7-MIME (a \\) b); smime-type=signed-data; name=\"a;\\\"b\";").unwrap();
        assert_eq!(read.essence, "application/pkcs7-mime");
        assert_eq!(read.parameter("name"), Some("a;\"b"));
        assert!(read.is_pkcs7("pkcs7-mime"));
        for bad in ["", "text", "text/", "a/b; x", "a/b; x=1; X=2", "a/b; x=\"1", "a/b (c"] {
            assert!(parse_content_type(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_signed_part_is_exact() {
        let mail = b"Content-Type: multipart/signed; boundary=b\r\n\r\npre\r\n--b\r\nA: 1\r\n\r\nx \r\n\r\n--b\r\nC: d\r\n\r\ny\r\n--b--\r\n";
        let entity = Entity::parse(mail).unwrap();
        let (first, second) = entity.signed_parts(&entity.content_type().unwrap()).unwrap();
        assert_eq!(first, b"A: 1\r\n\r\nx \r\n");
        assert_eq!(second, b"C: d\r\n\r\ny");
    }

    #[test]
    fn a_field_that_stands_twice_is_refused() {
        let entity = Entity::parse(b"Content-Type: a/b\r\ncontent-type: c/d\r\n\r\n").unwrap();
        assert_eq!(entity.content_type(), Err(MimeError::Header));
    }

    #[test]
    fn canonical_text() {
        let is_canonical = |text: &[u8], cut: usize| {
            let mut canonical = Canonical::default();
            text.chunks(cut).for_each(|piece| canonical.update(piece));
            canonical.holds()
        };
        for cut in 1..5 {
            assert!(
                [&b"a\r\nb"[..], b"", b"\r\n", b"\r\n\r\n", b"a\r\n\r\nb\r\n"]
                    .iter()
                    .all(|text| is_canonical(text, cut))
            );
            for bad in [&b"a\nb"[..], b"a\rb", b"a\r", b"\r\r\n", b"a\0", b"\n\r", b"\n", b"a\r\n\n", b"\r\r\n\n"] {
                assert!(!is_canonical(bad, cut), "{bad:?}");
            }
        }
        assert_eq!(canonical(b"a\nb\r\nc"), b"a\r\nb\r\nc");
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(entity) = Entity::parse(&octets) {
                let _ = entity.content_type().map(|kind| entity.signed_parts(&kind).is_ok());
                let _ = entity.decoded();
            }
        }

        #[test]
        fn any_content_type_is_survived(value in "\\PC{0,80}") {
            let _ = parse_content_type(&value);
        }
    }
}
