//! Channels to a card through a real pcscd: protocols, lengths, time-outs, and a card that is pulled at every point.
#![cfg(feature = "pcsc")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealfax_drivers::card::CardEvent::{Inserted, Removed};
use sealfax_drivers::card::apdu::{Command, ins};
use sealfax_drivers::card::pcsc::PcscReader;
use sealfax_drivers::card::piv::{Algorithm, LastTry, PinStatus, Piv, Slot, tag};
use sealfax_drivers::card::{CardChannel, CardError, CardReader};
use sealfax_drivers::pattern::NamePattern;
use sealfax_drivers::pin::Pin;
use sealfax_rig::peer::pcscd::Pcscd;
use sealfax_rig::virtual_card::vpcd::{ATR, ATR_EXTENDED, ATR_T0};
use sealfax_rig::virtual_card::{CardProfile, VpcdHandle};
use sealfax_tests::cards::{PASSWORD, PIN, card, profile};
use sealfax_tests::pcscd::in_own_process;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const SELECT: &[u8] = &[0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00];
const ASK: &[u8] = &[0x00, 0x20, 0x00, 0x80];

/// A daemon with one reader, the hand at its slot, and the driver.
struct Desk {
    slot: VpcdHandle,
    reader: PcscReader,
    runtime: tokio::runtime::Runtime,
    /// Every command that reached the card, without its secrets.
    commands: Arc<Mutex<Vec<String>>>,
    _pcscd: Pcscd,
}

impl Desk {
    fn new() -> Self {
        let pcscd = Pcscd::start(&["Rig"]).unwrap();
        let slot = VpcdHandle::new(pcscd.slots()[0].port);
        let commands: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = commands.clone();
        slot.observe(Arc::new(move |apdu| heard.lock().unwrap().push(apdu.command.clone())));
        let reader = PcscReader::open(NamePattern::new("Rig 00 00")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { slot, reader, runtime, commands, _pcscd: pcscd }
    }

    fn expect(&mut self, event: sealfax_drivers::card::CardEvent) {
        let next = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.reader.next_event()).await });
        assert_eq!(next.expect("an event").unwrap(), event);
    }

    fn insert(&mut self, profile: CardProfile) -> Box<dyn CardChannel> {
        self.slot.insert(&card(profile));
        self.expect(Inserted);
        self.reader.connect().unwrap()
    }

    fn commands(&self) -> Vec<String> {
        std::mem::take(&mut *self.commands.lock().unwrap())
    }
}

fn pin() -> Pin {
    Pin::new(PIN.as_bytes()).unwrap()
}

fn status(answer: &[u8]) -> u16 {
    u16::from_be_bytes(*answer.last_chunk().unwrap())
}

/// What an adapter does with a card from its insertion to a signature.
fn whole_flow(channel: Box<dyn CardChannel>) -> Result<(), CardError> {
    let mut piv = Piv::select(channel)?;
    piv.certificate(Slot::Signature)?;
    piv.certificate(Slot::KeyManagement)?;
    assert_eq!(piv.pin_tries_left()?, PinStatus::TriesLeft(3));
    piv.verify_pin(&pin(), LastTry::Refuse)?;
    assert_eq!(piv.mailbox_login()?.password(), PASSWORD);
    piv.verify_pin(&pin(), LastTry::Refuse)?;
    let mut block = vec![0xFF; 256];
    block[0] = 0;
    piv.raw(Slot::Signature, Algorithm::Rsa2048, &block)?;
    piv.raw(Slot::KeyManagement, Algorithm::Rsa2048, &block)?;
    Ok(())
}

/// T=1 with short lengths, T=1 with extended ones where this vpcd says that it takes them, T=0: the same card, read and
/// used whole. Its certificate is longer than any buffer that is not meant for it.
#[test]
fn every_protocol_and_length() {
    in_own_process(|| {
        let mut desk = Desk::new();
        let large: Vec<u8> = (0..20_000u32).map(|n| n.to_be_bytes()[3] ^ n.to_be_bytes()[2]).collect();
        let mut short = profile("hanako@b.example");
        short.signature.certificate = large.clone();
        let mut long = short.clone();
        long.extended_length = true;
        for (atr, profile) in [(&ATR[..], &short), (&ATR_EXTENDED[..], &long), (&ATR_T0[..], &short)] {
            desk.slot.answer_to_reset(atr);
            let channel = desk.insert(profile.clone());
            let extended = channel.takes_extended_length();
            assert!(!extended || atr == ATR_EXTENDED, "{atr:02X?}");
            let mut piv = Piv::select(channel).unwrap();
            let object = piv.data(tag::SIGNATURE_CERTIFICATE).unwrap().unwrap();
            assert!(object.windows(large.len()).any(|window| window == large), "{} octets", object.len());
            drop(piv);
            desk.commands();
            let mut piv = Piv::select(desk.reader.connect().unwrap()).unwrap();
            piv.certificate(Slot::KeyManagement).unwrap();
            piv.verify_pin(&pin(), LastTry::Refuse).unwrap();
            let mut block = vec![0xFF; 256];
            block[0] = 0;
            piv.raw(Slot::Signature, Algorithm::Rsa2048, &block).unwrap();
            drop(piv);
            let commands = desk.commands();
            let keyed: Vec<_> = commands.iter().filter(|command| command.starts_with("GENERAL")).collect();
            if extended {
                assert!(keyed.iter().all(|command| command.contains("[266 octets]")), "{keyed:?}");
            } else {
                assert!(keyed.iter().any(|command| command.contains("[255 octets]")), "{keyed:?}");
            }
            // Over T=0 a command with data says nothing of what it expects.
            let with_both = commands.iter().any(|command| command.contains("octets]") && command.contains("Ne="));
            assert_eq!(with_both, atr != ATR_T0, "{commands:?}");
            desk.slot.remove();
            desk.expect(Removed);
        }
        // Nobody's answer has to be fetched in pieces where both ends take it whole.
        desk.slot.answer_to_reset(&ATR_EXTENDED);
        let mut channel = desk.insert(long);
        channel.transmit(SELECT).unwrap();
        let all = Command::new(ins::GET_DATA, 0x3F, 0xFF, &[0x5C, 3, 0x5F, 0xC1, 0x0A], 65_536);
        let answer = channel.transmit(&all.extended().unwrap()).unwrap();
        assert_eq!(status(&answer), 0x9000);
        assert!(answer.len() > large.len() && answer.windows(large.len()).any(|window| window == large));
        let short = Command::new(ins::GET_DATA, 0x3F, 0xFF, &[0x5C, 3, 0x5F, 0xC1, 0x0A], 256);
        let answer = channel.transmit(&short.short().unwrap()).unwrap();
        assert_eq!((answer.len(), status(&answer) >> 8), (258, 0x61));
    });
}

