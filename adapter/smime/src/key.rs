//! A private key that stays where it is: the raw operation of a card, as PIV's GENERAL AUTHENTICATE does it.

use async_trait::async_trait;
use zeroize::Zeroizing;

/// A certificate and the one operation its private key performs.
#[async_trait]
pub trait PrivateKey: Send + Sync {
    /// The certificate that belongs to the key, in DER.
    fn certificate(&self) -> &[u8];

    /// The card's operation on one block (NIST SP 800-73-5 part 2, 3.2.4).
    ///
    /// RSA: the private exponentiation of a block as long as the modulus; padding is the caller's work, both ways.
    /// P-256 signing: ECDSA over a digest, answered as a DER `Ecdsa-Sig-Value`. P-256 key agreement: an uncompressed
    /// point, known to be on the curve, answered with the shared x coordinate.
    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// Why the key did not answer. Says nothing of the block, so it gives an attacker no oracle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The card was pulled.
    #[error("the card was removed; insert it again")]
    Gone,
    /// The card wants its PIN first.
    #[error("the card asks for its PIN")]
    PinRequired,
    /// The card or its reader failed.
    #[error("the card did not answer: {0}")]
    Failed(String),
}
