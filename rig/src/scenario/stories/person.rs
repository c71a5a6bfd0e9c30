//! V2: a fingerprint beside the card. Card and PIN of the right person in the wrong hands open nothing.

use super::evidence::nowhere_in_clear;
use super::wire::registered;
use super::{SUBJECT, note};
use crate::bench::people::{HANAKO, JIRO, Person, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::{PATIENCE, Site};
use crate::events::{Event, EventKind};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};
use sealfax_drivers::display::ScreenKind;

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![FINGER]
}

/// Sent, received, and refused by finger.
pub const FINGER: Scenario = Scenario {
    name: "finger-beside-the-card",
    title: "Where a finger is wanted beside the card, a stolen card and its PIN neither send nor print",
    requirements: &["V2", "C1", "C2", "C5", "C6"],
    deadline: DEADLINE,
    run: |bench| Box::pin(finger(bench)),
};

async fn finger(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { fingerprints: true, ..Plan::default() }).await?;
    let (a, b) = (region.site('a')?, region.site('b')?);
    let (taro, hanako, jiro) = (region.person(TARO)?, region.person(HANAKO)?, region.person(JIRO)?);
    let pages = note("For Hanako's finger");

    // Jiro has Taro's card and its PIN: three fingers, and the card is refused.
    a.identify(&taro, ScreenKind::Person).await?;
    for _ in 0..2 {
        laid(&region, a, &jiro, ScreenKind::Person).await?;
    }
    laid(&region, a, &jiro, ScreenKind::CardInvalid).await?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &pages).await?;
    expect(!lcd.sent, "nothing is sent in the name of a stolen card")?;
    a.pull(&taro);
    // Taro himself.
    a.identify(&taro, ScreenKind::Person).await?;
    laid(&region, a, &taro, ScreenKind::Ready).await?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &pages).await?;
    expect(lcd.sent, format!("the terminal says sent, not: {}", lcd.text))?;
    a.pull(&taro);
    nowhere_in_clear(&region)?;

    // So it is at the other end: a pulled card ends the question, a wrong finger prints nothing.
    b.sees(ScreenKind::Arrived).await?;
    b.identify(&hanako, ScreenKind::Person).await?;
    b.pull(&hanako);
    b.sees(ScreenKind::Arrived).await?;
    b.identify(&hanako, ScreenKind::Person).await?;
    laid(&region, b, &jiro, ScreenKind::Person).await?;
    let printed = b.receive().await.map_err(Failure::expectation)?;
    expect(printed.is_empty(), "nothing is printed before it is Hanako who stands there")?;
    laid(&region, b, &hanako, ScreenKind::PressReceive).await?;
    let printed = b.receive().await.map_err(Failure::expectation)?;
    expect(printed.len() == 1 && printed.iter().all(|document| document.pages == pages), "the document is printed")?;
    b.pull(&hanako);
    registered(&region, 1).await?;

    // A reader that does not answer lets nobody in.
    b.fingers()?.break_reader();
    b.sees(ScreenKind::Idle).await?;
    b.identify(&hanako, ScreenKind::CardInvalid).await
}

/// A finger is laid down once the adapter asks for it.
async fn laid(region: &Region, site: &Site, whose: &Person, then: ScreenKind) -> Result<(), Failure> {
    let mark = region.log.mark();
    let shown = |event: &Event| {
        let of_site = event.host == site.adapter_name;
        of_site && matches!(&event.kind, EventKind::Screen { screen, .. } if *screen == then)
    };
    let what = format!("{} shows {} after {}'s finger", site.adapter_name, then.name(), whose.character.called);
    site.fingers()?.when_asked(PATIENCE).await?;
    site.lay_finger(whose)?;
    region.log.wait_after(mark, &what, PATIENCE, shown).await?;
    Ok(())
}
