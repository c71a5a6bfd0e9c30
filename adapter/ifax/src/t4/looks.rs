//! Several code words of two-dimensional coding (T.4 clause 4.2.1.3, T.6 clause 2.2) at one look into a table.
//!
//! Which mode comes next cannot be foreseen, and a branch for each costs more than all else. But what the code words are depends on
//! nothing in the line above, only, for runs, on the colour of a0, which each vertical mode turns. So the next bits and what is
//! expected give all code words that are whole in them, as numbers of the steps that a decoder shall take, and a [`Batch`] of them
//! is read ahead of the decoder without a branch. Only where the line ends does depend on the line above: what was read too far is
//! given back.

use super::bits::BitReader;
use super::codes::{BLACK, Entry, WHITE, entries, word};
use super::two_d::{MODES, Mode};

/// Bits at which one look is taken. More make larger tables, which no longer stay near the processor.
const BITS: u32 = 10;
const SIZE: usize = 1 << BITS;
/// Most steps of one look: as many as fit into it.
const MOST_STEPS: u32 = 6;
/// Looks of a batch. Where it ends is never foreseen, so it is long; but where the line ends, the rest of it is in vain.
const LOOKS: usize = 10;
/// Looks from one refill of the reader to the next.
const LOOKS_AT_HAND: usize = 5;

/// What a decoder does at once.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// V(0) so many times, then perhaps another mode.
    Modes { zeros: u8, then: Option<Mode> },
    /// Half a pass: to b1, and from there to what is b1 then, which was b2.
    HalfPass { first: bool },
    /// A run of a horizontal mode, of 1 to 63 pixels.
    Run { first: bool, pixels: u8 },
}

/// Modes are numbered by the zeros before them, times eight, and their distances from -3 to 3; this one is none: zeros alone.
const ZEROS_ALONE: usize = 3;
const PASS: usize = 7;
const MOST_ZEROS: usize = 8;
/// Two that no zeros give: none of them alone, and too many.
const HALF_PASS: [usize; 2] = [ZEROS_ALONE, 8 * MOST_ZEROS];
/// What may be expected: a mode where a0 is white, or black, or the second run of a horizontal mode where it is white, or black.
const EXPECTED: usize = 4;
/// From where runs are numbered by their pixels: first ones of white and of black, second ones of black and of white.
const RUNS: [usize; EXPECTED] = [8 * MOST_ZEROS + 8, 136, 156, 176];
/// Most pixels of those runs of white and of black that a look is long enough for.
const MOST_PIXELS: [usize; 2] = [63, 18];

/// Of the run that comes next, by what is expected.
const fn is_white_run(expected: usize) -> bool {
    matches!(expected, 0 | 3)
}

/// As many as there are numbers of steps.
pub(super) const NUMBERS: usize = 256;

/// The step of a number, and the bits that its code words have. Those that stand for no step are never looked up.
pub(super) const fn step(number: usize) -> (Step, u8) {
    let mut expected = EXPECTED;
    while expected > 0 {
        expected -= 1;
        if number >= RUNS[expected] {
            let pixels = (number - RUNS[expected]) % 64;
            let table = if is_white_run(expected) { &WHITE } else { &BLACK };
            let (first, bits) = (expected < 2, word(table[pixels].1).len);
            return (Step::Run { first, pixels: pixels as u8 }, if first { bits + 3 } else { bits });
        }
    }
    if number == HALF_PASS[0] || number == HALF_PASS[1] {
        return (Step::HalfPass { first: number == HALF_PASS[0] }, 2);
    }
    let (zeros, then) = ((number / 8) as u8, number % 8);
    let mut i = 0;
    while i < MODES.len() {
        if number_of(MODES[i].0) == then && then != ZEROS_ALONE {
            return (Step::Modes { zeros, then: Some(MODES[i].0) }, zeros + word(MODES[i].1).len);
        }
        i += 1;
    }
    (Step::Modes { zeros, then: None }, zeros)
}

