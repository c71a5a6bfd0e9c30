//! An exclusive channel to a card, with a thread of its own: a call into PC/SC cannot be broken off, so whoever waits for a
//! card that never answers waits no longer than its time-out, and the channel is dead from then on.

use std::ffi::{CStr, CString};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use ::pcsc::{
    Card, Context, Disposition, Error, MAX_BUFFER_SIZE_EXTENDED, Protocol, Protocols, ReaderState, Scope, ShareMode,
    State,
};
use zeroize::{Zeroize, Zeroizing};

use super::error::{Verdict, judge, told};
use super::follow::raw;
use super::watch::flag;
use crate::card::part10::{self, Features, Properties, feature};
use crate::card::pin_pad::PinPadReader;
use crate::card::{CardChannel, CardError, atr, t0};

/// How long another program may have the card, or our own last channel to it may still be resetting it.
const TAKEN: Duration = Duration::from_secs(2);
/// Between two tries to get it.
const AGAIN: Duration = Duration::from_millis(10);
/// How long after a failed exchange the reader may take to notice that the card is out. pcscd looks every 400 ms.
const NOTICED: Duration = Duration::from_millis(1200);
/// Answers to control codes are small.
const CONTROL_ANSWER: usize = 512;

type Octets = Zeroizing<Vec<u8>>;

enum Request {
    Transmit(Octets),
    Control(u32, Octets),
}

/// What the thread found when it opened the card.
struct Opened {
    extended_length: bool,
    features: Features,
    properties: Properties,
}

enum Reply {
    Opened(Opened),
    Answer(Octets),
    Failed(CardError),
}

/// Why a channel answers no more.
#[derive(Debug, Clone)]
enum Death {
    Removed,
    TimedOut,
    NoReader,
    Reader(String),
}

impl Death {
    fn of(error: &CardError) -> Self {
        match error {
            CardError::Removed => Self::Removed,
            CardError::TimedOut => Self::TimedOut,
            CardError::NoReader => Self::NoReader,
            CardError::Reader(why) => Self::Reader(why.clone()),
            other => Self::Reader(other.to_string()),
        }
    }
}

impl From<&Death> for CardError {
    fn from(death: &Death) -> Self {
        match death {
            Death::Removed => Self::Removed,
            Death::TimedOut => Self::TimedOut,
            Death::NoReader => Self::NoReader,
            Death::Reader(why) => Self::Reader(why.clone()),
        }
    }
}

/// The near end.
pub(super) struct PcscChannel {
    requests: Sender<Request>,
    replies: Receiver<Reply>,
    timeout: Duration,
    opened: Opened,
    dead: Option<Death>,
}

/// Opens the card in the reader of this name. Blocks until it has answered its reset.
pub(super) fn open(reader: CString, timeout: Duration) -> Result<PcscChannel, CardError> {
    let (requests, of_thread) = channel();
    let (to_us, replies) = channel();
    std::thread::Builder::new()
        .name("card".into())
        .spawn(move || serve(&reader, &of_thread, &to_us))
        .map_err(|error| CardError::Reader(format!("its thread cannot be started: {error}")))?;
    match replies.recv_timeout(timeout + TAKEN) {
        Ok(Reply::Opened(opened)) => Ok(PcscChannel { requests, replies, timeout, opened, dead: None }),
        Ok(Reply::Failed(error)) => Err(error),
        Ok(Reply::Answer(_)) | Err(RecvTimeoutError::Disconnected) => Err(ended()),
        Err(RecvTimeoutError::Timeout) => Err(CardError::TimedOut),
    }
}

fn ended() -> CardError {
    CardError::Reader("its thread ended".into())
}

impl PcscChannel {
    fn call(&mut self, request: Request, timeout: Duration) -> Result<Octets, CardError> {
        if let Some(death) = &self.dead {
            return Err(death.into());
        }
        let sent = self.requests.send(request).map_err(|_| RecvTimeoutError::Disconnected);
        let error = match sent.and_then(|()| self.replies.recv_timeout(timeout)) {
            Ok(Reply::Answer(answer)) => return Ok(answer),
            Ok(Reply::Failed(error)) => error,
            Ok(Reply::Opened(_)) | Err(RecvTimeoutError::Disconnected) => ended(),
            Err(RecvTimeoutError::Timeout) => CardError::TimedOut,
        };
        self.dead = Some(Death::of(&error));
        Err(error)
    }

    fn control(&mut self, feature: u8, structure: &[u8], patience: Duration) -> Option<Result<Vec<u8>, CardError>> {
        let code = self.opened.features.code(feature)?;
        let request = Request::Control(code, Zeroizing::new(structure.to_vec()));
        Some(self.call(request, patience).map(|mut answer| std::mem::take(&mut *answer)))
    }
}

impl CardChannel for PcscChannel {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let request = Request::Transmit(Zeroizing::new(command.to_vec()));
        self.call(request, self.timeout).map(|mut answer| std::mem::take(&mut *answer))
    }

    fn takes_extended_length(&self) -> bool {
        self.opened.extended_length
    }

    fn as_pin_pad(&mut self) -> Option<&mut dyn PinPadReader> {
        self.opened.features.code(feature::VERIFY_PIN_DIRECT)?;
        Some(self)
    }
}

impl PinPadReader for PcscChannel {
    fn properties(&self) -> Properties {
        self.opened.properties
    }

    fn verify_pin_direct(&mut self, structure: &[u8], patience: Duration) -> Result<Vec<u8>, CardError> {
        self.control(feature::VERIFY_PIN_DIRECT, structure, patience).unwrap_or(Err(CardError::NoPinPad))
    }

