//! Cookies (RFC 6265bis): which came, and how ours are set.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

/// The value of the cookie `name`, if exactly one came: of two, one was put there by somebody else.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

/// A `Set-Cookie` that no script reads and no other site sends. Without `seconds` it goes with the browser; with 0 at once.
pub(crate) fn set_cookie(name: &str, value: &str, secured: bool, seconds: Option<u64>) -> Option<HeaderValue> {
    let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let secure = if secured { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")).ok()
}

/// Puts it into an answer.
pub(crate) fn add_cookie(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_came_twice_is_nobody_s() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; sealfax=x; b=2"));
        assert_eq!(cookie(&headers, "sealfax"), Some("x"));
        assert_eq!(cookie(&headers, "seal"), None);
        headers.append(header::COOKIE, HeaderValue::from_static("sealfax=y"));
        assert_eq!(cookie(&headers, "sealfax"), None);
    }

    #[test]
    fn what_cannot_stand_in_a_field_sets_nothing() {
        assert_eq!(set_cookie("a", "b\r\nX: y", true, None), None);
        let set = set_cookie("a", "b", true, Some(0)).unwrap();
        assert_eq!(set, "a=b; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0");
    }
}
