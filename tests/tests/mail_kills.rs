//! The mail server's program killed at random moments under load, on both stores: every mail that was answered 250 is in each
//! of its mailboxes, or in the queue, exactly once and octet for octet; what was not answered is in all of them or in none; what
//! was deleted and answered does not come back.
//!
//! `SEALFAX_KILLS` says how often; `tests/jobs/mail-kills.sh` asks for a thousand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sealfax_client::pop3::Client;
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::TcpNetwork;
use sealfax_client::smtp;
use sealfax_rig::peer::process::{Process, free_port};
use sealfax_tests::servers::{cluster, kills, program};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse";
const SENDERS: u64 = 8;
/// Longest time under load before the kill, in milliseconds.
const LONGEST: u64 = 120;

struct World {
    folder: tempfile::TempDir,
    smtp: SocketAddr,
    pop3: SocketAddr,
    process: Option<Process>,
}

impl World {
    fn new(database: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (smtp, pop3) = (free_port(HERE).unwrap(), free_port(HERE).unwrap());
        let database = database.map(|url| format!("database = '{url}'\n")).unwrap_or_default();
        let text = format!(
            "[mail]\nhost_name = 'mail.b.test'\ndomains = ['b.test']\nsmtp = '{smtp}'\npop3 = '{pop3}'\n\
             data = '{}/data'\ndns_servers = ['127.0.0.1:9']\nrelay_from = ['127.0.0.1']\nretry_schedule = ['1h']\n\
             {database}",
            folder.path().display()
        );
        std::fs::write(folder.path().join("mail.toml"), text).unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let mut world = Self { folder, smtp, pop3, process: None };
        world.start();
        for address in ["one@b.test", "two@b.test", "emptied@b.test"] {
            world.says("account", &["add", address]);
        }
        world
    }

    fn start(&mut self) {
        let mut command = Command::new(program());
        command.args(["serve", "--config"]).arg(self.folder.path().join("mail.toml")).env("RUST_LOG", "warn");
        let mut process = Process::start("sealfax-mailserver", command, &self.folder.path().join("log")).unwrap();
        process.wait_for_port(self.pop3, Duration::from_secs(30)).unwrap();
        self.process = Some(process);
    }

    fn kill(&mut self) {
        self.process = None;
    }

