//! Stories of the servers: killed after 250, unknown recipients, the kinds of mail, the whole region, the open history.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine as _;
use sealfax_client::history::{self, Filter};
use sealfax_client::http::{self, Limits, Server};
use sealfax_client::pop3_server::Password;
use sealfax_drivers::display::ScreenKind;
use sealfax_mailserver::history::HistoryError;
use sealfax_mailserver::history::verify::verify;

use super::wire::{Talk, bring, count, is_step, is_trouble, registered, times};
use super::{SUBJECT, note, receives, taro_sends};
use crate::bench::people::{Character, HANAKO, JIRO, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::HTTP;
use crate::events::{Event, EventLog};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![KILLED, UNKNOWN, KINDS, REGION, HISTORY]
}

/// A server's 250 is a promise.
pub const KILLED: Scenario = Scenario {
    name: "mail-server-killed-after-250",
    title: "What a mail server has taken survives its being killed: the mail, the notice it owes, the mailbox",
    requirements: &["M1", "ST811", "power-cut"],
    deadline: DEADLINE,
    run: |bench| Box::pin(killed(bench)),
};

/// ST803-ST805.
pub const UNKNOWN: Scenario = Scenario {
    name: "unknown-recipient",
    title: "Unknown recipients and strangers' relaying are refused at once; a relayed mail that fails comes back as a notice",
    requirements: &["M2", "ST803", "ST804", "backscatter"],
    deadline: DEADLINE,
    run: |bench| Box::pin(unknown(bench)),
};

/// ST807-ST811.
pub const KINDS: Scenario = Scenario {
    name: "kinds-of-mail",
    title: "Each kind of mail is judged by its rule; only what was sealed at its origin calls its addressee",
    requirements: &["M3", "C13", "C14"],
    deadline: DEADLINE,
    run: |bench| Box::pin(kinds(bench)),
};

/// T1-T3.
pub const REGION: Scenario = Scenario {
    name: "branch-to-branch",
    title: "From a branch through two headquarters' mail servers to another branch, with a bureau above them",
    requirements: &["T1", "T2", "T3"],
    deadline: DEADLINE,
    run: |bench| Box::pin(branches(bench)),
};

/// V5.
pub const HISTORY: Scenario = Scenario {
    name: "open-history",
    title: "A third party lists the history, reads its page, proves a receipt, checks a copy, and is told which record was changed",
    requirements: &["V5", "C12"],
    deadline: DEADLINE,
    run: |bench| Box::pin(open_history(bench)),
};

async fn killed(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan::default()).await?;
    let (hanako, adapter) = (region.person(HANAKO)?, region.address("adapter-b")?);
    region.capture.cut(adapter);
    region.kill_mail_server('b');
    let pages = note("Nothing is lost");
    taro_sends(&region, &[HANAKO.address], &pages).await?;
    let stuck = |event: &Event| is_trouble(event, "mail-a", "RELAY-FAILED");
    times(&region, EventLog::beginning(), "office A's server has it and cannot pass it on", 1, stuck).await?;
    region.kill_mail_server('a');
    region.restart_mail_server('b').await?;
    region.restart_mail_server('a').await?;

    let kept = |event: &Event| is_step(event, "mail-b", "ST809");
    times(&region, EventLog::beginning(), "office B's server has it", 1, kept).await?;
    let unsent = |event: &Event| is_trouble(event, "mail-b", "NOTICE-UNSENT");
    times(&region, EventLog::beginning(), "the notice cannot be delivered", 1, unsent).await?;
    region.kill_mail_server('b');
    region.capture.restore(adapter);
    expect(region.site('b')?.screen() == Some(ScreenKind::Idle), "nobody was called so far")?;
    region.restart_mail_server('b').await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;

    // Once more, with the mail waiting and its addressee called.
    region.kill_mail_server('b');
    region.restart_mail_server('b').await?;
    expect(region.mailbox(&hanako)?.len() == 1, "the mail is in the mailbox, once")?;
    let printed = receives(&region, 'b', &hanako).await?;
    let right = printed.len() == 1 && printed.iter().all(|document| document.pages == pages);
    expect(right, "Hanako gets the pages as sent, once")?;
    region.site('a')?.sees(ScreenKind::Delivered).await?;
    registered(&region, 1).await?;
    expect(region.mailbox(&hanako)?.is_empty(), "and the mail is gone from the server")
}

