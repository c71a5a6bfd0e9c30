//! What an operator watches: figures for Prometheus at `/metrics`, and at `/healthz` whether the store answers.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use sealfax_client::seam::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Core;

/// Longest request, and longest wait for it.
const LONGEST: usize = 8192;
const PATIENCE: Duration = Duration::from_secs(10);
/// Most connections at once.
const AT_ONCE: usize = 16;

/// The figures.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    pub(super) taken: Counter,
    pub(super) octets: Counter,
    pub(super) refused: Counter,
    pub(super) fetched: Counter,
    pub(super) relayed: Counter,
    pub(super) bounced: Counter,
    pub(super) notices: Counter,
    pub(super) notices_failed: Counter,
    pub(super) escalated: Counter,
    waits: Histogram,
    queue: Gauge,
    accounts: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("sealfax_mail");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let taken = counter("taken", "Mails answered 250");
        let octets = counter("taken_octets", "Octets of mails answered 250");
        let refused = counter("not_kept", "Mails answered 452 because the store did not keep them");
        let fetched = counter("fetched", "Mails sent on request by POP3");
        let relayed = counter("relayed", "Mails handed to other servers");
        let bounced = counter("bounced", "Error mails made");
        let notices = counter("notices", "Arrival notices accepted by adapters");
        let notices_failed = counter("notices_failed", "Attempts at a notice that reached no adapter");
        let escalated = counter("notices_escalated", "Notices that escalated because nobody fetched the mail");
        let waits = Histogram::new(exponential_buckets(0.0005, 2.0, 14));
        registry.register_with_unit("keeping", "From the end of a mail until it is kept", Unit::Seconds, waits.clone());
        let (queue, accounts) = (Gauge::default(), Gauge::default());
        registry.register("queue", "Mails on their way to other hosts", queue.clone());
        registry.register("accounts", "Accounts", accounts.clone());
        Self {
            registry,
            taken,
            octets,
            refused,
            fetched,
            relayed,
            bounced,
            notices,
            notices_failed,
            escalated,
            waits,
            queue,
            accounts,
        }
    }
}

impl Metrics {
    /// A mail of so many octets is kept, after that long.
    pub(super) fn taken(&self, octets: usize, wait: Duration) {
        self.taken.inc();
        self.octets.inc_by(octets as u64);
        self.waits.observe(wait.as_secs_f64());
    }
}

/// Answers at `listener` until `stop`.
pub(super) async fn serve(listener: Box<dyn Listener>, core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            Some(_) = open.join_next(), if !open.is_empty() => continue,
            accepted = listener.accept(), if open.len() < AT_ONCE => accepted,
        };
        match accepted {
            Ok((mut stream, _)) => {
                let core = core.clone();
                open.spawn(timeout(PATIENCE, async move {
                    let mut request = vec![0u8; LONGEST];
                    let mut have = 0;
                    while !request.get(..have).unwrap_or_default().windows(4).any(|end| end == b"\r\n\r\n") {
                        match stream.read(request.get_mut(have..).unwrap_or_default()).await {
                            Ok(count) if count > 0 => have += count,
                            _ => return,
                        }
                    }
                    let line = String::from_utf8_lossy(request.get(..have).unwrap_or_default()).into_owned();
                    let answer = answer(&core, line.lines().next().unwrap_or_default()).await;
                    // Who asked may be gone.
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(core: &Core, line: &str) -> String {
    let (status, kind, text) = match line.split(' ').take(2).collect::<Vec<_>>().as_slice() {
        ["GET", "/metrics"] => {
            if let Ok(queue) = core.with_store(|store| store.queue_length()).await {
                core.metrics.queue.set(i64::try_from(queue).unwrap_or(i64::MAX));
            }
            core.metrics.accounts.set(i64::try_from(core.accounts.list().len()).unwrap_or(i64::MAX));
            let mut text = String::new();
            match prometheus_client::encoding::text::encode(&mut text, &core.metrics.registry) {
                Ok(()) => ("200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8", text),
                Err(_) => ("500 Internal Server Error", "text/plain", "not to be written\n".to_owned()),
            }
        }
        ["GET", "/healthz"] => match core.with_store(|store| store.queue_length()).await {
            Ok(_) => ("200 OK", "text/plain", "well\n".to_owned()),
            Err(error) => {
                core.seams.journal.failure(core.host(), "STORE-HEALTH", error.to_string());
                ("503 Service Unavailable", "text/plain", "the store does not answer\n".to_owned())
            }
        },
        ["GET", _] => ("404 Not Found", "text/plain", "there are /metrics and /healthz\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain", "only GET\n".to_owned()),
    };
    let length = text.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}")
}
