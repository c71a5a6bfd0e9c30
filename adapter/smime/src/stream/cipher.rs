//! Content encryption piece by piece: AES-GCM (NIST SP 800-38D, RFC 5084) and the CBC modes with the padding of RFC 5652 6.3.
//!
//! The `aes-gcm` crate takes a message as a whole. Here the same parts (AES, counter mode, GHASH) are put together so that it may
//! come in pieces; who deciphers must not use what comes out before the tag is known to hold.

use super::{PIECE, Source};
use crate::error::OpenError;
use aes::cipher::block_padding::{Padding, Pkcs7};
use aes::cipher::{
    Array, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit, KeyInit, KeyIvInit,
    StreamCipher, consts::U16,
};
use ghash::{GHash, universal_hash::UniversalHash};
use std::io::{self, Write};
use zeroize::{Zeroize, Zeroizing};

/// Octets of a GCM nonce and tag, the only lengths written and accepted.
pub(crate) const NONCE: usize = 12;
pub(crate) const TAG: usize = 16;

/// Octets of the longest block.
const BLOCK: usize = 16;

/// One direction of one cipher.
pub(crate) trait Cipher: Send {
    /// Whole blocks, in place.
    fn blocks(&mut self, octets: &mut [u8]);
    /// What is left, in place: less than a piece when enciphering, not all blocks when deciphering. Padding is added, or taken
    /// off: `None` if there is none.
    fn last(&mut self, octets: &mut Vec<u8>) -> Option<()>;
    /// What shows that nothing was changed, of a cipher that has it.
    fn tag(&mut self) -> Option<[u8; TAG]> {
        None
    }
}

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Encipher,
    Decipher,
}

/// AES-GCM over a 12-octet nonce.
pub(crate) struct Gcm<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> {
    counter: ctr::Ctr32BE<C>,
    hash: GHash,
    mask: Array<u8, U16>,
    /// Octets that are authenticated only, and octets of content.
    authenticated: u64,
    length: u64,
    way: Way,
}

impl<C> Gcm<C>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit + Send,
{
    pub(crate) fn new(key: &[u8], nonce: &[u8; NONCE], authenticated: &[u8], way: Way) -> Option<Self> {
        let cipher = C::new_from_slice(key).ok()?;
        let mut hash_key = Array::default();
        cipher.encrypt_block(&mut hash_key);
        let mut hash = GHash::new(&hash_key);
        hash_key.zeroize();
        hash.update_padded(authenticated);
        // The first counter block masks the tag, those behind it the content (SP 800-38D 7.1).
        let mut first = Array::default();
        for (to, from) in first.iter_mut().zip(nonce.iter().chain(&[0, 0, 0, 1])) {
            *to = *from;
        }
        let core = ctr::CtrCore::inner_iv_init(cipher, &first);
        let mut counter = ctr::Ctr32BE::from_core(core);
        let mut mask = Array::default();
        counter.apply_keystream(&mut mask);
        Some(Self { counter, hash, mask, authenticated: authenticated.len() as u64, length: 0, way })
    }
}

impl<C> Cipher for Gcm<C>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Send,
{
    fn blocks(&mut self, octets: &mut [u8]) {
        self.length += octets.len() as u64;
        if self.way == Way::Decipher {
            self.hash.update_padded(octets);
        }
        self.counter.apply_keystream(octets);
        if self.way == Way::Encipher {
            self.hash.update_padded(octets);
        }
    }

    fn last(&mut self, octets: &mut Vec<u8>) -> Option<()> {
        self.blocks(octets);
        Some(())
    }

    fn tag(&mut self) -> Option<[u8; TAG]> {
        let mut lengths = Array::<u8, U16>::default();
        for (to, from) in lengths.chunks_mut(8).zip([self.authenticated, self.length]) {
            to.copy_from_slice(&(from * 8).to_be_bytes());
        }
        self.hash.update(&[lengths]);
        let mut tag: [u8; TAG] = self.hash.clone().finalize().into();
        tag.iter_mut().zip(self.mask.iter()).for_each(|(tag, mask)| *tag ^= mask);
        Some(tag)
    }
}

