//! Command and response APDUs (ISO 7816-4, 5.1 and 5.2): short and extended forms, command chaining (5.1.1.1), GET
//! RESPONSE (7.6.1), and a textual form for traces in which no secret can stand.

use super::{CardChannel, CardError};
use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The most octets that one answer may grow to through GET RESPONSE.
pub const MAX_RESPONSE: usize = 64 * 1024;

/// The most GET RESPONSE of one answer: twice what the longest takes in full pieces.
const MAX_ROUNDS: usize = 512;

/// How long one command may take with its chain and the pieces of its answer, however quickly each of them comes: longer
/// than any card takes to make a key.
const EXCHANGE: Duration = Duration::from_secs(300);

/// The most octets of data in one short command, and in one link of a chain.
pub const MAX_SHORT_DATA: usize = 255;

/// The most octets of data in one extended command.
pub const MAX_EXTENDED_DATA: usize = 65_535;

/// Class bit: more of this command follows (ISO 7816-4, 5.4.1).
pub const CHAIN: u8 = 0x10;

/// Status words (ISO 7816-4, 5.6).
pub mod status {
    /// Done.
    pub const OK: u16 = 0x9000;
    /// Verification failed, with no word of tries.
    pub const NOT_VERIFIED: u16 = 0x6300;
    /// Wrong length.
    pub const WRONG_LENGTH: u16 = 0x6700;
    /// Logical channel not supported.
    pub const NO_LOGICAL_CHANNEL: u16 = 0x6881;
    /// Secure messaging not supported.
    pub const NO_SECURE_MESSAGING: u16 = 0x6882;
    /// Command chaining not supported.
    pub const NO_CHAINING: u16 = 0x6884;
    /// Security status not satisfied.
    pub const SECURITY_STATUS: u16 = 0x6982;
    /// Authentication method blocked.
    pub const BLOCKED: u16 = 0x6983;
    /// Conditions of use not satisfied.
    pub const CONDITIONS: u16 = 0x6985;
    /// Incorrect parameters in the command data field.
    pub const WRONG_DATA: u16 = 0x6A80;
    /// Function not supported.
    pub const NO_FUNCTION: u16 = 0x6A81;
    /// File or application not found.
    pub const NOT_FOUND: u16 = 0x6A82;
    /// Not enough memory space.
    pub const NO_MEMORY: u16 = 0x6A84;
    /// Incorrect P1-P2.
    pub const WRONG_P1P2: u16 = 0x6A86;
    /// Referenced data or reference data not found.
    pub const NO_REFERENCE: u16 = 0x6A88;
    /// Instruction code not supported or invalid.
    pub const NO_INSTRUCTION: u16 = 0x6D00;
    /// Class not supported.
    pub const NO_CLASS: u16 = 0x6E00;
}

/// Instruction codes that PIV uses (NIST SP 800-73-5 part 2, table 2).
pub mod ins {
    /// VERIFY.
    pub const VERIFY: u8 = 0x20;
    /// CHANGE REFERENCE DATA.
    pub const CHANGE_REFERENCE_DATA: u8 = 0x24;
    /// RESET RETRY COUNTER.
    pub const RESET_RETRY_COUNTER: u8 = 0x2C;
    /// GENERATE ASYMMETRIC KEY PAIR.
    pub const GENERATE_ASYMMETRIC_KEY_PAIR: u8 = 0x47;
    /// GENERAL AUTHENTICATE.
    pub const GENERAL_AUTHENTICATE: u8 = 0x87;
    /// SELECT.
    pub const SELECT: u8 = 0xA4;
    /// GET RESPONSE.
    pub const GET_RESPONSE: u8 = 0xC0;
    /// GET DATA.
    pub const GET_DATA: u8 = 0xCB;
    /// PUT DATA.
    pub const PUT_DATA: u8 = 0xDB;
    /// GET METADATA, which no standard has and many cards know.
    pub const GET_METADATA: u8 = 0xF7;
    /// SET MANAGEMENT KEY, which no standard has and many cards know.
    pub const SET_MANAGEMENT_KEY: u8 = 0xFF;
}

