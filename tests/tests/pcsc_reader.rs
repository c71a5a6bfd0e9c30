//! The driver's events from a real pcscd: cards and readers come and go, and pcscd itself.
#![cfg(feature = "pcsc")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use pcsc::{Context, ReaderState, Scope, State};
use sealfax_drivers::card::CardEvent::{self, Inserted, ReaderFound, ReaderLost, Removed};
use sealfax_drivers::card::pcsc::PcscReader;
use sealfax_drivers::card::pcsc::watch::{Look, Watch, flag};
use sealfax_drivers::card::{CardError, CardReader};
use sealfax_drivers::pattern::NamePattern;
use sealfax_rig::peer::pcscd::Pcscd;
use sealfax_rig::virtual_card::VpcdHandle;
use sealfax_tests::cards::{card, profile};
use sealfax_tests::pcscd::in_own_process;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn events(reader: &mut PcscReader, count: usize) -> Vec<CardEvent> {
    let mut seen = Vec::new();
    for _ in 0..count {
        let next = tokio::time::timeout(PATIENCE, reader.next_event()).await;
        seen.push(next.unwrap_or_else(|_| panic!("no event after {seen:?}")).unwrap());
    }
    seen
}

fn open(pattern: &str) -> PcscReader {
    PcscReader::open(NamePattern::new(pattern)).unwrap()
}

#[test]
fn insertion_and_removal() {
    in_own_process(|| {
        let pcscd = Pcscd::start(&["Rig"]).unwrap();
        let slot = VpcdHandle::new(pcscd.slots()[0].port);
        let (hanako, jiro) = (card(profile("hanako@b.example")), card(profile("jiro@b.example")));
        run(async {
            let mut reader = open(&pcscd.slots()[0].reader);
            slot.insert(&hanako);
            assert_eq!(events(&mut reader, 1).await, [Inserted]);
            assert_eq!(reader.chosen().as_deref(), Some("Rig 00 00"));
            slot.remove();
            assert_eq!(events(&mut reader, 1).await, [Removed]);
            slot.insert(&jiro);
            slot.insert(&hanako);
            assert_eq!(events(&mut reader, 1).await, [Inserted]);
            slot.insert(&jiro);
            assert_eq!(events(&mut reader, 2).await, [Removed, Inserted]);
            // Whoever begins to look while a card is in is told of it.
            let mut late = open("*00 00");
            assert_eq!(events(&mut late, 1).await, [Inserted]);
        });
    });
}

