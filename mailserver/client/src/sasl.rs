//! Authentication from the server's side (RFC 4422), as SMTP (RFC 4954) and POP3 (RFC 5034) frame it: PLAIN (RFC 4616),
//! LOGIN, and EXTERNAL for a certificate that TLS has verified. Pure: lines in, challenges and credentials out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::pop3_server::Password;

/// How somebody proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Name and password in one message.
    Plain,
    /// Name and password one after the other.
    Login,
    /// The certificate of the TLS session.
    External,
}

impl Mechanism {
    /// By its registered name, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Plain, Self::Login, Self::External].into_iter().find(|one| one.name().eq_ignore_ascii_case(name))
    }

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::External => "EXTERNAL",
        }
    }
}

/// What somebody says of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and the password that belongs to it.
    Password {
        /// The account.
        user: String,
        /// Its password.
        password: Password,
    },
    /// Whoever the certificate of the TLS session is for; by name, if it is for several.
    Certificate {
        /// The account, if named.
        user: Option<String>,
    },
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this challenge, in base64 already, and wait for a line.
    Challenge(&'static str),
    /// That was all.
    Done(Credentials),
    /// The client gave up.
    Cancelled,
    /// Not what the mechanism says.
    Malformed,
}

/// One exchange.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    user: Option<String>,
}

/// Longest line of an exchange that is taken, in octets.
pub const LONGEST: usize = 1024;

impl Exchange {
    /// Begins with what came beside the mechanism's name, if anything did; `=` is an empty response.
    pub fn begin(mechanism: Mechanism, initial: Option<&str>) -> (Self, Step) {
        let mut exchange = Self { mechanism, user: None };
        let step = match initial.filter(|initial| !initial.is_empty()) {
            Some("=") => exchange.response(&[]),
            Some(initial) => exchange.answer(initial),
            None => match mechanism {
                // "Username:", as the clients that know LOGIN expect it.
                Mechanism::Login => Step::Challenge("VXNlcm5hbWU6"),
                Mechanism::Plain | Mechanism::External => Step::Challenge(""),
            },
        };
        (exchange, step)
    }

    /// The client's next line, without its end.
    pub fn answer(&mut self, line: &str) -> Step {
        if line == "*" {
            return Step::Cancelled;
        }
        if line.len() > LONGEST {
            return Step::Malformed;
        }
        match STANDARD.decode(line) {
            Ok(octets) => self.response(&Zeroizing::new(octets)),
            Err(_) => Step::Malformed,
        }
    }

    fn response(&mut self, octets: &[u8]) -> Step {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).ok();
        match self.mechanism {
            Mechanism::Plain => {
                let mut parts = octets.split(|octet| *octet == 0);
                let (authorised, user, password) = (parts.next(), parts.next(), parts.next());
                let (Some(authorised), Some(user), Some(password), None) = (authorised, user, password, parts.next())
                else {
                    return Step::Malformed;
                };
                // Nobody acts for anybody else here.
                match text(user).filter(|user| !user.is_empty()) {
                    Some(name) if authorised.is_empty() || authorised == user => {
                        Step::Done(Credentials::Password { user: name, password: Password::new(password.to_vec()) })
                    }
                    _ => Step::Malformed,
                }
            }
            Mechanism::Login => match (self.user.take(), text(octets)) {
                (Some(user), _) => Step::Done(Credentials::Password { user, password: Password::new(octets.to_vec()) }),
                (None, Some(user)) if !user.is_empty() => {
                    self.user = Some(user);
                    Step::Challenge("UGFzc3dvcmQ6")
                }
                _ => Step::Malformed,
            },
            Mechanism::External => match text(octets) {
                Some(user) => Step::Done(Credentials::Certificate { user: Some(user).filter(|user| !user.is_empty()) }),
                None => Step::Malformed,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn password(user: &str, password: &str) -> Step {
        let password = Password::new(password.as_bytes().to_vec());
        Step::Done(Credentials::Password { user: user.to_owned(), password })
    }

    /// RFC 4616, section 4.
    #[test]
    fn the_examples_of_plain() {
        let begin = |line: &str| Exchange::begin(Mechanism::Plain, Some(&STANDARD.encode(line))).1;
        assert_eq!(begin("\0tim\0tanstaaftanstaaf"), password("tim", "tanstaaftanstaaf"));
        assert_eq!(begin("Ursel\0Kurt\0xipj3plmq"), Step::Malformed);
        assert_eq!(begin("tim\0tim\0x"), password("tim", "x"));
        for wrong in ["tim", "\0tim", "\0tim\0x\0y", "\0\0x"] {
            assert_eq!(begin(wrong), Step::Malformed, "{wrong:?}");
        }
    }

    #[test]
    fn plain_without_an_initial_response() {
        let (mut exchange, step) = Exchange::begin(Mechanism::Plain, None);
        assert_eq!(step, Step::Challenge(""));
        assert_eq!(exchange.answer(&STANDARD.encode("\0tim\0x")), password("tim", "x"));
    }

    #[test]
    fn login_asks_twice() {
        let (mut exchange, step) = Exchange::begin(Mechanism::Login, None);
        assert_eq!(step, Step::Challenge("VXNlcm5hbWU6"));
        assert_eq!(exchange.answer(&STANDARD.encode("tim")), Step::Challenge("UGFzc3dvcmQ6"));
        assert_eq!(exchange.answer(&STANDARD.encode("x")), password("tim", "x"));
        let (mut exchange, step) = Exchange::begin(Mechanism::Login, Some(&STANDARD.encode("tim")));
        assert_eq!(step, Step::Challenge("UGFzc3dvcmQ6"));
        assert_eq!(exchange.answer("*"), Step::Cancelled);
    }

    #[test]
    fn external_names_whom_the_certificate_is_for_or_nobody() {
        let begin = |initial: Option<&str>| Exchange::begin(Mechanism::External, initial).1;
        assert_eq!(begin(Some("=")), Step::Done(Credentials::Certificate { user: None }));
        let named = Credentials::Certificate { user: Some("a@b".to_owned()) };
        assert_eq!(begin(Some(&STANDARD.encode("a@b"))), Step::Done(named));
        assert_eq!(begin(None), Step::Challenge(""));
    }

    proptest! {
        #[test]
        fn no_line_is_too_much(mechanism in 0usize..3, lines in prop::collection::vec(".{0,60}", 1..4)) {
            let mechanism = [Mechanism::Plain, Mechanism::Login, Mechanism::External][mechanism];
            let (mut exchange, _) = Exchange::begin(mechanism, None);
            for line in lines {
                let _ = exchange.answer(&line);
                let _ = exchange.answer(&STANDARD.encode(&line));
            }
        }
    }
}
