//! The board: configuration, supply, storage, lines, screen.

use super::super::catalogue::{self as c, Entry};
use super::super::facts::{ConfigurationProblem, FactSheet, Written};
use super::super::report::{Evidence, Finding, Judgement, State};
use super::super::words::words;

/// Less free than this and the ledger cannot be relied on, in octets.
const FULL: u64 = 16 << 20;
/// Less free than this, and less than a twentieth, is worth a warning, in octets.
const NEARLY_FULL: u64 = 256 << 20;
/// Fewer files than this that can still be made count as none.
const FEW_FILES: u64 = 64;
/// A processor that slows itself down is at this, in thousandths of a degree Celsius.
const HOT: i64 = 80_000;

pub(super) fn configuration(sheet: &FactSheet) -> Option<Judgement> {
    let facts = sheet.configuration.as_ref()?;
    let evidence = vec![Evidence::new("file", &facts.path)];
    let findings = match &facts.problem {
        None => Vec::new(),
        Some(ConfigurationProblem::Missing(why)) => vec![Finding::new(&c::CONFIG_001).with("why", why)],
        Some(ConfigurationProblem::Unusable(why)) => vec![Finding::new(&c::CONFIG_002).with("why", why)],
    };
    Some(Judgement::of(findings, evidence))
}

pub(super) fn power(sheet: &FactSheet) -> Option<Judgement> {
    /// Bits of the firmware's `get_throttled`.
    const LOW_NOW: u32 = 1;
    const SLOW_NOW: u32 = 1 << 2 | 1 << 3;
    const LOW_SINCE: u32 = 1 << 16;
    let facts = sheet.power.as_ref()?;
    if facts.throttled.is_none() && facts.alarm.is_none() && facts.millicelsius.is_none() {
        return Some(Judgement::plain(State::Skipped(words(
            "このボードは電源の状態を知らせません",
            "this board does not tell of its supply",
        ))));
    }
    let mut evidence = Vec::new();
    if let Some(bits) = facts.throttled {
        evidence.push(Evidence::new("throttled", format!("{bits:#x}")));
    }
    if let Some(alarm) = facts.alarm {
        evidence.push(Evidence::new("voltage alarm", if alarm { "on" } else { "off" }));
    }
    if let Some(heat) = facts.millicelsius {
        evidence.push(Evidence::new("temperature", format!("{} °C", heat / 1000)));
    }
    let bits = facts.throttled.unwrap_or(0);
    let mut findings = Vec::new();
    if bits & LOW_NOW != 0 || facts.alarm == Some(true) {
        findings.push(Finding::new(&c::POWER_001));
    } else if bits & LOW_SINCE != 0 {
        findings.push(Finding::new(&c::POWER_002));
    }
    // A board that is slowed down for want of voltage is not called hot.
    if facts.millicelsius.is_some_and(|heat| heat >= HOT) || (bits & SLOW_NOW != 0 && findings.is_empty()) {
        findings.push(Finding::new(&c::POWER_003));
    }
    Some(Judgement::of(findings, evidence))
}

pub(super) fn storage(sheet: &FactSheet) -> Option<Judgement> {
    let facts = sheet.storage.as_ref()?;
    let mut evidence = vec![Evidence::new("folder", &facts.path)];
    if let Some(mount) = &facts.mount {
        evidence.push(Evidence::new("mounted at", mount));
    }
    if let (Some(free), Some(total)) = (facts.free, facts.total) {
        evidence.push(Evidence::new("free", format!("{} of {} MiB", free >> 20, total >> 20)));
    }
    if facts.written == Written::NotAllowed {
        evidence.push(Evidence::new("trial write", "not allowed to this user"));
    }
    let few_files = facts.total_files.is_some_and(|total| total > 0) && facts.free_files.is_some_and(|n| n < FEW_FILES);
    let full = facts.written == Written::Full || facts.free.is_some_and(|free| free < FULL) || few_files;
    let nearly = facts.free.zip(facts.total).is_some_and(|(free, total)| free < NEARLY_FULL && free < total / 20);
    let entry: Option<&'static Entry> = if !facts.exists {
        Some(&c::DISK_003)
    } else if facts.read_only == Some(true) || facts.written == Written::ReadOnly {
        Some(&c::DISK_002)
    } else if full {
        Some(&c::DISK_001)
    } else if matches!(facts.written, Written::Failed(_)) {
        Some(&c::DISK_004)
    } else {
        nearly.then_some(&c::DISK_005)
    };
    let mut findings: Vec<Finding> = entry.map(|entry| Finding::about(entry, &facts.path)).into_iter().collect();
    if let (Written::Failed(why), [finding]) = (&facts.written, findings.as_mut_slice()) {
        finding.evidence.push(Evidence::new("trial write", why));
    }
    if let (true, [finding]) = (few_files, findings.as_mut_slice()) {
        finding.evidence.push(Evidence::new("files that can still be made", facts.free_files.unwrap_or(0)));
    }
    Some(Judgement::of(findings, evidence))
}

