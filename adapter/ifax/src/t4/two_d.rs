//! Two-dimensional coding, Modified READ (T.4 clause 4.2) and Modified Modified READ (T.6 clause 2.2):
//! a line by its changing elements relative to those of the reference line above.

use super::bits::{BitReader, BitWriter};
use super::codes::{PAIR_BITS, PAIRS};
use super::line::{Edges, Turns, push};
use super::one_d::{Damaged, put_run, take_run};

/// The coding modes of T.4 table 4, and how far a1 stands from b1 in the vertical ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Vertical(i8),
    /// With both its runs, of less than 64 pixels each, if they were among the bits that were looked at.
    Horizontal(Option<[u8; 2]>),
    Pass,
    /// Not a mode: an extension, the end of the facsimile block, or damage.
    None,
}

/// Mode, code word, as printed.
const MODES: [(Mode, &str); 9] = [
    (Mode::Pass, "0001"),
    (Mode::Horizontal(None), "001"),
    (Mode::Vertical(0), "1"),
    (Mode::Vertical(1), "011"),
    (Mode::Vertical(2), "000011"),
    (Mode::Vertical(3), "0000011"),
    (Mode::Vertical(-1), "010"),
    (Mode::Vertical(-2), "000010"),
    (Mode::Vertical(-3), "0000010"),
];

/// Bits by which the modes are looked up: as many as the horizontal one has with two runs that are common.
const MODE_BITS: u32 = 12;

/// Modes by the colour of a0 (white first) and the next bits, with the bits they take.
static TABLES: [[(Mode, u8); 1 << MODE_BITS]; 2] = [table(0), table(1)];

const fn table(colour: usize) -> [(Mode, u8); 1 << MODE_BITS] {
    let mut out = [(Mode::None, 0); 1 << MODE_BITS];
    let mut i = 0;
    while i < MODES.len() {
        let code = MODES[i].1.as_bytes();
        let (mut first, mut k) = (0usize, 0);
        while k < code.len() {
            first = (first << 1) | (code[k] - b'0') as usize;
            k += 1;
        }
        let spare = MODE_BITS as usize - code.len();
        first <<= spare;
        let mut j = 0;
        while j < 1 << spare {
            out[first + j] = (MODES[i].0, code.len() as u8);
            if let Mode::Horizontal(_) = MODES[i].0 {
                let pair = PAIRS[colour][j << (PAIR_BITS as usize - spare)];
                if pair.bits > 0 && pair.bits as usize <= spare {
                    out[first + j] = (Mode::Horizontal(Some(pair.runs)), code.len() as u8 + pair.bits);
                }
            }
            j += 1;
        }
        i += 1;
    }
    out
}

/// How far a1 stands from b1 if these seven bits begin with a vertical mode, and its bits; else 0.
static VERTICAL: [(i8, u8); 128] = vertical();

