//! Asks an OCSP responder whether a certificate is valid (ST602, ST908): RFC 6960, nonce RFC 9654, profile RFC 9919.
//!
//! Everything that is not a verified, fresh answer about exactly this certificate is an [`OcspError`] with its own
//! stable code: the caller fails closed. [`Question`] is the pure part, [`check`] the exchange around it.

pub mod asn1;
mod signature;

use std::time::{Duration, SystemTime};

use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{CrlReason, ExtendedKeyUsage, KeyUsage};

use crate::http::{self, HttpError, Limits, Server};
use crate::seam::Seams;
use asn1::{
    BasicOcspResponse, CertId, CertStatus, OcspRequest, OcspResponse, ResponseData, ResponseStatus, SingleRequest,
    TbsRequest,
};
use signature::Refusal;

/// How far two clocks may differ.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// Octets of nonce that a request carries (RFC 9654 2.1).
pub const NONCE_OCTETS: usize = 32;
/// Octets of an answer.
const MAX_RESPONSE: usize = 64 * 1024;
/// Certificates in an answer that are looked at.
const MAX_CERTIFICATES: usize = 8;

/// An OCSP responder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    /// Where it is.
    pub server: Server,
    /// Path of the service: "/ocsp".
    pub path: String,
    /// How long to wait for an answer.
    pub time_limit: Duration,
}

impl Responder {
    /// The responder of our own certificate server at `server`.
    pub fn new(server: Server) -> Self {
        Self { server, path: "/ocsp".to_owned(), time_limit: Duration::from_secs(10) }
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
    /// When that was known to be right.
    pub this_update: SystemTime,
    /// Until when it may be relied on; `None` if the responder does not say, which means: not at all.
    pub next_update: Option<SystemTime>,
}

/// Why there is no answer that may be relied on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OcspError {
    /// The responder could not be asked.
    #[error("the certificate server could not be asked whether the certificate is valid")]
    Http(#[from] HttpError),
    /// The responder answers with an error of its own.
    #[error("the certificate server refuses to answer ({0:?}); see its log")]
    Refused(ResponseStatus),
    /// The answer cannot be read.
    #[error("the answer is not an OCSP response; check that the address is that of an OCSP responder")]
    Malformed(#[source] der::Error),
    /// The answer is of another type than basic, or marks as critical what we do not know.
    #[error("the OCSP response is of a kind this adapter does not know ({0}); ask for a basic response")]
    UnknownKind(&'static str),
    /// Signed by someone who may not answer for this issuer.
    #[error(
        "the OCSP response is not from the certificate's issuer nor its delegate: {0}; someone may be forging answers"
    )]
    ResponderNotTrusted(&'static str),
    /// The delegated responder's certificate is not valid now.
    #[error(
        "the OCSP responder's own certificate is not valid now; renew it at the certificate server, and check the clocks"
    )]
    ResponderExpired,
    /// The signature does not hold.
    #[error("the signature of the OCSP response is wrong; someone may be forging answers")]
    BadSignature,
    /// Signed with an algorithm that is not checked here.
    #[error(
        "the OCSP response or certificate is signed with an algorithm this adapter does not check; use RSA or ECDSA P-256 with SHA-256"
    )]
    UnsupportedAlgorithm,
    /// No nonce in the answer.
    #[error("the OCSP response carries no nonce, so it may be an old one; configure the responder to answer nonces")]
    NonceMissing,
    /// Another nonce than the one sent.
    #[error("the OCSP response answers another question (nonce differs); someone may be replaying answers")]
    NonceDiffers,
    /// The answer is about another certificate, or says several things about this one.
    #[error("the OCSP response is not about this certificate alone")]
    OtherCertificate,
    /// Its time is over.
    #[error("the OCSP response has expired; check the clocks of adapter and certificate server")]
    Expired,
    /// Its time has not come.
    #[error("the OCSP response is dated in the future; check the clocks of adapter and certificate server")]
    FutureDated,
    /// The certificate to be checked, or its issuer's, cannot be read.
    #[error("the certificate cannot be read; issue the card anew")]
    CertificateUnreadable(#[source] der::Error),
    /// The certificate was not issued by this issuer.
    #[error("the certificate was not issued by the authority this adapter trusts")]
    WrongIssuer,
}

