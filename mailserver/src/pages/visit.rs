//! One request of a browser, as far as every page wants to know it.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealfax_client::http::percent_encode;

use super::cookies::cookie;
use super::language::Language;
use crate::web::{Peer, Shown};

/// The session's cookie under TLS: of this very host, whatever its neighbours set.
const SECURED: &str = "__Host-sealfax";
/// And in clear, from loopback.
const CLEAR: &str = "sealfax";

/// Whoever comes, before anything is known of them.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// What they read.
    pub(crate) language: Language,
    /// Path and query.
    pub(crate) here: String,
    /// Their header fields.
    pub(crate) headers: HeaderMap,
    /// TLS, and their certificate.
    pub(crate) shown: Shown,
    /// Whence they come.
    pub(crate) peer: IpAddr,
    /// Whether a person asked, and not the page by itself.
    pub(crate) by_hand: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(peer)| peer.ip());
        Ok(Self {
            language: Language::of_request(&parts.headers),
            here: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            headers: parts.headers.clone(),
            shown: parts.extensions.get::<Shown>().cloned().unwrap_or_default(),
            peer,
            by_hand: !parts.headers.contains_key("sealfax-refresh"),
        })
    }
}

impl Visit {
    /// What the cookie of a session is called here.
    pub(crate) fn cookie_name(&self) -> &'static str {
        if self.shown.secured { SECURED } else { CLEAR }
    }

    /// Its value, which may be no session's.
    pub(crate) fn token(&self) -> Option<&str> {
        // What was never one of ours is not carried about.
        cookie(&self.headers, self.cookie_name())
            .filter(|token| token.len() == 43 && token.bytes().all(|octet| octet.is_ascii_graphic()))
    }

    /// Whether passwords may be typed.
    pub(crate) fn takes_passwords(&self) -> bool {
        self.shown.secured || self.peer.is_loopback()
    }

    /// The user and password of a program, if it sent some.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
    }
}

/// `path`, if it leads to a page of this server whatever a browser makes of it.
pub(crate) fn within(path: &str) -> Option<&str> {
    let plain = path.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'\\');
    (path.len() <= 2048 && plain && path.starts_with('/') && !path.starts_with("//")).then_some(path)
}

/// To another page, which is fetched by GET.
pub(crate) fn see_other(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path.to_owned())]).into_response()
}

/// The query of a link: those that have a value.
pub(crate) fn query_text(pairs: &[(&str, &str)]) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| format!("{name}={}", percent_encode(value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_away() {
        assert_eq!(within("/transmissions/7?a=b"), Some("/transmissions/7?a=b"));
        for away in ["//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil", "", "/a\r\nX: y", "/a b"]
        {
            assert_eq!(within(away), None, "{away:?}");
        }
    }
}
