//! The stories, one file a theme.

pub mod built_in;
pub mod confidential;
mod confirmations;
pub mod curves;
pub mod delivery;
pub mod diagnosis;
pub mod evidence;
pub mod extended;
mod forger;
pub mod mail_tls;
pub mod own_directory;
pub mod person;
pub mod proofs;
pub mod receiving;
pub mod sending;
pub mod sending_door;
pub mod sending_faults;
pub mod sending_held;
pub mod servers;
pub mod telephone;
pub mod threats;
pub mod trust;
mod wire;

use crate::bench::people::{Person, TARO};
use crate::bench::region::Region;
use crate::endpoint::ifax::Lcd;
use crate::scenario::{Failure, Scenario, expect};
use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::Page;

/// Every story, in the order in which a run takes them.
pub fn all() -> Vec<Scenario> {
    [
        vec![confidential::SCENARIO],
        sending::all(),
        sending_held::all(),
        sending_faults::all(),
        sending_door::all(),
        receiving::all(),
        delivery::all(),
        curves::all(),
        built_in::all(),
        extended::all(),
        telephone::all(),
        person::all(),
        confirmations::all(),
        servers::all(),
        own_directory::all(),
        threats::all(),
        mail_tls::all(),
        trust::all(),
        proofs::all(),
        diagnosis::all(),
    ]
    .concat()
}

/// The subject that must never be seen on a network.
pub const SUBJECT: &str = "Salary review 2027 - strictly confidential / 給与改定";

/// One small page: enough to be compared, quick to send.
pub fn note(text: &str) -> Vec<Page> {
    let mut pages = sealfax_ifax::text::pages_from_text(text);
    for page in &mut pages {
        *page = page.clone().cropped(400);
    }
    pages
}

/// Taro identifies himself at office A, sends, and leaves.
pub async fn taro_sends(region: &Region, to: &[&str], pages: &[Page]) -> Result<Lcd, Failure> {
    let (office, taro) = (region.site('a')?, region.person(TARO)?);
    office.identify(&taro, ScreenKind::Ready).await?;
    let lcd = office.fax(Some(&taro), to, SUBJECT, pages).await?;
    expect(lcd.sent, format!("the terminal says sent, not: {}", lcd.text))?;
    office.sees(ScreenKind::Sent).await?;
    office.pull(&taro);
    Ok(lcd)
}

/// The person identifies, presses RECEIVE, and takes what comes out.
pub async fn receives(
    region: &Region,
    office: char,
    person: &Person,
) -> Result<Vec<crate::endpoint::ifax::PrintedDocument>, Failure> {
    let site = region.site(office)?;
    site.identify(person, ScreenKind::PressReceive).await?;
    let printed = site.receive().await.map_err(Failure::expectation)?;
    site.sees(ScreenKind::Done).await?;
    site.pull(person);
    Ok(printed)
}
