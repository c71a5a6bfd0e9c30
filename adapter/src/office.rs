//! What the parts of a running adapter share: its configuration, the seams, the ledger, and the way to the desk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sealfax_client::http::Server;
use sealfax_client::seam::{EntropyRng, Network, Seams, TransmissionId};
use sealfax_client::tls::TlsError;
use sealfax_drivers::display::{Fault, Screen, Status};
use sealfax_drivers::person::PersonProof;
use tokio::sync::{Notify, mpsc, watch};

use crate::card::InsertedCard;
use crate::config::Config;
use crate::flow::desk::{Event, Insertion};
use crate::flow::{Owner, Step};
use crate::ledger::Ledger;
use crate::ports::watch::Seen;
use crate::trust::Trust;

/// The shared context of one adapter.
pub struct Office {
    /// As read.
    pub config: Config,
    /// Clock, network, chance, journal.
    pub seams: Seams,
    /// The way to the mail server.
    pub mail: Arc<dyn Network>,
    /// The way to the history server.
    pub history: (Arc<dyn Network>, Server),
    /// Durable memory.
    pub ledger: Ledger,
    /// Anchors and certificate server.
    pub trust: Trust,
    /// Whoever is asked beside the card.
    pub person: Option<Arc<dyn PersonProof>>,
    /// Wakes the outbox when something is owed.
    pub owed: Notify,
    events: mpsc::UnboundedSender<Event>,
    card: Mutex<Option<(Insertion, Arc<InsertedCard>)>>,
    card_changed: Notify,
    reader: AtomicBool,
    /// What is wrong with other devices, by code.
    faults: Mutex<BTreeMap<&'static str, Fault>>,
    ports: Mutex<Seen>,
    /// What stands on the screen, for who cannot see it.
    displayed: Mutex<(Screen, Status)>,
    numbers: AtomicU64,
    power: watch::Receiver<()>,
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Office").field("host", &self.config.host_name).finish_non_exhaustive()
    }
}