    fn modify_pin_direct(&mut self, structure: &[u8], patience: Duration) -> Option<Result<Vec<u8>, CardError>> {
        self.control(feature::MODIFY_PIN_DIRECT, structure, patience)
    }
}

/// The far end: one card, from its connection to its reset. It ends when the near end is dropped, or with the first failure.
fn serve(reader: &CStr, requests: &Receiver<Request>, replies: &Sender<Reply>) {
    let (context, mut card, count) = match connect(reader) {
        Ok(connected) => connected,
        Err(error) => {
            let _ = replies.send(Reply::Failed(error));
            return;
        }
    };
    // Should this program die meanwhile, pcscd resets a card that is in a transaction.
    let ended = match card.transaction() {
        Err(error) => Err(error),
        Ok(transaction) => {
            let ended = exchange(&transaction, requests, replies);
            let _ = transaction.end(Disposition::LeaveCard);
            ended
        }
    };
    let failure = ended.err().map(|error| settle(&context, reader, count, error));
    // Another card, or none, is not ours to reset.
    let ours = !matches!(failure, Some(CardError::Removed | CardError::NoReader));
    let _ = card.disconnect(if ours { Disposition::ResetCard } else { Disposition::LeaveCard });
    if let Some(failure) = failure {
        let _ = replies.send(Reply::Failed(failure));
    }
}

/// Connects, alone: while another program has the card, for a while again and again. Gives the reader's event count, too.
fn connect(reader: &CStr) -> Result<(Context, Card, u32), CardError> {
    let context = Context::establish(Scope::User).map_err(told)?;
    let late = Instant::now() + TAKEN;
    loop {
        let count = look(&context, reader).map_err(told)? >> 16;
        match context.connect(reader, ShareMode::Exclusive, Protocols::ANY) {
            Ok(card) => return Ok((context, card, count)),
            Err(Error::SharingViolation) if Instant::now() < late => std::thread::sleep(AGAIN),
            Err(error) => return Err(settle(&context, reader, count, error)),
        }
    }
}

/// The reader's state now, flags below and event count above.
fn look(context: &Context, reader: &CStr) -> Result<u32, Error> {
    let mut states = [ReaderState::new(reader, State::UNAWARE)];
    context.get_status_change(Duration::ZERO, &mut states)?;
    let [state] = states;
    Ok(raw(&state))
}

/// A failed exchange is told as a removal when the card is out or another one in, however the reader put it.
fn settle(context: &Context, reader: &CStr, count: u32, error: Error) -> CardError {
    if judge(error) != Verdict::Unclear || error == Error::SharingViolation {
        return told(error);
    }
    let late = Instant::now() + NOTICED;
    loop {
        match look(context, reader) {
            Ok(state) if state & flag::PRESENT == 0 || state >> 16 != count => return CardError::Removed,
            Ok(_) => {}
            Err(gone) => return if judge(gone) == Verdict::Unclear { CardError::NoReader } else { told(gone) },
        }
        if Instant::now() > late {
            return told(error);
        }
        std::thread::sleep(AGAIN);
    }
}

/// Serves requests until there are no more (`Ok`) or one fails.
fn exchange(card: &Card, requests: &Receiver<Request>, replies: &Sender<Reply>) -> Result<(), Error> {
    let status = card.status2_owned()?;
    let protocol = status.protocol2();
    let features = Features::parse(&control(card, part10::GET_FEATURE_REQUEST, &[]).unwrap_or_default());
    let ask = |feature| features.code(feature).and_then(|code| control(card, code, &[]).ok());
    let properties = match (ask(feature::GET_TLV_PROPERTIES), ask(feature::IFD_PIN_PROPERTIES)) {
        (Some(answer), _) => Properties::parse_tlv(&answer),
        (None, Some(answer)) => Properties::parse_pin_properties(&answer),
        (None, None) => Properties::default(),
    };
    let extended_length = protocol == Some(Protocol::T1)
        && properties.max_apdu_data.is_some_and(|most| most > 0)
        && atr::capabilities(status.atr()).extended_length;
    if replies.send(Reply::Opened(Opened { extended_length, features, properties })).is_err() {
        return Ok(());
    }
    let mut buffer = Zeroizing::new(vec![0; MAX_BUFFER_SIZE_EXTENDED]);
    while let Ok(request) = requests.recv() {
        let answer = match request {
            Request::Control(code, input) => control(card, code, &input)?,
            Request::Transmit(command) if protocol == Some(Protocol::T0) => match t0::command(&command) {
                Some(command) => transmit(card, &command, &mut buffer)?,
                None => {
                    // Nothing was sent, so nothing is broken.
                    Zeroizing::new(crate::card::apdu::status::WRONG_LENGTH.to_be_bytes().to_vec())
                }
            },
            Request::Transmit(command) => transmit(card, &command, &mut buffer)?,
        };
        if replies.send(Reply::Answer(answer)).is_err() {
            break;
        }
    }
    Ok(())
}

/// One round trip. The buffer keeps nothing of the answer. Some drivers call it a success when the card was pulled and
/// nothing came back: without a status word there was no exchange.
fn transmit(card: &Card, command: &[u8], buffer: &mut [u8]) -> Result<Octets, Error> {
    let length = card.transmit(command, buffer)?.len();
    if length < 2 {
        return Err(Error::NotTransacted);
    }
    let used = buffer.get_mut(..length).unwrap_or_default();
    let answer = Zeroizing::new(used.to_vec());
    used.zeroize();
    Ok(answer)
}

fn control(card: &Card, code: u32, input: &[u8]) -> Result<Octets, Error> {
    let mut buffer = Zeroizing::new(vec![0; CONTROL_ANSWER]);
    let answer = card.control(code.into(), input, &mut buffer)?.to_vec();
    Ok(Zeroizing::new(answer))
}