/// Of a mode without zeros before it.
const fn number_of(mode: Mode) -> usize {
    match mode {
        Mode::Vertical(distance) => (distance + 3) as usize,
        Mode::Pass => PASS,
        Mode::Horizontal | Mode::None => NUMBERS,
    }
}

/// What a look shows. From the lowest bit on: the bits of the code words (6), what is expected behind them (2), the numbers of the
/// steps (8 each), and at the top how many (3). The next look waits for the first two, so they stand where they are had at once.
#[derive(Clone, Copy)]
struct Look(u64);

/// Looks by what is expected and the next [`BITS`] bits.
pub(super) struct Looks([Look; EXPECTED * SIZE]);

/// For decoders that take V(0) after V(0), and another mode behind them, in one step.
pub(super) static STREAKS: Looks = looks(MOST_ZEROS);
/// For decoders that go from one changing element to the next, which makes two steps of a pass.
pub(super) static ELEMENTS: Looks = looks(1);

const fn looks(most_zeros: usize) -> Looks {
    let firsts = firsts();
    let mut out = [Look(0); EXPECTED * SIZE];
    let mut i = 0;
    while i < out.len() {
        let (mut expected, mut bits, mut numbers, mut count) = (i / SIZE, 0, 0u64, 0);
        while count < MOST_STEPS {
            let mut zeros = 0;
            let mut first = firsts[expected * SIZE + (i << bits) % SIZE];
            while zeros < most_zeros && matches!(first.mode, Mode::Vertical(0)) {
                zeros += 1;
                bits += 1;
                expected ^= 1;
                first = firsts[expected * SIZE + (i << bits) % SIZE];
            }
            let fits = first.bits > 0 && bits + first.bits <= BITS;
            let joins = fits && (zeros == 0 || most_zeros > 1) && zeros < MOST_ZEROS;
            let number = match first.mode {
                Mode::Vertical(1..) if joins => 8 * zeros + number_of(first.mode),
                // To the left it may stand before the last zero, which is damage: it is a step of its own, so that its place is asked.
                Mode::Vertical(..=-1) if fits && zeros == 0 => number_of(first.mode),
                Mode::Pass if joins && most_zeros > 1 => 8 * zeros + PASS,
                _ if zeros > 0 => {
                    first = First { mode: Mode::None, pixels: 0, bits: 0 };
                    8 * zeros + ZEROS_ALONE
                }
                Mode::Pass if joins && count + 1 < MOST_STEPS => {
                    numbers |= (HALF_PASS[0] as u64) << (8 * count);
                    count += 1;
                    HALF_PASS[1]
                }
                Mode::Horizontal if fits => RUNS[expected] + first.pixels,
                _ => break,
            };
            numbers |= (number as u64) << (8 * count);
            count += 1;
            bits += first.bits;
            expected ^= match first.mode {
                Mode::Vertical(_) => 1,
                Mode::Horizontal => 2,
                Mode::Pass | Mode::None => 0,
            };
        }
        out[i] = Look(bits as u64 | (expected as u64) << 6 | numbers << 8 | (count as u64) << 61);
        i += 1;
    }
    Looks(out)
}

/// The code word that a look begins with: a mode, or a run, with the horizontal mode before it if it is the first of its runs.
#[derive(Clone, Copy)]
struct First {
    mode: Mode,
    pixels: usize,
    /// 0 if it is none that a look is long enough for.
    bits: u32,
}

