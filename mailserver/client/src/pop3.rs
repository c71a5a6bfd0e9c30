//! The fetching half of POP3 (RFC 1939), bounded in every answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use crate::pop3_server::Password;
use crate::seam::{BoxStream, Network};

/// Longest wait for one answer to begin, and for each further line of it.
const REPLY: Duration = Duration::from_secs(120);
/// Longest line of an answer.
const LINE: usize = 64 * 1024;
/// Largest mail taken.
pub const MAX_MAIL: usize = 64 * 1024 * 1024;
/// Most entries of a listing taken.
const MAX_ENTRIES: usize = 200_000;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Pop3Error {
    /// No connection.
    #[error("{to} cannot be reached; check that the mail server runs and the network is up")]
    Connect {
        /// Where to.
        to: SocketAddr,
        /// What the network said.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the mail server broke; it will have to be tried again")]
    Broken(#[source] io::Error),
    /// No answer in time.
    #[error("the mail server did not answer in time; it will have to be tried again")]
    Timeout,
    /// `-ERR`.
    #[error("the mail server refused {command}: {text}")]
    Refused {
        /// Which command.
        command: &'static str,
        /// Response code, as "IN-USE" or "AUTH".
        code: Option<String>,
        /// The text after it.
        text: String,
    },
    /// An answer outside the protocol or its bounds.
    #[error("the mail server's answer to {command} makes no sense: {why}")]
    Protocol {
        /// Which command.
        command: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// A login or password that must not reach the wire.
    #[error("the login or password holds characters that POP3 cannot carry; change it")]
    BadCredential,
}

impl Pop3Error {
    /// Whether login and password were refused as wrong.
    pub fn is_auth(&self) -> bool {
        match self {
            Self::Refused { command, code, .. } => {
                code.as_deref() == Some("AUTH") || (*command == "PASS" && code.is_none())
            }
            _ => false,
        }
    }
}

/// A connected session. Dropping it without [`Client::quit`] deletes nothing.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<BoxStream>,
}

impl Client {
    /// Connects and reads the greeting.
    pub async fn connect(network: &dyn Network, to: SocketAddr) -> Result<Self, Pop3Error> {
        let stream = timeout(Duration::from_secs(30), network.connect(to))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| Pop3Error::Connect { to, source })?;
        let mut client = Self { stream: BufReader::new(stream) };
        client.status("greeting").await?;
        Ok(client)
    }

    /// USER and PASS. The server holds the mailbox locked from now on.
    pub async fn login(&mut self, user: &str, password: &Password) -> Result<(), Pop3Error> {
        let bad = |octet: &u8| *octet < 0x20 || *octet == 0x7f;
        let secret = password.expose();
        if user.is_empty()
            || user.len() > 240
            || secret.len() > 240
            || user.bytes().any(|o| bad(&o) || o == b' ')
            || secret.iter().any(bad)
        {
            return Err(Pop3Error::BadCredential);
        }
        self.command("USER", &format!("USER {user}")).await?;
        let mut line = zeroize::Zeroizing::new(Vec::with_capacity(256));
        line.extend_from_slice(b"PASS ");
        line.extend_from_slice(secret);
        line.extend_from_slice(b"\r\n");
        self.write(&line).await?;
        self.status("PASS").await?;
        Ok(())
    }

    /// STAT: how many mails, and their octets together.
    pub async fn stat(&mut self) -> Result<(usize, u64), Pop3Error> {
        let text = self.command("STAT", "STAT").await?;
        let mut words = text.split_ascii_whitespace();
        let count = words.next().and_then(|word| word.parse().ok());
        let octets = words.next().and_then(|word| word.parse().ok());
        match (count, octets) {
            (Some(count), Some(octets)) => Ok((count, octets)),
            _ => Err(Pop3Error::Protocol { command: "STAT", why: "no two numbers" }),
        }
    }

    /// LIST: message numbers (from 1) and sizes.
    pub async fn list(&mut self) -> Result<Vec<(usize, u64)>, Pop3Error> {
        self.listing("LIST", |word| word.parse().ok()).await
    }

    /// UIDL: message numbers (from 1) and unique-ids.
    pub async fn uidl(&mut self) -> Result<Vec<(usize, String)>, Pop3Error> {
        self.listing("UIDL", |word| Some(word.to_owned())).await
    }

    /// RETR: the mail, dots unstuffed.
    pub async fn retr(&mut self, number: usize) -> Result<Vec<u8>, Pop3Error> {
        self.command("RETR", &format!("RETR {number}")).await?;
        self.multi_line("RETR", MAX_MAIL).await
    }

    /// DELE: marks the mail; takes effect at [`Client::quit`].
    pub async fn dele(&mut self, number: usize) -> Result<(), Pop3Error> {
        self.command("DELE", &format!("DELE {number}")).await?;
        Ok(())
    }

    /// RSET: unmarks all.
    pub async fn rset(&mut self) -> Result<(), Pop3Error> {
        self.command("RSET", "RSET").await?;
        Ok(())
    }

    /// QUIT: the commit point. Only after `Ok` are marked mails known to be deleted.
    pub async fn quit(mut self) -> Result<(), Pop3Error> {
        self.command("QUIT", "QUIT").await?;
        Ok(())
    }

    async fn listing<T>(
        &mut self,
        command: &'static str,
        value: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<(usize, T)>, Pop3Error> {
        self.command(command, command).await?;
        let mut entries = Vec::new();
        loop {
            let line = self.line(command).await?;
            if line == b"." {
                return Ok(entries);
            }
            let text = String::from_utf8_lossy(&line);
            let mut words = text.split_ascii_whitespace();
            let number = words.next().and_then(|word| word.parse().ok());
            match (number, words.next().and_then(&value)) {
                (Some(number), Some(value)) if entries.len() < MAX_ENTRIES => {
                    entries.push((number, value));
                }
                _ => {
                    return Err(Pop3Error::Protocol { command, why: "not a listing" });
                }
            }
        }
    }

    async fn multi_line(&mut self, command: &'static str, max: usize) -> Result<Vec<u8>, Pop3Error> {
        let mut mail = Vec::new();
        loop {
            let line = self.line(command).await?;
            if line == b"." {
                return Ok(mail);
            }
            let text = line.strip_prefix(b".").unwrap_or(&line);
            if mail.len() + text.len() + 2 > max {
                return Err(Pop3Error::Protocol { command, why: "the mail is too large" });
            }
            mail.extend_from_slice(text);
            mail.extend_from_slice(b"\r\n");
        }
    }

    async fn command(&mut self, command: &'static str, line: &str) -> Result<String, Pop3Error> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.status(command).await
    }

    async fn write(&mut self, octets: &[u8]) -> Result<(), Pop3Error> {
        timeout(REPLY, async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        })
        .await
        .map_err(|_| Pop3Error::Timeout)?
        .map_err(Pop3Error::Broken)
    }

    /// A single-line status: the text after `+OK`.
    async fn status(&mut self, command: &'static str) -> Result<String, Pop3Error> {
        let line = self.line(command).await?;
        let text = String::from_utf8_lossy(&line);
        if let Some(rest) = text.strip_prefix("+OK") {
            return Ok(rest.trim().to_owned());
        }
        let Some(rest) = text.strip_prefix("-ERR") else {
            return Err(Pop3Error::Protocol { command, why: "neither +OK nor -ERR" });
        };
        let rest = rest.trim();
        let (code, text) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((code, text)) => (Some(code.to_ascii_uppercase()), text.trim()),
            None => (None, rest),
        };
        Err(Pop3Error::Refused { command, code, text: text.chars().filter(|c| !c.is_control()).take(300).collect() })
    }

    /// One line without its CRLF.
    async fn line(&mut self, command: &'static str) -> Result<Vec<u8>, Pop3Error> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.stream).take(LINE as u64);
        timeout(REPLY, bounded.read_until(b'\n', &mut line))
            .await
            .map_err(|_| Pop3Error::Timeout)?
            .map_err(Pop3Error::Broken)?;
        match line.pop() {
            Some(b'\n') => {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                Ok(line)
            }
            None => Err(Pop3Error::Broken(io::ErrorKind::UnexpectedEof.into())),
            Some(_) if line.len() + 1 >= LINE => Err(Pop3Error::Protocol { command, why: "a line is too long" }),
            Some(_) => Err(Pop3Error::Broken(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}
