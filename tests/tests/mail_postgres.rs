//! The mail server's shared store over a real PostgreSQL: what holds for every store, several nodes, a database that goes and
//! comes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sealfax_client::pop3::{Client, Pop3Error};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::{Seams, TcpNetwork};
use sealfax_client::smtp;
use sealfax_mailserver::mail::{MailConfig, MailServer};
use sealfax_mailserver::store::{Delivery, NewItem, News, PostgresStore, Route, Store, StoreError, suite};
use sealfax_tests::servers::cluster;

const PASSWORD: &str = "correct horse";

fn open(url: &str, folder: &Path) -> PostgresStore {
    PostgresStore::open(url, folder, &Seams::system().entropy).unwrap()
}

fn password() -> Password {
    Password::new(PASSWORD.as_bytes().to_vec())
}

fn queued(now: u64) -> Delivery {
    let item =
        NewItem { route: Route::Domain("c.test".to_owned()), recipients: vec!["x@c.test".to_owned()], expires: 99 };
    Delivery { mail: b"x\r\n".to_vec(), queue: vec![item], now, ..Delivery::default() }
}

#[test]
fn it_is_a_store_that_several_nodes_share() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database("suite").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let first: Arc<dyn Store> = Arc::new(open(&url, &one));
    assert!(matches!(PostgresStore::open(&url, &one, &Seams::system().entropy), Err(StoreError::InUse)));
    suite::holds(&first);
    let bodies = || cluster.says(&url, "SELECT count(*) FROM bodies").unwrap();
    assert_eq!(bodies(), "0", "what nobody wants is gone");

    // What one takes, the other does not; what a dead one had, the other takes.
    let second: Arc<dyn Store> = Arc::new(open(&url, &two));
    for number in 0..200 {
        first.deliver(queued(number % 7)).unwrap();
    }
    let taken = std::thread::scope(|scope| {
        let take = |store: Arc<dyn Store>| {
            move || {
                let mut mine = Vec::new();
                loop {
                    let due = store.due(50, &[]).unwrap().0;
                    if due.is_empty() {
                        return mine;
                    }
                    for item in due {
                        mine.push(item.id);
                        store.settle(item.id, None, None).unwrap();
                    }
                }
            }
        };
        let both = [scope.spawn(take(first.clone())), scope.spawn(take(second.clone()))];
        both.map(|one| one.join().unwrap())
    });
    let mut all = taken.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), taken.concat().len()), (200, 200));
    first.deliver(queued(1)).unwrap();
    assert_eq!(first.due(5, &[]).unwrap().0.len(), 1);
    assert_eq!(second.due(5, &[]).unwrap().0.len(), 0, "it is the first one's");
    cluster.says(&url, "UPDATE nodes SET alive_until = now() - interval '1 second'").unwrap();
    assert_eq!(second.due(5, &[]).unwrap().0.len(), 1, "who had it was not heard of");
    drop(second);
    assert_eq!(first.due(5, &[]).unwrap().0.len(), 1, "who leaves gives back");

    // One wakes the other.
    let second = open(&url, &two);
    let (tell, told) = std::sync::mpsc::channel();
    second.on_news(Box::new(move |news| {
        let _ = tell.send(news);
    }));
    loop {
        // Whether it listens already is not known.
        first.deliver(queued(1)).unwrap();
        if told.recv_timeout(Duration::from_secs(1)) == Ok(News::Work) {
            break;
        }
    }
    drop((first, second));

    cluster.says(&url, "INSERT INTO _sqlx_migrations VALUES (99, 'x', now(), true, '', 0)").unwrap();
    let newer = PostgresStore::open(&url, &one, &Seams::system().entropy);
    assert!(matches!(newer, Err(StoreError::Format { found: 99, .. })), "{newer:?}");
}

async fn node(url: &str, folder: &Path) -> MailServer {
    let any = SocketAddr::from(([127, 0, 0, 1], 9));
    std::fs::create_dir_all(folder).unwrap();
    let mut config = MailConfig::new("mail.b.test", &["b.test"], folder, vec![any]);
    config.database = Some(url.to_owned());
    MailServer::start(config, Seams::system()).await.unwrap()
}

