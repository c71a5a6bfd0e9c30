//! The certificate server's HTTP side: OCSP by POST and GET (RFC 6960 appendix A, RFC 9919), certificates and
//! revocation lists by RFC 4387. What is asked thousands of times a second is answered right here, without a router.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use sealfax_client::ocsp::asn1::ResponseStatus;
use sealfax_client::seam::Seams;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::ca::Authority;
use super::crl::{self, RevocationList};
use super::keys::file::read_octets;
use super::lookup::{self, Authorities};
use super::ocsp::{self, Reply, Responder, Told, Word};
use super::tally::{Kind, Tally};
use crate::web::{self, Handler, Limits, ServeError, Served, Shown};

/// How often aging answers are signed anew and sums are written.
const ROUND: Duration = Duration::from_secs(15);
/// How often something that will stop the server is said again.
const WARNING: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before a revocation list is out of date its renewal is due.
const LIST_RENEWAL: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// Answers that a device signs, or is waited for to sign, at a time: more would only wait, also for those who have gone.
const SIGNING: usize = 8;
/// How long somebody may rely on a revocation list or certificate before asking again.
const MAX_AGE: &str = "max-age=300, public, no-transform";

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
    /// Ends with the server.
    _rounds: Rounds,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Rounds(JoinHandle<()>);

impl Drop for Rounds {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
struct Shared {
    host: String,
    authority: Arc<Authority>,
    responder: Arc<Responder>,
    authorities: Authorities,
    lists: [Mutex<Option<(SystemTime, Bytes)>>; 2],
    tally: Tally,
    /// Whether the journal takes sums.
    sums: bool,
    boundary: String,
    signing: Arc<Semaphore>,
    seams: Seams,
    limits: Limits,
}

impl DirectoryServer {
    /// Opens the authority in `config.data`, with the keys it needs to answer, and begins to listen.
    pub async fn open(config: DirectoryConfig, seams: Seams) -> Result<Self, ServeError> {
        let authority = Arc::new(Authority::open_online(&config.data, &seams)?);
        Self::start(config, authority, seams).await
    }

    /// Begins to listen, for an authority that is already open.
    pub async fn start(config: DirectoryConfig, authority: Arc<Authority>, seams: Seams) -> Result<Self, ServeError> {
        for key in authority.unprotected_keys() {
            // The rig's and other throw-away authorities know it; whoever runs one in earnest should hear of it.
            seams.journal.note(
                &config.host_name,
                format!("the {key} key stands on the disk in clear; `sealfax-mailserver ca protect` encrypts it"),
            );
        }
        let shared = Arc::new(Shared {
            host: config.host_name.clone(),
            responder: Arc::new(Responder::new(Arc::clone(&authority))?),
            authorities: Authorities::of(&authority)?,
            authority,
            lists: Default::default(),
            tally: Tally::new(),
            sums: seams.journal.takes_sums(),
            boundary: seams.entropy.token(),
            signing: Arc::new(Semaphore::new(SIGNING)),
            seams: seams.clone(),
            limits: config.limits,
        });
        let door = Door(Arc::clone(&shared));
        let served = web::serve_with(&config.host_name, config.http, door, seams, config.limits).await?;
        let rounds = Rounds(tokio::spawn(rounds(Arc::clone(&shared))));
        Ok(Self { served, _rounds: rounds, shared })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.served.addr()
    }

    /// The authority it speaks for.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.shared.authority
    }

    /// How many OCSP answers and look-ups were given since the start: answers, those of them that were signed before,
    /// look-ups that found something.
    pub fn answered(&self) -> (u64, u64, u64) {
        let total = |kind| self.shared.tally.total(kind);
        (total(Kind::Good) + total(Kind::Revoked) + total(Kind::Unknown), total(Kind::Cached), total(Kind::Found))
    }

    /// Stops listening and ends open connections.
    pub async fn shutdown(self) {
        let Self { served, shared, .. } = self;
        served.shutdown().await;
        shared.write_sums();
    }
}

