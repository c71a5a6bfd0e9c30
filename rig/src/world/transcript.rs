//! Octets of a connection as lines for people: SMTP (RFC 5321), POP3 (RFC 1939) and HTTP/1.1 (RFC 9112), told apart by
//! how they begin. Passwords never come out, message data and bodies are summed up. Pure: octets in, lines out.

use crate::events::{Direction, Lane};

/// Longest line kept while waiting for its end; SMTP allows 1000 octets for text lines (RFC 5321, 4.5.3.1.6).
const LONGEST_LINE: usize = 2048;
/// Most lines one connection yields; a flood is summed up at the end.
const MOST_LINES: u32 = 2000;

/// One line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which way it went.
    pub direction: Direction,
    /// The line without its end, secrets redacted.
    pub text: String,
    /// How many octets it stands for.
    pub octets: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Unknown,
    Smtp,
    Pop3,
    Http,
    /// TLS or something else without lines: summed up.
    Opaque,
}

/// What the octets of one direction are at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Lines,
    /// Until CRLF.CRLF: the octets so far, and the last five of them.
    DotTerminated {
        octets: u64,
        tail: [u8; 5],
        what: &'static str,
    },
    /// An HTTP body: the octets left.
    Counted {
        octets: u64,
        left: u64,
    },
    /// Until the end of the connection.
    Rest {
        octets: u64,
    },
}

#[derive(Debug)]
struct Half {
    content: Content,
    partial: Vec<u8>,
    overlong: u64,
    length: u64,
}

impl Half {
    fn new() -> Self {
        Self { content: Content::Lines, partial: Vec::new(), overlong: 0, length: 0 }
    }
}

/// The transcript of one connection.
#[derive(Debug)]
pub struct Transcript {
    protocol: Protocol,
    client: Half,
    server: Half,
    /// POP3: the client's command whose reply is awaited has several lines if it is `+OK`.
    multi_line: Option<&'static str>,
    /// SMTP: DATA was said, 354 is awaited; AUTH was said, its lines are secrets.
    data_said: bool,
    auth: bool,
    lines: u32,
    suppressed: u64,
}

impl Default for Transcript {
    fn default() -> Self {
        Self::new()
    }
}

impl Transcript {
    /// Nothing was said yet.
    pub fn new() -> Self {
        Self {
            protocol: Protocol::Unknown,
            client: Half::new(),
            server: Half::new(),
            multi_line: None,
            data_said: false,
            auth: false,
            lines: 0,
            suppressed: 0,
        }
    }

    /// The lane of the protocol spoken, as far as it is known.
    pub fn lane(&self) -> Lane {
        match self.protocol {
            Protocol::Pop3 => Lane::Pop3,
            Protocol::Http => Lane::Http,
            _ => Lane::Smtp,
        }
    }

