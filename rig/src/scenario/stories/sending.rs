//! Sending, Fig. 7, with everything that can be missing: a certificate, a server, the right card, the right PIN.

use sealfax_drivers::display::ScreenKind;

use super::evidence::{did, left_the_office, nothing_left, nowhere_in_clear, reads};
use super::{SUBJECT, note, receives};
use crate::bench::people::{Character, HANAKO, JIRO, TARO};
use crate::bench::region::{Plan, Region};
use crate::events::{EventKind, EventLog};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![NO_CERTIFICATE, SERVER_DOWN, DIRECTORY_DOWN, REVOKED, MACHINE_ADDRESS, NOT_YOURS, PIN_BLOCKED]
}

/// A colleague of Taro's at office A.
pub const KENJI: Character = Character {
    key: "kenji",
    called: "Kenji",
    name: "高橋 健二",
    address: "kenji@a.example",
    pin: "662607",
    certificate_days: 365,
};

/// ST611: without a certificate nothing can be sealed.
pub const NO_CERTIFICATE: Scenario = Scenario {
    name: "sending-no-certificate",
    title: "A recipient without certificate: the terminal is told whom, and nothing leaves",
    requirements: &["C7", "ST607", "ST611", "ST709", "downgrade"],
    deadline: DEADLINE,
    run: |bench| Box::pin(no_certificate(bench)),
};

async fn no_certificate(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    a.identify(&taro, ScreenKind::Ready).await?;
    // Alone, and beside somebody who has a certificate: the whole document is refused.
    for (missing, recipients) in
        [("nobody@b.example", &["nobody@b.example"][..]), ("no-one@b.example", &[HANAKO.address, "no-one@b.example"])]
    {
        let mark = region.log.mark();
        let lcd = a.fax(Some(&taro), recipients, SUBJECT, &note("not for nobody")).await?;
        expect(!lcd.sent && lcd.code == Some(550), format!("550, not: {}", lcd.text))?;
        expect(lcd.text.contains(missing), format!("the terminal names the address: {}", lcd.text))?;
        expect(!lcd.text.contains(HANAKO.address), format!("and no other: {}", lcd.text))?;
        reads(a, mark, ScreenKind::NotSent, &[missing, "証明書がありません"]).await?;
        a.lamp(true).await?;
        did(&region, "adapter-a", mark, &["ST605", "ST606", "ST607", "ST611"]).await?;
        did(&region, "terminal-a", mark, &["ST709"]).await?;
    }
    nothing_left(&region, 'a')?;
    nowhere_in_clear(&region)
}

/// ST611: the terminal keeps its copy while the server is away.
pub const SERVER_DOWN: Scenario = Scenario {
    name: "sending-server-down",
    title: "The mail server is down: 451, the terminal keeps its copy, and later the same document goes",
    requirements: &["ST610", "ST611", "ST612", "ST709"],
    deadline: DEADLINE,
    run: |bench| Box::pin(server_down(bench)),
};

async fn server_down(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan::default()).await?;
    let (taro, hanako, pages) = (region.person(TARO)?, region.person(HANAKO)?, note("patience"));
    region.site('a')?.identify(&taro, ScreenKind::Ready).await?;
    region.kill_mail_server('a');
    let mark = region.log.mark();
    let lcd = region.site('a')?.fax(Some(&taro), &[HANAKO.address], SUBJECT, &pages).await?;
    expect(!lcd.sent && lcd.code == Some(451), format!("451, not: {}", lcd.text))?;
    reads(region.site('a')?, mark, ScreenKind::NotSent, &["サーバーに接続できません"]).await?;
    region.site('a')?.lamp(true).await?;
    did(&region, "adapter-a", mark, &["ST608", "ST609", "ST610", "ST612", "ST611"]).await?;
    nowhere_in_clear(&region)?;
    let open = region.site('a')?.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
    expect(open.is_empty(), "what was not sent awaits no confirmation")?;

    region.restart_mail_server('a').await?;
    // The PIN signed the document that did not leave; this is another signature.
    let lcd = region.site('a')?.fax_with_pin(&taro, &[HANAKO.address], SUBJECT, &pages).await?;
    expect(lcd.sent, format!("now it is sent, not: {}", lcd.text))?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    let printed = receives(&region, 'b', &hanako).await?;
    expect(printed.len() == 1 && printed.iter().all(|document| document.pages == pages), "printed once, as it was")
}

/// What cannot be checked is refused.
pub const DIRECTORY_DOWN: Scenario = Scenario {
    name: "sending-directory-down",
    title: "The certificate server is down: no card is accepted, no document is sealed",
    requirements: &["C5", "C7", "C8", "ST603", "ST611", "ST613"],
    deadline: DEADLINE,
    run: |bench| Box::pin(directory_down(bench)),
};