/// What must be done from time to time.
async fn rounds(shared: Arc<Shared>) {
    let mut warned: Option<tokio::time::Instant> = None;
    loop {
        let worker = Arc::clone(&shared);
        let warn = warned.is_none_or(|before| before.elapsed() >= WARNING);
        let done = tokio::task::spawn_blocking(move || {
            worker.responder.refresh();
            worker.write_sums();
            worker.renew(warn)
        })
        .await;
        match done {
            Ok(true) => warned = Some(tokio::time::Instant::now()),
            Ok(false) => {}
            // Only at the end of the program.
            Err(_) => return,
        }
        tokio::time::sleep(ROUND).await;
    }
}

#[derive(Debug, Clone)]
struct Door(Arc<Shared>);

type Answer = Response<Full<Bytes>>;

impl Handler for Door {
    type Body = Full<Bytes>;

    async fn handle(&self, peer: SocketAddr, _: &Shown, request: Request<Incoming>) -> Answer {
        let shared = &self.0;
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        match head.method {
            Method::POST if matches!(path, "/ocsp" | "/ocsp/" | "/") => {
                let waiting = Duration::from_secs(shared.limits.header_seconds);
                match tokio::time::timeout(waiting, whole(Limited::new(body, shared.limits.body))).await {
                    Ok(Ok(body)) => shared.ocsp(peer, &head.headers, body).await,
                    Ok(Err(error)) if error.is::<LengthLimitError>() => plain(StatusCode::PAYLOAD_TOO_LARGE, ""),
                    Ok(Err(_)) => plain(StatusCode::BAD_REQUEST, ""),
                    Err(_) => plain(StatusCode::REQUEST_TIMEOUT, ""),
                }
            }
            Method::GET | Method::HEAD => shared.get(peer, path, head.uri.query(), &head.headers).await,
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
        }
    }
}

/// The body as a whole. A question mostly comes in one piece behind its head: it is taken without a copy, and its end is
/// known by its length rather than waited for, which would cost another turn of the connection.
async fn whole<B>(mut body: B) -> Result<Bytes, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut more = Vec::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame?.into_data() else { continue };
        if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&std::mem::take(&mut first));
            }
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { first } else { more.into() })
}

impl Shared {
    async fn get(&self, peer: SocketAddr, path: &str, query: Option<&str>, headers: &HeaderMap) -> Answer {
        match path {
            "/certificates/search.cgi" | "/certificates/search" => self.search(peer, query.unwrap_or(""), headers),
            "/crls/search.cgi" | "/crls/search" => self.search_list(peer, query.unwrap_or("")),
            "/crl/issuing.crl" => self.list(1),
            "/crl/root.crl" => self.list(0),
            "/certificates/issuing.cer" => self.authority_certificate(1),
            "/certificates/anchor.cer" => self.authority_certificate(0),
            "/certificates/anchor.pem" => match self.authority.anchor_pem() {
                Ok(pem) => typed("application/x-pem-file", pem.into()),
                Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
            },
            _ => {
                // A DER SEQUENCE of this length begins with M in base64.
                let request =
                    path.strip_prefix("/ocsp/").or_else(|| path.strip_prefix('/').filter(|p| p.starts_with('M')));
                match request {
                    Some(request) => self.ocsp(peer, headers, ocsp_from_path(request)).await,
                    None => plain(StatusCode::NOT_FOUND, "no such page"),
                }
            }
        }
    }

    async fn ocsp(&self, peer: SocketAddr, headers: &HeaderMap, request: Bytes) -> Answer {
        let reply = match self.responder.at_hand(&request) {
            Some(reply) => reply,
            None if self.responder.waits() => {
                // A token takes its time; other connections go on meanwhile.
                match Arc::clone(&self.signing).try_acquire_owned() {
                    Ok(place) => {
                        let responder = Arc::clone(&self.responder);
                        let signed = tokio::task::spawn_blocking(move || {
                            // Taken until the token is through, also if nobody waits for the answer any more.
                            let _place = place;
                            responder.respond(&request)
                        });
                        match signed.await {
                            Ok(reply) => reply,
                            Err(_) => return plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
                        }
                    }
                    Err(_) => ocsp::try_later(),
                }
            }
            None => self.responder.respond(&request),
        };
        self.note_answer(peer, &reply);
        answer(reply, headers, self.authority.now())
    }

