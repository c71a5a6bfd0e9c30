//! An administrator's desk for tests of `sealfax-adapter card`: a person who types what is laid out for them, blank cards,
//! and a certificate authority that is a shell script around the openssl command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Parser;
use sealfax_adapter::card_command::{self, CardArgs, CardCommandError, Console};
use sealfax_client::seam::Seams;
use sealfax_drivers::card::CardReader;
use sealfax_drivers::pin::Pin;
use sealfax_rig::virtual_card::{ApduEvent, BlankCard, CardHandle, SlotHandle, VirtualCard, VirtualReader};
use sealfax_tests::openssl::openssl;
use zeroize::Zeroizing;

/// The PIN that cards are issued with here.
pub const PIN: &str = "27182818";
/// Whom they are issued to.
pub const ADDRESS: &str = "hanako@b.example";
/// Her name.
pub const NAME: &str = "佐藤 花子";

/// A person at the command line.
#[derive(Default)]
pub struct Person {
    /// What they were told.
    pub told: Vec<String>,
    /// What they type when asked without echo.
    pub types: VecDeque<String>,
    /// What is piped in.
    pub pipes: VecDeque<String>,
}

impl Console for Person {
    fn say(&mut self, line: &str) {
        self.told.push(line.to_owned());
    }

    fn hidden(&mut self, _prompt: &str) -> Option<Zeroizing<String>> {
        self.types.pop_front().map(Zeroizing::new)
    }

    fn piped(&mut self) -> io::Result<Zeroizing<String>> {
        self.pipes.pop_front().map(Zeroizing::new).ok_or_else(|| io::Error::other("nothing is piped in"))
    }
}

/// What a command left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub exit: u8,
    /// What was said on standard error.
    pub told: String,
    /// What was written to standard output.
    pub out: String,
    /// The same, read.
    pub json: serde_json::Value,
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    card: CardArgs,
}

/// Files that an administrator has, and an authority.
pub struct Desk {
    folder: tempfile::TempDir,
    /// Seconds to wait for a card.
    pub wait: u32,
    /// Every APDU, as it may stand in a trace.
    pub trace: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    /// A secret, and a root that signs requests; `None` where there is no openssl command.
    pub fn new() -> Option<Self> {
        if !sealfax_tests::openssl::present() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let desk = Self { folder, wait: 1, trace: Arc::default() };
        let path = desk.path();
        std::fs::write(path.join("secret"), "an administrator's secret of many octets, for tests").unwrap();
        std::fs::set_permissions(path.join("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
        openssl(
            path,
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
                "-days",
                "3650",
                "-subj",
                "/O=Sealfax test/CN=Root",
                "-addext",
                "basicConstraints=critical,CA:TRUE",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            ],
        )
        .unwrap();
        let script = path.join("ca");
        std::fs::write(&script, include_str!("ca.sh")).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(desk)
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file's name as an argument.
    pub fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// The mail account's password as the account command got it.
    pub fn account_password(&self) -> String {
        std::fs::read_to_string(self.path().join("account")).unwrap().trim().to_owned()
    }

    /// A command that keeps the mailbox password as a mail server would.
    pub fn account_command(&self) -> String {
        format!("sh -c 'cat > {}'", self.file("account"))
    }

    /// The arguments of an issue for Hanako.
    pub fn issue(&self, more: &[&str]) -> Vec<String> {
        let mut line: Vec<String> =
            ["issue", "--name", NAME, "--address", ADDRESS, "--pin-stdin"].map(str::to_owned).to_vec();
        line.extend(["--secret".to_owned(), self.file("secret"), "--ca".to_owned(), self.file("ca")]);
        line.extend(["--account".to_owned(), self.account_command()]);
        line.extend(more.iter().map(|one| (*one).to_owned()));
        line
    }

    /// Runs a card command with a reader.
    pub fn run(&self, reader: Result<Box<dyn CardReader>, CardCommandError>, line: &[String], pipes: &[&str]) -> Ran {
        let mut words = vec!["card".to_owned(), "--json".to_owned(), "--wait".to_owned(), self.wait.to_string()];
        words.extend(line.iter().cloned());
        let args = Line::try_parse_from(words).unwrap().card;
        let mut person = Person { pipes: pipes.iter().map(|one| (*one).to_owned()).collect(), ..Person::default() };
        let mut out = Vec::new();
        let exit = card_command::run(&args, reader, &mut person, &mut out, &Seams::system());
        let out = String::from_utf8(out).unwrap();
        let json = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out}"));
        Ran { exit, told: person.told.join("\n"), out, json }
    }

    /// The same with a virtual card in a virtual reader.
    pub fn with(&self, card: &CardHandle, line: &[String], pipes: &[&str]) -> Ran {
        let (reader, slot) = self.reader(card);
        let ran = self.run(Ok(Box::new(reader)), line, pipes);
        drop(slot);
        ran
    }

    /// A reader with a card in it, whose APDUs are traced.
    pub fn reader(&self, card: &CardHandle) -> (VirtualReader, SlotHandle) {
        let (reader, slot) = VirtualReader::new("virtual");
        slot.insert(card);
        let trace = Arc::clone(&self.trace);
        slot.observe(Arc::new(move |event: &ApduEvent| {
            trace.lock().unwrap().push(format!("{} -> {}", event.command, event.response));
        }));
        (reader, slot)
    }
}

/// Words of a command line.
pub fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|one| (*one).to_owned()).collect()
}

/// A card as its maker ships it.
pub fn blank(seed: u64) -> BlankCard {
    BlankCard::new("blank", Pin::new(b"123456").unwrap(), seed)
}

/// In a hand.
pub fn card(blank: BlankCard) -> CardHandle {
    Arc::new(Mutex::new(VirtualCard::blank(blank)))
}

/// Where `tests/run` built a program that is no part of the product.
pub fn target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(name)
}
