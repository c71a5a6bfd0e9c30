//! What a reader expects between the wire and the application (ISO 7816-4): selection by name, command chaining
//! (5.3.3), and long answers by GET RESPONSE (5.3.4).

use apdu_app::App;
use iso7816::{Interface, command::Command};

/// The longest command and answer the application is given room for.
const ROOM: usize = 7609;
/// The longest chain.
const MAX_CHAIN: usize = 7000;

const CHAIN: u8 = 0x10;
const SELECT: u8 = 0xA4;
const GET_RESPONSE: u8 = 0xC0;

const OK: u16 = 0x9000;
const WRONG_LENGTH: u16 = 0x6700;
const CONDITIONS: u16 = 0x6985;
const NOT_FOUND: u16 = 0x6A82;

/// A card with one application.
pub struct Card<A> {
    application: A,
    selected: bool,
    chain: Vec<u8>,
    pending: Vec<u8>,
}

impl<A: App> Card<A> {
    /// A card without power.
    pub fn new(application: A) -> Self {
        Self { application, selected: false, chain: Vec::new(), pending: Vec::new() }
    }

    /// The contact loses power: what was verified is forgotten, what was written stays.
    pub fn reset(&mut self) {
        if std::mem::take(&mut self.selected) {
            self.application.deselect();
        }
        self.chain.clear();
        self.pending.clear();
    }

    /// Answers one command.
    pub fn transmit(&mut self, octets: &[u8]) -> Vec<u8> {
        match self.answer(octets) {
            Ok(answer) => answer,
            Err(status) => {
                self.chain.clear();
                self.pending.clear();
                status.to_be_bytes().to_vec()
            }
        }
    }

    fn answer(&mut self, octets: &[u8]) -> Result<Vec<u8>, u16> {
        let (&[cla, ins, p1, p2], body) = octets.split_first_chunk::<4>().ok_or(WRONG_LENGTH)?;
        if ins == GET_RESPONSE {
            return Ok(self.more(body.first().copied().unwrap_or(0)));
        }
        self.pending.clear();
        let (data, extended) = data_field(body)?;
        if self.chain.len() + data.len() > MAX_CHAIN {
            return Err(WRONG_LENGTH);
        }
        self.chain.extend_from_slice(data);
        if cla & CHAIN != 0 {
            return Ok(OK.to_be_bytes().to_vec());
        }
        let data = std::mem::take(&mut self.chain);
        let reply = self.call([cla, ins, p1, p2], &data)?;
        if extended {
            return Ok([&reply[..], &OK.to_be_bytes()].concat());
        }
        self.pending = reply;
        Ok(self.more(0))
    }

    /// Hands the whole command to the application, in extended length.
    fn call(&mut self, header: [u8; 4], data: &[u8]) -> Result<Vec<u8>, u16> {
        let mut whole = header.to_vec();
        whole.push(0);
        if !data.is_empty() {
            let length = u16::try_from(data.len()).map_err(|_| WRONG_LENGTH)?;
            whole.extend_from_slice(&length.to_be_bytes());
            whole.extend_from_slice(data);
        }
        whole.extend_from_slice(&[0, 0]);
        let command = Command::<ROOM>::try_from(&whole).map_err(|_| WRONG_LENGTH)?;
        let mut reply = heapless::Vec::<u8, ROOM>::new();
        let result = if header[1] == SELECT && header[2] == 0x04 {
            let aid = self.application.aid();
            let named = data.len() >= 5 && (aid.matches(data) || aid.as_bytes().starts_with(data));
            if !named {
                return Err(NOT_FOUND);
            }
            self.selected = true;
            self.application.select(Interface::Contact, command.as_view(), &mut reply)
        } else if self.selected {
            self.application.call(Interface::Contact, command.as_view(), &mut reply)
        } else {
            return Err(CONDITIONS);
        };
        match result.map_or_else(u16::from, |()| OK) {
            OK => Ok(reply.to_vec()),
            status => Err(status),
        }
    }

    /// So much of the answer as fits, and how much is left.
    fn more(&mut self, le: u8) -> Vec<u8> {
        let wanted = if le == 0 { 256 } else { usize::from(le) };
        let later = self.pending.split_off(wanted.min(self.pending.len()));
        let mut now = std::mem::replace(&mut self.pending, later);
        let status = match self.pending.len() {
            0 => OK,
            left => 0x6100 | u16::try_from(left.min(255)).unwrap_or(255),
        };
        now.extend_from_slice(&status.to_be_bytes());
        now
    }
}

/// The data field of a command body, and whether its length fields are extended (5.1).
fn data_field(body: &[u8]) -> Result<(&[u8], bool), u16> {
    match body {
        [] | [_] => Ok((&[], false)),
        [0, _, _] => Ok((&[], true)),
        [0, high, low, rest @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            rest.get(..length).map(|data| (data, true)).ok_or(WRONG_LENGTH)
        }
        [length, rest @ ..] => rest.get(..usize::from(*length)).map(|data| (data, false)).ok_or(WRONG_LENGTH),
    }
}
