#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! What only the embedded store promises: files that nobody else reads, power cuts, damage, holes, backups.

use std::os::unix::fs::{FileExt, PermissionsExt};

use proptest::prelude::*;
use sealfax_client::seam::SystemEntropy;
use tempfile::TempDir;

use super::*;

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(folder, &entropy()).unwrap()
}

fn mail(text: &str) -> Delivery {
    Delivery { mail: text.as_bytes().to_vec(), mailboxes: vec!["a@b".to_owned()], sealed: true, ..Delivery::default() }
}

/// The mails of a mailbox, without their `Return-Path`.
fn texts(store: &EmbeddedStore, account: &str) -> Vec<String> {
    let read = |mail: &StoredMail| String::from_utf8(store.read(account, mail.id).unwrap().unwrap()).unwrap();
    let mails = store.list(account).unwrap();
    mails.iter().map(|mail| read(mail).split_once("\r\n").unwrap().1.to_owned()).collect()
}

/// The folder as a power cut at this moment leaves it, if everything was written: the index is as old as its last checkpoint.
fn cut(folder: &Path) -> TempDir {
    let image = tempfile::tempdir().unwrap();
    std::fs::create_dir(log_folder(image.path())).unwrap();
    for from in [folder.to_path_buf(), log_folder(folder)] {
        for entry in std::fs::read_dir(&from).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let to = image.path().join(entry.path().strip_prefix(folder).unwrap());
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    image
}

fn only_segment(folder: &Path) -> std::fs::File {
    let segments = Segments::open(&log_folder(folder)).unwrap();
    let last = *segments.list().unwrap().last().unwrap();
    let path = log_folder(folder).join(format!("{last:016x}.log"));
    std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
}

#[test]
fn it_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(open(folder.path()));
    crate::store::suite::holds(&store);
    drop(store);
    assert_eq!(EmbeddedStore::check(folder.path(), &entropy()).unwrap(), []);
}

#[test]
fn nobody_else_may_read_peoples_mail() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    for _ in 0..2 {
        open(&data).deliver(mail("x\r\n")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let log = log_folder(&data);
        assert_eq!((mode(&data), mode(&log), mode(&index::path(&data))), (0o700, 0o700, 0o600));
        for entry in std::fs::read_dir(&log).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }
    assert!(EmbeddedStore::open(&data, &entropy()).is_ok());
}

#[test]
fn two_do_not_share_a_folder_and_older_and_newer_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    assert!(matches!(EmbeddedStore::open(folder.path(), &entropy()), Err(StoreError::InUse)));
    drop(first);
    let index = Index::open(folder.path(), entropy().as_ref()).unwrap();
    index.with_tables(|tables| tables.put_number("format", 3)).unwrap();
    index.checkpoint().unwrap();
    drop(index);
    let newer = EmbeddedStore::open(folder.path(), &entropy());
    assert!(matches!(newer, Err(StoreError::Format { found: 3, known: 2 })));
    let old = tempfile::tempdir().unwrap();
    std::fs::write(old.path().join("mail.redb"), b"").unwrap();
    assert!(matches!(EmbeddedStore::open(old.path(), &entropy()), Err(StoreError::Old)));
}

#[test]
fn what_was_answered_is_there_after_a_power_cut_and_what_was_half_written_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..5 {
        store.deliver(mail(&format!("mail {number}\r\n"))).unwrap();
    }
    let before = cut(folder.path());
    let length = store.segments.file(1).unwrap().metadata().unwrap().len();
    assert_eq!(texts(&open(before.path()), "a@b").len(), 5);
    let end = only_segment(before.path()).metadata().unwrap().len();
    assert!(end < length, "space was taken ahead");
    store.deliver(mail("the last one\r\n")).unwrap();
    // Of the folder as it is now: its store goes on to write its index through.
    let folder = cut(folder.path());
    // However much of the last frame was written, and whatever became of the rest of it.
    for rest in [None, Some(0u8), Some(0xff)] {
        for more in (0..end.min(400)).step_by(7) {
            let image = cut(folder.path());
            let log = only_segment(image.path());
            match rest {
                None => log.set_len(end + more).unwrap(),
                Some(rest) => log.write_all_at(&vec![rest; 500], end + more).unwrap(),
            }
            let mails = texts(&open(image.path()), "a@b");
            assert!(
                mails.len() == 5 || (mails.len() == 6 && mails[5] == "the last one\r\n"),
                "{rest:?} {more} {mails:?}"
            );
            // And it goes on.
            let store = open(image.path());
            store.deliver(mail("after\r\n")).unwrap();
            drop(store);
            assert_eq!(texts(&open(image.path()), "a@b").last().unwrap(), "after\r\n");
        }
    }
}

