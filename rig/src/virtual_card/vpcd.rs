//! The slot of a vpcd reader: the rig's virtual card played to a real pcscd over TCP, through the same hand as the reader
//! in software.
//!
//! vpcd's messages have two octets of length. One octet is a control: 0 power off, 1 power on, 2 reset, 4 "your answer to
//! reset"; anything longer is a command APDU. A connection is an inserted card; its end is a removal.

use super::reader::{ApduEvent, ApduObserver, CardHandle};
use sealfax_drivers::card::apdu::{redact_command, redact_response};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const POWER_OFF: u8 = 0;
const POWER_ON: u8 = 1;
const RESET: u8 = 2;
const ANSWER_TO_RESET: u8 = 4;

/// T=1 first, T=0 second, no historical octets.
pub const ATR: [u8; 5] = [0x3B, 0x80, 0x80, 0x01, 0x01];
/// The same with a card that says it takes command chaining and extended length fields.
pub const ATR_EXTENDED: [u8; 10] = [0x3B, 0x85, 0x80, 0x01, 0x80, 0x73, 0xC0, 0x21, 0xC0, 0xD6];
/// T=0 alone.
pub const ATR_T0: [u8; 2] = [0x3B, 0x00];

/// pcscd looks every 400 ms, and when it found nothing looks once more at once: the next card comes between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// So often pcscd finds the slot empty before the next card comes. One look may belong to a command that the card's
/// removal interrupted, another to what pcscd tries then; it draws no conclusion from those.
const LOOKS: usize = 3;
/// Until pcscd is there again.
const AGAIN: Duration = Duration::from_millis(20);

/// What sits in a slot and answers.
#[derive(Clone)]
struct Inserted {
    /// Which insertion it is.
    number: u64,
    card: CardHandle,
}

struct Slot {
    at: SocketAddr,
    atr: Vec<u8>,
    card: Option<Inserted>,
    insertions: u64,
    pull_after: Option<u32>,
    fail: VecDeque<u16>,
    delay: Duration,
    observer: Option<ApduObserver>,
    /// pcscd may still believe that a card is in.
    believed: bool,
    closed: bool,
}

impl Slot {
    fn new(at: SocketAddr) -> Self {
        Self {
            at,
            atr: ATR.to_vec(),
            card: None,
            insertions: 0,
            pull_after: None,
            fail: VecDeque::new(),
            delay: Duration::ZERO,
            observer: None,
            believed: false,
            closed: false,
        }
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

/// The hand at the slot of a vpcd reader. Clones are the same slot; the last one takes the card out.
#[derive(Clone)]
pub struct VpcdHandle {
    shared: Arc<Shared>,
    _last: Arc<Last>,
}

/// Ends the slot's thread with its last handle.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        let mut slot = self.0.lock();
        slot.closed = true;
        slot.card = None;
        self.0.changed.notify_all();
    }
}

impl std::fmt::Debug for VpcdHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slot = self.shared.lock();
        write!(f, "VpcdHandle({}, {} in)", slot.at, if slot.card.is_some() { "a card" } else { "nothing" })
    }
}

