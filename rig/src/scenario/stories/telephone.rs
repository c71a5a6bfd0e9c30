//! Plain fax machines on telephone lines: nobody at them does anything else than ever, and everything that an office with
//! Internet fax machines has, theirs has too.

use std::collections::BTreeMap;
use std::time::Duration;

use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::Page;
use sealfax_ifax::fit::header_lines;
use sealfax_ifax::page::stride;

use super::evidence::{self, journal};
use super::wire::is_step;
use super::{SUBJECT, note};
use crate::bench::attacker::Attacker;
use crate::bench::people::{HANAKO, JIRO, TARO};
use crate::bench::region::{Plan, Region};
use crate::bench::site::{PATIENCE, Site};
use crate::endpoint::fax_machine::Telephone;
use crate::events::Event;
use crate::peer::line_box;
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

/// Every story on the telephone.
pub fn all() -> Vec<Scenario> {
    vec![SIMULATED, IN_THE_BOX, ONE_SIDE, LATE, STRANGER, WRONG_MACHINE, NOISE, NOT_FOR_PAPER]
}

const SIMULATED: Scenario = Scenario {
    name: "plain-fax-machines",
    title: "Two offices with plain fax machines: the machine dials, the right person's card has the other machine called",
    requirements: &["I1", "I2", "A1", "C1", "C9", "C10"],
    deadline: DEADLINE,
    run: |bench| Box::pin(both_ends(bench, Telephone::Simulated)),
};

const IN_THE_BOX: Scenario = Scenario {
    name: "plain-fax-machines-spandsp",
    title: "The same with machines that nobody here wrote, and modems on serial ports",
    requirements: &["I1", "I2", "A1", "C1", "C9", "C10"],
    deadline: DEADLINE,
    run: |bench| Box::pin(both_ends(bench, Telephone::LineBox)),
};

const ONE_SIDE: Scenario = Scenario {
    name: "plain-fax-machine-at-one-end",
    title: "A plain fax machine and an Internet fax machine understand each other, both ways",
    requirements: &["I1", "I2", "I3"],
    deadline: DEADLINE,
    run: |bench| Box::pin(one_end(bench)),
};

const LATE: Scenario = Scenario {
    name: "plain-fax-machine-is-told",
    title: "A plain fax machine says itself that a document was sent, or was not; without a card it is not",
    requirements: &["ST611", "ST604", "I1", "telephone-slip"],
    deadline: Duration::from_secs(90),
    run: |bench| Box::pin(told(bench)),
};

async fn start(bench: &Bench, kind: Telephone, offices: &[char], hold: Duration) -> Result<Region, Failure> {
    if kind == Telephone::LineBox {
        line_box::present()?;
    }
    let telephones: BTreeMap<char, Telephone> = offices.iter().map(|office| (*office, kind)).collect();
    Region::start(bench, Plan { telephones, pictures: false, hold, ..Plan::default() }).await
}

const LONG: Duration = Duration::from_secs(540);

async fn both_ends(bench: Bench, kind: Telephone) -> Result<(), Failure> {
    let region = start(&bench, kind, &['a', 'b'], LONG).await?;
    let (a, b) = (region.site('a')?, region.site('b')?);
    let (taro, hanako, jiro) = (region.person(TARO)?, region.person(HANAKO)?, region.person(JIRO)?);
    let pages = [note("The first page by telephone"), note("And the second")].concat();

    // With the card in, the machine itself says what became of it.
    a.identify(&taro, ScreenKind::Ready).await?;
    let lcd = a.fax(Some(&taro), &[HANAKO.address], SUBJECT, &pages).await?;
    expect(lcd.sent, format!("the machine says sent, not: {}", lcd.text))?;
    a.sees(ScreenKind::Sent).await?;
    a.pull(&taro);

    b.sees(ScreenKind::Arrived).await?;
    b.lamp(true).await?;
    evidence::pages_nowhere_in_clear(&region, &pages)?;
    b.insert(&jiro);
    b.sees(ScreenKind::WrongCard).await?;
    b.pull(&jiro);
    b.sees(ScreenKind::Arrived).await?;
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    prints(b, &pages).await?;
    b.sees(ScreenKind::Done).await?;
    b.pull(&hanako);
    b.sees(ScreenKind::Idle).await?;
    b.lamp(false).await?;

    // The report needs nobody: the machine is called.
    a.sees(ScreenKind::Delivered).await?;
    let reports = a.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == 1, "one delivery report is printed")?;
    a.sees(ScreenKind::Idle).await?;
    let registered = |event: &Event| is_step(event, "adapter-a", "C12") && is_step(event, "adapter-a", "D1");
    region.log.wait_for("the transmission is registered in the history", PATIENCE, registered).await?;
    let left = region.mailbox(&hanako)?;
    expect(left.is_empty(), "the mail is gone from the server once it is printed and confirmed")
}

