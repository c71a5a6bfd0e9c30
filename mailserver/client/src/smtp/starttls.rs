//! What is said before a session that wants TLS begins (RFC 3207): greeting, EHLO, STARTTLS, and the handshake.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::seam::BoxStream;
use crate::tls::{ClientTls, TlsName};

/// Longest wait for all of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest reply.
const LONGEST: usize = 64 * 1024;

/// A connection whose session can begin, with what its server has said as a greeting.
pub(super) struct Begun {
    pub(super) stream: BoxStream,
    pub(super) said: Vec<u8>,
    pub(super) secured: bool,
    /// Whether it offers DSN (RFC 3461).
    pub(super) dsn: bool,
}

impl Begun {
    /// Nothing was said yet.
    pub(super) fn clear(stream: BoxStream) -> Self {
        Self { stream, said: Vec::new(), secured: false, dsn: false }
    }
}

/// Begins TLS if the server offers it. With a `name` it has to, and has to prove that it is this one.
pub(super) async fn begin(
    stream: BoxStream,
    hello: &str,
    tls: &ClientTls,
    name: Option<&TlsName>,
) -> io::Result<Begun> {
    let beginning = talk(stream, hello, Some(tls), name);
    timeout(PATIENCE, beginning).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Asks what the server offers, and stays in clear.
pub(super) async fn ask(stream: BoxStream, hello: &str) -> io::Result<Begun> {
    timeout(PATIENCE, talk(stream, hello, None, None)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn talk(
    mut stream: BoxStream,
    hello: &str,
    tls: Option<&ClientTls>,
    name: Option<&TlsName>,
) -> io::Result<Begun> {
    let greeting = reply(&mut stream).await?;
    if !greeting.starts_with(b"220") {
        // What it says instead is for the session to hear.
        return Ok(Begun { stream, said: greeting, secured: false, dsn: false });
    }
    let hello: String = hello.chars().filter(|character| !character.is_control() && *character != ' ').collect();
    stream.write_all(format!("EHLO {hello}\r\n").as_bytes()).await?;
    let offers = reply(&mut stream).await?;
    let offers = String::from_utf8_lossy(&offers).into_owned();
    let offers = |name: &str| {
        let named = |line: &str| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case(name));
        offers.lines().any(|line| line.starts_with("250") && named(line))
    };
    let dsn = offers("DSN");
    let Some(tls) = tls else { return Ok(Begun { stream, said: greeting, secured: false, dsn }) };
    if !offers("STARTTLS") {
        return match name {
            None => Ok(Begun { stream, said: greeting, secured: false, dsn }),
            Some(_) => Err(io::Error::other("the server does not offer TLS")),
        };
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    let ready = reply(&mut stream).await?;
    if !ready.starts_with(b"220") {
        return Err(io::Error::other("the server does not begin TLS"));
    }
    // Octets behind the reply would be somebody else's, taken for the server's: `reply` reads none.
    let anybody = TlsName::new("unproven.invalid").map_err(io::Error::other)?;
    let stream = tls.connect(stream, name.unwrap_or(&anybody)).await?;
    Ok(Begun { stream, said: greeting, secured: true, dsn })
}

/// One reply, of several lines maybe, and not an octet more.
async fn reply(stream: &mut BoxStream) -> io::Result<Vec<u8>> {
    let (mut text, mut line) = (Vec::new(), Vec::new());
    while text.len() + line.len() < LONGEST {
        line.push(stream.read_u8().await?);
        if line.last() == Some(&b'\n') {
            let last = line.get(3) != Some(&b'-');
            text.append(&mut line);
            if last {
                return Ok(text);
            }
        }
    }
    Err(io::Error::other("a reply without end"))
}
