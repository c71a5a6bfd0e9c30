//! `cargo rig bench history`: our history server beside a PostgreSQL table with indexes, the plain alternative, which proves
//! nothing. Both keep the same records and answer when they are on the disk.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sealfax_client::history::{Digest256, Event, LogKey, Record};
use sealfax_client::seam::Seams;
use sealfax_mailserver::history::verify::verify;
use sealfax_mailserver::history::{EmbeddedHistory, History, LogSigner, Query, State};

use super::load::{self, Load, Protocol};
use super::{
    BenchError, Benchmark, Contender, Options, Progress, Row, Sample, beside, in_turn, meter, with_shipped_server,
};
use crate::peer::postgres::{self, PostgresServer};
use crate::peer::process::{Process, find, free_port};

/// The benchmark.
pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "history",
    title: "Records registered, proven, found and verified (100 for each of --entries), beside a PostgreSQL table",
    run,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SERVER: &str = "sealfax-mailserver";
const POSTGRES: &str = "PostgreSQL table";
const ORIGIN: &str = "history.bench.example";
/// Whoever registers at the same time.
const REGISTRARS: usize = 64;
/// Registrations of one round.
const REGISTERED: usize = 20_000;
/// Records of one round of filling.
const TOGETHER: usize = 4096;
/// Of how many a whole log is verified.
const VERIFIED: usize = 1_000_000;
/// Transmissions on one page.
const PAGE: usize = 50;
/// Octets of evidence of each retrieval: little, so that ten million records fit on an ordinary disk.
const EVIDENCE: usize = 128;

fn run(options: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    postgres::present()?;
    let options = &with_shipped_server(options, progress)?;
    let mut postgres = PostgresServer::start(HERE)?;
    let url = postgres.database("history")?;
    let mut rows = registering(options, progress, &postgres, &url)?;
    let count = options.entries.saturating_mul(100);
    rows.extend(large(options, progress, &postgres, &url, count)?);
    postgres.kill();
    Ok(rows)
}

/// The record number `number`: the submission of one transmission, then its retrieval. `run` sets runs apart.
fn record(run: usize, number: usize) -> Record {
    let transmission = number / 2;
    let event = if number.is_multiple_of(2) { Event::Submission } else { Event::Retrieval };
    let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + transmission as u64);
    let evidence = match event {
        Event::Submission => Vec::new(),
        // As random as a signature is.
        _ => (0..EVIDENCE / 32).flat_map(|part| Digest256::of(format!("{number} {part}").as_bytes()).0).collect(),
    };
    Record {
        event,
        message_id: format!("<{run}.{transmission}@adapter.bench.example>"),
        sender: format!("person-{:05}@office-{:03}.example", transmission % 20_000, transmission % 400),
        recipient: format!("person-{:05}@office-{:03}.example", transmission * 7 % 20_000, transmission * 7 % 400),
        sent,
        at: sent + Duration::from_secs(60),
        content_digest: Digest256::of(&transmission.to_be_bytes()),
        evidence_digest: Digest256::default(),
        evidence: Vec::new(),
    }
    .with_evidence(&evidence)
}

/// Registrations over HTTP, each answered when it is durable and proven; single rows inserted into a table.
fn registering(
    options: &Options,
    progress: &Progress,
    postgres: &PostgresServer,
    url: &str,
) -> Result<Vec<Row>, BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::broken)?;
    let (mut process, at) = serve(options, folder.path())?;
    postgres.says(url, TABLE)?;
    let script = folder.path().join("insert.sql");
    std::fs::write(&script, INSERT).map_err(BenchError::broken)?;
    let count = REGISTERED.min(options.entries);
    let mut round = 0;
    let ours = || {
        round += 1;
        let requests: Vec<Vec<u8>> = (0..count).map(|number| request(at, &record(round, number))).collect();
        let load =
            Load { at, requests: &requests, protocol: Protocol::Http, connections: REGISTRARS, keep_alive: true };
        let outcome = load::warm(load).map_err(BenchError::broken)?;
        Ok(Sample { operations: outcome.answers, seconds: outcome.seconds, cpu: None })
    };
    let theirs = || {
        let begin = Instant::now();
        let each = (count / REGISTRARS).to_string();
        let clients = REGISTRARS.to_string();
        let mut command = Command::new(find("pgbench", "postgresql")?);
        command.args(["-n", "-M", "prepared", "-j", "2", "-c", &clients, "-t", &each, "-f"]).arg(&script).arg(url);
        let output = command.output().map_err(BenchError::broken)?;
        if !output.status.success() {
            return Err(BenchError::broken(String::from_utf8_lossy(&output.stderr)));
        }
        let seconds = begin.elapsed().as_secs_f64();
        Ok(Sample { operations: (count / REGISTRARS * REGISTRARS) as u64, seconds, cpu: None })
    };
    let mut contenders =
        [Contender { name: "ours", round: Box::new(ours) }, Contender { name: POSTGRES, round: Box::new(theirs) }];
    let name = "Registrations, durable, 64 at a time";
    let best = in_turn(name, options.rounds, progress, &mut contenders)?;
    let [(ours, _), (theirs, _)] = best.as_slice() else { return Err(BenchError::broken("two contenders")) };
    let row = Row::more(name, "1/s", *ours, POSTGRES, *theirs).no_less_than(2000.0);
    let memory =
        meter::memory(process.id()).map(|octets| Row::alone("Memory (PSS) after that", "MB", octets as f64 / 1e6));
    process.kill();
    postgres.says(url, "DROP TABLE record")?;
    Ok([Some(row), memory].into_iter().flatten().collect())
}

