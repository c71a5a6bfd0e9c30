//! Two documents at once, and servers that are away when they are needed (ST912-ST922).

use sealfax_drivers::display::ScreenKind;

use super::{
    blinks, confirmed, hanako_takes, nothing_came_of_it, one_arrives, plan, press_receive, reports, shows,
    still_waiting,
};
use crate::bench::people::HANAKO;
use crate::bench::region::Region;
use crate::events::{Event, EventKind};
use crate::scenario::stories::{note, taro_sends};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// Two documents.
pub const TWO_MAILS: Scenario = Scenario {
    name: "two-mails-one-person",
    title: "Two documents for one person: one alert, one RECEIVE, both printed, two confirmations",
    requirements: &["ST903", "ST921", "ST922", "C1"],
    deadline: DEADLINE,
    run: |bench| Box::pin(two_mails(bench)),
};

async fn two_mails(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let (first, second) = (note("the first of two"), note("the second of two"));
    one_arrives(&region, &first).await?;
    taro_sends(&region, &[HANAKO.address], &second).await?;
    // The second has no notice of its own so soon after the first; what is at the server is what counts.
    let arrived = region.log.wait_for("both are in the mailbox", super::PATIENCE, {
        let mut seen = 0;
        move |event: &Event| {
            seen += usize::from(event.host == "mail-b" && is_step(event, "ST809"));
            seen >= 2
        }
    });
    arrived.await?;
    still_waiting(&region, 2)?;
    shows(&region, ScreenKind::Arrived, HANAKO.name).await?;
    hanako_takes(&region, &[&first, &second]).await
}

fn is_step(event: &Event, id: &str) -> bool {
    matches!(&event.kind, EventKind::Step { ids } if ids.contains(&id))
}

/// The certificate server is down after ST910: RECEIVE asks it about the card again.
pub const DIRECTORY_DOWN: Scenario = Scenario {
    name: "directory-down-while-opening",
    title: "The certificate server is away when RECEIVE is pressed: nothing is fetched or printed, later it is",
    requirements: &["ST908", "ST912"],
    deadline: DEADLINE,
    run: |bench| Box::pin(directory_down(bench)),
};

async fn directory_down(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, plan()).await?;
    let hanako = region.person(HANAKO)?;
    let pages = note("unverified is unprinted");
    one_arrives(&region, &pages).await?;
    region.site('b')?.identify(&hanako, ScreenKind::PressReceive).await?;
    region.stop_directory().await;
    expect(region.site('b')?.receive().await.is_err(), "the machine is refused")?;
    shows(&region, ScreenKind::NotSent, "Cannot reach the certificate server").await?;
    nothing_came_of_it(&region, &[], 0, 1)?;
    // Nothing is known against the mail: it still waits, and says so.
    region.site('b')?.pull(&hanako);
    shows(&region, ScreenKind::Arrived, HANAKO.name).await?;
    blinks(&region).await?;
    // Without the certificate server no card is accepted either: fail closed.
    let b = region.site('b')?;
    b.insert(&hanako);
    b.sees(ScreenKind::Pin).await?;
    b.type_pin(&hanako, HANAKO.pin).await;
    shows(&region, ScreenKind::CardInvalid, "CARD-107").await?;
    nothing_came_of_it(&region, &press_receive(b).await?, 0, 1)?;
    b.pull(&hanako);
    shows(&region, ScreenKind::Arrived, HANAKO.name).await?;

    region.start_directory().await?;
    hanako_takes(&region, &[&pages]).await
}

/// The mail server is down at ST913.
pub const MAIL_SERVER_DOWN: Scenario = Scenario {
    name: "mail-server-down-at-receive",
    title: "The mail server is away when RECEIVE is pressed: the machine is refused, the screen says so, later it works",
    requirements: &["ST912", "ST913"],
    deadline: DEADLINE,
    run: |bench| Box::pin(mail_server_down(bench)),
};

async fn mail_server_down(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, plan()).await?;
    let hanako = region.person(HANAKO)?;
    let pages = note("behind a dead server");
    one_arrives(&region, &pages).await?;
    region.site('b')?.identify(&hanako, ScreenKind::PressReceive).await?;
    region.kill_mail_server('b');
    let refused = region.site('b')?.receive().await;
    expect(refused.is_err(), "the machine is refused")?;
    shows(&region, ScreenKind::NotSent, "Cannot reach the server").await?;
    expect(super::confirmations(&region) == 0, "nothing is confirmed")?;
    // The card may stay in: as soon as the server is back, RECEIVE works.
    region.restart_mail_server('b').await?;
    still_waiting(&region, 1)?;
    let b = region.site('b')?;
    let printed = press_receive(b).await?;
    b.sees(ScreenKind::Done).await?;
    expect(printed.len() == 1 && printed.iter().all(|document| document.pages == pages), "it is printed now")?;
    b.pull(&hanako);
    confirmed(&region, 1).await?;
    reports(&region, 1).await?;
    still_waiting(&region, 0)?;

    // The same with the card taken out meanwhile: the alert is still there.
    one_arrives(&region, &pages).await?;
    region.site('b')?.identify(&hanako, ScreenKind::PressReceive).await?;
    region.kill_mail_server('b');
    expect(region.site('b')?.receive().await.is_err(), "the machine is refused")?;
    region.site('b')?.pull(&hanako);
    shows(&region, ScreenKind::Arrived, HANAKO.name).await?;
    blinks(&region).await?;
    region.restart_mail_server('b').await?;
    hanako_takes(&region, &[&pages]).await
}
