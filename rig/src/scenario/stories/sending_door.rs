//! What comes in at the terminal's door that no fax machine would send.

use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sealfax_client::seam::{BoxStream, Seams};
use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::address::Mailbox;
use sealfax_ifax::mail::{self, FaxMail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::evidence::{journal, left_the_office, nothing_left, nowhere_in_clear};
use super::{SUBJECT, note};
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::{PATIENCE, POP3, SMTP};
use crate::events::EventKind;
use crate::scenario::{Bench, BenchKind, DEADLINE, Failure, Scenario, expect};
use crate::world::network::Side;

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![MALFORMED, PICTURES, OVERSIZE, NOISE]
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

/// Pictures that would fill every memory, or never end.
pub const PICTURES: Scenario = Scenario {
    name: "sending-picture-bombs",
    title: "Pictures that claim to be endless, unpack without end or point to themselves are sealed unopened, and nobody stumbles",
    requirements: &["I3", "tiff-bomb"],
    deadline: DEADLINE,
    run: |bench| Box::pin(pictures(bench)),
};

async fn pictures(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await?;
    let (a, b) = (region.site('a')?, region.site('b')?);
    let (taro, hanako) = (region.person(TARO)?, region.person(HANAKO)?);
    let door = Door::of(&region, 'a')?;
    let bombs = [
        ("a page that is its own successor", tiff(1728, 100, 3, 8, 64)),
        ("a page of 65 535 lines of 4 000 million dots", tiff(u32::MAX, 65_535, 3, 0, 64)),
        ("a page of a hundred megabytes in a handful of octets", tiff(40_000, 20_000, 4, 0, 64)),
        ("a page that lies beyond the file's end", tiff(1728, 100, 3, u32::MAX - 1, 64)),
    ];
    a.identify(&taro, ScreenKind::Ready).await?;
    for (number, (what, picture)) in bombs.iter().enumerate() {
        let fax = fax(&door, picture.clone(), number)?;
        // A PIN is good for what was there to be sent: for each of the others it is asked for anew.
        let pin = async {
            if number > 0 {
                a.sees(ScreenKind::Pin).await?;
                a.type_pin(&taro, TARO.pin).await;
            }
            Ok(())
        };
        let (reply, ()) = tokio::try_join!(door.submit(&fax), pin)?;
        expect(reply.starts_with("250 "), format!("{what} goes as it is, not: {reply}"))?;
        a.sees(ScreenKind::Sent).await?;
    }
    a.pull(&taro);
    nowhere_in_clear(&region)?;
    b.sees(ScreenKind::Arrived).await?;
    // At the other end the adapter hands them on unopened as well; what the machine makes of them is the machine's.
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let _ = b.receive().await;
    b.pull(&hanako);
    b.identify(&hanako, ScreenKind::Ready).await?;
    let lcd = b.fax(Some(&hanako), &[TARO.address], SUBJECT, &note("still here")).await?;
    expect(lcd.sent, format!("an adapter that has had them in hand still works, not: {}", lcd.text))
}

fn fax(door: &Door, pages: Vec<u8>, number: usize) -> Result<Vec<u8>, Failure> {
    mail::compose(&FaxMail {
        from: Mailbox::parse(TARO.address).map_err(Failure::infrastructure)?,
        to: vec![Mailbox::parse(HANAKO.address).map_err(Failure::infrastructure)?],
        subject: SUBJECT.into(),
        date: door.seams.clock.now(),
        message_id: format!("bomb-{number}@terminal-a"),
        notify: None,
        text: None,
        pages,
        boundary: "fax".into(),
    })
    .map_err(Failure::infrastructure)
}

/// A little-endian TIFF of one page: these dimensions and coding, the place of the next page, and so many octets of strip.
fn tiff(width: u32, height: u32, compression: u32, next: u32, strip: u32) -> Vec<u8> {
    let fields = [(256, width), (257, height), (258, 1), (259, compression), (262, 0), (278, height), (279, strip)];
    let end = 8 + 2 + 12 * 8 + 4;
    let mut file = b"II\x2a\0\x08\0\0\0\x08\0".to_vec();
    for (tag, value) in fields.into_iter().chain([(273, end)]) {
        file.extend_from_slice(&u16::to_le_bytes(tag));
        file.extend_from_slice(b"\x04\0\x01\0\0\0");
        file.extend_from_slice(&value.to_le_bytes());
    }
    file.extend_from_slice(&next.to_le_bytes());
    file.resize(file.len() + strip as usize, 0xff);
    file
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
