//! The live printer: what happens where, with times, one line an event, quiet enough to follow.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use console::Style;
use sealfax_drivers::display::ScreenKind;

use crate::events::{Event, EventKind, Lane};

/// Steps that only lead to another which is told: the story leaves them out, the reports and `--verbose` do not. A step
/// that ends a flow badly (ST611, ST613, ST804, ST906, ST911, ST916, ST920) is never quiet.
const QUIET: &[&str] = &[
    "ST601", "ST603", "ST604", "ST605", "ST607", "ST610", "ST612", "ST703", "ST705", "ST707", "ST801", "ST802",
    "ST803", "ST808", "ST810", "ST901", "ST902", "ST904", "ST907", "ST909", "ST910", "ST915", "ST919",
];
/// What an adapter or a server tells beside the numbered steps.
const LOUD: &[&str] = &["S1", "C10", "T1"];

/// A lamp that changes faster than this blinks: only the first change is told.
const BLINK: Duration = Duration::from_millis(1200);

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Chapters, people, screens, lamps, the steps that matter, and whatever went wrong.
    #[default]
    Story,
    /// Everything.
    Everything,
}

/// Prints events to a writer as they come.
pub struct LivePrinter<W> {
    out: Mutex<W>,
    colours: bool,
    detail: Detail,
    lamps: Mutex<BTreeMap<String, Duration>>,
}

impl<W> std::fmt::Debug for LivePrinter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LivePrinter")
    }
}

impl LivePrinter<std::io::Stderr> {
    /// Onto standard error, coloured where that is a terminal.
    pub fn stderr(detail: Detail) -> Self {
        Self::new(std::io::stderr(), console::colors_enabled_stderr(), detail)
    }
}

impl<W: Write> LivePrinter<W> {
    /// Onto `out`.
    pub fn new(out: W, colours: bool, detail: Detail) -> Self {
        Self { out: Mutex::new(out), colours, detail, lamps: Mutex::default() }
    }

    /// Prints `event` if it belongs to the story. A writer that is gone is no reason to stop the run.
    pub fn print(&self, event: &Event) {
        if self.is_blinking(event) {
            return;
        }
        if let Some(line) = line(event, self.colours, self.detail) {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(out, "{line}");
            let _ = out.flush();
        }
    }

    /// A blinking lamp would drown the rest; its waveform stands in the report.
    fn is_blinking(&self, event: &Event) -> bool {
        if !matches!(event.kind, EventKind::Level { .. }) || self.detail == Detail::Everything {
            return false;
        }
        let mut lamps = self.lamps.lock().unwrap_or_else(PoisonError::into_inner);
        let last = lamps.insert(event.host.clone(), event.at);
        last.is_some_and(|last| event.at.saturating_sub(last) < BLINK)
    }
}

/// The line for `event`; `None` if it is not told.
pub fn line(event: &Event, colours: bool, detail: Detail) -> Option<String> {
    let style = |style: Style| style.force_styling(colours);
    let plain = style(Style::new());
    if event.host == super::NARRATOR {
        return Some(format!("\n{}", plain.bold().underlined().apply_to(&event.text)));
    }
    if detail == Detail::Story && !is_told(event) {
        return None;
    }
    let (mark, look) = match &event.kind {
        EventKind::Action => ("☞", plain.clone().bold()),
        EventKind::Screen { .. } => ("▣", plain.clone().cyan()),
        EventKind::Level { lit: true } => ("●", plain.clone().yellow()),
        EventKind::Level { lit: false } => ("○", plain.clone().dim()),
        EventKind::Step { .. } => ("·", plain.clone()),
        EventKind::Security { .. } => ("!", plain.clone().red().bold()),
        EventKind::Failure { .. } => ("✗", plain.clone().red().bold()),
        EventKind::Artefact { .. } => ("✉", plain.clone().dim()),
        _ => (" ", plain.clone().dim()),
    };
    let lamp = if event.lane == Lane::Lamp { "lamp " } else { "" };
    let ids = match &event.kind {
        EventKind::Step { ids } => format!("[{}] ", ids.join(" ")),
        EventKind::Security { code } | EventKind::Failure { code } => format!("{code}: "),
        EventKind::Artefact { path } if *path != event.text => format!("{path}: "),
        _ => String::new(),
    };
    let text = match &event.kind {
        EventKind::Screen { words, .. } if detail == Detail::Story && !words.is_empty() => spoken(words),
        _ => event.text.clone(),
    };
    let host = style(colour(event)).apply_to(format!("{:<10}", event.host));
    let time = plain.clone().dim().apply_to(format!("{:>7.3} s", event.at.as_secs_f64()));
    let text = look.apply_to(text);
    let ids = plain.dim().apply_to(ids);
    Some(format!("{time}  {host} {mark} {ids}{lamp}{text}").trim_end().to_owned())
}

