#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! What holds for every history, whatever it is kept in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sealfax_client::history::{Checkpoint, Digest256, Event, LogKey, Record, Unproven};

use super::{History, HistoryError, Query, State};

/// The record of `event` of transmission `number`.
pub fn record(number: u32, event: Event) -> Record {
    let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + u64::from(number));
    Record {
        event,
        message_id: format!("<{number}@a.example.jp>"),
        sender: "taro@a.example.jp".to_owned(),
        recipient: format!("hanako{}@b.example.jp", number % 3),
        sent,
        at: sent + Duration::from_secs(60),
        content_digest: Digest256::of(&number.to_be_bytes()),
        evidence_digest: Digest256::default(),
        evidence: Vec::new(),
    }
    .with_evidence(format!("{} of {number}", event.word()).as_bytes())
}

/// Registers one after the other.
pub async fn fill(history: &dyn History, numbers: std::ops::Range<u32>) {
    for number in numbers {
        history.register(record(number, Event::Submission), None).await.unwrap();
    }
}

/// Registers all at once.
pub async fn fill_together(history: &Arc<dyn History>, numbers: std::ops::Range<u32>) {
    let tasks: Vec<_> = numbers
        .map(|number| {
            let history = history.clone();
            tokio::spawn(async move { history.register(record(number, Event::Submission), None).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// An empty history takes 310 records, and proves each.
pub async fn proves(history: &Arc<dyn History>, key: &LogKey) {
    fill_together(history, 0..300).await;
    fill(history.as_ref(), 300..310).await;
    let again = history.register(record(7, Event::Submission), None).await.unwrap();
    assert!(again.known);
    again.receipt.verify_for(key, &record(7, Event::Submission)).unwrap();
    let mut other = record(7, Event::Submission);
    other.at += Duration::from_secs(1);
    let refused = history.register(other, None).await.unwrap_err();
    assert!(matches!(refused, HistoryError::Conflict { index } if index == again.receipt.proof.index));
    let mut bad = record(311, Event::Submission);
    bad.recipient = "nobody".to_owned();
    assert!(matches!(history.register(bad, None).await, Err(HistoryError::BadField("recipient"))));
    is_proven(history.as_ref(), key);
}

/// Each of its 310 records is proven, and any two sizes of the log are shown to be the same log.
pub fn is_proven(history: &dyn History, key: &LogKey) {
    let (head, note) = history.checkpoint().unwrap();
    assert_eq!(key.checkpoint(&note).unwrap(), head);
    assert_eq!(head.size, 310);
    for index in 0..head.size {
        let proven = history.receipt(index).unwrap().verify(key).unwrap();
        assert_eq!((proven.leaf.index, proven.head), (index, head));
    }
    for (earlier, later) in [(1, 2), (1, 310), (255, 257), (256, 310), (310, 310)] {
        let at = |size| root_at(history, size);
        let path = history.continues(earlier, later).unwrap();
        at(later).continues(&at(earlier), &path).unwrap();
        let mut wrong = at(earlier);
        wrong.root.0[0] ^= 1;
        assert!(matches!(at(later).continues(&wrong, &path), Err(Unproven::Inconsistent { .. })));
    }
    assert!(matches!(history.continues(1, 311), Err(HistoryError::NoSuchRecord(_))));
    assert!(matches!(history.receipt(310), Err(HistoryError::NoSuchRecord(310))));
    let tile = tlog_tiles::Tile::new(8, 1, 0, 1, false);
    assert_eq!(history.tile(&tile).unwrap(), root_at(history, 256).root.0);
}

/// The head of the log as it was once, from its leaves.
pub fn root_at(history: &dyn History, size: u64) -> Checkpoint {
    let leaves = history.leaves(0..size).unwrap();
    assert_eq!(leaves, history.stored(0..size).unwrap().into_iter().map(|(leaf, _)| leaf).collect::<Vec<_>>());
    Checkpoint { size, root: Digest256(root(&leaves).0) }
}

/// RFC 9162, 2.1.1, word for word.
fn root(leaves: &[String]) -> tlog_tiles::Hash {
    match leaves {
        [leaf] => tlog_tiles::record_hash(leaf.as_bytes()),
        leaves => {
            let split = leaves.len().next_power_of_two() / 2;
            tlog_tiles::node_hash(root(&leaves[..split]), root(&leaves[split..]))
        }
    }
}

/// Puts nine transmissions into an empty history, with several ends.
pub async fn nine(history: &dyn History) {
    fill(history, 0..9).await;
    for (number, event) in [
        (3, Event::Retrieval),
        (4, Event::Overdue),
        (5, Event::NonDelivery),
        (5, Event::Retrieval),
        (6, Event::Refusal),
    ] {
        history.register(record(number, event), None).await.unwrap();
    }
}

/// The numbers of what is found.
pub fn numbers(history: &dyn History, query: Query) -> Vec<u64> {
    history.find(&query, 100).unwrap().into_iter().map(|transmission| transmission.number).collect()
}

/// Those nine are found by person, office, mail, time and state.
pub fn finds(history: &dyn History) {
    let numbers = |query: Query| numbers(history, query);
    let of = |party: &str| numbers(Query { party: Some(party.to_owned()), ..Query::default() });
    assert_eq!(numbers(Query::default()), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(of("hanako1@B.example.jp"), [7, 4, 1]);
    assert_eq!(of("@b.example.jp"), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(of("Hanako1@b.example.jp"), [0; 0]);
    let own =
        Query { party: Some("@a.example.jp".into()), own: Some("hanako0@b.example.jp".into()), ..Query::default() };
    assert_eq!(numbers(own), [6, 3, 0]);
    let sides = Query {
        sender: Some("taro@a.example.jp".into()),
        recipient: Some("hanako2@b.example.jp".into()),
        ..Query::default()
    };
    assert_eq!(numbers(sides), [8, 5, 2]);
    let state = |state| numbers(Query { state: Some(state), ..Query::default() });
    assert_eq!(state(State::Delivered), [5, 3]);
    assert_eq!(state(State::Overdue), [4]);
    assert_eq!(state(State::Refused), [6]);
    assert_eq!(state(State::Failed), [0; 0]);
    assert_eq!(state(State::Waiting), [8, 7, 2, 1, 0]);
    assert_eq!(history.count(State::Waiting, 3).unwrap(), 3);
    let mail = Query { message_id: Some("<4@a.example.jp>".into()), ..Query::default() };
    assert_eq!(numbers(mail), [4]);
    let page = Query { before: Some(5), ..Query::default() };
    let page: Vec<u64> = history.find(&page, 2).unwrap().iter().map(|found| found.number).collect();
    assert_eq!(page, [4, 3]);
    let fifth = history.transmission(5).unwrap().unwrap();
    let events: Vec<Event> = fifth.entries.iter().map(|entry| entry.leaf.event).collect();
    assert_eq!(
        (fifth.state, events),
        (State::Delivered, vec![Event::Submission, Event::NonDelivery, Event::Retrieval])
    );
    assert_eq!(history.transmission(9).unwrap(), None);
    let time = history.transmission(3).unwrap().unwrap().entries[0].leaf.registered;
    let since = Query { since: Some(time), ..Query::default() };
    assert_eq!(numbers(since).last(), Some(&3));
    let until = Query { until: Some(time), ..Query::default() };
    assert_eq!(numbers(until), [2, 1, 0]);
}

/// Erases the fourth of the nine; its receipts hold all the same.
pub async fn erases(history: &dyn History, key: &LogKey) {
    let before = history.receipt(3).unwrap();
    history.erase(3).await.unwrap();
    assert!(matches!(history.erase(3).await, Err(HistoryError::NoSuchRecord(3))));
    assert_eq!(numbers(history, Query::default()), [8, 7, 6, 5, 4, 2, 1, 0]);
    assert_eq!(history.transmission(3).unwrap(), None);
    let after = history.receipt(3).unwrap();
    assert_eq!((&after.leaf, &after.personal), (&before.leaf, &None));
    after.verify(key).unwrap();
    // Whoever kept the receipt can still show who it was.
    before.verify_for(key, &record(3, Event::Submission)).unwrap();
}
