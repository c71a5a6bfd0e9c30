//! S/MIME 4.0 (RFC 8551 over CMS, RFC 5652 and RFC 5083) for keys that stay on a card, RSA or P-256.
//!
//! The private key crosses no interface: [`PrivateKey`] offers the card's raw operation, and all padding, hashing and
//! ciphering is done here. [`seal`] and [`sign_detached`] make, [`decrypt`] with [`Decrypted::verify`] and
//! [`verify_detached`] check; [`path`] says what a certificate is good for.

mod address;
mod algorithm;
mod asn1;
mod ber;
pub mod bounds;
mod enveloped_data;
mod error;
mod key;
mod key_agreement;
mod key_transport;
mod layers;
mod mime;
mod open;
pub mod path;
mod possession;
mod receipt;
mod recipients;
pub mod rsa_padding;
mod seal;
mod signature;
mod signed_data;
mod stream;
#[cfg(test)]
mod tests;
mod verdict;

pub use address::same_address;
pub use algorithm::Hash;
pub use enveloped_data::{ContentEncryption, Floor, Scheme};
pub use error::{OpenError, OpenGroup, SealError};
pub use key::{KeyError, PrivateKey};
pub use mime::MimeError;
pub use open::{
    Decrypted, DecryptedStream, EncryptedOnly, Opened, OpenedStream, SignedEntity, SignedOnly, SignerHint, Verdict,
    Verification, decrypt, decrypt_stream, verify_detached, verify_signed,
};
pub use path::speaks_for;
pub use possession::prove_possession;
pub use receipt::{Receipt, ReceiptTerms, sign_receipt, verify_receipt};
pub use seal::{Recipient, Seal, Sealed, Signing, encrypt_only, seal, seal_as, seal_stream, sign_detached, sign_only};
