//! The status page over a real socket: what it says, to whom, and what it does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod daemon;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daemon::{LOOPBACK, configuration};
use sealfax_adapter::{Adapter, Config, console};
use sealfax_client::seam::{Seams, TcpNetwork};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(90);

async fn adapter(folder: &std::path::Path, status: &str) -> Adapter {
    let mut replacements = LOOPBACK.to_vec();
    // Where nobody listens: the diagnosis need not wait for servers that there are not.
    for server in ["192.0.2.25:25", "192.0.2.25:110", "192.0.2.26:80", "192.0.2.27:80"] {
        replacements.push((server, "127.0.0.1:1"));
    }
    replacements.push(("# [status]", status));
    let config = Config::read(&configuration(folder, &replacements)).unwrap();
    Adapter::start(config, Seams::system(), Arc::new(TcpNetwork), console::devices()).await.unwrap()
}

/// Status line and header, and body.
async fn ask(at: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.unwrap().unwrap();
    let said = String::from_utf8(said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
    (head.to_ascii_lowercase(), body.to_owned())
}

async fn get(at: SocketAddr, path: &str) -> (String, String) {
    ask(at, &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n\r\n")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_what_the_screen_says_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = adapter(folder.path(), "[status]\nlisten = \"127.0.0.1:0\"\n").await;
    let at = adapter.status().unwrap();

    // This machine has no card reader; the screen says so as soon as that is found out.
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        let (_, body) = get(at, "/status.json").await;
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        if json["band"]["code"] == "CARD-001" && json["faults"][0]["code"] == "CARD-001" {
            break;
        }
        assert!(std::time::Instant::now() < until, "{body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (head, body) = get(at, "/").await;
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    // In both languages, as the screen does.
    for word in ["Office B", "待機中", "Ready", "CARD-001", "カード読取装置がありません", "No card reader", "点検結果"]
    {
        assert!(body.contains(word), "{word}: {body}");
    }

    let (head, body) = get(at, "/status.json").await;
    assert!(head.contains("content-type: application/json"), "{head}");
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["screen"]["state"], "idle");
    let begun = json["diagnosis"]["at"].clone();
    assert!(begun.is_string(), "{body}");
    // The diagnosis is the same one: nobody has the servers asked over and over.
    let (_, body) = get(at, "/status.json").await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["diagnosis"]["at"], begun);

    let (head, body) = ask(at, &format!("HEAD / HTTP/1.1\r\nHost: {at}\r\n\r\n")).await;
    assert!(head.starts_with("http/1.1 200 ok") && body.is_empty(), "{head} {body}");
    let host = format!("Host: {at}");
    for (request, status) in [
        ("GET /other HTTP/1.1", "404"),
        ("GET /status.json/ HTTP/1.1", "404"),
        ("POST / HTTP/1.1", "405"),
        ("DELETE /status.json HTTP/1.1", "405"),
    ] {
        let (head, _) = ask(at, &format!("{request}\r\n{host}\r\nContent-Length: 0\r\n\r\n")).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{request}: {head}");
        assert!(head.contains("nosniff"), "{head}");
    }
    // A name that was made to lead here is not ours.
    let (head, body) = ask(at, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert!(head.starts_with("http/1.1 421") && !body.contains("Office"), "{head} {body}");
    let (head, _) = ask(at, &format!("GET / HTTP/1.1\r\n{host}\r\nX: {}\r\n\r\n", "x".repeat(70_000))).await;
    assert!(head.starts_with("http/1.1 431") || head.is_empty(), "{head}");
    adapter.shutdown().await;
}

#[tokio::test]
async fn there_is_none_unless_it_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = adapter(folder.path(), "# [status]").await;
    assert_eq!(adapter.status(), None);
}
