//! Smart cards: a reader tells when a card comes and goes and opens a channel for APDUs (ISO 7816-4);
//! [`piv`] speaks NIST SP 800-73-5 over such a channel.
//!
//! Backends: PC/SC (`pcsc`), and the rig's virtual card. Everything above a [`CardChannel`] is the same for both.

pub mod apdu;
pub mod atr;
pub mod object;
pub mod part10;
#[cfg(feature = "pcsc")]
pub mod pcsc;
pub mod pin_pad;
pub mod piv;
pub mod sight;
pub mod t0;
pub mod tlv;

use crate::pattern::NotChosen;
use async_trait::async_trait;
pub use pin_pad::PinPadReader;

/// What happens at a reader's slot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CardEvent {
    /// A card is in, powered and answered its reset.
    Inserted,
    /// No card is in. Also reported between two insertions that followed each other faster than we looked.
    Removed,
    /// The reader itself is gone (unplugged, daemon stopped).
    ReaderLost,
    /// A reader is there (again).
    ReaderFound,
}

/// Why an exchange with a card failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The card was pulled or replaced during the exchange; wait for the next insertion.
    #[error("the card was removed; insert it again")]
    Removed,
    /// No reader.
    #[error("no card reader; plug the reader in and run `sealfax-adapter diagnose card`")]
    NoReader,
    /// The reader or its daemon failed.
    #[error("the card reader failed: {0}; unplug it and plug it in again")]
    Reader(String),
    /// None of the readers that are there, or several of them, fit the configured name.
    #[error("which card reader? {0}")]
    NotChosen(#[from] NotChosen),
    /// The card did not answer a command in time; what it did of it is not known.
    #[error("the card did not answer in time; take it out and insert it again")]
    TimedOut,
    /// The card does not answer its reset.
    #[error("the card does not answer; insert it with its contacts first and facing the right way")]
    Mute,
    /// The reader has no keys, or they cannot take a PIN of this card's size.
    #[error("the card reader has no keys for this card's PIN; enter it at the adapter's keypad")]
    NoPinPad,
    /// Nobody typed on the reader's keys in time; no try is spent.
    #[error("no PIN was typed at the card reader in time; start again")]
    PinEntryTimedOut,
    /// The person gave up at the reader's keys; no try is spent.
    #[error("the PIN entry was cancelled at the card reader")]
    PinEntryCancelled,
    /// What was typed on the reader's keys has too few or too many digits; no try is spent.
    #[error("the PIN typed at the card reader was too short or too long; type its 6 to 8 digits")]
    PinEntryLength,
    /// The new PIN and its repetition differ; the PIN is as it was.
    #[error("the new PIN was not typed twice the same way; start again")]
    NewPinsDiffer,
    /// The card answered with a status word that the command does not expect (ISO 7816-4, 5.6).
    #[error("the card refused {command} with status {status:04x}")]
    Status {
        /// Which command, in words.
        command: &'static str,
        /// SW1 SW2.
        status: u16,
    },
    /// The card's answer does not follow its standard.
    #[error("the card's answer to {command} is malformed: {what}")]
    Malformed {
        /// Which command, in words.
        command: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The card lacks something the adapter needs.
    #[error("the card has no {0}; it must be issued again by your administrator")]
    Missing(&'static str),
    /// The card wants its PIN, for 9C immediately before, and has not got it.
    #[error("the card asks for its PIN; enter it and try again")]
    PinRequired,
    /// The PIN was wrong and a try is spent.
    #[error("wrong PIN; {left} tries left")]
    WrongPin {
        /// Tries left, at least one.
        left: u8,
    },
    /// Fewer tries are left than the caller allowed to be spent: mostly one.
    #[error("one more wrong PIN blocks the card; allow the last try, or ask your administrator")]
    LastTry,
    /// The PIN (or the unblocking key) is blocked.
    #[error("the card is blocked; ask your administrator to unblock it")]
    Blocked,
    /// The card wants its management key (9B) before it lets itself be written.
    #[error("the card lets only its administrator write; authenticate with its management key first")]
    ManagementRequired,
    /// The card has another management key (9B), or does not prove that it has this one. No try is spent.
    #[error("the card's management key is another; use the administrator's secret that this card was issued with")]
    WrongManagementKey,
    /// The card has no room for what is to be written.
    #[error("the card has no room for {0}; use a card with larger data objects, or a shorter certificate")]
    NoRoom(&'static str),
    /// The card does not know a command that is no part of the standard, or an algorithm.
    #[error("the card does not know {0}; choose another way or another card")]
    Unsupported(&'static str),
    /// The caller's block does not fit the key.
    #[error("the key takes a block of {expected} octets, not {found}; check the certificate's algorithm")]
    BlockLength {
        /// Octets that the key takes.
        expected: usize,
        /// Octets that were given.
        found: usize,
    },
}

/// A reader with one slot.
#[async_trait]
pub trait CardReader: Send {
    /// The reader's name, for people.
    fn name(&self) -> &str;

    /// Waits for the next event. The first call reports the present state if a card is in.
    async fn next_event(&mut self) -> Result<CardEvent, CardError>;

    /// Why there is no reader, where more is known of it than [`CardEvent::ReaderLost`] says.
    fn fault(&self) -> Option<CardError> {
        None
    }

    /// Opens an exclusive channel to the card that is in. Blocks while the card answers its reset: call it where
    /// blocking is allowed.
    fn connect(&self) -> Result<Box<dyn CardChannel>, CardError>;
}

/// An exclusive channel to one insertion of one card. Once the card is pulled every further call fails with
/// [`CardError::Removed`], even when the same card is in again. Dropping it resets the card, so that no verified PIN
/// outlives the channel.
pub trait CardChannel: Send {
    /// Sends one command APDU and returns the response APDU with its status word. Blocks until the card answers:
    /// call it where blocking is allowed.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError>;

    /// Whether both reader and card say that they take extended length fields (ISO 7816-4, 5.2).
    fn takes_extended_length(&self) -> bool {
        false
    }

    /// The reader's own keys, if it has some.
    fn as_pin_pad(&mut self) -> Option<&mut dyn PinPadReader> {
        None
    }
}
