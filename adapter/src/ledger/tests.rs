//! What is written down is there after a power cut, once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

fn transmission(recipient: &str) -> OpenTransmission {
    OpenTransmission {
        message_id: "<1@a.example>".into(),
        sender: "taro@a.example".into(),
        recipient: recipient.into(),
        sent: SystemTime::UNIX_EPOCH,
        content_digest: "00".into(),
        pages: Some(1),
        transmission: None,
        protection: Protection::Signed,
        receipt: None,
        wanted: None,
    }
}

#[test]
fn survives_being_closed_and_opened() {
    let directory = tempfile::tempdir().unwrap();
    let handed = Handed {
        print: Print::Handed,
        recipient: "hanako@b.example".into(),
        sender: "taro@a.example".into(),
        message_id: "<1@a.example>".into(),
        content_digest: "00".into(),
        receipt: None,
    };
    {
        let ledger = Ledger::open(directory.path()).unwrap();
        assert!(!ledger.hand("uid-1", &handed, SystemTime::UNIX_EPOCH).unwrap());
        ledger.printed("uid-1").unwrap();
        ledger.open_transmissions(&[transmission("b@b.example"), transmission("c@c.example")]).unwrap();
    }
    let ledger = Ledger::open(directory.path()).unwrap();
    assert_eq!(ledger.handed("uid-1").unwrap().unwrap().print, Print::Printed);
    assert_eq!(ledger.all_open().unwrap().len(), 2);
    ledger.forget("uid-1").unwrap();
    assert_eq!(ledger.handed("uid-1").unwrap(), None);
    // The mail is forgotten, the document is not: brought again by another mail it is no news, for this person.
    assert!(ledger.hand("uid-2", &handed, SystemTime::UNIX_EPOCH).unwrap());
    let other = Handed { recipient: "jiro@b.example".into(), ..handed };
    assert!(!ledger.hand("uid-3", &other, SystemTime::UNIX_EPOCH).unwrap());
}

#[test]
fn nobody_else_may_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(Ledger::open(&data).unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("ledger.redb"))), (0o700, 0o600));
    Ledger::open(&data).unwrap();
}

#[test]
fn a_confirmation_closes_once() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path()).unwrap();
    ledger.open_transmissions(&[transmission("b@b.example")]).unwrap();
    let delivered = Delivered {
        transmission: transmission("b@b.example"),
        at: SystemTime::UNIX_EPOCH,
        recipient_name: String::new(),
        failure: None,
    };
    let owed = Owed::Confirmation { to: "x@y.example".into(), mail: String::new(), transmission: None };
    let told = ["MDN".to_owned(), "DSN".to_owned()];
    assert!(ledger.close("1", &delivered, &owed, &told).unwrap());
    assert!(!ledger.close("2", &delivered, &owed, &told).unwrap());
    assert_eq!(ledger.unreported().unwrap().len(), 1);
    assert_eq!(ledger.owed().unwrap().len(), 1);
    ledger.report("r", "mail", &["1".into()]).unwrap();
    assert!(ledger.unreported().unwrap().is_empty());
    assert_eq!(ledger.reports().unwrap(), [("r".to_owned(), b"mail".to_vec())]);
    let waiting = ledger.notifications().unwrap();
    assert_eq!(waiting, [("1-0".to_owned(), b"MDN".to_vec()), ("1-1".to_owned(), b"DSN".to_vec())]);
    ledger.notification_taken("1-0").unwrap();
    assert_eq!(ledger.notifications().unwrap().len(), 1);
}
