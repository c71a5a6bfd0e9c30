//! One scan line as its changing elements (T.4 clause 4.2.1.1): the pixels whose colour differs from the one before.
//! A line starts white, so entry 0, 2, ... turn black and 1, 3, ... turn white.

use super::two_d::Reference;

/// Lists the changing elements of a packed row of `width` pixels.
pub(super) fn changes(row: &[u8], width: u32, out: &mut Vec<u32>) {
    out.clear();
    let mut last = 0u64;
    let mut base = 0u32;
    let mut chunks = row.chunks_exact(8);
    let mut word_done = |word: u64, out: &mut Vec<u32>| {
        let mut edges = word ^ ((word >> 1) | (last << 63));
        last = word & 1;
        while edges != 0 {
            let at = edges.leading_zeros();
            edges &= !(1 << (63 - at));
            if base + at < width {
                out.push(base + at);
            }
        }
        base += 64;
    };
    for chunk in &mut chunks {
        if let Some(octets) = chunk.first_chunk::<8>() {
            word_done(u64::from_be_bytes(*octets), out);
        }
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let word = rest.iter().enumerate().fold(0, |word, (i, octet)| word | u64::from(*octet) << (56 - 8 * i));
        word_done(word, out);
    }
}

/// A row while it is decoded: a bit for each pixel at which the colour changes. A change at the same place twice is none.
#[derive(Debug)]
pub(super) struct Edges {
    words: Vec<u64>,
    width: u32,
}

impl Edges {
    /// For rows of so many pixels; what is changed up to 31 pixels behind the end is lost.
    pub(super) fn new(width: u32) -> Self {
        Self { words: vec![0; width as usize / 64 + 2], width }
    }

    /// The colour changes at this pixel.
    #[inline]
    pub(super) fn change(&mut self, at: u32) {
        self.change_if(true, at);
    }

    /// The colour may change at this pixel.
    #[inline(always)]
    pub(super) fn change_if(&mut self, changes: bool, at: u32) {
        if let Some(word) = self.words.get_mut(at as usize / 64) {
            *word ^= u64::from(changes) << (63 - at % 64);
        }
    }

    /// The colour changes where a bit is set, the most significant one meaning this pixel.
    #[inline]
    pub(super) fn change_all(&mut self, at: u32, changes: u32) {
        let (word, shift) = (at as usize / 64, at % 64);
        let both = (u128::from(changes) << 96) >> shift;
        if let Some([first, second]) = self.words.get_mut(word..).and_then(<[u64]>::first_chunk_mut::<2>) {
            *first ^= (both >> 64) as u64;
            *second ^= both as u64;
        }
    }

