//! `card show`: what is on the card, whose it is, until when, and how many tries are left; without a PIN and without
//! spending a try.

use std::time::SystemTime;

use sealfax_drivers::card::CardError;
use sealfax_drivers::card::piv::{Algorithm, ManagementAlgorithm, PinStatus, Piv, Reference, Slot};
use sealfax_smime::path;
use serde_json::{Value, json};

use super::console::{Console, visible};
use super::error::CardCommandError;

/// The keys that an adapter uses.
pub const SLOTS: [Slot; 2] = [Slot::Signature, Slot::KeyManagement];

/// A certificate on the card.
#[derive(Debug, Clone)]
pub struct Certified {
    /// DER.
    pub der: Vec<u8>,
    /// The subject's commonName.
    pub name: Option<String>,
    /// The first rfc822Name.
    pub address: Option<String>,
    /// The certified key's algorithm, if it is one of ours.
    pub algorithm: Option<Algorithm>,
    /// The serial number, hexadecimal.
    pub serial: String,
    /// The issuer's name.
    pub issuer: String,
    /// notBefore and notAfter.
    pub validity: (SystemTime, SystemTime),
}

impl Certified {
    /// Reads a certificate; `None` if it is none. Its words may stand on a terminal, whoever wrote them.
    pub fn read(der: Vec<u8>) -> Option<Self> {
        Some(Self {
            name: path::common_name(&der).map(|name| visible(&name)),
            address: path::addresses(&der).into_iter().next().map(|address| visible(&address)),
            algorithm: Algorithm::of_certificate(&der),
            serial: hexadecimal(&path::serial(&der).ok()?),
            issuer: visible(&path::issuer(&der).ok()?),
            validity: path::validity(&der).ok()?,
            der,
        })
    }

    /// The certified key, SubjectPublicKeyInfo.
    pub fn public_key(&self) -> Result<Vec<u8>, CardCommandError> {
        path::public_key(&self.der).map_err(|error| CardCommandError::Unfit(error.to_string()))
    }
}

/// What a slot's certificate object holds.
#[derive(Debug, Clone)]
pub enum Holding {
    /// Nothing.
    Empty,
    /// Octets that are no certificate.
    Unreadable(String),
    /// A certificate.
    Certificate(Box<Certified>),
}

/// Everything that a card tells without a PIN.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The card's identifier, if its CHUID has one.
    pub guid: Option<[u8; 16]>,
    /// The PIN's retry counter.
    pub pin: PinStatus,
    /// The unblocking key's retry counter, if the card tells.
    pub puk: Option<u8>,
    /// How the management key enciphers, if the card tells.
    pub management: Option<ManagementAlgorithm>,
    /// Which of PIN, unblocking key and management key are still the maker's, if the card tells.
    pub factory: [Option<bool>; 3],
    /// The card wants its Global PIN first, which an adapter does not ask for.
    pub global_pin: bool,
    /// 9C and 9D.
    pub slots: [(Slot, Holding); 2],
}

