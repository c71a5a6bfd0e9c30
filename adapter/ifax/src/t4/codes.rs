//! The run length code words of T.4 tables 2/T.4 (terminating), 3a/T.4 and 3b/T.4 (make-up), as printed there.

/// White runs: terminating codes 0 to 63, then make-up codes to 1728.
#[rustfmt::skip]
pub(super) const WHITE: [(u16, &str); 91] = [
    (0, "00110101"), (1, "000111"), (2, "0111"), (3, "1000"), (4, "1011"), (5, "1100"), (6, "1110"),
    (7, "1111"), (8, "10011"), (9, "10100"), (10, "00111"), (11, "01000"), (12, "001000"), (13, "000011"),
    (14, "110100"), (15, "110101"), (16, "101010"), (17, "101011"), (18, "0100111"), (19, "0001100"),
    (20, "0001000"), (21, "0010111"), (22, "0000011"), (23, "0000100"), (24, "0101000"), (25, "0101011"),
    (26, "0010011"), (27, "0100100"), (28, "0011000"), (29, "00000010"), (30, "00000011"), (31, "00011010"),
    (32, "00011011"), (33, "00010010"), (34, "00010011"), (35, "00010100"), (36, "00010101"),
    (37, "00010110"), (38, "00010111"), (39, "00101000"), (40, "00101001"), (41, "00101010"),
    (42, "00101011"), (43, "00101100"), (44, "00101101"), (45, "00000100"), (46, "00000101"),
    (47, "00001010"), (48, "00001011"), (49, "01010010"), (50, "01010011"), (51, "01010100"),
    (52, "01010101"), (53, "00100100"), (54, "00100101"), (55, "01011000"), (56, "01011001"),
    (57, "01011010"), (58, "01011011"), (59, "01001010"), (60, "01001011"), (61, "00110010"),
    (62, "00110011"), (63, "00110100"), (64, "11011"), (128, "10010"), (192, "010111"), (256, "0110111"),
    (320, "00110110"), (384, "00110111"), (448, "01100100"), (512, "01100101"), (576, "01101000"),
    (640, "01100111"), (704, "011001100"), (768, "011001101"), (832, "011010010"), (896, "011010011"),
    (960, "011010100"), (1024, "011010101"), (1088, "011010110"), (1152, "011010111"), (1216, "011011000"),
    (1280, "011011001"), (1344, "011011010"), (1408, "011011011"), (1472, "010011000"), (1536, "010011001"),
    (1600, "010011010"), (1664, "011000"), (1728, "010011011"),
];

/// Black runs: terminating codes 0 to 63, then make-up codes to 1728.
#[rustfmt::skip]
pub(super) const BLACK: [(u16, &str); 91] = [
    (0, "0000110111"), (1, "010"), (2, "11"), (3, "10"), (4, "011"), (5, "0011"), (6, "0010"), (7, "00011"),
    (8, "000101"), (9, "000100"), (10, "0000100"), (11, "0000101"), (12, "0000111"), (13, "00000100"),
    (14, "00000111"), (15, "000011000"), (16, "0000010111"), (17, "0000011000"), (18, "0000001000"),
    (19, "00001100111"), (20, "00001101000"), (21, "00001101100"), (22, "00000110111"), (23, "00000101000"),
    (24, "00000010111"), (25, "00000011000"), (26, "000011001010"), (27, "000011001011"),
    (28, "000011001100"), (29, "000011001101"), (30, "000001101000"), (31, "000001101001"),
    (32, "000001101010"), (33, "000001101011"), (34, "000011010010"), (35, "000011010011"),
    (36, "000011010100"), (37, "000011010101"), (38, "000011010110"), (39, "000011010111"),
    (40, "000001101100"), (41, "000001101101"), (42, "000011011010"), (43, "000011011011"),
    (44, "000001010100"), (45, "000001010101"), (46, "000001010110"), (47, "000001010111"),
    (48, "000001100100"), (49, "000001100101"), (50, "000001010010"), (51, "000001010011"),
    (52, "000000100100"), (53, "000000110111"), (54, "000000111000"), (55, "000000100111"),
    (56, "000000101000"), (57, "000001011000"), (58, "000001011001"), (59, "000000101011"),
    (60, "000000101100"), (61, "000001011010"), (62, "000001100110"), (63, "000001100111"),
    (64, "0000001111"), (128, "000011001000"), (192, "000011001001"), (256, "000001011011"),
    (320, "000000110011"), (384, "000000110100"), (448, "000000110101"), (512, "0000001101100"),
    (576, "0000001101101"), (640, "0000001001010"), (704, "0000001001011"), (768, "0000001001100"),
    (832, "0000001001101"), (896, "0000001110010"), (960, "0000001110011"), (1024, "0000001110100"),
    (1088, "0000001110101"), (1152, "0000001110110"), (1216, "0000001110111"), (1280, "0000001010010"),
    (1344, "0000001010011"), (1408, "0000001010100"), (1472, "0000001010101"), (1536, "0000001011010"),
    (1600, "0000001011011"), (1664, "0000001100100"), (1728, "0000001100101"),
];

/// Make-up codes of both colours from 1792.
#[rustfmt::skip]
pub(super) const EXTENDED: [(u16, &str); 13] = [
    (1792, "00000001000"), (1856, "00000001100"), (1920, "00000001101"), (1984, "000000010010"),
    (2048, "000000010011"), (2112, "000000010100"), (2176, "000000010101"), (2240, "000000010110"),
    (2304, "000000010111"), (2368, "000000011100"), (2432, "000000011101"), (2496, "000000011110"),
    (2560, "000000011111"),
];

