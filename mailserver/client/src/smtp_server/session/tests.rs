#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use super::*;

/// Runs octets through a session that accepts everything; yields the codes said and the mails taken.
fn run(chunks: &[&[u8]], limits: Limits) -> (Vec<u16>, Vec<(Envelope, Vec<u8>)>) {
    run_with(chunks, limits, Offers::default())
}

/// The same of a session that offers more; its TLS is there at once.
fn run_with(chunks: &[&[u8]], limits: Limits, offers: Offers) -> (Vec<u16>, Vec<(Envelope, Vec<u8>)>) {
    let mut session = Session::new(limits, "mail.test", offers);
    let mut codes = Vec::new();
    let mut mails = Vec::new();
    for chunk in chunks {
        session.receive(chunk);
        while let Some(action) = session.next_action() {
            let reply = match action {
                Action::Reply(reply) => reply,
                Action::MailFrom(_) => session.mail_from_decided(Ok(())),
                Action::RcptTo(path) => session.rcpt_to_decided(path, Ok(())),
                Action::Message(envelope, mail) => {
                    mails.push((envelope, mail));
                    Reply::new(250, "2.0.0", "taken")
                }
                Action::StartTls => {
                    session.secured(false);
                    continue;
                }
                Action::Authenticate(credentials) => {
                    let right = Credentials::Password {
                        user: "tim".to_owned(),
                        password: crate::pop3_server::Password::new(b"secret".to_vec()),
                    };
                    let wrong = Reply::new(535, "5.7.8", "no");
                    session.authenticated(if credentials == right { Ok(()) } else { Err(wrong) })
                }
                Action::Refused(..) | Action::Close => continue,
            };
            let wire = reply.to_octets();
            assert!(wire.ends_with(b"\r\n") && wire.is_ascii());
            codes.push(reply.code);
        }
    }
    (codes, mails)
}

fn codes(text: &[u8]) -> Vec<u16> {
    run(&[text], Limits::default()).0
}

const WHOLE: &[u8] = b"EHLO a.test\r\nMAIL FROM:<x@a.test> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<FAX=+81@b.test>\r\n\
DATA\r\nA: b\r\n\r\n..c\r\n.\r\nMAIL FROM:<>\r\nRSET\r\nNOOP\r\nVRFY x\r\nHELP\r\nQUIT\r\n";

#[test]
fn a_whole_session() {
    let (codes, mails) = run(&[WHOLE], Limits::default());
    assert_eq!(codes, [250, 250, 250, 354, 250, 250, 250, 250, 252, 214, 221]);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].0.reverse_path.address(), Some("x@a.test"));
    assert_eq!(mails[0].0.forward_paths, ["FAX=+81@b.test"]);
    assert!(mails[0].0.eight_bit);
    assert_eq!(mails[0].1, b"A: b\r\n\r\n.c\r\n");
}

#[test]
fn order_of_commands() {
    assert_eq!(codes(b"MAIL FROM:<a@b>\r\n"), [503]);
    assert_eq!(codes(b"EHLO a\r\nRCPT TO:<a@b>\r\nDATA\r\n"), [250, 503, 503]);
    assert_eq!(codes(b"EHLO a\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\nDATA\r\n"), [250, 250, 503, 554]);
    assert_eq!(codes(b"HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\n"), [250, 250, 250]);
}

#[test]
fn bad_arguments_get_the_right_code() {
    assert_eq!(codes(b"XYZZY\r\n"), [500]);
    assert_eq!(codes(b"EHLO\r\n"), [501]);
    assert_eq!(codes(b"EHLO a$b\r\n"), [501]);
    assert_eq!(codes(b"NOOP\n"), [500]);
    assert_eq!(codes(b"NO\x00OP\r\n"), [500]);
    assert_eq!(codes(b"STARTTLS\r\n"), [502]);
    let large = b"EHLO a\r\nMAIL FROM:<a@b> SIZE=99999999999\r\n";
    assert_eq!(codes(large), [250, 552]);
    assert_eq!(codes(b"EHLO a\r\nMAIL FROM:<\"a b\"@c>\r\n"), [250, 553]);
}

