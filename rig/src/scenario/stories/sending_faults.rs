//! What happens on the way, and what comes in at the terminal's door that no fax machine would send.

use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sealfax_client::history::Outcome;
use sealfax_client::seam::{BoxStream, Seams};
use sealfax_client::smtp;
use sealfax_drivers::display::ScreenKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::evidence::{did, journal, left_the_office, nothing_left, nowhere_in_clear, reads};
use super::sending::{KENJI, WITHOUT_MAILBOX};
use super::{SUBJECT, note, taro_sends};
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::{PATIENCE, POP3, SMTP};
use crate::events::EventKind;
use crate::scenario::{Bench, BenchKind, DEADLINE, Failure, Scenario, expect};
use crate::world::network::Side;

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![UNKNOWN_ACCOUNT, BOUNCE_WAITS, STRANGE_BOUNCE, ALL_OR_NOTHING, MALFORMED, OVERSIZE, NOISE]
}

/// M2: a certificate, but no mailbox.
pub const UNKNOWN_ACCOUNT: Scenario = Scenario {
    name: "sending-unknown-account",
    title: "The recipient has no mailbox: the error mail closes the transmission, and a report says so",
    requirements: &["M2", "ST804", "ST806", "ST813", "C10", "C12"],
    deadline: DEADLINE,
    run: |bench| Box::pin(unknown_account(bench, false)),
};

/// The same while the sending adapter is without power.
pub const BOUNCE_WAITS: Scenario = Scenario {
    name: "sending-bounce-waits",
    title: "An error mail is not lost while the sending adapter has no power",
    requirements: &["M2", "ST804", "ST813", "C12"],
    deadline: DEADLINE,
    run: |bench| Box::pin(unknown_account(bench, true)),
};

async fn unknown_account(bench: Bench, power_cut: bool) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan::default()).await?;
    let address = WITHOUT_MAILBOX.address;
    region.mail_server('b')?.accounts().remove(address).map_err(Failure::infrastructure)?;
    if power_cut {
        region.kill_mail_server('b');
    }
    let mark = region.log.mark();
    let lcd = taro_sends(&region, &[address], &note("returned to sender")).await?;
    if power_cut {
        journal(&region, "mail-a", mark, "RELAY-FAILED").await?;
        region.site_mut('a')?.power_cut().await;
        region.restart_mail_server('b').await?;
        journal(&region, "mail-a", mark, "FORWARD-FAILED").await?;
        region.site_mut('a')?.power_on().await?;
    }
    did(&region, "mail-b", mark, &["ST803", "ST804", "M2"]).await?;
    did(&region, "mail-a", mark, &["ST804", "M2", "ST813"]).await?;
    journal(&region, "adapter-a", mark, "SEND-004").await?;
    reads(region.site('a')?, mark, ScreenKind::NotSent, &["届きませんでした", address]).await?;
    did(&region, "adapter-a", mark, &["C10", "C12"]).await?;
    let id = format!("<{}>", lcd.message_id);
    let entries = region.history().into_iter().filter(|entry| entry.transmission.message_id == id);
    let outcomes: Vec<Outcome> = entries.map(|entry| entry.transmission.outcome).collect();
    expect(outcomes == [Outcome::Failed], format!("the history says that it failed, not {outcomes:?}"))?;
    let a = region.site('a')?;
    expect(!a.has_seen(mark, ScreenKind::Delivered), "nobody is told that it was delivered")?;
    let reports = a.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == 1, format!("one report is printed, not {}", reports.len()))?;
    a.sees(ScreenKind::Idle).await?;
    let taro = region.person(TARO)?;
    expect(region.mailbox(&taro)?.is_empty(), "the error mail went to the adapter, not into a mailbox")?;
    let open = a.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
    expect(open.is_empty(), "the transmission is closed")?;
    expect(!region.capture.contains(Side::Network, b"strictly confidential"), "no subject in clear on the network")
}

/// A bounce that comes over the network is anybody's word.
pub const STRANGE_BOUNCE: Scenario = Scenario {
    name: "sending-strange-bounce",
    title: "A stranger's error mail about a document that is on its way closes nothing and is kept in the mailbox",
    requirements: &["D1", "confirmation-forging"],
    deadline: DEADLINE,
    run: |bench| Box::pin(strange_bounce(bench)),
};

