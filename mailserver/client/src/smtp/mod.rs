//! The sending half of SMTP (RFC 5321), through lettre over any stream.
//!
//! lettre speaks the protocol; commands are composed here so that every recipient gets its own result and the
//! addresses are held to one grammar on both sides of the wire.

mod connection;
mod starttls;

use std::io;
use std::net::SocketAddr;

pub use self::connection::Connection;
use crate::seam::Network;
use crate::smtp_server::{Dsn, valid_international_address};
use crate::tls::{ClientTls, TlsName};

/// The stage of a [`SendError`] at which it is not known whether the server took the mail.
pub const END_OF_DATA: &str = "end of data";

/// What the server said about one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientResult {
    /// As given to [`send`].
    pub recipient: String,
    /// `Ok` when the server took responsibility for this recipient.
    pub outcome: Result<(), Rejection>,
}

/// A 4xx or 5xx reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {text}")]
pub struct Rejection {
    /// The three-digit code.
    pub code: u16,
    /// Its text, with the enhanced status code if there was one.
    pub text: String,
}

impl Rejection {
    /// Whether trying again is useless.
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }
}

/// Why a mail was not taken at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No connection.
    #[error("{to} cannot be reached; check that the server runs and the network is up")]
    Connect {
        /// Where to.
        to: SocketAddr,
        /// What the network said.
        #[source]
        source: io::Error,
    },
    /// The server refused the session, the sender, or the mail.
    #[error("the server refused at {stage}: {rejection}")]
    Rejected {
        /// The command.
        stage: &'static str,
        /// Its reply.
        rejection: Rejection,
    },
    /// The connection broke; whether the mail was taken is unknown if `stage` is "end of data".
    #[error("the connection broke at {stage}; it will have to be tried again")]
    Broken {
        /// The command.
        stage: &'static str,
        /// What lettre said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No reply in time.
    #[error("the server did not answer at {0}; it will have to be tried again")]
    Timeout(&'static str),
    /// An address that must not reach the wire.
    #[error("{0:?} is not an address that can be sent to; correct it")]
    BadAddress(String),
    /// The server does not know SMTPUTF8 (RFC 6531, 3.2), which the mail needs.
    #[error("5.6.7 the server takes no addresses or header fields beyond ASCII; use another address")]
    OnlyAscii,
    /// The mail has lone CR or LF, or no recipients.
    #[error("the mail cannot be sent as it is: {0}")]
    BadMail(&'static str),
}

impl SendError {
    /// Whether trying again is useless.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Rejected { rejection, .. } => rejection.is_permanent(),
            Self::OnlyAscii | Self::BadAddress(_) | Self::BadMail(_) => true,
            _ => false,
        }
    }

    /// The reply code, if there was a reply.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Rejected { rejection, .. } => Some(rejection.code),
            _ => None,
        }
    }
}

/// How the way to a server is secured.
#[derive(Debug, Clone, Default)]
pub enum Upgrade {
    /// Not at all, or by the network itself.
    #[default]
    Clear,
    /// With STARTTLS where it is offered and works, else not (RFC 7435): it keeps listeners out and proves nothing.
    IfOffered(ClientTls),
    /// With STARTTLS and the server's proof of its name, or not at all.
    Required(ClientTls, TlsName),
}

/// What is sent in one transaction.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Where bounces go; `None` is `<>`.
    pub reverse_path: Option<&'a str>,
    /// Who is to get it.
    pub recipients: &'a [String],
    /// The mail, with CRLF line ends.
    pub mail: &'a [u8],
    /// When one recipient is refused, the mail is sent to nobody.
    pub all_or_nothing: bool,
    /// Whether its header may go beyond ASCII (RFC 6532) and must not reach a server that does not know this; so it is whenever
    /// an address does.
    pub utf8: bool,
    /// What is wanted of delivery status notifications; told where the server knows them.
    pub dsn: Option<&'a Dsn>,
}

/// Sends one mail to a server: EHLO as `hello`, MAIL FROM (`None` is `<>`), RCPT for each, DATA, QUIT.
///
/// `Ok` lists every recipient with its own outcome, in order; at least one was accepted unless all were refused at
/// RCPT. The mail reaches the other side octet for octet; it must have CRLF line ends.
pub async fn send(
    network: &dyn Network,
    to: SocketAddr,
    hello: &str,
    reverse_path: Option<&str>,
    recipients: &[String],
    mail: &[u8],
) -> Result<Vec<RecipientResult>, SendError> {
    let outgoing = Outgoing { reverse_path, recipients, mail, all_or_nothing: false, utf8: false, dsn: None };
    once(network, to, hello, outgoing).await
}

/// Like [`send`], but all or nothing: when one recipient is refused, the mail is sent to nobody.
pub async fn send_to_all(
    network: &dyn Network,
    to: SocketAddr,
    hello: &str,
    reverse_path: Option<&str>,
    recipients: &[String],
    mail: &[u8],
) -> Result<Vec<RecipientResult>, SendError> {
    let outgoing = Outgoing { reverse_path, recipients, mail, all_or_nothing: true, utf8: false, dsn: None };
    once(network, to, hello, outgoing).await
}

async fn once(
    network: &dyn Network,
    to: SocketAddr,
    hello: &str,
    outgoing: Outgoing<'_>,
) -> Result<Vec<RecipientResult>, SendError> {
    check(&outgoing)?;
    let mut connection = Connection::open(network, to, hello, &Upgrade::Clear).await?;
    let results = connection.transact(outgoing).await?;
    connection.quit().await;
    Ok(results)
}

impl<'a> Outgoing<'a> {
    /// A mail that is never answered, and of whose delivery nobody wants to hear.
    pub fn notice(recipients: &'a [String], mail: &'a [u8]) -> Self {
        Self { reverse_path: None, recipients, mail, all_or_nothing: false, utf8: false, dsn: None }
    }

    /// Whether it is only for a server that knows SMTPUTF8.
    fn needs_utf8(&self) -> bool {
        let mut addresses = self.recipients.iter().map(String::as_str).chain(self.reverse_path);
        let header = || self.mail.split_inclusive(|octet| *octet == b'\n').take_while(|line| *line != b"\r\n");
        addresses.any(|address| !address.is_ascii()) || (self.utf8 && header().any(|line| !line.is_ascii()))
    }
}

/// Whether it may reach the wire.
fn check(outgoing: &Outgoing<'_>) -> Result<(), SendError> {
    if outgoing.recipients.is_empty() {
        return Err(SendError::BadMail("no recipients"));
    }
    if has_bare_line_end(outgoing.mail) {
        return Err(SendError::BadMail("a line does not end with CRLF"));
    }
    for address in outgoing.recipients.iter().map(String::as_str).chain(outgoing.reverse_path) {
        if !valid_international_address(address) {
            return Err(SendError::BadAddress(address.to_owned()));
        }
    }
    Ok(())
}

fn has_bare_line_end(mail: &[u8]) -> bool {
    let mut previous = 0u8;
    for &octet in mail {
        if (octet == b'\n') != (previous == b'\r') {
            return true;
        }
        previous = octet;
    }
    previous == b'\r'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends() {
        assert!(!has_bare_line_end(b"a\r\nb\r\n"));
        for bad in [&b"a\nb"[..], b"a\rb", b"a\r", b"\n", b"a\r\r\n"] {
            assert!(has_bare_line_end(bad), "{bad:?}");
        }
    }
}
