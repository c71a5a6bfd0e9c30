//! The receiving half of SMTP (RFC 5321): a pure session, and the thin I/O that serves it on a listener.
//!
//! [`Session`] knows the protocol and its bounds, [`serve`] the sockets and timers, a [`Receiver`] decides who may
//! send what to whom and takes responsibility for the mail: its reply to [`Receiver::message`] is the reply to DATA.

mod bounds;
mod data;
mod dsn;
mod envelope;
mod reply;
mod serve;
mod session;

pub use bounds::{StructureFault, check_structure};
pub use data::{DataFault, DataProgress, DataReceiver};
pub use dsn::{Dsn, Notify, RecipientDsn, Return, utf8_addr_xtext};
pub use envelope::{Envelope, ReversePath, canonical_domain, valid_address, valid_international_address};
pub use reply::Reply;
pub use serve::serve;
pub use session::{Action, Offers, Session};

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::sasl::Credentials;

/// Who is at the other end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// What it said in EHLO or HELO (empty before); never to be trusted.
    pub hello: String,
    /// Whether it spoke EHLO.
    pub extended: bool,
    /// Whether the session is under TLS.
    pub secured: bool,
    /// The certificate it showed, DER, verified against the anchors for clients.
    pub certificate: Option<Vec<u8>>,
    /// As whom it has authenticated.
    pub identity: Option<String>,
}

impl Peer {
    /// Somebody who has just connected from there.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, hello: String::new(), extended: false, secured: false, certificate: None, identity: None }
    }
}

/// Decides about each transaction and takes the mail over.
#[async_trait]
pub trait Receiver: Send + Sync {
    /// Whether anybody has a password here: AUTH is offered, under TLS alone.
    fn authenticates(&self) -> bool {
        false
    }

    /// Who this is; an `Err` is the reply to AUTH. May take long.
    async fn authenticate(&self, session: &Peer, credentials: Credentials) -> Result<String, Reply> {
        let _ = (session, credentials);
        Err(Reply::new(535, "5.7.8", "Authentication credentials invalid"))
    }

    /// May `reverse_path` start a transaction? An `Err` is the reply to MAIL.
    async fn mail_from(&self, session: &Peer, reverse_path: &ReversePath) -> Result<(), Reply>;

    /// May `forward_path` be added to `envelope`? An `Err` is the reply to RCPT.
    async fn rcpt_to(&self, session: &Peer, envelope: &Envelope, forward_path: &str) -> Result<(), Reply>;

    /// Takes the mail over and says the final reply to DATA: 250 only once the mail is durable or handed on.
    ///
    /// May take as long as [`Limits::hold`]; the future is dropped when the peer leaves before its reply, and then
    /// the peer still holds responsibility for the mail (RFC 5321, 4.2.5 and 6.1).
    async fn message(&self, session: &Peer, envelope: Envelope, data: Vec<u8>) -> Reply;
}

/// Bounds of every session (RFC 5321, 4.5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest command line in octets with its CRLF (at least 512).
    pub command_line: usize,
    /// Longest line of a mail in octets with its CRLF (1000 by the standard).
    pub text_line: usize,
    /// Largest mail in octets.
    pub message: usize,
    /// Most recipients in one transaction (at least 100).
    pub recipients: usize,
    /// Most header fields of a mail.
    pub header_fields: usize,
    /// Largest header section in octets.
    pub header_octets: usize,
    /// Most `multipart/*` and `message/*` entities in a mail: bounds the depth of nesting for every later parser.
    pub containers: usize,
    /// Refused commands after which the session is closed.
    pub errors: usize,
    /// Longest wait for the peer's next octets.
    pub idle: Duration,
    /// Longest session, time spent in [`Receiver::message`] not counted.
    pub session: Duration,
    /// Longest wait for [`Receiver::message`]; then 451.
    pub hold: Duration,
    /// Most sessions at once.
    pub sessions: usize,
    /// Most sessions at once from one address.
    pub sessions_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 2048,
            text_line: 1000,
            message: 32 * 1024 * 1024,
            recipients: 100,
            header_fields: 500,
            header_octets: 256 * 1024,
            containers: 64,
            errors: 10,
            idle: Duration::from_secs(300),
            session: Duration::from_secs(1800),
            hold: Duration::from_secs(600),
            sessions: 500,
            sessions_per_address: 50,
        }
    }
}
