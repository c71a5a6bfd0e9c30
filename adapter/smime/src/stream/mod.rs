//! Octets piece by piece, so that a mail of any length needs the same memory: each layer of a sealed mail (base64, ASN.1, cipher)
//! reads from the one outside of it and hands what is within to the next, and the other way round when writing.

pub(crate) mod base64;
pub(crate) mod cipher;
pub(crate) mod tlv;

use crate::error::OpenError;
use std::cell::RefCell;
use std::io::{BufRead, Write};
use zeroize::Zeroizing;

/// Octets that each layer works on at once. Small enough for a processor's nearest memory, large enough for its long instructions.
pub(crate) const PIECE: usize = 16 << 10;

/// Octets to be read, a layer of the mail taken off. Each layer knows by which error it fails, for what lies deeper means more.
pub(crate) trait Source {
    /// What comes next, at least an octet; nothing at the end. A failure stays one.
    fn ahead(&mut self) -> Result<&[u8], OpenError>;

    /// Goes past octets that were ahead.
    fn pass(&mut self, octets: usize);

    /// The next octet, if there is one.
    fn octet(&mut self) -> Result<Option<u8>, OpenError> {
        let next = self.ahead()?.first().copied();
        self.pass(usize::from(next.is_some()));
        Ok(next)
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn ahead(&mut self) -> Result<&[u8], OpenError> {
        (**self).ahead()
    }

    fn pass(&mut self, octets: usize) {
        (**self).pass(octets);
    }
}

/// Goes to the end.
pub(crate) fn drain(
    source: &mut impl Source,
    mut each: impl FnMut(&[u8]) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    loop {
        let piece = source.ahead()?;
        if piece.is_empty() {
            return Ok(());
        }
        let length = piece.len();
        each(piece)?;
        source.pass(length);
    }
}

/// The outermost layer: a mail that is read, up to `limit` octets.
pub(crate) struct Input<R> {
    inner: R,
    left: usize,
}

impl<R: BufRead> Input<R> {
    pub(crate) fn new(inner: R, limit: usize) -> Self {
        Self { inner, left: limit }
    }
}

impl<R: BufRead> Source for Input<R> {
    fn ahead(&mut self) -> Result<&[u8], OpenError> {
        let piece = loop {
            match self.inner.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(OpenError::Read(error.to_string())),
                Ok(_) => break self.inner.fill_buf().map_err(|error| OpenError::Read(error.to_string()))?,
            }
        };
        if !piece.is_empty() && self.left == 0 {
            return Err(OpenError::TooLarge);
        }
        Ok(piece.get(..piece.len().min(self.left)).unwrap_or_default())
    }

    fn pass(&mut self, octets: usize) {
        self.inner.consume(octets);
        self.left = self.left.saturating_sub(octets);
    }
}

/// Where content goes that is found inside.
pub(crate) trait Keep {
    fn put(&mut self, octets: &[u8]) -> Result<(), OpenError>;
}

/// Nowhere: it is digested and forgotten.
impl Keep for () {
    fn put(&mut self, _: &[u8]) -> Result<(), OpenError> {
        Ok(())
    }
}

/// Into memory. Whoever takes enough room beforehand has it copied nowhere.
impl Keep for Zeroizing<Vec<u8>> {
    fn put(&mut self, octets: &[u8]) -> Result<(), OpenError> {
        push_secret(self, octets);
        Ok(())
    }
}

/// Adds octets to secret ones. Memory that is left for more room is wiped.
pub(crate) fn push_secret(all: &mut Zeroizing<Vec<u8>>, octets: &[u8]) {
    let needed = all.len() + octets.len();
    if needed > all.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity((2 * needed).max(PIECE)));
        larger.extend_from_slice(all);
        *all = larger;
    }
    all.extend_from_slice(octets);
}

/// Out of here.
pub(crate) struct Release<'a, W>(pub(crate) &'a RefCell<W>);

impl<W: Write> Keep for Release<'_, W> {
    fn put(&mut self, octets: &[u8]) -> Result<(), OpenError> {
        self.0.borrow_mut().write_all(octets).map_err(|error| OpenError::Write(error.to_string()))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Octets that come in pieces of one length.
    pub(crate) struct Pieces<'a>(pub(crate) &'a [u8], pub(crate) usize);

    impl Source for Pieces<'_> {
        fn ahead(&mut self) -> Result<&[u8], OpenError> {
            Ok(&self.0[..self.0.len().min(self.1)])
        }

        fn pass(&mut self, octets: usize) {
            self.0 = &self.0[octets..];
        }
    }

    /// All there is.
    pub(crate) fn all(mut source: impl Source) -> Result<Vec<u8>, OpenError> {
        let mut out = Vec::new();
        drain(&mut source, |piece| {
            out.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(out)
    }
}
