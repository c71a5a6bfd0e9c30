//! `report.html`: the whole run in one self-contained page that a person likes to read. No octet comes from elsewhere,
//! everything that was said by anybody is escaped, and it opens without script too; script adds zoom and filters.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{RunReport, ScenarioResult, Verdict, picture};
use crate::events::{Event, EventKind, Lane};
use crate::requirements::{self, Traceability};

mod timeline;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// Beyond so many octets of pictures the rest is embedded at half size; beyond twice as many, not at all.
const PICTURE_BUDGET: usize = 1_400_000;
/// Longest mail shown, in octets.
const LONGEST_MAIL: usize = 64 * 1024;
/// Most rows of one scenario's story.
const MOST_ROWS: usize = 5_000;

/// The page. `folder` is where it will lie, so that links to artefacts are relative.
pub fn render(report: &RunReport, folder: &Path) -> String {
    let mut pictures = Pictures::default();
    let mut scenarios = String::new();
    for (number, result) in report.results.iter().enumerate() {
        scenario(&mut scenarios, report, result, number, folder, &mut pictures);
    }
    let mut page = String::with_capacity(scenarios.len() + 64 * 1024);
    let verdict = report.verdict();
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none';img-src data:;style-src 'unsafe-inline';script-src 'unsafe-inline'\">\
         <title>{} {} · Sealfax rig</title><style>{STYLE}{}</style><body>",
        verdict.mark(),
        escape(&report.bench),
        pictures.style(),
    );
    summary(&mut page, report, verdict);
    page.push_str(&scenarios);
    table(&mut page, report);
    let _ = write!(page, "<div id=zoomed hidden></div><script>{SCRIPT}</script></body></html>");
    page
}

/// `&`, `<`, `>`, and both quotes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Direction marks could make a line read otherwise than it is.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
            }
            control if control.is_control() && control != '\n' && control != '\t' => {
                let _ = write!(safe, "\\x{:02x}", u32::from(control));
            }
            other => safe.push(other),
        }
    }
    safe
}

/// Each picture once, as a CSS class.
#[derive(Default)]
struct Pictures {
    by_file: BTreeMap<[u8; 32], Option<usize>>,
    by_octets: BTreeMap<Vec<u8>, usize>,
    spent: usize,
}

impl Pictures {
    /// The class of the picture at `path`; `None` if it cannot be shown.
    fn class(&mut self, path: &Path) -> Option<String> {
        let original = fs::read(path).ok()?;
        let digest: [u8; 32] = Sha256::digest(&original).into();
        let number = match self.by_file.get(&digest) {
            Some(known) => *known,
            None => {
                let number = self.embed(&original);
                self.by_file.insert(digest, number);
                number
            }
        };
        number.map(|number| format!("p{number}"))
    }

    fn embed(&mut self, original: &[u8]) -> Option<usize> {
        if self.spent > 2 * PICTURE_BUDGET {
            return None;
        }
        let octets = picture::small(original, self.spent > PICTURE_BUDGET)?;
        let next = self.by_octets.len();
        let length = octets.len();
        let number = *self.by_octets.entry(octets).or_insert(next);
        if number == next {
            self.spent += length;
        }
        Some(number)
    }

    fn style(&self) -> String {
        let mut style = String::new();
        for (octets, number) in &self.by_octets {
            let _ =
                write!(style, ".p{number}{{background-image:url(data:image/png;base64,{})}}", STANDARD.encode(octets));
        }
        style
    }
}

