//! The history for people: what was sent by whom to whom and what became of it, with its proof. Everybody sees their own,
//! auditors all; and who looked at what is written down.

mod climb;
mod downloads;
mod events;
mod overview;
mod proof;
mod rows;
mod search;
mod sign_in;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod transmission;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use sealfax_client::seam::Seams;
use tokio::sync::Semaphore;

pub(super) use self::events::{Concerned, News};
use super::server::Shared;
use super::{History, HistoryError};
use crate::pages::{self, Sessions, Zone};

/// Searches at a time: each may read much, and the rest of the server goes on meanwhile.
const SEARCHES: usize = 8;
/// Exports at a time.
const EXPORTS: usize = 2;
/// Pages that are told at once when there is something new.
const LISTENERS: usize = 128;
/// Octets of a form.
const FORM: usize = 8 * 1024;

/// What the pages keep beside the history.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) sessions: Sessions,
    pub(super) news: News,
    zone: Zone,
    /// How long one connection to a page that listens is kept.
    listening: Duration,
    searches: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    listeners: Arc<Semaphore>,
}

impl Pages {
    /// For a history whose connections last so long.
    pub(super) fn new(seams: &Seams, zone: Zone, connection: Duration) -> Self {
        Self {
            sessions: Sessions::new(seams),
            news: News::new(),
            zone,
            listening: connection / 2,
            searches: Arc::new(Semaphore::new(SEARCHES)),
            exports: Arc::new(Semaphore::new(EXPORTS)),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
        }
    }
}

impl Shared {
    /// Looks something up for a page.
    pub(in crate::history) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn History) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let place = self.pages.searches.clone().acquire_owned().await.map_err(HistoryError::index)?;
        let looked = self.ask(move |history| {
            // Whoever asked may be gone; what they began still takes its place.
            let _place = place;
            work(history)
        });
        looked.await
    }
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    let forms = Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .layer(DefaultBodyLimit::max(FORM));
    Router::new()
        .route("/", get(overview::show))
        .route("/transmissions/{number}", get(transmission::show))
        .route("/transmissions/{number}/proof", get(proof::show))
        .route("/evidence/{index}", get(downloads::evidence))
        .route("/export.csv", get(downloads::export))
        .route("/events", get(events::listen))
        .merge(forms)
        .merge(pages::assets())
        .fallback(visitor::nothing_there)
}
