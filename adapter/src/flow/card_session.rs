//! From an inserted card to an accepted owner: read, PIN, certificate (ST601-604, ST613; ST904, ST907-911), and the person
//! beside it where the office wants that (V2).
//!
//! One insertion is one session. Whatever was proven ends with it: a pulled card leaves nothing behind. While the card
//! stays in, what the certificate server said counts for one act: before the next one it is asked again. So does the
//! PIN: it is given for one act, forgotten with it, and asked anew when there is another.

use std::sync::Arc;

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
        /// Where it is typed.
        keys: Keys,
    },
    /// The card is comparing the PIN.
    Verifying(Owner, Keys),
    /// ST602, ST908: the certificate's path and its state at the certificate server.
    Checking {
        /// Whose card.
        owner: Owner,
        /// The path to our anchor holds; the server's answer is awaited.
        path_holds: bool,
    },
    /// All of that holds, and the person is to be proven beside it.
    Proving {
        /// Whose card.
        owner: Owner,
        /// How often they may still try.
        tries_left: u8,
    },
    /// ST604, ST910: accepted.
    Valid(Owner),
    /// Accepted once, and the act is over for which the PIN was given.
    Rested(Owner),
    /// ST602, ST908 again: an act begins, and the certificate server is asked whether the card is still valid.
    Rechecking(Owner),
    /// ST613, ST911: refused.
    Invalid(CardFault),
    /// The PIN is blocked.
    Blocked,
}

/// How often somebody may lay a finger on the reader, each time the PIN was right.
pub const PERSON_TRIES: u8 = 3;

/// Where a PIN is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// At the adapter's keypad.
    Keypad,
    /// At the card reader, whose keys speak to the card alone.
    Reader {
        /// Whether the reader was told to ask.
        asked: bool,
    },
}

impl Keys {
    /// To be asked once more.
    fn anew(self) -> Self {
        match self {
            Self::Keypad => Self::Keypad,
            Self::Reader { .. } => Self::Reader { asked: false },
        }
    }
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
        /// Whether the card's reader has keys of its own.
        pad: bool,
    },
    /// The card cannot be used.
    Unusable(CardFault),
    /// Digits entered so far.
    PinProgress(u8),
    /// A complete PIN.
    PinEntered(Arc<Pin>),
    /// The person gave up at the adapter's keypad. At a reader with keys of its own that means nothing: it goes on asking.
    PinCancelled,
    /// The reader has done asking on its own keys and has no PIN: the person gave up there, or did not type in time.
    PadCancelled,
    /// The card accepted the PIN.
    PinAccepted,
    /// The card refused the PIN.
    PinRefused {
        /// Tries left; 0 is blocked.
        tries_left: u8,
    },
    /// The card has fewer tries left than the person saw, and was not asked.
    PinUntried {
        /// Tries left; 0 is blocked.
        tries_left: u8,
    },
    /// The certificate's path holds.
    PathHolds,
    /// The certificate server says good.
    CertificateValid,
    /// The certificate server says good, and this office wants the person proven as well.
    PersonWanted,
    /// It is the owner who stands there.
    PersonProven,
    /// It is not, or they hesitated.
    PersonNotProven,
    /// Nobody can be asked.
    PersonUnasked,
    /// The path does not hold, or the certificate server does not say good.
    CertificateInvalid(CardFault),
}

/// What is to be done with the card.
#[derive(Debug, Clone)]
pub enum CardAction {
    /// Read certificates, address and retry counter; none of it needs the PIN.
    Read,
    /// Read the retry counter anew: it may have changed since the card was read.
    ReadAgain,
    /// Present this PIN to the card, whose owner saw that so many tries are left.
    VerifyPin(Arc<Pin>, u8),
    /// Have the reader ask for the PIN on its own keys and show it to the card, with so many tries left as far as the
    /// person knows.
    VerifyPinOnPad(u8),
    /// Check the path and ask the certificate server.
    CheckCertificate,
    /// Ask for the person beside the card.
    ProvePerson,
    /// The same for a card that proved itself in this insertion: path and certificate server only.
    CheckAgain,
    /// Tell both flows.
    Tell(CardChange),
    /// Nothing more is asked of it: let whoever mends it have it.
    LetGo,
}

