//! Base64 in lines (RFC 2045 6.8), written and read piece by piece.

use super::{PIECE, Source};
use crate::error::OpenError;
use crate::mime::MimeError;
use base64_simd::{Out, STANDARD};
use std::io::{self, Write};
use zeroize::Zeroizing;

/// Octets of one line: they make 76 characters.
const LINE: usize = 57;
/// Lines that are made at once.
const LINES: usize = 64;

/// Octets of the text that stands for so many octets, line ends included.
pub(crate) fn text_length(octets: usize) -> usize {
    let rest = octets % LINE;
    octets / LINE * 78 + if rest == 0 { 0 } else { rest.div_ceil(3) * 4 + 2 }
}

/// Writes octets as text in lines of 76 characters that end in CRLF.
pub(crate) struct Lines<W> {
    out: W,
    waiting: Zeroizing<Vec<u8>>,
    text: Text,
}

/// Room for text that is made, first without its line ends, then with them.
struct Text {
    run: Zeroizing<Vec<u8>>,
    lines: Zeroizing<Vec<u8>>,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W) -> Self {
        let text =
            Text { run: Zeroizing::new(vec![0; 76 * LINES]), lines: Zeroizing::new(Vec::with_capacity(78 * LINES)) };
        Self { out, waiting: Zeroizing::new(Vec::with_capacity(LINE * LINES)), text }
    }

    /// The last line; what is written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        put_lines(&self.waiting, &mut self.text, &mut self.out)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.waiting.is_empty()
            && let Some(block) = octets.get(..LINE * LINES)
        {
            put_lines(block, &mut self.text, &mut self.out)?;
            return Ok(block.len());
        }
        let taken = octets.len().min(LINE * LINES - self.waiting.len());
        self.waiting.extend_from_slice(octets.get(..taken).unwrap_or_default());
        if self.waiting.len() == LINE * LINES {
            put_lines(&self.waiting, &mut self.text, &mut self.out)?;
            self.waiting.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn put_lines(octets: &[u8], text: &mut Text, out: &mut impl Write) -> io::Result<()> {
    text.lines.clear();
    // So many octets always fit.
    for line in STANDARD.encode(octets, Out::from_slice(&mut text.run)).chunks(76) {
        text.lines.extend_from_slice(line);
        text.lines.extend_from_slice(b"\r\n");
    }
    out.write_all(&text.lines)
}

/// Reads the octets that text in lines stands for. Blanks and line ends count for nothing, wherever they are.
pub(crate) struct Decoder<S> {
    source: S,
    text: Zeroizing<Vec<u8>>,
    octets: Zeroizing<Vec<u8>>,
    at: usize,
    /// The text's padding was read: nothing may follow.
    padded: bool,
    failed: Option<OpenError>,
}

const BROKEN: OpenError = OpenError::Mime(MimeError::TransferEncoding);

impl<S: Source> Decoder<S> {
    pub(crate) fn new(source: S) -> Self {
        Self {
            source,
            text: Zeroizing::new(Vec::with_capacity(PIECE + 4)),
            octets: Zeroizing::new(Vec::with_capacity(PIECE)),
            at: 0,
            padded: false,
            failed: None,
        }
    }

    /// Decodes the next piece; at the end there is none.
    fn refill(&mut self) -> Result<(), OpenError> {
        self.at = 0;
        self.octets.clear();
        let mut end = false;
        while !end && self.octets.is_empty() {
            end = self.gather()?;
            // Blanks within a line are allowed and seldom seen: they are looked for when it cannot be read otherwise.
            if !self.decode(end) {
                self.text.retain(|octet| !octet.is_ascii_whitespace());
                if !self.decode(end) {
                    return Err(BROKEN);
                }
            }
        }
        Ok(())
    }

    /// Takes text in until there is enough of it; whether it has ended.
    fn gather(&mut self) -> Result<bool, OpenError> {
        while self.text.len() < PIECE {
            let piece = self.source.ahead()?;
            if piece.is_empty() {
                return Ok(true);
            }
            let piece = piece.get(..PIECE - self.text.len()).unwrap_or(piece);
            push_lines(piece, &mut self.text);
            let length = piece.len();
            self.source.pass(length);
        }
        Ok(false)
    }

    /// Decodes what there is up to its last whole quantum; whether that can be.
    fn decode(&mut self, end: bool) -> bool {
        let whole = self.text.len() / 4 * 4;
        let (quanta, rest) = self.text.split_at(whole);
        if (self.padded && !self.text.is_empty()) || (end && !rest.is_empty()) {
            return false;
        }
        self.octets.resize(whole / 4 * 3, 0);
        let Ok(length) = STANDARD.decode(quanta, Out::from_slice(&mut self.octets)).map(|octets| octets.len()) else {
            self.octets.clear();
            return false;
        };
        self.octets.truncate(length);
        self.padded = quanta.last() == Some(&b'=');
        let kept: [u8; 3] = std::array::from_fn(|at| rest.get(at).copied().unwrap_or_default());
        let kept_length = rest.len();
        self.text.clear();
        self.text.extend(kept.iter().take(kept_length));
        true
    }
}

/// The text without its line ends; of a line that is cut in two, the blanks at the cut go too.
fn push_lines(mut piece: &[u8], text: &mut Vec<u8>) {
    while !piece.is_empty() {
        let end = memchr::memchr(b'\n', piece).unwrap_or(piece.len());
        let (line, after) = piece.split_at(end);
        text.extend_from_slice(line.trim_ascii());
        piece = after.get(1..).unwrap_or_default();
    }
}

impl<S: Source> Source for Decoder<S> {
    fn ahead(&mut self) -> Result<&[u8], OpenError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.at == self.octets.len()
            && let Err(error) = self.refill()
        {
            self.failed = Some(error.clone());
            return Err(error);
        }
        Ok(self.octets.get(self.at..).unwrap_or_default())
    }

    fn pass(&mut self, octets: usize) {
        self.at = (self.at + octets).min(self.octets.len());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{Pieces, all};
    use super::*;
    use proptest::prelude::*;

    fn lines(octets: &[u8], piece: usize) -> Vec<u8> {
        let mut out = Lines::new(Vec::new());
        for piece in octets.chunks(piece) {
            out.write_all(piece).unwrap();
        }
        out.finish().unwrap()
    }

    #[test]
    fn lines_of_base64() {
        assert_eq!(lines(&[0; 58], 58), [&[b'A'; 76][..], b"\r\nAA==\r\n"].concat());
        for (text, octets) in
            [("AAEC\r\nAw==\r\n", vec![0, 1, 2, 3]), ("A AEC\n Aw\t==", vec![0, 1, 2, 3]), ("\n\n", vec![])]
        {
            for piece in [1, 3, 100] {
                assert_eq!(all(Decoder::new(Pieces(text.as_bytes(), piece))).unwrap(), octets, "{text:?}");
            }
        }
        for bad in ["AAE", "AA=A", "A", "AAEC=", "====", "AB==", "AA==AAEC", "AA==\n=", "A\0EC"] {
            assert_eq!(all(Decoder::new(Pieces(bad.as_bytes(), 2))), Err(BROKEN), "{bad:?}");
        }
    }

    #[test]
    fn blanks_may_stand_anywhere_and_be_many() {
        let text = [b"A".as_slice(), &[b' '; 3 * PIECE], b"AE", &[b'\n'; 2 * PIECE], b"C"].concat();
        assert_eq!(all(Decoder::new(Pieces(&text, 4000))).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn a_failure_stays_one() {
        let mut decoder = Decoder::new(Pieces(b"A\0EC", 9));
        assert!(decoder.ahead().is_err() && decoder.ahead().is_err());
    }

    proptest! {
        #[test]
        fn any_octets_come_back(octets in proptest::collection::vec(any::<u8>(), 0..40_000), cut in 1usize..9000) {
            let text = lines(&octets, cut);
            prop_assert_eq!(text.len(), text_length(octets.len()));
            prop_assert_eq!(all(Decoder::new(Pieces(&text, cut))).unwrap(), octets);
        }

        #[test]
        fn any_text_is_read_as_others_read_it(text in "[A-D=\\r\\n ]{0,40}") {
            let bare: String = text.split_ascii_whitespace().collect();
            let theirs = STANDARD.decode_to_vec(bare.as_bytes()).ok();
            prop_assert_eq!(all(Decoder::new(Pieces(text.as_bytes(), 5))).ok(), theirs);
        }
    }
}
