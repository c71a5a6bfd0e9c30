//! The card management key 9B: who has it may write the card. Authentication is mutual where the card knows it, so that
//! the card proves itself too, else external (NIST SP 800-73-5 part 2, 3.2.4 and appendix A.1; algorithms of NIST
//! SP 800-78-5, table 8).

use super::{CardError, Command, MANAGEMENT, Metadata, Piv, Reference, apdu, dynamic, ins, status, tlv};
use aes::{Aes128, Aes192, Aes256};
use cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::TdesEde3;
use zeroize::Zeroizing;

/// How the management key enciphers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManagementAlgorithm {
    /// Triple DES with three keys: what older cards leave their maker with. Withdrawn by SP 800-78-5.
    TripleDes,
    /// AES with 128 bits.
    Aes128,
    /// AES with 192 bits.
    Aes192,
    /// AES with 256 bits.
    Aes256,
}

impl ManagementAlgorithm {
    /// All, the strongest first.
    pub const ALL: [Self; 4] = [Self::Aes256, Self::Aes192, Self::Aes128, Self::TripleDes];

    /// The algorithm identifier, P1 of GENERAL AUTHENTICATE.
    pub const fn identifier(self) -> u8 {
        match self {
            Self::TripleDes => 0x03,
            Self::Aes128 => 0x08,
            Self::Aes192 => 0x0A,
            Self::Aes256 => 0x0C,
        }
    }

    /// The algorithm with this identifier. 00 is the card's default, which part 2, 3.2.4 says is triple DES.
    pub const fn from_identifier(identifier: u8) -> Option<Self> {
        match identifier {
            0x00 | 0x03 => Some(Self::TripleDes),
            0x08 => Some(Self::Aes128),
            0x0A => Some(Self::Aes192),
            0x0C => Some(Self::Aes256),
            _ => None,
        }
    }

    /// Octets of its key.
    pub const fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// Octets of its block, and so of a witness and a challenge.
    pub const fn block(self) -> usize {
        match self {
            Self::TripleDes => 8,
            _ => 16,
        }
    }

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TripleDes => "3DES",
            Self::Aes128 => "AES-128",
            Self::Aes192 => "AES-192",
            Self::Aes256 => "AES-256",
        }
    }
}

/// A management key. Zeroised when dropped; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ManagementKey(Zeroizing<Vec<u8>>);

impl ManagementKey {
    /// A key of 16, 24 or 32 octets; `None` for another length.
    pub fn new(octets: &[u8]) -> Option<Self> {
        matches!(octets.len(), 16 | 24 | 32).then(|| Self(Zeroizing::new(octets.to_vec())))
    }

    /// The key of 24 octets that cards leave their makers with: 01 02 03 04 05 06 07 08, three times.
    pub fn factory() -> Self {
        Self(Zeroizing::new([1, 2, 3, 4, 5, 6, 7, 8].repeat(3)))
    }

    /// Whether it is a key for this algorithm.
    pub fn fits(&self, algorithm: ManagementAlgorithm) -> bool {
        self.0.len() == algorithm.key_length()
    }

    /// The octets. Do not copy them into memory that is not zeroised.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Enciphers one block; `None` if key, block and algorithm do not fit each other.
    pub fn encrypt(&self, algorithm: ManagementAlgorithm, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.cipher(algorithm, block, Direction::Encrypt)
    }

    /// Deciphers one block, likewise.
    pub fn decrypt(&self, algorithm: ManagementAlgorithm, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.cipher(algorithm, block, Direction::Decrypt)
    }

    fn cipher(&self, algorithm: ManagementAlgorithm, block: &[u8], direction: Direction) -> Option<Zeroizing<Vec<u8>>> {
        let mut out = Zeroizing::new(block.to_vec());
        match algorithm {
            ManagementAlgorithm::TripleDes => direction.apply::<TdesEde3>(&self.0, &mut out),
            ManagementAlgorithm::Aes128 => direction.apply::<Aes128>(&self.0, &mut out),
            ManagementAlgorithm::Aes192 => direction.apply::<Aes192>(&self.0, &mut out),
            ManagementAlgorithm::Aes256 => direction.apply::<Aes256>(&self.0, &mut out),
        }?;
        Some(out)
    }
}

/// Which way a block goes through a cipher.
#[derive(Clone, Copy)]
enum Direction {
    Encrypt,
    Decrypt,
}

impl Direction {
    fn apply<C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt>(self, key: &[u8], block: &mut [u8]) -> Option<()> {
        let cipher = C::new_from_slice(key).ok()?;
        let block = <&mut Block<C>>::try_from(block).ok()?;
        match self {
            Self::Encrypt => cipher.encrypt_block(block),
            Self::Decrypt => cipher.decrypt_block(block),
        }
        Some(())
    }
}

impl std::fmt::Debug for ManagementKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ManagementKey(*, {} bits)", self.0.len() * 8)
    }
}

/// What an authentication with the management key has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Card and administrator have the same key, and each has proven it to the other.
    Mutual(ManagementAlgorithm),
    /// The card says that it takes the key. Any card can say so.
    External(ManagementAlgorithm),
}

impl Piv {
    /// Which algorithm the card's management key is of. Asks the card's metadata, else asks for a witness with each
    /// algorithm until the card gives one of the right length; neither spends a try.
    pub fn management_algorithm(&mut self) -> Result<ManagementAlgorithm, CardError> {
        if let Some(Metadata { algorithm: Some(identifier), .. }) = self.metadata(Reference::Management)?
            && let Some(algorithm) = ManagementAlgorithm::from_identifier(identifier)
        {
            return Ok(algorithm);
        }
        for asked in [dynamic::WITNESS, dynamic::CHALLENGE] {
            for algorithm in ManagementAlgorithm::ALL {
                if self.question(algorithm, asked)?.is_some() {
                    return Ok(algorithm);
                }
            }
        }
        Err(CardError::Unsupported("any algorithm for its management key (9B)"))
    }

