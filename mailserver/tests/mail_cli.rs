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
    let twice = place.run("account", &["add", "jiro@b.test"], "another horse\n");
    assert!(!twice.status.success() && String::from_utf8_lossy(&twice.stderr).contains("exists"));
    let running = place.succeeds("account", &["list", "--json"], "");
    assert!(running.contains("\"quota\":1000000") && running.contains("fax.b.test") && !running.contains("argon2"));
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
