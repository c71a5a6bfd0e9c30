//! Cards of other kinds than the rest of the stories have: elliptic curve and large RSA keys, on either side and beside
//! each other in one mail.

use sealfax_drivers::card::piv::Algorithm;
use sealfax_drivers::display::ScreenKind;

use super::delivery::body;
use super::evidence::{did, left_the_office, nowhere_in_clear};
use super::wire::registered;
use super::{note, receives, taro_sends};
use crate::bench::people::{Character, HANAKO, JIRO, TARO};
use crate::bench::region::{Plan, Region};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![RECIPIENT, SENDER, SIDE_BY_SIDE]
}

/// The recipient's card agrees on a key where others decipher one.
pub const RECIPIENT: Scenario = Scenario {
    name: "p256-recipient",
    title: "Hanako has a P-256 card, Taro an RSA one: sealed, opened and confirmed as ever",
    requirements: &["C3", "C7", "C9", "ST609", "ST914", "ST922"],
    deadline: DEADLINE,
    run: |bench| Box::pin(recipient(bench)),
};

/// The sender's card signs by ECDSA.
pub const SENDER: Scenario = Scenario {
    name: "p256-sender",
    title: "Taro has a P-256 card, Hanako an RSA one: signed, verified and confirmed as ever",
    requirements: &["C5", "C6", "S2", "ST608", "ST918"],
    deadline: DEADLINE,
    run: |bench| Box::pin(sender(bench)),
};

/// One mail, two kinds of recipients' keys.
pub const SIDE_BY_SIDE: Scenario = Scenario {
    name: "p256-beside-rsa-3072",
    title: "One document for two people, one with a P-256 card, one with an RSA-3072 card: each opens and confirms it",
    requirements: &["C3", "C7", "S2"],
    deadline: DEADLINE,
    run: |bench| Box::pin(side_by_side(bench)),
};

/// dhSinglePass-stdDH-sha256kdf-scheme and id-RSAES-OAEP, as they stand in a RecipientInfo.
const KEY_AGREEMENT: &[u8] = &[6, 6, 0x2b, 0x81, 4, 1, 0x0b, 1];
const KEY_TRANSPORT: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 7];

async fn recipient(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, with(&[(HANAKO, Algorithm::P256)])).await?;
    flow(&region).await?;
    expect(times(&region, KEY_AGREEMENT)? == 1 && times(&region, KEY_TRANSPORT)? == 0, "the key is agreed on")
}

async fn sender(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, with(&[(TARO, Algorithm::P256)])).await?;
    flow(&region).await?;
    expect(times(&region, KEY_AGREEMENT)? == 0 && times(&region, KEY_TRANSPORT)? == 1, "the key is transported")
}

async fn side_by_side(bench: Bench) -> Result<(), Failure> {
    let kinds = [(TARO, Algorithm::Rsa3072), (HANAKO, Algorithm::P256), (JIRO, Algorithm::Rsa3072)];
    let region = Region::start(&bench, with(&kinds)).await?;
    let pages = note("For Hanako and Jiro");
    taro_sends(&region, &[HANAKO.address, JIRO.address], &pages).await?;
    for who in [HANAKO, JIRO] {
        prints(&region, who, &pages).await?;
    }
    registered(&region, 2).await?;
    expect(times(&region, KEY_AGREEMENT)? == 1 && times(&region, KEY_TRANSPORT)? == 1, "one of each in one mail")
}

fn with(kinds: &[(Character, Algorithm)]) -> Plan {
    Plan { keys: kinds.iter().map(|(who, kind)| (who.key, *kind)).collect(), ..Plan::default() }
}

/// Taro sends to Hanako, who prints; her confirmation comes back and is believed.
async fn flow(region: &Region) -> Result<(), Failure> {
    let mark = region.log.mark();
    let pages = note("keys of another kind");
    taro_sends(region, &[HANAKO.address], &pages).await?;
    nowhere_in_clear(region)?;
    prints(region, HANAKO, &pages).await?;
    did(region, "adapter-b", mark, &["ST914", "ST918", "ST922"]).await?;
    region.site('a')?.sees(ScreenKind::Delivered).await?;
    registered(region, 1).await
}

async fn prints(region: &Region, who: Character, pages: &[sealfax_ifax::Page]) -> Result<(), Failure> {
    let person = region.person(who)?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    let printed = receives(region, 'b', &person).await?;
    let right = printed.len() == 1 && printed.iter().all(|document| document.pages == pages);
    expect(right, format!("{} gets the pages as sent, once", who.called))?;
    expect(region.mailbox(&person)?.is_empty(), "the mail is gone from the server")
}

/// How often an object identifier stands in the sealed mail that left office A.
fn times(region: &Region, identifier: &[u8]) -> Result<usize, Failure> {
    use base64::Engine as _;
    let left = left_the_office(region, 'a');
    let [sealed] = left.as_slice() else {
        return Err(Failure::expectation(format!("one sealed mail leaves the office, not {}", left.len())));
    };
    let text: Vec<u8> = body(&sealed.octets).iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
    let cms = base64::engine::general_purpose::STANDARD.decode(text).map_err(Failure::expectation)?;
    Ok(memchr::memmem::find_iter(&cms, identifier).count())
}
