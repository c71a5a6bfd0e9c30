//! The clock: not before this program was made, and not far from what the servers say.

use super::super::catalogue as c;
use super::super::facts::FactSheet;
use super::super::report::{Evidence, Finding, Judgement, State, rfc3339};
use super::super::words::words;

pub(super) fn clock(sheet: &FactSheet) -> Option<Judgement> {
    let facts = sheet.clock.as_ref()?;
    let configured = sheet.configuration.as_ref().map_or(0, |configuration| configuration.clock_tolerance);
    let tolerance = if configured > 0 { configured } else { 300 };
    let mut evidence = vec![Evidence::new("here", rfc3339(sheet.at))];
    let servers = sheet.servers.iter().flat_map(|facts| &facts.servers);
    let witnesses: Vec<(&str, i64)> =
        servers.filter_map(|server| Some((server.role.as_str(), server.ahead?))).collect();
    evidence.extend(witnesses.iter().map(|(role, ahead)| Evidence::new(*role, difference(*ahead))));
    if let Some(synchronised) = facts.synchronised {
        evidence.push(Evidence::new("kept by the network", if synchronised { "yes" } else { "not yet" }));
    }
    if let Some(battery) = facts.battery {
        evidence.push(Evidence::new("goes on without power", if battery { "yes" } else { "no" }));
    }
    if sheet.at < sheet.built {
        let finding = Finding::new(&c::CLOCK_001).with("this program was made", rfc3339(sheet.built));
        return Some(Judgement::of(vec![finding], evidence));
    }
    let far: Vec<&(&str, i64)> = witnesses.iter().filter(|(_, ahead)| ahead.abs() > tolerance).collect();
    let mut findings = Vec::new();
    if !far.is_empty() && far.len() == witnesses.len() {
        let mut finding = Finding::new(&c::CLOCK_001);
        for (role, ahead) in far {
            finding = finding.with(role, difference(*ahead));
        }
        findings.push(finding);
    } else {
        // Somebody agrees with us: the others are the ones to look at.
        findings.extend(
            far.iter().map(|(role, ahead)| Finding::about(&c::CLOCK_003, *role).with("its clock", difference(*ahead))),
        );
        if facts.synchronised == Some(false) {
            findings.push(Finding::new(&c::CLOCK_002));
        }
    }
    let alone = witnesses.is_empty() && facts.synchronised != Some(true);
    let judgement = Judgement::of(findings, evidence);
    let why = words("比べる時計がありません", "there is no clock to compare with");
    Some(if alone { judgement.or(State::Unknown(why)) } else { judgement })
}

fn difference(ahead: i64) -> String {
    let (amount, word) = (ahead.unsigned_abs(), if ahead < 0 { "behind" } else { "ahead" });
    let span = match amount {
        0..=120 => format!("{amount} s"),
        121..=7200 => format!("{} min", amount / 60),
        7201..=172_800 => format!("{} h", amount / 3600),
        _ => format!("{} days", amount / 86_400),
    };
    format!("{span} {word} of this one")
}
