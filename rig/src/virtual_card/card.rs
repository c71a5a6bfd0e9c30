//! The PIV card application as a pure machine: command APDU in, response APDU out (NIST SP 800-73-5 part 2).

mod administration;
mod reference;

use super::{BlankCard, CardKey, CardProfile};
use administration::Asked;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use reference::Reference;
use sealfax_drivers::card::{
    apdu::{CHAIN, Command, ins, status},
    object,
    piv::{AID, ManagementAlgorithm, ManagementKey, Slot, tag},
    tlv,
};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The most octets a chain of commands may gather.
const MAX_CHAIN: usize = 4096;

/// Key reference of the PIN.
const PIN: u8 = 0x80;
/// Key reference of the unblocking key.
const PUK: u8 = 0x81;
/// Key reference of the card management key.
const MANAGEMENT: u8 = 0x9B;

/// A chain of commands that is not complete.
struct Chain {
    header: [u8; 3],
    data: Zeroizing<Vec<u8>>,
    /// Whether the chain's first command came right after a successful VERIFY.
    fresh: bool,
}

/// What the card forgets when it loses power.
#[derive(Default)]
struct Session {
    selected: bool,
    pin_verified: bool,
    /// The last command was a successful VERIFY: what 9C wants ("PIN always").
    fresh: bool,
    chain: Option<Chain>,
    /// What GET RESPONSE will fetch.
    pending: Zeroizing<Vec<u8>>,
    /// The management key was shown: the card may be written.
    management: bool,
    /// What the last command asked of the management key.
    asked: Option<Asked>,
}

type Answer = Result<Zeroizing<Vec<u8>>, u16>;

/// A PIV card.
pub struct VirtualCard {
    owner: String,
    objects: BTreeMap<u32, Zeroizing<Vec<u8>>>,
    keys: BTreeMap<u8, CardKey>,
    /// The keys that were made on the card.
    generated: BTreeSet<u8>,
    pin: Reference,
    puk: Reference,
    management: (ManagementAlgorithm, ManagementKey),
    /// Whether the card has the PIV application.
    piv: bool,
    /// Whether the card knows GET METADATA and SET MANAGEMENT KEY, which its standard lacks.
    extensions: bool,
    extended_length: bool,
    /// The most octets of a data object.
    object_size: usize,
    rng: ChaCha20Rng,
    session: Session,
}

impl std::fmt::Debug for VirtualCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtualCard")
            .field("owner", &self.owner)
            .field("pin_tries", &self.pin.tries)
            .finish_non_exhaustive()
    }
}

impl VirtualCard {
    /// A card as its maker ships it: no keys, no certificates, no CHUID.
    pub fn blank(blank: BlankCard) -> Self {
        Self {
            owner: blank.label,
            objects: BTreeMap::from([(tag::DISCOVERY, discovery(blank.pin_policy))]),
            keys: BTreeMap::new(),
            generated: BTreeSet::new(),
            pin: Reference::new(blank.pin.padded(), blank.pin_tries),
            puk: Reference::new(blank.puk, blank.puk_tries),
            management: (blank.management_algorithm, blank.management_key),
            piv: true,
            extensions: blank.extensions,
            extended_length: blank.extended_length,
            object_size: blank.object_size,
            rng: ChaCha20Rng::seed_from_u64(blank.seed),
            session: Session::default(),
        }
    }

    /// A card of some other kind, which knows no application that it is asked for.
    pub fn without_piv(blank: BlankCard) -> Self {
        Self { piv: false, ..Self::blank(blank) }
    }

    /// A card personalised as the profile says.
    pub fn new(profile: CardProfile) -> Self {
        let mut card = Self::blank(profile.blank());
        let certified = [
            (Slot::Signature, Some(&profile.signature)),
            (Slot::KeyManagement, Some(&profile.key_management)),
            (Slot::Authentication, profile.authentication.as_ref()),
        ];
        for (slot, pair) in certified {
            let Some(pair) = pair else { continue };
            card.keys.insert(slot.key_reference(), pair.key.clone());
            if !pair.certificate.is_empty() {
                let content = profile.certificate_object(&pair.certificate);
                card.objects.insert(slot.certificate_tag(), tlv::encode(0x53, &content));
            }
        }
        if let Some(mailbox) = &profile.mailbox {
            let content = tlv::encode(0x53, &mailbox.encode());
            card.objects.insert(tag::PRINTED_INFORMATION, content);
        }
        let chuid = tlv::encode(0x53, &object::chuid(&profile.guid, &profile.expires));
        card.objects.insert(tag::CHUID, chuid);
        card
    }

