//! Japanese and English.

use axum::extract::Query;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::cookies::{cookie, set_cookie};
use super::visit::{Visit, see_other, within};

/// The cookie that keeps the choice.
const COOKIE: &str = "sealfax-language";
/// A year.
const KEPT: u64 = 365 * 24 * 3600;

/// A language that the pages speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// 日本語
    Japanese,
    /// English
    English,
}

impl Language {
    /// As HTML's `lang` names it.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::Japanese => "ja",
            Self::English => "en",
        }
    }

    /// That of the two texts which is in this language.
    pub(crate) const fn say(self, japanese: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Japanese => japanese,
            Self::English => english,
        }
    }

    fn of(tag: &str) -> Option<Self> {
        match tag {
            "ja" => Some(Self::Japanese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// What was chosen, else what the browser prefers (RFC 9110, 12.5.4), else Japanese.
    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        let chosen = cookie(headers, COOKIE).and_then(Self::of);
        let preferred = || headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).map(preferred);
        chosen.or_else(preferred).unwrap_or(Self::Japanese)
    }
}

fn preferred(field: &str) -> Language {
    let mut best: Option<(Language, f32)> = None;
    for range in field.split(',') {
        let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(1.0, |digits| digits.parse().unwrap_or(0.0));
        let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        if let Some(language) = Language::of(&primary)
            && weight > 0.0
            && best.is_none_or(|(_, most)| weight > most)
        {
            best = Some((language, weight));
        }
    }
    // Who reads neither is likelier to make something of English.
    best.map_or(Language::English, |(language, _)| language)
}

/// The query of `/language`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Choice {
    set: String,
    #[serde(default)]
    back: String,
}

/// Keeps the choice and leads back. It changes nothing but what its own browser is shown, so a link may do it.
pub(crate) async fn set_language(visit: Visit, Query(Choice { set, back }): Query<Choice>) -> Response {
    let mut response = see_other(within(&back).unwrap_or("/")).into_response();
    let chosen = Language::of(&set);
    if let Some(set) = chosen.and_then(|language| set_cookie(COOKIE, language.tag(), visit.shown.secured, Some(KEPT))) {
        response.headers_mut().append(header::SET_COOKIE, set);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_browser_prefers() {
        assert_eq!(preferred("ja"), Language::Japanese);
        assert_eq!(preferred("en-GB,en;q=0.9,ja;q=0.8"), Language::English);
        assert_eq!(preferred("de;q=1, en;q=0.3, ja-JP;q=0.5"), Language::Japanese);
        assert_eq!(preferred("ja;q=0, en;q=0.1"), Language::English);
        assert_eq!(preferred("de"), Language::English);
        assert_eq!(Language::of_request(&HeaderMap::new()), Language::Japanese);
    }
}
