//! Plain text: its encoding guessed as the Encoding Standard names them, tabs, form feeds and line ends of every kind.

use encoding_rs::{EUC_JP, Encoding, ISO_2022_JP, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use sealfax_ifax::page::{Page, Resolution};
use sealfax_ifax::text;

use crate::error::DocumentError;

/// Columns from one tab stop to the next.
const TAB: usize = 8;

pub(crate) fn pages(data: &[u8], resolution: Resolution) -> Result<Vec<Page>, DocumentError> {
    let words = decode(data).ok_or(DocumentError::Unsupported)?;
    let pages = text::pages_from_text(&laid_out(&words));
    Ok(pages.into_iter().map(|page| page.at(resolution)).collect())
}

/// The text; `None` if it is none.
pub(crate) fn decode(data: &[u8]) -> Option<String> {
    if let Some((encoding, mark)) = Encoding::for_bom(data) {
        let (words, damaged) = encoding.decode_without_bom_handling(data.get(mark..)?);
        let known = encoding == UTF_8 || encoding == UTF_16LE || encoding == UTF_16BE;
        return (known && !damaged && is_text(&words)).then(|| words.into_owned());
    }
    // The escape sequences of ISO-2022-JP (RFC 1468) are ASCII, and would pass as such.
    let escapes = [b"\x1b$B", b"\x1b$@", b"\x1b(J", b"\x1b(I"];
    if data.is_ascii() && escapes.iter().any(|escape| data.windows(3).any(|window| window == *escape)) {
        return whole(ISO_2022_JP, data);
    }
    if let Ok(words) = std::str::from_utf8(data) {
        return is_text(words).then(|| words.to_owned());
    }
    // What both can decode, one of them makes sense of.
    let japanese = [SHIFT_JIS, EUC_JP].into_iter().filter_map(|encoding| whole(encoding, data));
    japanese.max_by_key(|words| sense(words)).or_else(|| {
        // A western text has single letters beyond ASCII; a file of something else has nothing but.
        let beyond = data.iter().filter(|octet| !octet.is_ascii()).count();
        whole(WINDOWS_1252, data).filter(|_| beyond * 4 < data.len())
    })
}

fn whole(encoding: &'static Encoding, data: &[u8]) -> Option<String> {
    let words = encoding.decode_without_bom_handling_and_without_replacement(data)?;
    is_text(&words).then(|| words.into_owned())
}

fn is_text(words: &str) -> bool {
    !words.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{8}' | '\u{1a}'))
}

/// How much it looks like Japanese: kana and common ideographs for it, half-width kana and the rest against it.
fn sense(words: &str) -> i64 {
    words
        .chars()
        .map(|c| match c {
            '\u{3040}'..='\u{30ff}' => 3,
            '\u{4e00}'..='\u{9fff}' | '\u{3000}'..='\u{3003}' => 1,
            '\u{ff61}'..='\u{ff9f}' => -2,
            c if c.is_ascii() => 0,
            '\u{ff01}'..='\u{ff5e}' => 0,
            _ => -3,
        })
        .sum()
}

/// Line ends as LF, tabs as blanks up to the next stop; what steers a printer is left out.
fn laid_out(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    let mut column = 0;
    let mut chars = words.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push('\n');
                column = 0;
            }
            '\n' | '\u{c}' => {
                out.push(c);
                column = 0;
            }
            '\t' => {
                let blanks = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            c if c.is_control() => {}
            c => {
                out.push(c);
                // Japanese is twice as wide.
                column += if c as u32 >= 0x2e80 && !('\u{ff61}'..='\u{ff9f}').contains(&c) { 2 } else { 1 };
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const LETTER: &str = "親展\nいつもお世話になっております。検査結果をお送りします。ABC カタカナ 123\n";

    #[test]
    fn japanese_is_read_in_every_encoding() {
        for encoding in [SHIFT_JIS, EUC_JP, ISO_2022_JP, UTF_8] {
            let (octets, _, _) = encoding.encode(LETTER);
            assert_eq!(decode(&octets).as_deref(), Some(LETTER), "{}", encoding.name());
        }
        let marked = [b"\xef\xbb\xbf", LETTER.as_bytes()].concat();
        assert_eq!(decode(&marked).as_deref(), Some(LETTER));
        let wide: Vec<u8> = [0xfeff].into_iter().chain(LETTER.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&wide).as_deref(), Some(LETTER));
        // One word, which both Shift_JIS and EUC-JP could be.
        for encoding in [SHIFT_JIS, EUC_JP] {
            let (octets, _, _) = encoding.encode("診断書");
            assert_eq!(decode(&octets).as_deref(), Some("診断書"), "{}", encoding.name());
        }
    }

    #[test]
    fn western_letters_are_read_and_other_files_are_not() {
        assert_eq!(decode(b"Caf\xe9 M\xfcller, please sign\n").as_deref(), Some("Café Müller, please sign\n"));
        for none in [&b"PK\x03\x04\0\0\xff\xfe"[..], b"\x7fELF\x02\x01", b"a\0b", b"\xff\xfe\x00"] {
            assert_eq!(decode(none), None, "{none:?}");
        }
    }

    #[test]
    fn tabs_line_ends_and_pages_are_kept() {
        assert_eq!(laid_out("a\tb\r\nc\rd\n\te"), "a       b\nc\nd\n        e");
        assert_eq!(laid_out("名前\tx"), "名前    x");
        assert_eq!(laid_out("a\u{8}b\u{1a}"), "ab");
        assert_eq!(pages(b"one\x0ctwo", Resolution::Fine).unwrap().len(), 2);
        let standard = pages("親展".as_bytes(), Resolution::Standard).unwrap();
        assert_eq!((standard[0].height(), standard[0].resolution()), (1146, Resolution::Standard));
    }

    proptest! {
        #[test]
        fn no_octets_panic(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(words) = decode(&noise) {
                let _ = laid_out(&words);
            }
        }
    }
}
