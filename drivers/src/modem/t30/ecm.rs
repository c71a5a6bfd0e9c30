//! Error correction (ITU-T T.30, Annex A; T.4, Annex A): a page in blocks of 256 frames, sent again where they are missing.

use crate::modem::format::{Coding, Rate};
use crate::modem::hdlc::{ADDRESS, Deframer, Framer, MORE};

use super::frame::{FCD, RCP};

/// Frames in a block.
pub const BLOCK_FRAMES: usize = 256;
/// Octets of a PPR's map.
const MAP: usize = BLOCK_FRAMES / 8;
/// RCP frames at the end of a partial page.
const RCPS: usize = 3;

/// The octets of a partial page: flags for 200 ms, the frames, three RCP.
pub fn partial_page<'a>(frames: impl Iterator<Item = (u8, &'a [u8])>, rate: Rate) -> Vec<u8> {
    let milliseconds = |count: u32| usize::try_from(rate.bits * count / 8000).unwrap_or(0).max(2);
    let mut framer = Framer::new(milliseconds(200));
    let mut octets = Vec::with_capacity(4 + 256);
    for (number, data) in frames {
        octets.clear();
        octets.extend([ADDRESS, MORE, FCD, number]);
        octets.extend_from_slice(data);
        framer.frame(&octets);
    }
    for _ in 0..RCPS {
        framer.frame(&[ADDRESS, MORE, RCP]);
    }
    framer.flags(milliseconds(50));
    framer.finish()
}

/// A block on its way in.
#[derive(Default)]
pub struct Block {
    frames: Vec<Option<Vec<u8>>>,
}

impl Block {
    /// Takes what the line brought; frames that are there stay. True: there was at least one frame of data.
    pub fn take(&mut self, octets: &[u8], frame_octets: usize) -> bool {
        let mut any = false;
        Deframer::default().take(octets, |frame| {
            let [ADDRESS, _, FCD, number, data @ ..] = frame else { return };
            if data.is_empty() || data.len() > frame_octets.max(64) {
                return;
            }
            any = true;
            let number = usize::from(*number);
            if self.frames.len() <= number {
                self.frames.resize(number + 1, None);
            }
            if let Some(place @ None) = self.frames.get_mut(number) {
                *place = Some(data.to_vec());
            }
        });
        any
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The map for a PPR over `count` frames: a one for each that is missing; `None`: all are there.
    pub fn missing(&self, count: usize) -> Option<Vec<u8>> {
        let mut map = vec![0u8; MAP];
        let mut any = false;
        for number in 0..BLOCK_FRAMES {
            let wanted = number < count && self.frames.get(number).is_none_or(Option::is_none);
            // Frames beyond the count were never sent: the standard has ones for them (A.4.4), and senders do not look.
            if (wanted || number >= count)
                && let Some(octet) = map.get_mut(number / 8)
            {
                *octet |= 1 << (number % 8);
            }
            any |= wanted;
        }
        any.then_some(map)
    }

    /// Its octets. With a gap, what may still be used: two-dimensional T.6 ends there, T.4 finds its next EOL.
    pub fn octets(&self, count: usize, coding: Coding) -> Vec<u8> {
        let mut octets = Vec::new();
        for frame in self.frames.iter().take(count) {
            match frame {
                Some(data) => octets.extend_from_slice(data),
                None if coding == Coding::Mmr => break,
                None => {}
            }
        }
        octets
    }
}

/// The frames that a PPR's map wants again, of a block of `count`.
pub fn wanted(map: &[u8], count: usize) -> Vec<usize> {
    (0..count.min(BLOCK_FRAMES))
        .filter(|number| map.get(number / 8).is_some_and(|octet| octet >> (number % 8) & 1 == 1))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A block with losses is repaired by sending what its map names.
        #[test]
        fn repaired(
            data in proptest::collection::vec(any::<u8>(), 1..256 * 40),
            short in any::<bool>(),
            flips in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let size = if short { 64 } else { 256 };
            let frames: Vec<&[u8]> = data.chunks(size).take(BLOCK_FRAMES).collect();
            let sent = frames.concat();
            let all = frames.iter().enumerate().map(|(number, data)| (number as u8, *data));
            let mut line = partial_page(all, Rate::STEPS[0]);
            for flip in &flips {
                let at = flip.index(line.len() * 8);
                line[at / 8] ^= 1 << (at % 8);
            }
            let mut block = Block::default();
            block.take(&line, size);
            if let Some(map) = block.missing(frames.len()) {
                let again = wanted(&map, frames.len());
                prop_assert!(again.len() <= flips.len() * 2);
                let again = again.iter().map(|number| (*number as u8, frames[*number]));
                block.take(&partial_page(again, Rate::STEPS[0]), size);
            }
            prop_assert_eq!(block.missing(frames.len()), None);
            prop_assert_eq!(block.octets(frames.len(), Coding::Mmr), sent);
        }
    }
}
