//! What a story writes to a port itself: mails of strangers, octets no honest client would send, and the counting of what
//! became of them.

use sealfax_client::seam::{BoxStream, Seams};
use sealfax_ifax::address::{Address, Mailbox};
use sealfax_ifax::mail::FaxMail;
use sealfax_ifax::{Page, tiff};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::bench::region::Region;
use crate::bench::site::PATIENCE;
use crate::events::{Event, EventKind, Mark};
use crate::scenario::{Failure, expect};

/// A conversation with a port, octet for octet as the story wants it.
pub struct Talk {
    stream: BufReader<BoxStream>,
}

impl Talk {
    /// Connects and reads the greeting.
    pub async fn open(seams: &Seams, to: SocketAddr) -> Result<(Self, String), Failure> {
        let stream = seams.network.connect(to).await.map_err(Failure::infrastructure)?;
        let mut talk = Self { stream: BufReader::new(stream) };
        let greeting = talk.line().await?;
        Ok((talk, greeting))
    }

    /// Connects to an SMTP port and says EHLO.
    pub async fn smtp(seams: &Seams, to: SocketAddr) -> Result<Self, Failure> {
        let (mut talk, greeting) = Self::open(seams, to).await?;
        expect(greeting.starts_with("220 "), format!("a greeting, not {greeting:?}"))?;
        let hello = talk.command("EHLO stranger.example").await?;
        expect(hello.starts_with("250 "), format!("EHLO is answered, not {hello:?}"))?;
        Ok(talk)
    }

    /// Writes octets as they are.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.stream.get_mut().write_all(octets).await?;
            self.stream.get_mut().flush().await
        };
        let written =
            tokio::time::timeout(PATIENCE, written).await.map_err(|_| Failure::expectation("a peer that reads"))?;
        written.map_err(Failure::expectation)
    }

    /// One line, without its CRLF; empty when the other side has closed.
    pub async fn line(&mut self) -> Result<String, Failure> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line);
        let read =
            tokio::time::timeout(PATIENCE, read).await.map_err(|_| Failure::expectation("a line from the peer"))?;
        read.map_err(Failure::expectation)?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// The last line of an SMTP reply (RFC 5321, 4.2.1).
    pub async fn reply(&mut self) -> Result<String, Failure> {
        loop {
            let line = self.line().await?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    /// An SMTP command and the last line of its reply.
    pub async fn command(&mut self, line: &str) -> Result<String, Failure> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// A POP3 command and its status line.
    pub async fn ask(&mut self, line: &str) -> Result<String, Failure> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.line().await
    }

    /// MAIL, RCPT and DATA, expecting 354.
    pub async fn begin(&mut self, from: &str, to: &[&str]) -> Result<(), Failure> {
        let mail = self.command(&format!("MAIL FROM:<{from}>")).await?;
        expect(mail.starts_with("250 "), format!("MAIL is accepted, not {mail:?}"))?;
        for recipient in to {
            let rcpt = self.command(&format!("RCPT TO:<{recipient}>")).await?;
            expect(rcpt.starts_with("250 "), format!("RCPT {recipient} is accepted, not {rcpt:?}"))?;
        }
        let data = self.command("DATA").await?;
        expect(data.starts_with("354 "), format!("DATA is accepted, not {data:?}"))
    }
}

/// Brings one mail to an SMTP port; the reply to it, or the first refusal.
pub async fn bring(
    seams: &Seams,
    to: SocketAddr,
    from: &str,
    recipients: &[&str],
    mail: &[u8],
) -> Result<String, Failure> {
    let mut talk = Talk::smtp(seams, to).await?;
    let reply = talk.command(&format!("MAIL FROM:<{from}>")).await?;
    if !reply.starts_with("250 ") {
        return Ok(reply);
    }
    for recipient in recipients {
        let reply = talk.command(&format!("RCPT TO:<{recipient}>")).await?;
        if !reply.starts_with("250 ") {
            return Ok(reply);
        }
    }
    let reply = talk.command("DATA").await?;
    expect(reply.starts_with("354 "), format!("DATA is accepted, not {reply:?}"))?;
    let mut octets = Vec::with_capacity(mail.len() + 64);
    for line in mail.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            octets.push(b'.');
        }
        octets.extend_from_slice(line);
    }
    if !octets.ends_with(b"\r\n") {
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(b".\r\n");
    talk.write(&octets).await?;
    let reply = talk.reply().await?;
    talk.command("QUIT").await?;
    Ok(reply)
}

/// An ordinary Internet fax (RFC 3965), sealed by nobody.
pub fn ordinary_fax(region: &Region, from: &str, to: &str, pages: &[Page]) -> Result<Vec<u8>, Failure> {
    use sealfax_client::seam::Clock as _;
    let mailbox = |text: &str| -> Result<Mailbox, Failure> {
        Ok(Mailbox { name: None, address: Address::parse(text).map_err(Failure::infrastructure)? })
    };
    sealfax_ifax::mail::compose(&FaxMail {
        from: mailbox(from)?,
        to: vec![mailbox(to)?],
        subject: "Price list".into(),
        date: region.clock.now(),
        message_id: format!("plain.{}@elsewhere.example", to.replace('@', ".")),
        notify: None,
        text: None,
        pages: tiff::write(pages).map_err(Failure::infrastructure)?,
        boundary: "plain-fax".into(),
    })
    .map_err(Failure::infrastructure)
}

/// Whether `event` is a step of `host` that carries `id`.
pub fn is_step(event: &Event, host: &str, id: &str) -> bool {
    event.host == host && matches!(&event.kind, EventKind::Step { ids } if ids.contains(&id))
}

/// Whether `event` is a security event or a failure of `host` with this code.
pub fn is_trouble(event: &Event, host: &str, wanted: &str) -> bool {
    let code = match &event.kind {
        EventKind::Security { code } | EventKind::Failure { code } => code,
        _ => return false,
    };
    event.host == host && *code == wanted
}

/// Waits until `count` events after `mark` satisfy `predicate`.
pub async fn times(
    region: &Region,
    mark: Mark,
    what: &str,
    count: usize,
    predicate: impl Fn(&Event) -> bool,
) -> Result<(), Failure> {
    let mut seen = 0;
    let enough = |event: &Event| {
        seen += usize::from(predicate(event));
        seen >= count
    };
    region.log.wait_after(mark, what, PATIENCE, enough).await?;
    Ok(())
}

/// How many events after `mark` satisfy `predicate` by now.
pub fn count(region: &Region, mark: Mark, predicate: impl Fn(&Event) -> bool) -> usize {
    region.log.since(mark).iter().filter(|event| predicate(event)).count()
}

/// Waits until office A's adapter has `count` transmissions in the history, and checks that the history agrees.
pub async fn registered(region: &Region, count: usize) -> Result<(), Failure> {
    let what = format!("{count} transmission(s) stand in the history");
    let ended = |event: &Event| is_step(event, "adapter-a", "C12") && is_step(event, "adapter-a", "D1");
    times(region, crate::events::EventLog::beginning(), &what, count, ended).await?;
    let found = region.history().len();
    expect(found == count, format!("the history lists {count} transmission(s), not {found}"))
}

/// Whether a record of the history is of the mail with this Message-ID.
pub fn is_of(entry: &sealfax_client::history::Entry, message_id: &str) -> bool {
    entry.personal.as_ref().is_some_and(|personal| personal.message_id == message_id)
}