#[test]
fn damage_before_the_end_is_no_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..3 {
        store.deliver(mail(&format!("mail {number}\r\n"))).unwrap();
    }
    let image = cut(folder.path());
    drop(store);
    // In the middle of the first frame; the index has not been written through yet.
    only_segment(image.path()).write_all_at(b"#", 40).unwrap();
    assert!(matches!(EmbeddedStore::open(image.path(), &entropy()), Err(StoreError::LogDamaged { .. })));
    assert_eq!(EmbeddedStore::check(image.path(), &entropy()).unwrap()[0].name, "LOG-001");
    let findings = EmbeddedStore::repair(image.path(), &entropy()).unwrap();
    assert_eq!(findings.iter().map(|finding| finding.name).collect::<Vec<_>>(), ["LOG-001"]);
    assert_eq!(texts(&open(image.path()), "a@b"), ["mail 1\r\n", "mail 2\r\n"]);
}

#[test]
fn a_damaged_mail_is_found_told_and_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.deliver(mail("first mail\r\n")).unwrap();
    store.deliver(mail("second mail\r\n")).unwrap();
    drop(store);
    let log = only_segment(folder.path());
    let mut octets = vec![0u8; usize::try_from(log.metadata().unwrap().len()).unwrap()];
    log.read_exact_at(&mut octets, 0).unwrap();
    let place = memchr::memmem::find(&octets, b"second").unwrap();
    log.write_all_at(b"X", place as u64).unwrap();
    let store = open(folder.path());
    let id = store.list("a@b").unwrap()[1].id;
    assert!(matches!(store.read("a@b", id), Err(StoreError::BodyDamaged { .. })));
    drop(store);
    let found = EmbeddedStore::check(folder.path(), &entropy()).unwrap();
    assert!(found.len() == 1 && found[0].name == "MAIL-001" && found[0].text.contains("a@b"), "{found:?}");
    let found = EmbeddedStore::repair(folder.path(), &entropy()).unwrap();
    assert!(found.len() == 1 && found[0].name == "MAIL-001", "{found:?}");
    assert_eq!(texts(&open(folder.path()), "a@b"), ["first mail\r\n"]);
    let aside: Vec<_> = std::fs::read_dir(folder.path().join("damaged")).unwrap().collect();
    assert_eq!(std::fs::read(aside[0].as_ref().unwrap().path()).unwrap(), b"Xecond mail\r\n");
    assert_eq!(EmbeddedStore::check(folder.path(), &entropy()).unwrap(), []);
}

#[test]
fn a_lost_index_is_made_anew_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..6 {
        store.deliver(mail(&format!("mail {number}\r\n"))).unwrap();
    }
    let ids: Vec<u64> = store.list("a@b").unwrap().iter().map(|mail| mail.id).collect();
    store.delete("a@b", &ids[1..3], 1).unwrap();
    let (before, uids) = (texts(&store, "a@b"), store.list("a@b").unwrap());
    drop(store);
    std::fs::write(index::path(folder.path()), b"no index").unwrap();
    assert_eq!(EmbeddedStore::check(folder.path(), &entropy()).unwrap()[0].name, "INDEX-001");
    assert_eq!(EmbeddedStore::repair(folder.path(), &entropy()).unwrap(), []);
    let store = open(folder.path());
    assert_eq!((texts(&store, "a@b"), store.list("a@b").unwrap()), (before, uids));
}

