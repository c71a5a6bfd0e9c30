//! TLS between adapters and mail servers: no password and no envelope in clear, nothing that was slipped in ahead of it, and
//! nobody in the mail server's place.

use std::net::SocketAddr;

use sealfax_client::seam::{BoxStream, Seams};
use sealfax_client::tls::{ClientTls, TlsName};
use sealfax_drivers::display::ScreenKind;
use sealfax_mailserver::authority::{Authority, AuthorityOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::evidence::{journal, nowhere_in_clear};
use super::wire::registered;
use super::{SUBJECT, note, receives, taro_sends};
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::{PATIENCE, POP3, SMTP};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};
use crate::world::network::Side;

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![OVER_TLS, INJECTION, IMPOSTOR]
}

/// The whole flow.
pub const OVER_TLS: Scenario = Scenario {
    name: "mail-over-tls",
    title: "Adapters that insist on TLS send, fetch and confirm as ever, and no password to a mailbox crosses the network",
    requirements: &["P3", "C13", "A5"],
    deadline: DEADLINE,
    run: |bench| Box::pin(over_tls(bench)),
};

/// Commands in clear ahead of TLS.
pub const INJECTION: Scenario = Scenario {
    name: "starttls-injection",
    title: "Commands slipped in behind STARTTLS and STLS are dropped and written down; in clear no password is taken",
    requirements: &["starttls-injection", "password-guessing"],
    deadline: DEADLINE,
    run: |bench| Box::pin(injection(bench)),
};

/// Another certificate.
pub const IMPOSTOR: Scenario = Scenario {
    name: "mail-server-impostor",
    title: "Somebody in the mail server's place, with a certificate of another authority, gets no document and no password",
    requirements: &["P3", "ST611", "ST612"],
    deadline: DEADLINE,
    run: |bench| Box::pin(impostor(bench)),
};

fn plan() -> Plan {
    Plan { mail_tls: true, ..Plan::default() }
}

async fn over_tls(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let pages = note("Under TLS all the way");
    taro_sends(&region, &[HANAKO.address], &pages).await?;
    nowhere_in_clear(&region)?;
    let hanako = region.person(HANAKO)?;
    let printed = receives(&region, 'b', &hanako).await?;
    expect(printed.len() == 1 && printed.iter().all(|document| document.pages == pages), "the document is printed")?;
    registered(&region, 1).await?;
    for words in [&b"PASS "[..], b"USER ", hanako.password.as_bytes()] {
        let shown = String::from_utf8_lossy(words).trim().to_owned();
        let nowhere = !region.capture.contains(Side::Network, words);
        expect(
            nowhere,
            format!("{} is nowhere on the network", if shown.len() > 5 { "her password" } else { &shown }),
        )?;
    }
    // What tells the adapter comes under TLS too, from a server to which it has proven its name; on a board without a
    // certificate of its own it does not.
    if bench.twins.is_none() && bench.lab.is_none() {
        let nowhere = !region.capture.contains(Side::Network, b"Sealfax-Notice");
        expect(nowhere, "the notice is nowhere in clear on the network")?;
    }
    Ok(())
}

