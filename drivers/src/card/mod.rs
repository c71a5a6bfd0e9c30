//! Smart cards: a reader tells when a card comes and goes and opens a channel for APDUs (ISO 7816-4);
//! [`piv`] speaks NIST SP 800-73-5 over such a channel.
//!
//! Backends: PC/SC (`pcsc`), and the rig's virtual card. Everything above a [`CardChannel`] is the same for both.

pub mod apdu;
pub mod object;
pub mod piv;
pub mod tlv;

use async_trait::async_trait;

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
    /// One try is left, and the caller did not allow it to be spent.
    #[error("one more wrong PIN blocks the card; allow the last try, or ask your administrator")]
    LastTry,
    /// The PIN (or the unblocking key) is blocked.
    #[error("the card is blocked; ask your administrator to unblock it")]
    Blocked,
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

    /// Opens an exclusive channel to the card that is in.
    fn connect(&self) -> Result<Box<dyn CardChannel>, CardError>;
}

/// An exclusive channel to one insertion of one card. Once the card is pulled every further call fails with
/// [`CardError::Removed`], even when the same card is in again. Dropping it resets the card, so that no verified PIN
/// outlives the channel.
pub trait CardChannel: Send {
    /// Sends one command APDU and returns the response APDU with its status word. Blocks until the card answers:
    /// call it where blocking is allowed.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError>;
}
