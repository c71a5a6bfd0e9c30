//! Composed mails as they stand, round trips, hostile mails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::page::{Page, Resolution};

fn fax(text: Option<&str>) -> FaxMail {
    FaxMail {
        from: Mailbox::parse("Tanaka Taro <tanaka@a.example>").unwrap(),
        to: Mailbox::parse_list("\"佐藤 花子\" <sato@b.example>, FAX=+81312345678@gw.example").unwrap(),
        subject: "診断書 Medical certificate".into(),
        date: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_353_600),
        message_id: "20261122.1@ifax.a.example".into(),
        notify: None,
        text: text.map(str::to_owned),
        pages: tiff::write(&[Page::blank(1728, 8, Resolution::Fine).unwrap()]).unwrap(),
        boundary: "=_fax-1".into(),
    }
}

#[test]
fn a_fax_alone_is_a_single_part() {
    let octets = compose(&FaxMail { notify: Some(fax(None).from), ..fax(None) }).unwrap();
    insta::assert_snapshot!(String::from_utf8(octets).unwrap().replace("\r\n", "\n"));
}

#[test]
fn a_cover_text_makes_it_multipart() {
    let octets = compose(&fax(Some("Two pages follow.\n2枚です。\n"))).unwrap();
    insta::assert_snapshot!(String::from_utf8(octets).unwrap().replace("\r\n", "\n"));
}

#[test]
fn mails_come_back() {
    for text in [None, Some("Two pages follow.\n"), Some("2枚です。\n"), Some("--=_fax-1--\n")] {
        let sent = fax(text);
        let octets = compose(&sent).unwrap();
        assert!(octets.windows(2).all(|w| (w[1] == b'\n') == (w[0] == b'\r')));
        let mut read = parse(&octets, &Limits::default()).unwrap();
        if text.is_none() {
            read.boundary = sent.boundary.clone();
        }
        assert_eq!(read, sent);
    }
}

#[test]
fn another_reader_finds_the_same_parts() {
    let sent = fax(Some("2枚です。\n"));
    let octets = compose(&sent).unwrap();
    let other = mail_parser::MessageParser::default().parse(&octets).unwrap();
    assert_eq!(other.subject(), Some(sent.subject.as_str()));
    assert_eq!(other.attachment(0).unwrap().contents(), sent.pages);
    assert_eq!(other.body_text(0).unwrap().replace("\r\n", "\n"), "2枚です。\n");
}

#[test]
fn header_injection_is_refused() {
    for bad in [
        FaxMail { subject: "a\r\nBcc: evil@x.example".into(), ..fax(None) },
        FaxMail { message_id: "a>\r\nBcc: evil@x.example".into(), ..fax(None) },
        FaxMail { boundary: "a\"\r\nx: y".into(), ..fax(Some("t")) },
        FaxMail { to: Vec::new(), ..fax(None) },
    ] {
        assert!(compose(&bad).is_err());
    }
    // A name with a line break never gets that far as a value, and is encoded where it does.
    let name = Some("a\r\nBcc: evil@x.example".to_owned());
    let octets = compose(&FaxMail { from: Mailbox { name, address: fax(None).from.address }, ..fax(None) }).unwrap();
    assert!(!String::from_utf8(octets).unwrap().contains("\r\nBcc"));
}

#[test]
fn ambiguous_or_empty_mails_are_refused() {
    let octets = compose(&fax(None)).unwrap();
    let text = String::from_utf8(octets).unwrap();
    let verdict = |text: &str| parse(text.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(verdict(&format!("From: evil@x.example\r\n{text}")), HeaderError::Repeated("From").into());
    assert_eq!(verdict(&text.replace("image/tiff", "image/gif")), MailError::NoPages);
    assert_eq!(verdict(&text.replace("Message-ID", "X-ID")), MailError::Missing("Message-ID"));
    assert!(matches!(verdict(&text.replace("tanaka@", "tan aka@")), MailError::Address { field: "From", .. }));
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(50_000);
    assert!(matches!(verdict(&nested), MailError::Bounds(MimeBoundsError::Depth { .. })));
}

#[test]
fn one_attachment_a_page_becomes_one_document() {
    let one = fax(None).pages;
    let part =
        format!("--b\r\nContent-Type: image/tiff\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", base64_lines(&one));
    let mail = format!(
        "From: a@a.example\r\nTo: b@b.example\r\nDate: Sun, 22 Nov 2026 22:20:00 +0900\r\nMessage-ID: <1@a>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{part}{part}--b--\r\n"
    );
    let read = parse(mail.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(tiff::read(&read.pages, &tiff::Limits::default()).unwrap().len(), 2);
}

proptest! {
    #[test]
    fn mutated_mails_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12), noise in prop::collection::vec(any::<u8>(), 0..500)) {
        let mut octets = compose(&fax(Some("2枚です。\n"))).unwrap();
        for (at, octet) in flips {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        let _ = parse(&octets, &Limits::default());
        let _ = parse(&noise, &Limits::default());
    }
}
