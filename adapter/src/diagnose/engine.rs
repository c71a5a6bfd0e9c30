//! Walks through the areas: gathers what each needs, has it judged, and leaves out what stands on something broken.

use tokio::time::Instant;

use super::area::Area;
use super::facts::{FactSheet, Facts};
use super::judge;
use super::report::{Check, Judgement, Report, State};

/// What is known while a diagnosis goes on.
#[derive(Debug, Clone, Default)]
pub struct Known(Vec<Check>);

impl Known {
    /// How an area ended; `None`: not yet, or not at all.
    pub fn state(&self, area: Area) -> Option<State> {
        self.0.iter().find(|check| check.area == area).map(|check| check.judgement.state)
    }

    /// Which area is at the root, if this one is not to be relied on: itself, or what blocks it.
    pub fn broken(&self, area: Area) -> Option<Area> {
        match self.state(area)? {
            State::Failed => Some(area),
            State::Blocked(by) => Some(by),
            _ => None,
        }
    }

    /// The area that has a finding with this code.
    pub fn found(&self, code: &str) -> Option<Area> {
        self.0
            .iter()
            .find(|check| check.judgement.findings.iter().any(|finding| finding.entry.code == code))
            .map(|check| check.area)
    }

    fn blocked(&self, area: Area) -> Option<Area> {
        area.stands_on().iter().find_map(|beneath| self.broken(*beneath))
    }
}

/// What is told while a diagnosis goes on.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// This area is being looked at.
    Begun(Area),
    /// This is how it ended.
    Done(&'a Check),
}

/// Examines `areas`, whatever their order, and tells `told` of each. Gives the report and the facts it was made of.
pub async fn examine(facts: &mut dyn Facts, areas: &[Area], mut told: impl FnMut(Progress<'_>)) -> (Report, FactSheet) {
    let mut sheet = facts.begin();
    let mut known = Known::default();
    let mut gathered = Vec::new();
    for area in Area::JUDGED.into_iter().filter(|area| areas.contains(area)) {
        told(Progress::Begun(area));
        let start = Instant::now();
        let judgement = match known.blocked(area) {
            Some(by) => Judgement::plain(State::Blocked(by)),
            None => {
                for need in area.facts() {
                    let wanted = *need == area || known.blocked(*need).is_none();
                    if wanted && !gathered.contains(need) {
                        facts.gather(*need, &mut sheet).await;
                        gathered.push(*need);
                    }
                }
                judge::judge(area, &sheet, &known)
            }
        };
        let check = Check { area, judgement, took: start.elapsed() };
        told(Progress::Done(&check));
        known.0.push(check);
    }
    let place = |area: Area| Area::ALL.iter().position(|one| *one == area);
    known.0.sort_by_key(|check| place(check.area));
    (Report { tool: sheet.tool.clone(), at: sheet.at, checks: known.0 }, sheet)
}
