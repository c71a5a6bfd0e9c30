//! Service class 1 of a simulated modem (ITU-T T.31, clause 8): frames, messages and silence on the simulated line.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::modem::{Going, Modem, Woken};
use super::{Passed, Signal};
use crate::modem::format::Scheme;
use crate::modem::hdlc::{FINAL, fcs};
use crate::modem::t31::{self, Unstuffed, Unstuffer, V21, stuffed};

/// Flags before the first frame.
const PREAMBLE: Duration = Duration::from_millis(1000);
/// How long a host may leave the line without data.
const STARVED: Duration = Duration::from_secs(5);

impl Modem {
    /// `+FTH=3`: frames until a final one.
    pub(super) async fn send_frames(&mut self) -> Going<()> {
        self.emit(Signal::Carrier(V21));
        self.say("CONNECT").await?;
        self.pass_time(PREAMBLE).await;
        loop {
            let mut frame = Vec::new();
            let mut unstuffer = Unstuffer::default();
            loop {
                let Ok(octet) = timeout(STARVED, self.octet()).await else {
                    self.emit(Signal::Off);
                    return self.say("ERROR").await;
                };
                match unstuffer.take(octet?) {
                    Unstuffed::Octet(octet) => frame.push(octet),
                    Unstuffed::TwoDle => frame.extend([t31::DLE, t31::DLE]),
                    Unstuffed::End => break,
                    Unstuffed::Nothing => {}
                }
                frame.truncate(512);
            }
            let last = frame.get(1).is_none_or(|control| control & FINAL != 0);
            if !frame.is_empty() {
                let check = fcs(&frame);
                frame.extend(check);
                self.pass_time(Duration::from_micros(26_667) * u32::try_from(frame.len()).unwrap_or(0)).await;
                self.emit(Signal::Frame(frame));
            }
            if last {
                self.emit(Signal::Off);
                return self.say("OK").await;
            }
            self.say("CONNECT").await?;
        }
    }

    /// `+FRH=3`: one frame, with its FCS.
    pub(super) async fn receive_frames(&mut self) -> Going<()> {
        loop {
            match self.woken(true).await? {
                Woken::Host => {
                    self.octet().await?;
                    return self.say("OK").await;
                }
                Woken::Signal(Signal::Carrier(code)) => {
                    self.listening = code == V21;
                }
                Woken::Signal(Signal::Frame(mut frame)) if self.listening => {
                    let damaged = {
                        let mut shared = self.shared();
                        let chance = shared.line.frame_errors;
                        shared.happens(chance)
                    };
                    if let (true, Some(octet)) = (damaged, frame.last_mut()) {
                        *octet ^= 0x40;
                    }
                    self.say("CONNECT").await?;
                    self.write(&stuffed(&frame)).await?;
                    return self.say(if damaged { "ERROR" } else { "OK" }).await;
                }
                Woken::Signal(Signal::Off) if self.listening => {
                    self.listening = false;
                    return self.say("NO CARRIER").await;
                }
                Woken::Signal(Signal::Dead) => return self.dead().await,
                Woken::Signal(_) => {}
            }
        }
    }

    /// `+FTM`: a message.
    pub(super) async fn send_message(&mut self, code: u8) -> Going<()> {
        let Some((rate, long)) = t31::rate(code) else { return self.say("ERROR").await };
        self.emit(Signal::Carrier(code));
        self.say("CONNECT").await?;
        let training = match (rate.scheme, long) {
            (Scheme::V17, true) => 1393,
            (Scheme::V17, false) => 142,
            (Scheme::V29, _) => 253,
            (Scheme::V27ter, _) => 943,
        };
        self.pass_time(Duration::from_millis(training)).await;
        // About a fifth of a second at a time.
        let chunk = usize::try_from(rate.bits / 40).unwrap_or(1).max(1);
        let mut unstuffer = Unstuffer::default();
        let mut octets = Vec::with_capacity(chunk + 1);
        loop {
            let Ok(octet) = timeout(STARVED, self.octet()).await else {
                self.emit(Signal::Off);
                return self.say("ERROR").await;
            };
            let mut end = false;
            match unstuffer.take(octet?) {
                Unstuffed::Octet(octet) => octets.push(octet),
                Unstuffed::TwoDle => octets.extend([t31::DLE, t31::DLE]),
                Unstuffed::End => end = true,
                Unstuffed::Nothing => {}
            }
            if octets.len() >= chunk || (end && !octets.is_empty()) {
                let bits = u64::try_from(octets.len()).unwrap_or(0) * 8;
                self.pass_time(Duration::from_secs_f64(bits as f64 / f64::from(rate.bits))).await;
                self.emit(Signal::Octets(std::mem::take(&mut octets)));
            }
            if end {
                self.emit(Signal::Off);
                return self.say("OK").await;
            }
        }
    }

    /// `+FRM`: a message.
    pub(super) async fn receive_message(&mut self, code: u8) -> Going<()> {
        let Some((rate, _)) = t31::rate(code) else { return self.say("ERROR").await };
        self.listening = false;
        let mut trained = false;
        loop {
            match self.woken(true).await? {
                Woken::Host => {
                    self.octet().await?;
                    if trained {
                        self.write(&[t31::DLE, t31::ETX]).await?;
                    }
                    return self.say("OK").await;
                }
                Woken::Signal(Signal::Carrier(V21)) => {
                    self.heard.push_front(Passed { signal: Signal::Carrier(V21), at: Instant::now() });
                    return self.say("+FCERROR").await;
                }
                Woken::Signal(Signal::Carrier(heard)) if heard == code => {
                    trained = true;
                    self.say("CONNECT").await?;
                }
                Woken::Signal(Signal::Octets(mut octets)) if trained => {
                    self.shared().damage(&mut octets, rate.bits);
                    let mut data = stuffed(&octets);
                    data.truncate(data.len() - 2);
                    self.write(&data).await?;
                }
                Woken::Signal(Signal::Off) if trained => {
                    self.write(&[t31::DLE, t31::ETX]).await?;
                    return self.say("NO CARRIER").await;
                }
                Woken::Signal(Signal::Dead) => {
                    if trained {
                        self.write(&[t31::DLE, t31::ETX]).await?;
                    }
                    return self.dead().await;
                }
                Woken::Signal(_) => {}
            }
        }
    }

    /// `+FRS`: until the line has been still for that long.
    pub(super) async fn await_silence(&mut self, silence: Duration) -> Going<()> {
        while self.listening {
            match self.woken(true).await? {
                Woken::Host => {
                    self.octet().await?;
                    return self.say("OK").await;
                }
                Woken::Signal(Signal::Off) => self.listening = false,
                Woken::Signal(Signal::Dead) => return self.dead().await,
                Woken::Signal(_) => {}
            }
        }
        self.pass_time(silence).await;
        self.say("OK").await
    }
}
