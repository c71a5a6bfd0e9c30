//! The server over real sockets, in clear and under TLS.

use std::time::Duration;

use sealfax_client::history::{self as client, Digest256, Event, Filter, Proof, Unproven};
use sealfax_client::http::{self, Limits, Server};
use tempfile::TempDir;

use super::*;
use crate::history::suite::record;
use crate::history::{HistoryConfig, HistoryServer};

fn config(folder: &Path) -> HistoryConfig {
    toml::from_str(&format!(
        "host_name = \"history\"\nhttp = \"127.0.0.1:0\"\ndata = {:?}\neverybody_reads = true\n",
        folder.display()
    ))
    .unwrap()
}

#[tokio::test]
async fn registered_once_proven_and_listed() {
    let seams = Seams::system();
    let network = seams.network.as_ref();
    let folder = TempDir::new().unwrap();
    let server = HistoryServer::start(config(folder.path()), None, seams.clone()).await.unwrap();
    let at = Server::at(server.addr());
    let key = client::key(network, &at).await.unwrap();
    assert_eq!(key.to_string(), server.key().to_string());
    let (first, head) = client::register(network, &at, &key, None, &record(0, Event::Submission)).await.unwrap();
    assert_eq!((first.receipt.proof.index, first.known, head.size), (0, false, 1));
    let mut head = head;
    for number in 1..20 {
        let record = record(number, Event::Submission);
        let (_, next) = client::register(network, &at, &key, Some(&head), &record).await.unwrap();
        head = next;
    }
    let again = client::register(network, &at, &key, Some(&head), &record(0, Event::Submission)).await.unwrap();
    assert!(again.0.known);
    let mut changed = record(0, Event::Submission);
    changed.content_digest = Digest256::of(b"another");
    let error = client::register(network, &at, &key, None, &changed).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("HISTORY-002", false));
    // Whoever saw another history is told so.
    let mut other = head;
    other.root.0[3] ^= 1;
    let error = client::register(network, &at, &key, Some(&other), &record(20, Event::Submission)).await.unwrap_err();
    assert_eq!(error.code(), "HISTORY-006");
    other = head;
    other.size += 100;
    let error = client::register(network, &at, &key, Some(&other), &record(20, Event::Submission)).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("HISTORY-006", true));
    // Anybody has the proof of what they hold, from whatever they got.
    let get = async |path: &str| http::get(network, &at, path, "*/*", Limits::default()).await.unwrap();
    let proof = get("/records/7/proof").await.success().unwrap();
    let proof = Proof::parse(std::str::from_utf8(&proof.body).unwrap()).unwrap();
    assert_eq!(proof.verify(b"something else", &key), Err(Unproven::Inclusion));
    let bundle = get("/tile/entries/000.p/21").await.success().unwrap().body;
    let mut rest = &bundle[..];
    let mut leaves = Vec::new();
    while let [high, low, after @ ..] = rest {
        let (leaf, after) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        leaves.push(leaf);
        rest = after;
    }
    assert_eq!(leaves.len(), 21);
    proof.verify(leaves[7], &key).unwrap();
    assert_eq!(get("/tile/0/000.p/21").await.success().unwrap().body.len(), 21 * 32);
    for none in ["/tile/0/000", "/tile/0/000.p/22", "/records/21/proof", "/records/x/proof", "/tile/99/000"] {
        assert!((400..500).contains(&get(none).await.status), "{none}");
    }
    server.shutdown().await;

    let server = HistoryServer::start(config(folder.path()), None, seams.clone()).await.unwrap();
    let at = Server::at(server.addr());
    assert_eq!(server.list().len(), 21);
    let filter = Filter { sender: Some("taro@A.EXAMPLE.JP".to_owned()), ..Filter::default() };
    let listed = client::list(network, &at, &filter).await.unwrap();
    assert_eq!(listed, server.list());
    let future = Filter { since: Some(seams.clock.now() + Duration::from_secs(60)), ..Filter::default() };
    assert!(client::list(network, &at, &future).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_kept_long_enough_is_erased() {
    let seams = Seams::system();
    let folder = TempDir::new().unwrap();
    let (history, key) = open(folder.path()).unwrap();
    fill(history.as_ref(), 0..3).await;
    drop(history);
    let keep =
        |retention| HistoryConfig { retention: Some(retention), origin: Some(ORIGIN.into()), ..config(folder.path()) };
    let start = async |retention| HistoryServer::start(keep(retention), None, seams.clone()).await.unwrap();
    let server = start(Duration::from_secs(3600)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.list().len(), 3);
    server.shutdown().await;
    let server = start(Duration::ZERO).await;
    // However long it takes; a test that never ends has failed.
    while !server.list().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.history().receipt(1).unwrap().verify(&key).unwrap();
}

#[tokio::test]
async fn nobody_reads_without_saying_who_they_are() {
    let seams = Seams::system();
    let network = seams.network.as_ref();
    let folder = TempDir::new().unwrap();
    let config = HistoryConfig { everybody_reads: false, ..config(folder.path()) };
    let server = HistoryServer::start(config, None, seams.clone()).await.unwrap();
    let at = Server::at(server.addr());
    let key = client::key(network, &at).await.unwrap();
    client::register(network, &at, &key, None, &record(0, Event::Submission)).await.unwrap();
    for path in ["/records", "/records/0/receipt", "/records/9/receipt"] {
        let response = http::get(network, &at, path, "*/*", Limits::default()).await.unwrap();
        assert_eq!((response.status, response.body.len()), (401, 0), "{path}");
    }
}
