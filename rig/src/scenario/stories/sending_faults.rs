//! What happens to a document on the way: errors, bounces, and who is told.

use std::net::SocketAddr;

use sealfax_client::history;
use sealfax_client::smtp;
use sealfax_drivers::display::ScreenKind;

use super::evidence::{did, journal, nothing_left, nowhere_in_clear, reads};
use super::sending::{KENJI, WITHOUT_MAILBOX};
use super::wire::{is_of, registered};
use super::{SUBJECT, note, taro_sends};
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::SMTP;
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};
use crate::world::network::Side;

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![UNKNOWN_ACCOUNT, BOUNCE_WAITS, STRANGE_BOUNCE, ALL_OR_NOTHING]
}

/// M2: a certificate, but no mailbox.
pub const UNKNOWN_ACCOUNT: Scenario = Scenario {
    name: "sending-unknown-account",
    title: "The recipient has no mailbox: the error mail closes the transmission, and a report says so",
    requirements: &["M2", "ST804", "ST806", "ST813", "C10", "C12"],
    deadline: DEADLINE,
    run: |bench| Box::pin(unknown_account(bench, false)),
};

/// The same while the sending adapter is without power.
pub const BOUNCE_WAITS: Scenario = Scenario {
    name: "sending-bounce-waits",
    title: "An error mail is not lost while the sending adapter has no power",
    requirements: &["M2", "ST804", "ST813", "C12"],
    deadline: DEADLINE,
    run: |bench| Box::pin(unknown_account(bench, true)),
};

async fn unknown_account(bench: Bench, power_cut: bool) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan::default()).await?;
    let address = WITHOUT_MAILBOX.address;
    region.mail_server('b')?.accounts().remove(address).map_err(Failure::infrastructure)?;
    if power_cut {
        region.kill_mail_server('b');
    }
    let mark = region.log.mark();
    let lcd = taro_sends(&region, &[address], &note("returned to sender")).await?;
    if power_cut {
        journal(&region, "mail-a", mark, "RELAY-FAILED").await?;
        region.site_mut('a')?.power_cut().await;
        region.restart_mail_server('b').await?;
        journal(&region, "mail-a", mark, "FORWARD-FAILED").await?;
        region.site_mut('a')?.power_on().await?;
    }
    did(&region, "mail-b", mark, &["ST803", "ST804", "M2"]).await?;
    did(&region, "mail-a", mark, &["ST804", "M2", "ST813"]).await?;
    journal(&region, "adapter-a", mark, "SEND-004").await?;
    reads(region.site('a')?, mark, ScreenKind::NotSent, &["届きませんでした", address]).await?;
    did(&region, "adapter-a", mark, &["C10"]).await?;
    registered(&region, 1).await?;
    let id = format!("<{}>", lcd.message_id);
    let entries = region.history().into_iter().filter(|entry| is_of(entry, &id));
    let events: Vec<history::Event> = entries.map(|entry| entry.leaf.event).collect();
    expect(events == [history::Event::NonDelivery], format!("the history says that it failed, not {events:?}"))?;
    let a = region.site('a')?;
    expect(!a.has_seen(mark, ScreenKind::Delivered), "nobody is told that it was delivered")?;
    let reports = a.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == 1, format!("one report is printed, not {}", reports.len()))?;
    // The alarm is over when somebody at the machine says so, and not by itself.
    let taro = region.person(TARO)?;
    a.press_button(&taro).await;
    a.sees(ScreenKind::Idle).await?;
    expect(region.mailbox(&taro)?.is_empty(), "the error mail went to the adapter, not into a mailbox")?;
    let open = a.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
    expect(open.is_empty(), "the transmission is closed")?;
    expect(!region.capture.contains(Side::Network, b"strictly confidential"), "no subject in clear on the network")
}

/// A bounce that comes over the network is anybody's word.
pub const STRANGE_BOUNCE: Scenario = Scenario {
    name: "sending-strange-bounce",
    title: "A stranger's error mail about a document that is on its way closes nothing and is kept in the mailbox",
    requirements: &["D1", "confirmation-forging"],
    deadline: DEADLINE,
    run: |bench| Box::pin(strange_bounce(bench)),
};

async fn strange_bounce(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let taro = region.person(TARO)?;
    let lcd = taro_sends(&region, &[HANAKO.address], &note("on its way")).await?;
    let mark = region.log.mark();
    let stranger = region.stranger("mallory")?;
    let server = SocketAddr::new(region.address("mail-a")?, SMTP);
    let to = [TARO.address.to_owned()];
    let bounce = bounce(&lcd.message_id, HANAKO.address);
    let taken = smtp::send(&*stranger.network, server, "mallory", None, &to, bounce.as_bytes()).await;
    expect(taken.is_ok(), format!("the server takes an error mail in: {taken:?}"))?;
    expect(region.mailbox(&taro)?.len() == 1, "it is kept in Taro's mailbox")?;
    let brought = region.sent_mails().into_iter().filter(|mail| mail.to == "adapter-a").count();
    expect(brought == 0, "it is not brought to the adapter")?;
    expect(!region.site('a')?.has_seen(mark, ScreenKind::NotSent), "the display says nothing of it")?;
    let open = region.site('a')?.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
    let id = format!("<{}>", lcd.message_id);
    expect(open.len() == 1 && open.iter().all(|open| open.message_id == id), "the true transmission is still open")
}

/// A delivery status notification (RFC 3464).
fn bounce(message_id: &str, recipient: &str) -> String {
    format!(
        "From: postmaster@c.example\r\nTo: taro@a.example\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nreturned\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; c.example\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{message_id}>\r\n\r\n--b--\r\n"
    )
}

/// ST612: the mail server takes the whole mail or none of it.
pub const ALL_OR_NOTHING: Scenario = Scenario {
    name: "sending-all-or-nothing",
    title: "One of two recipients is refused by our own mail server: nobody gets anything",
    requirements: &["M2", "ST611", "ST612", "ST804", "downgrade"],
    deadline: DEADLINE,
    run: |bench| Box::pin(all_or_nothing(bench)),
};

async fn all_or_nothing(bench: Bench) -> Result<(), Failure> {
    let plan = Plan { people: vec![TARO, KENJI, HANAKO], ..Plan::default() };
    let region = Region::start(&bench, plan).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    region.mail_server('a')?.accounts().remove(KENJI.address).map_err(Failure::infrastructure)?;
    a.identify(&taro, ScreenKind::Ready).await?;
    let mark = region.log.mark();
    let lcd = a.fax(Some(&taro), &[HANAKO.address, KENJI.address], SUBJECT, &note("both or none")).await?;
    expect(!lcd.sent && lcd.code == Some(554), format!("554, not: {}", lcd.text))?;
    reads(a, mark, ScreenKind::NotSent, &["550"]).await?;
    did(&region, "mail-a", mark, &["M2", "ST804"]).await?;
    did(&region, "adapter-a", mark, &["ST612", "ST611"]).await?;
    nothing_left(&region, 'a')?;
    let open = a.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
    expect(open.is_empty(), "no confirmation is awaited")?;
    nowhere_in_clear(&region)
}
