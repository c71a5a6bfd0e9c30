//! The OCSP responder (RFC 6960 2, 4.2; nonce RFC 9654): a request's octets in, a response's octets out.

use std::time::Duration;

use der::asn1::{Any, BitString, GeneralizedTime, Null, OctetString};
use der::{Decode, Encode};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use sealfax_client::ocsp::asn1::{
    self, BASIC, BasicOcspResponse, CertId, CertStatus, OcspRequest, OcspResponse, ResponderId, ResponseBytes,
    ResponseData, ResponseStatus, RevokedInfo, SHA_1, SHA_256, SingleResponse,
};
use spki::DynSignatureAlgorithmIdentifier;
use x509_cert::Certificate;

use super::AuthorityError;
use super::ca::{Authority, hex};
use super::index::Standing;

/// Octets of a request.
pub(super) const MAX_REQUEST: usize = 16 * 1024;
/// Certificates asked about at a time.
const MAX_CERTIFICATES: usize = 32;
/// How long an answer may be relied on.
const VALIDITY: Duration = Duration::from_secs(10 * 60);

/// An answer, and a line about it for the journal.
#[derive(Debug)]
pub(super) struct Reply {
    pub response: Vec<u8>,
    pub status: ResponseStatus,
    pub text: String,
}

/// Answers one request.
pub(super) fn respond(authority: &Authority, request: &[u8]) -> Reply {
    let Some(request) = read(request) else {
        return refusal(ResponseStatus::MalformedRequest, "not an OCSP request");
    };
    match answer(authority, &request) {
        Ok((response, text)) => Reply { response, status: ResponseStatus::Successful, text },
        Err(error) => refusal(ResponseStatus::InternalError, &error.to_string()),
    }
}

/// The request, if it is one that conforms and is within bounds.
fn read(request: &[u8]) -> Option<OcspRequest> {
    if request.len() > MAX_REQUEST {
        return None;
    }
    let request = OcspRequest::from_der(request).ok()?;
    let tbs = &request.tbs_request;
    let asked = tbs.request_list.len();
    let extensions = tbs.request_extensions.as_deref();
    let nonce_fits = asn1::nonce(extensions).is_ok();
    (tbs.version == 0 && (1..=MAX_CERTIFICATES).contains(&asked) && nonce_fits).then_some(request)
}

fn answer(authority: &Authority, request: &OcspRequest) -> Result<(Vec<u8>, String), AuthorityError> {
    // Answers speak of whole seconds; cutting off the fraction never dates one into the future.
    let now = GeneralizedTime::from_unix_duration(whole_seconds(authority.now()))?;
    let next = GeneralizedTime::from_unix_duration(whole_seconds(authority.now()) + VALIDITY)?;
    let mut responses = Vec::new();
    let mut words = Vec::new();
    for single in &request.tbs_request.request_list {
        let (cert_status, word) = status(authority, &single.req_cert)?;
        let serial = hex(single.req_cert.serial_number.as_bytes());
        words.push(format!("{serial} is {word}"));
        responses.push(SingleResponse {
            cert_id: single.req_cert.clone(),
            cert_status,
            this_update: now,
            next_update: Some(next),
            single_extensions: None,
        });
    }
    let nonce = asn1::nonce(request.tbs_request.request_extensions.as_deref())?;
    let response_extensions = match nonce {
        Some(nonce) => Some(vec![asn1::nonce_extension(&nonce)?]),
        None => None,
    };
    let (key, certificate) = authority.ocsp_signer()?;
    let data = ResponseData {
        version: 0,
        responder_id: ResponderId::by_key(&certificate)?,
        produced_at: now,
        responses,
        response_extensions,
    };
    Ok((sign(&data, key, &certificate)?, words.join(", ")))
}

/// What we know of a certificate. RFC 6960 2.2: unknown also for issuers that we do not speak for.
fn status(authority: &Authority, asked: &CertId) -> Result<(CertStatus, &'static str), AuthorityError> {
    let unknown = (CertStatus::Unknown(Null), "unknown");
    let serial = asked.serial_number.clone();
    let ours = match asked.hash_algorithm.oid {
        SHA_1 => CertId::sha1(&authority.issuing, serial)?,
        SHA_256 => CertId::sha256(&authority.issuing, serial)?,
        _ => return Ok(unknown),
    };
    if !ours.matches(asked) {
        return Ok(unknown);
    }
    Ok(match authority.by_serial(asked.serial_number.as_bytes())? {
        None => unknown,
        Some(issued) => match issued.standing {
            Standing::Good => (CertStatus::Good(Null), "good"),
            Standing::Revoked { at, reason } => (
                CertStatus::Revoked(RevokedInfo {
                    revocation_time: GeneralizedTime::from_unix_duration(whole_seconds(at))?,
                    revocation_reason: Some(reason),
                }),
                "revoked",
            ),
        },
    })
}

/// Wraps and signs `data`, with the signer's certificate beside it.
fn sign(data: &ResponseData, key: &SigningKey, certificate: &Certificate) -> Result<Vec<u8>, AuthorityError> {
    let tbs = data.to_der()?;
    let signature: DerSignature = key.try_sign(&tbs).map_err(|error| AuthorityError::Build(Box::new(error)))?;
    let basic = BasicOcspResponse {
        tbs_response_data: Any::from_der(&tbs)?,
        signature_algorithm: key
            .signature_algorithm_identifier()
            .map_err(|error| AuthorityError::Build(Box::new(error)))?,
        signature: BitString::from_bytes(signature.as_bytes())?,
        certs: Some(vec![Any::from_der(&certificate.to_der()?)?]),
    };
    Ok(OcspResponse {
        response_status: ResponseStatus::Successful,
        response_bytes: Some(ResponseBytes { response_type: BASIC, response: OctetString::new(basic.to_der()?)? }),
    }
    .to_der()?)
}

fn refusal(status: ResponseStatus, why: &str) -> Reply {
    let response = OcspResponse { response_status: status, response_bytes: None };
    Reply {
        // SEQUENCE of one ENUMERATED: encoding it cannot fail.
        response: response.to_der().unwrap_or_default(),
        status,
        text: why.to_owned(),
    }
}

fn whole_seconds(time: std::time::SystemTime) -> Duration {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(since.as_secs())
}
