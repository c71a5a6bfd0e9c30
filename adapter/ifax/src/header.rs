//! Header fields of a mail, in order and as they stand (RFC 5322 clause 2.2), encoded words (RFC 2047) and dates.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Most octets a header may have.
pub const MAX_HEADER_OCTETS: usize = 64 * 1024;
/// Most fields a header may have.
pub const MAX_FIELDS: usize = 200;

/// Why a header or a field is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// No empty line ends the header within [`MAX_HEADER_OCTETS`].
    #[error("the header does not end within {MAX_HEADER_OCTETS} octets")]
    TooLong,
    /// More than [`MAX_FIELDS`] fields.
    #[error("the header has over {MAX_FIELDS} fields")]
    TooMany,
    /// A line is neither a field nor the continuation of one.
    #[error("line {0} of the header is not a field")]
    Line(usize),
    /// A field that may stand once stands more often.
    #[error("field {0} stands more than once; the mail is ambiguous and refused")]
    Repeated(&'static str),
    /// A field name or value to be written has CR, LF, NUL or another control octet: header injection.
    #[error("the value for field {0} has a line break or control character")]
    Injection(String),
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name as written.
    pub name: String,
    /// Value, unfolded and trimmed; octets that are no UTF-8 replaced.
    pub value: String,
}

/// The fields of a header in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    fields: Vec<Field>,
}

impl Headers {
    /// Splits an entity into its header and its body. The empty line belongs to neither. Lines end with CRLF or LF.
    pub fn parse(entity: &[u8]) -> Result<(Self, &[u8]), HeaderError> {
        let mut fields: Vec<Field> = Vec::new();
        let mut rest = entity;
        for number in 1.. {
            if entity.len() - rest.len() > MAX_HEADER_OCTETS {
                return Err(HeaderError::TooLong);
            }
            let window = rest.get(..MAX_HEADER_OCTETS + 2).unwrap_or(rest);
            let end = match window.iter().position(|octet| *octet == b'\n') {
                Some(end) => end,
                // An entity may be a header alone, its last line open.
                None if window.len() == rest.len() => rest.len(),
                None => return Err(HeaderError::TooLong),
            };
            let line = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                break;
            }
            if line.first().is_some_and(|octet| matches!(octet, b' ' | b'\t')) {
                let field = fields.last_mut().ok_or(HeaderError::Line(number))?;
                field.value.push(' ');
                field.value.push_str(String::from_utf8_lossy(line).trim());
                continue;
            }
            if fields.len() >= MAX_FIELDS {
                return Err(HeaderError::TooMany);
            }
            let colon = line.iter().position(|octet| *octet == b':').ok_or(HeaderError::Line(number))?;
            let (name, value) = (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
            let name = String::from_utf8_lossy(name.trim_ascii_end()).into_owned();
            if !is_name(&name) {
                return Err(HeaderError::Line(number));
            }
            fields.push(Field { name, value: String::from_utf8_lossy(value).trim().to_owned() });
        }
        Ok((Self { fields }, rest))
    }

    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// The value of the first field of that name, without case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    /// The values of all fields of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_str())
    }

    /// The value of a field that may stand only once.
    pub fn only(&self, name: &'static str) -> Result<Option<&str>, HeaderError> {
        let mut all = self.all(name);
        let first = all.next();
        if all.next().is_some() { Err(HeaderError::Repeated(name)) } else { Ok(first) }
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check(name, value)?;
        self.fields.push(Field { name: name.to_owned(), value: value.to_owned() });
        Ok(())
    }

    /// Puts a field in the place of the first of its name and drops the others; adds it where there is none.
    pub fn replace(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check(name, value)?;
        let at = self.fields.iter().position(|field| field.name.eq_ignore_ascii_case(name));
        self.remove(name);
        let field = Field { name: name.to_owned(), value: value.to_owned() };
        self.fields.insert(at.unwrap_or(self.fields.len()).min(self.fields.len()), field);
        Ok(())
    }

    /// Drops every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|field| !field.name.eq_ignore_ascii_case(name));
    }

    /// The fields as octets, folded, CRLF, without the empty line.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut out = String::new();
        for Field { name, value } in &self.fields {
            fold(&mut out, name, value);
        }
        out.into_bytes()
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 77 && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

fn check(name: &str, value: &str) -> Result<(), HeaderError> {
    let clean = |c: char| c == '\t' || !c.is_control();
    if is_name(name) && value.chars().all(clean) && value.split([' ', '\t']).all(|word| word.len() < 900) {
        return Ok(());
    }
    Err(HeaderError::Injection(name.chars().take(77).flat_map(char::escape_default).collect()))
}

