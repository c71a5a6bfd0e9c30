//! Lines read in each of the ways there are, beside one that goes pixel by pixel as T.4 clause 4.2.1.3 has it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::super::bits::FillOrder;
use super::super::changes::Changes;
use super::super::codes::{BLACK, EXTENDED, WHITE};
use super::super::line::{Edges, Turns};
use super::super::{dense, sparse};
use super::*;

/// What a line is read as, if it is not damaged, and where it ends or the damage was found.
#[derive(Debug, PartialEq)]
struct Read {
    pixels: Option<Vec<bool>>,
    position: usize,
}

/// As the standard says it, and in no other way.
struct ByDefinition<'a> {
    bits: &'a [bool],
    position: usize,
    above: &'a [bool],
    line: Vec<bool>,
    /// Before the line at first.
    a0: i64,
    black: bool,
}

impl ByDefinition<'_> {
    fn read(bits: &[bool], above: &[bool]) -> Read {
        let line = vec![false; above.len()];
        let mut this = ByDefinition { bits, position: 0, above, line, a0: -1, black: false };
        while this.a0 < this.width() {
            if this.mode().is_none() {
                return Read { pixels: None, position: this.position };
            }
        }
        Read { pixels: Some(this.line), position: this.position }
    }

    fn width(&self) -> i64 {
        self.above.len() as i64
    }

    /// The one that stands next; behind the data stand zeros.
    fn code_word<T: Copy>(&mut self, words: impl Iterator<Item = (T, &'static str)>) -> Option<T> {
        let stands = |code: &str| {
            code.bytes()
                .enumerate()
                .all(|(i, bit)| (bit == b'1') == self.bits.get(self.position + i).copied().unwrap_or_default())
        };
        let (meaning, code) = words.into_iter().find(|(_, code)| stands(code))?;
        self.position = (self.position + code.len()).min(self.bits.len() + 1);
        (self.position <= self.bits.len()).then_some(meaning)
    }

    /// The first changing element right of this pixel, and, if it matters, to this colour.
    fn changing(&self, right_of: i64, to: Option<bool>) -> i64 {
        let pixel = |x: i64| x >= 0 && self.above[x as usize];
        let turns = |x: &i64| pixel(*x) != pixel(*x - 1) && to.is_none_or(|to| to == pixel(*x));
        (right_of + 1..self.width()).find(turns).unwrap_or(self.width())
    }

    fn to(&mut self, at: i64, black: bool) {
        for x in self.a0.max(0)..at {
            self.line[x as usize] = black;
        }
        self.a0 = at;
    }

    fn mode(&mut self) -> Option<()> {
        let b1 = self.changing(self.a0, Some(!self.black));
        match self.code_word(MODES.into_iter())? {
            Mode::Pass => self.to(self.changing(b1, None), self.black),
            Mode::Vertical(distance) => {
                let a1 = b1 + i64::from(distance);
                if a1 <= self.a0 || a1 > self.width() {
                    return None;
                }
                self.to(a1, self.black);
                self.black = !self.black;
            }
            Mode::Horizontal => {
                for black in [self.black, !self.black] {
                    let mut end = self.a0.max(0);
                    loop {
                        let words = if black { BLACK } else { WHITE };
                        let part = self.code_word(words.into_iter().chain(EXTENDED))?;
                        end += i64::from(part);
                        if end > self.width() {
                            return None;
                        }
                        if part < 64 {
                            break;
                        }
                    }
                    self.to(end, black);
                }
            }
            Mode::None => return None,
        }
        Some(())
    }
}

fn octets(bits: &[bool]) -> Vec<u8> {
    let octet = |bits: &[bool]| bits.iter().enumerate().fold(0, |octet, (i, bit)| octet | u8::from(*bit) << (7 - i));
    bits.chunks(8).map(octet).collect()
}

fn edges(pixels: &[bool]) -> Edges {
    let mut edges = Edges::new(pixels.len() as u32);
    for (x, pixel) in pixels.iter().enumerate() {
        edges.change_if(*pixel != (x > 0 && pixels[x - 1]), x as u32);
    }
    edges
}

