//! `report.html`: the whole run in one self-contained page that a person likes to read. No octet comes from elsewhere and
//! everything that was said by anybody stays words. Verdicts, reasons and the requirement table are there without script;
//! what a scenario did is unpacked and drawn when somebody opens it, so that hundreds of them open at once.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::escape::escape;
use super::table::{self, Line};
use super::{RunReport, ScenarioResult, Verdict};
use crate::events::Lane;
use data::Detail;
use pictures::Pictures;

mod data;
mod mails;
mod pictures;

const STYLE: &str = include_str!("html/page.css");
/// In this order: each uses what stands before it.
const SCRIPT: &str = concat!(
    "'use strict';(()=>{\n",
    include_str!("html/elements.js"),
    include_str!("html/model.js"),
    include_str!("html/marks.js"),
    include_str!("html/timeline.js"),
    include_str!("html/detail.js"),
    include_str!("html/page.js"),
    "})();"
);

/// Beyond so many octets of scenarios, what was said on the wires is embedded only of those that did not pass.
const DATA_BUDGET: usize = 2_000_000;
/// Beyond so many, of those that passed nothing but their line.
const MOST_DATA: usize = 2_400_000;

/// The page. `folder` is where it will lie, so that links to artefacts are relative.
pub fn render(report: &RunReport, folder: &Path) -> String {
    let mut pictures = Pictures::default();
    let blocks = blocks(report, folder, &mut pictures);
    let octets: usize = blocks.iter().flatten().map(String::len).sum();
    let mut page = String::with_capacity(octets + 4 * 1024 * 1024);
    let verdict = report.verdict();
    // The one script that runs is this one: what slipped in between would not.
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none';img-src blob:;style-src 'unsafe-inline';script-src 'sha256-{hash}'\">\
         <title>{} {} · Sealfax rig</title><style>{STYLE}</style><body>",
        verdict.mark(),
        escape(&report.bench),
    );
    summary(&mut page, report, verdict);
    scenarios(&mut page, report, &blocks);
    requirements(&mut page, report);
    threats(&mut page, report);
    environment(&mut page, report);
    page.push_str("</main>");
    for (number, block) in blocks.iter().enumerate() {
        if let Some(block) = block {
            let _ = write!(page, "<script type=text/plain id=d{number}>{block}</script>");
        }
    }
    pictures.write(&mut page);
    let lanes: Vec<&str> = Lane::ALL.into_iter().map(Lane::name).collect();
    let _ = write!(page, "<script type=text/plain id=lanes>{}</script>", lanes.join(" "));
    let _ = write!(page, "<script>{SCRIPT}</script></body></html>");
    page
}

/// What each scenario is drawn from. Those that went wrong come first where room is short: they are what is looked at.
fn blocks(report: &RunReport, folder: &Path, pictures: &mut Pictures) -> Vec<Option<String>> {
    let mut blocks = vec![None; report.results.len()];
    let mut spent = 0;
    for index in worst_first(report) {
        let (Some(result), Some(block)) = (report.results.get(index), blocks.get_mut(index)) else { continue };
        let passed = matches!(result.verdict, Verdict::Pass | Verdict::Unsupported);
        if result.events.is_empty() || (passed && spent > MOST_DATA) {
            continue;
        }
        let detail = if passed && spent > DATA_BUDGET { Detail::WithoutWires } else { Detail::Everything };
        let packed = data::pack(result, folder, detail, pictures);
        spent += packed.len();
        *block = Some(packed);
    }
    blocks
}

/// Places in the run's results: what needs somebody first, otherwise in the order in which they ran.
fn worst_first(report: &RunReport) -> Vec<usize> {
    let mut order: Vec<usize> = (0..report.results.len()).collect();
    order.sort_by_key(|index| rank(report, *index));
    order
}

/// What needs somebody first is least.
fn rank(report: &RunReport, index: usize) -> u8 {
    report.results.get(index).map_or(0, |result| match result.verdict {
        Verdict::Fail => 0,
        Verdict::InfraError => 1,
        Verdict::Flaky => 2,
        Verdict::Unsupported => 3,
        Verdict::Pass => 4,
    })
}

