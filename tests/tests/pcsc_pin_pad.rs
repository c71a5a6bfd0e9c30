//! A reader with keys of its own (PC/SC part 10) behind a real pcscd: the driver's structures as the reader gets them, and
//! every way a person can end a PIN entry. And the same reader unplugged and plugged.
#![cfg(feature = "pcsc")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealfax_drivers::card::CardEvent::{Inserted, ReaderFound, ReaderLost, Removed};
use sealfax_drivers::card::part10::Asking;
use sealfax_drivers::card::pcsc::PcscReader;
use sealfax_drivers::card::piv::{Algorithm, LastTry, PinStatus, Piv, Slot};
use sealfax_drivers::card::{CardError, CardReader};
use sealfax_drivers::pattern::NamePattern;
use sealfax_drivers::pin::Pin;
use sealfax_rig::peer::pcscd::Pcscd;
use sealfax_rig::virtual_card::CardHandle;
use sealfax_rig::virtual_card::vpcd::{ATR, ATR_EXTENDED, ATR_T0};
use sealfax_tests::bridge::{self, code};
use sealfax_tests::cards::{PIN, card, profile};
use sealfax_tests::pcscd::in_own_process;

const PATIENCE: Duration = Duration::from_secs(60);
const GET_FEATURE_REQUEST: u32 = 0x4200_0000 + 3400;
const VERIFY_PIN_DIRECT: u32 = 0x4233_0006;
const MODIFY_PIN_DIRECT: u32 = 0x4233_0007;
const TLV_PROPERTIES: u32 = 0x4233_0012;

