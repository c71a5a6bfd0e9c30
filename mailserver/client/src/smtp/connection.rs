//! One connection to a server, for one mail after the other.

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

use super::starttls::{self, Begun};
use super::{END_OF_DATA, Outgoing, RecipientResult, Rejection, SendError, Upgrade, check};
use crate::seam::{BoxStream, Network};

/// Longest wait for the connection and each reply but the last (RFC 5321, 4.5.3.2 asks for 5 minutes).
const REPLY: Duration = Duration::from_secs(300);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// Longest wait for the reply to the mail itself (RFC 5321, 4.5.3.2.6).
const FINAL: Duration = Duration::from_secs(600);

/// Longest wait for a server that is left.
const FAREWELL: Duration = Duration::from_secs(5);

/// An open session in which a mail can be sent.
pub struct Connection {
    inner: AsyncSmtpConnection,
    secured: bool,
    dsn: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("secured", &self.secured).finish_non_exhaustive()
    }
}

async fn connected(network: &dyn Network, to: SocketAddr) -> Result<BoxStream, SendError> {
    let connected = timeout(CONNECT, network.connect(to)).await;
    let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    connected.map_err(|source| SendError::Connect { to, source })
}

impl Connection {
    /// Connects, secures the way, and says EHLO as `hello`.
    pub async fn open(
        network: &dyn Network,
        to: SocketAddr,
        hello: &str,
        upgrade: &Upgrade,
    ) -> Result<Self, SendError> {
        let connect = || connected(network, to);
        let begun = match upgrade {
            Upgrade::Clear => Begun::clear(connect().await?),
            Upgrade::Required(tls, name) => {
                starttls::begin(connect().await?, hello, tls, Some(name)).await.map_err(broken)?
            }
            Upgrade::IfOffered(tls) => match starttls::begin(connect().await?, hello, tls, None).await {
                Ok(begun) => begun,
                // Rather in clear than not at all: nobody has asked for more.
                Err(_) => Begun::clear(connect().await?),
            },
        };
        Self::riding(begun, to, hello).await
    }

    /// The same in clear, but for one question before it: what the server offers, DSN above all.
    pub async fn open_asking(network: &dyn Network, to: SocketAddr, hello: &str) -> Result<Self, SendError> {
        let begun = starttls::ask(connected(network, to).await?, hello).await.map_err(broken)?;
        Self::riding(begun, to, hello).await
    }

    async fn riding(begun: Begun, to: SocketAddr, hello: &str) -> Result<Self, SendError> {
        let Begun { stream, said, secured, dsn } = begun;
        let hello = client_id(hello);
        let opening = AsyncSmtpConnection::connect_with_transport(Box::new(Riding { stream, to, said }), &hello);
        Ok(Self { inner: timed("EHLO", REPLY, opening).await?, secured, dsn })
    }

    /// Whether there is TLS on it.
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// Whether the server is known to know delivery status notifications (RFC 3461); of one that was not asked for TLS, nothing
    /// is known.
    pub fn knows_dsn(&self) -> bool {
        self.dsn
    }

    /// Sends one mail; see [`super::send`]. After an `Err` the connection is good for nothing.
    pub async fn transact(&mut self, outgoing: Outgoing<'_>) -> Result<Vec<RecipientResult>, SendError> {
        let results = self.envelope(outgoing).await?;
        self.data(outgoing, &results).await?;
        Ok(results)
    }

    /// The first half of it: MAIL, and RCPT for each.
    pub async fn envelope(&mut self, outgoing: Outgoing<'_>) -> Result<Vec<RecipientResult>, SendError> {
        check(&outgoing)?;
        let utf8 = outgoing.needs_utf8();
        let Outgoing { reverse_path, recipients, mail, dsn, .. } = outgoing;
        if utf8 && !self.inner.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(SendError::OnlyAscii);
        }
        let dsn = dsn.filter(|_| self.knows_dsn());
        let mut command = format!("MAIL FROM:<{}>", reverse_path.unwrap_or(""));
        if self.inner.server_info().supports_feature(Extension::EightBitMime) && !mail.is_ascii() {
            command.push_str(" BODY=8BITMIME");
        }
        if utf8 {
            command.push_str(" SMTPUTF8");
        }
        if let Some(dsn) = dsn {
            command.push_str(&dsn.mail_parameters());
        }
        command.push_str("\r\n");
        timed("MAIL", REPLY, self.inner.command(command)).await?;
        let mut results = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let wishes = dsn.map(|dsn| dsn.rcpt_parameters(recipient)).unwrap_or_default();
            let command = self.inner.command(format!("RCPT TO:<{recipient}>{wishes}\r\n"));
            let outcome = match timed("RCPT", REPLY, command).await {
                Ok(_) => Ok(()),
                Err(SendError::Rejected { rejection, .. }) => Err(rejection),
                Err(other) => return Err(other),
            };
            results.push(RecipientResult { recipient: recipient.clone(), outcome });
        }
        Ok(results)
    }

    /// The second half: DATA and the mail, to those whom the first half found accepted.
    pub async fn content(&mut self, outgoing: Outgoing<'_>, results: &[RecipientResult]) -> Result<(), SendError> {
        check(&outgoing)?;
        self.data(outgoing, results).await
    }

    async fn data(&mut self, outgoing: Outgoing<'_>, results: &[RecipientResult]) -> Result<(), SendError> {
        let accepted = results.iter().filter(|result| result.outcome.is_ok()).count();
        if accepted == results.len() || (accepted > 0 && !outgoing.all_or_nothing) {
            timed("DATA", REPLY, self.inner.command("DATA\r\n")).await?;
            // lettre ends the mail with CRLF of its own.
            let text = outgoing.mail.strip_suffix(b"\r\n").unwrap_or(outgoing.mail);
            let reply: Response = timed(END_OF_DATA, FINAL, self.inner.message(text)).await?;
            drop(reply);
            return Ok(());
        }
        self.reset().await
    }

    /// Nothing of an envelope is left for whatever comes next.
    pub async fn reset(&mut self) -> Result<(), SendError> {
        timed("RSET", REPLY, self.inner.command("RSET\r\n")).await.map(drop)
    }

    /// Takes leave. Whatever was sent is the server's; how it does so changes nothing.
    pub async fn quit(mut self) {
        let _ = timeout(FAREWELL, self.inner.quit()).await;
    }
}

fn broken(source: io::Error) -> SendError {
    SendError::Broken { stage: "STARTTLS", source: Box::new(source) }
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

/// One of our streams as lettre wants it.
#[derive(Debug)]
struct Riding {
    stream: BoxStream,
    to: SocketAddr,
    /// What the server has said already, and lettre has not heard.
    said: Vec<u8>,
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
        if !self.said.is_empty() {
            let count = self.said.len().min(buffer.remaining());
            buffer.put_slice(&self.said.drain(..count).collect::<Vec<u8>>());
            return Poll::Ready(Ok(()));
        }
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
