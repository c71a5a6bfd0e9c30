//! Which certificates were issued, to whom, and which are revoked: a file of lines under marks, and an index in memory.
//!
//! The command line appends while the server runs. Before each answer the server looks which file has the name, at its
//! length and time, one system call, so a revocation counts at once. Looking up costs the same for ten certificates and
//! 100,000: each attribute has a hash map to the newest certificate that has it, and each certificate names the one
//! before it.

mod serial;
mod store;

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sealfax_client::history::parse_time;
use sealfax_client::lookup::Use;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use x509_cert::ext::pkix::CrlReason;

use super::AuthorityError;
use super::marked::Reading;
use super::skim::{Parts, skim};

pub(super) use serial::Serial;
pub(super) use store::Store;

/// Whether a certificate still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not revoked.
    Good,
    /// Revoked for ever.
    Revoked {
        /// Since when.
        at: SystemTime,
        /// Why.
        reason: CrlReason,
    },
}

/// What a certificate was issued for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Purpose {
    /// A person's signatures.
    Sign,
    /// Encrypting to a person.
    Encrypt,
    /// A TLS server.
    Server,
    /// An adapter.
    Device,
}

impl Purpose {
    /// As it stands in the index and in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Encrypt => "encrypt",
            Self::Server => "server",
            Self::Device => "device",
        }
    }

    /// What a person's card uses it for, if it is one.
    pub fn usage(self) -> Option<Use> {
        match self {
            Self::Sign => Some(Use::Sign),
            Self::Encrypt => Some(Use::Encrypt),
            Self::Server | Self::Device => None,
        }
    }
}

impl From<Use> for Purpose {
    fn from(usage: Use) -> Self {
        match usage {
            Use::Sign => Self::Sign,
            Use::Encrypt => Self::Encrypt,
        }
    }
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// The person's mail address, or the first name of a server or device.
    pub address: String,
    /// The person's name, or that of the server or device.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// First second of validity.
    pub not_before: SystemTime,
    /// Last second of validity.
    pub not_after: SystemTime,
    /// The certificate, DER.
    pub certificate: Bytes,
    /// Whether it still counts.
    pub standing: Standing,
}

impl Issued {
    /// Whether one may rely on it at `now`: not revoked, within its validity.
    pub fn counts_at(&self, now: SystemTime) -> bool {
        self.standing == Standing::Good && (self.not_before..=self.not_after).contains(&now)
    }
}

/// A line of the index.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Issued {
        serial: &'a str,
        #[serde(borrow)]
        address: Cow<'a, str>,
        #[serde(borrow)]
        name: Cow<'a, str>,
        usage: Purpose,
        not_before: &'a str,
        not_after: &'a str,
        certificate: &'a str,
    },
    Revoked {
        serial: &'a str,
        reason: u32,
        at: &'a str,
    },
}

/// What certificates are looked up by, besides the serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Attribute {
    Address,
    Name,
    Certificate,
    Subject,
    IssuerAndSerial,
    KeyIdentifier,
}

const ATTRIBUTES: usize = 6;
const NONE: u32 = u32::MAX;

/// One certificate in memory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) serial: Serial,
    address: Box<str>,
    name: Box<str>,
    pub(super) purpose: Purpose,
    not_before: SystemTime,
    pub(super) not_after: SystemTime,
    pub(super) certificate: Bytes,
    pub(super) standing: Standing,
    /// The certificate before this one under each attribute.
    before: [u32; ATTRIBUTES],
}

impl Entry {
    pub(super) fn counts_at(&self, now: SystemTime) -> bool {
        self.standing == Standing::Good && (self.not_before..=self.not_after).contains(&now)
    }

    pub(super) fn view(&self) -> Issued {
        Issued {
            serial: self.serial.hex(),
            address: self.address.to_string(),
            name: self.name.to_string(),
            purpose: self.purpose,
            not_before: self.not_before,
            not_after: self.not_after,
            certificate: self.certificate.clone(),
            standing: self.standing,
        }
    }

    fn matches(&self, attribute: Attribute, wanted: &[u8]) -> bool {
        match attribute {
            Attribute::Address => key(&self.address).as_bytes() == wanted,
            Attribute::Name => self.name.as_bytes() == wanted,
            _ => skim(&self.certificate)
                .ok()
                .and_then(|parts| hash_of(attribute, &self.certificate, &parts))
                .is_some_and(|hash| hash == wanted),
        }
    }
}

/// The index in memory.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
    serials: HashMap<Serial, u32>,
    newest: [HashMap<u64, u32>; ATTRIBUTES],
    reading: Reading,
    /// Why nothing may be relied on any more.
    broken: bool,
}