async fn unknown(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (stranger, taro) = (region.stranger("stranger")?, region.person(TARO)?);
    let server = region.mail_server('b')?.smtp_addr();
    let mut talk = Talk::smtp(&stranger, server).await?;
    for (command, reply) in [
        ("MAIL FROM:<someone@elsewhere.example>", "250 "),
        ("RCPT TO:<nobody@b.example>", "550 5.1.1 "),
        ("RCPT TO:<taro@a.example>", "550 5.7.1 "),
        ("RCPT TO:<someone@nowhere.example>", "550 5.7.1 "),
        ("DATA", "554 "),
        ("QUIT", "221 "),
    ] {
        let said = talk.command(command).await?;
        expect(said.starts_with(reply), format!("{command} is answered {reply}, not {said:?}"))?;
    }
    let refused = |event: &Event| is_trouble(event, "mail-b", "SMTP-REFUSED");
    expect(count(&region, EventLog::beginning(), refused) == 3, "each refusal stands in the journal")?;

    // A mail of our own people that the other side refuses comes back to its origin as a notice without content.
    let own = region.stranger("adapter-a")?;
    let mail = b"From: taro@a.example\r\nTo: nobody@b.example\r\nSubject: Secret subject\r\n\
        Message-ID: <lost@a.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nSecret content\r\n";
    let at = region.mail_server('a')?.smtp_addr();
    let reply = bring(&own, at, TARO.address, &["nobody@b.example"], mail).await?;
    expect(reply.starts_with("250 "), format!("office A's server takes it to relay it, not {reply:?}"))?;
    let told = |event: &Event| is_step(event, "mail-a", "ST804");
    times(&region, EventLog::beginning(), "the origin is told", 1, told).await?;
    let mailbox = awaited_mailbox(&region, &taro).await?;
    let [notice] = mailbox.as_slice() else {
        return Err(Failure::expectation(format!("one notice in Taro's mailbox, not {}", mailbox.len())));
    };
    let status = sealfax_ifax::dsn::parse(notice).map_err(Failure::expectation)?;
    expect(status.original_message_id.as_deref() == Some("lost@a.example"), "the notice names the mail")?;
    let failed = status.recipients.iter().any(|recipient| {
        recipient.final_recipient == "nobody@b.example" && recipient.action == sealfax_ifax::dsn::Action::Failed
    });
    expect(failed, "it names the recipient as failed")?;
    let text = String::from_utf8_lossy(notice);
    expect(text.contains("5.1.1"), "it says why")?;
    expect(!text.contains("Secret"), "it holds neither content nor subject of the mail")?;
    let sent = region.sent_mails();
    expect(sent.iter().all(|mail| mail.from != "mail-b"), "office B's server wrote to nobody: no backscatter")
}

/// The notice is stored a moment after its step is written down.
async fn awaited_mailbox(region: &Region, person: &crate::bench::people::Person) -> Result<Vec<Vec<u8>>, Failure> {
    let deadline = tokio::time::Instant::now() + crate::bench::site::PATIENCE;
    loop {
        let mailbox = region.mailbox(person)?;
        if !mailbox.is_empty() || tokio::time::Instant::now() > deadline {
            return Ok(mailbox);
        }
        tokio::task::yield_now().await;
    }
}

/// What becomes of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Notified,
    Silent,
    Forwarded,
}

/// A mail by its header fields after From and its body; what the server must say of it; what must become of it.
struct Kind {
    account: &'static str,
    head: &'static str,
    body: String,
    judged: &'static str,
    fate: Fate,
}

/// The first octets of a ContentInfo with this content type under PKCS #7 (RFC 5652, 3), in base64.
fn content_info(last: u8) -> String {
    let octets = [0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, last, 0xa0, 0x80];
    base64::engine::general_purpose::STANDARD.encode(octets)
}

