//! The card reader, and the card in it: what can be said without a PIN.

use super::super::catalogue as c;
use super::super::facts::{FactSheet, Presence};
use super::super::report::{Evidence, Finding, Judgement, State};
use super::super::words::words;

pub(super) fn reader(sheet: &FactSheet) -> Option<Judgement> {
    let facts = sheet.reader.as_ref()?;
    let mut evidence = vec![Evidence::new("pcscd", &facts.socket)];
    evidence.extend(facts.readers.iter().map(|name| Evidence::new("reader", name)));
    evidence.extend(facts.usb.iter().map(|name| Evidence::new("on the USB", name)));
    if !facts.built {
        let wanted = sheet.configuration.as_ref().is_some_and(|configuration| configuration.reader.is_some());
        if !wanted && facts.usb.is_empty() {
            let why = words("カード読取装置は設定されていません", "no card reader is configured");
            return Some(Judgement { evidence, ..Judgement::plain(State::Skipped(why)) });
        }
        return Some(Judgement::of(vec![Finding::new(&c::CARD_202)], evidence));
    }
    if !facts.socket_there || facts.refused.is_some() {
        let why = facts.refused.as_deref().unwrap_or("there is no such socket");
        return Some(Judgement::of(vec![Finding::new(&c::CARD_004).with("socket", why)], evidence));
    }
    if let Some(why) = &facts.problem {
        let finding = Finding::new(&c::CARD_009).with("why", why);
        let unknown = State::Unknown(words("pcscd に問い合わせできません", "pcscd could not be asked"));
        return Some(Judgement::of(vec![finding], evidence).or(unknown));
    }
    let findings = if facts.readers.is_empty() {
        vec![Finding::new(if facts.usb.is_empty() { &c::CARD_001 } else { &c::CARD_007 })]
    } else if let Some(why) = &facts.not_chosen {
        vec![Finding::new(&c::CARD_008).with("why", why)]
    } else {
        Vec::new()
    };
    if let (Some(chosen), true) = (&facts.chosen, facts.readers.len() > 1) {
        evidence.push(Evidence::new("chosen", chosen));
    }
    Some(Judgement::of(findings, evidence))
}

pub(super) fn card(sheet: &FactSheet) -> Option<Judgement> {
    let facts = sheet.card.as_ref()?;
    match &facts.presence {
        Presence::Absent => {
            let why = words("カードが入っていません", "no card is in");
            return Some(Judgement::plain(State::Skipped(why)));
        }
        Presence::Busy => {
            let why = words(
                "動作中のアダプターがカードを使っています",
                "another program has the card, most likely the running adapter",
            );
            return Some(Judgement::plain(State::Unknown(why)));
        }
        Presence::Mute => {
            let finding = Finding::new(&c::CARD_108).with("card", "does not answer its reset");
            return Some(Judgement::of(vec![finding], Vec::new()));
        }
        Presence::Failed(why) => {
            return Some(Judgement::of(vec![Finding::new(&c::CARD_108).with("why", why)], Vec::new()));
        }
        Presence::Present => {}
    }
    if !facts.piv {
        return Some(Judgement::of(vec![Finding::new(&c::CARD_005)], Vec::new()));
    }
    let mut evidence = Vec::new();
    let mut findings = Vec::new();
    for slot in &facts.certificates {
        match (&slot.problem, &slot.serial) {
            (Some(why), _) => findings.push(Finding::about(&c::CARD_106, &slot.slot).with("why", why)),
            (None, Some(serial)) => {
                let issuer = slot.issuer.as_deref().unwrap_or("?");
                evidence.push(Evidence::new(&slot.slot, format!("serial {serial}, by {issuer}")));
            }
            (None, None) => {}
        }
    }
    if facts.one_owner == Some(false) {
        findings.push(Finding::new(&c::CARD_110));
    }
    if let Some(left) = facts.tries_left {
        evidence.push(Evidence::new("PIN tries left", left));
        match left {
            0 => findings.push(Finding::new(&c::PIN_002)),
            1 => findings.push(Finding::new(&c::PIN_003)),
            _ => {}
        }
    }
    Some(Judgement::of(findings, evidence))
}
