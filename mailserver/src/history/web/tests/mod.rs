//! The pages over real sockets, as a browser asks for them, and as somebody does who means no good.

mod attacks;
mod flows;
mod listening;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sealfax_client::history::{Digest256, Event, Record};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::{self, Clock, Journal, Seams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::accounts::Accounts;
use crate::history::{HistoryConfig, HistoryServer};
use crate::pages::testing::{Answer, ask, typed};
use crate::store::EmbeddedStore;

const TARO: &str = "taro@a.test";
const HANAKO: &str = "hanako@b.test";
const AUDITOR: &str = "auditor@a.test";
const PASSWORD: &str = "correct horse";

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Journal for Lines {
    fn record(&self, record: seam::Record) {
        self.0.lock().unwrap().push(format!("{} {}", record.ids.join(","), record.text));
    }
}

struct Hand(Mutex<SystemTime>);

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// A history that listens, with three accounts.
struct Desk {
    server: HistoryServer,
    accounts: Accounts,
    lines: Arc<Lines>,
    clock: Arc<Hand>,
    _folders: [tempfile::TempDir; 2],
}

impl Desk {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut HistoryConfig)) -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let lines = Arc::new(Lines::default());
        let clock = Arc::new(Hand(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_867_200))));
        let seams = Seams { clock: clock.clone(), journal: lines.clone(), ..Seams::system() };
        let store = Arc::new(EmbeddedStore::open(folders[1].path(), &seams.entropy).unwrap());
        let accounts = Accounts::open(store, seams.entropy.clone()).unwrap().cheap();
        for address in [TARO, HANAKO, AUDITOR] {
            accounts.add(address, "", &password(), &[]).unwrap();
        }
        let mut config: HistoryConfig = toml::from_str(&format!(
            "host_name = \"history\"\nhttp = \"127.0.0.1:0\"\ndata = {:?}\nauditors = [{AUDITOR:?}]\nutc_offset = \"+09:00\"\n",
            folders[0].path().display()
        ))
        .unwrap();
        change(&mut config);
        let server = HistoryServer::start(config, Some(accounts.clone()), seams).await.unwrap();
        Self { server, accounts, lines, clock, _folders: folders }
    }

    fn passes(&self, time: Duration) {
        *self.clock.0.lock().unwrap() += time;
    }

    async fn open(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.addr()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, line: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        ask(self.server.addr(), line, fields, body).await
    }

    async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[("Cookie", cookie), ("Accept-Language", "en")], "").await
    }

    async fn post(&self, path: &str, cookie: &str, form: &str) -> Answer {
        let kind = "application/x-www-form-urlencoded";
        let fields = [("Cookie", cookie), ("Content-Type", kind), ("Accept-Language", "en")];
        self.ask(&format!("POST {path}"), &fields, form).await
    }

    /// Signs somebody in as a browser does, and has their cookie.
    async fn sign_in(&self, address: &str) -> String {
        let asked = self.get("/sign-in", "").await;
        let before = asked.cookie().unwrap();
        let form = typed(address, PASSWORD, &asked.token());
        let signed = self.post("/sign-in", &before, &form).await;
        assert_eq!((signed.status, signed.field("location")), (303, Some("/")), "{}", signed.body);
        signed.cookie().unwrap()
    }

    async fn register(&self, record: &Record) -> u64 {
        let body = serde_json::to_string(record).unwrap();
        let answer = self.ask("POST /records", &[("Content-Type", "application/json")], &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let size = self.server.history().checkpoint().unwrap().0.size;
        size - 1
    }

    fn told(&self, words: &str) -> bool {
        self.lines.0.lock().unwrap().iter().any(|line| line.contains(words))
    }
}

fn password() -> Password {
    Password::new(PASSWORD.as_bytes().to_vec())
}

fn record(event: Event, name: &str, sender: &str, recipient: &str) -> Record {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_867_000);
    let record = Record {
        event,
        message_id: format!("<{name}>"),
        sender: sender.to_owned(),
        recipient: recipient.to_owned(),
        sent: at,
        at,
        content_digest: Digest256::of(b"content"),
        evidence_digest: Digest256::of(b""),
        evidence: Vec::new(),
    };
    match event {
        Event::Retrieval => record.with_evidence(b"Content-Type: multipart/signed\r\n\r\n<script>alert(1)</script>"),
        _ => record,
    }
}
