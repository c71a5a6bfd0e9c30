//! Reading a line of two-dimensional coding (T.4 clause 4.2, T.6 clause 2.2) below one that changes every few pixels, as a dithered
//! picture does.
//!
//! Which of the many changing elements above is b1 cannot be foreseen there. So the line above is a bit for each pixel, and b1 is
//! the first bit of a register that is shifted on to where a0 stands: found without a branch, in the time of a few additions.

use super::bits::BitReader;
use super::line::{Edges, Turns};
use super::looks::{Batch, ELEMENTS, NUMBERS, Step, step};
use super::one_d::Damaged;
use super::two_d::{self, Mode, Reference, Start, decode_mode, decode_run};

/// What a step does, in numbers. Each one turns the colour.
#[derive(Clone, Copy)]
struct Action {
    /// How far it goes from one behind a0 to one behind a1: by so much,
    ahead: u8,
    /// without these bits of the number of the register's bit at which b1 is: all or, for a run, none.
    without: u8,
    /// Whether there is a changing element, or a0 merely goes there.
    is_change: bool,
    /// The first half of a mode does not end a line.
    is_first_half: bool,
}

static ACTIONS: [Action; NUMBERS] = actions();

const fn actions() -> [Action; NUMBERS] {
    let vertical = Action { ahead: 64, without: 63, is_change: true, is_first_half: false };
    let mut out = [vertical; NUMBERS];
    let mut number = 0;
    while number < NUMBERS {
        out[number] = match step(number).0 {
            Step::Modes { then: Some(Mode::Vertical(distance)), .. } => {
                Action { ahead: 64u8.wrapping_add_signed(distance), ..vertical }
            }
            Step::HalfPass { first } => Action { is_change: false, is_first_half: first, ..vertical },
            Step::Run { first, pixels } => Action { ahead: pixels, without: 0, is_first_half: first, ..vertical },
            Step::Modes { .. } => vertical,
        };
        number += 1;
    }
    out
}

/// Reads a line of exactly `width` pixels below this one.
pub(super) fn decode(reader: &mut BitReader<'_>, above: &Turns, width: u32, edges: &mut Edges) -> Result<(), Damaged> {
    // In registers while the line is read.
    let mut local = *reader;
    if step_by_step(&mut local, above, width, edges).is_ok() {
        *reader = local;
    } else {
        edges.clear();
        two_d::decode(reader, above, width, Start::default(), |at| edges.change(at))?;
    }
    edges.finish();
    Ok(())
}

/// Does so if the line has nothing irregular; if it has, what was read is worth nothing.
#[inline(always)]
fn step_by_step(reader: &mut BitReader<'_>, above: &Turns, width: u32, edges: &mut Edges) -> Result<(), Damaged> {
    let mut a0 = Start::default();
    let mut batch = Batch::new();
    reader.fill();
    if reader.look(3) == 0b001 {
        // A run here begins at the first pixel, but a0 before it.
        unusual(reader, above, width, &mut batch, &mut a0, edges)?;
    }
    while a0.next <= width {
        let Start { mut next, mut black } = a0;
        // The turns above from one behind a0 on, those to the other colour first, as far as they were looked at.
        let [mut other, mut same] = above.window(black, next);
        let begin = *reader;
        batch.read(&ELEMENTS, reader);
        for (number, step) in batch.numbers().iter().enumerate() {
            let Some(action) = ACTIONS.get(usize::from(*step)) else { break };
            if other == 0 {
                [other, same] = above.window(black, next);
            }
            let passed = match other.checked_ilog2() {
                Some(bit) => u32::from(action.ahead).wrapping_sub(bit & u32::from(action.without)),
                None => far(above, next, black, action),
            };
            next = next.wrapping_add(passed);
            edges.change_if(action.is_change, next.wrapping_sub(1));
            match passed {
                1..64 => (other, same) = (same << passed, other << passed),
                64..0x8000_0000 => (other, same) = (0, 0),
                // a1 is not right of a0.
                _ => return Err(Damaged),
            }
            black = !black;
            if next > width && !action.is_first_half {
                *reader = begin;
                batch.give_back_all_but(number + 1, reader);
                return if next == width + 1 { Ok(()) } else { Err(Damaged) };
            }
        }
        if next > width {
            // A first run to the end of the line, without the second one.
            return Err(Damaged);
        }
        a0 = Start { next, black };
        if batch.is_stuck() {
            unusual(reader, above, width, &mut batch, &mut a0, edges)?;
        }
    }
    Ok(())
}

/// How far an action goes where b1 is not in the window.
#[cold]
#[inline(never)]
fn far(above: &Turns, next: u32, black: bool, action: &Action) -> u32 {
    match action.without {
        0 => u32::from(action.ahead),
        _ => (above.turn(!black, next) + u32::from(action.ahead)).wrapping_sub(next + 63),
    }
}

/// Reads a mode, or a run, that is no step.
#[cold]
#[inline(never)]
fn unusual(
    reader: &mut BitReader<'_>,
    above: &Turns,
    width: u32,
    batch: &mut Batch,
    a0: &mut Start,
    edges: &mut Edges,
) -> Result<(), Damaged> {
    let change = |at| edges.change(at);
    *a0 = match batch.is_within_horizontal() {
        true => decode_run(reader, width, *a0, change)?,
        false => decode_mode(reader, above, width, *a0, change)?,
    };
    batch.expect_mode(a0.black);
    Ok(())
}