/// Bits of the longest white code word, which is also that of the end-of-line code.
pub(super) const WHITE_BITS: u32 = 12;
/// Bits of the longest black code word.
pub(super) const BLACK_BITS: u32 = 13;

/// A code word for writing: its bits and their number.
#[derive(Clone, Copy)]
pub(super) struct Word {
    pub(super) bits: u16,
    pub(super) len: u8,
}

/// What a prefix of the stream stands for; `len` is 0 where it is no code word.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) run: u16,
    pub(super) len: u8,
}

/// Bits by which [`SPANS`] is looked up.
pub(super) const SPAN_BITS: u32 = 11;

/// The whole runs that begin with these bits, as many as are complete, of at most 31 pixels together.
#[derive(Clone, Copy)]
pub(super) struct Span {
    /// Where the colour changes: bit 31 - n, if it does so n pixels on.
    pub(super) changes: u32,
    /// Bits of the code words; 0 if the first one is longer, or no run that fits.
    pub(super) bits: u8,
    pub(super) pixels: u8,
    /// The next run is of the other colour than the first one here.
    pub(super) odd: bool,
}

/// Spans by colour (white first) and the next [`SPAN_BITS`] bits.
pub(super) static SPANS: [[Span; 1 << SPAN_BITS]; 2] = [spans(false), spans(true)];

const fn spans(black_first: bool) -> [Span; 1 << SPAN_BITS] {
    let (white, black) = (entries::<{ 1 << SPAN_BITS }>(&WHITE), entries::<{ 1 << SPAN_BITS }>(&BLACK));
    let mut out = [Span { changes: 0, bits: 0, pixels: 0, odd: false }; 1 << SPAN_BITS];
    let mut i = 0;
    while i < out.len() {
        let mut span = Span { changes: 0, bits: 0, pixels: 0, odd: false };
        loop {
            let next = (i << span.bits) & ((1 << SPAN_BITS) - 1);
            let entry = if span.odd != black_first { black[next] } else { white[next] };
            let fits = entry.len > 0 && span.bits as u32 + entry.len as u32 <= SPAN_BITS;
            // A run of no pixels may stand at the beginning of a line, and what follows may be the next line's.
            if !fits || entry.run == 0 || span.pixels as u32 + entry.run as u32 > 31 {
                break;
            }
            span.bits += entry.len;
            span.pixels += entry.run as u8;
            span.changes |= 1 << (31 - span.pixels);
            span.odd = !span.odd;
        }
        out[i] = span;
        i += 1;
    }
    out
}

/// Code words by run: index 0 to 63 terminating, 64 to 104 make-up for 64 times (index - 63).
pub(super) static WHITE_WORDS: [Word; 104] = words(&WHITE);
/// As [`WHITE_WORDS`], of black runs.
pub(super) static BLACK_WORDS: [Word; 104] = words(&BLACK);
/// Runs by the next [`WHITE_BITS`] bits.
pub(super) static WHITE_ENTRIES: [Entry; 1 << WHITE_BITS] = entries(&WHITE);
/// Runs by the next [`BLACK_BITS`] bits.
pub(super) static BLACK_ENTRIES: [Entry; 1 << BLACK_BITS] = entries(&BLACK);

/// The code word that is printed so.
pub(super) const fn word(text: &str) -> Word {
    let digits = text.as_bytes();
    let (mut bits, mut i) = (0, 0);
    while i < digits.len() {
        bits = (bits << 1) | (digits[i] - b'0') as u16;
        i += 1;
    }
    Word { bits, len: digits.len() as u8 }
}

const fn words(table: &[(u16, &str); 91]) -> [Word; 104] {
    let mut out = [Word { bits: 0, len: 0 }; 104];
    let mut i = 0;
    while i < 91 {
        out[i] = word(table[i].1);
        i += 1;
    }
    while i < 104 {
        out[i] = word(EXTENDED[i - 91].1);
        i += 1;
    }
    out
}

/// Runs by as many bits as `N` entries have, as far as their code words have no more.
pub(super) const fn entries<const N: usize>(table: &[(u16, &str); 91]) -> [Entry; N] {
    let mut out = [Entry { run: 0, len: 0 }; N];
    let bits = N.trailing_zeros();
    let mut i = 0;
    while i < 104 {
        let (run, text) = if i < 91 { table[i] } else { EXTENDED[i - 91] };
        let code = word(text);
        if code.len as u32 > bits {
            i += 1;
            continue;
        }
        let spare = bits - code.len as u32;
        let first = (code.bits as usize) << spare;
        let mut k = 0;
        while k < 1 << spare {
            out[first + k] = Entry { run, len: code.len };
            k += 1;
        }
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn no_code_word_begins_another_nor_the_end_of_line() {
        for table in [WHITE, BLACK] {
            let all: Vec<&str> = table.iter().chain(&EXTENDED).map(|(_, code)| *code).chain(["00000000"]).collect();
            for (i, a) in all.iter().enumerate() {
                assert!(all.iter().enumerate().all(|(j, b)| i == j || !b.starts_with(a)), "{a}");
            }
        }
    }

    #[test]
    fn runs_ascend_as_printed() {
        for table in [WHITE, BLACK] {
            for (i, (run, _)) in table.iter().chain(&EXTENDED).enumerate() {
                let expected = if i < 64 { i } else { (i - 63) * 64 };
                assert_eq!(usize::from(*run), expected);
            }
        }
    }
}
