//! What PC/SC's return codes mean for an exchange with a card.

use ::pcsc::Error;

use crate::card::CardError;

/// The first judgement of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The card is out, or is no longer the one that the channel was opened to.
    Removed,
    /// The card is in and does not answer its reset.
    Mute,
    /// The reader or the daemon is gone.
    NoReader,
    /// The exchange failed; where the reader tells that only by its state, the card may have been pulled.
    Unclear,
}

pub(super) const fn judge(error: Error) -> Verdict {
    match error {
        Error::RemovedCard | Error::ResetCard | Error::NoSmartcard | Error::UnpoweredCard => Verdict::Removed,
        Error::UnresponsiveCard | Error::UnsupportedCard => Verdict::Mute,
        Error::NoService
        | Error::ServiceStopped
        | Error::NoReadersAvailable
        | Error::ReaderUnavailable
        | Error::UnknownReader
        | Error::InvalidHandle
        | Error::ServerTooBusy
        | Error::Shutdown => Verdict::NoReader,
        _ => Verdict::Unclear,
    }
}

/// The error that is told.
pub(super) fn told(error: Error) -> CardError {
    match judge(error) {
        Verdict::Removed => CardError::Removed,
        Verdict::Mute => CardError::Mute,
        Verdict::NoReader => CardError::NoReader,
        Verdict::Unclear if error == Error::SharingViolation => CardError::Reader("another program is using it".into()),
        Verdict::Unclear => CardError::Reader(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn each_has_its_meaning() {
        for (error, verdict) in [
            (Error::RemovedCard, Verdict::Removed),
            (Error::ResetCard, Verdict::Removed),
            (Error::NoSmartcard, Verdict::Removed),
            (Error::UnresponsiveCard, Verdict::Mute),
            (Error::NoService, Verdict::NoReader),
            (Error::ServiceStopped, Verdict::NoReader),
            (Error::InvalidHandle, Verdict::NoReader),
            (Error::ReaderUnavailable, Verdict::NoReader),
            (Error::NotTransacted, Verdict::Unclear),
            (Error::CommError, Verdict::Unclear),
        ] {
            assert_eq!(judge(error), verdict, "{error:?}");
        }
        assert!(told(Error::SharingViolation).to_string().contains("another program"));
        assert!(matches!(told(Error::ResetCard), CardError::Removed));
    }
}
