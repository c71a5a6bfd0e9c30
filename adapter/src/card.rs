//! The card in the slot (A3-A6): what is read from it, the PIN, and its keys as [`PrivateKey`]s.
//!
//! One [`InsertedCard`] is one insertion. When the card is pulled every key made from it is dead, even if the same card
//! comes back. The PIN lives in locked memory from its entry until the act is over that it was given for, because the
//! signature key wants it before every signature (PIV: *PIN always*), and the confirmations of one RECEIVE are several;
//! it is only ever shown to the card that accepted it, and never when that card has but one try left. A reader with keys
//! of its own shows it to the card past us: there it is asked at every signature.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sealfax_drivers::card::object::MailboxLogin;
use sealfax_drivers::card::part10::Asking;
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
    /// PIN tries left at insertion; 0 is blocked.
    pub tries_left: u8,
    /// Whether the reader has keys of its own that take this card's PIN.
    pub pad: bool,
}

/// Is told when the reader begins to ask for the PIN of a signature, and when it is done.
pub type PadListener = Box<dyn Fn(bool) + Send + Sync>;

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
            // A reader that is gone says nothing against the card that was in it.
            CardError::Removed | CardError::NoReader => Self::Gone,
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
    /// The card has fewer tries left than the person was shown, this many, and was not asked: 0 is blocked.
    Untried(u8),
    /// At the reader's keys nobody typed in time, the person gave up, or typed too few digits.
    Cancelled,
    /// The card did not answer, or is gone.
    Failed(CardTrouble),
}

impl From<Result<(), CardError>> for PinAnswer {
    fn from(answer: Result<(), CardError>) -> Self {
        match answer {
            Ok(()) => Self::Accepted,
            Err(CardError::WrongPin { left }) => Self::Refused(left),
            Err(CardError::Blocked) => Self::Refused(0),
            Err(CardError::PinEntryCancelled | CardError::PinEntryTimedOut | CardError::PinEntryLength) => {
                Self::Cancelled
            }
            Err(error) => Self::Failed(error.into()),
        }
    }
}

