//! Mail addresses (RFC 5321 clause 4.1.2, RFC 5322 clause 3.4) and the fax addresses inside them (RFC 3191, RFC 3192,
//! ITU-T T.33). Parsed strictly, kept as values, never part of a path.

use std::fmt;

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing before or after the `@`, or no `@` at all.
    #[error("\"{0}\" is not a mail address; write it as name@office.example")]
    Form(String),
    /// The local part breaks RFC 5321.
    #[error("the part before the @ of \"{0}\" has a character or length no mail address has")]
    LocalPart(String),
    /// The domain breaks RFC 5321.
    #[error("the part after the @ of \"{0}\" is not a domain name")]
    Domain(String),
    /// The list has more addresses than allowed.
    #[error("over {0} addresses in one field; send to fewer people at a time")]
    TooMany(usize),
    /// Not a fax address of RFC 3191.
    #[error("\"{0}\" is not a fax address; write it as FAX=+81312345678@gateway.example")]
    Fax(String),
    /// A subaddress that ITU-T T.33 does not allow.
    #[error("\"{0}\" is not a subaddress; it has 1 to 20 digits and #")]
    Subaddress(String),
}

/// A mail address: local part and domain. The domain is kept in lower case and so compares without case; the local
/// part compares with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: String,
}

impl Address {
    /// Parses an addr-spec without angle brackets, ASCII, no source routes, no comments.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let shown = || shorten(text);
        let at = text.rfind('@').ok_or_else(|| AddressError::Form(shown()))?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        if local.is_empty() || domain.is_empty() {
            return Err(AddressError::Form(shown()));
        }
        if local.len() > 64 || !(is_dot_atom(local) || is_quoted(local)) {
            return Err(AddressError::LocalPart(shown()));
        }
        if domain.len() > 255 || !(is_domain(domain) || is_literal(domain)) {
            return Err(AddressError::Domain(shown()));
        }
        Ok(Self { local: local.to_owned(), domain: domain.to_ascii_lowercase() })
    }

    /// What stands before the `@`, quotes included where it has them.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, in lower case.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// An address with the name a header field shows beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// Display name, decoded.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Self { name: None, address }
    }
}

/// Most addresses in one header field.
pub const MAX_MAILBOXES: usize = 100;

impl Mailbox {
    /// Parses the value of From, To or Cc: mailboxes with commas between, comments skipped, groups refused.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, AddressError> {
        let mut out = Vec::new();
        for item in split_list(text) {
            if out.len() >= MAX_MAILBOXES {
                return Err(AddressError::TooMany(MAX_MAILBOXES));
            }
            out.push(Self::parse(&item)?);
        }
        Ok(out)
    }

    /// Parses one mailbox: `name <address>` or the address alone.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let Some(inner) = text.strip_suffix('>') else {
            return Address::parse(text).map(Self::from);
        };
        let open = inner.rfind('<').ok_or_else(|| AddressError::Form(shorten(text)))?;
        let address = Address::parse(inner[open + 1..].trim())?;
        let phrase = inner[..open].trim();
        let bare = phrase.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map_or_else(
            || crate::header::decode_words(phrase),
            |quoted| {
                let mut plain = String::new();
                let mut chars = quoted.chars();
                while let Some(c) = chars.next() {
                    plain.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                plain
            },
        );
        let name = Some(bare).filter(|name| !name.is_empty() && !name.chars().any(char::is_control));
        Ok(Self { name, address })
    }

    /// As it stands in a header field: the name as a quoted string or encoded words (RFC 2047).
    pub fn to_header(&self) -> String {
        match &self.name {
            None => self.address.to_string(),
            Some(name) if name.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ') => {
                format!("{name} <{}>", self.address)
            }
            Some(name) if name.chars().all(|c| c.is_ascii_graphic() || c == ' ') => {
                let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{escaped}\" <{}>", self.address)
            }
            Some(name) => format!("{} <{}>", crate::header::encode_words(name), self.address),
        }
    }
}

/// A fax number in the local part of an address: RFC 3191 `FAX=+number`, with the T.33 subaddress of RFC 3192.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FaxNumber {
    /// Digits of the global number (E.164), without the `+`.
    pub number: String,
    /// T.33 subaddress.
    pub subaddress: Option<String>,
}

