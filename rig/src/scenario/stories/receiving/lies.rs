//! The certificate server lies about the addressee's card or about the sender, or the card's state changes while it is in
//! (ST908-ST911, ST917-ST920): nothing is fetched or printed, nothing is lost, and later the document is printed.

use sealfax_drivers::display::ScreenKind;

use super::card::refused;
use super::{blinks, hanako_takes, journal_says, nothing_came_of_it, one_arrives, press_receive, shows};
use crate::bench::liar::Lie;
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::Region;
use crate::scenario::stories::evidence::{did, journal};
use crate::scenario::stories::note;
use crate::scenario::stories::trust::{MANY_LIES, UNBELIEVABLE, lying};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};
use crate::world::network::Side;

/// The addressee's card.
pub const CARD_LIED_ABOUT: Scenario = Scenario {
    name: "recipient-card-lied-about",
    title: "Forged, replayed, expired, future-dated and strangers' answers about the addressee's card: each refused as such",
    requirements: &["ST908", "ST909", "ST911", "C4", "ocsp-replay"],
    deadline: MANY_LIES,
    run: |bench| Box::pin(card_lied_about(bench)),
};

async fn card_lied_about(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, lying()).await?;
    let hanako = region.person(HANAKO)?;
    let pages = note("behind many lies");
    one_arrives(&region, &pages).await?;
    let known = [(Lie::OnHold, "109", "CARD-109"), (Lie::Unknown, "104", "CARD-104")];
    for (lie, number, detail) in UNBELIEVABLE.into_iter().chain(known) {
        region.log.note("liar", format!("{lie:?} about Hanako's card"));
        region.liar()?.tell(&hanako, lie);
        let mark = region.log.mark();
        refused(&region, &hanako, &format!("CARD-{number}")).await?;
        journal(&region, "adapter-b", mark, detail).await?;
        did(&region, "adapter-b", mark, &["ST908", "ST911"]).await?;
    }
    expect(!region.capture.contains(Side::Network, b"USER hanako@b.example"), "her mailbox was not asked for")?;
    region.liar()?.repent();
    hanako_takes(&region, &[&pages]).await
}

/// The sender's certificate.
pub const SENDER_LIED_ABOUT: Scenario = Scenario {
    name: "sender-certificate-lied-about",
    title: "The same about the sender's certificate: not printed, the document waits, and later it is printed",
    requirements: &["ST917", "ST919", "ST920", "ocsp-replay"],
    deadline: MANY_LIES,
    run: |bench| Box::pin(sender_lied_about(bench)),
};

async fn sender_lied_about(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, lying()).await?;
    let (b, taro, hanako) = (region.site('b')?, region.person(TARO)?, region.person(HANAKO)?);
    let pages = note("from whom?");
    one_arrives(&region, &pages).await?;
    for (lie, number, detail) in UNBELIEVABLE {
        region.log.note("liar", format!("{lie:?} about Taro's certificate"));
        region.liar()?.tell_of(&taro.signature, lie);
        let (mark, code) = (region.log.mark(), format!("TRUST-{number}"));
        b.identify(&hanako, ScreenKind::PressReceive).await?;
        let printed = press_receive(b).await?;
        shows(&region, ScreenKind::NotGenuine, &code).await?;
        journal(&region, "adapter-b", mark, &code).await?;
        journal(&region, "adapter-b", mark, detail).await?;
        did(&region, "adapter-b", mark, &["ST917", "ST920"]).await?;
        nothing_came_of_it(&region, &printed, 0, 1)?;
        b.pull(&hanako);
        // Nothing is known against the document: it still waits, and says so.
        shows(&region, ScreenKind::Arrived, HANAKO.name).await?;
    }
    region.liar()?.repent();
    hanako_takes(&region, &[&pages]).await
}

/// ST912 and later.
pub const REVOKED_WHILE_IN: Scenario = Scenario {
    name: "recipient-revoked-while-card-in",
    title: "A card put on hold between PRESS RECEIVE and the press fetches nothing; released, it does",
    requirements: &["ST908", "ST909", "ST911", "ST912", "C4"],
    deadline: DEADLINE,
    run: |bench| Box::pin(revoked_while_in(bench)),
};

async fn revoked_while_in(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, lying()).await?;
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    let pages = note("a moment too late");
    one_arrives(&region, &pages).await?;
    let cases = [(Lie::OnHold, "CARD-109"), (Lie::Forged, "CARD-113")];
    for (lie, code) in cases {
        b.identify(&hanako, ScreenKind::PressReceive).await?;
        region.liar()?.tell(&hanako, lie);
        let mark = region.log.mark();
        expect(b.receive().await.is_err(), "the machine is refused")?;
        shows(&region, ScreenKind::CardInvalid, code).await?;
        journal_says(&region, code).await?;
        did(&region, "adapter-b", mark, &["ST912", "ST908", "ST911"]).await?;
        expect(!region.capture.contains(Side::Network, b"USER hanako@b.example"), "her mailbox was not asked for")?;
        nothing_came_of_it(&region, &[], 0, 1)?;
        b.pull(&hanako);
        shows(&region, ScreenKind::Arrived, HANAKO.name).await?;
        blinks(&region).await?;
        region.liar()?.repent();
    }
    hanako_takes(&region, &[&pages]).await?;

    // Revoked for good, and by the authority itself.
    one_arrives(&region, &pages).await?;
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    region.revoke(&hanako)?;
    expect(b.receive().await.is_err(), "the machine is refused")?;
    shows(&region, ScreenKind::CardInvalid, "CARD-101").await?;
    nothing_came_of_it(&region, &[], 1, 1)?;
    b.pull(&hanako);
    shows(&region, ScreenKind::Arrived, HANAKO.name).await
}
