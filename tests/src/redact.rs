//! Mails made comparable between runs: what differs each time gets a name, what must not differ stays.
//!
//! Identifiers keep their number through all mails that one [`Redactor`] sees, so a snapshot still shows that a
//! confirmation names the very mail it confirms. Base64 bodies are shown by what is in them: text as text, anything
//! else by its kind. Line ends other than CRLF are made visible.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Gives the same name to the same volatile word, over several mails.
#[derive(Debug, Default)]
pub struct Redactor {
    tokens: Vec<String>,
}

impl Redactor {
    /// The mail as it may stand in a snapshot.
    pub fn mail(&mut self, mail: &[u8]) -> String {
        let mut shown = String::new();
        let mut encoded: Vec<&str> = Vec::new();
        let text = String::from_utf8_lossy(mail);
        let mut in_body = false;
        for line in text.split_inclusive('\n') {
            let (bare, end) = match line.strip_suffix("\r\n") {
                Some(bare) => (bare, ""),
                None => match line.strip_suffix('\n') {
                    Some(bare) => (bare, "[bare LF]"),
                    None => (line, "[no line end]"),
                },
            };
            // A base64 body follows an empty line; its last line may be shorter.
            let continues = !encoded.is_empty() && is_base64(bare);
            if end.is_empty() && (continues || (in_body && bare.len() >= 48 && is_base64(bare))) {
                encoded.push(bare);
                continue;
            }
            self.flush(&mut encoded, &mut shown);
            in_body = bare.is_empty() || (in_body && is_base64(bare));
            shown.push_str(&self.line(bare));
            shown.push_str(end);
            shown.push('\n');
        }
        self.flush(&mut encoded, &mut shown);
        shown
    }

    fn flush(&mut self, encoded: &mut Vec<&str>, shown: &mut String) {
        if encoded.is_empty() {
            return;
        }
        let widest = encoded.iter().map(|line| line.len()).max().unwrap_or(0);
        let octets = STANDARD.decode(encoded.concat()).unwrap_or_default();
        encoded.clear();
        let kind = match octets.get(..4) {
            Some([0x30, ..]) => "CMS in DER".to_owned(),
            Some([0x49, 0x49, 0x2a, 0]) => "TIFF, little-endian".to_owned(),
            _ => match String::from_utf8(octets) {
                Ok(text) if !text.is_empty() => {
                    let text: String = text.lines().map(|line| format!("  | {}\n", self.line(line))).collect();
                    shown.push_str(&format!("[base64, lines of at most {widest}, of text:]\n{text}"));
                    return;
                }
                _ => "octets".to_owned(),
            },
        };
        shown.push_str(&format!("[base64, lines of at most {widest}: {kind}]\n"));
    }

    /// One line with its volatile words named.
    fn line(&mut self, line: &str) -> String {
        let line = dates(line);
        let mut shown = String::new();
        let mut word = String::new();
        for character in line.chars() {
            // '=' ends a word that is a parameter's name, and fills up a digest.
            if character.is_ascii_alphanumeric() || matches!(character, '+' | '/') {
                word.push(character);
                continue;
            }
            if character == '=' && word.len() == 43 {
                shown.push_str(&self.named("digest", &std::mem::take(&mut word)));
                continue;
            }
            shown.push_str(&self.word(&std::mem::take(&mut word)));
            shown.push(character);
        }
        shown.push_str(&self.word(&word));
        addresses(&shown)
    }

    fn word(&mut self, word: &str) -> String {
        let hexadecimal = word.bytes().all(|octet| octet.is_ascii_hexdigit());
        if word.len() >= 16 && hexadecimal { self.named("id", word) } else { word.to_owned() }
    }

    fn named(&mut self, kind: &str, word: &str) -> String {
        let known = self.tokens.iter().position(|token| token == word);
        let number = known.unwrap_or_else(|| {
            self.tokens.push(word.to_owned());
            self.tokens.len() - 1
        });
        format!("[{kind} {}]", number + 1)
    }
}

