//! The two figures of the source document as pure state machines: [`sending`] is Fig. 7, [`receiving`] is Fig. 10,
//! [`card_session`] is what both begin with (a card, its PIN, its certificate), and [`desk`] is all three at the one
//! place where a person stands, with the one screen they share.
//!
//! Events go in with the time they happened, actions come out. No sockets, no clock, no chance of their own. A mail
//! is only ever an identifier here: its octets stay with the I/O around.

pub mod alarms;
pub mod card_session;
pub mod confirming;
pub mod desk;
pub mod receiving;
pub mod sending;

use std::time::Duration;

use sealfax_drivers::display::CardFault;

/// Time since the adapter started. Monotonic.
pub type At = Duration;

/// The owner of a card, as its certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// The certificate's rfc822Name, domain in lower case.
    pub address: String,
    /// The name to show.
    pub name: String,
}

/// What the flows are told of the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardChange {
    /// ST601, ST904: a card is in and its owner's name was read. Nothing is proven yet.
    Inserted(Owner),
    /// ST602, ST908: the PIN was right; the certificate server is being asked.
    Checking,
    /// ST603, ST909: the certificate is valid.
    Valid(Owner),
    /// ST603, ST909: it is not, or the card cannot be used.
    Invalid(CardFault),
    /// ST602, ST908 for an act with a card that was accepted before: the certificate server is being asked anew.
    CheckingAgain,
    /// ST603, ST909: it is still valid; that counts for the act that waits, and for no later one.
    StillValid(Owner),
    /// The certificate server cannot be asked now. Nothing is known against the card; the act is not done.
    Unchecked,
    /// The act for which the PIN was given is over. The card is in, and is asked for its PIN anew before the next one.
    Rested,
    /// The card is out.
    Out,
}

/// What a document is sealed with, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
pub enum Protection {
    /// Signed, then encrypted.
    #[default]
    Signed,
    /// Signed, then encrypted by a cipher that shows no change by itself, as old peers do: AES-CBC or triple DES.
    Legacy,
    /// Signed and encrypted, and it does not say for whom: somebody else may have been meant, and have passed it on.
    Unbound,
    /// ST611's option: signed alone. Its sender is proven, and everybody on the way can read it.
    SignedOnly,
    /// V3: encrypted alone. Nobody on the way reads it, and nobody is proven to have sent it.
    EncryptedOnly,
}

/// One numbered step of the source document was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The requirement identifiers, "ST605".
    pub ids: &'static [&'static str],
    /// What happened, for the journal.
    pub text: &'static str,
}

impl Step {
    /// A step with its identifiers.
    pub const fn new(ids: &'static [&'static str], text: &'static str) -> Self {
        Self { ids, text }
    }
}

/// A length of time as a screen tells it: nothing is drawn anew for seconds.
pub(crate) fn whole_minutes(length: Duration) -> Duration {
    Duration::from_secs(length.as_secs() / 60 * 60)
}

/// The address with its domain in lower case: domains compare without case, local parts with (RFC 5321, 2.4).
pub fn normal_address(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => address.to_owned(),
    }
}
