//! Who looks, and what they get where there is nothing to see.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};

use crate::history::HistoryError;
use crate::history::people::{Person, Stranger};
use crate::history::server::Shared;
use crate::pages::{Frame, Language, Visit, form_token, page, query_text, see_other};
use crate::web::Peer;

/// Somebody who was let in.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) visit: Visit,
    pub(super) person: Person,
    /// For their forms, if they have a session to sign out of.
    token: Option<String>,
}

impl Visitor {
    pub(super) fn language(&self) -> Language {
        self.visit.language
    }

    /// A whole page for them.
    pub(super) fn page(&self, shared: &Shared, title: &str, main: &Markup) -> Response {
        let who = Some(self.person.name.as_str());
        dressed(shared, &self.visit, title, who, self.token.as_deref(), main).into_response()
    }
}

fn dressed(
    shared: &Shared,
    visit: &Visit,
    title: &str,
    who: Option<&str>,
    token: Option<&str>,
    main: &Markup,
) -> Html<String> {
    let language = visit.language;
    let ways = [("/", language.say("送信履歴", "Transmissions"))];
    let frame = Frame {
        language,
        title,
        here: &visit.here,
        site: language.say("Sealfax 履歴", "Sealfax history"),
        ways: if who.is_some() { &ways } else { &[] },
        who,
        token,
        foot: html! {
            p {
                (language.say("履歴の公開鍵: ", "Public key of this history: ")) code { (shared.key) } " "
                a href="/checkpoint" { (language.say("最新のチェックポイント", "Latest checkpoint")) }
            }
        },
    };
    Html(page(&frame, main).into_string())
}

impl Shared {
    /// Whoever shows who they are with every request, or has signed in before.
    pub(in crate::history) fn known(&self, visit: &Visit) -> Option<Person> {
        self.by_certificate(visit).or_else(|| self.by_session(visit))
    }

    fn by_certificate(&self, visit: &Visit) -> Option<Person> {
        visit.shown.certificate.as_deref().and_then(|certificate| self.people.by_certificate(certificate))
    }

    fn by_session(&self, visit: &Visit) -> Option<Person> {
        let session = self.pages.sessions.find(visit.token()?, visit.by_hand)?;
        self.people.by_session(&session)
    }

    /// Lets somebody in, or says what they get instead.
    pub(super) async fn visitor(&self, visit: Visit) -> Result<Visitor, Response> {
        // A certificate is shown again with every request; there is nothing to sign out of.
        if let Some(person) = self.by_certificate(&visit) {
            return Ok(Visitor { visit, person, token: None });
        }
        if let Some(person) = self.by_session(&visit) {
            let token = visit.token().map(form_token);
            return Ok(Visitor { visit, person, token });
        }
        let (peer, now) = (Peer((visit.peer, 0).into()), self.seams.clock.now());
        match self.people.of_request(&visit.shown, peer, visit.authorization(), now).await {
            Ok(person) => Ok(Visitor { visit, person, token: None }),
            Err(Stranger::Silent) => {
                let next = query_text(&[("next", if visit.here == "/" { "" } else { &visit.here })]);
                Err(see_other(format!("/sign-in?{next}").trim_end_matches('?')))
            }
            Err(stranger) => Err(self.turned_away(&visit, stranger)),
        }
    }

    fn turned_away(&self, visit: &Visit, stranger: Stranger) -> Response {
        if stranger == Stranger::Wrong {
            let text = format!("{} gave a wrong name or password", visit.peer);
            self.seams.journal.security(&self.host, "HISTORY-108", text);
        }
        let status = match stranger {
            Stranger::Silent | Stranger::Wrong => StatusCode::UNAUTHORIZED,
            Stranger::InClear => StatusCode::FORBIDDEN,
            Stranger::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Stranger::Trouble => StatusCode::SERVICE_UNAVAILABLE,
        };
        let (title, text) = why(visit.language, stranger);
        self.told(visit, status, title, text)
    }

    /// A page that says one thing.
    pub(super) fn told(&self, visit: &Visit, status: StatusCode, title: &str, text: &str) -> Response {
        let main = html! {
            p { (text) }
            p { a href="/" { (visit.language.say("送信履歴へ", "To the transmissions")) } }
        };
        (status, dressed(self, visit, title, None, None, &main)).into_response()
    }

    /// The page without anybody's name on it.
    pub(super) fn bare(&self, visit: &Visit, title: &str, main: &Markup) -> Response {
        dressed(self, visit, title, None, None, main).into_response()
    }

    /// There is no such thing, or not for whoever asks: nobody is told which.
    pub(super) fn not_there(&self, visit: &Visit) -> Response {
        let language = visit.language;
        self.told(
            visit,
            StatusCode::NOT_FOUND,
            language.say("見つかりません", "Not found"),
            language.say(
                "このページはありません。または、ご覧になれません。",
                "There is no such page, or it is not for you to see.",
            ),
        )
    }

    /// What becomes of an error: into the journal, and a constant word to whoever asks.
    pub(super) fn trouble(&self, visit: &Visit, what: &str, error: &HistoryError) -> Response {
        let status = self.answer(what, error).status();
        if status == StatusCode::NOT_FOUND {
            return self.not_there(visit);
        }
        let language = visit.language;
        self.told(
            visit,
            status,
            language.say("履歴を読めません", "The history cannot be read"),
            language.say(
                "しばらくしてからもう一度お試しください。続くときは管理者にお知らせください。",
                "Please try again later, and tell an administrator if it goes on.",
            ),
        )
    }

    /// Who looked at what stands in the journal.
    pub(super) fn looked(&self, visitor: &Visitor, what: &str) {
        let name = &visitor.person.name;
        let text = match visitor.visit.by_hand {
            true => format!("{name} looked at {what}"),
            false => format!("the page of {name} looked again at {what}"),
        };
        self.seams.journal.step(&self.host, &["T2", "V5"], text);
    }
}

/// Title and text for somebody who is not let in; the same for a wrong name and a wrong password.
pub(super) fn why(language: Language, stranger: Stranger) -> (&'static str, &'static str) {
    match stranger {
        Stranger::Silent | Stranger::Wrong => (
            language.say("サインインできません", "Not signed in"),
            language.say("アドレスまたはパスワードが違います。", "The address or the password is wrong."),
        ),
        Stranger::InClear => (
            language.say("暗号化されていません", "Not encrypted"),
            language
                .say("パスワードは TLS (https) でのみ受け付けます。", "Passwords are taken under TLS (https) alone."),
        ),
        Stranger::TooMany => (
            language.say("試行が多すぎます", "Too many attempts"),
            language.say("10 分後にもう一度お試しください。", "Please try again in ten minutes."),
        ),
        Stranger::Trouble => (
            language.say("サインインできません", "Not signed in"),
            language.say("しばらくしてからもう一度お試しください。", "Please try again later."),
        ),
    }
}

/// A part of a page that looks anew when there is something new; made when the log had `seen` records.
pub(super) fn live(language: Language, seen: u64, part: &Markup) -> Markup {
    let news = language.say("新しい記録があり、更新しました:", "There is something new; updated:");
    html! {
        p #status role="status" aria-live="polite" data-news=(news) {}
        div #live data-seen=(seen) { (part) }
    }
}

/// A number in a path, written in the one way that there is.
pub(super) fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// For paths that lead nowhere.
pub(super) async fn nothing_there(State(shared): State<Arc<Shared>>, visit: Visit) -> Response {
    shared.not_there(&visit)
}
