//! The command line beside a running mail server: what an administrator does, with the program of the field.
#![allow(clippy::zombie_processes, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sealfax-mailserver");

/// A server that runs, and ends with the test.
struct Server(Child);

impl Server {
    fn start(config: &Path) -> Self {
        let started = Command::new(PROGRAM).args(["serve", "--config"]).arg(config).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("Mail: SMTP at")), "it did not start");
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let text = format!(
            "[mail]\nhost_name = 'mail.b.test'\ndomains = ['b.test']\nsmtp = '127.0.0.1:0'\npop3 = '127.0.0.1:0'\n\
             data = '{}'\ndns_servers = ['127.0.0.1:9']\n",
            data.display()
        );
        std::fs::write(folder.path().join("mail.toml"), text).unwrap();
        Self { folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("mail.toml")
    }

    fn run(&self, area: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(PROGRAM);
        command.arg(area).arg("--config").arg(self.config()).args(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // A program that reads no input may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn succeeds(&self, area: &str, arguments: &[&str], input: &str) -> String {
        let output = self.run(area, arguments, input);
        assert!(output.status.success(), "{area} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_same_commands_work_with_and_without_a_running_server() {
    let place = Place::new();
    place.succeeds("account", &["add", "hanako@b.test", "--name", "佐藤 花子"], "correct horse\n");
    let server = Server::start(&place.config());
    place.succeeds("account", &["add", "jiro@b.test", "--adapter", "fax.b.test"], "another horse\n");
    place.succeeds("account", &["quota", "jiro@b.test", "1000000"], "");
    place.succeeds("account", &["deputy", "jiro@b.test", "hanako@b.test"], "");
    for wrong in [["jiro@b.test", "jiro@b.test"], ["jiro@b.test", "nobody@b.test"]] {
        assert!(!place.run("account", &[&["deputy"], &wrong[..]].concat(), "").status.success(), "{wrong:?}");
    }
    assert!(!place.run("account", &["deputy", "jiro@b.test"], "").status.success(), "nobody is said with --none");
    place.succeeds("account", &["deputy", "hanako@b.test", "jiro@b.test"], "");
    place.succeeds("account", &["deputy", "hanako@b.test", "--none"], "");
    let twice = place.run("account", &["add", "jiro@b.test"], "another horse\n");
    assert!(!twice.status.success() && String::from_utf8_lossy(&twice.stderr).contains("exists"));
    let running = place.succeeds("account", &["list", "--json"], "");
    assert!(
        running.contains("\"quota\":1000000")
            && running.contains("fax.b.test")
            && running.contains("\"deputy\":\"hanako@b.test\"")
            && !running.contains("argon2")
    );
    assert!(place.succeeds("queue", &["list", "--json"], "").contains("\"queue\":[]"));
    let backup = place.folder.path().join("backup");
    place.succeeds("store", &["backup", backup.to_str().unwrap()], "");
    let used = place.run("store", &["check"], "");
    assert!(!used.status.success() && String::from_utf8_lossy(&used.stderr).contains("in use"));
    drop(server);
    assert_eq!(place.succeeds("account", &["list", "--json"], ""), running);
    assert!(place.succeeds("store", &["check", "--json"], "").contains("\"findings\":[]"));
    // A server started on the backup knows what the other knew.
    let text = std::fs::read_to_string(place.config()).unwrap().replace("/data'", "/backup'");
    std::fs::write(place.config(), text).unwrap();
    assert_eq!(place.succeeds("account", &["list", "--json"], ""), running);
    place.succeeds("store", &["check"], "");
    place.succeeds("store", &["repair"], "");
    assert_eq!(place.succeeds("account", &["list", "--json"], ""), running);
}

/// What an HTTP server says to a GET.
fn get(at: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(at).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    answer
}

/// A session line by line.
struct Smtp(BufReader<std::net::TcpStream>);

impl Smtp {
    fn open(at: &str) -> Self {
        let mut session = Self(BufReader::new(std::net::TcpStream::connect(at).unwrap()));
        session.reply();
        session
    }

    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if line.get(3..4) != Some("-") {
                return line;
            }
        }
    }

    fn say(&mut self, line: &str) -> String {
        write!(self.0.get_mut(), "{line}\r\n").unwrap();
        self.reply()
    }
}

fn free() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn figures_health_and_a_reload_in_the_middle_of_a_session() {
    let place = Place::new();
    let (smtp, metrics) = (free(), free());
    let text = std::fs::read_to_string(place.config()).unwrap();
    let text = text.replacen("'127.0.0.1:0'", &format!("'{smtp}'"), 1) + &format!("metrics = '{metrics}'\n");
    std::fs::write(place.config(), &text).unwrap();
    let server = Server::start(&place.config());
    place.succeeds("account", &["add", "hanako@b.test"], "correct horse\n");
    assert!(get(&metrics, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
    let mut session = Smtp::open(&smtp);
    assert!(session.say("EHLO c.test").starts_with("250 "));
    assert!(session.say("MAIL FROM:<a@a.test>").starts_with("250 "));
    assert!(session.say("RCPT TO:<x@remote.test>").starts_with("550 "));
    // A bad file changes nothing, a good one does, and the session goes on.
    let hang_up = |config: &str| {
        std::fs::write(place.config(), config).unwrap();
        Command::new("kill").arg("-HUP").arg(server.0.id().to_string()).status().unwrap();
    };
    hang_up(&format!("{text}relay_form = ['127.0.0.1']\n"));
    assert!(session.say("RCPT TO:<x@remote.test>").starts_with("550 "));
    hang_up(&format!("{text}relay_from = ['127.0.0.1']\n"));
    let taken = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(session.say("RSET").starts_with("250 ") && session.say("MAIL FROM:<a@a.test>").starts_with("250 "));
        session.say("RCPT TO:<x@remote.test>").starts_with("250 ")
    });
    assert!(taken, "the new configuration does not hold");
    assert!(session.say("RCPT TO:<hanako@b.test>").starts_with("250 "));
    assert!(session.say("DATA").starts_with("354 "));
    assert!(session.say("Subject: x\r\n\r\ny\r\n.").starts_with("250 "));
    let figures = get(&metrics, "/metrics");
    for line in ["sealfax_mail_taken_total 1", "sealfax_mail_queue 1", "sealfax_mail_accounts 1"] {
        assert!(figures.contains(line), "no {line} in {figures}");
    }
}