/// What the person at the reader's keys does.
#[derive(Debug, Clone)]
enum Person {
    Types(&'static str),
    Changes { old: &'static str, new: &'static str, again: &'static str },
    Cancels,
    Sleeps,
    Pulls,
}

/// A reader with keys, the card in it, and the person before it.
struct PinPad {
    plugged: bool,
    keys: bool,
    properties: Vec<u8>,
    atr: Vec<u8>,
    card: Option<CardHandle>,
    person: Person,
    /// Every structure that the driver sent.
    structures: Vec<(u32, Vec<u8>)>,
    /// Every command that the driver itself sent to the card.
    commands: Vec<Vec<u8>>,
}

impl PinPad {
    fn new() -> Self {
        Self {
            plugged: true,
            keys: true,
            properties: Vec::new(),
            atr: ATR.to_vec(),
            card: None,
            person: Person::Sleeps,
            structures: Vec::new(),
            commands: Vec::new(),
        }
    }

    fn card_gets(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        self.card.as_ref().map(|card| card.lock().unwrap().transmit(command))
    }

    /// Reads PIN_VERIFY_STRUCTURE as the standard has it, lets the person type, and gives the command to the card.
    fn verify(&mut self, structure: &[u8]) -> Option<Vec<u8>> {
        let (head, command) = structure.split_at(19);
        assert_eq!(u32::from_le_bytes(head[15..19].try_into().unwrap()) as usize, command.len(), "ulDataLength");
        assert_eq!((head[2], head[3], head[4]), (0x82, 0x08, 0x00), "ASCII, left-justified, eight octets, no length");
        let (max, min) = (usize::from(head[5]), usize::from(head[6]));
        let typed = match &self.person {
            Person::Types(digits) => *digits,
            Person::Cancels => return Some(vec![0x64, 0x01]),
            Person::Pulls => {
                self.card = None;
                return None;
            }
            _ => return Some(vec![0x64, 0x00]),
        };
        if !(min..=max).contains(&typed.len()) {
            return Some(vec![0x64, 0x03]);
        }
        let mut command = command.to_vec();
        command[5..5 + typed.len()].copy_from_slice(typed.as_bytes());
        self.card_gets(&command)
    }

    /// The same with PIN_MODIFY_STRUCTURE.
    fn modify(&mut self, structure: &[u8]) -> Option<Vec<u8>> {
        let (head, command) = structure.split_at(24);
        assert_eq!(u32::from_le_bytes(head[20..24].try_into().unwrap()) as usize, command.len(), "ulDataLength");
        let (to_old, to_new) = (5 + usize::from(head[5]), 5 + usize::from(head[6]));
        assert_eq!(head[9], 0x03, "bConfirmPIN: the old one too, the new one twice");
        let Person::Changes { old, new, again } = &self.person else { return Some(vec![0x64, 0x00]) };
        if new != again {
            return Some(vec![0x64, 0x02]);
        }
        let mut command = command.to_vec();
        command[to_old..to_old + old.len()].copy_from_slice(old.as_bytes());
        command[to_new..to_new + new.len()].copy_from_slice(new.as_bytes());
        self.card_gets(&command)
    }
}

impl bridge::Reader for PinPad {
    fn presence(&mut self) -> u32 {
        match (self.plugged, &self.card) {
            (false, _) => code::NO_SUCH_DEVICE,
            (true, Some(_)) => code::PRESENT,
            (true, None) => code::NOT_PRESENT,
        }
    }

    fn power(&mut self) -> Vec<u8> {
        if let Some(card) = &self.card {
            card.lock().unwrap().power_up();
        }
        self.atr.clone()
    }

    fn transmit(&mut self, _: u32, command: &[u8]) -> Option<Vec<u8>> {
        self.commands.push(command.to_vec());
        if self.plugged { self.card_gets(command) } else { None }
    }

    fn control(&mut self, number: u32, input: &[u8]) -> Option<Vec<u8>> {
        match number {
            GET_FEATURE_REQUEST if self.keys => {
                let feature = |tag: u8, code: u32| [vec![tag, 4], code.to_be_bytes().to_vec()].concat();
                let list =
                    [feature(6, VERIFY_PIN_DIRECT), feature(7, MODIFY_PIN_DIRECT), feature(0x12, TLV_PROPERTIES)];
                Some(list.concat())
            }
            TLV_PROPERTIES => Some(self.properties.clone()),
            VERIFY_PIN_DIRECT => {
                self.structures.push((number, input.to_vec()));
                self.verify(input)
            }
            MODIFY_PIN_DIRECT => {
                self.structures.push((number, input.to_vec()));
                self.modify(input)
            }
            _ => None,
        }
    }
}

struct Desk {
    pad: Arc<Mutex<PinPad>>,
    reader: PcscReader,
    runtime: tokio::runtime::Runtime,
    pcscd: Pcscd,
}

impl Desk {
    fn new(pad: PinPad) -> Self {
        let pad = Arc::new(Mutex::new(pad));
        let pcscd = bridge::start(pad.clone()).unwrap();
        let reader = PcscReader::open(NamePattern::new("Bridge")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { pad, reader, runtime, pcscd }
    }

    fn expect(&mut self, event: sealfax_drivers::card::CardEvent) {
        let next = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.reader.next_event()).await });
        assert_eq!(next.unwrap_or_else(|_| panic!("no event; {}", self.pcscd.log())).unwrap(), event);
    }

    fn card(&mut self) -> Piv {
        self.pad.lock().unwrap().card = Some(card(profile("hanako@b.example")));
        self.expect(Inserted);
        Piv::select(self.reader.connect().unwrap()).unwrap()
    }

    fn person(&self, person: Person) {
        self.pad.lock().unwrap().person = person;
    }
}

fn with_bridge(body: impl FnOnce()) {
    if let Err(missing) = bridge::check() {
        let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
        assert!(!strict, "{missing}");
        eprintln!("unsupported: {missing}");
        return;
    }
    in_own_process(body);
}

const ENGLISH: Asking = Asking { seconds: 30, language: 0x0409 };

