//! What is searched for, as it stands in a page's address.

use sealfax_client::history::MAX_FIELD;

use super::visitor::number;
use crate::history::view::{Query, State};
use crate::pages::{Language, Zone, query_text};

/// The fields of the search form, as they were typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(super) struct Search {
    pub(super) party: String,
    pub(super) from: String,
    pub(super) until: String,
    pub(super) state: String,
    pub(super) message_id: String,
    /// Where the last page ended.
    pub(super) before: String,
}

/// A field that cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    Party,
    From,
    Until,
    State,
    MessageId,
    Before,
}

impl Wrong {
    pub(super) fn say(self, language: Language) -> &'static str {
        match self {
            Self::Party => language.say(
                "メールアドレス全体、または @office-a.example のように書いてください。",
                "Write a whole mail address, or an office as @office-a.example.",
            ),
            Self::From | Self::Until => {
                language.say("日付は 2026-11-28 のように書いてください。", "Write the date as 2026-11-28.")
            }
            Self::State => language.say("一覧から選んでください。", "Choose one of the list."),
            Self::MessageId => language.say("Message-ID が長すぎます。", "The Message-ID is too long."),
            Self::Before => language.say("ページの番号が違います。", "That is no page."),
        }
    }
}

impl Search {
    /// Whether nothing in particular is wanted.
    pub(super) fn is_empty(&self) -> bool {
        let Self { party, from, until, state, message_id, before } = self;
        [party, from, until, state, message_id, before].iter().all(|field| field.trim().is_empty())
    }

    /// What the history is to be asked, or every field that is wrong.
    pub(super) fn query(&self, zone: Zone) -> Result<Query, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut query = Query::default();
        let given = |field: &str| Some(field.trim().to_owned()).filter(|field| !field.is_empty());
        if let Some(party) = given(&self.party) {
            match party.rsplit_once('@') {
                Some((_, domain)) if !domain.is_empty() && party.len() <= MAX_FIELD => query.party = Some(party),
                _ => wrong.push(Wrong::Party),
            }
        }
        if let Some(from) = given(&self.from) {
            match zone.day(&from) {
                Some((begins, _)) => query.since = Some(begins),
                None => wrong.push(Wrong::From),
            }
        }
        if let Some(until) = given(&self.until) {
            match zone.day(&until) {
                // The day itself is meant to be among them.
                Some((_, ends)) => query.until = Some(ends),
                None => wrong.push(Wrong::Until),
            }
        }
        if let Some(state) = given(&self.state) {
            query.state = State::of(&state);
            if query.state.is_none() {
                wrong.push(Wrong::State);
            }
        }
        if let Some(message_id) = given(&self.message_id) {
            if message_id.len() > MAX_FIELD {
                wrong.push(Wrong::MessageId);
            }
            query.message_id = Some(bracketed(message_id));
        }
        if let Some(before) = given(&self.before) {
            query.before = number(&before);
            if query.before.is_none() {
                wrong.push(Wrong::Before);
            }
        }
        if wrong.is_empty() { Ok(query) } else { Err(wrong) }
    }

    /// As a link's query, with another end of the last page.
    pub(super) fn text(&self, before: Option<u64>) -> String {
        let before = before.map_or_else(String::new, |before| before.to_string());
        query_text(&[
            ("party", self.party.trim()),
            ("from", self.from.trim()),
            ("until", self.until.trim()),
            ("state", self.state.trim()),
            ("message_id", self.message_id.trim()),
            ("before", &before),
        ])
    }

    /// For the journal.
    pub(super) fn told(&self) -> String {
        let text = self.text(number(self.before.trim()));
        if text.is_empty() { "what waits and the newest".to_owned() } else { text }
    }
}

/// People copy a Message-ID with or without its brackets.
fn bracketed(message_id: String) -> String {
    if message_id.starts_with('<') { message_id } else { format!("<{message_id}>") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_a_query_and_a_link() {
        let search = Search {
            party: " @office-a.example ".to_owned(),
            from: "2026-11-28".to_owned(),
            until: "2026-11-28".to_owned(),
            state: "overdue".to_owned(),
            message_id: "a&b=c@x".to_owned(),
            before: "77".to_owned(),
        };
        let query = search.query("+09:00".parse().unwrap()).unwrap();
        assert_eq!(query.party.as_deref(), Some("@office-a.example"));
        assert_eq!(query.until.unwrap().duration_since(query.since.unwrap()).unwrap().as_secs(), 86_400);
        assert_eq!(query.state, Some(State::Overdue));
        assert_eq!(query.message_id.as_deref(), Some("<a&b=c@x>"));
        assert_eq!(query.before, Some(77));
        assert_eq!(
            search.text(Some(5)),
            "party=%40office-a.example&from=2026-11-28&until=2026-11-28&state=overdue&message_id=a%26b%3Dc%40x&before=5"
        );
    }

    #[test]
    fn every_wrong_field_is_told() {
        let wrong = "?".to_owned();
        let search = Search {
            party: "taro".to_owned(),
            from: wrong.clone(),
            until: wrong.clone(),
            state: wrong.clone(),
            message_id: "x".repeat(MAX_FIELD + 1),
            before: "-1".to_owned(),
        };
        let told = search.query(Zone::default()).unwrap_err();
        assert_eq!(told, [Wrong::Party, Wrong::From, Wrong::Until, Wrong::State, Wrong::MessageId, Wrong::Before]);
        assert_eq!(Search::default().query(Zone::default()).unwrap(), Query::default());
        assert!(Search::default().is_empty());
    }
}
