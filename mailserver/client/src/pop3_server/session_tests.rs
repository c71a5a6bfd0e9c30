#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use super::*;

fn messages() -> Vec<MessageInfo> {
    ["aa", "bb"].iter().map(|uid| MessageInfo { size: 10, uid: uid.to_string() }).collect()
}

/// What is sent, and the outcome committed at QUIT.
fn run(octets: &[u8], cut: usize) -> (String, Option<Outcome>) {
    let mut session = Session::new(Limits::default());
    let mut sent = Vec::new();
    let mut outcome = None;
    for chunk in octets.chunks(cut) {
        session.receive(chunk);
        while let Some(action) = session.next_action() {
            let more = match action {
                Action::Send(octets) => octets,
                Action::Login(user, password) => {
                    let good = user == "sato" && password.expose() == b"pw one";
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
            assert!(more.starts_with(b"+OK") || more.starts_with(b"-ERR"));
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
    let mut session = Session::new(Limits::default());
    session.logged_in(Ok(messages()));
    session.retrieved(1, Ok(vec![]));
    assert!(session.outcome().retrieved.is_empty());
    session.receive(b"NOOP\r\n");
    while session.next_action().is_some() {}
    assert_eq!(session.outcome().retrieved, [1]);
}

#[test]
fn a_long_line_is_not_kept() {
    let mut session = Session::new(Limits::default());
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
