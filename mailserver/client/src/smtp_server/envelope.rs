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
    /// What is wanted of delivery status notifications (RFC 3461).
    pub dsn: Dsn,
}

/// Whether `address` is a dot-atom local part (64 octets at most), `@`, and a domain or address literal (255 at
/// most), in printable ASCII.
///
/// Quoted local parts that need their quotes are refused: no address of ours has them, and every relay reads them
/// differently.
pub fn valid_address(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    if local.len() > 64 || domain.len() > 255 {
        return false;
    }
    let atext = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet);
    let local_good = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext));
    let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let domain_good = match literal {
        Some(inner) => {
            !inner.is_empty() && inner.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".:".contains(&octet))
        }
        None => domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        }),
    };
    local_good && domain_good
}

#[cfg(test)]
mod tests {
    use super::*;

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
