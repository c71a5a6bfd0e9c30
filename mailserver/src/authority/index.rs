//! Which certificates were issued, to whom, and which are revoked: an append-only file, and maps in memory.
//!
//! The command line appends while the server runs; the server reads what is new before each answer, so a revocation
//! counts at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealfax_client::history::{parse_time, time_text};
use sealfax_client::lookup::Use;
use serde::{Deserialize, Serialize};
use x509_cert::ext::pkix::CrlReason;

use super::AuthorityError;
use crate::history::lines::Lines;

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

/// A certificate that was issued to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// The person's mail address.
    pub address: String,
    /// The person's name.
    pub name: String,
    /// What it is for.
    pub usage: Use,
    /// First second of validity.
    pub not_before: SystemTime,
    /// Last second of validity.
    pub not_after: SystemTime,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Whether it still counts.
    pub standing: Standing,
}

impl Issued {
    /// Whether one may encrypt with it at `now`: not revoked, within its validity.
    pub fn counts_at(&self, now: SystemTime) -> bool {
        self.standing == Standing::Good && (self.not_before..=self.not_after).contains(&now)
    }
}

/// A line of the index.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Issued {
        serial: String,
        address: String,
        name: String,
        usage: Use,
        not_before: String,
        not_after: String,
        certificate: String,
    },
    Revoked {
        serial: String,
        reason: u32,
        at: String,
    },
}

/// The index, in memory and on disk.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    lines: Lines,
    count: u64,
    issued: Vec<Issued>,
    by_serial: HashMap<String, usize>,
    by_address: HashMap<String, Vec<usize>>,
}

impl Index {
    pub(super) fn open(path: &Path) -> Result<Self, AuthorityError> {
        let lines = Lines::open(path).map_err(|source| AuthorityError::Disk { path: path.to_owned(), source })?;
        let mut index = Self {
            path: path.to_owned(),
            lines,
            count: 0,
            issued: Vec::new(),
            by_serial: HashMap::new(),
            by_address: HashMap::new(),
        };
        index.refresh()?;
        Ok(index)
    }

    pub(super) fn all(&self) -> &[Issued] {
        &self.issued
    }

    pub(super) fn by_serial(&self, serial: &str) -> Option<&Issued> {
        self.by_serial.get(serial).and_then(|at| self.issued.get(*at))
    }

    /// Oldest first.
    pub(super) fn by_address(&self, address: &str) -> impl DoubleEndedIterator<Item = &Issued> {
        self.by_address
            .get(&key(address))
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .filter_map(|at| self.issued.get(*at))
    }

    /// Writes down a new certificate; when this returns it is on the disk.
    pub(super) fn issue(&mut self, issued: &Issued) -> Result<(), AuthorityError> {
        let _lock = self.lines.lock().map_err(|source| self.disk(source))?;
        self.refresh()?;
        self.append(&Line::Issued {
            serial: issued.serial.clone(),
            address: issued.address.clone(),
            name: issued.name.clone(),
            usage: issued.usage,
            not_before: time_text(issued.not_before),
            not_after: time_text(issued.not_after),
            certificate: STANDARD.encode(&issued.certificate),
        })
    }

    /// Writes down a revocation; when this returns it is on the disk.
    pub(super) fn revoke(&mut self, serial: &str, reason: CrlReason, at: SystemTime) -> Result<(), AuthorityError> {
        let _lock = self.lines.lock().map_err(|source| self.disk(source))?;
        self.refresh()?;
        match self.by_serial(serial).map(|issued| issued.standing) {
            None => Err(AuthorityError::UnknownSerial(serial.to_owned())),
            Some(Standing::Revoked { .. }) => Err(AuthorityError::AlreadyRevoked(serial.to_owned())),
            Some(Standing::Good) => {
                self.append(&Line::Revoked { serial: serial.to_owned(), reason: reason as u32, at: time_text(at) })
            }
        }
    }

    /// Reads what was appended since, by whomever.
    pub(super) fn refresh(&mut self) -> Result<(), AuthorityError> {
        let fresh = self.lines.fresh().map_err(|source| self.disk(source))?;
        for text in fresh {
            let line = serde_json::from_str(&text).ok();
            self.take(line)?;
        }
        Ok(())
    }

    fn append(&mut self, line: &Line) -> Result<(), AuthorityError> {
        let text = serde_json::to_string(line).map_err(|error| AuthorityError::Build(Box::new(error)))?;
        self.lines.append(&text).map_err(|source| self.disk(source))?;
        self.take(serde_json::from_str(&text).ok())
    }

    fn take(&mut self, line: Option<Line>) -> Result<(), AuthorityError> {
        self.count += 1;
        let line_number = self.count;
        let broken = || AuthorityError::Index { line: line_number };
        match line.ok_or_else(broken)? {
            Line::Issued { serial, address, name, usage, not_before, not_after, certificate } => {
                let at = self.issued.len();
                self.by_serial.insert(serial.clone(), at);
                self.by_address.entry(key(&address)).or_default().push(at);
                self.issued.push(Issued {
                    serial,
                    address,
                    name,
                    usage,
                    not_before: parse_time(&not_before).ok_or_else(broken)?,
                    not_after: parse_time(&not_after).ok_or_else(broken)?,
                    certificate: STANDARD.decode(certificate).map_err(|_| broken())?,
                    standing: Standing::Good,
                });
            }
            Line::Revoked { serial, reason, at } => {
                let standing = Standing::Revoked {
                    at: parse_time(&at).ok_or_else(broken)?,
                    reason: reason_of(reason).ok_or_else(broken)?,
                };
                let place = self.by_serial.get(&serial).copied().ok_or_else(broken)?;
                self.issued.get_mut(place).ok_or_else(broken)?.standing = standing;
            }
        }
        Ok(())
    }

    fn disk(&self, source: std::io::Error) -> AuthorityError {
        AuthorityError::Disk { path: self.path.clone(), source }
    }
}

/// Domains compare without case, local parts with.
fn key(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => address.to_owned(),
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