#[test]
fn a_channel_is_alone_and_leaves_no_verified_pin() {
    in_own_process(|| {
        let mut desk = Desk::new();
        let channel = desk.insert(profile("hanako@b.example"));
        let second = desk.reader.connect();
        assert!(
            matches!(&second, Err(CardError::Reader(why)) if why.contains("another program")),
            "{:?}",
            second.err()
        );
        let mut piv = Piv::select(channel).unwrap();
        piv.verify_pin(&pin(), LastTry::Refuse).unwrap();
        piv.mailbox_login().unwrap();
        drop(piv);
        // The next one waits until the card was reset.
        let mut piv = Piv::select(desk.reader.connect().unwrap()).unwrap();
        assert_eq!(piv.pin_tries_left().unwrap(), PinStatus::TriesLeft(3));
        assert!(matches!(piv.mailbox_login(), Err(CardError::PinRequired)));
    });
}

#[test]
fn a_channel_is_dead_after_the_card_was_pulled() {
    in_own_process(|| {
        let mut desk = Desk::new();
        let hanako = card(profile("hanako@b.example"));
        desk.slot.insert(&hanako);
        desk.expect(Inserted);
        let mut channel = desk.reader.connect().unwrap();
        assert_eq!(status(&channel.transmit(SELECT).unwrap()), 0x9000);
        desk.slot.remove();
        desk.expect(Removed);
        assert!(matches!(channel.transmit(ASK), Err(CardError::Removed)));
        desk.slot.insert(&hanako);
        desk.expect(Inserted);
        assert!(matches!(channel.transmit(ASK), Err(CardError::Removed)), "even with the same card in again");
        let mut fresh = desk.reader.connect().unwrap();
        drop(channel);
        assert_eq!(status(&fresh.transmit(SELECT).unwrap()), 0x9000, "the old channel's end is not the new one's");
        assert_eq!(status(&fresh.transmit(ASK).unwrap()), 0x63C3);
    });
}

#[test]
fn a_card_that_does_not_answer_in_time() {
    in_own_process(|| {
        let mut desk = Desk::new();
        desk.reader =
            PcscReader::open(NamePattern::new("Rig 00 00")).unwrap().with_command_timeout(Duration::from_millis(400));
        let mut channel = desk.insert(profile("hanako@b.example"));
        assert_eq!(status(&channel.transmit(SELECT).unwrap()), 0x9000);
        desk.slot.delay(Duration::from_secs(3));
        let begun = std::time::Instant::now();
        assert!(matches!(channel.transmit(ASK), Err(CardError::TimedOut)));
        assert!(matches!(channel.transmit(ASK), Err(CardError::TimedOut)), "the channel is dead");
        assert!(begun.elapsed() < Duration::from_secs(3), "nobody waits for the card");
        drop(channel);
        desk.slot.delay(Duration::ZERO);
        desk.slot.remove();
        desk.expect(Removed);
        let mut channel = desk.insert(profile("hanako@b.example"));
        assert_eq!(status(&channel.transmit(SELECT).unwrap()), 0x9000, "the next insertion works");
    });
}

/// After every answer of a whole flow in turn, and before each: told as a removal, and the next insertion works.
#[test]
fn pulled_between_any_two_commands() {
    in_own_process(|| {
        let mut desk = Desk::new();
        let hanako = card(profile("hanako@b.example"));
        let mut points = 0;
        for answers in 0..200 {
            desk.slot.pull_after(answers);
            desk.slot.insert(&hanako);
            desk.expect(Inserted);
            let channel = desk.reader.connect().unwrap();
            match whole_flow(channel) {
                Ok(()) => break,
                Err(CardError::Removed) => points += 1,
                Err(other) => panic!("after {answers} answers: {other:?}"),
            }
            desk.expect(Removed);
        }
        assert!(points > 12, "{points} points");
        assert_eq!(hanako.lock().unwrap().pin_tries(), 3, "no try was lost");
        // The last one was pulled after everything was done, or is still in.
        desk.slot.pull_after(u32::MAX);
        desk.slot.remove();
        desk.expect(Removed);
        desk.slot.insert(&hanako);
        desk.expect(Inserted);
        whole_flow(desk.reader.connect().unwrap()).unwrap();
    });
}
