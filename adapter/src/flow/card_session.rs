//! From an inserted card to an accepted owner: read, PIN, certificate (ST601-604, ST613; ST904, ST907-911).
//!
//! One insertion is one session. Whatever was proven ends with it: a pulled card leaves nothing behind.

use sealfax_drivers::display::{CardFault, Screen};
use sealfax_drivers::pin::Pin;

use super::{CardChange, Owner};

/// Where an insertion stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CardSession {
    /// No card.
    #[default]
    Out,
    /// The certificates are being read.
    Reading,
    /// ST906: the card is in, but nothing here is for its owner so far.
    Parked(Owner),
    /// Waiting for the PIN.
    Pin {
        /// Whose card.
        owner: Owner,
        /// Digits entered.
        entered: u8,
        /// Tries the card has left.
        tries_left: u8,
        /// The last PIN was wrong, and no key was pressed since.
        wrong: bool,
    },
    /// The card is comparing the PIN.
    Verifying(Owner),
    /// ST602, ST908: the certificate's path and its state at the certificate server.
    Checking {
        /// Whose card.
        owner: Owner,
        /// The path to our anchor holds; the server's answer is awaited.
        path_holds: bool,
    },
    /// ST604, ST910: accepted.
    Valid(Owner),
    /// ST613, ST911: refused.
    Invalid(CardFault),
    /// The PIN is blocked.
    Blocked,
}

/// What happened to the card.
#[derive(Debug, Clone)]
pub enum CardInput {
    /// A card was inserted.
    Inserted,
    /// The card was pulled, or its reader went away.
    Removed,
    /// The card was read.
    Read {
        /// Its owner.
        owner: Owner,
        /// PIN tries left; 0 is blocked.
        tries_left: u8,
    },
    /// The card cannot be used.
    Unusable(CardFault),
    /// Digits entered so far.
    PinProgress(u8),
    /// A complete PIN.
    PinEntered(Pin),
    /// The person gave up.
    PinCancelled,
    /// The card accepted the PIN.
    PinAccepted,
    /// The card refused the PIN.
    PinRefused {
        /// Tries left; 0 is blocked.
        tries_left: u8,
    },
    /// The certificate's path holds.
    PathHolds,
    /// The certificate server says good.
    CertificateValid,
    /// The path does not hold, or the certificate server does not say good.
    CertificateInvalid(CardFault),
}

/// What is to be done with the card.
#[derive(Debug, Clone)]
pub enum CardAction {
    /// Read certificates, address and retry counter; none of it needs the PIN.
    Read,
    /// Present this PIN to the card.
    VerifyPin(Pin),
    /// Check the path and ask the certificate server.
    CheckCertificate,
    /// Tell both flows.
    Tell(CardChange),
}

