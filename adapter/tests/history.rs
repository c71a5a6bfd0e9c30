//! What happened to transmissions goes into the history, once, and only into one that can be believed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod daemon;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use daemon::{LOOPBACK, configuration};
use sealfax_adapter::ledger::{Ledger, OpenTransmission, Owed};
use sealfax_adapter::{Adapter, Config, console};
use sealfax_client::history::{Digest256, Event, Leaf, LogKey, Personal, Proof, Receipt, Record, Registered};
use sealfax_client::seam::{Seams, TcpNetwork};
use serde_json::Value;
use signed_note::{Note, Signer, StandardSigner};
use tlog_tiles::tlog::{self, HashReader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(60);

/// Keys of two histories that were made for this test: the private one and the public one.
const KEYS: [[&str; 2]; 2] = [
    [
        "PRIVATE+KEY+history.example+0db6289b+AQzRQAivQOxrob7e8WeMR49G7lkiYP76iEHHoLLudE6z",
        "history.example+0db6289b+AZL6XOMQNM8ywuhwSzw5T2wltd9JOj3EsIe4KvDil8Ar",
    ],
    [
        "PRIVATE+KEY+history.example+d2400ce8+AYrcxbD7j0AsigtYOPTkYZkeIAycVsvWTDOHNjc5z1PV",
        "history.example+d2400ce8+Act9TW9fU7xlzA/zzz10vNK1AFTTqZ9acMfygQLx0OmR",
    ],
];

/// A history server: nothing but a log and its key.
struct Log {
    key: String,
    signer: StandardSigner,
    hashes: Hashes,
    size: u64,
    records: Vec<Record>,
}

struct Hashes(Vec<tlog::Hash>);

impl HashReader for Hashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

impl Log {
    fn new([secret, key]: [&str; 2]) -> Self {
        let signer = StandardSigner::new(secret).unwrap();
        Self { key: key.to_owned(), signer, hashes: Hashes(Vec::new()), size: 0, records: Vec::new() }
    }

    /// The same key over another log.
    fn emptied(&mut self) {
        (self.hashes, self.size, self.records) = (Hashes(Vec::new()), 0, Vec::new());
    }

    fn register(&mut self, record: Record, seen: u64) -> Registered {
        let index = self.size;
        let personal = Personal::of(&record, Digest256::of(b"salt"));
        let leaf = Leaf {
            index,
            registered: record.at,
            event: record.event,
            sent: record.sent,
            at: record.at,
            content_digest: record.content_digest,
            evidence_digest: record.evidence_digest,
            registrar: None,
            personal: Digest256::of(personal.text().as_bytes()),
        };
        let leaf = serde_json::to_string(&leaf).unwrap();
        let stored = tlog::stored_hashes(index, leaf.as_bytes(), &self.hashes).unwrap();
        self.hashes.0.extend(stored);
        self.size += 1;
        self.records.push(record);
        let path = tlog::prove_record(self.size, index, &self.hashes).unwrap();
        let root = tlog::tree_hash(self.size, &self.hashes).unwrap();
        let text = tlog_tiles::Checkpoint::new("history.example", self.size, root, "").unwrap().to_bytes();
        let mut note = Note::new(&text, &[]).unwrap();
        note.add_sigs(&[&self.signer as &dyn Signer]).unwrap();
        let digests = |path: Vec<tlog::Hash>| path.into_iter().map(|hash| Digest256(hash.0)).collect::<Vec<_>>();
        let proof = Proof { index, path: digests(path), checkpoint: String::from_utf8(note.to_bytes()).unwrap() };
        let continues = match seen {
            0 => Some(Vec::new()),
            seen if seen <= self.size => Some(digests(tlog::prove_tree(self.size, seen, &self.hashes).unwrap())),
            _ => None,
        };
        Registered { known: false, receipt: Receipt { leaf, personal: Some(personal.text()), proof }, continues }
    }
}

/// Serves the log for as long as the test runs.
async fn serve(log: Arc<Mutex<Log>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let log = log.clone();
            // Whoever only looks whether somebody listens says nothing.
            tokio::spawn(async move { answer(stream, &log).await });
        }
    });
    at
}

async fn answer(mut stream: TcpStream, log: &Mutex<Log>) -> Option<()> {
    let mut said = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        said.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8(said.clone()).ok()?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let wanted = head.to_ascii_lowercase();
        let wanted = wanted.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= wanted.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let answer = match head.strip_prefix("POST /records?seen=") {
        Some(rest) => {
            let seen = rest.split(' ').next()?.parse().ok()?;
            let record: Record = serde_json::from_str(&body).ok()?;
            serde_json::to_string(&log.lock().unwrap().register(record, seen)).unwrap()
        }
        None if head.starts_with("GET /key ") => log.lock().unwrap().key.clone(),
        None => String::new(),
    };
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}", answer.len());
    stream.write_all(reply.as_bytes()).await.ok()
}