impl CardSession {
    /// One event. Events that do not belong to the present state (late answers of a card that was pulled) change
    /// nothing.
    pub fn handle(&mut self, input: CardInput) -> Vec<CardAction> {
        use CardAction::{CheckCertificate, LetGo, ProvePerson, Read, Tell, VerifyPin};
        match (std::mem::take(self), input) {
            (Self::Out, CardInput::Removed) => vec![],
            (_, CardInput::Removed) => vec![Tell(CardChange::Out)],
            (before, CardInput::Inserted) => {
                // A reader may report a fast swap as one event: the old session ends all the same.
                *self = Self::Reading;
                if before == Self::Out { vec![Read] } else { vec![Tell(CardChange::Out), Read] }
            }
            (Self::Reading, CardInput::Read { owner, tries_left: 0, .. }) => {
                *self = Self::Blocked;
                vec![Tell(CardChange::Inserted(owner)), Tell(CardChange::Invalid(CardFault::Incomplete)), LetGo]
            }
            (Self::Reading, CardInput::Read { owner, tries_left, pad }) => {
                let keys = if pad { Keys::Reader { asked: false } } else { Keys::Keypad };
                *self = Self::Pin { owner: owner.clone(), entered: 0, tries_left, wrong: false, keys };
                vec![Tell(CardChange::Inserted(owner))]
            }
            (Self::Reading, CardInput::Unusable(fault)) => self.refuse(fault),
            (Self::Pin { owner, tries_left, keys: Keys::Keypad, .. }, CardInput::PinProgress(entered)) => {
                *self = Self::Pin { owner, entered, tries_left, wrong: false, keys: Keys::Keypad };
                vec![]
            }
            (Self::Pin { owner, tries_left, keys: Keys::Keypad, .. }, CardInput::PinEntered(pin)) => {
                *self = Self::Verifying(owner, Keys::Keypad);
                vec![VerifyPin(pin, tries_left)]
            }
            (Self::Pin { owner, tries_left, keys: keys @ Keys::Keypad, .. }, CardInput::PinCancelled)
            | (
                Self::Pin { owner, tries_left, keys: keys @ Keys::Reader { asked: true }, .. },
                CardInput::PadCancelled,
            ) => {
                *self = Self::Pin { owner, entered: 0, tries_left, wrong: false, keys: keys.anew() };
                vec![]
            }
            // At the reader's own keys nothing is seen between the question and the card's answer.
            (
                Self::Verifying(owner, _) | Self::Pin { owner, keys: Keys::Reader { asked: true }, .. },
                CardInput::PinAccepted,
            ) => {
                *self = Self::Checking { owner, path_holds: false };
                vec![Tell(CardChange::Checking), CheckCertificate]
            }
            (
                Self::Verifying(..) | Self::Pin { keys: Keys::Reader { asked: true }, .. },
                CardInput::PinRefused { tries_left: 0 } | CardInput::PinUntried { tries_left: 0 },
            ) => {
                *self = Self::Blocked;
                vec![Tell(CardChange::Invalid(CardFault::Incomplete)), LetGo]
            }
            (
                Self::Verifying(owner, keys) | Self::Pin { owner, keys: keys @ Keys::Reader { asked: true }, .. },
                CardInput::PinRefused { tries_left },
            ) => {
                *self = Self::Pin { owner, entered: 0, tries_left, wrong: true, keys: keys.anew() };
                vec![]
            }
            // Nothing was wrong but what the person saw: they see it now, and decide again.
            (
                Self::Verifying(owner, keys) | Self::Pin { owner, keys: keys @ Keys::Reader { asked: true }, .. },
                CardInput::PinUntried { tries_left },
            ) => {
                *self = Self::Pin { owner, entered: 0, tries_left, wrong: false, keys: keys.anew() };
                vec![]
            }
            (
                Self::Verifying(..) | Self::Pin { keys: Keys::Reader { asked: true }, .. },
                CardInput::Unusable(fault),
            ) => self.refuse(fault),
            (Self::Checking { owner, .. }, CardInput::PathHolds) => {
                *self = Self::Checking { owner, path_holds: true };
                vec![]
            }
            (Self::Checking { owner, path_holds: true }, CardInput::CertificateValid) => {
                *self = Self::Valid(owner.clone());
                vec![Tell(CardChange::Valid(owner))]
            }
            (Self::Checking { owner, path_holds: true }, CardInput::PersonWanted) => {
                *self = Self::Proving { owner, tries_left: PERSON_TRIES };
                vec![ProvePerson]
            }
            (Self::Proving { owner, .. }, CardInput::PersonProven) => {
                *self = Self::Valid(owner.clone());
                vec![Tell(CardChange::Valid(owner))]
            }
            (Self::Proving { tries_left: 0 | 1, .. }, CardInput::PersonNotProven) => {
                self.refuse(CardFault::NotThePerson)
            }
            (Self::Proving { owner, tries_left }, CardInput::PersonNotProven) => {
                *self = Self::Proving { owner, tries_left: tries_left - 1 };
                vec![ProvePerson]
            }
            (Self::Proving { .. }, CardInput::PersonUnasked) => self.refuse(CardFault::PersonUnasked),
            (Self::Checking { .. }, CardInput::CertificateInvalid(fault)) => self.refuse(fault),
            (Self::Rechecking(owner), CardInput::CertificateValid) => {
                *self = Self::Valid(owner.clone());
                vec![Tell(CardChange::StillValid(owner))]
            }
            // No answer is no news of the card: the act is refused, the next one asks again.
            (Self::Rechecking(owner), CardInput::CertificateInvalid(CardFault::Unchecked)) => {
                *self = Self::Valid(owner);
                vec![Tell(CardChange::Unchecked)]
            }
            (Self::Rechecking(_), CardInput::CertificateInvalid(fault) | CardInput::Unusable(fault)) => {
                self.refuse(fault)
            }
            (state, _) => {
                *self = state;
                vec![]
            }
        }
    }

