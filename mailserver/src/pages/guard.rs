//! What keeps other people's pages away from ours: header fields, a look at where a request comes from, and tokens in forms.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::web::Shown;

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const ALWAYS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
];

/// Answers nothing that another site's page had a browser ask for, and tells browsers what they may do with the rest.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    let secured = request.extensions().get::<Shown>().is_some_and(|shown| shown.secured);
    let mut response = if is_foreign(request.method(), request.headers()) {
        (StatusCode::FORBIDDEN, "not from another site's page").into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if secured {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Whether a browser sends this for a page of somebody else's. A link may lead here, and nothing more. Programs send none of
/// these fields.
fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    let field = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let reads = method == Method::GET || method == Method::HEAD;
    match field("sec-fetch-site") {
        Some("same-origin" | "none") => false,
        Some(_) => !(reads && field("sec-fetch-mode") == Some("navigate")),
        // Older browsers say with a form at least where it stood.
        None => {
            let host = field("host").unwrap_or_default();
            let ours = |origin: &str| {
                origin.strip_prefix("https://").or(origin.strip_prefix("http://")).is_some_and(|named| named == host)
            };
            !reads && field("origin").is_some_and(|origin| !ours(origin))
        }
    }
}

/// The token that the forms of a session carry. Who knows it does not know the session's.
pub(crate) fn form_token(session: &str) -> String {
    let digest = Sha256::new().chain_update(b"sealfax form\0").chain_update(session.as_bytes()).finalize();
    URL_SAFE_NO_PAD.encode(digest)
}

/// Whether a form with the token `given` was made for this session.
pub(crate) fn is_form_token(session: &str, given: &str) -> bool {
    form_token(session).as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn foreign(method: Method, fields: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        is_foreign(&method, &headers)
    }

    #[test]
    fn another_site_may_link_here_and_no_more() {
        let from = |site, mode| [("sec-fetch-site", site), ("sec-fetch-mode", mode)];
        assert!(!foreign(Method::GET, &from("cross-site", "navigate")));
        assert!(foreign(Method::GET, &from("cross-site", "no-cors")));
        assert!(foreign(Method::GET, &from("same-site", "cors")));
        assert!(foreign(Method::POST, &from("cross-site", "navigate")));
        assert!(!foreign(Method::POST, &from("same-origin", "navigate")));
    }

    #[test]
    fn without_that_a_form_has_to_come_from_here() {
        let from = |origin| [("host", "history.example:8443"), ("origin", origin)];
        assert!(!foreign(Method::POST, &from("https://history.example:8443")));
        assert!(foreign(Method::POST, &from("https://history.example")));
        assert!(foreign(Method::POST, &from("https://history.example:8443.evil.example")));
        assert!(foreign(Method::POST, &from("null")));
        assert!(!foreign(Method::GET, &from("https://evil.example")));
        // Programs.
        assert!(!foreign(Method::POST, &[("host", "history.example:8443")]));
    }

    #[test]
    fn a_form_is_good_in_its_own_session_only() {
        assert!(is_form_token("one", &form_token("one")));
        assert!(!is_form_token("one", &form_token("other")));
        assert!(!is_form_token("one", ""));
    }
}
