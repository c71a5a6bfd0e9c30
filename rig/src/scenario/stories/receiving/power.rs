//! The receiving adapter loses its power after the machine took the page and before the confirmation is away: no silent
//! second print, and the confirmation comes all the same (ST921, ST922).

use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::header::{Headers, decode_words};

use super::{
    confirmations, confirmed, one_arrives, plan, press_receive, reports, rightful_flow, still_waiting, terminal_session,
};
use crate::bench::people::HANAKO;
use crate::bench::region::Region;
use crate::scenario::stories::note;
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// Whether the printed mail says that it may have been printed before.
pub(super) fn is_marked(mail: &[u8]) -> bool {
    let Ok((headers, _)) = Headers::parse(mail) else { return false };
    headers.get("Subject").map(decode_words).is_some_and(|subject| subject.contains("may have been printed before"))
}

/// Between RETR and QUIT: nobody can know whether it is on paper.
pub const CUT_BEFORE_QUIT: Scenario = Scenario {
    name: "power-cut-before-quit",
    title: "Power is cut after the machine took the page and before it said QUIT: printed again, and marked so",
    requirements: &["ST921", "ST922", "power-cut"],
    deadline: DEADLINE,
    run: |bench| Box::pin(cut_before_quit(bench)),
};

async fn cut_before_quit(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, plan()).await?;
    let hanako = region.person(HANAKO)?;
    let pages = note("on paper, perhaps");
    one_arrives(&region, &pages).await?;
    region.site('b')?.identify(&hanako, ScreenKind::PressReceive).await?;
    let mut machine = terminal_session(&region).await?;
    let first = machine.retr(1).await.map_err(Failure::expectation)?;
    expect(!is_marked(&first), "the first print bears no mark")?;
    region.site_mut('b')?.power_cut().await;
    drop(machine);
    region.site_mut('b')?.power_on().await?;
    expect(confirmations(&region) == 0, "nothing is confirmed")?;
    still_waiting(&region, 1)?;

    // The alert is gone with the power until the mail server speaks again; whoever puts the card in is served anyway.
    let b = region.site('b')?;
    b.identify(&hanako, ScreenKind::Ready).await?;
    let printed = press_receive(b).await?;
    b.sees(ScreenKind::Done).await?;
    expect(
        printed.len() == 1 && printed.iter().all(|again| again.pages == pages && is_marked(&again.mail)),
        "printed again, marked",
    )?;
    b.pull(&hanako);
    confirmed(&region, 1).await?;
    reports(&region, 1).await?;
    still_waiting(&region, 0)?;
    rightful_flow(&region).await
}

/// After QUIT, but the card was gone: printed, not signed for.
pub const CUT_BEFORE_SIGNED: Scenario = Scenario {
    name: "power-cut-before-signed",
    title: "Printed, the card pulled before it signed, then the power cut: confirmed at the next insertion, not reprinted",
    requirements: &["ST921", "ST922", "power-cut"],
    deadline: DEADLINE,
    run: |bench| Box::pin(cut_before_signed(bench)),
};

async fn cut_before_signed(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, plan()).await?;
    let hanako = region.person(HANAKO)?;
    one_arrives(&region, &note("printed, not signed for")).await?;
    region.site('b')?.identify(&hanako, ScreenKind::PressReceive).await?;
    let mut machine = terminal_session(&region).await?;
    machine.retr(1).await.map_err(Failure::expectation)?;
    region.site('b')?.pull(&hanako);
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    machine.quit().await.map_err(Failure::expectation)?;
    region.site_mut('b')?.power_cut().await;
    region.site_mut('b')?.power_on().await?;
    expect(confirmations(&region) == 0, "nothing is confirmed without the card")?;
    still_waiting(&region, 1)?;

    let b = region.site('b')?;
    b.identify(&hanako, ScreenKind::Ready).await?;
    expect(press_receive(b).await?.is_empty(), "what is on paper is not printed again")?;
    b.pull(&hanako);
    confirmed(&region, 1).await?;
    reports(&region, 1).await?;
    still_waiting(&region, 0)?;
    rightful_flow(&region).await
}

/// Signed and queued, not sent.
pub const CUT_BEFORE_SENT: Scenario = Scenario {
    name: "power-cut-before-confirmation-sent",
    title: "The confirmation is signed and the power cut before it is sent: it goes out by itself when power is back",
    requirements: &["ST922", "C9", "power-cut"],
    deadline: DEADLINE,
    run: |bench| Box::pin(cut_before_sent(bench)),
};

async fn cut_before_sent(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, plan()).await?;
    let hanako = region.person(HANAKO)?;
    one_arrives(&region, &note("signed for, unsent")).await?;
    region.site('b')?.identify(&hanako, ScreenKind::PressReceive).await?;
    let mut machine = terminal_session(&region).await?;
    machine.retr(1).await.map_err(Failure::expectation)?;
    let server = region.address("mail-b")?;
    region.capture.cut(server);
    // The machine is told that all is well: the confirmation is in the ledger, and what is left is ours to do.
    machine.quit().await.map_err(Failure::expectation)?;
    region.site_mut('b')?.power_cut().await;
    expect(confirmations(&region) == 0, "no confirmation is away yet")?;
    region.capture.restore(server);
    region.site_mut('b')?.power_on().await?;
    // No card, no person: the outbox pays.
    confirmed(&region, 1).await?;
    reports(&region, 1).await?;
    still_waiting(&region, 1)?;

    // Only its deletion was lost; the next session does it, prints nothing and confirms nothing.
    let b = region.site('b')?;
    b.identify(&hanako, ScreenKind::Ready).await?;
    expect(press_receive(b).await?.is_empty(), "what is confirmed is not printed again")?;
    b.pull(&hanako);
    still_waiting(&region, 0)?;
    confirmed(&region, 1).await?;
    rightful_flow(&region).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_in_an_encoded_subject() {
        let subject = sealfax_ifax::header::encode_words("[再印刷の可能性 / may have been printed before] Offer");
        assert!(is_marked(format!("Subject: {subject}\r\n\r\n").as_bytes()));
        assert!(!is_marked(b"Subject: Offer\r\n\r\n"));
    }
}