fn summary(page: &mut String, report: &RunReport, verdict: Verdict) {
    let started = time::OffsetDateTime::from(report.started);
    let started = started.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    let started = started.split('.').next().unwrap_or(&started).trim_end_matches('Z').replace('T', " ");
    let seconds: f64 = report.results.iter().map(|result| result.elapsed.as_secs_f64()).sum();
    let headline = match verdict {
        Verdict::Pass => "Everything passed",
        Verdict::Flaky => "Passed, but not every time",
        Verdict::Unsupported => "Not everything could be run here",
        Verdict::Fail => "Something failed",
        Verdict::InfraError => "The bench broke",
    };
    let _ = write!(
        page,
        "<header class={0}><p class=brand>Sealfax rig</p><h1><span class=mark>{1}</span> {headline}</h1>\
         <p class=facts>{2} scenario{3} on bench <b>{4}</b> · seed <b>{5}</b> · {seconds:.2} s · {started} UTC</p><ul class=counts>",
        verdict.name(),
        verdict.mark(),
        report.results.len(),
        if report.results.len() == 1 { "" } else { "s" },
        escape(&report.bench),
        report.seed,
    );
    for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Flaky, Verdict::InfraError, Verdict::Unsupported] {
        let count = report.count(verdict);
        let quiet = if count == 0 { " quiet" } else { "" };
        let _ = write!(page, "<li class='{0}{quiet}'><b>{count}</b> {0}</li>", verdict.name());
    }
    page.push_str("</ul></header><main>");
    if report.results.len() > 1 {
        page.push_str("<section><h2>Scenarios</h2><table class=list>");
        for (number, result) in report.results.iter().enumerate() {
            let _ = write!(
                page,
                "<tr class={}><td class=mark>{}<td><a href='#s{number}'>{}</a><td>{}<td class=num>{:.2} s",
                result.verdict.name(),
                result.verdict.mark(),
                escape(&result.name),
                escape(result.why.as_deref().unwrap_or(&result.title)),
                result.elapsed.as_secs_f64(),
            );
        }
        page.push_str("</table></section>");
    }
}

fn scenario(
    page: &mut String,
    report: &RunReport,
    result: &ScenarioResult,
    number: usize,
    folder: &Path,
    pictures: &mut Pictures,
) {
    let open = if report.results.len() == 1 || result.verdict >= Verdict::Fail { " open" } else { "" };
    let _ = write!(
        page,
        "<details class='scenario {0}' id=s{number}{open}><summary><span class=mark>{1}</span><h2>{2}</h2><span class=num>{3:.2} s</span></summary><p class=title>{4}</p>",
        result.verdict.name(),
        result.verdict.mark(),
        escape(&result.name),
        result.elapsed.as_secs_f64(),
        escape(&result.title),
    );
    if let Some(why) = &result.why {
        let _ = write!(page, "<p class=why><b>{}</b> {}</p>", result.verdict.name(), escape(why));
    }
    let ids = super::json::exercised_by(result);
    if !ids.is_empty() {
        page.push_str("<p class=ids>");
        for id in ids {
            let _ = write!(page, "<a href='#r-{0}'>{0}</a> ", escape(&id));
        }
        page.push_str("</p>");
    }
    if !result.events.is_empty() {
        film(page, result, number, pictures);
        timeline::draw(page, &result.events, number);
        story(page, result, number, pictures);
        wires(page, &result.events);
    }
    artefacts(page, result, folder);
    page.push_str("</details>");
}

/// Seconds with milliseconds.
fn at(event: &Event) -> String {
    format!("{:.3}", event.at.as_secs_f64())
}

/// The screens in order, a strip for each adapter.
fn film(page: &mut String, result: &ScenarioResult, number: usize, pictures: &mut Pictures) {
    let mut strips: BTreeMap<&str, String> = BTreeMap::new();
    for (index, event) in result.events.iter().enumerate() {
        let EventKind::Screen { words, png, .. } = &event.kind else { continue };
        let strip = strips.entry(&event.host).or_default();
        let class = png.as_ref().and_then(|png| pictures.class(&result.folder.join(png)));
        let words = escape(&words.join(" / "));
        let _ = match class {
            Some(class) => {
                write!(strip, "<figure><button class='shot {class}' title='{words}' aria-label='{words}'></button>")
            }
            None => write!(strip, "<figure><div class='shot words'>{words}</div>"),
        };
        let _ = write!(strip, "<figcaption><a href='#e{number}-{index}'>{} s</a></figcaption></figure>", at(event));
    }
    if strips.is_empty() {
        return;
    }
    page.push_str("<h3>What people saw</h3>");
    for (host, strip) in strips {
        let _ = write!(page, "<h4>{}</h4><div class=film>{strip}</div>", escape(host));
    }
}