/// The command's name in the standard.
pub const fn name(instruction: u8) -> &'static str {
    match instruction {
        ins::VERIFY => "VERIFY",
        ins::CHANGE_REFERENCE_DATA => "CHANGE REFERENCE DATA",
        ins::RESET_RETRY_COUNTER => "RESET RETRY COUNTER",
        ins::GENERATE_ASYMMETRIC_KEY_PAIR => "GENERATE ASYMMETRIC KEY PAIR",
        ins::GENERAL_AUTHENTICATE => "GENERAL AUTHENTICATE",
        ins::SELECT => "SELECT",
        ins::GET_RESPONSE => "GET RESPONSE",
        ins::GET_DATA => "GET DATA",
        ins::PUT_DATA => "PUT DATA",
        ins::GET_METADATA => "GET METADATA",
        ins::SET_MANAGEMENT_KEY => "SET MANAGEMENT KEY",
        _ => "command",
    }
}

/// Why octets are not a command APDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApduError {
    /// Fewer than the four octets of a header.
    #[error("a command needs at least four octets")]
    Short,
    /// Lc or Le do not agree with the octets that are there.
    #[error("the command's length fields do not agree with its length")]
    Length,
}

/// How a command that fits both is put into octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Short length fields, long data by command chaining: every PIV card takes it.
    #[default]
    Short,
    /// Extended length fields where a short one does not do; only for a card and a reader that both take it.
    Extended,
}

/// A command APDU. Its data may be a PIN: it is zeroised when dropped and neither `Debug` nor `Display` show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// CLA.
    pub cla: u8,
    /// INS.
    pub ins: u8,
    /// P1.
    pub p1: u8,
    /// P2.
    pub p2: u8,
    /// The command data field.
    pub data: Zeroizing<Vec<u8>>,
    /// Ne, the most octets the answer may have: 0 (no Le field) to 65,536.
    pub ne: u32,
}

impl Command {
    /// A command of class 00.
    pub fn new(ins: u8, p1: u8, p2: u8, data: &[u8], ne: u32) -> Self {
        Self { cla: 0, ins, p1, p2, data: Zeroizing::new(data.to_vec()), ne }
    }

    /// Whether more commands of the same chain follow.
    pub const fn chained(&self) -> bool {
        self.cla & CHAIN != 0
    }

    /// The short form; `None` if data or Ne are too long for it.
    pub fn short(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.ne > 256 {
            return None;
        }
        let lc = u8::try_from(self.data.len()).ok()?;
        let mut out = self.header(6);
        if lc != 0 {
            out.push(lc);
            out.extend_from_slice(&self.data);
        }
        if self.ne != 0 {
            // Ne 256 is written as 00.
            out.push(self.ne.to_be_bytes()[3]);
        }
        Some(out)
    }

    /// The extended form; `None` if data or Ne are too long even for it.
    pub fn extended(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.ne > 65_536 {
            return None;
        }
        let lc = u16::try_from(self.data.len()).ok()?;
        let mut out = self.header(9);
        if lc != 0 {
            out.push(0);
            out.extend_from_slice(&lc.to_be_bytes());
            out.extend_from_slice(&self.data);
        }
        if self.ne != 0 {
            if lc == 0 {
                out.push(0);
            }
            // Ne 65,536 is written as 00 00.
            out.extend_from_slice(&self.ne.to_be_bytes()[2..]);
        }
        Some(out)
    }

    fn header(&self, room: usize) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.data.len() + 4 + room));
        out.extend_from_slice(&[self.cla, self.ins, self.p1, self.p2]);
        out
    }

    /// Reads a command in either form (ISO 7816-4, 5.1, cases 1 to 4).
    pub fn parse(octets: &[u8]) -> Result<Self, ApduError> {
        let (&[cla, ins, p1, p2], body) = octets.split_first_chunk::<4>().ok_or(ApduError::Short)?;
        let (data, ne) = match body {
            [] => (&[][..], 0),
            [le] => (&[][..], short_ne(*le)),
            [0, a, b] => (&[][..], extended_ne(*a, *b)),
            [0, a, b, rest @ ..] => {
                let lc = usize::from(u16::from_be_bytes([*a, *b]));
                let (data, le) = rest.split_at_checked(lc).ok_or(ApduError::Length)?;
                match (lc, le) {
                    (0, _) => return Err(ApduError::Length),
                    (_, []) => (data, 0),
                    (_, [a, b]) => (data, extended_ne(*a, *b)),
                    _ => return Err(ApduError::Length),
                }
            }
            [lc, rest @ ..] => {
                let (data, le) = rest.split_at_checked(usize::from(*lc)).ok_or(ApduError::Length)?;
                match (lc, le) {
                    (0, _) => return Err(ApduError::Length),
                    (_, []) => (data, 0),
                    (_, [le]) => (data, short_ne(*le)),
                    _ => return Err(ApduError::Length),
                }
            }
        };
        Ok(Self { cla, ins, p1, p2, data: Zeroizing::new(data.to_vec()), ne })
    }

    /// Data may stand in a trace only when it cannot be a secret: PIV's own application identifier, and the tag of a
    /// data object that is asked for. Everything else shows its length alone, whatever the instruction.
    fn shows_data(&self) -> bool {
        match self.ins {
            ins::SELECT => super::piv::AID.starts_with(&self.data),
            ins::GET_DATA => matches!(self.data.as_slice(), [0x5C, 0x01, 0x7E] | [0x5C, 0x03, 0x5F, 0xC1, _]),
            _ => false,
        }
    }
}