async fn send(to: &MailServer, text: &str) -> Result<(), smtp::SendError> {
    let mail = format!("From: a@a.test\r\nSubject: x\r\n\r\n{text}\r\n");
    let recipients = ["hanako@b.test".to_owned()];
    let sent = smtp::send(&TcpNetwork, to.smtp_addr(), "c.test", None, &recipients, mail.as_bytes()).await?;
    match sent.into_iter().next().unwrap().outcome {
        Ok(()) => Ok(()),
        Err(rejection) => Err(smtp::SendError::Rejected { stage: "RCPT", rejection }),
    }
}

async fn login(at: &MailServer) -> Result<Client, Pop3Error> {
    let mut client = Client::connect(&TcpNetwork, at.pop3_addr()).await?;
    client.login("hanako@b.test", &password()).await?;
    Ok(client)
}

/// The last lines of all mails, with how often each is there.
async fn lines(at: &MailServer) -> BTreeMap<String, usize> {
    let mut client = login(at).await.unwrap();
    let mut lines = BTreeMap::new();
    for number in 1..=client.stat().await.unwrap().0 {
        let mail = String::from_utf8(client.retr(number).await.unwrap()).unwrap();
        *lines.entry(mail.lines().last().unwrap().to_owned()).or_default() += 1;
    }
    client.quit().await.unwrap();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_are_one() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database("two").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (node(&url, &folder.path().join("one")).await, node(&url, &folder.path().join("two")).await);
    one.accounts().clone().cheap().add("hanako@b.test", "Hanako", &password(), &[]).unwrap();
    let begin = Instant::now();
    while two.accounts().find("hanako@b.test").is_none() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the other does not hear of a new account");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for number in 0..10 {
        send(if number % 2 == 0 { &one } else { &two }, &format!("mail {number}")).await.unwrap();
    }
    let wanted: BTreeMap<String, usize> = (0..10).map(|number| (format!("mail {number}"), 1)).collect();
    assert_eq!((lines(&one).await, lines(&two).await), (wanted.clone(), wanted));
    let open = login(&one).await.unwrap();
    let refused = login(&two).await.unwrap_err();
    assert!(matches!(refused, Pop3Error::Refused { code: Some(code), .. } if code == "IN-USE"));
    drop(open);
    two.shutdown().await;
    one.shutdown().await;
}

/// 4xx at worst; what was answered 250 is there once, whatever was not is there at most once.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_goes_and_comes_under_load() {
    let Some(mut cluster) = cluster() else { return };
    let url = cluster.database("load").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(node(&url, folder.path()).await);
    server.accounts().clone().cheap().add("hanako@b.test", "Hanako", &password(), &[]).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|person| {
            let (server, stop) = (server.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut kept, mut refused) = (Vec::new(), 0);
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let text = format!("mail {person} {number}");
                    match send(&server, &text).await {
                        Ok(()) => kept.push(text),
                        Err(error) => {
                            assert!(error.code().is_some_and(|code| (400..500).contains(&code)), "{error:?}");
                            refused += 1;
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
                (kept, refused)
            })
        })
        .collect();
    let pause = || std::thread::sleep(Duration::from_millis(700));
    tokio::task::block_in_place(|| {
        pause();
        for _ in 0..2 {
            cluster.kill();
            pause();
            cluster.begin().unwrap();
            pause();
        }
    });
    stop.store(true, Ordering::Relaxed);
    let (mut kept, mut refused) = (Vec::new(), 0);
    for client in clients {
        let (own, times) = client.await.unwrap();
        kept.extend(own);
        refused += times;
    }
    let lines = lines(&server).await;
    assert!(kept.iter().all(|text| lines.get(text) == Some(&1)), "an answered mail is not there once");
    assert!(lines.values().all(|times| *times == 1), "a mail is there twice");
    // Whoever came while it was away may have waited for it.
    assert!(kept.len() > 10, "{} kept, {refused} refused", kept.len());
}
