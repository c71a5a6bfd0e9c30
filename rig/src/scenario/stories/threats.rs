//! Stories of attackers: forged notices and confirmations, smuggled and oversized mail, guessed passwords, odd addresses.

use std::net::SocketAddr;
use std::path::Path;

use sealfax_drivers::display::ScreenKind;

use sealfax_ifax::mdn;

use super::forger::{Claim, confirmation};
use super::wire::{Talk, bring, count, is_trouble, registered, times};
use super::{note, receives, taro_sends};
use crate::bench::people::{HANAKO, JIRO, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::POP3;
use crate::events::{Event, EventKind, EventLog, Lane};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![FORGED_NOTICE, FORGED_CONFIRMATION, HOSTILE_SMTP, HOSTILE_POP3]
}

/// Notices.
pub const FORGED_NOTICE: Scenario = Scenario {
    name: "forged-notice",
    title: "Only the office's own mail server may light the lamp, and only with a notice for the one it names",
    requirements: &["ST901", "ST902", "notice-forging"],
    deadline: DEADLINE,
    run: |bench| Box::pin(forged_notice(bench)),
};

/// Confirmations.
pub const FORGED_CONFIRMATION: Scenario = Scenario {
    name: "forged-confirmation",
    title: "No forged confirmation closes a transmission; the true one still does",
    requirements: &["C9", "C12", "D1", "confirmation-forging"],
    deadline: DEADLINE,
    run: |bench| Box::pin(forged_confirmation(bench)),
};

/// SMTP.
pub const HOSTILE_SMTP: Scenario = Scenario {
    name: "hostile-smtp",
    title: "Smuggled mails, MIME bombs, injected headers, log lines and paths in addresses: refused, nothing delivered",
    requirements: &[
        "ST803",
        "ST804",
        "smtp-smuggling",
        "mime-bomb",
        "header-injection",
        "path-traversal",
        "log-poisoning",
    ],
    deadline: DEADLINE,
    run: |bench| Box::pin(hostile_smtp(bench)),
};

/// POP3.
pub const HOSTILE_POP3: Scenario = Scenario {
    name: "hostile-pop3",
    title: "Passwords cannot be guessed at the mail server, and nobody opens two sessions on one mailbox",
    requirements: &["M4", "password-guessing"],
    deadline: DEADLINE,
    run: |bench| Box::pin(hostile_pop3(bench)),
};

fn lit(event: &Event) -> bool {
    event.lane == Lane::Lamp && event.host == "adapter-b" && matches!(event.kind, EventKind::Level { lit: true })
}

async fn forged_notice(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let port = region.site('b')?.adapter()?.notices();
    region.site('b')?.sees(ScreenKind::Idle).await?;
    let notice = format!(
        "From: postmaster@mail-b\r\nTo: Hanako <{}>\r\nSealfax-Notice: arrival; count=1\r\n\r\nCome quickly.\r\n",
        HANAKO.address
    );
    for name in ["stranger", "mail-a", "adapter-a"] {
        let stranger = region.stranger(name)?;
        let reply = bring(&stranger, port, "", &[HANAKO.address], notice.as_bytes()).await?;
        expect(reply.starts_with("550 5.7.1"), format!("{name} is turned away, not {reply:?}"))?;
    }
    let turned_away = |event: &Event| is_trouble(event, "adapter-b", "NOTICE-001");
    expect(count(&region, EventLog::beginning(), turned_away) == 3, "each attempt stands in the journal")?;

    // From the server's own address, but not a notice for whom the envelope names, or none at all.
    let server = region.stranger("mail-b")?;
    let unmarked = notice.replace("Sealfax-Notice: arrival; count=1\r\n", "");
    let twofold = notice.replace("To: Hanako", "To: jiro@b.example\r\nTo: Hanako");
    for (mail, recipient) in [(&notice, JIRO.address), (&unmarked, HANAKO.address), (&twofold, HANAKO.address)] {
        let reply = bring(&server, port, "", &[recipient], mail.as_bytes()).await?;
        expect(reply.starts_with("554 5.7.0"), format!("what is no notice is refused, not {reply:?}"))?;
    }
    expect(region.site('b')?.screen() == Some(ScreenKind::Idle), "nobody is called")?;
    expect(count(&region, EventLog::beginning(), lit) == 0, "the lamp was never lit")?;
    // The same words from the right place, to the right person, do light it: the refusals above were not by accident.
    let reply = bring(&server, port, "", &[HANAKO.address], notice.as_bytes()).await?;
    expect(reply.starts_with("250 "), format!("a notice is taken, not {reply:?}"))?;
    region.site('b')?.sees(ScreenKind::Arrived).await
}

