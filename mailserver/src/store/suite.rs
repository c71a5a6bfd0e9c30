#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! What holds for every store, whatever it keeps things in.

use sealfax_client::pop3_server::Password;
use sealfax_client::seam::Seams;

use super::*;
use crate::accounts::Accounts;

const HANAKO: &str = "hanako@b.test";
const JIRO: &str = "jiro@b.test";

fn sealed(text: &str, mailboxes: &[&str], now: u64) -> Delivery {
    Delivery {
        mail: text.as_bytes().to_vec(),
        reverse_path: Some("taro@a.test".to_owned()),
        mailboxes: mailboxes.iter().map(ToString::to_string).collect(),
        sealed: true,
        now,
        notice_expires: now + 1000,
        ..Delivery::default()
    }
}

fn queued(text: &str, domain: &str, now: u64) -> Delivery {
    let item =
        NewItem { route: Route::Domain(domain.to_owned()), recipients: vec![format!("x@{domain}")], expires: 500 };
    Delivery { mail: text.as_bytes().to_vec(), queue: vec![item], now, ..Delivery::default() }
}

/// All of it, one after the other, on an empty store.
pub fn holds(store: &Arc<dyn Store>) {
    mailboxes(store.as_ref());
    queue(store.as_ref());
    notices(store.as_ref());
    locks(store.as_ref());
    accounts(store);
}

fn mailboxes(store: &dyn Store) {
    store.deliver(sealed("one\r\n", &[HANAKO, JIRO], 10)).unwrap();
    store.deliver(Delivery { sealed: false, reverse_path: None, ..sealed("two\r\n", &[HANAKO], 20) }).unwrap();
    let list = store.list(HANAKO).unwrap();
    assert_eq!(list.iter().map(|mail| (mail.sealed, mail.received)).collect::<Vec<_>>(), [(true, 10), (false, 20)]);
    assert!(list.iter().is_sorted_by_key(|mail| mail.id) && list[0].uid != list[1].uid);
    let read = |account: &str, id| store.read(account, id).unwrap().map(|mail| String::from_utf8(mail).unwrap());
    assert_eq!(read(HANAKO, list[0].id).unwrap(), "Return-Path: <taro@a.test>\r\none\r\n");
    assert_eq!(read(HANAKO, list[1].id).unwrap(), "Return-Path: <>\r\ntwo\r\n");
    assert_eq!(list.iter().map(|mail| mail.size).sum::<u64>(), store.usage(HANAKO).unwrap().octets);
    assert_eq!(list[0].size, read(HANAKO, list[0].id).unwrap().len() as u64);
    assert_eq!(read(JIRO, list[0].id), None, "a number opens no other mailbox");
    assert_eq!((store.usage(HANAKO).unwrap().mails, store.usage(HANAKO).unwrap().sealed), (2, 1));
    store.delete(HANAKO, &[list[0].id, 4711], 30).unwrap();
    assert_eq!(read(HANAKO, list[0].id), None);
    let left = store.list(JIRO).unwrap();
    assert_eq!(read(JIRO, left[0].id).unwrap(), "Return-Path: <taro@a.test>\r\none\r\n", "another's is not deleted");
    store.delete(HANAKO, &[list[1].id], 30).unwrap();
    store.delete(JIRO, &[left[0].id], 30).unwrap();
    assert_eq!((store.usage(HANAKO).unwrap(), store.list(JIRO).unwrap()), (Usage::default(), vec![]));
    store.deliver(sealed("three\r\n", &[HANAKO], 40)).unwrap();
    let again = store.list(HANAKO).unwrap();
    assert!(list.iter().chain(&left).all(|old| old.uid != again[0].uid && old.id < again[0].id));
    store.delete(HANAKO, &[again[0].id], 50).unwrap();
    // A mail for nobody is none.
    store.deliver(Delivery { mail: b"x".to_vec(), ..Delivery::default() }).unwrap();
}

fn queue(store: &dyn Store) {
    assert_eq!(store.due(u64::MAX, &[]).unwrap(), (vec![], None));
    store.deliver(queued("later\r\n", "late.test", 200)).unwrap();
    store.deliver(queued("now\r\n", "soon.test", 100)).unwrap();
    let (due, next) = store.due(150, &[]).unwrap();
    assert_eq!((due.len(), next), (1, Some(200)));
    let item = due[0].clone();
    assert_eq!((item.route.clone(), item.attempts, item.queued), (Route::Domain("soon.test".to_owned()), 0, 100));
    assert_eq!(store.queued_body(&item).unwrap().unwrap(), b"now\r\n");
    let put_off = QueueItem { next: 300, attempts: 1, last_error: "421 busy".to_owned(), ..item.clone() };
    assert!(store.settle(item.id, Some(put_off.clone()), None).unwrap());
    assert_eq!(store.due(150, &[]).unwrap(), (vec![], Some(200)));
    assert!(store.due(300, &[]).unwrap().0.contains(&put_off));
    // Its end, and what comes of it, are one step.
    assert!(store.settle(item.id, None, Some(sealed("bounce\r\n", &[HANAKO], 310))).unwrap());
    assert_eq!(store.queued_body(&item).unwrap(), None);
    assert_eq!(store.usage(HANAKO).unwrap().mails, 1);
    assert!(!store.settle(item.id, None, Some(sealed("bounce\r\n", &[HANAKO], 310))).unwrap());
    assert!(!store.settle(item.id, Some(put_off), None).unwrap(), "what has ended does not come back");
    assert_eq!((store.usage(HANAKO).unwrap().mails, store.queue().unwrap().len()), (1, 1));
    let last = store.queue().unwrap()[0].id;
    assert!(store.settle(last, None, None).unwrap());
    let bounce = store.list(HANAKO).unwrap()[0].id;
    store.delete(HANAKO, &[bounce], 320).unwrap();
    // One mail for a mailbox and two ways: each is its own.
    let mut both = sealed("both\r\n", &[JIRO], 330);
    both.queue = [queued("", "one.test", 330).queue, queued("", "two.test", 330).queue].concat();
    store.deliver(both).unwrap();
    let (items, mail) = (store.due(330, &[]).unwrap().0, store.list(JIRO).unwrap());
    assert_eq!((items.len(), mail.len()), (2, 1));
    // A domain that has enough to do is passed over.
    let others = store.due(330, &["two.test".to_owned(), "none.test".to_owned()]).unwrap().0;
    assert_eq!(others.iter().map(|item| &item.route).collect::<Vec<_>>(), [&Route::Domain("one.test".to_owned())]);
    store.settle(items[0].id, None, None).unwrap();
    store.delete(JIRO, &[mail[0].id], 340).unwrap();
    assert_eq!(store.queued_body(&items[1]).unwrap().unwrap(), b"both\r\n");
    store.settle(items[1].id, None, None).unwrap();
    assert_eq!(store.queued_body(&items[1]).unwrap(), None);
}

