//! One simulated modem: AT commands (ITU-T V.250), calls, and the line's signals; service class 1 is in `fax`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep};

use super::{Exchange, Passed, Shared, Signal, scaled};
use crate::modem::t31::{self, V21};

/// A carrier that ended before anybody listened is gone after this time on the line, or on the clock.
const LINGERS: Duration = Duration::from_millis(300);
/// From one ring to the next.
const RINGING: Duration = Duration::from_secs(6);
/// CED and the silence around it.
const CED: Duration = Duration::from_millis(3000);

/// The host has gone.
pub(super) struct Gone;

pub(super) type Going<T> = Result<T, Gone>;

pub(super) struct Modem {
    host: DuplexStream,
    send: UnboundedSender<Passed>,
    receive: UnboundedReceiver<Passed>,
    pub(super) heard: VecDeque<Passed>,
    shared: Arc<Mutex<Shared>>,
    speed: f64,
    echo: bool,
    off_hook: bool,
    rings: bool,
    /// The far end's V.21 carrier is on and is being listened to.
    pub(super) listening: bool,
    /// An octet of the host that was seen and not taken yet.
    kept: Option<u8>,
    /// The far modem was taken away.
    alone: bool,
}

/// What woke an operation.
pub(super) enum Woken {
    Host,
    Signal(Signal),
}

impl Modem {
    pub(super) fn new(
        host: DuplexStream,
        send: UnboundedSender<Passed>,
        receive: UnboundedReceiver<Passed>,
        shared: Arc<Mutex<Shared>>,
        speed: f64,
    ) -> Self {
        Self {
            host,
            send,
            receive,
            heard: VecDeque::new(),
            shared,
            speed,
            echo: true,
            off_hook: false,
            rings: false,
            listening: false,
            kept: None,
            alone: false,
        }
    }

    pub(super) async fn run(mut self) {
        while self.command_line().await.is_ok() {}
    }

    /// Collects a command line, telling of calls meanwhile, and carries it out.
    async fn command_line(&mut self) -> Going<()> {
        let mut line = Vec::new();
        loop {
            match self.woken(!self.off_hook).await? {
                Woken::Host => {
                    let octet = self.octet().await?;
                    if self.echo {
                        self.write(&[octet]).await?;
                    }
                    match octet {
                        b'\r' => break,
                        // Left over from an operation that ended by itself.
                        0x00..=0x1F => line.clear(),
                        octet if line.len() < 200 => line.push(octet),
                        _ => {}
                    }
                }
                Woken::Signal(Signal::Ring { dialled }) => self.ring(&dialled).await?,
                Woken::Signal(Signal::HungUp) => self.rings = false,
                Woken::Signal(_) => {}
            }
        }
        let line = String::from_utf8_lossy(&line).to_ascii_uppercase();
        let Some(at) = line.rfind("AT") else { return Ok(()) };
        let command = line.get(at + 2..).unwrap_or_default().to_owned();
        self.carry_out(command.trim()).await
    }

    async fn carry_out(&mut self, command: &str) -> Going<()> {
        let number = |prefix: &str| command.strip_prefix(prefix).and_then(|number| number.parse::<u8>().ok());
        if command.contains("E0") && !command.starts_with('+') {
            self.echo = false;
        }
        match command {
            "+FCLASS=?" => self.tell("0,1").await,
            "+FTM=?" | "+FRM=?" => self.tell("24,48,72,73,74,96,97,98,121,122,145,146").await,
            "+FTH=?" | "+FRH=?" => self.tell("3").await,
            "+FMI?" => self.tell("Sealfax simulated").await,
            "I" | "I0" | "+FMM?" => self.tell("Sealfax simulated Class 1 modem").await,
            "A" => self.pick_up().await,
            _ if command.starts_with('D') => self.dial(command).await,
            _ if command.starts_with('H') || command.starts_with('Z') => {
                self.hang_up();
                self.say("OK").await
            }
            _ if command.starts_with("+FT") || command.starts_with("+FR") => {
                if !self.off_hook {
                    return self.say("ERROR").await;
                }
                if let Some(V21) = number("+FTH=") {
                    self.send_frames().await
                } else if let Some(V21) = number("+FRH=") {
                    self.receive_frames().await
                } else if let Some(code) = number("+FTM=").filter(|code| t31::rate(*code).is_some()) {
                    self.send_message(code).await
                } else if let Some(code) = number("+FRM=").filter(|code| t31::rate(*code).is_some()) {
                    self.receive_message(code).await
                } else if let Some(hundredths) = number("+FTS=") {
                    self.pass_time(Duration::from_millis(10) * u32::from(hundredths)).await;
                    self.say("OK").await
                } else if let Some(hundredths) = number("+FRS=") {
                    self.await_silence(Duration::from_millis(10) * u32::from(hundredths)).await
                } else {
                    self.say("ERROR").await
                }
            }
            _ if command.starts_with("+FAR") => self.say("ERROR").await,
            _ => self.say("OK").await,
        }
    }

    async fn ring(&mut self, dialled: &str) -> Going<()> {
        let (caller, shown) = {
            let shared = self.shared();
            (shared.line.caller_number.clone(), shared.line.dialled_number.clone())
        };
        let first = !std::mem::replace(&mut self.rings, true);
        self.say("RING").await?;
        if first {
            if let Some(caller) = caller {
                self.say(&format!("NMBR={caller}")).await?;
            }
            if let Some(shown) = shown {
                let dialled = dialled.to_owned();
                self.say(&format!("NDID={}", if shown.is_empty() { dialled } else { shown })).await?;
            }
        }
        Ok(())
    }