async fn forged_confirmation(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, hanako, jiro) = (region.site('a')?, region.person(HANAKO)?, region.person(JIRO)?);
    let lcd = taro_sends(&region, &[HANAKO.address], &note("Confirm this, if you can")).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    let open = a.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
    let [transmission] = open.as_slice() else {
        return Err(Failure::expectation(format!("one open transmission, not {}", open.len())));
    };
    // The worst forger knows even the digest of the content.
    let digest = base64_of_hex(&transmission.content_digest);
    let other = base64_of_hex(&"00".repeat(32));
    let id = lcd.message_id.as_str();
    let claim = |name, signer, message_id, digest| Claim {
        name,
        signer,
        message_id,
        digest,
        disposition: mdn::Disposition::printed(),
    };
    let forgeries = [
        ("unsigned", claim(&hanako, None, id, &digest), "CONFIRM-009"),
        ("signed by Jiro in Hanako's name", claim(&hanako, Some(&jiro), id, &digest), "CONFIRM-004"),
        ("signed by Jiro in his own", claim(&jiro, Some(&jiro), id, &digest), "CONFIRM-007"),
        ("of a mail that was never sent", claim(&hanako, Some(&hanako), "never@a.example", &digest), "CONFIRM-007"),
        ("of another content", claim(&hanako, Some(&hanako), id, &other), "CONFIRM-008"),
    ];
    let port = a.adapter()?.notices();
    let (stranger, through) = (region.stranger("stranger")?, region.mail_server('a')?.smtp_addr());
    for (what, forgery, code) in &forgeries {
        let mail = confirmation(&region, forgery, TARO.address).await?;
        let reply = bring(&stranger, port, "", &[TARO.address], &mail).await?;
        expect(reply.starts_with("550 5.7.1"), format!("a stranger's confirmation is turned away, not {reply:?}"))?;
        // Our own mail server forwards it as it must: it cannot judge signatures.
        let mark = region.log.mark();
        let reply = bring(&stranger, through, "", &[TARO.address], &mail).await?;
        expect(reply.starts_with("250 "), format!("the mail server takes it, not {reply:?}"))?;
        let seen = |event: &Event| is_trouble(event, "adapter-a", code);
        times(&region, mark, &format!("a confirmation {what} is seen through ({code})"), 1, seen).await?;
        let still = a.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
        expect(still == open, format!("a confirmation {what} closes nothing"))?;
    }
    expect(region.history().is_empty(), "the history knows nothing")?;
    expect(!a.has_seen(EventLog::beginning(), ScreenKind::Delivered), "the screen says nothing")?;

    receives(&region, 'b', &hanako).await?;
    a.sees(ScreenKind::Delivered).await?;
    registered(&region, 1).await
}

/// The octets that hexadecimal digits name, in base64.
pub fn base64_of_hex(text: &str) -> String {
    use base64::Engine as _;
    let digits = (0..text.len() / 2).filter_map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok());
    base64::engine::general_purpose::STANDARD.encode(digits.collect::<Vec<u8>>())
}

