//! Histories that somebody changed: the check names the place, and no server goes on with them.

use tempfile::TempDir;

use super::*;
use crate::history::embedded::{FILE, Frame, Frames, Next};
use crate::history::verify::verify;

/// Where each frame begins and ends, and whether it is a record.
fn frames(folder: &Path) -> Vec<(std::ops::Range<usize>, bool)> {
    let mut frames = Frames::of(folder).unwrap();
    let mut found = Vec::new();
    loop {
        let from = frames.at as usize;
        match frames.next().unwrap() {
            Next::Frame(frame) => found.push((from..frames.at as usize, matches!(frame, Frame::Record { .. }))),
            _ => return found,
        }
    }
}

fn named(folder: &Path, key: &LogKey) -> Option<u64> {
    match verify(folder, key, &[], &mut |_| {}) {
        Ok(_) => None,
        Err(HistoryError::Tampered { index, .. }) => Some(index),
        Err(error) => panic!("{error}"),
    }
}

/// Three groups: five records one by one, then a run of records together, then one more.
async fn made(folder: &Path) -> LogKey {
    let (history, key) = open(folder).unwrap();
    fill(history.as_ref(), 0..5).await;
    fill_together(&history, 5..60).await;
    fill(history.as_ref(), 60..61).await;
    key
}

#[tokio::test]
async fn each_octet_of_each_record_counts() {
    let folder = TempDir::new().unwrap();
    let key = made(folder.path()).await;
    assert_eq!(named(folder.path(), &key), None);
    let path = folder.path().join(FILE);
    let whole = std::fs::read(&path).unwrap();
    let records: Vec<_> = frames(folder.path()).into_iter().filter(|(_, record)| *record).collect();
    assert_eq!(records.len(), 61);
    for (number, (range, _)) in records.iter().enumerate() {
        // Every octet of some records, and some octets of every record.
        let step = if number % 20 == 3 { 1 } else { 61 };
        for at in range.clone().step_by(step) {
            // That it was erased is said by one octet, which then says nothing false about the rest.
            let mut changed = whole.clone();
            changed[at] ^= 0x01;
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(
                named(folder.path(), &key),
                Some(number as u64),
                "octet {} of record {number}",
                at - range.start
            );
        }
    }
}

#[tokio::test]
async fn a_record_that_is_dropped_repeated_or_moved_is_named() {
    let folder = TempDir::new().unwrap();
    let key = made(folder.path()).await;
    let path = folder.path().join(FILE);
    let whole = std::fs::read(&path).unwrap();
    let all = frames(folder.path());
    let records: Vec<_> = all.iter().filter(|(_, record)| *record).map(|(range, _)| range.clone()).collect();
    let put = |parts: &[&[u8]]| {
        std::fs::write(&path, parts.concat()).unwrap();
        named(folder.path(), &key)
    };
    for number in [0, 4, 20, 60] {
        let range = records[number].clone();
        assert_eq!(put(&[&whole[..range.start], &whole[range.end..]]), Some(number as u64), "dropped");
        assert_eq!(put(&[&whole[..range.end], &whole[range.start..]]), Some(number as u64 + 1), "repeated");
    }
    // Two neighbours of one group, each complete with its own number.
    let (one, other) = (records[20].clone(), records[21].clone());
    let swapped = [&whole[..one.start], &whole[other.clone()], &whole[one], &whole[other.end..]];
    assert_eq!(put(&swapped), Some(20));
    // The last record with its checkpoint: the folder alone cannot know, who has a receipt does.
    let end = all[all.len() - 3].0.end;
    assert_eq!(put(&[&whole[..end]]), None);
    let seen = key.checkpoint(&open_rolled_back(&whole, &key).await).unwrap();
    let error = verify(folder.path(), &key, &[seen], &mut |_| {}).unwrap_err();
    assert!(matches!(&error, HistoryError::Tampered { index: 60, why } if why.contains("rolled back")), "{error}");
    // The server itself knows, by its index.
    assert!(matches!(open(folder.path()), Err(HistoryError::Tampered { index: 60, .. })));
}

