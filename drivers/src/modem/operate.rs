//! Carries out T.30's actions with a Class 1 modem (ITU-T T.31, clause 8): one command after the other.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::at::{Answer, Lines};
use super::error::EndReason;
use super::format::{Phase, Rate};
use super::hdlc::{Frame, MAX_FRAME, fcs_holds};
use super::port::Port;
use super::quirks::Quirks;
use super::t30::frame::name;
use super::t30::{Action, Event};
use super::t31::{CAN, DLE, ETX, Unstuffed, Unstuffer, V21, code, stuffed};

/// How long a modem may take for what it does at once.
pub(super) const PROMPT: Duration = Duration::from_secs(5);
/// A frame of the longest kind takes 7 s at 300 bit/s (T.30, 5.3.6: 3 s and 15 %, makers' frames longer).
const FRAME: Duration = Duration::from_secs(8);
/// For silence before and after it was asked for.
const SILENCE: Duration = Duration::from_millis(800);
/// Between two octets of a message.
const GAP: Duration = Duration::from_secs(6);
/// No page takes longer.
const LONGEST_PAGE: Duration = Duration::from_secs(40 * 60);
/// No page is larger.
const MOST_OCTETS: usize = 32 << 20;
/// Frames in one burst.
const MOST_FRAMES: usize = 40;

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
            if let Some(answer) = self.lines.take(octet) {
                return Ok(Some(answer));
            }
        }
        Ok(None)
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
        while self.octet(now).await?.is_some() {}
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

    /// Carries out what concerns the modem.
    pub(super) async fn perform(&mut self, action: Action) -> Event {
        let done = match action {
            Action::Frames(frames) => self.send_frames(&frames).await,
            Action::Listen { within } => self.listen(within).await,
            Action::SendFast { rate, long_training, octets } => self.send_fast(rate, long_training, &octets).await,
            Action::ReceiveFast { rate, long_training, within } => self.receive_fast(rate, long_training, within).await,
            Action::Fetch { .. } | Action::Deliver { .. } | Action::Ask { .. } | Action::End(_) => Ok(Event::Nothing),
        };
        done.unwrap_or_else(Event::Lost)
    }

    /// Silence between two signals: 75 ms at least (T.30, 5.3.2.2).
    async fn settle(&mut self) -> Result<(), EndReason> {
        let heard = self.quirks.silence_heard.filter(|_| self.last == Last::Received);
        let command = match (self.last, heard) {
            (Last::Nothing, _) => return Ok(()),
            (_, Some(hundredths)) => format!("+FRS={hundredths}"),
            (_, None) => format!("+FTS={}", self.quirks.silence_sent),
        };
        self.send_command(&command).await?;
        // On a line that hisses there is no silence to be heard; the far end does not wait for ever (T4).
        if self.result(Instant::now() + SILENCE).await?.is_none() {
            self.abort().await?;
        }
        Ok(())
    }

    /// Begins to send; `None`: the modem says `CONNECT`.
    async fn transmit(&mut self, command: &str) -> Result<Option<Event>, EndReason> {
        self.settle().await?;
        self.send_command(command).await?;
        match self.result(Instant::now() + PROMPT).await? {
            Some(Answer::Connect) => Ok(None),
            Some(Answer::NoCarrier | Answer::Error) => Err(EndReason::LineCut(Phase::SetUp)),
            Some(other) => {
                Err(EndReason::ModemRefuses { command: format!("AT{command}"), answer: format!("{other:?}") })
            }
            None => Err(EndReason::ModemSilent { command: format!("AT{command}") }),
        }
    }

    async fn send_frames(&mut self, frames: &[Frame]) -> Result<Event, EndReason> {
        let names: Vec<_> = frames.iter().map(|frame| name(frame.fcf)).collect();
        tracing::debug!(frames = names.join(" "), "sent");
        if !std::mem::take(&mut self.connected)
            && let Some(event) = self.transmit(&format!("+FTH={V21}")).await?
        {
            return Ok(event);
        }
        for frame in frames {
            self.write(&stuffed(&frame.octets()), PROMPT).await?;
            match self.result(Instant::now() + FRAME).await? {
                Some(Answer::Ok) if frame.last => {}
                Some(Answer::Connect) if !frame.last => {}
                Some(Answer::NoCarrier | Answer::Error) => return Err(EndReason::LineCut(Phase::SetUp)),
                Some(other) => {
                    let answer = format!("{other:?}");
                    return Err(EndReason::ModemRefuses { command: "a frame".to_owned(), answer });
                }
                None => return Err(EndReason::ModemSilent { command: "a frame".to_owned() }),
            }
        }
        self.last = Last::Sent;
        Ok(Event::Done)
    }

    /// Frames until one that says it is the last, or until the carrier goes.
    async fn listen(&mut self, within: Duration) -> Result<Event, EndReason> {
        let until = Instant::now() + within;
        let mut frames: Vec<Frame> = Vec::new();
        let mut damaged = false;
        while frames.len() < MOST_FRAMES {
            let begun = damaged || !frames.is_empty();
            if !std::mem::take(&mut self.connected) {
                self.send_command(&format!("+FRH={V21}")).await?;
                let asked = Instant::now();
                let patience = if begun { asked + FRAME } else { until };
                match self.result(patience).await? {
                    Some(Answer::Connect) => {}
                    None => {
                        self.abort().await?;
                        break;
                    }
                    // On hook again, so the exchange has cut the line.
                    Some(Answer::Busy | Answer::Error) => return Err(EndReason::LineCut(Phase::SetUp)),
                    Some(_) if begun => break,
                    Some(_) if Instant::now() >= until => break,
                    Some(_) => {
                        // It gives up by itself; and one that does so at once is not asked without a pause.
                        tokio::time::sleep_until((asked + Duration::from_millis(200)).min(until)).await;
                        continue;
                    }
                }
            }
            self.last = Last::Received;
            let (octets, complete) = self.message(FRAME, MAX_FRAME * 2).await?;
            if !complete {
                self.abort().await?;
                damaged = true;
                break;
            }
            let good = match self.result(Instant::now() + PROMPT).await? {
                Some(Answer::Ok) => true,
                Some(Answer::NoCarrier) => {
                    damaged |= !octets.is_empty();
                    break;
                }
                _ => false,
            };
            // The FCS is handed over with the frame; a few modems keep it.
            let whole = if fcs_holds(&octets) { octets.get(..octets.len() - 2) } else { Some(octets.as_slice()) };
            match whole.and_then(Frame::parse).filter(|_| good) {
                Some(frame) => {
                    let last = frame.last;
                    frames.push(frame);
                    if last {
                        break;
                    }
                }
                None => damaged = true,
            }
        }
        if frames.is_empty() && !damaged {
            tracing::debug!("nothing heard");
            return Ok(Event::Nothing);
        }
        let names: Vec<_> = frames.iter().map(|frame| name(frame.fcf)).collect();
        tracing::debug!(frames = names.join(" "), damaged, "received");
        Ok(Event::Burst { frames, damaged })
    }

    /// Octets until DLE ETX; false: they stopped before it.
    async fn message(&mut self, gap: Duration, most: usize) -> Result<(Vec<u8>, bool), EndReason> {
        let mut octets = Vec::new();
        let mut unstuffer = Unstuffer::default();
        let end = Instant::now() + LONGEST_PAGE;
        loop {
            let Some(octet) = self.octet((Instant::now() + gap).min(end)).await? else { return Ok((octets, false)) };
            match unstuffer.take(octet) {
                Unstuffed::Octet(octet) => octets.push(octet),
                Unstuffed::TwoDle => octets.extend([DLE, DLE]),
                Unstuffed::End => return Ok((octets, true)),
                Unstuffed::Nothing => {}
            }
            if octets.len() > most {
                return Ok((octets, false));
            }
        }
    }

    async fn send_fast(&mut self, rate: Rate, long_training: bool, octets: &[u8]) -> Result<Event, EndReason> {
        tracing::debug!(%rate, octets = octets.len(), "sending a message");
        if let Some(event) = self.transmit(&format!("+FTM={}", code(rate, long_training))).await? {
            return Ok(event);
        }
        if self.quirks.software_flow {
            self.port.set_software_flow(true);
        }
        let seconds = octets.len() as u64 * 8 / u64::from(rate.bits.max(1)) + 30;
        let within = Duration::from_secs(seconds);
        let sent = self.write(&stuffed(octets), within).await;
        let result = match sent {
            Ok(()) => self.result(Instant::now() + within).await,
            Err(error) => Err(error),
        };
        if self.quirks.software_flow {
            self.port.set_software_flow(false);
        }
        self.last = Last::Sent;
        match result? {
            Some(Answer::Ok) => Ok(Event::Done),
            Some(Answer::NoCarrier | Answer::Error) => Err(EndReason::LineCut(Phase::SetUp)),
            // What the modem ran short of it made up with zeros: the far end will say what it thinks of it.
            Some(_) => Ok(Event::Done),
            None => Err(EndReason::ModemSilent { command: "the end of a message".to_owned() }),
        }
    }

    async fn receive_fast(&mut self, rate: Rate, long: bool, within: Duration) -> Result<Event, EndReason> {
        let until = Instant::now() + within;
        loop {
            self.send_command(&format!("+FRM={}", code(rate, long))).await?;
            let asked = Instant::now();
            match self.result(until).await? {
                Some(Answer::Connect) => break,
                Some(Answer::OtherCarrier) => {
                    self.connected = self.quirks.listens_after_other_carrier
                        && self.result(Instant::now() + PROMPT).await? == Some(Answer::Connect);
                    return Ok(Event::OtherCarrier);
                }
                Some(Answer::Adapted) => {
                    self.connected = self.result(Instant::now() + PROMPT).await? == Some(Answer::Connect);
                    return Ok(Event::OtherCarrier);
                }
                None => {
                    self.abort().await?;
                    return Ok(Event::Nothing);
                }
                Some(Answer::Busy | Answer::Error) => return Err(EndReason::LineCut(Phase::SetUp)),
                Some(_) if Instant::now() >= until => return Ok(Event::Nothing),
                Some(_) => tokio::time::sleep_until((asked + Duration::from_millis(200)).min(until)).await,
            }
        }
        self.last = Last::Received;
        let (octets, complete) = self.message(GAP, MOST_OCTETS).await?;
        if octets.len() > MOST_OCTETS {
            return Err(EndReason::PageTooLong);
        }
        if complete {
            // NO CARRIER, mostly.
            let _ = self.result(Instant::now() + PROMPT).await?;
        } else {
            self.abort().await?;
        }
        tracing::debug!(%rate, octets = octets.len(), complete, "received a message");
        Ok(Event::Fast(octets))
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