#[test]
fn the_pin_goes_from_the_keys_to_the_card() {
    with_bridge(|| {
        let mut desk = Desk::new(PinPad::new());
        let mut piv = desk.card();
        assert!(piv.has_pin_pad());
        desk.person(Person::Types(PIN));
        piv.verify_pin_on_pad(ENGLISH, LastTry::Refuse).unwrap();
        assert_eq!(piv.pin_tries_left().unwrap(), PinStatus::Verified);
        assert_eq!(piv.mailbox_login().unwrap().login(), "hanako@b.example");
        let golden = "1E1E820800080602010904000000000D0000000020008008FFFFFFFFFFFFFFFF";
        let sent: String =
            desk.pad.lock().unwrap().structures[0].1.iter().map(|octet| format!("{octet:02X}")).collect();
        assert_eq!(sent, golden);

        let spent = |desk: &Desk, piv: &mut Piv, person: Person| {
            desk.person(person);
            piv.verify_pin_on_pad(ENGLISH, LastTry::Refuse).unwrap_err()
        };
        assert!(matches!(spent(&desk, &mut piv, Person::Sleeps), CardError::PinEntryTimedOut));
        assert!(matches!(spent(&desk, &mut piv, Person::Cancels), CardError::PinEntryCancelled));
        piv.forget_pin().unwrap();
        assert_eq!(piv.pin_tries_left().unwrap(), PinStatus::TriesLeft(3), "neither spends a try");
        assert!(matches!(spent(&desk, &mut piv, Person::Types("000000")), CardError::WrongPin { left: 2 }));
        assert!(matches!(spent(&desk, &mut piv, Person::Types("000000")), CardError::WrongPin { left: 1 }));
        let asked = desk.pad.lock().unwrap().structures.len();
        assert!(matches!(spent(&desk, &mut piv, Person::Types("000000")), CardError::LastTry));
        assert_eq!(desk.pad.lock().unwrap().structures.len(), asked, "nobody is asked for the last try unasked");
        desk.person(Person::Types(PIN));
        piv.verify_pin_on_pad(ENGLISH, LastTry::Allow).unwrap();
        piv.forget_pin().unwrap();
        assert_eq!(piv.pin_tries_left().unwrap(), PinStatus::TriesLeft(3));

        // Blocked: the reader is not even asked.
        for left in [2, 1] {
            assert!(
                matches!(spent(&desk, &mut piv, Person::Types("000000")), CardError::WrongPin { left: l } if l == left)
            );
        }
        desk.person(Person::Types("000000"));
        assert!(matches!(piv.verify_pin_on_pad(ENGLISH, LastTry::Allow), Err(CardError::Blocked)));
        let asked = desk.pad.lock().unwrap().structures.len();
        assert!(matches!(piv.verify_pin_on_pad(ENGLISH, LastTry::Allow), Err(CardError::Blocked)));
        assert_eq!(desk.pad.lock().unwrap().structures.len(), asked);

        let pad = desk.pad.lock().unwrap();
        let holds_pin = |octets: &Vec<u8>| octets.windows(PIN.len()).any(|window| window == PIN.as_bytes());
        assert!(!pad.commands.iter().any(holds_pin), "the PIN never was in our hands");
    });
}

#[test]
fn the_pin_is_changed_at_the_keys() {
    with_bridge(|| {
        let mut desk = Desk::new(PinPad::new());
        let mut piv = desk.card();
        desk.person(Person::Changes { old: PIN, new: "31415926", again: "31415927" });
        assert!(matches!(piv.change_pin_on_pad(ENGLISH, LastTry::Refuse), Err(CardError::NewPinsDiffer)));
        desk.person(Person::Changes { old: "000000", new: "31415926", again: "31415926" });
        assert!(matches!(piv.change_pin_on_pad(ENGLISH, LastTry::Refuse), Err(CardError::WrongPin { left: 2 })));
        desk.person(Person::Changes { old: PIN, new: "31415926", again: "31415926" });
        piv.change_pin_on_pad(ENGLISH, LastTry::Refuse).unwrap();
        desk.person(Person::Types("31415926"));
        piv.verify_pin_on_pad(ENGLISH, LastTry::Refuse).unwrap();
    });
}

