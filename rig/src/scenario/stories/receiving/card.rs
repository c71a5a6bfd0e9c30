//! The card that comes is not the right one, not valid, not opened by its PIN, or loses its reader (ST904-ST911).

use std::sync::PoisonError;

use sealfax_drivers::card::piv::AID;
use sealfax_drivers::display::ScreenKind;
use sealfax_mailserver::authority::{Authority, AuthorityOptions};

use super::{
    blinks, confirmations, hanako_takes, nothing_came_of_it, one_arrives, plan, press_receive, rightful_flow, shows,
};
use crate::bench::people::{Character, HANAKO, JIRO, Person, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::PATIENCE;
use crate::events::{Event, EventKind};
use crate::scenario::stories::{note, receives, taro_sends};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};
use crate::world::network::Side;

/// ST906.
pub const WRONG_CARD: Scenario = Scenario {
    name: "wrong-card",
    title: "A colleague's card opens nothing: no PIN is asked, the alert goes on",
    requirements: &["ST904", "ST905", "ST906", "A6"],
    deadline: DEADLINE,
    run: |bench| Box::pin(wrong_card(bench)),
};

async fn wrong_card(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let (b, jiro) = (region.site('b')?, region.person(JIRO)?);
    let pages = note("for Hanako alone");
    one_arrives(&region, &pages).await?;
    shows(&region, ScreenKind::Arrived, HANAKO.name).await?;
    blinks(&region).await?;

    let mark = region.log.mark();
    b.insert(&jiro);
    shows(&region, ScreenKind::WrongCard, HANAKO.name).await?;
    blinks(&region).await?;
    // Keys and RECEIVE change nothing: the PIN is not asked, so it cannot be given away either.
    b.type_pin(&jiro, JIRO.pin).await;
    nothing_came_of_it(&region, &press_receive(b).await?, 0, 1)?;
    // A VERIFY without data only asks for the retry counter.
    let verify = |event: &&Event| matches!(&event.kind, EventKind::Apdu { command, .. } if command.starts_with("VERIFY") && command.contains("octets"));
    expect(!b.has_seen(mark, ScreenKind::Pin), "the PIN is not asked of the wrong person")?;
    expect(region.log.find(mark, verify).is_none(), "no PIN is shown to the wrong card")?;
    b.pull(&jiro);
    shows(&region, ScreenKind::Arrived, HANAKO.name).await?;
    blinks(&region).await?;
    expect(!region.capture.contains(Side::Network, b"USER hanako@b.example"), "Hanako's mailbox was not asked for")?;
    hanako_takes(&region, &[&pages]).await
}

/// ST911, revoked.
pub const REVOKED: Scenario = Scenario {
    name: "recipient-revoked",
    title: "The addressee's card was revoked: shown as such, nothing is fetched",
    requirements: &["ST907", "ST908", "ST909", "ST911", "C4"],
    deadline: DEADLINE,
    run: |bench| Box::pin(revoked(bench)),
};

async fn revoked(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let (b, hanako, jiro) = (region.site('b')?, region.person(HANAKO)?, region.person(JIRO)?);
    one_arrives(&region, &note("too late")).await?;
    region.revoke(&hanako)?;
    refused(&region, &hanako, "CARD-101").await?;
    expect(!region.capture.contains(Side::Network, b"USER hanako@b.example"), "her mailbox was not asked for")?;

    // Her alert stays for the administrator to see; others are served all the same.
    let pages = note("for Jiro");
    taro_sends(&region, &[JIRO.address], &pages).await?;
    shows(&region, ScreenKind::Arrived, JIRO.name).await?;
    let printed = receives(&region, 'b', &jiro).await?;
    expect(printed.len() == 1 && printed.iter().all(|document| document.pages == pages), "Jiro's document is printed")?;
    shows(&region, ScreenKind::Arrived, HANAKO.name).await?;
    b.lamp(true).await?;
    super::confirmed(&region, 1).await?;
    super::still_waiting(&region, 1)
}

