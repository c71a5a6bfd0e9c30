//! S/MIME 4.0 (RFC 8551 over CMS, RFC 5652 and RFC 5083) for keys that stay on a card.
//!
//! The private key crosses no interface: [`PrivateKey`] offers the card's raw operation, and all padding, hashing and
//! ciphering is done here.

mod key;

pub use key::{KeyError, PrivateKey};