impl OcspError {
    /// Stable code for logs and screens.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http(_) => "OCSP-001",
            Self::Refused(_) => "OCSP-002",
            Self::Malformed(_) => "OCSP-003",
            Self::UnknownKind(_) => "OCSP-004",
            Self::ResponderNotTrusted(_) => "OCSP-005",
            Self::ResponderExpired => "OCSP-006",
            Self::BadSignature => "OCSP-007",
            Self::UnsupportedAlgorithm => "OCSP-008",
            Self::NonceMissing => "OCSP-009",
            Self::NonceDiffers => "OCSP-010",
            Self::OtherCertificate => "OCSP-011",
            Self::Expired => "OCSP-012",
            Self::FutureDated => "OCSP-013",
            Self::CertificateUnreadable(_) => "OCSP-014",
            Self::WrongIssuer => "OCSP-015",
        }
    }

    /// Whether asking again later may help: the responder was not reached or was in trouble. Anything else is a
    /// matter for the administrator.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Refused(ResponseStatus::TryLater | ResponseStatus::InternalError))
    }
}

/// Asks `responder` about `certificate`, which `issuer` issued (both DER).
pub async fn check(
    seams: &Seams,
    responder: &Responder,
    certificate: &[u8],
    issuer: &[u8],
) -> Result<Status, OcspError> {
    let mut nonce = [0u8; NONCE_OCTETS];
    seams.entropy.fill(&mut nonce);
    let question = Question::about(certificate, issuer, nonce)?;
    let limits = Limits { time: responder.time_limit, body: MAX_RESPONSE };
    let response = http::post(
        seams.network.as_ref(),
        &responder.server,
        &responder.path,
        "application/ocsp-request",
        question.der().to_vec(),
        limits,
    )
    .await?
    .success()?;
    Ok(question.judge(&response.body, seams.clock.now())?.status)
}

/// One question, and what its answer must fit.
#[derive(Debug, Clone)]
pub struct Question {
    der: Vec<u8>,
    cert_id: CertId,
    nonce: [u8; NONCE_OCTETS],
    issuer: Certificate,
}

impl Question {
    /// Asks about `certificate`, which `issuer` issued (both DER), with a `nonce` never used before.
    pub fn about(certificate: &[u8], issuer: &[u8], nonce: [u8; NONCE_OCTETS]) -> Result<Self, OcspError> {
        let unreadable = OcspError::CertificateUnreadable;
        let subject = Certificate::from_der(certificate).map_err(unreadable)?;
        let issuer = Certificate::from_der(issuer).map_err(unreadable)?;
        let tbs = subject.tbs_certificate();
        // A serial number means something only together with the right issuer: another authority's certificate
        // must not borrow the good name of one of ours.
        if tbs.issuer() != issuer.tbs_certificate().subject() {
            return Err(OcspError::WrongIssuer);
        }
        match signature::certificate_signed_by(certificate, &issuer) {
            Ok(()) => {}
            Err(Refusal::Bad) => return Err(OcspError::WrongIssuer),
            Err(Refusal::Unsupported) => return Err(OcspError::UnsupportedAlgorithm),
        }
        let cert_id = CertId::sha256(&issuer, tbs.serial_number().clone()).map_err(unreadable)?;
        let request = OcspRequest {
            tbs_request: TbsRequest {
                version: 0,
                requestor_name: None,
                request_list: vec![SingleRequest { req_cert: cert_id.clone(), single_request_extensions: None }],
                request_extensions: Some(vec![asn1::nonce_extension(&nonce).map_err(unreadable)?]),
            },
            optional_signature: None,
        };
        Ok(Self { der: request.to_der().map_err(unreadable)?, cert_id, nonce, issuer })
    }

    /// The request, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What `response` (DER) says, if it may be relied on at `now` (RFC 6960 3.2).
    pub fn judge(&self, response: &[u8], now: SystemTime) -> Result<Answer, OcspError> {
        let (basic, certificates) = self.open(response)?;
        let data: ResponseData = basic.tbs_response_data.decode_as().map_err(OcspError::Malformed)?;
        self.verify(&basic, &certificates, &data, now)?;
        let extensions = data.response_extensions.as_deref();
        refuse_critical(extensions)?;
        match asn1::nonce(extensions).map_err(OcspError::Malformed)? {
            None => return Err(OcspError::NonceMissing),
            Some(nonce) if nonce != self.nonce => return Err(OcspError::NonceDiffers),
            Some(_) => {}
        }
        let [single] = data.responses.as_slice() else {
            return Err(OcspError::OtherCertificate);
        };
        if !single.cert_id.matches(&self.cert_id) {
            return Err(OcspError::OtherCertificate);
        }
        refuse_critical(single.single_extensions.as_deref())?;
        let this_update = single.this_update.to_system_time();
        let next_update = single.next_update.map(|time| time.to_system_time());
        if this_update > now + CLOCK_SKEW || data.produced_at.to_system_time() > now + CLOCK_SKEW {
            return Err(OcspError::FutureDated);
        }
        // Without nextUpdate newer information is always there, so only a fresh statement counts.
        if next_update.unwrap_or(this_update) + CLOCK_SKEW < now {
            return Err(OcspError::Expired);
        }
        let status = match single.cert_status {
            CertStatus::Good(_) => Status::Good,
            CertStatus::Revoked(info) => {
                Status::Revoked { at: info.revocation_time.to_system_time(), reason: info.revocation_reason }
            }
            CertStatus::Unknown(_) => Status::Unknown,
        };
        Ok(Answer { status, this_update, next_update })
    }