/// The names of all files below a folder, sockets left out.
pub(super) fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(Failure::infrastructure)? {
            let path = entry.map_err(Failure::infrastructure)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

async fn hostile_smtp(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (hanako, stranger) = (region.person(HANAKO)?, region.stranger("stranger")?);
    let (server, from) = (region.mail_server('b')?.smtp_addr(), "someone@elsewhere.example");
    let terminal_port = region.site('b')?.adapter()?.terminal_smtp();
    let terminal_port = terminal_port.ok_or_else(|| Failure::infrastructure("adapter-b has no door for a terminal"))?;
    let state = region.folder("");
    let before = files(&state)?;

    // SMTP smuggling: only CRLF . CRLF ends a mail, whatever else looks like an end; the whole mail is refused.
    let smuggled = "MAIL FROM:<boss@b.example>\r\nRCPT TO:<hanako@b.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx";
    for port in [server, terminal_port] {
        for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r\r\n", "\r\n\0.\r\n"] {
            let mut talk = Talk::smtp(&stranger, port).await?;
            talk.begin(from, &[HANAKO.address]).await?;
            talk.write(format!("Subject: outer\r\n\r\nhello{end}{smuggled}\r\n.\r\n").as_bytes()).await?;
            let reply = talk.reply().await?;
            expect(reply.starts_with("554 5.6.0"), format!("{end:?} inside a mail: 554, not {reply:?}"))?;
            let quit = talk.command("QUIT").await?;
            expect(quit.starts_with("221 "), format!("one mail, one reply: then QUIT, not {quit:?}"))?;
        }
    }
    for host in ["mail-b", "adapter-b"] {
        let noticed = |event: &Event| is_trouble(event, host, "SMTP-SMUGGLING");
        expect(count(&region, EventLog::beginning(), noticed) == 5, format!("{host} writes each attempt down"))?;
    }

    // Bombs: counted before anything recursive reads them.
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(20_000);
    let wide = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n".repeat(5_000);
    let fields = format!("{}\r\nhello\r\n", "X-Field: y\r\n".repeat(2_000));
    let line = format!("Subject: long\r\n\r\n{}\r\n", "x".repeat(20_000));
    for (what, mail) in [("nested", &nested), ("wide", &wide), ("fields", &fields), ("line", &line)] {
        for port in [server, terminal_port] {
            let reply = bring(&stranger, port, from, &[HANAKO.address], mail.as_bytes()).await?;
            expect(reply.starts_with("554 5.6.0"), format!("a bomb ({what}): 554, not {reply:?}"))?;
        }
    }

    // Commands: too long, with control octets that would write our log, with paths in the address.
    for (command, code) in [
        (format!("NOOP {}", "x".repeat(10_000)), "500 5.5.6"),
        ("EHLO x\u{1b}[2J\u{7}y".to_owned(), "500 5.5.2"),
        ("MAIL FROM:<a\0b@elsewhere.example>".to_owned(), "5"),
        ("MAIL FROM:<a@elsewhere.example\rBcc: x@b.example>".to_owned(), "5"),
        ("MAIL FROM:<\u{202e}elpmaxe@elsewhere.example>".to_owned(), "5"),
        (format!("MAIL FROM:<{}@elsewhere.example>", "x".repeat(300)), "5"),
    ] {
        let mut talk = Talk::smtp(&stranger, server).await?;
        let reply = talk.command(&command).await?;
        let shown: String = command.chars().take(60).collect();
        expect(reply.starts_with(code), format!("{shown:?} is answered {code}, not {reply:?}"))?;
    }
    let paths =
        ["../../x@b.example", "\"../../x\"@b.example", "/etc/passwd@b.example", "hanako@b.example/../c.example"];
    let odd = ["hanako%a.example@b.example", "hanako@b.example>\u{1b}[31m", "hanako"];
    let mut talk = Talk::smtp(&stranger, server).await?;
    talk.command(&format!("MAIL FROM:<{from}>")).await?;
    for address in paths.into_iter().chain(odd) {
        let reply = talk.command(&format!("RCPT TO:<{address}>")).await?;
        expect(reply.starts_with('5'), format!("RCPT {address:?} is refused, not {reply:?}"))?;
        if reply.starts_with("501") || reply.starts_with("500") || reply.starts_with("421") {
            // A session has only so many errors; each address gets a fresh one.
            talk = Talk::smtp(&stranger, server).await?;
            talk.command(&format!("MAIL FROM:<{from}>")).await?;
        }
    }

    expect(region.mailbox(&hanako)?.is_empty(), "nothing of all this is in Hanako's mailbox")?;
    expect(region.sent_mails().iter().all(|mail| mail.from != "mail-b"), "and nothing was sent on")?;
    expect(files(&state)? == before, "no file was made in anybody's name")?;
    let raw = |event: &Event| event.text.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}'));
    let server_lines = |event: &Event| event.lane == Lane::Server && raw(event);
    expect(count(&region, EventLog::beginning(), server_lines) == 0, "no control character stands in the journal")?;

    // After all that the server still serves.
    taro_sends(&region, &[HANAKO.address], &note("Business as usual")).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    let printed = receives(&region, 'b', &hanako).await?;
    expect(printed.len() == 1, "and Hanako gets her document")
}

