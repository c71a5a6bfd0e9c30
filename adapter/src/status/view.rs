//! What the status page says, before it is put into any form.

use std::sync::Arc;

use sealfax_drivers::display::{Fault, Language, NotSent, Screen, Status};
use serde_json::{Value, json};

use crate::diagnose::area::Area;
use crate::diagnose::redact;
use crate::diagnose::report::Report;
use crate::office::Office;

/// The version of the JSON; raised when a field changes its meaning.
const VERSION: u32 = 1;

/// Who is called where no name is told.
const SOMEBODY: [&str; 2] = ["どなたか", "a person"];

/// What there is to see.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// What stands at the edge of the screen.
    pub(super) status: Status,
    /// Which language comes first.
    pub(super) language: Language,
    /// The state's name.
    pub(super) state: &'static str,
    /// What the screen says, in Japanese and in English.
    pub(super) said: [Vec<String>; 2],
    /// Everything that is wrong with devices and ports.
    pub(super) faults: Vec<Fault>,
    /// The diagnosis; `None` while it goes on.
    pub(super) report: Option<Arc<Report>>,
    /// Whether people are named.
    names: bool,
}

impl View {
    pub(super) fn of(office: &Office, names: bool, report: Option<Arc<Report>>) -> Self {
        let (screen, status) = office.displayed();
        Self::made(&screen, status, office.config.language, office.all_faults(), names, report)
    }

    pub(super) fn made(
        screen: &Screen,
        status: Status,
        language: Language,
        faults: Vec<Fault>,
        names: bool,
        report: Option<Arc<Report>>,
    ) -> Self {
        let said = [(Language::Japanese, SOMEBODY[0]), (Language::English, SOMEBODY[1])].map(|(language, somebody)| {
            let discreet = if names { screen.clone() } else { without_names(screen, somebody) };
            lines(&discreet, language)
        });
        Self { status, language, state: screen.kind().name(), said, faults, report, names }
    }

    /// What a finding is about and what shows it, as far as it names nobody.
    pub(super) fn told(&self, text: &str) -> String {
        if self.names { text.to_owned() } else { redact::addresses(text) }
    }

    /// Whether what was seen in this area may be told: a certificate's number, or the seconds between which it counts, is as
    /// good as its owner's name.
    pub(super) fn evidence_of(&self, area: Area) -> bool {
        self.names || !matches!(area, Area::Card | Area::Certificates)
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let [japanese, english] = &self.said;
        let fault = |fault: &Fault| json!({"code": fault.code, "ja": fault.japanese, "en": fault.english});
        let mut diagnosis = self.report.as_ref().map(|report| report.json());
        if let Some(diagnosis) = diagnosis.as_mut().filter(|_| !self.names) {
            redact::json(diagnosis);
            let told: Vec<&str> =
                Area::ALL.into_iter().filter(|area| self.evidence_of(*area)).map(|area| area.name()).collect();
            for check in diagnosis.get_mut("checks").and_then(Value::as_array_mut).into_iter().flatten() {
                if check.get("name").and_then(Value::as_str).is_some_and(|name| told.contains(&name)) {
                    continue;
                }
                let mut findings: Vec<&mut Value> =
                    check.get_mut("findings").and_then(Value::as_array_mut).into_iter().flatten().collect();
                findings
                    .iter_mut()
                    .filter_map(|finding| finding.get_mut("evidence"))
                    .for_each(|evidence| *evidence = json!([]));
                if let Some(evidence) = check.get_mut("evidence") {
                    *evidence = json!([]);
                }
            }
        }
        json!({
            "version": VERSION,
            "office": self.status.office,
            "clock": self.status.clock,
            "screen": {"state": self.state, "ja": japanese, "en": english},
            "links": {
                "terminal": self.status.terminal_link,
                "network": self.status.network_link,
                "reader": self.status.reader,
            },
            "band": self.status.fault.as_ref().map(fault),
            "faults": self.faults.iter().map(fault).collect::<Vec<_>>(),
            "diagnosis": diagnosis,
        })
    }
}

