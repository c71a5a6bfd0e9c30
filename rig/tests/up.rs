//! `cargo rig up` without a terminal: a whole confidential fax, line by line, and a foreign client that joins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

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
    while !invitation.contains("curl ") {
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