/// A block cipher in CBC mode, enciphering.
pub(crate) struct CbcEncipher<C>(C);

impl<C: KeyIvInit> CbcEncipher<C> {
    pub(crate) fn new(key: &[u8], iv: &[u8]) -> Option<Self> {
        C::new_from_slices(key, iv).ok().map(Self)
    }
}

impl<C: BlockModeEncrypt + BlockSizeUser + Send> Cipher for CbcEncipher<C> {
    fn blocks(&mut self, octets: &mut [u8]) {
        self.0.encrypt_blocks(Array::slice_as_chunks_mut(octets).0);
    }

    fn last(&mut self, octets: &mut Vec<u8>) -> Option<()> {
        let padding = C::block_size() - octets.len() % C::block_size();
        octets.resize(octets.len() + padding, u8::try_from(padding).ok()?);
        self.blocks(octets);
        Some(())
    }
}

/// The same, deciphering.
pub(crate) struct CbcDecipher<C>(C);

impl<C: KeyIvInit> CbcDecipher<C> {
    pub(crate) fn new(key: &[u8], iv: &[u8]) -> Option<Self> {
        C::new_from_slices(key, iv).ok().map(Self)
    }
}

impl<C: BlockModeDecrypt + BlockSizeUser + Send> Cipher for CbcDecipher<C> {
    fn blocks(&mut self, octets: &mut [u8]) {
        self.0.decrypt_blocks(Array::slice_as_chunks_mut(octets).0);
    }

    fn last(&mut self, octets: &mut Vec<u8>) -> Option<()> {
        if octets.is_empty() || !octets.len().is_multiple_of(C::block_size()) {
            return None;
        }
        self.blocks(octets);
        let start = octets.len() - C::block_size();
        let unpadded = Pkcs7::raw_unpad(octets.get(start..)?).ok()?.len();
        octets.truncate(start + unpadded);
        Some(())
    }
}

/// Enciphers what is written.
pub(crate) struct Enciphering<W> {
    out: W,
    cipher: Box<dyn Cipher>,
    waiting: Zeroizing<Vec<u8>>,
}

impl<W: Write> Enciphering<W> {
    pub(crate) fn new(out: W, cipher: Box<dyn Cipher>) -> Self {
        Self { out, cipher, waiting: Zeroizing::new(Vec::with_capacity(PIECE + BLOCK)) }
    }

    /// The last of it; what is written to, and the tag.
    pub(crate) fn finish(mut self) -> io::Result<(W, Option<[u8; TAG]>)> {
        self.cipher.last(&mut self.waiting).ok_or(io::ErrorKind::InvalidInput)?;
        self.out.write_all(&self.waiting)?;
        Ok((self.out, self.cipher.tag()))
    }
}