/// Every event but the lines of the wire, one row each.
fn story(page: &mut String, result: &ScenarioResult, number: usize, pictures: &mut Pictures) {
    page.push_str("<details class=fold open><summary><h3>What happened</h3></summary><p class=filters>");
    let mut present: Vec<Lane> = result.events.iter().map(|event| event.lane).collect();
    present.sort();
    present.dedup();
    for lane in Lane::ALL.into_iter().filter(|lane| present.contains(lane)) {
        if !matches!(lane, Lane::Smtp | Lane::Pop3 | Lane::Http) {
            let _ = write!(page, "<label><input type=checkbox checked value={0}>{0}</label>", lane.name());
        }
    }
    page.push_str("</p><table class=story>");
    let rows = result.events.iter().enumerate();
    let rows = rows.filter(|(_, event)| !matches!(event.kind, EventKind::Wire { .. }));
    for (index, event) in rows.take(MOST_ROWS) {
        let (class, extra) = match &event.kind {
            EventKind::Step { ids } => {
                ("step", ids.iter().map(|id| format!("<a class=id href='#r-{id}'>{id}</a> ")).collect())
            }
            EventKind::Security { code } => ("security", format!("<b class=code>{}</b> ", escape(code))),
            EventKind::Failure { code } => ("failure", format!("<b class=code>{}</b> ", escape(code))),
            EventKind::Action => ("action", String::new()),
            EventKind::Level { lit: true } => ("level lit", "<i>●</i> ".to_owned()),
            EventKind::Level { lit: false } => ("level", "<i>○</i> ".to_owned()),
            EventKind::Tone { hertz } => ("tone", if hertz.is_some() { "♪ ".into() } else { String::new() }),
            EventKind::Screen { png, .. } => {
                let class = png.as_ref().and_then(|png| pictures.class(&result.folder.join(png)));
                let shot = class.map(|class| format!("<button class='shot tiny {class}' aria-label=screen></button> "));
                ("screen", shot.unwrap_or_default())
            }
            _ if event.host == crate::demo::NARRATOR => ("chapter", String::new()),
            _ => ("note", String::new()),
        };
        let _ = write!(
            page,
            "<tr id=e{number}-{index} class='{class}' data-lane={lane}><td>{}<td style=--h:{}>{}<td>{lane}<td>{extra}{}",
            at(event),
            hue(&event.host),
            escape(&event.host),
            escape(&event.text),
            lane = event.lane.name(),
        );
    }
    page.push_str("</table></details>");
}

/// A colour for a host, the same wherever it appears: hosts of a kind are near each other, sites apart.
pub(super) fn hue(host: &str) -> u32 {
    let base = match Lane::of_host(host) {
        Lane::Adapter => 205,
        Lane::Terminal => 25,
        Lane::History => 285,
        Lane::Dns => 90,
        _ if host.starts_with("mail") => 145,
        _ => 330,
    };
    let site = host.rsplit(['-', ' ']).next().and_then(|site| site.bytes().next()).unwrap_or(0);
    (base + u32::from(site.to_ascii_lowercase() % 4) * 20 + 320) % 360
}

/// The dialogues, each folded.
fn wires(page: &mut String, events: &[Event]) {
    let mut dialogues: BTreeMap<u32, (String, &Event, usize)> = BTreeMap::new();
    for event in events {
        let EventKind::Wire { connection, direction, octets, .. } = &event.kind else { continue };
        let (dialogue, _, lines) = dialogues.entry(*connection).or_insert_with(|| (String::new(), event, 0));
        *lines += 1;
        let (class, arrow) = match direction {
            crate::events::Direction::ToServer => ("out", "→"),
            crate::events::Direction::ToClient => ("in", "←"),
        };
        let _ = write!(
            dialogue,
            "<tr class={class} title='{octets} octets'><td class=num>{}<td>{arrow}<td><code>{}</code>",
            at(event),
            escape(&event.text)
        );
    }
    if dialogues.is_empty() {
        return;
    }
    page.push_str("<details class=fold><summary><h3>On the wires</h3></summary>");
    for (dialogue, first, lines) in dialogues.values() {
        let EventKind::Wire { from, to, direction, .. } = &first.kind else { continue };
        let (client, server) = match direction {
            crate::events::Direction::ToServer => (from, to),
            crate::events::Direction::ToClient => (to, from),
        };
        let _ = write!(
            page,
            "<details class=wire><summary><span class=num>{}</span> <b>{}</b> {} → {} <span class=dim>{lines} lines</span></summary><table>{dialogue}</table></details>",
            at(first),
            first.lane.name().to_ascii_uppercase(),
            escape(client),
            escape(server),
        );
    }
    page.push_str("</details>");
}

