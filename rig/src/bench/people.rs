//! People and their cards: demo-only keys, certificates of the region's own authority, mailbox login, PIN.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use p256::elliptic_curve::Generate;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use sealfax_client::lookup::Use;
use sealfax_drivers::card::object::MailboxLogin;
use sealfax_drivers::card::piv::Algorithm;
use sealfax_drivers::pin::Pin;
use sealfax_mailserver::authority::{Authority, PersonRequest};

use crate::scenario::Failure;
use crate::virtual_card::{CardHandle, CardKey, CardProfile, KeyAndCertificate, VirtualCard};

/// A name, an address and a PIN: who takes part in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Character {
    /// What the story calls them: "taro".
    pub key: &'static str,
    /// In English, for the log.
    pub called: &'static str,
    /// As it stands on the card and on the screen.
    pub name: &'static str,
    /// The mail address.
    pub address: &'static str,
    /// The PIN.
    pub pin: &'static str,
    /// How long the certificates on the card are valid from the story's beginning.
    pub certificate_days: u64,
}

/// Sends, at office A.
pub const TARO: Character = Character {
    key: "taro",
    called: "Taro",
    name: "山田 太郎",
    address: "taro@a.example",
    pin: "246810",
    certificate_days: 365,
};
/// Receives, at office B.
pub const HANAKO: Character = Character {
    key: "hanako",
    called: "Hanako",
    name: "佐藤 花子",
    address: "hanako@b.example",
    pin: "314159",
    certificate_days: 365,
};
/// A colleague at office B, for whom nothing is meant.
pub const JIRO: Character = Character {
    key: "jiro",
    called: "Jiro",
    name: "鈴木 次郎",
    address: "jiro@b.example",
    pin: "271828",
    certificate_days: 365,
};
/// Receives, at office C.
pub const YUKI: Character = Character {
    key: "yuki",
    called: "Yuki",
    name: "Yuki Tanaka",
    address: "yuki@c.example",
    pin: "161803",
    certificate_days: 365,
};

/// A key with its certificate, as the demo's `pki/` folder shows it.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// PKCS#8, PEM.
    pub key_pem: String,
    /// DER.
    pub certificate: Vec<u8>,
}

/// Somebody with a card.
#[derive(Clone)]
pub struct Person {
    /// Who.
    pub character: Character,
    /// Their card.
    pub card: CardHandle,
    /// Slot 9C.
    pub signature: KeyPair,
    /// Slot 9D.
    pub encryption: KeyPair,
    /// Mailbox password, which is on the card and nowhere else.
    pub password: String,
}

/// What the certificates in slot 9C and slot 9D of a good card serve for.
pub(super) const USUAL: [Use; 2] = [Use::Sign, Use::Encrypt];

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Person({})", self.character.called)
    }
}

impl Person {
    /// Issues a card with RSA keys of 2048 bits. The same seed gives the same keys, which are for demonstrations only.
    pub fn issue(character: Character, seed: u64, authority: &Authority) -> Result<Self, Failure> {
        Self::issue_with(character, Algorithm::Rsa2048, seed, authority, USUAL)
    }

    /// Issues a card with keys of this kind, and certificates for these uses in slot 9C and slot 9D: only the usual ones
    /// make a good card.
    pub fn issue_with(
        character: Character,
        algorithm: Algorithm,
        seed: u64,
        authority: &Authority,
        [in_9c, in_9d]: [Use; 2],
    ) -> Result<Self, Failure> {
        let broken =
            |error: &dyn std::fmt::Display| Failure::infrastructure(format!("card of {}: {error}", character.called));
        let password = format!("{}-{seed}-mailbox", character.key);
        let pair = |slot: &str, usage: Use| -> Result<(KeyPair, KeyAndCertificate), Failure> {
            let label = format!("{} {slot}", character.key);
            let DemoKey { card_key, public_key, pem } = demo_key(&label, algorithm, seed).map_err(|e| broken(&e))?;
            let request = PersonRequest {
                name: character.name.to_owned(),
                address: character.address.to_owned(),
                public_key,
                usage,
                validity: Duration::from_secs(character.certificate_days * 24 * 3600),
                ocsp_url: None,
            };
            let certificate = authority.issue_person(&request).map_err(|e| broken(&e))?;
            let shown = KeyPair { key_pem: pem, certificate: certificate.clone() };
            Ok((shown, KeyAndCertificate { key: card_key, certificate }))
        };
        let (signature, on_card_signature) = pair(Use::Sign.as_str(), in_9c)?;
        let (encryption, on_card_encryption) = pair(Use::Encrypt.as_str(), in_9d)?;
        let login = MailboxLogin::new(character.address, &password).ok_or_else(|| broken(&"mailbox login"))?;
        let pin = Pin::new(character.pin.as_bytes()).ok_or_else(|| broken(&"PIN"))?;
        let profile = CardProfile::new(character.called, on_card_signature, on_card_encryption, login, pin);
        let card = CardHandle::new(Mutex::new(VirtualCard::new(profile)));
        Ok(Self { character, card, signature, encryption, password })
    }
}

/// A demo-only key: as the card has it, its SubjectPublicKeyInfo in DER, and as the demo's folder shows it.
#[derive(Clone)]
struct DemoKey {
    card_key: CardKey,
    public_key: Vec<u8>,
    pem: String,
}

/// RSA keys take a third of a second to make and more; scenarios share them.
fn demo_key(label: &str, algorithm: Algorithm, seed: u64) -> Result<DemoKey, Box<dyn std::error::Error>> {
    type Pool = HashMap<(String, Algorithm, u64), DemoKey>;
    static POOL: OnceLock<Mutex<Pool>> = OnceLock::new();
    let pool = POOL.get_or_init(Mutex::default);
    let id = (label.to_owned(), algorithm, seed);
    if let Some(key) = pool.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return Ok(key.clone());
    }
    let mut rng = ChaCha20Rng::from_seed(seed_of(label, seed));
    let key = match algorithm {
        Algorithm::P256 => {
            let key = p256::SecretKey::generate_from_rng(&mut rng);
            let public_key = key.public_key().to_public_key_der()?.into_vec();
            let pem = key.to_pkcs8_pem(LineEnding::LF)?.to_string();
            DemoKey { card_key: key.into(), public_key, pem }
        }
        _ => {
            let key = RsaPrivateKey::new(&mut rng, algorithm.block() * 8)?;
            let public_key = key.to_public_key().to_public_key_der()?.into_vec();
            let pem = key.to_pkcs8_pem(LineEnding::LF)?.to_string();
            DemoKey { card_key: key.try_into()?, public_key, pem }
        }
    };
    pool.lock().unwrap_or_else(PoisonError::into_inner).insert(id, key.clone());
    Ok(key)
}

/// Thirty-two octets that depend on a label and the run's seed.
pub(super) fn seed_of(label: &str, seed: u64) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::new().chain_update(seed.to_be_bytes()).chain_update(label.as_bytes()).finalize().into()
}
