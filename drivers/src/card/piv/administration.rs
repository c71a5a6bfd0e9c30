//! Writing the card (H1): GENERATE ASYMMETRIC KEY PAIR (NIST SP 800-73-5 part 2, 3.3.2), PUT DATA (3.3.1), and a new
//! management key where the card knows the command that its standard lacks. All of it wants
//! [`Piv::authenticate_management`] before.

use super::{
    Algorithm, CardError, Command, MANAGEMENT, ManagementAlgorithm, ManagementKey, Piv, Slot, apdu, ins, object,
    object::MailboxLogin, public_key, status, tag, tlv,
};
use zeroize::Zeroizing;

/// The longest certificate that every PIV card has room for (part 1, table 8).
const COMMON_CERTIFICATE: usize = 1856;

impl Piv {
    /// Makes a key pair on the card, which replaces the slot's old key for good. Answers the public key as a
    /// SubjectPublicKeyInfo in DER. RSA may take the card half a minute.
    pub fn generate(&mut self, slot: Slot, algorithm: Algorithm) -> Result<Vec<u8>, CardError> {
        const CONTROL_REFERENCE: u32 = 0xAC;
        const ALGORITHM: u32 = 0x80;
        const PUBLIC_KEY: u32 = 0x7F49;
        let control = tlv::encode(CONTROL_REFERENCE, &tlv::encode(ALGORITHM, &[algorithm.identifier()]));
        let command = Command::new(ins::GENERATE_ASYMMETRIC_KEY_PAIR, 0, slot.key_reference(), &control, 256);
        let answer = self.exchange(&command)?;
        match answer.status {
            status::OK => {}
            status::SECURITY_STATUS => return Err(CardError::ManagementRequired),
            status::WRONG_DATA | status::WRONG_P1P2 => return Err(CardError::Unsupported("keys of this algorithm")),
            sw => return Err(refused(ins::GENERATE_ASYMMETRIC_KEY_PAIR, sw)),
        }
        let malformed = |what| CardError::Malformed { command: apdu::name(ins::GENERATE_ASYMMETRIC_KEY_PAIR), what };
        let template = tlv::single(&answer.data, PUBLIC_KEY).map_err(|e| malformed(e.what()))?;
        public_key::subject_public_key_info(algorithm, template).map_err(malformed)
    }

    /// Writes a data object: `content` is what stands inside tag 53. Empty content takes the object off the card.
    pub fn put_data(&mut self, tag: u32, content: &[u8]) -> Result<(), CardError> {
        const TAG_LIST: u32 = 0x5C;
        const DATA: u32 = 0x53;
        let [_, a, b, c] = tag.to_be_bytes();
        let mut data = Zeroizing::new(Vec::with_capacity(content.len() + 2 * tlv::HEADER + 3));
        tlv::write(&mut data, TAG_LIST, &[a, b, c]);
        tlv::write(&mut data, DATA, content);
        let answer = self.exchange(&Command::new(ins::PUT_DATA, 0x3F, 0xFF, &data, 0))?;
        match answer.status {
            status::OK => Ok(()),
            status::SECURITY_STATUS => Err(CardError::ManagementRequired),
            status::NO_MEMORY | status::WRONG_LENGTH => Err(CardError::NoRoom("this data object")),
            sw => Err(refused(ins::PUT_DATA, sw)),
        }
    }

    /// Writes a key's certificate (DER): plain, or gzipped when it is longer than every card has room for, or than
    /// this card has.
    pub fn put_certificate(&mut self, slot: Slot, der: &[u8]) -> Result<(), CardError> {
        if der.len() > object::MAX_CERTIFICATE {
            return Err(CardError::NoRoom("this certificate"));
        }
        let tag = slot.certificate_tag();
        if der.len() <= COMMON_CERTIFICATE {
            match self.put_data(tag, &object::certificate_object(der)) {
                Err(CardError::NoRoom(_)) => {}
                done => return done,
            }
        }
        match self.put_data(tag, &object::packed_certificate_object(der)) {
            Err(CardError::NoRoom(_)) => Err(CardError::NoRoom("this certificate")),
            done => done,
        }
    }

    /// Writes the card holder unique identifier: the card's GUID, and the date YYYYMMDD until which it is to be used.
    pub fn put_chuid(&mut self, guid: &[u8; 16], expires: &[u8; 8]) -> Result<(), CardError> {
        self.put_data(tag::CHUID, &object::chuid(guid, expires))
    }

    /// Writes where the owner's mail waits (REQUIREMENTS P3).
    pub fn put_mailbox_login(&mut self, login: &MailboxLogin) -> Result<(), CardError> {
        self.put_data(tag::PRINTED_INFORMATION, &login.encode())
    }

    /// Replaces the management key. No standard has a command for this; the one used here (INS FF) is known to cards
    /// of several makers. [`CardError::Unsupported`] tells that this card does not know it, or not the algorithm: its
    /// old key stays.
    pub fn set_management_key(&mut self, algorithm: ManagementAlgorithm, key: &ManagementKey) -> Result<(), CardError> {
        if !key.fits(algorithm) {
            return Err(CardError::BlockLength { expected: algorithm.key_length(), found: key.octets().len() });
        }
        let mut data = Zeroizing::new(Vec::with_capacity(key.octets().len() + 3));
        data.extend_from_slice(&[algorithm.identifier(), MANAGEMENT, algorithm.key_length() as u8]);
        data.extend_from_slice(key.octets());
        // P2 FF: without a touch of the card.
        let answer = self.exchange(&Command::new(ins::SET_MANAGEMENT_KEY, 0xFF, 0xFF, &data, 0))?;
        match answer.status {
            status::OK => Ok(()),
            status::SECURITY_STATUS => Err(CardError::ManagementRequired),
            status::NO_INSTRUCTION | status::NO_CLASS => {
                Err(CardError::Unsupported("a way to change its management key"))
            }
            status::WRONG_DATA | status::WRONG_LENGTH | status::WRONG_P1P2 | status::NO_FUNCTION => {
                Err(CardError::Unsupported("a management key of this algorithm"))
            }
            sw => Err(refused(ins::SET_MANAGEMENT_KEY, sw)),
        }
    }
}

fn refused(instruction: u8, sw: u16) -> CardError {
    CardError::Status { command: apdu::name(instruction), status: sw }
}
