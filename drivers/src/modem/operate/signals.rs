//! Carries out T.30's actions with a Class 1 modem (ITU-T T.31, clause 8): one command after the other.

use std::time::Duration;

use tokio::time::Instant;

use super::{Last, Operator, PROMPT};
use crate::modem::at::Answer;
use crate::modem::error::EndReason;
use crate::modem::format::{Phase, Rate};
use crate::modem::hdlc::{Frame, MAX_FRAME, fcs_holds};
use crate::modem::t30::frame::name;
use crate::modem::t30::{Action, Event};
use crate::modem::t31::{DLE, Unstuffed, Unstuffer, V21, code, stuffed};

/// A frame of the longest kind takes 7 s at 300 bit/s (T.30, 5.3.6: 3 s and 15 %, makers' frames longer).
const FRAME: Duration = Duration::from_secs(8);
/// No frame takes longer.
const LONGEST_FRAME: Duration = Duration::from_secs(15);
/// From the end of a last frame until its carrier is gone.
const CARRIER_GONE: Duration = Duration::from_millis(250);
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

impl Operator {
    /// Carries out what concerns the modem.
    pub(in crate::modem) async fn perform(&mut self, action: Action) -> Event {
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
                // A modem that is done before the last frame has lost the line under it.
                Some(Answer::NoCarrier | Answer::Error | Answer::Ok) => {
                    return Err(EndReason::LineCut(Phase::SetUp));
                }
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
            let (octets, complete) = self.message(FRAME, LONGEST_FRAME, MAX_FRAME * 2).await?;
            if !complete {
                self.abort().await?;
                damaged = true;
                break;
            }
            // The FCS is handed over with the frame; a few modems keep it.
            let holds = fcs_holds(&octets);
            let whole = if holds { octets.get(..octets.len() - 2) } else { Some(octets.as_slice()) };
            let frame = whole.and_then(Frame::parse);
            // Some modems say OK after a last frame only when its carrier is gone, and on a line that hisses they never
            // notice; but a training check may follow at once.
            let surely_last = holds && frame.as_ref().is_some_and(|frame| frame.last);
            let patience = if surely_last { CARRIER_GONE } else { PROMPT };
            let good = match self.result(Instant::now() + patience).await? {
                Some(Answer::Ok) => true,
                Some(Answer::NoCarrier) if surely_last => true,
                Some(Answer::NoCarrier) => {
                    damaged |= !octets.is_empty();
                    break;
                }
                None if surely_last => {
                    self.abort().await?;
                    true
                }
                _ => false,
            };
            match frame.filter(|_| good) {
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
    async fn message(&mut self, gap: Duration, longest: Duration, most: usize) -> Result<(Vec<u8>, bool), EndReason> {
        let mut octets = Vec::new();
        let mut unstuffer = Unstuffer::default();
        let end = Instant::now() + longest;
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
        let (octets, complete) = self.message(GAP, LONGEST_PAGE, MOST_OCTETS).await?;
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
}
