//! The history server's HTTP side: POST and GET `/transmissions`, and a page for people at `/`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use sealfax_client::history::{Entry, Filter, Transmission, parse_time};
use sealfax_client::seam::Seams;

use super::chain::{Chain, HistoryError};
use super::page::page;
use crate::authority::web::{self, Limits, Peer, ServeError, Served};

/// Entries in one answer.
const MAX_LISTED: usize = 10_000;

/// How to run a history server.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    /// Name of this host in the journal.
    pub host_name: String,
    /// Where to listen; port 0 asks for any free one.
    pub http: SocketAddr,
    /// Folder of the history.
    pub data: PathBuf,
    /// What one peer may cost.
    #[serde(default)]
    pub limits: Limits,
}

/// A running history server; it ends when dropped.
#[derive(Debug)]
pub struct HistoryServer {
    served: Served,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    host: String,
    chain: Mutex<Chain>,
    seams: Seams,
}

impl HistoryServer {
    /// Opens the history and begins to listen.
    pub async fn start(config: HistoryConfig, seams: Seams) -> Result<Self, ServeError> {
        let chain = Chain::open(&config.data)?;
        let shared =
            Arc::new(Shared { host: config.host_name.clone(), chain: Mutex::new(chain), seams: seams.clone() });
        let router = Router::new()
            .route("/transmissions", post(register).get(list))
            .route("/", get(show))
            .with_state(Arc::clone(&shared));
        let served = web::serve(&config.host_name, config.http, router, seams, config.limits).await?;
        Ok(Self { served, shared })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.served.addr()
    }

    /// Every entry, oldest first.
    pub fn list(&self) -> Vec<Entry> {
        self.shared.entries(&Filter::default())
    }

    /// Stops listening and ends open connections.
    pub async fn shutdown(self) {
        self.served.shutdown().await;
    }
}

impl Shared {
    fn entries(&self, filter: &Filter) -> Vec<Entry> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner).list(filter, MAX_LISTED)
    }
}

async fn register(State(shared): State<Arc<Shared>>, Extension(Peer(peer)): Extension<Peer>, body: Bytes) -> Response {
    let journal = Arc::clone(&shared.seams.journal);
    let transmission: Transmission = match serde_json::from_slice(&body) {
        Ok(transmission) => transmission,
        Err(error) => {
            let text = format!("{peer} sent a record that cannot be read: {error}");
            journal.security(&shared.host, "HISTORY-101", text);
            return (StatusCode::BAD_REQUEST, "not a transmission").into_response();
        }
    };
    let what = format!("{} from {} to {}", transmission.message_id, transmission.sender, transmission.recipient);
    let worker = Arc::clone(&shared);
    // Waiting for the disk must not hold up other connections.
    let registered = tokio::task::spawn_blocking(move || {
        let now = worker.seams.clock.now();
        worker.chain.lock().unwrap_or_else(PoisonError::into_inner).register(transmission, now)
    })
    .await;
    match registered {
        Ok(Ok(receipt)) => {
            let (status, word) = if receipt.known {
                (StatusCode::OK, "already registered")
            } else {
                (StatusCode::CREATED, "registered")
            };
            journal.step(
                &shared.host,
                &["T2", "C12"],
                format!("transmission {what} {word} as entry {}", receipt.index),
            );
            (status, Json(receipt)).into_response()
        }
        Ok(Err(error @ HistoryError::BadField(_))) => {
            journal.security(&shared.host, "HISTORY-102", format!("{peer}: {error}"));
            (StatusCode::BAD_REQUEST, error.to_string()).into_response()
        }
        Ok(Err(error @ HistoryError::Conflict { .. })) => {
            journal.security(&shared.host, "HISTORY-103", format!("{peer}: {what}: {error}"));
            (StatusCode::CONFLICT, error.to_string()).into_response()
        }
        Ok(Err(error)) => {
            journal.failure(&shared.host, "HISTORY-104", format!("{what}: {error}"));
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(error) => {
            journal.failure(&shared.host, "HISTORY-105", format!("{what}: {error}"));
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The query of GET `/transmissions`.
#[derive(Debug, serde::Deserialize)]
struct Selection {
    sender: Option<String>,
    recipient: Option<String>,
    since: Option<String>,
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    Query(selection): Query<Selection>,
) -> Response {
    let since = match selection.since.as_deref().map(parse_time) {
        Some(None) => {
            return (StatusCode::BAD_REQUEST, "since: not an RFC 3339 time").into_response();
        }
        Some(since) => since,
        None => None,
    };
    let entries = shared.entries(&Filter { sender: selection.sender, recipient: selection.recipient, since });
    let text = format!("{peer} was shown {} transmissions", entries.len());
    shared.seams.journal.step(&shared.host, &["T2", "V5"], text);
    Json(entries).into_response()
}

async fn show(State(shared): State<Arc<Shared>>, Extension(Peer(peer)): Extension<Peer>) -> Response {
    let text = format!("{peer} opened the history page");
    shared.seams.journal.step(&shared.host, &["T2", "V5"], text);
    let html = page(&shared.entries(&Filter::default()));
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, html).into_response()
}
