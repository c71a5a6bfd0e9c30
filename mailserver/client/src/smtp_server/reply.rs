//! Replies of RFC 5321 (4.2) with the enhanced status codes of RFC 2034 and RFC 3463.

/// One reply, of one or several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three-digit code.
    pub code: u16,
    /// The enhanced status code, as "5.1.1"; none in greetings and in replies to EHLO.
    pub enhanced: Option<&'static str>,
    /// Text lines, without code and line end.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of one line with its enhanced status code.
    pub fn new(code: u16, enhanced: &'static str, text: impl Into<String>) -> Self {
        Self { code, enhanced: Some(enhanced), lines: vec![text.into()] }
    }

    /// A reply without an enhanced status code.
    pub fn plain(code: u16, text: impl Into<String>) -> Self {
        Self { code, enhanced: None, lines: vec![text.into()] }
    }

    /// Whether it is a 2xx or 3xx reply.
    pub fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// Whether it is a 4xx reply: the client should try again later.
    pub fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// The octets on the wire. Control characters in texts become `?`, so that no text can forge a further reply.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        let last = self.lines.len().saturating_sub(1);
        for (index, line) in self.lines.iter().enumerate() {
            let separator = if index == last { ' ' } else { '-' };
            octets.extend_from_slice(format!("{:03}{separator}", self.code).as_bytes());
            if let Some(enhanced) = self.enhanced {
                octets.extend_from_slice(enhanced.as_bytes());
                octets.push(b' ');
            }
            // A reply line is at most 512 octets with its CRLF (RFC 5321, 4.5.3.1.5).
            octets.extend(line.chars().take(480).map(|character| {
                if character.is_ascii() && !character.is_ascii_control() { character as u8 } else { b'?' }
            }));
            octets.extend_from_slice(b"\r\n");
        }
        if self.lines.is_empty() {
            octets.extend_from_slice(format!("{:03} \r\n", self.code).as_bytes());
        }
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_forge_a_reply() {
        let reply = Reply::new(550, "5.1.1", "no\r\n250 yes");
        assert_eq!(reply.to_octets(), b"550 5.1.1 no??250 yes\r\n");
    }
}
