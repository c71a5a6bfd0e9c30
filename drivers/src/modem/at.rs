//! Modem commands' answers (ITU-T V.250, 5.7.1; T.31, clause 8; caller identification V.253): what a line says.

/// What a modem says, read from one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `OK`.
    Ok,
    /// `CONNECT`: data follow, or may follow.
    Connect,
    /// `NO CARRIER`.
    NoCarrier,
    /// `ERROR`, `+CME ERROR`.
    Error,
    /// `+FCERROR`: another carrier than the one that was waited for.
    OtherCarrier,
    /// `+FRH:3` of adaptive reception (`+FAR`): the other carrier was that of commands, and a `CONNECT` follows.
    Adapted,
    /// `BUSY`.
    Busy,
    /// `NO DIALTONE`, `NO DIAL TONE`.
    NoDialTone,
    /// `NO ANSWER`.
    NoAnswer,
    /// `RING`.
    Ring,
    /// Who calls (`NMBR=`), as the exchange tells.
    CallerNumber(String),
    /// What was dialled (`NDID=`), with several numbers on one line.
    DialledNumber(String),
    /// The caller's name (`NAME=`).
    CallerName(String),
    /// Anything else: an echo, or the text that a command asked for.
    Text(String),
}

impl Answer {
    /// Reads a line without its end; `None`: an empty one.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim_matches(|c: char| c.is_ascii_whitespace() || c.is_control());
        if line.is_empty() {
            return None;
        }
        let upper = line.to_ascii_uppercase();
        Some(match upper.as_str() {
            "OK" => Self::Ok,
            "NO CARRIER" => Self::NoCarrier,
            "ERROR" => Self::Error,
            "+FCERROR" | "FCERROR" => Self::OtherCarrier,
            "+FRH:3" | "+FRH: 3" => Self::Adapted,
            "BUSY" => Self::Busy,
            "NO DIALTONE" | "NO DIAL TONE" => Self::NoDialTone,
            "NO ANSWER" => Self::NoAnswer,
            "RING" => Self::Ring,
            _ if upper == "CONNECT" || upper.starts_with("CONNECT ") => Self::Connect,
            _ if upper.starts_with("+CME ERROR") => Self::Error,
            _ if upper.starts_with("RING ") || upper.starts_with("+CRING") => Self::Ring,
            _ => {
                let field = |name: &str| {
                    let (key, value) = line.split_once('=')?;
                    key.trim().eq_ignore_ascii_case(name).then(|| printable(value.trim()))
                };
                if let Some(number) = field("NMBR").or_else(|| field("NUMBER")) {
                    Self::CallerNumber(number)
                } else if let Some(number) = field("NDID").or_else(|| field("DDN_NMBR")) {
                    Self::DialledNumber(number)
                } else if let Some(name) = field("NAME") {
                    Self::CallerName(name)
                } else {
                    Self::Text(printable(line))
                }
            }
        })
    }
}

/// What may go into a journal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// Whether `+FCLASS=?` lists service class 1: `0,1,2`, `(0,1,2.0)`, `0-2`.
pub fn has_class_1(classes: &str) -> bool {
    classes.split([',', '(', ')', ' ']).any(|class| match class.split_once('-') {
        Some((low, high)) => {
            low.parse::<u32>().is_ok_and(|low| low <= 1) && high.parse::<u32>().is_ok_and(|high| high >= 1)
        }
        None => matches!(class, "1" | "1.0"),
    })
}

/// The codes in an answer to `+FTM=?` or `+FRM=?`: `24,48,72`, `(24,48)`, `3,24-146` is not expanded.
pub fn codes(list: &str) -> Vec<u8> {
    list.split(|c: char| !c.is_ascii_digit()).filter_map(|code| code.parse().ok()).collect()
}

/// What can be dialled: digits, `*`, `#`, `+`, `,` and `W` for pauses, `T` and `P`; blanks, dashes and brackets are left
/// out. `None`: something else is in it, or nothing.
pub fn dial_string(number: &str) -> Option<String> {
    let mut dialled = String::new();
    for c in number.chars() {
        match c.to_ascii_uppercase() {
            c @ ('0'..='9' | '*' | '#' | '+' | ',' | 'W' | 'T' | 'P') => dialled.push(c),
            ' ' | '-' | '(' | ')' | '.' | '/' => {}
            _ => return None,
        }
    }
    (dialled.bytes().any(|c| c.is_ascii_digit()) && dialled.len() <= 60).then_some(dialled)
}

/// Collects a modem's lines octet by octet.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
}

/// Longer lines are cut.
const LONGEST: usize = 256;

impl Lines {
    /// Takes an octet; a line is complete at its LF, so that the LF after `CONNECT` never becomes data.
    pub fn take(&mut self, octet: u8) -> Option<Answer> {
        match octet {
            b'\n' => {
                let line = std::mem::take(&mut self.line);
                Answer::parse(&String::from_utf8_lossy(&line))
            }
            0 | 0x11 | 0x13 => None,
            octet => {
                if self.line.len() < LONGEST {
                    self.line.push(octet);
                }
                None
            }
        }
    }

    /// Forgets what has come of a line.
    pub fn clear(&mut self) {
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        for (line, answer) in [
            ("OK", Some(Answer::Ok)),
            ("\r", None),
            ("CONNECT 14400", Some(Answer::Connect)),
            ("connect", Some(Answer::Connect)),
            ("NO DIAL TONE", Some(Answer::NoDialTone)),
            ("+FCERROR", Some(Answer::OtherCarrier)),
            ("NMBR = 0312345678", Some(Answer::CallerNumber("0312345678".into()))),
            ("NDID=104", Some(Answer::DialledNumber("104".into()))),
            ("AT+FCLASS=?", Some(Answer::Text("AT+FCLASS=?".into()))),
        ] {
            assert_eq!(Answer::parse(line), answer, "{line:?}");
        }
    }

    #[test]
    fn classes() {
        for (classes, has) in [
            ("0,1,2", true),
            ("(0,1,2.0)", true),
            ("0-2", true),
            ("0,2,2.0", false),
            ("0,8", false),
            ("0, 1.0", true),
            ("", false),
        ] {
            assert_eq!(has_class_1(classes), has, "{classes}");
        }
        assert_eq!(codes("(24,48, 72)"), [24, 48, 72]);
    }

    #[test]
    fn numbers() {
        assert_eq!(dial_string("+81 (3) 1234-5678").as_deref(), Some("+81312345678"));
        assert_eq!(dial_string("0,,12#").as_deref(), Some("0,,12#"));
        for bad in ["", "abc", "12\r\nATZ", "12;", "--"] {
            assert_eq!(dial_string(bad), None, "{bad:?}");
        }
    }

    proptest! {
        /// Whatever a modem says.
        #[test]
        fn anything(octets in proptest::collection::vec(any::<u8>(), 0..1000)) {
            let mut lines = Lines::default();
            for octet in octets { let _ = lines.take(octet); }
            prop_assert!(lines.line.len() <= LONGEST);
        }
    }
}
