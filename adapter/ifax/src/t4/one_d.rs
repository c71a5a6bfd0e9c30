//! One-dimensional coding, Modified Huffman (T.4 clause 4.1).

use super::bits::{BitReader, BitWriter};
use super::codes::{
    BLACK_BITS, BLACK_ENTRIES, BLACK_WORDS, Entry, SPAN_BITS, SPANS, WHITE_BITS, WHITE_ENTRIES, WHITE_WORDS, Word,
};
use super::line::Edges;

/// The line cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// Writes one run of a colour: make-up codes, then the terminating code.
#[inline]
pub(super) fn put_run(writer: &mut BitWriter, black: bool, run: u32) {
    let words: &[Word; 104] = if black { &BLACK_WORDS } else { &WHITE_WORDS };
    let mut put = |index: usize| {
        if let Some(word) = words.get(index) {
            writer.put(u32::from(word.bits), u32::from(word.len));
        }
    };
    let mut run = run as usize;
    while run >= 2624 {
        put(103);
        run -= 2560;
    }
    if run >= 64 {
        put(63 + run / 64);
    }
    put(run % 64);
}

/// Writes a line from its changing elements.
pub(super) fn encode(writer: &mut BitWriter, changes: &[u32], width: u32) {
    let (mut from, mut is_black) = (0, false);
    for at in changes.iter().copied().chain([width]) {
        put_run(writer, is_black, at - from);
        (from, is_black) = (at, !is_black);
    }
}

/// Reads one run of a colour; at most `limit` pixels.
#[inline(always)]
pub(super) fn take_run(reader: &mut BitReader<'_>, black: bool, limit: u32) -> Result<u32, Damaged> {
    let mut run = 0;
    loop {
        let entry: Option<&Entry> = if black {
            BLACK_ENTRIES.get(reader.peek(BLACK_BITS) as usize)
        } else {
            WHITE_ENTRIES.get(reader.peek(WHITE_BITS) as usize)
        };
        let Some(Entry { run: part, len: len @ 1.. }) = entry.copied() else { return Err(Damaged) };
        reader.skip(u32::from(len));
        run += u32::from(part);
        if run > limit || reader.overran() {
            return Err(Damaged);
        }
        if part < 64 {
            return Ok(run);
        }
    }
}

/// Reads a line of exactly `width` pixels.
pub(super) fn decode(reader: &mut BitReader<'_>, width: u32, edges: &mut Edges) -> Result<(), Damaged> {
    // In registers while the line is read.
    let mut local = *reader;
    let line = run_by_run(&mut local, width, edges);
    *reader = local;
    edges.finish();
    line
}

#[inline(always)]
fn run_by_run(reader: &mut BitReader<'_>, width: u32, edges: &mut Edges) -> Result<(), Damaged> {
    let (mut at, mut is_black) = (0, false);
    while at < width {
        reader.fill();
        let spans = if is_black { &SPANS[1] } else { &SPANS[0] };
        if let Some(span) = spans.get(reader.peek(SPAN_BITS) as usize)
            && span.bits > 0
            && at + u32::from(span.pixels) <= width
        {
            edges.change_all(at, span.changes);
            reader.skip(u32::from(span.bits));
            at += u32::from(span.pixels);
            is_black ^= span.odd;
            continue;
        }
        at += take_run(reader, is_black, width - at)?;
        edges.change(at);
        is_black = !is_black;
    }
    if reader.overran() { Err(Damaged) } else { Ok(()) }
}
