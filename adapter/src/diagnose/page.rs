//! The technician's page on the HDMI screen: the same diagnosis, run inside the adapter that holds the card.

use std::sync::Arc;

use sealfax_drivers::card::piv::Slot;
use sealfax_drivers::display::{DiagnosisLine, DiagnosisMark, Fault};

use super::area::Area;
use super::engine::examine;
use super::probe::{CardCertificate, CardSource, Held, Live, Root};
use super::report::{Check, Report, State};
use crate::office::Office;

/// What the page says.
pub(crate) type Lines = (Vec<DiagnosisLine>, Option<Fault>);

/// Examines everything, from within the running adapter.
pub(crate) async fn examined(office: &Arc<Office>) -> Lines {
    lines(&examine_all(office).await)
}

/// The whole report of that.
pub(crate) async fn examine_all(office: &Arc<Office>) -> Report {
    let held = office.card().map(|(_, card)| {
        let identity = card.identity();
        let certificate = |slot, der: &Vec<u8>| CardCertificate { slot, der: der.clone() };
        Held {
            tries_left: identity.tries_left,
            certificates: vec![
                certificate(Slot::Signature, &identity.signature_certificate),
                certificate(Slot::KeyManagement, &identity.encryption_certificate),
            ],
        }
    });
    let source = CardSource::Held(held);
    let mut facts = Live::of(Root::default(), &office.config, office.seams.clone(), source);
    examine(&mut facts, &Area::ALL, |_| {}).await.0
}

/// The page of a report.
pub fn lines(report: &Report) -> Lines {
    let line = |check: &Check| {
        let title = check.area.title();
        DiagnosisLine {
            mark: match check.judgement.state {
                State::Ok if check.warns() => DiagnosisMark::Warning,
                State::Ok => DiagnosisMark::Well,
                State::Failed => DiagnosisMark::Failed,
                State::Blocked(_) => DiagnosisMark::Blocked,
                State::Skipped(_) | State::Unknown(_) => DiagnosisMark::Open,
            },
            code: check.judgement.findings.first().map(|finding| finding.entry.code),
            japanese: title.ja.to_owned(),
            english: title.en.to_owned(),
        }
    };
    let advice = report.findings().first().map(|(_, finding)| Fault {
        code: finding.entry.code,
        japanese: finding.entry.action.ja.to_owned(),
        english: finding.entry.action.en.to_owned(),
    });
    (report.checks.iter().map(line).collect(), advice)
}
