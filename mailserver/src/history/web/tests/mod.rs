//! The pages over real sockets, as a browser asks for them, and as somebody does who means no good.

mod attacks;
mod flows;
mod listening;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sealfax_client::history::{Digest256, Event, Record};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::{self, Clock, Journal, Seams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::accounts::Accounts;
use crate::history::{HistoryConfig, HistoryServer};
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

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(octets: &[u8]) -> Self {
        let text = String::from_utf8_lossy(octets);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Self { status, head: head.to_owned(), body: body.to_owned() };
        if answer.field("transfer-encoding") == Some("chunked") {
            answer.body = unchunked(body);
        }
        answer
    }

    fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The session's cookie, as it is sent back.
    fn cookie(&self) -> Option<String> {
        Some(self.field("set-cookie")?.split(';').next()?.to_owned())
    }

    /// The value of a hidden field.
    fn token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"token\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

fn unchunked(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(after.get(..size).unwrap());
        rest = after.get(size + 2..).unwrap_or_default();
    }
    whole
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
        let host = self.server.addr();
        let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        let mut stream = self.open(&request).await;
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).await.unwrap();
        Answer::of(&octets)
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

fn typed(user: &str, password: &str, token: &str) -> String {
    use sealfax_client::http::percent_encode as encoded;
    format!("user={}&password={}&token={}&next=", encoded(user), encoded(password), encoded(token))
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