    fn note_answer(&self, peer: SocketAddr, reply: &Reply) {
        let journal = &self.seams.journal;
        match reply.status {
            ResponseStatus::Successful => {
                let word = match &reply.told {
                    Told::One(_, word) => *word,
                    Told::Several(all) if all.iter().any(|(_, word)| *word == Word::Revoked) => Word::Revoked,
                    Told::Several(all) if all.iter().all(|(_, word)| *word == Word::Good) => Word::Good,
                    Told::Several(_) | Told::Refused(_) => Word::Unknown,
                };
                let kind = match word {
                    Word::Good => Kind::Good,
                    Word::Revoked => Kind::Revoked,
                    Word::Unknown => Kind::Unknown,
                };
                if reply.from_cache {
                    self.tally.also(Kind::Cached);
                }
                if self.tally.count(kind) || !self.sums {
                    journal.step(&self.host, &["T2", "C4"], format!("told {peer}: certificate {}", reply.told));
                }
            }
            ResponseStatus::TryLater => {
                if self.tally.count(Kind::Refused) || !self.sums {
                    let text = format!("{peer} was told to try later: {}; the token is slow for this many", reply.told);
                    journal.failure(&self.host, "OCSP-104", text);
                }
            }
            ResponseStatus::InternalError => journal.failure(&self.host, "OCSP-101", reply.told.to_string()),
            _ => {
                if self.tally.count(Kind::Refused) || !self.sums {
                    journal.security(&self.host, "OCSP-102", format!("{peer} asked in vain: {}", reply.told));
                }
            }
        }
    }

    fn search(&self, peer: SocketAddr, query: &str, headers: &HeaderMap) -> Answer {
        let journal = &self.seams.journal;
        let query = match lookup::parse(query) {
            Ok(query) => query,
            Err(why) => {
                self.note_refusal(peer, why);
                return plain(StatusCode::BAD_REQUEST, why);
            }
        };
        let certs_only = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|accept| accept.trim_start().starts_with("application/pkcs7-mime"));
        let found = lookup::select(&self.authority, &self.authorities, &query)
            .and_then(|found| Ok((found.len(), lookup::body(&found, certs_only, &self.boundary)?)));
        match found {
            Ok((count, body)) => {
                let kind = if count == 0 { Kind::Missing } else { Kind::Found };
                if self.tally.count(kind) || !self.sums {
                    journal.step(
                        &self.host,
                        &["T2", "C7"],
                        format!("gave {peer} {count} certificates for {:?}", query.search),
                    );
                }
                if count == 0 {
                    return plain(StatusCode::NOT_FOUND, "no such certificate");
                }
                let content_type = match body.content_type {
                    std::borrow::Cow::Borrowed(name) => HeaderValue::from_static(name),
                    std::borrow::Cow::Owned(name) => {
                        HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("multipart/mixed"))
                    }
                };
                let mut response = Response::new(Full::new(body.octets));
                response.headers_mut().insert(header::CONTENT_TYPE, content_type);
                response
            }
            Err(error) => {
                journal.failure(&self.host, "LOOKUP-102", error.to_string());
                plain(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }

    fn note_refusal(&self, peer: SocketAddr, why: &str) {
        if self.tally.count(Kind::Refused) || !self.sums {
            self.seams.journal.security(&self.host, "LOOKUP-101", format!("{peer} searched in vain: {why}"));
        }
    }

    fn search_list(&self, peer: SocketAddr, query: &str) -> Answer {
        let query = match lookup::parse(query) {
            Ok(query) => query,
            Err(why) => {
                self.note_refusal(peer, why);
                return plain(StatusCode::BAD_REQUEST, why);
            }
        };
        match self.authorities.list_of(&query.search) {
            Some(which) => self.list(which),
            None => plain(StatusCode::NOT_FOUND, "no such revocation list"),
        }
    }

    /// The revocation list of the root (0) or the issuing authority (1), as it is on the disk now.
    fn list(&self, which: usize) -> Answer {
        let path = self.authority.path(if which == 0 { crl::ROOT_FILE } else { crl::ISSUING_FILE });
        let attempt = || {
            let changed = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).ok()?;
            let mut kept = self.lists.get(which)?.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((before, der)) = kept.as_ref()
                && *before == changed
            {
                return Some(der.clone());
            }
            let der = Bytes::from(read_octets(&path).ok()?);
            *kept = Some((changed, der.clone()));
            Some(der)
        };
        match attempt() {
            Some(der) => typed("application/pkix-crl", der),
            None => plain(StatusCode::NOT_FOUND, "no revocation list was made yet"),
        }
    }

