//! Talks to a modem (ITU-T V.250): octets, lines, commands and their results; finds it again when it is lost.
//! What it does on the line is in [`signals`].

mod signals;

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::at::{Answer, Lines};
use super::error::EndReason;
use super::port::Port;
use super::quirks::Quirks;
use super::t31::{CAN, DLE, ETX};

/// How long a modem may take for what it does at once.
pub(super) const PROMPT: Duration = Duration::from_secs(5);

/// What was on the line last, which decides how silence is kept before the next signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Nothing,
    Sent,
    Received,
}

/// A modem that is spoken to.
pub(super) struct Operator {
    pub(super) port: Box<dyn Port>,
    buffer: Vec<u8>,
    read: usize,
    lines: Lines,
    pub(super) quirks: Quirks,
    /// The modem has said `CONNECT` by itself, after `ATD`, `ATA` or `+FCERROR`: data are next.
    pub(super) connected: bool,
    pub(super) last: Last,
    /// When it rang last.
    pub(super) rang: Option<Instant>,
}

impl Operator {
    pub(super) fn new(port: Box<dyn Port>) -> Self {
        Self {
            port,
            buffer: Vec::new(),
            read: 0,
            lines: Lines::default(),
            quirks: Quirks::default(),
            connected: false,
            last: Last::Nothing,
            rang: None,
        }
    }

    /// One octet; `None`: none came until then.
    async fn octet(&mut self, until: Instant) -> Result<Option<u8>, EndReason> {
        if let Some(octet) = self.buffer.get(self.read) {
            self.read += 1;
            return Ok(Some(*octet));
        }
        // All of it counts as read until something was read into it: a caller that gives up waiting leaves no zeros.
        self.buffer.resize(4096, 0);
        self.read = self.buffer.len();
        let count = match timeout_at(until, self.port.read(&mut self.buffer)).await {
            Err(_) => 0,
            Ok(Ok(0)) => {
                self.buffer.clear();
                return Err(EndReason::Port(std::io::ErrorKind::UnexpectedEof.into()));
            }
            Ok(Ok(count)) => count,
            Ok(Err(error)) => {
                self.buffer.clear();
                return Err(EndReason::Port(error));
            }
        };
        self.buffer.truncate(count);
        self.read = 1;
        Ok(self.buffer.first().copied())
    }

    /// The next line that says something; `None`: none came until then.
    pub(super) async fn line(&mut self, until: Instant) -> Result<Option<Answer>, EndReason> {
        while let Some(octet) = self.octet(until).await? {
            if let Some(answer) = self.said(octet) {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// The line that this octet ends, if it does. A ring is noticed whoever is listening for what.
    fn said(&mut self, octet: u8) -> Option<Answer> {
        let answer = self.lines.take(octet)?;
        if answer == Answer::Ring {
            self.rang = Some(Instant::now());
        }
        Some(answer)
    }

    /// The next line that is a result, and no text.
    async fn result(&mut self, until: Instant) -> Result<Option<Answer>, EndReason> {
        loop {
            match self.line(until).await? {
                Some(
                    Answer::Text(_)
                    | Answer::Ring
                    | Answer::CallerNumber(_)
                    | Answer::DialledNumber(_)
                    | Answer::CallerName(_),
                ) => {}
                other => return Ok(other),
            }
        }
    }

    /// Forgets what the modem said without being asked.
    pub(super) async fn forget(&mut self) -> Result<(), EndReason> {
        let now = Instant::now();
        while let Some(octet) = self.octet(now).await? {
            self.said(octet);
        }
        self.lines.clear();
        Ok(())
    }

    pub(super) async fn write(&mut self, octets: &[u8], within: Duration) -> Result<(), EndReason> {
        let silent = || EndReason::ModemSilent { command: "data".to_owned() };
        let write = async {
            self.port.write_all(octets).await?;
            self.port.flush().await
        };
        timeout(within, write).await.map_err(|_| silent())?.map_err(EndReason::Port)
    }

    pub(super) async fn send_command(&mut self, command: &str) -> Result<(), EndReason> {
        self.lines.clear();
        self.write(format!("AT{command}\r").as_bytes(), PROMPT).await
    }

    /// A command and its result, with the text lines before it.
    pub(super) async fn ask(&mut self, command: &str) -> Result<(Answer, Vec<String>), EndReason> {
        self.forget().await?;
        self.send_command(command).await?;
        let until = Instant::now() + PROMPT;
        let mut texts = Vec::new();
        loop {
            match self.line(until).await? {
                None => return Err(EndReason::ModemSilent { command: format!("AT{command}") }),
                Some(Answer::Text(text)) => {
                    // Not its echo.
                    if !text.to_ascii_uppercase().starts_with("AT") && texts.len() < 20 {
                        texts.push(text);
                    }
                }
                Some(Answer::Ring | Answer::CallerNumber(_) | Answer::DialledNumber(_) | Answer::CallerName(_)) => {}
                Some(answer) => return Ok((answer, texts)),
            }
        }
    }

    /// Breaks a reception off (8.3.3) and waits for the modem to be a modem again.
    async fn abort(&mut self) -> Result<(), EndReason> {
        for _ in 0..3 {
            self.write(&[CAN], PROMPT).await?;
            // A carrier may have come at this very moment; then there is a reception to be broken off again.
            if self.result(Instant::now() + Duration::from_secs(2)).await? != Some(Answer::Connect) {
                break;
            }
        }
        Ok(())
    }

    /// Data mode or not, the modem is to take commands again.
    pub(super) async fn resynchronise(&mut self) -> Result<(), EndReason> {
        self.connected = false;
        self.last = Last::Nothing;
        for attempt in 0..4 {
            if attempt > 0 {
                self.write(&[DLE, ETX, CAN, b'\r'], PROMPT).await?;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            if attempt == 3 {
                self.port.set_data_terminal_ready(false);
                tokio::time::sleep(Duration::from_millis(500)).await;
                self.port.set_data_terminal_ready(true);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            self.forget().await?;
            self.send_command("").await?;
            let until = Instant::now() + Duration::from_secs(1);
            while let Some(answer) = self.line(until).await? {
                if answer == Answer::Ok {
                    return Ok(());
                }
            }
        }
        Err(EndReason::ModemSilent { command: "AT".to_owned() })
    }
}