async fn directory_down(bench: Bench) -> Result<(), Failure> {
    let mut region = Region::start(&bench, Plan::default()).await?;
    let taro = region.person(TARO)?;
    region.stop_directory().await;
    let mark = region.log.mark();
    region.site('a')?.identify(&taro, ScreenKind::CardInvalid).await?;
    reads(region.site('a')?, mark, ScreenKind::CardInvalid, &["確認不能", "CARD-107"]).await?;
    did(&region, "adapter-a", mark, &["ST602", "ST613"]).await?;
    region.site('a')?.pull(&taro);
    region.site('a')?.sees(ScreenKind::Idle).await?;

    region.start_directory().await?;
    region.site('a')?.identify(&taro, ScreenKind::Ready).await?;
    region.stop_directory().await;
    let mark = region.log.mark();
    let lcd = region.site('a')?.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("unanswered")).await?;
    expect(!lcd.sent && lcd.code == Some(451), format!("451, not: {}", lcd.text))?;
    reads(region.site('a')?, mark, ScreenKind::NotSent, &["サーバーに接続できません"]).await?;
    did(&region, "adapter-a", mark, &["ST602", "ST611"]).await?;
    nothing_left(&region, 'a')?;
    nowhere_in_clear(&region)
}

/// ST613-ST615.
pub const REVOKED: Scenario = Scenario {
    name: "sending-revoked-card",
    title: "The sender's certificate is revoked: the display says so, and the terminal gets an error",
    requirements: &["C5", "C6", "C8", "ST613", "ST614", "ST615"],
    deadline: DEADLINE,
    run: |bench| Box::pin(revoked(bench)),
};

async fn revoked(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    region.revoke(&taro)?;
    let mark = region.log.mark();
    a.identify(&taro, ScreenKind::CardInvalid).await?;
    reads(a, mark, ScreenKind::CardInvalid, &["失効", "CARD-101"]).await?;
    a.lamp(true).await?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("too late")).await?;
    expect(!lcd.sent && lcd.code == Some(550), format!("550, not: {}", lcd.text))?;
    expect(a.screen() == Some(ScreenKind::CardInvalid), "the display goes on saying that the card is not valid")?;
    did(&region, "adapter-a", mark, &["ST601", "ST602", "ST613", "ST614", "ST615"]).await?;
    nothing_left(&region, 'a')?;
    nowhere_in_clear(&region)
}

/// I3: a machine that always sends under its own address.
pub const MACHINE_ADDRESS: Scenario = Scenario {
    name: "sending-machine-address",
    title: "The machine sends under its own address, unchanged: the card's owner is who signs",
    requirements: &["I3", "A6", "ST608"],
    deadline: DEADLINE,
    run: |bench| Box::pin(machine_address(bench)),
};

async fn machine_address(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, taro, hanako, pages) =
        (region.site('a')?, region.person(TARO)?, region.person(HANAKO)?, note("unmodified"));
    a.identify(&taro, ScreenKind::Ready).await?;
    let lcd = a.fax(None, &[HANAKO.address], SUBJECT, &pages).await?;
    expect(lcd.sent, format!("sent, not: {}", lcd.text))?;
    a.sees(ScreenKind::Sent).await?;
    let left = left_the_office(&region, 'a');
    let in_his_name = left.iter().all(|mail| mail.reverse_path == TARO.address);
    expect(left.len() == 1 && in_his_name, "one mail leaves, in the name of the card's owner")?;
    region.site('b')?.sees(ScreenKind::Arrived).await?;
    nowhere_in_clear(&region)?;
    let printed = receives(&region, 'b', &hanako).await?;
    let [document] = printed.as_slice() else { return Err(Failure::expectation("one document is printed")) };
    expect(document.pages == pages, "the pages are what was scanned")?;
    let mail = String::from_utf8_lossy(&document.mail).into_owned();
    let from = mail.lines().find(|line| line.starts_with("From:")).unwrap_or_default();
    expect(from.contains(TARO.address), format!("the document comes from Taro, not: {from}"))
}

/// A6: nobody sends in another's name, neither at once nor by releasing what another left behind.
pub const NOT_YOURS: Scenario = Scenario {
    name: "sending-not-your-address",
    title: "Another person's card neither sends in Taro's name nor releases Taro's document",
    requirements: &["A6", "C5", "S1", "ST611"],
    deadline: DEADLINE,
    run: |bench| Box::pin(not_yours(bench)),
};