impl Index {
    pub(super) fn all(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn by_serial(&self, serial: &Serial) -> Option<&Entry> {
        self.serials.get(serial).and_then(|at| self.entries.get(*at as usize))
    }

    /// Newest first.
    pub(super) fn by_address(&self, address: &str) -> impl Iterator<Item = &Entry> {
        self.find(Attribute::Address, key(address).into_owned().into_bytes())
    }

    /// Newest first. `wanted` is a name, or a SHA-1 hash.
    pub(super) fn find(&self, attribute: Attribute, wanted: Vec<u8>) -> impl Iterator<Item = &Entry> {
        let newest = self.newest.get(attribute as usize).and_then(|map| map.get(&short(&wanted))).copied();
        let mut next = newest.unwrap_or(NONE);
        std::iter::from_fn(move || {
            while let Some(entry) = self.entries.get(next as usize) {
                next = entry.before.get(attribute as usize).copied().unwrap_or(NONE);
                if entry.matches(attribute, &wanted) {
                    return Some(entry);
                }
            }
            None
        })
    }

    /// How many lines of the file are taken in.
    pub(super) fn lines(&self) -> u64 {
        self.reading.lines()
    }

    /// Forgets every certificate, to read them again.
    fn start_over(&mut self) {
        self.reading.start_over();
        let reading = std::mem::take(&mut self.reading);
        *self = Self { reading, ..Self::default() };
    }

    fn take(&mut self, number: u64, text: &str) -> Result<(), AuthorityError> {
        let broken = || AuthorityError::Index { line: number };
        match serde_json::from_str(text).map_err(|_| broken())? {
            Line::Issued { serial, address, name, usage, not_before, not_after, certificate } => {
                let serial = Serial::from_hex(serial).ok_or_else(broken)?;
                let certificate = Bytes::from(STANDARD.decode(certificate).map_err(|_| broken())?);
                let at = u32::try_from(self.entries.len()).ok().filter(|at| *at != NONE).ok_or_else(broken)?;
                let parts = skim(&certificate).map_err(|_| broken())?;
                let mut before = [NONE; ATTRIBUTES];
                let folded = key(&address);
                for attribute in [
                    Attribute::Address,
                    Attribute::Name,
                    Attribute::Certificate,
                    Attribute::Subject,
                    Attribute::IssuerAndSerial,
                    Attribute::KeyIdentifier,
                ] {
                    let hash = match attribute {
                        Attribute::Address => Some(short(folded.as_bytes())),
                        Attribute::Name => Some(short(name.as_bytes())),
                        _ => hash_of(attribute, &certificate, &parts).map(|hash| short(&hash)),
                    };
                    let slot = before.get_mut(attribute as usize);
                    if let (Some(hash), Some(map), Some(slot)) = (hash, self.newest.get_mut(attribute as usize), slot) {
                        *slot = map.insert(hash, at).unwrap_or(NONE);
                    }
                }
                self.serials.insert(serial, at);
                self.entries.push(Entry {
                    serial,
                    address: folded.into(),
                    name: name.into(),
                    purpose: usage,
                    not_before: parse_time(not_before).ok_or_else(broken)?,
                    not_after: parse_time(not_after).ok_or_else(broken)?,
                    certificate,
                    standing: Standing::Good,
                    before,
                });
            }
            Line::Revoked { serial, reason, at } => {
                let standing = Standing::Revoked {
                    at: parse_time(at).ok_or_else(broken)?,
                    reason: reason_of(reason).ok_or_else(broken)?,
                };
                let serial = Serial::from_hex(serial).ok_or_else(broken)?;
                let place = self.serials.get(&serial).copied().ok_or_else(broken)?;
                self.entries.get_mut(place as usize).ok_or_else(broken)?.standing = standing;
            }
        }
        Ok(())
    }
}

/// The hash that RFC 4387 2.2 names for `attribute`.
fn hash_of(attribute: Attribute, certificate: &[u8], parts: &Parts<'_>) -> Option<[u8; 20]> {
    Some(match attribute {
        Attribute::Certificate => Sha1::digest(certificate).into(),
        Attribute::Subject => Sha1::digest(parts.subject).into(),
        Attribute::IssuerAndSerial => issuer_and_serial(parts)?,
        Attribute::KeyIdentifier => Sha1::digest(parts.key_identifier?).into(),
        Attribute::Address | Attribute::Name => return None,
    })
}

/// SHA-1 of IssuerAndSerialNumber (RFC 5652 10.2.4).
pub(super) fn issuer_and_serial(parts: &Parts<'_>) -> Option<[u8; 20]> {
    let length = parts.issuer.len() + parts.serial.len();
    let length = der::Encode::to_der(&der::Length::try_from(length).ok()?).ok()?;
    let mut hash = Sha1::new();
    hash.update([0x30]);
    hash.update(&length);
    hash.update(parts.issuer);
    hash.update(parts.serial);
    Some(hash.finalize().into())
}

/// Eight octets to look up by; what is found is compared whole.
fn short(octets: &[u8]) -> u64 {
    // FNV-1a. Who can choose addresses is the administrator; the maps below it are keyed at random.
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
}

/// Domains compare without case, local parts with.
fn key(address: &str) -> Cow<'_, str> {
    match address.rsplit_once('@') {
        Some((local, domain)) if domain.bytes().any(|octet| octet.is_ascii_uppercase()) => {
            Cow::Owned(format!("{local}@{}", domain.to_ascii_lowercase()))
        }
        _ => Cow::Borrowed(address),
    }
}

/// CRLReason by its number (RFC 5280 5.3.1); removeFromCRL is not a reason to revoke.
pub(super) fn reason_of(number: u32) -> Option<CrlReason> {
    Some(match number {
        0 => CrlReason::Unspecified,
        1 => CrlReason::KeyCompromise,
        2 => CrlReason::CaCompromise,
        3 => CrlReason::AffiliationChanged,
        4 => CrlReason::Superseded,
        5 => CrlReason::CessationOfOperation,
        6 => CrlReason::CertificateHold,
        9 => CrlReason::PrivilegeWithdrawn,
        10 => CrlReason::AaCompromise,
        _ => return None,
    })
}