/// The next document out of the machine has these pages, each with a line above it.
async fn prints(site: &Site, pages: &[Page]) -> Result<(), Failure> {
    let printed = site.receive().await.map_err(Failure::expectation)?;
    let [document] = printed.as_slice() else {
        return Err(Failure::expectation(format!("one document is printed, not {}", printed.len())));
    };
    expect(document.pages.len() == pages.len(), format!("{} pages, not {}", pages.len(), document.pages.len()))?;
    for (printed, sent) in document.pages.iter().zip(pages) {
        let header = header_lines(sent.resolution()) as usize * stride(sent.width());
        let rest = printed.rows().get(header..).unwrap_or_default();
        expect(rest == sent.rows(), "the printed page is the sent one pixel by pixel")?;
        let head = printed.rows().get(..header).unwrap_or_default();
        expect(head.iter().any(|octet| *octet != 0), "and says above who sent it")?;
    }
    Ok(())
}

async fn one_end(bench: Bench) -> Result<(), Failure> {
    let region = start(&bench, Telephone::Simulated, &['b'], LONG).await?;
    let (a, b) = (region.site('a')?, region.site('b')?);
    let (taro, hanako) = (region.person(TARO)?, region.person(HANAKO)?);
    let question = note("From an Internet fax machine");
    super::taro_sends(&region, &[HANAKO.address], &question).await?;
    b.sees(ScreenKind::Arrived).await?;
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    prints(b, &question).await?;
    b.sees(ScreenKind::Done).await?;
    b.pull(&hanako);

    let answer = note("From a plain fax machine");
    b.identify(&hanako, ScreenKind::Ready).await?;
    let lcd = b.fax(None, &[TARO.address], SUBJECT, &answer).await?;
    expect(lcd.sent, format!("the machine says sent, not: {}", lcd.text))?;
    b.sees(ScreenKind::Sent).await?;
    b.pull(&hanako);
    a.sees(ScreenKind::Arrived).await?;
    let printed = super::receives(&region, 'a', &taro).await?;
    let found = printed.iter().any(|document| document.pages == answer);
    expect(found, "what came by telephone is printed pixel by pixel")
}

async fn told(bench: Bench) -> Result<(), Failure> {
    let region = start(&bench, Telephone::Simulated, &['a'], LONG).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    let page = note("Nobody's card is in");

    // A number that nobody has.
    let mark = region.log.mark();
    let lcd = a.fax(None, &["nobody@b.example"], SUBJECT, &page).await?;
    expect(!lcd.sent, format!("the machine says not sent, not: {}", lcd.text))?;
    journal(&region, "adapter-a", mark, "FAX-060").await?;
    evidence::nothing_left(&region, 'a')?;

    // The card comes while the machine waits.
    let comes = async {
        a.sees(ScreenKind::Held).await?;
        a.identify(&taro, ScreenKind::Sent).await
    };
    let (lcd, ()) = tokio::try_join!(a.fax(None, &[HANAKO.address], SUBJECT, &page), comes)?;
    expect(lcd.sent, format!("the machine says sent, not: {}", lcd.text))?;
    a.pull(&taro);

    // And this time it does not: the machine itself says that nothing was sent, and nothing is left over for the next card.
    let lcd = a.fax(None, &[HANAKO.address], SUBJECT, &page).await?;
    expect(!lcd.sent, format!("the machine says not sent, not: {}", lcd.text))?;
    a.identify(&taro, ScreenKind::Ready).await?;
    a.pull(&taro);
    let left = evidence::left_the_office(&region, 'a').len();
    expect(left == 1, format!("one document was sent, not {left}"))
}

const STRANGER: Scenario = Scenario {
    name: "stranger-on-the-telephone",
    title: "Whoever else telephones the adapter has nothing sent in the name of the person whose card is in",
    requirements: &["A6", "ST611", "I1", "telephone-stranger"],
    deadline: DEADLINE,
    run: |bench| Box::pin(stranger(bench)),
};

