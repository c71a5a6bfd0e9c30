//! Asks an OCSP responder whether a certificate is valid (ST602, ST908): RFC 6960, nonce RFC 9654, profile RFC 9919.
//!
//! Everything that is not a verified, fresh answer about exactly this certificate is an [`OcspError`] with its own
//! stable code: the caller fails closed. [`Question`] is the pure part, judged by a [`Policy`]; [`ask`] is the exchange
//! around it, and [`Seen`] what is remembered from one answer to the next.

pub mod asn1;
mod error;
mod location;
mod question;
mod seen;
mod signature;

use std::time::{Duration, SystemTime};

use x509_cert::ext::pkix::CrlReason;

use crate::http::{self, HttpError, Limits, Server};
use crate::seam::Seams;
use asn1::ResponseStatus;

pub use error::{ClockAtFault, OcspError};
pub use location::{BadLocation, Location};
pub use question::{NONCE_OCTETS, Question};
pub use seen::Seen;

/// How far two clocks may differ unless it is configured otherwise.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// Octets of an answer.
const MAX_RESPONSE: usize = 64 * 1024;
/// Most attempts for one question, whatever is configured.
const MAX_ATTEMPTS: u32 = 5;
/// From one attempt to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// What an answer must fulfil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether it has to repeat the question's nonce.
    pub nonce: NoncePolicy,
    /// How far the responder's clock and ours may differ.
    pub skew: Duration,
    /// Certificates (DER) of the only responders that may answer. None: the certificate's issuer, and whom it delegated.
    pub pinned: Vec<Vec<u8>>,
}

impl Default for Policy {
    /// A nonce, [`CLOCK_SKEW`], the issuer and its delegates.
    fn default() -> Self {
        Self { nonce: NoncePolicy::Required, skew: CLOCK_SKEW, pinned: Vec::new() }
    }
}

/// What proves that an answer is not an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoncePolicy {
    /// The question's nonce: it was made for this question.
    Required,
    /// For responders that answer from a cache (RFC 5019): without a nonce it must be younger than `max_age`, still run, and
    /// not be older than the last one seen. A wrong nonce is refused all the same.
    Optional {
        /// From thisUpdate to now.
        max_age: Duration,
    },
}

/// An OCSP responder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    /// Where it is.
    pub server: Server,
    /// Path of the service: "/ocsp".
    pub path: String,
    /// How long to wait for an answer, each time.
    pub time_limit: Duration,
    /// How often to ask when no connection is made, it breaks, or the responder says *try later*; at most five times. An
    /// answer that is refused is never asked for again, nor one that took too long.
    pub attempts: u32,
    /// What its answers must fulfil.
    pub policy: Policy,
}

impl Responder {
    /// The responder of our own certificate server at `server`.
    pub fn new(server: Server) -> Self {
        Self {
            server,
            path: "/ocsp".to_owned(),
            time_limit: Duration::from_secs(10),
            attempts: 2,
            policy: Policy::default(),
        }
    }
}

/// What the responder says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// Since when.
        at: SystemTime,
        /// Why, if it says.
        reason: Option<CrlReason>,
    },
    /// The responder knows nothing of it: as bad as revoked.
    Unknown,
}

/// A verified answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What the responder says.
    pub status: Status,
    /// When the answer was signed.
    pub produced_at: SystemTime,
    /// When that was known to be right.
    pub this_update: SystemTime,
    /// Until when it may be relied on; `None` if the responder does not say, which means: not at all.
    pub next_update: Option<SystemTime>,
    /// Whether it repeats the question's nonce, so that it was made for it.
    pub has_nonce: bool,
}

/// Asks `responder` about `certificate`, which `issuer` issued (both DER); nothing is remembered.
pub async fn check(
    seams: &Seams,
    responder: &Responder,
    certificate: &[u8],
    issuer: &[u8],
) -> Result<Status, OcspError> {
    Ok(ask(seams, responder, &Seen::default(), certificate, issuer).await?.status)
}

/// Asks `responder` about `certificate`, which `issuer` issued (both DER). What `seen` remembers makes older answers and
/// wrong clocks known.
pub async fn ask(
    seams: &Seams,
    responder: &Responder,
    seen: &Seen,
    certificate: &[u8],
    issuer: &[u8],
) -> Result<Answer, OcspError> {
    let attempts = responder.attempts.clamp(1, MAX_ATTEMPTS);
    let mut attempt = 1;
    loop {
        match ask_once(seams, responder, seen, certificate, issuer).await {
            Err(error) if attempt < attempts && error.is_worth_a_retry() => attempt += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks `responder` once about a certificate that `issuer` (DER) never issued. What it says of it is of no interest: an
/// [`Answer`] means that it was reached and that what it signs is believed here. For a diagnosis without any card.
pub async fn probe(seams: &Seams, responder: &Responder, issuer: &[u8]) -> Result<Answer, OcspError> {
    let question = Question::about_nobody(issuer, nonce(seams))?;
    exchange(seams, responder, &Seen::default(), &question).await
}

fn nonce(seams: &Seams) -> [u8; NONCE_OCTETS] {
    let mut nonce = [0u8; NONCE_OCTETS];
    seams.entropy.fill(&mut nonce);
    nonce
}

/// One exchange, with a nonce of its own.
async fn ask_once(
    seams: &Seams,
    responder: &Responder,
    seen: &Seen,
    certificate: &[u8],
    issuer: &[u8],
) -> Result<Answer, OcspError> {
    let question = Question::about(certificate, issuer, nonce(seams))?;
    exchange(seams, responder, seen, &question).await
}

async fn exchange(seams: &Seams, responder: &Responder, seen: &Seen, question: &Question) -> Result<Answer, OcspError> {
    let response = http::post(
        seams.network.as_ref(),
        &responder.server,
        &responder.path,
        "application/ocsp-request",
        question.der().to_vec(),
        Limits { time: responder.time_limit, body: MAX_RESPONSE },
    )
    .await?
    .success()?;
    let now = seams.clock.now();
    let answer = question.judge_by(&responder.policy, &response.body, now, seen.newest())?;
    seen.admit(question.about_whom(), &answer)?;
    Ok(answer)
}

impl OcspError {
    /// Whether asking again at once may help.
    fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Http(HttpError::Unreachable { .. } | HttpError::Protocol { .. }) => true,
            Self::Http(HttpError::Status { status, .. }) => *status >= 500,
            Self::Refused(status) => matches!(status, ResponseStatus::TryLater | ResponseStatus::InternalError),
            _ => false,
        }
    }
}
