//! The card in the slot (A3-A6): what is read from it, the PIN, and its keys as [`PrivateKey`]s.
//!
//! One [`InsertedCard`] is one insertion. When the card is pulled every key made from it is dead, even if the same card
//! comes back. The PIN lives in zeroised memory from its entry until the card is pulled, because the signature key
//! wants it before every signature (PIV: *PIN always*); it is only ever shown to the card that accepted it, and never
//! when that card has but one try left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sealfax_drivers::card::object::MailboxLogin;
use sealfax_drivers::card::piv::{Algorithm, LastTry, PinStatus, Piv, Slot};
use sealfax_drivers::card::{CardChannel, CardError};
use sealfax_drivers::display::CardFault;
use sealfax_drivers::pin::Pin;
use sealfax_smime::{KeyError, PrivateKey, path};
use zeroize::Zeroizing;

use crate::flow::{Owner, normal_address};

/// What a card says of itself before any PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose card it is, by its signature certificate.
    pub owner: Owner,
    /// Slot 9C, DER.
    pub signature_certificate: Vec<u8>,
    /// Slot 9D, DER.
    pub encryption_certificate: Vec<u8>,
    /// PIN tries left; 0 is blocked.
    pub tries_left: u8,
}

/// Why a card is not accepted, with the detail for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What the screen says.
    pub fault: CardFault,
    /// What the journal says.
    pub why: String,
}

impl Unusable {
    fn new(fault: CardFault, why: impl ToString) -> Self {
        Self { fault, why: why.to_string() }
    }
}

impl From<CardError> for Unusable {
    fn from(error: CardError) -> Self {
        let fault = match error {
            CardError::Missing(_) => CardFault::Incomplete,
            _ => CardFault::Unreadable,
        };
        Self::new(fault, error)
    }
}

/// Why a card did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardTrouble {
    /// It was pulled meanwhile. That says nothing against the card, and nothing is refused because of it.
    Gone,
    /// It is in and cannot be used.
    Unusable(Unusable),
}

impl From<Unusable> for CardTrouble {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

impl From<CardError> for CardTrouble {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Removed => Self::Gone,
            error => Self::Unusable(error.into()),
        }
    }
}

/// What the card says to a PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinAnswer {
    /// Right.
    Accepted,
    /// Wrong; tries left, 0 is blocked.
    Refused(u8),
    /// The card did not answer, or is gone.
    Failed(CardTrouble),
}

/// One insertion of one card.
pub struct InsertedCard {
    identity: Identity,
    piv: Mutex<Piv>,
    pin: Mutex<Option<Pin>>,
    gone: AtomicBool,
}

impl std::fmt::Debug for InsertedCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InsertedCard").field("owner", &self.identity.owner).finish_non_exhaustive()
    }
}

impl InsertedCard {
    /// A3, A4: reads certificates, address and retry counter. Blocks while the card answers.
    pub fn read(channel: Box<dyn CardChannel>) -> Result<Self, CardTrouble> {
        let mut piv = Piv::select(channel)?;
        let signature_certificate = piv.certificate(Slot::Signature)?;
        let encryption_certificate = piv.certificate(Slot::KeyManagement)?;
        let tries_left = match piv.pin_tries_left()? {
            PinStatus::TriesLeft(left) => left,
            PinStatus::Verified => 1,
            PinStatus::Blocked => 0,
        };
        let incomplete = |why: &str| Unusable::new(CardFault::Incomplete, why);
        let address = |certificate: &[u8]| {
            path::addresses(certificate).into_iter().next().map(|address| normal_address(&address))
        };
        let signer = address(&signature_certificate).ok_or_else(|| incomplete("no address in the 9C certificate"))?;
        let reader = address(&encryption_certificate).ok_or_else(|| incomplete("no address in the 9D certificate"))?;
        if signer != reader {
            return Err(incomplete("the certificates in 9C and 9D are of different addresses").into());
        }
        let name = path::common_name(&signature_certificate)
            .unwrap_or_else(|| signer.split('@').next().unwrap_or(&signer).to_owned());
        let identity = Identity {
            owner: Owner { address: signer, name },
            signature_certificate,
            encryption_certificate,
            tries_left,
        };
        Ok(Self { identity, piv: Mutex::new(piv), pin: Mutex::new(None), gone: AtomicBool::new(false) })
    }

    /// What was read at insertion.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The card is out: its PIN is wiped and its keys are dead.
    pub fn pulled(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.forget_pin();
    }

    /// Wipes the PIN; signing wants it anew.
    pub fn forget_pin(&self) {
        *self.pin.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Shows the card a PIN that a person has just typed. The screen told them how many tries are left, so the last
    /// one is theirs to spend.
    pub async fn verify_pin(self: &Arc<Self>, pin: Pin) -> PinAnswer {
        let shown = pin.clone();
        let answer = self.with_piv(move |piv| piv.verify_pin(&shown, LastTry::Allow)).await;
        match answer {
            Ok(()) => {
                *self.pin.lock().unwrap_or_else(PoisonError::into_inner) = Some(pin);
                PinAnswer::Accepted
            }
            Err(CardError::WrongPin { left }) => PinAnswer::Refused(left),
            Err(CardError::Blocked) => PinAnswer::Refused(0),
            Err(error) => PinAnswer::Failed(error.into()),
        }
    }

    /// P3: login and password of the owner's mailbox; only after the PIN.
    pub async fn mailbox_login(self: &Arc<Self>) -> Result<MailboxLogin, CardError> {
        self.with_piv(Piv::mailbox_login).await
    }

    /// The signature key (9C).
    pub fn signature_key(self: &Arc<Self>) -> CardKey {
        CardKey { card: self.clone(), slot: Slot::Signature, certificate: self.identity.signature_certificate.clone() }
    }

    /// The decryption key (9D).
    pub fn decryption_key(self: &Arc<Self>) -> CardKey {
        CardKey {
            card: self.clone(),
            slot: Slot::KeyManagement,
            certificate: self.identity.encryption_certificate.clone(),
        }
    }

    /// A card blocks while it computes: its work is done where blocking is allowed.
    async fn with_piv<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Piv) -> Result<T, CardError> + Send + 'static,
    ) -> Result<T, CardError> {
        let card = self.clone();
        tokio::task::spawn_blocking(move || {
            if card.gone.load(Ordering::SeqCst) {
                return Err(CardError::Removed);
            }
            work(&mut card.piv.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .unwrap_or_else(|_| Err(CardError::Reader("the exchange with the card was broken off".into())))
    }
}

/// A key of an inserted card.
#[derive(Debug, Clone)]
pub struct CardKey {
    card: Arc<InsertedCard>,
    slot: Slot,
    certificate: Vec<u8>,
}

#[async_trait]
impl PrivateKey for CardKey {
    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let algorithm = Algorithm::of_certificate(&self.certificate)
            .ok_or_else(|| KeyError::Failed("the card's key is of a kind this adapter does not know".into()))?;
        let pin = match self.slot {
            Slot::Signature => {
                let held = self.card.pin.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Some(held.ok_or(KeyError::PinRequired)?)
            }
            _ => None,
        };
        let (slot, block) = (self.slot, Zeroizing::new(block.to_vec()));
        self.card
            .with_piv(move |piv| {
                if let Some(pin) = pin {
                    piv.verify_pin(&pin, LastTry::Refuse)?;
                }
                piv.raw(slot, algorithm, &block)
            })
            .await
            .map_err(|error| match error {
                CardError::Removed => KeyError::Gone,
                CardError::PinRequired => KeyError::PinRequired,
                other => KeyError::Failed(other.to_string()),
            })
    }
}
