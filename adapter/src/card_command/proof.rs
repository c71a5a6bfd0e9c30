//! A card key really used, and the result held against its public key: how a key proves that it belongs to a
//! certificate, and that the card can do what the adapter will ask of it. And the management key: how a card proves which
//! card it is, since anybody can write anybody's GUID on one.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::DecodePublicKey as _;
use rsa::{Oaep, Pkcs1v15Sign, RsaPublicKey};
use sealfax_client::seam::{Entropy, EntropyRng};
use sealfax_drivers::card::CardError;
use sealfax_drivers::card::piv::{Algorithm, LastTry, Piv, Slot};
use sealfax_drivers::pin::Pin;
use sealfax_smime::{Hash, rsa_padding};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use zeroize::Zeroizing;

use super::error::CardCommandError;
use super::secrets::AdministratorSecret;

/// Whether the card is the one that this GUID was given to: it proves that it has that card's own management key, and sees
/// nothing of the administrator's if it cannot. Spends no try; afterwards the card lets itself be written.
pub fn is_the_card(
    piv: &mut Piv,
    secret: &AdministratorSecret,
    guid: &[u8; 16],
    entropy: &dyn Entropy,
) -> Result<bool, CardCommandError> {
    let algorithm = match piv.management_algorithm() {
        Ok(algorithm) => algorithm,
        Err(CardError::Unsupported(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let key = secret.management_key(guid, algorithm).ok_or(CardCommandError::ManagementKey)?;
    let mut challenge = [0; 16];
    entropy.fill(&mut challenge);
    match piv.prove_management(&key, &challenge) {
        Ok(_) => Ok(true),
        Err(CardError::WrongManagementKey | CardError::Unsupported(_) | CardError::Blocked) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Signs `message` (SHA-256; PKCS#1 v1.5 or ECDSA) with a key of the card, whichever it is, and the PIN shown just before.
pub fn sign(
    piv: &mut Piv,
    slot: Slot,
    algorithm: Algorithm,
    pin: &Pin,
    message: &[u8],
) -> Result<Vec<u8>, CardCommandError> {
    let digest: [u8; 32] = Sha256::digest(message).into();
    let block = match algorithm {
        Algorithm::P256 => digest.to_vec(),
        rsa => rsa_padding::emsa_pkcs1_v1_5(&digest, rsa.block()).ok_or_else(|| unfit(slot))?,
    };
    piv.verify_pin(pin, LastTry::Refuse)?;
    Ok(piv.sign(slot, algorithm, &block)?.to_vec())
}

/// Whether `signature` is one over `message` by the owner of `public_key` (SubjectPublicKeyInfo, DER).
pub fn verifies(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let digest = Sha256::digest(message);
    match Algorithm::of_public_key(public_key) {
        Some(Algorithm::P256) => p256::PublicKey::from_public_key_der(public_key)
            .ok()
            .zip(p256::ecdsa::DerSignature::from_bytes(signature).ok())
            .is_some_and(|(key, signature)| {
                p256::ecdsa::VerifyingKey::from(key).verify_prehash(&digest, &signature).is_ok()
            }),
        Some(_) => RsaPublicKey::from_public_key_der(public_key)
            .is_ok_and(|key| key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, signature).is_ok()),
        None => false,
    }
}

/// Signs something new and holds it against `public_key`.
pub fn signs(
    piv: &mut Piv,
    slot: Slot,
    public_key: &[u8],
    pin: &Pin,
    entropy: &dyn Entropy,
) -> Result<bool, CardCommandError> {
    let algorithm = Algorithm::of_public_key(public_key).ok_or_else(|| unfit(slot))?;
    let mut message = [0; 32];
    entropy.fill(&mut message);
    let signature = sign(piv, slot, algorithm, pin, &message)?;
    Ok(verifies(public_key, &message, &signature))
}

/// Encrypts something new for `public_key` and has 9D open it: RSA-OAEP, or key agreement on P-256.
pub fn decrypts(
    piv: &mut Piv,
    public_key: &[u8],
    pin: &Pin,
    entropy: &Arc<dyn Entropy>,
) -> Result<bool, CardCommandError> {
    let slot = Slot::KeyManagement;
    let algorithm = Algorithm::of_public_key(public_key).ok_or_else(|| unfit(slot))?;
    piv.verify_pin(pin, LastTry::Refuse)?;
    if algorithm == Algorithm::P256 {
        let theirs = p256::PublicKey::from_public_key_der(public_key).map_err(|_| unfit(slot))?;
        let ours = ephemeral(entropy.as_ref());
        let point = ours.public_key().to_sec1_point(false);
        let expected = (p256::ProjectivePoint::from(*theirs.as_affine()) * *ours.to_nonzero_scalar()).to_affine().x();
        let shared = piv.raw(slot, algorithm, point.as_bytes())?;
        return Ok(expected.as_slice() == shared.as_slice());
    }
    let key = RsaPublicKey::from_public_key_der(public_key).map_err(|_| unfit(slot))?;
    let mut message = Zeroizing::new([0; 32]);
    entropy.fill(message.as_mut_slice());
    let sealed = key
        .encrypt(&mut EntropyRng(Arc::clone(entropy)), Oaep::<Sha256>::new(), message.as_slice())
        .map_err(|_| unfit(slot))?;
    let block = piv.raw(slot, algorithm, &sealed)?;
    let opened = rsa_padding::eme_oaep(&block, &sealed, Hash::Sha256, Hash::Sha256, message.len());
    Ok(opened.is_some_and(|opened| *opened == message.as_slice()))
}

/// A key pair for one agreement.
fn ephemeral(entropy: &dyn Entropy) -> p256::SecretKey {
    loop {
        let mut octets = Zeroizing::new([0; 32]);
        entropy.fill(octets.as_mut_slice());
        // All but a few of the numbers below 2^256 are keys.
        if let Ok(key) = p256::SecretKey::from_slice(octets.as_slice()) {
            return key;
        }
    }
}

/// Whether 9C signs without being shown the PIN just before, which it must not. Spends no try.
pub fn signs_unasked(piv: &mut Piv, algorithm: Algorithm) -> Result<bool, CardCommandError> {
    piv.forget_pin()?;
    // One: a number below every modulus, and a digest like any other.
    let mut block = vec![0; algorithm.block()];
    if let Some(last) = block.last_mut() {
        *last = 1;
    }
    match piv.raw(Slot::Signature, algorithm, &block) {
        Ok(_) => Ok(true),
        Err(CardError::PinRequired | CardError::Status { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn unfit(slot: Slot) -> CardCommandError {
    CardCommandError::Unfit(format!(
        "the key in {:02X} is of a kind this adapter does not use; issue the card with RSA-2048, RSA-3072 or P-256",
        slot.key_reference()
    ))
}
