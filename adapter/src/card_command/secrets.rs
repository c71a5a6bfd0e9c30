//! The administrator's secret, and what follows from it: each card's management key and unblocking key, by HKDF-SHA-256
//! (RFC 5869) over the card's GUID, so that no record of them is kept anywhere. And passwords nobody has to remember.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hkdf::Hkdf;
use sealfax_client::seam::Entropy;
use sealfax_drivers::card::piv::{ManagementAlgorithm, ManagementKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::CardCommandError;

/// The fewest octets that a secret may have.
const MIN_SECRET: usize = 32;
/// The most octets that are read of a secret file.
const MAX_SECRET: u64 = 4096;

/// What only the administrator has. Zeroised when dropped, never shown.
pub struct AdministratorSecret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for AdministratorSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdministratorSecret(*)")
    }
}

impl AdministratorSecret {
    /// A secret of at least 32 octets.
    pub fn new(octets: &[u8]) -> Option<Self> {
        (octets.len() >= MIN_SECRET).then(|| Self(Zeroizing::new(octets.to_vec())))
    }

    /// Reads the secret from a file that only its owner may read.
    pub fn read(path: &Path) -> Result<Self, CardCommandError> {
        Self::new(&secret_file(path)?).ok_or(CardCommandError::SecretFile {
            path: path.to_owned(),
            what: "it is shorter than 32 octets; make one with `(umask 077; head -c 32 /dev/urandom > FILE)` and keep \
                   a copy under lock and key",
        })
    }

    /// The management key of the card with this GUID, for this algorithm.
    pub fn management_key(&self, guid: &[u8; 16], algorithm: ManagementAlgorithm) -> Option<ManagementKey> {
        let mut key = Zeroizing::new(vec![0; algorithm.key_length()]);
        self.expand(guid, &format!("sealfax card management key {}", algorithm.name()), &mut key)?;
        ManagementKey::new(&key)
    }

    /// The unblocking key of the card with this GUID: eight digits, which every card and every tool takes. Its tries
    /// are what protects it. Only for a card that has proven to be this one.
    pub fn puk(&self, guid: &[u8; 16]) -> Option<Zeroizing<[u8; 8]>> {
        self.digits(guid, "sealfax card unblocking key")
    }

    /// The unblocking key of a card that says that this is its GUID, and cannot prove it: another one than a card that
    /// can has got. So who makes a card say somebody else's GUID learns nothing that opens that one's card.
    pub fn puk_of_an_unproven_card(&self, guid: &[u8; 16]) -> Option<Zeroizing<[u8; 8]>> {
        self.digits(guid, "sealfax unblocking key of an unproven card")
    }

    fn digits(&self, guid: &[u8; 16], what: &str) -> Option<Zeroizing<[u8; 8]>> {
        let mut drawn = Zeroizing::new([0u8; 16]);
        self.expand(guid, what, drawn.as_mut_slice())?;
        // 128 bits over a hundred million: no digit is likelier than another by more than one part in 2^100.
        let mut number = u128::from_be_bytes(*drawn) % 100_000_000;
        let mut puk = Zeroizing::new([0u8; 8]);
        for digit in puk.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
        Some(puk)
    }

    fn expand(&self, guid: &[u8; 16], what: &str, out: &mut [u8]) -> Option<()> {
        Hkdf::<Sha256>::new(Some(guid), &self.0).expand(what.as_bytes(), out).ok()
    }
}

/// The octets of a file that only its owner may read.
pub(super) fn secret_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, CardCommandError> {
    use std::io::Read as _;
    let broken = |source| CardCommandError::File { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(broken)?;
    if file.metadata().map_err(broken)?.permissions().mode() & 0o077 != 0 {
        return Err(CardCommandError::SecretFile {
            path: path.to_owned(),
            what: "others than its owner may read it; say `chmod 600` to it, and make a new secret if others did",
        });
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(MAX_SECRET as usize));
    file.take(MAX_SECRET).read_to_end(&mut octets).map_err(broken)?;
    Ok(octets)
}

/// A password of 125 bits in letters and digits that are not taken for each other.
pub(super) fn password(entropy: &dyn Entropy) -> Zeroizing<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut octets = Zeroizing::new([0u8; 25]);
    entropy.fill(octets.as_mut_slice());
    let letters = octets.iter().filter_map(|octet| LETTERS.get(usize::from(octet % 32)));
    Zeroizing::new(letters.map(|letter| char::from(*letter)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_card_has_keys_of_its_own_and_they_come_back() {
        let secret = AdministratorSecret::new(&[7; 32]).unwrap();
        let (one, other) = ([1; 16], [2; 16]);
        assert_eq!(secret.puk(&one).unwrap(), secret.puk(&one).unwrap());
        assert_ne!(secret.puk(&one).unwrap(), secret.puk(&other).unwrap());
        assert!(secret.puk(&one).unwrap().iter().all(u8::is_ascii_digit));
        assert_ne!(secret.puk(&one).unwrap(), secret.puk_of_an_unproven_card(&one).unwrap());
        for algorithm in ManagementAlgorithm::ALL {
            let key = secret.management_key(&one, algorithm).unwrap();
            assert!(key.fits(algorithm));
            assert_ne!(key, secret.management_key(&other, algorithm).unwrap());
        }
        let two = AdministratorSecret::new(&[8; 32]).unwrap();
        assert_ne!(secret.puk(&one).unwrap(), two.puk(&one).unwrap());
        assert_eq!(format!("{secret:?}"), "AdministratorSecret(*)");
        assert!(AdministratorSecret::new(&[7; 31]).is_none());
    }

    #[test]
    fn a_secret_that_others_can_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, [7; 32]).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = AdministratorSecret::read(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        AdministratorSecret::read(&path).unwrap();
        std::fs::write(&path, [7; 5]).unwrap();
        assert!(AdministratorSecret::read(&path).unwrap_err().to_string().contains("/dev/urandom"));
        assert!(matches!(AdministratorSecret::read(&folder.path().join("none")), Err(CardCommandError::File { .. })));
    }
}