/// The words of a screen in one language, line by line.
fn lines(screen: &Screen, language: Language) -> Vec<String> {
    let words = screen.words(language);
    let mut lines = Vec::new();
    if words.names.len() > 1 || (words.names.len() == 1 && !words.first.sentence.contains(&words.names[0])) {
        let more = if words.more > 0 { format!(" +{}", words.more) } else { String::new() };
        lines.push(words.names.join(" / ") + &more);
    }
    lines.push(words.first.sentence);
    let detail = words.first.detail.lines().filter(|line| !line.is_empty()).map(str::to_owned);
    for line in detail {
        if !lines.iter().any(|said| said.contains(&line)) {
            lines.push(line);
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The same screen, with `somebody` for everybody.
fn without_names(screen: &Screen, somebody: &str) -> Screen {
    let somebody = || somebody.to_owned();
    let all = |names: &[String]| names.iter().map(|_| somebody()).collect::<Vec<_>>();
    match screen {
        Screen::Arrived { names } => Screen::Arrived { names: all(names) },
        Screen::StillWaiting { names, since } => Screen::StillWaiting { names: all(names), since: *since },
        Screen::WrongCard { names } => Screen::WrongCard { names: all(names) },
        Screen::Pin { entered, tries_left, .. } => {
            Screen::Pin { name: somebody(), entered: *entered, tries_left: *tries_left }
        }
        Screen::Person { tries_left, .. } => Screen::Person { name: somebody(), tries_left: *tries_left },
        Screen::PressReceive { documents, .. } => Screen::PressReceive { name: somebody(), documents: *documents },
        Screen::Ready { .. } => Screen::Ready { name: somebody() },
        Screen::CertificateChanged { addresses } => Screen::CertificateChanged { addresses: all(addresses) },
        Screen::NotSent(why) => Screen::NotSent(match why {
            NotSent::NoCertificate(addresses) => NotSent::NoCertificate(all(addresses)),
            NotSent::Returned(addresses) => NotSent::Returned(all(addresses)),
            NotSent::Declined(addresses) => NotSent::Declined(all(addresses)),
            NotSent::BadCertificate { fault, .. } => NotSent::BadCertificate { address: somebody(), fault: *fault },
            other => other.clone(),
        }),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use sealfax_drivers::display::CardFault;

    use super::*;

    const NAME: &str = "佐藤 花子";
    const ADDRESS: &str = "hanako@b.example";

    fn view(screen: &Screen, names: bool) -> View {
        View::made(screen, Status::default(), Language::Japanese, Vec::new(), names, None)
    }

    #[test]
    fn nobody_is_named_unless_that_is_wanted() {
        let (names, addresses) = (vec![NAME.to_owned(), "Anna".to_owned()], vec![ADDRESS.to_owned()]);
        let name = || NAME.to_owned();
        for screen in [
            Screen::Arrived { names: names.clone() },
            Screen::Arrived { names: vec![name()] },
            Screen::StillWaiting { names: names.clone(), since: Duration::from_secs(900) },
            Screen::WrongCard { names },
            Screen::Pin { name: name(), entered: 2, tries_left: 3 },
            Screen::Person { name: name(), tries_left: 3 },
            Screen::PressReceive { name: name(), documents: 2 },
            Screen::Ready { name: name() },
            Screen::CertificateChanged { addresses: addresses.clone() },
            Screen::NotSent(NotSent::NoCertificate(addresses.clone())),
            Screen::NotSent(NotSent::Returned(addresses.clone())),
            Screen::NotSent(NotSent::Declined(addresses)),
            Screen::NotSent(NotSent::BadCertificate { address: ADDRESS.into(), fault: CardFault::Expired }),
        ] {
            let named = |text: &str| text.contains("佐藤") || text.contains("hanako") || text.contains("Anna");
            let told = view(&screen, false);
            assert!(told.said.iter().flatten().all(|line| !named(line)), "{:?}", told.said);
            assert!(told.said[0].iter().any(|line| line.contains(SOMEBODY[0])), "{:?}", told.said);
            assert!(told.said[1].iter().any(|line| line.contains(SOMEBODY[1])), "{:?}", told.said);
            assert!(!named(&told.json().to_string()), "{}", told.json());
            let told = view(&screen, true);
            assert!(told.said.iter().all(|lines| lines.iter().any(|line| named(line))), "{:?}", told.said);
        }
    }

    #[test]
    fn it_says_what_the_screen_says() {
        let screen = Screen::Overdue { count: 2, since: Duration::from_secs(7200) };
        let View { state, said, .. } = view(&screen, false);
        assert_eq!(state, "overdue");
        assert_eq!(said, [vec!["配達未確認 2件", "2時間経過"], vec!["2 not confirmed", "for 2 h"]]);
    }
}