    /// Whose card it is.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The PIN's retry counter.
    pub fn pin_tries(&self) -> u8 {
        self.pin.tries
    }

    /// The unblocking key's retry counter.
    pub fn puk_tries(&self) -> u8 {
        self.puk.tries
    }

    /// Power comes back: the security status is gone, counters, keys and data stay.
    pub fn power_up(&mut self) {
        self.session = Session::default();
    }

    /// Takes a command APDU and answers with a response APDU.
    pub fn transmit(&mut self, octets: &[u8]) -> Vec<u8> {
        let (data, sw) = match Command::parse(octets) {
            Ok(command) => {
                let extended = command.short().is_none_or(|short| *short != octets);
                if extended && !self.extended_length {
                    self.interrupt();
                    (Zeroizing::default(), status::WRONG_LENGTH)
                } else {
                    self.answer(command)
                }
            }
            Err(_) => {
                self.interrupt();
                (Zeroizing::default(), status::WRONG_LENGTH)
            }
        };
        let mut response = Vec::with_capacity(data.len() + 2);
        response.extend_from_slice(&data);
        response.extend_from_slice(&sw.to_be_bytes());
        response
    }

    /// Whatever came, it was not the command that VERIFY was for, nor the next link, nor GET RESPONSE.
    fn interrupt(&mut self) {
        self.session.fresh = false;
        self.session.chain = None;
        self.session.pending = Zeroizing::default();
        self.session.asked = None;
    }

    fn answer(&mut self, command: Command) -> (Zeroizing<Vec<u8>>, u16) {
        if command.ins == ins::GET_RESPONSE && command.cla == 0 {
            self.session.fresh = false;
            self.session.chain = None;
            if command.p1 != 0 || command.p2 != 0 {
                return (Zeroizing::default(), status::WRONG_P1P2);
            }
            return self.more(command.ne);
        }
        let fresh = std::mem::take(&mut self.session.fresh);
        let chain = self.session.chain.take();
        self.session.pending = Zeroizing::default();
        let ne = command.ne;
        match self.gather(command, chain, fresh) {
            Ok(None) => (Zeroizing::default(), status::OK),
            Ok(Some((command, fresh))) => match self.dispatch(&command, fresh) {
                Ok(data) if data.is_empty() => (data, status::OK),
                Ok(data) => {
                    self.session.pending = data;
                    // A command without Le (T=0) learns the length and fetches everything.
                    if ne == 0 { (Zeroizing::default(), self.remaining()) } else { self.take(ne) }
                }
                Err(sw) => (Zeroizing::default(), sw),
            },
            Err(sw) => (Zeroizing::default(), sw),
        }
    }

    /// GET RESPONSE (ISO 7816-4, 7.6.1).
    fn more(&mut self, ne: u32) -> (Zeroizing<Vec<u8>>, u16) {
        let left = self.session.pending.len();
        if left == 0 {
            return (Zeroizing::default(), status::CONDITIONS);
        }
        match u8::try_from(left) {
            // 256 means "all there is"; another Le has to be exact or less.
            Ok(short) if ne != 256 && ne as usize > left => (Zeroizing::default(), 0x6C00 | u16::from(short)),
            _ => self.take(ne.max(1)),
        }
    }

    fn take(&mut self, ne: u32) -> (Zeroizing<Vec<u8>>, u16) {
        let pending = std::mem::take(&mut self.session.pending);
        let (now, later) = pending.split_at_checked(ne as usize).unwrap_or((&pending, &[]));
        self.session.pending = Zeroizing::new(later.to_vec());
        (Zeroizing::new(now.to_vec()), self.remaining())
    }

    fn remaining(&self) -> u16 {
        match self.session.pending.len() {
            0 => status::OK,
            left => 0x6100 | u16::from(u8::try_from(left).unwrap_or(0)),
        }
    }

