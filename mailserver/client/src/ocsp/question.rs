//! One question about one certificate, and what its answer must fit (RFC 6960, 3.2 and 4.2.2.2). No socket, no clock.

use std::time::{Duration, SystemTime};

use der::{Decode, Encode};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage};
use x509_cert::serial_number::SerialNumber;

use super::asn1::{
    self, BasicOcspResponse, CertId, CertStatus, OcspRequest, OcspResponse, ResponseData, ResponseStatus,
    SingleRequest, TbsRequest,
};
use super::error::{ClockAtFault, OcspError};
use super::signature::{self, Refusal};
use super::{Answer, MAX_RESPONSE, NoncePolicy, Policy, Status};

/// Octets of nonce that a request carries (RFC 9654 2.1).
pub const NONCE_OCTETS: usize = 32;
/// Certificates in an answer that are looked at.
const MAX_CERTIFICATES: usize = 8;

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
        let serial = tbs.serial_number().clone();
        Self::of(serial, issuer, nonce)
    }

    /// Asks about a serial number that no authority gives away (RFC 5280, 4.1.2.2: it has to be positive), under the name
    /// of `issuer` (DER).
    pub fn about_nobody(issuer: &[u8], nonce: [u8; NONCE_OCTETS]) -> Result<Self, OcspError> {
        let unreadable = OcspError::CertificateUnreadable;
        let issuer = Certificate::from_der(issuer).map_err(unreadable)?;
        let serial = SerialNumber::new(&[0]).map_err(unreadable)?;
        Self::of(serial, issuer, nonce)
    }

    fn of(serial: SerialNumber, issuer: Certificate, nonce: [u8; NONCE_OCTETS]) -> Result<Self, OcspError> {
        let unreadable = OcspError::CertificateUnreadable;
        let cert_id = CertId::sha256(&issuer, serial).map_err(unreadable)?;
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

    /// Which certificate it is about, as a name for memories: SHA-256 of the CertID.
    pub(super) fn about_whom(&self) -> [u8; 32] {
        Sha256::digest(self.cert_id.to_der().unwrap_or_default()).into()
    }

    /// What `response` (DER) says, if it may be relied on at `now` by the default [`Policy`].
    pub fn judge(&self, response: &[u8], now: SystemTime) -> Result<Answer, OcspError> {
        self.judge_by(&Policy::default(), response, now, None)
    }

    /// What `response` (DER) says, if it may be relied on at `now` (RFC 6960 3.2). `newest` is the latest time at which any
    /// believed answer was signed, a witness for whose clock is wrong.
    pub fn judge_by(
        &self,
        policy: &Policy,
        response: &[u8],
        now: SystemTime,
        newest: Option<SystemTime>,
    ) -> Result<Answer, OcspError> {
        let (basic, certificates) = self.open(response)?;
        let data: ResponseData = basic.tbs_response_data.decode_as().map_err(OcspError::Malformed)?;
        self.verify(policy, &basic, &certificates, &data, now)?;
        let extensions = data.response_extensions.as_deref();
        refuse_critical(extensions)?;
        let has_nonce = match (asn1::nonce(extensions).map_err(OcspError::Malformed)?, policy.nonce) {
            (Some(nonce), _) if nonce != self.nonce => return Err(OcspError::NonceDiffers),
            (Some(_), _) => true,
            (None, NoncePolicy::Required) => return Err(OcspError::NonceMissing),
            (None, NoncePolicy::Optional { .. }) => false,
        };
        let [single] = data.responses.as_slice() else {
            return Err(OcspError::OtherCertificate);
        };
        if !single.cert_id.matches(&self.cert_id) {
            return Err(OcspError::OtherCertificate);
        }
        refuse_critical(single.single_extensions.as_deref())?;
        let status = match single.cert_status {
            CertStatus::Good(_) => Status::Good,
            CertStatus::Revoked(info) => {
                Status::Revoked { at: info.revocation_time.to_system_time(), reason: info.revocation_reason }
            }
            CertStatus::Unknown(_) => Status::Unknown,
        };
        let answer = Answer {
            status,
            produced_at: data.produced_at.to_system_time(),
            this_update: single.this_update.to_system_time(),
            next_update: single.next_update.map(|time| time.to_system_time()),
            has_nonce,
        };
        in_time(policy, &answer, now, newest)?;
        Ok(answer)
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

    /// RFC 6960 4.2.2.2: signed by a responder that is configured here; if none is, by the issuer itself or by one to which
    /// it delegated.
    fn verify(
        &self,
        policy: &Policy,
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
        if !policy.pinned.is_empty() {
            let mut why = OcspError::ResponderNotTrusted("it is not the responder that is configured here");
            // After a renewal certificates of one name, even of one key, may stand side by side in the configuration.
            for pinned in policy.pinned.iter().filter_map(|der| Certificate::from_der(der).ok()) {
                if !data.responder_id.names(&pinned) {
                    continue;
                }
                match valid_now(&pinned, now, policy.skew).and_then(|()| holds(&pinned)) {
                    Ok(()) => return Ok(()),
                    Err(error) => why = error,
                }
            }
            return Err(why);
        }
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
            match self.delegated(der, &candidate, now, policy.skew).and_then(|()| holds(&candidate)) {
                Ok(()) => return Ok(()),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Whether the issuer let the holder of `candidate` answer in its name, and still does.
    fn delegated(&self, der: &[u8], candidate: &Certificate, now: SystemTime, skew: Duration) -> Result<(), OcspError> {
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
        // RFC 6960 4.2.2.2.1: without the extension its own certificate has to be asked about, of whom it does not say.
        let unchecked = |extension: &Extension| extension.extn_id == asn1::NO_CHECK;
        if !tbs.extensions().is_some_and(|extensions| extensions.iter().any(unchecked)) {
            return Err(OcspError::ResponderRevocable);
        }
        valid_now(candidate, now, skew)
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

fn valid_now(certificate: &Certificate, now: SystemTime, skew: Duration) -> Result<(), OcspError> {
    let validity = certificate.tbs_certificate().validity();
    let begun = validity.not_before.to_system_time() <= now + skew;
    let ended = validity.not_after.to_system_time() + skew < now;
    if begun && !ended { Ok(()) } else { Err(OcspError::ResponderExpired) }
}

/// RFC 6960, 4.2.2.1, with a tolerance for clocks.
///
/// A nonce says that the answer was made just now. If it says another time, then no forger is at work but a clock is wrong,
/// and to call the answer expired or replayed would send the administrator to the wrong place.
fn in_time(policy: &Policy, answer: &Answer, now: SystemTime, newest: Option<SystemTime>) -> Result<(), OcspError> {
    let skew = policy.skew;
    let (ahead, behind) = (answer.produced_at.duration_since(now), now.duration_since(answer.produced_at));
    let apart = match (ahead, behind) {
        (Ok(ahead), _) => ahead,
        // A cached answer may have been made any time ago.
        (_, Ok(behind)) if answer.has_nonce => behind,
        _ => Duration::ZERO,
    };
    if apart > skew {
        let at_fault = ClockAtFault::tell(now, answer.produced_at, skew, newest);
        return Err(OcspError::ClocksDiffer { by: apart, at_fault });
    }
    if answer.this_update > now + skew {
        return Err(OcspError::FutureDated);
    }
    // Without nextUpdate newer information is always there, so only a fresh statement counts.
    if answer.next_update.unwrap_or(answer.this_update) + skew < now {
        return Err(OcspError::Expired);
    }
    match policy.nonce {
        NoncePolicy::Optional { max_age } if !answer.has_nonce && answer.this_update + max_age < now => {
            Err(OcspError::Expired)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    /// Code of an answer whose times are in minutes from now; "" if it is in time.
    fn judged(policy: &Policy, has_nonce: bool, produced: i64, this: i64, next: Option<i64>) -> &'static str {
        let at = |minutes: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.saturating_add_signed(60 * minutes));
        let answer = Answer {
            status: Status::Good,
            produced_at: at(produced),
            this_update: at(this),
            next_update: next.map(at),
            has_nonce,
        };
        in_time(policy, &answer, at(0), None).err().map_or("", |error| error.code())
    }

    #[test]
    fn a_nonce_tells_a_wrong_clock_from_an_old_answer() {
        let policy = Policy::default();
        assert_eq!(judged(&policy, true, 0, 0, Some(10)), "");
        assert_eq!(judged(&policy, true, 5, 5, Some(10)), "");
        assert_eq!(judged(&policy, true, 6, 6, Some(10)), "OCSP-017");
        assert_eq!(judged(&policy, true, -6, -6, Some(10)), "OCSP-017");
        // Made just now, from what the responder knew long ago.
        assert_eq!(judged(&policy, true, 0, -600, Some(10)), "");
        assert_eq!(judged(&policy, true, 0, -600, Some(-6)), "OCSP-012");
        assert_eq!(judged(&policy, true, 0, -6, None), "OCSP-012");
        assert_eq!(judged(&policy, true, 0, 6, Some(10)), "OCSP-013");
    }

    #[test]
    fn the_tolerance_is_as_configured() {
        let strict = Policy { skew: Duration::from_secs(30), ..Policy::default() };
        assert_eq!(judged(&strict, true, 1, 0, Some(10)), "OCSP-017");
        let lax = Policy { skew: Duration::from_secs(3600), ..Policy::default() };
        assert_eq!(judged(&lax, true, 59, 59, Some(100)), "");
    }

    #[test]
    fn without_nonce_an_answer_is_young_and_still_runs() {
        let nonce = NoncePolicy::Optional { max_age: Duration::from_secs(3600) };
        let policy = Policy { nonce, ..Policy::default() };
        assert_eq!(judged(&policy, false, -59, -59, Some(10)), "");
        assert_eq!(judged(&policy, false, -61, -61, Some(10)), "OCSP-012");
        assert_eq!(judged(&policy, false, -59, -59, Some(-6)), "OCSP-012");
        // Signed by whom we believe, and in our future: no forger, a clock.
        assert_eq!(judged(&policy, false, 6, 0, Some(10)), "OCSP-017");
        assert_eq!(judged(&policy, true, -61, -61, Some(10)), "OCSP-017");
    }
}