/// The last checkpoint of a log.
async fn open_rolled_back(whole: &[u8], _: &LogKey) -> String {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join(FILE), whole).unwrap();
    let mut frames = Frames::of(folder.path()).unwrap();
    let mut last = String::new();
    while let Next::Frame(frame) = frames.next().unwrap() {
        if let Frame::Checkpoint(note) = frame {
            last = note;
        }
    }
    last
}

#[tokio::test]
async fn a_history_written_anew_by_somebody_else_is_known_by_its_key_and_by_receipts() {
    let folder = TempDir::new().unwrap();
    let key = made(folder.path()).await;
    let forged = TempDir::new().unwrap();
    let (history, other) = open(forged.path()).unwrap();
    fill(history.as_ref(), 0..61).await;
    drop(history);
    assert_ne!(key.to_string(), other.to_string());
    assert_eq!(named(forged.path(), &key), Some(0));
    // By whoever has the key of the history itself: only receipts that were given out earlier tell.
    let (history, _) = open(folder.path()).unwrap();
    let receipt = history.receipt(30).unwrap();
    drop(history);
    for name in ["log.key", "log.pub"] {
        std::fs::copy(folder.path().join(name), forged.path().join(name)).unwrap();
    }
    for name in [FILE, "hashes", "index.redb"] {
        std::fs::remove_file(forged.path().join(name)).unwrap();
    }
    let (history, same) = open(forged.path()).unwrap();
    fill(history.as_ref(), 0..70).await;
    drop(history);
    assert_eq!(same.to_string(), key.to_string());
    assert_eq!(named(forged.path(), &key), None);
    let seen = receipt.verify(&key).unwrap().head;
    let error = verify(forged.path(), &key, &[seen], &mut |_| {}).unwrap_err();
    assert!(matches!(&error, HistoryError::Tampered { index: 61, .. }), "{error}");
}

#[tokio::test]
async fn a_group_that_a_power_cut_left_unfinished_is_put_aside_and_no_other_one() {
    let folder = TempDir::new().unwrap();
    let (history, key) = open(folder.path()).unwrap();
    fill(history.as_ref(), 0..3).await;
    let begun = std::fs::metadata(folder.path().join(FILE)).unwrap().len() as usize;
    fill(history.as_ref(), 3..5).await;
    drop(history);
    let path = folder.path().join(FILE);
    let whole = std::fs::read(&path).unwrap();
    let index = std::fs::read(folder.path().join("index.redb")).unwrap();
    let ends: Vec<usize> = frames(folder.path()).iter().map(|(range, _)| range.end).collect();
    // Wherever the last group was cut: what was answered for is there, and the log goes on.
    let last = ends[ends.len() - 3];
    for cut in (last + 1..whole.len()).step_by(7) {
        let copy = TempDir::new().unwrap();
        for name in ["log.key", "log.pub"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        std::fs::write(copy.path().join(FILE), &whole[..cut]).unwrap();
        assert_eq!(named(copy.path(), &key), None);
        let (history, _, warned) = open_warned(copy.path()).unwrap();
        assert_eq!((history.checkpoint().unwrap().0.size, warned.len()), (4, 1), "cut at {cut}");
        fill(history.as_ref(), 3..6).await;
        drop(history);
        assert_eq!(verify(copy.path(), &key, &[], &mut |_| {}).unwrap().head.size, 6);
    }
    // A change in a group that others follow is no power cut, whether the index knows the group or not.
    for without_index in [true, false] {
        let mut changed = whole.clone();
        changed[begun - 40] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        if without_index {
            std::fs::remove_file(folder.path().join("index.redb")).unwrap();
            std::fs::remove_file(folder.path().join("hashes")).unwrap();
        } else {
            std::fs::write(folder.path().join("index.redb"), &index).unwrap();
        }
        assert!(named(folder.path(), &key).is_some());
        if without_index {
            assert!(matches!(open_warned(folder.path()), Err(HistoryError::Tampered { index: 2, .. })));
        }
    }
}
