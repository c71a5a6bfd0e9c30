//! Where an OCSP responder is, as it stands in a configuration: an `http` URL (RFC 9110, 4.2.1).

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;

/// Host, port and path of a responder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Location {
    /// A host name, or an address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path with its query: "/", "/ocsp".
    pub path: String,
}

/// Why a text is not such a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} does not say where an OCSP responder is ({why}); write it like \"http://ocsp.example:80/path\"")]
pub struct BadLocation {
    text: String,
    why: &'static str,
}

impl FromStr for Location {
    type Err = BadLocation;

    fn from_str(text: &str) -> Result<Self, BadLocation> {
        let bad = |why| BadLocation { text: text.chars().take(200).collect(), why };
        let url: http::Uri = text.parse().map_err(|_| bad("not a URL"))?;
        match url.scheme_str() {
            Some("http") => {}
            // RFC 6960 A: answers are signed, and a TLS connection would need this very check.
            Some("https") => return Err(bad("https is not spoken here; the answers are signed, so http is enough")),
            _ => return Err(bad("it does not begin with http://")),
        }
        let authority = url.authority().ok_or_else(|| bad("no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a user name has no place in it"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("no host"));
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().ends_with(':') || authority.host().len() != authority.as_str().len() => {
                return Err(bad("the port is not a number"));
            }
            None => 80,
        };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self { host: host.to_ascii_lowercase(), port, path: path.to_owned() })
    }
}

impl TryFrom<String> for Location {
    type Error = BadLocation;

    fn try_from(text: String) -> Result<Self, BadLocation> {
        text.parse()
    }
}

impl Location {
    /// Address and port, if the host is an address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// Value of the `Host` field (RFC 9110, 7.2).
    pub fn authority(&self) -> String {
        match self.address() {
            Some(address) => address.to_string(),
            None => format!("{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_may_be_configured() {
        let read = |text: &str| text.parse::<Location>().unwrap();
        let location = |host: &str, port, path: &str| Location { host: host.into(), port, path: path.into() };
        assert_eq!(read("http://OCSP.example/"), location("ocsp.example", 80, "/"));
        assert_eq!(read("http://ocsp.example"), location("ocsp.example", 80, "/"));
        assert_eq!(read("http://127.0.0.1:2560/a/b?c"), location("127.0.0.1", 2560, "/a/b?c"));
        assert_eq!(read("http://[::1]:2560/").authority(), "[::1]:2560");
        assert_eq!(read("http://127.0.0.1:2560").address(), Some("127.0.0.1:2560".parse().unwrap()));
        assert_eq!(read("http://ocsp.example:81/").authority(), "ocsp.example:81");
    }

    #[test]
    fn what_may_not_says_why() {
        for (text, why) in [
            ("https://ocsp.example/", "https is not spoken here"),
            ("ocsp.example:80", "http://"),
            ("/ocsp", "http://"),
            ("http://user@ocsp.example/", "user name"),
            ("http://ocsp.example:port/", "the port is not a number"),
            ("http:///ocsp", "not a URL"),
            ("", "not a URL"),
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("http://ocsp.example:80/path"), "{text:?}: {error}");
        }
    }
}