    fn says(&self, area: &str, arguments: &[&str]) -> String {
        use std::io::Write as _;
        let mut command = Command::new(program());
        command.arg(area).arg("--config").arg(self.folder.path().join("mail.toml")).args(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let _ = writeln!(child.stdin.take().unwrap(), "{PASSWORD}");
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{area} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The mail of a number: what it says, and how much, comes from the number alone.
fn mail(number: u64) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let lines = match random.next_u32() % 10 {
        0 => 2000,
        1..=3 => 200,
        _ => 3,
    };
    let mut text = format!("From: a@a.test\r\nSubject: {number}\r\n\r\n");
    for _ in 0..lines {
        text.push_str(&format!("{:016x}{:016x}{:016x}\r\n", random.next_u64(), random.next_u64(), random.next_u64()));
    }
    text
}

fn number_of(mail: &str) -> u64 {
    let line = mail.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
    line.parse().unwrap()
}

/// What the clients know.
#[derive(Default)]
struct Known {
    next: AtomicU64,
    /// Answered 250, and not yet seen by the check.
    kept: Mutex<Vec<u64>>,
    /// Out of `emptied@b.test`: deleted and answered, or deleted and no answer.
    gone: Mutex<BTreeMap<u64, bool>>,
}

async fn send(smtp: SocketAddr, known: &Known) {
    loop {
        let number = known.next.fetch_add(1, Ordering::Relaxed);
        let to = ["one@b.test", "two@b.test", "emptied@b.test"].map(str::to_owned);
        let to = [to.as_slice(), &[format!("n{number}@remote.test")]].concat();
        match smtp::send(&TcpNetwork, smtp, "c.test", None, &to, mail(number).as_bytes()).await {
            Ok(results) => {
                assert!(results.iter().all(|result| result.outcome.is_ok()), "{results:?}");
                known.kept.lock().unwrap().push(number);
            }
            // The server is gone, and the round with it.
            Err(_) => return,
        }
    }
}

async fn login(pop3: SocketAddr, user: &str) -> Option<Client> {
    let mut client = Client::connect(&TcpNetwork, pop3).await.ok()?;
    client.login(user, &Password::new(PASSWORD.as_bytes().to_vec())).await.ok()?;
    Some(client)
}

/// Fetches and deletes again and again, until the server is gone.
async fn empty(pop3: SocketAddr, known: &Known) {
    while let Some(mut client) = login(pop3, "emptied@b.test").await {
        let Ok((count, _)) = client.stat().await else { return };
        let mut numbers = Vec::new();
        for index in 1..=count {
            let Ok(mail) = client.retr(index).await else { return };
            numbers.push(number_of(&String::from_utf8(mail).unwrap()));
            if client.dele(index).await.is_err() {
                return;
            }
        }
        known.gone.lock().unwrap().extend(numbers.iter().map(|number| (*number, false)));
        let Ok(()) = client.quit().await else { return };
        known.gone.lock().unwrap().extend(numbers.iter().map(|number| (*number, true)));
    }
}

/// What a mailbox holds: each number with how often it is there, octet for octet; it is empty afterwards.
async fn holds(pop3: SocketAddr, user: &str) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    let mut client = Client::connect(&TcpNetwork, pop3).await.unwrap();
    client
        .login(user, &Password::new(PASSWORD.as_bytes().to_vec()))
        .await
        .unwrap_or_else(|error| panic!("no login as {user} after a start: {error}"));
    for index in 1..=client.stat().await.unwrap().0 {
        let text = String::from_utf8(client.retr(index).await.unwrap()).unwrap();
        let number = number_of(&text);
        assert!(text.ends_with(&mail(number)), "mail {number} of {user} is not as it was sent");
        *found.entry(number).or_default() += 1;
        client.dele(index).await.unwrap();
    }
    client.quit().await.unwrap();
    found
}

/// Recipients and numbers in the queue; it is empty afterwards.
fn queued(world: &World) -> BTreeMap<u64, usize> {
    let listed: serde_json::Value = serde_json::from_str(&world.says("queue", &["list", "--json"])).unwrap();
    let (mut found, mut ids) = (BTreeMap::new(), vec!["drop".to_owned()]);
    for row in listed["queue"].as_array().unwrap() {
        let recipient = row["recipients"][0].as_str().unwrap();
        let number = recipient.strip_prefix('n').unwrap().split('@').next().unwrap();
        *found.entry(number.parse().unwrap()).or_default() += 1;
        ids.push(row["id"].to_string());
    }
    if ids.len() > 1 {
        world.says("queue", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    }
    found
}

async fn under_kills(database: Option<&str>) {
    let mut world = World::new(database);
    let known = Known::default();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (mut total, mut unanswered) = (0, 0);
    for round in 0..kills() {
        let wait = Duration::from_micros(random.next_u64() % (LONGEST * 1000));
        let (smtp, pop3) = (world.smtp, world.pop3);
        let senders = futures(SENDERS, || send(smtp, &known));
        let kill = async {
            tokio::time::sleep(wait).await;
            world.kill();
        };
        tokio::join!(senders, empty(pop3, &known), kill);
        world.start();
        let kept = std::mem::take(&mut *known.kept.lock().unwrap());
        let gone = std::mem::take(&mut *known.gone.lock().unwrap());
        let (one, two) = (holds(world.pop3, "one@b.test").await, holds(world.pop3, "two@b.test").await);
        let emptied = holds(world.pop3, "emptied@b.test").await;
        let queued = queued(&world);
        assert!(one == two && one == queued, "round {round}: not all or none: {one:?} {two:?} {queued:?}");
        assert!(
            one.values().chain(emptied.values()).all(|times| *times == 1),
            "round {round}: doubled: {one:?} {emptied:?}"
        );
        for number in &kept {
            assert!(one.contains_key(number), "round {round}: mail {number} was answered 250 and is lost");
            assert!(
                emptied.contains_key(number) || gone.contains_key(number),
                "round {round}: mail {number} is lost from the emptied mailbox"
            );
        }
        for (number, answered) in gone {
            assert!(!answered || !emptied.contains_key(&number), "round {round}: mail {number} came back");
        }
        total += one.len();
        unanswered += one.len() - kept.len();
    }
    println!("{} kills, {total} mails, {unanswered} of them kept without an answer", kills());
    assert!(total as u64 > kills(), "there was hardly any load: {total} mails");
    world.kill();
    if database.is_none() {
        world.says("store", &["check"]);
    }
}

/// So many of them at once.
async fn futures<F: Future<Output = ()>>(count: u64, one: impl Fn() -> F) {
    join_all((0..count).map(|_| one())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store() {
    under_kills(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_store() {
    let Some(cluster) = cluster() else { return };
    under_kills(Some(&cluster.database("kills").unwrap())).await;
}

/// A disk that is full for a while: mail is refused with 452, nothing is lost, and it goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk() {
    let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Mounted::tmpfs(&disk, "12m");
    if mounted.0.is_none() {
        assert!(!strict, "a small file system cannot be mounted");
        return eprintln!("unsupported: only root mounts a small file system");
    }
    full(&disk).await;
}

/// A mount that ends with its handle.
struct Mounted(Option<PathBuf>);

impl Mounted {
    fn tmpfs(at: &Path, size: &str) -> Self {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at).status();
        Self(mount.is_ok_and(|status| status.success()).then(|| at.to_path_buf()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(at) = &self.0 {
            let _ = Command::new("umount").arg(at).status();
        }
    }
}

async fn full(disk: &Path) {
    let mut world = World::new(None);
    world.kill();
    let config = world.folder.path().join("mail.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let old = format!("{}/data'", world.folder.path().display());
    std::fs::write(&config, text.replace(&old, &format!("{}/data'", disk.display()))).unwrap();
    world.start();
    world.says("account", &["add", "one@b.test"]);
    let send = async |number: u64| {
        let to = ["one@b.test".to_owned()];
        smtp::send(&TcpNetwork, world.smtp, "c.test", None, &to, mail(number).as_bytes()).await.map(drop)
    };
    let mut kept = Vec::new();
    let fill = async |numbers: std::ops::Range<u64>, kept: &mut Vec<u64>| {
        let mut refused = 0;
        for number in numbers {
            match send(number).await {
                Ok(()) => kept.push(number),
                Err(error) => {
                    assert_eq!(error.code(), Some(452), "{error:?}");
                    refused += 1;
                }
            }
        }
        refused
    };
    assert!(fill(0..2000, &mut kept).await > 100, "12 MiB hold it all");
    assert!(kept.len() > 50);
    // The whole mailbox is handed out and deleted, on the full disk.
    let found = holds(world.pop3, "one@b.test").await;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), kept);
    kept.clear();
    // What was deleted makes space, and mail is taken again.
    for _ in 0..100 {
        if fill(5000..5001, &mut kept).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(fill(5001..5040, &mut kept).await, 0);
    // And after a start.
    world.kill();
    world.start();
    let found = holds(world.pop3, "one@b.test").await;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), kept);
    world.kill();
    world.says("store", &["check"]);
}
