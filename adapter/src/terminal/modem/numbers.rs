//! To whom a call of the fax machine is: the subaddress (ITU-T T.33, T.30's SUB) or the number that was dialled stands in a
//! file beside the mail addresses it means, or becomes a fax address at a gateway (RFC 3191).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealfax_drivers::modem::identity::plain_number;
use sealfax_ifax::Address;
use sealfax_ifax::address::{AddressError, FaxNumber};
use serde::Deserialize;

/// Most addresses of one number, as of one mail of the machine's.
const MOST: usize = 100;
/// Under this key stand those for whom every call is that names nobody.
const EVERYBODY_ELSE: &str = "*";

/// Why the file of numbers cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NumbersError {
    /// It cannot be read.
    #[error("{}: it cannot be read ({source})", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not a list of numbers.
    #[error("{}: {source}; write lines such as \"100\" = \"hanako@b.example\"", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The gateway is no domain.
    #[error("\"{0}\" is no domain of a fax gateway")]
    Gateway(String),
    /// A number that nobody can dial.
    #[error("{}: \"{number}\" is no number; digits, #, * and + are, and \"*\" alone stands for every other", path.display())]
    Number {
        /// Which file.
        path: PathBuf,
        /// The number.
        number: String,
    },
    /// Two keys that are one number.
    #[error("{}: the number {number} stands there twice", path.display())]
    Twice {
        /// Which file.
        path: PathBuf,
        /// The number.
        number: String,
    },
    /// No address, or too many.
    #[error("{}: {number} has {count} addresses; 1 to {MOST} are possible", path.display())]
    Count {
        /// Which file.
        path: PathBuf,
        /// The number.
        number: String,
        /// How many.
        count: usize,
    },
    /// An address that is none.
    #[error("{}: {number}: {source}", path.display())]
    Address {
        /// Which file.
        path: PathBuf,
        /// The number.
        number: String,
        /// Why.
        #[source]
        source: AddressError,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<String>),
}

/// Who is meant by which number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    known: BTreeMap<String, Vec<Address>>,
    gateway: Option<String>,
}

impl Numbers {
    /// Reads the file, if there is one. Whatever stands in neither goes to `gateway`, if there is one.
    pub fn read(file: Option<&Path>, gateway: Option<&str>) -> Result<Self, NumbersError> {
        if let Some(gateway) = gateway.filter(|gateway| at_gateway("1", gateway).is_none()) {
            return Err(NumbersError::Gateway(gateway.to_owned()));
        }
        let gateway = gateway.map(str::to_owned);
        let Some(path) = file else { return Ok(Self { known: BTreeMap::new(), gateway }) };
        let text =
            std::fs::read_to_string(path).map_err(|source| NumbersError::Read { path: path.to_owned(), source })?;
        Ok(Self { known: parse(&text, path)?, gateway })
    }

    /// Whether there is anybody to whom a call can be.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.gateway.is_none()
    }

    /// Those for whom a call is; empty: nobody is known under what was said. A subaddress counts alone; whoever says nothing at
    /// all means everybody else.
    pub fn addressees(&self, subaddress: Option<&str>, dialled: Option<&str>) -> Vec<String> {
        let Some(said) = subaddress.or(dialled) else {
            return self.known.get(EVERYBODY_ELSE).map(|addresses| texts(addresses)).unwrap_or_default();
        };
        let Some(number) = digits(said) else { return Vec::new() };
        match self.known.get(&number) {
            Some(addresses) => texts(addresses),
            None => self.at_the_gateway(&number).into_iter().collect(),
        }
    }

    fn at_the_gateway(&self, number: &str) -> Option<String> {
        let (gateway, global) = (self.gateway.as_ref()?, number.strip_prefix('+')?);
        at_gateway(global, gateway)
    }
}

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// A fax address (RFC 3191); `None` if it is no number of the world-wide plan, or the gateway no domain.
fn at_gateway(global: &str, gateway: &str) -> Option<String> {
    let fax = FaxNumber { number: global.to_owned(), subaddress: None };
    let address = Address::parse(&format!("{}@{gateway}", fax.to_local())).ok()?;
    FaxNumber::parse(&address).ok().map(|_| address.to_string())
}

