//! The client of a PIV card application (NIST SP 800-73-5 part 2), over any [`CardChannel`].
//!
//! Every call blocks until the card has answered. A signature with 9C wants [`Piv::verify_pin`] in the call just
//! before it; 9D wants it once. Writing wants [`Piv::authenticate_management`] once.

mod administration;
mod algorithm;
mod management_key;
mod metadata;
mod public_key;

pub use algorithm::Algorithm;
pub use management_key::{Authentication, ManagementAlgorithm, ManagementKey};
pub use metadata::{Metadata, Reference};

use super::{
    CardChannel, CardError,
    apdu::{self, Command, Form, Response, ins, status},
    object::{self, MailboxLogin},
    tlv,
};
use crate::pin::Pin;
use zeroize::Zeroizing;

/// The PIV card application's identifier (part 1, 2.2), version 1.0.
pub const AID: [u8; 11] = [0xA0, 0, 0, 0x03, 0x08, 0, 0, 0x10, 0, 0x01, 0];

/// How much of [`AID`] is sent: without the version, as part 2, 3.1.1 allows.
const AID_WITHOUT_VERSION: usize = 9;

/// Key reference of the PIV card application PIN.
const PIN: u8 = 0x80;
/// Key reference of the PIN unblocking key.
const PUK: u8 = 0x81;
/// Key reference of the card management key.
const MANAGEMENT: u8 = 0x9B;

/// Tags of GENERAL AUTHENTICATE's dynamic authentication template (part 2, 3.2.4, table 7).
mod dynamic {
    pub(super) const TEMPLATE: u32 = 0x7C;
    pub(super) const WITNESS: u32 = 0x80;
    pub(super) const CHALLENGE: u32 = 0x81;
    pub(super) const RESPONSE: u32 = 0x82;
    pub(super) const EXPONENTIATION: u32 = 0x85;
}

/// Tags of data objects (part 1, table 3).
pub mod tag {
    /// Card capability container.
    pub const CAPABILITY: u32 = 0x5F_C1_07;
    /// Card holder unique identifier.
    pub const CHUID: u32 = 0x5F_C1_02;
    /// Certificate of key 9A.
    pub const AUTHENTICATION_CERTIFICATE: u32 = 0x5F_C1_05;
    /// Printed information; holds our mailbox login. Only after the PIN.
    pub const PRINTED_INFORMATION: u32 = 0x5F_C1_09;
    /// Certificate of key 9C.
    pub const SIGNATURE_CERTIFICATE: u32 = 0x5F_C1_0A;
    /// Certificate of key 9D.
    pub const KEY_MANAGEMENT_CERTIFICATE: u32 = 0x5F_C1_0B;
    /// Discovery object.
    pub const DISCOVERY: u32 = 0x7E;
}

/// A key of the card with its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// 9A, PIV authentication: PIN once.
    Authentication,
    /// 9C, digital signature: PIN every time.
    Signature,
    /// 9D, key management (decryption): PIN once.
    KeyManagement,
}

impl Slot {
    /// The key reference (part 1, table 6).
    pub const fn key_reference(self) -> u8 {
        match self {
            Self::Authentication => 0x9A,
            Self::Signature => 0x9C,
            Self::KeyManagement => 0x9D,
        }
    }

    /// The tag of its certificate's data object.
    pub const fn certificate_tag(self) -> u32 {
        match self {
            Self::Authentication => tag::AUTHENTICATION_CERTIFICATE,
            Self::Signature => tag::SIGNATURE_CERTIFICATE,
            Self::KeyManagement => tag::KEY_MANAGEMENT_CERTIFICATE,
        }
    }

    const fn certificate_name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication certificate (9A)",
            Self::Signature => "signature certificate (9C)",
            Self::KeyManagement => "decryption certificate (9D)",
        }
    }
}

/// What the card says about its PIN without being shown one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinStatus {
    /// It was verified on this channel and counts as such. The counter is then at its full value.
    Verified,
    /// So many wrong PINs may follow before it is blocked.
    TriesLeft(u8),
    /// No PIN is accepted any more until the administrator unblocks the card.
    Blocked,
}

/// Whether a PIN may be tried when a wrong one would block the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastTry {
    /// No: [`CardError::LastTry`] instead.
    #[default]
    Refuse,
    /// Yes: the person was told and wants it.
    Allow,
    /// As the person was told: so many tries were shown to them. A card that has fewer by now is not asked, since what
    /// they would risk is not what they saw.
    Shown(u8),
}

impl LastTry {
    const fn allows(self, left: u8) -> bool {
        match self {
            Self::Refuse => left > 1,
            Self::Allow => true,
            Self::Shown(shown) => left >= shown,
        }
    }
}