fn summary(page: &mut String, report: &RunReport, verdict: Verdict) {
    let started = time::OffsetDateTime::from(report.started);
    let started = started.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    let started = started.split('.').next().unwrap_or(&started).trim_end_matches('Z').replace('T', " ");
    let seconds: f64 = report.results.iter().map(|result| result.elapsed.as_secs_f64()).sum();
    let headline = match verdict {
        Verdict::Pass => "Everything passed",
        Verdict::Flaky => "Passed, but not every time",
        Verdict::Unsupported => "Passed, as far as this bench can tell",
        Verdict::Fail => "Something failed",
        Verdict::InfraError => "The bench broke",
    };
    let _ = write!(
        page,
        "<header class={}><p class=brand>Sealfax rig</p><h1><span class=mark>{}</span> {headline}</h1>\
         <p class=facts>{} scenario{} on bench <b>{}</b> · seed <b>{}</b> · {seconds:.2} s · {started} UTC</p><ul class=counts>",
        verdict.name(),
        verdict.mark(),
        report.results.len(),
        if report.results.len() == 1 { "" } else { "s" },
        escape(&report.bench),
        report.seed,
    );
    for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Flaky, Verdict::InfraError, Verdict::Unsupported] {
        let count = report.count(verdict);
        let _ = write!(
            page,
            "<li><button class='count {0}' data-v={0} aria-pressed=true{1}>{2} <b>{count}</b> {0}</button>",
            verdict.name(),
            if count == 0 { " disabled" } else { "" },
            verdict.mark(),
        );
    }
    page.push_str(
        "</ul></header><nav class=bar><input type=search id=search aria-label='Filter scenarios and requirements' \
         placeholder='Filter: words, a name, ST605 …'><select id=sort aria-label=Order><option value=worst>worst first\
         <option value=run>as they ran<option value=slow>slowest first<option value=name>by name</select>\
         <output id=shown></output><span class=links><a href='#scenarios'>Scenarios</a> <a href='#requirements'>Requirements</a> <a href='#threats'>Threats</a> \
         <a href='#environment'>Environment</a> <button id=theme>Light or dark</button></span></nav><main>\
         <noscript><p class=note>Timelines, screens and mails are drawn by this page's own script, which is switched off \
         here. The same lies beside this page: events.jsonl, screens/ and mail/.</noscript>",
    );
}

fn scenarios(page: &mut String, report: &RunReport, blocks: &[Option<String>]) {
    page.push_str("<section id=scenarios><h2>Scenarios</h2><div id=list>");
    let longest = report.results.iter().map(|result| result.elapsed.as_secs_f64()).fold(0.001, f64::max);
    for index in worst_first(report) {
        if let Some(result) = report.results.get(index) {
            scenario(page, result, index, longest, blocks.get(index).is_some_and(Option::is_some));
        }
    }
    page.push_str("</div><p class=note id=nothing hidden>Nothing here is like that.</p></section>");
}

fn scenario(page: &mut String, result: &ScenarioResult, index: usize, longest: f64, packed: bool) {
    let seconds = result.elapsed.as_secs_f64();
    let _ = write!(
        page,
        "<details class='scenario {0}' id='s-{1}' data-n={index} data-v={0} data-t={seconds:.3} data-ids='{2}'><summary>\
         <span class=badge>{3} {0}</span><h3>{1}</h3><span class=title>{4}</span>\
         <span class=took><meter min=0 max={longest:.3} value={seconds:.3} aria-hidden=true></meter>{seconds:.2} s</span>",
        result.verdict.name(),
        escape(&result.name),
        escape(&super::json::exercised_by(result).join(" ")),
        result.verdict.mark(),
        escape(&result.title),
    );
    if let Some(why) = &result.why {
        let _ = write!(page, "<span class=why>{}</span>", escape(why));
    }
    page.push_str("</summary><div class=detail>");
    if !packed {
        let words = if result.events.is_empty() {
            "Nothing happened before it ended."
        } else {
            "Its events are in events.jsonl beside this page, which has no room for them."
        };
        let _ = write!(page, "<p class=note>{words}</p>");
    }
    page.push_str("</div></details>");
}

fn requirements(page: &mut String, report: &RunReport) {
    let lines = table::table(report);
    let count = |verdict| lines.iter().filter(|line| line.verdict == verdict).count();
    let _ = write!(
        page,
        "<section id=requirements><h2>Requirements</h2><p class=facts><b>{}</b> of {} shown to hold · <b>{}</b> fail · \
         <b>{}</b> not exercised; counted from what ran, never typed. <label><input type=checkbox id=open> only what is not shown to hold</label></p>\
         <div class=wide><table class=requirements><thead><tr><th scope=col>Verdict<th scope=col>ID<th scope=col>Words<th scope=col>Scenarios</thead><tbody>",
        count(Some(Verdict::Pass)),
        lines.len(),
        count(Some(Verdict::Fail)),
        count(None),
    );
    for line in &lines {
        requirement(page, report, line);
    }
    page.push_str("</tbody></table></div></section>");
}

fn threats(page: &mut String, report: &RunReport) {
    page.push_str(
        "<section id=threats><h2>Threats</h2><p class=facts>What attackers and mishaps would do, and what came of it.</p>\
         <div class=wide><table class=requirements><thead><tr><th scope=col>Verdict<th scope=col>Name<th scope=col>Words<th scope=col>Scenarios</thead><tbody>",
    );
    for line in &table::threats(report) {
        requirement(page, report, line);
    }
    page.push_str("</tbody></table></div></section>");
}

