//! One POP3 session from the server's side (RFC 1939), pure: octets in, actions out.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write as _;

use zeroize::{Zeroize as _, Zeroizing};

use super::{Limits, MessageInfo, Outcome, Password, Refusal};
use crate::sasl::{self, Credentials, Exchange, Mechanism};

/// What the I/O around the session has to do next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Send these octets.
    Send(Vec<u8>),
    /// Open the maildrop, then call [`Session::logged_in`].
    Login(Credentials),
    /// Begin TLS after what was sent, then call [`Session::secured`].
    StartTls,
    /// Fetch mail `index` (from 0), then call [`Session::retrieved`].
    Retrieve(usize),
    /// QUIT after a login: commit, then call [`Session::committed`].
    Commit(Outcome),
    /// Close the connection after what was sent.
    Close,
}

/// What the I/O around the session can do beyond the protocol's least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offers {
    /// TLS can be begun.
    pub stls: bool,
    /// TLS is there already.
    pub secured: bool,
    /// Passwords are taken without TLS as well.
    pub clear_passwords: bool,
    /// The client has shown a certificate.
    pub certificate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Authorization,
    Transaction,
    /// Nothing is read before TLS is there.
    Handshake,
    Closed,
}

/// The state of one session.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    offers: Offers,
    state: State,
    /// In the middle of AUTH.
    exchange: Option<Exchange>,
    user: Option<String>,
    messages: Vec<MessageInfo>,
    deleted: BTreeSet<usize>,
    retrieved: BTreeSet<usize>,
    /// Sent completely by RETR, but no command came after it yet.
    unconfirmed: Option<usize>,
    /// Body lines wanted of the mail being fetched; `None` means all of it.
    top: Option<usize>,
    input: Vec<u8>,
    skipping: bool,
    errors: usize,
    login_failures: usize,
    queue: VecDeque<Action>,
}

impl Session {
    /// A new session.
    pub fn new(limits: Limits, offers: Offers) -> Self {
        Self {
            limits,
            offers,
            exchange: None,
            state: State::Authorization,
            user: None,
            messages: Vec::new(),
            deleted: BTreeSet::new(),
            retrieved: BTreeSet::new(),
            unconfirmed: None,
            top: None,
            input: Vec::new(),
            skipping: false,
            errors: 0,
            login_failures: 0,
            queue: VecDeque::new(),
        }
    }

    /// TLS is there, and whether the client showed a certificate. All that was said before is void (RFC 2595, 4); what was
    /// read of it and not yet understood is dropped, and its length told.
    pub fn secured(&mut self, certificate: bool) -> usize {
        let dropped = std::mem::take(&mut self.input).len();
        (self.user, self.state) = (None, State::Authorization);
        self.offers = Offers { stls: false, secured: true, certificate, ..self.offers };
        dropped
    }

    /// The octets that open the session.
    pub fn greeting(&self) -> Vec<u8> {
        b"+OK Sealfax POP3 ready\r\n".to_vec()
    }

    /// What was done so far: for [`super::Maildrop::abandoned`].
    pub fn outcome(&self) -> Outcome {
        Outcome { deleted: self.deleted.iter().copied().collect(), retrieved: self.retrieved.iter().copied().collect() }
    }

    /// Takes octets in. The caller reads no more while [`Self::next_action`] yields actions, which bounds the input.
    pub fn receive(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
    }

