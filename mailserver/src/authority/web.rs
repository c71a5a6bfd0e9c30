//! Serves an axum router over [`sealfax_client::seam::Network`], with every cost bounded (RFC 9112).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sealfax_client::seam::{BoxStream, Listener, Seams};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// What peers may cost.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections open at a time; more wait.
    pub connections: usize,
    /// Octets of one request's body.
    pub body: usize,
    /// Seconds for the header of a request to arrive.
    pub header_seconds: u64,
    /// Seconds that one connection may last.
    pub connection_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 256, body: 16 * 1024, header_seconds: 10, connection_seconds: 60 }
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
    Authority(#[from] super::AuthorityError),
    /// The history cannot be opened.
    #[error(transparent)]
    History(#[from] crate::history::HistoryError),
}

/// Who sent the request; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

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

/// Listens at `at` and serves `router` to every peer.
pub(crate) async fn serve(
    host: &str,
    at: SocketAddr,
    router: Router,
    seams: Seams,
    limits: Limits,
) -> Result<Served, ServeError> {
    let failed = |source| ServeError::Bind { at, source };
    let listener = seams.network.bind(at).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let router = router.layer(DefaultBodyLimit::max(limits.body));
    let task = tokio::spawn(accept(host.to_owned(), listener, router, seams, limits));
    Ok(Served { addr, task })
}

async fn accept(host: String, listener: Box<dyn Listener>, router: Router, seams: Seams, limits: Limits) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        // Who finds no place waits in the kernel's queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let router = router.clone();
                connections.spawn(async move {
                    connection(stream, peer, router, limits).await;
                    drop(place);
                });
            }
            Err(error) => {
                seams.journal.failure(
                    &host,
                    "HTTP-101",
                    format!("cannot accept connections: {error}; check the number of open files"),
                );
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn connection(stream: BoxStream, peer: SocketAddr, router: Router, limits: Limits) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(limits.header_seconds))
        .max_buf_size(16 * 1024)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that breaks off or dawdles is its own loss; nothing hangs on the end of a connection.
    let _ = tokio::time::timeout(Duration::from_secs(limits.connection_seconds), connection).await;
}