impl Inventory {
    /// Reads it.
    pub fn read(piv: &mut Piv) -> Result<Self, CardCommandError> {
        let guid = piv.guid()?.filter(|guid| *guid != [0; 16]);
        let pin = piv.pin_tries_left()?;
        let puk = piv.puk_tries_left()?;
        let management = match piv.management_algorithm() {
            Ok(algorithm) => Some(algorithm),
            Err(CardError::Unsupported(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let mut factory = [None; 3];
        for (place, reference) in factory.iter_mut().zip([Reference::Pin, Reference::Puk, Reference::Management]) {
            *place = piv.metadata(reference)?.and_then(|metadata| metadata.factory);
        }
        let mut holding = |slot: Slot| {
            Ok::<_, CardCommandError>(match piv.certificate(slot) {
                Ok(der) => match Certified::read(der) {
                    Some(certified) => Holding::Certificate(Box::new(certified)),
                    None => Holding::Unreadable("its octets are no certificate".to_owned()),
                },
                Err(CardError::Missing(_)) => Holding::Empty,
                Err(error @ CardError::Malformed { .. }) => Holding::Unreadable(error.to_string()),
                Err(error) => return Err(error.into()),
            })
        };
        let [signature, management_slot] = SLOTS;
        let slots = [(signature, holding(signature)?), (management_slot, holding(management_slot)?)];
        let global_pin = piv.prefers_global_pin()?;
        Ok(Self { guid, pin, puk, management, factory, global_pin, slots })
    }

    /// The certificate in a slot.
    pub fn certificate(&self, slot: Slot) -> Option<&Certified> {
        self.slots.iter().find(|(one, _)| *one == slot).and_then(|(_, holding)| match holding {
            Holding::Certificate(certified) => Some(&**certified),
            _ => None,
        })
    }

    /// The certificate that says whose card it is: the first.
    pub fn of_the_owner(&self) -> Option<(Slot, &Certified)> {
        SLOTS.into_iter().find_map(|slot| Some((slot, self.certificate(slot)?)))
    }

    /// Name and address of the card's owner, by that certificate.
    pub fn owner(&self) -> Option<(String, String)> {
        let (_, certified) = self.of_the_owner()?;
        let address = certified.address.clone()?;
        Some((certified.name.clone().unwrap_or_else(|| address.clone()), address))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let [pin, puk, management] = self.factory;
        let keys: Vec<Value> = self.slots.iter().map(|(slot, holding)| key_json(*slot, holding)).collect();
        json!({
            "guid": self.guid.map(|guid| hexadecimal(&guid)),
            "owner": self.owner().map(|(name, address)| json!({"name": name, "address": address})),
            "pin": {
                "tries_left": tries(self.pin),
                "blocked": self.pin == PinStatus::Blocked,
                "factory": pin,
                "global_first": self.global_pin,
            },
            "puk": {"tries_left": self.puk, "factory": puk},
            "management_key": {"algorithm": self.management.map(ManagementAlgorithm::name), "factory": management},
            "keys": keys,
        })
    }

    /// For people.
    pub fn tell(&self, console: &mut dyn Console) {
        match self.owner() {
            Some((name, address)) => console.say(&format!("Card of {name} <{address}>")),
            None => console.say("A card of nobody yet"),
        }
        match self.guid {
            Some(guid) => console.say(&format!("  GUID            {}", hexadecimal(&guid))),
            None => console.say("  GUID            none: the card was not issued yet"),
        }
        for (slot, holding) in &self.slots {
            let reference = slot.key_reference();
            match holding {
                Holding::Empty => console.say(&format!("  {reference:02X}              no certificate")),
                Holding::Unreadable(why) => console.say(&format!("  {reference:02X}              unreadable: {why}")),
                Holding::Certificate(certified) => {
                    let algorithm =
                        certified.algorithm.map_or("a kind of key this adapter does not use", Algorithm::name);
                    console.say(&format!(
                        "  {reference:02X}              {algorithm}, {} to {}, serial {}, by {}",
                        date(certified.validity.0),
                        date(certified.validity.1),
                        certified.serial,
                        certified.issuer
                    ));
                }
            }
        }
        let [pin, puk, management] = self.factory;
        let note = |factory: Option<bool>| if factory == Some(true) { " (still its maker's)" } else { "" };
        let pin_tries = match self.pin {
            PinStatus::Blocked => "blocked: `card unblock` gives it a new one".to_owned(),
            PinStatus::Verified => "verified just now".to_owned(),
            PinStatus::TriesLeft(left) => format!("{left} tries left"),
        };
        console.say(&format!("  PIN             {pin_tries}{}", note(pin)));
        if self.global_pin {
            console.say(
                "  PIN policy      the card's Global PIN first, which an adapter does not ask for: use another card",
            );
        }
        let puk_tries =
            self.puk.map_or("the card does not tell its tries".to_owned(), |left| format!("{left} tries left"));
        console.say(&format!("  Unblocking key  {puk_tries}{}", note(puk)));
        let algorithm = self.management.map_or("the card does not tell", ManagementAlgorithm::name);
        console.say(&format!("  Management key  {algorithm}{}", note(management)));
        console.say("  Mailbox login   behind the PIN: `card verify` looks at it");
    }
}

fn tries(status: PinStatus) -> Option<u8> {
    match status {
        PinStatus::TriesLeft(left) => Some(left),
        PinStatus::Blocked => Some(0),
        PinStatus::Verified => None,
    }
}

fn key_json(slot: Slot, holding: &Holding) -> Value {
    let certificate = match holding {
        Holding::Certificate(one) => json!({
            "name": one.name,
            "address": one.address,
            "algorithm": one.algorithm.map(Algorithm::name),
            "serial": one.serial,
            "issuer": one.issuer,
            "not_before": rfc3339(one.validity.0),
            "not_after": rfc3339(one.validity.1),
        }),
        _ => Value::Null,
    };
    json!({
        "slot": format!("{:02X}", slot.key_reference()),
        "use": super::request::usage(slot),
        "unreadable": matches!(holding, Holding::Unreadable(_)),
        "certificate": certificate,
    })
}

/// Lower-case hexadecimal.
pub fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn rfc3339(time: SystemTime) -> String {
    time::OffsetDateTime::from(time).format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// YYYY-MM-DD in universal time.
pub fn date(time: SystemTime) -> String {
    rfc3339(time).split('T').next().unwrap_or_default().to_owned()
}
