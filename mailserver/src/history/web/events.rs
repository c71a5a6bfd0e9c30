//! Tells pages that there is something new for whoever looks at them. What it is, the page asks for itself.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query as Parameters, State as Given};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use sealfax_client::history::{Personal, Record};
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::Instant;

use super::visitor::number;
use crate::history::people::Person;
use crate::history::server::Shared;
use crate::history::{History, HistoryError};
use crate::pages::Visit;

/// News that a slow listener may be behind; more of them are one.
const BEHIND: usize = 64;
/// How often a listener is shown that the connection is alive, and other nodes' records are looked for.
const PULSE: Duration = Duration::from_secs(10);
/// Records that are looked at one by one; of more, some are taken to concern whoever asks.
const LOOKED_AT: usize = 32;
/// Records that were told of here between two looks.
const HEARD: usize = 4096;
/// How long a browser waits before it listens again.
const AGAIN: Duration = Duration::from_secs(3);

/// Whom a new record concerns.
#[derive(Debug, Clone)]
pub(in crate::history) struct Concerned {
    sender: String,
    recipient: String,
}

impl Concerned {
    /// Both ends of a record.
    pub(in crate::history) fn of(record: &Record) -> Self {
        Self { sender: record.sender.clone(), recipient: record.recipient.clone() }
    }

    fn concerns(&self, person: &Person) -> bool {
        person.sees_between([Some(&self.sender), Some(&self.recipient)])
    }
}

/// Where this node's records are told of as they come.
#[derive(Debug)]
pub(in crate::history) struct News(broadcast::Sender<Arc<(u64, Concerned)>>);

impl News {
    pub(super) fn new() -> Self {
        Self(broadcast::channel(BEHIND).0)
    }

    /// The record `index` is there.
    pub(in crate::history) fn tell(&self, concerned: Concerned, index: u64) {
        // Nobody may be listening.
        let _ = self.0.send(Arc::new((index, concerned)));
    }
}

/// One page that listens.
struct Listener {
    shared: Arc<Shared>,
    person: Person,
    said: broadcast::Receiver<Arc<(u64, Concerned)>>,
    /// Records that the page knows of, or that do not concern it.
    seen: u64,
    /// Further ones that were heard of here; the rest of those in the log are another node's.
    heard: HashSet<u64>,
    until: Instant,
    first: bool,
    _place: OwnedSemaphorePermit,
}

/// The query of `/events`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Since {
    /// Records of the log when the page was made.
    seen: String,
}

pub(super) async fn listen(
    Given(shared): Given<Arc<Shared>>,
    mut visit: Visit,
    Parameters(since): Parameters<Since>,
) -> Response {
    // That a page is left open keeps no session alive.
    visit.by_hand = false;
    // Whoever comes again says what they heard last.
    let last = visit.headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let seen = number(last.unwrap_or(&since.seen));
    let person = match shared.visitor(visit).await {
        Ok(visitor) => visitor.person,
        // Browsers do not come again after this answer.
        Err(_) => return StatusCode::NO_CONTENT.into_response(),
    };
    let Ok(place) = shared.pages.listeners.clone().try_acquire_owned() else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let said = shared.pages.news.0.subscribe();
    let seen = match seen {
        Some(seen) => seen,
        None => shared.ask(|history| history.checkpoint()).await.map_or(0, |(head, _)| head.size),
    };
    let until = Instant::now() + shared.pages.listening;
    let listener = Listener { shared, person, said, seen, heard: HashSet::new(), until, first: true, _place: place };
    Sse::new(unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    }))
    .into_response()
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.first) {
            return Some(self.look().await.retry(AGAIN));
        }
        let pulse = Instant::now() + PULSE;
        loop {
            let heard = tokio::select! {
                heard = self.said.recv() => heard,
                () = tokio::time::sleep_until(pulse.min(self.until)) => {
                    return if Instant::now() >= self.until { None } else { Some(self.look().await) };
                }
            };
            match heard.as_deref() {
                Ok((index, concerned)) => {
                    if self.heard.len() < HEARD {
                        self.heard.insert(*index);
                    }
                    if concerned.concerns(&self.person) {
                        // What was said meanwhile is the same news.
                        self.said = self.said.resubscribe();
                        return Some(self.event(true, index + 1));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Looks for what nobody told of here: records that another node took in, or that came before the page listened.
    async fn look(&mut self) -> Event {
        let (person, seen, heard) = (self.person.clone(), self.seen, std::mem::take(&mut self.heard));
        let looked = self.shared.ask(move |history| {
            let size = history.checkpoint()?.0.size;
            Ok((size, concerned(history, &person, (seen..size).filter(|index| !heard.contains(index)))?))
        });
        match looked.await {
            Ok((size, concerned)) => self.event(concerned, size),
            // It is looked for again with the next pulse.
            Err(_) => Event::default().comment(""),
        }
    }

    /// What a browser is told when it knows of so many records.
    fn event(&mut self, news: bool, seen: u64) -> Event {
        self.seen = self.seen.max(seen);
        let event = Event::default().id(self.seen.to_string());
        // An event without data is none to a browser.
        if news { event.event("news").data("new") } else { event }
    }
}

/// Whether any of these records concerns somebody.
fn concerned(history: &dyn History, person: &Person, indexes: impl Iterator<Item = u64>) -> Result<bool, HistoryError> {
    for (looked, index) in indexes.enumerate() {
        if person.auditor || looked == LOOKED_AT {
            return Ok(true);
        }
        let personal = history.receipt(index)?.personal;
        let personal: Option<Personal> = personal.and_then(|text| serde_json::from_str(&text).ok());
        let both = personal.map(|personal| Concerned { sender: personal.sender, recipient: personal.recipient });
        if both.is_some_and(|both| both.concerns(person)) {
            return Ok(true);
        }
    }
    Ok(false)
}