fn requirement(page: &mut String, report: &RunReport, line: &Line<'_>) {
    let (class, mark) = line.verdict.map_or(("none", "○"), |verdict| (verdict.name(), verdict.mark()));
    let _ = write!(
        page,
        "<tr id='r-{0}' class={class}><td><span class=badge>{mark} {1}</span><th scope=row>{0}<td>{2}<td>",
        escape(line.id),
        line.verdict_name(),
        escape(line.text),
    );
    if let Some(why) = line.why {
        let _ = write!(page, "<span class=dim>{}</span> ", escape(why));
    }
    let mut scenarios = line.scenarios.clone();
    scenarios.sort_by_key(|index| rank(report, *index));
    for index in scenarios.iter().take(3) {
        let Some(result) = report.results.get(*index) else { continue };
        let _ = write!(page, "<a href='#s-{0}'>{1} {0}</a> ", escape(&result.name), result.verdict.mark());
    }
    if let Some(more) = scenarios.get(3..).filter(|more| !more.is_empty()) {
        let _ = write!(page, "<button class=more data-s='{}'>and {} more</button>", ranges(more), more.len());
    }
}

/// `0-4 7`: a requirement that every story meets names hundreds of them.
fn ranges(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let words = ranges.iter().map(|(first, last)| match last {
        last if last == first => first.to_string(),
        last => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn environment(page: &mut String, report: &RunReport) {
    page.push_str("<section id=environment><h2>Environment</h2>");
    let is_hash = |name: &str| name.ends_with("sha256");
    for (caption, hashes) in [("Programs that ran", true), ("Where", false)] {
        let _ = write!(page, "<div class=wide><table class=list><caption>{caption}</caption><tbody>");
        for (name, value) in report.environment.iter().filter(|(name, _)| is_hash(name) == hashes) {
            let _ = write!(page, "<tr><th scope=row>{}<td><code>{}</code>", escape(name), escape(value));
        }
        page.push_str("</tbody></table></div>");
    }
    page.push_str("</section>");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::report::sample;
    use std::fs;

    /// A block of the page by its identifier.
    fn block<'a>(page: &'a str, id: &str) -> &'a str {
        let (_, rest) = page.split_once(&format!("id={id}>")).unwrap();
        rest.split_once("</script>").unwrap().0
    }

    fn run(folder: &Path) -> RunReport {
        fs::create_dir_all(folder.join("mail")).unwrap();
        fs::create_dir_all(folder.join("screens")).unwrap();
        fs::write(folder.join("mail/1-submitted.eml"), "Subject: <img src=x>\r\n\r\n</script>").unwrap();
        let shot = sealfax_picture::drawn(128, 72, |x, _| [x as u8, 0, 0]);
        fs::write(folder.join("screens/001.png"), shot).unwrap();
        sample::report(folder)
    }

    #[test]
    fn nobody_elses_words_become_markup_and_nothing_comes_from_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let page = render(&run(folder.path()), folder.path());
        for planted in ["<script>alert", "<img src=x>", "250 <b>", "<the LCD>"] {
            assert!(!page.contains(planted), "{planted}");
        }
        for outside in ["http://", "https://", "<img", "<link", "<script src", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!((page.matches("id=p0>").count(), page.matches("id=p3>").count()), (1, 0));
        let words = data::unpack(block(&page, "d0")).to_string();
        assert!(words.contains("bare LF <script>alert(1)</script>") && words.contains("<img src=x>"));
    }

    #[test]
    fn what_failed_comes_first_and_says_why_without_script() {
        let folder = tempfile::tempdir().unwrap();
        let page = render(&run(folder.path()), folder.path());
        let place = |words: &str| page.find(words).unwrap_or_else(|| panic!("{words}"));
        assert!(place("id='s-server-down'") < place("id='s-confidential-fax'"));
        assert!(page.contains("waited 5.000 s in vain for: &lt;the LCD&gt;"));
        assert!(page.contains("<tr id='r-ST611' class=fail>"));
        assert!(page.contains("<tr id='r-ST801' class=pass>"));
        assert!(page.contains("not exercised"));
    }

    #[test]
    fn the_only_script_that_may_run_is_the_pages_own() {
        let folder = tempfile::tempdir().unwrap();
        let page = render(&run(folder.path()), folder.path());
        let (_, rest) = page.split_once("<script>").unwrap();
        let script = rest.split_once("</script>").unwrap().0;
        let hash = STANDARD.encode(Sha256::digest(script));
        assert!(page.contains(&format!("script-src 'sha256-{hash}'")));
    }

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(ranges(&[0, 1, 2, 4, 6, 7]), "0-2 4 6-7");
    }
}
