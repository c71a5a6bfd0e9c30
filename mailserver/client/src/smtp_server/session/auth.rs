//! STARTTLS and AUTH in a session (RFC 3207, RFC 4954).

use smtp_proto::{AUTH_EXTERNAL, AUTH_LOGIN, AUTH_PLAIN};

use super::{Action, Mode, Session};
use crate::sasl::{self, Exchange, Mechanism};
use crate::smtp_server::Reply;

impl Session {
    pub(super) fn start_tls(&mut self) {
        if !self.offers.starttls {
            let why = if self.offers.secured { "TLS is there already" } else { "TLS is not offered" };
            return self.fail(Reply::new(if self.offers.secured { 503 } else { 502 }, "5.5.1", why));
        }
        self.say(Reply::new(220, "2.0.0", "Ready to start TLS"));
        self.queue.push_back(Action::StartTls);
        self.mode = Mode::Handshake;
    }

    pub(super) fn auth(&mut self, mechanism: u64, initial: &str) {
        if !self.offers.auth {
            return self.fail(Reply::new(502, "5.5.1", "Command not offered"));
        }
        if !self.offers.secured {
            return self.fail(Reply::new(538, "5.7.11", "Begin TLS first"));
        }
        if self.hello.is_none() || self.identified || self.envelope.is_some() {
            return self.fail(Reply::new(503, "5.5.1", "Not now"));
        }
        let mechanism = match mechanism {
            AUTH_PLAIN => Mechanism::Plain,
            AUTH_LOGIN => Mechanism::Login,
            AUTH_EXTERNAL if self.offers.certificate => Mechanism::External,
            _ => return self.fail(Reply::new(504, "5.5.4", "Mechanism not offered")),
        };
        let (exchange, step) = Exchange::begin(mechanism, Some(initial));
        self.mode = Mode::Auth(exchange);
        self.proceed(step);
    }

    /// The next line of an exchange.
    pub(super) fn answer(&mut self, line: &[u8]) {
        let text = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
        let step = match (&mut self.mode, text) {
            (Mode::Auth(exchange), Some(text)) => exchange.answer(text),
            _ => sasl::Step::Malformed,
        };
        self.proceed(step);
    }

    pub(super) fn proceed(&mut self, step: sasl::Step) {
        if let sasl::Step::Challenge(challenge) = step {
            return self.say(Reply::plain(334, challenge));
        }
        self.mode = Mode::Commands;
        match step {
            sasl::Step::Done(credentials) => self.queue.push_back(Action::Authenticate(credentials)),
            sasl::Step::Cancelled => self.fail(Reply::new(501, "5.7.0", "Given up")),
            _ => self.fail(Reply::new(501, "5.5.2", "Not what the mechanism says")),
        }
    }
}
