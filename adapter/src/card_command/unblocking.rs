//! The unblocking key (PUK): which one the card has now, and when a try of it may be spent. Once its tries are gone the
//! card is lost for good with the first PIN that is blocked, and no standard command asks how many there are. So a run
//! makes one guess at most, never the last, and none where the card does not say how many are left, unless the
//! administrator says so.

use sealfax_drivers::card::CardError;
use sealfax_drivers::card::apdu::status;
use sealfax_drivers::card::piv::{Piv, Reference};
use sealfax_drivers::pin::Pin;
use zeroize::Zeroizing;

use super::error::CardCommandError;

/// What the administrator said of the unblocking key.
pub struct Told {
    /// The card's present key, if it was told.
    pub present: Option<Zeroizing<[u8; 8]>>,
    /// Use it though the card does not say how many tries are left.
    pub unknown_tries: bool,
}

/// The key that cards leave their makers with.
pub const MAKERS: &[u8; 8] = b"12345678";

/// Which key a card has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Present {
    /// The one that it was given from this secret.
    Own,
    /// Its maker's.
    Makers,
    /// The one that was told.
    Told,
}

impl Present {
    const fn words(self) -> &'static str {
        match self {
            Self::Own => "the unblocking key of this --secret",
            Self::Makers => "its maker's unblocking key",
            Self::Told => "the unblocking key of --initial-puk",
        }
    }

    /// Why it may have been the wrong guess, and what is then the right one.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Own => {
                "if the card was pulled just when it was begun, it still has its maker's: tell that with --initial-puk \
                 FILE"
            }
            Self::Makers => "tell its present one with --initial-puk FILE",
            Self::Told => "if the card was pulled after it had got its own, give the command without --initial-puk",
        }
    }
}

/// Whether a try may be spent on a card that says this of its tries.
pub fn may_try(left: Option<u8>, unknown_tries: bool) -> Result<(), CardCommandError> {
    match left {
        Some(0) => Err(CardCommandError::PukBlocked),
        Some(1) => Err(CardCommandError::PukLastTry),
        None if !unknown_tries => Err(CardCommandError::PukTriesUnknown),
        _ => Ok(()),
    }
}

/// Which key the card has, as far as that can be known without a try. `begun`: it may have its own already.
fn present(told: &Told, factory: Option<bool>, begun: bool) -> Option<Present> {
    match (factory, begun) {
        _ if told.present.is_some() => Some(Present::Told),
        (Some(true), _) | (None, false) => Some(Present::Makers),
        (_, true) => Some(Present::Own),
        // Neither its maker's nor, since nothing of this secret was ever on the card, ours.
        (Some(false), false) => None,
    }
}

/// Gives the card its own unblocking key, if it has it not yet, and this PIN. `true`: the key was changed.
pub fn settle(piv: &mut Piv, told: &Told, own: &[u8; 8], begun: bool, pin: &Pin) -> Result<bool, CardCommandError> {
    let factory = piv.metadata(Reference::Puk)?.and_then(|metadata| metadata.factory);
    may_try(piv.puk_tries_left()?, told.unknown_tries)?;
    let present = present(told, factory, begun).ok_or(CardCommandError::Puk)?;
    let old = match present {
        Present::Own => None,
        Present::Makers => Some(MAKERS),
        Present::Told => told.present.as_deref(),
    };
    if let Some(old) = old {
        piv.change_puk(old, own).map_err(|error| judge(present, error))?;
    }
    piv.unblock_pin(own, pin).map_err(|error| judge(present, error))?;
    Ok(old.is_some())
}

/// Gives the card a new PIN with the key that it has from this secret.
pub fn unblock(piv: &mut Piv, own: &[u8; 8], pin: &Pin) -> Result<(), CardCommandError> {
    piv.unblock_pin(own, pin).map_err(|error| judge(Present::Own, error))
}

/// What the card said to the key.
fn judge(present: Present, error: CardError) -> CardCommandError {
    let wrong = |left| CardCommandError::PukWrong { which: present.words(), left, remedy: present.remedy() };
    match error {
        CardError::WrongPin { left } => wrong(Some(left)),
        CardError::Status { status: status::NOT_VERIFIED, .. } => wrong(None),
        CardError::Blocked => CardCommandError::PukBlocked,
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn no_last_try_whatever_else_is_known() {
        for unknown in [false, true] {
            assert!(matches!(may_try(Some(0), unknown), Err(CardCommandError::PukBlocked)));
            assert!(matches!(may_try(Some(1), unknown), Err(CardCommandError::PukLastTry)));
            assert!(may_try(Some(2), unknown).is_ok());
        }
        assert!(matches!(may_try(None, false), Err(CardCommandError::PukTriesUnknown)));
        assert!(may_try(None, true).is_ok());
    }

    #[test]
    fn which_key_the_card_has() {
        let told = |present: bool| Told { present: present.then(Zeroizing::default), unknown_tries: false };
        for (factory, begun, expected) in [
            (None, false, Some(Present::Makers)),
            (None, true, Some(Present::Own)),
            (Some(true), false, Some(Present::Makers)),
            (Some(true), true, Some(Present::Makers)),
            (Some(false), true, Some(Present::Own)),
            (Some(false), false, None),
        ] {
            assert_eq!(present(&told(false), factory, begun), expected, "{factory:?} {begun}");
            assert_eq!(present(&told(true), factory, begun), Some(Present::Told));
        }
    }
}