    /// Command chaining (ISO 7816-4, 5.4.1): the whole command with its freshness once the last link is there.
    fn gather(
        &mut self,
        mut command: Command,
        chain: Option<Chain>,
        fresh: bool,
    ) -> Result<Option<(Command, bool)>, u16> {
        match command.cla {
            0x00 | CHAIN => {}
            0x04 | 0x08 | 0x0C | 0x14 | 0x18 | 0x1C => return Err(status::NO_SECURE_MESSAGING),
            0x01..=0x03 | 0x11..=0x13 => return Err(status::NO_LOGICAL_CHANNEL),
            _ => return Err(status::NO_CLASS),
        }
        let header = [command.ins, command.p1, command.p2];
        let chain = chain.filter(|chain| chain.header == header);
        if !command.chained() && chain.is_none() {
            return Ok(Some((command, fresh)));
        }
        if !matches!(command.ins, ins::GENERAL_AUTHENTICATE | ins::PUT_DATA) {
            return Err(status::NO_CHAINING);
        }
        let mut chain = chain.unwrap_or(Chain { header, data: Zeroizing::new(Vec::with_capacity(MAX_CHAIN)), fresh });
        if chain.data.len() + command.data.len() > MAX_CHAIN {
            return Err(status::WRONG_LENGTH);
        }
        chain.data.extend_from_slice(&command.data);
        if command.chained() {
            self.session.chain = Some(chain);
            return Ok(None);
        }
        command.data = chain.data;
        Ok(Some((command, chain.fresh)))
    }

    fn dispatch(&mut self, command: &Command, fresh: bool) -> Answer {
        // A witness or a challenge is good for the very next command.
        let asked = self.session.asked.take();
        if command.ins == ins::SELECT {
            return self.select(command);
        }
        if !self.session.selected {
            return Err(status::NO_INSTRUCTION);
        }
        match command.ins {
            ins::GET_DATA => self.get_data(command),
            ins::VERIFY => self.verify(command),
            ins::CHANGE_REFERENCE_DATA => self.change_reference_data(command),
            ins::RESET_RETRY_COUNTER => self.reset_retry_counter(command),
            ins::GENERAL_AUTHENTICATE if command.p2 == MANAGEMENT => self.authenticate_management(command, asked),
            ins::GENERAL_AUTHENTICATE => self.general_authenticate(command, fresh),
            ins::PUT_DATA => self.put_data(command),
            ins::GENERATE_ASYMMETRIC_KEY_PAIR => self.generate(command),
            ins::SET_MANAGEMENT_KEY if self.extensions => self.set_management_key(command),
            ins::GET_METADATA if self.extensions => self.metadata(command),
            _ => Err(status::NO_INSTRUCTION),
        }
    }

    /// Part 2, 3.1.1: the full identifier, or cut on its right but not within the RID. Selecting again what is
    /// selected leaves the security status as it is.
    fn select(&mut self, command: &Command) -> Answer {
        if (command.p1, command.p2) != (0x04, 0x00) {
            return Err(status::WRONG_P1P2);
        }
        if !self.piv || command.data.len() < 5 || !AID.starts_with(&command.data) {
            return Err(status::NOT_FOUND);
        }
        self.session.selected = true;
        let mut template = Vec::new();
        tlv::write(&mut template, 0x4F, &AID[5..]);
        tlv::write(&mut template, 0x79, &tlv::encode(0x4F, &AID[..5]));
        tlv::write(&mut template, 0x50, b"Sealfax virtual PIV card");
        Ok(tlv::encode(0x61, &template))
    }

    /// Part 2, 3.1.2; access rules of part 1, table 3.
    fn get_data(&self, command: &Command) -> Answer {
        if (command.p1, command.p2) != (0x3F, 0xFF) {
            return Err(status::WRONG_P1P2);
        }
        let tag = match tlv::single(&command.data, 0x5C) {
            Ok([one]) => u32::from(*one),
            Ok([a, b]) => u32::from_be_bytes([0, 0, *a, *b]),
            Ok([a, b, c]) => u32::from_be_bytes([0, *a, *b, *c]),
            _ => return Err(status::WRONG_DATA),
        };
        if tag == tag::PRINTED_INFORMATION && !self.session.pin_verified {
            return Err(status::SECURITY_STATUS);
        }
        self.objects.get(&tag).cloned().ok_or(status::NOT_FOUND)
    }

    /// Part 2, 3.2.1.
    fn verify(&mut self, command: &Command) -> Answer {
        match (command.p1, command.p2) {
            (0x00 | 0xFF, PIN) => {}
            (0x00 | 0xFF, _) => return Err(status::NO_REFERENCE),
            _ => return Err(status::WRONG_P1P2),
        }
        if command.p1 == 0xFF {
            if !command.data.is_empty() {
                return Err(status::WRONG_DATA);
            }
            self.session.pin_verified = false;
            return Ok(Zeroizing::default());
        }
        if command.data.is_empty() {
            return match (self.session.pin_verified, self.pin.tries) {
                (true, _) => Ok(Zeroizing::default()),
                (false, 0) => Err(status::BLOCKED),
                (false, _) => Err(self.pin.left()),
            };
        }
        if self.pin.tries == 0 {
            return Err(status::BLOCKED);
        }
        let shown: &[u8; 8] = exact(&command.data)?;
        if !is_pin(shown) {
            return Err(status::WRONG_DATA);
        }
        let verdict = self.pin.compare(shown);
        self.session.pin_verified = verdict.is_ok();
        self.session.fresh = verdict.is_ok();
        verdict.map(|()| Zeroizing::default())
    }