fn request(at: SocketAddr, record: &Record) -> Vec<u8> {
    // A record always has a JSON.
    let body = serde_json::to_vec(record).unwrap_or_default();
    let mut request = format!(
        "POST /records?seen=0 HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    request
}

fn serve(options: &Options, folder: &Path) -> Result<(Process, SocketAddr), BenchError> {
    let program = options.server.clone().map_or_else(|| beside(SERVER), Ok)?;
    let at = free_port(HERE).map_err(BenchError::broken)?;
    let config = format!(
        "[history]\nhost_name = \"{ORIGIN}\"\nhttp = \"{at}\"\ndata = {:?}\neverybody_reads = true\n\
         [history.limits]\nconnections = 512\nconnection_seconds = 3600\nbody = 262144\n\
         peer_connections = 512\npeer_requests_per_second = 0\n",
        folder.join("history").display().to_string(),
    );
    let path = folder.join("server.toml");
    std::fs::write(&path, config).map_err(BenchError::broken)?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(&path).env("RUST_LOG", "warn");
    let mut process = Process::start(SERVER, command, &folder.join("server.log"))?;
    process.wait_for_port(at, Duration::from_secs(60))?;
    Ok((process, at))
}

/// A history of its own in this process.
struct Large {
    history: Arc<EmbeddedHistory>,
    key: LogKey,
    runtime: tokio::runtime::Runtime,
    count: usize,
}

impl Large {
    fn open(folder: &Path) -> Result<Self, BenchError> {
        let seams = Seams::system();
        let signer = LogSigner::open(folder, ORIGIN, seams.entropy.as_ref()).map_err(BenchError::broken)?;
        let key = signer.key().clone();
        let history = EmbeddedHistory::open(folder, signer, seams.clock, seams.entropy, &mut |_| {});
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(BenchError::broken)?;
        let history = Arc::new(history.map_err(BenchError::broken)?);
        let count = history.checkpoint().map_err(BenchError::broken)?.0.size;
        Ok(Self { history, key, runtime, count: usize::try_from(count).unwrap_or_default() })
    }

    fn fill(&mut self, to: usize, progress: &Progress) -> Result<(), BenchError> {
        let begin = Instant::now();
        let from = self.count;
        while self.count < to {
            let end = to.min(self.count + TOGETHER);
            let numbers = self.count..end;
            let history = &self.history;
            self.runtime.block_on(async {
                let all = numbers.map(|number| history.register(record(0, number), None));
                futures_util::future::try_join_all(all).await.map(drop).map_err(BenchError::broken)
            })?;
            self.count = end;
            progress.at(format!("registering: {} of {to}", self.count));
        }
        let (added, seconds) = (self.count - from, begin.elapsed().as_secs_f64());
        progress.say(format!("{added} records registered in {seconds:.0} s ({:.0}/s)", added as f64 / seconds));
        Ok(())
    }
}

/// What is asked of a large history.
fn large(
    options: &Options,
    progress: &Progress,
    postgres: &PostgresServer,
    url: &str,
    count: usize,
) -> Result<Vec<Row>, BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::broken)?;
    let mut large = Large::open(folder.path())?;
    let verified = VERIFIED.min(count);
    large.fill(verified, progress)?;
    let key = large.key.clone();
    drop(large);
    progress.at(format!("verifying {verified} records"));
    let begin = Instant::now();
    let good = verify(folder.path(), &key, &[], &mut |_| {}).map_err(BenchError::broken)?;
    let seconds = begin.elapsed().as_secs_f64();
    if good.head.size != verified as u64 {
        return Err(BenchError::broken("the log does not hold what was registered"));
    }
    let mut rows = vec![Row::alone(&format!("Verifying a log of {verified} records"), "s", seconds).no_more_than(10.0)];

    let begin = Instant::now();
    let mut large = Large::open(folder.path())?;
    rows.push(Row::alone(&format!("Opening it, {verified} records"), "s", begin.elapsed().as_secs_f64()));
    large.fill(count, progress)?;
    progress.at(format!("filling the table with {count} rows"));
    postgres.says(url, TABLE)?;
    postgres.says(url, &FILL.replace("COUNT", &count.to_string()))?;
    postgres.says(url, "ANALYZE record")?;

    let size = format!("{count} records");
    let time = Duration::from_secs_f64(options.seconds);
    let mut index = 0u64;
    let proof = every(time, || {
        // A stride that visits everything, near and far.
        index = (index + 7_919_993) % large.count as u64;
        let receipt = large.history.receipt(index).map_err(BenchError::broken)?;
        receipt.verify(&large.key).map(drop).map_err(BenchError::broken)
    })?;
    rows.push(
        Row::alone(&format!("Proof of inclusion, made and checked, {size}"), "ms", proof * 1e3).no_more_than(1.0),
    );
    let party = |text: &str| Some(text.to_owned());
    let middle = SystemTime::now() - Duration::from_secs(1);
    for (what, query, condition) in [
        ("newest", Query::default(), "TRUE"),
        (
            "of one person",
            Query { own: party("person-00011@office-011.example"), ..Query::default() },
            "'person-00011@office-011.example' IN (sender, recipient)",
        ),
        (
            "of one office, by date",
            Query { party: party("@office-011.example"), until: Some(middle), ..Query::default() },
            "'office-011.example' IN (sender_office, recipient_office)",
        ),
        (
            "waiting, of one person",
            Query { own: party("person-00011@office-011.example"), state: Some(State::Waiting), ..Query::default() },
            "event = 2 AND 'person-00011@office-011.example' IN (sender, recipient)",
        ),
    ] {
        let ours = every(time, || large.history.find(&query, PAGE).map(drop).map_err(BenchError::broken))?;
        let theirs = asked(postgres, url, condition)?;
        let name = format!("A page of {PAGE}, {what}, {size}");
        rows.push(Row::less(&name, "ms", ours * 1e3, POSTGRES, theirs).no_more_than(50.0));
    }
    Ok(rows)
}