fn every_kind() -> Vec<Kind> {
    use Fate::{Forwarded, Notified, Silent};
    let kind = |account, head, body: &str, judged, fate| Kind { account, head, body: body.to_owned(), judged, fate };
    let signed_report = "--x\r\nContent-Type: multipart/report; report-type=disposition-notification; boundary=y\r\n\
        \r\n--y--\r\n--x--\r\n";
    vec![
        kind("k1-none", "", "no type at all\r\n", "Plain by rule 1", Silent),
        kind(
            "k1-two",
            "Content-Type: text/plain\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n",
            "two\r\n",
            "Plain by rule 1",
            Silent,
        ),
        kind("k1-odd", "Content-Type: ;;;=\r\n", "odd\r\n", "Plain by rule 1", Silent),
        kind(
            "k2-mdn",
            "Content-Type: Multipart/REPORT; report-type=\"disposition-notification\"; boundary=y\r\n",
            "--y--\r\n",
            "Confirmation by rule 2",
            Forwarded,
        ),
        kind(
            "k2-dsn",
            "Content-Type: multipart/report; report-type=delivery-status; boundary=y\r\n",
            "--y--\r\n",
            "Bounce by rule 2",
            Silent,
        ),
        kind(
            "k3-receipt",
            "Content-Type: application/x-pkcs7-mime; smime-type=signed-receipt\r\n",
            "AAAA\r\n",
            "Confirmation by rule 3",
            Forwarded,
        ),
        kind(
            "k4-signed",
            "Content-Type: multipart/signed; protocol=\"application/x-pkcs7-signature\"; boundary=x\r\n",
            "--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n",
            "Sealed by rule 4",
            Notified,
        ),
        kind(
            "k4-report",
            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n",
            signed_report,
            "Confirmation by rule 4",
            Forwarded,
        ),
        kind(
            "k5-auth",
            "Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data\r\n",
            "AAAA\r\n",
            "Sealed by rule 5",
            Notified,
        ),
        kind(
            "k5-certs",
            "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n",
            "AAAA\r\n",
            "Plain by rule 5",
            Silent,
        ),
        Kind {
            account: "k6-bare",
            head: "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n",
            body: format!("{}\r\n", content_info(3)),
            judged: "Sealed by rule 6",
            fate: Notified,
        },
        Kind {
            account: "k6-file",
            head: "Content-Type: application/octet-stream; name=\"smime.P7M\"\r\nContent-Transfer-Encoding: base64\r\n",
            body: format!("{}\r\n", content_info(2)),
            judged: "Sealed by rule 6",
            fate: Notified,
        },
        Kind {
            account: "k6-lie",
            head: "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\nContent-Transfer-Encoding: base64\r\n",
            body: format!("{}\r\n", content_info(3)),
            judged: "Sealed by rule 6",
            fate: Notified,
        },
        kind(
            "k7-design",
            "Content-Type: multipart/mixed; boundary=\"design\"\r\n",
            "--design\r\n\r\nhello\r\n--design--\r\n",
            "Plain by rule 7",
            Silent,
        ),
        kind(
            "k7-pgp",
            "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=x\r\n",
            "--x\r\n\r\nhello\r\n--x--\r\n",
            "Plain by rule 7",
            Silent,
        ),
    ]
}

async fn kinds(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { people: vec![TARO], ..Plan::default() }).await?;
    let kinds = every_kind();
    let names: Vec<String> = kinds.iter().map(|kind| format!("{}@b.example", kind.account)).collect();
    let (accounts, added) = (region.mail_server('b')?.accounts().clone(), names.clone());
    // Hashing passwords is slow on purpose.
    let added = tokio::task::spawn_blocking(move || {
        added.iter().try_for_each(|address| {
            let password = Password::new(b"never used".to_vec());
            accounts.add(address, "Somebody", &password, &["adapter-b".to_owned()]).map(|_| ())
        })
    });
    added.await.map_err(Failure::infrastructure)?.map_err(Failure::infrastructure)?;
    let (stranger, server) = (region.stranger("stranger")?, region.mail_server('b')?.smtp_addr());
    for (kind, address) in kinds.iter().zip(&names) {
        let mark = region.log.mark();
        let mail = format!("From: taro@a.example\r\n{}\r\n{}", kind.head, kind.body);
        let reply = bring(&stranger, server, "someone@elsewhere.example", &[address], mail.as_bytes()).await?;
        expect(reply.starts_with("250 "), format!("{} is taken, not {reply:?}", kind.account))?;
        let judged = |event: &Event| is_step(event, "mail-b", "ST807") && event.text.contains(kind.judged);
        expect(count(&region, mark, judged) == 1, format!("{} is judged {}", kind.account, kind.judged))?;
        let yes =
            |event: &Event| is_step(event, "mail-b", "ST808") && event.text.ends_with(": a delivery confirmation");
        let stored = |event: &Event| is_step(event, "mail-b", "ST809") && event.text.contains(address.as_str());
        let forwarded = kind.fate == Fate::Forwarded;
        expect(
            (count(&region, mark, yes) == 1) == (kind.fate == Fate::Forwarded),
            format!("ST808 for {}", kind.account),
        )?;
        expect((count(&region, mark, stored) == 1) != forwarded, format!("ST809 for {}", kind.account))?;
    }
    let notified = |event: &Event| is_step(event, "mail-b", "ST811");
    let kept = |event: &Event| is_trouble(event, "mail-b", "CONFIRMATION-KEPT");
    for (kind, address) in kinds.iter().zip(&names) {
        let named = |event: &Event| event.text.contains(address.as_str());
        let beginning = EventLog::beginning();
        match kind.fate {
            Fate::Notified => {
                let what = format!("adapter B is notified for {address}");
                times(&region, beginning, &what, 1, |event| notified(event) && named(event)).await?;
            }
            // The adapter believes none of these, so they end in the mailbox: nothing is lost.
            Fate::Forwarded => {
                let what = format!("the report for {address} is refused and kept");
                times(&region, beginning, &what, 1, |event| kept(event) && named(event)).await?;
            }
            Fate::Silent => {}
        }
    }
    for (kind, address) in kinds.iter().zip(&names).filter(|(kind, _)| kind.fate != Fate::Notified) {
        let named = |event: &Event| notified(event) && event.text.contains(address.as_str());
        expect(count(&region, EventLog::beginning(), named) == 0, format!("no notice for {}", kind.account))?;
    }
    let doubtful = |event: &Event| is_trouble(event, "mail-b", "MAIL-KIND");
    expect(
        count(&region, EventLog::beginning(), doubtful) == 3,
        "what readers would disagree about is a security event",
    )
}