/// How our own programs call themselves at a line, and how `rppal` does for us where it waits for edges.
const OURS: [&str; 2] = ["sealfax", "rppal"];

pub(super) fn gpio(sheet: &FactSheet) -> Option<Judgement> {
    let facts = sheet.gpio.as_ref()?;
    let wishes = &sheet.configuration.as_ref()?.lines;
    if wishes.is_empty() {
        return Some(Judgement::plain(State::Skipped(words(
            "設定に [gpio] がありません",
            "the configuration has no [gpio]",
        ))));
    }
    let labels: Vec<&str> = facts.chips.iter().map(|chip| chip.label.as_str()).collect();
    let mut evidence = vec![Evidence::new("chips", none_or(labels.join(", ")))];
    if let Some(chosen) = &facts.chosen {
        evidence.push(Evidence::new("chip", chosen));
    }
    if facts.not_allowed {
        return Some(Judgement::of(vec![Finding::new(&c::GPIO_004)], evidence));
    }
    if facts.chosen.is_none() {
        let mut finding = Finding::new(&c::GPIO_001);
        if let Some(why) = &facts.problem {
            finding = finding.with("why", why);
        }
        return Some(Judgement::of(vec![finding], evidence));
    }
    let mut findings = Vec::new();
    for line in &facts.lines {
        let subject = format!("{}, line {}", line.role, line.line);
        let holder = line.holder.as_deref().unwrap_or("?");
        if !line.exists {
            findings.push(Finding::about(&c::GPIO_003, subject));
        } else if !line.held {
            evidence.push(Evidence::new(subject, "free"));
        } else if OURS.iter().any(|ours| holder.to_ascii_lowercase().starts_with(ours)) {
            evidence.push(Evidence::new(subject, format!("held by {holder}")));
        } else {
            findings.push(Finding::about(&c::GPIO_002, subject).with("held by", holder));
        }
    }
    Some(Judgement::of(findings, evidence))
}

pub(super) fn display(sheet: &FactSheet) -> Option<Judgement> {
    let facts = sheet.display.as_ref()?;
    let sound = sheet.configuration.as_ref().filter(|configuration| configuration.problem.is_none());
    let backend = sound.and_then(|configuration| configuration.display.as_deref());
    match (sound, backend) {
        (Some(_), None) => {
            let why = words("設定に [display] がありません", "the configuration has no [display]");
            return Some(Judgement::plain(State::Skipped(why)));
        }
        (_, Some("png")) => {
            let why = words("画面は画像ファイルに書かれます", "screens are written into files");
            return Some(Judgement::plain(State::Skipped(why)));
        }
        _ => {}
    }
    let mut evidence: Vec<Evidence> = facts
        .connectors
        .iter()
        .map(|one| {
            let mode = one.mode.as_ref().map(|mode| format!(", {mode}")).unwrap_or_default();
            Evidence::new(&one.name, format!("{}{mode}", one.status))
        })
        .collect();
    evidence.extend(facts.framebuffers.iter().map(|one| Evidence::new("frame buffer", one)));
    let there = match backend {
        Some("drm") => !facts.connectors.is_empty(),
        Some("framebuffer") => !facts.framebuffers.is_empty(),
        _ => !facts.connectors.is_empty() || !facts.framebuffers.is_empty(),
    };
    // A driver that cannot tell says "unknown": that is no reason to call the screen missing.
    let dark = !facts.connectors.is_empty() && facts.connectors.iter().all(|one| one.status == "disconnected");
    let findings = match (there, dark) {
        (false, _) => vec![Finding::new(&c::DISPLAY_102).with("backend", backend.unwrap_or("any"))],
        (true, true) => vec![Finding::new(&c::DISPLAY_003)],
        (true, false) => Vec::new(),
    };
    Some(Judgement::of(findings, evidence))
}

fn none_or(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}
