//! One SMTP session from the server's side (RFC 5321, section 4), pure: octets in, actions out.
//!
//! Extensions: SIZE (RFC 1870), PIPELINING (2920), 8BITMIME (6152), ENHANCEDSTATUSCODES (2034), STARTTLS (3207), AUTH
//! (4954), CHUNKING (3030), DSN (3461), SMTPUTF8 (6531).

mod auth;
mod content;

use std::collections::BTreeMap;

use smtp_proto::{
    Error as Grammar, MAIL_BODY_8BITMIME, MAIL_BODY_BINARYMIME, MAIL_RET_FULL, MAIL_RET_HDRS, MAIL_SMTPUTF8,
    RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS, Request,
};

use zeroize::{Zeroize as _, Zeroizing};

use super::{
    DataProgress, DataReceiver, Dsn, Envelope, Limits, Notify, RecipientDsn, Reply, Return, ReversePath, valid_address,
    valid_international_address,
};
use crate::sasl::{Credentials, Exchange};

/// What the I/O around the session has to do next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Send this.
    Reply(Reply),
    /// Something refused that an administrator should see; a stable code and one line.
    Refused(&'static str, String),
    /// Ask whether this reverse path may start a transaction, then call [`Session::mail_from_decided`].
    MailFrom(ReversePath),
    /// Ask whether this recipient may be added, then call [`Session::rcpt_to_decided`].
    RcptTo(String),
    /// Hand the mail over, then send the receiver's reply.
    Message(Envelope, Vec<u8>),
    /// Begin TLS after what was sent, then call [`Session::secured`].
    StartTls,
    /// Ask who this is, then call [`Session::authenticated`].
    Authenticate(Credentials),
    /// Close the connection after what was sent.
    Close,
}

/// What the I/O around the session can do beyond the protocol's least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offers {
    /// TLS can be begun.
    pub starttls: bool,
    /// TLS is there already.
    pub secured: bool,
    /// There are accounts to authenticate as.
    pub auth: bool,
    /// The client has shown a certificate.
    pub certificate: bool,
}

#[derive(Debug)]
enum Mode {
    Commands,
    Data(DataReceiver),
    /// In a chunk of this many further octets; of the transaction, unless it was refused.
    Chunk {
        left: usize,
        last: bool,
        refused: Option<Reply>,
    },
    /// A line was too long: everything up to its end is skipped.
    Skipping,
    /// In the middle of AUTH.
    Auth(Exchange),
    /// Nothing is read before TLS is there.
    Handshake,
    Closed,
}

/// The state of one session.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    host: String,
    offers: Offers,
    identified: bool,
    hello: Option<String>,
    extended: bool,
    envelope: Option<Envelope>,
    /// What came in chunks so far.
    chunks: Option<DataReceiver>,
    pending: Envelope,
    /// What the last RCPT wants to hear.
    wishes: Option<RecipientDsn>,
    input: Vec<u8>,
    /// How much of `input` is used up.
    used: usize,
    mode: Mode,
    errors: usize,
    queue: std::collections::VecDeque<Action>,
}

impl Session {
    /// A new session of the server called `host`.
    pub fn new(limits: Limits, host: &str, offers: Offers) -> Self {
        Self {
            limits,
            host: host.to_owned(),
            offers,
            identified: false,
            hello: None,
            extended: false,
            envelope: None,
            chunks: None,
            pending: Envelope::default(),
            wishes: None,
            input: Vec::new(),
            used: 0,
            mode: Mode::Commands,
            errors: 0,
            queue: Default::default(),
        }
    }

    /// TLS is there, and whether the client showed a certificate. All that was said before is void (RFC 3207, 4.2); what
    /// was read of it and not yet understood is dropped, and its length told.
    pub fn secured(&mut self, certificate: bool) -> usize {
        let dropped = self.input.len().saturating_sub(self.used);
        self.input.clear();
        self.used = 0;
        (self.hello, self.extended, self.envelope, self.identified) = (None, false, None, false);
        self.chunks = None;
        self.offers = Offers { starttls: false, secured: true, certificate, ..self.offers };
        self.mode = Mode::Commands;
        dropped
    }

    /// The receiver's word on the last [`Action::Authenticate`].
    pub fn authenticated(&mut self, decision: Result<(), Reply>) -> Reply {
        match decision {
            Ok(()) => {
                self.identified = true;
                Reply::new(235, "2.7.0", "Authentication succeeded")
            }
            Err(reply) => self.count(reply),
        }
    }

    /// The reply that opens the session.
    pub fn greeting(&self) -> Reply {
        Reply::plain(220, format!("{} ESMTP Sealfax", self.host))
    }

