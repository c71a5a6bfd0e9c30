//! What is written down is there after a power cut, once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::time::Duration;

use sealfax_client::history::Event;

use super::*;
use crate::flow::Protection;
use crate::flow::confirming::{Ending, Remark};

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
        submitted: None,
        overdue: None,
        seen: false,
    }
}

fn delivered(of: &OpenTransmission) -> Delivered {
    Delivered {
        transmission: of.clone(),
        at: SystemTime::UNIX_EPOCH,
        recipient_name: String::new(),
        failure: None,
        refused: false,
        remark: None,
        taken: None,
    }
}

fn closed(of: &OpenTransmission, ending: Ending) -> Closed {
    Closed { transmission: of.clone(), ending, at: SystemTime::UNIX_EPOCH }
}

fn owed(of: &OpenTransmission, event: Event) -> Owed {
    Owed::Record { record: Box::new(of.record(event, SystemTime::UNIX_EPOCH)), transmission: None }
}

/// The events that are owed to the history, in order.
fn events(ledger: &Ledger) -> Vec<Event> {
    let event = |owed| match owed {
        Owed::Record { record, .. } => Some(record.event),
        _ => None,
    };
    ledger.owed().unwrap().into_iter().filter_map(|(_, owed)| event(owed)).collect()
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
    let sent = transmission("b@b.example");
    ledger.open_transmissions(std::slice::from_ref(&sent)).unwrap();
    ledger.submitted("0", std::slice::from_ref(&sent), SystemTime::UNIX_EPOCH).unwrap();
    let open = ledger.open_transmission(&sent.message_id, &sent.recipient).unwrap().unwrap();
    let (closed, report, record) = (closed(&open, Ending::Delivered), delivered(&open), owed(&open, Event::Retrieval));
    let told = ["MDN".to_owned(), "DSN".to_owned()];
    let closing = Closing { closed: &closed, report: &report, record: &record, notifications: &told, alarm: None };
    assert!(ledger.close("1", closing, None).unwrap());
    assert!(!ledger.close("2", closing, None).unwrap());
    assert!(!ledger.close("2", closing, Some(Ending::Returned)).unwrap());
    assert_eq!(ledger.unreported().unwrap().len(), 1);
    assert_eq!(events(&ledger), [Event::Submission, Event::Retrieval]);
    assert!(ledger.all_open().unwrap().is_empty());
    assert_eq!(ledger.closed_transmission(&sent.message_id, &sent.recipient).unwrap(), Some(closed));
    assert!(ledger.report("r", "mail", &["1".into()]).unwrap());
    assert!(!ledger.report("again", "mail", &["1".into()]).unwrap());
    assert!(ledger.unreported().unwrap().is_empty());
    assert_eq!(ledger.reports().unwrap(), [("r".to_owned(), b"mail".to_vec())]);
    let waiting = ledger.notifications().unwrap();
    assert_eq!(waiting, [("1-0".to_owned(), b"MDN".to_vec()), ("1-1".to_owned(), b"DSN".to_vec())]);
    ledger.notification_taken("1-0").unwrap();
    assert_eq!(ledger.notifications().unwrap().len(), 1);
}

#[test]
fn a_submission_is_told_once_and_only_of_what_was_sent() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path()).unwrap();
    let (sent, refused, cut) = (transmission("a@b.example"), transmission("b@b.example"), transmission("c@b.example"));
    ledger.open_transmissions(&[sent.clone(), refused.clone(), cut.clone()]).unwrap();
    ledger.withdraw(std::slice::from_ref(&refused)).unwrap();
    // What was withdrawn is not told, nor anything twice.
    let told = [sent, refused];
    for _ in 0..2 {
        ledger.submitted("1", &told, SystemTime::UNIX_EPOCH).unwrap();
    }
    assert_eq!(events(&ledger), [Event::Submission]);
    // The power failed before the mail server's answer came: nothing is told of it, not even that it is overdue ...
    assert!(ledger.becomes_overdue("2", &cut, SystemTime::UNIX_EPOCH).unwrap());
    assert_eq!(events(&ledger), [Event::Submission]);
    // ... until its recipient proves that it was sent.
    let open = ledger.open_transmission(&cut.message_id, &cut.recipient).unwrap().unwrap();
    let (closed, report, record) = (closed(&open, Ending::Delivered), delivered(&open), owed(&open, Event::Retrieval));
    let closing = Closing { closed: &closed, report: &report, record: &record, notifications: &[], alarm: None };
    assert!(ledger.close("3", closing, None).unwrap());
    assert_eq!(events(&ledger), [Event::Submission, Event::Submission, Event::Retrieval]);
    // Its submission's answer comes later than its confirmation: told already.
    ledger.submitted("4", &[cut], SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(events(&ledger).len(), 3);
}

