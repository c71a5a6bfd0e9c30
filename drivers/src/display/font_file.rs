//! A font file in the memory of the process without being in its memory: of the twenty megabytes of a pan-CJK font the
//! kernel reads the pages that hold the few characters of a screen.
#![allow(unsafe_code)] // mmap(2) hands out an address.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A file, mapped to be read.
pub struct FontFile {
    address: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone, is only ever read, and is bound to no thread.
unsafe impl Send for FontFile {}
// SAFETY: as above.
unsafe impl Sync for FontFile {}

impl FontFile {
    /// Maps a file that has octets.
    pub fn map(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        // SAFETY: no address is wished for, so no mapping that exists is touched. A length of nothing is refused.
        let address = unsafe { mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, 0)? };
        let address = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped to nowhere"))?;
        Ok(Self { address, length })
    }
}

impl Deref for FontFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable, as long as this value lives, and this long. Fonts of the system are exchanged by
        // another file under the same name, never changed in place: what is mapped stays what it was.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.length) }
    }
}

impl Drop for FontFile {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `map` with this length, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.address.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_file_as_it_stands_and_nothing_of_nothing() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/display/font_file.rs");
        let mapped = FontFile::map(&File::open(path).unwrap()).unwrap();
        assert_eq!(*mapped, *std::fs::read(path).unwrap());
        assert!(FontFile::map(&File::open("/dev/null").unwrap()).is_err());
    }
}
