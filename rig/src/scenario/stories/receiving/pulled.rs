//! The card is pulled: after every single answer it gives, and while the terminal takes the document. Nothing is lost,
//! and what is on paper is neither printed again nor left unconfirmed.

use std::collections::BTreeSet;
use std::time::Duration;

use sealfax_drivers::display::ScreenKind;

use super::{
    PATIENCE, confirmations, confirmed, hanako_takes, journal_says, nothing_came_of_it, one_arrives, plan,
    press_receive, reports, screen_of_b, shows, still_waiting, terminal_session,
};
use crate::bench::people::{HANAKO, Person};
use crate::bench::region::Region;
use crate::bench::site::Site;
use crate::endpoint::ifax::PrintedDocument;
use crate::events::{Event, EventKind, Mark};
use crate::scenario::stories::note;
use crate::scenario::{Bench, Cards, DEADLINE, Failure, Scenario, expect};

/// More answers than the whole flow needs.
const ENOUGH: u32 = 80;

/// Every point at which the card is asked something.
pub const AT_EVERY_POINT: Scenario = Scenario {
    name: "card-pulled-at-every-point",
    title: "The card is pulled after each of its answers in turn: printed once, confirmed once, never lost",
    requirements: &["ST904", "ST914", "ST921", "ST922", "A6", "P3", "card-pulled"],
    deadline: Duration::from_secs(240),
    run: |bench| Box::pin(at_every_point(bench)),
};

async fn at_every_point(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    let pages = note("held by a loose card");
    let (mut sent, mut printed, mut finished) = (0, 0, false);
    let mut last_commands = BTreeSet::new();
    for answers in 0..ENOUGH {
        if region.mailbox(&hanako)?.is_empty() {
            one_arrives(&region, &pages).await?;
            sent += 1;
        }
        let before = confirmations(&region);
        region.log.note("region", format!("the card will be pulled after {answers} answers"));
        let (documents, stayed) = pulled_after(&region, b, &hanako, answers).await?;
        let command = |event: &&Event| matches!(event.kind, EventKind::Apdu { .. });
        last_commands.extend(region.log.last(command).filter(|_| !stayed).map(|event| event.text));
        expect(documents.iter().all(|document| document.pages == pages), "only the whole document is ever printed")?;
        printed += documents.len();
        expect(printed <= sent, "no document is printed twice")?;
        if documents.is_empty() {
            nothing_came_of_it(&region, &documents, before, 1)?;
            b.sees(ScreenKind::Arrived).await?;
        } else if !region.mailbox(&hanako)?.is_empty() {
            // On paper, but the card was gone before it could sign for it: owed, and the alert says so.
            expect(confirmations(&region) == before, "nothing is confirmed without the card")?;
            b.sees(ScreenKind::Arrived).await?;
            signs_later(&region, b, &hanako, sent).await?;
        } else {
            confirmed(&region, sent).await?;
        }
        if region.mailbox(&hanako)?.is_empty() {
            reports(&region, 1).await?;
        }
        finished = stayed;
        if finished {
            break;
        }
    }
    expect(finished, format!("the flow needs fewer than {ENOUGH} answers of the card"))?;
    // Each kind of interruption was among them: while it was read, at its PIN, for the mailbox login, decrypting,
    // signing.
    for command in ["GET DATA", "VERIFY", "GENERAL AUTHENTICATE"] {
        expect(last_commands.iter().any(|last| last.starts_with(command)), format!("pulled at {command}"))?;
    }
    // Through pcscd the removal may be seen before the command that it interrupts.
    if bench.cards == Cards::Virtual {
        for code in ["RECV-001", "OPEN-001", "RECV-005"] {
            journal_says(&region, code).await?;
        }
    }
    confirmed(&region, sent).await?;
    expect(printed == sent, format!("{sent} documents were sent and {printed} printed"))
}

/// Inserts the card, which will be gone after so many answers, and does what the screen says as far as that goes. Gives
/// what was printed, and whether the card was left in to the end.
async fn pulled_after(
    region: &Region,
    b: &Site,
    hanako: &Person,
    answers: u32,
) -> Result<(Vec<PrintedDocument>, bool), Failure> {
    let mark = region.log.mark();
    b.slot.pull_after(answers);
    b.insert(hanako);
    let mut printed = Vec::new();
    if until(region, b, mark, ScreenKind::Pin).await? {
        b.type_pin(hanako, HANAKO.pin).await;
        if until(region, b, mark, ScreenKind::PressReceive).await? {
            // A refusal is the right answer when the card goes meanwhile.
            printed = b.receive().await.unwrap_or_default();
            until(region, b, mark, ScreenKind::Done).await?;
        }
    }
    // Whoever still has the card in takes it out now; the fault is disarmed.
    let stayed = b.slot.card().is_some();
    b.slot.pull_after(u32::MAX);
    if stayed {
        b.pull(hanako);
        b.sees(ScreenKind::Idle).await?;
    }
    // Nobody swaps cards faster than a reader looks.
    b.slot.seen().await;
    Ok((printed, stayed))
}

