//! The OCSP responder (RFC 6960 2, 4.2; nonce RFC 9654; profile RFC 9919): a request's octets in, a response's out.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use der::asn1::{Any, BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use sealfax_client::ocsp::asn1::{
    self, BASIC, BasicOcspResponse, CertId, CertStatus, NONCE, OcspRequest, OcspResponse, ResponderId, ResponseBytes,
    ResponseData, ResponseStatus, RevokedInfo, SHA_1, SHA_256, SingleResponse,
};
use spki::DynSignatureAlgorithmIdentifier;
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;

use super::AuthorityError;
use super::ca::{Authority, due, renewal};
use super::cache::{Answer, Cache};
use super::index::{Index, Serial, Standing};
use super::keys::{AuthorityKey, Signer};

/// Octets of a request.
pub(super) const MAX_REQUEST: usize = 16 * 1024;
/// Certificates asked about at a time.
const MAX_CERTIFICATES: usize = 32;
/// How long an answer may be relied on.
const VALIDITY: Duration = Duration::from_secs(10 * 60);
/// An answer from the cache must be good for this long at least: it has a way to go, and clocks differ.
const MIN_REST: Duration = Duration::from_secs(60);
/// How long a certificate that is to be renewed elsewhere is relied on before the file is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Answers signed anew in one round at most, by a key in memory and by one in a device: over the time that an answer is
/// good for, that makes as many as are kept, and a device has time left for those who ask.
const MOST_ANEW: usize = 4096;
const MOST_ANEW_BY_DEVICE: usize = 64;

/// The delegated responder (RFC 6960 4.2.2.2): its key and its certificate, made ready to sign with.
#[derive(Debug, Clone)]
pub(super) struct OcspSigner {
    key: Arc<dyn AuthorityKey>,
    certificate: Any,
    id: ResponderId,
    not_before: SystemTime,
    not_after: SystemTime,
    looked_at: SystemTime,
}

impl OcspSigner {
    pub(super) fn new(
        key: Arc<dyn AuthorityKey>,
        certificate: &Certificate,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let validity = certificate.tbs_certificate().validity();
        Ok(Self {
            key,
            certificate: Any::from_der(&certificate.to_der()?)?,
            id: ResponderId::by_key(certificate)?,
            not_before: validity.not_before.to_system_time(),
            not_after: validity.not_after.to_system_time(),
            looked_at: now,
        })
    }

    pub(super) fn not_after(&self) -> SystemTime {
        self.not_after
    }