/// The flags are the same before and after; the count in pcscd's own words is not.
#[test]
fn a_fast_swap_is_told_by_the_event_count() {
    in_own_process(|| {
        let pcscd = Pcscd::start(&["Rig"]).unwrap();
        let slot = VpcdHandle::new(pcscd.slots()[0].port);
        let context = Context::establish(Scope::User).unwrap();
        let name = std::ffi::CString::new(pcscd.slots()[0].reader.clone()).unwrap();
        let look = || {
            let mut states = [ReaderState::new(name.as_c_str(), State::UNAWARE)];
            context.get_status_change(Duration::ZERO, &mut states).unwrap();
            let [state] = &states;
            (state.event_state().bits() as u32 & 0xFFFF) | state.event_count() << 16
        };
        let until = |wanted: &dyn Fn(u32) -> bool| {
            let late = std::time::Instant::now() + PATIENCE;
            loop {
                let state = look();
                if wanted(state) {
                    return state;
                }
                assert!(std::time::Instant::now() < late, "{state:08x}");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        let (hanako, jiro) = (card(profile("hanako@b.example")), card(profile("jiro@b.example")));
        slot.insert(&hanako);
        let before = until(&|state| state & flag::PRESENT != 0);
        let mut watch = Watch::default();
        let first = watch.look(Look::State(before));
        assert!(first.card.is_some());
        assert_eq!(watch.look(Look::State(look())), first, "nothing happened");
        // Nobody looks here between the two, as when the driver's thread gets no turn.
        slot.remove();
        until(&|state| state & flag::PRESENT == 0);
        slot.insert(&jiro);
        let after = until(&|state| state & flag::PRESENT != 0);
        assert_eq!(before & 0xFFFF, after & 0xFFFF, "the flags are the same");
        assert_ne!(watch.look(Look::State(after)).card, first.card);
    });
}

/// The adapter is busy with the first card while it is swapped: it is told all the same.
#[test]
fn a_swap_while_nobody_listens() {
    in_own_process(|| {
        let pcscd = Pcscd::start(&["Rig"]).unwrap();
        let slot = VpcdHandle::new(pcscd.slots()[0].port);
        run(async {
            let (mut busy, mut other) = (open("Rig 00 00"), open("Rig 00 00"));
            slot.insert(&card(profile("hanako@b.example")));
            assert_eq!(events(&mut busy, 1).await, [Inserted]);
            assert_eq!(events(&mut other, 1).await, [Inserted]);
            slot.insert(&card(profile("jiro@b.example")));
            assert_eq!(events(&mut other, 2).await, [Removed, Inserted]);
            assert_eq!(events(&mut busy, 2).await, [Removed, Inserted]);
        });
    });
}

#[test]
fn pcscd_is_killed_and_starts_again() {
    in_own_process(|| {
        let pcscd = Pcscd::start(&["Rig"]).unwrap();
        let slot = VpcdHandle::new(pcscd.slots()[0].port);
        run(async {
            let mut reader = open("Rig 00 00");
            slot.insert(&card(profile("hanako@b.example")));
            assert_eq!(events(&mut reader, 1).await, [Inserted]);
            let mut channel = reader.connect().unwrap();
            channel.transmit(&[0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8, 0]).unwrap();
            pcscd.kill().unwrap();
            assert_eq!(events(&mut reader, 2).await, [Removed, ReaderLost]);
            assert!(reader.fault().unwrap().to_string().contains("pcscd"), "{:?}", reader.fault());
            let error = channel.transmit(&[0, 0x20, 0, 0x80]).unwrap_err();
            assert!(matches!(error, CardError::NoReader | CardError::Removed | CardError::Reader(_)), "{error:?}");
            assert!(reader.connect().is_err());
            pcscd.restart().unwrap();
            assert_eq!(events(&mut reader, 2).await, [ReaderFound, Inserted]);
            assert!(channel.transmit(&[0, 0x20, 0, 0x80]).is_err(), "a dead channel stays dead");
            drop(channel);
            let mut channel = reader.connect().unwrap();
            let answer = channel.transmit(&[0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8, 0]).unwrap();
            assert_eq!(answer.last_chunk(), Some(&[0x90, 0x00]));
            for _ in 0..2 {
                pcscd.kill().unwrap();
                assert_eq!(events(&mut reader, 2).await, [Removed, ReaderLost]);
                pcscd.restart().unwrap();
                assert_eq!(events(&mut reader, 2).await, [ReaderFound, Inserted]);
            }
        });
    });
}

/// It need not run when the adapter starts.
#[test]
fn pcscd_comes_later() {
    in_own_process(|| {
        run(async {
            let mut reader = open("Rig 00 00");
            assert_eq!(events(&mut reader, 1).await, [ReaderLost]);
            let pcscd = Pcscd::start(&["Rig"]).unwrap();
            assert_eq!(events(&mut reader, 1).await, [ReaderFound]);
            assert!(reader.fault().is_none());
            drop(pcscd);
            assert_eq!(events(&mut reader, 1).await, [ReaderLost]);
        });
    });
}

#[test]
fn one_of_several_by_its_name() {
    in_own_process(|| {
        let pcscd = Pcscd::start(&["Front desk", "Back office"]).unwrap();
        let slots: Vec<_> = pcscd.slots().iter().map(|slot| VpcdHandle::new(slot.port)).collect();
        let mut names = PcscReader::names().unwrap();
        names.sort();
        assert_eq!(names, ["Back office 00 00", "Back office 00 01", "Front desk 00 00", "Front desk 00 01"]);
        run(async {
            let mut reader = open("back*01");
            slots[0].insert(&card(profile("taro@a.example")));
            slots[3].insert(&card(profile("hanako@b.example")));
            assert_eq!(events(&mut reader, 1).await, [Inserted]);
            assert_eq!(reader.chosen().as_deref(), Some("Back office 00 01"));
            slots[0].remove();
            slots[3].remove();
            assert_eq!(events(&mut reader, 1).await, [Removed]);

            let mut several = open("desk");
            assert_eq!(events(&mut several, 1).await, [ReaderLost]);
            let why = several.fault().unwrap().to_string();
            let wanted = r#"which card reader? "desk" fits several: "Front desk 00 00", "Front desk 00 01"; write more of the name"#;
            assert_eq!(why, wanted);
            assert!(matches!(several.connect(), Err(CardError::NotChosen(_))));
            let mut none = open("side door");
            assert_eq!(events(&mut none, 1).await, [ReaderLost]);
            let why = none.fault().unwrap().to_string();
            assert!(why.contains("Back office 00 00") && why.contains("side door"), "{why}");
        });
    });
}

/// The thread and its context go with the reader; pcsc-lite serves no more than 200 contexts a daemon.
#[test]
fn a_dropped_reader_leaves_nothing_behind() {
    in_own_process(|| {
        let pcscd = Pcscd::start(&["Rig"]).unwrap();
        let slot = VpcdHandle::new(pcscd.slots()[0].port);
        slot.insert(&card(profile("hanako@b.example")));
        run(async {
            for _ in 0..250 {
                let mut reader = open("Rig 00 00");
                assert_eq!(events(&mut reader, 1).await, [Inserted]);
            }
        });
    });
}
