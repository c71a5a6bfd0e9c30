//! Signing in, as far as it is the same wherever it is done.

use axum::response::Response;
use maud::{Markup, html};

use super::cookies::{add_cookie, set_cookie};
use super::guard::is_form_token;
use super::language::Language;
use super::layout::field;
use super::session::Sessions;
use super::visit::{Visit, see_other, within};
use crate::accounts::Account;

/// The query of GET `/sign-in`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Next {
    pub(crate) next: String,
}

/// What is typed.
#[derive(serde::Deserialize)]
pub(crate) struct Typed {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) next: String,
}

/// The button that ends a session.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Leaving {
    pub(crate) token: String,
}

/// Whether a form comes from a page that this browser got from here.
pub(crate) fn is_ours(visit: &Visit, token: &str) -> bool {
    visit.token().is_some_and(|session| is_form_token(session, token))
}

/// Begins a session of `account` in place of whatever the browser had before, and leads on to `next`.
pub(crate) fn enter(sessions: &Sessions, visit: &Visit, account: &Account, next: &str) -> Response {
    if let Some(before) = visit.token() {
        sessions.end(before);
    }
    let session = sessions.begin(account);
    let mut response = see_other(within(next).unwrap_or("/"));
    add_cookie(&mut response, set_cookie(visit.cookie_name(), &session, visit.shown.secured, None));
    response
}

/// Ends the session, and leads to where one signs in.
pub(crate) fn leave(sessions: &Sessions, visit: &Visit) -> Response {
    if let Some(token) = visit.token() {
        sessions.end(token);
    }
    let mut response = see_other("/sign-in");
    add_cookie(&mut response, set_cookie(visit.cookie_name(), "", visit.shown.secured, Some(0)));
    response
}

/// The form, for a browser whose forms carry `token`; afterwards it goes to `next`.
pub(crate) fn sign_in_form(language: Language, token: &str, next: &str, user: &str, refused: Option<&str>) -> Markup {
    html! {
        @if let Some(refused) = refused { p.wrong role="alert" { (refused) } }
        form.sign-in method="post" action="/sign-in" {
            input type="hidden" name="token" value=(token);
            input type="hidden" name="next" value=(within(next).unwrap_or_default());
            (field("user", "text", user, language.say("メールアドレス", "Mail address"), None, None))
            (field("password", "password", "", language.say("パスワード", "Password"), None, None))
            button.first { (language.say("サインイン", "Sign in")) }
        }
        p.hint {
            (language.say(
                "クライアント証明書を示した方は、サインインなしでご覧になれます。",
                "Whoever presents a client certificate needs no password.",
            ))
        }
    }
}
