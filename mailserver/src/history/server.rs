//! The history server's HTTP side: records come in by POST `/records`; key, checkpoint, tiles and proofs are anybody's; who and
//! what is in a record is for whom it concerns, and for auditors.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query as Parameters, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use sealfax_client::history::{Digest256, Entry, LogKey, Record, Registered, parse_time};
use sealfax_client::seam::Seams;
use sealfax_client::tls::{Security, ServerTls};
use tokio::task::JoinSet;

use super::people::{People, Person, Stranger, may_register};
use super::retention;
use super::tiles::{self, Asked};
use super::view::Query;
use super::web::{Concerned, Pages};
use super::{EmbeddedHistory, History, HistoryError, LogSigner, PostgresHistory};
use crate::accounts::Accounts;
use crate::pages::{Visit, Zone, harden};
use crate::web::{self, Limits, Peer, ServeError, Served, Shown};

/// Octets of the records in one answer, about; whoever asks reads no more.
const MOST_LISTED: usize = 8 << 20;
/// Transmissions that are read at once.
const AT_ONCE: usize = 100;

/// How to run a history server.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryConfig {
    /// Name of this host in the journal.
    pub host_name: String,
    /// Where to listen; port 0 asks for any free one.
    pub http: SocketAddr,
    /// Folder of the history, and of the key that signs it.
    pub data: PathBuf,
    /// PostgreSQL, for a history of several servers that all have the same key; without it, the folder.
    #[serde(default)]
    pub database: Option<String>,
    /// The name that the history signs with, for ever; without it, `host_name`.
    #[serde(default)]
    pub origin: Option<String>,
    /// TLS; without it everything is said in clear, and nobody is known by certificate.
    #[serde(default)]
    pub tls: Option<HistoryTls>,
    /// Addresses of the people who may see everybody's transmissions.
    #[serde(default)]
    pub auditors: Vec<String>,
    /// Whether whoever can reach the port may see everybody's transmissions without saying who they are.
    #[serde(default)]
    pub everybody_reads: bool,
    /// How long who and what of a transmission is kept; without it, for ever. The records stay provable.
    #[serde(default, deserialize_with = "duration")]
    pub retention: Option<Duration>,
    /// The time zone of the pages: how far the clocks on the wall are ahead of UTC.
    #[serde(default)]
    pub utc_offset: Zone,
    /// What one peer may cost.
    #[serde(default = "limits")]
    pub limits: Limits,
}

fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = <String as serde::Deserialize>::deserialize(from)?;
    humantime::parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

/// A record holds the signed confirmation, and bounces are longer still.
fn limits() -> Limits {
    Limits { body: 256 * 1024, ..Limits::default() }
}

/// What the history server shows to its clients.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryTls {
    /// PEM file of its certificate, followed by those above it.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// PEM file of anchors: adapters and people show certificates below one of them. With it only they may register.
    #[serde(default)]
    pub clients: Option<PathBuf>,
}

impl HistoryTls {
    fn server(&self, seams: &Seams) -> Result<ServerTls, HistoryError> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(HistoryError::disk(path));
        let key = zeroize::Zeroizing::new(read(&self.key)?);
        let clients = self.clients.as_ref().map(read).transpose()?;
        ServerTls::new(&read(&self.certificate)?, &key, clients.as_deref(), &seams.clock)
            .map_err(|error| HistoryError::Key { path: self.certificate.clone(), why: error.to_string() })
    }
}

impl HistoryConfig {
    /// Looks at the files that it names.
    pub fn check_files(&self) -> Result<(), HistoryError> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.server(&Seams::system()).map(drop))
    }

    fn origin(&self) -> &str {
        self.origin.as_deref().unwrap_or(&self.host_name)
    }
}

/// A running history server; it ends when dropped.
#[derive(Debug)]
pub struct HistoryServer {
    served: Served,
    shared: Arc<Shared>,
    /// They end with it.
    tasks: JoinSet<()>,
}

/// What all its handlers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) host: String,
    pub(super) history: Arc<dyn History>,
    pub(super) key: LogKey,
    pub(super) people: People,
    pub(super) seams: Seams,
    pub(super) pages: Pages,
    registrars_are_known: bool,
}

