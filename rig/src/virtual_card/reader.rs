//! A card reader with one slot in software: the adapter holds the [`VirtualReader`], the scenario the [`SlotHandle`].

use super::VirtualCard;
use async_trait::async_trait;
use sealfax_drivers::card::{
    CardChannel, CardError, CardEvent, CardReader,
    apdu::{redact_command, redact_response},
    sight::{self, Sight},
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A card that can be in a hand or in a slot. Do not hold its lock while using a [`SlotHandle`].
pub type CardHandle = Arc<Mutex<VirtualCard>>;

/// One command and its answer, as they may stand in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApduEvent {
    /// The command without its secrets.
    pub command: String,
    /// The answer without its data.
    pub response: String,
    /// SW1 SW2; `None` if the card was pulled before it could answer.
    pub status: Option<u16>,
}

/// Is told of each APDU on the thread that sent it, before the sender has its answer. May use the [`SlotHandle`].
pub type ApduObserver = Arc<dyn Fn(&ApduEvent) + Send + Sync>;

struct Slot {
    sight: watch::Sender<Sight>,
    plugs: u64,
    insertions: u64,
    card: Option<CardHandle>,
    /// The insertion that a living channel is open to.
    open: Option<u64>,
    pull_after: Option<u32>,
    fail: VecDeque<u16>,
    observer: Option<ApduObserver>,
}

impl Slot {
    fn sight(&self) -> Sight {
        *self.sight.borrow()
    }

    fn show(&self, change: impl FnOnce(&mut Sight)) {
        self.sight.send_modify(change);
    }

    fn insert(&mut self, card: CardHandle) {
        self.remove();
        lock(&card).power_up();
        self.insertions += 1;
        let number = self.insertions;
        self.card = Some(card);
        if self.sight().plugged.is_some() {
            self.show(|sight| sight.card = Some(number));
        }
    }

    fn remove(&mut self) -> Option<CardHandle> {
        let card = self.card.take()?;
        lock(&card).power_up();
        self.show(|sight| sight.card = None);
        Some(card)
    }
}

/// A panic elsewhere must not hide the card from the scenario that reports it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reader behind the driver's trait.
pub struct VirtualReader {
    name: String,
    slot: Arc<Mutex<Slot>>,
    sight: watch::Receiver<Sight>,
    seen: Sight,
}

impl VirtualReader {
    /// A reader that is plugged in and empty, and the hand at its slot.
    pub fn new(name: impl Into<String>) -> (Self, SlotHandle) {
        let (sender, receiver) = watch::channel(Sight::EMPTY);
        let slot = Arc::new(Mutex::new(Slot {
            sight: sender,
            plugs: 0,
            insertions: 0,
            card: None,
            open: None,
            pull_after: None,
            fail: VecDeque::new(),
            observer: None,
        }));
        let reader = Self { name: name.into(), slot: Arc::clone(&slot), sight: receiver, seen: Sight::EMPTY };
        (reader, SlotHandle { slot })
    }
}

#[async_trait]
impl CardReader for VirtualReader {
    fn name(&self) -> &str {
        &self.name
    }

    async fn next_event(&mut self) -> Result<CardEvent, CardError> {
        sight::next_event(&mut self.sight, &mut self.seen).await
    }

    fn connect(&self) -> Result<Box<dyn CardChannel>, CardError> {
        let mut slot = lock(&self.slot);
        let sight = slot.sight();
        if sight.plugged.is_none() {
            return Err(CardError::NoReader);
        }
        let (Some(insertion), Some(card)) = (sight.card, slot.card.clone()) else {
            return Err(CardError::Removed);
        };
        if slot.open == Some(insertion) {
            return Err(CardError::Reader("another program is using it".into()));
        }
        slot.open = Some(insertion);
        lock(&card).power_up();
        Ok(Box::new(VirtualChannel { slot: Arc::clone(&self.slot), card, insertion }))
    }
}