    pub(super) fn valid_at(&self, now: SystemTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    pub(super) fn looked_at_recently(&self, now: SystemTime) -> bool {
        now.duration_since(self.looked_at).is_ok_and(|since| since < LOOK_AGAIN)
    }

    /// The same, when its file was looked at once more in vain.
    pub(super) fn looked_at_again(&self, now: SystemTime) -> Self {
        Self { looked_at: now, ..self.clone() }
    }

    /// Whether it must be renewed.
    pub(super) fn due(&self, now: SystemTime) -> bool {
        due(self.not_before, self.not_after, now)
    }

    /// How long before its end it is renewed.
    pub(super) fn renewal(&self) -> Duration {
        renewal(self.not_before, self.not_after)
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> (Arc<dyn AuthorityKey>, Vec<u8>) {
        (Arc::clone(&self.key), self.certificate.to_der().unwrap_or_default())
    }

    /// Wraps and signs `data`, with the signer's certificate beside it.
    fn sign(&self, data: &ResponseData) -> Result<Vec<u8>, AuthorityError> {
        let tbs = data.to_der()?;
        let signature = self.key.sign(&tbs)?;
        let basic = BasicOcspResponse {
            tbs_response_data: Any::from_der(&tbs)?,
            signature_algorithm: Signer(self.key.as_ref())
                .signature_algorithm_identifier()
                .map_err(|error| AuthorityError::Build(Box::new(error)))?,
            signature: BitString::from_bytes(signature.as_bytes())?,
            certs: Some(vec![self.certificate.clone()]),
        };
        Ok(OcspResponse {
            response_status: ResponseStatus::Successful,
            response_bytes: Some(ResponseBytes { response_type: BASIC, response: OctetString::new(basic.to_der()?)? }),
        }
        .to_der()?)
    }
}

/// What was said of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Good,
    Revoked,
    Unknown,
}

impl Word {
    fn of(standing: Option<Standing>) -> Self {
        match standing {
            Some(Standing::Good) => Self::Good,
            Some(Standing::Revoked { .. }) => Self::Revoked,
            None => Self::Unknown,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

/// What an answer says, for the journal.
#[derive(Debug)]
pub(super) enum Told {
    One(Serial, Word),
    Several(Vec<(Serial, Word)>),
    /// Nothing; why.
    Refused(String),
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(serial, word) => write!(f, "{} is {}", serial.hex(), word.as_str()),
            Self::Several(all) => {
                for (at, (serial, word)) in all.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{} is {}", serial.hex(), word.as_str())?;
                }
                Ok(())
            }
            Self::Refused(why) => f.write_str(why),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) response: Bytes,
    pub(super) status: ResponseStatus,
    pub(super) told: Told,
    /// What HTTP caches may know of it: nothing if it answers a nonce.
    pub(super) lasting: Option<Arc<Answer>>,
    /// Whether it was signed before.
    pub(super) from_cache: bool,
}

/// The hashes by which a CertID names our issuing authority.
#[derive(Debug)]
struct IssuerId {
    algorithm: ObjectIdentifier,
    name_hash: OctetString,
    key_hash: OctetString,
}

/// The responder.
#[derive(Debug)]
pub(super) struct Responder {
    authority: Arc<Authority>,
    issuer: [IssuerId; 2],
    cache: Cache,
}

impl Responder {
    pub(super) fn new(authority: Arc<Authority>) -> Result<Self, AuthorityError> {
        let serial = SerialNumber::new(&[1])?;
        let id = |made: CertId| IssuerId {
            algorithm: made.hash_algorithm.oid,
            name_hash: made.issuer_name_hash,
            key_hash: made.issuer_key_hash,
        };
        let issuer =
            [id(CertId::sha256(&authority.issuing, serial.clone())?), id(CertId::sha1(&authority.issuing, serial)?)];
        debug_assert!(issuer.iter().map(|id| id.algorithm).eq([SHA_256, SHA_1]));
        Ok(Self { authority, issuer, cache: Cache::default() })
    }

    /// The answer to `request`, if one is at hand and still right. Never waits.
    pub(super) fn at_hand(&self, request: &[u8]) -> Option<Reply> {
        let answer = self.cache.find(request)?;
        if answer.rest(self.authority.now()).is_none_or(|rest| rest < MIN_REST) {
            return None;
        }
        let standing = self.authority.read().ok()?.by_serial(&answer.serial).map(|entry| entry.standing);
        // Revoked since: the answer is void, whoever revoked.
        if standing != Some(answer.standing) {
            return None;
        }
        Some(Reply {
            response: answer.response.clone(),
            status: ResponseStatus::Successful,
            told: Told::One(answer.serial, Word::of(standing)),
            lasting: Some(answer),
            from_cache: true,
        })
    }

    /// Answers one request, signing anew.
    pub(super) fn respond(&self, request: &[u8]) -> Reply {
        let Some(parsed) = read(request) else {
            return refusal(ResponseStatus::MalformedRequest, "not an OCSP request".to_owned());
        };
        self.answer(request, &parsed).unwrap_or_else(|error| {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            refusal(ResponseStatus::InternalError, text)
        })
    }

    /// Whether signing waits for a token.
    pub(super) fn waits(&self) -> bool {
        self.authority.waits()
    }

    /// Signs anew what ages and is in use, as much of it as one round may, and forgets what nobody asks for. Returns how
    /// many answers are fresh now.
    pub(super) fn refresh(&self) -> usize {
        let most = if self.waits() { MOST_ANEW_BY_DEVICE } else { MOST_ANEW };
        let again = self.cache.sweep(self.authority.now(), most);
        for request in &again {
            // What cannot be signed now is tried again when it is asked for.
            self.respond(request);
        }
        again.len()
    }

