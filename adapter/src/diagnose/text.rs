//! A report for people: one line a check, with a sign and a word beside the colour, then each finding with its cause and
//! the one next thing to do.

use std::time::Duration;

use ratatui::text::Line;
use sealfax_drivers::display::Language;

use super::catalogue::Severity;
use super::report::{Check, Health, Report, State, rfc3339};
use super::words::{Words, words};

const TITLE_WIDTH: usize = 24;
const STATE_WIDTH: usize = 10;

/// Sign and word of a check's end: never colour alone.
pub fn mark(check: &Check) -> (&'static str, Words) {
    match check.judgement.state {
        State::Ok if check.warns() => ("!", words("注意", "warning")),
        State::Ok => ("✓", words("良", "ok")),
        State::Failed => ("✗", words("故障", "FAILED")),
        State::Blocked(_) => ("…", words("待ち", "blocked")),
        State::Skipped(_) => ("-", words("対象外", "skipped")),
        State::Unknown(_) => ("?", words("不明", "unknown")),
    }
}

/// What a check's line says behind its title.
pub fn summary(check: &Check, language: Language) -> String {
    if let Some(finding) = check.judgement.findings.first() {
        let more = match check.judgement.findings.len() {
            0 | 1 => String::new(),
            n => format!(" (+{})", n - 1),
        };
        return format!("{}  {}{more}", finding.entry.code, finding.entry.title.in_language(language));
    }
    match check.judgement.state {
        State::Blocked(by) => {
            let by = by.title().in_language(language);
            match language {
                Language::Japanese => format!("「{by}」が直ってから"),
                Language::English => format!("until mended: {by}"),
            }
        }
        State::Skipped(why) | State::Unknown(why) => why.in_language(language).to_owned(),
        State::Ok | State::Failed => String::new(),
    }
}

/// Lines that explain each finding of a check.
pub fn explanation(check: &Check, language: Language) -> Vec<String> {
    let [cause, next, seen] = match language {
        Language::Japanese => ["考えられる原因", "次にすること", "確認した事実"],
        Language::English => ["likely cause", "do next", "seen"],
    };
    let mut lines = Vec::new();
    for finding in &check.judgement.findings {
        let entry = finding.entry;
        let subject = if finding.subject.is_empty() { String::new() } else { format!(" [{}]", finding.subject) };
        lines.push(format!("{}  {}{subject}", entry.code, entry.title.in_language(language)));
        lines.push(format!("    {cause}: {}", entry.cause.in_language(language)));
        lines.push(format!("    {next}: {}", entry.action.in_language(language)));
        lines.extend(finding.evidence.iter().map(|one| format!("    {seen}: {} = {}", one.name, one.value)));
    }
    lines
}

/// The whole report.
pub fn report(report: &Report, language: Language) -> String {
    let mut out = format!("{}  {}\n\n", report.tool, rfc3339(report.at));
    for check in &report.checks {
        let (sign, word) = mark(check);
        let word = padded(word.in_language(language), STATE_WIDTH);
        let title = padded(check.area.title().in_language(language), TITLE_WIDTH);
        let line = format!("{sign} {word}{title}{}{}", summary(check, language), took(check.took));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    // A check with several findings is explained once.
    let mut explained = Vec::new();
    for (check, _) in report.findings() {
        if !explained.contains(&check.area) {
            explained.push(check.area);
            out.push('\n');
            for line in explanation(check, language) {
                out.push_str(&line);
                out.push('\n');
            }
        }
    }
    out.push('\n');
    out.push_str(&ending(report, language));
    out.push('\n');
    out
}

/// How it is altogether, in a sentence.
pub fn ending(report: &Report, language: Language) -> String {
    let count = |severity| report.findings().iter().filter(|(_, one)| one.entry.severity == severity).count();
    let (failures, warnings) = (count(Severity::Failure), count(Severity::Warning));
    match (report.health(), language) {
        (Health::Healthy, Language::Japanese) => "異常はありません。".to_owned(),
        (Health::Healthy, Language::English) => "Nothing is wrong.".to_owned(),
        (Health::Warnings, Language::Japanese) => format!("注意が{warnings}件あります。"),
        (Health::Warnings, Language::English) => format!("{warnings} to look at, nothing broken."),
        (Health::Failing, Language::Japanese) => format!("故障が{failures}件、注意が{warnings}件あります。"),
        (Health::Failing, Language::English) => format!("{failures} broken, {warnings} to look at."),
    }
}

fn took(took: Duration) -> String {
    match took.as_millis() {
        // Replayed, or too quick to speak of.
        0..100 => String::new(),
        milliseconds => format!("  ({:.1} s)", milliseconds as f64 / 1000.0),
    }
}

/// Filled up with spaces to a width in columns of the terminal; a Japanese character takes two.
pub fn padded(text: &str, width: usize) -> String {
    let taken = Line::from(text).width();
    format!("{text}{}", " ".repeat(width.saturating_sub(taken).max(1)))
}