    fn refuse(&mut self, fault: CardFault) -> Vec<CardAction> {
        *self = Self::Invalid(fault);
        vec![CardAction::Tell(CardChange::Invalid(fault)), CardAction::LetGo]
    }

    /// ST906: the PIN is not asked of a person for whom there is nothing here.
    pub fn park(&mut self) {
        if let Self::Pin { owner, .. } = self {
            *self = Self::Parked(owner.clone());
        }
    }

    /// Something for the owner turned up after all: ask the card how many tries are left, then the person for the PIN.
    pub fn resume(&mut self) -> Vec<CardAction> {
        if let Self::Parked(_) | Self::Rested(_) = self {
            *self = Self::Reading;
            return vec![CardAction::ReadAgain];
        }
        vec![]
    }

    /// The PIN is wanted, and the reader has keys of its own that were not told so yet.
    pub fn ask_on_pad(&mut self) -> Option<CardAction> {
        match self {
            Self::Pin { keys: keys @ Keys::Reader { asked: false }, tries_left, .. } => {
                *keys = Keys::Reader { asked: true };
                Some(CardAction::VerifyPinOnPad(*tries_left))
            }
            _ => None,
        }
    }

    /// What the PIN was given for is done, or was not begun in time: it does not count for anything else.
    pub fn act_over(&mut self) -> Vec<CardAction> {
        if let Self::Valid(owner) = self {
            *self = Self::Rested(owner.clone());
            return vec![CardAction::Tell(CardChange::Rested)];
        }
        vec![]
    }

    /// An act begins: a document is to be signed (ST608), a mailbox to be fetched (ST913). What the certificate server
    /// said for another one does not count. Whoever finds the question asked already waits for the same answer.
    pub fn check_again(&mut self) -> Vec<CardAction> {
        if let Self::Valid(owner) = self {
            *self = Self::Rechecking(owner.clone());
            return vec![CardAction::Tell(CardChange::CheckingAgain), CardAction::CheckAgain];
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
            | Self::Verifying(owner, _)
            | Self::Checking { owner, .. }
            | Self::Proving { owner, .. }
            | Self::Valid(owner)
            | Self::Rested(owner)
            | Self::Rechecking(owner) => Some(owner),
            Self::Out | Self::Reading | Self::Invalid(_) | Self::Blocked => None,
        }
    }

    /// What the session itself has to say; `None` leaves the screen to the flows.
    pub fn screen(&self) -> Option<Screen> {
        Some(match self {
            Self::Out | Self::Parked(_) | Self::Valid(_) | Self::Rested(_) => return None,
            Self::Reading => Screen::Checking { card: false, certificate: false, server: false },
            Self::Pin { wrong: true, tries_left, .. } => Screen::PinWrong { tries_left: *tries_left },
            Self::Pin { owner, entered, tries_left, .. } => {
                Screen::Pin { name: owner.name.clone(), entered: *entered, tries_left: *tries_left }
            }
            Self::Verifying(..) => Screen::Checking { card: false, certificate: false, server: false },
            Self::Checking { path_holds, .. } => {
                Screen::Checking { card: true, certificate: *path_holds, server: false }
            }
            Self::Proving { owner, tries_left } => Screen::Person { name: owner.name.clone(), tries_left: *tries_left },
            Self::Rechecking(_) => Screen::Checking { card: true, certificate: true, server: false },
            Self::Invalid(fault) => Screen::CardInvalid(*fault),
            Self::Blocked => Screen::PinBlocked,
        })
    }
}