    fn authority_certificate(&self, which: usize) -> Answer {
        match self.authority.authorities().get(which) {
            Some(der) => typed("application/pkix-cert", Bytes::clone(der)),
            None => plain(StatusCode::NOT_FOUND, ""),
        }
    }

    /// Writes down what had no line of its own.
    fn write_sums(&self) {
        // A journal that wants every line had them.
        if !self.sums {
            return;
        }
        let Some(([good, revoked, unknown, _, found, missing, refused], span)) = self.tally.silent() else {
            return;
        };
        let span = span.as_secs();
        let journal = &self.seams.journal;
        if good + revoked + unknown > 0 {
            let text = format!("told others in {span} s: {good} good, {revoked} revoked, {unknown} unknown");
            journal.step(&self.host, &["T2", "C4"], text);
        }
        if found + missing > 0 {
            let text = format!("looked up for others in {span} s: {found} found, {missing} not");
            journal.step(&self.host, &["T2", "C7"], text);
        }
        if refused > 0 {
            journal.security(&self.host, "OCSP-102", format!("{refused} more asked in vain in {span} s"));
        }
    }

    /// Renews what is about to run out, or says in time that an administrator must. Returns whether it warned.
    fn renew(&self, warn: bool) -> bool {
        let now = self.authority.now();
        let journal = &self.seams.journal;
        let mut warned = false;
        match self.authority.ocsp_signer() {
            // Due a while ago, and nobody renewed it.
            Ok(signer) if signer.not_after() > now + signer.renewal() / 30 * 29 => {}
            Ok(signer) if warn => {
                warned = true;
                let until = httpdate::fmt_http_date(signer.not_after());
                journal.failure(
                    &self.host,
                    "OCSP-103",
                    format!("the OCSP signer expires on {until}; run `sealfax-mailserver ca renew-ocsp` before"),
                );
            }
            Ok(_) => {}
            Err(error) => {
                if warn {
                    warned = true;
                    journal.failure(&self.host, "OCSP-101", error.to_string());
                }
            }
        }
        let path = self.authority.path(crl::ISSUING_FILE);
        let list = read_octets(&path).and_then(RevocationList::read).ok();
        let due = list.and_then(|list| list.next_update).is_none_or(|next| next < now + LIST_RENEWAL);
        if due && self.authority.can_issue() {
            if let Err(error) = self.authority.publish_list() {
                journal.failure(&self.host, "CRL-101", error.to_string());
            }
        } else if due && warn {
            warned = true;
            journal.failure(
                &self.host,
                "CRL-102",
                "the revocation list runs out within five days; run `sealfax-mailserver ca crl`",
            );
        }
        warned
    }
}

/// What is not base64 is not a request either, and is answered as one that does not conform.
fn ocsp_from_path(request: &str) -> Bytes {
    if request.len() > 3 * ocsp::MAX_REQUEST {
        return Bytes::new();
    }
    let decoded = lookup::decode(request).and_then(|text| STANDARD.decode(text.trim()).ok());
    decoded.unwrap_or_default().into()
}

/// An OCSP answer over HTTP. RFC 9919 6: what answers no nonce may be kept by caches until it ends.
fn answer(reply: Reply, headers: &HeaderMap, now: SystemTime) -> Answer {
    let lasting = reply.lasting.and_then(|answer| answer.rest(now).map(|rest| (answer, rest)));
    let Some((answer, rest)) = lasting else {
        let mut response = Response::new(Full::new(reply.response));
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/ocsp-response"));
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return response;
    };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == answer.etag);
    let mut response = Response::new(if known { Full::default() } else { Full::new(reply.response) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/ocsp-response"));
    fields.insert(header::ETAG, answer.etag.clone());
    fields.insert(header::LAST_MODIFIED, answer.last_modified.clone());
    fields.insert(header::EXPIRES, answer.expires.clone());
    let age = format!("max-age={}, public, no-transform, must-revalidate", rest.as_secs());
    if let Ok(age) = HeaderValue::try_from(age) {
        fields.insert(header::CACHE_CONTROL, age);
    }
    response
}

fn typed(content_type: &'static str, octets: Bytes) -> Answer {
    let mut response = Response::new(Full::new(octets));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(MAX_AGE));
    response
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    if !text.is_empty() {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    response
}