/// One insertion of one card.
pub struct InsertedCard {
    identity: Identity,
    /// `None`: it was let go.
    piv: Mutex<Option<Piv>>,
    pin: Mutex<Option<Arc<Pin>>>,
    gone: AtomicBool,
    /// Before anything else is asked of the card, it is to forget that it saw a PIN.
    forget: AtomicBool,
    pad_listener: PadListener,
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
        let pad = piv.has_pin_pad();
        let incomplete = |why: &str| Unusable::new(CardFault::Incomplete, why);
        if piv.prefers_global_pin()? {
            return Err(incomplete("the card wants its Global PIN first, and is shown its PIV PIN alone here").into());
        }
        let signature_certificate = piv.certificate(Slot::Signature)?;
        let encryption_certificate = piv.certificate(Slot::KeyManagement)?;
        let tries_left = match piv.pin_tries_left()? {
            PinStatus::TriesLeft(left) => left,
            PinStatus::Verified => 1,
            PinStatus::Blocked => 0,
        };
        let address = |certificate: &[u8]| {
            path::addresses(certificate).into_iter().next().map(|address| normal_address(&address))
        };
        let signer = address(&signature_certificate).ok_or_else(|| incomplete("no address in the 9C certificate"))?;
        let reader = address(&encryption_certificate).ok_or_else(|| incomplete("no address in the 9D certificate"))?;
        if signer != reader {
            let why = "the certificates in 9C and 9D are of different addresses";
            return Err(Unusable::new(CardFault::OtherAddress, why).into());
        }
        let name = path::common_name(&signature_certificate)
            .unwrap_or_else(|| signer.split('@').next().unwrap_or(&signer).to_owned());
        let identity = Identity {
            owner: Owner { address: signer, name },
            signature_certificate,
            encryption_certificate,
            tries_left,
            pad,
        };
        let (piv, pin) = (Mutex::new(Some(piv)), Mutex::new(None));
        let (gone, forget) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { identity, piv, pin, gone, forget, pad_listener: Box::new(|_| ()) })
    }

    /// The same, where the adapter has a keypad of its own: the PIN is typed there, whatever keys the reader says it has.
    #[must_use]
    pub fn with_keypad(mut self) -> Self {
        self.identity.pad = false;
        self
    }

    /// The same, with somebody who is told when the reader asks for the PIN of a signature.
    pub fn telling(self, pad_listener: PadListener) -> Self {
        Self { pad_listener, ..self }
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

    /// The card is in and refused: it is dead to us, and whoever mends it may have it. What was read stays known.
    pub async fn let_go(self: &Arc<Self>) {
        self.pulled();
        let card = self.clone();
        let free = move || drop(card.piv.lock().unwrap_or_else(PoisonError::into_inner).take());
        // A driver that broke off holds it no longer either.
        let _ = tokio::task::spawn_blocking(free).await;
    }

    /// Wipes the PIN; signing wants it anew. The card forgets that it saw one before it is asked anything else.
    pub fn forget_pin(&self) {
        *self.pin.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.forget.store(true, Ordering::SeqCst);
    }

    /// Has the card itself forget now. What it says to that changes nothing: it is reset when it is let go.
    pub async fn forgotten(self: &Arc<Self>) {
        let _ = self.with_piv(|_| Ok(())).await;
    }

    /// How many PIN tries the card has left now; 0 is blocked. Spends none.
    pub async fn tries_left(self: &Arc<Self>) -> Result<u8, CardTrouble> {
        let before = self.identity.tries_left;
        let status = self.with_piv(Piv::pin_tries_left).await?;
        Ok(match status {
            PinStatus::TriesLeft(left) => left,
            PinStatus::Blocked => 0,
            // A card too old to forget has its full counter, which is not less than it was.
            PinStatus::Verified => before.max(1),
        })
    }

    /// Shows the card a PIN that a person has just typed. The screen told them that `shown` tries are left, so the last
    /// one is theirs to spend if that was what they saw.
    pub async fn verify_pin(self: &Arc<Self>, pin: Arc<Pin>, shown: u8) -> PinAnswer {
        let typed = pin.clone();
        let answer = self.asked(move |piv| piv.verify_pin(&typed, LastTry::Shown(shown))).await;
        if answer == PinAnswer::Accepted {
            *self.pin.lock().unwrap_or_else(PoisonError::into_inner) = Some(pin);
        }
        answer
    }

    /// Has the reader ask for the PIN on its own keys, and the card compare it; `shown` as above.
    pub async fn verify_pin_on_pad(self: &Arc<Self>, shown: u8) -> PinAnswer {
        self.asked(move |piv| piv.verify_pin_on_pad(Asking::default(), LastTry::Shown(shown))).await
    }

    /// The answer to a PIN; a card that was not asked is asked how many tries it really has.
    async fn asked(
        self: &Arc<Self>,
        ask: impl FnOnce(&mut Piv) -> Result<(), CardError> + Send + 'static,
    ) -> PinAnswer {
        let answer = self.with_piv(move |piv| {
            Ok(match ask(piv) {
                Err(CardError::LastTry) => match piv.pin_tries_left()? {
                    PinStatus::TriesLeft(left) => PinAnswer::Untried(left),
                    PinStatus::Blocked => PinAnswer::Untried(0),
                    // It did not say so a moment ago.
                    PinStatus::Verified => PinAnswer::Untried(1),
                },
                answer => answer.into(),
            })
        });
        answer.await.unwrap_or_else(|error| PinAnswer::Failed(error.into()))
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

    /// *PIN always*: the card wants it in the command just before a signature. The last try is never spent here.
    fn verify_for_signature(&self, piv: &mut Piv) -> Result<(), CardError> {
        let held = self.pin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match held {
            Some(pin) => piv.verify_pin(&pin, LastTry::Refuse),
            None if self.identity.pad => {
                (self.pad_listener)(true);
                let answer = piv.verify_pin_on_pad(Asking::default(), LastTry::Refuse);
                (self.pad_listener)(false);
                answer
            }
            None => Err(CardError::PinRequired),
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
            let mut piv = card.piv.lock().unwrap_or_else(PoisonError::into_inner);
            let piv = piv.as_mut().ok_or(CardError::Removed)?;
            if card.forget.swap(false, Ordering::SeqCst) {
                let _ = piv.forget_pin();
            }
            work(piv)
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

impl CardKey {
    /// Whether a person types their PIN at the reader for every single use.
    pub fn asks_each_time(&self) -> bool {
        self.slot == Slot::Signature && self.card.identity.pad
    }
}

#[async_trait]
impl PrivateKey for CardKey {
    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    async fn raw(&self, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let algorithm = Algorithm::of_certificate(&self.certificate)
            .ok_or_else(|| KeyError::Failed("the card's key is of a kind this adapter does not know".into()))?;
        let (slot, block) = (self.slot, Zeroizing::new(block.to_vec()));
        let card = self.card.clone();
        self.card
            .with_piv(move |piv| {
                if slot == Slot::Signature {
                    card.verify_for_signature(piv)?;
                }
                piv.raw(slot, algorithm, &block)
            })
            .await
            .map_err(|error| match error {
                CardError::Removed | CardError::NoReader => KeyError::Gone,
                CardError::PinRequired
                | CardError::PinEntryCancelled
                | CardError::PinEntryTimedOut
                | CardError::PinEntryLength => KeyError::PinRequired,
                other => KeyError::Failed(other.to_string()),
            })
    }
}
