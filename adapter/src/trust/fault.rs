//! Names for what is wrong: from what path validation (RFC 5280) and OCSP (RFC 6960) say to what people are told.

use sealfax_client::lookup::LookupError;
use sealfax_client::ocsp::{OcspError, Status};
use sealfax_drivers::display::CardFault;
use sealfax_smime::path::{self, PathError, Use};

/// Of a path that does not hold.
pub(crate) fn of_path(error: &PathError, certificate: &[u8], purpose: Use) -> CardFault {
    match error {
        PathError::Expired | PathError::IssuerExpired | PathError::AnchorExpired => CardFault::Expired,
        PathError::NotYetValid | PathError::IssuerNotYetValid | PathError::AnchorNotYetValid => CardFault::NotYetValid,
        PathError::Malformed => CardFault::Unreadable,
        PathError::WrongUse => CardFault::KeyUsage,
        // Both may be wrong: a card with swapped certificates is the commoner mistake.
        PathError::WrongPurpose if matches!(path::allows(certificate, purpose), Ok(false)) => CardFault::KeyUsage,
        PathError::WrongPurpose => CardFault::Purpose,
        _ => CardFault::Untrusted,
    }
}

/// Of an answer that was believed; `None` is good news.
pub(crate) fn of_status(status: &Status) -> Option<CardFault> {
    match status {
        Status::Good => None,
        Status::Revoked { reason: Some(reason), .. } if *reason as u32 == CERTIFICATE_HOLD => Some(CardFault::OnHold),
        Status::Revoked { .. } => Some(CardFault::Revoked),
        Status::Unknown => Some(CardFault::Unknown),
    }
}

/// certificateHold (RFC 5280, 5.3.1).
const CERTIFICATE_HOLD: u32 = 6;

/// Of an answer that is not believed, or did not come.
pub(crate) fn of_ocsp(error: &OcspError) -> CardFault {
    match error {
        error if error.is_transient() => CardFault::Unchecked,
        OcspError::BadSignature => CardFault::AnswerForged,
        OcspError::NonceDiffers | OcspError::NonceMissing | OcspError::Replayed => CardFault::AnswerReplayed,
        OcspError::Expired => CardFault::AnswerExpired,
        OcspError::FutureDated => CardFault::AnswerFutureDated,
        OcspError::ResponderNotTrusted(_) | OcspError::ResponderExpired | OcspError::ResponderRevocable => {
            CardFault::ResponderUntrusted
        }
        OcspError::ClocksDiffer { .. } => CardFault::Clock,
        OcspError::WrongIssuer => CardFault::Untrusted,
        OcspError::CertificateUnreadable(_) => CardFault::Unreadable,
        _ => CardFault::AnswerUnusable,
    }
}

/// Of a look-up that brought nothing to judge; `None` means that there simply is no certificate.
pub(super) fn of_lookup(error: &LookupError) -> Option<CardFault> {
    match error {
        LookupError::OtherAddress { .. } => Some(CardFault::OtherAddress),
        LookupError::WrongUse { .. } => Some(CardFault::KeyUsage),
        LookupError::Malformed(_) => Some(CardFault::Unreadable),
        _ => None,
    }
}
