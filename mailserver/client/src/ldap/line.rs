//! One connection to a directory: whole messages in, whole messages out, bounded.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ber::{Head, SEQUENCE, head};
use super::config::LdapDirectory;
use super::error::LdapError;
use super::message::{self, Operation};
use super::tls;
use crate::seam::{BoxStream, Seams};

/// A connection, and what is left of the octets that may come over it.
pub(super) struct Line {
    stream: BoxStream,
    host: String,
    buffer: Vec<u8>,
    limit: usize,
    left: usize,
}

impl Line {
    pub(super) fn new(stream: BoxStream, host: String, limit: usize) -> Self {
        Self { stream, host, buffer: Vec::new(), limit, left: limit }
    }

    fn broke_off(&self, source: io::Error) -> LdapError {
        LdapError::BrokeOff { host: self.host.clone(), source }
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), LdapError> {
        let sent = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|source| LdapError::BrokeOff { host: self.host.clone(), source })
    }

    /// The contents of the next LDAPMessage.
    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, LdapError> {
        loop {
            match head(&self.buffer) {
                Head::Invalid => return Err(LdapError::Malformed("no message")),
                Head::Known { tag, .. } if tag != SEQUENCE => return Err(LdapError::Malformed("no message")),
                Head::Known { before, content, .. } => {
                    // Refused by what it says of itself, before any of it is waited for.
                    let whole = before.checked_add(content).filter(|whole| *whole <= self.left);
                    let whole = whole.ok_or(LdapError::TooLarge { what: "octets", limit: self.limit })?;
                    if self.buffer.len() >= whole {
                        self.left -= whole;
                        let rest = self.buffer.split_off(whole);
                        let mut octets = std::mem::replace(&mut self.buffer, rest);
                        octets.drain(..before);
                        return Ok(octets);
                    }
                }
                Head::Incomplete => {}
            }
            let mut chunk = [0u8; 16 * 1024];
            match self.stream.read(&mut chunk).await {
                Ok(0) => return Err(self.broke_off(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => self.buffer.extend_from_slice(chunk.get(..read).unwrap_or_default()),
                Err(source) => return Err(self.broke_off(source)),
            }
        }
    }

    /// The answer to the message `id` in what was received.
    pub(super) fn answer<'a>(&self, octets: &'a [u8], id: u32) -> Result<Operation<'a>, LdapError> {
        let message = message::read(octets).map_err(LdapError::Malformed)?;
        match message.operation {
            // RFC 4511 4.4.1: Notice of Disconnection.
            Operation::Extended(result) if message.id == 0 => Err(self.broke_off(io::Error::other(result.text))),
            operation if message.id == id => Ok(operation),
            _ => Err(LdapError::Malformed("answer to another question")),
        }
    }

    /// The same connection with TLS. What came in clear and was not read yet is somebody's attempt to be believed
    /// later: it ends the conversation.
    pub(super) async fn secured(self, seams: &Seams, directory: &LdapDirectory) -> Result<Self, LdapError> {
        if !self.buffer.is_empty() {
            return Err(LdapError::Malformed("octets in clear behind StartTLS"));
        }
        let Self { stream, host, buffer, limit, left } = self;
        let stream = tls::connect(stream, seams, directory).await?;
        Ok(Self { stream, host, buffer, limit, left })
    }
}
