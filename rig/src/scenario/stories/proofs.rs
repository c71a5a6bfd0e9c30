//! What must not be found where: passwords, keys, certificates and content on the disks of a whole run.

use std::path::Path;

use sealfax_drivers::display::ScreenKind;

use super::threats::files;
use super::wire::registered;
use super::{SUBJECT, note, receives, taro_sends};
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::{Plan, Region};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};
use crate::world::network::Side;

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![NOTHING_LEFT]
}

/// P2, P3, A7.
pub const NOTHING_LEFT: Scenario = Scenario {
    name: "nothing-left-behind",
    title: "Neither password, PIN, key, certificate nor content of anybody lies on an adapter's disk or crosses the network",
    requirements: &["P1", "P2", "P3", "A7", "M1", "apdu-trace"],
    deadline: DEADLINE,
    run: |bench| Box::pin(nothing_left(bench)),
};

/// A needle and what it is.
struct Needle {
    what: String,
    octets: Vec<u8>,
}

fn needle(what: impl Into<String>, octets: impl Into<Vec<u8>>) -> Needle {
    Needle { what: what.into(), octets: octets.into() }
}

/// No file below `folder` holds any of these.
fn holds_none(folder: &Path, needles: &[Needle]) -> Result<(), Failure> {
    let found = files(folder)?;
    expect(!found.is_empty(), format!("there is something to search in {}", folder.display()))?;
    for file in found {
        let octets = std::fs::read(&file).map_err(Failure::infrastructure)?;
        for needle in needles {
            let seen = memchr::memmem::find(&octets, &needle.octets).is_some();
            expect(!seen, format!("{} is not in {}", needle.what, file.display()))?;
        }
    }
    Ok(())
}

async fn nothing_left(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan::default()).await?;
    for office in ['a', 'b'] {
        // Only of an adapter in this very process is the disk at hand.
        region.site(office)?.adapter()?;
    }
    let (taro, hanako) = (region.person(TARO)?, region.person(HANAKO)?);
    let pages = note("Leave no trace of this");
    taro_sends(&region, &[HANAKO.address], &pages).await?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    // P3: the slot is empty while the mail waits, and the office is called all the same.
    let waiting = region.mailbox(&hanako)?;
    expect(waiting.len() == 1, "M1: the sealed mail lies in its addressee's mailbox, card or not")?;
    receives(&region, 'b', &hanako).await?;
    region.site('a')?.sees(ScreenKind::Delivered).await?;
    registered(&region, 1).await?;

    let submitted = region.sent_mails().into_iter().find(|mail| mail.from == "terminal-a");
    let submitted = submitted.ok_or_else(|| Failure::expectation("the terminal's mail"))?;
    let text = String::from_utf8_lossy(&submitted.octets).into_owned();
    let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let page = body.lines().find(|line| line.len() >= 60).unwrap_or_default().to_owned();
    expect(!page.is_empty(), "a line of the page to look for")?;
    let mut secrets = vec![needle("a line of the page", page), needle("the subject", SUBJECT)];
    for person in [&taro, &hanako] {
        let who = person.character.called;
        secrets.push(needle(format!("the mailbox password of {who}"), person.password.clone()));
        for pair in [&person.signature, &person.encryption] {
            let key = pair.key_pem.lines().nth(2).unwrap_or_default();
            secrets.push(needle(format!("a private key of {who}"), key));
        }
    }
    let mut private = Vec::new();
    for person in [&taro, &hanako] {
        let who = person.character.called;
        private.push(needle(format!("the PIN of {who}"), person.character.pin));
        for pair in [&person.signature, &person.encryption] {
            // A serial number and key in the middle of the certificate are enough to know it by.
            let middle = pair.certificate.get(200..260).unwrap_or_default();
            private.push(needle(format!("a certificate of {who}"), middle));
        }
    }
    // The power goes off, so that nothing is held back in memory.
    for office in ['a', 'b'] {
        region.site_mut(office)?.power_cut().await;
        let folder = region.folder(&format!("adapter-{office}"));
        holds_none(&folder, &secrets)?;
        holds_none(&folder, &private)?;
    }
    for host in ["mail-a", "mail-b", "history"] {
        holds_none(&region.folder(host), &secrets)?;
    }
    // The card answers the mailbox's password to the adapter, and the adapter to the mail server: nowhere else.
    for secret in secrets.iter().filter(|secret| !secret.what.contains("password")) {
        expect(!region.capture.contains(Side::Network, &secret.octets), format!("{} is on no network", secret.what))?;
    }
    Ok(())
}