/// Inserts the card, types the PIN, sees the refusal with its code, tries RECEIVE, pulls: the alert is back.
pub(super) async fn refused(region: &Region, person: &Person, code: &str) -> Result<(), Failure> {
    let (b, before) = (region.site('b')?, confirmations(region));
    b.insert(person);
    b.sees(ScreenKind::Pin).await?;
    b.type_pin(person, person.character.pin).await;
    shows(region, ScreenKind::CardInvalid, code).await?;
    b.lamp(true).await?;
    nothing_came_of_it(region, &press_receive(b).await?, before, 1)?;
    b.pull(person);
    shows(region, ScreenKind::Arrived, HANAKO.name).await?;
    blinks(region).await
}

/// ST911, the other reasons.
pub const NOT_VALID: Scenario = Scenario {
    name: "recipient-card-not-valid",
    title: "An expired, a not yet valid, and a foreign card in the addressee's name are each refused with their reason",
    requirements: &["ST909", "ST911", "C4"],
    deadline: DEADLINE,
    run: |bench| Box::pin(not_valid(bench)),
};

async fn not_valid(bench: Bench) -> Result<(), Failure> {
    const DAY: i64 = 24 * 3600;
    let short = Character { certificate_days: 1, ..HANAKO };
    let region = Region::start(&bench, Plan { people: vec![TARO, short, JIRO], ..plan() }).await?;
    let hanako = region.person(HANAKO)?;
    let pages = note("valid today only");
    one_arrives(&region, &pages).await?;

    region.log.note("region", "the card has expired");
    region.shift_clock(2 * DAY);
    refused(&region, &hanako, "CARD-102").await?;
    region.log.note("region", "the clock of the office stands before the card was issued");
    region.shift_clock(-12 * DAY);
    refused(&region, &hanako, "CARD-103").await?;
    region.shift_clock(10 * DAY);

    // Another authority says the same of her name and address; nobody here has reason to believe it.
    let folder = tempfile::tempdir().map_err(Failure::infrastructure)?;
    let seams = region.stranger("another-authority")?;
    let place = folder.path().join("authority");
    let forged = tokio::task::spawn_blocking(move || {
        let other = Authority::create(&place, &AuthorityOptions::default(), &seams).map_err(Failure::infrastructure)?;
        Person::issue(HANAKO, 77, &other)
    });
    let forged = forged.await.map_err(Failure::infrastructure)??;
    refused(&region, &forged, "CARD-105").await?;
    expect(!region.capture.contains(Side::Network, b"USER hanako@b.example"), "her mailbox was not asked for")?;

    hanako_takes(&region, &[&pages]).await
}

/// The PIN's retry counter.
pub const WRONG_PIN: Scenario = Scenario {
    name: "wrong-pin-three-times",
    title: "Three wrong PINs block the card: counted on the screen, the alert stays, the unblocked card prints",
    requirements: &["P2", "C2", "pin-lock-out"],
    deadline: DEADLINE,
    run: |bench| Box::pin(wrong_pin(bench)),
};

async fn wrong_pin(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    let pages = note("behind a PIN");
    one_arrives(&region, &pages).await?;
    b.insert(&hanako);
    b.sees(ScreenKind::Pin).await?;
    for left in ["2 left", "1 left"] {
        b.type_pin(&hanako, "000000").await;
        shows(&region, ScreenKind::PinWrong, left).await?;
        nothing_came_of_it(&region, &press_receive(b).await?, 0, 1)?;
    }
    b.type_pin(&hanako, "000000").await;
    b.sees(ScreenKind::PinBlocked).await?;
    nothing_came_of_it(&region, &press_receive(b).await?, 0, 1)?;
    b.pull(&hanako);
    shows(&region, ScreenKind::Arrived, HANAKO.name).await?;

    // Taking it out and putting it in again buys no further try, and the right PIN is not even asked for.
    let mark = region.log.mark();
    b.insert(&hanako);
    b.sees(ScreenKind::PinBlocked).await?;
    expect(!b.has_seen(mark, ScreenKind::Pin), "a blocked card is not asked for its PIN")?;
    b.pull(&hanako);
    shows(&region, ScreenKind::Arrived, HANAKO.name).await?;
    blinks(&region).await?;

    administrator_unblocks(&region, &hanako)?;
    hanako_takes(&region, &[&pages]).await
}