/// Seconds that `work` takes, the mean of as many as fit into `time`.
fn every(time: Duration, mut work: impl FnMut() -> Result<(), BenchError>) -> Result<f64, BenchError> {
    work()?;
    let (begin, mut done) = (Instant::now(), 0u32);
    while begin.elapsed() < time {
        work()?;
        done += 1;
    }
    Ok(begin.elapsed().as_secs_f64() / f64::from(done.max(1)))
}

/// Milliseconds that PostgreSQL takes for a page by its own clock, the best of five.
fn asked(postgres: &PostgresServer, url: &str, condition: &str) -> Result<f64, BenchError> {
    let statement = format!(
        "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT * FROM record WHERE {condition} ORDER BY id DESC LIMIT {PAGE}"
    );
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let text = postgres.says(url, &statement)?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(BenchError::broken)?;
        let took = value.pointer("/0/Execution Time").and_then(serde_json::Value::as_f64);
        best = best.min(took.ok_or_else(|| BenchError::broken("PostgreSQL does not say how long it took"))?);
    }
    Ok(best)
}

const TABLE: &str = "CREATE TABLE record (id bigserial PRIMARY KEY, registered timestamptz NOT NULL DEFAULT now(), \
     event int NOT NULL, message_id text NOT NULL, sender text NOT NULL, recipient text NOT NULL, \
     sender_office text NOT NULL, recipient_office text NOT NULL, digest bytea NOT NULL, evidence bytea NOT NULL, \
     UNIQUE (message_id, recipient, event)); \
     CREATE INDEX ON record (sender, id); CREATE INDEX ON record (recipient, id); \
     CREATE INDEX ON record (sender_office, id); CREATE INDEX ON record (recipient_office, id); \
     CREATE INDEX ON record (event, id)";

const INSERT: &str = "\\set person random(0, 19999)\n\\set other random(0, 19999)\n\
     INSERT INTO record (event, message_id, sender, recipient, sender_office, recipient_office, digest, evidence) VALUES (0, \
     '<' || gen_random_uuid() || '@adapter.bench.example>', 'person-' || :person || '@office-' || (:person % 400) || \
     '.example', 'person-' || :other || '@office-' || (:other % 400) || '.example', 'office-' || (:person % 400) || \
     '.example', 'office-' || (:other % 400) || '.example', sha256(gen_random_uuid()::text::bytea), \
     decode(repeat(md5(random()::text), 8), 'hex'));\n";

const FILL: &str = "INSERT INTO record (event, message_id, sender, recipient, sender_office, recipient_office, digest, \
     evidence) SELECT n % 2, '<0.' || n / 2 || '@adapter.bench.example>', \
     format('person-%s@office-%s.example', lpad((n / 2 % 20000)::text, 5, '0'), lpad((n / 2 % 400)::text, 3, '0')), \
     format('person-%s@office-%s.example', lpad((n / 2 * 7 % 20000)::text, 5, '0'), lpad((n / 2 * 7 % 400)::text, 3, '0')), \
     format('office-%s.example', lpad((n / 2 % 400)::text, 3, '0')), \
     format('office-%s.example', lpad((n / 2 * 7 % 400)::text, 3, '0')), sha256(n::text::bytea), \
     decode(repeat(md5(n::text), 8), 'hex') FROM generate_series(0, COUNT - 1) AS n";
