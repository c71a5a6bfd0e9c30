//! Who asks, and what they may see: everybody their own transmissions, auditors all.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::Decode as _;
use sealfax_client::history::Personal;
use sealfax_client::lookup::addresses;
use sealfax_client::pop3_server::Password;
use x509_cert::Certificate;
use zeroize::Zeroizing;

use super::view::{Query, Transmission, is_party};
use crate::accounts::{Account, Accounts};
use crate::mail::{Credentials, Unknown};
use crate::pages::Session;
use crate::web::{Peer, Shown};

/// Failed log-ins that an account and an address may have in ten minutes.
const GUESSES: u32 = 10;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// Their mail address; for whoever reads without saying who they are, where they ask from.
    pub(super) name: String,
    /// Whether they may see everybody's.
    pub(super) auditor: bool,
}

impl Person {
    /// `query`, held to what they may see.
    pub(super) fn may(&self, query: Query) -> Query {
        if self.auditor { query } else { Query { own: Some(self.name.clone()), ..query } }
    }

    /// Whether they may see `transmission`.
    pub(super) fn sees(&self, transmission: &Transmission) -> bool {
        self.sees_between([transmission.sender(), transmission.recipient()])
    }

    /// Whether they may see who and what of a record.
    pub(super) fn sees_personal(&self, personal: &Personal) -> bool {
        self.sees_between([Some(&personal.sender), Some(&personal.recipient)])
    }

    /// Whether they may see what went on between these two, as far as they are known.
    pub(super) fn sees_between(&self, both: [Option<&str>; 2]) -> bool {
        self.auditor || both.into_iter().flatten().any(|address| is_party(&self.name, address))
    }
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stranger {
    /// They did not say who they are.
    Silent,
    /// Name or password is wrong; which, is not told.
    Wrong,
    /// Too many guesses.
    TooMany,
    /// Passwords are taken under TLS alone.
    InClear,
    /// It could not be found out.
    Trouble,
}

/// The desk where people say who they are.
#[derive(Debug)]
pub(super) struct People {
    credentials: Option<Credentials>,
    auditors: Vec<String>,
    everybody_reads: bool,
}

impl People {
    /// With the mail server's accounts, if it runs beside.
    pub(super) fn new(accounts: Option<Accounts>, auditors: Vec<String>, everybody_reads: bool) -> Self {
        let credentials = accounts.map(|accounts| Credentials::new(accounts, GUESSES));
        Self { credentials, auditors, everybody_reads }
    }

    /// Whether there are accounts to log in to.
    pub(super) fn has_accounts(&self) -> bool {
        self.credentials.is_some()
    }

    fn person(&self, address: String) -> Person {
        let auditor = self.auditors.iter().any(|auditor| is_party(auditor, &address));
        Person { name: address, auditor }
    }

    /// By the certificate that TLS verified: the first address in it.
    pub(super) fn by_certificate(&self, certificate: &[u8]) -> Option<Person> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let address = addresses(&certificate).into_iter().next()?;
        // Who was suspended here is nobody, whatever certificate they have.
        let suspended = self.credentials.as_ref().is_some_and(|known| known.suspends(&address));
        (!suspended).then(|| self.person(address))
    }

    /// By a session, as long as its account opens with the same password and is not suspended.
    pub(super) fn by_session(&self, session: &Session) -> Option<Person> {
        let account = self.account(&session.account).filter(|account| account.stamp() == session.stamp)?;
        Some(self.person(account.address))
    }

    /// An account that somebody may log in to.
    pub(super) fn account(&self, address: &str) -> Option<Account> {
        self.credentials.as_ref()?.standing(address)
    }

    /// By name and password, which only an account has.
    pub(super) async fn by_password(
        &self,
        user: &str,
        password: &Password,
        from: IpAddr,
        now: std::time::SystemTime,
    ) -> Result<Person, Stranger> {
        let credentials = self.credentials.as_ref().ok_or(Stranger::Wrong)?;
        match credentials.by_password(user, password, from, now).await {
            Ok(account) => Ok(self.person(account.address)),
            Err(Unknown::Wrong) => Err(Stranger::Wrong),
            Err(Unknown::TooMany) => Err(Stranger::TooMany),
            Err(Unknown::Trouble) => Err(Stranger::Trouble),
        }
    }

    /// Whoever sends one request of a program: by certificate, by `authorization` (RFC 7617), or as the configuration has it.
    pub(super) async fn of_request(
        &self,
        shown: &Shown,
        Peer(peer): Peer,
        authorization: Option<&str>,
        now: std::time::SystemTime,
    ) -> Result<Person, Stranger> {
        if let Some(person) = shown.certificate.as_deref().and_then(|certificate| self.by_certificate(certificate)) {
            return Ok(person);
        }
        if let Some(value) = authorization {
            if !shown.secured && !peer.ip().is_loopback() {
                return Err(Stranger::InClear);
            }
            let (user, password) = basic(value).ok_or(Stranger::Wrong)?;
            return self.by_password(&user, &password, peer.ip(), now).await;
        }
        if self.everybody_reads {
            return Ok(Person { name: peer.ip().to_string(), auditor: true });
        }
        Err(Stranger::Silent)
    }
}

/// Who may register what: a person's own card what that person sent, an adapter's certificate, which names no person, anything.
pub(super) fn may_register(certificate: &[u8], sender: &str) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else { return false };
    let people = addresses(&certificate);
    people.is_empty() || people.iter().any(|person| is_party(person, sender))
}

/// User and password of an Authorization field.
fn basic(value: &str) -> Option<(String, Password)> {
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let octets = Zeroizing::new(STANDARD.decode(token.trim()).ok()?);
    let colon = octets.iter().position(|octet| *octet == b':')?;
    let (user, password) = octets.split_at_checked(colon)?;
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some((user, Password::new(password.get(1..)?.to_vec())))
}
