//! The people of the fixtures, with software keys where a card would be.

use crate::*;
use async_trait::async_trait;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPrivateKey};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

macro_rules! fixture {
    ($name:expr) => {
        include_bytes!(concat!("../../tests/fixtures/", $name)).as_slice()
    };
}
pub(super) use fixture;

pub(super) enum Secret {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::ecdsa::SigningKey),
    Agreement(p256::SecretKey),
}

/// A key as a card would offer it, but in software.
pub(super) struct SoftwareKey {
    pub(super) certificate: Vec<u8>,
    pub(super) secret: Secret,
}

impl SoftwareKey {
    pub(super) fn rsa(certificate: &[u8], key: &[u8]) -> Self {
        let secret = Secret::Rsa(Box::new(RsaPrivateKey::from_pkcs8_der(key).unwrap()));
        Self { certificate: certificate.to_vec(), secret }
    }
}

#[async_trait]
impl PrivateKey for SoftwareKey {
    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &self.secret {
            Secret::Rsa(key) => {
                let number = BoxedUint::from_be_slice(block, key.n().bits_precision()).unwrap();
                let result = rsa::hazmat::rsa_decrypt::<ChaCha20Rng>(None, key.as_ref(), &number)
                    .map_err(|error| KeyError::Failed(error.to_string()))?;
                let octets = result.to_be_bytes();
                Ok(Zeroizing::new(octets[octets.len() - key.size()..].to_vec()))
            }
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(block).unwrap();
                Ok(Zeroizing::new(signature.to_der().as_bytes().to_vec()))
            }
            Secret::Agreement(key) => {
                let point = p256::PublicKey::from_sec1_bytes(block).unwrap();
                assert_eq!(block.len(), 65, "a card takes uncompressed points only");
                let shared = p256::ecdh::diffie_hellman(key.to_nonzero_scalar(), point.as_affine());
                Ok(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
            }
        }
    }
}

macro_rules! person {
    ($name:ident) => {
        pub(super) fn $name() -> SoftwareKey {
            SoftwareKey::rsa(
                fixture!(concat!(stringify!($name), ".der")),
                fixture!(concat!("demo-only-", stringify!($name), ".key.der")),
            )
        }
    };
}
person!(sender);
person!(recipient);
person!(second);
person!(branch);
person!(mallory);
person!(impostor);
person!(server);
person!(large);
person!(largesign);

pub(super) fn curve() -> SoftwareKey {
    let secret = p256::ecdsa::SigningKey::from_pkcs8_der(fixture!("demo-only-curve.key.der")).unwrap();
    SoftwareKey { certificate: fixture!("curve.der").to_vec(), secret: Secret::P256(secret) }
}

/// Ichiro's P-256 card.
pub(super) fn agree() -> SoftwareKey {
    let secret = p256::SecretKey::from_pkcs8_der(fixture!("demo-only-agree.key.der")).unwrap();
    SoftwareKey { certificate: fixture!("agree.der").to_vec(), secret: Secret::Agreement(secret) }
}

pub(super) const CONTENT: &[u8] = b"From: hanako@a.example\r\nSubject: offer\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain\r\n\r\nThe price is 4,200.\r\n";

pub(super) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([7; 32])
}

pub(super) fn anchors() -> Vec<Vec<u8>> {
    vec![fixture!("anchor.der").to_vec()]
}

/// Five years after the fixtures were made: what other programs sign today is not of the future.
pub(super) fn now() -> SystemTime {
    path::validity(fixture!("server.der")).unwrap().0 + Duration::from_secs(5 * 365 * 86_400)
}

pub(super) fn signing(key: &SoftwareKey) -> Signing<'_> {
    Signing { key, chain: &[], signing_time: now() }
}

pub(super) fn ichiro() -> Recipient {
    Recipient { address: "ichiro@b.example".to_owned(), certificate: fixture!("recipient.der").to_vec() }
}

/// Ichiro with one of his other cards: "agree" is P-256, "large" RSA-3072.
pub(super) fn ichiro_with(key: &SoftwareKey) -> Recipient {
    Recipient { address: "ichiro@b.example".to_owned(), certificate: key.certificate.clone() }
}

pub(super) fn yuki() -> Recipient {
    Recipient { address: "yuki@c.example".to_owned(), certificate: fixture!("second.der").to_vec() }
}

/// A mail around an entity.
pub(super) fn mail(entity: &[u8]) -> Vec<u8> {
    [b"From: hanako@a.example\r\nTo: ichiro@b.example\r\nSubject: [...]\r\nMIME-Version: 1.0\r\n".as_slice(), entity]
        .concat()
}

/// Opens as `who` at `address`, believing that `sender` has `certificates`.
pub(super) async fn open_as(
    mail: &[u8],
    who: &SoftwareKey,
    address: &str,
    sender: &str,
    certificates: &[Vec<u8>],
) -> Result<Opened, OpenError> {
    let anchors = anchors();
    decrypt(mail, who).await?.verify(&Verification {
        sender,
        recipient: address,
        ..against(&anchors, certificates, who)
    })
}

/// What Ichiro holds a mail from Hanako against.
pub(super) fn against<'a>(anchors: &'a [Vec<u8>], known: &'a [Vec<u8>], key: &'a SoftwareKey) -> Verification<'a> {
    Verification {
        anchors,
        now: now(),
        sender: "hanako@a.example",
        sender_certificates: known,
        recipient: "ichiro@b.example",
        recipient_certificate: &key.certificate,
        allow_unbound: false,
    }
}

/// Opens as Ichiro a mail from Hanako, whose office may leave out for whom.
pub(super) async fn open_unbound(mail: &[u8]) -> Result<Opened, OpenError> {
    let (anchors, known, key) = (anchors(), [fixture!("sender.der").to_vec()], recipient());
    decrypt(mail, &key).await?.verify(&Verification { allow_unbound: true, ..against(&anchors, &known, &key) })
}

/// Opens as Ichiro a mail from Hanako.
pub(super) async fn open(mail: &[u8]) -> Result<Opened, OpenError> {
    open_as(mail, &recipient(), "ichiro@b.example", "hanako@a.example", &[fixture!("sender.der").to_vec()]).await
}

/// An enveloped object around these octets: anyone can make one for anyone.
pub(super) fn enveloped(content: &[u8], recipients: &[Recipient]) -> Vec<u8> {
    use std::io::Write as _;
    let fields: Vec<_> = recipients
        .iter()
        .map(|recipient| (recipient.address.as_str(), path::Fields::of(&recipient.certificate).unwrap()))
        .collect();
    let sealing = enveloped_data::Sealing::new(&fields, Scheme::default(), &mut rng()).unwrap();
    let mut envelope = sealing.begin(content.len(), Vec::new()).unwrap();
    envelope.write_all(content).unwrap();
    enveloped_data::finish(envelope).unwrap()
}
