//! Fax machines of T.37 extended mode (RFC 2532): what they ask for stays between machine and adapter, and is answered.

use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::extended::State;
use sealfax_ifax::{dsn, extended};

use super::evidence::{did, journal, nowhere_in_clear};
use super::sending::WITHOUT_MAILBOX;
use super::wire::{Talk, count, is_trouble, registered};
use super::{SUBJECT, note, receives, taro_sends};
use crate::bench::people::HANAKO;
use crate::bench::region::{Plan, Region};
use crate::bench::site::SMTP;
use crate::events::{Event, EventLog};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};
use crate::world::network::Side;

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![CONFIRMED, RETURNED]
}

/// Printed, and the machine hears of it in its own language.
pub const CONFIRMED: Scenario = Scenario {
    name: "extended-mode",
    title: "Machines of extended mode: asked for by the one, answered by its adapter once the card has confirmed, never by the other machine",
    requirements: &["D1", "C9", "I2", "I3"],
    deadline: DEADLINE,
    run: |bench| Box::pin(confirmed(bench)),
};

/// Came back, and the machine hears of that.
pub const RETURNED: Scenario = Scenario {
    name: "extended-mode-returned",
    title: "A machine of extended mode gets the delivery status notification of a fax that came back",
    requirements: &["M2", "C10", "I2"],
    deadline: DEADLINE,
    run: |bench| Box::pin(returned(bench)),
};

async fn confirmed(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { extended: true, ..Plan::default() }).await?;
    let (a, b, hanako) = (region.site('a')?, region.site('b')?, region.person(HANAKO)?);
    let pages = note("Confirm this to my machine");
    let lcd = taro_sends(&region, &[HANAKO.address], &pages).await?;
    let asked = region.sent_mails().into_iter().find(|mail| mail.from == "terminal-a");
    let asked = asked.ok_or_else(|| Failure::expectation("a mail from the machine"))?;
    expect(says(&asked.octets, "Disposition-Notification-To: "), "the machine asks for a notification")?;
    let wishes = |side| region.capture.contains(side, b"NOTIFY=SUCCESS,FAILURE");
    expect(wishes(Side::Terminal), "and for one of delivery")?;
    expect(!wishes(Side::Network), "its wishes go no further than the adapter")?;
    let known = |state| a.terminal.confirmed(&lcd.message_id, HANAKO.address) == Some(state);
    let early = a.receive().await.map_err(Failure::expectation)?;
    expect(early.is_empty() && known(State::Awaited), "before it is printed there is nothing to tell")?;

    // Before there is a report, whose white lines are like anybody's.
    nowhere_in_clear(&region)?;

    b.sees(ScreenKind::Arrived).await?;
    let printed = receives(&region, 'b', &hanako).await?;
    let right = printed.len() == 1 && printed.iter().all(|document| document.pages == pages);
    expect(right, "Hanako gets the pages as sent")?;
    let request = printed.iter().any(|document| says(&document.mail, "Disposition-Notification-To: "));
    expect(!request, "her machine is not asked for anything")?;
    expect(region.sent_mails().iter().all(|mail| mail.from != "terminal-b"), "and says nothing to the network")?;

    a.sees(ScreenKind::Delivered).await?;
    let papers = a.receive().await.map_err(Failure::expectation)?;
    expect(papers.len() == 1, format!("one report on paper, and the notifications are no paper: {}", papers.len()))?;
    expect(known(State::Processed), "the machine knows that it was printed")?;
    let again = a.receive().await.map_err(Failure::expectation)?;
    expect(again.is_empty(), "all of it came once")?;
    let told = notifications(&region)?;
    expect(told.len() == 2, format!("one notification of each kind, not {}", told.len()))?;
    for mail in &told {
        let secret = says(mail, SUBJECT) || says(mail, "image/tiff") || says(mail, "Received-content-MIC");
        expect(!secret, "in a notification is nothing of the document")?;
        expect(says(mail, &lcd.message_id), "but which one it is about")?;
    }
    registered(&region, 1).await?;

    // A machine that answers for its reader all the same is refused at once, not kept waiting for a card.
    let machine = region.stranger("machine")?;
    let door = std::net::SocketAddr::new(region.address("adapter-b-terminal-port")?, SMTP);
    let mut talk = Talk::smtp(&machine, door).await?;
    for line in ["MAIL FROM:<>", "RCPT TO:<taro@a.example>", "DATA"] {
        talk.command(line).await?;
    }
    let own = "From: fax@b.example\r\nContent-Type: multipart/report; report-type=disposition-notification;\r\n boundary=b\r\n\r\n--b--\r\n.";
    let reply = talk.command(own).await?;
    expect(reply.starts_with("550 5.7.1"), format!("a machine's own notification is refused, not {reply:?}"))?;
    let refused = |event: &Event| is_trouble(event, "adapter-b", "TERMINAL-002");
    expect(count(&region, EventLog::beginning(), refused) == 1, "and the journal has it")
}

async fn returned(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { extended: true, ..Plan::default() }).await?;
    let address = WITHOUT_MAILBOX.address;
    region.mail_server('b')?.accounts().remove(address).map_err(Failure::infrastructure)?;
    let mark = region.log.mark();
    let lcd = taro_sends(&region, &[address], &note("returned to sender")).await?;
    journal(&region, "adapter-a", mark, "SEND-004").await?;
    let a = region.site('a')?;
    a.sees(ScreenKind::NotSent).await?;
    did(&region, "adapter-a", mark, &["C10"]).await?;
    let papers = a.receive().await.map_err(Failure::expectation)?;
    expect(papers.len() == 1, "the report on paper says so too")?;
    let state = a.terminal.confirmed(&lcd.message_id, address);
    expect(state == Some(State::Failed), format!("the machine knows that it came back, not {state:?}"))?;
    let told = notifications(&region)?;
    let [only] = told.as_slice() else {
        return Err(Failure::expectation(format!("one notification, for nobody has printed it, not {}", told.len())));
    };
    let status = dsn::parse(only).map_err(Failure::expectation)?;
    let failed = status.recipients.iter().all(|recipient| recipient.action == dsn::Action::Failed);
    expect(failed && status.original_message_id.as_ref() == Some(&lcd.message_id), "it says which fax failed")
}

fn says(mail: &[u8], words: &str) -> bool {
    memchr::memmem::find(mail, words.as_bytes()).is_some()
}

/// The notifications that machine A has fetched.
fn notifications(region: &Region) -> Result<Vec<Vec<u8>>, Failure> {
    let told = region.site('a')?.terminal.notifications();
    for mail in &told {
        let read = extended::Notification::read(mail).map_err(Failure::expectation)?;
        expect(read.is_some(), "a notification that other programs read too")?;
    }
    Ok(told)
}