impl Office {
    pub(crate) fn new(
        config: Config,
        seams: Seams,
        ledger: Ledger,
        trust: Trust,
        person: Option<Arc<dyn PersonProof>>,
        events: mpsc::UnboundedSender<Event>,
        power: watch::Receiver<()>,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            mail: config.network.to_mail(&seams.network, &seams.clock)?,
            history: config.network.to_history(&seams.network, &seams.clock)?,
            config,
            seams,
            ledger,
            trust,
            person,
            owed: Notify::new(),
            events,
            card: Mutex::default(),
            card_changed: Notify::new(),
            reader: AtomicBool::new(true),
            faults: Mutex::default(),
            ports: Mutex::default(),
            displayed: Mutex::new((Screen::Idle, Status::default())),
            numbers: AtomicU64::new(1),
            power,
        })
    }

    /// The name in the journal.
    pub fn host(&self) -> &str {
        &self.config.host_name
    }

    /// Does work beside the desk, for as long as the adapter has power: it ends with the adapter, wherever it is. What it
    /// writes down is about the transmission that is followed where it is begun.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut power = self.power.clone();
        let powered = async move {
            tokio::select! {
                biased;
                // Nothing is ever sent: this ends when the sender, which the adapter holds, is gone.
                _ = power.changed() => {}
                () = work => {}
            }
        };
        match TransmissionId::current() {
            Some(id) => drop(tokio::spawn(id.follow(powered))),
            None => drop(tokio::spawn(powered)),
        }
    }

    /// What the lines of a new document will have in common.
    pub fn new_transmission(&self) -> TransmissionId {
        TransmissionId::draw(self.seams.entropy.as_ref())
    }

    /// Tells the desk. The desk outlives everybody who tells it, except at the very end.
    pub fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Writes a step down.
    pub fn step(&self, step: Step) {
        self.seams.journal.step(self.host(), step.ids, step.text);
    }

    /// Writes down a step with a text of its own.
    pub fn did(&self, ids: &[&'static str], text: impl AsRef<str>) {
        self.seams.journal.step(self.host(), ids, text);
    }

    /// Writes a failure down.
    pub fn failed(&self, code: &'static str, text: impl AsRef<str>) {
        self.seams.journal.failure(self.host(), code, text);
    }

    /// Writes down what an administrator should look at.
    pub fn suspicious(&self, code: &'static str, text: impl AsRef<str>) {
        self.seams.journal.security(self.host(), code, text);
    }

    /// A number that was not given out before.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A key for the ledger that sorts by time: milliseconds since 1970, then chance.
    pub fn ledger_key(&self) -> String {
        let since = self.seams.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        format!("{:013}-{}", since.as_millis(), self.seams.entropy.token())
    }

    /// The random numbers for keys and nonces.
    pub fn rng(&self) -> EntropyRng {
        EntropyRng(self.seams.entropy.clone())
    }

    /// Date and time in the configured zone, as people read it: "2026-11-22 14:05".
    pub fn local(&self, time: SystemTime) -> String {
        local(time, self.config.utc_offset_minutes)
    }

    /// A Message-ID of our own (RFC 5322, 3.6.4).
    pub fn message_id(&self) -> String {
        format!("<{}@{}>", self.seams.entropy.token(), self.host())
    }

    /// The card that is in, proven or not, with the number of its insertion.
    pub fn card(&self) -> Option<(Insertion, Arc<InsertedCard>)> {
        self.card.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The card of this insertion, if it is still in.
    pub fn card_of(&self, insertion: Insertion) -> Option<Arc<InsertedCard>> {
        self.card().filter(|(present, _)| *present == insertion).map(|(_, card)| card)
    }

    /// The card that is in, if it is this owner's.
    pub fn card_owned_by(&self, owner: &Owner) -> Option<Arc<InsertedCard>> {
        self.card().map(|(_, card)| card).filter(|card| card.identity().owner == *owner)
    }

    pub(crate) fn set_card(&self, card: Option<(Insertion, Arc<InsertedCard>)>) {
        let before = std::mem::replace(&mut *self.card.lock().unwrap_or_else(PoisonError::into_inner), card);
        self.card_changed.notify_waiters();
        if let Some((_, before)) = before {
            before.pulled();
        }
    }

    /// Waits until the card of this insertion is out.
    pub async fn out(&self, insertion: Insertion) {
        loop {
            let changed = self.card_changed.notified();
            if self.card_of(insertion).is_none() {
                return;
            }
            changed.await;
        }
    }

    /// Whether a card reader is there.
    pub fn has_reader(&self) -> bool {
        self.reader.load(Ordering::Relaxed)
    }

    /// What was seen at the Ethernet ports last.
    pub(crate) fn ports(&self) -> Seen {
        *self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_ports(&self, seen: Seen) {
        *self.ports.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        self.tell(Event::Tick);
    }

    pub(crate) fn set_reader(&self, there: bool) {
        self.reader.store(there, Ordering::Relaxed);
        // The desk is asked to look up: the fault band is drawn with the next screen.
        self.tell(Event::Tick);
    }

    /// What stands on the screen.
    pub(crate) fn displayed(&self) -> (Screen, Status) {
        self.displayed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_displayed(&self, screen: Screen, status: Status) {
        *self.displayed.lock().unwrap_or_else(PoisonError::into_inner) = (screen, status);
    }

    /// Everything that is wrong with ports and devices.
    pub(crate) fn all_faults(&self) -> Vec<Fault> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = (!self.has_reader()).then(crate::devices::no_reader);
        self.ports().fault().into_iter().chain(reader).chain(faults.values().cloned()).collect()
    }

    /// What is wrong with a device, for the fault band: the first by code.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).values().next().cloned()
    }

    /// A device has this fault now, or of this family of codes ("LAMP-") none any more.
    pub(crate) fn set_fault(&self, family: &'static str, fault: Option<Fault>) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|code, _| !code.starts_with(family));
        faults.extend(fault.map(|fault| (fault.code, fault)));
        drop(faults);
        self.tell(Event::Tick);
    }
}

/// Times come from certificates and signatures too: the last minute of year 9999 is one minute from a time that cannot
/// be written, so what has no local form is shown in universal time.
fn local(time: SystemTime, utc_offset_minutes: i32) -> String {
    let offset = time::UtcOffset::from_whole_seconds(utc_offset_minutes.saturating_mul(60));
    let universal = time::OffsetDateTime::from(time);
    let local = offset.ok().and_then(|offset| universal.checked_to_offset(offset)).unwrap_or(universal);
    let (date, hour, minute) = (local.date(), local.hour(), local.minute());
    format!("{date} {hour:02}:{minute:02}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_last_second_that_can_be_written_is_survived() {
        assert_eq!(local(UNIX_EPOCH, 540), "1970-01-01 09:00");
        // 9999-12-31T23:59:59Z, as anybody may claim to have signed.
        assert_eq!(local(UNIX_EPOCH + Duration::from_secs(253_402_300_799), 540), "9999-12-31 23:59");
    }
}
