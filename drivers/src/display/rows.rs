//! Which rows of a screen have to be drawn again: of a picture that stands, the clock alone moves.

use super::Frame;
use super::fit::Fit;

/// So often the whole picture is drawn, whatever has changed: others may have drawn on the same memory.
const WHOLE: u32 = 16;

/// What a screen shows, as a digest of each row of the picture. Digests of different rows that are the same would leave one of
/// them as it was until the picture wanders: once in 2^64 rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    digests: Vec<u64>,
    shown: u32,
}

impl Rows {
    /// For each row of the picture, whether it is another than the last time. The caller then draws these.
    fn changed(&mut self, frame: &Frame) -> Vec<bool> {
        let digests: Vec<u64> = frame.rgb().chunks(Frame::WIDTH as usize * 3).map(digest).collect();
        let whole = self.shown.is_multiple_of(WHOLE) || self.digests.len() != digests.len();
        let changed = digests.iter().zip(self.digests.iter().chain(std::iter::repeat(&0)));
        let changed = changed.map(|(now, before)| whole || now != before).collect();
        self.digests = digests;
        self.shown = self.shown.wrapping_add(1);
        changed
    }

    /// The rows of the screen that have to be drawn to show this picture, from the top; of the first picture all of them.
    pub(super) fn due(&mut self, fit: &Fit, frame: &Frame) -> Vec<u32> {
        let first = self.digests.is_empty();
        let changed = self.changed(frame);
        let is_changed = |row: u32| changed.get(row as usize).copied().unwrap_or(true);
        let wanted =
            |y: &u32| first || fit.sources(*y).is_some_and(|(upper, lower)| is_changed(upper) || is_changed(lower));
        (0..fit.size().1).filter(wanted).collect()
    }
}

/// A digest that a board takes in a few milliseconds of a whole picture; nobody who could forge a row gains by it.
fn digest(row: &[u8]) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = row.as_chunks::<8>();
    let mixed =
        words.iter().fold(PRIME, |mixed, word| (mixed ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME).rotate_left(29));
    rest.iter().fold(mixed, |mixed, octet| (mixed ^ u64::from(*octet)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::display::pixels::PixelFormat;
    use crate::display::{Drawer, Screen, Status, Style};
    use proptest::prelude::*;

    const FORMAT: PixelFormat = PixelFormat::XRGB8888;

    /// A screen's memory, drawn only where it has to be.
    struct Glass {
        fit: Fit,
        rows: Rows,
        memory: Vec<u8>,
    }

    impl Glass {
        fn new(width: u32, height: u32) -> Self {
            let memory = vec![0xaa; (width * height * 4) as usize];
            Self { fit: Fit::new(width, height).unwrap(), rows: Rows::default(), memory }
        }

        fn show(&mut self, frame: &Frame) -> usize {
            let length = self.fit.size().0 as usize * 4;
            let due = self.rows.due(&self.fit, frame);
            for y in &due {
                let mut row = Vec::new();
                self.fit.row(frame, *y, FORMAT, &mut row);
                self.memory[*y as usize * length..][..length].copy_from_slice(&row);
            }
            due.len()
        }

        fn whole(&self, frame: &Frame) -> Vec<u8> {
            let mut memory = Vec::new();
            (0..self.fit.size().1).for_each(|y| self.fit.row(frame, y, FORMAT, &mut memory));
            memory
        }
    }

    #[test]
    fn a_minute_costs_a_tenth_of_the_rows_and_everything_is_drawn_now_and_then() {
        let (mut glass, mut drawer, style) = (Glass::new(1280, 720), Drawer::default(), Style::default());
        let drawn: Vec<usize> = (0..2 * WHOLE)
            .map(|minute| {
                let status = Status { clock: format!("09:{minute:02}"), ..Status::default() };
                let frame = drawer.draw(&Screen::Idle, &status, &style);
                let drawn = glass.show(&frame);
                assert!(glass.memory == glass.whole(&frame), "{minute}");
                drawn
            })
            .collect();
        let (whole, parts): (Vec<usize>, Vec<usize>) = drawn.into_iter().partition(|rows| *rows == 720);
        assert_eq!(whole.len(), 2, "the first, and one in {WHOLE}");
        assert!(parts.iter().all(|rows| (1..72).contains(rows)), "{parts:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn what_is_drawn_in_parts_is_what_is_drawn_whole(
            width in 60u32..1500,
            height in 60u32..900,
            places in prop::collection::vec((0usize..720, 0usize..1280, any::<u8>()), 1..6),
        ) {
            let mut glass = Glass::new(width, height);
            let mut frame = Frame::of(vec![0x20; 1280 * 720 * 3]);
            glass.show(&frame);
            for (y, x, value) in places {
                frame.rgb_mut()[(y * 1280 + x) * 3] = value;
                glass.show(&frame);
                prop_assert!(glass.memory == glass.whole(&frame));
            }
        }
    }
}