struct VirtualChannel {
    slot: Arc<Mutex<Slot>>,
    card: CardHandle,
    insertion: u64,
}

impl VirtualChannel {
    /// The card's answer, or that it is gone.
    fn answer(&self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let mut slot = lock(&self.slot);
        if slot.sight().card != Some(self.insertion) {
            return Err(CardError::Removed);
        }
        if slot.pull_after == Some(0) {
            slot.pull_after = None;
            slot.remove();
            return Err(CardError::Removed);
        }
        let answer = match slot.fail.pop_front() {
            Some(status) => status.to_be_bytes().to_vec(),
            None => lock(&self.card).transmit(command),
        };
        if let Some(left) = slot.pull_after.as_mut() {
            *left -= 1;
            if *left == 0 {
                slot.pull_after = None;
                slot.remove();
            }
        }
        Ok(answer)
    }
}

impl CardChannel for VirtualChannel {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let answer = self.answer(command);
        let observer = lock(&self.slot).observer.clone();
        if let Some(observer) = observer {
            let (response, status) = match &answer {
                Ok(octets) => (redact_response(octets), octets.last_chunk().map(|sw| u16::from_be_bytes(*sw))),
                Err(error) => (error.to_string(), None),
            };
            observer(&ApduEvent { command: redact_command(command), response, status });
        }
        answer
    }
}

impl Drop for VirtualChannel {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        if slot.open == Some(self.insertion) {
            slot.open = None;
        }
        if slot.sight().card == Some(self.insertion) {
            lock(&self.card).power_up();
        }
    }
}

/// The hand at the slot, the plug and the faults. Clones are the same slot.
#[derive(Clone)]
pub struct SlotHandle {
    slot: Arc<Mutex<Slot>>,
}

impl std::fmt::Debug for SlotHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SlotHandle({:?})", lock(&self.slot).sight())
    }
}

impl SlotHandle {
    /// Puts a card in; one that was in comes out first.
    pub fn insert(&self, card: &CardHandle) {
        lock(&self.slot).insert(Arc::clone(card));
    }

    /// Pulls the card out; open channels to it are dead from now on. `None` if none was in.
    pub fn remove(&self) -> Option<CardHandle> {
        lock(&self.slot).remove()
    }

    /// Pulls the card and puts another in, faster than anybody can look between.
    pub fn swap(&self, card: &CardHandle) -> Option<CardHandle> {
        let mut slot = lock(&self.slot);
        let old = slot.remove();
        slot.insert(Arc::clone(card));
        old
    }

    /// The card that is in.
    pub fn card(&self) -> Option<CardHandle> {
        lock(&self.slot).card.clone()
    }

    /// Pulls the reader's plug. A card stays where it is, without power.
    pub fn unplug(&self) {
        let slot = lock(&self.slot);
        if let Some(card) = &slot.card {
            lock(card).power_up();
        }
        slot.show(|sight| {
            *sight = Sight { plugged: None, card: None };
        });
    }

    /// Plugs the reader in again; a card that is in is seen as inserted anew.
    pub fn plug(&self) {
        let mut slot = lock(&self.slot);
        if slot.sight().plugged.is_some() {
            return;
        }
        slot.plugs += 1;
        slot.insertions += 1;
        let plugged = Some(slot.plugs);
        let card = slot.card.is_some().then_some(slot.insertions);
        slot.show(|sight| *sight = Sight { plugged, card });
    }

    /// Fault: the card is pulled right after `apdus` more answers, whichever card that is. With 0 it is pulled while
    /// the next command is on its way, which the card then never sees.
    pub fn pull_after(&self, apdus: u32) {
        lock(&self.slot).pull_after = Some(apdus);
    }

    /// Fault: the next command is answered with this status word instead of by the card. Several calls queue.
    pub fn fail_next(&self, status: u16) {
        lock(&self.slot).fail.push_back(status);
    }

    /// Who is told of every APDU from now on.
    pub fn observe(&self, observer: ApduObserver) {
        lock(&self.slot).observer = Some(observer);
    }
}
