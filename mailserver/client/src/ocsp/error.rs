//! Why there is no answer that may be relied on: each reason with a stable code and what to do about it.

use std::time::{Duration, SystemTime};

use super::asn1::ResponseStatus;
use crate::dns::DnsError;
use crate::http::HttpError;

/// Whose clock to look at first when two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockAtFault {
    /// This machine's.
    Ours,
    /// The responder's.
    Responders,
}

impl ClockAtFault {
    /// `newest` is the latest time at which any believed answer was ever signed: time does not go back, so whoever stands
    /// before it is wrong. Without that witness a clock that is behind is the likelier one: boards without a battery wake up
    /// in the past.
    pub(super) fn tell(ours: SystemTime, responders: SystemTime, skew: Duration, newest: Option<SystemTime>) -> Self {
        match newest {
            Some(newest) if ours + skew < newest => Self::Ours,
            Some(newest) if responders + skew < newest => Self::Responders,
            _ if ours < responders => Self::Ours,
            _ => Self::Responders,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Ours => "this adapter's",
            Self::Responders => "the certificate server's",
        }
    }
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
        "the OCSP response is not from one who may answer for this certificate: {0}; someone may be forging answers"
    )]
    ResponderNotTrusted(&'static str),
    /// The responder's certificate is not valid now.
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
    #[error(
        "the OCSP response carries no nonce, so it may be an old one; configure the responder to answer nonces, or ocsp_nonce = \"optional\" here"
    )]
    NonceMissing,
    /// Another nonce than the one sent.
    #[error("the OCSP response answers another question (nonce differs); someone may be replaying answers")]
    NonceDiffers,
    /// The answer is about another certificate, or says several things about this one.
    #[error("the OCSP response is not about this certificate alone")]
    OtherCertificate,
    /// Its time is over.
    #[error("the OCSP response has expired; see why the responder has no newer one, and check the clocks")]
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
    /// Older than an answer about the same certificate that was seen before.
    #[error("the OCSP response is older than one seen before; someone may be replaying answers")]
    Replayed,
    /// A properly signed answer, whose time is too far from ours.
    #[error(
        "the clocks of adapter and certificate server differ by {} minutes; look at {} first",
        .by.as_secs() / 60, .at_fault.words()
    )]
    ClocksDiffer {
        /// By how much.
        by: Duration,
        /// Whose clock to look at first.
        at_fault: ClockAtFault,
    },
    /// A delegated responder whose own certificate would have to be asked about.
    #[error(
        "the OCSP responder's own certificate may have been revoked, and nobody says that it was not; have it issued with the extension id-pkix-ocsp-nocheck, or name it here with ocsp_responders"
    )]
    ResponderRevocable,
    /// The responder's name has no address.
    #[error("the certificate server's name could not be looked up")]
    Name(#[from] DnsError),
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
            Self::Replayed => "OCSP-016",
            Self::ClocksDiffer { .. } => "OCSP-017",
            Self::Name(_) => "OCSP-018",
            Self::ResponderRevocable => "OCSP-019",
        }
    }

    /// Whether asking again later may help: the responder was not reached or was in trouble. Anything else is a
    /// matter for the administrator.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Http(_) | Self::Name(_) | Self::Refused(ResponseStatus::TryLater | ResponseStatus::InternalError)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_that_stands_before_an_answer_seen_earlier_is_the_wrong_one() {
        let at = |minutes: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minutes);
        let tell =
            |ours, responders, newest| ClockAtFault::tell(at(ours), at(responders), Duration::from_secs(300), newest);
        assert_eq!(tell(100, 200, Some(at(190))), ClockAtFault::Ours);
        assert_eq!(tell(200, 100, Some(at(190))), ClockAtFault::Responders);
        // Nobody stands before it: the one that is behind.
        assert_eq!(tell(100, 200, Some(at(50))), ClockAtFault::Ours);
        assert_eq!(tell(100, 200, None), ClockAtFault::Ours);
        assert_eq!(tell(200, 100, None), ClockAtFault::Responders);
    }

    #[test]
    fn the_message_says_which_clock_to_look_at() {
        let error = OcspError::ClocksDiffer { by: Duration::from_secs(7260), at_fault: ClockAtFault::Ours };
        let text = error.to_string();
        assert!(text.contains("121 minutes") && text.contains("look at this adapter's first"), "{text}");
    }
}