fn is_base64(line: &str) -> bool {
    !line.is_empty()
        && line.len().is_multiple_of(4)
        && line.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'='))
}

/// `Sun, 22 Nov 2026 14:03:00 +0900` (RFC 5322, 3.3) and `2026-11-22 14:03[:00]` become `[date]`.
fn dates(line: &str) -> String {
    let digits = |text: &str, count: usize| text.len() >= count && text.bytes().take(count).all(|o| o.is_ascii_digit());
    let mut shown = String::new();
    let mut rest = line;
    'line: while let Some(first) = rest.chars().next() {
        for day in ["Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, ", "Sun, "] {
            if let Some(after) = rest.strip_prefix(day) {
                // Day, month, year, time, zone.
                let length: usize = after.split(' ').take(5).map(|part| part.len() + 1).sum();
                let zone = after.get(length.saturating_sub(6)..length.saturating_sub(1)).unwrap_or_default();
                if digits(after, 1) && (zone.starts_with('+') || zone.starts_with('-')) {
                    shown.push_str("[date]");
                    rest = after.get(length - 1..).unwrap_or_default();
                    continue 'line;
                }
            }
        }
        let dash = |at: usize| rest.as_bytes().get(at) == Some(&b'-');
        if digits(rest, 4) && dash(4) && dash(7) && rest.get(8..).is_some_and(|day| digits(day, 2)) {
            let after = rest.get(10..).unwrap_or_default();
            let time = after.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | ' ' | 'T' | 'Z' | '.')));
            shown.push_str("[date]");
            let end = time.unwrap_or(after.len());
            // Spaces after the date belong to the line.
            let used = after.get(..end).unwrap_or_default().trim_end().len();
            rest = after.get(used..).unwrap_or_default();
            continue;
        }
        shown.push(first);
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    shown
}

/// Addresses of loopback, with or without port, become `[address]`.
fn addresses(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("127.") {
        shown.push_str(rest.get(..at).unwrap_or_default());
        let tail = rest.get(at..).unwrap_or_default();
        let end = tail.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':'))).unwrap_or(tail.len());
        shown.push_str("[address]");
        rest = tail.get(end..).unwrap_or_default();
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_same_word_keeps_its_name() {
        let mut redactor = Redactor::default();
        let first = redactor.mail(b"Message-ID: <0123456789abcdef@a>\r\nDate: Sun, 22 Nov 2026 14:03:00 +0900\r\n");
        assert_eq!(first, "Message-ID: <[id 1]@a>\nDate: [date]\n");
        let second =
            redactor.mail(b"X: fedcba9876543210fe\r\nIn-Reply-To: <0123456789abcdef@a>; 2026-11-22 14:03 JST\n");
        assert_eq!(second, "X: [id 2]\nIn-Reply-To: <[id 1]@a>; [date] JST[bare LF]\n");
    }

    #[test]
    fn bodies_are_named_by_what_is_in_them() {
        let mut redactor = Redactor::default();
        let body = STANDARD.encode([&[0x30, 0x80][..], &[1; 100]].concat());
        let (first, second) = body.split_at(76);
        let shown = redactor.mail(format!("A: b\r\n\r\n{first}\r\n{second}\r\n--x\r\n").as_bytes());
        assert_eq!(shown, "A: b\n\n[base64, lines of at most 76: CMS in DER]\n--x\n");
        let text = STANDARD.encode("配達されました。\nDelivered to 127.0.0.1:25 and read.\n");
        let shown = redactor.mail(format!("\r\n{}\r\n{}\r\n", &text[..76], &text[76..]).as_bytes());
        assert!(shown.ends_with("  | 配達されました。\n  | Delivered to [address] and read.\n"), "{shown}");
    }

    #[test]
    fn digests_are_named() {
        let digest = STANDARD.encode([7; 32]);
        let shown = Redactor::default().mail(format!("MIC: {digest}, sha-256\r\n").as_bytes());
        assert_eq!(shown, "MIC: [digest 1], sha-256\n");
    }
}
