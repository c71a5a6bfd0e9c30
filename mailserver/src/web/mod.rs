//! Serves HTTP (RFC 9112) over [`sealfax_client::seam::Network`], with every cost bounded: connections, requests, octets
//! and time, for all peers together and for each one.

mod peers;
mod waits;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sealfax_client::seam::{BoxStream, Listener, Seams};
use sealfax_client::tls::{Secured, Security};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use self::peers::{Guest, Peers};
use self::waits::{Waiter, Waits};

/// What peers may cost.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections open at a time. Where there is no place, whoever has waited longest for a request's header goes.
    pub connections: usize,
    /// Octets of one request's body.
    pub body: usize,
    /// Seconds for the header of a request to arrive.
    pub header_seconds: u64,
    /// Seconds that one connection may last.
    pub connection_seconds: u64,
    /// Connections that one peer may have open at a time.
    pub peer_connections: usize,
    /// Requests a second that one peer may send for long; 0 for as many as it likes.
    pub peer_requests_per_second: u32,
    /// Requests that one peer may send at once beyond that.
    pub peer_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            body: 16 * 1024,
            header_seconds: 10,
            connection_seconds: 60,
            peer_connections: 16,
            peer_requests_per_second: 1000,
            peer_burst: 2000,
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen at {at}; check that no other program uses the port")]
    Bind {
        /// Where we tried to listen.
        at: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The certificate authority cannot be opened.
    #[error(transparent)]
    Authority(#[from] crate::authority::AuthorityError),
    /// The history cannot be opened.
    #[error(transparent)]
    History(#[from] crate::history::HistoryError),
}

/// Who sent the request; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// How the request came; an extension of every request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// Whether there was TLS on the connection.
    pub(crate) secured: bool,
    /// The certificate that the client showed, DER, if it leads to the anchors for clients.
    pub(crate) certificate: Option<Arc<[u8]>>,
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Served {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) async fn shutdown(mut self) {
        self.task.abort();
        // It ends by being aborted, which is what was asked for.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What answers requests.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + From<Bytes> + Send + 'static;

    /// Answers one request of `peer`.
    fn handle(
        &self,
        peer: SocketAddr,
        shown: &Shown,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// A router answers.
#[derive(Clone)]
struct Routed(TowerToHyperService<Router>);

impl Handler for Routed {
    type Body = axum::body::Body;

    async fn handle(&self, peer: SocketAddr, shown: &Shown, mut request: Request<Incoming>) -> Response<Self::Body> {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(shown.clone());
        match self.0.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Listens at `at` and serves `router` to every peer, under TLS if `security` says so.
pub(crate) async fn serve(
    host: &str,
    at: SocketAddr,
    router: Router,
    security: Security,
    seams: Seams,
    limits: Limits,
) -> Result<Served, ServeError> {
    let router = router.layer(DefaultBodyLimit::max(limits.body));
    listen(host, at, Routed(TowerToHyperService::new(router)), security, seams, limits).await
}

/// Listens at `at` and lets `handler` answer every peer.
pub(crate) async fn serve_with(
    host: &str,
    at: SocketAddr,
    handler: impl Handler,
    seams: Seams,
    limits: Limits,
) -> Result<Served, ServeError> {
    listen(host, at, handler, Security::Clear, seams, limits).await
}

async fn listen(
    host: &str,
    at: SocketAddr,
    handler: impl Handler,
    security: Security,
    seams: Seams,
    limits: Limits,
) -> Result<Served, ServeError> {
    let failed = |source| ServeError::Bind { at, source };
    let listener = seams.network.bind(at).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let door = Door { host: host.to_owned().into(), handler, security, seams, limits };
    let task = tokio::spawn(accept(listener, door));
    Ok(Served { addr, task })
}

/// Everything a connection needs.
#[derive(Clone)]
struct Door<H> {
    host: Arc<str>,
    handler: H,
    security: Security,
    seams: Seams,
    limits: Limits,
}

async fn accept<H: Handler>(listener: Box<dyn Listener>, door: Door<H>) {
    let places = Arc::new(Semaphore::new(door.limits.connections));
    let peers = Arc::new(Peers::new(&door.limits));
    let waits = Arc::new(Waits::new());
    let mut connections = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => match peers.enter(peer.ip()) {
                Some(guest) => {
                    let place = match Arc::clone(&places).try_acquire_owned() {
                        Ok(place) => place,
                        Err(_) => {
                            // If all are being answered, one will be through soon; the next ones wait in the kernel's
                            // queue meanwhile.
                            waits.end_longest();
                            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                                return;
                            };
                            place
                        }
                    };
                    let (door, waiter) = (door.clone(), waits.enter());
                    connections.spawn(async move {
                        connection(stream, peer, guest, waiter, door).await;
                        drop(place);
                    });
                }
                // Told so if there is a place to do it in, else hung up on.
                None => {
                    if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                        let wait = Duration::from_secs(door.limits.header_seconds);
                        connections.spawn(async move {
                            turn_away(stream, wait).await;
                            drop(place);
                        });
                    }
                }
            },
            Err(error) => {
                door.seams.journal.failure(
                    &door.host,
                    "HTTP-101",
                    format!("cannot accept connections: {error}; check the number of open files"),
                );
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Tells a peer with too many connections so, without reading what it wants.
async fn turn_away(mut stream: BoxStream, wait: Duration) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    // Whether it takes the answer is its own affair.
    let _ = tokio::time::timeout(wait.min(Duration::from_secs(1)), async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await
    })
    .await;
}

async fn connection<H: Handler>(stream: BoxStream, peer: SocketAddr, guest: Guest, waiter: Waiter, door: Door<H>) {
    let limits = door.limits;
    let secured = tokio::select! {
        secured = tokio::time::timeout(Duration::from_secs(limits.header_seconds), door.security.begin(stream)) => secured,
        () = waiter.ended() => return,
    };
    // Whoever does not get on with the handshake is let go.
    let Ok(Ok(Secured { stream, client, secured })) = secured else { return };
    let shown = &Shown { secured, certificate: client.map(Into::into) };
    let door = &door;
    let guest = &guest;
    let waiter = &waiter;
    let service = service_fn(move |request: Request<Incoming>| async move {
        waiter.is_busy();
        let answer = match guest.ask() {
            Ok(()) => door.handler.handle(peer, shown, request).await,
            Err(wait) => {
                if guest.first_refusal() {
                    door.seams.journal.security(
                        &door.host,
                        "HTTP-102",
                        format!("{} asks more than it may and is told to wait", peer.ip()),
                    );
                }
                too_many(wait)
            }
        };
        waiter.waits();
        Ok::<_, Infallible>(answer)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(limits.header_seconds))
            .max_buf_size(16 * 1024)
            .max_headers(64)
            .serve_connection(TokioIo::new(stream), service)
    );
    // A peer that breaks off or dawdles is its own loss; nothing hangs on the end of a connection.
    let whole = async {
        if tokio::time::timeout(Duration::from_secs(limits.connection_seconds), &mut connection).await.is_err() {
            // The request under way may be finished, then the peer has to come again.
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(Duration::from_secs(limits.header_seconds), connection).await;
        }
    };
    tokio::select! {
        () = whole => {}
        () = waiter.ended() => {}
    }
}

fn too_many<B: From<Bytes>>(wait: Duration) -> Response<B> {
    let mut response = Response::new(B::from(Bytes::new()));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    response
}
