//! The first variant of the source document: the fax machine and its adapter are one device.

use super::evidence::nowhere_in_clear;
use super::wire::registered;
use super::{note, receives, taro_sends};
use crate::bench::people::HANAKO;
use crate::bench::region::{Plan, Region};
use crate::scenario::{Bench, DEADLINE, Failure, Scenario, expect};
use crate::world::network::Side;

/// The stories of this file.
pub fn all() -> Vec<Scenario> {
    vec![BUILT_IN]
}

/// No cable between machine and adapter, and everything else as ever.
pub const BUILT_IN: Scenario = Scenario {
    name: "adapter-built-in",
    title: "The fax machines have the adapter built in: sent, printed and confirmed as ever, and no cable has it in clear",
    requirements: &["V1", "I3"],
    deadline: DEADLINE,
    run: |bench| Box::pin(built_in(bench)),
};

async fn built_in(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { built_in: true, ..Plan::default() }).await?;
    let pages = note("From one device to another");
    taro_sends(&region, &[HANAKO.address], &pages).await?;
    nowhere_in_clear(&region)?;
    let printed = receives(&region, 'b', &region.person(HANAKO)?).await?;
    expect(printed.len() == 1 && printed.iter().all(|document| document.pages == pages), "the document is printed")?;
    registered(&region, 1).await?;
    let inside = region.capture.connections().into_iter().filter(|connection| connection.side == Side::Terminal);
    let inside: Vec<_> = inside.collect();
    let one_device = inside.iter().all(|connection| connection.client.ip() == connection.server.ip());
    expect(!inside.is_empty() && one_device, "machine and adapter speak within one device")
}