    /// The next thing to do, or `None` when more octets are needed.
    pub fn next_action(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.queue.pop_front() {
                return Some(action);
            }
            match self.state {
                State::Closed => {
                    self.input.clear();
                    return None;
                }
                State::Handshake => return None,
                State::Authorization | State::Transaction => {}
            }
            let longest = if self.exchange.is_some() { sasl::LONGEST } else { self.limits.command_line };
            match self.input.iter().position(|&octet| octet == b'\n') {
                Some(end) => {
                    // A password may stand there: it stays nowhere.
                    let mut line: Zeroizing<Vec<u8>> = Vec::new().into();
                    line.extend_from_slice(self.input.get(..=end).unwrap_or_default());
                    self.input.get_mut(..=end).unwrap_or_default().zeroize();
                    self.input.drain(..=end);
                    let skipped = std::mem::take(&mut self.skipping);
                    if skipped || line.len() > longest {
                        self.exchange = None;
                        self.err("Line too long");
                    } else if let Some(mut exchange) = self.exchange.take() {
                        let text = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
                        let step = text.map_or(sasl::Step::Malformed, |text| exchange.answer(text));
                        self.proceed(exchange, step);
                    } else {
                        self.command(&line);
                    }
                }
                None => {
                    if self.input.len() > longest {
                        self.skipping = true;
                        self.input.clear();
                    }
                    return None;
                }
            }
        }
    }

    /// The door's word on the last [`Action::Login`].
    pub fn logged_in(&mut self, decision: Result<Vec<MessageInfo>, Refusal>) -> Vec<u8> {
        match decision {
            Ok(messages) => {
                self.state = State::Transaction;
                self.messages = messages;
                let octets = self.total();
                format!("+OK {} messages ({octets} octets)\r\n", self.messages.len()).into_bytes()
            }
            Err(refusal) => {
                self.user = None;
                self.login_failures += 1;
                if self.login_failures >= self.limits.login_failures {
                    self.queue.push_back(Action::Close);
                    self.state = State::Closed;
                }
                refused(&refusal)
            }
        }
    }

    /// The mail of the last [`Action::Retrieve`], as octets to send: byte-stuffed and ended with a dot.
    pub fn retrieved(&mut self, index: usize, mail: Result<Vec<u8>, Refusal>) -> Vec<u8> {
        match mail {
            Ok(mail) => {
                let top = self.top.take();
                if top.is_none() {
                    self.unconfirmed = Some(index);
                }
                multi_line(&mail, top)
            }
            Err(refusal) => refused(&refusal),
        }
    }

    /// The maildrop's word on the last [`Action::Commit`].
    pub fn committed(&mut self, decision: Result<(), Refusal>) -> Vec<u8> {
        match decision {
            Ok(()) => b"+OK Bye\r\n".to_vec(),
            Err(refusal) => refused(&refusal),
        }
    }

    fn ok(&mut self, text: &str) {
        self.queue.push_back(Action::Send(format!("+OK {text}\r\n").into_bytes()));
    }

    fn err(&mut self, text: &str) {
        self.queue.push_back(Action::Send(format!("-ERR {text}\r\n").into_bytes()));
        self.errors += 1;
        if self.errors >= self.limits.errors {
            self.queue.push_back(Action::Close);
            self.state = State::Closed;
        }
    }

    fn lines(&mut self, first: &str, lines: impl Iterator<Item = impl std::fmt::Display>) {
        let mut text = format!("+OK {first}\r\n").into_bytes();
        for line in lines {
            // A vector takes whatever is written.
            let _ = write!(text, "{line}\r\n");
        }
        text.extend_from_slice(b".\r\n");
        self.queue.push_back(Action::Send(text));
    }

    fn command(&mut self, line: &[u8]) {
        let bad = |octet: &u8| *octet < 0x20 || *octet == 0x7f;
        let Some(line) = line.strip_suffix(b"\r\n").filter(|line| !line.iter().any(bad)) else {
            return self.err("Not a command line");
        };
        // Whoever sends a further command has read the mail before it.
        if let Some(index) = self.unconfirmed.take() {
            self.retrieved.insert(index);
        }
        let (verb, argument) = match line.iter().position(|&octet| octet == b' ') {
            Some(space) => (line.get(..space).unwrap_or_default(), line.get(space + 1..).unwrap_or_default()),
            None => (line, &b""[..]),
        };
        let verb = String::from_utf8_lossy(verb).to_ascii_uppercase();
        match (self.state, verb.as_str()) {
            (_, "CAPA") => {
                let Offers { stls, certificate, .. } = self.offers;
                let always = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"];
                let mut capabilities = always.map(str::to_owned).to_vec();
                if self.takes_passwords() {
                    capabilities.push("USER".to_owned());
                    capabilities.push(format!("SASL PLAIN{}", if certificate { " EXTERNAL" } else { "" }));
                }
                if stls {
                    capabilities.push("STLS".to_owned());
                }
                self.lines("Capabilities", capabilities.into_iter());
            }
            (State::Authorization, "QUIT") => {
                self.ok("Bye");
                self.queue.push_back(Action::Close);
                self.state = State::Closed;
            }
            (State::Authorization, "STLS") if self.offers.stls => {
                self.ok("Begin TLS");
                self.queue.push_back(Action::StartTls);
                self.state = State::Handshake;
            }
            (State::Authorization, "USER" | "PASS" | "AUTH") if !self.takes_passwords() => self.err("STLS first"),
            (State::Authorization, "AUTH") => self.auth(argument),
            (State::Authorization, "USER") => match std::str::from_utf8(argument) {
                Ok(user) if !user.is_empty() => {
                    self.user = Some(user.to_owned());
                    // The same answer for everyone, so that names cannot be tried.
                    self.ok("Send PASS");
                }
                _ => self.err("USER needs a name"),
            },
            (State::Authorization, "PASS") => match self.user.clone() {
                Some(user) => {
                    let password = Password::new(argument.to_vec());
                    self.queue.push_back(Action::Login(Credentials::Password { user, password }));
                }
                None => self.err("USER first"),
            },
            (State::Transaction, "STAT") => {
                let count = self.messages.len() - self.deleted.len();
                let total = self.total();
                self.ok(&format!("{count} {total}"));
            }
            (State::Transaction, "LIST") => self.listing(argument, |info, text| drop(write!(text, "{}", info.size))),
            (State::Transaction, "UIDL") => {
                self.listing(argument, |info, text| text.extend_from_slice(info.uid.as_bytes()))
            }
            (State::Transaction, "RETR") => match self.number(argument) {
                Some(index) => {
                    self.top = None;
                    self.queue.push_back(Action::Retrieve(index));
                }
                None => self.err("No such message"),
            },
            (State::Transaction, "TOP") => {
                let mut words = argument.split(|&octet| octet == b' ');
                let index = words.next().and_then(|word| self.number(word));
                let lines = words.next().and_then(decimal);
                match (index, lines, words.next()) {
                    (Some(index), Some(lines), None) => {
                        self.top = Some(lines);
                        self.queue.push_back(Action::Retrieve(index));
                    }
                    _ => self.err("TOP needs a message and a number of lines"),
                }
            }
            (State::Transaction, "DELE") => match self.number(argument) {
                Some(index) => {
                    self.deleted.insert(index);
                    self.ok("Marked");
                }
                None => self.err("No such message"),
            },
            (State::Transaction, "NOOP") => self.ok("Well"),
            (State::Transaction, "RSET") => {
                self.deleted.clear();
                self.ok("Unmarked");
            }
            (State::Transaction, "QUIT") => {
                let outcome = self.outcome();
                self.queue.push_back(Action::Commit(outcome));
                self.queue.push_back(Action::Close);
                self.state = State::Closed;
            }
            (State::Authorization, _) => self.err("Log in first"),
            _ => self.err("Command not recognised"),
        }
    }

    fn takes_passwords(&self) -> bool {
        self.offers.secured || self.offers.clear_passwords
    }

    /// RFC 5034.
    fn auth(&mut self, argument: &[u8]) {
        let mut words = argument.split(|octet| *octet == b' ').map(|word| std::str::from_utf8(word).unwrap_or("?"));
        let mechanism = words.next().and_then(Mechanism::named);
        let (initial, more) = (words.next(), words.next().is_some());
        match mechanism {
            Some(Mechanism::External) if !self.offers.certificate => self.err("Mechanism not offered"),
            Some(mechanism @ (Mechanism::Plain | Mechanism::External)) if !more => {
                let (exchange, step) = Exchange::begin(mechanism, initial);
                self.proceed(exchange, step);
            }
            _ => self.err("Mechanism not offered"),
        }
    }

    fn proceed(&mut self, exchange: Exchange, step: sasl::Step) {
        match step {
            sasl::Step::Challenge(challenge) => {
                self.exchange = Some(exchange);
                self.queue.push_back(Action::Send(format!("+ {challenge}\r\n").into_bytes()));
            }
            sasl::Step::Done(credentials) => self.queue.push_back(Action::Login(credentials)),
            sasl::Step::Cancelled => self.err("Given up"),
            sasl::Step::Malformed => self.err("Not what the mechanism says"),
        }
    }

    /// LIST or UIDL, whose lines are a number and what `show` writes.
    fn listing(&mut self, argument: &[u8], show: impl Fn(&MessageInfo, &mut Vec<u8>)) {
        let line = |text: &mut Vec<u8>, index: usize, info: &MessageInfo| {
            // A vector takes whatever is written.
            let _ = write!(text, "{} ", index + 1);
            show(info, text);
            text.extend_from_slice(b"\r\n");
        };
        let text = if argument.is_empty() {
            let mut text = format!("+OK {} messages\r\n", self.messages.len() - self.deleted.len()).into_bytes();
            text.reserve(self.messages.len().saturating_mul(48));
            let left = self.messages.iter().enumerate().filter(|(index, _)| !self.deleted.contains(index));
            left.for_each(|(index, info)| line(&mut text, index, info));
            text.extend_from_slice(b".\r\n");
            text
        } else {
            let found = self.number(argument).and_then(|index| Some((index, self.messages.get(index)?)));
            let Some((index, info)) = found else { return self.err("No such message") };
            let mut text = b"+OK ".to_vec();
            line(&mut text, index, info);
            text
        };
        self.queue.push_back(Action::Send(text));
    }

    /// A message number as an index; none if out of range or marked as deleted.
    fn number(&self, word: &[u8]) -> Option<usize> {
        let index = decimal(word)?.checked_sub(1)?;
        (index < self.messages.len() && !self.deleted.contains(&index)).then_some(index)
    }

    fn total(&self) -> u64 {
        self.messages
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.deleted.contains(index))
            .map(|(_, info)| info.size)
            .sum()
    }
}