impl FaxNumber {
    /// A number as a gateway knows it from the line: up to 15 digits (E.164), with or without `+`, `-` and `.`, and the
    /// subaddress that was dialled.
    pub fn new(number: &str, subaddress: Option<&str>) -> Result<Self, AddressError> {
        let bad = || AddressError::Fax(shorten(number));
        let phone = number.strip_prefix('+').unwrap_or(number);
        // RFC 3191 clause 2: `-` and `.` between digits are for the eye.
        if !phone.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.') {
            return Err(bad());
        }
        let number: String = phone.chars().filter(char::is_ascii_digit).collect();
        if number.is_empty() || number.len() > 15 {
            return Err(bad());
        }
        let fits =
            |digits: &str| (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit() || b == b'#');
        if let Some(digits) = subaddress.filter(|digits| !fits(digits)) {
            return Err(AddressError::Subaddress(shorten(digits)));
        }
        Ok(Self { number, subaddress: subaddress.map(str::to_owned) })
    }

    /// The address under which a gateway (RFC 3191's offramp) takes mail for this number.
    pub fn at(&self, gateway: &str) -> Result<Address, AddressError> {
        Address::parse(&format!("{}@{gateway}", self.to_local()))
    }

    /// Whether an address claims to be a fax address.
    pub fn is_claimed_by(address: &Address) -> bool {
        address.local.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("FAX="))
    }

    /// Reads the fax number out of an address.
    pub fn parse(address: &Address) -> Result<Self, AddressError> {
        let bad = || AddressError::Fax(shorten(&address.to_string()));
        if !Self::is_claimed_by(address) {
            return Err(bad());
        }
        let mut parts = address.local.get(4..).unwrap_or_default().split('/');
        let phone = parts.next().filter(|phone| phone.starts_with('+')).ok_or_else(bad)?;
        let subaddress = match parts.next() {
            None => None,
            Some(part) => {
                let head = part.get(..5).filter(|head| head.eq_ignore_ascii_case("T33S=")).ok_or_else(bad)?;
                Some(part.get(head.len()..).unwrap_or_default())
            }
        };
        if parts.next().is_some() {
            return Err(bad());
        }
        Self::new(phone, subaddress).map_err(|error| match error {
            AddressError::Fax(_) => bad(),
            other => other,
        })
    }

    /// The local part that says this number.
    pub fn to_local(&self) -> String {
        match &self.subaddress {
            None => format!("FAX=+{}", self.number),
            Some(subaddress) => format!("FAX=+{}/T33S={subaddress}", self.number),
        }
    }
}