    /// What the peer said in EHLO or HELO, and whether it was EHLO.
    pub fn hello(&self) -> (&str, bool) {
        (self.hello.as_deref().unwrap_or(""), self.extended)
    }

    /// The transaction so far.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
    }

    /// Whether the session is inside DATA (whose octets are taken without a line being complete).
    pub fn receiving_data(&self) -> bool {
        matches!(self.mode, Mode::Data(_) | Mode::Chunk { .. })
    }

    /// Takes octets in. The caller reads no more while [`Self::next_action`] still yields actions, which bounds the input.
    pub fn receive(&mut self, octets: &[u8]) {
        if self.used > 0 {
            self.input.drain(..self.used.min(self.input.len()));
            self.used = 0;
        }
        let mut octets = octets;
        // What is known to be of a mail need not be kept in between.
        if let (Mode::Data(receiver), true) = (&mut self.mode, self.input.is_empty()) {
            match receiver.receive(octets) {
                DataProgress::Wanting => return,
                DataProgress::Complete(count) => {
                    octets = octets.get(count..).unwrap_or_default();
                    self.data_complete();
                }
            }
        }
        self.input.extend_from_slice(octets);
    }

    /// The next thing to do, or `None` when more octets are needed.
    pub fn next_action(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.queue.pop_front() {
                return Some(action);
            }
            if let Mode::Chunk { left: 0, last, .. } = self.mode {
                self.chunk_complete(last);
                continue;
            }
            let rest = self.input.get(self.used..).unwrap_or_default();
            if rest.is_empty() {
                return None;
            }
            match &mut self.mode {
                Mode::Closed => {
                    self.used = self.input.len();
                    return None;
                }
                Mode::Data(receiver) => match receiver.receive(rest) {
                    DataProgress::Wanting => self.used = self.input.len(),
                    DataProgress::Complete(count) => {
                        self.used += count;
                        self.data_complete();
                    }
                },
                Mode::Chunk { left, refused, .. } => {
                    let count = rest.len().min(*left);
                    *left -= count;
                    if let (Some(chunks), None) = (&mut self.chunks, refused) {
                        let _ = chunks.receive(rest.get(..count).unwrap_or_default());
                    }
                    self.used += count;
                }
                Mode::Skipping => match rest.iter().position(|&octet| octet == b'\n') {
                    Some(end) => {
                        self.used += end + 1;
                        self.mode = Mode::Commands;
                        self.refuse(Reply::new(500, "5.5.6", "Line too long"), "SMTP-LINE", "command line too long");
                    }
                    None => self.used = self.input.len(),
                },
                Mode::Handshake => return None,
                Mode::Commands | Mode::Auth(_) => match rest.iter().position(|&octet| octet == b'\n') {
                    Some(end) if end < self.limits.command_line => {
                        let line = Zeroizing::new(rest.get(..=end).unwrap_or_default().to_vec());
                        if let Mode::Auth(_) = self.mode {
                            // A password may stand there: it stays nowhere.
                            let place = self.used..self.used + end;
                            self.input.get_mut(place).unwrap_or_default().zeroize();
                            self.used += end + 1;
                            self.answer(&line);
                        } else {
                            self.used += end + 1;
                            self.command(&line);
                        }
                    }
                    None if rest.len() < self.limits.command_line => return None,
                    _ => self.mode = Mode::Skipping,
                },
            }
        }
    }

    /// The receiver's word on the last [`Action::MailFrom`].
    pub fn mail_from_decided(&mut self, decision: Result<(), Reply>) -> Reply {
        match decision {
            Ok(()) => {
                self.envelope = Some(std::mem::take(&mut self.pending));
                Reply::new(250, "2.1.0", "Sender accepted")
            }
            Err(reply) => self.count(reply),
        }
    }

    /// The receiver's word on the last [`Action::RcptTo`].
    pub fn rcpt_to_decided(&mut self, forward_path: String, decision: Result<(), Reply>) -> Reply {
        match (decision, &mut self.envelope) {
            (Ok(()), Some(envelope)) => {
                // A recipient named twice gets one copy.
                if let Some(wishes) = self.wishes.take() {
                    envelope.dsn.recipients.insert(forward_path.clone(), wishes);
                }
                if !envelope.forward_paths.contains(&forward_path) {
                    envelope.forward_paths.push(forward_path);
                }
                Reply::new(250, "2.1.5", "Recipient accepted")
            }
            (Ok(()), None) => Reply::new(503, "5.5.1", "MAIL first"),
            (Err(reply), _) => self.count(reply),
        }
    }

    fn count(&mut self, reply: Reply) -> Reply {
        if !reply.is_positive() {
            self.errors += 1;
            if self.errors >= self.limits.errors {
                self.too_many_errors();
            }
        }
        reply
    }

    fn too_many_errors(&mut self) {
        self.queue.push_back(Action::Refused("SMTP-ERRORS", "too many refused commands".to_owned()));
        self.queue.push_back(Action::Reply(Reply::new(421, "4.7.0", "Too many errors, closing")));
        self.queue.push_back(Action::Close);
        self.mode = Mode::Closed;
    }

    fn say(&mut self, reply: Reply) {
        self.queue.push_back(Action::Reply(reply));
    }

    fn fail(&mut self, reply: Reply) {
        self.say(reply.clone());
        self.count(reply);
    }

    fn refuse(&mut self, reply: Reply, code: &'static str, why: &str) {
        self.queue.push_back(Action::Refused(code, why.to_owned()));
        self.fail(reply);
    }

    fn command(&mut self, line: &[u8]) {
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return self.refuse(
                Reply::new(500, "5.5.2", "Lines end with CRLF"),
                "SMTP-BARE",
                "command line with a lone LF",
            );
        };
        if text.iter().any(|&octet| octet < 0x20 && octet != b'\t' || octet == 0x7f) {
            return self.refuse(
                Reply::new(500, "5.5.2", "Control characters are not allowed"),
                "SMTP-BARE",
                "control characters in a command line",
            );
        }
        match Request::parse(&mut line.iter()) {
            Ok(request) => self.request(request.into_owned()),
            Err(error) => self.fail(grammar_reply(&error)),
        }
    }

    fn request(&mut self, request: Request<String>) {
        match request {
            Request::Ehlo { host } => self.greet(host, true),
            Request::Helo { host } => self.greet(host, false),
            Request::Mail { from } => {
                if self.hello.is_none() {
                    return self.fail(Reply::new(503, "5.5.1", "EHLO first"));
                }
                if self.envelope.is_some() {
                    return self.fail(Reply::new(503, "5.5.1", "One transaction at a time"));
                }
                let utf8 = from.flags & MAIL_SMTPUTF8 != 0;
                if !from.address.is_empty()
                    && let Err(reply) = allowed(&from.address, utf8, "5.1.7", "Sender")
                {
                    return self.fail(reply);
                }
                if from.flags & MAIL_BODY_BINARYMIME != 0 {
                    return self.fail(Reply::new(555, "5.5.4", "BINARYMIME is not offered"));
                }
                if from.size > self.limits.message {
                    return self.fail(Reply::new(552, "5.3.4", "Message too large"));
                }
                let reverse_path = ReversePath::new(&from.address);
                self.pending = Envelope {
                    reverse_path: reverse_path.clone(),
                    forward_paths: Vec::new(),
                    eight_bit: from.flags & MAIL_BODY_8BITMIME != 0,
                    utf8,
                    dsn: Dsn {
                        ret: match from.flags & (MAIL_RET_FULL | MAIL_RET_HDRS) {
                            0 => None,
                            MAIL_RET_FULL => Some(Return::Full),
                            _ => Some(Return::Headers),
                        },
                        envid: from.env_id.filter(|id| id.len() <= 100),
                        recipients: BTreeMap::new(),
                    },
                };
                self.queue.push_back(Action::MailFrom(reverse_path));
            }
            Request::Rcpt { .. } if self.chunks.is_some() => {
                self.fail(Reply::new(503, "5.5.1", "BDAT goes on with BDAT"));
            }
            Request::Rcpt { to } => {
                let Some(envelope) = &self.envelope else {
                    return self.fail(Reply::new(503, "5.5.1", "MAIL first"));
                };
                if envelope.forward_paths.len() >= self.limits.recipients {
                    return self.fail(Reply::new(452, "4.5.3", "Too many recipients"));
                }
                // The grammar yields an empty address for `<postmaster>`, which every host must accept.
                let address = if to.address.is_empty() { format!("postmaster@{}", self.host) } else { to.address };
                if let Err(reply) = allowed(&address, envelope.utf8, "5.1.3", "Recipient") {
                    return self.fail(reply);
                }
                self.wishes = wishes(to.flags, to.orcpt);
                self.queue.push_back(Action::RcptTo(address));
            }
            Request::StartTls => self.start_tls(),
            Request::Auth { mechanism, initial_response } => self.auth(mechanism, &initial_response),
            Request::Bdat { chunk_size, is_last } => self.chunk(chunk_size, is_last),
            Request::Data if self.chunks.is_some() => self.fail(Reply::new(503, "5.5.1", "BDAT goes on with BDAT")),
            Request::Data => match &self.envelope {
                None => self.fail(Reply::new(503, "5.5.1", "MAIL first")),
                Some(envelope) if envelope.forward_paths.is_empty() => {
                    self.fail(Reply::new(554, "5.5.1", "No valid recipients"))
                }
                Some(_) => {
                    self.mode = Mode::Data(DataReceiver::new(self.limits.message, self.limits.text_line));
                    self.say(Reply::plain(354, "Start mail input; end with <CRLF>.<CRLF>"));
                }
            },
            Request::Rset => {
                (self.envelope, self.chunks) = (None, None);
                self.say(Reply::new(250, "2.0.0", "Reset"));
            }
            Request::Noop { .. } => self.say(Reply::new(250, "2.0.0", "Well")),
            Request::Vrfy { .. } => self.say(Reply::new(252, "2.5.2", "Try RCPT")),
            Request::Help { .. } => self.say(Reply::new(
                214,
                "2.0.0",
                "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT",
            )),
            Request::Quit => {
                self.say(Reply::new(221, "2.0.0", "Closing"));
                self.queue.push_back(Action::Close);
                self.mode = Mode::Closed;
            }
            _ => self.fail(Reply::new(502, "5.5.1", "Command not offered")),
        }
    }

    fn greet(&mut self, host: String, extended: bool) {
        let good = host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-_:[]".contains(&octet));
        if !good || host.is_empty() || host.len() > 255 {
            return self.fail(Reply::new(501, "5.5.4", "Not a host name"));
        }
        (self.envelope, self.chunks) = (None, None);
        self.extended = extended;
        self.hello = Some(host);
        let mut reply = Reply::plain(250, self.host.clone());
        if extended {
            reply.lines.push("PIPELINING".to_owned());
            reply.lines.push(format!("SIZE {}", self.limits.message));
            reply.lines.push("8BITMIME".to_owned());
            reply.lines.push("ENHANCEDSTATUSCODES".to_owned());
            reply.lines.push("CHUNKING".to_owned());
            reply.lines.push("DSN".to_owned());
            reply.lines.push("SMTPUTF8".to_owned());
            if self.offers.starttls {
                reply.lines.push("STARTTLS".to_owned());
            }
            if self.offers.auth && self.offers.secured {
                let external = if self.offers.certificate { " EXTERNAL" } else { "" };
                reply.lines.push(format!("AUTH PLAIN LOGIN{external}"));
            }
            reply.lines.push("HELP".to_owned());
        }
        self.say(reply);
    }
}

