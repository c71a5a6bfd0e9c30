//! Stories of delivery: several recipients, ordinary mail, collected reports, and what happens while somebody is away.

use sealfax_client::history;
use sealfax_drivers::display::ScreenKind;

use super::wire::{bring, count, is_of, is_step, is_trouble, ordinary_fax, registered, times};
use super::{note, receives, taro_sends};
use crate::bench::people::{HANAKO, TARO, YUKI};
use crate::bench::region::{Plan, Region};
use crate::bench::site::SMTP;
use crate::events::{Event, EventKind, EventLog, Lane};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![TWO_OFFICES, PLAIN, BATCH, AWAY, HISTORY_DOWN, CONFIRMATION_PATH]
}

/// One sealed mail for two people.
pub const TWO_OFFICES: Scenario = Scenario {
    name: "two-people-two-offices",
    title: "One document for two people is printed in each one's office and confirmed by each",
    requirements: &["C1", "C7", "S2", "M1"],
    deadline: DEADLINE,
    run: |bench| Box::pin(two_offices(bench)),
};

/// Ordinary mail stays ordinary.
pub const PLAIN: Scenario = Scenario {
    name: "plain-mail",
    title: "Ordinary mail calls nobody: the machine's own is printed at once, Hanako's with her card, none is confirmed",
    requirements: &["C14", "I2", "I3", "M1", "M4"],
    deadline: DEADLINE,
    run: |bench| Box::pin(plain(bench)),
};

/// C11.
pub const BATCH: Scenario = Scenario {
    name: "batch-report",
    title: "Three confirmations are collected into one delivery report",
    requirements: &["C10", "C11"],
    deadline: DEADLINE,
    run: |bench| Box::pin(batch(bench)),
};

/// The recipient's adapter is off the network.
pub const AWAY: Scenario = Scenario {
    name: "adapter-away",
    title: "A notice is tried until the adapter is back, and then not repeated before its time",
    requirements: &["C1", "C13"],
    deadline: DEADLINE,
    run: |bench| Box::pin(away(bench)),
};

/// The history server is down.
pub const HISTORY_DOWN: Scenario = Scenario {
    name: "history-down",
    title: "While the history server is down confirmations are taken and reported; it hears of them when it is back",
    requirements: &["C12"],
    deadline: DEADLINE,
    run: |bench| Box::pin(history_down(bench)),
};

/// The sender's adapter is off the network when the confirmation comes back.
pub const CONFIRMATION_PATH: Scenario = Scenario {
    name: "confirmation-path",
    title: "A confirmation waits for the sender's adapter, and a repeated one changes nothing",
    requirements: &["C9", "D1"],
    deadline: DEADLINE,
    run: |bench| Box::pin(confirmation_path(bench)),
};

/// What is behind the header section.
pub(super) fn body(mail: &[u8]) -> &[u8] {
    let end = mail.windows(4).position(|octets| octets == b"\r\n\r\n").map_or(mail.len(), |at| at + 4);
    mail.get(end..).unwrap_or_default()
}

fn confirmed(event: &Event) -> bool {
    is_step(event, "adapter-a", "D1") && is_step(event, "adapter-a", "C9")
}

async fn two_offices(bench: Bench) -> Result<(), Failure> {
    let people = vec![TARO, HANAKO, YUKI];
    let region = Region::start(&bench, Plan { offices: vec!['a', 'b', 'c'], people, ..Plan::default() }).await?;
    let (hanako, yuki) = (region.person(HANAKO)?, region.person(YUKI)?);
    let pages = note("For Hanako and Yuki");
    let lcd = taro_sends(&region, &[HANAKO.address, YUKI.address], &pages).await?;
    for office in ['b', 'c'] {
        region.site(office)?.sees(ScreenKind::Arrived).await?;
        region.site(office)?.lamp(true).await?;
    }
    let sent = region.sent_mails();
    let sealed: Vec<_> = sent.iter().filter(|mail| mail.from == "adapter-a" && mail.to == "mail-a").collect();
    let [sealed] = sealed.as_slice() else {
        return Err(Failure::expectation(format!("one sealed mail leaves the office, not {}", sealed.len())));
    };
    expect(sealed.forward_paths == [HANAKO.address, YUKI.address], "it is addressed to both")?;
    for person in [&hanako, &yuki] {
        let mailbox = region.mailbox(person)?;
        let same = mailbox.len() == 1 && mailbox.iter().all(|mail| body(mail) == body(&sealed.octets));
        expect(same, format!("the same sealed content waits for {}", person.character.called))?;
    }
    for (office, person) in [('b', &hanako), ('c', &yuki)] {
        let printed = receives(&region, office, person).await?;
        let right = printed.len() == 1 && printed.iter().all(|document| document.pages == pages);
        expect(right, format!("{} gets the pages as sent, once", person.character.called))?;
    }
    times(&region, EventLog::beginning(), "both confirm", 2, confirmed).await?;
    registered(&region, 2).await?;
    let ended = region.history();
    for recipient in [HANAKO.address, YUKI.address] {
        let found = ended.iter().filter(|entry| {
            entry.personal.as_ref().is_some_and(|personal| personal.recipient == recipient)
                && is_of(entry, &format!("<{}>", lcd.message_id))
                && entry.leaf.event == history::Event::Retrieval
        });
        expect(found.count() == 1, format!("the history lists the transmission to {recipient} once"))?;
    }
    let reports = region.site('a')?.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == 2, format!("each confirmation is reported on paper, not {} of 2", reports.len()))
}

