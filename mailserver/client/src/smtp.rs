//! The sending half of SMTP (RFC 5321), through lettre over any stream.
//!
//! lettre speaks the protocol; commands are composed here so that every recipient gets its own result and the
//! addresses are held to one grammar on both sides of the wire.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::{ClientId, Extension};
use lettre::transport::smtp::response::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use crate::seam::{BoxStream, Network};
use crate::smtp_server::valid_address;

/// Longest wait for the connection and each reply but the last (RFC 5321, 4.5.3.2 asks for 5 minutes).
const REPLY: Duration = Duration::from_secs(300);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// Longest wait for the reply to the mail itself (RFC 5321, 4.5.3.2.6).
const FINAL: Duration = Duration::from_secs(600);

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
    /// The mail has lone CR or LF, or no recipients.
    #[error("the mail cannot be sent as it is: {0}")]
    BadMail(&'static str),
}

impl SendError {
    /// Whether trying again is useless.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Rejected { rejection, .. } => rejection.is_permanent(),
            Self::BadAddress(_) | Self::BadMail(_) => true,
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
    transact(network, to, hello, reverse_path, recipients, mail, false).await
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
    transact(network, to, hello, reverse_path, recipients, mail, true).await
}

async fn transact(
    network: &dyn Network,
    to: SocketAddr,
    hello: &str,
    reverse_path: Option<&str>,
    recipients: &[String],
    mail: &[u8],
    all_or_nothing: bool,
) -> Result<Vec<RecipientResult>, SendError> {
    if recipients.is_empty() {
        return Err(SendError::BadMail("no recipients"));
    }
    if has_bare_line_end(mail) {
        return Err(SendError::BadMail("a line does not end with CRLF"));
    }
    for address in recipients.iter().map(String::as_str).chain(reverse_path) {
        if !valid_address(address) {
            return Err(SendError::BadAddress(address.to_owned()));
        }
    }
    let connected = timeout(CONNECT, network.connect(to)).await;
    let stream = connected
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| SendError::Connect { to, source })?;
    let hello = client_id(hello);
    let opening = AsyncSmtpConnection::connect_with_transport(Box::new(Riding { stream, to }), &hello);
    let mut connection = timed("EHLO", REPLY, opening).await?;

    let mut mail_command = format!("MAIL FROM:<{}>", reverse_path.unwrap_or(""));
    if connection.server_info().supports_feature(Extension::EightBitMime) && !mail.is_ascii() {
        mail_command.push_str(" BODY=8BITMIME");
    }
    mail_command.push_str("\r\n");
    timed("MAIL", REPLY, connection.command(mail_command)).await?;
    let mut results = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let command = connection.command(format!("RCPT TO:<{recipient}>\r\n"));
        let outcome = match timed("RCPT", REPLY, command).await {
            Ok(_) => Ok(()),
            Err(SendError::Rejected { rejection, .. }) => Err(rejection),
            Err(other) => return Err(other),
        };
        results.push(RecipientResult { recipient: recipient.clone(), outcome });
    }
    let accepted = results.iter().filter(|result| result.outcome.is_ok()).count();
    if accepted == results.len() || (accepted > 0 && !all_or_nothing) {
        timed("DATA", REPLY, connection.command("DATA\r\n")).await?;
        // lettre ends the mail with CRLF of its own.
        let text = mail.strip_suffix(b"\r\n").unwrap_or(mail);
        let reply: Response = timed(END_OF_DATA, FINAL, connection.message(text)).await?;
        drop(reply);
    }
    // The mail is the server's now; how it takes leave changes nothing.
    let _ = timeout(Duration::from_secs(5), connection.quit()).await;
    Ok(results)
}

async fn timed<T>(
    stage: &'static str,
    limit: Duration,
    reply: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, SendError> {
    match timeout(limit, reply).await {
        Err(_) => Err(SendError::Timeout(stage)),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => match error.status() {
            Some(code) => Err(SendError::Rejected {
                stage,
                rejection: Rejection {
                    code: u16::from(code),
                    text: std::error::Error::source(&error).map(|source| source.to_string()).unwrap_or_default(),
                },
            }),
            None => Err(SendError::Broken { stage, source: Box::new(error) }),
        },
    }
}

fn client_id(hello: &str) -> ClientId {
    match hello.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(std::net::IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain(hello.chars().filter(|c| !c.is_control() && *c != ' ').collect()),
    }
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

/// One of our streams as lettre wants it.
#[derive(Debug)]
struct Riding {
    stream: BoxStream,
    to: SocketAddr,
}

impl AsyncTokioStream for Riding {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.to)
    }
}

impl AsyncRead for Riding {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Riding {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
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