    /// Part 2, 3.2.2.
    fn change_reference_data(&mut self, command: &Command) -> Answer {
        if command.p1 != 0 {
            return Err(status::WRONG_P1P2);
        }
        let of_pin = match command.p2 {
            PIN => true,
            PUK => false,
            _ => return Err(status::NO_REFERENCE),
        };
        let reference = if of_pin { &mut self.pin } else { &mut self.puk };
        if reference.tries == 0 {
            return Err(status::BLOCKED);
        }
        let (old, new) = halves(&command.data)?;
        if of_pin && !(is_pin(old) && is_pin(new)) {
            return Err(status::WRONG_DATA);
        }
        let verdict = reference.compare(old);
        if verdict.is_ok() {
            reference.set(new);
        }
        if of_pin {
            self.session.pin_verified = verdict.is_ok();
        }
        verdict.map(|()| Zeroizing::default())
    }

    /// Part 2, 3.2.3.
    fn reset_retry_counter(&mut self, command: &Command) -> Answer {
        match (command.p1, command.p2) {
            (0, PIN) => {}
            (0, _) => return Err(status::NO_REFERENCE),
            _ => return Err(status::WRONG_P1P2),
        }
        if self.puk.tries == 0 {
            return Err(status::BLOCKED);
        }
        let (puk, new) = halves(&command.data)?;
        if !is_pin(new) {
            return Err(status::WRONG_DATA);
        }
        self.puk.compare(puk)?;
        self.pin.set(new);
        Ok(Zeroizing::default())
    }

    /// Part 2, 3.2.4. The PIN rules are those of part 1, table 6: 9C always, 9A and 9D once.
    fn general_authenticate(&mut self, command: &Command, fresh: bool) -> Answer {
        let key = self.keys.get(&command.p2).ok_or(status::WRONG_P1P2)?;
        if command.p1 != key.algorithm().identifier() {
            return Err(status::WRONG_P1P2);
        }
        let signs = command.p2 == Slot::Signature.key_reference();
        if !self.session.pin_verified || (signs && !fresh) {
            return Err(status::SECURITY_STATUS);
        }
        let wrong = |_| status::WRONG_DATA;
        let template = tlv::single(&command.data, 0x7C).map_err(wrong)?;
        let response = tlv::find(template, 0x82).map_err(wrong)?;
        let challenge = tlv::find(template, 0x81).map_err(wrong)?;
        let exponentiation = tlv::find(template, 0x85).map_err(wrong)?;
        let agrees = command.p2 == Slot::KeyManagement.key_reference();
        let result = match (response, challenge, exponentiation) {
            (Some([]), Some(block), None) => key.challenge(&mut self.rng, block),
            (Some([]), None, Some(point)) if agrees => key.exponentiation(point),
            _ => None,
        };
        let result = result.ok_or(status::WRONG_DATA)?;
        Ok(tlv::encode(0x7C, &tlv::encode(0x82, &result)))
    }
}

/// Six to eight digits, padded with FF (part 1, 2.4.3).
fn is_pin(shown: &[u8; 8]) -> bool {
    let digits = shown.iter().take_while(|o| o.is_ascii_digit()).count();
    digits >= 6 && shown.iter().skip(digits).all(|o| *o == 0xFF)
}

fn exact<const N: usize>(data: &[u8]) -> Result<&[u8; N], u16> {
    data.try_into().map_err(|_| status::WRONG_LENGTH)
}

fn halves(data: &[u8]) -> Result<(&[u8; 8], &[u8; 8]), u16> {
    let (first, second) = data.split_at_checked(8).ok_or(status::WRONG_LENGTH)?;
    Ok((exact(first)?, exact(second)?))
}

/// Discovery object (part 1, 3.3.2): our identifier, and the PIN usage policy.
fn discovery(pin_policy: [u8; 2]) -> Zeroizing<Vec<u8>> {
    let mut out = Vec::new();
    tlv::write(&mut out, 0x4F, &AID);
    tlv::write(&mut out, 0x5F2F, &pin_policy);
    tlv::encode(tag::DISCOVERY, &out)
}
