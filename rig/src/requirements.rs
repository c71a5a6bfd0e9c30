//! The requirements of the source document (REQUIREMENTS.md) and the threats to the product (STANDARDS.md), and which
//! executed scenario exercised which.
//!
//! The tables are generated from runs and never typed: a step in the journal carries its number, a scenario names what
//! it sets out to prove.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Deserialize;

use crate::report::{RunReport, Verdict};

const TABLE: &str = include_str!("../requirements.toml");
const THREATS: &str = include_str!("../threats.toml");

/// One requirement, or one threat.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// What it demands, or what an attacker or a mishap would do and what must come of it, in one line.
    pub text: String,
}

/// Why a requirement or a threat has no verdict.
pub const NOT_EXERCISED: &str = "no passing scenario of this run exercised it";

/// Every requirement by its identifier.
pub fn all() -> &'static BTreeMap<String, Requirement> {
    static ALL: OnceLock<BTreeMap<String, Requirement>> = OnceLock::new();
    // A table that does not parse is empty, and then every identifier is unknown: the tests below refuse that.
    ALL.get_or_init(|| toml::from_str(TABLE).unwrap_or_default())
}

/// Every threat by its name.
pub fn threats() -> &'static BTreeMap<String, Requirement> {
    static ALL: OnceLock<BTreeMap<String, Requirement>> = OnceLock::new();
    ALL.get_or_init(|| toml::from_str(THREATS).unwrap_or_default())
}

/// Identifiers in the order of the source document: by letters, then by number.
pub fn order(id: &str) -> (String, u32) {
    let split = id.find(|character: char| character.is_ascii_digit()).unwrap_or(id.len());
    let (letters, number) = id.split_at(split);
    (letters.to_owned(), number.parse().unwrap_or(0))
}

/// Those of `ids` that are neither a requirement nor a threat.
pub fn unknown<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let unknown: BTreeSet<_> =
        ids.into_iter().filter(|id| !all().contains_key(*id) && !threats().contains_key(*id)).collect();
    unknown.into_iter().map(str::to_owned).collect()
}

/// What a run exercised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traceability {
    /// Every identifier with the passing scenarios that exercised it; an empty list where none did.
    pub exercised: BTreeMap<String, Vec<String>>,
    /// For each identifier without a scenario: why.
    pub unexercised: BTreeMap<String, String>,
}

impl Traceability {
    /// From the scenarios of `report` that passed: their steps, and what they declare to prove. A scenario that failed
    /// proves nothing, whatever steps it made.
    pub fn of(report: &RunReport) -> Self {
        let mut exercised: BTreeMap<String, Vec<String>> = all().keys().map(|id| (id.clone(), Vec::new())).collect();
        for result in &report.results {
            if !matches!(result.verdict, Verdict::Pass | Verdict::Flaky) {
                continue;
            }
            let mut ids: BTreeSet<&str> = crate::events::exercised(&result.events);
            ids.extend(result.requirements.iter().map(String::as_str));
            for id in ids {
                if let Some(scenarios) = exercised.get_mut(id) {
                    scenarios.push(result.name.clone());
                }
            }
        }
        let none = exercised.iter().filter(|(_, scenarios)| scenarios.is_empty());
        let unexercised = none.map(|(id, _)| (id.clone(), NOT_EXERCISED.to_owned())).collect();
        Self { exercised, unexercised }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_table_holds_every_identifier_and_no_other() {
        let table: BTreeMap<String, Requirement> = toml::from_str(TABLE).unwrap();
        let mut expected = BTreeSet::new();
        let ranges = [("ST", 601, 615), ("ST", 701, 709), ("ST", 801, 811), ("ST", 813, 813), ("ST", 901, 922)];
        let letters = [("C", 1, 14), ("P", 1, 3), ("T", 1, 3), ("H", 1, 1), ("A", 1, 7), ("I", 1, 3)];
        let more = [("M", 1, 4), ("S", 1, 2), ("D", 1, 1), ("V", 1, 3), ("V", 5, 5)];
        for (prefix, first, last) in ranges.into_iter().chain(letters).chain(more) {
            expected.extend((first..=last).map(|number| format!("{prefix}{number}")));
        }
        assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), expected);
        assert!(table.values().all(|requirement| !requirement.text.is_empty()));
        assert_eq!(all().len(), expected.len());
    }

    #[test]
    fn threats_have_words_and_no_name_of_a_requirement() {
        let table: BTreeMap<String, Requirement> = toml::from_str(THREATS).unwrap();
        assert_eq!(table.len(), 26);
        for (name, threat) in &table {
            assert!(!threat.text.is_empty() && !all().contains_key(name), "{name}");
            assert!(name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-'), "{name}");
        }
    }

    #[test]
    fn every_threat_has_a_story() {
        let declared: BTreeSet<&str> =
            crate::scenario::all().iter().flat_map(|scenario| scenario.requirements).copied().collect();
        let untold: Vec<_> = threats().keys().filter(|name| !declared.contains(name.as_str())).collect();
        assert!(untold.is_empty(), "no scenario proves {untold:?}");
    }

    #[test]
    fn st812_does_not_exist() {
        assert_eq!(unknown(["ST811", "ST812", "C15", "ST812"]), ["C15", "ST812"]);
    }

    #[test]
    fn numbers_sort_as_numbers() {
        let mut ids = ["C10", "C2", "A1"];
        ids.sort_by_key(|id| order(id));
        assert_eq!(ids, ["A1", "C2", "C10"]);
    }
}
