//! The slot: events, dead channels, faults.
use super::*;
use CardEvent::*;

async fn events(reader: &mut VirtualReader, count: usize) -> Vec<CardEvent> {
    let mut seen = Vec::new();
    for _ in 0..count {
        seen.push(reader.next_event().await.unwrap());
    }
    seen
}

/// Nothing more is to be told.
async fn quiet(reader: &mut VirtualReader) {
    tokio::select! {
        biased;
        event = reader.next_event() => panic!("{event:?}"),
        () = std::future::ready(()) => {}
    }
}

const VERIFY: &str = "0020008008323731383238FFFF";
const SELECT: &str = "00A4040009A0000003080000100000";
const ASK: &str = "00200080";

fn send(channel: &mut Box<dyn CardChannel>, octets: &str) -> Result<u16, CardError> {
    Ok(status_of(&channel.transmit(&unhex(octets))?))
}

#[tokio::test]
async fn what_happens_is_told_once_and_in_order() {
    let (mut reader, slot) = inserted(rsa());
    assert_eq!(events(&mut reader, 1).await, [Inserted]);
    quiet(&mut reader).await;
    let other = card(p256());
    slot.swap(&other);
    assert_eq!(events(&mut reader, 2).await, [Removed, Inserted]);
    slot.unplug();
    assert_eq!(events(&mut reader, 2).await, [Removed, ReaderLost]);
    slot.plug();
    assert_eq!(events(&mut reader, 2).await, [ReaderFound, Inserted]);
    slot.unplug();
    slot.plug();
    assert_eq!(events(&mut reader, 4).await, [Removed, ReaderLost, ReaderFound, Inserted]);
    slot.remove();
    slot.insert(&other);
    slot.remove();
    assert_eq!(events(&mut reader, 1).await, [Removed]);
    quiet(&mut reader).await;
    assert!(matches!(reader.connect(), Err(CardError::Removed)));
    slot.unplug();
    slot.insert(&other);
    assert!(matches!(reader.connect(), Err(CardError::NoReader)));
    assert_eq!(events(&mut reader, 1).await, [ReaderLost]);
    slot.plug();
    assert_eq!(events(&mut reader, 2).await, [ReaderFound, Inserted]);
}

#[tokio::test]
async fn an_event_wakes_who_waits() {
    let (mut reader, slot) = VirtualReader::new("virtual");
    let waiting = tokio::spawn(async move { reader.next_event().await.unwrap() });
    tokio::task::yield_now().await;
    slot.insert(&card(rsa()));
    assert_eq!(waiting.await.unwrap(), Inserted);
}

#[test]
fn a_channel_dies_with_its_insertion() {
    let (reader, slot) = inserted(rsa());
    let mut old = reader.connect().unwrap();
    assert!(matches!(reader.connect(), Err(CardError::Reader(_))));
    send(&mut old, SELECT).unwrap();
    assert_eq!(send(&mut old, "0020008008303030303030FFFF").unwrap(), 0x63C2);
    let same = slot.remove().unwrap();
    slot.insert(&same);
    assert!(matches!(send(&mut old, ASK), Err(CardError::Removed)));
    let mut new = reader.connect().unwrap();
    drop(old);
    assert!(matches!(reader.connect(), Err(CardError::Reader(_))), "the old channel's end must not free the new one");
    assert_eq!(send(&mut new, ASK).unwrap(), 0x6D00);
    send(&mut new, SELECT).unwrap();
    assert_eq!(send(&mut new, ASK).unwrap(), 0x63C2, "the counter outlives the removal");
    assert_eq!(send(&mut new, VERIFY).unwrap(), 0x9000);
    slot.unplug();
    slot.plug();
    assert!(matches!(send(&mut new, ASK), Err(CardError::Removed)));
    drop(new);
    let mut third = reader.connect().unwrap();
    send(&mut third, SELECT).unwrap();
    assert_eq!(send(&mut third, VERIFY).unwrap(), 0x9000);
    drop(third);
    let mut fourth = reader.connect().unwrap();
    send(&mut fourth, SELECT).unwrap();
    assert_eq!(send(&mut fourth, ASK).unwrap(), 0x63C3, "no verified PIN outlives its channel");
}

#[test]
fn faults() {
    for pulled_after in 0..4u32 {
        let (reader, slot) = inserted(rsa());
        let mut channel = reader.connect().unwrap();
        slot.pull_after(pulled_after);
        for number in 0..6 {
            let answer = send(&mut channel, SELECT);
            assert_eq!(answer.is_ok(), number < pulled_after);
        }
        assert!(slot.card().is_none());
    }
    let (reader, slot) = inserted(rsa());
    let mut channel = reader.connect().unwrap();
    slot.fail_next(0x6F00);
    slot.fail_next(0x6581);
    assert_eq!(send(&mut channel, SELECT).unwrap(), 0x6F00);
    assert_eq!(send(&mut channel, SELECT).unwrap(), 0x6581);
    assert_eq!(send(&mut channel, SELECT).unwrap(), 0x9000);
}
