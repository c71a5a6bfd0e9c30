//! `pkcs11:` URIs (RFC 7512), as far as they name one key in one token: which module, which token, which object, and
//! where its PIN is.

use std::path::PathBuf;

/// Octets of a URI.
const MAX_URI: usize = 2048;

/// A key in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pkcs11Uri {
    /// `module-path`: the shared library that speaks PKCS#11.
    pub module: PathBuf,
    /// `token`: the token's label.
    pub token: Option<String>,
    /// `serial`: the token's serial number.
    pub serial: Option<String>,
    /// `object`: the key's label.
    pub object: Option<String>,
    /// `id`: the key's identifier.
    pub id: Option<Vec<u8>>,
    /// `pin-source`: the file that holds the PIN.
    pub pin_file: PathBuf,
    text: String,
}

/// Why a `pkcs11:` URI cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pkcs11: URI cannot be used: {0} (RFC 7512)")]
pub struct UriError(&'static str);

impl Pkcs11Uri {
    /// Parses `text`, strictly: an attribute that is not known, or stands twice, could silently name another key.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_URI {
            return Err(UriError("it is longer than 2048 octets"));
        }
        let rest = text.strip_prefix("pkcs11:").ok_or(UriError("it must begin with pkcs11:"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self {
            module: PathBuf::new(),
            token: None,
            serial: None,
            object: None,
            id: None,
            pin_file: PathBuf::new(),
            text: text.to_owned(),
        };
        let (mut module, mut pin) = (None, None);
        for attribute in path.split(';').filter(|attribute| !attribute.is_empty()) {
            let (name, value) = split(attribute)?;
            match name {
                "token" => once(&mut uri.token, words(value)?)?,
                "serial" => once(&mut uri.serial, words(value)?)?,
                "object" => once(&mut uri.object, words(value)?)?,
                "id" => once(&mut uri.id, value)?,
                "type" if value == b"private" => {}
                "type" => return Err(UriError("type must be private")),
                _ => return Err(UriError("its path may have token, serial, object, id and type")),
            }
        }
        for attribute in query.split('&').filter(|attribute| !attribute.is_empty()) {
            let (name, value) = split(attribute)?;
            match name {
                "module-path" => once(&mut module, words(value)?)?,
                "pin-source" => once(&mut pin, words(value)?)?,
                "pin-value" => return Err(UriError("a PIN may not stand in it; name a file with pin-source")),
                _ => return Err(UriError("its query may have module-path and pin-source")),
            }
        }
        if uri.token.is_none() && uri.serial.is_none() {
            return Err(UriError("it must name the token, by token or serial"));
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(UriError("it must name the key, by object or id"));
        }
        uri.module = module.map(PathBuf::from).ok_or(UriError("module-path is missing"))?;
        if !uri.module.is_absolute() {
            return Err(UriError("module-path must be absolute"));
        }
        let pin = pin.ok_or(UriError("pin-source is missing"))?;
        // RFC 7512 2.4: a file URI, or a path as most programs take it.
        let pin = pin.strip_prefix("file://").or_else(|| pin.strip_prefix("file:")).unwrap_or(&pin);
        uri.pin_file = PathBuf::from(pin);
        if !uri.pin_file.is_absolute() {
            return Err(UriError("pin-source must be the absolute path of a file"));
        }
        Ok(uri)
    }
}

impl std::fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn split(attribute: &str) -> Result<(&str, Vec<u8>), UriError> {
    let (name, value) = attribute.split_once('=').ok_or(UriError("an attribute has no value"))?;
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        match (digit(), digit()) {
            // Two hexadecimal digits are at most 255.
            (Some(high), Some(low)) => octets.push((high * 16 + low) as u8),
            _ => return Err(UriError("a percent sign needs two hexadecimal digits")),
        }
    }
    Ok((name, octets))
}

fn words(octets: Vec<u8>) -> Result<String, UriError> {
    String::from_utf8(octets).map_err(|_| UriError("a value is not UTF-8"))
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), UriError> {
    if place.replace(value).is_some() {
        return Err(UriError("an attribute stands twice"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "pkcs11:token=The%20CA;object=issuing;id=%01%ff;type=private\
                        ?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/sealfax/pin";

    #[test]
    fn a_key_in_a_token_is_named() {
        let uri = Pkcs11Uri::parse(GOOD).unwrap();
        assert_eq!(uri.token.as_deref(), Some("The CA"));
        assert_eq!(uri.object.as_deref(), Some("issuing"));
        assert_eq!(uri.id.as_deref(), Some(&[1, 255][..]));
        assert_eq!(uri.module, PathBuf::from("/usr/lib/softhsm/libsofthsm2.so"));
        assert_eq!(uri.pin_file, PathBuf::from("/etc/sealfax/pin"));
        assert_eq!(uri.to_string(), GOOD);
    }

    #[test]
    fn what_is_unclear_or_secret_is_refused() {
        let tail = "?module-path=/m.so&pin-source=/pin";
        for (text, why) in [
            ("http:".to_owned(), "begin"),
            (format!("pkcs11:object=a{tail}"), "token"),
            (format!("pkcs11:token=a{tail}"), "key"),
            ("pkcs11:token=a;object=b?pin-source=/pin".to_owned(), "module-path"),
            ("pkcs11:token=a;object=b?module-path=m.so&pin-source=/pin".to_owned(), "absolute"),
            ("pkcs11:token=a;object=b?module-path=/m.so".to_owned(), "pin-source"),
            ("pkcs11:token=a;object=b?module-path=/m.so&pin-value=1234".to_owned(), "PIN"),
            (format!("pkcs11:token=a;token=b;object=c{tail}"), "twice"),
            (format!("pkcs11:token=a;object=%zz{tail}"), "percent"),
            (format!("pkcs11:token=a;object=%ff{tail}"), "UTF-8"),
            (format!("pkcs11:token=a;object=b;type=cert{tail}"), "type"),
            (format!("pkcs11:token=a;object=b;colour=red{tail}"), "path may"),
        ] {
            let error = Pkcs11Uri::parse(&text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("1234"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String, tail: String) {
            let _ = Pkcs11Uri::parse(&text);
            let _ = Pkcs11Uri::parse(&format!("pkcs11:{tail}"));
            let _ = Pkcs11Uri::parse(&format!("{GOOD}{tail}"));
        }
    }
}