impl VpcdHandle {
    /// The empty slot at vpcd's port of this machine.
    pub fn new(port: u16) -> Self {
        Self::at(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// The empty slot at the port of a vpcd anywhere: on a board, for one.
    pub fn at(at: SocketAddr) -> Self {
        let shared = Arc::new(Shared { slot: Mutex::new(Slot::new(at)), changed: Condvar::new() });
        let of_thread = shared.clone();
        std::thread::spawn(move || play(&of_thread));
        Self { shared: shared.clone(), _last: Arc::new(Last(shared)) }
    }

    /// The answer to reset of cards that are inserted from now on.
    pub fn answer_to_reset(&self, atr: &[u8]) {
        self.shared.lock().atr = atr.to_vec();
    }

    /// Puts a card in; one that was in comes out first. pcscd looks every 400 ms, and sees every card come and go: whoever
    /// is faster waits.
    pub fn insert(&self, card: &CardHandle) {
        let mut slot = self.shared.lock();
        slot.insertions += 1;
        let number = slot.insertions;
        slot.card = Some(Inserted { number, card: Arc::clone(card) });
        self.shared.changed.notify_all();
    }

    /// Pulls the card out: it answers nothing any more, and pcscd sees it when it looks next. `None` if none was in.
    pub fn remove(&self) -> Option<CardHandle> {
        let card = self.shared.lock().card.take();
        self.shared.changed.notify_all();
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

    /// Fault: every answer takes so long from now on.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// As it was when it was new: empty, without faults and observers.
    pub fn clear(&self) {
        let mut slot = self.shared.lock();
        let (at, insertions, believed) = (slot.at, slot.insertions, slot.believed);
        *slot = Slot { insertions, believed, ..Slot::new(at) };
        self.shared.changed.notify_all();
    }

    /// Waits until pcscd has seen that the slot is empty; false if it does not within `patience`.
    pub fn is_seen_empty(&self, patience: Duration) -> bool {
        let slot = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(slot, patience, |slot| slot.believed);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Who is told of every APDU from now on.
    pub fn observe(&self, observer: ApduObserver) {
        self.shared.lock().observer = Some(observer);
    }
}

/// The slot's thread: a connection for each insertion, and after it an empty slot for pcscd to see.
fn play(shared: &Shared) {
    loop {
        let mut slot = shared.lock();
        while slot.card.is_none() && !slot.closed {
            slot = shared.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
        let Some(inserted) = slot.card.clone().filter(|_| !slot.closed) else { return };
        let (at, atr) = (slot.at, slot.atr.clone());
        slot.believed = true;
        drop(slot);
        match connect(at) {
            Ok(line) => {
                session(shared, &inserted, &atr, line);
                (0..LOOKS).for_each(|_| decoy(at));
                std::thread::sleep(BETWEEN_LOOKS);
            }
            Err(_) => std::thread::sleep(AGAIN),
        }
        shared.lock().believed = false;
        shared.changed.notify_all();
    }
}

fn connect(at: SocketAddr) -> io::Result<TcpStream> {
    let line = TcpStream::connect(at)?;
    line.set_nodelay(true)?;
    // Ends with a reset: vpcd takes an orderly end in the middle of its look for a card that is still there.
    rustix::net::sockopt::set_socket_linger(&line, Some(Duration::ZERO))?;
    Ok(line)
}

/// A connection that ends with the next thing that pcscd wants of it, if it is there: vpcd would take the next card for
/// the last one if the slot was not once seen empty.
fn decoy(at: SocketAddr) {
    if let Ok(mut line) = connect(at) {
        let _ = message(&mut line);
    }
}

/// One message of vpcd. It writes the length and the rest apart, and waits for our acknowledgement in between: without
/// asking for an immediate one each command would take 40 ms. Linux forgets that wish, so it is said each time.
fn message(line: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    acknowledge_at_once(line);
    line.read_exact(&mut length)?;
    acknowledge_at_once(line);
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    line.read_exact(&mut message)?;
    Ok(message)
}

fn acknowledge_at_once(line: &TcpStream) {
    let _ = rustix::net::sockopt::set_tcp_quickack(line, true);
}

fn answer(line: &mut TcpStream, octets: &[u8]) -> io::Result<()> {
    let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
    let mut whole = Vec::with_capacity(2 + octets.len());
    whole.extend_from_slice(&length.to_be_bytes());
    whole.extend_from_slice(octets);
    line.write_all(&whole)
}

/// Plays the card of one insertion until it is out or pcscd gone.
fn session(shared: &Shared, inserted: &Inserted, atr: &[u8], mut line: TcpStream) {
    while let Ok(message) = message(&mut line) {
        if shared.lock().card.as_ref().is_none_or(|now| now.number != inserted.number) {
            return;
        }
        let answered = match message.as_slice() {
            [POWER_OFF | POWER_ON | RESET] => {
                inserted.card.lock().unwrap_or_else(PoisonError::into_inner).power_up();
                Ok(())
            }
            [ANSWER_TO_RESET] => answer(&mut line, atr),
            command => match exchange(shared, inserted, command) {
                None => return,
                Some(octets) => answer(&mut line, &octets),
            },
        };
        if answered.is_err() {
            return;
        }
    }
}

/// The card's answer; `None` if it was pulled before.
fn exchange(shared: &Shared, inserted: &Inserted, command: &[u8]) -> Option<Vec<u8>> {
    let mut slot = shared.lock();
    let (delay, observer) = (slot.delay, slot.observer.clone());
    let pulled = slot.pull_after == Some(0);
    let answer = if pulled {
        slot.pull_after = None;
        slot.card = None;
        None
    } else {
        let failure = slot.fail.pop_front();
        drop(slot);
        std::thread::sleep(delay);
        let octets = match failure {
            Some(status) => status.to_be_bytes().to_vec(),
            None => inserted.card.lock().unwrap_or_else(PoisonError::into_inner).transmit(command),
        };
        slot = shared.lock();
        if let Some(left) = slot.pull_after.as_mut() {
            *left -= 1;
            if *left == 0 {
                slot.pull_after = None;
                slot.card = None;
            }
        }
        Some(octets)
    };
    drop(slot);
    if let Some(observer) = observer {
        let (response, status) = match &answer {
            Some(octets) => (redact_response(octets), octets.last_chunk().map(|sw| u16::from_be_bytes(*sw))),
            None => ("the card was removed; insert it again".to_owned(), None),
        };
        observer(&ApduEvent { command: redact_command(command), response, status });
    }
    answer
}
