//! Whether a card holds the key that its certificate names. Certificates are public: anybody can put them on a card.

use crate::enveloped_data::{self, Envelope, Scheme};
use crate::error::OpenError;
use crate::key::PrivateKey;
use crate::path::Fields;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Octets of a challenge.
const CHALLENGE: usize = 32;

/// Has the key open what nobody has seen before, encrypted for its certificate: only the key that belongs to it can.
/// Anything else than [`OpenError::Key`] says that it is not there.
pub async fn prove_possession(key: &dyn PrivateKey, rng: &mut impl CryptoRng) -> Result<(), OpenError> {
    let certificate = key.certificate();
    let fields = Fields::of(certificate).map_err(|_| OpenError::Malformed)?;
    let mut challenge = Zeroizing::new([0u8; CHALLENGE]);
    rng.fill_bytes(challenge.as_mut_slice());
    let sealed = enveloped_data::make(Zeroizing::new(challenge.to_vec()), &[("", fields)], Scheme::default(), rng)
        .map_err(|_| OpenError::Malformed)?;
    let envelope = Envelope::read(&sealed, certificate)?;
    let answer = key.raw(&envelope.block()?).await?;
    let opened = envelope.decrypt(&answer)?;
    if opened.as_slice() == challenge.as_slice() { Ok(()) } else { Err(OpenError::CannotDecrypt) }
}
