//! Two-dimensional coding, Modified READ (T.4 clause 4.2) and Modified Modified READ (T.6 clause 2.2):
//! a line by its changing elements relative to those of the reference line above.

use super::bits::{BitReader, BitWriter};
use super::line::push;
use super::one_d::{Damaged, put_run, take_run};

/// The coding modes of T.4 table 4, with the distance a1 - b1 of the vertical ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Horizontal,
    Vertical(i8),
    /// Not a mode: an extension, the end of the facsimile block, or damage.
    None,
}

/// Mode, code word, as printed.
const MODES: [(Mode, &str); 9] = [
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

static TABLE: [(Mode, u8); 128] = table();

const fn table() -> [(Mode, u8); 128] {
    let mut out = [(Mode::None, 0); 128];
    let mut i = 0;
    while i < MODES.len() {
        let code = MODES[i].1.as_bytes();
        let (mut first, mut k) = (0usize, 0);
        while k < code.len() {
            first = (first << 1) | (code[k] - b'0') as usize;
            k += 1;
        }
        let spare = 7 - code.len();
        first <<= spare;
        let mut j = 0;
        while j < 1 << spare {
            out[first + j] = (MODES[i].0, code.len() as u8);
            j += 1;
        }
        i += 1;
    }
    out
}

/// Finds b1: the first changing element of the reference line right of `a0` and of the colour opposite to a0's.
/// `index` is where the search of the line stands; its parity is made to fit the colour.
#[inline]
fn find_b1(reference: &[u32], index: &mut usize, a0: i64, black: bool) {
    if *index % 2 != usize::from(black) {
        *index = if *index > 0 { *index - 1 } else { 1 };
    }
    while reference.get(*index).is_some_and(|b| i64::from(*b) <= a0) {
        *index += 2;
    }
}

/// Writes a line from its changing elements and those of the reference line.
pub(super) fn encode(writer: &mut BitWriter, changes: &[u32], reference: &[u32], width: u32) {
    let (mut a0, mut black) = (-1i64, false);
    let (mut a, mut b) = (0usize, 0usize);
    while a0 < i64::from(width) {
        find_b1(reference, &mut b, a0, black);
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

/// Reads a line of exactly `width` pixels into its changing elements.
pub(super) fn decode(
    reader: &mut BitReader<'_>,
    reference: &[u32],
    width: u32,
    out: &mut Vec<u32>,
) -> Result<(), Damaged> {
    out.clear();
    let (mut a0, mut black) = (-1i64, false);
    let mut b = 0usize;
    let end = i64::from(width);
    while a0 < end {
        let (mode, len) = TABLE.get(reader.peek(7) as usize).copied().unwrap_or((Mode::None, 0));
        match mode {
            Mode::None => return Err(Damaged),
            Mode::Pass => {
                reader.skip(u32::from(len));
                find_b1(reference, &mut b, a0, black);
                a0 = i64::from(reference.get(b + 1).copied().unwrap_or(width));
            }
            Mode::Vertical(distance) => {
                reader.skip(u32::from(len));
                find_b1(reference, &mut b, a0, black);
                let a1 = i64::from(reference.get(b).copied().unwrap_or(width)) + i64::from(distance);
                // a1 may stand at a0 only where the line begins.
                if a1 > end || a1 <= a0 {
                    return Err(Damaged);
                }
                if a1 < end {
                    push(out, a1 as u32);
                }
                (a0, black) = (a1, !black);
            }
            Mode::Horizontal => {
                reader.skip(u32::from(len));
                let mut at = a0.max(0) as u32;
                for colour in [black, !black] {
                    at += take_run(reader, colour, width - at)?;
                    if at < width {
                        push(out, at);
                    }
                }
                a0 = i64::from(at);
            }
        }
        if reader.overran() {
            return Err(Damaged);
        }
    }
    Ok(())
}
