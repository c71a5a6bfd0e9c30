//! Whether a certificate may be relied on (C4, C7, C8): its path to our anchors, and what the OCSP responder says of it.
//! Everything that cannot be checked is refused, each reason under its own code ([`CardFault`]).
//!
//! `status` asks the responder, `fault` gives names to what is wrong, `correspondents` finds and judges other people's
//! certificates, `change` remembers their keys, `cache` spares the certificate server.

mod cache;
mod change;
mod correspondents;
pub(crate) mod fault;
mod status;

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sealfax_client::dns::DnsError;
use sealfax_client::lookup::Directory;
use sealfax_client::seam::Seams;
use sealfax_drivers::display::CardFault;
use sealfax_smime::path::{self, Use};

use crate::card::Unusable;
use crate::config::{ChangeRule, Config};
use crate::ledger::Ledger;
use cache::Cache;
pub use correspondents::{Found, Untrusted};
pub(crate) use status::StatusServer;

/// Why nothing can be relied on from the start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Anchors, intermediates or responders.
    #[error("the certificates in {path} cannot be used: {why}; give a PEM file with at least one")]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The responder has a name and there is nobody to ask for it.
    #[error("the OCSP responder's name cannot be looked up; check `network.dns_servers`")]
    Names(#[from] DnsError),
}

/// Anchors, the certificate server, and what is remembered of correspondents.
pub struct Trust {
    seams: Seams,
    host: String,
    anchors: Vec<Vec<u8>>,
    intermediates: Vec<Vec<u8>>,
    directory: Directory,
    status: StatusServer,
    cache: Cache,
    ledger: Ledger,
    on_change: ChangeRule,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("anchors", &self.anchors.len()).finish_non_exhaustive()
    }
}

impl Trust {
    /// Reads the certificates that the configuration names. Asks nobody yet.
    pub fn open(config: &Config, seams: &Seams, ledger: Ledger) -> Result<Self, TrustError> {
        let network = &config.network;
        let anchors = read_pem(&network.anchors)?;
        let intermediates = network.intermediates.as_deref().map(read_pem).transpose()?.unwrap_or_default();
        let pinned = config.trust.ocsp_responders.as_deref().map(read_pem).transpose()?.unwrap_or_default();
        Ok(Self {
            seams: seams.clone(),
            host: config.host_name.clone(),
            directory: network.certificates(),
            status: StatusServer::new(config, seams, pinned)?,
            anchors,
            intermediates,
            cache: Cache::default(),
            ledger,
            on_change: config.trust.certificate_change,
        })
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
        self.path_fault(certificate, purpose).map_err(|(fault, why)| Unusable { fault, why })
    }

    /// ST602, ST908: what the certificate server says of a card's certificate, asked anew with a nonce of its own.
    pub async fn check_card_status(&self, certificate: &[u8]) -> Result<(), Unusable> {
        self.status_fault(certificate).await.map_err(|(fault, why)| Unusable { fault, why })
    }

    fn path_fault(&self, certificate: &[u8], purpose: Use) -> Result<(), (CardFault, String)> {
        let now = self.seams.clock.now();
        path::check_path(certificate, &self.intermediates, &self.anchors, now, purpose)
            .map_err(|error| (fault::of_path(&error, certificate, purpose), error.to_string()))
    }

    /// The responder's word on a certificate. A detail that an administrator should look at is in the journal already.
    async fn status_fault(&self, certificate: &[u8]) -> Result<(), (CardFault, String)> {
        match self.status.ask(certificate, self.intermediates.iter().chain(&self.anchors)).await {
            Ok(status) => match fault::of_status(&status) {
                None => Ok(()),
                Some(fault) => Err((fault, format!("the certificate server says of the certificate: {status:?}"))),
            },
            Err(error) => {
                let why = with_sources(&error);
                self.seams.journal.security(&self.host, error.code(), &why);
                Err((fault::of_ocsp(&error), why))
            }
        }
    }
}

/// An error with all that is behind it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
}

/// The certificates of a PEM file, DER; at least one.
pub(crate) fn read_pem(path: &Path) -> Result<Vec<Vec<u8>>, TrustError> {
    let wrong = |why: String| TrustError::Certificates { path: path.to_owned(), why };
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&text)
        .map(|certificate| certificate.map(|der| der.to_vec()).map_err(|error| wrong(error.to_string())))
        .collect::<Result<_, _>>()?;
    if certificates.is_empty() { Err(wrong("it holds no certificate".into())) } else { Ok(certificates) }
}

/// Whether each of these can be the end of a path.
pub(crate) fn trust_anchors(path: &Path, certificates: &[Vec<u8>]) -> Result<(), TrustError> {
    certificates.iter().try_for_each(|certificate| {
        path::check_anchor(certificate)
            .map_err(|error| TrustError::Certificates { path: path.to_owned(), why: error.to_string() })
    })
}
