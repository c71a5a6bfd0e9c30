//! Looks certificates up in a directory that a site already runs (ST606, ST917): LDAPv3 (RFC 4511) with the certificate
//! attributes of RFC 4523, over [`crate::seam::Network`].
//!
//! One connection for each look-up, everything bounded: octets, entries, certificates, time. Referrals are not followed:
//! who answers is a matter of the configuration, not of the answer. What is found is only what somebody wrote into a
//! directory; [`crate::lookup`] keeps what bears the address, and the caller validates path and state.

mod ber;
mod config;
mod error;
mod filter;
mod line;
mod message;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod tls;

pub use config::{LdapDirectory, Security};
pub use error::LdapError;
pub use filter::Equality;
pub use message::{Scope, Search};

use std::time::Duration;

use crate::seam::Seams;
use line::Line;
use message::Operation;

/// Octets of one whole answer.
const MAX_ANSWER: usize = 1 << 20;
/// Entries that may bear one address: a person, and perhaps the same person in other units.
const MAX_ENTRIES: u32 = 16;
/// Certificates in one answer.
const MAX_CERTIFICATES: usize = 32;
/// Messages in one answer; servers may put intermediate ones between.
const MAX_MESSAGES: usize = 256;

/// The certificates (DER, unread) of all entries that bear `address`; none if there is no such entry.
pub async fn certificates(seams: &Seams, directory: &LdapDirectory, address: &str) -> Result<Vec<Vec<u8>>, LdapError> {
    directory.check()?;
    let limit = Duration::from_secs(directory.seconds);
    tokio::time::timeout(limit, converse(seams, directory, address))
        .await
        .unwrap_or_else(|_| Err(LdapError::Timeout { host: directory.host(), limit }))
}

async fn converse(seams: &Seams, directory: &LdapDirectory, address: &str) -> Result<Vec<Vec<u8>>, LdapError> {
    let password = directory.password()?;
    let stream = seams
        .network
        .connect(directory.server)
        .await
        .map_err(|source| LdapError::Unreachable { host: directory.host(), source })?;
    let mut line = Line::new(stream, directory.host(), MAX_ANSWER);
    let mut numbers = 1u32..;
    let mut next = || numbers.next().unwrap_or(u32::MAX);
    match directory.security {
        Security::None => {}
        Security::Ldaps => line = line.secured(seams, directory).await?,
        Security::Starttls => {
            let id = next();
            line.send(&message::start_tls(id)).await?;
            let octets = line.receive().await?;
            match line.answer(&octets, id)? {
                Operation::Extended(result) if result.code == message::SUCCESS => {}
                Operation::Extended(result) => return Err(LdapError::tls_refused(&directory.host(), &result)),
                _ => return Err(LdapError::Malformed("StartTLS answered by something else")),
            }
            line = line.secured(seams, directory).await?;
        }
    }
    if let (Some(name), Some(password)) = (&directory.bind_dn, &password) {
        let id = next();
        line.send(&message::bind(id, name, password)).await?;
        let octets = line.receive().await?;
        match line.answer(&octets, id)? {
            Operation::Bound(result) if result.code == message::SUCCESS => {}
            Operation::Bound(result) => return Err(LdapError::BindRefused { code: result.code, text: result.text }),
            _ => return Err(LdapError::Malformed("bind answered by something else")),
        }
    }
    let id = next();
    line.send(&directory.search(address).encode(id)).await?;
    let mut gathered = Gathered::new(&directory.certificate_attribute);
    for _ in 0..MAX_MESSAGES {
        let octets = line.receive().await?;
        if gathered.take(line.answer(&octets, id)?)? {
            // Goodbye is a courtesy; the answer is here already.
            let _ = line.send(&message::unbind(next())).await;
            return Ok(gathered.certificates);
        }
    }
    Err(LdapError::TooLarge { what: "messages", limit: MAX_MESSAGES })
}

/// What a search has brought so far.
struct Gathered<'a> {
    attribute: &'a str,
    entries: u32,
    certificates: Vec<Vec<u8>>,
}

impl<'a> Gathered<'a> {
    fn new(attribute: &'a str) -> Self {
        Self { attribute, entries: 0, certificates: Vec::new() }
    }

    /// Takes one message; whether it was the last.
    fn take(&mut self, operation: Operation<'_>) -> Result<bool, LdapError> {
        match operation {
            Operation::Entry(attributes) => {
                self.entries += 1;
                if self.entries > MAX_ENTRIES {
                    return Err(LdapError::TooLarge { what: "entries", limit: MAX_ENTRIES as usize });
                }
                for (_, values) in attributes.into_iter().filter(|(name, _)| message::names(name, self.attribute)) {
                    for value in message::values(values) {
                        if self.certificates.len() == MAX_CERTIFICATES {
                            return Err(LdapError::TooLarge { what: "certificates", limit: MAX_CERTIFICATES });
                        }
                        let value = value.ok_or(LdapError::Malformed("value of another kind"))?;
                        self.certificates.push(value.to_vec());
                    }
                }
                Ok(false)
            }
            Operation::Intermediate => Ok(false),
            Operation::Reference => Err(LdapError::Referral),
            Operation::Done(result) => match result.code {
                message::SUCCESS => Ok(true),
                message::REFERRAL => Err(LdapError::Referral),
                message::SIZE_LIMIT_EXCEEDED => {
                    Err(LdapError::TooLarge { what: "entries", limit: MAX_ENTRIES as usize })
                }
                code => Err(LdapError::Refused { code, text: result.text }),
            },
            Operation::Bound(_) | Operation::Extended(_) => {
                Err(LdapError::Malformed("search answered by something else"))
            }
        }
    }
}
