//! Reading a line of two-dimensional coding (T.4 clause 4.2, T.6 clause 2.2) below one with few changing elements, such as text has.
//!
//! Most of such a line stands as in the line above or near it. So its changing elements are copied from there, [`AT_ONCE`] of them
//! whether as many are wanted or not; wanted are as many as there are V(0) in a row, and the last one may be moved aside. A pass and
//! a run differ from that in numbers alone ([`Action`]), so that no step needs a branch.
//!
//! [`AT_ONCE`]: super::changes::AT_ONCE

use std::hint::select_unpredictable;

use super::bits::BitReader;
use super::changes::{Changes, Entries, FIRST};
use super::looks::{Batch, NUMBERS, STREAKS, Step, step};
use super::one_d::Damaged;
use super::two_d::{self, Mode, Start, decode_mode, decode_run};

/// What a step does, in numbers; eight octets apart, which the processor knows how to count.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Action {
    /// Changing elements of the line above behind which it comes to stand.
    above: u8,
    /// Changing elements that it makes, of which all but the last one are copies of those above.
    made: u8,
    /// The number of the last one, which is set; where nothing is to be set, of one that is not made.
    last: u8,
    /// How far that is from the last one passed above, or, for a run, from one behind a0.
    distance: i8,
    is_run: bool,
    /// V(0) at the beginning: a line may end at any of them.
    zeros: u8,
    is_first_run: bool,
}

static ACTIONS: [Action; NUMBERS] = actions();

const fn actions() -> [Action; NUMBERS] {
    let nothing = Action { above: 1, made: 0, last: 0, distance: 0, is_run: false, zeros: 0, is_first_run: false };
    let mut out = [nothing; NUMBERS];
    let mut number = 0;
    while number < NUMBERS {
        out[number] = match step(number).0 {
            Step::Modes { zeros, then: Some(Mode::Vertical(distance)) } => {
                Action { above: zeros + 1, made: zeros + 1, last: zeros, distance, zeros, ..nothing }
            }
            Step::Modes { zeros, then: Some(Mode::Pass) } => {
                Action { above: zeros + 2, made: zeros, last: zeros, zeros, ..nothing }
            }
            Step::Modes { zeros: zeros @ 1.., .. } => {
                Action { above: zeros, made: zeros, last: zeros - 1, zeros, ..nothing }
            }
            Step::Run { first, pixels } => {
                Action { made: 1, distance: pixels as i8 - 1, is_run: true, is_first_run: first, ..nothing }
            }
            Step::Modes { .. } | Step::HalfPass { .. } => nothing,
        };
        number += 1;
    }
    out
}

/// Reads a line of exactly `width` pixels below this one; `out` gets its changing elements.
pub(super) fn decode(
    reader: &mut BitReader<'_>,
    above: &Changes,
    width: u32,
    out: &mut Changes,
) -> Result<(), Damaged> {
    // In registers while the line is read.
    let mut local = *reader;
    if step_by_step(&mut local, above, width, out).is_ok() {
        *reader = local;
    } else {
        out.clear();
        two_d::decode(reader, above, width, Start::default(), |at| out.change(at))?;
    }
    out.finish(width);
    Ok(())
}

/// Does so if the line has nothing irregular; if it has, what was read is worth nothing.
#[inline(always)]
fn step_by_step(reader: &mut BitReader<'_>, above: &Changes, width: u32, out: &mut Changes) -> Result<(), Damaged> {
    out.clear();
    // One behind a0, and the index of b1. Its parity is the colour of a0.
    let (mut next, mut b1) = (0, FIRST);
    let mut batch = Batch::new();
    reader.fill();
    match reader.look(3) {
        // V(0) where there is nothing above: the line is white.
        0b100.. if above.end() == FIRST => {
            reader.skip(1);
            return Ok(());
        }
        // A run here begins at the first pixel, but a0 before it.
        0b001 => unusual(reader, above, width, &mut batch, &mut next, &mut b1, out)?,
        _ => {}
    }
    while next <= width {
        let begin = *reader;
        batch.read(&STREAKS, reader);
        let (mut end, here, there) = (out.end(), out.entries_mut(), above.entries());
        let mut steps = batch.numbers().iter();
        while let Some(step) = steps.next() {
            let Some(action) = ACTIONS.get(usize::from(*step)) else { break };
            here.copy(end, there, b1);
            let last = b1 + usize::from(action.above) - 1;
            let from = select_unpredictable(action.is_run, next, there.at(last));
            let a1 = from.wrapping_add_signed(i32::from(action.distance));
            here.set(end + usize::from(action.last), a1);
            if !(next..width).contains(&a1) || last > above.end() {
                // Perhaps the line ends here.
                let done = batch.numbers().len() - steps.len();
                if action.zeros > 0 && b1 + usize::from(action.zeros) > above.end() {
                    // At one of the zeros: that for which b1 is the width.
                    let made = b1.max(above.end()) - b1 + 1;
                    out.set_end(end + made);
                    *reader = begin;
                    batch.give_back_all_but(done - 1, reader);
                    reader.skip(made as u32);
                    return Ok(());
                }
                if a1 == width && !action.is_first_run {
                    out.set_end(end + usize::from(action.made));
                    *reader = begin;
                    batch.give_back_all_but(done, reader);
                    return Ok(());
                }
                if !(next..width).contains(&a1) {
                    return Err(Damaged);
                }
            }
            next = a1 + 1;
            end += usize::from(action.made);
            b1 = find_b1(there, last - 1, next);
        }
        out.set_end(end);
        if out.is_too_long(width) {
            return Err(Damaged);
        }
        if batch.is_stuck() {
            unusual(reader, above, width, &mut batch, &mut next, &mut b1, out)?;
        }
    }
    Ok(())
}

/// The index of b1 from this one on, of the same parity.
#[inline(always)]
fn find_b1(above: &Entries, mut index: usize, next: u32) -> usize {
    while above.at(index) < next {
        index += 2;
    }
    index
}

/// Reads a mode, or a run, that is no step.
#[cold]
#[inline(never)]
fn unusual(
    reader: &mut BitReader<'_>,
    above: &Changes,
    width: u32,
    batch: &mut Batch,
    next: &mut u32,
    b1: &mut usize,
    out: &mut Changes,
) -> Result<(), Damaged> {
    let a0 = Start { next: *next, black: *b1 % 2 != FIRST % 2 };
    let change = |at| out.change(at);
    let start = match batch.is_within_horizontal() {
        true => decode_run(reader, width, a0, change)?,
        false => decode_mode(reader, above, width, a0, change)?,
    };
    let back = usize::from(start.black != a0.black);
    *b1 = find_b1(above.entries(), *b1 - back, start.next.min(width));
    *next = start.next;
    batch.expect_mode(start.black);
    Ok(())
}