async fn strange_bounce(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let taro = region.person(TARO)?;
    let lcd = taro_sends(&region, &[HANAKO.address], &note("on its way")).await?;
    let mark = region.log.mark();
    let stranger = region.stranger("mallory")?;
    let server = SocketAddr::new(region.address("mail-a")?, SMTP);
    let to = [TARO.address.to_owned()];
    let bounce = bounce(&lcd.message_id, HANAKO.address);
    let taken = smtp::send(&*stranger.network, server, "mallory", None, &to, bounce.as_bytes()).await;
    expect(taken.is_ok(), format!("the server takes an error mail in: {taken:?}"))?;
    expect(region.mailbox(&taro)?.len() == 1, "it is kept in Taro's mailbox")?;
    let brought = region.sent_mails().into_iter().filter(|mail| mail.to == "adapter-a").count();
    expect(brought == 0, "it is not brought to the adapter")?;
    expect(!region.site('a')?.has_seen(mark, ScreenKind::NotSent), "the display says nothing of it")?;
    let open = region.site('a')?.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
    let id = format!("<{}>", lcd.message_id);
    expect(open.len() == 1 && open.iter().all(|open| open.message_id == id), "the true transmission is still open")
}

/// A delivery status notification (RFC 3464).
fn bounce(message_id: &str, recipient: &str) -> String {
    format!(
        "From: postmaster@c.example\r\nTo: taro@a.example\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nreturned\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; c.example\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{message_id}>\r\n\r\n--b--\r\n"
    )
}

/// ST612: the mail server takes the whole mail or none of it.
pub const ALL_OR_NOTHING: Scenario = Scenario {
    name: "sending-all-or-nothing",
    title: "One of two recipients is refused by our own mail server: nobody gets anything",
    requirements: &["M2", "ST611", "ST612", "ST804", "downgrade"],
    deadline: DEADLINE,
    run: |bench| Box::pin(all_or_nothing(bench)),
};

async fn all_or_nothing(bench: Bench) -> Result<(), Failure> {
    let plan = Plan { people: vec![TARO, KENJI, HANAKO], ..Plan::default() };
    let region = Region::start(&bench, plan).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    region.mail_server('a')?.accounts().remove(KENJI.address).map_err(Failure::infrastructure)?;
    a.identify(&taro, ScreenKind::Ready).await?;
    let mark = region.log.mark();
    let lcd = a.fax(Some(&taro), &[HANAKO.address, KENJI.address], SUBJECT, &note("both or none")).await?;
    expect(!lcd.sent && lcd.code == Some(554), format!("554, not: {}", lcd.text))?;
    reads(a, mark, ScreenKind::NotSent, &["550"]).await?;
    did(&region, "mail-a", mark, &["M2", "ST804"]).await?;
    did(&region, "adapter-a", mark, &["ST612", "ST611"]).await?;
    nothing_left(&region, 'a')?;
    let open = a.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
    expect(open.is_empty(), "no confirmation is awaited")?;
    nowhere_in_clear(&region)
}

/// Bad mails at the terminal's door.
pub const MALFORMED: Scenario = Scenario {
    name: "sending-malformed",
    title: "Smuggling, bombs and forged headers at the terminal's door are refused and written down",
    requirements: &["I3", "A2", "smtp-smuggling", "mime-bomb", "header-injection"],
    deadline: DEADLINE,
    run: |bench| Box::pin(malformed(bench)),
};

