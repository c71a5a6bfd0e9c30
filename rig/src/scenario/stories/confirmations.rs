//! Confirmations that do not come, come late, come as a refusal, or come alone (C9-C12, D1).

use std::time::Duration;

use sealfax_client::history::Event as Recorded;
use sealfax_drivers::display::ScreenKind;
use sealfax_ifax::mdn;

use super::evidence::journal;
use super::forger::{Claim, confirmation};
use super::threats::base64_of_hex;
use super::wire::{bring, is_of, registered};
use super::{note, receives, taro_sends};
use crate::bench::people::{HANAKO, TARO};
use crate::bench::region::{Plan, Region};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

pub fn all() -> Vec<Scenario> {
    vec![LATE, REFUSED, PARTIAL]
}

/// Nobody confirms, then somebody does.
pub const LATE: Scenario = Scenario {
    name: "confirmation-late",
    title: "A confirmation that does not come in time alarms the sender's office and stands in the history; when it comes, both know",
    requirements: &["C9", "C10", "C12", "D1"],
    deadline: DEADLINE,
    run: |bench| Box::pin(late(bench)),
};

/// A refusal is signed too.
pub const REFUSED: Scenario = Scenario {
    name: "confirmation-refused",
    title: "A recipient's signed refusal alarms the sender and stands in the history; printed after all, it is delivered",
    requirements: &["C9", "C10", "C12", "D1"],
    deadline: DEADLINE,
    run: |bench| Box::pin(refused(bench)),
};

/// A batch that never fills.
pub const PARTIAL: Scenario = Scenario {
    name: "partial-batch",
    title: "A batch of reports that does not fill is printed when its time is up",
    requirements: &["C10", "C11"],
    deadline: DEADLINE,
    run: |bench| Box::pin(partial(bench)),
};

/// What the history says of a mail, in its order.
fn recorded(region: &Region, message_id: &str) -> Vec<Recorded> {
    let id = format!("<{message_id}>");
    region.records().iter().filter(|entry| is_of(entry, &id)).map(|entry| entry.leaf.event).collect()
}

async fn late(bench: Bench) -> Result<(), Failure> {
    let patience = Some(Duration::from_secs(1));
    let region = Region::start(&bench, Plan { patience, ..Plan::default() }).await?;
    let hanako = region.person(HANAKO)?;
    let lcd = taro_sends(&region, &[HANAKO.address], &note("Is anybody there?")).await?;
    let a = region.site('a')?;
    a.sees(ScreenKind::Overdue).await?;
    a.lamp(true).await?;
    receives(&region, 'b', &hanako).await?;
    a.sees(ScreenKind::Delivered).await?;
    let reports = a.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == 1, format!("one report is printed, not {}", reports.len()))?;
    a.sees(ScreenKind::Idle).await?;
    registered(&region, 1).await?;
    let said = recorded(&region, &lcd.message_id);
    let whole = [Recorded::Submission, Recorded::Overdue, Recorded::Retrieval];
    expect(said == whole, format!("the history tells all of it in order, not {said:?}"))
}

async fn refused(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan::default()).await?;
    let hanako = region.person(HANAKO)?;
    let mark = region.log.mark();
    let lcd = taro_sends(&region, &[HANAKO.address], &note("Take it or leave it")).await?;
    let a = region.site('a')?;
    let open = a.adapter()?.ledger().all_open().map_err(Failure::infrastructure)?;
    let digest = open.first().map(|open| base64_of_hex(&open.content_digest)).unwrap_or_default();
    let claim = |signer| Claim {
        name: &hanako,
        signer,
        message_id: &lcd.message_id,
        digest: &digest,
        disposition: mdn::Disposition { kind: mdn::DispositionKind::Denied, ..mdn::Disposition::printed() },
    };
    let (stranger, through) = (region.stranger("echo")?, region.mail_server('a')?.smtp_addr());
    // Without a signature it is anybody's word.
    let mail = confirmation(&region, &claim(None), TARO.address).await?;
    bring(&stranger, through, "", &[TARO.address], &mail).await?;
    journal(&region, "adapter-a", mark, "CONFIRM-009").await?;
    expect(recorded(&region, &lcd.message_id) == [Recorded::Submission], "nothing was refused by that")?;
    let mail = confirmation(&region, &claim(Some(&hanako)), TARO.address).await?;
    bring(&stranger, through, "", &[TARO.address], &mail).await?;
    journal(&region, "adapter-a", mark, "SEND-007").await?;
    a.sees(ScreenKind::NotSent).await?;
    registered(&region, 1).await?;
    a.receive().await.map_err(Failure::expectation)?;
    a.press_button(&region.person(TARO)?).await;
    a.sees(ScreenKind::Idle).await?;

    receives(&region, 'b', &hanako).await?;
    a.sees(ScreenKind::Delivered).await?;
    registered(&region, 2).await?;
    let said = recorded(&region, &lcd.message_id);
    let whole = [Recorded::Submission, Recorded::Refusal, Recorded::Retrieval];
    expect(said == whole, format!("the history tells all of it in order, not {said:?}"))
}

async fn partial(bench: Bench) -> Result<(), Failure> {
    let patience = Some(Duration::from_secs(3));
    let region = Region::start(&bench, Plan { batch: 5, patience, ..Plan::default() }).await?;
    let hanako = region.person(HANAKO)?;
    let a = region.site('a')?;
    taro_sends(&region, &[HANAKO.address], &note("One of five")).await?;
    receives(&region, 'b', &hanako).await?;
    registered(&region, 1).await?;
    let early = a.receive().await.map_err(Failure::expectation)?;
    expect(early.is_empty(), "the report waits for others")?;
    a.sees(ScreenKind::Delivered).await?;
    let reports = a.receive().await.map_err(Failure::expectation)?;
    expect(reports.len() == 1, format!("its time is up and it is printed, not {}", reports.len()))
}