fn notices(store: &dyn Store) {
    assert_eq!(store.notices_due(u64::MAX).unwrap(), (vec![], None));
    store.deliver(sealed("one\r\n", &[HANAKO], 100)).unwrap();
    store.deliver(Delivery { sealed: false, ..sealed("plain\r\n", &[JIRO], 100) }).unwrap();
    let (due, next) = store.notices_due(100).unwrap();
    assert_eq!((due.len(), next), (1, None), "who has nothing sealed is not notified");
    let first = due[0].clone();
    assert_eq!((first.account.as_str(), first.last_sent, first.next), (HANAKO, None, 100));
    assert_eq!(store.notices().unwrap(), due, "who only looks takes none");
    // A further mail while the notice is on its way only puts off its end.
    store.deliver(sealed("two\r\n", &[HANAKO], 110)).unwrap();
    let sent = NoticeState { last_sent: Some(105), next: 400, escalates: Some(1900), ..first.clone() };
    // Nor is an answer lost that comes meanwhile, whatever older mail is fetched again later.
    let mails = store.list(HANAKO).unwrap();
    store.answer_notice(HANAKO, mails[1].id).unwrap();
    store.answer_notice(HANAKO, mails[0].id).unwrap();
    store.answer_notice(JIRO, mails[0].id).unwrap();
    store.settle_notice(first.clone(), Some(sent.clone())).unwrap();
    let (none, next) = store.notices_due(399).unwrap();
    assert_eq!((none, next), (vec![], Some(400)));
    let kept = store.notices_due(400).unwrap().0.remove(0);
    assert_eq!((kept.expires, kept.escalates, kept.answered), (1110, Some(1900), Some(mails[1].id)));
    // Whoever held the older state changes nothing any more.
    store.settle_notice(first, None).unwrap();
    assert_eq!(store.notices_due(400).unwrap().0.len(), 1);
    // Fetched and deleted: what came after the notice is news.
    store.delete(HANAKO, &[mails[0].id], 200).unwrap();
    assert_eq!(store.notices_due(200).unwrap().0[0].next, 200);
    store.delete(HANAKO, &[mails[1].id], 210).unwrap();
    assert_eq!(store.notices_due(u64::MAX).unwrap(), (vec![], None));
    let plain = store.list(JIRO).unwrap()[0].id;
    store.delete(JIRO, &[plain], 220).unwrap();
}

fn locks(store: &dyn Store) {
    let first = store.lock(HANAKO).unwrap();
    assert!(first.is_some() && store.lock(HANAKO).unwrap().is_none() && store.lock(JIRO).unwrap().is_some());
    drop(first);
    // It is given back a moment later, maybe.
    while store.lock(HANAKO).unwrap().is_none() {
        std::thread::yield_now();
    }
}

fn accounts(store: &Arc<dyn Store>) {
    assert_eq!(store.accounts().unwrap(), []);
    let made = Accounts::open(store.clone(), Seams::system().entropy).unwrap().cheap();
    let password = Password::new(b"correct horse".to_vec());
    let account = |address: &str| made.add(address, "x", &password, &["adapter.test".to_owned()]).unwrap();
    let (jiro, hanako) = (account(JIRO), account(HANAKO));
    assert_eq!(store.accounts().unwrap(), [hanako.clone(), jiro.clone()]);
    store.put_account(&hanako).unwrap();
    assert_eq!(store.accounts().unwrap(), [hanako, jiro.clone()]);
    store.deliver(sealed("one\r\n", &[HANAKO], 100)).unwrap();
    let before = store.list(HANAKO).unwrap();
    assert!(store.rename_account(HANAKO, "h.sato@b.test").unwrap());
    assert!(!store.rename_account(HANAKO, "h.sato@b.test").unwrap());
    let after = store.list("h.sato@b.test").unwrap();
    assert_eq!((store.list(HANAKO).unwrap().len(), &after), (0, &before), "her mails went with her");
    assert!(store.read("h.sato@b.test", after[0].id).unwrap().is_some());
    assert_eq!(store.notices_due(100).unwrap().0[0].account, "h.sato@b.test");
    assert!(store.remove_account("h.sato@b.test").unwrap());
    assert!(!store.remove_account("h.sato@b.test").unwrap());
    assert_eq!(store.accounts().unwrap(), [jiro]);
    assert_eq!(store.usage("h.sato@b.test").unwrap(), Usage::default());
    assert_eq!(store.notices_due(u64::MAX).unwrap().0, []);
}
