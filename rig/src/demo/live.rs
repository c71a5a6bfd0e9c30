//! The live printer: what happens where, with times, one line an event, quiet enough to follow.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use console::Style;

use crate::events::{Event, EventKind, Lane};

/// A lamp that changes faster than this blinks: only the first change is told.
const BLINK: Duration = Duration::from_millis(1200);

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// People, screens, lamps, steps, mails, and whatever went wrong.
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
    let (mark, look) = match &event.kind {
        EventKind::Action => ("☞", plain.clone().bold()),
        EventKind::Screen { .. } => ("▣", plain.clone().cyan()),
        EventKind::Level { lit: true } => ("●", plain.clone().yellow()),
        EventKind::Level { lit: false } => ("○", plain.clone().dim()),
        EventKind::Step { .. } => ("·", plain.clone()),
        EventKind::Security { .. } => ("!", plain.clone().red().bold()),
        EventKind::Failure { .. } => ("✗", plain.clone().red().bold()),
        EventKind::Artefact { .. } => ("✉", plain.clone().dim()),
        _ if detail == Detail::Everything => (" ", plain.clone().dim()),
        _ => return None,
    };
    let lamp = if event.lane == Lane::Lamp { "lamp " } else { "" };
    let ids = match &event.kind {
        EventKind::Step { ids } => format!("[{}] ", ids.join(" ")),
        EventKind::Security { code } | EventKind::Failure { code } => format!("{code}: "),
        _ => String::new(),
    };
    let host = style(colour(event)).apply_to(format!("{:<12}", event.host));
    let time = plain.clone().dim().apply_to(format!("{:>8.3} s", event.at.as_secs_f64()));
    let text = look.apply_to(&event.text);
    let ids = plain.dim().apply_to(ids);
    Some(format!("{time}  {host} {mark} {ids}{lamp}{text}").trim_end().to_owned())
}

/// The same colour for the same host, people in bold.
fn colour(event: &Event) -> Style {
    let hash = event.host.bytes().fold(7u32, |hash, octet| hash.wrapping_mul(31).wrapping_add(u32::from(octet)));
    let style = Style::new();
    if event.lane == Lane::Person {
        return style.bold().white();
    }
    match hash % 5 {
        0 => style.green(),
        1 => style.blue(),
        2 => style.magenta(),
        3 => style.cyan(),
        _ => style.yellow(),
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
    fn colours_only_where_wanted() {
        let events = sample::report(Path::new(".")).results.remove(0).events;
        assert!(line(&events[1], true, Detail::Story).unwrap().contains("\u{1b}["));
        assert!(!line(&events[1], false, Detail::Story).unwrap().contains("\u{1b}["));
    }
}
