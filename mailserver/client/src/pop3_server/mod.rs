//! The serving half of POP3 (RFC 1939, CAPA of RFC 2449, response codes of RFC 3206, STLS of RFC 2595, AUTH of RFC 5034):
//! a pure session, and its I/O.
//!
//! [`Session`] knows the protocol, [`serve`] the sockets; a [`MailboxDoor`] lets people in and a [`Maildrop`] holds
//! their mails. Nothing is deleted before QUIT, and a session that breaks off deletes nothing.

mod serve;
mod session;

pub use serve::serve;
pub use session::{Action, Offers, Session};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

/// A password as it came over the wire; wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes the octets over.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets, for comparing.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The response code in a `-ERR` (RFC 2449, 8; RFC 3206).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseCode {
    /// Another session has the mailbox open.
    InUse,
    /// Too many attempts: try again later.
    LoginDelay,
    /// Wrong name or password.
    Auth,
    /// Something that may pass.
    SysTemp,
    /// Something an administrator has to mend.
    SysPerm,
}

impl ResponseCode {
    /// As it stands between the brackets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::Auth => "AUTH",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
        }
    }
}

/// Why something was refused: the text after `-ERR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Machine-readable reason, if one fits.
    pub code: Option<ResponseCode>,
    /// One line for a person.
    pub text: String,
}

impl Refusal {
    /// A refusal with its response code.
    pub fn new(code: ResponseCode, text: impl Into<String>) -> Self {
        Self { code: Some(code), text: text.into() }
    }
}

/// One mail in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo {
    /// Its size in octets, as RETR will send it without byte-stuffing.
    pub size: u64,
    /// Its unique-id: 1 to 70 characters from `!` to `~`, the same in every session.
    pub uid: Arc<str>,
}

/// What a session did, told at QUIT. Indices count from 0 into [`Maildrop::messages`], ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Mails marked by DELE.
    pub deleted: Vec<usize>,
    /// Mails retrieved completely: all octets written, and a further command came after them.
    pub retrieved: Vec<usize>,
}

/// Lets people in.
#[async_trait]
pub trait MailboxDoor: Send + Sync {
    /// Opens the maildrop of `user`, locked for this session until the box is dropped. May take long.
    async fn login(&self, peer: SocketAddr, user: &str, password: &Password) -> Result<Box<dyn Maildrop>, Refusal>;

    /// Opens the maildrop that the holder of this certificate, verified by TLS, may open; by name, if it is for several.
    async fn login_by_certificate(
        &self,
        peer: SocketAddr,
        certificate: &[u8],
        user: Option<&str>,
    ) -> Result<Box<dyn Maildrop>, Refusal> {
        let _ = (peer, certificate, user);
        Err(Refusal::new(ResponseCode::Auth, "Nobody is known by certificate here"))
    }

    /// Whether a password may be said before TLS is there.
    fn takes_clear_passwords(&self) -> bool {
        true
    }
}

/// One opened maildrop. Dropping it releases its lock.
#[async_trait]
pub trait Maildrop: Send {
    /// The mails, fixed for the session.
    fn messages(&self) -> &[MessageInfo];

    /// The octets of mail `index` (from 0), with CRLF line ends.
    async fn retrieve(&mut self, index: usize) -> Result<Vec<u8>, Refusal>;

    /// The mail `index`, which was retrieved, is of no use to who asked for it, with the code of why. POP3 knows no way to say
    /// that; who comes by another way does.
    fn unusable(&mut self, index: usize, code: &'static str) {
        let _ = (index, code);
    }

    /// QUIT: the only point where anything is deleted.
    async fn commit(self: Box<Self>, outcome: Outcome) -> Result<(), Refusal>;

    /// The peer vanished without QUIT, after completely retrieving what `outcome.retrieved` lists; nothing is to be
    /// deleted (RFC 1939, section 6).
    async fn abandoned(self: Box<Self>, outcome: Outcome) {
        drop(outcome);
    }
}

/// Bounds of every session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest command line in octets with its CRLF (255 by RFC 2449).
    pub command_line: usize,
    /// Refused commands after which the session is closed.
    pub errors: usize,
    /// Refused logins after which the session is closed.
    pub login_failures: usize,
    /// How long a refused login waits for its reply.
    pub login_failure_delay: Duration,
    /// Longest wait for a command (RFC 1939 wants at least 10 minutes).
    pub idle: Duration,
    /// Longest wait for [`MailboxDoor::login`].
    pub login: Duration,
    /// Longest session.
    pub session: Duration,
    /// Most sessions at once.
    pub sessions: usize,
    /// Most sessions at once from one address.
    pub sessions_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 255,
            errors: 20,
            login_failures: 3,
            login_failure_delay: Duration::from_secs(1),
            idle: Duration::from_secs(600),
            login: Duration::from_secs(600),
            session: Duration::from_secs(3600),
            sessions: 500,
            sessions_per_address: 50,
        }
    }
}
