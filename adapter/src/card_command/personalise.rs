//! The steps of `card issue` and `card renew`, each once on screen and once in the report.
//!
//! Their order is what makes a pulled card harmless. First the card gets what is the administrator's (GUID, management
//! key, and after what was its last owner's is gone the unblocking key), then its owner's PIN, then the mailbox login,
//! and its certificates last of all. So a card that bears both certificates is complete, one that does not can be issued
//! again, and no key is made or certified while the card still obeys its maker's well-known secrets, unless
//! `--keep-management-key` says so of its management key. No PIN is guessed: the unblocking key sets it.
//!
//! What follows from the secret and a GUID goes to the card that proves that the GUID is its own, or was just given it.

use std::time::SystemTime;

use sealfax_client::seam::Seams;
use sealfax_drivers::card::CardError;
use sealfax_drivers::card::object::MailboxLogin;
use sealfax_drivers::card::piv::{
    Algorithm, Authentication, LastTry, ManagementAlgorithm, ManagementKey, Piv, Reference, Slot, tag,
};
use sealfax_drivers::pin::Pin;
use serde_json::{Value, json};

use super::authority::{self, Authority, CommandLine};
use super::console::Console;
use super::error::CardCommandError;
use super::inventory::{Certified, Inventory, SLOTS, date, hexadecimal};
use super::proof;
use super::request::{self, Request, Subject};
use super::secrets::AdministratorSecret;
use super::unblocking;

/// How long a card is meant to be used: the CHUID's expiration date.
const CARD_YEARS: i32 = 10;

/// What was done, in order.
#[derive(Debug, Default)]
pub struct Checklist {
    steps: Vec<(&'static str, &'static str, String)>,
}

impl Checklist {
    fn tick(&mut self, console: &mut dyn Console, step: &'static str, state: &'static str, detail: String) {
        let mark = match state {
            "done" => "✓",
            "kept" => "=",
            _ => "!",
        };
        console.say(&format!("  {mark} {step:22}  {detail}"));
        self.steps.push((step, state, detail));
    }

    /// A step that was taken.
    pub fn done(&mut self, console: &mut dyn Console, step: &'static str, detail: impl Into<String>) {
        self.tick(console, step, "done", detail.into());
    }

    /// A step that was not needed.
    pub fn kept(&mut self, console: &mut dyn Console, step: &'static str, detail: impl Into<String>) {
        self.tick(console, step, "kept", detail.into());
    }

    /// A step that this card cannot take, and that it can live without.
    pub fn warned(&mut self, console: &mut dyn Console, step: &'static str, detail: impl Into<String>) {
        self.tick(console, step, "warning", detail.into());
    }

    /// For programs.
    pub fn json(&self) -> Value {
        self.steps.iter().map(|(step, state, detail)| json!({"step": step, "state": state, "detail": detail})).collect()
    }
}

/// The secrets that a card may have when it comes.
pub struct Known<'a> {
    /// The administrator's, from which each card's own follow.
    pub secret: &'a AdministratorSecret,
    /// The management key of a blank card.
    pub management: ManagementKey,
    /// What is known of the unblocking key.
    pub puk: unblocking::Told,
}

/// How the card let itself be administered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Administrator {
    /// It proved that it is the card whose GUID it tells: it has that card's own management key.
    Own,
    /// By its maker's key, or one that was told.
    Stranger {
        /// Whether it can prove that it has a key.
        proves: bool,
    },
}

impl Known<'_> {
    fn own_management(
        &self,
        guid: &[u8; 16],
        algorithm: ManagementAlgorithm,
    ) -> Result<ManagementKey, CardCommandError> {
        self.secret.management_key(guid, algorithm).ok_or(CardCommandError::ManagementKey)
    }
}

/// One card at work.
pub struct Work<'a> {
    /// The card.
    pub piv: Piv,
    /// The person.
    pub console: &'a mut dyn Console,
    /// What was done.
    pub list: &'a mut Checklist,
    /// Clock and chance.
    pub seams: &'a Seams,
}