/// At a branch of headquarters A.
const KENJI: Character = Character {
    key: "kenji",
    called: "Kenji",
    name: "高橋 健二",
    address: "kenji@d.example",
    pin: "112358",
    certificate_days: 365,
};
/// At a branch of headquarters B.
const MIKA: Character = Character {
    key: "mika",
    called: "Mika",
    name: "伊藤 美香",
    address: "mika@e.example",
    pin: "132134",
    certificate_days: 365,
};
/// At the bureau.
const BUREAU: Character = Character {
    key: "akira",
    called: "Akira",
    name: "渡辺 明",
    address: "akira@r.example",
    pin: "558914",
    certificate_days: 365,
};

async fn branches(bench: Bench) -> Result<(), Failure> {
    let plan = Plan {
        // The bureau R, headquarters A and B, branch D of A, branch E of B.
        offices: vec!['r', 'a', 'b', 'd', 'e'],
        branches: BTreeMap::from([('d', 'a'), ('e', 'b')]),
        people: vec![KENJI, MIKA, BUREAU],
        pictures: false,
        ..Plan::default()
    };
    let region = Region::start(&bench, plan).await?;
    let (kenji, mika, akira) = (region.person(KENJI)?, region.person(MIKA)?, region.person(BUREAU)?);
    let (branch, pages) = (region.site('d')?, note("From branch to branch, and to the bureau"));
    branch.identify(&kenji, ScreenKind::Ready).await?;
    let lcd = branch.fax(Some(&kenji), &[MIKA.address, BUREAU.address], SUBJECT, &pages).await?;
    expect(lcd.sent, format!("the terminal says sent, not: {}", lcd.text))?;
    branch.sees(ScreenKind::Sent).await?;
    branch.pull(&kenji);
    for (office, person) in [('e', &mika), ('r', &akira)] {
        region.site(office)?.sees(ScreenKind::Arrived).await?;
        let printed = receives(&region, office, person).await?;
        let right = printed.len() == 1 && printed.iter().all(|document| document.pages == pages);
        expect(right, format!("{} gets the pages as sent", person.character.called))?;
    }
    let kept = |event: &Event| is_step(event, "adapter-d", "C12") && is_step(event, "adapter-d", "D1");
    times(&region, EventLog::beginning(), "both transmissions are registered at the bureau", 2, kept).await?;
    let sent = region.sent_mails();
    let went = |from: &str, to: &str| sent.iter().filter(|mail| mail.from == from && mail.to == to).count();
    for (from, to) in [
        ("adapter-d", "mail-a"),
        ("mail-a", "mail-b"),
        ("mail-a", "mail-r"),
        ("mail-b", "adapter-e"),
        ("mail-r", "adapter-r"),
        ("adapter-e", "mail-b"),
        ("mail-b", "mail-a"),
        ("mail-r", "mail-a"),
    ] {
        expect(went(from, to) == 1, format!("one mail goes from {from} to {to}, not {}", went(from, to)))?;
    }
    expect(went("mail-a", "adapter-d") == 2, "both confirmations come to the branch that sent")?;
    for uninvolved in ["adapter-a", "adapter-b"] {
        expect(sent.iter().all(|mail| mail.to != uninvolved), format!("{uninvolved} is not concerned"))?;
    }
    Ok(())
}