const fn vertical() -> [(i8, u8); 128] {
    let table = table(0);
    let mut out = [(0, 0); 128];
    let mut i = 0;
    while i < out.len() {
        if let (Mode::Vertical(distance), bits) = table[i << (MODE_BITS - 7)] {
            out[i] = (distance, bits);
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

/// Reads a line of exactly `width` pixels below one that turns so, as dithered pictures do every few pixels. Most modes there are
/// vertical, and which changing element is b1 cannot be foreseen: it is found without a branch.
pub(super) fn decode_dense(
    reader: &mut BitReader<'_>,
    above: &Turns,
    width: u32,
    edges: &mut Edges,
) -> Result<(), Damaged> {
    // In registers while the line is read.
    let mut local = *reader;
    let line = step_by_step(&mut local, above, width, edges);
    *reader = local;
    line
}

#[inline(always)]
fn step_by_step(reader: &mut BitReader<'_>, above: &Turns, width: u32, edges: &mut Edges) -> Result<(), Damaged> {
    let (mut next, mut black) = (0u32, false);
    // The turns above from `next` on, those to the other colour first, as far as they are known.
    let ([mut other, mut same], mut known) = ([0u64; 2], 0u32);
    while next <= width {
        reader.fill();
        let (distance, bits) = VERTICAL.get(reader.peek(7) as usize).copied().unwrap_or((0, 0));
        if bits > 0 {
            reader.skip(u32::from(bits));
            let mut ahead = other.leading_zeros();
            if ahead >= known {
                [other, same] = above.window(black, next);
                known = 64;
                ahead = match other {
                    0 => above.next(!black, next, width) - next.min(width),
                    _ => other.leading_zeros(),
                };
            }
            let a1 = (next + ahead).min(width).wrapping_add_signed(i32::from(distance));
            if a1 > width || a1 < next {
                return Err(Damaged);
            }
            edges.change(a1);
            let passed = a1 + 1 - next;
            known = known.saturating_sub(passed);
            (other, same) = (same.unbounded_shl(passed), other.unbounded_shl(passed));
            (next, black) = (a1 + 1, !black);
        } else {
            let table = if black { &TABLES[1] } else { &TABLES[0] };
            let (mode, bits) = table.get(reader.peek(MODE_BITS) as usize).copied().unwrap_or((Mode::None, 0));
            reader.skip(u32::from(bits));
            match mode {
                Mode::Pass => {
                    let b1 = above.next(!black, next, width);
                    next = above.next(black, b1, width) + 1;
                }
                Mode::Horizontal(runs) => {
                    next = horizontal(reader, runs, next, black, width, |at| edges.change(at))? + 1
                }
                Mode::Vertical(_) | Mode::None => return Err(Damaged),
            }
            known = 0;
        }
        if reader.overran() {
            return Err(Damaged);
        }
    }
    Ok(())
}

/// Reads the runs of a horizontal mode; its a2.
#[inline(always)]
fn horizontal(
    reader: &mut BitReader<'_>,
    runs: Option<[u8; 2]>,
    next: u32,
    black: bool,
    width: u32,
    mut change: impl FnMut(u32),
) -> Result<u32, Damaged> {
    // a0 stands at the line's first pixel only where it begins before it.
    let mut at = next.saturating_sub(1);
    for (number, colour) in [black, !black].into_iter().enumerate() {
        at += match runs.and_then(|runs| runs.get(number).copied()) {
            Some(run) => u32::from(run),
            None => take_run(reader, colour, width - at)?,
        };
        if at > width {
            return Err(Damaged);
        }
        change(at);
    }
    Ok(at)
}

/// Reads a line of exactly `width` pixels below one with these changing elements; `out` gets its own.
pub(super) fn decode(
    reader: &mut BitReader<'_>,
    above: &[u32],
    width: u32,
    edges: &mut Edges,
    out: &mut Vec<u32>,
) -> Result<(), Damaged> {
    // In registers while the line is read.
    let mut local = *reader;
    let line = mode_by_mode(&mut local, above, width, edges, out);
    *reader = local;
    line
}

#[inline(always)]
fn mode_by_mode(
    reader: &mut BitReader<'_>,
    above: &[u32],
    width: u32,
    edges: &mut Edges,
    out: &mut Vec<u32>,
) -> Result<(), Damaged> {
    out.clear();
    // The first place at which a1 may stand, and at which b1 is looked for: one behind a0, which begins before the line.
    let (mut next, mut black, mut b) = (0u32, false, 0usize);
    let at = |b: usize| above.get(b).copied().unwrap_or(width);
    while next <= width {
        reader.fill();
        let word = reader.peek(32);
        let table = if black { &TABLES[1] } else { &TABLES[0] };
        let (mode, bits) = table.get((word >> (32 - MODE_BITS)) as usize).copied().unwrap_or((Mode::None, 0));
        match mode {
            // As above, perhaps several times: each b1 is the changing element behind the last one.
            Mode::Vertical(0) => {
                find_b1(above, &mut b, next, black);
                let same = above.get(b..).unwrap_or_default();
                let same = same.get(..word.leading_ones() as usize).unwrap_or(same);
                for at in same {
                    edges.change(*at);
                    out.push(*at);
                }
                b += same.len();
                black ^= same.len() % 2 == 1;
                reader.skip(same.len().max(1) as u32);
                next = same.last().copied().unwrap_or(width) + 1;
            }
            Mode::Vertical(distance) => {
                reader.skip(u32::from(bits));
                find_b1(above, &mut b, next, black);
                let a1 = at(b).wrapping_add_signed(i32::from(distance));
                if a1 > width || a1 < next {
                    return Err(Damaged);
                }
                edges.change(a1);
                out.push(a1);
                (next, black) = (a1 + 1, !black);
            }
            Mode::Horizontal(runs) => {
                reader.skip(u32::from(bits));
                let change = |at| {
                    edges.change(at);
                    push(out, at);
                };
                next = horizontal(reader, runs, next, black, width, change)? + 1;
            }
            Mode::Pass => {
                reader.skip(u32::from(bits));
                find_b1(above, &mut b, next, black);
                next = at(b + 1) + 1;
            }
            Mode::None => return Err(Damaged),
        }
        if reader.overran() {
            return Err(Damaged);
        }
    }
    // What stands at the end is no change.
    while out.last().is_some_and(|at| *at >= width) {
        out.pop();
    }
    Ok(())
}
