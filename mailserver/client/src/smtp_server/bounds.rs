//! Bounds on the structure of a mail (RFC 5322, 2.1; RFC 2045) that hold before any recursive parser sees it.
//!
//! Deeply nested `message/rfc822` entities overflow the stack of common MIME parsers. Their number bounds their
//! depth, and counting needs no recursion.

use super::Limits;

/// Which bound a mail exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StructureFault {
    /// Too many header fields, or too large a header section.
    Header,
    /// Too many nested or parallel `multipart/*` and `message/*` entities.
    Containers,
}

/// Checks header fields and container entities of a mail against the limits.
pub fn check_structure(mail: &[u8], limits: &Limits) -> Result<(), StructureFault> {
    let mut in_header = true;
    let mut header_octets = 0usize;
    let mut fields = 0usize;
    let mut containers = 0usize;
    // A Content-Type field whose value begins on a following, folded line.
    let mut awaiting_value = false;
    let mut rest = mail;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
        rest = after;
        let text = trim_end(line);
        let folded = matches!(text.first(), Some(b' ' | b'\t'));
        if in_header {
            if text.is_empty() {
                in_header = false;
            } else {
                header_octets = header_octets.saturating_add(line.len());
                fields += usize::from(!folded);
                if fields > limits.header_fields || header_octets > limits.header_octets {
                    return Err(StructureFault::Header);
                }
            }
        }
        let value = if folded && awaiting_value { Some(text) } else { content_type_value(text) };
        awaiting_value = false;
        if let Some(value) = value {
            let value = trim_start(value);
            if value.is_empty() {
                awaiting_value = true;
            } else if starts_with(value, b"multipart") || starts_with(value, b"message") || value.first() == Some(&b'(')
            {
                containers += 1;
                if containers > limits.containers {
                    return Err(StructureFault::Containers);
                }
            }
        }
    }
    Ok(())
}

fn content_type_value(line: &[u8]) -> Option<&[u8]> {
    let name = b"content-type";
    if !starts_with(line, name) {
        return None;
    }
    let rest = trim_start(line.get(name.len()..)?);
    rest.strip_prefix(b":")
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn trim_start(text: &[u8]) -> &[u8] {
    let blank = text.iter().take_while(|&&o| o == b' ' || o == b'\t').count();
    text.get(blank..).unwrap_or_default()
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mime_bomb_is_refused_without_recursion() {
        let limits = Limits::default();
        let bomb = b"Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
        assert_eq!(check_structure(&bomb, &limits), Err(StructureFault::Containers));
        let folded = b"content-TYPE :\r\n\tMultipart/mixed\r\n\r\n".repeat(100);
        assert_eq!(check_structure(&folded, &limits), Err(StructureFault::Containers));
        assert_eq!(check_structure(&b"X: y\r\n".repeat(501), &limits), Err(StructureFault::Header));
        assert_eq!(check_structure(b"X: y\r\n\r\nbody", &limits), Ok(()));
    }
}