    fn answer(&self, octets: &[u8], request: &OcspRequest) -> Result<Reply, AuthorityError> {
        // Answers speak of whole seconds; cutting off the fraction never dates one into the future.
        let since = self.authority.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = Duration::from_secs(since.as_secs());
        let this_update = GeneralizedTime::from_unix_duration(since)?;
        let next_update = GeneralizedTime::from_unix_duration(since + VALIDITY)?;
        let asked = &request.tbs_request.request_list;
        let mut responses = Vec::with_capacity(asked.len());
        let mut told = Vec::with_capacity(asked.len());
        let mut only = None;
        {
            let index = self.authority.read()?;
            for single in asked {
                let serial = Serial::new(single.req_cert.serial_number.as_bytes());
                let standing = self.standing(&index, &single.req_cert, serial.as_ref());
                only = serial.zip(standing);
                told.push((serial.unwrap_or_default(), Word::of(standing)));
                responses.push(SingleResponse {
                    cert_id: single.req_cert.clone(),
                    cert_status: status(standing)?,
                    this_update,
                    next_update: Some(next_update),
                    single_extensions: None,
                });
            }
        }
        let nonce = asn1::nonce(request.tbs_request.request_extensions.as_deref())?;
        let response_extensions = match &nonce {
            Some(nonce) => Some(vec![asn1::nonce_extension(nonce)?]),
            None => None,
        };
        let signer = self.authority.ocsp_signer()?;
        let data = ResponseData {
            version: 0,
            responder_id: signer.id.clone(),
            produced_at: this_update,
            responses,
            response_extensions,
        };
        let response = Bytes::from(signer.sign(&data)?);
        let lasting = match (only, asked.as_slice()) {
            (Some((serial, standing)), [_]) if bare(request) => {
                let begin = UNIX_EPOCH + since;
                let answer = Arc::new(Answer::new(response.clone(), serial, standing, begin, begin + VALIDITY));
                self.cache.put(octets, Arc::clone(&answer));
                Some(answer)
            }
            _ => None,
        };
        let told = match told.as_slice() {
            [(serial, word)] => Told::One(*serial, *word),
            _ => Told::Several(told),
        };
        Ok(Reply { response, status: ResponseStatus::Successful, told, lasting, from_cache: false })
    }

    /// What we know of a certificate. RFC 6960 2.2: nothing also of issuers that we do not speak for.
    fn standing(&self, index: &Index, asked: &CertId, serial: Option<&Serial>) -> Option<Standing> {
        let ours = self.issuer.iter().any(|id| {
            id.algorithm == asked.hash_algorithm.oid
                && id.name_hash == asked.issuer_name_hash
                && id.key_hash == asked.issuer_key_hash
        });
        if !ours {
            return None;
        }
        index.by_serial(serial?).map(|entry| entry.standing)
    }

    #[cfg(test)]
    pub(super) fn cached(&self) -> usize {
        self.cache.len()
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
    // Marked critical, an extension asks for something that would be left undone.
    let understood = |extensions: Option<&[Extension]>| {
        extensions.unwrap_or_default().iter().all(|one| !one.critical || one.extn_id == NONCE)
    };
    let all_understood = understood(extensions)
        && tbs.request_list.iter().all(|single| understood(single.single_request_extensions.as_deref()));
    let fits = tbs.version == 0 && (1..=MAX_CERTIFICATES).contains(&asked) && nonce_fits && all_understood;
    fits.then_some(request)
}

/// Whether a request holds nothing but a CertID with a hash of ours: then there are only a few spellings of it.
fn bare(request: &OcspRequest) -> bool {
    let tbs = &request.tbs_request;
    request.optional_signature.is_none()
        && tbs.requestor_name.is_none()
        && tbs.request_extensions.is_none()
        && tbs.request_list.iter().all(|single| {
            single.single_request_extensions.is_none()
                && single.req_cert.hash_algorithm.parameters.as_ref().is_none_or(|any| *any == Null.into())
        })
}

fn status(standing: Option<Standing>) -> Result<CertStatus, AuthorityError> {
    Ok(match standing {
        None => CertStatus::Unknown(Null),
        Some(Standing::Good) => CertStatus::Good(Null),
        Some(Standing::Revoked { at, reason }) => {
            let since = Duration::from_secs(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
            CertStatus::Revoked(RevokedInfo {
                revocation_time: GeneralizedTime::from_unix_duration(since)?,
                revocation_reason: Some(reason),
            })
        }
    })
}

/// What is said while nothing can be (RFC 6960 2.3).
pub(super) fn try_later() -> Reply {
    refusal(ResponseStatus::TryLater, "as many answers as may be are being signed".to_owned())
}

fn refusal(status: ResponseStatus, why: String) -> Reply {
    let response = OcspResponse { response_status: status, response_bytes: None };
    Reply {
        // SEQUENCE of one ENUMERATED: encoding it cannot fail.
        response: response.to_der().unwrap_or_default().into(),
        status,
        told: Told::Refused(why),
        lasting: None,
        from_cache: false,
    }
}