async fn stranger(bench: Bench) -> Result<(), Failure> {
    let telephones = BTreeMap::from([('a', Telephone::Stranger)]);
    let region = Region::start(&bench, Plan { telephones, pictures: false, ..Plan::default() }).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    a.identify(&taro, ScreenKind::Ready).await?;
    let mark = region.log.mark();
    let lcd = a.fax(None, &[HANAKO.address], SUBJECT, &note("Pay 1000 to me")).await?;
    expect(!lcd.sent, format!("the stranger's machine says not sent, not: {}", lcd.text))?;
    journal(&region, "adapter-a", mark, "FAX-064").await?;
    evidence::nothing_left(&region, 'a')
}

const WRONG_MACHINE: Scenario = Scenario {
    name: "wrong-machine-on-the-telephone",
    title: "Another machine than the office's answers the adapter's call: it is sent no page, and the document waits",
    requirements: &["I2", "telephone-wrong-number"],
    deadline: DEADLINE,
    run: |bench| Box::pin(wrong_machine(bench)),
};

async fn wrong_machine(bench: Bench) -> Result<(), Failure> {
    let region = start(&bench, Telephone::Stranger, &['b'], LONG).await?;
    let (b, hanako) = (region.site('b')?, region.person(HANAKO)?);
    super::taro_sends(&region, &[HANAKO.address], &note("For Hanako's machine alone")).await?;
    b.sees(ScreenKind::Arrived).await?;
    let mark = region.log.mark();
    b.identify(&hanako, ScreenKind::PressReceive).await?;
    journal(&region, "adapter-b", mark, "FAX-054").await?;
    b.pull(&hanako);
    b.sees(ScreenKind::Arrived).await?;
    expect(!b.has_seen(mark, ScreenKind::Done), "nothing counts as printed")?;
    let left = region.mailbox(&hanako)?.len();
    expect(left == 1, format!("the document waits at the server, not {left}"))
}

const NOISE: Scenario = Scenario {
    name: "noise-on-the-telephone",
    title: "Pages that are noise without end are not taken for a document: the machine is told, and nothing is sent",
    requirements: &["I1", "telephone-bomb"],
    deadline: DEADLINE,
    run: |bench| Box::pin(noise(bench)),
};

async fn noise(bench: Bench) -> Result<(), Failure> {
    let region = start(&bench, Telephone::Garbled, &['a'], LONG).await?;
    let (a, taro) = (region.site('a')?, region.person(TARO)?);
    a.identify(&taro, ScreenKind::Ready).await?;
    let mark = region.log.mark();
    let lcd = a.fax(None, &[HANAKO.address], SUBJECT, &note("Nobody will read this")).await?;
    expect(!lcd.sent, format!("the machine says not sent, not: {}", lcd.text))?;
    journal(&region, "adapter-a", mark, "FAX-051").await?;
    evidence::nothing_left(&region, 'a')?;
    a.pull(&taro);
    a.sees(ScreenKind::Idle).await
}

const NOT_FOR_PAPER: Scenario = Scenario {
    name: "not-for-paper",
    title: "What a plain fax machine cannot print is told to the person who waits for it, and stays where it is",
    requirements: &["ST916", "I2"],
    deadline: DEADLINE,
    run: |bench| Box::pin(not_for_paper(bench)),
};

async fn not_for_paper(bench: Bench) -> Result<(), Failure> {
    let region = start(&bench, Telephone::Simulated, &['b'], LONG).await?;
    let (b, hanako, taro) = (region.site('b')?, region.person(HANAKO)?, region.person(TARO)?);
    let program = Attacker::new(&region)?;
    let entity = b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsFBgAAAAA=\r\n";
    let content = program.mail(TARO.address, HANAKO.address, entity);
    let sealed = program.seal(&content, &taro, &hanako).await?;
    let mail = program.mail(TARO.address, HANAKO.address, &sealed);
    program.deliver(&region, &mail, TARO.address, &hanako).await?;
    b.sees(ScreenKind::Arrived).await?;
    let mark = region.log.mark();
    b.identify(&hanako, ScreenKind::CannotOpen).await?;
    evidence::reads(b, mark, ScreenKind::CannotOpen, &["FAX-062"]).await?;
    b.pull(&hanako);
    b.sees(ScreenKind::Idle).await?;
    let left = region.mailbox(&hanako)?.len();
    expect(left == 1, format!("the mail stays at the server, not {left}"))
}
