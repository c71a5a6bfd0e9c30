//! The pictures of a page: each once, however often it was shown, and no more octets than the page may have.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Beyond so many octets of screens the rest is embedded at half size; beyond [`MOST_OCTETS`], not at all.
const FULL_SIZE: usize = 800_000;
/// Most octets of screens.
const MOST_OCTETS: usize = 1_400_000;
/// Most octets of printed pages, which are larger and of which a few tell all.
const MOST_PAPER: usize = 250_000;

/// What is embedded so far.
#[derive(Default)]
pub(super) struct Pictures {
    by_file: BTreeMap<[u8; 32], Option<Vec<usize>>>,
    by_octets: BTreeMap<Vec<u8>, usize>,
    screens: usize,
    paper: usize,
}

impl Pictures {
    /// The bands of the screen at `path`, by number, from top to bottom; `None` if it cannot be shown.
    pub(super) fn screen(&mut self, path: &Path) -> Option<Vec<usize>> {
        let halvings = u32::from(self.screens > FULL_SIZE);
        let room = self.screens <= MOST_OCTETS;
        let (numbers, octets) = self.numbers(path, room, |original| sealfax_picture::bands(original, halvings))?;
        self.screens += octets;
        Some(numbers)
    }

    /// The number of the printed page at `path`, at half its width and height.
    pub(super) fn paper(&mut self, path: &Path) -> Option<Vec<usize>> {
        let room = self.paper <= MOST_PAPER;
        let (numbers, octets) =
            self.numbers(path, room, |original| Some(vec![sealfax_picture::small(original, 1)?]))?;
        self.paper += octets;
        Some(numbers)
    }

    /// The numbers of what `shrink` makes of a file, and how many octets are new.
    fn numbers(
        &mut self,
        path: &Path,
        room: bool,
        shrink: impl FnOnce(&[u8]) -> Option<Vec<Vec<u8>>>,
    ) -> Option<(Vec<usize>, usize)> {
        let original = fs::read(path).ok()?;
        let digest: [u8; 32] = Sha256::digest(&original).into();
        if let Some(known) = self.by_file.get(&digest) {
            return known.clone().map(|numbers| (numbers, 0));
        }
        let mut new = 0;
        let parts = room.then(|| shrink(&original)).flatten();
        let numbers = parts.map(|parts| {
            let number = |octets: Vec<u8>| {
                let (next, length) = (self.by_octets.len(), octets.len());
                let number = *self.by_octets.entry(octets).or_insert(next);
                new += if number == next { length } else { 0 };
                number
            };
            parts.into_iter().map(number).collect::<Vec<_>>()
        });
        self.by_file.insert(digest, numbers.clone());
        numbers.map(|numbers| (numbers, new))
    }

    /// The blocks of the page that hold them: nothing is decoded before it is looked at.
    pub(super) fn write(&self, page: &mut String) {
        for (octets, number) in &self.by_octets {
            let _ = write!(page, "<script type=text/plain id=p{number}>{}</script>", STANDARD.encode(octets));
        }
    }
}
