//! The person at the command line: lines on standard error, secrets typed without echo or piped in line by line.

use std::io::{self, Write as _};
use std::os::fd::AsFd;

use sealfax_drivers::pin::Pin;
use zeroize::Zeroizing;

use super::error::CardCommandError;

/// Whom a card command speaks with.
pub trait Console {
    /// One line for a person; never a secret.
    fn say(&mut self, line: &str);

    /// Asks for a secret, which is not shown while it is typed. `None`: nobody is there to type.
    fn hidden(&mut self, prompt: &str) -> Option<Zeroizing<String>>;

    /// The next line of standard input.
    fn piped(&mut self) -> io::Result<Zeroizing<String>>;
}

/// The terminal this program was started at.
#[derive(Debug, Default)]
pub struct Terminal;

/// The longest line of a secret.
const MAX_LINE: usize = 512;

impl Console for Terminal {
    fn say(&mut self, line: &str) {
        let _ = writeln!(io::stderr(), "{line}");
    }

    fn hidden(&mut self, prompt: &str) -> Option<Zeroizing<String>> {
        rpassword::prompt_password(prompt).ok().map(Zeroizing::new)
    }

    fn piped(&mut self) -> io::Result<Zeroizing<String>> {
        line(io::stdin())
    }
}

/// One line, octet by octet and past the buffer that the standard library keeps before standard input: the secrets of this
/// line and the next would stay in it.
fn line(input: impl AsFd) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut octet = Zeroizing::new([0u8; 1]);
    while line.len() < MAX_LINE {
        match rustix::io::retry_on_intr(|| rustix::io::read(&input, octet.as_mut_slice()))? {
            1 if *octet != *b"\n" => line.extend_from_slice(octet.as_slice()),
            _ => break,
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    match std::str::from_utf8(&line) {
        Ok(text) if !text.is_empty() => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a line is missing on standard input")),
    }
}

/// Where PINs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinSource {
    /// Typed, without echo.
    Typed,
    /// Standard input, a line each.
    Piped,
}

impl PinSource {
    /// `--pin-stdin`, or not.
    pub const fn of(piped: bool) -> Self {
        if piped { Self::Piped } else { Self::Typed }
    }

    /// A PIN that is on the card.
    pub fn present(self, console: &mut dyn Console, prompt: &str) -> Result<Pin, CardCommandError> {
        self.maybe(console, prompt)?.ok_or_else(|| {
            CardCommandError::Input("nobody is here to type the PIN; pipe it in with --pin-stdin".to_owned())
        })
    }

    /// A PIN that is on the card; `None` if the person gives none, or nobody is there.
    pub fn maybe(self, console: &mut dyn Console, prompt: &str) -> Result<Option<Pin>, CardCommandError> {
        let text = match self {
            Self::Piped => console.piped().map_err(input)?,
            Self::Typed => match console.hidden(prompt) {
                Some(text) if !text.is_empty() => text,
                _ => return Ok(None),
            },
        };
        Pin::new(text.as_bytes()).map(Some).ok_or_else(unfit)
    }

    /// A PIN that is to be on the card: typed twice.
    pub fn new_pin(self, console: &mut dyn Console, whose: &str) -> Result<Pin, CardCommandError> {
        let pin = self.present(console, &format!("New PIN of {whose}, 6 to 8 digits: "))?;
        if self == Self::Typed {
            let again = self.present(console, "The same PIN again: ")?;
            if *again.padded() != *pin.padded() {
                return Err(CardCommandError::Input("the two PINs differ; give the command again".to_owned()));
            }
        }
        if *pin.padded() == *b"123456\xff\xff" {
            return Err(CardCommandError::Input("123456 is every blank card's PIN; choose another".to_owned()));
        }
        Ok(pin)
    }
}

fn unfit() -> CardCommandError {
    CardCommandError::Input("a PIN has 6 to 8 digits and nothing else; give the command again".to_owned())
}

pub(super) fn input(error: io::Error) -> CardCommandError {
    CardCommandError::Input(format!("nothing can be read from standard input: {error}"))
}

/// Octets of another program as they may stand on a terminal: one line, bounded, without control characters.
pub(super) fn printable(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    visible(&line).chars().take(400).collect()
}

/// Words that somebody else chose, without what would move the cursor, change colours, or turn the direction of reading.
pub(super) fn visible(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::io::Read as _;

    use super::*;

    /// What is not this line's stays where it was, for whoever reads next.
    #[test]
    fn a_line_is_read_and_nothing_behind_it() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all("27182818\r\nパスワード\nthe rest".as_bytes()).unwrap();
        drop(writer);
        assert_eq!(line(&reader).unwrap().as_str(), "27182818");
        assert_eq!(line(&reader).unwrap().as_str(), "パスワード");
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "the rest");
        assert!(line(&reader).is_err());
    }

    #[test]
    fn nobodys_words_move_the_cursor() {
        assert_eq!(visible("佐藤　花子"), "佐藤　花子");
        assert_eq!(visible("Eve\u{1b}[2J\u{202e}ecilA\r\n"), "Eve?[2J?ecilA??");
        assert_eq!(printable(b"  no \x1b[31m\n such  thing\xff"), "no ?[31m such thing\u{fffd}");
    }
}
