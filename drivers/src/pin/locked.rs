//! Eight octets that stay in this process's memory: a page of their own that is not swapped (mlock(2)), not in a core dump
//! and not in a child process (madvise(2)), and is zeroised before it is given back.
//!
//! This is the one module of the drivers with `unsafe` in it: the kernel's memory calls take addresses.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Once;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use zeroize::{Zeroize, Zeroizing};

/// How many octets there are: a PIN.
pub(super) const LENGTH: usize = super::Pin::MAX;

/// The least the kernel hands out; it rounds up to its own page.
const PAGE: usize = 4096;

/// Zeroes to begin with.
pub(super) struct LockedOctets(Place);

enum Place {
    /// The beginning of a page that nothing else is in.
    Page(NonNull<[u8; LENGTH]>),
    /// The kernel gave no page.
    Heap(Box<Zeroizing<[u8; LENGTH]>>),
}

// SAFETY: the page belongs to this value alone, is reached through it alone, and is bound to no thread.
unsafe impl Send for LockedOctets {}
// SAFETY: through a shared reference the page can only be read.
unsafe impl Sync for LockedOctets {}

impl LockedOctets {
    /// A new page of zeroes. Where the kernel refuses to lock it (RLIMIT_MEMLOCK), that is said once in the log: the
    /// octets are zeroised all the same.
    pub(super) fn new() -> Self {
        // SAFETY: no address is wished for, so no mapping that exists is touched.
        let mapped = unsafe {
            mmap_anonymous(std::ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        };
        let Some((address, page)) = mapped.ok().and_then(|address| Some((address, NonNull::new(address.cast())?)))
        else {
            warn_once("no page of its own");
            return Self(Place::Heap(Box::default()));
        };
        // SAFETY: all three are given the mapping that was just made, whole; none of them changes what is in it here.
        let locked = unsafe {
            // A kernel that knows an advice not leaves the page as it is.
            let undumped = madvise(address, PAGE, Advice::LinuxDontDump);
            let _ = madvise(address, PAGE, Advice::LinuxWipeOnFork);
            mlock(address, PAGE).and(undumped)
        };
        if locked.is_err() {
            warn_once("a page that may be swapped or dumped; raise RLIMIT_MEMLOCK (LimitMEMLOCK= in the unit file)");
        }
        Self(Place::Page(page))
    }
}

fn warn_once(what: &str) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| tracing::warn!("the kernel gives a PIN {what}"));
}

impl Deref for LockedOctets {
    type Target = [u8; LENGTH];

    fn deref(&self) -> &[u8; LENGTH] {
        match &self.0 {
            // SAFETY: the page is mapped as long as this value lives, was zeroes at first, and is written to through
            // `&mut self` alone; a page's beginning is aligned for octets, and it is longer than these.
            Place::Page(page) => unsafe { page.as_ref() },
            Place::Heap(octets) => octets,
        }
    }
}

impl DerefMut for LockedOctets {
    fn deref_mut(&mut self) -> &mut [u8; LENGTH] {
        match &mut self.0 {
            // SAFETY: as in `deref`, and nobody else has a reference while `self` is borrowed mutably.
            Place::Page(page) => unsafe { page.as_mut() },
            Place::Heap(octets) => octets,
        }
    }
}

impl Drop for LockedOctets {
    fn drop(&mut self) {
        self.zeroize();
        if let Place::Page(page) = &self.0 {
            // SAFETY: the mapping was made in `new` with this length, and no reference into it outlives `self`.
            let _ = unsafe { munmap(page.as_ptr().cast(), PAGE) };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// The kernel's own word about the page at this address (proc(5), `VmFlags`).
    fn flags_of(address: usize) -> Vec<String> {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut here = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|word| word.split_once('-'));
            let hex = |text| usize::from_str_radix(text, 16).ok();
            if let Some((Some(from), Some(to))) = range.map(|(from, to)| (hex(from), hex(to))) {
                here = (from..to).contains(&address);
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| here) {
                return flags.split_whitespace().map(str::to_owned).collect();
            }
        }
        panic!("no mapping at {address:x}");
    }

    #[test]
    fn the_kernel_says_locked_not_dumped_not_inherited() {
        let mut octets = LockedOctets::new();
        assert_eq!(*octets, [0; LENGTH]);
        octets.copy_from_slice(b"31415926");
        let flags = flags_of(octets.as_ptr() as usize);
        for (flag, meaning) in [("lo", "locked"), ("dd", "not dumped"), ("wf", "wiped on fork")] {
            assert!(flags.iter().any(|found| found == flag), "{meaning}: {flags:?}");
        }
        assert_eq!(&*octets, b"31415926");
    }

    #[test]
    fn many_at_once_and_moved() {
        let all: Vec<_> = (0..40u8)
            .map(|n| {
                let mut octets = LockedOctets::new();
                octets.fill(n);
                octets
            })
            .collect();
        let moved = std::thread::spawn(move || all).join().unwrap();
        for (n, octets) in (0..40u8).zip(&moved) {
            assert_eq!(**octets, [n; LENGTH]);
        }
    }
}