async fn injection(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { pictures: false, ..plan() }).await?;
    let stranger = region.stranger("attacker")?;
    let hanako = region.person(HANAKO)?;
    let mail = region.address("mail-b")?;
    let anchor = region.authority.anchor_pem().map_err(Failure::infrastructure)?;
    let tls = ClientTls::new(anchor.as_bytes(), &stranger.clock).map_err(Failure::infrastructure)?;

    // SMTP: a whole mail behind STARTTLS, in the packet that asks for it.
    let mark = region.log.mark();
    let mut wire = Wire::to(&stranger, SocketAddr::new(mail, SMTP)).await?;
    wire.says("220 ").await?;
    wire.send("EHLO attacker\r\nAUTH PLAIN AGEAYg==\r\n").await?;
    wire.says("538 ").await?;
    wire.send(
        "STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@c.example>\r\nRCPT TO:<hanako@b.example>\r\nDATA\r\nx\r\n.\r\n",
    )
    .await?;
    wire.says("220 2.0.0 Ready").await?;
    let mut wire = wire.under(&tls, "mail-b").await?;
    wire.send("NOOP\r\n").await?;
    let said = wire.says("250 ").await?;
    expect(said == "250 2.0.0 Well", format!("the first answer under TLS is to the first command there, not: {said}"))?;
    journal(&region, "mail-b", mark, "SMTP-INJECTION").await?;
    expect(region.mailbox(&hanako)?.is_empty(), "nothing was delivered")?;
    // A wrong password under TLS.
    wire.send("EHLO attacker\r\nAUTH PLAIN AGEAYg==\r\n").await?;
    wire.says("535 ").await?;

    // POP3: a login behind STLS.
    let mark = region.log.mark();
    let mut wire = Wire::to(&stranger, SocketAddr::new(mail, POP3)).await?;
    wire.says("+OK").await?;
    wire.send(&format!("USER {}\r\nPASS {}\r\n", HANAKO.address, hanako.password)).await?;
    wire.says("-ERR STLS first").await?;
    wire.says("-ERR STLS first").await?;
    wire.send("STLS\r\nUSER nobody@b.example\r\n").await?;
    wire.says("+OK Begin").await?;
    let mut wire = wire.under(&tls, "mail-b").await?;
    wire.send("PASS x\r\n").await?;
    wire.says("-ERR USER first").await?;
    journal(&region, "mail-b", mark, "POP3-INJECTION").await?;
    wire.send(&format!("USER {}\r\nPASS {}\r\n", HANAKO.address, hanako.password)).await?;
    wire.says("+OK Send PASS").await?;
    wire.says("+OK 0 messages").await?;
    Ok(())
}

async fn impostor(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan { pictures: false, ..plan() }).await?;
    taro_sends(&region, &[HANAKO.address], &note("Before anybody was in its place")).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    let folder = tempfile::tempdir().map_err(Failure::infrastructure)?;
    let (place, seams) = (folder.path().join("authority"), region.stranger("another-authority")?);
    let other = tokio::task::spawn_blocking(move || Authority::create(&place, &AuthorityOptions::default(), &seams));
    let other = other.await.map_err(Failure::infrastructure)?.map_err(Failure::infrastructure)?;
    region.mail_impostor('a', &other).await?;
    region.mail_impostor('b', &other).await?;

    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    a.identify(&taro, ScreenKind::Ready).await?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("to whoever answers")).await?;
    expect(lcd.code == Some(451), format!("451, not: {}", lcd.text))?;
    a.sees(ScreenKind::NotSent).await?;
    a.pull(&taro);

    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let refused = b.receive().await;
    expect(refused.is_err(), "the machine is refused")?;
    b.pull(&hanako);
    b.sees(ScreenKind::Arrived).await?;
    let login = !region.capture.contains(Side::Network, hanako.password.as_bytes());
    expect(login, "her password is nowhere on the network")
}

/// A conversation, line by line.
struct Wire {
    stream: BoxStream,
    read: Vec<u8>,
}

impl Wire {
    async fn to(seams: &Seams, at: SocketAddr) -> Result<Self, Failure> {
        Ok(Self { stream: seams.network.connect(at).await.map_err(Failure::infrastructure)?, read: Vec::new() })
    }

    /// The same under TLS; what was read in clear stays behind.
    async fn under(self, tls: &ClientTls, name: &str) -> Result<Self, Failure> {
        let name = TlsName::new(name).map_err(Failure::infrastructure)?;
        let stream = tls.connect(self.stream, &name).await.map_err(Failure::expectation)?;
        Ok(Self { stream, read: Vec::new() })
    }

    async fn send(&mut self, text: &str) -> Result<(), Failure> {
        self.stream.write_all(text.as_bytes()).await.map_err(Failure::expectation)?;
        self.stream.flush().await.map_err(Failure::expectation)
    }

    /// The next line that is the last of its reply; it has to begin so.
    async fn says(&mut self, begins: &str) -> Result<String, Failure> {
        let mut buffer = [0; 1024];
        loop {
            while let Some(end) = self.read.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                // Of several lines of SMTP the last is meant, of those of EHLO as well.
                if line.get(3..4) == Some("-") || (line.starts_with("250 ") && !begins.starts_with("250")) {
                    continue;
                }
                expect(line.starts_with(begins), format!("{begins:?} is said, not: {line}"))?;
                return Ok(line);
            }
            match tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await {
                Ok(Ok(count)) if count > 0 => self.read.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                other => return Err(Failure::expectation(format!("{begins:?} is said, not {other:?}"))),
            }
        }
    }
}