impl HistoryServer {
    /// Opens the history and begins to listen. With `accounts`, the mail server's, people may log in with their passwords.
    pub async fn start(config: HistoryConfig, accounts: Option<Accounts>, seams: Seams) -> Result<Self, ServeError> {
        std::fs::create_dir_all(&config.data).map_err(HistoryError::disk(&config.data))?;
        let security = match &config.tls {
            None => Security::Clear,
            Some(tls) => Security::Implicit(tls.server(&seams)?),
        };
        let signer = LogSigner::open(&config.data, config.origin(), seams.entropy.as_ref())?;
        let key = signer.key().clone();
        let journal = seams.journal.clone();
        let (clock, entropy) = (seams.clock.clone(), seams.entropy.clone());
        let history: Arc<dyn History> = match &config.database {
            None => {
                let mut warn = |text: String| journal.security(&config.host_name, "HISTORY-106", text);
                Arc::new(EmbeddedHistory::open(&config.data, signer, clock, entropy, &mut warn)?)
            }
            Some(url) => {
                let url = url.clone();
                let open = move || PostgresHistory::open(&url, signer, clock, entropy);
                Arc::new(tokio::task::spawn_blocking(open).await.unwrap_or(Err(HistoryError::Closed))?)
            }
        };
        let shared = Arc::new(Shared {
            host: config.host_name.clone(),
            history,
            key,
            people: People::new(accounts, config.auditors.clone(), config.everybody_reads),
            seams: seams.clone(),
            pages: Pages::new(&seams, config.utc_offset, Duration::from_secs(config.limits.connection_seconds)),
            registrars_are_known: config.tls.as_ref().is_some_and(|tls| tls.clients.is_some()),
        });
        let mut tasks = JoinSet::new();
        if let Some(keep) = config.retention {
            tasks.spawn(retention::run(shared.clone(), keep));
        }
        let pages = super::web::routes();
        let router = routes().merge(pages).layer(axum::middleware::from_fn(harden)).with_state(shared.clone());
        let served = web::serve(&config.host_name, config.http, router, security, seams, config.limits).await?;
        Ok(Self { served, shared, tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.served.addr()
    }

    /// The public key of the history.
    pub fn key(&self) -> &LogKey {
        &self.shared.key
    }

    /// The history itself.
    pub fn history(&self) -> &Arc<dyn History> {
        &self.shared.history
    }

    /// Every record, oldest first.
    pub fn list(&self) -> Vec<Entry> {
        entries(self.shared.history.as_ref(), &Query::default()).ok().flatten().unwrap_or_default()
    }

    /// Stops listening and ends open connections.
    pub async fn shutdown(mut self) {
        self.served.shutdown().await;
        self.tasks.shutdown().await;
    }
}

fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/records", post(register).get(list))
        .route("/records/{index}/receipt", get(receipt))
        .route("/records/{index}/proof", get(proof))
        .route("/key", get(key))
        .route("/checkpoint", get(checkpoint))
        .route("/consistency", get(consistency))
        .route("/tile/{*path}", get(tile))
}

/// The records of the transmissions that `query` selects, oldest first; `None` if they are too many for one answer.
fn entries(history: &dyn History, query: &Query) -> Result<Option<Vec<Entry>>, HistoryError> {
    let mut query = query.clone();
    let (mut entries, mut octets) = (Vec::<Entry>::new(), 0);
    // Piece by piece, for each may hold much evidence.
    loop {
        let found = history.find(&query, AT_ONCE)?;
        let Some(last) = found.last() else { break };
        query.before = Some(last.number);
        for entry in found.into_iter().flat_map(|transmission| transmission.entries) {
            octets += 1024 + entry.personal.as_ref().map_or(0, |personal| personal.evidence.len());
            entries.push(entry);
        }
        if octets > MOST_LISTED {
            return Ok(None);
        }
    }
    entries.sort_by_key(|entry| entry.leaf.index);
    Ok(Some(entries))
}

impl Shared {
    /// Asks the history, off the network threads: it waits for a disk or a database.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn History) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let history = self.history.clone();
        let joined = tokio::task::spawn_blocking(move || work(history.as_ref())).await;
        joined.unwrap_or_else(|error| Err(HistoryError::index(error)))
    }

