//! Two-dimensional coding, Modified READ (T.4 clause 4.2) and Modified Modified READ (T.6 clause 2.2):
//! a line by its changing elements relative to those of the reference line above.
//!
//! Lines are read here as the standard says it, mode by mode. Most of most lines is read faster, by [`sparse`](super::sparse) and
//! [`dense`](super::dense), which come back here for all that is unusual, and for whole lines in which anything is irregular: what a
//! damaged line is, and where the reader stands behind it, is decided here alone.

use super::bits::{BitReader, BitWriter};
use super::codes::word;
use super::one_d::{Damaged, put_run, take_run};

/// The coding modes of T.4 table 4, and how far a1 stands from b1 in the vertical ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Vertical(i8),
    Horizontal,
    Pass,
    /// Not a mode: an extension, the end of the facsimile block, or damage.
    None,
}

/// Mode, code word, as printed.
pub(super) const MODES: [(Mode, &str); 9] = [
    (Mode::Pass, "0001"),
    (Mode::Horizontal, "001"),
    (Mode::Vertical(0), "1"),
    (Mode::Vertical(1), "011"),
    (Mode::Vertical(2), "000011"),
    (Mode::Vertical(3), "0000011"),
    (Mode::Vertical(-1), "010"),
    (Mode::Vertical(-2), "000010"),
    (Mode::Vertical(-3), "0000010"),
];

/// Bits of the longest code word of a mode.
const MODE_BITS: u32 = 7;

/// Modes by the next [`MODE_BITS`] bits, with the bits they take.
static TABLE: [(Mode, u8); 1 << MODE_BITS] = table();

const fn table() -> [(Mode, u8); 1 << MODE_BITS] {
    let mut out = [(Mode::None, 0); 1 << MODE_BITS];
    let mut i = 0;
    while i < out.len() {
        let mut k = 0;
        while k < MODES.len() {
            let code = word(MODES[k].1);
            if i >> (MODE_BITS - code.len as u32) == code.bits as usize {
                out[i] = (MODES[k].0, code.len);
            }
            k += 1;
        }
        i += 1;
    }
    out
}

/// Finds b1: the first changing element of the reference line from `next` on, one right of a0, and of the colour opposite to
/// a0's. `index` is where the search of the line stands; its parity is made to fit the colour.
#[inline]
fn find_b1(reference: &[u32], index: &mut usize, next: u32, black: bool) {
    if *index % 2 != usize::from(black) {
        *index = if *index > 0 { *index - 1 } else { 1 };
    }
    while reference.get(*index).is_some_and(|b| *b < next) {
        *index += 2;
    }
}

/// Writes a line from its changing elements and those of the reference line.
pub(super) fn encode(writer: &mut BitWriter, changes: &[u32], reference: &[u32], width: u32) {
    let (mut a0, mut black) = (-1i64, false);
    let (mut a, mut b) = (0usize, 0usize);
    while a0 < i64::from(width) {
        find_b1(reference, &mut b, (a0 + 1) as u32, black);
        let b1 = reference.get(b).copied().unwrap_or(width);
        let b2 = reference.get(b + 1).copied().unwrap_or(width);
        let a1 = changes.get(a).copied().unwrap_or(width);
        if b2 < a1 {
            writer.put(1, 4);
            a0 = i64::from(b2);
            continue;
        }
        let word = match i64::from(a1) - i64::from(b1) {
            0 => Some((0b1, 1)),
            1 => Some((0b011, 3)),
            2 => Some((0b00_0011, 6)),
            3 => Some((0b000_0011, 7)),
            -1 => Some((0b010, 3)),
            -2 => Some((0b00_0010, 6)),
            -3 => Some((0b000_0010, 7)),
            _ => None,
        };
        if let Some((bits, len)) = word {
            writer.put(bits, len);
            a0 = i64::from(a1);
            a += 1;
            black = !black;
        } else {
            let a2 = changes.get(a + 1).copied().unwrap_or(width);
            writer.put(0b001, 3);
            let from = a0.max(0) as u32;
            put_run(writer, black, a1 - from);
            put_run(writer, !black, a2 - a1);
            a0 = i64::from(a2);
            a += 2;
        }
    }
}

/// The line above, to find b1 and b2 in.
pub(super) trait Reference {
    /// The first pixel from this one on that turns so; the line's width if none does.
    fn turn(&self, to_black: bool, from: u32) -> u32;
}

/// Where a0 stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    /// One behind a0, which is where b1 is looked for first; a0 begins before the line.
    pub(super) next: u32,
    /// Its colour.
    pub(super) black: bool,
}

/// Reads the rest of a line of exactly `width` pixels.
pub(super) fn decode(
    reader: &mut BitReader<'_>,
    above: &impl Reference,
    width: u32,
    mut a0: Start,
    mut change: impl FnMut(u32),
) -> Result<(), Damaged> {
    while a0.next <= width {
        a0 = decode_mode(reader, above, width, a0, &mut change)?;
    }
    Ok(())
}

/// Reads one mode; where a0 stands then.
pub(super) fn decode_mode(
    reader: &mut BitReader<'_>,
    above: &impl Reference,
    width: u32,
    a0: Start,
    mut change: impl FnMut(u32),
) -> Result<Start, Damaged> {
    let Start { next, black } = a0;
    let (mode, bits) = TABLE.get(reader.peek(MODE_BITS) as usize).copied().unwrap_or((Mode::None, 0));
    reader.skip(u32::from(bits));
    let a0 = match mode {
        Mode::Pass => {
            let b1 = above.turn(!black, next);
            Start { next: above.turn(black, b1) + 1, black }
        }
        Mode::Horizontal => {
            let a1 = decode_run(reader, width, a0, &mut change)?;
            decode_run(reader, width, a1, &mut change)?
        }
        Mode::Vertical(distance) => {
            let a1 = above.turn(!black, next).wrapping_add_signed(i32::from(distance));
            if a1 > width || a1 < next {
                return Err(Damaged);
            }
            change(a1);
            Start { next: a1 + 1, black: !black }
        }
        Mode::None => return Err(Damaged),
    };
    if reader.overran() { Err(Damaged) } else { Ok(a0) }
}

/// Reads one run of a horizontal mode; where a0 stands then.
pub(super) fn decode_run(
    reader: &mut BitReader<'_>,
    width: u32,
    a0: Start,
    mut change: impl FnMut(u32),
) -> Result<Start, Damaged> {
    // a0 stands at the line's first pixel only where it begins before it.
    let at = a0.next.saturating_sub(1);
    let end = at + take_run(reader, a0.black, width.saturating_sub(at))?;
    change(end);
    Ok(Start { next: end + 1, black: !a0.black })
}

#[cfg(test)]
mod tests;