async fn plain(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (site, hanako) = (region.site('b')?, region.person(HANAKO)?);
    site.sees(ScreenKind::Idle).await?;
    let visitor = region.stranger("visitor")?;
    let server = region.mail_server('b')?.smtp_addr();
    let (for_machine, for_hanako) = (note("For whoever is there"), note("For Hanako, but no secret"));
    for (to, pages) in [("fax@b.example", &for_machine), (HANAKO.address, &for_hanako)] {
        let mail = ordinary_fax(&region, "visitor@elsewhere.example", to, pages)?;
        let reply = bring(&visitor, server, "visitor@elsewhere.example", &[to], &mail).await?;
        expect(reply.starts_with("250 "), format!("the mail to {to} is taken, not {reply:?}"))?;
    }
    let judged = |event: &Event| is_step(event, "mail-b", "ST810") && event.text.contains("not sealed: no notice");
    times(&region, EventLog::beginning(), "both are judged plain", 2, judged).await?;

    let printed = site.receive().await.map_err(Failure::expectation)?;
    let right = printed.len() == 1 && printed.iter().all(|document| document.pages == for_machine);
    expect(right, "without a card the machine's own mail is printed, and nothing of Hanako's")?;
    expect(site.screen() == Some(ScreenKind::Idle), "nobody is called")?;
    let lit = |event: &Event| {
        event.lane == Lane::Lamp && event.host == "adapter-b" && matches!(event.kind, EventKind::Level { lit: true })
    };
    expect(count(&region, EventLog::beginning(), lit) == 0, "the lamp was never lit")?;

    site.identify(&hanako, ScreenKind::Ready).await?;
    let printed = site.receive().await.map_err(Failure::expectation)?;
    let right = printed.len() == 1 && printed.iter().all(|document| document.pages == for_hanako);
    expect(right, "with her card Hanako's ordinary mail is printed")?;
    site.pull(&hanako);
    site.sees(ScreenKind::Idle).await?;
    expect(region.mailbox(&hanako)?.is_empty(), "her mailbox is empty")?;
    let sent = region.sent_mails();
    expect(sent.iter().all(|mail| mail.from != "adapter-b"), "nothing is confirmed")?;
    expect(sent.iter().all(|mail| mail.to != "adapter-b"), "no notice was sent")
}

async fn batch(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { batch: 3, ..Plan::default() }).await?;
    let (a, hanako) = (region.site('a')?, region.person(HANAKO)?);
    for number in 1..=3_usize {
        let pages = note(&format!("Document {number} of three"));
        taro_sends(&region, &[HANAKO.address], &pages).await?;
        let called = |event: &Event| is_step(event, "adapter-b", "ST903");
        times(&region, EventLog::beginning(), "Hanako is called", number, called).await?;
        let printed = receives(&region, 'b', &hanako).await?;
        let right = printed.len() == 1 && printed.iter().all(|document| document.pages == pages);
        expect(right, format!("document {number} is printed"))?;
        times(&region, EventLog::beginning(), "the confirmation is back", number, confirmed).await?;
        if number < 3 {
            let reports = a.receive().await.map_err(Failure::expectation)?;
            expect(reports.is_empty(), format!("no report yet after {number}"))?;
            expect(!a.has_seen(EventLog::beginning(), ScreenKind::Delivered), "the screen tells of none either")?;
        }
    }
    a.sees(ScreenKind::Delivered).await?;
    let made = |event: &Event| is_step(event, "adapter-a", "C11");
    let report = region.log.find(EventLog::beginning(), |event| made(event));
    expect(report.is_some_and(|event| event.text.contains("3 entries")), "the report has three entries")?;
    let reports = a.receive().await.map_err(Failure::expectation)?;
    let one = reports.len() == 1 && reports.iter().all(|report| report.pages.len() == 1);
    expect(one && count(&region, EventLog::beginning(), made) == 1, "one report of one page lists all three")?;
    registered(&region, 3).await
}