async fn open_history(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan::default()).await?;
    let (hanako, jiro) = (region.person(HANAKO)?, region.person(JIRO)?);
    taro_sends(&region, &[HANAKO.address, JIRO.address], &note("For the record")).await?;
    let called = |event: &Event| is_step(event, "adapter-b", "ST903");
    times(&region, EventLog::beginning(), "both are called", 2, called).await?;
    receives(&region, 'b', &hanako).await?;
    receives(&region, 'b', &jiro).await?;
    registered(&region, 2).await?;

    let auditor = region.stranger("auditor")?;
    let server = Server::at(SocketAddr::new(region.address("history")?, HTTP));
    let all =
        history::list(auditor.network.as_ref(), &server, &Filter::default()).await.map_err(Failure::expectation)?;
    expect(all == region.records() && all.len() == 4, "every sending and every print is listed")?;
    let only = Filter { recipient: Some(JIRO.address.into()), ..Filter::default() };
    let some = history::list(auditor.network.as_ref(), &server, &only).await.map_err(Failure::expectation)?;
    let jiros =
        |entry: &history::Entry| entry.personal.as_ref().is_some_and(|personal| personal.recipient == JIRO.address);
    expect(some.len() == 2 && some.iter().all(jiros), "or select some")?;
    let sent = region.sent_mails();
    let confirmation = |person: &str| {
        let found = sent.iter().find(|mail| {
            mail.to == "adapter-a" && String::from_utf8_lossy(&mail.octets).contains(&format!("<{person}>"))
        });
        found.map(|mail| history::Digest256::of(&mail.octets))
    };
    let retrieved: Vec<_> = some.iter().filter(|entry| entry.leaf.event == history::Event::Retrieval).collect();
    let proven = retrieved.iter().all(|entry| {
        let kept = entry.personal.as_ref().map(|personal| history::Digest256::of(&personal.evidence));
        Some(entry.leaf.evidence_digest) == confirmation(JIRO.address) && kept == confirmation(JIRO.address)
    });
    expect(retrieved.len() == 1 && proven, "a record holds the very confirmation that Jiro's card signed")?;
    let network = auditor.network.as_ref();
    let page = http::get(network, &server, "/", "text/html", Limits::default()).await.map_err(Failure::expectation)?;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let shown = page.status == 200 && text.contains(HANAKO.address) && text.contains(JIRO.address);
    expect(shown && !text.contains("Salary"), "the page for people shows who and when, and no subject")?;
    bench.save("history", "history.html", &page.body, "the history as people see it")?;

    // What the adapter keeps proves it without the server.
    let key = region.history_key().ok_or_else(|| Failure::infrastructure("the history does not run"))?;
    let index = retrieved.first().map_or(0, |entry| entry.leaf.index);
    let kept = region.folder("adapter-a").join(format!("receipts/{index}.json"));
    let kept = std::fs::read(&kept).map_err(Failure::infrastructure)?;
    let receipt: history::Receipt = serde_json::from_slice(&kept).map_err(Failure::expectation)?;
    let proof = receipt.verify(&key).map_err(Failure::expectation)?;
    expect(proof.leaf.index == index, "the receipt at the sender's adapter proves the record")?;

    // The auditor gets a copy of the file and checks it alone.
    region.stop_history().await;
    let copy = region.folder("auditors-copy");
    let octets = std::fs::read(region.folder("history").join("records")).map_err(Failure::infrastructure)?;
    let put =
        |octets: &[u8]| std::fs::create_dir_all(&copy).and_then(|()| std::fs::write(copy.join("records"), octets));
    put(&octets).map_err(Failure::infrastructure)?;
    let check = || verify(&copy, &key, &[proof.head], &mut |_| {});
    let good = check().map_err(Failure::expectation)?;
    expect(good.head.size == 4, "the copy holds what was listed, unbroken")?;
    let named = |what: &str| match check() {
        Err(HistoryError::Tampered { index, .. }) => Ok(index),
        other => Err(Failure::expectation(format!("{what}: {other:?}"))),
    };
    // Each record's own signature of who it was: the first place where it stands is in the first record.
    let at = memchr::memmem::rfind(&octets, JIRO.address.as_bytes()).unwrap_or_default();
    let mut forged = octets.clone();
    forged.get_mut(at..at + 1).into_iter().flatten().for_each(|octet| *octet = b'G');
    put(&forged).map_err(Failure::infrastructure)?;
    let last = some.last().map_or(0, |entry| entry.leaf.index);
    expect(named("another name")? == last, "the check names the record that was changed")?;
    put(octets.get(..octets.len() / 2).unwrap_or_default()).map_err(Failure::infrastructure)?;
    named("the end cut off").map(drop)
}