/// A selected PIV card application.
pub struct Piv {
    pub(super) channel: Box<dyn CardChannel>,
    form: Form,
}

impl std::fmt::Debug for Piv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piv").finish_non_exhaustive()
    }
}

impl Piv {
    /// Selects the PIV application (part 2, 3.1.1). A card without one is [`CardError::Missing`].
    pub fn select(channel: Box<dyn CardChannel>) -> Result<Self, CardError> {
        let form = if channel.takes_extended_length() { Form::Extended } else { Form::Short };
        let mut piv = Self { channel, form };
        let (name, _) = AID.split_at(AID_WITHOUT_VERSION);
        let answer = piv.exchange(&Command::new(ins::SELECT, 0x04, 0x00, name, 256))?;
        // A card that does not select by name at all, as money and transport cards may not, has no such application.
        if let status::NO_INSTRUCTION | status::NO_CLASS | status::NO_FUNCTION = answer.status {
            return Err(CardError::Missing("PIV application"));
        }
        expect_ok(ins::SELECT, &answer, "PIV application")?;
        let malformed = |e: tlv::TlvError| CardError::Malformed { command: apdu::name(ins::SELECT), what: e.what() };
        tlv::single(&answer.data, 0x61).map_err(malformed)?;
        Ok(piv)
    }

    /// Uses extended length fields instead of command chaining: only for a card and a reader that take them.
    pub fn with_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// A data object as the card gives it, container included; `None` if it is not there or empty (part 2, 3.1.2).
    pub fn data(&mut self, tag: u32) -> Result<Option<Zeroizing<Vec<u8>>>, CardError> {
        let [_, a, b, c] = tag.to_be_bytes();
        let list = if tag == tag::DISCOVERY { tlv::encode(0x5C, &[c]) } else { tlv::encode(0x5C, &[a, b, c]) };
        let answer = self.exchange(&Command::new(ins::GET_DATA, 0x3F, 0xFF, &list, 256))?;
        match answer.status {
            status::NOT_FOUND | status::NO_REFERENCE => Ok(None),
            status::OK => {
                let outer = if tag == tag::DISCOVERY { tag } else { 0x53 };
                let content = tlv::single(&answer.data, outer).map_err(object::malformed)?;
                if content.is_empty() {
                    return Ok(None);
                }
                Ok(Some(Zeroizing::new(content.to_vec())))
            }
            status => Err(refused(ins::GET_DATA, status)),
        }
    }

    /// The certificate of a key, in DER, unpacked.
    pub fn certificate(&mut self, slot: Slot) -> Result<Vec<u8>, CardError> {
        let missing = CardError::Missing(slot.certificate_name());
        match self.data(slot.certificate_tag())? {
            None => Err(missing),
            Some(content) => object::certificate(&content)?.ok_or(missing),
        }
    }

    /// The card's GUID from its CHUID, if it has one: tells cards apart without a PIN.
    pub fn guid(&mut self) -> Result<Option<[u8; 16]>, CardError> {
        match self.data(tag::CHUID)? {
            None => Ok(None),
            Some(content) => object::guid(&content),
        }
    }

    /// The PIN usage policy of the discovery object (part 1, 3.3.2), two octets; `None` if the card has none.
    pub fn pin_usage_policy(&mut self) -> Result<Option<[u8; 2]>, CardError> {
        let Some(discovery) = self.data(tag::DISCOVERY)? else {
            return Ok(None);
        };
        let policy = tlv::find(&discovery, 0x5F2F).map_err(object::malformed)?;
        Ok(policy.and_then(|policy| policy.try_into().ok()))
    }