const fn short_ne(le: u8) -> u32 {
    if le == 0 { 256 } else { le as u32 }
}

const fn extended_ne(a: u8, b: u8) -> u32 {
    let le = u16::from_be_bytes([a, b]);
    if le == 0 { 65_536 } else { le as u32 }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:02X} {:02X} {:02X} {:02X}", name(self.ins), self.cla, self.ins, self.p1, self.p2)?;
        if self.shows_data() && !self.data.is_empty() {
            f.write_char(' ')?;
            for octet in self.data.iter() {
                write!(f, "{octet:02X}")?;
            }
        } else if !self.data.is_empty() {
            write!(f, " [{} octets]", self.data.len())?;
        }
        if self.ne != 0 {
            write!(f, " Ne={}", self.ne)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({self})")
    }
}

/// A response APDU. Its data may be a decrypted key: zeroised when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The response data field.
    pub data: Zeroizing<Vec<u8>>,
    /// SW1 SW2.
    pub status: u16,
}

impl Response {
    /// Splits a response into data and status word; `None` if it has no status word.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let (data, [sw1, sw2]) = octets.split_last_chunk::<2>()?;
        Some(Self { data: Zeroizing::new(data.to_vec()), status: u16::from_be_bytes([*sw1, *sw2]) })
    }

    /// The octets on the wire.
    pub fn octets(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.data.len() + 2));
        out.extend_from_slice(&self.data);
        out.extend_from_slice(&self.status.to_be_bytes());
        out
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.data.is_empty() {
            write!(f, "[{} octets] ", self.data.len())?;
        }
        match self.status {
            sw @ 0x63C0..=0x63CF => write!(f, "{sw:04X} {} tries left", sw & 0x0F),
            sw => write!(f, "{sw:04X} {}", meaning(sw)),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({self})")
    }
}

/// What a status word says, in the standard's words.
pub const fn meaning(sw: u16) -> &'static str {
    match sw {
        status::OK => "done",
        0x6100..=0x61FF => "more data available",
        0x63C0..=0x63CF => "so many tries left as the last digit says",
        status::NOT_VERIFIED => "verification failed",
        status::WRONG_LENGTH => "wrong length",
        status::NO_LOGICAL_CHANNEL => "logical channel not supported",
        status::NO_SECURE_MESSAGING => "secure messaging not supported",
        status::NO_CHAINING => "command chaining not supported",
        status::SECURITY_STATUS => "security status not satisfied",
        status::BLOCKED => "authentication method blocked",
        status::CONDITIONS => "conditions of use not satisfied",
        status::WRONG_DATA => "incorrect parameters in the data field",
        status::NO_FUNCTION => "function not supported",
        status::NO_MEMORY => "not enough memory",
        status::NOT_FOUND => "object or application not found",
        status::WRONG_P1P2 => "incorrect P1-P2",
        status::NO_REFERENCE => "referenced data not found",
        0x6C00..=0x6CFF => "wrong Le",
        status::NO_INSTRUCTION => "instruction not supported",
        status::NO_CLASS => "class not supported",
        _ => "",
    }
}

/// A raw command as it may stand in a trace.
pub fn redact_command(octets: &[u8]) -> String {
    match Command::parse(octets) {
        Ok(command) => command.to_string(),
        Err(_) => format!("malformed command [{} octets]", octets.len()),
    }
}

/// A raw response as it may stand in a trace.
pub fn redact_response(octets: &[u8]) -> String {
    match Response::parse(octets) {
        Some(response) => response.to_string(),
        None => format!("malformed response [{} octets]", octets.len()),
    }
}

/// Sends one command in the short form, however long, and collects its whole answer.
pub fn exchange(channel: &mut dyn CardChannel, command: &Command) -> Result<Response, CardError> {
    exchange_as(channel, command, Form::Short)
}

