//! The status page for people: plain HTML, in Japanese and in English, without script and without style.

use std::fmt::Write as _;

use sealfax_drivers::display::Language;

use super::view::View;
use crate::diagnose::report::{Check, Report, rfc3339};
use crate::diagnose::text;

/// The page.
pub(super) fn html(view: &View) -> String {
    let status = &view.status;
    let (lang, orders) = match view.language {
        Language::Japanese => ("ja", [0, 1]),
        Language::English => ("en", [1, 0]),
    };
    let both = |japanese: &str, english: &str| -> String {
        let said = [span("ja", japanese), span("en", english)];
        orders.map(|n| said.get(n).cloned().unwrap_or_default()).join(" / ")
    };
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{office} - Sealfax</title>\n\
         </head>\n<body>\n<h1>{office}</h1>\n<main>\n",
        office = escaped(&status.office)
    );
    section(&mut out, "screen", &both("画面", "Screen"));
    for n in orders {
        let (lang, lines) = if n == 0 { ("ja", &view.said[0]) } else { ("en", &view.said[1]) };
        let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        let _ = writeln!(out, "<p lang=\"{lang}\">{}</p>", lines.join("<br>"));
    }
    let _ = writeln!(out, "<p><code>{}</code> {}</p>", view.state, escaped(&status.clock));
    if let Some(fault) = &status.fault {
        let _ = writeln!(out, "<p><strong>{} {}</strong></p>", fault.code, both(&fault.japanese, &fault.english));
    }
    out.push_str("</section>\n");

    section(&mut out, "devices", &both("機器", "Devices"));
    out.push_str("<ul>\n");
    let links = [
        ("ファクス側の接続", "Link to the fax machine", status.terminal_link),
        ("ネットワーク側の接続", "Link to the network", status.network_link),
        ("カード読取装置", "Card reader", status.reader),
    ];
    for (japanese, english, well) in links {
        let is = if well { both("✓ 良", "ok") } else { both("✗ なし", "missing") };
        let _ = writeln!(out, "<li>{}: {is}</li>", both(japanese, english));
    }
    for fault in &view.faults {
        let _ = writeln!(out, "<li>✗ {} {}</li>", fault.code, both(&fault.japanese, &fault.english));
    }
    out.push_str("</ul>\n</section>\n");

    section(&mut out, "diagnosis", &both("点検結果", "Diagnosis"));
    match &view.report {
        None => {
            let _ = writeln!(out, "<p>{}</p>", both("点検しています。", "Under way; ask again in a while."));
        }
        Some(report) => diagnosis(&mut out, view, report, &both),
    }
    out.push_str("</section>\n</main>\n</body>\n</html>\n");
    out
}

fn section(out: &mut String, name: &str, title: &str) {
    let _ = writeln!(out, "<section aria-labelledby=\"{name}\">\n<h2 id=\"{name}\">{title}</h2>");
}

fn diagnosis(out: &mut String, view: &View, report: &Report, both: &dyn Fn(&str, &str) -> String) {
    let ending = both(&text::ending(report, Language::Japanese), &text::ending(report, Language::English));
    let _ = writeln!(out, "<p>{ending} <time>{}</time></p>", rfc3339(report.at));
    let _ = writeln!(
        out,
        "<table>\n<thead><tr><th scope=\"col\">{}</th><th scope=\"col\">{}</th><th scope=\"col\">{}</th></tr></thead>\n<tbody>",
        both("項目", "Check"),
        both("結果", "Result"),
        both("内容", "Finding")
    );
    for check in &report.checks {
        let title = check.area.title();
        let (sign, word) = text::mark(check);
        let summary = |language| text::summary(check, language);
        let (japanese, english) = (summary(Language::Japanese), summary(Language::English));
        let said = if english.is_empty() { String::new() } else { both(&japanese, &english) };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{sign} {}</td><td>{said}</td></tr>",
            both(title.ja, title.en),
            both(word.ja, word.en)
        );
    }
    out.push_str("</tbody>\n</table>\n");
    for check in &report.checks {
        explained(out, view, check, both);
    }
}

/// Each finding with its cause and the one thing to do.
fn explained(out: &mut String, view: &View, check: &Check, both: &dyn Fn(&str, &str) -> String) {
    for finding in &check.judgement.findings {
        let entry = finding.entry;
        let subject =
            if finding.subject.is_empty() { String::new() } else { format!(" [{}]", view.told(&finding.subject)) };
        let _ = writeln!(
            out,
            "<h3>{} {}{}</h3>\n<dl>\n<dt>{}</dt><dd>{}</dd>\n<dt>{}</dt><dd>{}</dd>",
            entry.code,
            both(entry.title.ja, entry.title.en),
            escaped(&subject),
            both("考えられる原因", "likely cause"),
            both(entry.cause.ja, entry.cause.en),
            both("次にすること", "do next"),
            both(entry.action.ja, entry.action.en)
        );
        for one in finding.evidence.iter().filter(|_| view.evidence_of(check.area)) {
            let _ = writeln!(
                out,
                "<dt>{}</dt><dd>{} = {}</dd>",
                both("確認した事実", "seen"),
                escaped(&one.name),
                escaped(&view.told(&one.value))
            );
        }
        out.push_str("</dl>\n");
    }
}

fn span(lang: &str, text: &str) -> String {
    format!("<span lang=\"{lang}\">{}</span>", escaped(text))
}

/// Nothing that peers or people wrote is markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;
    use std::time::Duration;

    use sealfax_drivers::display::{Screen, Status};

    use super::*;
    use crate::diagnose::area::Area;
    use crate::diagnose::catalogue::CARD_108;
    use crate::diagnose::report::{Finding, Judgement};

    #[test]
    fn everything_is_there_and_nothing_is_markup() {
        let finding = Finding::about(&CARD_108, "<b>").with("why", "taro@a.example & <script>");
        let check =
            Check { area: Area::Names, judgement: Judgement::of(vec![finding], Vec::new()), took: Duration::ZERO };
        let report = Report { tool: "x".into(), at: 0, checks: vec![check] };
        let status = Status { office: "<i>B</i>".into(), ..Status::default() };
        let screen = Screen::Arrived { names: vec!["<u>Eve</u>".into()] };
        let made = |language, names| {
            let view = View::made(&screen, status.clone(), language, Vec::new(), names, Some(Arc::new(report.clone())));
            html(&view)
        };
        let page = made(Language::English, true);
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{page}");
        for wanted in
            ["&lt;u&gt;Eve&lt;/u&gt;", "&lt;i&gt;B&lt;/i&gt;", "[&lt;b&gt;]", "taro@a.example &amp; &lt;script&gt;"]
        {
            assert!(page.contains(wanted), "{wanted}: {page}");
        }
        assert!(!page.contains("<script") && !page.contains("<u>") && !page.contains("style"), "{page}");
        let page = made(Language::Japanese, false);
        assert!(page.contains("どなたか") && !page.contains("Eve") && !page.contains("taro@"), "{page}");
    }
}
