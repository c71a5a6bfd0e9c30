//! What follows 354 (RFC 5321, 4.1.1.4 and 4.5.2): only CRLF.CRLF ends it, and a lone CR or LF spoils the mail. And what comes
//! in chunks (RFC 3030), whose length ends it: no dot means anything there.
//!
//! Servers that also accept other endings can be made to see a second, smuggled transaction inside a mail.

/// Why a mail is refused after its end was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataFault {
    /// CR without LF, or LF without CR.
    BareLineEnd,
    /// An octet of value zero.
    Nul,
    /// A line longer than the bound.
    LineTooLong,
    /// More octets than the bound.
    TooLarge,
}

/// How far the mail is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataProgress {
    /// More octets are needed.
    Wanting,
    /// The end was seen; this many octets of the input belong to the mail.
    Complete(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    Text,
    Cr,
    Dot,
    DotCr,
}

/// Collects one mail, dots unstuffed, at most `max` octets of it.
#[derive(Debug)]
pub struct DataReceiver {
    place: Place,
    mail: Vec<u8>,
    line: usize,
    max: usize,
    max_line: usize,
    /// Dots at the beginning of lines are stuffed, and one alone ends the mail.
    dots: bool,
    fault: Option<DataFault>,
}

impl DataReceiver {
    /// A receiver for a mail of at most `max` octets and lines of at most `max_line` octets with their CRLF.
    pub fn new(max: usize, max_line: usize) -> Self {
        Self { place: Place::LineStart, mail: Vec::new(), line: 0, max, max_line, dots: true, fault: None }
    }

    /// The same for a mail in chunks.
    pub fn chunked(max: usize, max_line: usize) -> Self {
        Self { dots: false, ..Self::new(max, max_line) }
    }

    /// Takes octets in; a fault does not end the mail, so that nothing of it is ever read as a command.
    pub fn receive(&mut self, octets: &[u8]) -> DataProgress {
        let mut index = 0;
        while let Some(&octet) = octets.get(index) {
            // Most of a mail is text, which is taken up to the next octet that means something.
            if self.place == Place::Text || (self.place == Place::LineStart && !(self.dots && octet == b'.')) {
                let rest = octets.get(index..).unwrap_or_default();
                let text = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
                if text > 0 {
                    self.push(rest.get(..text).unwrap_or_default());
                    self.place = Place::Text;
                    index += text;
                    continue;
                }
            }
            self.place = match (self.place, octet) {
                (Place::DotCr, b'\n') => return DataProgress::Complete(index + 1),
                (Place::Cr, b'\n') => {
                    self.push(b"\r\n");
                    self.line = 0;
                    Place::LineStart
                }
                (Place::Cr | Place::DotCr, _) => {
                    self.spoil(DataFault::BareLineEnd);
                    if octet == b'\r' { Place::Cr } else { Place::Text }
                }
                (Place::Dot, b'\r') => Place::DotCr,
                (_, b'\r') => Place::Cr,
                (_, b'\n') => {
                    self.spoil(DataFault::BareLineEnd);
                    Place::Text
                }
                (Place::LineStart, b'.') if self.dots => Place::Dot,
                (_, octet) => {
                    if octet == 0 {
                        self.spoil(DataFault::Nul);
                    }
                    self.push(&[octet]);
                    Place::Text
                }
            };
            index += 1;
        }
        DataProgress::Wanting
    }

    /// The mail, or why it is refused.
    pub fn finish(mut self) -> Result<Vec<u8>, DataFault> {
        if !self.dots {
            match self.place {
                Place::Cr => self.spoil(DataFault::BareLineEnd),
                // Its last line may lack its end, which every line of a mail has here.
                Place::Text => self.push(b"\r\n"),
                _ => {}
            }
        }
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.mail),
        }
    }

    fn push(&mut self, octets: &[u8]) {
        self.line = self.line.saturating_add(octets.len());
        if self.line > self.max_line {
            self.spoil(DataFault::LineTooLong);
        }
        if self.mail.len() + octets.len() > self.max {
            self.spoil(DataFault::TooLarge);
        }
        if self.fault.is_none() {
            self.mail.extend_from_slice(octets);
        }
    }

    fn spoil(&mut self, fault: DataFault) {
        if self.fault.is_none() {
            self.fault = Some(fault);
            // What is refused need not be kept.
            self.mail = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn receive(octets: &[u8]) -> (DataProgress, Result<Vec<u8>, DataFault>) {
        let mut receiver = DataReceiver::new(100, 50);
        let progress = receiver.receive(octets);
        (progress, receiver.finish())
    }

    #[test]
    fn only_crlf_dot_crlf_ends_data() {
        assert_eq!(receive(b"a\r\n.\r\nQUIT").0, DataProgress::Complete(6));
        assert_eq!(receive(b".\r\n"), (DataProgress::Complete(3), Ok(vec![])));
        for smuggled in [
            &b"a\n.\nMAIL"[..],
            b"a\r\n.\nMAIL",
            b"a\n.\r\nMAIL",
            b"a\r.\rMAIL",
            b"a\r\n.\r\r\nMAIL",
            b"a\r\n\0.\r\nMAIL",
        ] {
            let (progress, mail) = receive(smuggled);
            assert_eq!(progress, DataProgress::Wanting, "{smuggled:?}");
            assert!(mail.is_err(), "{smuggled:?}");
        }
    }

    #[test]
    fn dots_are_unstuffed_in_any_chunking() {
        let wire = b"..\r\n.a\r\nb.\r\n...\r\n.\r\n";
        for cut in 0..wire.len() {
            let mut receiver = DataReceiver::new(100, 50);
            let first = receiver.receive(&wire[..cut]);
            assert_eq!(first, DataProgress::Wanting);
            assert_eq!(receiver.receive(&wire[cut..]), DataProgress::Complete(wire.len() - cut));
            assert_eq!(receiver.finish().unwrap(), b".\r\na\r\nb.\r\n..\r\n");
        }
    }

    #[test]
    fn in_chunks_no_dot_means_anything_and_the_last_line_gets_its_end() {
        let chunks = |chunks: &[&[u8]]| {
            let mut receiver = DataReceiver::chunked(100, 50);
            chunks.iter().for_each(|chunk| assert_eq!(receiver.receive(chunk), DataProgress::Wanting));
            receiver.finish()
        };
        assert_eq!(chunks(&[b"a\r", b"\n.\r\n..b"]).unwrap(), b"a\r\n.\r\n..b\r\n");
        assert_eq!(chunks(&[b"a\r\n"]).unwrap(), b"a\r\n");
        assert_eq!(chunks(&[]).unwrap(), b"");
        for spoilt in [&b"a\nb"[..], b"a\rb", b"a\r"] {
            assert_eq!(chunks(&[spoilt]), Err(DataFault::BareLineEnd), "{spoilt:?}");
        }
    }

    #[test]
    fn bounds() {
        let long = [b'x'; 51];
        assert_eq!(receive(&long).1, Err(DataFault::LineTooLong));
        let large = b"0123456789\r\n".repeat(20);
        assert_eq!(receive(&large).1, Err(DataFault::TooLarge));
    }
}
