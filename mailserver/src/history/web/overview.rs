//! The first page: what waits and is overdue, the newest, and the search.

use std::sync::Arc;

use axum::extract::{Query as Parameters, State as Given};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::rows::{state_word, table};
use super::search::{Search, Wrong};
use super::visitor::{Visitor, live};
use crate::history::server::Shared;
use crate::history::view::{Query, State, Transmission};
use crate::history::{History, HistoryError};
use crate::pages::{Language, Visit, Zone, field};

/// Rows of one page.
const ROWS: usize = 50;
/// Rows of what is to be looked at first, before all of it has to be asked for.
const FIRST: usize = 20;
/// What is counted at most.
const COUNTED: usize = 1000;

/// A table and what leads further.
struct Section {
    heading: String,
    caption: String,
    rows: Vec<Transmission>,
    /// Link and words.
    more: Option<(String, &'static str)>,
}

pub(super) async fn show(
    Given(shared): Given<Arc<Shared>>,
    visit: Visit,
    Parameters(search): Parameters<Search>,
) -> Response {
    let visitor = match shared.visitor(visit).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let (language, zone) = (visitor.language(), shared.pages.zone);
    let title = language.say("送信履歴", "Transmissions");
    let query = match search.query(zone) {
        Ok(query) => visitor.person.may(query),
        Err(wrong) => {
            let page = visitor.page(&shared, title, &form(language, &search, &wrong, zone));
            return (StatusCode::BAD_REQUEST, page).into_response();
        }
    };
    let (plain, auditor) = (search.is_empty(), visitor.person.auditor);
    let asked = search.clone();
    let found = shared.look(move |history| {
        // Before anything is looked up: what comes meanwhile is news to this page.
        let seen = history.checkpoint()?.0.size;
        let mut sections = Vec::new();
        if plain {
            for state in [State::Overdue, State::Waiting] {
                sections.extend(first(history, language, &query, state, auditor)?);
            }
        }
        sections.push(listed(history, language, &query, &asked)?);
        Ok((seen, sections))
    });
    let (seen, sections) = match found.await {
        Ok(found) => found,
        Err(error) => return shared.trouble(&visitor.visit, "the transmissions", &error),
    };
    shared.looked(&visitor, &format!("transmissions: {}", search.told()));
    visitor.page(&shared, title, &whole(&visitor, &search, &sections, zone, seen))
}

/// What has become `state`, if anything has.
fn first(
    history: &dyn History,
    language: Language,
    query: &Query,
    state: State,
    auditor: bool,
) -> Result<Option<Section>, HistoryError> {
    let mut rows = history.find(&Query { state: Some(state), ..query.clone() }, FIRST + 1)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let more = rows.len() > FIRST;
    rows.truncate(FIRST);
    // How many there are of everybody's is for auditors.
    let count = match auditor && more {
        true => history.count(state, COUNTED)?,
        false => rows.len(),
    };
    let count = if count >= COUNTED || (more && !auditor) { format!("{count}+") } else { count.to_string() };
    Ok(Some(Section {
        heading: format!("{} ({count})", state_word(language, state)),
        caption: language.say("新しい順", "Newest first").to_owned(),
        rows,
        more: more.then(|| (format!("/?state={}", state.word()), language.say("すべて表示", "Show all"))),
    }))
}

/// What was searched for.
fn listed(history: &dyn History, language: Language, query: &Query, search: &Search) -> Result<Section, HistoryError> {
    let mut rows = history.find(query, ROWS + 1)?;
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let next = rows.last().filter(|_| more).map(|last| format!("/?{}", search.text(Some(last.number))));
    let count = rows.len();
    let searched = !Search { before: String::new(), ..search.clone() }.is_empty();
    Ok(Section {
        heading: if searched { language.say("検索結果", "Found") } else { language.say("新着", "Newest") }.to_owned(),
        caption: match language {
            Language::Japanese => format!("{count} 件、新しい順"),
            Language::English => format!("{count} shown, newest first"),
        },
        rows,
        more: next.map(|next| (next, language.say("さらに古いもの", "Older ones"))),
    })
}

fn whole(visitor: &Visitor, search: &Search, sections: &[Section], zone: Zone, seen: u64) -> Markup {
    let language = visitor.language();
    html! {
        (form(language, search, &[], zone))
        p.acts {
            a href=(visitor.visit.here) { (language.say("更新", "Refresh")) }
            a href={ "/export.csv?" (search.text(None)) } download {
                (language.say("CSV で保存 (10,000 件まで)", "Save as CSV (up to 10,000)"))
            }
        }
        (live(language, seen, &html! {
            @for section in sections {
                section {
                    h2 { (section.heading) }
                    @if section.rows.is_empty() {
                        p { (language.say("該当する送信はありません。", "There are no such transmissions.")) }
                    } @else {
                        (table(language, zone, &section.caption, &section.rows))
                    }
                    @if let Some((path, words)) = &section.more {
                        p { a href=(path) { (words) span.unseen { ": " (section.heading) } } }
                    }
                }
            }
        }))
    }
}

fn form(language: Language, search: &Search, wrong: &[Wrong], zone: Zone) -> Markup {
    let told = |which: Wrong| wrong.contains(&which).then(|| which.say(language));
    let office = language.say("事業所全体は @office-a.example", "A whole office: @office-a.example");
    // A browser takes no day that is none, and complains.
    let day = |text: &str| zone.day(text.trim()).map_or_else(String::new, |_| text.trim().to_owned());
    let days = format!("{} {}", language.say("時間帯:", "Time zone:"), zone.name());
    html! {
        search {
            form.search method="get" action="/" {
                @if !wrong.is_empty() {
                    p.wrong role="alert" {
                        (language.say("検索条件を直してください。", "Please put the search right."))
                        @if let Some(said) = told(Wrong::Before) { " " (said) }
                    }
                }
                div.fields {
                    (field("party", "text", &search.party, language.say("送信者・受信者", "Person"), Some(office), told(Wrong::Party)))
                    (field("from", "date", &day(&search.from), language.say("開始日", "From day"), Some(&days), told(Wrong::From)))
                    (field("until", "date", &day(&search.until), language.say("終了日", "Until day"), Some(&days), told(Wrong::Until)))
                    (states(language, search, told(Wrong::State)))
                    (field("message_id", "text", &search.message_id, "Message-ID", None, told(Wrong::MessageId)))
                }
                div.acts {
                    button.first { (language.say("検索", "Search")) }
                    a href="/" { (language.say("条件を消す", "Clear")) }
                }
            }
        }
    }
}

fn states(language: Language, search: &Search, wrong: Option<&str>) -> Markup {
    html! {
        div.field {
            label for="state" { (language.say("状態", "State")) }
            @if let Some(wrong) = wrong { p.wrong #state-wrong { (wrong) } }
            select #state name="state" aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "state-wrong")] {
                option value="" { (language.say("すべて", "All")) }
                @for state in State::ALL {
                    option value=(state.word()) selected[search.state.trim() == state.word()] { (state_word(language, state)) }
                }
            }
        }
    }
}
