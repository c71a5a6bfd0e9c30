//! The card in the twin's USB reader: the rig's virtual card behind QEMU's `ccid-card-passthru`, which asks for its answers
//! over a socket by the VSC protocol (`vscard_common.h` of libcacard). The guest sees an ordinary CCID reader.
//!
//! A message is three numbers of 32 bits, big-endian (type, reader, length), and so many octets. QEMU greets, we add a
//! reader, and from then on an ATR is an inserted card and a CARD REMOVE a pulled one.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sealfax_drivers::card::apdu::{redact_command, redact_response};

use super::{TwinError, io_error};
use crate::virtual_card::{ApduEvent, ApduObserver, CardHandle};

const INIT: u32 = 1;
const ERROR: u32 = 2;
const READER_ADD: u32 = 3;
const ATR: u32 = 5;
const CARD_REMOVE: u32 = 6;
const APDU: u32 = 7;
const FLUSH: u32 = 8;
const FLUSH_COMPLETE: u32 = 9;

/// "VSCD" and version 0.0.2, without capabilities.
const GREETING: [u8; 12] = *b"VSCD\0\0\0\x02\0\0\0\0";
/// A reader without a number yet.
const UNDEFINED: u32 = u32::MAX;
/// T=1 first, T=0 second, no historical octets. No extended length: its answers are too long for the emulated reader. Not
/// T=0 alone: a driver that still waits for an answer of such a card when it is pulled waits for minutes.
const ANSWER_TO_RESET: [u8; 5] = [0x3B, 0x80, 0x80, 0x01, 0x01];
/// Longest message that is taken.
const LONGEST: usize = 70_000;
/// Between a card and the next: the driver in the guest has to see the slot empty.
const BETWEEN_CARDS: Duration = Duration::from_millis(600);

struct Inserted {
    number: u64,
    card: CardHandle,
}

/// What works the plug of the reader, `true` to plug it in.
pub type Plug = Arc<dyn Fn(bool) + Send + Sync>;

#[derive(Default)]
struct Slot {
    line: Option<Arc<UnixStream>>,
    /// QEMU has taken our reader.
    ready: bool,
    card: Option<Inserted>,
    insertions: u64,
    /// The insertion that QEMU was told of.
    shown: Option<u64>,
    emptied: Option<Instant>,
    pull_after: Option<u32>,
    fail: VecDeque<u16>,
    observer: Option<ApduObserver>,
    plug: Option<Plug>,
    closed: bool,
}

impl Slot {
    /// Tells QEMU what is in the slot, as far as the time has come; else when to look again.
    fn present(&mut self) -> Option<Instant> {
        let line = self.line.clone().filter(|_| self.ready)?;
        let wanted = self.card.as_ref().map(|inserted| inserted.number);
        if self.shown.is_some() && self.shown != wanted {
            let _ = send(&line, CARD_REMOVE, 0, &[]);
            (self.shown, self.emptied) = (None, Some(Instant::now()));
        }
        let inserted = self.card.as_ref().filter(|_| self.shown.is_none())?;
        let due = self.emptied.map(|emptied| emptied + BETWEEN_CARDS).filter(|due| *due > Instant::now());
        if due.is_none() {
            inserted.card.lock().unwrap_or_else(PoisonError::into_inner).power_up();
            if send(&line, ATR, 0, &ANSWER_TO_RESET).is_ok() {
                self.shown = Some(inserted.number);
            }
        }
        due
    }
}

struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hand at the slot. Clones are the same slot; it outlives the machines that it is plugged into.
#[derive(Clone)]
pub struct VscHandle {
    shared: Arc<Shared>,
    _last: Arc<Last>,
}

/// Ends the slot's thread with its last handle.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        let mut slot = self.0.lock();
        if let Some(line) = slot.line.take() {
            // Who reads it lets go, and QEMU can be connected to anew.
            let _ = line.shutdown(std::net::Shutdown::Both);
        }
        (slot.closed, slot.card, slot.plug) = (true, None, None);
        self.0.changed.notify_all();
    }
}

impl std::fmt::Debug for VscHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slot = self.shared.lock();
        write!(f, "VscHandle({} in)", if slot.card.is_some() { "a card" } else { "nothing" })
    }
}

impl Default for VscHandle {
    fn default() -> Self {
        let shared = Arc::new(Shared { slot: Mutex::default(), changed: Condvar::new() });
        let of_thread = shared.clone();
        std::thread::spawn(move || keep(&of_thread));
        Self { shared: shared.clone(), _last: Arc::new(Last(shared)) }
    }
}

impl VscHandle {
    /// The reader's other end: a machine whose power has come on. What was in the slot is still in it.
    pub fn connect(&self, stream: UnixStream) -> Result<(), TwinError> {
        let line = Arc::new(stream);
        {
            let mut slot = self.shared.lock();
            (slot.line, slot.ready, slot.shown, slot.emptied) = (Some(line.clone()), false, None, None);
        }
        send(&line, INIT, 0, &GREETING).map_err(io_error("the card's socket"))?;
        let shared = Arc::downgrade(&self.shared);
        std::thread::spawn(move || {
            while let Ok(message) = receive(&line) {
                let Some(shared) = shared.upgrade() else { return };
                if answer(&shared, &line, message).is_err() {
                    break;
                }
            }
            if let Some(shared) = shared.upgrade() {
                let mut slot = shared.lock();
                // Unless the next machine is there already.
                if slot.line.as_ref().is_some_and(|now| Arc::ptr_eq(now, &line)) {
                    (slot.line, slot.ready, slot.shown) = (None, false, None);
                }
            }
        });
        Ok(())
    }

