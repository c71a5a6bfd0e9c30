//! A small HTTP/1.1 client (RFC 9112) over [`crate::seam::Network`]: one request a connection, everything bounded.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;

use crate::seam::Network;

/// An HTTP server: where it is, and the name it is asked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address and port to connect to.
    pub addr: SocketAddr,
    /// Value of the `Host` field: "directory.example.jp" or "127.0.0.1:8080".
    pub host: String,
}

impl Server {
    /// A server known by its address alone.
    pub fn at(addr: SocketAddr) -> Self {
        Self { addr, host: addr.to_string() }
    }
}

/// What one exchange may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From opening the connection to the last octet of the body.
    pub time: Duration,
    /// Octets of response body.
    pub body: usize,
}

impl Default for Limits {
    /// Ten seconds, one mebioctet.
    fn default() -> Self {
        Self { time: Duration::from_secs(10), body: 1 << 20 }
    }
}

/// What the server answered, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Three-digit status code.
    pub status: u16,
    /// The Content-Type field, if it was readable text.
    pub content_type: Option<String>,
    /// The server's clock as its Date field gives it (RFC 9110, 6.6.1), if it was readable.
    pub date: Option<SystemTime>,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The response if its status is 2xx, otherwise [`HttpError::Status`] with the first line of the body.
    pub fn success(self) -> Result<Self, HttpError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let text: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take_while(|character| !character.is_control())
            .take(200)
            .collect();
        Err(HttpError::Status { status: self.status, text })
    }

    /// The media type without parameters, in lower case; empty if there is none.
    pub fn media_type(&self) -> String {
        self.content_type
            .as_deref()
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    }
}

/// Why there is no usable response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No connection could be made.
    #[error("{host} cannot be reached; check the network cable and the server's address")]
    Unreachable {
        /// Whom we tried to reach.
        host: String,
        /// What the network said.
        #[source]
        source: std::io::Error,
    },
    /// The exchange took too long.
    #[error("{host} did not answer within {} s; check that the server is not overloaded", .limit.as_secs_f32())]
    Timeout {
        /// Whom we asked.
        host: String,
        /// How long we waited.
        limit: Duration,
    },
    /// The body is longer than agreed.
    #[error("{host} sent more than {limit} octets; check that this is the right server")]
    TooLarge {
        /// Whom we asked.
        host: String,
        /// The bound, in octets.
        limit: usize,
    },
    /// The server refused.
    #[error("the server answered {status} ({text}); see its log for the reason")]
    Status {
        /// Three-digit status code.
        status: u16,
        /// First line of the body, without control characters.
        text: String,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange with {host} broke off; try again, and check that it speaks HTTP")]
    Protocol {
        /// Whom we asked.
        host: String,
        /// What hyper said.
        #[source]
        source: hyper::Error,
    },
    /// The request cannot be written: a path or host with characters that have no place there.
    #[error("this request cannot be written; check the host name and path in the configuration")]
    BadRequest(#[source] http::Error),
}

impl HttpError {
    /// Stable code for logs and screens.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "HTTP-001",
            Self::Timeout { .. } => "HTTP-002",
            Self::TooLarge { .. } => "HTTP-003",
            Self::Status { .. } => "HTTP-004",
            Self::Protocol { .. } => "HTTP-005",
            Self::BadRequest(_) => "HTTP-006",
        }
    }
}

/// GET `path` (with its query, already percent-encoded).
pub async fn get(
    network: &dyn Network,
    server: &Server,
    path: &str,
    accept: &str,
    limits: Limits,
) -> Result<Response, HttpError> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(header::HOST, &server.host)
        .header(header::ACCEPT, accept)
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::new()))
        .map_err(HttpError::BadRequest)?;
    exchange(network, server, request, limits).await
}

/// POST `body` to `path`.
pub async fn post(
    network: &dyn Network,
    server: &Server,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
    limits: Limits,
) -> Result<Response, HttpError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, &server.host)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(body)))
        .map_err(HttpError::BadRequest)?;
    exchange(network, server, request, limits).await
}

async fn exchange(
    network: &dyn Network,
    server: &Server,
    request: Request<Full<Bytes>>,
    limits: Limits,
) -> Result<Response, HttpError> {
    tokio::time::timeout(limits.time, converse(network, server, request, limits))
        .await
        .unwrap_or_else(|_| Err(HttpError::Timeout { host: server.host.clone(), limit: limits.time }))
}

async fn converse(
    network: &dyn Network,
    server: &Server,
    request: Request<Full<Bytes>>,
    limits: Limits,
) -> Result<Response, HttpError> {
    let broken = |source| HttpError::Protocol { host: server.host.clone(), source };
    let stream = network
        .connect(server.addr)
        .await
        .map_err(|source| HttpError::Unreachable { host: server.host.clone(), source })?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(16 * 1024)
        .max_headers(64)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let content_type =
            response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let date = response
            .headers()
            .get(header::DATE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| httpdate::parse_http_date(value).ok());
        let body = Limited::new(response.into_body(), limits.body)
            .collect()
            .await
            .map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(source) => broken(*source),
                Err(other) => {
                    debug_assert!(other.is::<LengthLimitError>());
                    HttpError::TooLarge { host: server.host.clone(), limit: limits.body }
                }
            })?
            .to_bytes();
        Ok(Response { status, content_type, date, body })
    };
    tokio::pin!(connection);
    tokio::pin!(answer);
    // The connection only moves while it is polled; once it has ended the answer settles by itself.
    tokio::select! {
        outcome = &mut answer => return outcome,
        _ = &mut connection => {}
    }
    answer.await
}

/// Percent-encodes `value` for use inside a query (RFC 3986 2.3: everything but the unreserved characters).
pub fn percent_encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(octet));
        } else {
            encoded.push('%');
            for digit in [octet >> 4, octet & 0x0f] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                encoded.push(digit.to_ascii_uppercase());
            }
        }
    }
    encoded
}
