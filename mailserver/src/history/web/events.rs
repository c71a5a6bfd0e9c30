//! Tells pages that there is something new for whoever looks at them. What it is, the page asks for itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State as Given;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use sealfax_client::history::Record;
use sealfax_client::lookup::same_address;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::Instant;

use crate::history::people::Person;
use crate::history::server::Shared;
use crate::pages::Visit;

/// News that a slow listener may be behind; more of them are one.
const BEHIND: usize = 64;
/// How often a listener is shown that the connection is alive, and other nodes' records are looked for.
const PULSE: Duration = Duration::from_secs(10);
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
        let is = |address: &str| same_address(address, &person.name);
        person.auditor || is(&self.sender) || is(&self.recipient)
    }
}

/// Where records are told of as they come.
#[derive(Debug)]
pub(in crate::history) struct News {
    said: broadcast::Sender<Arc<Concerned>>,
    /// Records of the log that were told of.
    told: AtomicU64,
}

impl News {
    pub(super) fn new() -> Self {
        Self { said: broadcast::channel(BEHIND).0, told: AtomicU64::new(0) }
    }

    /// The record `index` is there.
    pub(in crate::history) fn tell(&self, concerned: Concerned, index: u64) {
        self.told.fetch_max(index + 1, Ordering::Relaxed);
        // Nobody may be listening.
        let _ = self.said.send(Arc::new(concerned));
    }
}

/// One page that listens.
struct Listener {
    shared: Arc<Shared>,
    person: Person,
    said: broadcast::Receiver<Arc<Concerned>>,
    /// Records of the log when it last looked.
    seen: u64,
    until: Instant,
    first: bool,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn listen(Given(shared): Given<Arc<Shared>>, mut visit: Visit) -> Response {
    // That a page is left open keeps no session alive.
    visit.by_hand = false;
    let person = match shared.visitor(visit).await {
        Ok(visitor) => visitor.person,
        // Browsers do not come again after this answer.
        Err(_) => return StatusCode::NO_CONTENT.into_response(),
    };
    let Ok(place) = shared.pages.listeners.clone().try_acquire_owned() else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let seen = size(&shared).await;
    let listener = Listener {
        said: shared.pages.news.said.subscribe(),
        seen,
        until: Instant::now() + shared.pages.listening,
        person,
        shared,
        first: true,
        _place: place,
    };
    Sse::new(unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    }))
    .into_response()
}

async fn size(shared: &Shared) -> u64 {
    shared.ask(|history| history.checkpoint()).await.map_or(0, |(head, _)| head.size)
}

fn news() -> Event {
    Event::default().event("news").data("")
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.first) {
            return Some(Event::default().retry(AGAIN));
        }
        let pulse = Instant::now() + PULSE;
        loop {
            let heard = tokio::select! {
                heard = self.said.recv() => heard,
                () = tokio::time::sleep_until(pulse.min(self.until)) => {
                    if Instant::now() >= self.until {
                        return None;
                    }
                    return Some(self.others().await);
                }
            };
            match heard {
                Ok(concerned) if !concerned.concerns(&self.person) => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    // What came meanwhile is the same news.
                    self.said = self.said.resubscribe();
                    self.seen = self.shared.pages.news.told.load(Ordering::Relaxed);
                    return Some(news());
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Records that another node took in are told by nobody here: whom they concern is found out by asking.
    async fn others(&mut self) -> Event {
        let before = self.seen.max(self.shared.pages.news.told.load(Ordering::Relaxed));
        self.seen = size(&self.shared).await;
        if self.seen > before { news() } else { Event::default().comment("") }
    }
}
