//! The servers, and the certificates in files and on the card. What a wrong clock would explain is left to the clock.

use super::super::area::Area;
use super::super::catalogue as c;
use super::super::engine::Known;
use super::super::facts::{FactSheet, Reached};
use super::super::report::{Evidence, Finding, Judgement, State, rfc3339};
use super::super::words::words;

/// So long before a certificate ends somebody should know, in seconds.
const SOON: i64 = 30 * 24 * 60 * 60;

pub(super) fn servers(sheet: &FactSheet, known: &Known) -> Option<Judgement> {
    let facts = sheet.servers.as_ref()?;
    let (mut findings, mut evidence, mut blocked) = (Vec::new(), Vec::new(), None);
    for server in &facts.servers {
        let subject = format!("{}, {}", server.role, server.address);
        let finding = match &server.reached {
            Reached::Yes => {
                evidence.push(Evidence::new(&subject, &server.said));
                None
            }
            Reached::NoName(_) if known.broken(Area::Names).is_some() => {
                blocked = known.broken(Area::Names);
                None
            }
            Reached::No(why) | Reached::NoName(why) => Some(Finding::about(&c::SERVER_001, &subject).with("why", why)),
            Reached::Strange(why) => Some(Finding::about(&c::SERVER_002, &subject).with("why", why)),
        };
        findings.extend(finding);
        match &server.distrust {
            Some(distrust) if distrust.of_time && known.broken(Area::Clock).is_some() => {
                blocked = known.broken(Area::Clock);
            }
            Some(distrust) => findings.push(
                Finding::about(&c::TRUST_001, &subject).with("detail", &distrust.code).with("why", &distrust.why),
            ),
            None => {}
        }
    }
    if facts.servers.is_empty() {
        return Some(Judgement::plain(State::Unknown(words("サーバーの記録がありません", "no server was asked"))));
    }
    let judgement = Judgement::of(findings, evidence);
    Some(match blocked {
        Some(by) => judgement.or(State::Blocked(by)),
        None => judgement,
    })
}

pub(super) fn certificates(sheet: &FactSheet, known: &Known) -> Option<Judgement> {
    let facts = sheet.certificates.as_ref()?;
    let clock = known.broken(Area::Clock);
    let (mut findings, mut evidence, mut blocked) = (Vec::new(), Vec::new(), None);
    for file in &facts.files {
        let subject = format!("{}, {}", file.key, file.path);
        match (&file.problem, file.ends) {
            (Some(why), _) => findings.push(Finding::about(&c::CERT_001, subject).with("why", why)),
            (None, Some(ends)) if ends < sheet.at => match clock {
                Some(_) => blocked = clock,
                None => findings.push(Finding::about(&c::CERT_002, subject).with("ended", rfc3339(ends))),
            },
            (None, ends) => {
                evidence.push(Evidence::new(&subject, format!("{} certificates", file.count)));
                let soon = ends.filter(|ends| ends.saturating_sub(sheet.at) < SOON && clock.is_none());
                findings.extend(soon.map(|ends| Finding::about(&c::CERT_003, subject).with("ends", rfc3339(ends))));
            }
        }
    }
    let slots = sheet.card.iter().flat_map(|card| &card.certificates);
    let ends = |slot: &str| slots.clone().find(|one| one.slot == slot).and_then(|one| one.ends);
    for path in &facts.paths {
        let dates = slots.clone().find(|one| one.slot == path.slot).and_then(|one| one.begins.zip(one.ends));
        let dates = dates.map(|(begins, ends)| format!("{} to {}", rfc3339(begins), rfc3339(ends)));
        match path.code.as_deref() {
            Some(_) if path.of_time && clock.is_some() => blocked = clock,
            Some(code) => {
                let entry = c::find(code).unwrap_or(&c::CARD_105);
                let mut finding = Finding::about(entry, &path.slot).with("path", &path.detail);
                finding.evidence.extend(dates.map(|dates| Evidence::new("valid", dates)));
                findings.push(finding);
            }
            None => {
                evidence.push(Evidence::new(&path.slot, dates.unwrap_or_else(|| "its path holds".to_owned())));
                let soon = ends(&path.slot).filter(|ends| ends.saturating_sub(sheet.at) < SOON && clock.is_none());
                findings.extend(soon.map(|ends| Finding::about(&c::CERT_003, &path.slot).with("ends", rfc3339(ends))));
            }
        }
    }
    for status in sheet.servers.iter().flat_map(|servers| &servers.card) {
        match status.code.as_deref() {
            None => evidence.push(Evidence::new(&status.slot, "good, says the certificate server")),
            Some(code) => {
                let entry = c::find(code).unwrap_or(&c::CARD_104);
                findings.push(Finding::about(entry, &status.slot).with("said by", "the certificate server"));
            }
        }
    }
    let judgement = Judgement::of(findings, evidence);
    Some(match blocked {
        Some(by) => judgement.or(State::Blocked(by)),
        None => judgement,
    })
}
