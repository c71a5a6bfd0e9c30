//! S1, *hold open*: the message comes before the card. And the card that goes in the middle of everything.

use std::time::Duration;

use sealfax_drivers::display::ScreenKind;

use super::evidence::{did, left_the_office, nothing_left, nowhere_in_clear, reads};
use super::{SUBJECT, note, receives};
use crate::bench::people::{HANAKO, Person, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::{PATIENCE, Site};
use crate::events::{Event, EventKind, Mark};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![CARD_AFTER_MESSAGE, CARD_NEVER_COMES, HUNG_UP, CARD_PULLED]
}

/// S1: sent by itself once the card is confirmed.
pub const CARD_AFTER_MESSAGE: Scenario = Scenario {
    name: "sending-card-after-message",
    title: "The message comes before the card: held without a trace, then sent by itself",
    requirements: &["S1", "C5", "ST604", "ST708"],
    deadline: DEADLINE,
    run: |bench| Box::pin(card_after_message(bench)),
};

async fn card_after_message(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, taro, hanako, pages) = (region.site('a')?, region.person(TARO)?, region.person(HANAKO)?, note("first"));
    let mark = region.log.mark();
    let people = async {
        let held = a.sees_after(mark, ScreenKind::Held).await?;
        expect(
            held.text.contains("カードを入れると送信します"),
            format!("the display asks for the card: {}", held.text),
        )?;
        let later = region.log.wait_after(mark, "the countdown goes on", PATIENCE, |event| {
            matches!(event.kind, EventKind::Screen { screen: ScreenKind::Held, .. }) && event.text != held.text
        });
        later.await?;
        a.lamp(true).await?;
        did(&region, "adapter-a", mark, &["A1", "A2", "S1"]).await?;
        nothing_left(&region, 'a')?;
        nowhere_in_clear(&region)?;
        a.identify(&taro, ScreenKind::Sent).await
    };
    let to = [HANAKO.address];
    let (lcd, ()) = tokio::try_join!(a.fax(Some(&taro), &to, SUBJECT, &pages), people)?;
    expect(lcd.sent, format!("sent, not: {}", lcd.text))?;
    did(&region, "adapter-a", mark, &["ST601", "ST602", "ST603", "ST604", "ST608", "ST610", "ST612"]).await?;
    did(&region, "terminal-a", mark, &["ST708"]).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    nowhere_in_clear(&region)?;
    let printed = receives(&region, 'b', &hanako).await?;
    expect(printed.len() == 1 && printed.iter().all(|document| document.pages == pages), "printed once, as it was")
}

/// S1: the hold ends.
pub const CARD_NEVER_COMES: Scenario = Scenario {
    name: "sending-card-never-comes",
    title: "No card comes: the terminal gets 451 and keeps the document, and nothing of it is left here",
    requirements: &["S1", "ST611", "ST709"],
    deadline: DEADLINE,
    run: |bench| Box::pin(card_never_comes(bench)),
};

async fn card_never_comes(bench: Bench) -> Result<(), Failure> {
    let plan = Plan { hold: Duration::from_secs(2), ..Plan::default() };
    let region = Region::start(&bench, plan).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    let mark = region.log.mark();
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("nobody came")).await?;
    expect(!lcd.sent && lcd.code == Some(451), format!("451, not: {}", lcd.text))?;
    expect(a.has_seen(mark, ScreenKind::Held), "the display asked for the card")?;
    reads(a, mark, ScreenKind::NotSent, &["カードが入りませんでした"]).await?;
    a.lamp(true).await?;
    did(&region, "adapter-a", mark, &["S1", "ST611"]).await?;
    nothing_left(&region, 'a')?;
    nowhere_in_clear(&region)?;
    // Whoever comes next begins with a clean display, and the document is not sent behind their back.
    a.identify(&taro, ScreenKind::Ready).await?;
    a.pull(&taro);
    a.sees(ScreenKind::Idle).await?;
    nothing_left(&region, 'a')
}

/// A terminal that left keeps its document; sending it all the same would send it twice.
pub const HUNG_UP: Scenario = Scenario {
    name: "sending-terminal-hangs-up",
    title: "The terminal hangs up while its document is held: the card that comes then sends nothing",
    requirements: &["S1"],
    deadline: DEADLINE,
    run: |bench| Box::pin(hung_up(bench)),
};

async fn hung_up(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    let mark = region.log.mark();
    let (to, forgotten) = ([HANAKO.address], note("forgotten"));
    tokio::select! {
        answered = a.fax(Some(&taro), &to, SUBJECT, &forgotten) => {
            return Err(Failure::expectation(format!("the document is held, not answered: {answered:?}")));
        }
        held = a.sees_after(mark, ScreenKind::Held) => { held?; }
    }
    region.log.person("Taro", "stops the machine");
    a.sees(ScreenKind::Idle).await?;
    a.identify(&taro, ScreenKind::Ready).await?;
    nothing_left(&region, 'a')?;
    // And the next document is the only one that goes.
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("meant")).await?;
    expect(lcd.sent, format!("sent, not: {}", lcd.text))?;
    let left = left_the_office(&region, 'a');
    let this = left.iter().all(|mail| memchr::memmem::find(&mail.octets, lcd.message_id.as_bytes()).is_some());
    expect(left.len() == 1 && this, "only the second document left the office")?;
    nowhere_in_clear(&region)
}