    /// Waits until QEMU has taken our reader.
    pub fn wait_ready(&self, patience: Duration) -> bool {
        let slot = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(slot, patience, |slot| !slot.ready);
        waited.unwrap_or_else(PoisonError::into_inner).0.ready
    }

    /// What works the reader's plug.
    pub fn plug_by(&self, plug: Plug) {
        self.shared.lock().plug = Some(plug);
    }

    /// Puts a card in; one that was in comes out first, and the slot is seen empty before the next.
    pub fn insert(&self, card: &CardHandle) {
        let mut slot = self.shared.lock();
        slot.insertions += 1;
        let number = slot.insertions;
        slot.card = Some(Inserted { number, card: Arc::clone(card) });
        slot.present();
        self.shared.changed.notify_all();
    }

    /// Pulls the card out. `None` if none was in.
    pub fn remove(&self) -> Option<CardHandle> {
        let mut slot = self.shared.lock();
        let card = slot.card.take();
        slot.present();
        card.map(|inserted| inserted.card)
    }

    /// The card that is in.
    pub fn card(&self) -> Option<CardHandle> {
        self.shared.lock().card.as_ref().map(|inserted| inserted.card.clone())
    }

    /// Fault: the card is pulled right after `apdus` more answers, whichever card that is. With 0 it is pulled while
    /// the next command is on its way, which the card then never sees.
    pub fn pull_after(&self, apdus: u32) {
        self.shared.lock().pull_after = Some(apdus);
    }

    /// Fault: the next command is answered with this status word instead of by the card. Several calls queue.
    pub fn fail_next(&self, status: u16) {
        self.shared.lock().fail.push_back(status);
    }

    /// Who is told of every APDU from now on.
    pub fn observe(&self, observer: ApduObserver) {
        self.shared.lock().observer = Some(observer);
    }

    /// Pulls the reader's plug, or plugs it in again.
    pub fn plug(&self, plugged: bool) {
        let plug = self.shared.lock().plug.clone();
        if let Some(plug) = plug {
            plug(plugged);
        }
    }
}