async fn hostile_pop3(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let hanako = region.person(HANAKO)?;
    taro_sends(&region, &[HANAKO.address], &note("Not for guessing")).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    let guesser = region.stranger("guesser")?;
    let port = SocketAddr::new(region.address("mail-b")?, POP3);
    for command in ["STAT", "LIST", "RETR 1", "DELE 1", "UIDL"] {
        let (mut talk, _) = Talk::open(&guesser, port).await?;
        let reply = talk.ask(command).await?;
        expect(reply.starts_with("-ERR"), format!("{command} before login is refused, not {reply:?}"))?;
    }
    // Known and unknown accounts get the same words. Side by side, because each wrong answer is delayed.
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..12_u32 {
        let guesser = guesser.clone();
        guesses.spawn(async move {
            let (mut talk, _) = Talk::open(&guesser, port).await?;
            let user = if number == 0 { HANAKO.address.to_owned() } else { format!("nobody-{number}@b.example") };
            talk.ask(&format!("USER {user}")).await?;
            talk.ask(&format!("PASS guess-{number}")).await
        });
    }
    let mut wrong = Vec::new();
    while let Some(guess) = guesses.join_next().await {
        wrong.push(guess.map_err(Failure::infrastructure)??);
    }
    expect(wrong.iter().all(|reply| reply.starts_with("-ERR")), format!("every guess is refused: {wrong:?}"))?;
    let words: std::collections::BTreeSet<_> = wrong.iter().filter(|reply| reply.contains("[AUTH]")).collect();
    expect(words.len() == 1, format!("known and unknown accounts are refused in the same words: {words:?}"))?;
    let (mut talk, _) = Talk::open(&guesser, port).await?;
    talk.ask(&format!("USER {}", HANAKO.address)).await?;
    let reply = talk.ask(&format!("PASS {}", hanako.password)).await?;
    let closed = reply.starts_with("-ERR") && reply.contains("LOGIN-DELAY");
    expect(closed, format!("after so many guesses even the right one is too late from there, not {reply:?}"))?;

    // Hanako, at her own adapter, is not locked out.
    let printed = receives(&region, 'b', &hanako).await?;
    expect(printed.len() == 1, "Hanako gets her document all the same")?;

    // One session at a time on one mailbox.
    let honest = region.stranger("adapter-b")?;
    let (mut first, _) = Talk::open(&honest, port).await?;
    let (mut second, _) = Talk::open(&honest, port).await?;
    for (talk, wanted) in [(&mut first, "+OK"), (&mut second, "-ERR [IN-USE]")] {
        talk.ask(&format!("USER {}", HANAKO.address)).await?;
        let reply = talk.ask(&format!("PASS {}", hanako.password)).await?;
        expect(reply.starts_with(wanted), format!("{wanted}, not {reply:?}"))?;
    }
    Ok(())
}