/// Power and contact may go with any command; what is sent is whole or nothing.
pub const CARD_PULLED: Scenario = Scenario {
    name: "sending-card-pulled",
    title: "The card is pulled after each single command: a whole mail or none, and an honest answer",
    requirements: &["A6", "C5", "S1", "ST611", "card-pulled"],
    deadline: Duration::from_secs(180),
    run: |bench| Box::pin(card_pulled(bench)),
};

/// No card needs more commands than this from insertion to signature.
const MOST_COMMANDS: u32 = 100;

async fn card_pulled(bench: Bench) -> Result<(), Failure> {
    let plan = Plan { pictures: false, ..Plan::default() };
    let region = Region::start(&bench, plan).await?;
    let (a, taro, hanako) = (region.site('a')?, region.person(TARO)?, region.person(HANAKO)?);
    let (to, pages) = ([HANAKO.address], note("again and again"));
    let mut begun = region.log.mark();
    let mut fax = Box::pin(a.fax(Some(&taro), &to, SUBJECT, &pages));
    a.sees_after(begun, ScreenKind::Held).now_or(&mut fax).await?;
    let (mut refused, mut pulled) = (0, 0);
    let sent = 'sent: {
        for commands in 0..MOST_COMMANDS {
            let attempt = insertion(&region, a, &taro, commands);
            tokio::pin!(attempt);
            let mut answer = None;
            loop {
                tokio::select! {
                    lcd = &mut fax, if answer.is_none() => answer = Some(lcd?),
                    settled = &mut attempt => {
                        // Where nothing is held any more the answer is on its way, if it has not come.
                        if settled? && answer.is_none() {
                            answer = Some((&mut fax).await?);
                        }
                        break;
                    }
                }
            }
            if a.slot.card().is_none() {
                pulled += 1;
            }
            let Some(lcd) = answer else { continue };
            if lcd.sent {
                break 'sent lcd;
            }
            expect(lcd.code == Some(451), format!("after {commands} commands: 451, not: {}", lcd.text))?;
            nothing_left(&region, 'a')?;
            refused += 1;
            begun = region.log.mark();
            fax = Box::pin(a.fax(Some(&taro), &to, SUBJECT, &pages));
            a.sees_after(begun, ScreenKind::Held).now_or(&mut fax).await?;
        }
        return Err(Failure::expectation("the document is sent in the end"));
    };
    expect(
        pulled > 10 && refused > 0,
        format!("the card was pulled at every point: {pulled} times, {refused} refused"),
    )?;
    let left = left_the_office(&region, 'a');
    let this = left.iter().all(|mail| memchr::memmem::find(&mail.octets, sent.message_id.as_bytes()).is_some());
    expect(left.len() == 1 && this, format!("one mail left the office, the last, not {}", left.len()))?;
    let tries = taro.card.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pin_tries();
    expect(tries == 3, "no try of the PIN was lost")?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    nowhere_in_clear(&region)?;
    let printed = receives(&region, 'b', &hanako).await?;
    expect(printed.len() == 1 && printed.iter().all(|document| document.pages == pages), "printed once, as it was")
}

/// Inserts the card, which goes after so many commands, types the PIN if it is asked for, and waits until the display
/// says how things stand: held again, not sent, or sent. Gives whether nothing is held any more: a card that is told to
/// forget its PIN may go with that very command, when its document is through.
async fn insertion(region: &Region, site: &Site, taro: &Person, commands: u32) -> Result<bool, Failure> {
    let mark = region.log.mark();
    site.slot.pull_after(commands);
    site.insert(taro);
    let gone = || site.slot.card().is_none();
    let shows = |event: &Event, kinds: &[ScreenKind]| {
        event.host == site.adapter_name
            && matches!(&event.kind, EventKind::Screen { screen, .. } if kinds.contains(screen))
    };
    let what = format!("the card is pulled after {commands} commands, or the PIN is asked");
    region.log.wait_after(mark, &what, PATIENCE, |event| gone() || shows(event, &[ScreenKind::Pin])).await?;
    if !gone() {
        site.type_pin(taro, taro.character.pin).await;
        let what = format!("the card is pulled after {commands} commands, or the document is sent");
        region.log.wait_after(mark, &what, PATIENCE, |event| gone() || shows(event, &[ScreenKind::Sent])).await?;
    }
    let after: Mark = region.log.mark();
    let through = || matches!(site.screen(), Some(ScreenKind::NotSent | ScreenKind::Sent | ScreenKind::Idle));
    if gone() && !through() {
        // The countdown is drawn anew every second while the document is held.
        let sane = [ScreenKind::Held, ScreenKind::NotSent, ScreenKind::Sent, ScreenKind::Idle];
        let settled = |event: &Event| shows(event, &sane);
        region.log.wait_after(after, "the display says how things stand", PATIENCE, settled).await?;
    }
    Ok(through())
}

/// Waits for a screen while something else goes on that must not end before.
trait NowOr: Future<Output = Result<Event, Failure>> + Sized {
    async fn now_or<T: std::fmt::Debug>(self, other: &mut (impl Future<Output = T> + Unpin)) -> Result<(), Failure> {
        tokio::select! {
            seen = self => seen.map(|_| ()),
            ended = other => Err(Failure::expectation(format!("not yet expected: {ended:?}"))),
        }
    }
}

impl<F: Future<Output = Result<Event, Failure>>> NowOr for F {}