impl CardSession {
    /// One event. Events that do not belong to the present state (late answers of a card that was pulled) change
    /// nothing.
    pub fn handle(&mut self, input: CardInput) -> Vec<CardAction> {
        use CardAction::{CheckCertificate, Read, Tell, VerifyPin};
        match (std::mem::take(self), input) {
            (Self::Out, CardInput::Removed) => vec![],
            (_, CardInput::Removed) => vec![Tell(CardChange::Out)],
            (before, CardInput::Inserted) => {
                // A reader may report a fast swap as one event: the old session ends all the same.
                *self = Self::Reading;
                if before == Self::Out { vec![Read] } else { vec![Tell(CardChange::Out), Read] }
            }
            (Self::Reading, CardInput::Read { owner, tries_left: 0 }) => {
                *self = Self::Blocked;
                vec![Tell(CardChange::Inserted(owner)), Tell(CardChange::Invalid(CardFault::Incomplete))]
            }
            (Self::Reading, CardInput::Read { owner, tries_left }) => {
                *self = Self::Pin { owner: owner.clone(), entered: 0, tries_left, wrong: false };
                vec![Tell(CardChange::Inserted(owner))]
            }
            (Self::Reading, CardInput::Unusable(fault)) => self.refuse(fault),
            (Self::Pin { owner, tries_left, .. }, CardInput::PinProgress(entered)) => {
                *self = Self::Pin { owner, entered, tries_left, wrong: false };
                vec![]
            }
            (Self::Pin { owner, .. }, CardInput::PinEntered(pin)) => {
                *self = Self::Verifying(owner);
                vec![VerifyPin(pin)]
            }
            (Self::Pin { owner, tries_left, .. }, CardInput::PinCancelled) => {
                *self = Self::Pin { owner, entered: 0, tries_left, wrong: false };
                vec![]
            }
            (Self::Verifying(owner), CardInput::PinAccepted) => {
                *self = Self::Checking { owner, path_holds: false };
                vec![Tell(CardChange::Checking), CheckCertificate]
            }
            (Self::Verifying(_), CardInput::PinRefused { tries_left: 0 }) => {
                *self = Self::Blocked;
                vec![Tell(CardChange::Invalid(CardFault::Incomplete))]
            }
            (Self::Verifying(owner), CardInput::PinRefused { tries_left }) => {
                *self = Self::Pin { owner, entered: 0, tries_left, wrong: true };
                vec![]
            }
            (Self::Verifying(_), CardInput::Unusable(fault)) => self.refuse(fault),
            (Self::Checking { owner, .. }, CardInput::PathHolds) => {
                *self = Self::Checking { owner, path_holds: true };
                vec![]
            }
            (Self::Checking { owner, path_holds: true }, CardInput::CertificateValid) => {
                *self = Self::Valid(owner.clone());
                vec![Tell(CardChange::Valid(owner))]
            }
            (Self::Checking { .. }, CardInput::CertificateInvalid(fault)) => self.refuse(fault),
            (state, _) => {
                *self = state;
                vec![]
            }
        }
    }

    fn refuse(&mut self, fault: CardFault) -> Vec<CardAction> {
        *self = Self::Invalid(fault);
        vec![CardAction::Tell(CardChange::Invalid(fault))]
    }

    /// ST906: the PIN is not asked of a person for whom there is nothing here.
    pub fn park(&mut self) {
        if let Self::Pin { owner, .. } = self {
            *self = Self::Parked(owner.clone());
        }
    }

    /// Something for the owner turned up after all: read the card again, then ask the PIN.
    pub fn resume(&mut self) -> Vec<CardAction> {
        if let Self::Parked(_) = self {
            *self = Self::Reading;
            return vec![CardAction::Read];
        }
        vec![]
    }

    /// The owner whose card was accepted in this very session.
    pub fn accepted(&self) -> Option<&Owner> {
        match self {
            Self::Valid(owner) => Some(owner),
            _ => None,
        }
    }

    /// Whose card is in, proven or not.
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Parked(owner)
            | Self::Pin { owner, .. }
            | Self::Verifying(owner)
            | Self::Checking { owner, .. }
            | Self::Valid(owner) => Some(owner),
            Self::Out | Self::Reading | Self::Invalid(_) | Self::Blocked => None,
        }
    }

    /// What the session itself has to say; `None` leaves the screen to the flows.
    pub fn screen(&self) -> Option<Screen> {
        Some(match self {
            Self::Out | Self::Parked(_) | Self::Valid(_) => return None,
            Self::Reading => Screen::Checking { card: false, certificate: false, server: false },
            Self::Pin { wrong: true, tries_left, .. } => Screen::PinWrong { tries_left: *tries_left },
            Self::Pin { owner, entered, tries_left, .. } => {
                Screen::Pin { name: owner.name.clone(), entered: *entered, tries_left: *tries_left }
            }
            Self::Verifying(_) => Screen::Checking { card: false, certificate: false, server: false },
            Self::Checking { path_holds, .. } => {
                Screen::Checking { card: true, certificate: *path_holds, server: false }
            }
            Self::Invalid(fault) => Screen::CardInvalid(*fault),
            Self::Blocked => Screen::PinBlocked,
        })
    }
}
