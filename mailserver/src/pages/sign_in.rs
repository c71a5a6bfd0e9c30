//! Signing in, as far as it is the same wherever it is done.

use maud::{Markup, html};

use super::language::Language;
use super::layout::field;
use super::visit::within;

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
