//! The mails in a capture: what went between two hosts after DATA (RFC 5321, 4.1.1.4), octet for octet.

use super::hosts::Hosts;
use super::network::Capture;
use crate::events::Direction;

/// A mail as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMail {
    /// Who sent it.
    pub from: String,
    /// Who took it.
    pub to: String,
    /// Argument of MAIL FROM, without brackets.
    pub reverse_path: String,
    /// Arguments of RCPT TO, without brackets.
    pub forward_paths: Vec<String>,
    /// The mail, dots unstuffed.
    pub octets: Vec<u8>,
}

/// Every mail sent over SMTP, in the order of its connection, whether the server took it or not.
pub fn sent(capture: &Capture, hosts: &Hosts) -> Vec<SentMail> {
    let mut mails = Vec::new();
    for (number, connection) in (0u32..).zip(capture.connections()) {
        let stream = capture.stream(number, Direction::ToServer);
        if !stream
            .get(..5)
            .is_some_and(|verb| verb.eq_ignore_ascii_case(b"EHLO ") || verb.eq_ignore_ascii_case(b"HELO "))
        {
            continue;
        }
        let (from, to) = (hosts.name_of(connection.client.ip()), hosts.name_of(connection.server.ip()));
        let mut rest = stream.as_slice();
        let (mut reverse_path, mut forward_paths) = (String::new(), Vec::new());
        while let Some(end) = find(rest, b"\r\n") {
            let (line, after) = (rest.get(..end).unwrap_or_default(), rest.get(end + 2..).unwrap_or_default());
            rest = after;
            let text = String::from_utf8_lossy(line).into_owned();
            let upper = text.to_ascii_uppercase();
            if upper.starts_with("MAIL FROM:") {
                reverse_path = path(&text);
                forward_paths = Vec::new();
            } else if upper.starts_with("RCPT TO:") {
                forward_paths.push(path(&text));
            } else if upper == "DATA" {
                let Some(end) = find(rest, b"\r\n.\r\n") else { break };
                let octets = unstuffed(rest.get(..end + 2).unwrap_or_default());
                rest = rest.get(end + 5..).unwrap_or_default();
                mails.push(SentMail {
                    from: from.clone(),
                    to: to.clone(),
                    reverse_path: reverse_path.clone(),
                    forward_paths: std::mem::take(&mut forward_paths),
                    octets,
                });
            }
        }
    }
    mails
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What stands between the angle brackets.
fn path(command: &str) -> String {
    let inner = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(String::new, |(path, _)| path.to_owned())
}

fn unstuffed(stuffed: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(stuffed.len());
    for line in stuffed.split_inclusive(|octet| *octet == b'\n') {
        octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_unstuffed_line_by_line() {
        assert_eq!(unstuffed(b"..a\r\nb.\r\n...\r\n"), b".a\r\nb.\r\n..\r\n");
    }
}