    /// Takes over the ascending list of all changes of a row that was just begun.
    pub(super) fn take(&mut self, changes: &[u16]) {
        let (mut word, mut number) = (0u64, 0);
        for at in changes {
            let here = usize::from(at / 64);
            // Never read again: one change would wait for the other to be written.
            word = if here == number { word } else { 0 } | 1 << (63 - at % 64);
            number = here;
            if let Some(place) = self.words.get_mut(number) {
                *place = word;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.words.fill(0);
    }

    /// What stands behind the line is no change.
    pub(super) fn finish(&mut self) {
        let mut keep = !(u64::MAX >> (self.width % 64));
        for word in self.words.iter_mut().skip(self.width as usize / 64) {
            *word &= std::mem::take(&mut keep);
        }
    }

    /// How many changes there are.
    pub(super) fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Calls for each change, from left to right.
    #[inline(always)]
    pub(super) fn each(&self, mut change: impl FnMut(u32)) {
        for (number, word) in (0u32..).zip(&self.words) {
            let mut edges = *word;
            while edges != 0 {
                let at = edges.leading_zeros();
                edges &= u64::MAX >> 1 >> at;
                change(number * 64 + at);
            }
        }
    }

    /// Paints a row that is white, and begins a new one.
    pub(super) fn paint(&mut self, row: &mut [u8]) {
        if self.words.iter().fold(0, |any, word| any | word) == 0 {
            return;
        }
        // Each word by itself first, for that is done for several at once.
        self.words.iter_mut().for_each(|word| *word = turned(*word));
        let mut black = 0u64;
        let mut words = self.words.iter_mut().map(|word| follow(std::mem::take(word), &mut black).to_be_bytes());
        let mut octets = row.chunks_exact_mut(8);
        for (octets, word) in octets.by_ref().zip(words.by_ref()) {
            octets.copy_from_slice(&word);
        }
        let rest = octets.into_remainder();
        for (octet, pixels) in rest.iter_mut().zip(words.next().unwrap_or_default()) {
            *octet = pixels;
        }
        words.for_each(drop);
        if let Some(last) = row.last_mut()
            && !self.width.is_multiple_of(8)
        {
            *last &= 0xff << (8 - self.width % 8);
        }
    }
}

/// Pixels from changes, behind a white one.
#[inline(always)]
fn turned(edges: u64) -> u64 {
    [1, 2, 4, 8, 16, 32].into_iter().fold(edges, |pixels, shift| pixels ^ pixels >> shift)
}

/// Those pixels behind others, of which the last one, in each bit, is black or not.
#[inline(always)]
fn follow(turned: u64, black: &mut u64) -> u64 {
    let pixels = turned ^ *black;
    *black = 0u64.wrapping_sub(pixels & 1);
    pixels
}

/// Where a line turns black, and where it turns white: a bit for each pixel, and one in both at its end.
#[derive(Debug)]
pub(super) struct Turns {
    to_black: Vec<u64>,
    to_white: Vec<u64>,
    width: u32,
}

impl Turns {
    /// Of lines of this width.
    pub(super) fn new(width: u32) -> Self {
        Self { to_black: Vec::new(), to_white: Vec::new(), width }
    }

    /// Takes over those of a line that is about to be painted.
    pub(super) fn take(&mut self, edges: &Edges) {
        self.to_black.clear();
        self.to_white.clear();
        let mut black = 0u64;
        for edges in &edges.words {
            let pixels = follow(turned(*edges), &mut black);
            self.to_black.push(edges & pixels);
            self.to_white.push(edges & !pixels);
        }
        for turns in [&mut self.to_black, &mut self.to_white] {
            if let Some(word) = turns.get_mut(self.width as usize / 64) {
                *word |= 1 << (63 - self.width % 64);
            }
        }
    }

    /// The turns of 64 pixels from this one on: those to the other colour than `black`, then those to it.
    #[inline]
    pub(super) fn window(&self, black: bool, from: u32) -> [u64; 2] {
        let (word, shift) = (from as usize / 64, from % 64);
        let of = |turns: &[u64]| match turns.get(word..).and_then(<[u64]>::first_chunk::<2>) {
            Some([first, second]) => (first << shift) | (second >> 1 >> (63 - shift)),
            None => turns.get(word).map_or(0, |first| first << shift),
        };
        let (to_black, to_white) = (of(&self.to_black), of(&self.to_white));
        if black { [to_white, to_black] } else { [to_black, to_white] }
    }
}

impl Reference for Turns {
    fn turn(&self, to_black: bool, from: u32) -> u32 {
        let mut at = from;
        while at < self.width {
            let [near, _] = self.window(!to_black, at);
            if near != 0 {
                return at + near.leading_zeros();
            }
            at += 64;
        }
        self.width
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn changes_paint_the_row_again(width in 1u32..400, seed in prop::collection::vec(any::<u8>(), 50)) {
            let mut row: Vec<u8> = seed.into_iter().take(width.div_ceil(8) as usize).collect();
            if width % 8 != 0 {
                *row.last_mut().unwrap() &= 0xff << (8 - width % 8);
            }
            let mut list = Vec::new();
            changes(&row, width, &mut list);
            prop_assert!(list.is_sorted_by(|a, b| a < b) && list.iter().all(|at| *at < width));
            let (mut edges, mut painted) = (Edges::new(width), vec![0; row.len()]);
            for at in &list {
                edges.change(*at);
            }
            edges.paint(&mut painted);
            prop_assert_eq!(&painted, &row);
            for pair in list.chunks(2) {
                // Two at once, if they are near enough.
                let reach = |at: &u32| at - pair[0] < 32;
                let bits = pair.iter().filter(|at| reach(at)).fold(0, |bits, at| bits | 1 << (31 - (at - pair[0])));
                edges.change_all(pair[0], bits);
                pair.iter().filter(|at| !reach(at)).for_each(|at| edges.change(*at));
            }
            edges.paint(&mut painted);
            prop_assert_eq!(painted, row);
        }
    }
}