async fn malformed(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    let door = Door::of(&region, 'a')?;
    // The card is accepted: whatever is let in would be sent.
    a.identify(&taro, ScreenKind::Ready).await?;
    let bomb = "Content-Type: message/rfc822\r\n\r\n".repeat(5_000);
    let flood = "X-Flood: yes\r\n".repeat(2_000);
    let long = "x".repeat(3_000);
    let cases: [(&str, String, &str); 8] = [
        (
            "a transaction smuggled behind a lone LF",
            "From: taro@a.example\r\n\r\nx\n.\nMAIL FROM:<taro@a.example>\r\n".into(),
            "SMTP-SMUGGLING",
        ),
        (
            "a header broken by a lone CR",
            "From: taro@a.example\r\nSubject: x\rBcc: evil@c.example\r\n\r\nx".into(),
            "SMTP-SMUGGLING",
        ),
        ("an octet of value zero", "From: taro@a.example\r\n\r\n\0".into(), "SMTP-NUL"),
        ("a line beyond all bounds", format!("From: taro@a.example\r\n\r\n{long}"), "SMTP-LINE"),
        ("nested messages", format!("From: taro@a.example\r\n{bomb}"), "SMTP-MIME"),
        ("a flood of header fields", format!("From: taro@a.example\r\n{flood}\r\nx"), "SMTP-HEADER"),
        ("two authors", "From: taro@a.example\r\nFrom: hanako@b.example\r\n\r\nx".into(), "TERMINAL-001"),
        ("no author", "Subject: x\r\n\r\nx".into(), "TERMINAL-001"),
    ];
    for (what, mail, code) in cases {
        let mark = region.log.mark();
        let reply = door.submit(mail.as_bytes()).await?;
        expect(reply.starts_with("554 "), format!("{what}: 554, not: {reply}"))?;
        journal(&region, "adapter-a", mark, code).await?;
    }
    nothing_left(&region, 'a')?;

    for (command, reply) in [
        ("MAIL FROM:<taro@a.example> SIZE=99999999", "552 "),
        ("MAIL FROM:<taro@a.example>\rRCPT TO:<evil@c.example>", "500 "),
        ("MAIL FROM:<\"taro\"\0@a.example>", "500 "),
    ] {
        let mut wire = door.open().await?;
        let said = wire.say(command).await?;
        expect(said.starts_with(reply), format!("{command:?}: {reply}, not: {said}"))?;
    }
    nothing_left(&region, 'a')?;

    // What is odd and no attack on us goes, sealed like all else: nothing of it shows outside.
    let odd = "From: =?UTF-8?Q?Taro=0D=0ABcc:_evil@c.example?= <taro@a.example>\r\nSubject: marker-in-subject\r\n\
               Bcc: evil@c.example\r\n\r\nmarker-in-text, no fax at all";
    let reply = door.submit(odd.as_bytes()).await?;
    expect(reply.starts_with("250 ") || reply.starts_with("554 "), format!("a straight answer, not: {reply}"))?;
    for trace in [&b"evil"[..], b"marker-in-"] {
        let shown = String::from_utf8_lossy(trace).into_owned();
        expect(!region.capture.contains(Side::Network, trace), format!("{shown:?} is nowhere on the network"))?;
    }
    let before = left_the_office(&region, 'a').len();
    let lcd = a.fax_with_pin(&taro, &[HANAKO.address], SUBJECT, &note("business as usual")).await?;
    expect(lcd.sent, format!("a proper document still goes, not: {}", lcd.text))?;
    expect(left_the_office(&region, 'a').len() == before + 1, "and only it")
}

/// More than fits, in spite of what was announced.
pub const OVERSIZE: Scenario = Scenario {
    name: "sending-oversize",
    title: "A mail that does not end is refused at the terminal's door when it is too long, and the next one goes",
    requirements: &["I3", "A2"],
    deadline: DEADLINE,
    run: |bench| Box::pin(oversize(bench)),
};

async fn oversize(bench: Bench) -> Result<(), Failure> {
    if bench.kind == BenchKind::Twin {
        return Err(Failure::Unsupported("port that takes 34 MB in less than minutes".into()));
    }
    let region = Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    let door = Door::of(&region, 'a')?;
    a.identify(&taro, ScreenKind::Ready).await?;
    let line = format!("{}\r\n", "x".repeat(900));
    let huge = format!("From: taro@a.example\r\n\r\n{}", line.repeat(34 * 1024 * 1024 / line.len()));
    let mark = region.log.mark();
    let reply = door.submit(huge.as_bytes()).await?;
    expect(reply.starts_with("552 "), format!("oversize: 552, not: {reply}"))?;
    journal(&region, "adapter-a", mark, "SMTP-SIZE").await?;
    nothing_left(&region, 'a')?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("business as usual")).await?;
    expect(lcd.sent, format!("a proper document still goes, not: {}", lcd.text))
}

/// Noise at both doors.
pub const NOISE: Scenario = Scenario {
    name: "sending-door-noise",
    title: "Chance octets and mutilated sessions at the terminal's doors: the adapter stays up",
    requirements: &["I3"],
    deadline: DEADLINE,
    run: |bench| Box::pin(noise(bench)),
};

/// A session as a terminal has it.
const SMTP_SESSION: &[u8] =
    b"EHLO fax\r\nMAIL FROM:<taro@a.example> SIZE=200\r\nRCPT TO:<hanako@b.example>\r\nDATA\r\n\
    From: taro@a.example\r\nTo: hanako@b.example\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: image/tiff\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nSUkqAAgAAAA=\r\n--x--\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n";
/// A session at the receiving door that asks for nobody's mails.
const POP3_SESSION: &[u8] =
    b"CAPA\r\nUSER nobody@a.example\r\nNOOP\r\nSTAT\r\nLIST 1\r\nRETR 99999999999\r\nTOP 1 1\r\nQUIT\r\n";

