//! Whether a certificate may be relied on (C4, C7, C8): its path to our anchors, and what the certificate server says of
//! it. Everything that cannot be checked is refused.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sealfax_client::http::Server;
use sealfax_client::lookup::{self, Directory, LookupError};
use sealfax_client::ocsp::{self, OcspError, Responder, Status};
use sealfax_client::seam::Seams;
use sealfax_drivers::display::CardFault;
use sealfax_smime::path::{self, PathError, Use};

use crate::card::Unusable;

/// How long a looked-up certificate may be used without asking for it again; whether it is valid is asked every time.
const CACHE_FOR: Duration = Duration::from_secs(600);
/// How many correspondents are remembered.
const CACHE_PEOPLE: usize = 1024;

/// Why a correspondent's certificate is not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// The certificate server has none that serves.
    #[error("no valid certificate for {0}; ask your administrator to have one issued")]
    None(String),
    /// The certificate server cannot be asked.
    #[error("the certificate server cannot be asked ({0}); check the network and try again")]
    Unreachable(String),
}

/// Anchors, and the certificate server.
pub struct Trust {
    seams: Seams,
    host: String,
    anchors: Vec<Vec<u8>>,
    intermediates: Vec<Vec<u8>>,
    directory: Directory,
    responder: Responder,
    /// A7: correspondents' certificates, in memory only.
    cache: Mutex<HashMap<(String, bool), Remembered>>,
}

struct Remembered {
    certificates: Vec<Vec<u8>>,
    until: SystemTime,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("anchors", &self.anchors.len()).finish_non_exhaustive()
    }
}

impl Trust {
    /// `anchors` and `intermediates` in DER; `server` answers both look-ups and OCSP.
    pub fn new(
        seams: Seams,
        host: &str,
        anchors: Vec<Vec<u8>>,
        intermediates: Vec<Vec<u8>>,
        server: std::net::SocketAddr,
    ) -> Self {
        let server = Server::at(server);
        Self {
            seams,
            host: host.to_owned(),
            anchors,
            intermediates,
            directory: Directory::new(server.clone()),
            responder: Responder::new(server),
            cache: Mutex::default(),
        }
    }

    /// The trust anchors, DER.
    pub fn anchors(&self) -> &[Vec<u8>] {
        &self.anchors
    }

    /// The certificates between people's and the anchors, DER, to be sent along.
    pub fn intermediates(&self) -> &[Vec<u8>] {
        &self.intermediates
    }

    /// ST603, ST909, first half: the path of a card's certificate, without asking anyone.
    pub fn check_card_path(&self, certificate: &[u8], purpose: Use) -> Result<(), Unusable> {
        path::check_path(certificate, &self.intermediates, &self.anchors, self.seams.clock.now(), purpose).map_err(
            |error| {
                let fault = match error {
                    PathError::Expired => CardFault::Expired,
                    PathError::NotYetValid => CardFault::NotYetValid,
                    PathError::Malformed => CardFault::Unreadable,
                    _ => CardFault::Untrusted,
                };
                Unusable { fault, why: error.to_string() }
            },
        )
    }

    /// ST602, ST908: what the certificate server says of a card's certificate, asked anew with a nonce of its own.
    pub async fn check_card_status(&self, certificate: &[u8]) -> Result<(), Unusable> {
        match self.status(certificate).await {
            Ok(Status::Good) => Ok(()),
            Ok(Status::Revoked { reason, .. }) => {
                Err(Unusable { fault: CardFault::Revoked, why: format!("the certificate is revoked ({reason:?})") })
            }
            Ok(Status::Unknown) => Err(Unusable {
                fault: CardFault::Unknown,
                why: "the certificate server does not know the certificate".into(),
            }),
            Err(error) => {
                self.seams.journal.security(&self.host, error.code(), error.to_string());
                Err(Unusable { fault: CardFault::Unchecked, why: error.to_string() })
            }
        }
    }

    async fn status(&self, certificate: &[u8]) -> Result<Status, OcspError> {
        // The issuer is one of the certificates that we hold; the wrong ones say so at once, without being asked.
        let mut last = OcspError::WrongIssuer;
        for issuer in self.intermediates.iter().chain(&self.anchors) {
            match ocsp::check(&self.seams, &self.responder, certificate, issuer).await {
                Err(error @ OcspError::WrongIssuer) => last = error,
                answer => return answer,
            }
        }
        Err(last)
    }

    /// ST606, ST917: the valid certificates of a correspondent, newest knowledge of their state included.
    pub async fn certificates(&self, address: &str, purpose: Use) -> Result<Vec<Vec<u8>>, Untrusted> {
        let unreachable = |error: &dyn std::fmt::Display| Untrusted::Unreachable(error.to_string());
        let found = match self.look_up(address, purpose).await {
            Ok(found) => found,
            Err(error) if error.is_transient() => return Err(unreachable(&error)),
            Err(error) => {
                self.seams.journal.failure(&self.host, error.code(), error.to_string());
                return Err(Untrusted::None(address.to_owned()));
            }
        };
        let now = self.seams.clock.now();
        let mut good = Vec::new();
        for certificate in found {
            if !sealfax_smime::speaks_for(&certificate, address) {
                self.seams.journal.security(
                    &self.host,
                    "TRUST-001",
                    format!("the certificate server sent a certificate of somebody else for {address}"),
                );
                continue;
            }
            if let Err(error) = path::check_path(&certificate, &self.intermediates, &self.anchors, now, purpose) {
                self.seams.journal.security(&self.host, "TRUST-002", format!("certificate of {address}: {error}"));
                continue;
            }
            match self.status(&certificate).await {
                Ok(Status::Good) => good.push(certificate),
                Ok(status) => self.seams.journal.security(
                    &self.host,
                    "TRUST-003",
                    format!("the certificate of {address} is not valid: {status:?}"),
                ),
                Err(error) if error.is_transient() => return Err(unreachable(&error)),
                Err(error) => self.seams.journal.security(&self.host, error.code(), error.to_string()),
            }
        }
        if good.is_empty() { Err(Untrusted::None(address.to_owned())) } else { Ok(good) }
    }

    async fn look_up(&self, address: &str, purpose: Use) -> Result<Vec<Vec<u8>>, LookupError> {
        let key = (address.to_owned(), purpose == Use::Encrypt);
        let now = self.seams.clock.now();
        {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = cache.get(&key).filter(|known| known.until > now) {
                return Ok(known.certificates.clone());
            }
        }
        let usage = match purpose {
            Use::Sign => lookup::Use::Sign,
            Use::Encrypt => lookup::Use::Encrypt,
        };
        let certificates = lookup::by_address(&self.seams, &self.directory, address, usage).await?;
        self.seams.journal.step(
            &self.host,
            &["A7"],
            format!("the certificate of {address} was looked up and is kept in memory"),
        );
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE_PEOPLE {
            cache.retain(|_, known| known.until > now);
            if cache.len() >= CACHE_PEOPLE {
                cache.clear();
            }
        }
        cache.insert(key, Remembered { certificates: certificates.clone(), until: now + CACHE_FOR });
        Ok(certificates)
    }
}
