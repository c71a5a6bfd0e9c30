//! V3: mails that are encrypted and bear no signature. Two offices may agree on them; nobody else gets them printed, and
//! whoever sends or reads one is told what it is.

use std::collections::BTreeMap;

use sealfax_adapter::config::CorrespondentsConfig;
use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::header::Headers;

use super::attacks::{refused_as, sealed_on_the_wire};
use super::{confirmed, domains, plan, press_receive, reports, subject};
use crate::bench::attacker::{Attacker, cms, with_cms};
use crate::bench::people::{HANAKO, JIRO, TARO};
use crate::bench::region::{Plan, Region};
use crate::scenario::stories::{SUBJECT, evidence, note, receives};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// Both offices have agreed on it.
pub const AGREED: Scenario = Scenario {
    name: "encrypted-only",
    title: "Where both offices have agreed on it, a document goes without signature; screens and papers say so at both ends",
    requirements: &["V3", "A5", "C9", "C10"],
    deadline: DEADLINE,
    run: |bench| Box::pin(agreed(bench)),
};

/// The receiving office has not agreed, or not with this sender.
pub const UNASKED: Scenario = Scenario {
    name: "encrypted-only-unasked",
    title: "A document without signature is not printed unless its sender's office is listed, and a bad signature never counts as none",
    requirements: &["V3", "ST920", "early-release"],
    deadline: DEADLINE,
    run: |bench| Box::pin(unasked(bench)),
};

fn with(send: &[&str], accept: &[&str]) -> Result<CorrespondentsConfig, Failure> {
    let (send_encrypted_only, accept_encrypted_only) = (domains(send)?, domains(accept)?);
    Ok(CorrespondentsConfig { send_encrypted_only, accept_encrypted_only, ..CorrespondentsConfig::default() })
}

/// Taro sends with his card as ever; the screen says with what it went.
async fn taro_sends(region: &Region, to: &[&str], text: &str, then: ScreenKind) -> Result<(), Failure> {
    let (office, taro) = (region.site('a')?, region.person(TARO)?);
    office.identify(&taro, ScreenKind::Ready).await?;
    let lcd = office.fax(Some(&taro), to, SUBJECT, &note(text)).await?;
    expect(lcd.sent, format!("the terminal says sent, not: {}", lcd.text))?;
    office.sees(then).await?;
    office.pull(&taro);
    Ok(())
}

async fn agreed(bench: Bench) -> Result<(), Failure> {
    let correspondents = BTreeMap::from([('a', with(&["b.example"], &[])?), ('b', with(&[], &["A.example"])?)]);
    let region = Region::start(&bench, Plan { correspondents, ..Plan::default() }).await?;
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    taro_sends(&region, &[HANAKO.address], "Agreed: no signature", ScreenKind::SentUnsigned).await?;
    evidence::nowhere_in_clear(&region)?;
    let inside = Attacker::new(&region)?.open(&sealed_on_the_wire(&region)?, &hanako)?;
    let kind = Headers::parse(&inside).ok().and_then(|(headers, _)| headers.get("Content-Type").map(str::to_owned));
    let kind = kind.unwrap_or_default();
    expect(kind.starts_with("image/tiff"), format!("the fax itself is in the envelope, not {kind}"))?;

    b.sees(ScreenKind::Arrived).await?;
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let printed = press_receive(b).await?;
    b.sees(ScreenKind::DoneUnsigned).await?;
    b.pull(&hanako);
    let [document] = printed.as_slice() else {
        return Err(Failure::expectation(format!("one document is printed, not {}", printed.len())));
    };
    expect(document.pages == note("Agreed: no signature"), "what is printed is what was sent")?;
    let says = subject(&document.mail);
    expect(says.contains("sender not proven") && says.contains(SUBJECT), format!("the paper says so, not: {says}"))?;
    confirmed(&region, 1).await?;
    reports(&region, 1).await?;

    // With his own office nothing is agreed: what goes there too is signed, and so it is to Hanako.
    taro_sends(&region, &[HANAKO.address, TARO.address], "For both", ScreenKind::Sent).await?;
    let printed = receives(&region, 'b', &hanako).await?;
    let unmarked = printed.iter().all(|document| subject(&document.mail) == SUBJECT);
    expect(printed.len() == 1 && unmarked, "a signed document is printed as ever")
}

async fn unasked(bench: Bench) -> Result<(), Failure> {
    // Office A sends so to everybody in B, who take such mails from C alone.
    let correspondents = BTreeMap::from([('a', with(&["b.example"], &[])?), ('b', with(&[], &["c.example"])?)]);
    let region = Region::start(&bench, Plan { correspondents, ..plan() }).await?;
    let (attacker, hanako) = (Attacker::new(&region)?, region.person(HANAKO)?);
    let stranger = "yuki@c.example";
    let fax = |from: &str| attacker.fax(from, HANAKO.address, &note("pay 1000 to the attacker"));

    // From A, from a domain beneath C, and from C outside only.
    for (outside, inside, code) in [
        (TARO.address, TARO.address, "OPEN-020"),
        ("yuki@sub.c.example", "yuki@sub.c.example", "OPEN-020"),
        (stranger, TARO.address, "RECV-006"),
    ] {
        let entity = attacker.envelope(&fax(inside)?, &hanako)?;
        let mail = attacker.mail(outside, HANAKO.address, &entity);
        refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, code).await?;
    }
    // A signature that does not hold is not none.
    let signer = region.person(JIRO)?;
    let signed = attacker.open(&attacker.seal(&fax(stranger)?, &signer, &hanako).await?, &hanako)?;
    let mut octets = cms(&signed)?;
    if let Some(octet) = octets.iter_mut().rev().nth(8) {
        *octet ^= 0x01;
    }
    let entity = attacker.envelope(&with_cms(&signed, &octets)?, &hanako)?;
    let mail = attacker.mail(stranger, HANAKO.address, &entity);
    refused_as(&region, &attacker, &mail, ScreenKind::NotGenuine, "RECV-003").await?;
    // Nothing of this stands in the way of what is agreed.
    let mail = attacker.mail(stranger, HANAKO.address, &attacker.envelope(&fax(stranger)?, &hanako)?);
    attacker.deliver(&region, &mail, stranger, &hanako).await?;
    let b = region.site('b')?;
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    expect(press_receive(b).await?.len() == 1, "what is from C is printed")?;
    b.sees(ScreenKind::DoneUnsigned).await
}
