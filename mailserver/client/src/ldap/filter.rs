//! The one filter that is asked for, `(attribute=value)`: on the wire (RFC 4511 4.5.1.7, equalityMatch) and as people
//! and `ldapsearch` write it (RFC 4515).
//!
//! On the wire the value stands in an octet string of its own, so no character of it can end the filter or begin
//! another one; escaping is needed for the text form alone.

use std::fmt;

use super::ber::{OCTET_STRING, put};

/// equalityMatch [3] AttributeValueAssertion.
const EQUALITY_MATCH: u8 = 0xa3;

/// `(attribute=value)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Equality<'a> {
    /// Attribute description (RFC 4512 2.5): "mail".
    pub attribute: &'a str,
    /// Assertion value, as it is.
    pub value: &'a str,
}

impl Equality<'_> {
    /// Appends the filter as it travels.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        let mut assertion = Vec::new();
        put(&mut assertion, OCTET_STRING, self.attribute.as_bytes());
        put(&mut assertion, OCTET_STRING, self.value.as_bytes());
        put(into, EQUALITY_MATCH, &assertion);
    }
}

/// The text form (RFC 4515 3): what means something in a filter, and what is not printable ASCII, is `\xx`.
impl fmt::Display for Equality<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}=", self.attribute)?;
        for octet in self.value.bytes() {
            match octet {
                b'*' | b'(' | b')' | b'\\' => write!(f, "\\{octet:02x}")?,
                0x20..=0x7e => write!(f, "{}", char::from(octet))?,
                _ => write!(f, "\\{octet:02x}")?,
            }
        }
        f.write_str(")")
    }
}

/// Whether `name` is an attribute description without options (RFC 4512 1.4): a letter, then letters, digits and
/// hyphens; or a dotted object identifier.
pub(super) fn is_attribute(name: &str) -> bool {
    let oid = name.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|octet| octet.is_ascii_digit()));
    let keystring = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    name.len() <= 128 && (oid || keystring)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_text_form_is_escaped() {
        let text = |value| Equality { attribute: "mail", value }.to_string();
        assert_eq!(text("hanako@b.example"), "(mail=hanako@b.example)");
        assert_eq!(text("*)(uid=*))(|(uid=*"), r"(mail=\2a\29\28uid=\2a\29\29\28|\28uid=\2a)");
        assert_eq!(text("a\\b\0c\u{e9}"), r"(mail=a\5cb\00c\c3\a9)");
    }

    #[test]
    fn on_the_wire_the_value_is_a_value() {
        let mut octets = Vec::new();
        Equality { attribute: "mail", value: "*)(a=*" }.encode(&mut octets);
        assert_eq!(octets, b"\xa3\x0e\x04\x04mail\x04\x06*)(a=*");
    }

    #[test]
    fn attributes_are_names_or_numbers() {
        for good in ["mail", "userCertificate", "x-mail", "0.9.2342.19200300.100.1.3"] {
            assert!(is_attribute(good), "{good}");
        }
        for bad in ["", "mail)(uid", "-x", "1..2", "user certificate", "mail;binary", "m\u{e4}il"] {
            assert!(!is_attribute(bad), "{bad}");
        }
    }
}