    /// What becomes of an error: a constant word to the network, all of it into the journal.
    pub(super) fn answer(&self, what: &str, error: &HistoryError) -> Response {
        let journal = &self.seams.journal;
        match error {
            HistoryError::BadField(_) => {
                journal.security(&self.host, "HISTORY-102", format!("{what}: {error}"));
                (StatusCode::BAD_REQUEST, error.to_string()).into_response()
            }
            HistoryError::Conflict { .. } => {
                journal.security(&self.host, "HISTORY-103", format!("{what}: {error}"));
                (StatusCode::CONFLICT, error.to_string()).into_response()
            }
            HistoryError::NoSuchRecord(_) => StatusCode::NOT_FOUND.into_response(),
            HistoryError::Tampered { .. } => {
                journal.security(&self.host, "HISTORY-107", format!("{what}: {error}"));
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            error => {
                journal.failure(&self.host, "HISTORY-104", format!("{what}: {error}"));
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
        }
    }

    /// Whoever sends a program's request, or the answer that they get instead.
    async fn person(&self, visit: &Visit, peer: Peer) -> Result<Person, Response> {
        // The pages lead here as well.
        if let Some(person) = self.known(visit) {
            return Ok(person);
        }
        let (authorization, now) = (visit.authorization(), self.seams.clock.now());
        let who = self.people.of_request(&visit.shown, peer, authorization, now).await;
        who.map_err(|stranger| {
            let refused = (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"history\"")]);
            match stranger {
                Stranger::Silent => refused.into_response(),
                Stranger::InClear => (StatusCode::FORBIDDEN, "passwords are taken under TLS alone").into_response(),
                Stranger::TooMany => StatusCode::TOO_MANY_REQUESTS.into_response(),
                Stranger::Trouble => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                Stranger::Wrong => {
                    let text = format!("{} gave a wrong name or password", peer.0.ip());
                    self.seams.journal.security(&self.host, "HISTORY-108", text);
                    refused.into_response()
                }
            }
        })
    }
}

/// The query of POST `/records`.
#[derive(Debug, serde::Deserialize)]
struct Seen {
    /// Records of the log that whoever asks believed last.
    #[serde(default)]
    seen: u64,
}

async fn register(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(shown): Extension<Shown>,
    Parameters(Seen { seen }): Parameters<Seen>,
    body: Bytes,
) -> Response {
    let journal = &shared.seams.journal;
    let record: Record = match serde_json::from_slice(&body) {
        Ok(record) => record,
        Err(error) => {
            let text = format!("{peer} sent a record that cannot be read: {error}");
            journal.security(&shared.host, "HISTORY-101", text);
            return (StatusCode::BAD_REQUEST, "not a record").into_response();
        }
    };
    let what =
        format!("{} of {} from {} to {}", record.event.word(), record.message_id, record.sender, record.recipient);
    let may = shown.certificate.as_deref().map(|certificate| may_register(certificate, &record.sender));
    if shared.registrars_are_known && may != Some(true) {
        let text = format!("{peer} registers without a certificate of whoever may: {what}");
        journal.security(&shared.host, "HISTORY-109", text);
        return (StatusCode::FORBIDDEN, "another certificate is needed").into_response();
    }
    let registrar = shown.certificate.as_deref().map(Digest256::of);
    let concerned = Concerned::of(&record);
    let acknowledged = match shared.history.register(record, registrar).await {
        Ok(acknowledged) => acknowledged,
        Err(error) => return shared.answer(&format!("{peer}: {what}"), &error),
    };
    let known = acknowledged.known;
    let receipt = acknowledged.receipt;
    let size = acknowledged.head.size;
    // Whoever saw more than there is was shown another history, or this one is older than it was.
    let continues = match seen {
        0 => Some(Vec::new()),
        seen => shared.ask(move |history| history.continues(seen, size)).await.ok(),
    };
    if continues.is_none() {
        let text = format!("{peer} has seen {seen} records, which this history does not continue");
        journal.security(&shared.host, "HISTORY-110", text);
    }
    let (status, word) =
        if known { (StatusCode::OK, "already registered") } else { (StatusCode::CREATED, "registered") };
    let index = receipt.proof.index;
    if !known {
        shared.pages.news.tell(concerned, index);
    }
    journal.step(&shared.host, &["T2", "C12"], format!("transmission {what} {word} as record {index}"));
    (status, Json(Registered { known, receipt, continues })).into_response()
}

