//! What the log promises: every record proven, found, and there again after a restart.

use proptest::prelude::*;
use sealfax_client::history::{Checkpoint, Unproven};
use tempfile::TempDir;

use super::*;
use crate::history::verify::verify;
use crate::history::{Query, State};

#[tokio::test]
async fn every_record_is_proven_and_found_again() {
    let folder = TempDir::new().unwrap();
    let (history, key) = open(folder.path()).unwrap();
    let history = Arc::new(history);
    fill_together(&history, 0..300).await;
    fill(&history, 300..310).await;
    let again = history.register(record(7, Event::Submission), None).await.unwrap();
    assert!(again.known);
    let mut other = record(7, Event::Submission);
    other.at += Duration::from_secs(1);
    let refused = history.register(other, None).await.unwrap_err();
    assert!(matches!(refused, HistoryError::Conflict { index } if index == again.receipt.proof.index));
    drop(history);

    let (history, _) = open(folder.path()).unwrap();
    let (head, note) = history.checkpoint().unwrap();
    assert_eq!(key.checkpoint(&note).unwrap(), head);
    assert_eq!(head.size, 310);
    for index in 0..head.size {
        let proven = history.receipt(index).unwrap().verify(&key).unwrap();
        assert_eq!((proven.leaf.index, proven.head), (index, head));
    }
    // Any two sizes of the log are shown to be the same log.
    for (earlier, later) in [(1, 2), (1, 310), (255, 257), (256, 310), (310, 310)] {
        let at = |size| {
            let hashes = history.continues(0, size).map(|_| ());
            hashes.unwrap();
            root_at(&history, size)
        };
        let path = history.continues(earlier, later).unwrap();
        at(later).continues(&at(earlier), &path).unwrap();
        let mut wrong = at(earlier);
        wrong.root.0[0] ^= 1;
        assert!(matches!(at(later).continues(&wrong, &path), Err(Unproven::Inconsistent { .. })));
    }
    let good = verify(folder.path(), &key, &[root_at(&history, 100), head], &mut |_| {}).unwrap();
    assert_eq!((good.head, good.erased, good.unfinished), (head, 0, 0));
}

