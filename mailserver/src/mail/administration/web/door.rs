//! Who administrates: accounts that the configuration names, by password or by the certificate that TLS verified.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query as Parameters, State as Given};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};
use sealfax_client::lookup::same_address;
use sealfax_client::pop3_server::Password;

use super::Desk;
use crate::accounts::Account;
use crate::mail::Unknown;
use crate::pages::{
    Frame, Leaving, Next, Typed, Visit, add_cookie, enter, form_token, is_ours, leave, page, set_cookie, sign_in_form,
};

impl Desk {
    /// The administrator who asks, if it is one.
    pub(super) fn administrator(&self, visit: &Visit) -> Option<String> {
        let credentials = &self.core.credentials;
        let by_certificate = || credentials.by_certificate(visit.shown.certificate.as_deref()?, None).ok();
        let by_session = || {
            let session = self.sessions.find(visit.token()?, visit.by_hand)?;
            credentials.standing(&session.account).filter(|account| account.stamp() == session.stamp)
        };
        let account = by_certificate().filter(|account| self.is_administrator(account)).or_else(by_session)?;
        self.is_administrator(&account).then_some(account.address)
    }

    fn is_administrator(&self, account: &Account) -> bool {
        self.core.config().administrators.iter().any(|named| same_address(named, &account.address))
    }

    /// A whole page. What its forms need is in a cookie, which a browser without one gets.
    pub(super) fn dressed(
        &self,
        visit: &Visit,
        title: &str,
        who: Option<&str>,
        main: impl FnOnce(&str) -> Markup,
    ) -> Response {
        let (cookie, fresh) = match visit.token() {
            Some(token) => (token.to_owned(), false),
            None => (self.sessions.token(), true),
        };
        let token = form_token(&cookie);
        let language = visit.language;
        let frame = Frame {
            language,
            title,
            here: &visit.here,
            site: language.say("Sealfax メールサーバー", "Sealfax mail server"),
            ways: &[],
            who,
            token: who.map(|_| token.as_str()),
            foot: html! { p { (self.core.host()) ", Sealfax " (env!("CARGO_PKG_VERSION")) } },
        };
        let mut response = Html(page(&frame, &main(&token)).into_string()).into_response();
        if fresh {
            add_cookie(&mut response, set_cookie(visit.cookie_name(), &cookie, visit.shown.secured, None));
        }
        response
    }

    /// A page that says one thing.
    pub(super) fn told(&self, visit: &Visit, status: StatusCode, title: &str, text: &str) -> Response {
        let back = visit.language.say("概要へ", "To the overview");
        let page = self.dressed(visit, title, None, |_| html! { p { (text) } p { a href="/" { (back) } } });
        (status, page).into_response()
    }

    /// What is answered to a form that does not come from a page which this browser got from here.
    pub(super) fn stray(&self, visit: &Visit, token: &str) -> Option<Response> {
        if is_ours(visit, token) {
            return None;
        }
        let text = format!("{} sent a form to the administrator's page that was not made for it", visit.peer);
        self.core.seams.journal.security(self.core.host(), "ADMIN-FORM", text);
        let language = visit.language;
        Some(self.told(
            visit,
            StatusCode::FORBIDDEN,
            language.say("受け付けられません", "Not accepted"),
            language.say(
                "フォームの期限が切れています。ページを開き直してください。",
                "The form has expired. Open the page again and retry.",
            ),
        ))
    }
}

pub(super) async fn show(
    Given(desk): Given<Arc<Desk>>,
    visit: Visit,
    Parameters(Next { next }): Parameters<Next>,
) -> Response {
    asked(&desk, &visit, StatusCode::OK, &next, "", None)
}

fn asked(
    desk: &Desk,
    visit: &Visit,
    status: StatusCode,
    next: &str,
    user: &str,
    refused: Option<&'static str>,
) -> Response {
    let title = visit.language.say("管理者のサインイン", "Administrator's sign-in");
    let form = |token: &str| sign_in_form(visit.language, token, next, user, refused);
    (status, desk.dressed(visit, title, None, form)).into_response()
}

pub(super) async fn sign_in(Given(desk): Given<Arc<Desk>>, visit: Visit, Form(typed): Form<Typed>) -> Response {
    let Typed { user, password, token, next } = typed;
    let password = Password::new(password.into_bytes());
    if let Some(refused) = desk.stray(&visit, &token) {
        return refused;
    }
    let language = visit.language;
    let journal = &desk.core.seams.journal;
    if !visit.takes_passwords() {
        let text = language.say("パスワードは TLS でのみ受け付けます。", "Passwords are taken under TLS alone.");
        return asked(&desk, &visit, StatusCode::FORBIDDEN, &next, &user, Some(text));
    }
    let now = desk.core.seams.clock.now();
    let known = desk.core.credentials.by_password(&user, &password, visit.peer, now).await;
    // Who has the password of an account that administrates nothing is told what others are.
    let known =
        known.and_then(|account| if desk.is_administrator(&account) { Ok(account) } else { Err(Unknown::Wrong) });
    let account = match known {
        Ok(account) => account,
        Err(unknown) => {
            let text = format!("{} gave a wrong name or password to the administrator's page", visit.peer);
            journal.security(desk.core.host(), "ADMIN-LOGIN", text);
            let (status, text) = match unknown {
                Unknown::Wrong => (
                    StatusCode::UNAUTHORIZED,
                    language.say("アドレスまたはパスワードが違います。", "The address or the password is wrong."),
                ),
                Unknown::TooMany => (
                    StatusCode::TOO_MANY_REQUESTS,
                    language.say("10 分後にもう一度お試しください。", "Please try again in ten minutes."),
                ),
                Unknown::Trouble => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    language.say("しばらくしてからもう一度お試しください。", "Please try again later."),
                ),
            };
            return asked(&desk, &visit, status, &next, &user, Some(text));
        }
    };
    journal.note(desk.core.host(), format!("{} signed in to administrate, from {}", account.address, visit.peer));
    enter(&desk.sessions, &visit, &account, &next)
}

pub(super) async fn sign_out(Given(desk): Given<Arc<Desk>>, visit: Visit, Form(leaving): Form<Leaving>) -> Response {
    if let Some(refused) = desk.stray(&visit, &leaving.token) {
        return refused;
    }
    leave(&desk.sessions, &visit)
}

/// For paths that lead nowhere.
pub(super) async fn nothing_there(Given(desk): Given<Arc<Desk>>, visit: Visit) -> Response {
    let language = visit.language;
    let title = language.say("見つかりません", "Not found");
    desk.told(&visit, StatusCode::NOT_FOUND, title, language.say("このページはありません。", "There is no such page."))
}