/// For messages: control characters escaped, at most 80 characters.
fn shorten(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

fn is_atext(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b)
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

fn is_quoted(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    let mut escaped = false;
    for b in inner.bytes() {
        match b {
            _ if !(b' '..=b'~').contains(&b) => return false,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return false,
            _ => {}
        }
    }
    !escaped && text.len() >= 2
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.split('.').all(label)
}

fn is_literal(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
    match inner.get(..5).filter(|head| head.eq_ignore_ascii_case("IPv6:")) {
        Some(_) => inner.get(5..).is_some_and(|rest| rest.parse::<std::net::Ipv6Addr>().is_ok()),
        None => inner.parse::<std::net::Ipv4Addr>().is_ok(),
    }
}

/// Splits at commas outside quotes, angle brackets and comments; comments are left out.
fn split_list(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let (mut quoted, mut comment, mut angle, mut escaped) = (false, 0u32, false, false);
    for c in text.chars() {
        let literal = std::mem::take(&mut escaped);
        match c {
            '\\' if !literal && (quoted || comment > 0) => {
                escaped = true;
                if comment > 0 {
                    continue;
                }
            }
            '"' if !literal && comment == 0 => quoted = !quoted,
            '(' if !literal && !quoted => {
                comment = comment.saturating_add(1);
                continue;
            }
            ')' if !literal && !quoted && comment > 0 => {
                comment -= 1;
                continue;
            }
            '<' if !quoted && comment == 0 => angle = true,
            '>' if !quoted && comment == 0 => angle = false,
            ',' if !quoted && comment == 0 && !angle => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        if comment == 0
            && let Some(item) = items.last_mut()
        {
            item.push(c);
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_strict() {
        for good in
            ["tanaka@a.example", "o'brien+fax@Branch-1.EXAMPLE", "\"a b\"@x.example", "x@[192.0.2.1]", "x@localhost"]
        {
            Address::parse(good).unwrap();
        }
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a..b@x.example",
            "a b@x.example",
            "a@-x.example",
            "a@x..example",
            "a@x.example\r\nBcc: e@f",
            "\"a\"b\"@x.example",
            "a@[1.2.3]",
            "田中@x.example",
            "a@x\0",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Address::parse("A@X.Example").unwrap(), Address::parse("A@x.eXAMPLE").unwrap());
        assert_ne!(Address::parse("A@x.example").unwrap(), Address::parse("a@x.example").unwrap());
    }

    #[test]
    fn lists_are_split_outside_quotes_and_comments() {
        let list = Mailbox::parse_list(
            "\"Sato, K\" <sato@a.example>, (a, b) ito@b.example,, =?utf-8?B?55Sw5Lit?= <t@c.example>",
        )
        .unwrap();
        let names: Vec<_> = list.iter().map(|m| (m.name.as_deref(), m.address.to_string())).collect();
        assert_eq!(
            names,
            [
                (Some("Sato, K"), "sato@a.example".to_owned()),
                (None, "ito@b.example".to_owned()),
                (Some("田中"), "t@c.example".to_owned()),
            ]
        );
        for mailbox in list {
            assert_eq!(Mailbox::parse(&mailbox.to_header()).unwrap(), mailbox);
        }
        assert!(Mailbox::parse_list("team: a@x.example, b@x.example;").is_err());
        assert!(Mailbox::parse_list(&"a@b,".repeat(101)).is_err());
    }

    #[test]
    fn fax_addresses_follow_rfc_3191_and_t33() {
        let fax = |text: &str| Address::parse(text).and_then(|address| FaxNumber::parse(&address));
        assert_eq!(fax("FAX=+81-3-1234-5678@gw.example").unwrap().number, "81312345678");
        let sub = fax("fax=+12025551212/T33S=1387#2@gw.example").unwrap();
        assert_eq!(sub.subaddress.as_deref(), Some("1387#2"));
        assert_eq!(sub.to_local(), "FAX=+12025551212/T33S=1387#2");
        for bad in [
            "FAX=81@gw.example",
            "FAX=+@gw.example",
            "FAX=+1234567890123456@gw.example",
            "FAX=+1/../etc@gw.example",
            "FAX=+1/T33S=@gw.example",
            "FAX=+1/T33S=12a@gw.example",
            "FAX=+1/T33S=1/x@gw.example",
            "VOICE=+1@gw.example",
        ] {
            assert!(fax(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_gateway_gets_from_number_to_address_and_back() {
        let fax = FaxNumber::new("+81-3-1234-5678", Some("1387#2")).unwrap();
        let address = fax.at("Gateway.example").unwrap();
        assert_eq!(address.to_string(), "FAX=+81312345678/T33S=1387#2@gateway.example");
        assert_eq!(FaxNumber::parse(&address).unwrap(), fax);
        assert!(FaxNumber::new("", None).is_err() && FaxNumber::new("+", None).is_err());
        assert!(FaxNumber::new("81 3", None).is_err() && FaxNumber::new("++81", None).is_err());
        assert!(matches!(FaxNumber::new("81", Some("")), Err(AddressError::Subaddress(_))));
        assert!(fax.at("gateway.example\r\nBcc: x@y").is_err());
    }

    proptest! {
        #[test]
        fn every_number_comes_back(number in "[0-9]{1,15}", subaddress in prop::option::of("[0-9#]{1,20}")) {
            let fax = FaxNumber::new(&number, subaddress.as_deref()).unwrap();
            prop_assert_eq!(FaxNumber::parse(&fax.at("gw.example").unwrap()).unwrap(), fax);
        }

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = Mailbox::parse_list(&text);
            if let Ok(address) = Address::parse(&text) {
                let _ = FaxNumber::parse(&address);
                prop_assert_eq!(Address::parse(&address.to_string()).unwrap(), address);
            }
        }

        #[test]
        fn names_come_back(name in "[^\\p{C}]{1,40}") {
            let mailbox = Mailbox { name: Some(name.trim().to_owned()).filter(|n| !n.is_empty()), address: Address::parse("a@b.example").unwrap() };
            let written = mailbox.to_header();
            prop_assert!(!written.contains(['\r', '\n', '\0']));
            prop_assert_eq!(Mailbox::parse(&written).unwrap().address, mailbox.address);
        }
    }
}
