//! The technician's page over whatever the desk shows: opened by holding the button, gone after two minutes, at the next
//! press, and as soon as the desk has something new to say. Pure: the caller brings the time and the desk's screen.

use std::time::Duration;

use sealfax_drivers::display::{DiagnosisLine, Fault, Screen};

/// How long the page stays when nobody ends it.
pub const SHOWN: Duration = Duration::from_secs(120);

/// The page, open or not.
#[derive(Debug, Clone, Default)]
pub struct Overlay(Option<Page>);

#[derive(Debug, Clone)]
struct Page {
    /// What the desk showed when it was opened.
    beneath: Screen,
    until: Duration,
    lines: Vec<DiagnosisLine>,
    advice: Option<Fault>,
}

impl Overlay {
    /// The button was held. Whether a diagnosis is to begin: not if the page was open, for then it closes.
    pub fn held(&mut self, at: Duration, beneath: &Screen) -> bool {
        if self.0.take().is_some() {
            return false;
        }
        self.0 = Some(Page { beneath: beneath.clone(), until: at + SHOWN, lines: Vec::new(), advice: None });
        true
    }

    /// The button was pressed: the page closes. Whether it was open, so that nobody has seen what lies beneath.
    pub fn pressed(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// The diagnosis is done. The two minutes begin anew, for now there is something to read.
    pub fn found(&mut self, at: Duration, lines: Vec<DiagnosisLine>, advice: Option<Fault>) {
        if let Some(page) = &mut self.0 {
            (page.lines, page.advice, page.until) = (lines, advice, at + SHOWN);
        }
    }

    /// What is shown in place of the desk's screen, if anything.
    pub fn over(&mut self, at: Duration, beneath: &Screen) -> Option<Screen> {
        self.0.take_if(|page| page.until <= at || !same_call(&page.beneath, beneath));
        let page = self.0.as_ref()?;
        Some(Screen::Diagnosis { lines: page.lines.clone(), advice: page.advice.clone() })
    }

    /// When the page closes by itself.
    pub fn until(&self) -> Option<Duration> {
        self.0.as_ref().map(|page| page.until)
    }
}

/// Whether two screens ask the same of people: a countdown does not call anybody anew.
fn same_call(a: &Screen, b: &Screen) -> bool {
    match (a, b) {
        (Screen::Held { .. }, Screen::Held { .. }) | (Screen::Overdue { .. }, Screen::Overdue { .. }) => true,
        (Screen::StillWaiting { names: a, .. }, Screen::StillWaiting { names: b, .. }) => a == b,
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(1000);

    fn open(beneath: &Screen) -> Overlay {
        let mut overlay = Overlay::default();
        assert!(overlay.held(AT, beneath));
        assert!(matches!(overlay.over(AT, beneath), Some(Screen::Diagnosis { .. })));
        overlay
    }

    #[test]
    fn two_minutes_from_the_result() {
        let mut overlay = open(&Screen::Idle);
        let done = AT + Duration::from_secs(10);
        overlay.found(done, Vec::new(), None);
        assert_eq!(overlay.until(), Some(done + SHOWN));
        assert!(overlay.over(done + SHOWN - Duration::from_secs(1), &Screen::Idle).is_some());
        assert_eq!(overlay.over(done + SHOWN, &Screen::Idle), None);
        assert_eq!(overlay.until(), None);
        // A result that comes late opens nothing.
        overlay.found(done, Vec::new(), None);
        assert_eq!(overlay.over(done, &Screen::Idle), None);
    }

    #[test]
    fn a_press_of_either_kind_closes_it() {
        let mut overlay = open(&Screen::Idle);
        assert!(!overlay.held(AT, &Screen::Idle));
        assert_eq!(overlay.over(AT, &Screen::Idle), None);
        let mut overlay = open(&Screen::Idle);
        overlay.pressed();
        assert_eq!(overlay.over(AT, &Screen::Idle), None);
    }

    #[test]
    fn a_card_or_a_new_alert_ends_it_and_a_countdown_does_not() {
        let arrived = |names: &[&str]| Screen::Arrived { names: names.iter().map(|name| (*name).to_owned()).collect() };
        let held = |left| Screen::Held { left: Duration::from_secs(left) };
        let mut overlay = open(&held(60));
        assert!(overlay.over(AT, &held(59)).is_some());
        for (before, after) in [
            (Screen::Idle, arrived(&["佐藤"])),
            (arrived(&["佐藤"]), arrived(&["佐藤", "鈴木"])),
            (Screen::Idle, Screen::Checking { card: false, certificate: false, server: false }),
            (held(5), Screen::Idle),
        ] {
            let mut overlay = open(&before);
            assert_eq!(overlay.over(AT, &after), None);
            // It does not come back with the old screen.
            assert_eq!(overlay.over(AT, &before), None);
        }
    }
}
