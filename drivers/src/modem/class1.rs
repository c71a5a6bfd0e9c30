//! A fax line with a Class 1 modem on it: sets the modem up, waits for calls, dials, and lets T.30 run (ITU-T T.31).

mod set_up;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout};

use super::at::{Answer, dial_string};
use super::error::{EndReason, FaxError};
use super::format::{PageFormat, Rate};
use super::identity::Identity;
use super::operate::{Last, Operator};
use super::port::{Plain, Port};
use super::t30::called::Called;
use super::t30::caller::{Caller, Order};
use super::t30::{Action, Event};
use super::{Arrived, Diagnosis, Document, FaxLine, IncomingCall, Password, Received, Sent, Tray};

/// From one ring to the next it takes at most this long; later, the caller has given up.
const BETWEEN_RINGS: Duration = Duration::from_secs(8);
/// How long the rest of what is told of a caller may take.
const AFTER_THE_NUMBER: Duration = Duration::from_millis(500);
/// How long a line is listened to at a time.
const AN_HOUR: Duration = Duration::from_secs(3600);
/// From dialling to the far end's first frame: S7 of the modem and its own time with it.
const T0: Duration = Duration::from_secs(75);
/// From lifting to the first frame: billing delay, CED.
const LIFTING: Duration = Duration::from_secs(15);

/// T.30 with a Class 1 modem over any stream.
pub struct Class1 {
    operator: Operator,
    diagnosis: Option<Diagnosis>,
    /// Something was begun and not ended: the modem may be anywhere.
    astray: bool,
    /// At which ring a call is told of, if the exchange does not show who calls before.
    rings: u32,
    /// What is known of a call that is not told of yet, and how often it rang.
    coming: (u32, IncomingCall),
}

impl std::fmt::Debug for Class1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Class1({:?})", self.diagnosis)
    }
}

impl Class1 {
    /// A modem on a port.
    pub fn new(port: impl Port + 'static) -> Self {
        Self {
            operator: Operator::new(Box::new(port)),
            diagnosis: None,
            astray: true,
            rings: 2,
            coming: <_>::default(),
        }
    }

    /// A modem on any stream without control lines.
    pub fn on_stream(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) -> Self {
        Self::new(Plain(stream))
    }

    /// At which ring a call is told of; 2 unless set, for a caller's number comes between the first two.
    #[must_use]
    pub fn with_rings(mut self, rings: u32) -> Self {
        self.rings = rings.max(1);
        self
    }

    /// Phase E: the line is given back, whatever happened on it.
    async fn hang_up(&mut self) -> Result<(), EndReason> {
        self.operator.connected = false;
        self.operator.last = Last::Nothing;
        if !matches!(self.operator.ask("H0").await, Ok((Answer::Ok, _))) {
            self.operator.resynchronise().await?;
            self.operator.ask("H0").await?;
        }
        self.astray = false;
        Ok(())
    }

    /// Receives, the call being answered.
    async fn receive(&mut self, machine: &mut Called, tray: &mut dyn Tray) -> Result<(), EndReason> {
        let begun = Instant::now();
        let mut action = machine.step(Duration::ZERO, Event::Begin);
        loop {
            let event = match action {
                Action::End(result) => return result,
                Action::Deliver { format, octets } => Event::Judged(tray.page(&format, &octets)),
                Action::Ask { within } => {
                    action = self.decide(machine, tray, begun, within).await;
                    continue;
                }
                other => self.operator.perform(other).await,
            };
            action = machine.step(begun.elapsed(), event);
        }
    }

    /// Keeps the far end waiting while the tray decides. Returns with the action that follows the decision, or with one
    /// that ends the waiting.
    async fn decide(&mut self, machine: &mut Called, tray: &mut dyn Tray, begun: Instant, within: Duration) -> Action {
        let arrived = arrived(machine);
        let mut acceptance = tray.accept(&arrived);
        let mut decision = None;
        let mut action = Action::Ask { within };
        loop {
            let event = match action {
                Action::Ask { within } => {
                    if decision.is_none() {
                        decision = timeout(within, &mut acceptance).await.ok();
                    }
                    Event::Decision(decision)
                }
                Action::End(_) | Action::Deliver { .. } => return action,
                other => {
                    let performed = self.operator.perform(other);
                    tokio::pin!(performed);
                    loop {
                        tokio::select! {
                            event = &mut performed => break event,
                            accepted = &mut acceptance, if decision.is_none() => decision = Some(accepted),
                        }
                    }
                }
            };
            let decided = matches!(event, Event::Decision(Some(_)));
            action = machine.step(begun.elapsed(), event);
            if decided {
                return action;
            }
        }
    }

    /// Sends, the call being answered.
    async fn send(&mut self, machine: &mut Caller, document: &mut dyn Document) -> Result<(), EndReason> {
        let begun = Instant::now();
        let mut event = Event::Begin;
        loop {
            event = match machine.step(begun.elapsed(), event) {
                Action::End(result) => return result,
                Action::Fetch { page, format } => Event::Page(document.page(page, &format)),
                other => self.operator.perform(other).await,
            };
        }
    }

    async fn dial(&mut self, number: &str) -> Result<(), EndReason> {
        let number = dial_string(number).ok_or(EndReason::BadNumber)?;
        self.ready().await?;
        self.class_1().await?;
        if self.is_ringing() {
            return Err(EndReason::LineRings);
        }
        self.astray = true;
        self.operator.send_command(&format!("DT{number}")).await?;
        let until = Instant::now() + T0;
        loop {
            return match self.operator.line(until).await? {
                Some(Answer::Connect) => {
                    self.operator.connected = true;
                    self.operator.last = Last::Received;
                    Ok(())
                }
                Some(Answer::Busy) => Err(EndReason::Busy),
                Some(Answer::NoDialTone) => Err(EndReason::NoDialTone),
                Some(Answer::NoAnswer) | None => Err(EndReason::NoAnswer),
                Some(Answer::NoCarrier) => Err(EndReason::NotAFax),
                Some(Answer::Error) => {
                    Err(EndReason::ModemRefuses { command: "ATDT".to_owned(), answer: "ERROR".to_owned() })
                }
                Some(_) => continue,
            };
        }
    }