async fn not_yours(bench: Bench) -> Result<(), Failure> {
    let plan = Plan { people: vec![TARO, KENJI, HANAKO], ..Plan::default() };
    let region = Region::start(&bench, plan).await?;
    let (a, taro, kenji) = (region.site('a')?, region.person(TARO)?, region.person(KENJI)?);
    a.identify(&kenji, ScreenKind::Ready).await?;
    let mark = region.log.mark();
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &note("not Kenji's")).await?;
    expect(!lcd.sent && lcd.code == Some(550), format!("550, not: {}", lcd.text))?;
    reads(a, mark, ScreenKind::NotSent, &["送信元がカードの方と違います"]).await?;
    a.lamp(true).await?;
    did(&region, "adapter-a", mark, &["ST605", "ST611"]).await?;
    nothing_left(&region, 'a')?;
    // The error stays on the display for a while; a card that comes and goes shows when the slot is known to be empty.
    a.pull(&kenji);
    a.insert(&kenji);
    a.sees(ScreenKind::Pin).await?;
    a.pull(&kenji);
    a.sees(ScreenKind::Idle).await?;

    let mark = region.log.mark();
    let people = async {
        a.sees_after(mark, ScreenKind::Held).await?;
        a.insert(&kenji);
        a.sees_after(mark, ScreenKind::Pin).await?;
        a.type_pin(&kenji, KENJI.pin).await;
        did(&region, "adapter-a", mark, &["ST604"]).await?;
        let accepted = region.log.mark();
        a.sees_after(accepted, ScreenKind::Held).await?;
        nothing_left(&region, 'a')?;
        a.pull(&kenji);
        a.identify(&taro, ScreenKind::Sent).await
    };
    let to = [HANAKO.address];
    let pages = note("Taro's own");
    let (lcd, ()) = tokio::try_join!(a.fax(Some(&taro), &to, SUBJECT, &pages), people)?;
    expect(lcd.sent, format!("sent with Taro's card, not: {}", lcd.text))?;
    let left = left_the_office(&region, 'a');
    expect(left.len() == 1 && left.iter().all(|mail| mail.reverse_path == TARO.address), "one mail leaves, Taro's")?;
    nowhere_in_clear(&region)
}

/// The retry counter is the person's to spend.
pub const PIN_BLOCKED: Scenario = Scenario {
    name: "sending-pin-blocked",
    title: "Three wrong PINs block the card; the software itself never spends a try",
    requirements: &["C5", "C6", "ST613", "ST614", "ST615", "pin-lock-out"],
    deadline: DEADLINE,
    run: |bench| Box::pin(pin_blocked(bench)),
};

async fn pin_blocked(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    let begin = region.log.mark();
    let people = async {
        a.sees_after(begin, ScreenKind::Held).await?;
        a.insert(&taro);
        a.sees_after(begin, ScreenKind::Pin).await?;
        for (left, kind) in [(2, ScreenKind::PinWrong), (1, ScreenKind::PinWrong), (0, ScreenKind::PinBlocked)] {
            let mark = region.log.mark();
            a.type_pin(&taro, "000000").await;
            let words = if left == 0 { "使用停止".to_owned() } else { format!("残り{left}回") };
            reads(a, mark, kind, &[&words]).await?;
        }
        a.lamp(true).await
    };
    let to = [HANAKO.address];
    let pages = note("locked out");
    let (lcd, ()) = tokio::try_join!(a.fax(Some(&taro), &to, SUBJECT, &pages), people)?;
    expect(!lcd.sent && lcd.code == Some(550), format!("550, not: {}", lcd.text))?;
    did(&region, "adapter-a", begin, &["S1", "ST613", "ST614", "ST615"]).await?;
    let tries = || taro.card.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pin_tries();
    expect(tries() == 0, "the card is blocked")?;
    expect(
        pins_shown(&region.log) == 3,
        format!("three PINs were shown to the card, not {}", pins_shown(&region.log)),
    )?;

    // Put in again, it is known to be blocked without another try.
    a.pull(&taro);
    a.sees(ScreenKind::NotSent).await?;
    a.insert(&taro);
    a.sees(ScreenKind::PinBlocked).await?;
    expect(pins_shown(&region.log) == 3, "no further PIN was shown to the card")?;
    nothing_left(&region, 'a')?;
    nowhere_in_clear(&region)
}

/// How often a PIN was shown to a card; a VERIFY without data only asks for the counter.
fn pins_shown(log: &EventLog) -> usize {
    let shown = |event: &&crate::events::Event| matches!(&event.kind, EventKind::Apdu { command, .. } if command.starts_with("VERIFY") && command.contains("octets"));
    log.events().iter().filter(shown).count()
}

/// Somebody for whom there is a certificate and no mailbox, in other stories.
pub const WITHOUT_MAILBOX: Character = JIRO;