    async fn pick_up(&mut self) -> Going<()> {
        if !std::mem::take(&mut self.rings) {
            return self.say("NO CARRIER").await;
        }
        self.off_hook = true;
        self.emit(Signal::Answered);
        self.pass_time(CED).await;
        self.send_frames().await
    }

    async fn dial(&mut self, command: &str) -> Going<()> {
        let exchange = self.shared().line.exchange;
        match exchange {
            Exchange::NoDialTone => return self.say("NO DIALTONE").await,
            Exchange::Busy => {
                self.pass_time(Duration::from_secs(4)).await;
                return self.say("BUSY").await;
            }
            Exchange::Rings | Exchange::NobodyLifts | Exchange::VoiceAnswers => {}
        }
        let dialled: String = command.chars().filter(char::is_ascii_digit).collect();
        self.off_hook = true;
        let mut answered = false;
        // S7.
        for _ in 0..10 {
            if exchange == Exchange::Rings && !answered {
                self.emit(Signal::Ring { dialled: dialled.clone() });
            }
            let until = Instant::now() + scaled(RINGING, self.speed);
            loop {
                let woken = match tokio::time::timeout_at(until, self.woken(true)).await {
                    Err(_) => break,
                    Ok(woken) => woken?,
                };
                match woken {
                    Woken::Host => {
                        self.octet().await?;
                        self.hang_up();
                        return self.say("NO CARRIER").await;
                    }
                    Woken::Signal(Signal::Answered) => answered = true,
                    Woken::Signal(Signal::Carrier(V21)) => {
                        self.listening = true;
                        return self.receive_frames().await;
                    }
                    Woken::Signal(Signal::Dead) => return self.dead().await,
                    Woken::Signal(_) => {}
                }
            }
        }
        self.hang_up();
        self.say(if answered || exchange == Exchange::VoiceAnswers { "NO CARRIER" } else { "NO ANSWER" }).await
    }

    fn hang_up(&mut self) {
        if std::mem::take(&mut self.off_hook) {
            self.emit(Signal::HungUp);
        }
        self.listening = false;
    }

    pub(super) async fn dead(&mut self) -> Going<()> {
        self.off_hook = false;
        self.listening = false;
        self.say("NO CARRIER").await
    }

    /// Waits for the host or, if `signals`, for the line, whichever comes first. The host's octet is left where it is.
    pub(super) async fn woken(&mut self, signals: bool) -> Going<Woken> {
        loop {
            if self.kept.is_some() {
                return Ok(Woken::Host);
            }
            while let Ok(passed) = self.receive.try_recv() {
                self.heard.push_back(passed);
            }
            if signals && let Some(signal) = self.next_heard() {
                return Ok(Woken::Signal(signal));
            }
            tokio::select! {
                octet = self.host.read_u8() => self.kept = Some(octet.map_err(|_| Gone)?),
                passed = self.receive.recv(), if !self.alone => match passed {
                    Some(passed) => self.heard.push_back(passed),
                    None => self.alone = true,
                },
            }
        }
    }

    /// The next signal, but for carriers that were over before anybody listened.
    fn next_heard(&mut self) -> Option<Signal> {
        let lingers = scaled(LINGERS, self.speed).max(LINGERS.min(Duration::from_millis(250)));
        loop {
            let passed = self.heard.pop_front()?;
            if matches!(passed.signal, Signal::Carrier(_)) {
                let off = self.heard.iter().position(|later| matches!(later.signal, Signal::Off));
                if let Some(off) = off
                    && self.heard.get(off).is_some_and(|off| off.at.elapsed() > lingers)
                {
                    self.heard.drain(..=off);
                    continue;
                }
            }
            return Some(passed.signal);
        }
    }

    pub(super) async fn octet(&mut self) -> Going<u8> {
        match self.kept.take() {
            Some(octet) => Ok(octet),
            None => self.host.read_u8().await.map_err(|_| Gone),
        }
    }

    pub(super) fn emit(&mut self, signal: Signal) {
        let (dead, told) = {
            let mut shared = self.shared();
            if shared.is_cut {
                return;
            }
            shared.pass(&signal);
            (shared.is_cut, shared.line.cut_is_told)
        };
        // A far end that has gone hears nothing.
        let _ = self.send.send(Passed { signal, at: Instant::now() });
        if dead && told {
            let _ = self.send.send(Passed { signal: Signal::Dead, at: Instant::now() });
            self.heard.push_back(Passed { signal: Signal::Dead, at: Instant::now() });
        }
    }

    pub(super) fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn pass_time(&self, duration: Duration) {
        sleep(scaled(duration, self.speed)).await;
    }

    pub(super) async fn say(&mut self, answer: &str) -> Going<()> {
        self.write(format!("\r\n{answer}\r\n").as_bytes()).await
    }

    /// A text and OK.
    async fn tell(&mut self, text: &str) -> Going<()> {
        self.say(text).await?;
        self.say("OK").await
    }

    pub(super) async fn write(&mut self, octets: &[u8]) -> Going<()> {
        self.host.write_all(octets).await.map_err(|_| Gone)
    }
}