fn parse(text: &str, path: &Path) -> Result<BTreeMap<String, Vec<Address>>, NumbersError> {
    let written: BTreeMap<String, Written> = toml::from_str(text)
        .map_err(|source| NumbersError::Form { path: path.to_owned(), source: Box::new(source) })?;
    let mut known = BTreeMap::new();
    for (key, written) in written {
        let number = match key.as_str() {
            EVERYBODY_ELSE => key.clone(),
            _ => digits(&key).ok_or_else(|| NumbersError::Number { path: path.to_owned(), number: key.clone() })?,
        };
        let texts = match written {
            Written::One(text) => vec![text],
            Written::Several(texts) => texts,
        };
        if texts.is_empty() || texts.len() > MOST {
            return Err(NumbersError::Count { path: path.to_owned(), number, count: texts.len() });
        }
        let parsed: Result<Vec<Address>, AddressError> = texts.iter().map(|text| Address::parse(text)).collect();
        let addresses =
            parsed.map_err(|source| NumbersError::Address { path: path.to_owned(), number: number.clone(), source })?;
        if known.insert(number.clone(), addresses).is_some() {
            return Err(NumbersError::Twice { path: path.to_owned(), number });
        }
    }
    Ok(known)
}

/// A number without what stands in it for the eye; `None` if it is none.
fn digits(text: &str) -> Option<String> {
    plain_number(text).filter(|number| number != EVERYBODY_ELSE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn numbers(text: &str, gateway: Option<&str>) -> Result<Numbers, NumbersError> {
        let known = parse(text, Path::new("numbers.toml"))?;
        Ok(Numbers { known, gateway: gateway.map(str::to_owned) })
    }

    #[test]
    fn a_subaddress_comes_before_the_number() {
        let text = "\"100\" = \"hanako@b.example\"\n\"+81 3-1234-5678\" = [\"ichiro@b.example\", \"jiro@b.example\"]\n";
        let known = numbers(text, None).unwrap();
        assert_eq!(known.addressees(Some("100"), Some("+81312345678")), ["hanako@b.example"]);
        assert_eq!(known.addressees(None, Some("+81(3)1234.5678")), ["ichiro@b.example", "jiro@b.example"]);
        // A slip in the subaddress is no other person's.
        assert!(known.addressees(Some("999"), Some("100")).is_empty());
        assert!(known.addressees(Some("101"), None).is_empty() && known.addressees(None, None).is_empty());
    }

    #[test]
    fn what_stands_nowhere_goes_to_the_gateway_or_to_everybody_else() {
        let known = numbers("\"*\" = \"desk@b.example\"\n", Some("fax.example")).unwrap();
        assert_eq!(known.addressees(None, Some("+12025551212")), ["FAX=+12025551212@fax.example"]);
        assert_eq!(known.addressees(None, None), ["desk@b.example"]);
        for said in ["7", "*", "x"] {
            assert!(known.addressees(Some(said), None).is_empty(), "{said}");
        }
        assert!(Numbers::read(None, Some("no domain")).is_err());
        let gateway = numbers("", Some("fax.example")).unwrap();
        assert!(gateway.addressees(None, Some("+1#2")).is_empty() && gateway.addressees(None, Some("100")).is_empty());
        assert!(!gateway.is_empty() && numbers("", None).unwrap().is_empty());
    }

    #[test]
    fn every_mistake_is_named() {
        for (text, word) in [
            ("100 = ", "write lines such as"),
            ("\"1a\" = \"a@b.example\"", "is no number"),
            ("\"1 0\" = \"a@b.example\"\n\"10\" = \"a@b.example\"", "twice"),
            ("\"10\" = []", "0 addresses"),
            ("\"10\" = \"nobody\"", "not a mail address"),
        ] {
            let said = numbers(text, None).unwrap_err().to_string();
            assert!(said.contains(word) && said.starts_with("numbers.toml"), "{said}");
        }
    }
}