#[test]
fn deleted_mail_leaves_the_disk_and_empty_segments_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let big = "secret page ".repeat(60_000);
    for number in 0..120 {
        store.deliver(mail(&format!("{number} {big}\r\n"))).unwrap();
    }
    let segments = store.segments.list().unwrap();
    assert!(segments.len() > 1, "{segments:?}");
    let ids: Vec<u64> = store.list("a@b").unwrap().iter().map(|mail| mail.id).collect();
    store.delete("a@b", &ids[..119], 1).unwrap();
    drop(store);
    let on_disk = |folder: &Path| {
        use std::os::unix::fs::MetadataExt;
        let entries = std::fs::read_dir(log_folder(folder)).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
        entries.map(|data| data.blocks() * 512).sum::<u64>()
    };
    let store = open(folder.path());
    assert_eq!(store.segments.list().unwrap().len(), 1);
    assert!(on_disk(folder.path()) < 2_500_000, "{}", on_disk(folder.path()));
    assert_eq!(texts(&store, "a@b").len(), 1);
    drop(store);
    assert_eq!(EmbeddedStore::check(folder.path(), &entropy()).unwrap(), []);
    // Without an index, what was deleted does not come back.
    std::fs::remove_file(index::path(folder.path())).unwrap();
    EmbeddedStore::repair(folder.path(), &entropy()).unwrap();
    assert_eq!(texts(&open(folder.path()), "a@b").len(), 1);
}

#[test]
fn a_backup_is_a_store_of_that_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let (stop, stopped) = channel::<()>();
    let busy = {
        let store = store.clone();
        std::thread::spawn(move || {
            for number in 0.. {
                if stopped.try_recv().is_ok() {
                    return;
                }
                store.deliver(mail(&format!("mail {number}\r\n"))).unwrap();
                let list = store.list("a@b").unwrap();
                if list.len() > 20 {
                    store.delete("a@b", &[list[0].id], 1).unwrap();
                }
            }
        })
    };
    for number in 0..3 {
        let to = folder.path().join(format!("backup-{number}"));
        store.backup(&to).unwrap();
        assert!(matches!(store.backup(&to), Err(StoreError::NotEmpty(_))));
        assert_eq!(EmbeddedStore::check(&to, &entropy()).unwrap(), []);
        let mails = texts(&open(&to), "a@b");
        let numbers: Vec<u32> = mails.iter().map(|text| text.trim().replace("mail ", "").parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    }
    stop.send(()).unwrap();
    busy.join().unwrap();
}

#[test]
fn all_who_wait_are_answered_and_nothing_is_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    std::thread::scope(|scope| {
        for person in 0..16 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..20 {
                    let mailboxes = vec![format!("p{person}@b")];
                    store.deliver(Delivery { mailboxes, ..mail(&format!("{number}\r\n")) }).unwrap();
                    assert_eq!(store.list(&format!("p{person}@b")).unwrap().len(), number + 1, "answered, and seen");
                }
            });
        }
    });
    drop(store);
    let store = open(folder.path());
    for person in 0..16 {
        let all: Vec<String> = (0..20).map(|number| format!("{number}\r\n")).collect();
        assert_eq!(texts(&store, &format!("p{person}@b")), all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any octet of the log changed, after any checkpoint: the store opens with every mail as it was, or says that it is damaged.
    #[test]
    fn no_changed_octet_goes_unnoticed(at in 0usize..3000, with in 1u8..=255, image in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let wanted: Vec<String> = (0..8).map(|number| format!("this is mail number {number}\r\n")).collect();
        wanted.iter().for_each(|text| store.deliver(mail(text)).unwrap());
        let copy = cut(folder.path());
        drop(store);
        let folder = if image { copy } else { folder };
        let log = only_segment(folder.path());
        let mut octets = vec![0u8; usize::try_from(log.metadata().unwrap().len()).unwrap()];
        log.read_exact_at(&mut octets, 0).unwrap();
        let used = octets.iter().rposition(|octet| *octet != 0).unwrap();
        let at = at % used;
        log.write_all_at(&[octets[at] ^ with], at as u64).unwrap();
        match EmbeddedStore::open(folder.path(), &entropy()) {
            Ok(store) => {
                let list = store.list("a@b").unwrap();
                for (mail, text) in list.iter().zip(&wanted) {
                    match store.read("a@b", mail.id) {
                        Ok(read) => prop_assert!(read.unwrap().ends_with(text.as_bytes())),
                        Err(StoreError::BodyDamaged { .. }) => {}
                        Err(other) => return Err(TestCaseError::fail(other.to_string())),
                    }
                }
                // Only of the last frame can it be thought that it was never answered.
                prop_assert!(list.len() == 8 || (list.len() == 7 && image), "{} mails", list.len());
            }
            Err(StoreError::LogDamaged { .. }) => {}
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }
}
