//! One scan line as its changing elements (T.4 clause 4.2.1.1): the pixels whose colour differs from the one before.
//! A line starts white, so entry 0, 2, ... turn black and 1, 3, ... turn white.

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

/// Paints the black runs between changing elements into a white row.
pub(super) fn paint(changes: &[u32], width: u32, row: &mut [u8]) {
    for run in changes.chunks(2) {
        let from = run.first().copied().unwrap_or(width);
        black(row, from, run.get(1).copied().unwrap_or(width));
    }
}

fn black(row: &mut [u8], from: u32, to: u32) {
    if from >= to {
        return;
    }
    let (first, last) = ((from / 8) as usize, ((to - 1) / 8) as usize);
    let head = 0xffu8 >> (from % 8);
    let tail = 0xffu8 << (7 - (to - 1) % 8);
    let Some(span) = row.get_mut(first..=last) else { return };
    if let [only] = span {
        *only |= head & tail;
    } else if let [start, middle @ .., end] = span {
        *start |= head;
        middle.fill(0xff);
        *end |= tail;
    }
}

/// Appends a changing element; a run of no pixels inside the line joins its neighbours.
#[inline]
pub(super) fn push(changes: &mut Vec<u32>, at: u32) {
    if changes.last() == Some(&at) {
        changes.pop();
    } else {
        changes.push(at);
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
            let mut painted = vec![0; row.len()];
            paint(&list, width, &mut painted);
            prop_assert_eq!(painted, row);
        }
    }
}
