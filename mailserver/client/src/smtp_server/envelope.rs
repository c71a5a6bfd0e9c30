//! The envelope of a transaction (RFC 5321, 2.3.1) and the addresses in it (4.1.2).

use super::Dsn;

/// Where bounces go: an address, or null (`<>`) for mails that must never be answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReversePath(Option<String>);

impl ReversePath {
    /// The null reverse path.
    pub fn null() -> Self {
        Self(None)
    }

    /// The reverse path of `address`; an empty text is the null path.
    pub fn new(address: &str) -> Self {
        Self((!address.is_empty()).then(|| address.to_owned()))
    }

    /// Whether it is `<>`.
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// The address, unless null.
    pub fn address(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl std::fmt::Display for ReversePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{}>", self.0.as_deref().unwrap_or(""))
    }
}

/// What MAIL and RCPT said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// Argument of MAIL FROM.
    pub reverse_path: ReversePath,
    /// Accepted arguments of RCPT TO, in order, as given (never empty when a message is handed over).
    pub forward_paths: Vec<String>,
    /// Whether `BODY=8BITMIME` was given.
    pub eight_bit: bool,
    /// Whether `SMTPUTF8` was given: addresses and header fields may go beyond ASCII (RFC 6531).
    pub utf8: bool,
    /// What is wanted of delivery status notifications (RFC 3461).
    pub dsn: Dsn,
}

/// Whether `address` is a dot-atom local part (64 octets at most), `@`, and a domain or address literal (255 at
/// most), in printable ASCII.
///
/// Quoted local parts that need their quotes are refused: no address of ours has them, and every relay reads them
/// differently.
pub fn valid_address(address: &str) -> bool {
    address.is_ascii() && valid_international_address(address)
}

/// The same with letters and signs of all scripts in the local part, and letters of all scripts in the domain (RFC 6531, 3.3).
pub fn valid_international_address(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    if local.len() > 64 || domain.len() > 255 {
        return false;
    }
    let local_good = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext));
    let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let domain_good = match literal {
        Some(inner) => {
            !inner.is_empty() && inner.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".:".contains(&octet))
        }
        None => domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_' | 'ー' | '々'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        }),
    };
    local_good && domain_good
}

/// Whether it may stand in a local part without quotation marks. What cannot be seen, or turns the direction of writing, makes
/// two addresses look like one.
fn atext(character: char) -> bool {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '\0'..='\x7f' => "!#$%&'*+-/=?^_`{|}~".contains(character),
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => false,
        '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'.. => {
            false
        }
        other => !other.is_control() && !other.is_whitespace(),
    }
}

/// The domain as the DNS and every comparison have it: in A-labels (RFC 5891), in lower case.
pub fn canonical_domain(domain: &str) -> String {
    let lower = || domain.to_ascii_lowercase();
    if domain.is_ascii() { lower() } else { idna::domain_to_ascii(domain).unwrap_or_else(|_| lower()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_scripts() {
        for good in ["佐藤.花子@office-b.example", "jiří@příklad.example", "名@支店.example"] {
            assert!(valid_international_address(good), "{good}");
            assert!(!valid_address(good), "{good}");
        }
        for bad in [
            "a\u{202e}b@b.test",
            "a\u{200b}@b.test",
            "a\u{a0}b@b.test",
            "名\u{fffd}@b.test",
            "a@b\u{2215}c.test",
            "a@b\u{3002}c",
            "a\u{85}b@b.test",
            "\u{feff}a@b.test",
        ] {
            assert!(!valid_international_address(bad), "{bad:?}");
        }
        assert_eq!(canonical_domain("支店.Example"), "xn--hxtr0m.example");
        assert_eq!(canonical_domain("Office-B.Example"), "office-b.example");
    }

    #[test]
    fn addresses() {
        for good in ["a@b", "FAX=+81312345678/T33S=12@gw.example", "hanako.sato@Office-B.Example", "x@[127.0.0.1]"] {
            assert!(valid_address(good), "{good}");
        }
        for bad in [
            "", "@", "a@", "@b", "a b@c", "a@b@c", ".a@b", "a..b@c", "a@-b", "a@b..c", "a\r\n@b", "a@b>", "名@b",
            "../x@[/]",
        ] {
            assert!(!valid_address(bad), "{bad}");
        }
    }
}