#[test]
fn what_the_pad_can_take_is_honoured() {
    with_bridge(|| {
        let mut pad = PinPad::new();
        // At most seven digits, complete when they are there or nobody types on; commands of any length.
        pad.properties = vec![0x02, 1, 0x05, 0x06, 1, 4, 0x07, 1, 7, 0x0A, 4, 0, 0, 1, 0];
        let mut desk = Desk::new(pad);
        let mut piv = desk.card();
        desk.person(Person::Types(PIN));
        piv.verify_pin_on_pad(ENGLISH, LastTry::Refuse).unwrap();
        assert_eq!(desk.pad.lock().unwrap().structures[0].1[5..8], [7, 6, 0x05]);
        drop(piv);
        // A pad for four digits is none.
        desk.pad.lock().unwrap().properties = vec![0x07, 1, 4];
        let mut piv = Piv::select(desk.reader.connect().unwrap()).unwrap();
        assert!(matches!(piv.verify_pin_on_pad(ENGLISH, LastTry::Refuse), Err(CardError::NoPinPad)));
        drop(piv);
        desk.pad.lock().unwrap().keys = false;
        let mut piv = Piv::select(desk.reader.connect().unwrap()).unwrap();
        assert!(!piv.has_pin_pad());
        assert!(matches!(piv.verify_pin_on_pad(ENGLISH, LastTry::Refuse), Err(CardError::NoPinPad)));
        assert_eq!(desk.pad.lock().unwrap().structures.len(), 1);
    });
}

/// Extended length fields only where the reader, the card and the protocol all have them.
#[test]
fn extended_lengths_where_both_say_so() {
    with_bridge(|| {
        let takes = vec![0x0A, 4, 0, 0, 1, 0];
        let does_not = vec![0x0A, 4, 0, 0, 0, 0];
        let mut desk = Desk::new(PinPad::new());
        for (atr, properties, extended) in [
            (&ATR_EXTENDED[..], &takes, true),
            (&ATR_EXTENDED[..], &does_not, false),
            (&ATR_EXTENDED[..], &vec![], false),
            (&ATR[..], &takes, false),
            (&ATR_T0[..], &takes, false),
        ] {
            let mut profile = profile("hanako@b.example");
            profile.extended_length = extended;
            {
                let mut pad = desk.pad.lock().unwrap();
                (pad.atr, pad.properties, pad.card) = (atr.to_vec(), properties.clone(), Some(card(profile)));
                pad.commands.clear();
            }
            desk.expect(Inserted);
            let channel = desk.reader.connect().unwrap();
            assert_eq!(channel.takes_extended_length(), extended, "{atr:02X?} {properties:02X?}");
            let mut piv = Piv::select(channel).unwrap();
            piv.verify_pin(&Pin::new(PIN.as_bytes()).unwrap(), LastTry::Refuse).unwrap();
            let mut block = vec![0xFF; 256];
            block[0] = 0;
            piv.raw(Slot::Signature, Algorithm::Rsa2048, &block).unwrap();
            let longest = desk.pad.lock().unwrap().commands.iter().map(Vec::len).max().unwrap();
            // Header, three octets of Lc, template and block, two of Le; or one link of a chain.
            assert_eq!(longest, if extended { 4 + 3 + 266 + 2 } else { 4 + 1 + 255 });
            drop(piv);
            desk.pad.lock().unwrap().card = None;
            desk.expect(Removed);
        }
    });
}

#[test]
fn the_card_is_pulled_while_the_pin_is_typed() {
    with_bridge(|| {
        let mut desk = Desk::new(PinPad::new());
        let mut piv = desk.card();
        desk.person(Person::Pulls);
        let error = piv.verify_pin_on_pad(ENGLISH, LastTry::Refuse).unwrap_err();
        assert!(matches!(error, CardError::Removed), "{error:?}");
        desk.expect(Removed);
        drop(piv);
        let mut piv = desk.card();
        desk.person(Person::Types(PIN));
        piv.verify_pin_on_pad(ENGLISH, LastTry::Refuse).unwrap();
    });
}

#[test]
fn the_reader_is_unplugged_and_plugged() {
    with_bridge(|| {
        let mut desk = Desk::new(PinPad::new());
        for _ in 0..2 {
            let mut piv = desk.card();
            desk.pad.lock().unwrap().plugged = false;
            desk.expect(Removed);
            desk.expect(ReaderLost);
            let error = piv.pin_tries_left().unwrap_err();
            assert!(matches!(error, CardError::NoReader | CardError::Removed), "{error:?}");
            assert!(matches!(desk.reader.fault(), Some(CardError::NoReader)), "{:?}", desk.reader.fault());
            {
                let mut pad = desk.pad.lock().unwrap();
                (pad.plugged, pad.card) = (true, None);
            }
            desk.expect(ReaderFound);
        }
    });
}
