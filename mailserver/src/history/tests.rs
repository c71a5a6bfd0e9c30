//! The history over real sockets, and histories that someone changed.

use std::time::{Duration, SystemTime};

use sealfax_client::history::{self as client, Digest256, Filter, Outcome, Transmission};
use sealfax_client::http::{self, Limits, Server};
use sealfax_client::seam::Seams;
use tempfile::TempDir;

use super::{Chain, HistoryConfig, HistoryError, HistoryServer};

fn transmission(number: u8) -> Transmission {
    let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + u64::from(number));
    Transmission {
        message_id: format!("<{number}.<script>@a.example.jp>"),
        sender: "taro@a.example.jp".to_owned(),
        recipient: "hanako@b.example.jp".to_owned(),
        sent,
        delivered: sent + Duration::from_secs(60),
        content_digest: Digest256::of(&[number]),
        confirmation_digest: Digest256::of(&[number, 1]),
        outcome: Outcome::Delivered,
    }
}

#[tokio::test]
async fn registered_once_listed_and_shown_escaped() {
    let seams = Seams::system();
    let folder = TempDir::new().unwrap();
    let config = HistoryConfig {
        host_name: "history".to_owned(),
        http: "127.0.0.1:0".parse().unwrap(),
        data: folder.path().to_owned(),
        limits: crate::authority::web::Limits::default(),
    };
    let server = HistoryServer::start(config.clone(), seams.clone()).await.unwrap();
    let at = Server::at(server.addr());
    let first = client::register(&seams, &at, &transmission(0)).await.unwrap();
    assert_eq!((first.index, first.known), (0, false));
    let again = client::register(&seams, &at, &transmission(0)).await.unwrap();
    assert_eq!((again.digest, again.known), (first.digest, true));
    let mut changed = transmission(0);
    changed.outcome = Outcome::Failed;
    let error = client::register(&seams, &at, &changed).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("HISTORY-002", false));
    client::register(&seams, &at, &transmission(1)).await.unwrap();
    let page = http::get(seams.network.as_ref(), &at, "/", "text/html", Limits::default()).await.unwrap();
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"));
    server.shutdown().await;

    let server = HistoryServer::start(config, seams.clone()).await.unwrap();
    assert_eq!(server.list().len(), 2);
    let at = Server::at(server.addr());
    let filter = Filter { sender: Some("taro@A.EXAMPLE.JP".to_owned()), ..Filter::default() };
    let listed = client::list(&seams, &at, &filter).await.unwrap();
    assert_eq!(listed, server.list());
    assert_eq!(listed[1].transmission, transmission(1));
    assert_eq!(listed[1].previous, first.digest);
    let future = Filter { since: Some(seams.clock.now() + Duration::from_secs(60)), ..Filter::default() };
    assert!(client::list(&seams, &at, &future).await.unwrap().is_empty());
}

#[test]
fn a_changed_dropped_or_reordered_entry_is_named() {
    let folder = TempDir::new().unwrap();
    let mut chain = Chain::open(folder.path()).unwrap();
    for number in 0..3 {
        chain.register(transmission(number), SystemTime::UNIX_EPOCH).unwrap();
    }
    let path = folder.path().join("history.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let changed = lines[1].replace("hanako", "jiro");
    for (wrong, at) in [
        (vec![lines[0], &changed, lines[2]], 2),
        (vec![lines[0], lines[2]], 1),
        (vec![lines[0], lines[2], lines[1]], 1),
        (vec!["{}", lines[1]], 0),
    ] {
        std::fs::write(&path, wrong.join("\n") + "\n").unwrap();
        let error = Chain::open(folder.path()).unwrap_err();
        assert!(matches!(error, HistoryError::Tampered { index, .. } if index == at), "{error}");
    }
}

#[test]
fn a_torn_last_line_is_cut_away() {
    let folder = TempDir::new().unwrap();
    Chain::open(folder.path()).unwrap().register(transmission(0), SystemTime::UNIX_EPOCH).unwrap();
    let path = folder.path().join("history.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}{{\"index\":1,\"regi")).unwrap();
    let mut chain = Chain::open(folder.path()).unwrap();
    assert_eq!(chain.len(), 1);
    assert_eq!(chain.register(transmission(1), SystemTime::UNIX_EPOCH).unwrap().index, 1);
    assert_eq!(Chain::open(folder.path()).unwrap().len(), 2);
}
