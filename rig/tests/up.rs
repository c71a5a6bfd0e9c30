//! `cargo rig up` without a terminal: a whole confidential fax, line by line, and a foreign client that joins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

const LINES: &str = "\
# Taro sends.
insert taro a
wait a pin
pin a
wait a ready
send a hanako An offer
wait a sent
pull a
# Jiro's card opens nothing.
wait b arrived
insert jiro b
wait b wrong-card
pull b
wait b arrived
insert hanako b
wait b pin
pin b
wait b press-receive
receive b
wait b done
pull b
wait a delivered
receive a
status
quit
";

#[test]
fn a_confidential_fax_line_by_line() {
    let out = tempfile::tempdir().unwrap();
    let mut up = Command::new(env!("CARGO_BIN_EXE_sealfax-rig"))
        .args(["up", "--script", "-", "--json", "--out"])
        .arg(out.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(up.stderr.take().unwrap());
    let mut invitation = String::new();
    while !invitation.contains("curl pop3:") {
        assert!(told.read_line(&mut invitation).unwrap() > 0, "{invitation}");
    }
    // A client of nobody's: the mail server greets it at the address that was told.
    let at = invitation.split("mail server SMTP ").nth(1).unwrap().split(',').next().unwrap();
    let mut greeting = [0; 4];
    TcpStream::connect(at).unwrap().read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ");
    for file in ["anchor.pem", "issuing.pem", "hanako-encrypt.pem", "hanako-encrypt.key.pem"] {
        assert!(out.path().join("join").join(file).is_file(), "{file}");
    }
    // Nobody may wait for whoever does not read.
    let rest = std::thread::spawn(move || std::io::read_to_string(told).unwrap());
    up.stdin.take().unwrap().write_all(LINES.as_bytes()).unwrap();
    let output = up.wait_with_output().unwrap();
    let rest = rest.join().unwrap();
    assert!(output.status.success(), "{rest}");
    let rows: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), LINES.lines().filter(|line| !line.starts_with('#')).count());
    assert!(rows.iter().all(|row| row["ok"] == true), "{rest}");
    let status: serde_json::Value = serde_json::from_str(rows[rows.len() - 2]["text"].as_str().unwrap()).unwrap();
    assert_eq!((&status["history"], &status["offices"][1]["mailboxes"]["hanako"]), (&1.into(), &0.into()));
}

#[test]
fn what_cannot_be_done_is_told_and_ends_badly() {
    let out = tempfile::tempdir().unwrap();
    let script = out.path().join("script");
    std::fs::write(&script, "pull b\nfly\ncable nowhere out\nserver tea stop\nquit\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sealfax-rig"))
        .args(["up", "--json", "--out"])
        .arg(out.path())
        .arg("--script")
        .arg(&script)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for advice in ["insert one", "say help", "adapter-a", "mail-a"] {
        assert!(said.contains(advice), "{advice}: {said}");
    }
}

/// A program that does not outlive its test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A terminal of nobody's, and what was written on it.
struct Glass {
    hand: OwnedFd,
    seen: Arc<Mutex<Vec<u8>>>,
    width: u16,
}

impl Glass {
    fn new() -> (Self, OwnedFd) {
        let hand = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&hand).unwrap();
        unlockpt(&hand).unwrap();
        let name = ptsname(&hand, Vec::new()).unwrap();
        let line = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (eye, kept) = (hand.try_clone().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok(count @ 1..) = rustix::io::read(&eye, &mut octets) {
                kept.lock().unwrap().extend_from_slice(&octets[..count]);
            }
        });
        let glass = Self { hand, seen, width: 100 };
        glass.resize();
        (glass, line)
    }

    fn resize(&self) {
        let size = Winsize { ws_row: 30, ws_col: self.width, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.hand, size).unwrap();
    }

    fn types(&self, keys: &str) {
        rustix::io::write(&self.hand, keys.as_bytes()).unwrap();
    }

    fn has(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).contains(words)
    }

    /// Waits until this was written.
    fn wrote(&self, words: &str) {
        let late = Instant::now() + Duration::from_secs(30);
        while !self.has(words) {
            assert!(Instant::now() < late, "{words:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A screen sends what changed; of another size it is drawn whole, word by word.
    fn shows(&mut self, words: &str) {
        let late = Instant::now() + Duration::from_secs(30);
        loop {
            if self.has(words) {
                return;
            }
            let seen = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
            assert!(Instant::now() < late, "{words:?} is not in {seen}");
            self.seen.lock().unwrap().clear();
            self.width ^= 1;
            self.resize();
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

#[test]
fn at_a_terminal_keys_and_lines_work_and_it_is_left_as_it_was() {
    let out = tempfile::tempdir().unwrap();
    let (mut glass, line) = Glass::new();
    let end = || Stdio::from(line.try_clone().unwrap());
    let up = Command::new(env!("CARGO_BIN_EXE_sealfax-rig"))
        .args(["up", "--out"])
        .arg(out.path())
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    let mut up = Running(up);
    glass.shows("▶ office a");
    // F2 at the chosen office, then a line; then the addresses once more.
    glass.types("\x1bOQ");
    glass.shows("taro's");
    glass.types("insert hanako b\r");
    glass.shows("hanako's");
    glass.types("\x1b[19~");
    glass.shows("pop3:");
    glass.seen.lock().unwrap().clear();
    glass.types("q");
    assert!(up.0.wait().unwrap().success());
    // The other screen, and the cursor.
    glass.wrote("\x1b[?1049l");
    glass.wrote("\x1b[?25h");
}