fn decimal(word: &[u8]) -> Option<usize> {
    if word.is_empty() || word.len() > 9 || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn refused(refusal: &Refusal) -> Vec<u8> {
    let text: String = refusal
        .text
        .chars()
        .map(|character| if character.is_ascii() && !character.is_ascii_control() { character } else { '?' })
        .take(400)
        .collect();
    match refusal.code {
        Some(code) => format!("-ERR [{}] {text}\r\n", code.as_str()).into_bytes(),
        None => format!("-ERR {text}\r\n").into_bytes(),
    }
}

/// A multi-line response (RFC 1939, section 3): lines that begin with a dot get another one.
fn multi_line(mail: &[u8], top: Option<usize>) -> Vec<u8> {
    let mut octets = Vec::with_capacity(mail.len() + mail.len() / 64 + 64);
    octets.extend_from_slice(format!("+OK {} octets\r\n", mail.len()).as_bytes());
    let mut rest = top.map_or(mail, |lines| beginning(mail, lines));
    if rest.first() == Some(&b'.') {
        octets.push(b'.');
    }
    while let Some(end) = memchr::memmem::find(rest, b"\n.") {
        let (lines, after) = rest.split_at(end + 1);
        octets.extend_from_slice(lines);
        octets.push(b'.');
        rest = after;
    }
    octets.extend_from_slice(rest);
    if !octets.ends_with(b"\r\n") {
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(b".\r\n");
    octets
}

/// The header, the empty line behind it, and as many lines of the body (RFC 1939, TOP).
fn beginning(mail: &[u8], lines: usize) -> &[u8] {
    let mut body_lines: Option<usize> = None;
    let mut begin = 0;
    for end in memchr::memchr_iter(b'\n', mail) {
        match body_lines {
            Some(seen) if seen >= lines => break,
            Some(seen) => body_lines = Some(seen + 1),
            None if matches!(mail.get(begin..=end), Some(b"\r\n" | b"\n")) => body_lines = Some(0),
            None => {}
        }
        begin = end + 1;
    }
    let all = body_lines.is_none_or(|seen| seen < lines);
    if all { mail } else { mail.get(..begin).unwrap_or_default() }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
