//! A PIV card in software at APDU level (NIST SP 800-73-5 part 2), and the reader it is put into: what the `sim` bench
//! uses in place of plastic and PC/SC, through the same driver traits.
//!
//! [`VirtualCard`] is the card: a pure machine, command APDU in, response APDU out, with the access rules, retry
//! counters, chaining and status words of a real one. [`VirtualReader`] and [`SlotHandle`] are two ends of a slot: the
//! adapter has the reader, the scenario has the handle and inserts, pulls, swaps, unplugs.
//!
//! Decisions where the standard leaves room: extended lengths are refused unless the profile wants them; a chain that
//! another command interrupts is forgotten; the data objects and keys are given by the [`CardProfile`], and without an
//! authenticated management key PUT DATA and GENERATE ASYMMETRIC KEY PAIR are answered 6982.

mod card;
mod key;
mod profile;
mod reader;

pub use card::VirtualCard;
pub use key::{CardKey, CardKeyError};
pub use profile::{CardProfile, KeyAndCertificate};
pub use reader::{ApduEvent, ApduObserver, CardHandle, SlotHandle, VirtualReader};

#[cfg(test)]
mod tests;
