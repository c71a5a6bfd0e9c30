//! The certificate server's HTTP side: OCSP by POST and GET (RFC 6960 appendix A), certificates by RFC 4387.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sealfax_client::ocsp::asn1::ResponseStatus;
use sealfax_client::seam::Seams;

use super::ca::Authority;
use super::web::{self, Limits, Peer, ServeError, Served};
use super::{lookup, ocsp};

/// How to run a certificate server.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryConfig {
    /// Name of this host in the journal.
    pub host_name: String,
    /// Where to listen; port 0 asks for any free one.
    pub http: SocketAddr,
    /// Folder of the certificate authority.
    pub data: PathBuf,
    /// What one peer may cost.
    #[serde(default)]
    pub limits: Limits,
}

/// A running certificate server; it ends when dropped.
#[derive(Debug)]
pub struct DirectoryServer {
    served: Served,
    authority: Arc<Authority>,
}

#[derive(Debug)]
struct Shared {
    host: String,
    authority: Arc<Authority>,
    seams: Seams,
}

impl DirectoryServer {
    /// Opens the authority in `config.data` and begins to listen.
    pub async fn open(config: DirectoryConfig, seams: Seams) -> Result<Self, ServeError> {
        let authority = Arc::new(Authority::open(&config.data, &seams)?);
        Self::start(config, authority, seams).await
    }

    /// Begins to listen, for an authority that is already open.
    pub async fn start(config: DirectoryConfig, authority: Arc<Authority>, seams: Seams) -> Result<Self, ServeError> {
        let shared = Arc::new(Shared {
            host: config.host_name.clone(),
            authority: Arc::clone(&authority),
            seams: seams.clone(),
        });
        let router = Router::new()
            .route("/", post(ocsp_post))
            .route("/ocsp", post(ocsp_post))
            .route("/ocsp/{*request}", get(ocsp_get))
            .route("/certificates/search.cgi", get(search))
            .route("/certificates/search", get(search))
            .route("/certificates/issuing.cer", get(issuing))
            .route("/certificates/anchor.pem", get(anchor))
            .with_state(shared);
        let served = web::serve(&config.host_name, config.http, router, seams, config.limits).await?;
        Ok(Self { served, authority })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.served.addr()
    }

    /// The authority it speaks for.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// Stops listening and ends open connections.
    pub async fn shutdown(self) {
        self.served.shutdown().await;
    }
}

async fn ocsp_post(State(shared): State<Arc<Shared>>, Extension(Peer(peer)): Extension<Peer>, body: Bytes) -> Response {
    ocsp_reply(&shared, peer, &body)
}

async fn ocsp_get(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(request): Path<String>,
) -> Response {
    // What is not base64 is not a request either, and is answered as one that does not conform.
    let octets = if request.len() <= 2 * ocsp::MAX_REQUEST {
        STANDARD.decode(request.trim()).unwrap_or_default()
    } else {
        Vec::new()
    };
    ocsp_reply(&shared, peer, &octets)
}

fn ocsp_reply(shared: &Shared, peer: SocketAddr, request: &[u8]) -> Response {
    let reply = ocsp::respond(&shared.authority, request);
    let journal = &shared.seams.journal;
    match reply.status {
        ResponseStatus::Successful => {
            journal.step(&shared.host, &["T2", "C4"], format!("told {peer}: certificate {}", reply.text))
        }
        ResponseStatus::InternalError => journal.failure(&shared.host, "OCSP-101", &reply.text),
        _ => journal.security(&shared.host, "OCSP-102", format!("{peer} asked in vain: {}", reply.text)),
    }
    ([(header::CONTENT_TYPE, "application/ocsp-response"), (header::CACHE_CONTROL, "no-store")], reply.response)
        .into_response()
}

async fn search(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Response {
    let journal = &shared.seams.journal;
    let query = match lookup::parse(&parameters) {
        Ok(query) => query,
        Err(why) => {
            journal.security(&shared.host, "LOOKUP-101", format!("{peer} searched in vain: {why}"));
            return (StatusCode::BAD_REQUEST, why).into_response();
        }
    };
    let certs_only = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.trim_start().starts_with("application/pkcs7-mime"));
    let found = lookup::select(&shared.authority, &query).and_then(|found| {
        let boundary = shared.seams.entropy.token();
        let body = lookup::body(&found, certs_only, &boundary)?;
        Ok((found.len(), body))
    });
    match found {
        Ok((count, body)) => {
            journal.step(
                &shared.host,
                &["T2", "C7"],
                format!("gave {peer} {count} certificates for {:?}", query.search),
            );
            if count == 0 {
                return (StatusCode::NOT_FOUND, "no such certificate").into_response();
            }
            ([(header::CONTENT_TYPE, body.content_type)], body.octets).into_response()
        }
        Err(error) => {
            journal.failure(&shared.host, "LOOKUP-102", error.to_string());
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn issuing(State(shared): State<Arc<Shared>>) -> Response {
    match shared.authority.issuing_der() {
        Ok(der) => ([(header::CONTENT_TYPE, "application/pkix-cert")], der).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn anchor(State(shared): State<Arc<Shared>>) -> Response {
    match shared.authority.anchor_pem() {
        Ok(pem) => ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
