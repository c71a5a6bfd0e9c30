//! A PIV card in software at APDU level (NIST SP 800-73-5 part 2), and the reader it is put into: what the `sim` bench
//! uses in place of plastic and PC/SC, through the same driver traits.
//!
//! [`VirtualCard`] is the card: a pure machine, command APDU in, response APDU out, with the access rules, retry
//! counters, chaining and status words of a real one. [`VirtualReader`] and [`SlotHandle`] are two ends of a slot: the
//! adapter has the reader, the scenario has the handle and inserts, pulls, swaps, unplugs. [`VpcdHandle`] plays the same card
//! to a real pcscd instead, and [`Hand`] is either.
//!
//! Decisions where the standard leaves room: extended lengths are refused unless the profile wants them; a chain that
//! another command interrupts is forgotten. A card starts as its maker ships it ([`BlankCard`]) or with the data objects
//! and keys of a [`CardProfile`]; with its management key authenticated it makes keys and takes data objects, without it
//! PUT DATA and GENERATE ASYMMETRIC KEY PAIR are answered 6982. Two commands that no standard has and many cards know,
//! GET METADATA and SET MANAGEMENT KEY, are there if the profile wants them.

mod card;
mod hand;
mod key;
mod profile;
mod reader;
pub mod vpcd;

pub use card::VirtualCard;
pub use hand::{BoardSlot, Hand};
pub use key::{CardKey, CardKeyError};
pub use profile::{BlankCard, CardProfile, KeyAndCertificate};
pub use reader::{ApduEvent, ApduObserver, CardHandle, SlotHandle, VirtualReader};
pub use vpcd::VpcdHandle;

#[cfg(test)]
mod tests;