async fn noise(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    let smtp = Door::of(&region, 'a')?;
    let pop3 = Door { at: SocketAddr::new(smtp.at.ip(), POP3), seams: smtp.seams.clone() };
    let mut chance = ChaCha20Rng::seed_from_u64(bench.seed);
    for round in 0..120 {
        let (door, session) = if round % 3 == 2 { (&pop3, POP3_SESSION) } else { (&smtp, SMTP_SESSION) };
        let octets = if round % 4 == 0 { random(&mut chance) } else { mutilated(session, &mut chance) };
        let connecting = door.seams.network.connect(door.at);
        let mut stream = connecting.await.map_err(|error| Failure::expectation(format!("round {round}: {error}")))?;
        // The far end may leave in the middle; that is its right.
        let talk = async {
            let _ = stream.write_all(&octets).await;
            let _ = stream.shutdown().await;
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            said
        };
        let said = tokio::time::timeout(PATIENCE, talk).await;
        let said = said.map_err(|_| Failure::expectation(format!("round {round}: the session ends with the peer")))?;
        let greeted = said.starts_with(b"220 ") || said.starts_with(b"+OK");
        expect(greeted, format!("round {round}: the door answers, not {:?}", String::from_utf8_lossy(&said)))?;
    }
    let printable = region.log.events().iter().all(|event| !event.text.chars().any(char::is_control));
    expect(printable, "nothing that came in reaches a journal with its control characters")?;
    nothing_left(&region, 'a')?;
    a.identify(&taro, ScreenKind::Ready).await?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("after the noise")).await?;
    expect(lcd.sent, format!("a proper document goes, not: {}", lcd.text))?;
    let failures = region.log.find(crate::events::EventLog::beginning(), |event| {
        event.host == "adapter-a" && matches!(event.kind, EventKind::Failure { .. })
    });
    expect(failures.is_none(), format!("nothing broke: {failures:?}"))
}

fn below(chance: &mut ChaCha20Rng, bound: usize) -> usize {
    usize::try_from(chance.next_u32()).unwrap_or(0) % bound.max(1)
}

fn random(chance: &mut ChaCha20Rng) -> Vec<u8> {
    let mut octets = vec![0; below(chance, 5_000)];
    chance.fill_bytes(&mut octets);
    octets
}

/// The session with octets changed, stretches left out, repeated or cut off.
fn mutilated(session: &[u8], chance: &mut ChaCha20Rng) -> Vec<u8> {
    let mut octets = session.to_vec();
    for _ in 0..=below(chance, 4) {
        let (from, length) = (below(chance, octets.len()), below(chance, 40));
        let to = (from + length).min(octets.len());
        match below(chance, 5) {
            0 => {
                if let Some(octet) = octets.get_mut(from) {
                    *octet = chance.next_u32().to_be_bytes()[0];
                }
            }
            1 => drop(octets.drain(from..to)),
            2 => {
                let again = octets.get(from..to).unwrap_or_default().repeat(1 + below(chance, 60));
                drop(octets.splice(from..from, again));
            }
            3 => octets.truncate(from.max(1)),
            _ => drop(octets.splice(from..from, *b"\r\n.\r\n")),
        }
    }
    octets
}

/// The adapter's door towards the terminal, and an address to come from.
struct Door {
    at: SocketAddr,
    seams: Seams,
}

impl Door {
    fn of(region: &Region, letter: char) -> Result<Self, Failure> {
        let at = SocketAddr::new(region.address(&format!("adapter-{letter}-terminal-port"))?, SMTP);
        Ok(Self { at, seams: region.stranger(&format!("terminal-{letter}"))? })
    }

    /// A session after its EHLO.
    async fn open(&self) -> Result<Wire, Failure> {
        let stream = self.seams.network.connect(self.at).await.map_err(Failure::expectation)?;
        let mut wire = Wire { stream, read: Vec::new() };
        wire.reply().await?;
        wire.say("EHLO terminal-a").await?;
        Ok(wire)
    }

    /// One mail as it is, and the last word on it.
    async fn submit(&self, mail: &[u8]) -> Result<String, Failure> {
        let mut wire = self.open().await?;
        for command in ["MAIL FROM:<taro@a.example>", "RCPT TO:<hanako@b.example>", "DATA"] {
            let said = wire.say(command).await?;
            expect(said.starts_with(['2', '3']), format!("{command} is accepted, not: {said}"))?;
        }
        wire.send(mail).await?;
        wire.send(b"\r\n.\r\n").await?;
        wire.reply().await
    }
}

/// A conversation in which nothing is corrected on the way.
struct Wire {
    stream: BoxStream,
    read: Vec<u8>,
}

impl Wire {
    async fn send(&mut self, octets: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(octets).await.map_err(Failure::expectation)
    }

    async fn say(&mut self, command: &str) -> Result<String, Failure> {
        self.send(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// The last line of the next reply.
    async fn reply(&mut self) -> Result<String, Failure> {
        let mut buffer = [0; 1024];
        loop {
            while let Some(end) = self.read.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                if line.get(3) != Some(&b'-') {
                    return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
                }
            }
            let reading = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            match reading {
                Ok(Ok(count)) if count > 0 => self.read.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                other => return Err(Failure::expectation(format!("a reply, not {other:?}"))),
            }
        }
    }
}