const fn firsts() -> [First; EXPECTED * SIZE] {
    let runs: [[Entry; SIZE]; 2] = [entries(&WHITE), entries(&BLACK)];
    let mut out = [First { mode: Mode::None, pixels: 0, bits: 0 }; EXPECTED * SIZE];
    let mut i = 0;
    while i < out.len() {
        let (expected, next) = (i / SIZE, i % SIZE);
        let mut first = First { mode: Mode::Horizontal, pixels: 0, bits: 0 };
        if expected < 2 {
            first.mode = Mode::None;
            let mut k = 0;
            while k < MODES.len() {
                let code = word(MODES[k].1);
                if next >> (BITS - code.len as u32) == code.bits as usize {
                    first = First { mode: MODES[k].0, pixels: 0, bits: code.len as u32 };
                }
                k += 1;
            }
        }
        if matches!(first.mode, Mode::Horizontal) {
            let colour = if is_white_run(expected) { 0 } else { 1 };
            // Where the code word of the mode is the last one, what is looked up here is cut off, and does not fit.
            let run = runs[colour][(next << first.bits) % SIZE];
            let known = run.run > 0 && run.run as usize <= MOST_PIXELS[colour];
            first.pixels = run.run as usize;
            first.bits = if known { first.bits + run.len as u32 } else { 0 };
        }
        out[i] = first;
        i += 1;
    }
    out
}

static STEP_BITS: [u8; NUMBERS] = step_bits();

const fn step_bits() -> [u8; NUMBERS] {
    let mut out = [0; NUMBERS];
    let mut number = 0;
    while number < NUMBERS {
        out[number] = step(number).1;
        number += 1;
    }
    out
}

/// Steps that were read ahead.
pub(super) struct Batch {
    /// Those of each look behind those of the one before. All [`MOST_STEPS`] and more are written of a look, so there is room behind.
    numbers: [u8; LOOKS * MOST_STEPS as usize + 8],
    count: usize,
    expected: usize,
    is_stuck: bool,
}

impl Batch {
    /// Of the beginning of a line.
    pub(super) fn new() -> Self {
        Self { numbers: [0; _], count: 0, expected: 0, is_stuck: false }
    }

    /// Reads as many steps as there are in [`LOOKS`] looks.
    #[inline(always)]
    pub(super) fn read(&mut self, looks: &Looks, reader: &mut BitReader<'_>) {
        let mut count = 0;
        let mut look = (self.expected as u64) << 6;
        self.is_stuck = false;
        for _ in 0..LOOKS / LOOKS_AT_HAND {
            reader.fill();
            if reader.at_hand() < LOOKS_AT_HAND as u32 * BITS {
                self.is_stuck = true;
                break;
            }
            for _ in 0..LOOKS_AT_HAND {
                let expected = (look << (BITS - 6)) as usize & ((EXPECTED - 1) * SIZE);
                let next = expected | reader.look(BITS) as usize;
                look = looks.0.get(next).map_or(0, |look| look.0);
                if let Some(numbers) = self.numbers.get_mut(count..).and_then(<[u8]>::first_chunk_mut) {
                    *numbers = (look >> 8).to_le_bytes();
                }
                reader.take(look as u32 % 64);
                count += (look >> 61) as usize;
            }
        }
        self.count = count;
        self.expected = (look >> 6) as usize % EXPECTED;
        self.is_stuck |= look >> 61 == 0;
    }

    /// The numbers of the steps.
    #[inline(always)]
    pub(super) fn numbers(&self) -> &[u8] {
        self.numbers.get(..self.count).unwrap_or_default()
    }

    /// What comes next is no step: a code word that is longer than a look, the end of the data, or damage.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// What comes next is the second run of a horizontal mode.
    pub(super) fn is_within_horizontal(&self) -> bool {
        self.expected >= 2
    }

    /// The next code word is a mode, and a0 of this colour.
    pub(super) fn expect_mode(&mut self, black: bool) {
        self.expected = usize::from(black);
    }

    /// Takes the code words of the first `steps` steps from a reader that stands before the batch.
    pub(super) fn give_back_all_but(&self, steps: usize, reader: &mut BitReader<'_>) {
        let bits = |number: &u8| u32::from(STEP_BITS.get(usize::from(*number)).copied().unwrap_or(0));
        reader.skip_far(self.numbers().iter().take(steps).map(bits).sum());
    }
}
