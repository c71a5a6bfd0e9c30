//! What the log promises: every record proven, found, and there again after a restart.

use proptest::prelude::*;
use sealfax_client::history::{Checkpoint, Digest256, Event};
use tempfile::TempDir;

use super::*;
use crate::history::verify::verify;
use crate::history::{Query, State, export, suite};

#[tokio::test]
async fn every_record_is_proven_and_there_again_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let (history, key) = open(folder.path()).unwrap();
    suite::proves(&history, &key).await;
    drop(history);
    let (history, _) = open(folder.path()).unwrap();
    suite::is_proven(history.as_ref(), &key);
    let seen = [100, 310].map(|size| suite::root_at(history.as_ref(), size));
    let good = verify(folder.path(), &key, &seen, &mut |_| {}).unwrap();
    assert_eq!((good.head, good.erased, good.unfinished), (seen[1], 0, 0));
}

#[tokio::test]
async fn a_transmission_is_found_also_when_the_index_was_lost() {
    let folder = TempDir::new().unwrap();
    let (history, _) = open(folder.path()).unwrap();
    suite::nine(history.as_ref()).await;
    suite::finds(history.as_ref());
    drop(history);
    suite::finds(open(folder.path()).unwrap().0.as_ref());
    // The index and the hashes follow from the log.
    std::fs::remove_file(folder.path().join("index.redb")).unwrap();
    suite::finds(open(folder.path()).unwrap().0.as_ref());
    std::fs::remove_file(folder.path().join("hashes")).unwrap();
    suite::finds(open_warned(folder.path()).unwrap().0.as_ref());
}

#[tokio::test]
async fn what_is_erased_is_gone_from_the_disk_and_the_log_holds() {
    let folder = TempDir::new().unwrap();
    let (history, key) = open(folder.path()).unwrap();
    suite::nine(history.as_ref()).await;
    suite::erases(history.as_ref(), &key).await;
    let mut copied = Vec::new();
    assert_eq!(export::log(history.as_ref(), &mut copied).unwrap(), 14);
    drop(history);
    let octets = std::fs::read(folder.path().join("records")).unwrap();
    assert!(memchr::memmem::find(&octets, b"<3@a.example.jp>").is_none());
    assert!(memchr::memmem::find(&octets, b"<2@a.example.jp>").is_some());
    let good = verify(folder.path(), &key, &[], &mut |_| {}).unwrap();
    assert_eq!((good.head.size, good.erased), (14, 2));
    let copy = TempDir::new().unwrap();
    std::fs::write(copy.path().join("records"), copied).unwrap();
    assert_eq!(verify(copy.path(), &key, &[], &mut |_| {}).unwrap(), good);
    for lost in [None, Some("index.redb")] {
        if let Some(lost) = lost {
            std::fs::remove_file(folder.path().join(lost)).unwrap();
        }
        let (history, _) = open(folder.path()).unwrap();
        assert_eq!(suite::numbers(history.as_ref(), Query::default()), [8, 7, 6, 5, 4, 2, 1, 0]);
    }
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