    /// Takes the answer out of its wrappings, with the certificates that came along.
    fn open(&self, response: &[u8]) -> Result<(BasicOcspResponse, Vec<Vec<u8>>), OcspError> {
        if response.len() > MAX_RESPONSE {
            return Err(OcspError::Malformed(der::ErrorKind::Overlength.into()));
        }
        let response = OcspResponse::from_der(response).map_err(OcspError::Malformed)?;
        if response.response_status != ResponseStatus::Successful {
            return Err(OcspError::Refused(response.response_status));
        }
        let Some(bytes) = response.response_bytes else {
            return Err(OcspError::Malformed(der::ErrorKind::Failed.into()));
        };
        if bytes.response_type != asn1::BASIC {
            return Err(OcspError::UnknownKind("response type"));
        }
        let basic = BasicOcspResponse::from_der(bytes.response.as_bytes()).map_err(OcspError::Malformed)?;
        let certificates = basic
            .certs
            .iter()
            .flatten()
            .take(MAX_CERTIFICATES)
            .filter_map(|certificate| certificate.to_der().ok())
            .collect();
        Ok((basic, certificates))
    }

    /// RFC 6960 4.2.2.2: signed by the issuer itself or by a responder to which this issuer delegated.
    fn verify(
        &self,
        basic: &BasicOcspResponse,
        certificates: &[Vec<u8>],
        data: &ResponseData,
        now: SystemTime,
    ) -> Result<(), OcspError> {
        let signed = basic.tbs_response_data.to_der().map_err(OcspError::Malformed)?;
        let holds = |certificate: &Certificate| {
            let key = certificate.tbs_certificate().subject_public_key_info();
            match signature::verify(key, &basic.signature_algorithm, &signed, &basic.signature) {
                Ok(()) => Ok(()),
                Err(Refusal::Bad) => Err(OcspError::BadSignature),
                Err(Refusal::Unsupported) => Err(OcspError::UnsupportedAlgorithm),
            }
        };
        if data.responder_id.names(&self.issuer) {
            return holds(&self.issuer);
        }
        let mut why = OcspError::ResponderNotTrusted("its certificate is not in the answer");
        for der in certificates {
            let Ok(candidate) = Certificate::from_der(der) else {
                continue;
            };
            if !data.responder_id.names(&candidate) {
                continue;
            }
            match self.delegated(der, &candidate, now).and_then(|()| holds(&candidate)) {
                Ok(()) => return Ok(()),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Whether the issuer let the holder of `candidate` answer in its name, and still does.
    fn delegated(&self, der: &[u8], candidate: &Certificate, now: SystemTime) -> Result<(), OcspError> {
        let tbs = candidate.tbs_certificate();
        if tbs.issuer() != self.issuer.tbs_certificate().subject()
            || signature::certificate_signed_by(der, &self.issuer).is_err()
        {
            return Err(OcspError::ResponderNotTrusted("its certificate is from another issuer"));
        }
        let may_sign = matches!(
            tbs.get_extension::<ExtendedKeyUsage>(),
            Ok(Some((_, usage))) if usage.0.contains(&asn1::OCSP_SIGNING)
        );
        let key_fits = match tbs.get_extension::<KeyUsage>() {
            Ok(Some((_, usage))) => usage.digital_signature() || usage.non_repudiation(),
            Ok(None) => true,
            Err(_) => false,
        };
        if !may_sign || !key_fits {
            return Err(OcspError::ResponderNotTrusted("its certificate does not allow OCSP signing"));
        }
        let validity = tbs.validity();
        if validity.not_before.to_system_time() > now + CLOCK_SKEW
            || validity.not_after.to_system_time() + CLOCK_SKEW < now
        {
            return Err(OcspError::ResponderExpired);
        }
        Ok(())
    }
}

/// An extension marked critical must be understood; the nonce is the only one we do.
fn refuse_critical(extensions: Option<&[Extension]>) -> Result<(), OcspError> {
    let unknown =
        extensions.unwrap_or_default().iter().any(|extension| extension.critical && extension.extn_id != asn1::NONCE);
    if unknown {
        return Err(OcspError::UnknownKind("critical extension"));
    }
    Ok(())
}
