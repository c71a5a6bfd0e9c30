//! The technician's page: opened by holding the button, closed by a press, and never in the way of an alert.

use sealfax_drivers::display::ScreenKind;

use super::{note, taro_sends};
use crate::bench::people::{HANAKO, JIRO};
use crate::bench::region::{Plan, Region};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![PAGE]
}

/// The page comes and goes, and a document that arrives is more important.
pub const PAGE: Scenario = Scenario {
    name: "diagnosis-page",
    title: "The button held: every check on the screen; a press closes it, and an alert or a card ends it",
    requirements: &["ST903"],
    deadline: DEADLINE,
    run: |bench| Box::pin(page(bench)),
};

async fn page(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (b, hanako, jiro) = (region.site('b')?, region.person(HANAKO)?, region.person(JIRO)?);
    b.sees(ScreenKind::Idle).await?;
    let mark = region.log.mark();
    b.hold_button(&hanako).await;
    let begun = b.sees_after(mark, ScreenKind::Diagnosis).await?;
    expect(begun.text.contains("点検"), format!("the page says what it is: {}", begun.text))?;
    let mark = region.log.mark();
    b.press_button(&hanako).await;
    b.sees_after(mark, ScreenKind::Idle).await?;

    // A document arrives while somebody reads the page.
    let mark = region.log.mark();
    b.hold_button(&hanako).await;
    b.sees_after(mark, ScreenKind::Diagnosis).await?;
    let mark = region.log.mark();
    taro_sends(&region, &[HANAKO.address], &note("more important than a page")).await?;
    b.sees_after(mark, ScreenKind::Arrived).await?;
    b.lamp(true).await?;

    // Opened over the alert, because the person wants it: the lamp goes on calling, and a card ends it.
    let mark = region.log.mark();
    b.hold_button(&jiro).await;
    b.sees_after(mark, ScreenKind::Diagnosis).await?;
    b.lamp(false).await?;
    b.lamp(true).await?;
    let mark = region.log.mark();
    b.insert(&jiro);
    b.sees_after(mark, ScreenKind::WrongCard).await?;
    b.pull(&jiro);
    b.sees(ScreenKind::Arrived).await
}
