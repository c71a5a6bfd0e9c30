//! The machine before a mail server that says what a test wants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use sealfax_client::seam::{Network, TcpNetwork};
use sealfax_ifax::page::Resolution;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

fn page() -> Page {
    let mut page = Page::blank(1728, 64, Resolution::Fine).unwrap();
    for x in 0..200 {
        page.set(x, x % 64, true);
    }
    page
}

fn terminal(at: SocketAddr, folder: &Path, log: &EventLog) -> IfaxTerminal {
    let seams = Seams::system();
    IfaxTerminal::new("terminal-a", "taro@a.example", at, at, seams, log.clone(), folder).unwrap()
}

/// A mail server that answers each line by `answer` and returns everything it was told.
async fn server(
    script: &'static [(&'static str, &'static str)],
    greeting: &'static str,
    mail: Vec<u8>,
) -> (SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpNetwork.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.get_mut().write_all(greeting.as_bytes()).await.unwrap();
        let (mut told, mut line) = (Vec::new(), String::new());
        while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
            told.extend(line.as_bytes());
            let answer =
                script.iter().find(|(verb, _)| line.starts_with(verb)).map_or("250 ok\r\n", |(_, answer)| answer);
            stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
            if line.starts_with("RETR") {
                stream.get_mut().write_all(&mail).await.unwrap();
                stream.get_mut().write_all(b"\r\n.\r\n").await.unwrap();
            }
            if answer.starts_with("354") {
                while !told.ends_with(b"\r\n.\r\n") {
                    told.push(stream.read_u8().await.unwrap());
                }
                stream
                    .get_mut()
                    .write_all(script.iter().find(|(verb, _)| *verb == ".").unwrap().1.as_bytes())
                    .await
                    .unwrap();
            }
            if line.starts_with("QUIT") {
                break;
            }
            line.clear();
        }
        told
    });
    (at, task)
}

#[tokio::test]
async fn a_taken_mail_is_sent_and_says_so() {
    let (folder, log) = (tempfile::tempdir().unwrap(), EventLog::new());
    let script =
        &[("EHLO", "250 hello\r\n"), ("DATA", "354 go\r\n"), (".", "250 2.0.0 taken\r\n"), ("QUIT", "221 bye\r\n")];
    let (at, told) = server(script, "220 adapter-a\r\n", Vec::new()).await;
    let lcd = terminal(at, folder.path(), &log).send(&["hanako@b.example".into()], &[page()], "Offer").await.unwrap();
    assert!(lcd.sent, "{lcd:?}");
    let told = String::from_utf8(told.await.unwrap()).unwrap();
    assert!(told.contains("MAIL FROM:<taro@a.example>"), "{told}");
    assert!(told.contains("image/tiff"), "{told}");
    let steps: Vec<_> = log.exercised().into_iter().filter(|id| id.starts_with("ST")).collect();
    assert_eq!(steps, ["ST701", "ST702", "ST703", "ST704", "ST705", "ST706", "ST707", "ST708"]);
}

#[tokio::test]
async fn in_extended_mode_it_asks_and_hears() {
    let (folder, log) = (tempfile::tempdir().unwrap(), EventLog::new());
    let script = &[
        ("EHLO", "250-hello\r\n250 DSN\r\n"),
        ("DATA", "354 go\r\n"),
        (".", "250 2.0.0 taken\r\n"),
        ("QUIT", "221 bye\r\n"),
    ];
    let (at, told) = server(script, "220 adapter-a\r\n", Vec::new()).await;
    let machine = terminal(at, folder.path(), &log).in_extended_mode();
    let to = "hanako@b.example";
    let lcd = machine.send(&[to.into()], &[page()], "Offer").await.unwrap();
    assert!(lcd.sent, "{lcd:?}");
    let told = String::from_utf8(told.await.unwrap()).unwrap();
    for asked in
        ["RET=HDRS ENVID=fax-", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;hanako@b.example", "Disposition-Notification-To: "]
    {
        assert!(told.contains(asked), "{asked}: {told}");
    }
    assert_eq!(machine.confirmed(&lcd.message_id, to), Some(State::Awaited));

    let recipient = Address::parse(to).unwrap();
    let notification = Mdn {
        reporting_ua: String::new(),
        original_recipient: None,
        final_recipient: recipient.clone(),
        original_message_id: lcd.message_id.clone(),
        disposition: mdn::Disposition::printed(),
        received_content_mic: None,
        extensions: Vec::new(),
        enclosed: None,
        text: mdn::verified_text(&recipient, "today"),
        boundary: "b".into(),
    };
    assert!(machine.is_news(&mdn::compose(&notification).unwrap()));
    assert_eq!(machine.confirmed(&lcd.message_id, to), Some(State::Processed));
    assert_eq!(machine.notifications().len(), 1);
}

#[tokio::test]
async fn a_refusal_stands_on_the_lcd() {
    let (folder, log) = (tempfile::tempdir().unwrap(), EventLog::new());
    let script = &[
        ("EHLO", "250 hello\r\n"),
        ("DATA", "354 go\r\n"),
        (".", "550 5.7.0 no certificate\r\n"),
        ("QUIT", "221 bye\r\n"),
    ];
    let (at, _told) = server(script, "220 adapter-a\r\n", Vec::new()).await;
    let lcd = terminal(at, folder.path(), &log).send(&["hanako@b.example".into()], &[page()], "Offer").await.unwrap();
    assert_eq!((lcd.sent, lcd.code), (false, Some(550)));
    assert!(lcd.text.contains("no certificate"), "{lcd:?}");
    assert!(log.exercised().contains("ST709"));
}

#[tokio::test]
async fn a_fetched_mail_is_printed_pixel_by_pixel_and_deleted() {
    let (folder, log) = (tempfile::tempdir().unwrap(), EventLog::new());
    let fax = FaxMail {
        from: mailbox("taro@a.example").unwrap(),
        to: vec![mailbox("hanako@b.example").unwrap()],
        subject: "Offer".into(),
        date: std::time::SystemTime::UNIX_EPOCH,
        message_id: "1@a.example".into(),
        notify: None,
        text: None,
        pages: tiff::write(&[page()]).unwrap(),
        boundary: "x".into(),
    };
    let mut octets = mail::compose(&fax).unwrap();
    octets.truncate(octets.trim_ascii_end().len());
    let script = &[
        ("USER", "+OK\r\n"),
        ("PASS", "+OK\r\n"),
        ("LIST", "+OK\r\n1 1000\r\n.\r\n"),
        ("RETR", "+OK\r\n"),
        ("DELE", "+OK\r\n"),
        ("QUIT", "+OK\r\n"),
    ];
    let (at, told) = server(script, "+OK ready\r\n", octets).await;
    let printed = terminal(at, folder.path(), &log).receive("hanako", b"secret").await.unwrap();
    assert_eq!(printed.len(), 1);
    assert_eq!(printed[0].pages, [page()]);
    assert!(folder.path().join("pages/terminal-a-printed-1-1.png").exists());
    assert!(String::from_utf8(told.await.unwrap()).unwrap().contains("DELE 1"));
}
