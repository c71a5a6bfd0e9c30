//! Pages that were tampered with at random: no TIFF file and no line data, whatever is in them, makes a decoder panic, go on for
//! ever, or take more memory than its limits promise. What is done to which file follows from a seed and a number, so a
//! finding can be had again: `SEALFAX_MUTATIONS` says how many, `SEALFAX_SEED` from which seed, `SEALFAX_ONLY` a single one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use sealfax_ifax::t4::{Coding, DecodeOptions, FillOrder, decode};
use sealfax_ifax::tiff;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// As many in `tests/run`; `tests/jobs/mutated-pages.sh` does a million.
const USUALLY: u64 = 20_000;
/// Octets of rows that a file may have.
const RASTER: usize = 1 << 20;
/// Lines of line data.
const LINES: u32 = 600;
/// What goes on for longer than this does not end.
const FOR_EVER: Duration = Duration::from_secs(60);

/// SplitMix64: numbers that follow from a seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Small files, which most mutations are of, and large ones.
struct Corpus {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

fn corpus() -> Corpus {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let read = |folder: &str| {
        let mut files: Vec<_> =
            std::fs::read_dir(fixtures.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.retain(|file| file.file_name().is_some_and(|name| name != "README.md"));
        files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
    };
    Corpus { small: read("fuzz/page"), large: read("fax") }
}

/// What breaks counts, offsets and lengths.
const EDGES: [u32; 12] = [0, 1, 2, 7, 0x7f, 0xff, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

fn mutated(corpus: &Corpus, numbers: &mut Numbers) -> Vec<u8> {
    let from = if numbers.below(50) == 0 { &corpus.large } else { &corpus.small };
    let mut octets = from[numbers.below(from.len())].clone();
    for _ in 0..=numbers.below(4) {
        let length = octets.len();
        // Directories are where files begin, so a part of what is done is done there.
        let at = if numbers.below(4) == 0 { numbers.below(length.min(300)) } else { numbers.below(length) };
        let until = (at + 1 + numbers.below(64)).min(length);
        match numbers.below(9) {
            0 if length > 0 => octets[at] ^= 1 << numbers.below(8),
            1 if length > 0 => octets[at] = numbers.next() as u8,
            2 => octets.truncate(at),
            3 => {
                octets.splice(at..at, (0..numbers.below(40)).map(|_| numbers.next() as u8).collect::<Vec<_>>());
            }
            4 if until > at => drop(octets.drain(at..until)),
            5 if until > at => {
                let again = octets[at..until].to_vec();
                octets.splice(at..at, again);
            }
            6 if length >= at + 4 => {
                let edge = EDGES[numbers.below(EDGES.len())];
                let edge = if numbers.below(2) == 0 { edge.to_le_bytes() } else { edge.to_be_bytes() };
                octets[at..at + 4].copy_from_slice(&edge);
            }
            7 if length >= at + 2 => {
                let edge = EDGES[numbers.below(EDGES.len())] as u16;
                octets[at..at + 2].copy_from_slice(&edge.to_le_bytes());
            }
            _ => {
                let other = &corpus.small[numbers.below(corpus.small.len())];
                let cut = numbers.below(other.len());
                octets.truncate(at);
                octets.extend_from_slice(&other[cut..]);
            }
        }
    }
    octets
}

/// As a file, and as line data in a coding that the numbers choose. Whether it was a file with pages.
fn read_both_ways(octets: &[u8], numbers: &mut Numbers) -> bool {
    // Whatever is damaged is read nevertheless: that is the longer way.
    let limits = tiff::Limits { raster: RASTER, pages: 20, damaged_per_mille: 1000, ..tiff::Limits::default() };
    let pages = tiff::read(octets, &limits);
    if let Ok(pages) = &pages {
        assert!(pages.iter().map(|page| page.rows().len()).sum::<usize>() <= RASTER, "more rows than were allowed");
    }
    let width = numbers.below(2600) as u32;
    let options = DecodeOptions {
        coding: [Coding::ModifiedHuffman, Coding::ModifiedRead, Coding::ModifiedModifiedRead][numbers.below(3)],
        lines_aligned: numbers.below(2) == 0,
        fill_order: [FillOrder::LsbFirst, FillOrder::MsbFirst][numbers.below(2)],
        width,
        height: (numbers.below(2) == 0).then(|| numbers.below(LINES as usize) as u32),
        max_height: LINES,
    };
    if let Ok(page) = decode(octets, &options) {
        assert!(page.height <= LINES && page.rows.len() == width.div_ceil(8) as usize * page.height as usize);
    }
    pages.is_ok()
}

/// What decoding may take beside the file itself: its rows while they grow, once more for the page they become, the lists of a
/// line, and the directories of a file, whose numbers stand in it.
fn bound(octets: &[u8]) -> usize {
    2 * RASTER + 4 * octets.len() + (64 << 10)
}

#[test]
fn mutated_pages_do_no_harm() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let seed = number("SEALFAX_SEED").unwrap_or(8);
    let numbers = match number("SEALFAX_ONLY") {
        Some(only) => only..only + 1,
        None => 0..number("SEALFAX_MUTATIONS").unwrap_or(USUALLY),
    };
    let corpus = corpus();
    let current = AtomicU64::new(0);
    let (begun, mut most, mut with_pages) = (Instant::now(), (0, 0), 0u64);
    std::thread::scope(|scope| {
        let (over, until_over) = std::sync::mpsc::channel::<()>();
        let watched = &current;
        scope.spawn(move || {
            let mut last = u64::MAX;
            while until_over.recv_timeout(FOR_EVER) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let now = watched.load(Ordering::Relaxed);
                if now == last {
                    eprintln!("SEALFAX_SEED={seed} SEALFAX_ONLY={now} does not end");
                    std::process::abort();
                }
                last = now;
            }
        });
        for number in numbers.clone() {
            current.store(number, Ordering::Relaxed);
            let mut chance = Numbers(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number));
            let octets = mutated(&corpus, &mut chance);
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let outcome =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read_both_ways(&octets, &mut chance)));
            let taken = MEMORY.peak_usage().saturating_sub(before);
            with_pages +=
                u64::from(outcome.unwrap_or_else(|_| panic!("SEALFAX_SEED={seed} SEALFAX_ONLY={number} panics")));
            assert!(
                taken <= bound(&octets),
                "SEALFAX_SEED={seed} SEALFAX_ONLY={number} takes {taken} octets of memory"
            );
            if taken > most.0 {
                most = (taken, number);
            }
        }
        drop(over);
    });
    println!(
        "{} mutated files from seed {seed}, {with_pages} of them read as pages: none panics, none goes on for ever; at most {} KiB \
         of memory (number {}); {:.0} s",
        numbers.end - numbers.start,
        most.0 >> 10,
        most.1,
        begun.elapsed().as_secs_f64()
    );
}
