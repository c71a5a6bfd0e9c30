//! The log as monitors fetch it (C2SP tlog-tiles): hashes in tiles of 256, records in bundles of 256.

use tlog_tiles::Tile;

use super::{History, HistoryError};

/// Levels of the tree in one tile.
const HEIGHT: u8 = 8;
/// Hashes in a full tile.
const WIDTH: u64 = 1 << HEIGHT;

/// A tile or bundle that the log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Hashes.
    Hashes {
        /// Of which level of tiles.
        level: u8,
        /// Which one.
        number: u64,
        /// Hashes in it.
        width: u64,
    },
    /// Records.
    Entries {
        /// Which bundle.
        number: u64,
        /// Records in it.
        width: u64,
    },
}

impl Asked {
    /// Reads what follows `/tile/`: `<L>/<N>`, `entries/<N>`, each with `.p/<W>` for one that is not full. `None` if that is no
    /// such path, or a log of `size` records does not have it.
    pub(super) fn parse(path: &str, size: u64) -> Option<Self> {
        let (kind, rest) = path.split_once('/')?;
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, WIDTH),
            Some((number, width)) => (number, canonical(width).filter(|width| (1..WIDTH).contains(width))?),
        };
        let number = grouped(number)?;
        let (level, asked) = match kind {
            "entries" => (0, Self::Entries { number, width }),
            level => {
                let level = canonical(level).filter(|level| *level < 8)?;
                let level = u8::try_from(level).ok()?;
                (level, Self::Hashes { level, number, width })
            }
        };
        // As many nodes of that level are over full subtrees.
        let nodes = size.checked_shr(u32::from(level) * u32::from(HEIGHT)).unwrap_or(0);
        let end = number.checked_mul(WIDTH)?.checked_add(width)?;
        (end <= nodes).then_some(asked)
    }
}

/// A number as it has to be written.
fn canonical(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A number in groups of three digits, all but the last after an `x`: `x001/x234/067`.
fn grouped(text: &str) -> Option<u64> {
    let mut number: u64 = 0;
    let mut groups = text.split('/').peekable();
    let mut first = true;
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        if digits.len() != 3 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        // There is one way to write a number: no groups of zeros before it.
        if first && groups.peek().is_some() && digits == "000" {
            return None;
        }
        first = false;
        number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(number)
}

/// What is in it.
pub(super) fn octets(history: &dyn History, asked: Asked) -> Result<Vec<u8>, HistoryError> {
    match asked {
        Asked::Hashes { level, number, width } => {
            // At most 256, by the form of the path.
            let width = u32::try_from(width).unwrap_or(1);
            history.tile(&Tile::new(HEIGHT, level, number, width, false))
        }
        Asked::Entries { number, width } => {
            let mut bundle = Vec::new();
            let first = number * WIDTH;
            for leaf in history.leaves(first..first + width)? {
                let length = u16::try_from(leaf.len()).map_err(|_| HistoryError::NoSuchRecord(first))?;
                bundle.extend_from_slice(&length.to_be_bytes());
                bundle.extend_from_slice(leaf.as_bytes());
            }
            Ok(bundle)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_those_of_the_standard() {
        let size = 70_000_000;
        assert_eq!(Asked::parse("0/000", size), Some(Asked::Hashes { level: 0, number: 0, width: 256 }));
        assert_eq!(Asked::parse("0/x001/234.p/7", size), Some(Asked::Hashes { level: 0, number: 1234, width: 7 }));
        assert_eq!(Asked::parse("2/003", size), Some(Asked::Hashes { level: 2, number: 3, width: 256 }));
        assert_eq!(Asked::parse("entries/x001/000", size), Some(Asked::Entries { number: 1000, width: 256 }));
        for wrong in [
            "",
            "0",
            "0/",
            "0/0",
            "0/0000",
            "0/x000/001",
            "0/001/002",
            "8/000",
            "00/000",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/007",
            "data/000",
            "0/../key",
            "0/x999/x999/x999/x999/x999/x999/x999/999",
            "3/004",
            "-1/000",
        ] {
            assert_eq!(Asked::parse(wrong, size), None, "{wrong}");
        }
        assert_eq!(Asked::parse("0/000", 255), None);
        assert_eq!(Asked::parse("0/000.p/255", 255), Some(Asked::Hashes { level: 0, number: 0, width: 255 }));
    }

    proptest! {
        #[test]
        fn no_path_is_too_much(path in "[0-9x/.p]{0,40}|\\PC{0,40}", size in any::<u64>()) {
            let _ = Asked::parse(&path, size);
        }
    }
}