impl Work<'_> {
    fn random<const N: usize>(&self) -> [u8; N] {
        let mut octets = [0; N];
        self.seams.entropy.fill(&mut octets);
        octets
    }

    /// Lets itself be known to the card as its administrator: by the card's own key, if the card proves that it is the one
    /// that it says it is, else by its maker's.
    pub fn administrator(
        &mut self,
        known: &Known<'_>,
        guid: Option<&[u8; 16]>,
    ) -> Result<Administrator, CardCommandError> {
        let entropy = self.seams.entropy.as_ref();
        if let Some(guid) = guid
            && proof::is_the_card(&mut self.piv, known.secret, guid, entropy)?
        {
            self.list.done(self.console, "administrator", "the card knows this secret");
            return Ok(Administrator::Own);
        }
        let algorithm = self.piv.management_algorithm()?;
        let challenge = self.random();
        let shown = match known.management.fits(algorithm) {
            true => self.piv.authenticate_management(&known.management, &challenge),
            false => Err(CardError::WrongManagementKey),
        };
        let proves = match shown {
            Ok(Authentication::Mutual(_)) => true,
            Ok(Authentication::External(_)) => false,
            Err(CardError::WrongManagementKey | CardError::Blocked) => return Err(CardCommandError::ManagementKey),
            Err(error) => return Err(error.into()),
        };
        self.list.done(self.console, "administrator", format!("with its present key ({})", algorithm.name()));
        Ok(Administrator::Stranger { proves })
    }

    /// Gives the card a GUID, unless it has one that may stay: its keys follow from it, so it is never one that somebody
    /// else may have written there.
    pub fn identifier(&mut self, stays: Option<[u8; 16]>) -> Result<[u8; 16], CardCommandError> {
        if let Some(guid) = stays {
            self.list.kept(self.console, "identifier", hexadecimal(&guid));
            return Ok(guid);
        }
        // A UUID of version 4 (RFC 9562 5.4).
        let mut guid: [u8; 16] = self.random();
        guid[6] = 0x40 | (guid[6] & 0x0F);
        guid[8] = 0x80 | (guid[8] & 0x3F);
        self.piv.put_chuid(&guid, &expiration(self.seams.clock.now()))?;
        if self.piv.guid()? != Some(guid) {
            return Err(CardCommandError::Unfit("the card did not keep its identifier; use another card".to_owned()));
        }
        self.list.done(self.console, "identifier", hexadecimal(&guid));
        Ok(guid)
    }

    /// Replaces the present management key by the card's own, AES-256 where the card has it.
    pub fn management_key(&mut self, known: &Known<'_>, guid: &[u8; 16]) -> Result<(), CardCommandError> {
        let present = self.piv.management_algorithm()?;
        for algorithm in [ManagementAlgorithm::Aes256, present] {
            let key = known.own_management(guid, algorithm)?;
            match self.piv.set_management_key(algorithm, &key) {
                Ok(()) => {
                    // The card proves that it has it, before its old one is forgotten here.
                    let challenge = self.random();
                    match self.piv.prove_management(&key, &challenge) {
                        Ok(_) => {}
                        Err(CardError::WrongManagementKey) => return Err(CardCommandError::ManagementKey),
                        Err(error) => return Err(error.into()),
                    }
                    self.list.done(self.console, "management key", format!("its own ({})", algorithm.name()));
                    return Ok(());
                }
                Err(CardError::Unsupported(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CardCommandError::KeptManagementKey(
            "keeps its maker's management key, which no command known here changes",
        ))
    }

    /// Takes everything of the card's last owner from it: their certificates and mailbox login, and then their keys, by
    /// making new ones. It is done before the card gets its new owner's PIN, which must never open what was theirs.
    pub fn overwrite(&mut self, algorithm: Algorithm) -> Result<Vec<(Slot, Vec<u8>)>, CardCommandError> {
        for slot in SLOTS {
            self.piv.put_data(slot.certificate_tag(), &[])?;
            match self.piv.certificate(slot) {
                Err(CardError::Missing(_)) => {}
                Ok(_) | Err(CardError::Malformed { .. }) => {
                    let why = "the card did not give up its last owner's certificate; use another card";
                    return Err(CardCommandError::Unfit(why.to_owned()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.piv.put_data(tag::PRINTED_INFORMATION, &[])?;
        self.list.done(self.console, "last owner", "certificates and mailbox login taken off the card");
        SLOTS.into_iter().map(|slot| Ok((slot, self.generate(slot, algorithm)?))).collect()
    }

    /// Sets unblocking key and PIN. On a card that comes from its maker the unblocking key is changed; on one that was
    /// `begun` before it probably is changed already. The own key follows from the GUID, and is another one if the card
    /// has not proven (`proven`) that the GUID is its own.
    pub fn references(
        &mut self,
        known: &Known<'_>,
        guid: &[u8; 16],
        proven: bool,
        begun: bool,
        pin: &Pin,
    ) -> Result<(), CardCommandError> {
        let own = if proven { known.secret.puk(guid) } else { known.secret.puk_of_an_unproven_card(guid) };
        let own = own.ok_or(CardCommandError::Puk)?;
        if unblocking::settle(&mut self.piv, &known.puk, &own, begun, pin)? {
            self.list.done(self.console, "unblocking key", "its own");
        } else {
            self.list.kept(self.console, "unblocking key", "its own");
        }
        self.piv.verify_pin(pin, LastTry::Refuse)?;
        self.list.done(self.console, "PIN", "as it was given");
        Ok(())
    }

    /// Writes the mailbox login and reads it back. The account gets its password first: a card that comes out in
    /// between has no certificates yet, and is issued again.
    pub fn mailbox(
        &mut self,
        login: &MailboxLogin,
        account: Option<&CommandLine>,
        pin: &Pin,
    ) -> Result<(), CardCommandError> {
        if let Some(command) = account {
            authority::set_account(command, login.password())?;
            self.list.done(self.console, "mail account", format!("{} has its password", login.login()));
        }
        self.piv.put_mailbox_login(login)?;
        self.piv.verify_pin(pin, LastTry::Refuse)?;
        if self.piv.mailbox_login()? != *login {
            return Err(CardCommandError::Unfit(
                "the card did not keep the mailbox login; use another card".to_owned(),
            ));
        }
        self.list.done(self.console, "mailbox login", format!("{}, readable after the PIN only", login.login()));
        Ok(())
    }

    /// Makes a key on the card.
    pub fn generate(&mut self, slot: Slot, algorithm: Algorithm) -> Result<Vec<u8>, CardCommandError> {
        self.console.say(&format!("    the card makes a key ({}), which may take a minute ...", algorithm.name()));
        let public_key = self.piv.generate(slot, algorithm)?;
        self.list.done(self.console, key_step(slot), format!("{} made on the card", algorithm.name()));
        Ok(public_key)
    }

    /// Has the card sign a request.
    pub fn request<'s>(
        &mut self,
        slot: Slot,
        public_key: Vec<u8>,
        subject: Subject<'s>,
        pin: &Pin,
    ) -> Result<Request<'s>, CardCommandError> {
        let request = request::make(&mut self.piv, slot, public_key, subject, pin)?;
        self.list.done(self.console, request_step(slot), "signed by the card's own key");
        Ok(request)
    }

    /// Has the authority sign a request, and writes what comes. A certificate that does not reach the card is named, so
    /// that it can be revoked.
    pub fn certify(&mut self, request: &Request<'_>, authority: &Authority) -> Result<(), CardCommandError> {
        let der = authority.certify(request, self.seams.clock.as_ref())?;
        let certified =
            Certified::read(der).ok_or_else(|| CardCommandError::AuthorityAnswer("it is no certificate".to_owned()))?;
        let orphan = |error| CardCommandError::Orphan { serial: certified.serial.clone(), source: Box::new(error) };
        self.write(request.slot, &certified).map_err(orphan)
    }

    /// Writes a certificate and reads it back.
    pub fn write(&mut self, slot: Slot, certified: &Certified) -> Result<(), CardCommandError> {
        self.piv.put_certificate(slot, &certified.der)?;
        if self.piv.certificate(slot)? != certified.der {
            return Err(CardCommandError::Unfit("the card did not keep its certificate; use another card".to_owned()));
        }
        let until = date(certified.validity.1);
        self.list.done(
            self.console,
            certificate_step(slot),
            format!("serial {} until {until}, written and read back", certified.serial),
        );
        Ok(())
    }

    /// The certificate among `candidates` whose key this card proves to have.
    pub fn own_certificate(
        &mut self,
        slot: Slot,
        candidates: &[Vec<u8>],
        address: &str,
        pin: &Pin,
    ) -> Result<Certified, CardCommandError> {
        let now = self.seams.clock.now();
        let told = self.piv.metadata(Reference::Key(slot))?.and_then(|metadata| metadata.public_key);
        for der in candidates {
            let Some(certified) = Certified::read(der.clone()) else { continue };
            let Some(algorithm) = certified.algorithm else { continue };
            let public_key = certified.public_key()?;
            if authority::check(der, slot, &public_key, address, now).is_err()
                || told.as_ref().is_some_and(|told| *told != public_key)
            {
                continue;
            }
            let mut message: [u8; 32] = self.random();
            message[0] = slot.key_reference();
            match proof::sign(&mut self.piv, slot, algorithm, pin, &message) {
                Ok(signature) if proof::verifies(&public_key, &message, &signature) => return Ok(certified),
                // Another kind of key than the card has is refused, or gives what does not verify.
                Ok(_) | Err(CardCommandError::Card(CardError::Status { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CardCommandError::AuthorityAnswer(format!(
            "among the certificates there is none of {address} for this card's key in {:02X}",
            slot.key_reference()
        )))
    }
}

/// Whose card it has to be.
pub fn expect_owner(inventory: &Inventory, address: &str) -> Result<(), CardCommandError> {
    match inventory.owner() {
        Some((_, found)) if !sealfax_smime::same_address(&found, address) => {
            Err(CardCommandError::OtherOwner { found, wanted: address.to_owned() })
        }
        _ => Ok(()),
    }
}

const fn key_step(slot: Slot) -> &'static str {
    match slot {
        Slot::KeyManagement => "decryption key 9D",
        _ => "signature key 9C",
    }
}

const fn request_step(slot: Slot) -> &'static str {
    match slot {
        Slot::KeyManagement => "request for 9D",
        _ => "request for 9C",
    }
}

const fn certificate_step(slot: Slot) -> &'static str {
    match slot {
        Slot::KeyManagement => "certificate in 9D",
        _ => "certificate in 9C",
    }
}

/// YYYYMMDD, so many years from now.
fn expiration(now: SystemTime) -> [u8; 8] {
    let today = time::OffsetDateTime::from(now).date();
    let (month, day) = (u8::from(today.month()), today.day());
    let year = (today.year() + CARD_YEARS).clamp(2000, 9999);
    // The 29th of February comes every four years only.
    let day = if (month, day) == (2, 29) { 28 } else { day };
    let mut out = *b"00000000";
    for (octet, digit) in out.iter_mut().zip(format!("{year:04}{month:02}{day:02}").bytes()) {
        *octet = digit;
    }
    out
}