/// A transmission that the mail server took, before the adapter was started.
fn sends(folder: &Path, message_id: &str, sent: SystemTime) {
    let ledger = Ledger::open(&folder.join("data")).unwrap();
    let transmission = OpenTransmission {
        message_id: message_id.into(),
        sender: "taro@a.example".into(),
        recipient: "hanako@b.example".into(),
        sent,
        content_digest: Digest256::of(b"content").to_string(),
        pages: Some(1),
        transmission: None,
        protection: Default::default(),
        receipt: None,
        wanted: None,
        submitted: None,
        overdue: None,
        seen: false,
    };
    ledger.open_transmissions(std::slice::from_ref(&transmission)).unwrap();
    ledger.submitted(message_id, &[transmission], sent).unwrap();
}

async fn adapter(folder: &Path, history: SocketAddr) -> Adapter {
    let history = history.to_string();
    let mut replacements = LOOPBACK.to_vec();
    for server in ["192.0.2.25:25", "192.0.2.25:110", "192.0.2.26:80"] {
        replacements.push((server, "127.0.0.1:1"));
    }
    replacements.push(("192.0.2.27:80", &history));
    replacements.push(("retry_seconds = 30", "retry_seconds = 1"));
    replacements.push(("# [status]", "[status]\nlisten = \"127.0.0.1:0\"\n"));
    let config = Config::read(&configuration(folder, &replacements)).unwrap();
    Adapter::start(config, Seams::system(), Arc::new(TcpNetwork), console::devices()).await.unwrap()
}

/// Waits until it is so.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !is().await {
        assert!(std::time::Instant::now() < end, "never {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Its tasks end in their own time; then the ledger is free.
async fn power_cut(adapter: Adapter, folder: &Path) {
    drop(adapter);
    until("the ledger is free", async || Ledger::open(&folder.join("data")).is_ok()).await;
}

/// The codes of the faults that the status page tells.
async fn faults(adapter: &Adapter) -> Vec<String> {
    let at = adapter.status().unwrap();
    let mut stream = TcpStream::connect(at).await.unwrap();
    let ask = format!("GET /status.json HTTP/1.1\r\nHost: {at}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    let json: Value = serde_json::from_str(said.split_once("\r\n\r\n").unwrap().1).unwrap();
    let codes = json["faults"].as_array().unwrap().iter();
    codes.map(|fault| fault["code"].as_str().unwrap().to_owned()).collect()
}

fn owed(adapter: &Adapter) -> usize {
    adapter.ledger().owed().unwrap().iter().filter(|(_, owed)| matches!(owed, Owed::Record { .. })).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_registered_once_and_its_receipt_proves_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Mutex::new(Log::new(KEYS[0])));
    let key = LogKey::parse(&log.lock().unwrap().key).unwrap();
    let at = serve(log.clone()).await;
    let day = Duration::from_secs(24 * 3600);
    let now = SystemTime::UNIX_EPOCH
        + Duration::from_secs(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
    sends(folder.path(), "<1@a.example>", now - 2 * day);
    sends(folder.path(), "<2@a.example>", now);

    let first = adapter(folder.path(), at).await;
    until("all three are there", async || log.lock().unwrap().size == 3 && owed(&first) == 0).await;
    let events: Vec<_> = log.lock().unwrap().records.iter().map(|r| (r.event, r.message_id.clone(), r.at)).collect();
    for (event, id, at) in [
        (Event::Submission, "<1@a.example>", now - 2 * day),
        (Event::Submission, "<2@a.example>", now),
        (Event::Overdue, "<1@a.example>", now - day),
    ] {
        assert!(events.contains(&(event, id.to_owned(), at)), "{event:?}: {events:?}");
    }
    assert_eq!(first.ledger().pinned_history_key().unwrap(), Some(key.to_string()));
    assert_eq!(first.ledger().history_seen(&key).unwrap().map(|head| head.size), Some(3));
    for index in 0..3 {
        let file = folder.path().join(format!("data/receipts/{index}.json"));
        let receipt: Receipt = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(receipt.verify(&key).unwrap().leaf.index, index);
    }
    power_cut(first, folder.path()).await;

    // Started anew, it tells nothing twice and goes on from the head that it knows.
    sends(folder.path(), "<3@a.example>", now);
    let second = adapter(folder.path(), at).await;
    until("the fourth is there", async || owed(&second) == 0).await;
    assert_eq!(log.lock().unwrap().size, 4);
    power_cut(second, folder.path()).await;

    // The same key over another log: somebody rewrote it, or shows different people different histories.
    log.lock().unwrap().emptied();
    sends(folder.path(), "<4@a.example>", now);
    let third = adapter(folder.path(), at).await;
    until("it is told", async || faults(&third).await.contains(&"HISTORY-006".to_owned())).await;
    assert_eq!(owed(&third), 1);
    assert_eq!(third.ledger().history_seen(&key).unwrap().map(|head| head.size), Some(4));
    power_cut(third, folder.path()).await;

    // And another key is another history.
    *log.lock().unwrap() = Log::new(KEYS[1]);
    let fourth = adapter(folder.path(), at).await;
    until("it is told", async || faults(&fourth).await.contains(&"HISTORY-005".to_owned())).await;
    assert_eq!(owed(&fourth), 1);
    assert_eq!(fourth.ledger().pinned_history_key().unwrap(), Some(key.to_string()));
}
