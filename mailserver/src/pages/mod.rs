//! What people see of the servers in a browser: pages made here, that work without script, and a little better with it. The
//! history's and the administrator's are built from the same parts.

mod cookies;
mod guard;
mod language;
mod layout;
mod session;
mod sign_in;
#[cfg(test)]
pub(crate) mod testing;
mod visit;
mod zone;

use axum::Router;
use axum::http::header;
use axum::routing::get;

pub(crate) use self::cookies::{add_cookie, set_cookie};
pub(crate) use self::guard::{form_token, harden};
pub(crate) use self::language::{Language, set_language};
pub(crate) use self::layout::{Frame, field, page};
pub(crate) use self::session::{Session, Sessions};
pub(crate) use self::sign_in::{Leaving, Next, Typed, enter, is_ours, leave, sign_in_form};
pub(crate) use self::visit::{Visit, query_text, see_other};
pub use self::zone::Zone;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
const ICON: &str = include_str!("icon.svg");

/// Stylesheet, script, icon, and the choice of a language.
pub(crate) fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let asset = |kind: &'static str, text: &'static str| {
        // Their addresses carry the version: another version, another address.
        get(
            move || async move { ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=86400")], text) },
        )
    };
    Router::new()
        .route("/style.css", asset("text/css; charset=utf-8", STYLE))
        .route("/script.js", asset("text/javascript; charset=utf-8", SCRIPT))
        .route("/icon.svg", asset("image/svg+xml", ICON))
        .route("/language", get(set_language))
}
