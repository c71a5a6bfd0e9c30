//! What a card tells of a key or a reference beyond the standard: the command GET METADATA (INS F7), which no standard
//! has and which cards of several makers know. It needs no PIN and spends no try; a card without it says nothing.

use super::{Algorithm, CardError, Command, MANAGEMENT, PIN, PUK, Piv, Slot, apdu, ins, public_key, status, tlv};

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The PIN, 80.
    Pin,
    /// The unblocking key, 81.
    Puk,
    /// The management key, 9B.
    Management,
    /// An asymmetric key.
    Key(Slot),
}

/// What the card says; every part may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Metadata {
    /// The algorithm identifier (NIST SP 800-78-5).
    pub algorithm: Option<u8>,
    /// Whether the value is the one that the card left its maker with.
    pub factory: Option<bool>,
    /// Tries left.
    pub tries_left: Option<u8>,
    /// Whether the key was made on the card, so that nobody else can have it.
    pub generated: Option<bool>,
    /// The public key as a SubjectPublicKeyInfo, DER.
    pub public_key: Option<Vec<u8>>,
}

impl Piv {
    /// Asks for metadata; `None` if the card does not tell, or has no such key.
    pub fn metadata(&mut self, reference: Reference) -> Result<Option<Metadata>, CardError> {
        let p2 = match reference {
            Reference::Pin => PIN,
            Reference::Puk => PUK,
            Reference::Management => MANAGEMENT,
            Reference::Key(slot) => slot.key_reference(),
        };
        let answer = self.exchange(&Command::new(ins::GET_METADATA, 0, p2, &[], 256))?;
        if answer.status != status::OK {
            return Ok(None);
        }
        parse(&answer.data)
            .map(Some)
            .map_err(|what| CardError::Malformed { command: apdu::name(ins::GET_METADATA), what })
    }

    /// The unblocking key's tries left; `None` if the card does not tell. Never spends one: the standard has no
    /// question for it, so the card's metadata is asked, and then an empty VERIFY, which has nothing to compare.
    pub fn puk_tries_left(&mut self) -> Result<Option<u8>, CardError> {
        if let Some(left) = self.metadata(Reference::Puk)?.and_then(|metadata| metadata.tries_left) {
            return Ok(Some(left));
        }
        let answer = self.exchange(&Command::new(ins::VERIFY, 0, PUK, &[], 0))?;
        Ok(match answer.status {
            status::BLOCKED => Some(0),
            sw @ 0x63C0..=0x63CF => Some(super::tries(sw)),
            _ => None,
        })
    }
}

fn parse(data: &[u8]) -> Result<Metadata, &'static str> {
    const ALGORITHM: u32 = 0x01;
    const ORIGIN: u32 = 0x03;
    const PUBLIC_KEY: u32 = 0x04;
    const FACTORY: u32 = 0x05;
    const TRIES: u32 = 0x06;
    let field = |tag| tlv::find(data, tag).map_err(tlv::TlvError::what);
    let octet = |tag| Ok::<_, &'static str>(field(tag)?.and_then(|value| value.first().copied()));
    let algorithm = octet(ALGORITHM)?;
    let public_key = match (field(PUBLIC_KEY)?, algorithm.and_then(Algorithm::from_identifier)) {
        (Some(template), Some(algorithm)) => Some(public_key::subject_public_key_info(algorithm, template)?),
        _ => None,
    };
    Ok(Metadata {
        algorithm,
        factory: octet(FACTORY)?.map(|value| value != 0),
        // Total, then left.
        tries_left: field(TRIES)?.and_then(|value| value.get(1).copied()),
        generated: octet(ORIGIN)?.map(|value| value == 1),
        public_key,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tries_and_origin() {
        let puk = parse(&[0x05, 1, 1, 0x06, 2, 3, 2]).unwrap();
        assert_eq!((puk.factory, puk.tries_left, puk.algorithm), (Some(true), Some(2), None));
        assert_eq!(parse(&[]).unwrap(), Metadata::default());
        assert!(parse(&[0x06, 5, 1]).is_err());
    }

    proptest! {
        #[test]
        fn noise_ends(data in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&data);
        }
    }
}