/// Waits for the screen; `false` when the card is out and nothing is shown of it any more.
async fn until(region: &Region, b: &Site, mark: Mark, wanted: ScreenKind) -> Result<bool, Failure> {
    let slot = b.slot.clone();
    let mut shown = ScreenKind::Arrived;
    let mut reached = false;
    let settled = |event: &Event| {
        if let Some((kind, _)) = screen_of_b(event) {
            shown = kind;
        }
        reached = shown == wanted;
        reached || (slot.card().is_none() && matches!(shown, ScreenKind::Arrived | ScreenKind::Idle))
    };
    region.log.wait_after(mark, &format!("{} or the card gone", wanted.name()), PATIENCE, settled).await?;
    Ok(reached && b.slot.card().is_some())
}

/// Hanako comes back with her card: nothing is printed again, and now it is confirmed.
async fn signs_later(region: &Region, b: &Site, hanako: &Person, total: usize) -> Result<(), Failure> {
    b.identify(hanako, ScreenKind::PressReceive).await?;
    expect(press_receive(b).await?.is_empty(), "what is on paper is not printed again")?;
    b.pull(hanako);
    confirmed(region, total).await?;
    still_waiting(region, 0)?;
    b.sees(ScreenKind::Idle).await
}

/// While the terminal takes it.
pub const WHILE_HANDED_OVER: Scenario = Scenario {
    name: "card-pulled-while-handed-over",
    title: "The card is pulled before RECEIVE, before RETR, after RETR, and the line breaks: print once, confirm once",
    requirements: &["ST912", "ST921", "ST922", "A6", "card-pulled"],
    deadline: DEADLINE,
    run: |bench| Box::pin(while_handed_over(bench)),
};

async fn while_handed_over(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    let pages = note("half way out");
    one_arrives(&region, &pages).await?;

    // Before RECEIVE.
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    b.pull(&hanako);
    back_to_alert(&region).await?;
    nothing_came_of_it(&region, &press_receive(b).await?, 0, 1)?;

    // After the log-in, before RETR: the terminal is refused.
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let mut machine = terminal_session(&region).await?;
    b.pull(&hanako);
    back_to_alert(&region).await?;
    expect(machine.retr(1).await.is_err(), "nothing is handed over once the card is out")?;
    machine.quit().await.map_err(Failure::expectation)?;
    nothing_came_of_it(&region, &[], 0, 1)?;
    back_to_alert(&region).await?;

    // After RETR, before QUIT: on paper, and owed. It may have been handed before, and says so.
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let mut machine = terminal_session(&region).await?;
    let document = machine.retr(1).await.map_err(Failure::expectation)?;
    expect(super::power::is_marked(&document), "what was once handed over is marked when it is handed over again")?;
    b.pull(&hanako);
    back_to_alert(&region).await?;
    machine.quit().await.map_err(Failure::expectation)?;
    nothing_came_of_it(&region, &[], 0, 1)?;
    back_to_alert(&region).await?;
    signs_later(&region, b, &hanako, 1).await?;
    reports(&region, 1).await?;

    // The line breaks after DELE and without QUIT: the machine had it all, so the same.
    one_arrives(&region, &pages).await?;
    let document = breaks_off(&region, true).await?;
    expect(!super::power::is_marked(&document), "a new document bears no mark")?;
    nothing_came_of_it(&region, &[], 1, 1)?;
    signs_later(&region, b, &hanako, 2).await?;
    reports(&region, 1).await?;

    // The line breaks in the middle of RETR, for all anybody knows: printed again, and marked so.
    one_arrives(&region, &pages).await?;
    breaks_off(&region, false).await?;
    nothing_came_of_it(&region, &[], 2, 1)?;
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let printed = press_receive(b).await?;
    b.sees(ScreenKind::Done).await?;
    let again = |document: &PrintedDocument| document.pages == pages && super::power::is_marked(&document.mail);
    expect(printed.len() == 1 && printed.iter().all(again), "printed again and marked")?;
    b.pull(&hanako);
    confirmed(&region, 3).await?;
    reports(&region, 1).await?;

    one_arrives(&region, &pages).await?;
    hanako_takes(&region, &[&pages]).await
}

/// Hanako's machine fetches the document and its line breaks without QUIT, with or without a further command that shows
/// that it had read it all; she takes her card and the alert is back.
async fn breaks_off(region: &Region, read_it_all: bool) -> Result<Vec<u8>, Failure> {
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let mut machine = terminal_session(region).await?;
    let document = machine.retr(1).await.map_err(Failure::expectation)?;
    if read_it_all {
        machine.dele(1).await.map_err(Failure::expectation)?;
    }
    let mark = region.log.mark();
    drop(machine);
    // The mail server's mailbox is free again only after the adapter has settled what it knows.
    let noticed = |event: &Event| event.host == "adapter-b" && event.text.contains("without QUIT");
    region.log.wait_after(mark, "adapter-b notices that the line broke", PATIENCE, noticed).await?;
    b.pull(&hanako);
    back_to_alert(region).await?;
    Ok(document)
}

/// The screen calls Hanako again and the lamp is not dark.
async fn back_to_alert(region: &Region) -> Result<(), Failure> {
    shows(region, ScreenKind::Arrived, HANAKO.name).await?;
    region.site('b')?.lamp(true).await
}
