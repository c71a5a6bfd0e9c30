//! Correspondents whose programs read nothing newer: by configuration alone, for their domain alone, and always told.

use std::collections::BTreeMap;

use sealfax_adapter::config::{CorrespondentsConfig, Domains};
use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::header::Headers;

use super::attacks::sealed_on_the_wire;
use super::{confirmed, press_receive, reports};
use crate::bench::attacker::cms;
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::{Plan, Region};
use crate::scenario::stories::{SUBJECT, evidence, note};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// Triple DES to one domain.
pub const SCENARIO: Scenario = Scenario {
    name: "old-cipher",
    title: "To a domain that asks for it a document goes under triple DES, signed as ever; screens and papers say so at both ends",
    requirements: &["S2", "A5", "C9", "C10"],
    deadline: DEADLINE,
    run: |bench| Box::pin(run(bench)),
};

/// 1.2.840.113549.3.7, des-ede3-cbc, as it stands in the object.
const DES_EDE3_CBC: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];

async fn run(bench: Bench) -> Result<(), Failure> {
    let send_triple_des = Domains::try_from(vec!["b.example".to_owned()]).map_err(Failure::infrastructure)?;
    let agreed = CorrespondentsConfig { send_triple_des, ..CorrespondentsConfig::default() };
    let correspondents = BTreeMap::from([('a', agreed)]);
    let region = Region::start(&bench, Plan { correspondents, ..Plan::default() }).await?;
    let (a, b, taro, hanako) = (region.site('a')?, region.site('b')?, region.person(TARO)?, region.person(HANAKO)?);

    a.identify(&taro, ScreenKind::Ready).await?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("Under an old cipher")).await?;
    expect(lcd.sent, format!("the terminal says sent, not: {}", lcd.text))?;
    a.sees(ScreenKind::SentLegacy).await?;
    a.pull(&taro);
    evidence::nowhere_in_clear(&region)?;
    let object = cms(&sealed_on_the_wire(&region)?)?;
    let has = object.windows(DES_EDE3_CBC.len()).any(|window| window == DES_EDE3_CBC);
    expect(has, "what left the office is under triple DES")?;

    b.sees(ScreenKind::Arrived).await?;
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    let printed = press_receive(b).await?;
    b.sees(ScreenKind::DoneLegacy).await?;
    b.pull(&hanako);
    let [document] = printed.as_slice() else {
        return Err(Failure::expectation(format!("one document is printed, not {}", printed.len())));
    };
    expect(document.pages == note("Under an old cipher"), "what is printed is what was sent")?;
    let inside = Headers::parse(&document.mail).map(|(headers, _)| headers).unwrap_or_default();
    expect(inside.get("HP-Outer").is_none(), "what the seal added is taken off again")?;
    confirmed(&region, 1).await?;
    reports(&region, 1).await?;

    // His own office reads what everybody reads: one mail for both would give it the old cipher too.
    a.identify(&taro, ScreenKind::Ready).await?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address, TARO.address], SUBJECT, &note("For both")).await?;
    expect(!lcd.sent, "one mail cannot be for both")?;
    a.sees(ScreenKind::NotSent).await?;
    a.pull(&taro);
    a.identify(&taro, ScreenKind::Ready).await?;
    let told = a.fax(Some(&taro), &[TARO.address], SUBJECT, &note("For himself")).await?;
    expect(told.sent, format!("to his own office it goes as ever, not: {}", told.text))
}