/// The head of the log as it was once, from its leaves.
fn root_at(history: &EmbeddedHistory, size: u64) -> Checkpoint {
    let leaves: Vec<String> = (0..size).map(|index| history.leaf(index).unwrap()).collect();
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

#[tokio::test]
async fn a_transmission_is_found_by_person_office_mail_time_and_state() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(folder.path()).unwrap();
    fill(&history, 0..9).await;
    history.register(record(3, Event::Retrieval), None).await.unwrap();
    history.register(record(4, Event::Overdue), None).await.unwrap();
    history.register(record(5, Event::NonDelivery), None).await.unwrap();
    history.register(record(5, Event::Retrieval), None).await.unwrap();
    history.register(record(6, Event::Refusal), None).await.unwrap();
    let check = |history: &EmbeddedHistory| {
        let numbers = |query: Query| -> Vec<u64> {
            history.find(&query, 100).unwrap().into_iter().map(|transmission| transmission.number).collect()
        };
        let of = |party: &str| numbers(Query { party: Some(party.to_owned()), ..Query::default() });
        assert_eq!(numbers(Query::default()), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(of("hanako1@B.example.jp"), [7, 4, 1]);
        assert_eq!(of("@b.example.jp"), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(of("Hanako1@b.example.jp"), [0; 0]);
        let own =
            Query { party: Some("@a.example.jp".into()), own: Some("hanako0@b.example.jp".into()), ..Query::default() };
        assert_eq!(numbers(own), [6, 3, 0]);
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
        let third = history.transmission(3).unwrap().unwrap();
        let events: Vec<Event> = third.entries.iter().map(|entry| entry.leaf.event).collect();
        assert_eq!(events, [Event::Submission, Event::Retrieval]);
        let since = Query { since: Some(third.entries[0].leaf.registered), ..Query::default() };
        assert_eq!(numbers(since).last(), Some(&3));
        let until = Query { until: Some(third.entries[0].leaf.registered), ..Query::default() };
        assert_eq!(numbers(until), [2, 1, 0]);
    };
    check(&history);
    drop(history);
    check(&open(folder.path()).unwrap().0);
    // The index and the hashes follow from the log.
    std::fs::remove_file(folder.path().join("index.redb")).unwrap();
    check(&open(folder.path()).unwrap().0);
    std::fs::remove_file(folder.path().join("hashes")).unwrap();
    check(&open_warned(folder.path()).unwrap().0);
}

#[tokio::test]
async fn what_is_erased_is_gone_from_the_disk_and_the_log_holds() {
    let folder = TempDir::new().unwrap();
    let (history, key) = open(folder.path()).unwrap();
    fill(&history, 0..4).await;
    history.register(record(1, Event::Retrieval), None).await.unwrap();
    let before = history.receipt(1).unwrap();
    history.erase(1).await.unwrap();
    history.erase(1).await.unwrap_err();
    let numbers = |history: &EmbeddedHistory| -> Vec<u64> {
        history.find(&Query::default(), 9).unwrap().iter().map(|found| found.number).collect()
    };
    assert_eq!(numbers(&history), [3, 2, 0]);
    let after = history.receipt(1).unwrap();
    assert_eq!((&after.leaf, &after.personal), (&before.leaf, &None));
    after.verify(&key).unwrap();
    // Whoever kept the receipt can still show who it was.
    before.verify_for(&key, &record(1, Event::Submission)).unwrap();
    drop(history);
    let octets = std::fs::read(folder.path().join("records")).unwrap();
    assert!(memchr::memmem::find(&octets, b"<1@a.example.jp>").is_none());
    assert!(memchr::memmem::find(&octets, b"<2@a.example.jp>").is_some());
    let good = verify(folder.path(), &key, &[], &mut |_| {}).unwrap();
    assert_eq!((good.head.size, good.erased), (5, 2));
    assert_eq!(numbers(&open(folder.path()).unwrap().0), [3, 2, 0]);
    std::fs::remove_file(folder.path().join("index.redb")).unwrap();
    assert_eq!(numbers(&open(folder.path()).unwrap().0), [3, 2, 0]);
}

#[tokio::test]
async fn only_one_process_has_it_and_only_under_its_name() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(HistoryError::InUse(_))));
    drop(history);
    open(folder.path()).unwrap();
    let seams = Seams::system();
    let renamed = LogSigner::open(folder.path(), "another.example", seams.entropy.as_ref());
    assert!(matches!(renamed, Err(HistoryError::Key { .. })));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(folder.path().join("log.key")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_has_become_of_a_transmission_hangs_on_its_confirmation_alone() {
    let events = prop::collection::vec(prop::sample::select(&Event::ALL[..]), 0..12);
    proptest!(|(events in events)| {
        let state = State::after(events.iter().copied());
        prop_assert_eq!(state == State::Delivered, events.contains(&Event::Retrieval));
    });
}

#[test]
fn no_proof_from_a_stranger_is_too_much() {
    let seams = Seams::system();
    let folder = TempDir::new().unwrap();
    let signer = LogSigner::open(folder.path(), ORIGIN, seams.entropy.as_ref()).unwrap();
    let key = signer.key().clone();
    let digest = any::<[u8; 32]>().prop_map(Digest256);
    let path = prop::collection::vec(digest.clone(), 0..70);
    proptest!(|(size in any::<u64>(), root in digest, index in any::<u64>(), path in path, text in "\\PC{0,200}")| {
        let checkpoint = signer.checkpoint(size, root).unwrap();
        let proof = sealfax_client::history::Proof { index, path: path.clone(), checkpoint };
        let read = sealfax_client::history::Proof::parse(&proof.to_string());
        prop_assert_eq!(read.as_ref().ok(), Some(&proof).filter(|proof| proof.path.len() <= 64));
        prop_assert!(proof.verify(b"leaf", &key).is_err());
        let head = Checkpoint { size, root };
        let earlier = Checkpoint { size: index, root: Digest256::default() };
        if index > 0 {
            prop_assert!(head.continues(&earlier, &path).is_err());
        }
        let _ = sealfax_client::history::Proof::parse(&text);
        prop_assert!(key.checkpoint(&text).is_err());
        let _ = LogKey::parse(&text);
    });
}
