//! One who never stops talking: endless lines and endless mails at each of the adapter's doors cost it nothing.
//!
//! Alone in its binary, because it measures the memory of its process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sealfax_adapter::{Adapter, Config, Devices};
use sealfax_client::seam::{Seams, TcpNetwork};
use sealfax_drivers::display::{Album, Language, Style};
use sealfax_mailserver::authority::{Authority, AuthorityOptions};
use sealfax_rig::events::EventLog;
use sealfax_rig::instrument::buzzer::SensedBuzzer;
use sealfax_rig::instrument::keypad::{button, keypad};
use sealfax_rig::instrument::lamp::SensedLamp;
use sealfax_rig::instrument::screen::{RecordedDisplay, ScreenNumbers};
use sealfax_rig::virtual_card::VirtualReader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is said after the opening, in octets.
const ENDLESS: usize = 100 << 20;
/// What an adapter may grow by meanwhile: the largest mail it takes, twice, and some air.
const GROWTH: usize = 80 << 20;

/// An adapter, and the hands on its virtual devices, which must not let go.
async fn adapter(folder: &std::path::Path) -> (Adapter, impl Sized) {
    let options = AuthorityOptions::default();
    let authority = Authority::create(&folder.join("ca"), &options, &Seams::system()).unwrap();
    let anchors = folder.join("anchors.pem");
    std::fs::write(&anchors, authority.anchor_pem().unwrap()).unwrap();
    let mut config: Config = toml::from_str(include_str!("../../adapter/sealfax-adapter.example.toml")).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.terminal.smtp, config.terminal.pop3, config.network.notices) = (Some(any), Some(any), any);
    config.network.notices_from = vec![IpAddr::from([127, 0, 0, 1])];
    // Nobody listens there.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    (config.network.smtp, config.network.pop3) = (nobody, nobody);
    (config.network.directory, config.network.history) = (nobody, nobody);
    (config.network.anchors, config.network.intermediates) = (anchors, None);
    config.data = folder.join("data");
    config.sending.hold_seconds = 0;
    let log = EventLog::new();
    let name = "adapter";
    let ((knob, finger), (reader, slot), (pad, keys)) =
        (button(log.clone()), VirtualReader::new(name), keypad(log.clone()));
    let devices = Devices {
        lamp: Box::new(SensedLamp::new(log.clone(), name)),
        buzzer: Box::new(SensedBuzzer::new(log.clone(), name)),
        button: Box::new(knob),
        display: Box::new(RecordedDisplay::new(log, name, Language::English, None, ScreenNumbers::default())),
        reader: Box::new(reader),
        pin_pad: Box::new(pad),
        person: None,
        style: Style::default(),
        album: Album::default(),
    };
    let adapter = Adapter::start(config, Seams::system(), Arc::new(TcpNetwork), devices).await.unwrap();
    (adapter, (finger, slot, keys))
}

/// `USER xxx...`, a command of 256 octets.
const fn user() -> [u8; 256] {
    let mut line = [b'x'; 256];
    let (mut at, start) = (0, b"USER ");
    while at < start.len() {
        line[at] = start[at];
        at += 1;
    }
    line[254] = b'\r';
    line[255] = b'\n';
    line
}

/// Octets of memory that this process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Says `opening` and then `refrain` over and over; returns what was answered and the most memory seen meanwhile.
async fn talk(at: SocketAddr, opening: &str, refrain: &[u8]) -> (String, usize) {
    let (mut hear, mut say) = TcpStream::connect(at).await.unwrap().into_split();
    let hearing = tokio::spawn(async move {
        let mut said = Vec::new();
        let mut buffer = [0u8; 4096];
        while let Ok(count @ 1..) = hear.read(&mut buffer).await {
            // Only the beginning is of interest, and the rest would be this test's memory, not the adapter's.
            let room = (64usize << 10).saturating_sub(said.len());
            said.extend_from_slice(&buffer[..count.min(room)]);
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    say.write_all(opening.as_bytes()).await.unwrap();
    let block = refrain.repeat((64 << 10) / refrain.len());
    let mut most = resident();
    for _ in 0..ENDLESS / block.len() {
        if say.write_all(&block).await.is_err() {
            break;
        }
        most = most.max(resident());
    }
    drop(say);
    let said = tokio::time::timeout(std::time::Duration::from_secs(120), hearing).await.expect("the door closes");
    (said.unwrap(), most)
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_talk_costs_nothing() {
    // Long commands: it is the octets that count here, and short ones would be answered by more than they say.
    const USER: [u8; 256] = user();
    const NOOP: &[u8] =
        b"NOOP 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n";
    let folder = tempfile::tempdir().unwrap();
    let (adapter, _hands) = adapter(folder.path()).await;
    const MAIL: &str = "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";
    let endless_header = format!("{MAIL}Subject: ");
    let nested = format!("{MAIL}Content-Type: multipart/mixed; boundary=x\r\n\r\n");
    let before = resident();
    for (what, at) in [("terminal SMTP", adapter.terminal_smtp().unwrap()), ("network SMTP", adapter.notices())] {
        for (how, opening, refrain) in [
            ("a line without end", "EHLO ", &b"x"[..]),
            ("commands without end", "EHLO x\r\n", NOOP),
            ("errors without end", "", b"XYZZY\r\n"),
            ("a header line without end", &endless_header, b"x"),
            ("header fields without end", MAIL, b"X-Field: y\r\n"),
            ("a body without end", &nested, b"0123456789abcdefghijklmnopqrstuvwxyz\r\n"),
            ("parts without end", &nested, b"--x\r\nContent-Type: message/rfc822\r\n\r\n"),
        ] {
            let (said, most) = talk(at, opening, refrain).await;
            assert!(most < before + GROWTH, "{what}: {how}: {} MiB more", (most - before.min(most)) >> 20);
            assert!(said.starts_with("220 "), "{what}: {how}: {said:?}");
            assert!(!said.contains("250 2.0.0 Sealed"), "{what}: {how} was sealed");
        }
    }
    for (how, opening, refrain) in [
        ("a line without end", "USER ", &b"x"[..]),
        ("commands without end", "", &USER),
        ("errors without end", "", b"XYZZY\r\n"),
        ("no line end", "", b"\0"),
    ] {
        let (said, most) = talk(adapter.terminal_pop3().unwrap(), opening, refrain).await;
        assert!(most < before + GROWTH, "terminal POP3: {how}: {} MiB more", (most - before.min(most)) >> 20);
        assert!(said.starts_with("+OK"), "terminal POP3: {how}: {said:?}");
    }
    // All three still greet.
    for (at, greeting) in [
        (adapter.terminal_smtp().unwrap(), "220 "),
        (adapter.terminal_pop3().unwrap(), "+OK"),
        (adapter.notices(), "220 "),
    ] {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let mut said = [0u8; 4];
        stream.read_exact(&mut said[..greeting.len()]).await.unwrap();
        assert_eq!(&said[..greeting.len()], greeting.as_bytes());
    }
}
