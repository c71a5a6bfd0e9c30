//! The adapter's own status page on its network's side, off unless `[status]` says where: what the screen shows, what is
//! wrong with the devices, and the diagnosis. It tells and takes nothing: two pages, read alone, under tight limits.

mod page;
mod view;

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use sealfax_client::seam::{BoxStream, Listener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::config::StatusConfig;
use crate::diagnose::page::examine_all;
use crate::diagnose::report::Report;
use crate::office::Office;
use view::View;

/// Connections at a time; whoever comes beyond that is hung up on.
const CONNECTIONS: usize = 8;
/// For the header of a request to arrive.
const HEADER: Duration = Duration::from_secs(5);
/// One connection in all.
const CONNECTION: Duration = Duration::from_secs(60);
/// A diagnosis asks every server: one of this age is good enough, and no other is begun meanwhile.
const FRESH: Duration = Duration::from_secs(60);
/// How long a reader waits for the diagnosis; then the page comes without it.
const PATIENCE: Duration = Duration::from_secs(30);

/// On every answer: no page of anybody else's may frame it, guess at it, or learn where its reader came from.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A diagnosis under way or done.
#[derive(Debug)]
struct Run {
    begun: Instant,
    report: watch::Receiver<Option<Arc<Report>>>,
}

/// What stands behind the page.
#[derive(Debug)]
pub(crate) struct StatusPage {
    office: Arc<Office>,
    names: bool,
    run: Mutex<Option<Run>>,
}

impl StatusPage {
    pub(crate) fn new(office: Arc<Office>, config: StatusConfig) -> Self {
        Self { office, names: config.names, run: Mutex::default() }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !is_for_us(request.uri(), request.headers(), self.office.host()) {
            return plain(StatusCode::MISDIRECTED_REQUEST, "This is another host.\n");
        }
        let json = match request.uri().path() {
            "/" => false,
            "/status.json" => true,
            _ => return plain(StatusCode::NOT_FOUND, "There is / and /status.json, and nothing else.\n"),
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "This page is read alone.\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let report = self.diagnosis().await;
        let view = View::of(&self.office, self.names, report);
        if json {
            respond(StatusCode::OK, "application/json", view.json().to_string())
        } else {
            respond(StatusCode::OK, "text/html; charset=utf-8", page::html(&view))
        }
    }

    /// The last diagnosis, or one that is begun now. It goes on when its reader has gone: nobody has it begun over and over.
    async fn diagnosis(&self) -> Option<Arc<Report>> {
        let mut report = {
            let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
            match run.as_ref().filter(|run| run.report.borrow().is_none() || run.begun.elapsed() < FRESH) {
                Some(run) => run.report.clone(),
                None => {
                    let (done, report) = watch::channel(None);
                    let office = self.office.clone();
                    self.office.spawn(async move {
                        // Whether anybody still waits for it is their affair.
                        let _ = done.send(Some(Arc::new(examine_all(&office).await)));
                    });
                    *run = Some(Run { begun: Instant::now(), report: report.clone() });
                    report
                }
            }
        };
        let found = timeout(PATIENCE, report.wait_for(Option::is_some)).await;
        found.ok()?.ok()?.clone()
    }
}

/// Serves until `shutdown` turns true.
pub(crate) async fn run(page: Arc<StatusPage>, listener: Box<dyn Listener>, mut shutdown: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.wait_for(|stop| *stop) => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let page = page.clone();
                connections.spawn(async move {
                    serve(stream, page).await;
                    drop(place);
                });
            }
            Err(error) => {
                page.office.failed("STATUS-001", format!("the status page cannot take a connection: {error}"));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn serve(stream: BoxStream, page: Arc<StatusPage>) {
    let service = service_fn(|request: Request<Incoming>| {
        let page = page.clone();
        async move { Ok::<_, Infallible>(page.answer(&request).await) }
    });
    let connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER)
            .keep_alive(false)
            .max_buf_size(8 * 1024)
            .max_headers(64)
            .serve_connection(TokioIo::new(stream), service)
    );
    // A reader that breaks off or dawdles is its own loss.
    let _ = timeout(CONNECTION, connection).await;
}

/// Whether the question is for this host: a page of somebody else's, whose name was made to lead here, bears that name.
fn is_for_us(uri: &Uri, headers: &HeaderMap, own: &str) -> bool {
    let mut said = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (said.next(), said.next()) else { return false };
    let good = |authority: &str| {
        let authority: Option<hyper::http::uri::Authority> = authority.parse().ok();
        authority.is_some_and(|authority| {
            let host = authority.host();
            let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            // An address is nobody's to point elsewhere.
            address.is_ok() || host.eq_ignore_ascii_case(own) || host.eq_ignore_ascii_case("localhost")
        })
    };
    host.to_str().is_ok_and(good) && uri.authority().is_none_or(|authority| good(authority.as_str()))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", text.to_owned())
}

fn respond(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_who_asks_for_this_host_is_answered() {
        let ask = |uri: &str, hosts: &[&str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
            }
            is_for_us(&uri.parse().unwrap(), &headers, "adapter-b.b.example")
        };
        for host in
            ["adapter-b.b.example", "Adapter-B.b.example:8080", "192.0.2.77:80", "[2001:db8::1]:80", "localhost:1"]
        {
            assert!(ask("/", &[host]), "{host}");
        }
        for hosts in [&["evil.example"][..], &["evil.example:8080"], &["adapter-b.b.example.evil.example"], &[""], &[]]
        {
            assert!(!ask("/", hosts), "{hosts:?}");
        }
        assert!(!ask("/", &["192.0.2.77", "evil.example"]));
        assert!(!ask("http://evil.example/", &["192.0.2.77"]));
        assert!(ask("http://192.0.2.77/", &["192.0.2.77"]));
    }
}