/// Whether an address may be used in a transaction, with `SMTPUTF8` or without; an `Err` is the reply (RFC 6531, 3.5).
fn allowed(address: &str, utf8: bool, status: &'static str, whose: &str) -> Result<(), Reply> {
    match (valid_address(address), valid_international_address(address)) {
        (true, _) => Ok(()),
        (false, true) if utf8 => Ok(()),
        (false, true) => Err(Reply::new(553, "5.6.7", "Beyond ASCII only with SMTPUTF8")),
        (false, false) => Err(Reply::new(553, status, format!("{whose} address not allowed"))),
    }
}

/// NOTIFY and ORCPT of a RCPT, if either was said.
fn wishes(flags: u64, orcpt: Option<String>) -> Option<RecipientDsn> {
    let said = |flag| flags & flag != 0;
    let (success, failure, delay) = (said(RCPT_NOTIFY_SUCCESS), said(RCPT_NOTIFY_FAILURE), said(RCPT_NOTIFY_DELAY));
    let notify = (success || failure || delay || said(RCPT_NOTIFY_NEVER)).then_some(Notify { success, failure, delay });
    let orcpt = orcpt.filter(|address| address.len() <= 500);
    (notify.is_some() || orcpt.is_some()).then_some(RecipientDsn { notify, orcpt })
}

fn grammar_reply(error: &Grammar) -> Reply {
    match error {
        Grammar::InvalidSenderAddress => Reply::new(501, "5.1.7", "Bad sender address"),
        Grammar::InvalidRecipientAddress => Reply::new(501, "5.1.3", "Bad recipient address"),
        Grammar::SyntaxError { syntax } => Reply::new(501, "5.5.4", format!("Syntax: {syntax}")),
        Grammar::InvalidParameter { param } => Reply::new(501, "5.5.4", format!("Bad parameter {param}")),
        Grammar::UnsupportedParameter { .. } => Reply::new(555, "5.5.4", "Parameter not offered"),
        _ => Reply::new(500, "5.5.1", "Command not recognised"),
    }
}

#[cfg(test)]
mod tests;
