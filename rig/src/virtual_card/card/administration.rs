//! The card's administrator: the management key, keys made on the card, data objects written (NIST SP 800-73-5 part 2,
//! 3.2.4 with appendix A.1, 3.3.1, 3.3.2), and the two commands beyond the standard.

use super::{Answer, MANAGEMENT, PIN, PUK, VirtualCard};
use crate::virtual_card::CardKey;
use rand_chacha::rand_core::Rng as _;
use sealfax_drivers::card::{
    apdu::{Command, status},
    piv::{Algorithm, ManagementAlgorithm, ManagementKey, Slot, tag},
    tlv,
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// What the card waits for after it was asked.
pub(super) enum Asked {
    /// Mutual authentication: these octets, deciphered.
    Witness(Zeroizing<Vec<u8>>),
    /// External authentication: these octets, enciphered.
    Challenge(Vec<u8>),
}

const TEMPLATE: u32 = 0x7C;
const WITNESS: u32 = 0x80;
const CHALLENGE: u32 = 0x81;
const RESPONSE: u32 = 0x82;

const SLOTS: [Slot; 3] = [Slot::Authentication, Slot::Signature, Slot::KeyManagement];

impl VirtualCard {
    /// GENERAL AUTHENTICATE with 9B: mutual (appendix A.1.2) or external (A.1.1).
    pub(super) fn authenticate_management(&mut self, command: &Command, asked: Option<Asked>) -> Answer {
        let (algorithm, key) = self.management.clone();
        let named = ManagementAlgorithm::from_identifier(command.p1);
        if named != Some(algorithm) {
            return Err(status::WRONG_P1P2);
        }
        let wrong = |_| status::WRONG_DATA;
        let template = tlv::single(&command.data, TEMPLATE).map_err(wrong)?;
        let field = |tag| tlv::find(template, tag).map_err(wrong);
        let (witness, challenge, response) = (field(WITNESS)?, field(CHALLENGE)?, field(RESPONSE)?);
        match (witness, challenge, response, asked) {
            (Some([]), None, None, _) => {
                let fresh = self.random(algorithm.block());
                let shown = key.encrypt(algorithm, &fresh).ok_or(status::CONDITIONS)?;
                self.session.asked = Some(Asked::Witness(Zeroizing::new(fresh)));
                Ok(tlv::encode(TEMPLATE, &tlv::encode(WITNESS, &shown)))
            }
            (None, Some([]), None, _) => {
                let fresh = self.random(algorithm.block());
                self.session.asked = Some(Asked::Challenge(fresh.clone()));
                Ok(tlv::encode(TEMPLATE, &tlv::encode(CHALLENGE, &fresh)))
            }
            (Some(shown), Some(theirs), None | Some([]), Some(Asked::Witness(expected))) => {
                self.session.management = bool::from(expected.as_slice().ct_eq(shown));
                if !self.session.management {
                    return Err(status::SECURITY_STATUS);
                }
                let answer = key.encrypt(algorithm, theirs).ok_or(status::WRONG_DATA)?;
                Ok(tlv::encode(TEMPLATE, &tlv::encode(RESPONSE, &answer)))
            }
            (None, None, Some(shown), Some(Asked::Challenge(given))) => {
                let expected = key.encrypt(algorithm, &given).ok_or(status::CONDITIONS)?;
                self.session.management = bool::from(expected.as_slice().ct_eq(shown));
                if self.session.management { Ok(Zeroizing::default()) } else { Err(status::SECURITY_STATUS) }
            }
            _ => Err(status::WRONG_DATA),
        }
    }

    fn random(&mut self, length: usize) -> Vec<u8> {
        let mut octets = vec![0; length];
        self.rng.fill_bytes(&mut octets);
        octets
    }

    fn managed(&self) -> Result<(), u16> {
        if self.session.management { Ok(()) } else { Err(status::SECURITY_STATUS) }
    }

    /// Part 2, 3.3.2.
    pub(super) fn generate(&mut self, command: &Command) -> Answer {
        self.managed()?;
        let slot = SLOTS.into_iter().find(|slot| slot.key_reference() == command.p2).ok_or(status::WRONG_P1P2)?;
        if command.p1 != 0 {
            return Err(status::WRONG_P1P2);
        }
        let wrong = |_| status::WRONG_DATA;
        let control = tlv::single(&command.data, 0xAC).map_err(wrong)?;
        let algorithm = match tlv::find(control, 0x80).map_err(wrong)? {
            Some([identifier]) => Algorithm::from_identifier(*identifier).ok_or(status::WRONG_DATA)?,
            _ => return Err(status::WRONG_DATA),
        };
        let key = CardKey::generate(algorithm, &mut self.rng).map_err(|_| status::CONDITIONS)?;
        let answer = tlv::encode(0x7F49, &key.public_template());
        self.keys.insert(slot.key_reference(), key);
        self.generated.insert(slot.key_reference());
        Ok(answer)
    }

    /// Part 2, 3.3.1. The objects of part 1, table 3, the discovery object excepted, which is the card's own.
    pub(super) fn put_data(&mut self, command: &Command) -> Answer {
        self.managed()?;
        if (command.p1, command.p2) != (0x3F, 0xFF) {
            return Err(status::WRONG_P1P2);
        }
        let mut reader = tlv::Reader::new(&command.data);
        let (list, data) = match (reader.next(), reader.next(), reader.next()) {
            (Some(Ok(list)), Some(Ok(data)), None) if list.tag == 0x5C && data.tag == 0x53 => (list, data),
            _ => return Err(status::WRONG_DATA),
        };
        let tag = match list.value {
            [a @ 0x5F, b @ 0xC1, c @ 0x01..=0x23] => u32::from_be_bytes([0, *a, *b, *c]),
            _ => return Err(status::NOT_FOUND),
        };
        if data.value.is_empty() {
            self.objects.remove(&tag);
            return Ok(Zeroizing::default());
        }
        let whole = tlv::encode(0x53, data.value);
        if whole.len() > self.object_size {
            return Err(status::NO_MEMORY);
        }
        self.objects.insert(tag, whole);
        Ok(Zeroizing::default())
    }

    /// INS FF: algorithm, key reference, length, key.
    pub(super) fn set_management_key(&mut self, command: &Command) -> Answer {
        self.managed()?;
        if (command.p1, command.p2) != (0xFF, 0xFF) {
            return Err(status::WRONG_P1P2);
        }
        let [algorithm, MANAGEMENT, length, key @ ..] = command.data.as_slice() else {
            return Err(status::WRONG_DATA);
        };
        let algorithm = ManagementAlgorithm::from_identifier(*algorithm).ok_or(status::WRONG_DATA)?;
        let key = ManagementKey::new(key)
            .filter(|key| key.fits(algorithm) && key.octets().len() == usize::from(*length))
            .ok_or(status::WRONG_LENGTH)?;
        self.management = (algorithm, key);
        Ok(Zeroizing::default())
    }

    /// INS F7: what the card tells of a reference without any PIN.
    pub(super) fn metadata(&mut self, command: &Command) -> Answer {
        if command.p1 != 0 || !command.data.is_empty() {
            return Err(status::WRONG_P1P2);
        }
        let mut out = Zeroizing::new(Vec::with_capacity(512));
        let reference = match command.p2 {
            PIN => Some((&self.pin, b"123456\xff\xff")),
            PUK => Some((&self.puk, b"12345678")),
            _ => None,
        };
        if let Some((reference, factory)) = reference {
            tlv::write(&mut out, 0x05, &[u8::from(reference.is(factory))]);
            tlv::write(&mut out, 0x06, &[reference.full, reference.tries]);
            return Ok(out);
        }
        if command.p2 == MANAGEMENT {
            tlv::write(&mut out, 0x01, &[self.management.0.identifier()]);
            tlv::write(&mut out, 0x05, &[u8::from(self.management.1 == ManagementKey::factory())]);
            return Ok(out);
        }
        let key = self.keys.get(&command.p2).ok_or(status::NO_REFERENCE)?;
        tlv::write(&mut out, 0x01, &[key.algorithm().identifier()]);
        tlv::write(&mut out, 0x03, &[if self.generated.contains(&command.p2) { 1 } else { 2 }]);
        tlv::write(&mut out, 0x04, &key.public_template());
        Ok(out)
    }

    /// The mailbox login's object as it lies on the card, for a scenario that looks at what was written.
    pub fn printed_information(&self) -> Option<&[u8]> {
        self.objects.get(&tag::PRINTED_INFORMATION).and_then(|whole| tlv::single(whole, 0x53).ok())
    }
}