/// RESET RETRY COUNTER with the unblocking key and the same PIN again (SP 800-73-5 part 2, 3.2.3).
fn administrator_unblocks(region: &Region, person: &Person) -> Result<(), Failure> {
    region.log.person("Administrator", format!("unblocks the card of {}", person.character.called));
    let mut card = person.card.lock().unwrap_or_else(PoisonError::into_inner);
    let mut select = vec![0x00, 0xA4, 0x04, 0x00, u8::try_from(AID.len()).map_err(Failure::infrastructure)?];
    select.extend_from_slice(&AID);
    let mut reset = vec![0x00, 0x2C, 0x00, 0x80, 0x10];
    reset.extend_from_slice(b"12345678");
    let mut pin = person.character.pin.as_bytes().to_vec();
    pin.resize(8, 0xFF);
    reset.extend_from_slice(&pin);
    card.transmit(&select);
    let answer = card.transmit(&reset);
    if answer.ends_with(&[0x90, 0x00]) { Ok(()) } else { Err(Failure::infrastructure("the card cannot be unblocked")) }
}

/// The reader's plug.
pub const UNPLUGGED: Scenario = Scenario {
    name: "reader-unplugged",
    title: "The reader is unplugged with a card in it, idle and in the middle of the flow: fault shown, nothing lost",
    requirements: &["ST904", "C2", "reader-unplugged"],
    deadline: DEADLINE,
    run: |bench| Box::pin(unplugged(bench)),
};

async fn unplugged(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, plan()).await?;
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    let pages = note("through a loose plug");
    one_arrives(&region, &pages).await?;

    // At the PIN.
    b.insert(&hanako);
    b.sees(ScreenKind::Pin).await?;
    without_reader(&region).await?;
    // The card is still in: plugged in again it is read as if it were new, and its PIN is asked anew.
    b.slot.plug();
    b.sees(ScreenKind::Pin).await?;
    b.type_pin(&hanako, HANAKO.pin).await;
    b.sees(ScreenKind::PressReceive).await?;

    // Accepted and ready: what was proven is void with the plug.
    without_reader(&region).await?;
    b.slot.plug();
    b.sees(ScreenKind::Pin).await?;
    b.type_pin(&hanako, HANAKO.pin).await;
    b.sees(ScreenKind::PressReceive).await?;

    // The page is on its way to the machine and not yet taken: it gets nothing more.
    let mut machine = super::terminal_session(&region).await?;
    without_reader(&region).await?;
    expect(machine.retr(1).await.is_err(), "nothing is handed over once the card is gone")?;
    machine.quit().await.map_err(Failure::expectation)?;
    nothing_came_of_it(&region, &[], 0, 1)?;
    b.pull(&hanako);
    b.slot.plug();
    blinks(&region).await?;
    hanako_takes(&region, &[&pages]).await?;
    rightful_flow(&region).await
}

/// Pulls the reader's plug: the fault is shown, the alert is back, RECEIVE prints nothing.
async fn without_reader(region: &Region) -> Result<(), Failure> {
    let b = region.site('b')?;
    region.log.person("Somebody", "unplugs the card reader of adapter-b");
    let mark = region.log.mark();
    b.slot.unplug();
    if b.adapter().is_ok() {
        shows(region, ScreenKind::Arrived, "CARD-001").await?;
    } else {
        // What a board's screen tells a camera is its state, not the band over it: there the journal says why.
        let told =
            |event: &Event| event.host == "adapter-b" && matches!(event.kind, EventKind::Failure { code: "CARD-001" });
        region.log.wait_after(mark, "CARD-001 in the journal of adapter-b", PATIENCE, told).await?;
        b.sees(ScreenKind::Arrived).await?;
    }
    nothing_came_of_it(region, &press_receive(b).await?, 0, 1)
}