    /// Takes the next octets of one direction; returns the lines they complete.
    pub fn feed(&mut self, direction: Direction, mut octets: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.protocol == Protocol::Unknown {
            self.recognise(direction, octets);
        }
        while !octets.is_empty() {
            let half = match direction {
                Direction::ToServer => &mut self.client,
                Direction::ToClient => &mut self.server,
            };
            if self.protocol == Protocol::Opaque {
                half.length += octets.len() as u64;
                break;
            }
            match &mut half.content {
                Content::Lines => {
                    let end = octets.iter().position(|octet| *octet == b'\n');
                    let (now, rest) = octets.split_at(end.map_or(octets.len(), |end| end + 1));
                    octets = rest;
                    let room = LONGEST_LINE.saturating_sub(half.partial.len());
                    half.partial.extend(now.iter().take(room));
                    half.overlong += now.len().saturating_sub(room) as u64;
                    if end.is_some() {
                        let line = std::mem::take(&mut half.partial);
                        let total = line.len() as u64 + std::mem::take(&mut half.overlong);
                        if let Some(text) = self.line(direction, &line) {
                            self.push(&mut lines, direction, text, total);
                        }
                    }
                }
                Content::DotTerminated { octets: count, tail, what } => {
                    let mut used = 0;
                    let mut done = false;
                    for octet in octets {
                        used += 1;
                        *count += 1;
                        tail.rotate_left(1);
                        tail[4] = *octet;
                        if tail == b"\r\n.\r\n" {
                            done = true;
                            break;
                        }
                    }
                    octets = octets.get(used..).unwrap_or_default();
                    if done {
                        let (count, text) = (*count, format!("[{what}, {count} octets]"));
                        half.content = Content::Lines;
                        self.push(&mut lines, direction, text, count);
                    }
                }
                Content::Counted { octets: count, left } => {
                    let used = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                    *left -= used as u64;
                    octets = octets.get(used..).unwrap_or_default();
                    if *left == 0 {
                        let (count, text) = (*count, format!("[body, {count} octets]"));
                        half.content = Content::Lines;
                        self.push(&mut lines, direction, text, count);
                    }
                }
                Content::Rest { octets: count } => {
                    *count += octets.len() as u64;
                    break;
                }
            }
        }
        lines
    }

    /// The connection ended: what was not yet said.
    pub fn finish(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        for direction in [Direction::ToServer, Direction::ToClient] {
            let half = match direction {
                Direction::ToServer => &mut self.client,
                Direction::ToClient => &mut self.server,
            };
            let (octets, what) = match half.content {
                Content::DotTerminated { octets, what, .. } => (octets, format!("{what} cut off after")),
                Content::Rest { octets } => (octets, "body,".to_owned()),
                Content::Counted { octets, left } => (octets - left, "body cut off after".to_owned()),
                Content::Lines if half.length > 0 => (half.length, "opaque,".to_owned()),
                Content::Lines => (half.partial.len() as u64, "unfinished line,".to_owned()),
            };
            if octets > 0 {
                lines.push(Line { direction, text: format!("[{what} {octets} octets]"), octets });
            }
        }
        if self.suppressed > 0 {
            lines.push(Line {
                direction: Direction::ToServer,
                text: format!("[{} further lines]", self.suppressed),
                octets: 0,
            });
        }
        lines
    }

    fn push(&mut self, lines: &mut Vec<Line>, direction: Direction, text: String, octets: u64) {
        if self.lines >= MOST_LINES {
            self.suppressed += 1;
            return;
        }
        self.lines += 1;
        lines.push(Line { direction, text, octets });
    }

    fn recognise(&mut self, direction: Direction, octets: &[u8]) {
        self.protocol = match direction {
            Direction::ToClient if octets.starts_with(b"+OK") || octets.starts_with(b"-ERR") => Protocol::Pop3,
            Direction::ToClient if octets.first().is_some_and(u8::is_ascii_digit) => Protocol::Smtp,
            Direction::ToServer if octets.first().is_some_and(u8::is_ascii_uppercase) => {
                let method = octets.split(|octet| *octet == b' ').next();
                match method {
                    Some(b"GET" | b"POST" | b"PUT" | b"DELETE" | b"HEAD") => Protocol::Http,
                    // A client that speaks before the greeting.
                    _ => Protocol::Smtp,
                }
            }
            _ => Protocol::Opaque,
        };
    }

