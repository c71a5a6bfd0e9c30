//! The history over a real PostgreSQL, with several nodes; and the history server's program killed at random moments under
//! load, on both stores: every record that was acknowledged is there, under the same leaf, and the log that each receipt was
//! given for is continued.
//!
//! `SEALFAX_KILLS` says how often; `tests/jobs/history-kills.sh` asks for a thousand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sealfax_client::history::{self as client, Digest256, Event, LogKey, Receipt};
use sealfax_client::http::{self, Limits, Server};
use sealfax_client::seam::{Seams, TcpNetwork};
use sealfax_mailserver::history::suite::{self, record};
use sealfax_mailserver::history::verify::verify;
use sealfax_mailserver::history::{History, LogSigner, PostgresHistory, export};
use sealfax_rig::peer::process::{Process, free_port};
use sealfax_tests::servers::{cluster, kills, program};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ORIGIN: &str = "history.bureau.example";
const REGISTRARS: u64 = 8;
/// Longest time under load before the kill, in milliseconds.
const LONGEST: u64 = 120;

fn node(url: &str, keys: &Path) -> (Arc<dyn History>, LogKey) {
    let seams = Seams::system();
    let signer = LogSigner::open(keys, ORIGIN, seams.entropy.as_ref()).unwrap();
    let key = signer.key().clone();
    (Arc::new(PostgresHistory::open(url, signer, seams.clock, seams.entropy).unwrap()), key)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_for_every_history_holds_in_a_database() {
    let Some(cluster) = cluster() else { return };
    let keys = tempfile::tempdir().unwrap();
    let url = cluster.database("proves").unwrap();
    let (history, key) = node(&url, keys.path());
    suite::proves(&history, &key).await;
    drop(history);
    suite::is_proven(node(&url, keys.path()).0.as_ref(), &key);

    let url = cluster.database("finds").unwrap();
    let (history, key) = node(&url, keys.path());
    suite::nine(history.as_ref()).await;
    suite::finds(history.as_ref());
    suite::erases(history.as_ref(), &key).await;
    assert_eq!(
        cluster.says(&url, "SELECT count(*) FROM sealfax_history.records WHERE personal LIKE '%<3@%'").unwrap(),
        "0"
    );

    // Whoever can write the database cannot write the history: a copy says where it was changed.
    let copy = tempfile::tempdir().unwrap();
    let check = |history: &dyn History| {
        let mut octets = Vec::new();
        export::log(history, &mut octets).unwrap();
        std::fs::write(copy.path().join("records"), octets).unwrap();
        verify(copy.path(), &key, &[], &mut |_| {})
    };
    assert_eq!(check(history.as_ref()).unwrap().erased, 2);
    let changed = "UPDATE sealfax_history.records SET leaf = replace(leaf, 'submission', 'retrieval') WHERE index = 2";
    cluster.says(&url, changed).unwrap();
    assert!(check(history.as_ref()).is_err());
    assert!(history.receipt(2).unwrap().verify(&key).is_err());
    // Nor is somebody else's log gone on with.
    let other = tempfile::tempdir().unwrap();
    let seams = Seams::system();
    let signer = LogSigner::open(other.path(), ORIGIN, seams.entropy.as_ref()).unwrap();
    assert!(PostgresHistory::open(&url, signer, seams.clock, seams.entropy).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_append_to_one_log() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database("nodes").unwrap();
    let keys = tempfile::tempdir().unwrap();
    let (first, key) = node(&url, keys.path());
    let (second, _) = node(&url, keys.path());
    let receipts: Arc<Mutex<Vec<Receipt>>> = Arc::default();
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            // Every third one is brought to both at once.
            let nodes =
                if number % 3 == 0 { vec![&first, &second] } else { vec![[&first, &second][number as usize % 2]] };
            let (nodes, receipts) = (nodes.into_iter().cloned().collect::<Vec<_>>(), receipts.clone());
            tokio::spawn(async move {
                let both = nodes.iter().map(|node| node.register(record(number, Event::Submission), None));
                for acknowledged in join_all(both).await {
                    receipts.lock().unwrap().push(acknowledged.unwrap().receipt);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (head, _) = first.checkpoint().unwrap();
    assert_eq!(head.size, 200);
    for receipt in receipts.lock().unwrap().iter() {
        let earlier = receipt.verify(&key).unwrap().head;
        head.continues(&earlier, &second.continues(earlier.size, head.size).unwrap()).unwrap();
    }
}

struct World {
    folder: tempfile::TempDir,
    at: SocketAddr,
    process: Option<Process>,
}

impl World {
    fn new(database: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = free_port(HERE).unwrap();
        let database = database.map(|url| format!("database = '{url}'\n")).unwrap_or_default();
        let text = format!(
            "[history]\nhost_name = '{ORIGIN}'\nhttp = '{at}'\ndata = '{}/data'\neverybody_reads = true\n{database}\
             [history.limits]\npeer_connections = 100\nbody = 262144\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("history.toml"), text).unwrap();
        let mut world = Self { folder, at, process: None };
        world.start();
        world
    }

    fn start(&mut self) {
        let mut command = Command::new(program());
        command.args(["serve", "--config"]).arg(self.folder.path().join("history.toml")).env("RUST_LOG", "warn");
        let mut process = Process::start("sealfax-mailserver", command, &self.folder.path().join("log")).unwrap();
        process.wait_for_port(self.at, Duration::from_secs(30)).unwrap();
        self.process = Some(process);
    }
}

/// Registers records one after the other until the server is gone.
async fn registers(server: &Server, key: &LogKey, next: &AtomicU64, kept: &Mutex<Vec<(u64, Receipt)>>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let event = if number.is_multiple_of(5) { Event::Retrieval } else { Event::Submission };
        let record = record(u32::try_from(number).unwrap(), event);
        match client::register(&TcpNetwork, server, key, None, &record).await {
            Ok((registered, _)) => kept.lock().unwrap().push((number, registered.receipt)),
            Err(client::HistoryError::Http(_)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn killed(database: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut world = World::new(database);
    let server = Server::at(world.at);
    let key = runtime.block_on(client::key(&TcpNetwork, &server)).unwrap();
    let (next, kept, mut held) = (AtomicU64::new(0), Mutex::new(Vec::new()), Vec::new());
    let mut random = ChaCha8Rng::seed_from_u64(9162);
    for kill in 0..kills() {
        let load = Duration::from_millis(u64::from(random.next_u32()) % LONGEST);
        runtime.block_on(async {
            let all = (0..REGISTRARS).map(|_| registers(&server, &key, &next, &kept));
            let end = async {
                tokio::time::sleep(load).await;
                world.process = None;
            };
            tokio::join!(join_all(all), end);
        });
        world.start();
        let get = |path: String| {
            let limits = Limits { body: 1 << 20, ..Limits::default() };
            let response = runtime.block_on(http::get(&TcpNetwork, &server, &path, "*/*", limits)).unwrap();
            response.success().unwrap_or_else(|error| panic!("{path}: {error:?}")).body
        };
        let note = String::from_utf8(get("/checkpoint".to_owned()).to_vec()).unwrap();
        let head = key.checkpoint(&note).unwrap();
        held.append(&mut kept.lock().unwrap());
        // All new ones, and some of those before.
        let sample = held.len().saturating_sub(60)..held.len();
        for (number, receipt) in held.get(sample).unwrap() {
            let earlier = receipt.verify(&key).unwrap().head;
            let path = get(format!("/consistency?from={}&to={}", earlier.size, head.size));
            let path: Vec<Digest256> = serde_json::from_slice(&path).unwrap();
            head.continues(&earlier, &path).unwrap_or_else(|why| panic!("{number} after kill {kill}: {why}"));
            let there: Receipt =
                serde_json::from_slice(&get(format!("/records/{}/receipt", receipt.proof.index))).unwrap();
            there.verify(&key).unwrap();
            assert_eq!(
                (&there.leaf, &there.personal),
                (&receipt.leaf, &receipt.personal),
                "{number} after kill {kill}"
            );
        }
    }
    world.process = None;
    assert!(!held.is_empty());
    eprintln!("{} records acknowledged in {} rounds", held.len(), kills());
    if database.is_none() {
        let seen: Vec<_> = held.iter().map(|(_, receipt)| receipt.verify(&key).unwrap().head).collect();
        verify(&world.folder.path().join("data"), &key, &seen, &mut |_| {}).unwrap();
    }
}

#[test]
fn the_history_server_killed_under_load_keeps_what_it_acknowledged() {
    killed(None);
}

#[test]
fn the_same_over_postgresql() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database("killed").unwrap();
    killed(Some(&url));
}