/// Lines of at most 78 octets where the value has spaces to fold at (RFC 5322 clause 2.1.1).
fn fold(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push(':');
    let mut used = name.len() + 1;
    let mut blank = true;
    for word in value.split(' ') {
        // A line of white space only would end the header for some readers.
        if used + 1 + word.len() > 78 && !blank && !word.is_empty() {
            out.push_str("\r\n");
            used = 0;
        }
        out.push(' ');
        out.push_str(word);
        used += 1 + word.len();
        blank = false;
    }
    out.push_str("\r\n");
}

/// Text as it may stand in an unstructured field: as it is where ASCII, else encoded words of at most 75 octets.
pub fn encode_words(text: &str) -> String {
    if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words: Vec<String> = vec![String::new()];
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        // 45 octets are 60 characters of base64, 72 with the frame.
        if words.last().is_none_or(|word| word.len() + c.len_utf8() > 45) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let framed: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64.encode(word))).collect();
    framed.join(" ")
}

/// Decodes the encoded words of an unstructured value.
pub fn decode_words(value: &str) -> String {
    if !value.contains("=?") {
        return value.to_owned();
    }
    let one_line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let field = format!("Subject: {one_line}\r\n\r\n");
    let parser = mail_parser::MessageParser::new().with_minimal_headers();
    let parsed = parser.parse_headers(field.as_bytes());
    let text = parsed.as_ref().and_then(mail_parser::Message::subject).unwrap_or(value);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A date as header fields have it (RFC 5322 clause 3.3), in universal time.
pub fn format_date(date: SystemTime) -> String {
    let date = OffsetDateTime::from(date).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    date.format(&Rfc2822).unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 +0000".to_owned())
}

/// Reads a date of a header field.
pub fn parse_date(value: &str) -> Option<SystemTime> {
    let date = OffsetDateTime::parse(value.trim(), &Rfc2822).ok()?;
    u64::try_from(date.unix_timestamp()).ok()?;
    Some(date.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_keep_their_order_and_unfold() {
        let (headers, body) =
            Headers::parse(b"From: a@b\r\nSubject: one\r\n two\r\nfrom : c@d\r\n\r\nbody\r\n").unwrap();
        assert_eq!(headers.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["From", "Subject", "from"]);
        assert_eq!(headers.get("subject"), Some("one two"));
        assert_eq!(headers.only("From"), Err(HeaderError::Repeated("From")));
        assert_eq!(body, b"body\r\n");
        assert!(Headers::parse(b" folded first\r\n\r\n").is_err());
        assert!(Headers::parse(b"no colon\r\n\r\n").is_err());
        assert_eq!(Headers::parse(&b"a: b\r\n".repeat(300)), Err(HeaderError::TooMany));
        assert_eq!(Headers::parse(&vec![b'a'; 100_000]), Err(HeaderError::TooLong));
    }

    #[test]
    fn injection_is_refused() {
        let mut headers = Headers::new();
        for value in ["a\r\nBcc: evil@x", "a\nb", "a\0b", "a\rb"] {
            assert!(matches!(headers.push("Subject", value), Err(HeaderError::Injection(_))));
        }
        assert!(headers.push("Sub\r\nject", "x").is_err());
        assert!(headers.push("Sub:ject", "x").is_err());
        headers.replace("Subject", "x").unwrap();
        headers.replace("SUBJECT", "y").unwrap();
        assert_eq!(headers.to_octets(), b"SUBJECT: y\r\n");
    }

    #[test]
    fn dates_come_back() {
        let date = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_353_600);
        assert_eq!(format_date(date), "Sun, 22 Nov 2026 13:20:00 +0000");
        assert_eq!(parse_date("Sun, 22 Nov 2026 22:20:00 +0900"), Some(date));
        assert_eq!(parse_date("yesterday"), None);
    }

    proptest! {
        #[test]
        fn encoded_words_come_back(text in "[^\\p{C}]{0,120}") {
            let encoded = encode_words(&text);
            prop_assert!(encoded.is_ascii() && encoded.split(' ').all(|w| w.len() <= 75 || !w.starts_with("=?")));
            let mut headers = Headers::new();
            if headers.push("Subject", &encoded).is_ok() {
                let octets = headers.to_octets();
                let (read, _) = Headers::parse(&octets).unwrap();
                if encoded.starts_with("=?") {
                    prop_assert_eq!(decode_words(read.get("Subject").unwrap()), text);
                }
            }
        }

        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..600), text in ".{0,200}") {
            let _ = Headers::parse(&octets);
            let _ = decode_words(&text);
            let _ = parse_date(&text);
        }
    }
}