async fn away(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (b, hanako, adapter) = (region.site('b')?, region.person(HANAKO)?, region.address("adapter-b")?);
    region.capture.cut(adapter);
    let pages = note("While the adapter is away");
    taro_sends(&region, &[HANAKO.address], &pages).await?;
    let unsent = |event: &Event| is_trouble(event, "mail-b", "NOTICE-UNSENT");
    times(&region, EventLog::beginning(), "the notice is tried again", 3, unsent).await?;
    let notified = |event: &Event| is_step(event, "mail-b", "ST811");
    expect(count(&region, EventLog::beginning(), notified) == 0, "nobody was notified while the cable was out")?;
    expect(region.mailbox(&hanako)?.len() == 1, "the mail waits in the mailbox")?;
    region.capture.restore(adapter);
    b.sees(ScreenKind::Arrived).await?;

    // Something else wakes the server's queue: the notice is not due again yet.
    let fax = ordinary_fax(&region, "visitor@elsewhere.example", "fax@b.example", &note("hello"))?;
    let visitor = region.stranger("visitor")?;
    let server = region.mail_server('b')?.smtp_addr();
    bring(&visitor, server, "visitor@elsewhere.example", &["fax@b.example"], &fax).await?;
    times(&region, EventLog::beginning(), "the notice was sent", 1, notified).await?;
    let before = region.log.mark();
    expect(count(&region, EventLog::beginning(), notified) == 1, "one notice, not more")?;

    // When the interval is over and nobody came, it is repeated.
    region.shift_clock(301);
    bring(&visitor, server, "visitor@elsewhere.example", &["fax@b.example"], &fax).await?;
    times(&region, before, "the notice is repeated after its interval", 1, notified).await?;
    let printed = receives(&region, 'b', &hanako).await?;
    let hers: Vec<_> = printed.iter().filter(|document| document.pages == pages).collect();
    expect(hers.len() == 1 && printed.len() == 1, "Hanako gets the document once")?;
    registered(&region, 1).await
}

async fn history_down(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan::default()).await?;
    let hanako = region.person(HANAKO)?;
    region.stop_history().await;
    taro_sends(&region, &[HANAKO.address], &note("No history today")).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    receives(&region, 'b', &hanako).await?;
    region.site('a')?.sees(ScreenKind::Delivered).await?;
    let reports = region.site('a')?.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == 1, "the report is printed without the history")?;
    let failed = |event: &Event| is_trouble(event, "adapter-a", "HISTORY-001");
    times(&region, EventLog::beginning(), "the journal says that it is not in the history yet", 1, failed).await?;
    region.start_history().await?;
    registered(&region, 1).await
}

async fn confirmation_path(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, hanako, adapter) = (region.site('a')?, region.person(HANAKO)?, region.address("adapter-a")?);
    taro_sends(&region, &[HANAKO.address], &note("Confirm me")).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    region.capture.cut(adapter);
    receives(&region, 'b', &hanako).await?;
    let stuck = |event: &Event| is_trouble(event, "mail-a", "FORWARD-FAILED");
    times(&region, EventLog::beginning(), "the confirmation is tried again", 2, stuck).await?;
    expect(region.history().is_empty(), "nothing is registered without a confirmation")?;
    region.capture.restore(adapter);
    a.sees(ScreenKind::Delivered).await?;
    let reports = a.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == 1, "one report")?;
    registered(&region, 1).await?;

    let sent = region.sent_mails();
    let first = sent.iter().find(|mail| mail.from == "adapter-b" && mail.to == "mail-b");
    let first = first.ok_or_else(|| Failure::expectation("the confirmation on the wire"))?;
    expect(first.reverse_path.is_empty(), "a confirmation has the null return path")?;
    let echo = region.stranger("echo")?;
    for _ in 0..2 {
        let to = std::net::SocketAddr::new(region.address("mail-a")?, SMTP);
        let reply = bring(&echo, to, "", &[TARO.address], &first.octets).await?;
        expect(reply.starts_with("250 "), format!("the server takes it again, not {reply:?}"))?;
    }
    let repeated = |event: &Event| is_trouble(event, "adapter-a", "CONFIRM-013");
    times(&region, EventLog::beginning(), "both repetitions are seen to be such", 2, repeated).await?;
    let reports = a.receive().await.map_err(Failure::expectation)?;
    expect(reports.is_empty(), "a repeated confirmation makes no second report")?;
    expect(region.history().len() == 1, "nor a second entry in the history")?;
    expect(count(&region, EventLog::beginning(), confirmed) == 1, "it closed the transmission once")
}
