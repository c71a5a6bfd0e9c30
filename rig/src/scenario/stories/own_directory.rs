//! A site that runs a directory and an OCSP responder already: adapters ask these, and everything goes as ever.

use sealfax_drivers::display::ScreenKind;

use super::evidence::{did, left_the_office, reads};
use super::{SUBJECT, note, receives, taro_sends};
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::{Plan, Region};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![FLOW]
}

/// The whole flow with slapd and `openssl ocsp` in the place of our certificate server.
pub const FLOW: Scenario = Scenario {
    name: "own-directory-ldap-and-ocsp",
    title: "Certificates from slapd, their state from openssl ocsp: sent, printed, and a revoked card refused at once",
    requirements: &["C4", "C6", "C7", "C8", "ST606", "ST917"],
    deadline: DEADLINE,
    run: |bench| Box::pin(flow(bench)),
};

async fn flow(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan { own_directory: true, ..Plan::default() }).await?;
    let mark = region.log.mark();
    let pages = note("by way of somebody else's directory");
    taro_sends(&region, &[HANAKO.address], &pages).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    let hanako = region.person(HANAKO)?;
    let printed = receives(&region, 'b', &hanako).await?;
    let [document] = printed.as_slice() else {
        return Err(Failure::expectation(format!("one document is printed, not {}", printed.len())));
    };
    expect(document.pages == pages, "the printed pages equal the sent ones pixel by pixel")?;
    region.site('a')?.sees_after(mark, ScreenKind::Delivered).await?;
    did(&region, "adapter-a", mark, &["ST602", "ST606"]).await?;
    did(&region, "adapter-b", mark, &["ST908", "ST917"]).await?;

    // Whom the directory does not know is told by name, and nothing leaves.
    let (taro, mark) = (region.person(TARO)?, region.log.mark());
    region.site('a')?.receive().await.map_err(Failure::expectation)?;
    region.site('a')?.identify(&taro, ScreenKind::Ready).await?;
    let before = left_the_office(&region, 'a').len();
    let lcd = region.site('a')?.fax(Some(&taro), &["nobody@b.example"], SUBJECT, &note("not for nobody")).await?;
    expect(!lcd.sent && lcd.text.contains("nobody@b.example"), format!("refused by name, not: {}", lcd.text))?;
    reads(region.site('a')?, mark, ScreenKind::NotSent, &["nobody@b.example"]).await?;
    expect(left_the_office(&region, 'a').len() == before, "nothing leaves the office")?;

    // A directory that is gone is not one that has no certificate.
    let mark = region.log.mark();
    region.own_directory()?.stop_slapd();
    let lcd = region.site('a')?.fax(Some(&taro), &["other@b.example"], SUBJECT, &note("later")).await?;
    expect(
        !lcd.sent && lcd.code.is_some_and(|code| (400..500).contains(&code)),
        format!("try later, not: {}", lcd.text),
    )?;
    region.site('a')?.sees_after(mark, ScreenKind::NotSent).await?;
    region.site('a')?.pull(&taro);

    // Revoked at the responder: the very next question, which carries a nonce, is answered so.
    let mark = region.log.mark();
    region.own_directory()?.revoke(&taro)?;
    region.site('a')?.insert(&taro);
    region.site('a')?.sees_after(mark, ScreenKind::Pin).await?;
    region.site('a')?.type_pin(&taro, TARO.pin).await;
    region.site('a')?.sees_after(mark, ScreenKind::CardInvalid).await?;
    did(&region, "adapter-a", mark, &["ST613"]).await
}
