//! `sealfax-adapter run` as systemd sees it: ready, fed while no worker is stuck, stopping, and the code it ends with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod daemon;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daemon::{Daemon, LOOPBACK, PROGRAM, configuration};
use sd_notify::NotifyState;
use sealfax_adapter::service::{self, Ending, LineKind, Manager};
use sealfax_adapter::{Adapter, Config, console};
use sealfax_client::seam::{Seams, TcpNetwork};
use sealfax_drivers::display::VirtualDisplay;

/// An address that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn it_says_that_it_is_ready_is_fed_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), &LOOPBACK);
    let mut daemon = Daemon::start(Command::new(PROGRAM), folder.path(), &config);
    let first = daemon.told();
    assert!(first.contains("READY=1") && first.contains("STATUS="), "{first}");
    daemon.tells("WATCHDOG=1");
    // A machine without a reader says so, in the status as in the journal.
    if !first.contains("CARD-001") {
        daemon.tells("CARD-001");
    }
    daemon.writes("the missing reader", |line| {
        line.code.as_deref() == Some("CARD-001") && line.kind == LineKind::Failure
    });
    daemon.writes("the first step", |line| line.kind == LineKind::Step && line.ids == ["T3", "H1"]);
    daemon.writes("the screen", |line| line.kind == LineKind::Screen && line.text == "idle");
    daemon.terminate();
    daemon.tells("STOPPING=1");
    assert_eq!(daemon.ends().code(), Some(0), "{}", daemon.said());
}

#[test]
fn told_twice_it_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let smtp = free();
    let at = smtp.to_string();
    let replacements = [("192.168.77.1:25", at.as_str()), LOOPBACK[1], LOOPBACK[2]];
    let config = configuration(folder.path(), &replacements);
    let mut daemon = Daemon::start(Command::new(PROGRAM), folder.path(), &config);
    daemon.tells("READY=1");
    // A document waits for its sender's card: a stop waits for it.
    let mut machine = TcpStream::connect(smtp).unwrap();
    machine
        .write_all(b"EHLO fax\r\nMAIL FROM:<fax@b.example>\r\nRCPT TO:<x@b.example>\r\nDATA\r\nFrom: fax@b.example\r\n\r\nx\r\n.\r\n")
        .unwrap();
    let held = daemon.writes("that it is held", |line| line.ids == ["S1"]);
    // Its lines have one identifier.
    let came = daemon.writes("its data", |line| line.ids.iter().any(|id| id == "I1"));
    assert!(held.transmission.is_some() && held.transmission == came.transmission, "{held:?} {came:?}");
    daemon.terminate();
    daemon.tells("STOPPING=1");
    daemon.terminate();
    assert_eq!(daemon.ends().code(), Some(1), "{}", daemon.said());
    let lines = BufReader::new(machine).lines().map_while(Result::ok).collect::<Vec<_>>();
    assert!(!lines.iter().any(|line| line.starts_with("250 2.0.0 Sealed")), "{lines:?}");
}

#[test]
fn what_a_restart_cures_has_another_code_than_what_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let config = configuration(folder.path(), &[("192.168.77.1:25", &*at), LOOPBACK[1], LOOPBACK[2]]);
    let mut daemon = Daemon::start(Command::new(PROGRAM), folder.path(), &config);
    assert_eq!(daemon.ends().code(), Some(1));
    let told = daemon.told();
    assert!(told.contains("STATUS=cannot listen for the terminal's mail"), "{told}");

    let run = |arguments: &[&str]| Command::new(PROGRAM).arg("run").args(arguments).output().unwrap();
    let path = config.display().to_string();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("pin_seconds", "pin_secnods").replace("ocsp_nonce = \"r", "ocsp_nonce = \"w"))
        .unwrap();
    for arguments in [&["--config", &path][..], &["--check", "--config", &path]] {
        let output = run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in ["pin_secnods", "pin_seconds", "ocsp_nonce"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

#[test]
fn a_check_looks_into_the_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), &LOOPBACK);
    let check = || Command::new(PROGRAM).args(["run", "--check", "--config"]).arg(&config).output().unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&config).unwrap().replace("# intermediates = \"/etc", "intermediates = \"/no");
    std::fs::write(&config, text).unwrap();
    std::fs::write(folder.path().join("anchors.pem"), "nothing of the kind").unwrap();
    let output = check();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for key in ["network.anchors", "network.intermediates"] {
        assert!(said.contains(key), "{key}: {said}");
    }
    assert!(!folder.path().join("data").exists(), "a check leaves nothing behind");
}

/// A service manager that counts its feedings.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<usize>>);

impl Manager for Counting {
    fn tell(&self, states: &[NotifyState<'_>]) {
        *self.0.lock().unwrap() += states.iter().filter(|state| matches!(state, NotifyState::Watchdog)).count();
    }

    fn watchdog(&self) -> Option<Duration> {
        Some(Duration::from_secs(30))
    }
}

impl Counting {
    fn fed(&self) -> usize {
        *self.0.lock().unwrap()
    }
}

/// Lets the virtual clock run, second by second, and everybody have their turn.
async fn seconds(count: usize) {
    for _ in 0..count {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stuck_worker_keeps_the_watchdog_hungry() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::read(&configuration(folder.path(), &LOOPBACK)).unwrap();
    // A display whose driver does not come back for as long as the test holds the other end.
    let (hold, stuck) = std::sync::mpsc::channel::<()>();
    let mut devices = console::devices();
    devices.display = Box::new(VirtualDisplay::new(move |_, _, _| {
        let _ = stuck.recv();
    }));
    let adapter = Adapter::start(config, Seams::system(), Arc::new(TcpNetwork), devices).await.unwrap();
    let manager = Counting::default();
    let (told, mut stop) = tokio::sync::mpsc::unbounded_channel();
    let listener = manager.clone();
    let kept = tokio::spawn(async move { service::keep(adapter, &listener, None, &mut stop).await });
    seconds(30).await;
    let fed = manager.fed();
    assert!(fed > 0, "it was fed while nothing was known against the screen");
    seconds(60).await;
    assert_eq!(manager.fed(), fed, "nobody feeds for a stuck screen");
    drop(hold);
    // The driver is a thread of its own: it comes back in its own time.
    while manager.fed() == fed {
        std::thread::sleep(Duration::from_millis(1));
        seconds(1).await;
    }
    told.send(()).unwrap();
    assert_eq!(kept.await.unwrap(), Ending::Stopped);
}
