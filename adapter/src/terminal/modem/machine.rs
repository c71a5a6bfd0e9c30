//! The machine's worker: one telephone line, on which the machine calls or is called.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sealfax_client::pop3_server::{MailboxDoor, Outcome, Password};
use sealfax_drivers::display::{Fault, Screen};
use sealfax_drivers::modem::{Advice, Document as _, EndReason, FaxError, FaxLine, Identity, IncomingCall};
use tokio::sync::watch;
use tokio::time::Instant;

use super::call::{Call, OnRamp};
use super::paper::Outbound;
use crate::config::ModemConfig;
use crate::devices::Shown;
use crate::office::Office;

/// How often it is looked whether a report waits for the machine.
const LOOK: Duration = Duration::from_secs(5);
/// How long a modem that cannot be used rests before it is tried again.
const REST: Duration = Duration::from_secs(30);
/// However often it did not take its pages, the machine is called again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// A mail of which no pages can be made.
const UNPRINTABLE: &str = "FAX-062";
/// The machine as the doors see it: it is no host of any network.
pub(super) const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The line, and the doors behind it.
pub(crate) struct Machine {
    pub(crate) office: Arc<Office>,
    pub(crate) line: Box<dyn FaxLine>,
    pub(crate) config: ModemConfig,
    /// Where its documents go.
    pub(crate) on_ramp: OnRamp,
    /// Where those for it come from.
    pub(crate) door: Arc<dyn MailboxDoor>,
}

/// Never ends.
pub(crate) async fn run(mut machine: Machine, mut shown: watch::Receiver<Shown>) {
    let (mut not_before, mut pause) = (Instant::now(), machine.config.redial());
    loop {
        tokio::select! {
            call = machine.line.wait_for_call() => machine.takes(call).await,
            () = wanted(&machine.office, &mut shown, not_before) => {
                // Who dials on a line that rings has answered whoever calls.
                if machine.line.is_ringing() {
                    if let Ok(call) = tokio::time::timeout(LOOK, machine.line.wait_for_call()).await {
                        machine.takes(call).await;
                    }
                } else {
                    match machine.call_the_machine().await {
                        Called::TookAll => pause = machine.config.redial(),
                        // What it cannot print waits for nobody; it must not be dialled for again and again either.
                        Called::TookWhatCanBe => {
                            pause = machine.config.redial();
                            not_before = Instant::now() + pause;
                        }
                        Called::LineFailed => {
                            not_before = Instant::now() + pause;
                            pause = (pause * 2).min(LONGEST_PAUSE);
                        }
                    }
                }
            }
        }
    }
}

/// Until somebody is asked to press RECEIVE, which the line does for them, or a report waits.
async fn wanted(office: &Office, shown: &mut watch::Receiver<Shown>, not_before: Instant) {
    tokio::time::sleep_until(not_before).await;
    loop {
        if matches!(shown.borrow_and_update().screen, Screen::PressReceive { .. }) {
            return;
        }
        match office.ledger.reports() {
            Ok(reports) if reports.is_empty() => {}
            Ok(_) => return,
            Err(error) => office.failed("LEDGER-001", error.to_string()),
        }
        tokio::select! {
            // The desk is gone, and the adapter with it.
            Err(_) = shown.changed() => std::future::pending::<()>().await,
            () = tokio::time::sleep(LOOK) => {}
            else => {}
        }
    }
}

impl Machine {
    /// A call, or what keeps the modem from taking any.
    async fn takes(&mut self, call: Result<IncomingCall, FaxError>) {
        match call {
            Ok(call) => self.answer(call).await,
            Err(error) => {
                self.trouble(Some(&error));
                tokio::time::sleep(REST).await;
            }
        }
    }

    /// A call of the machine's.
    async fn answer(&mut self, ringing: IncomingCall) {
        let identity = self.identity();
        let mut call = Call::new(&self.on_ramp, ringing);
        let answered = self.line.answer(&identity, &mut call).await;
        match answered {
            Ok(received) => {
                self.trouble(None);
                let far_end = received.arrived.far_end.as_deref().unwrap_or("a machine without number");
                let pages = received.arrived.pages.len();
                self.office
                    .did(&["I1"], format!("{pages} page(s) came by telephone from {far_end} at {}", received.rate));
            }
            Err(error) => {
                self.office.failed(error.code(), format!("a call of the fax machine came to nothing: {error}"));
                // Who dials a wrong number is no fault of the line.
                if matches!(
                    error.reason,
                    EndReason::Port(_) | EndReason::ModemSilent { .. } | EndReason::ModemRefuses { .. }
                ) {
                    self.trouble(Some(&error));
                }
            }
        }
    }

