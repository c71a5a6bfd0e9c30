//! The OCSP responder as it is configured (C4, C8): where it is, who may answer, what counts as fresh.

use std::time::Duration;

use sealfax_client::dns::Resolver;
use sealfax_client::http::{HttpError, Server};
use sealfax_client::ocsp::{self, Location, NoncePolicy, OcspError, Policy, Responder, Seen, Status};
use sealfax_client::seam::Seams;

use super::TrustError;
use crate::config::{Config, NonceRule};

/// How many addresses of one host name are tried.
const MAX_ADDRESSES: usize = 2;

/// Where to ask, and what was said before.
pub(crate) struct StatusServer {
    seams: Seams,
    responder: Responder,
    /// A host name is looked up each time; the resolver remembers for as long as the DNS allows.
    named: Option<(Location, Resolver)>,
    seen: Seen,
}

impl StatusServer {
    /// `pinned` are the certificates of the only responders that may answer, if there are any.
    pub(crate) fn new(config: &Config, seams: &Seams, pinned: Vec<Vec<u8>>) -> Result<Self, TrustError> {
        let mut responder = Responder::new(Server::at(config.network.directory));
        let mut named = None;
        if let Some(location) = &config.network.ocsp {
            responder.path.clone_from(&location.path);
            match location.address() {
                Some(address) => responder.server = Server::at(address),
                None => named = Some((location.clone(), Resolver::new(config.network.dns_servers.clone())?)),
            }
        }
        responder.policy = Policy {
            nonce: match config.trust.ocsp_nonce {
                NonceRule::Required => NoncePolicy::Required,
                NonceRule::Optional => {
                    NoncePolicy::Optional { max_age: Duration::from_secs(config.trust.ocsp_max_age_seconds) }
                }
            },
            skew: Duration::from_secs(config.trust.clock_tolerance_seconds),
            pinned,
        };
        Ok(Self { seams: seams.clone(), responder, named, seen: Seen::default() })
    }

    /// What the responder says of a certificate that one of `issuers` issued, now.
    pub(crate) async fn ask(
        &self,
        certificate: &[u8],
        issuers: impl Iterator<Item = &Vec<u8>>,
    ) -> Result<Status, OcspError> {
        // The wrong issuers say so at once, without anybody being asked.
        let mut last = OcspError::WrongIssuer;
        for issuer in issuers {
            match self.ask_with(certificate, issuer).await {
                Err(error @ OcspError::WrongIssuer) => last = error,
                answer => return answer,
            }
        }
        Err(last)
    }

    /// Asks about a certificate that `issuer` never issued, for a diagnosis: see [`ocsp::probe`].
    pub(crate) async fn probe(&self, issuer: &[u8]) -> Result<(), OcspError> {
        let mut outcome = Err(OcspError::WrongIssuer);
        for responder in self.responders().await? {
            outcome = ocsp::probe(&self.seams, &responder, issuer).await.map(drop);
            if !matches!(outcome, Err(OcspError::Http(HttpError::Unreachable { .. }))) {
                break;
            }
        }
        outcome
    }

    async fn ask_with(&self, certificate: &[u8], issuer: &[u8]) -> Result<Status, OcspError> {
        let mut outcome = Err(OcspError::WrongIssuer);
        for responder in self.responders().await? {
            outcome = ocsp::ask(&self.seams, &responder, &self.seen, certificate, issuer).await;
            if !matches!(outcome, Err(OcspError::Http(HttpError::Unreachable { .. }))) {
                break;
            }
        }
        Ok(outcome?.status)
    }

    async fn responders(&self) -> Result<Vec<Responder>, OcspError> {
        let Some((location, resolver)) = &self.named else { return Ok(vec![self.responder.clone()]) };
        let addresses = resolver.addresses(&location.host).await?;
        let at = |ip| Server { addr: (ip, location.port).into(), host: location.authority() };
        let at_each = addresses.into_iter().take(MAX_ADDRESSES).map(at);
        Ok(at_each.map(|server| Responder { server, ..self.responder.clone() }).collect())
    }
}
