//! Bounds on a mail before any MIME parser (RFC 2045, 2046) sees it: size, line length, header, and how many
//! containers it declares. A parser that keeps nested messages as nested values overflows the stack when it lets go
//! of them, so the number of possible levels is bounded here by one pass over the lines that trusts no structure.

/// What a mail may be. The same bounds serve the adapter and the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MimeLimits {
    /// Octets of the mail.
    pub octets: usize,
    /// Octets of one line, CRLF included (RFC 5322: 998 and CRLF; encoders in the field write longer ones).
    pub line: usize,
    /// Fields in the mail's own header.
    pub fields: usize,
    /// Octets of the mail's own header.
    pub header: usize,
    /// Content-Type fields anywhere in the mail: an upper bound on its parts.
    pub parts: usize,
    /// Content-Type fields that declare a multipart or a message: an upper bound on its depth.
    pub containers: usize,
}

impl Default for MimeLimits {
    /// 32 MiB, lines of 4096 octets, 200 fields in 64 KiB, 256 parts, 32 containers.
    fn default() -> Self {
        Self { octets: 32 << 20, line: 4096, fields: 200, header: 64 * 1024, parts: 256, containers: 32 }
    }
}

/// Which bound a mail breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MimeBoundsError {
    /// Too many octets.
    #[error("the mail has {octets} octets, over the limit of {limit}; split the document")]
    TooLarge {
        /// Octets of the mail.
        octets: usize,
        /// Octets allowed.
        limit: usize,
    },
    /// A line is too long.
    #[error("line {line} is over {limit} octets; the sender's mail program must wrap its lines")]
    Line {
        /// Line, from 1.
        line: usize,
        /// Octets allowed.
        limit: usize,
    },
    /// The header has too many fields or octets.
    #[error("the header is over {fields} fields or {octets} octets")]
    Header {
        /// Fields allowed.
        fields: usize,
        /// Octets allowed.
        octets: usize,
    },
    /// Too many parts.
    #[error("the mail has over {limit} parts")]
    Parts {
        /// Parts allowed.
        limit: usize,
    },
    /// Possibly nested too deep.
    #[error("the mail nests over {limit} multiparts and messages")]
    Depth {
        /// Containers allowed.
        limit: usize,
    },
    /// A message inside the mail is base64 or quoted-printable, which RFC 2046 clause 5.2.1 forbids: it would hide
    /// its own depth.
    #[error("line {line}: an enclosed message must not be encoded; attach it as it is")]
    EncodedMessage {
        /// Line where its header ends, from 1.
        line: usize,
    },
}

/// What the header block being read declares.
#[derive(Default)]
struct Block {
    in_content_type: bool,
    in_encoding: bool,
    has_content_type: bool,
    message: bool,
    encoded: bool,
}

/// Checks a mail. Linear in its size, allocates nothing.
pub fn check(mail: &[u8], limits: &MimeLimits) -> Result<(), MimeBoundsError> {
    if mail.len() > limits.octets {
        return Err(MimeBoundsError::TooLarge { octets: mail.len(), limit: limits.octets });
    }
    let header_error = MimeBoundsError::Header { fields: limits.fields, octets: limits.header };
    let (mut in_header, mut fields, mut header) = (true, 0usize, 0usize);
    let (mut parts, mut containers, mut digest) = (0usize, 0usize, false);
    let mut block = Block::default();
    for (index, line) in mail.split_inclusive(|octet| *octet == b'\n').enumerate() {
        if line.len() > limits.line {
            return Err(MimeBoundsError::Line { line: index + 1, limit: limits.line });
        }
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if in_header {
            header += line.len();
            fields += usize::from(!text.starts_with(b" ") && !text.starts_with(b"\t"));
            if fields > limits.fields || header > limits.header {
                return Err(header_error);
            }
            in_header = !text.is_empty();
        }
        // A header block ends at an empty line, whatever the reader makes of the lines before it.
        if text.is_empty() {
            if block.encoded && (block.message || (digest && !block.has_content_type)) {
                return Err(MimeBoundsError::EncodedMessage { line: index + 1 });
            }
            block = Block::default();
            continue;
        }
        let folded = text.first().is_some_and(|octet| octet.is_ascii_whitespace());
        if !folded || begins(text.trim_ascii_start(), b"content-") {
            let field = text.trim_ascii_start();
            block.in_content_type = begins(field, b"content-type");
            block.in_encoding = begins(field, b"content-transfer-encoding");
            if block.in_content_type {
                block.has_content_type = true;
                parts += 1;
            }
        }
        if block.in_content_type {
            let message = contains(text, b"message");
            // A delivery or disposition notification is a message type by name, but encloses nothing.
            block.message |=
                message && !contains(text, b"disposition-notification") && !contains(text, b"delivery-status");
            digest |= contains(text, b"digest");
            containers += usize::from(message || contains(text, b"multipart") || contains(text, b"digest"));
        }
        if block.in_encoding {
            block.encoded |= contains(text, b"base64") || contains(text, b"quoted");
        }
        if parts > limits.parts {
            return Err(MimeBoundsError::Parts { limit: limits.parts });
        }
        if containers > limits.containers {
            return Err(MimeBoundsError::Depth { limit: limits.containers });
        }
    }
    Ok(())
}

fn begins(text: &[u8], name: &[u8]) -> bool {
    text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn verdict(mail: &[u8]) -> Result<(), MimeBoundsError> {
        check(mail, &MimeLimits::default())
    }

    #[test]
    fn the_stack_overflow_of_nested_messages_is_refused() {
        let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
        assert_eq!(verdict(nested.as_bytes()), Err(MimeBoundsError::Depth { limit: 32 }));
        let folded = "content-TYPE :\r\n\tmessage/rfc822\r\n\r\n".repeat(40);
        assert_eq!(verdict(folded.as_bytes()), Err(MimeBoundsError::Depth { limit: 32 }));
        let multi: String =
            (0..40).map(|i| format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n")).collect();
        assert_eq!(verdict(multi.as_bytes()), Err(MimeBoundsError::Depth { limit: 32 }));
    }

    #[test]
    fn an_encoded_message_is_refused_since_it_hides_its_depth() {
        for mail in [
            "Content-Transfer-Encoding: base64\r\nContent-Type: message/rfc822\r\n\r\nAAAA\r\n",
            "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n",
        ] {
            assert!(matches!(verdict(mail.as_bytes()), Err(MimeBoundsError::EncodedMessage { .. })), "{mail}");
        }
    }

    #[test]
    fn ordinary_mails_pass() {
        let bounce = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: image/tiff\r\nContent-Transfer-Encoding: base64\r\n\r\nSUkq\r\n--b--\r\n";
        assert_eq!(verdict(bounce.as_bytes()), Ok(()));
    }

    #[test]
    fn lines_headers_and_sizes_are_bounded() {
        assert!(matches!(verdict(&vec![b'a'; 5000]), Err(MimeBoundsError::Line { line: 1, .. })));
        assert!(matches!(verdict("a: b\r\n".repeat(201).as_bytes()), Err(MimeBoundsError::Header { .. })));
        assert!(matches!(verdict(&vec![b'\n'; (32 << 20) + 1]), Err(MimeBoundsError::TooLarge { .. })));
        assert!(matches!(
            verdict("\r\nContent-Type: text/plain".repeat(300).as_bytes()),
            Err(MimeBoundsError::Parts { .. })
        ));
    }

    proptest! {
        #[test]
        fn no_octets_panic(mail in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = verdict(&mail);
        }
    }
}