    /// Authenticates with the management key; the card then lets itself be written until it loses power or another
    /// application is selected. `challenge` has to be fresh random octets: with them the card proves that it has the
    /// key as well, if it can.
    ///
    /// A card that cannot gets its own challenge enciphered: never call this with a key that only one card may have
    /// before that card has proven to be it; [`Piv::prove_management`] is for that.
    pub fn authenticate_management(
        &mut self,
        key: &ManagementKey,
        challenge: &[u8; 16],
    ) -> Result<Authentication, CardError> {
        let algorithm = self.management_algorithm()?;
        if !key.fits(algorithm) {
            return Err(CardError::WrongManagementKey);
        }
        match self.question(algorithm, dynamic::WITNESS)? {
            Some(witness) => {
                self.mutual(key, algorithm, &witness, challenge).map(|()| Authentication::Mutual(algorithm))
            }
            None => self.external(key, algorithm).map(|()| Authentication::External(algorithm)),
        }
    }

    /// The same, mutual or not at all: [`CardError::Unsupported`] for a card that gives no witness. So a card shows that
    /// it is the one that this key was given to. Spends no try of anything.
    ///
    /// What the standard leaves open stays open: a card that has the right one on the line at the same time can have it
    /// answer in its place.
    pub fn prove_management(
        &mut self,
        key: &ManagementKey,
        challenge: &[u8; 16],
    ) -> Result<ManagementAlgorithm, CardError> {
        let algorithm = self.management_algorithm()?;
        if !key.fits(algorithm) {
            return Err(CardError::WrongManagementKey);
        }
        let witness = self
            .question(algorithm, dynamic::WITNESS)?
            .ok_or(CardError::Unsupported("a way to prove that it has its management key (9B)"))?;
        self.mutual(key, algorithm, &witness, challenge).map(|()| algorithm)
    }

    /// Asks for a witness or a challenge; `None` if the card refuses or answers with another length.
    fn question(&mut self, algorithm: ManagementAlgorithm, tag: u32) -> Result<Option<Vec<u8>>, CardError> {
        let answer = self.management(algorithm, &tlv::encode(tag, &[]))?;
        if answer.status != status::OK {
            return Ok(None);
        }
        let given = tlv::single(&answer.data, dynamic::TEMPLATE).and_then(|inner| tlv::single(inner, tag));
        Ok(given.ok().filter(|given| given.len() == algorithm.block()).map(<[u8]>::to_vec))
    }

    /// Appendix A.1.2: we decipher the card's witness, the card enciphers our challenge.
    fn mutual(
        &mut self,
        key: &ManagementKey,
        algorithm: ManagementAlgorithm,
        witness: &[u8],
        challenge: &[u8; 16],
    ) -> Result<(), CardError> {
        let challenge = challenge.get(..algorithm.block()).unwrap_or(challenge);
        let deciphered = key.decrypt(algorithm, witness).ok_or(CardError::WrongManagementKey)?;
        let expected = key.encrypt(algorithm, challenge).ok_or(CardError::WrongManagementKey)?;
        let mut inner = Zeroizing::new(Vec::with_capacity(64));
        tlv::write(&mut inner, dynamic::WITNESS, &deciphered);
        tlv::write(&mut inner, dynamic::CHALLENGE, challenge);
        // An empty response object may follow as a request for one; there are cards that take it for a mistake.
        let answer = self.management(algorithm, &inner)?;
        judge(answer.status)?;
        let response = tlv::single(&answer.data, dynamic::TEMPLATE)
            .and_then(|inner| tlv::single(inner, dynamic::RESPONSE))
            .map_err(|e| CardError::Malformed { command: apdu::name(ins::GENERAL_AUTHENTICATE), what: e.what() })?;
        // What a card without the key could not have answered.
        if response == expected.as_slice() { Ok(()) } else { Err(CardError::WrongManagementKey) }
    }

    /// Appendix A.1.1: we encipher the card's challenge.
    fn external(&mut self, key: &ManagementKey, algorithm: ManagementAlgorithm) -> Result<(), CardError> {
        let challenge = self
            .question(algorithm, dynamic::CHALLENGE)?
            .ok_or(CardError::Unsupported("authentication with its management key (9B)"))?;
        let response = key.encrypt(algorithm, &challenge).ok_or(CardError::WrongManagementKey)?;
        let answer = self.management(algorithm, &tlv::encode(dynamic::RESPONSE, &response))?;
        judge(answer.status)
    }

    fn management(&mut self, algorithm: ManagementAlgorithm, inner: &[u8]) -> Result<apdu::Response, CardError> {
        let template = tlv::encode(dynamic::TEMPLATE, inner);
        self.exchange(&Command::new(ins::GENERAL_AUTHENTICATE, algorithm.identifier(), MANAGEMENT, &template, 256))
    }
}

/// The status word of the last step: whatever refuses here, refuses the key.
fn judge(sw: u16) -> Result<(), CardError> {
    match sw {
        status::OK => Ok(()),
        status::BLOCKED => Err(CardError::Blocked),
        status::SECURITY_STATUS | status::WRONG_DATA | 0x6300..=0x63CF => Err(CardError::WrongManagementKey),
        sw => Err(CardError::Status { command: apdu::name(ins::GENERAL_AUTHENTICATE), status: sw }),
    }
}