    /// Calls the machine with all that is to be had now.
    async fn call_the_machine(&mut self) -> Called {
        // The screen says why nothing is given.
        let Ok(mut drop) = self.door.login(NOWHERE, "", &Password::new(Vec::new())).await else {
            return Called::LineFailed;
        };
        let mut outcome = Outcome::default();
        let (mut all, mut told) = (true, false);
        for index in 0..drop.messages().len() {
            // The card was pulled, for one: what is on paper by now is settled.
            let Ok(octets) = drop.retrieve(index).await else {
                all = false;
                break;
            };
            let octets = zeroize::Zeroizing::new(octets);
            match self.print(&octets).await {
                Printed::Whole => {
                    outcome.retrieved.push(index);
                    outcome.deleted.push(index);
                }
                Printed::Not => all = false,
                // Another call would not do better: the person is told, rather than kept waiting.
                Printed::Never(code) => {
                    drop.unusable(index, code);
                    told = true;
                }
                Printed::Unreachable => {
                    all = false;
                    break;
                }
            }
        }
        if !all && !told && outcome.retrieved.is_empty() {
            drop.abandoned(outcome).await;
        } else if let Err(refusal) = drop.commit(outcome).await {
            self.office.failed("RECV-008", refusal.text);
        }
        match (all, told) {
            (true, false) => Called::TookAll,
            (true, true) => Called::TookWhatCanBe,
            (false, _) => Called::LineFailed,
        }
    }

    /// One document, in one call.
    async fn print(&mut self, octets: &[u8]) -> Printed {
        let mut document = match Outbound::of_mail(octets) {
            Ok(document) if self.config.private => document,
            // Whoever lifts at a number that was mistyped, or passed on, prints what they get.
            Ok(document) => document.only_for(self.config.callers()),
            Err(why) => {
                self.office.failed(UNPRINTABLE, format!("a mail that cannot be printed stays where it is: {why}"));
                return Printed::Never(UNPRINTABLE);
            }
        };
        let identity = self.identity();
        match self.line.call(&self.config.machine, &identity, None, &mut document).await {
            Ok(sent) => {
                self.trouble(None);
                let (pages, rate) = (sent.pages, sent.format.rate);
                self.office.did(&["I2"], format!("the fax machine confirmed {pages} page(s) at {rate}"));
                Printed::Whole
            }
            Err(error) => {
                let (confirmed, all) = (error.pages_confirmed, document.pages());
                self.office.failed(error.code(), format!("the fax machine took {confirmed} of {all} page(s): {error}"));
                // A line that rings is well.
                if !matches!(error.reason, EndReason::LineRings) {
                    self.trouble(Some(&error));
                }
                // A document that the machine does not like keeps no other from being printed.
                if matches!(error.reason, EndReason::Document { .. }) {
                    return Printed::Never(error.code());
                }
                if matches!(error.reason, EndReason::WrongMachine { .. }) {
                    return Printed::Unreachable;
                }
                if error.phase().is_none() && error.code() >= "FAX-040" { Printed::Not } else { Printed::Unreachable }
            }
        }
    }

    fn identity(&self) -> Identity {
        Identity::new(self.config.number.clone())
    }

    /// The fault band says what is wrong with the line, until a call is well.
    fn trouble(&self, error: Option<&FaxError>) {
        let fault = error.map(|error| {
            let Advice { english, japanese, .. } = error.advice();
            Fault { code: error.code(), japanese: japanese.into(), english: english.into() }
        });
        self.office.set_fault("FAX-", fault);
    }
}

/// What became of a call to the machine.
enum Called {
    /// It has all that there was.
    TookAll,
    /// It has all that can be printed.
    TookWhatCanBe,
    /// It did not come about, or broke off.
    LineFailed,
}

/// What became of a document.
enum Printed {
    /// The machine has confirmed every page.
    Whole,
    /// This one was not printed; others may be, and it may be another time.
    Not,
    /// This one cannot be printed at all, with the code of why; others may be.
    Never(&'static str),
    /// The line or the machine failed: no other would come through either.
    Unreachable,
}