    /// What to show of a complete line; moves the protocol's state on.
    fn line(&mut self, direction: Direction, line: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        match (self.protocol, direction) {
            (Protocol::Smtp, Direction::ToServer) => Some(self.smtp_command(text)),
            (Protocol::Smtp, Direction::ToClient) => {
                if self.data_said && text.starts_with("354") {
                    self.client.content = dot_terminated("mail data");
                }
                if !text.starts_with("250-") && !text.starts_with("334") {
                    self.auth = false;
                }
                self.data_said &= !text.starts_with(['2', '3', '4', '5']);
                Some(text.to_owned())
            }
            (Protocol::Pop3, Direction::ToServer) => Some(self.pop3_command(text)),
            (Protocol::Pop3, Direction::ToClient) => {
                if text.starts_with("+OK") || text.starts_with("-ERR") {
                    self.auth = false;
                    if let Some(what) = self.multi_line.take()
                        && text.starts_with("+OK")
                    {
                        self.server.content = dot_terminated(what);
                    }
                }
                Some(text.to_owned())
            }
            (Protocol::Http, _) => self.http_line(direction, text),
            _ => Some(text.to_owned()),
        }
    }

    fn smtp_command(&mut self, text: &str) -> String {
        let verb = text.split(' ').next().unwrap_or(text);
        if self.auth {
            return "[redacted]".to_owned();
        }
        if verb.eq_ignore_ascii_case("AUTH") {
            self.auth = true;
            let mechanism = text.split(' ').nth(1).unwrap_or_default();
            return format!("AUTH {mechanism} [redacted]");
        }
        self.data_said |= verb.eq_ignore_ascii_case("DATA");
        text.to_owned()
    }

    fn pop3_command(&mut self, text: &str) -> String {
        if self.auth {
            return "[redacted]".to_owned();
        }
        let mut words = text.split(' ');
        let verb = words.next().unwrap_or(text).to_ascii_uppercase();
        let argument = words.next();
        match verb.as_str() {
            "PASS" | "APOP" => return format!("{verb} [redacted]"),
            "AUTH" => {
                self.auth = true;
                return format!("AUTH {} [redacted]", argument.unwrap_or_default());
            }
            "RETR" => self.multi_line = Some("mail"),
            "TOP" => self.multi_line = Some("top of the mail"),
            "LIST" | "UIDL" if argument.is_none() => self.multi_line = Some("listing"),
            "CAPA" => self.multi_line = Some("capabilities"),
            _ => self.multi_line = None,
        }
        text.to_owned()
    }

    /// HTTP: the first line is shown, of the header only what matters, and the body is counted.
    fn http_line(&mut self, direction: Direction, text: &str) -> Option<String> {
        let half = match direction {
            Direction::ToServer => &mut self.client,
            Direction::ToClient => &mut self.server,
        };
        if text.is_empty() {
            // `length` carries the announced Content-Length while the header is read; u64::MAX says "until the end".
            let left = std::mem::take(&mut half.length);
            half.content = match left {
                0 => Content::Lines,
                u64::MAX => Content::Rest { octets: 0 },
                octets => Content::Counted { octets, left: octets },
            };
            return None;
        }
        let Some((name, value)) = text.split_once(':') else {
            return Some(text.to_owned());
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => half.length = value.trim().parse().unwrap_or(0),
            "transfer-encoding" => half.length = u64::MAX,
            "content-type" | "host" => return Some(text.to_owned()),
            "authorization" => return Some("Authorization: [redacted]".to_owned()),
            _ => {
                if !name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') {
                    return Some(text.to_owned());
                }
            }
        }
        None
    }
}

