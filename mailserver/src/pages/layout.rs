//! What all pages have around them.

use maud::{DOCTYPE, Markup, html};

use super::language::Language;
use super::visit::query_text;

/// What stands around a page's own part.
pub(crate) struct Frame<'a> {
    /// What it is read in.
    pub(crate) language: Language,
    /// Its name; the only `h1`.
    pub(crate) title: &'a str,
    /// Path and query.
    pub(crate) here: &'a str,
    /// Whose pages these are.
    pub(crate) site: &'a str,
    /// Links to others of them: path and words.
    pub(crate) ways: &'a [(&'a str, &'a str)],
    /// Who is signed in.
    pub(crate) who: Option<&'a str>,
    /// The token of their forms, if they can sign out.
    pub(crate) token: Option<&'a str>,
    /// Said at the end.
    pub(crate) foot: Markup,
}

/// A whole page.
pub(crate) fn page(frame: &Frame<'_>, main: &Markup) -> Markup {
    let language = frame.language;
    let version = env!("CARGO_PKG_VERSION");
    html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) " – " (frame.site) }
                link rel="icon" type="image/svg+xml" href={ "/icon.svg?v=" (version) };
                link rel="stylesheet" href={ "/style.css?v=" (version) };
                script src={ "/script.js?v=" (version) } defer {}
            }
            body {
                a.skip href="#main" { (language.say("本文へ", "Skip to content")) }
                header {
                    p.site { a href="/" { (frame.site) } }
                    @if !frame.ways.is_empty() {
                        nav aria-label=(language.say("ページ", "Pages")) {
                            ul {
                                @for (path, words) in frame.ways {
                                    li { a href=(path) aria-current=[(frame.here == *path).then_some("page")] { (words) } }
                                }
                            }
                        }
                    }
                    (languages(frame))
                    @if let Some(who) = frame.who { (signed_in(frame, who)) }
                }
                main #main tabindex="-1" {
                    h1 { (frame.title) }
                    (main)
                }
                footer { (frame.foot) }
            }
        }
    }
}

fn languages(frame: &Frame<'_>) -> Markup {
    // Each name in its own language, whatever the page speaks.
    let known = [(Language::Japanese, "日本語"), (Language::English, "English")];
    html! {
        nav aria-label=(frame.language.say("言語", "Language")) {
            ul {
                @for (language, name) in known {
                    @let tag = language.tag();
                    @let query = query_text(&[("set", tag), ("back", frame.here)]);
                    li {
                        a lang=(tag) hreflang=(tag) href={ "/language?" (query) }
                            aria-current=[(language == frame.language).then_some("true")] { (name) }
                    }
                }
            }
        }
    }
}

fn signed_in(frame: &Frame<'_>, who: &str) -> Markup {
    let language = frame.language;
    html! {
        div.who {
            p { (language.say("利用者: ", "Signed in: ")) bdi { (who) } }
            @if let Some(token) = frame.token {
                form method="post" action="/sign-out" {
                    input type="hidden" name="token" value=(token);
                    button { (language.say("サインアウト", "Sign out")) }
                }
            }
        }
    }
}

/// A field of a form with its label, `wrong` saying what is to be put right, `about` what it is for.
pub(crate) fn field(
    name: &str,
    kind: &str,
    value: &str,
    label: &str,
    about: Option<&str>,
    wrong: Option<&str>,
) -> Markup {
    let (about_id, wrong_id) = (format!("{name}-about"), format!("{name}-wrong"));
    let described = match (about, wrong) {
        (None, None) => None,
        (Some(_), None) => Some(about_id.clone()),
        (None, Some(_)) => Some(wrong_id.clone()),
        (Some(_), Some(_)) => Some(format!("{wrong_id} {about_id}")),
    };
    let complete = match (name, kind) {
        ("user", _) => "username",
        (_, "password") => "current-password",
        _ => "off",
    };
    html! {
        div.field {
            label for=(name) { (label) }
            @if let Some(wrong) = wrong { p.wrong id=(wrong_id) { (wrong) } }
            input id=(name) name=(name) type=(kind) value=(value) autocomplete=(complete) spellcheck="false"
                aria-invalid=[wrong.map(|_| "true")] aria-describedby=[described] maxlength=[(kind != "date").then_some("998")];
            @if let Some(about) = about { p.about id=(about_id) { (about) } }
        }
    }
}