/// Bits behind the last octet's are not there.
fn compare(mut bits: Vec<bool>, above: &[bool]) {
    bits.resize(bits.len().next_multiple_of(8), false);
    let (data, width) = (octets(&bits), above.len() as u32);
    let by_definition = ByDefinition::read(&bits, above);
    // What was read too much is not counted by the reader.
    let expected = Read { position: by_definition.position.min(bits.len()), ..by_definition };

    let (mut changes, mut turns) = (Changes::new(width), Turns::new(width));
    changes.take(&edges(above), width);
    turns.take(&edges(above));
    let mut reader = BitReader::new(&data, FillOrder::MsbFirst);
    let outcome = |reader: &BitReader<'_>, line: Result<(), Damaged>, mut edges: Edges| {
        let mut row = vec![0; width.div_ceil(8) as usize];
        edges.paint(&mut row);
        let pixels = (0..above.len()).map(|x| row[x / 8] & 0x80 >> (x % 8) != 0).collect();
        assert!(line.is_err() || octets(pixels_of(&pixels)) == row, "behind the width all is white");
        Read { pixels: line.ok().map(|()| pixels), position: reader.position() as usize }
    };

    let mut out = Edges::new(width);
    let line = decode(&mut reader, &changes, width, Start::default(), |at| out.change(at));
    assert_eq!(outcome(&reader, line, out), expected, "mode by mode below a list");

    let (mut reader, mut out) = (BitReader::new(&data, FillOrder::MsbFirst), Edges::new(width));
    let line = decode(&mut reader, &turns, width, Start::default(), |at| out.change(at));
    assert_eq!(outcome(&reader, line, out), expected, "mode by mode below turns");

    let (mut reader, mut out) = (BitReader::new(&data, FillOrder::MsbFirst), Edges::new(width));
    let line = dense::decode(&mut reader, &turns, width, &mut out);
    assert_eq!(outcome(&reader, line, out), expected, "dense");

    let (mut reader, mut list, mut out) =
        (BitReader::new(&data, FillOrder::MsbFirst), Changes::new(width), Edges::new(width));
    let line = sparse::decode(&mut reader, &changes, width, &mut list);
    out.take(list.list());
    if line.is_ok() {
        let mut again = Changes::new(width);
        again.take(&out, width);
        assert_eq!(again.list(), list.list());
    }
    assert_eq!(outcome(&reader, line, out), expected, "sparse");
}

fn pixels_of(pixels: &Vec<bool>) -> &[bool] {
    pixels
}

/// A line of runs.
fn line(width: usize, runs: &[u16]) -> Vec<bool> {
    let colours = [false, true].into_iter().cycle();
    let pixels = runs.iter().zip(colours).flat_map(|(run, black)| std::iter::repeat_n(black, usize::from(*run)));
    pixels.chain(std::iter::repeat(false)).take(width).collect()
}

fn runs() -> impl Strategy<Value = Vec<u16>> {
    let run = |most: u16| prop::collection::vec(0..most, 0..400);
    prop_oneof![run(3), run(5), run(30), run(200), Just(Vec::new())]
}

fn push(bits: &mut Vec<bool>, code: &str) {
    bits.extend(code.bytes().map(|bit| bit == b'1'));
}

/// Code words as they may follow each other, of lines that may or may not fit.
fn modes() -> impl Strategy<Value = Vec<bool>> {
    let mode = prop_oneof![
        8 => Just((2usize, 0u16, 0u16)),
        8 => (2usize..9, Just(0u16), Just(0u16)),
        2 => Just((0, 0, 0)),
        2 => (Just(1), 0u16..6, 0u16..6),
        1 => (Just(1), 0u16..70, 0u16..70),
        1 => (Just(1), 0u16..91, 0u16..91),
    ];
    prop::collection::vec(mode, 0..500).prop_map(|modes| {
        let (mut bits, mut black) = (Vec::new(), false);
        for (mode, first, second) in modes {
            push(&mut bits, MODES[mode].1);
            match MODES[mode].0 {
                Mode::Horizontal => {
                    for (run, black) in [(first, black), (second, !black)] {
                        let words = if black { BLACK } else { WHITE };
                        push(&mut bits, words[usize::from(run)].1);
                        if run > 63 {
                            push(&mut bits, words[usize::from(run) % 64].1);
                        }
                    }
                }
                Mode::Vertical(_) => black = !black,
                Mode::Pass | Mode::None => {}
            }
        }
        bits
    })
}

fn widths() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..130, Just(64), Just(128), 500usize..900, Just(1728)]
}

/// What an encoder makes of a line below another one.
fn coded(line: &[bool], above: &[bool]) -> Vec<bool> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    super::super::line::changes(&octets(line), line.len() as u32, &mut ours);
    super::super::line::changes(&octets(above), above.len() as u32, &mut theirs);
    let mut writer = BitWriter::default();
    encode(&mut writer, &ours, &theirs, line.len() as u32);
    let data = writer.finish(FillOrder::MsbFirst);
    data.iter().flat_map(|octet| (0..8).map(move |i| octet & 0x80 >> i != 0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_modes_stand_there(width in widths(), above in runs(), bits in modes()) {
        compare(bits, &line(width, &above));
    }

    #[test]
    fn whatever_bits_stand_there(width in widths(), above in runs(), bits in prop::collection::vec(any::<bool>(), 0..600)) {
        compare(bits, &line(width, &above));
    }

    #[test]
    fn what_an_encoder_writes_and_what_becomes_of_it_on_the_line(
        width in widths(),
        above in runs(),
        other in runs(),
        shift in 0usize..5,
        noise in 1usize..100,
        flips in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        behind in prop::collection::vec(any::<bool>(), 0..200),
    ) {
        // A line like the one above, a little aside, with some of another one in it.
        let (above, other) = (line(width, &above), line(width, &other));
        let pixel = |x: usize| if (x / noise).is_multiple_of(3) { other[x] } else { x >= shift && above[x - shift] };
        let mut bits = coded(&(0..width).map(pixel).collect::<Vec<_>>(), &above);
        for flip in flips {
            let at = flip.index(bits.len());
            bits[at] ^= true;
        }
        bits.extend(behind);
        compare(bits, &above);
    }
}
