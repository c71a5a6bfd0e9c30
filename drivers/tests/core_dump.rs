//! A program that crashes while a person's PIN is in it, dumped whole by the kernel and searched: the PIN was typed, shown
//! to a card, and is kept for the act that it is good for. Run without [`no_core_dumps`], which would leave no dump at all.
//!
//! Where the kernel hands dumps to a program rather than to a file there is nothing to search; that is said.
//!
//! [`no_core_dumps`]: sealfax_drivers::pin::no_core_dumps
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::hint::black_box;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sealfax_drivers::card::piv::{LastTry, Piv};
use sealfax_drivers::card::{CardChannel, CardError};
use sealfax_drivers::pin::{Pin, PinEntry, PinEvent, PinKey};

const CHILD: &str = "SEALFAX_TEST_CRASHES";
/// Stands in the dump, so that a search that finds nothing is known to have searched.
const MARKER: &str = "what-may-be-found-";

/// The digits of the PIN are computed where they are typed: they stand in no program and in no environment.
fn digit(place: u8) -> u8 {
    (black_box(place) * 7 + 3) % 10
}

/// A card that accepts whatever it is shown, and keeps nothing of it.
struct Agreeable;

impl CardChannel for Agreeable {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        Ok(match command {
            [0, 0xA4, ..] => vec![0x61, 0x00, 0x90, 0x00],
            [0, 0x20, 0, 0x80] => vec![0x63, 0xC3],
            [0, 0x20, 0, 0x80, 8, ..] => vec![0x90, 0x00],
            _ => vec![0x6D, 0x00],
        })
    }
}

fn typed() -> Pin {
    let mut entry = PinEntry::new();
    for place in 0..8 {
        assert!(matches!(entry.key(PinKey::Digit(digit(place))), PinEvent::Changed { .. }));
    }
    match entry.key(PinKey::Enter) {
        PinEvent::Complete(pin) => pin,
        other => panic!("{other:?}"),
    }
}

/// Not a test of its own: what the other test starts, to see it crash.
#[test]
fn crashes_with_a_pin_in_it() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let pin = typed();
    let mut piv = Piv::select(Box::new(Agreeable)).unwrap();
    piv.verify_pin(&pin, LastTry::Refuse).unwrap();
    let marker = format!("{MARKER}{}", black_box(4711));
    let kept = black_box((&pin, &piv, &marker));
    assert!(!kept.2.is_empty());
    std::process::abort();
}

#[test]
fn a_dump_holds_no_pin() {
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let limit = getrlimit(Resource::Core);
    if pattern.contains(['|', '/']) || pattern.trim().is_empty() || limit.maximum.is_some_and(|most| most < 1 << 30) {
        eprintln!("unsupported: the kernel writes no dump into the folder of who crashes ({})", pattern.trim());
        return;
    }
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let crashed = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crashes_with_a_pin_in_it", "--nocapture"])
        .env(CHILD, "yes")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(!crashed.status.success(), "it crashed");
    let dump = std::fs::read_dir(folder.path()).unwrap().next().expect("the kernel wrote a dump").unwrap().path();
    let dump = std::fs::read(dump).unwrap();
    let found = |octets: &[u8]| memchr::memmem::find(&dump, octets).is_some();
    assert!(found(format!("{MARKER}4711").as_bytes()), "the dump of {} octets is one of it", dump.len());

    let pin: Vec<u8> = (0..8).map(|place| b'0' + digit(place)).collect();
    let values: Vec<u8> = (0..8).map(digit).collect();
    let hexadecimal: String = pin.iter().map(|octet| format!("{octet:02X}")).collect();
    // Six of eight digits would do for whoever searches.
    for form in [&pin[..6], &pin[2..], &values[..6], &hexadecimal.as_bytes()[..12]] {
        assert!(!found(form), "{:?} stands in the dump", String::from_utf8_lossy(form));
    }
}
