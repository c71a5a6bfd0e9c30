//! What a card is personalised with: owner, keys, certificates, mailbox login, PIN and unblocking key.

use super::CardKey;
use std::sync::Arc;

use sealfax_drivers::{
    card::{
        object,
        object::MailboxLogin,
        piv::{ManagementAlgorithm, ManagementKey},
    },
    pin::Pin,
};
use zeroize::Zeroizing;

/// A card as its maker ships it: the well-known PIN, unblocking key and management key, and nothing else. Start from
/// [`BlankCard::new`] and change what a story needs.
#[derive(Clone)]
pub struct BlankCard {
    /// What events and reports call it.
    pub label: String,
    /// The PIN, `123456`.
    pub pin: Arc<Pin>,
    /// The PIN unblocking key, `12345678`.
    pub puk: Zeroizing<[u8; 8]>,
    /// The PIN's retry counter when full, 1 to 15.
    pub pin_tries: u8,
    /// The unblocking key's retry counter when full, 1 to 15.
    pub puk_tries: u8,
    /// How the management key enciphers: triple DES on older cards, AES-192 with the same octets on newer ones.
    pub management_algorithm: ManagementAlgorithm,
    /// The management key, of the length that its algorithm wants.
    pub management_key: ManagementKey,
    /// Whether the card knows GET METADATA and SET MANAGEMENT KEY, which its standard lacks.
    pub extensions: bool,
    /// Whether the card takes extended length fields.
    pub extended_length: bool,
    /// The PIN usage policy that its discovery object tells: `40 00` is the PIV PIN alone, `60 20` the Global PIN first.
    pub pin_policy: [u8; 2],
    /// The most octets of a data object, container included.
    pub object_size: usize,
    /// Seed of the card's own randomness: its keys follow from it.
    pub seed: u64,
}

impl BlankCard {
    /// A card with triple DES and room for a certificate as the standard wants it.
    pub fn new(label: impl Into<String>, pin: Pin, seed: u64) -> Self {
        Self {
            label: label.into(),
            pin: Arc::new(pin),
            puk: Zeroizing::new(*b"12345678"),
            pin_tries: 3,
            puk_tries: 3,
            management_algorithm: ManagementAlgorithm::TripleDes,
            management_key: ManagementKey::factory(),
            extensions: true,
            extended_length: false,
            pin_policy: [0x40, 0x00],
            object_size: 3072,
            seed,
        }
    }
}

impl std::fmt::Debug for BlankCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlankCard").field("label", &self.label).finish_non_exhaustive()
    }
}

/// A private key and its certificate in DER. An empty certificate leaves the object off the card.
#[derive(Debug, Clone)]
pub struct KeyAndCertificate {
    /// The key.
    pub key: CardKey,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
}

/// Everything on a card. Start from [`CardProfile::new`] and change what a scenario needs.
#[derive(Clone)]
pub struct CardProfile {
    /// Whose card it is, for events and reports.
    pub owner: String,
    /// 9C and 5FC10A.
    pub signature: KeyAndCertificate,
    /// 9D and 5FC10B.
    pub key_management: KeyAndCertificate,
    /// 9A and 5FC105.
    pub authentication: Option<KeyAndCertificate>,
    /// 5FC109.
    pub mailbox: Option<MailboxLogin>,
    /// The PIN.
    pub pin: Arc<Pin>,
    /// The PIN unblocking key, any eight octets.
    pub puk: Zeroizing<[u8; 8]>,
    /// The PIN's retry counter when full, 1 to 15.
    pub pin_tries: u8,
    /// The unblocking key's retry counter when full, 1 to 15.
    pub puk_tries: u8,
    /// The card's GUID, in its CHUID.
    pub guid: [u8; 16],
    /// The CHUID's expiration date, YYYYMMDD.
    pub expires: [u8; 8],
    /// Whether the certificates are stored gzipped.
    pub packed: bool,
    /// Whether the card takes extended length fields.
    pub extended_length: bool,
    /// Seed of the card's own randomness (blinding).
    pub seed: u64,
    /// The management key.
    pub management_key: ManagementKey,
    /// How the management key enciphers.
    pub management_algorithm: ManagementAlgorithm,
    /// Whether the card knows GET METADATA and SET MANAGEMENT KEY, which its standard lacks.
    pub extensions: bool,
    /// The PIN usage policy that its discovery object tells.
    pub pin_policy: [u8; 2],
}

impl CardProfile {
    /// A card with RSA or P-256 keys, three tries for the PIN and the unblocking key `12345678`.
    pub fn new(
        owner: impl Into<String>,
        signature: KeyAndCertificate,
        key_management: KeyAndCertificate,
        mailbox: MailboxLogin,
        pin: Pin,
    ) -> Self {
        let owner = owner.into();
        Self {
            guid: guid_of(&owner),
            owner,
            signature,
            key_management,
            authentication: None,
            mailbox: Some(mailbox),
            pin: Arc::new(pin),
            puk: Zeroizing::new(*b"12345678"),
            pin_tries: 3,
            puk_tries: 3,
            expires: *b"20401231",
            packed: false,
            extended_length: false,
            seed: 1,
            management_key: ManagementKey::factory(),
            management_algorithm: ManagementAlgorithm::TripleDes,
            extensions: false,
            pin_policy: [0x40, 0x00],
        }
    }

    /// The card before anything was put on it.
    pub(super) fn blank(&self) -> BlankCard {
        BlankCard {
            label: self.owner.clone(),
            pin: self.pin.clone(),
            puk: self.puk.clone(),
            pin_tries: self.pin_tries,
            puk_tries: self.puk_tries,
            management_algorithm: self.management_algorithm,
            management_key: self.management_key.clone(),
            extensions: self.extensions,
            extended_length: self.extended_length,
            pin_policy: self.pin_policy,
            object_size: 3072,
            seed: self.seed,
        }
    }

    /// The content of a certificate object.
    pub(super) fn certificate_object(&self, der: &[u8]) -> Vec<u8> {
        if self.packed { object::packed_certificate_object(der) } else { object::certificate_object(der) }
    }
}

impl std::fmt::Debug for CardProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CardProfile").field("owner", &self.owner).field("guid", &self.guid).finish_non_exhaustive()
    }
}

/// A GUID that differs between owners and stays between runs (a UUID of version 8, RFC 9562).
fn guid_of(owner: &str) -> [u8; 16] {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(owner.as_bytes());
    let mut guid = [0; 16];
    for (to, from) in guid.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    guid[6] = 0x80 | (guid[6] & 0x0F);
    guid[8] = 0x80 | (guid[8] & 0x3F);
    guid
}