    /// Whether the card wants its Global PIN before that of the PIV application (part 1, 3.3.2: policy `60 20`). Its
    /// owner then knows a PIN that is not the one shown here, and would spend the tries of the other. A card that gives
    /// no policy has the PIV PIN alone.
    pub fn prefers_global_pin(&mut self) -> Result<bool, CardError> {
        const GLOBAL_PIN: u8 = 0x20;
        const GLOBAL_PIN_FIRST: u8 = 0x20;
        match self.pin_usage_policy() {
            Ok(policy) => Ok(policy.is_some_and(|[pins, first]| pins & GLOBAL_PIN != 0 && first == GLOBAL_PIN_FIRST)),
            Err(CardError::Status { .. } | CardError::Malformed { .. } | CardError::PinRequired) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where the owner's mail waits (REQUIREMENTS P3, ST913). Wants the PIN first.
    pub fn mailbox_login(&mut self) -> Result<MailboxLogin, CardError> {
        let missing = CardError::Missing("mailbox login (5FC109)");
        match self.data(tag::PRINTED_INFORMATION)? {
            None => Err(missing),
            Some(content) => MailboxLogin::decode(&content)?.ok_or(missing),
        }
    }

    /// Asks for the retry counter with an empty VERIFY, which never spends a try (part 2, 3.2.1).
    pub fn pin_tries_left(&mut self) -> Result<PinStatus, CardError> {
        let answer = self.exchange(&Command::new(ins::VERIFY, 0, PIN, &[], 0))?;
        match answer.status {
            status::OK => Ok(PinStatus::Verified),
            status::BLOCKED | 0x63C0 => Ok(PinStatus::Blocked),
            sw @ 0x63C1..=0x63CF => Ok(PinStatus::TriesLeft(tries(sw))),
            sw => Err(refused(ins::VERIFY, sw)),
        }
    }

    /// Shows the card a PIN. Reads the retry counter first: a blocked card is not asked, and the last try is spent
    /// only if `last_try` allows it; else [`CardError::LastTry`].
    pub fn verify_pin(&mut self, pin: &Pin, last_try: LastTry) -> Result<(), CardError> {
        self.may_try(last_try)?;
        let block = pin.padded();
        let answer = self.exchange(&Command::new(ins::VERIFY, 0, PIN, &block[..], 0))?;
        self.judge_pin(ins::VERIFY, answer.status)
    }

    /// Reads the retry counter, and whether a PIN may be shown to the card at all.
    pub(super) fn may_try(&mut self, last_try: LastTry) -> Result<(), CardError> {
        match self.pin_tries_left()? {
            PinStatus::Blocked | PinStatus::TriesLeft(0) => Err(CardError::Blocked),
            PinStatus::TriesLeft(left) if !last_try.allows(left) => Err(CardError::LastTry),
            PinStatus::TriesLeft(_) | PinStatus::Verified => Ok(()),
        }
    }

    /// Makes the card forget that the PIN was verified (part 2, 3.2.1, P1 = FF). A card too old to know this is left as
    /// it is; dropping the channel resets it.
    pub fn forget_pin(&mut self) -> Result<(), CardError> {
        let answer = self.exchange(&Command::new(ins::VERIFY, 0xFF, PIN, &[], 0))?;
        match answer.status {
            status::OK | status::WRONG_P1P2 => Ok(()),
            sw => Err(refused(ins::VERIFY, sw)),
        }
    }

    /// Replaces the PIN by its owner (part 2, 3.2.2). A wrong old one spends a try, the last only if `last_try` allows it.
    pub fn change_pin(&mut self, old: &Pin, new: &Pin, last_try: LastTry) -> Result<(), CardError> {
        self.may_try(last_try)?;
        let both = pair(&old.padded(), &new.padded());
        let command = Command::new(ins::CHANGE_REFERENCE_DATA, 0, PIN, &both[..], 0);
        let answer = self.exchange(&command)?;
        self.judge_pin(ins::CHANGE_REFERENCE_DATA, answer.status)
    }

    /// A card may say that a PIN is wrong without saying how many tries are left; then it is asked.
    pub(super) fn judge_pin(&mut self, instruction: u8, sw: u16) -> Result<(), CardError> {
        if sw != status::NOT_VERIFIED {
            return judge_reference(instruction, sw);
        }
        Err(match self.pin_tries_left()? {
            PinStatus::TriesLeft(left) => CardError::WrongPin { left },
            PinStatus::Blocked => CardError::Blocked,
            PinStatus::Verified => refused(instruction, sw),
        })
    }

    /// Sets a new PIN and a full retry counter with the unblocking key (part 2, 3.2.3). A wrong key spends one of the
    /// key's own tries; [`CardError::Blocked`] then means that the card cannot be unblocked any more.
    pub fn unblock_pin(&mut self, puk: &[u8; 8], new: &Pin) -> Result<(), CardError> {
        let both = pair(puk, &new.padded());
        let command = Command::new(ins::RESET_RETRY_COUNTER, 0, PIN, &both[..], 0);
        let answer = self.exchange(&command)?;
        judge_reference(ins::RESET_RETRY_COUNTER, answer.status)
    }

    /// Replaces the unblocking key (part 2, 3.2.2).
    pub fn change_puk(&mut self, old: &[u8; 8], new: &[u8; 8]) -> Result<(), CardError> {
        let both = pair(old, new);
        let command = Command::new(ins::CHANGE_REFERENCE_DATA, 0, PUK, &both[..], 0);
        let answer = self.exchange(&command)?;
        judge_reference(ins::CHANGE_REFERENCE_DATA, answer.status)
    }

    /// The private key's operation on one block (part 2, 3.2.4 and appendix A), padding being the caller's work.
    ///
    /// RSA: a block as long as the modulus, answered with its private exponentiation. P-256 in 9A and 9C: a digest of
    /// 32 octets, answered with an `Ecdsa-Sig-Value` in DER. P-256 in 9D: an uncompressed point of 65 octets,
    /// answered with the shared secret's x coordinate.
    pub fn raw(&mut self, slot: Slot, algorithm: Algorithm, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError> {
        let agreement = algorithm == Algorithm::P256 && slot == Slot::KeyManagement;
        let tag = if agreement { dynamic::EXPONENTIATION } else { dynamic::CHALLENGE };
        self.operate(slot, algorithm, tag, block)
    }

    /// A signature with whichever key, as [`Piv::raw`] makes it with 9A and 9C: how a key proves to an authority that
    /// it is on the card. A P-256 key in 9D is meant for key agreement, and a card may refuse to sign with it.
    pub fn sign(&mut self, slot: Slot, algorithm: Algorithm, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError> {
        self.operate(slot, algorithm, dynamic::CHALLENGE, block)
    }

    fn operate(
        &mut self,
        slot: Slot,
        algorithm: Algorithm,
        tag: u32,
        block: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardError> {
        let agreement = tag == dynamic::EXPONENTIATION;
        let length = if agreement { 1 + 2 * algorithm.block() } else { algorithm.block() };
        if block.len() != length {
            return Err(CardError::BlockLength { expected: length, found: block.len() });
        }
        let mut inner = Zeroizing::new(Vec::with_capacity(length + 2 * tlv::HEADER));
        tlv::write(&mut inner, dynamic::RESPONSE, &[]);
        tlv::write(&mut inner, tag, block);
        let template = tlv::encode(dynamic::TEMPLATE, &inner);
        let command =
            Command::new(ins::GENERAL_AUTHENTICATE, algorithm.identifier(), slot.key_reference(), &template, 256);
        let answer = self.exchange(&command)?;
        if answer.status != status::OK {
            return Err(refused(ins::GENERAL_AUTHENTICATE, answer.status));
        }
        let malformed = |what| CardError::Malformed { command: apdu::name(ins::GENERAL_AUTHENTICATE), what };
        let found = tlv::single(&answer.data, dynamic::TEMPLATE)
            .and_then(|template| tlv::single(template, dynamic::RESPONSE))
            .map_err(|e| malformed(e.what()))?;
        let sound = match algorithm {
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => found.len() == algorithm.block(),
            Algorithm::P256 if agreement => found.len() == algorithm.block(),
            // Ecdsa-Sig-Value: two integers of at most 33 octets.
            Algorithm::P256 => (8..=72).contains(&found.len()),
        };
        if !sound {
            return Err(malformed("the result has a wrong length"));
        }
        Ok(Zeroizing::new(found.to_vec()))
    }

    fn exchange(&mut self, command: &Command) -> Result<Response, CardError> {
        apdu::exchange_as(self.channel.as_mut(), command, self.form)
    }
}

/// Two references of eight octets, one after the other.
fn pair(first: &[u8; 8], second: &[u8; 8]) -> Zeroizing<[u8; 16]> {
    let mut both = Zeroizing::new([0; 16]);
    both[..8].copy_from_slice(first);
    both[8..].copy_from_slice(second);
    both
}

const fn tries(sw: u16) -> u8 {
    (sw & 0x0F) as u8
}

/// The status word of VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER.
fn judge_reference(instruction: u8, sw: u16) -> Result<(), CardError> {
    match sw {
        status::OK => Ok(()),
        status::BLOCKED | 0x63C0 => Err(CardError::Blocked),
        0x63C1..=0x63CF => Err(CardError::WrongPin { left: tries(sw) }),
        sw => Err(refused(instruction, sw)),
    }
}

fn refused(instruction: u8, sw: u16) -> CardError {
    match sw {
        status::SECURITY_STATUS => CardError::PinRequired,
        status::BLOCKED => CardError::Blocked,
        sw => CardError::Status { command: apdu::name(instruction), status: sw },
    }
}

fn expect_ok(instruction: u8, answer: &Response, what: &'static str) -> Result<(), CardError> {
    match answer.status {
        status::OK => Ok(()),
        status::NOT_FOUND | status::NO_REFERENCE => Err(CardError::Missing(what)),
        sw => Err(refused(instruction, sw)),
    }
}

#[cfg(test)]
#[path = "piv_tests.rs"]
mod tests;