/// Mails folded, other files as links.
fn artefacts(page: &mut String, result: &ScenarioResult, folder: &Path) {
    let paths = result.artefacts();
    if paths.is_empty() {
        return;
    }
    page.push_str("<details class=fold><summary><h3>Files</h3></summary>");
    for path in paths {
        let whole = result.folder.join(path);
        let link = whole.strip_prefix(folder).unwrap_or(&whole).display().to_string();
        if path.ends_with(".eml") {
            let mail = fs::read(&whole).unwrap_or_default();
            let shown = String::from_utf8_lossy(mail.get(..LONGEST_MAIL.min(mail.len())).unwrap_or_default());
            let cut = if mail.len() > LONGEST_MAIL { "\n[…]" } else { "" };
            let _ = write!(
                page,
                "<details class=wire><summary>✉ <b>{0}</b> <span class=dim>{1} octets</span></summary><p><a href='{0}'>{0}</a></p><pre>{2}{cut}</pre></details>",
                escape(&link),
                mail.len(),
                escape(&shown.replace("\r\n", "\n")),
            );
        } else {
            let _ = write!(page, "<p class=file><a href='{0}'>{0}</a></p>", escape(&link));
        }
    }
    page.push_str("</details>");
}

fn table(page: &mut String, report: &RunReport) {
    let traceability = Traceability::of(report);
    let covered = traceability.exercised.len() - traceability.unexercised.len();
    let _ = write!(
        page,
        "<section><h2>Requirements</h2><p class=facts><b>{covered}</b> of {} exercised by passing scenarios</p><table class=requirements>",
        traceability.exercised.len()
    );
    let mut ids: Vec<_> = traceability.exercised.iter().collect();
    ids.sort_by_key(|(id, _)| requirements::order(id));
    for (id, scenarios) in ids {
        let text = requirements::all().get(id).map_or("", |requirement| requirement.text.as_str());
        let (class, mark) = if scenarios.is_empty() { ("none", "○") } else { ("some", "●") };
        let _ =
            write!(page, "<tr id='r-{0}' class={class}><td>{mark}<td><b>{0}</b><td>{1}<td>", escape(id), escape(text));
        for name in scenarios {
            let number = report.results.iter().position(|result| result.name == *name).unwrap_or(0);
            let _ = write!(page, "<a href='#s{number}'>{}</a> ", escape(name));
        }
        if let Some(why) = traceability.unexercised.get(id) {
            let _ = write!(page, "<span class=dim>{}</span>", escape(why));
        }
    }
    page.push_str("</table></section><section><h2>Environment</h2><table class=list>");
    for (name, value) in &report.environment {
        let _ = write!(page, "<tr><td>{}<td><code>{}</code>", escape(name), escape(value));
    }
    page.push_str("</table></section></main>");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::report::sample;

    #[test]
    fn nobody_elses_words_become_markup_and_nothing_comes_from_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("mail")).unwrap();
        fs::create_dir_all(folder.path().join("screens")).unwrap();
        fs::write(folder.path().join("mail/1-submitted.eml"), "Subject: <img src=x>\r\n\r\n</pre>").unwrap();
        let shot = picture::test_picture(128, 72, |x, _| [x as u8, 0, 0]);
        fs::write(folder.path().join("screens/001.png"), shot).unwrap();
        let page = render(&sample::report(folder.path()), folder.path());
        for planted in ["<script>alert", "<img src=x>", "250 <b>", "<the LCD>"] {
            assert!(!page.contains(planted), "{planted}");
        }
        for outside in ["http://", "https://", "<img", "<link", "<script src", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("data:image/png;base64,").count(), 1);
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }

    #[test]
    fn escaping_leaves_no_direction_marks() {
        assert_eq!(escape("a\u{202e}b'\"<\u{7}"), "a\\u{202e}b&#39;&quot;&lt;\\x07");
    }
}
