#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use super::*;

fn messages() -> Vec<MessageInfo> {
    ["aa", "bb"].iter().map(|uid| MessageInfo { size: 10, uid: (*uid).into() }).collect()
}

/// What is sent, and the outcome committed at QUIT.
fn run(octets: &[u8], cut: usize) -> (String, Option<Outcome>) {
    run_with(octets, cut, Offers { clear_passwords: true, ..Offers::default() })
}

/// The same of a session that offers more; its TLS is there at once.
fn run_with(octets: &[u8], cut: usize, offers: Offers) -> (String, Option<Outcome>) {
    let mut session = Session::new(Limits::default(), offers);
    let mut sent = Vec::new();
    let mut outcome = None;
    for chunk in octets.chunks(cut) {
        session.receive(chunk);
        while let Some(action) = session.next_action() {
            let more = match action {
                Action::Send(octets) => octets,
                Action::StartTls => {
                    session.secured(false);
                    continue;
                }
                Action::Login(credentials) => {
                    let password = Password::new(b"pw one".to_vec());
                    let good = credentials == Credentials::Password { user: "sato".to_owned(), password };
                    session.logged_in(if good {
                        Ok(messages())
                    } else {
                        Err(Refusal::new(super::super::ResponseCode::Auth, "no"))
                    })
                }
                Action::Retrieve(index) => session.retrieved(index, Ok(b"A: b\r\n\r\n.x\r\ny\r\n".to_vec())),
                Action::Commit(done) => {
                    outcome = Some(done);
                    session.committed(Ok(()))
                }
                Action::Close => continue,
            };
            assert!(more.ends_with(b"\r\n"));
            assert!([&b"+OK"[..], b"-ERR", b"+ "].iter().any(|begin| more.starts_with(begin)));
            sent.extend_from_slice(&more);
        }
    }
    (String::from_utf8(sent).unwrap(), outcome)
}

const WHOLE: &[u8] =
    b"CAPA\r\nUSER sato\r\nPASS pw one\r\nSTAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nUIDL 1\r\nRETR 1\r\nDELE 1\r\nRETR 1\r\n\
LIST 3\r\nTOP 2 1\r\nSTAT\r\nNOOP\r\nQUIT\r\n";

#[test]
fn a_whole_session() {
    let (sent, outcome) = run(WHOLE, 7);
    insta::assert_snapshot!(sent.replace("\r\n", "\n"));
    assert_eq!(outcome.unwrap(), Outcome { deleted: vec![0], retrieved: vec![0] });
}

#[test]
fn passwords_wait_for_tls_where_they_are_not_taken_in_clear() {
    let offers = Offers { stls: true, ..Offers::default() };
    let login = "USER sato\r\nPASS pw one\r\n";
    let (sent, _) = run_with(format!("CAPA\r\n{login}AUTH PLAIN\r\n").as_bytes(), 100, offers);
    assert!(sent.contains("STLS\r\n") && !sent.contains("USER") && !sent.contains("SASL"), "{sent}");
    assert_eq!(sent.matches("-ERR STLS first").count(), 3);
    // TLS, then a name and a password in either form; once, and by nothing that came in clear behind STLS.
    let mut session = Session::new(Limits::default(), offers);
    session.receive(format!("STLS\r\n{login}").as_bytes());
    assert!(matches!(session.next_action(), Some(Action::Send(_))));
    assert!(matches!(session.next_action(), Some(Action::StartTls)));
    assert!(session.next_action().is_none());
    assert_eq!(session.secured(false), login.len());
    assert!(session.next_action().is_none());
    let secured = Offers { secured: true, ..Offers::default() };
    for login in [login, "AUTH PLAIN AHNhdG8AcHcgb25l\r\n", "AUTH PLAIN\r\nAHNhdG8AcHcgb25l\r\n"] {
        let (sent, _) = run_with(format!("CAPA\r\n{login}STAT\r\n").as_bytes(), 3, secured);
        assert!(sent.contains("SASL PLAIN\r\n") && !sent.contains("STLS") && sent.ends_with("+OK 2 20\r\n"), "{sent}");
    }
    for wrong in
        ["AUTH\r\n", "AUTH EXTERNAL =\r\n", "AUTH LOGIN\r\n", "AUTH PLAIN a b\r\n", "AUTH PLAIN\r\n*\r\n", "STLS\r\n"]
    {
        assert!(run_with(wrong.as_bytes(), 100, secured).0.contains("-ERR"), "{wrong}");
    }
}

#[test]
fn nothing_before_login_and_three_attempts() {
    assert!(run(b"STAT\r\n", 100).0.starts_with("-ERR"));
    assert!(run(b"PASS x\r\n", 100).0.starts_with("-ERR"));
    let (sent, outcome) = run(&b"USER sato\r\nPASS wrong\r\n".repeat(5), 100);
    assert_eq!(sent.matches("-ERR [AUTH]").count(), 3);
    assert!(outcome.is_none());
}

#[test]
fn reset_unmarks_and_the_last_mail_counts_only_after_a_command() {
    let (_, outcome) = run(b"USER sato\r\nPASS pw one\r\nDELE 1\r\nRSET\r\nQUIT\r\n", 5);
    assert_eq!(outcome.unwrap(), Outcome::default());
    let mut session = Session::new(Limits::default(), Offers { clear_passwords: true, ..Offers::default() });
    session.logged_in(Ok(messages()));
    session.retrieved(1, Ok(vec![]));
    assert!(session.outcome().retrieved.is_empty());
    session.receive(b"NOOP\r\n");
    while session.next_action().is_some() {}
    assert_eq!(session.outcome().retrieved, [1]);
}

#[test]
fn a_long_line_is_not_kept() {
    let mut session = Session::new(Limits::default(), Offers { clear_passwords: true, ..Offers::default() });
    for _ in 0..1000 {
        session.receive(&[b'x'; 100]);
        assert!(session.next_action().is_none());
        assert!(session.input.len() < 400);
    }
}

proptest! {
    #[test]
    fn any_octets(octets in proptest::collection::vec(any::<u8>(), 0..3000), cut in 1usize..500) {
        run(&octets, cut);
    }

    #[test]
    fn mutated_transcripts(position in 0..WHOLE.len(), octet in any::<u8>(), cut in 1usize..60) {
        let mut octets = WHOLE.to_vec();
        octets[position] = octet;
        let (_, outcome) = run(&octets, cut);
        if let Some(outcome) = outcome {
            prop_assert!(outcome.deleted.iter().all(|index| *index < 2));
        }
    }
}
