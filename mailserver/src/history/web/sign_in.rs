//! Signing in with an account of the mail server, and out again.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query as Parameters, State as Given};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sealfax_client::pop3_server::Password;

use super::visitor::why;
use crate::history::people::Stranger;
use crate::history::server::Shared;
use crate::pages::{
    Leaving, Next, Typed, Visit, add_cookie, enter, form_token, is_ours, leave, set_cookie, sign_in_form,
};

pub(super) async fn show(
    Given(shared): Given<Arc<Shared>>,
    visit: Visit,
    Parameters(Next { next }): Parameters<Next>,
) -> Response {
    asked(&shared, &visit, StatusCode::OK, &next, "", None)
}

/// The form, bound to what the browser's cookie says; if it has none it gets one, which is no session.
fn asked(
    shared: &Shared,
    visit: &Visit,
    status: StatusCode,
    next: &str,
    user: &str,
    refused: Option<&'static str>,
) -> Response {
    let language = visit.language;
    let title = language.say("サインイン", "Sign in");
    if !shared.people.has_accounts() {
        let text = language.say(
            "この履歴は、クライアント証明書を示した方にだけ表示されます。",
            "This history is shown to those who present a client certificate.",
        );
        return shared.told(visit, StatusCode::UNAUTHORIZED, title, text);
    }
    if !visit.takes_passwords() {
        let (title, text) = why(language, Stranger::InClear);
        return shared.told(visit, StatusCode::FORBIDDEN, title, text);
    }
    let (token, fresh) = match visit.token() {
        Some(token) => (token.to_owned(), false),
        None => (shared.pages.sessions.token(), true),
    };
    let page = shared.bare(visit, title, &sign_in_form(language, &form_token(&token), next, user, refused));
    let mut response = (status, page).into_response();
    if fresh {
        add_cookie(&mut response, set_cookie(visit.cookie_name(), &token, visit.shown.secured, None));
    }
    response
}

pub(super) async fn sign_in(Given(shared): Given<Arc<Shared>>, visit: Visit, Form(typed): Form<Typed>) -> Response {
    let Typed { user, password, token, next } = typed;
    let password = Password::new(password.into_bytes());
    if let Some(refused) = stray(&shared, &visit, &token) {
        return refused;
    }
    let refused = |stranger, status| {
        let (_, text) = why(visit.language, stranger);
        asked(&shared, &visit, status, &next, &user, Some(text))
    };
    if !visit.takes_passwords() {
        return refused(Stranger::InClear, StatusCode::FORBIDDEN);
    }
    let known = shared.people.by_password(&user, &password, visit.peer, shared.seams.clock.now()).await;
    let account = known.and_then(|person| shared.people.account(&person.name).ok_or(Stranger::Wrong));
    let account = match account {
        Ok(account) => account,
        Err(stranger) => {
            let text = format!("{} gave a wrong name or password to the pages", visit.peer);
            shared.seams.journal.security(&shared.host, "HISTORY-108", text);
            let status = match stranger {
                Stranger::TooMany => StatusCode::TOO_MANY_REQUESTS,
                Stranger::Trouble => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::UNAUTHORIZED,
            };
            return refused(stranger, status);
        }
    };
    let text = format!("{} signed in from {}", account.address, visit.peer);
    shared.seams.journal.step(&shared.host, &["T2", "V5"], text);
    enter(&shared.pages.sessions, &visit, &account, &next)
}

pub(super) async fn sign_out(
    Given(shared): Given<Arc<Shared>>,
    visit: Visit,
    Form(leaving): Form<Leaving>,
) -> Response {
    if let Some(refused) = stray(&shared, &visit, &leaving.token) {
        return refused;
    }
    leave(&shared.pages.sessions, &visit)
}

/// What is answered to a form that does not come from a page which this browser got from here.
fn stray(shared: &Shared, visit: &Visit, token: &str) -> Option<Response> {
    if is_ours(visit, token) {
        return None;
    }
    let text = format!("{} sent a form that was not made for its session", visit.peer);
    shared.seams.journal.security(&shared.host, "HISTORY-111", text);
    let language = visit.language;
    Some(shared.told(
        visit,
        StatusCode::FORBIDDEN,
        language.say("受け付けられません", "Not accepted"),
        language.say(
            "フォームの期限が切れています。ページを開き直してもう一度お試しください。クッキーを許可してください。",
            "The form has expired. Open the page again and retry; cookies have to be allowed.",
        ),
    ))
}