/// Whether `event` belongs to the story.
fn is_told(event: &Event) -> bool {
    match &event.kind {
        EventKind::Action | EventKind::Level { .. } | EventKind::Security { .. } | EventKind::Failure { .. } => true,
        // It lasts for the blink of an eye, and what comes of it is told.
        EventKind::Screen { screen, .. } => *screen != ScreenKind::Checking,
        EventKind::Step { ids } => {
            let numbered: Vec<_> = ids.iter().filter(|id| id.starts_with("ST")).collect();
            let matters = match event.lane {
                _ if !numbered.is_empty() => numbered.iter().any(|id| !QUIET.contains(id)),
                Lane::Terminal | Lane::History => true,
                _ => ids.iter().any(|id| LOUD.contains(id)),
            };
            // The terminal has told that it asks.
            matters && !(event.lane == Lane::Adapter && ids.contains(&"ST912"))
        }
        _ => false,
    }
}

/// The words of a screen, without those that another of its words says again.
fn spoken(words: &[String]) -> String {
    let others = |own: usize| words.iter().enumerate().filter(move |(other, _)| *other != own);
    let said = |own: usize, word: &String| {
        others(own).any(|(other, longer)| longer.contains(word.as_str()) && (longer != word || other < own))
    };
    let kept = words.iter().enumerate().filter(|(own, word)| !said(*own, word));
    kept.map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(" / ")
}

/// People in bold, each office's machines in a colour of its own.
fn colour(event: &Event) -> Style {
    let style = Style::new();
    if event.lane == Lane::Person {
        return style.bold().white();
    }
    match event.host.rsplit_once('-').map_or("", |(_, office)| office) {
        "a" => style.green(),
        "b" => style.magenta(),
        "c" => style.yellow(),
        _ => style.blue(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::report::sample;
    use std::path::Path;

    fn told(detail: Detail) -> String {
        let printer = LivePrinter::new(Vec::new(), false, detail);
        for event in &sample::report(Path::new(".")).results[0].events {
            printer.print(event);
        }
        String::from_utf8(printer.out.into_inner().unwrap()).unwrap()
    }

    #[test]
    fn the_story() {
        insta::assert_snapshot!(told(Detail::Story));
    }

    #[test]
    fn everything() {
        insta::assert_snapshot!(told(Detail::Everything));
    }

    #[test]
    fn a_screen_says_a_name_once() {
        let words =
            ["佐藤 花子", "佐藤 花子 様 親展文書", "Hanako, a document", "Hanako, a document"].map(str::to_owned);
        assert_eq!(spoken(&words), "佐藤 花子 様 親展文書 / Hanako, a document");
    }

    #[test]
    fn what_ends_badly_is_always_told() {
        let quiet = |id: &'static str| {
            let kind = EventKind::Step { ids: vec![id] };
            let at = Duration::ZERO;
            !is_told(&Event { at, lane: Lane::Adapter, host: "adapter-a".into(), text: String::new(), kind })
        };
        assert!(quiet("ST605"));
        for id in ["S1", "ST611", "ST613", "ST614", "ST615", "ST804", "ST906", "ST911", "ST916", "ST920"] {
            assert!(!quiet(id), "{id}");
        }
    }

    #[test]
    fn colours_only_where_wanted() {
        let events = sample::report(Path::new(".")).results.remove(0).events;
        assert!(line(&events[1], true, Detail::Story).unwrap().contains("\u{1b}["));
        assert!(!line(&events[1], false, Detail::Story).unwrap().contains("\u{1b}["));
    }
}
