//! How long after the 250 somebody else knows: our notice at the adapter, beside a mail that Postfix sends on.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sealfax_client::seam::{Network as _, TcpNetwork, TracingJournal};
use sealfax_client::smtp_server::{self, Envelope, Peer, Receiver, Reply, ReversePath};
use sealfax_client::tls::Security;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{DOMAIN, HERE, Ours, POSTFIX, addresses, boxes, load, quantile};
use crate::bench_peers::{BenchError, Options, Progress, Row};
use crate::events::EventLog;
use crate::peer::postfix::{Postfix, PostfixOptions};
use crate::world::dns::{DnsRecord, DnsServer};

/// Mails, each to a mailbox of its own: notices to one person have their interval.
const MAILS: usize = 300;
/// Longest wait for one of them.
const PATIENCE: Duration = Duration::from_secs(30);
const ADAPTER: &str = "adapter.example";

/// When each recipient's mail came.
#[derive(Default)]
struct Arrivals(Mutex<HashMap<String, Instant>>);

#[async_trait]
impl Receiver for Arrivals {
    async fn mail_from(&self, _: &Peer, _: &ReversePath) -> Result<(), Reply> {
        Ok(())
    }

    async fn rcpt_to(&self, _: &Peer, _: &Envelope, _: &str) -> Result<(), Reply> {
        Ok(())
    }

    async fn message(&self, _: &Peer, envelope: Envelope, _: Vec<u8>) -> Reply {
        let now = Instant::now();
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.extend(envelope.forward_paths.into_iter().map(|path| (path, now)));
        Reply::new(250, "2.0.0", "Taken")
    }
}

impl Arrivals {
    /// When this one's mail came; waits for it.
    fn of(&self, recipient: &str) -> Result<Instant, BenchError> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(at) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(recipient) {
                return Ok(*at);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Err(BenchError::broken(format!("nobody was told of the mail for {recipient}")))
    }
}

/// Where mails are awaited; it ends when dropped.
struct Sink {
    arrivals: Arc<Arrivals>,
    at: SocketAddr,
    task: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    fn start(runtime: &Handle) -> Result<Self, BenchError> {
        let listener = runtime.block_on(TcpNetwork.bind(SocketAddr::new(HERE, 0))).map_err(BenchError::broken)?;
        let at = listener.local_addr().map_err(BenchError::broken)?;
        let arrivals = Arc::new(Arrivals::default());
        let (stop, stopped) = watch::channel(false);
        let mut limits = smtp_server::Limits::default();
        limits.sessions_per_address = limits.sessions;
        let journal = Arc::new(TracingJournal);
        let host = ADAPTER.to_owned();
        let serving = smtp_server::serve(listener, Security::Clear, arrivals.clone(), limits, host, journal, stopped);
        Ok(Self { arrivals, at, task: runtime.spawn(serving), _stop: stop })
    }
}

/// A sealed mail: it is notified.
fn sealed(size: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(&load::mail(size)).into_owned();
    text.replace("application/octet-stream", "application/pkcs7-mime; smime-type=authEnveloped-data").into_bytes()
}

/// From the 250 of each mail to its arrival at the sink, while nothing else happens or under load.
fn waits(smtp: SocketAddr, sink: &Sink, to: &[String], busy: Option<&[String]>) -> Result<Vec<Duration>, BenchError> {
    let mail = sealed(100 << 10);
    std::thread::scope(|scope| {
        let load = busy.map(|boxes| {
            let time = Duration::from_secs(6);
            scope.spawn(move || load::send(smtp, 10, boxes, &load::mail(100 << 10), time))
        });
        let mut waits = Vec::new();
        for recipient in to {
            let accepted = load::one(smtp, recipient, &mail).map_err(BenchError::broken)?;
            let known = sink.arrivals.of(recipient)?;
            waits.push(known.saturating_duration_since(accepted));
            if load.as_ref().is_some_and(|load| load.is_finished()) {
                break;
            }
        }
        if let Some(load) = load {
            load.join().map_err(|_| BenchError::broken("a panic"))?.map_err(BenchError::broken)?;
        }
        Ok(waits)
    })
}

/// The rows.
pub(super) fn rows(options: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    let runtime = Handle::current();
    let (sink, relay_sink) = (Sink::start(&runtime)?, Sink::start(&runtime)?);
    let records = [
        DnsRecord::A { name: ADAPTER.to_owned(), address: Ipv4Addr::LOCALHOST },
        DnsRecord::Srv {
            service: format!("_sealfax._tcp.{ADAPTER}"),
            priority: 0,
            weight: 0,
            port: sink.at.port(),
            target: ADAPTER.to_owned(),
        },
    ];
    let dns = runtime.block_on(DnsServer::start(HERE, &records, EventLog::new())).map_err(BenchError::broken)?;
    progress.at("people with an adapter");
    let names = boxes(MAILS * 2);
    let ours = Ours::start_with(options, dns.address(), &names, Some(ADAPTER))?;
    let busy = ["busy@bench.example".to_owned()];
    ours.add("busy@bench.example", None)?;
    let to = addresses(&names);
    let (quiet, loaded) = to.split_at(MAILS);
    let relayed = PostfixOptions {
        domain: DOMAIN.to_owned(),
        boxes: vec!["busy".to_owned()],
        lmtp: None,
        main: format!("relayhost = [{}]:{}\ndisable_dns_lookups = yes\n", relay_sink.at.ip(), relay_sink.at.port()),
    };
    let peer = Postfix::start(HERE, &relayed)?;
    let away: Vec<String> = names.iter().map(|name| format!("{name}@elsewhere.example")).collect();
    let (away_quiet, away_loaded) = away.split_at(MAILS);
    let mut rows = Vec::new();
    for (what, mine, theirs, busy) in [
        ("nothing else happening", quiet, away_quiet, None),
        ("10 sessions sending 100 KiB", loaded, away_loaded, Some(&busy[..])),
    ] {
        progress.at(format!("from the 250 to the notice, {what}"));
        let mut ours = waits(ours.smtp, &sink, mine, busy)?;
        progress.at(format!("from the 250 to the next server, {what}"));
        let mut peers = waits(peer.addr(), &relay_sink, theirs, busy)?;
        for (part, share) in [("half", 0.5), ("99 of 100", 0.99)] {
            let (mine, theirs) = (quantile(&mut ours, share), quantile(&mut peers, share));
            let name = format!("From the 250 to the notice, {what}: {part} wait at most");
            let row = Row::less(&name, "ms", mine, POSTFIX, theirs);
            rows.push(match (busy, share) {
                (None, share) if share < 0.9 => row.no_more_than(1.0),
                (None, _) => row.no_more_than(10.0),
                (Some(_), share) if share > 0.9 => row.at_least(1.0),
                _ => row,
            });
        }
    }
    Ok(rows)
}
