//! RSA padding for a card that only exponentiates (RFC 8017 7.1, 7.2 and 9.2).
//!
//! Taking padding off tells nothing: the wanted length is known beforehand, so every octet has its place, all places
//! are looked at, and a wrong padding gives a key that fits nothing instead of an error (implicit rejection).

use crate::algorithm::Hash;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

/// DigestInfo up to the digest, for SHA-256 (RFC 8017 9.2, note 1).
const SHA256_DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// EMSA-PKCS1-v1_5 with SHA-256 (RFC 8017 9.2): the block of `length` octets to exponentiate.
///
/// `None` when the modulus is too short to hold it.
pub fn emsa_pkcs1_v1_5(digest: &[u8; 32], length: usize) -> Option<Vec<u8>> {
    let used = 3 + SHA256_DIGEST_INFO.len() + digest.len();
    let filling = length.checked_sub(used).filter(|count| *count >= 8)?;
    let mut block = Vec::with_capacity(length);
    block.extend([0, 1]);
    block.resize(2 + filling, 0xff);
    block.push(0);
    block.extend(SHA256_DIGEST_INFO);
    block.extend(digest);
    Some(block)
}

/// EME-OAEP decoding with an empty label (RFC 8017 7.1.2 step 3), for a message of `length` octets.
///
/// A block that is not so encoded yields `length` octets derived from the block and `ciphertext`.
pub fn eme_oaep(
    block: &[u8],
    ciphertext: &[u8],
    hash: Hash,
    mask_hash: Hash,
    length: usize,
) -> Option<Zeroizing<Vec<u8>>> {
    let size = hash.length();
    let (first, masked) = block.split_first()?;
    let (masked_seed, masked_data) = masked.split_at_checked(size)?;
    // DB is lHash, zeros, 01, message.
    let message_at = masked_data.len().checked_sub(length)?;
    let one_at = message_at.checked_sub(1).filter(|at| *at >= size)?;

    let mut seed = Zeroizing::new(masked_seed.to_vec());
    mask(&mut seed, masked_data, mask_hash);
    let mut data = Zeroizing::new(masked_data.to_vec());
    mask(&mut data, &seed, mask_hash);

    let mut good = first.ct_eq(&0);
    good &= data.get(..size)?.ct_eq(&hash.digest(&[]));
    for octet in data.get(size..one_at)? {
        good &= octet.ct_eq(&0);
    }
    good &= data.get(one_at)?.ct_eq(&1);
    Some(select(good, data.get(message_at..)?, block, ciphertext))
}

/// EME-PKCS1-v1_5 decoding (RFC 8017 7.2.2 step 3), for a message of `length` octets, with the same rejection.
pub fn eme_pkcs1_v1_5(block: &[u8], ciphertext: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
    let message_at = block.len().checked_sub(length)?;
    let zero_at = message_at.checked_sub(1).filter(|at| *at >= 10)?;
    let mut good = block.first()?.ct_eq(&0) & block.get(1)?.ct_eq(&2);
    for octet in block.get(2..zero_at)? {
        good &= !octet.ct_eq(&0);
    }
    good &= block.get(zero_at)?.ct_eq(&0);
    Some(select(good, block.get(message_at..)?, block, ciphertext))
}

/// The message if `good`, else octets only the holder of the private key could have foretold.
pub(crate) fn select(good: Choice, message: &[u8], block: &[u8], ciphertext: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(message.len()));
    for (number, part) in message.chunks(32).enumerate() {
        let mut other = Sha256::new()
            .chain_update(b"implicit rejection")
            .chain_update((number as u32).to_be_bytes())
            .chain_update(block)
            .chain_update(ciphertext)
            .finalize();
        for (octet, instead) in part.iter().zip(other.iter()) {
            out.push(u8::conditional_select(instead, octet, good));
        }
        other.as_mut_slice().zeroize();
    }
    out
}

/// XORs MGF1 of `seed` onto `target` (RFC 8017 B.2.1).
fn mask(target: &mut [u8], seed: &[u8], hash: Hash) {
    for (number, part) in target.chunks_mut(hash.length()).enumerate() {
        let mut input = Zeroizing::new(Vec::with_capacity(seed.len() + 4));
        input.extend_from_slice(seed);
        input.extend_from_slice(&(number as u32).to_be_bytes());
        let stream = Zeroizing::new(hash.digest(&input));
        for (octet, with) in part.iter_mut().zip(stream.iter()) {
            *octet ^= with;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn oaep(message: &[u8], seed: &[u8], hash: Hash, length: usize) -> Vec<u8> {
        let mut data = hash.digest(&[]);
        data.resize(length - 1 - hash.length() - message.len() - 1, 0);
        data.push(1);
        data.extend(message);
        mask(&mut data, seed, hash);
        let mut seed = seed.to_vec();
        mask(&mut seed, &data, hash);
        [vec![0], seed, data].concat()
    }

    #[test]
    fn oaep_comes_off() {
        for hash in [Hash::Sha1, Hash::Sha256] {
            let block = oaep(&[7; 32], &vec![9; hash.length()], hash, 256);
            assert_eq!(eme_oaep(&block, b"c", hash, hash, 32).unwrap().as_slice(), [7; 32]);
            // Another length than was wrapped is no error, it is another key.
            assert_ne!(eme_oaep(&block, b"c", hash, hash, 16).unwrap().as_slice(), [7; 16]);
        }
    }

    #[test]
    fn pkcs1_comes_off() {
        let block = [vec![0, 2], vec![0xaa; 256 - 3 - 24], vec![0], vec![5; 24]].concat();
        assert_eq!(eme_pkcs1_v1_5(&block, b"c", 24).unwrap().as_slice(), [5; 24]);
        let mut early = block.clone();
        early[20] = 0;
        assert_ne!(eme_pkcs1_v1_5(&early, b"c", 24).unwrap().as_slice(), [5; 24]);
    }

    #[test]
    fn short_blocks_are_refused() {
        assert!(emsa_pkcs1_v1_5(&[0; 32], 61).is_none());
        assert_eq!(emsa_pkcs1_v1_5(&[0; 32], 62).unwrap().len(), 62);
        assert!(eme_oaep(&[0; 64], b"", Hash::Sha256, Hash::Sha256, 32).is_none());
        assert!(eme_pkcs1_v1_5(&[0; 30], b"", 24).is_none());
    }

    proptest! {
        #[test]
        fn a_changed_block_gives_another_key(bit in 0usize..2048) {
            let mut block = oaep(&[7; 32], &[9; 32], Hash::Sha256, 256);
            block[bit / 8] ^= 1 << (bit % 8);
            let key = eme_oaep(&block, b"c", Hash::Sha256, Hash::Sha256, 32).unwrap();
            prop_assert_ne!(key.as_slice(), [7; 32]);
            // The same input gives the same key: repeating the question tells nothing either.
            let again = eme_oaep(&block, b"c", Hash::Sha256, Hash::Sha256, 32).unwrap();
            prop_assert_eq!(key.as_slice(), again.as_slice());
        }
    }
}