    async fn lift(&mut self) -> Result<(), EndReason> {
        self.coming = <_>::default();
        self.ready().await?;
        self.class_1().await?;
        self.astray = true;
        self.operator.send_command("A").await?;
        let until = Instant::now() + LIFTING;
        loop {
            return match self.operator.line(until).await? {
                Some(Answer::Connect) => {
                    self.operator.connected = true;
                    self.operator.last = Last::Sent;
                    Ok(())
                }
                Some(Answer::NoCarrier | Answer::Error) => Err(EndReason::CallGone),
                None => Err(EndReason::ModemSilent { command: "ATA".to_owned() }),
                Some(_) => continue,
            };
        }
    }
}

fn arrived(machine: &Called) -> Arrived {
    Arrived {
        pages: machine.pages.clone(),
        far_end: machine.far_end.clone(),
        subaddress: machine.subaddress.clone(),
        password: machine.password.clone().map(Password),
    }
}

#[async_trait]
impl FaxLine for Class1 {
    async fn wait_for_call(&mut self) -> Result<IncomingCall, FaxError> {
        self.ready().await?;
        loop {
            let (rings, call) = &mut self.coming;
            // Who calls is told between the first two rings, each of it on a line.
            let known = call.caller.is_some() || call.dialled.is_some();
            if *rings >= self.rings {
                return Ok(std::mem::take(&mut self.coming).1);
            }
            let now = Instant::now();
            let until = match self.operator.rang {
                Some(rang) if *rings > 0 && !known => rang + BETWEEN_RINGS,
                _ if *rings > 0 => now + AFTER_THE_NUMBER,
                // Told before the first ring: of a call that does not ring then it is not kept for the next one.
                _ if known => now + BETWEEN_RINGS,
                _ => now + AN_HOUR,
            };
            match self.operator.line(until).await? {
                Some(Answer::Ring) => *rings += 1,
                Some(Answer::CallerNumber(number)) => call.caller = Some(number),
                Some(Answer::DialledNumber(number)) => call.dialled = Some(number),
                Some(Answer::CallerName(name)) => call.name = Some(name),
                Some(_) => {}
                None if known && *rings > 0 => return Ok(std::mem::take(&mut self.coming).1),
                None => self.coming = <_>::default(),
            }
        }
    }

    fn is_ringing(&self) -> bool {
        self.operator.rang.is_some_and(|rang| rang.elapsed() < BETWEEN_RINGS)
    }

    async fn answer(&mut self, me: &Identity, tray: &mut dyn Tray) -> Result<Received, FaxError> {
        if let Err(reason) = self.lift().await {
            let _ = self.hang_up().await;
            return Err(reason.into());
        }
        let mut machine = Called::new(self.able(me));
        let result = self.receive(&mut machine, tray).await;
        self.operator.rang = None;
        if let Err(error) = self.hang_up().await {
            tracing::warn!(%error, "the modem could not be made to hang up");
        }
        match result {
            Ok(()) => Ok(Received {
                arrived: arrived(&machine),
                rate: machine.format().map_or(Rate::LOWEST, |format| format.rate),
                retrainings: machine.retrainings,
            }),
            Err(reason) => Err(FaxError { reason, pages_confirmed: machine.confirmed, far_end: machine.far_end }),
        }
    }

    async fn call(
        &mut self,
        number: &str,
        me: &Identity,
        subaddress: Option<&str>,
        document: &mut dyn Document,
    ) -> Result<Sent, FaxError> {
        if let Err(reason) = self.dial(number).await {
            if !matches!(reason, EndReason::BadNumber | EndReason::LineRings | EndReason::Port(_)) {
                let _ = self.hang_up().await;
            }
            return Err(reason.into());
        }
        let mut machine = Caller::new(Order {
            me: self.able(me),
            pages: (0..document.pages()).map(|page| document.wants(page)).collect(),
            subaddress: subaddress.map(str::to_owned),
            password: None,
            only_for: document.only_for().map(<[String]>::to_vec),
        });
        let result = self.send(&mut machine, document).await;
        if let Err(error) = self.hang_up().await {
            tracing::warn!(%error, "the modem could not be made to hang up");
        }
        match result {
            Ok(()) => Ok(Sent {
                pages: machine.confirmed,
                format: machine.format().unwrap_or(PageFormat::BASIC),
                far_end: machine.far_end,
                retrainings: machine.retrainings,
            }),
            Err(reason) => Err(FaxError { reason, pages_confirmed: machine.confirmed, far_end: machine.far_end }),
        }
    }

    async fn diagnose(&mut self) -> Result<Diagnosis, FaxError> {
        self.diagnosis = None;
        match self.ready().await {
            Err(EndReason::NoClass1 { classes }) => Ok(Diagnosis {
                identification: Vec::new(),
                classes,
                has_class_1: false,
                rates: Vec::new(),
                treated_as: self.operator.quirks.name,
                shows_caller: false,
            }),
            Err(reason) => Err(reason.into()),
            Ok(()) => self.diagnosis.clone().ok_or_else(|| EndReason::ModemSilent { command: "AT".to_owned() }.into()),
        }
    }
}