/// The slot's own thread: shows a card for which it was too early.
fn keep(shared: &Shared) {
    let mut slot = shared.lock();
    while !slot.closed {
        slot = match slot.present() {
            None => shared.changed.wait(slot).unwrap_or_else(PoisonError::into_inner),
            Some(due) => {
                let left = due.saturating_duration_since(Instant::now());
                shared.changed.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

struct Message {
    kind: u32,
    reader: u32,
    octets: Vec<u8>,
}

fn send(line: &UnixStream, kind: u32, reader: u32, octets: &[u8]) -> io::Result<()> {
    let length = u32::try_from(octets.len()).map_err(io::Error::other)?;
    let mut whole = Vec::with_capacity(12 + octets.len());
    for number in [kind, reader, length] {
        whole.extend_from_slice(&number.to_be_bytes());
    }
    whole.extend_from_slice(octets);
    let mut line = line;
    line.write_all(&whole)
}

fn receive(mut line: &UnixStream) -> io::Result<Message> {
    let mut number = || -> io::Result<u32> {
        let mut octets = [0; 4];
        line.read_exact(&mut octets)?;
        Ok(u32::from_be_bytes(octets))
    };
    let (kind, reader, length) = (number()?, number()?, number()?);
    let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
    let mut octets = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
    line.read_exact(&mut octets)?;
    Ok(Message { kind, reader, octets })
}

fn answer(shared: &Shared, line: &UnixStream, message: Message) -> io::Result<()> {
    let Message { kind, reader, octets } = message;
    match kind {
        INIT => send(line, READER_ADD, UNDEFINED, b"rig"),
        ERROR => {
            let mut slot = shared.lock();
            // Zero answers our reader and every card; anything else would be a mistake of ours.
            if octets.iter().any(|octet| *octet != 0) {
                tracing::warn!(?octets, "the emulated reader refuses what the rig did");
            }
            slot.ready = true;
            slot.present();
            shared.changed.notify_all();
            Ok(())
        }
        APDU => match exchange(shared, &octets) {
            Some(response) => send(line, APDU, reader, &response),
            // Pulled meanwhile: QEMU was told so and has answered for us.
            None => Ok(()),
        },
        FLUSH => send(line, FLUSH_COMPLETE, reader, &[]),
        _ => Ok(()),
    }
}

/// The card's answer; `None` if it was pulled before it could give one.
fn exchange(shared: &Shared, command: &[u8]) -> Option<Vec<u8>> {
    let mut slot = shared.lock();
    let observer = slot.observer.clone();
    let (number, card) = slot.card.as_ref().map(|inserted| (inserted.number, inserted.card.clone()))?;
    if slot.shown != Some(number) {
        return None;
    }
    let response = if slot.pull_after == Some(0) {
        (slot.pull_after, slot.card) = (None, None);
        slot.present();
        None
    } else {
        let failure = slot.fail.pop_front();
        drop(slot);
        let octets = match failure {
            Some(status) => status.to_be_bytes().to_vec(),
            None => card.lock().unwrap_or_else(PoisonError::into_inner).transmit(command),
        };
        slot = shared.lock();
        (slot.shown == Some(number)).then_some(octets)
    };
    // The answer that is the last leaves before the card does.
    let last = response.is_some()
        && slot.pull_after.as_mut().is_some_and(|left| {
            *left = left.saturating_sub(1);
            *left == 0
        });
    let (line, answered) = (slot.line.clone(), response.clone());
    drop(slot);
    if let Some(observer) = observer {
        let (text, status) = match &response {
            Some(octets) => (redact_response(octets), octets.last_chunk().map(|sw| u16::from_be_bytes(*sw))),
            None => ("the card was removed; insert it again".to_owned(), None),
        };
        observer(&ApduEvent { command: redact_command(command), response: text, status });
    }
    if last && let (Some(line), Some(octets)) = (line, answered) {
        let _ = send(&line, APDU, 0, &octets);
        // The guest takes the answer from QEMU before it learns that the card is out.
        std::thread::sleep(Duration::from_millis(50));
        let mut slot = shared.lock();
        if slot.card.as_ref().is_some_and(|inserted| inserted.number == number) {
            (slot.pull_after, slot.card) = (None, None);
            slot.present();
        }
        return None;
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::virtual_card::{BlankCard, VirtualCard};
    use sealfax_drivers::pin::Pin;

    fn card() -> CardHandle {
        let pin = Pin::new(b"123456").unwrap();
        CardHandle::new(Mutex::new(VirtualCard::blank(BlankCard::new("sample", pin, 1))))
    }

    /// QEMU's side, up to the ready slot.
    fn plugged() -> (VscHandle, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let hand = VscHandle::default();
        hand.connect(ours).unwrap();
        let greeting = receive(&theirs).unwrap();
        assert_eq!((greeting.kind, greeting.octets.as_slice()), (INIT, GREETING.as_slice()));
        send(&theirs, INIT, 0, &GREETING).unwrap();
        let reader = receive(&theirs).unwrap();
        assert_eq!((reader.kind, reader.reader), (READER_ADD, UNDEFINED));
        send(&theirs, ERROR, 0, &[0; 4]).unwrap();
        assert!(hand.wait_ready(Duration::from_secs(10)));
        (hand, theirs)
    }

    const SELECT: [u8; 7] = [0x00, 0xA4, 0x04, 0x00, 0x01, 0xA0, 0x00];

    #[test]
    fn a_card_comes_answers_and_goes() {
        let (hand, qemu) = plugged();
        hand.insert(&card());
        assert_eq!(receive(&qemu).unwrap().octets, ANSWER_TO_RESET);
        send(&qemu, APDU, 0, &SELECT).unwrap();
        let answer = receive(&qemu).unwrap();
        assert_eq!((answer.kind, answer.octets.len()), (APDU, 2));
        assert!(hand.remove().is_some() && hand.card().is_none());
        assert_eq!(receive(&qemu).unwrap().kind, CARD_REMOVE);
        // The next one is seen after the slot was seen empty.
        hand.insert(&card());
        assert_eq!(receive(&qemu).unwrap().kind, ATR);
    }

    #[test]
    fn pulled_after_an_answer_and_while_a_command_is_on_its_way() {
        let (hand, qemu) = plugged();
        let (told, heard) = std::sync::mpsc::channel();
        hand.observe(Arc::new(move |event: &ApduEvent| told.send(event.status).unwrap()));
        hand.pull_after(1);
        hand.insert(&card());
        assert_eq!(receive(&qemu).unwrap().kind, ATR);
        send(&qemu, APDU, 0, &SELECT).unwrap();
        assert_eq!(receive(&qemu).unwrap().kind, APDU);
        assert_eq!(receive(&qemu).unwrap().kind, CARD_REMOVE);
        assert!(hand.card().is_none() && heard.recv().unwrap().is_some());
        hand.pull_after(0);
        hand.insert(&card());
        assert_eq!(receive(&qemu).unwrap().kind, ATR);
        send(&qemu, APDU, 0, &SELECT).unwrap();
        assert_eq!(receive(&qemu).unwrap().kind, CARD_REMOVE);
        assert_eq!(heard.recv().unwrap(), None);
    }

    #[test]
    fn a_status_instead_of_an_answer() {
        let (hand, qemu) = plugged();
        hand.fail_next(0x6F00);
        hand.insert(&card());
        assert_eq!(receive(&qemu).unwrap().kind, ATR);
        send(&qemu, APDU, 0, &SELECT).unwrap();
        assert_eq!(receive(&qemu).unwrap().octets, [0x6F, 0x00]);
    }
}