fn offering(text: &[u8]) -> Vec<u16> {
    run_with(&[text], Limits::default(), Offers { starttls: true, auth: true, ..Offers::default() }).0
}

#[test]
fn what_stands_in_clear_behind_starttls_is_never_done() {
    let mut session = Session::new(Limits::default(), "mail.test", Offers { starttls: true, ..Offers::default() });
    session.receive(b"EHLO a\r\nSTARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@x>\r\n");
    let mut said = Vec::new();
    while let Some(action) = session.next_action() {
        match action {
            Action::Reply(reply) => said.push((reply.code, reply.lines.contains(&"STARTTLS".to_owned()))),
            Action::StartTls => assert_eq!(session.secured(false), 31),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(said, [(250, true), (220, false)]);
    // All that was said before is void, and TLS is offered once.
    assert!(session.envelope().is_none() && session.hello().0.is_empty());
    session.receive(b"MAIL FROM:<a@b>\r\nEHLO a\r\nSTARTTLS\r\n");
    let codes: Vec<u16> = std::iter::from_fn(|| session.next_action())
        .filter_map(|action| if let Action::Reply(reply) = action { Some(reply.code) } else { None })
        .collect();
    assert_eq!(codes, [503, 250, 503]);
}

#[test]
fn who_somebody_is_is_asked_under_tls_alone() {
    // PLAIN: "\0tim\0secret", then "\0tim\0wrong"; LOGIN: "tim", "secret".
    const PLAIN: &str = "AUTH PLAIN AHRpbQBzZWNyZXQ=\r\n";
    let clear = format!("EHLO a\r\n{PLAIN}");
    assert_eq!(offering(clear.as_bytes()), [250, 538]);
    assert_eq!(codes(clear.as_bytes()), [250, 502]);
    let under = |text: &str| {
        let offers = Offers { secured: true, auth: true, ..Offers::default() };
        run_with(&[text.as_bytes()], Limits::default(), offers).0
    };
    assert_eq!(under(PLAIN), [503]);
    assert_eq!(under(&format!("EHLO a\r\n{PLAIN}{PLAIN}")), [250, 235, 503]);
    assert_eq!(under("EHLO a\r\nAUTH PLAIN\r\nAHRpbQB3cm9uZw==\r\nNOOP\r\n"), [250, 334, 535, 250]);
    assert_eq!(under("EHLO a\r\nAUTH LOGIN\r\ndGlt\r\nc2VjcmV0\r\n"), [250, 334, 334, 235]);
    assert_eq!(under("EHLO a\r\nAUTH LOGIN\r\n*\r\nNOOP\r\n"), [250, 334, 501, 250]);
    assert_eq!(under("EHLO a\r\nAUTH EXTERNAL =\r\nAUTH CRAM-MD5\r\n"), [250, 504, 504]);
    assert_eq!(under("EHLO a\r\nAUTH PLAIN !\r\nAUTH PLAIN\r\n\u{ff}\r\nNOOP\r\n"), [250, 501, 334, 501, 250]);
}

#[test]
fn a_long_line_is_skipped_not_kept() {
    let mut session = Session::new(Limits::default(), "mail.test", Offers::default());
    for _ in 0..1000 {
        session.receive(&[b'x'; 1000]);
        assert!(session.next_action().is_none());
        assert!(session.input.len() < 5000);
    }
    assert_eq!(codes(&[&[b'x'; 3000][..], b"\r\nNOOP\r\n"].concat()), [500, 250]);
}

#[test]
fn too_many_errors_and_recipients() {
    assert_eq!(codes(&b"X\r\n".repeat(20)), [[500; 10].as_slice(), &[421]].concat());
    let mut text = b"EHLO a\r\nMAIL FROM:<>\r\n".to_vec();
    for number in 0..101 {
        text.extend_from_slice(format!("RCPT TO:<a{number}@b>\r\n").as_bytes());
    }
    assert_eq!(codes(&text).last(), Some(&452));
}

#[test]
fn a_mail_in_chunks() {
    const BEGIN: &str = "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    // What looks like commands and ends inside of chunks is their content.
    let text = format!("{BEGIN}BDAT 11\r\nA: b\r\n\r\n.\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
    for cut in [1, 7, 1000] {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
        let (codes, mails) = run(&chunks, Limits::default());
        assert_eq!(codes, [250, 250, 250, 250, 250, 250]);
        assert_eq!(mails.iter().map(|(_, mail)| mail.as_slice()).collect::<Vec<_>>(), [b"A: b\r\n\r\n.\r\nQUIT\r\n"]);
    }
    let (codes, mails) = run(&[format!("{BEGIN}BDAT 3\r\nx\r\nBDAT 0 LAST\r\n").as_bytes()], Limits::default());
    assert_eq!((codes.as_slice(), mails[0].1.as_slice()), (&[250, 250, 250, 250, 250][..], &b"x\r\n"[..]));
    // A chunk out of place is skipped whole, and smuggles nothing.
    assert_eq!(codes_of("EHLO a\r\nBDAT 12 LAST\r\nMAIL FROM:<>NOOP\r\n"), [250, 503, 250]);
    assert_eq!(codes_of("EHLO a\r\nMAIL FROM:<>\r\nBDAT 4\r\nQUITNOOP\r\n"), [250, 250, 554, 250]);
    // Whoever has begun so goes on so, or begins anew.
    assert_eq!(
        codes_of(&format!("{BEGIN}BDAT 1\r\nxDATA\r\nRCPT TO:<e@f>\r\nRSET\r\nMAIL FROM:<>\r\n")),
        [250, 250, 250, 250, 503, 503, 250, 250]
    );
    assert_eq!(codes_of(&format!("{BEGIN}BDAT 3 LAST\r\na\nb")), [250, 250, 250, 554]);
    let limits = Limits { message: 8, ..Limits::default() };
    assert_eq!(
        run(&[format!("{BEGIN}BDAT 9\r\n123456789BDAT 0 LAST\r\n").as_bytes()], limits).0,
        [250, 250, 250, 250, 552]
    );
}

fn codes_of(text: &str) -> Vec<u16> {
    codes(text.as_bytes())
}

#[test]
fn smuggling_yields_one_refused_mail() {
    for end in ["\n.\n", "\r\n.\n", "\n.\r\n", "\r\n.\r\r\n", "\r.\r"] {
        let text = format!(
            "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx{end}MAIL FROM:<evil@x>\r\nRCPT TO:<a@b>\r\nDATA\r\nforged\r\n.\r\n"
        );
        let (codes, mails) = run(&[text.as_bytes()], Limits::default());
        assert_eq!(codes, [250, 250, 250, 354, 554], "{end:?}");
        assert!(mails.is_empty());
    }
}

proptest! {
    #[test]
    fn any_octets_in_any_chunks(octets in proptest::collection::vec(any::<u8>(), 0..4000), cut in 1usize..700) {
        let chunks: Vec<&[u8]> = octets.chunks(cut).collect();
        run(&chunks, Limits::default());
    }

    #[test]
    fn mutated_transcripts(position in 0..WHOLE.len(), octet in any::<u8>(), cut in 1usize..60, remove in any::<bool>()) {
        let mut octets = WHOLE.to_vec();
        if remove { octets.remove(position); } else { octets[position] = octet; }
        let chunks: Vec<&[u8]> = octets.chunks(cut).collect();
        run(&chunks, Limits { message: 64, ..Limits::default() });
    }

    #[test]
    fn chunking_changes_nothing(cut in 1usize..100) {
        let chunks: Vec<&[u8]> = WHOLE.chunks(cut).collect();
        prop_assert_eq!(run(&chunks, Limits::default()), run(&[WHOLE], Limits::default()));
    }
}