/// Sends one command in the given form: chains what is too long, asks again with the right Le on 6Cxx, and collects
/// the answer on 61xx. Status words other than those two are the caller's to judge.
pub fn exchange_as(channel: &mut dyn CardChannel, command: &Command, form: Form) -> Result<Response, CardError> {
    let named = name(command.ins);
    let begin = Instant::now();
    let mut answer = match form {
        Form::Extended if command.short().is_none() => {
            let octets = command.extended().ok_or(too_long(named))?;
            transmit(channel, command, &octets)?
        }
        _ => send_chain(channel, command, begin)?,
    };
    let mut rounds = 0usize;
    while answer.status >> 8 == 0x61 {
        in_time(begin)?;
        let before = answer.data.len();
        let more = get_response(channel, command.cla, answer.status)?;
        append(&mut answer.data, &more.data);
        answer.status = more.status;
        // A card that goes on promising without giving would hold us for ever.
        if answer.data.len() == before && answer.status >> 8 == 0x61 {
            return Err(CardError::Malformed { command: named, what: "it promises more data and sends none" });
        }
        rounds += 1;
        if answer.data.len() > MAX_RESPONSE || rounds >= MAX_ROUNDS {
            return Err(CardError::Malformed { command: named, what: "it is longer than any answer may be" });
        }
    }
    Ok(answer)
}

fn too_long(command: &'static str) -> CardError {
    CardError::Malformed { command, what: "the command is too long to be sent" }
}

fn in_time(begin: Instant) -> Result<(), CardError> {
    if begin.elapsed() > EXCHANGE { Err(CardError::TimedOut) } else { Ok(()) }
}

/// Sends all links of a chain; stops at the first one that is refused.
fn send_chain(channel: &mut dyn CardChannel, command: &Command, begin: Instant) -> Result<Response, CardError> {
    let named = name(command.ins);
    let link = |cla: u8, data: &[u8], ne: u32| Command {
        cla,
        data: Zeroizing::new(data.to_vec()),
        ne,
        ..Command::new(command.ins, command.p1, command.p2, &[], 0)
    };
    let mut rest = command.data.as_slice();
    while let Some((head, tail)) = rest.split_at_checked(MAX_SHORT_DATA) {
        if tail.is_empty() {
            break;
        }
        let one = link(command.cla | CHAIN, head, 0);
        let octets = one.short().ok_or(too_long(named))?;
        let answer = transmit(channel, &one, &octets)?;
        if answer.status != status::OK {
            return Ok(answer);
        }
        in_time(begin)?;
        rest = tail;
    }
    let mut last = link(command.cla, rest, command.ne.min(256));
    let octets = last.short().ok_or(too_long(named))?;
    let answer = transmit(channel, &last, &octets)?;
    if answer.status >> 8 != 0x6C {
        return Ok(answer);
    }
    last.ne = short_ne(answer.status.to_be_bytes()[1]);
    let octets = last.short().ok_or(too_long(named))?;
    transmit(channel, &last, &octets)
}

fn get_response(channel: &mut dyn CardChannel, cla: u8, status: u16) -> Result<Response, CardError> {
    let mut ask = Command { cla: cla & !CHAIN, ..Command::new(ins::GET_RESPONSE, 0, 0, &[], 0) };
    let mut status = status;
    for _ in 0..2 {
        ask.ne = short_ne(status.to_be_bytes()[1]);
        let octets = ask.short().ok_or(too_long("GET RESPONSE"))?;
        let answer = transmit(channel, &ask, &octets)?;
        if answer.status >> 8 != 0x6C {
            return Ok(answer);
        }
        status = answer.status;
    }
    Err(CardError::Status { command: "GET RESPONSE", status })
}

fn transmit(channel: &mut dyn CardChannel, command: &Command, octets: &[u8]) -> Result<Response, CardError> {
    let answer = Zeroizing::new(channel.transmit(octets)?);
    let malformed = |what| CardError::Malformed { command: name(command.ins), what };
    if answer.len() > MAX_RESPONSE + 2 {
        return Err(malformed("it is longer than any answer may be"));
    }
    let response = Response::parse(&answer).ok_or(malformed("it has no status word"))?;
    tracing::trace!(target: "sealfax::apdu", %command, %response);
    Ok(response)
}

/// Appends without leaving an old copy of a secret behind when the buffer has to grow.
fn append(buffer: &mut Zeroizing<Vec<u8>>, more: &[u8]) {
    if buffer.capacity() - buffer.len() < more.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((buffer.len() + more.len()) * 2));
        larger.extend_from_slice(buffer);
        std::mem::swap(buffer, &mut larger);
    }
    buffer.extend_from_slice(more);
}

#[cfg(test)]
#[path = "apdu_tests.rs"]
pub(crate) mod tests;