#[test]
fn what_failed_is_kept_until_somebody_has_seen_it_or_it_came_after_all() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = [transmission("a@b.example"), transmission("b@b.example")];
    let alarm = |of: &OpenTransmission| Alarm {
        sender: of.sender.clone(),
        recipient: of.recipient.clone(),
        refused: false,
        message_id: of.message_id.clone(),
    };
    {
        let ledger = Ledger::open(directory.path()).unwrap();
        ledger.open_transmissions(&[one.clone(), two.clone()]).unwrap();
        for (id, of) in [("1", &one), ("2", &two)] {
            let (closed, report, record) = (closed(of, Ending::Returned), delivered(of), owed(of, Event::NonDelivery));
            let alarm = alarm(of);
            let closing =
                Closing { closed: &closed, report: &report, record: &record, notifications: &[], alarm: Some(&alarm) };
            assert!(ledger.close(id, closing, None).unwrap());
        }
    }
    let ledger = Ledger::open(directory.path()).unwrap();
    assert_eq!(ledger.alarms().unwrap(), [alarm(&one), alarm(&two)]);
    ledger.acknowledge(&[alarm(&one)], false).unwrap();
    assert_eq!(ledger.alarms().unwrap(), [alarm(&two)]);
    let (closed, mut report, record) = (closed(&two, Ending::Delivered), delivered(&two), owed(&two, Event::Retrieval));
    report.remark = Some(Remark::AfterAll);
    let closing = Closing { closed: &closed, report: &report, record: &record, notifications: &[], alarm: None };
    assert!(ledger.close("3", closing, Some(Ending::Returned)).unwrap());
    assert!(ledger.alarms().unwrap().is_empty());
    assert_eq!(events(&ledger).last(), Some(&Event::Retrieval));
}

#[test]
fn overdue_is_told_once_and_seen_once() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path()).unwrap();
    let sent = transmission("a@b.example");
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
    ledger.open_transmissions(std::slice::from_ref(&sent)).unwrap();
    ledger.submitted("1", std::slice::from_ref(&sent), SystemTime::UNIX_EPOCH).unwrap();
    assert!(ledger.becomes_overdue("2", &sent, since).unwrap());
    assert!(!ledger.becomes_overdue("3", &sent, since).unwrap());
    assert_eq!(events(&ledger), [Event::Submission, Event::Overdue]);
    let stands = || ledger.all_open().unwrap().first().map(|open| (open.overdue, open.seen));
    assert_eq!(stands(), Some((Some(since), false)));
    ledger.acknowledge(&[], true).unwrap();
    assert_eq!(stands(), Some((Some(since), true)));
}

#[test]
fn ended_transmissions_are_remembered_up_to_a_bound() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path()).unwrap();
    let mut table = Vec::new();
    for number in 0..=10_000u64 {
        let mut ended = closed(&transmission("a@b.example"), Ending::Delivered);
        ended.transmission.message_id = format!("<{number}@a.example>");
        ended.at += Duration::from_secs(number);
        table.push(ended);
    }
    ledger
        .change(|write| {
            let mut rows = write.open_table(CLOSED).map_err(failed("written"))?;
            for ended in &table {
                let key = OpenTransmission::key(&ended.transmission.message_id, "a@b.example");
                let value = serde_json::to_vec(ended).map_err(failed("written"))?;
                rows.insert(key.as_str(), value.as_slice()).map_err(failed("written"))?;
            }
            Ok(())
        })
        .unwrap();
    let sent = transmission("new@b.example");
    ledger.open_transmissions(std::slice::from_ref(&sent)).unwrap();
    let mut newest = closed(&sent, Ending::Delivered);
    newest.at += Duration::from_secs(20_000);
    let (report, record) = (delivered(&sent), owed(&sent, Event::Retrieval));
    let closing = Closing { closed: &newest, report: &report, record: &record, notifications: &[], alarm: None };
    assert!(ledger.close("1", closing, None).unwrap());
    assert_eq!(ledger.closed_transmission("<0@a.example>", "a@b.example").unwrap(), None);
    assert!(ledger.closed_transmission("<10000@a.example>", "a@b.example").unwrap().is_some());
    assert!(ledger.closed_transmission(&sent.message_id, &sent.recipient).unwrap().is_some());
}

#[test]
fn what_version_0_1_0_left_is_read() {
    let former = r#"{"History":{"message_id":"<1@a.example>","sender":"taro@a.example","recipient":"hanako@b.example",
        "sent":"2026-11-22T05:00:00Z","delivered":"2026-11-22T05:05:00Z","content_digest":"DIGEST",
        "confirmation_digest":"DIGEST","outcome":"delivered"}}"#
        .replace("DIGEST", &"ab".repeat(32));
    let owed: Owed = serde_json::from_str(&former).unwrap();
    let Owed::History(former) = owed else { panic!("a record of version 0.1.0") };
    let record = former.record().unwrap();
    assert_eq!((record.event, record.check()), (Event::Retrieval, Ok(())));
    let open = r#"{"message_id":"<1@a.example>","sender":"a@a.example","recipient":"b@b.example",
        "sent":{"secs_since_epoch":1,"nanos_since_epoch":0},"content_digest":"00","pages":1}"#;
    let open: OpenTransmission = serde_json::from_str(open).unwrap();
    assert_eq!((open.submitted, open.overdue, open.seen), (None, None, false));
}