fn dot_terminated(what: &'static str) -> Content {
    Content::DotTerminated {
        octets: 0,
        // The line before the data ended with CRLF, so a lone dot may come at once.
        tail: *b"\0\0\0\r\n",
        what,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use Direction::{ToClient, ToServer};
    use proptest::prelude::*;

    fn play(dialogue: &[(Direction, &str)]) -> (Lane, Vec<String>) {
        let mut transcript = Transcript::new();
        let mut shown = Vec::new();
        for (direction, octets) in dialogue {
            shown.extend(transcript.feed(*direction, octets.as_bytes()));
        }
        shown.extend(transcript.finish());
        let shown = shown.into_iter().map(|line| {
            let arrow = if line.direction == ToServer { ">" } else { "<" };
            format!("{arrow} {}", line.text)
        });
        (transcript.lane(), shown.collect())
    }

    #[test]
    fn smtp_data_is_summed_up() {
        let (lane, shown) = play(&[
            (ToClient, "220 mail-a\r\n"),
            (ToServer, "EHLO ad"),
            (ToServer, "apter-a\r\n"),
            (ToClient, "250-mail-a\r\n250 SIZE 1000\r\n"),
            (ToServer, "DATA\r\n"),
            (ToClient, "354 go on\r\n"),
            (ToServer, "Subject: secret plan\r\n\r\nsecret body\r\n.\r"),
            (ToServer, "\nQUIT\r\n"),
            (ToClient, "250 2.0.0 taken\r\n221 bye\r\n"),
        ]);
        assert_eq!(lane, Lane::Smtp);
        assert_eq!(
            shown,
            [
                "< 220 mail-a",
                "> EHLO adapter-a",
                "< 250-mail-a",
                "< 250 SIZE 1000",
                "> DATA",
                "< 354 go on",
                "> [mail data, 40 octets]",
                "> QUIT",
                "< 250 2.0.0 taken",
                "< 221 bye",
            ]
        );
    }

    #[test]
    fn pop3_passwords_and_mails_stay_out() {
        let (lane, shown) = play(&[
            (ToClient, "+OK ready\r\n"),
            (ToServer, "USER hanako\r\n"),
            (ToClient, "+OK\r\n"),
            (ToServer, "pass hunter2\r\n"),
            (ToClient, "+OK one\r\n"),
            (ToServer, "RETR 1\r\n"),
            (ToClient, "+OK 20 octets\r\nSubject: secret\r\n\r\n.\r\n"),
            (ToServer, "AUTH PLAIN\r\n"),
            (ToClient, "+ \r\n"),
            (ToServer, "aHVudGVyMg==\r\n"),
            (ToClient, "+OK\r\n"),
            (ToServer, "DELE 1\r\n"),
        ]);
        assert_eq!(lane, Lane::Pop3);
        let all = shown.join("\n");
        for secret in ["hunter2", "aHVudGVyMg", "secret"] {
            assert!(!all.contains(secret), "{all}");
        }
        assert!(all.contains("< [mail, 22 octets]"), "{all}");
        assert!(all.contains("> DELE 1"), "{all}");
    }

    #[test]
    fn http_bodies_are_counted_and_the_next_request_is_seen() {
        let (lane, shown) = play(&[
            (ToServer, "POST /ocsp HTTP/1.1\r\nHost: ca\r\nContent-Length: 3\r\nX: y\r\n\r\nabcGET / HTTP/1.1\r\n\r\n"),
            (ToClient, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ]);
        assert_eq!(lane, Lane::Http);
        assert_eq!(
            shown,
            [
                "> POST /ocsp HTTP/1.1",
                "> Host: ca",
                "> [body, 3 octets]",
                "> GET / HTTP/1.1",
                "< HTTP/1.1 200 OK",
                "< [body, 2 octets]",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_octets_in_any_pieces_are_taken(
            pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..200)), 0..40)
        ) {
            let mut transcript = Transcript::new();
            for (to_server, octets) in pieces {
                transcript.feed(if to_server { ToServer } else { ToClient }, &octets);
            }
            transcript.finish();
            prop_assert!(transcript.client.partial.len() <= LONGEST_LINE);
        }

        #[test]
        fn a_password_never_shows_however_it_is_cut(password in "[a-z0-9]{8,20}", cut in 1usize..10) {
            let mut transcript = Transcript::new();
            let mut shown = transcript.feed(ToClient, b"+OK\r\n");
            let dialogue = format!("USER u\r\nPASS {password}\r\n");
            for piece in dialogue.as_bytes().chunks(cut) {
                shown.extend(transcript.feed(ToServer, piece));
            }
            prop_assert!(shown.iter().all(|line| !line.text.contains(&password)));
        }
    }
}