impl<W: Write> Write for Enciphering<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let taken = octets.len().min(PIECE - self.waiting.len());
        self.waiting.extend_from_slice(octets.get(..taken).unwrap_or_default());
        if self.waiting.len() == PIECE {
            self.cipher.blocks(&mut self.waiting);
            self.out.write_all(&self.waiting)?;
            self.waiting.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Deciphers what is read, ahead of knowing whether it was changed.
pub(crate) struct Deciphering<S> {
    source: S,
    cipher: Box<dyn Cipher>,
    /// Deciphered up to `clear`; behind that stands what may be the last of it.
    octets: Zeroizing<Vec<u8>>,
    at: usize,
    clear: usize,
    ended: bool,
    failed: Option<OpenError>,
}

impl<S: Source> Deciphering<S> {
    pub(crate) fn new(source: S, cipher: Box<dyn Cipher>) -> Self {
        let octets = Zeroizing::new(Vec::with_capacity(PIECE));
        Self { source, cipher, octets, at: 0, clear: 0, ended: false, failed: None }
    }

    fn refill(&mut self) -> Result<(), OpenError> {
        self.octets.drain(..self.clear);
        (self.at, self.clear) = (0, 0);
        while self.octets.len() < PIECE && !self.ended {
            let piece = self.source.ahead()?;
            let piece = piece.get(..PIECE - self.octets.len()).unwrap_or(piece);
            self.octets.extend_from_slice(piece);
            let length = piece.len();
            self.source.pass(length);
            self.ended = length == 0;
        }
        if self.ended {
            self.cipher.last(&mut self.octets).ok_or(OpenError::CannotDecrypt)?;
            self.clear = self.octets.len();
        } else {
            self.clear = PIECE - BLOCK;
            self.cipher.blocks(self.octets.get_mut(..self.clear).unwrap_or_default());
        }
        Ok(())
    }

    /// The tag of all that was read, at its end.
    pub(crate) fn tag(&mut self) -> Option<[u8; TAG]> {
        self.cipher.tag()
    }
}

impl<S: Source> Source for Deciphering<S> {
    fn ahead(&mut self) -> Result<&[u8], OpenError> {
        if self.at == self.clear && !self.ended && self.failed.is_none() {
            self.failed = self.refill().err();
        }
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => Ok(self.octets.get(self.at..self.clear).unwrap_or_default()),
        }
    }

    fn pass(&mut self, octets: usize) {
        self.at = (self.at + octets).min(self.clear);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{Pieces, all};
    use super::*;
    use aes::Aes256;
    use aes_gcm::{AeadInOut, Aes256Gcm};
    use proptest::prelude::*;

    const KEY: [u8; 32] = [7; 32];
    const NONCE_OCTETS: [u8; NONCE] = [9; NONCE];

    fn written(cipher: Box<dyn Cipher>, text: &[u8], cut: usize) -> (Vec<u8>, Option<[u8; TAG]>) {
        let mut enciphering = Enciphering::new(Vec::new(), cipher);
        for piece in text.chunks(cut) {
            enciphering.write_all(piece).unwrap();
        }
        enciphering.finish().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn gcm_is_what_the_whole_is(text in proptest::collection::vec(any::<u8>(), 0..50_000), cut in 1usize..20_000, with in 0usize..40) {
            let authenticated = vec![3u8; with];
            let mut whole = text.clone();
            let tag = Aes256Gcm::new(&KEY.into())
                .encrypt_inout_detached(&NONCE_OCTETS.into(), &authenticated, whole.as_mut_slice().into())
                .unwrap();
            let cipher = |way| Box::new(Gcm::<Aes256>::new(&KEY, &NONCE_OCTETS, &authenticated, way).unwrap());
            let (octets, made) = written(cipher(Way::Encipher), &text, cut);
            prop_assert!(octets == whole);
            prop_assert_eq!(made, Some(tag.into()));
            let mut deciphering = Deciphering::new(Pieces(&octets, cut), cipher(Way::Decipher));
            prop_assert!(all(&mut deciphering).unwrap() == text);
            prop_assert_eq!(deciphering.tag(), Some(tag.into()));
        }

        #[test]
        fn cbc_comes_back(text in proptest::collection::vec(any::<u8>(), 0..50_000), cut in 1usize..20_000) {
            let iv = [5; 16];
            let (octets, tag) = written(Box::new(CbcEncipher::<cbc::Encryptor<Aes256>>::new(&KEY, &iv).unwrap()), &text, cut);
            prop_assert_eq!(tag, None);
            prop_assert_eq!(octets.len(), text.len() / 16 * 16 + 16);
            let cipher = || Box::new(CbcDecipher::<cbc::Decryptor<Aes256>>::new(&KEY, &iv).unwrap());
            prop_assert!(all(Deciphering::new(Pieces(&octets, cut), cipher())).unwrap() == text);
            for wrong in [&octets[1..], &[][..]] {
                prop_assert_eq!(all(Deciphering::new(Pieces(wrong, cut), cipher())), Err(OpenError::CannotDecrypt));
            }
        }
    }
}