/// The query of GET `/records`.
#[derive(Debug, serde::Deserialize)]
struct Selection {
    sender: Option<String>,
    recipient: Option<String>,
    since: Option<String>,
}

async fn list(
    State(shared): State<Arc<Shared>>,
    visit: Visit,
    Extension(peer): Extension<Peer>,
    Parameters(selection): Parameters<Selection>,
) -> Response {
    let person = match shared.person(&visit, peer).await {
        Ok(person) => person,
        Err(refused) => return refused,
    };
    let since = match selection.since.as_deref().map(parse_time) {
        Some(None) => {
            return (StatusCode::BAD_REQUEST, "since: not an RFC 3339 time").into_response();
        }
        Some(since) => since,
        None => None,
    };
    let query =
        person.may(Query { sender: selection.sender, recipient: selection.recipient, since, ..Query::default() });
    match shared.look(move |history| entries(history, &query)).await {
        Ok(None) => {
            let text = "that is too much for one answer; ask for less with since, sender or recipient";
            (StatusCode::PAYLOAD_TOO_LARGE, text).into_response()
        }
        Ok(Some(entries)) => {
            let text = format!("{} was shown {} records", person.name, entries.len());
            shared.seams.journal.step(&shared.host, &["T2", "V5"], text);
            Json(entries).into_response()
        }
        Err(error) => shared.answer("the list", &error),
    }
}

async fn receipt(
    State(shared): State<Arc<Shared>>,
    visit: Visit,
    Extension(peer): Extension<Peer>,
    Path(index): Path<u64>,
) -> Response {
    let person = match shared.person(&visit, peer).await {
        Ok(person) => person,
        Err(refused) => return refused,
    };
    let answer = shared.ask(move |history| history.receipt(index)).await.and_then(|receipt| {
        let proven = receipt.verify(&shared.key)?;
        let theirs = proven.personal.is_some_and(|personal| person.sees_personal(&personal));
        // Whether there is such a record is told to nobody whom it does not concern.
        if person.auditor || theirs { Ok(receipt) } else { Err(HistoryError::NoSuchRecord(index)) }
    });
    match answer {
        Ok(receipt) => {
            let text = format!("{} was given the receipt of record {index}", person.name);
            shared.seams.journal.step(&shared.host, &["T2", "V5"], text);
            Json(receipt).into_response()
        }
        Err(error) => shared.answer("a receipt", &error),
    }
}

async fn proof(State(shared): State<Arc<Shared>>, Path(index): Path<u64>) -> Response {
    match shared.ask(move |history| history.receipt(index)).await {
        Ok(receipt) => text(receipt.proof.to_string()),
        Err(error) => shared.answer("a proof", &error),
    }
}

async fn key(State(shared): State<Arc<Shared>>) -> Response {
    text(format!("{}\n", shared.key))
}

async fn checkpoint(State(shared): State<Arc<Shared>>) -> Response {
    match shared.ask(|history| history.checkpoint()).await {
        Ok((_, note)) => text(note),
        Err(error) => shared.answer("the checkpoint", &error),
    }
}

/// The query of GET `/consistency`.
#[derive(Debug, serde::Deserialize)]
struct Between {
    from: u64,
    to: u64,
}

async fn consistency(State(shared): State<Arc<Shared>>, Parameters(between): Parameters<Between>) -> Response {
    match shared.ask(move |history| history.continues(between.from, between.to)).await {
        Ok(path) => Json(path).into_response(),
        Err(error) => shared.answer("a consistency proof", &error),
    }
}

async fn tile(State(shared): State<Arc<Shared>>, Path(path): Path<String>) -> Response {
    let made = shared.ask(move |history| {
        let size = history.checkpoint()?.0.size;
        let asked = Asked::parse(&path, size).ok_or(HistoryError::NoSuchRecord(size))?;
        tiles::octets(history, asked)
    });
    match made.await {
        // A tile of so many hashes never changes.
        Ok(octets) => {
            let kept = (header::CACHE_CONTROL, "public, max-age=86400, immutable");
            ([(header::CONTENT_TYPE, "application/octet-stream"), kept], octets).into_response()
        }
        Err(error) => shared.answer("a tile", &error),
    }
}

fn text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}
