//! `junit.xml`, as CI systems read it: a suite for the run, a case a scenario, attachments named in the output.
//!
//! There is no standard. Elements and attributes here are those that Surefire's schema and that of Jenkins' xUnit plug-in
//! have in common, in the order that both accept; `tests/oracles/report-junit.xsd` says which.
//!
//! | Verdict | Case |
//! |---|---|
//! | pass | without more |
//! | fail | `failure` |
//! | flaky | `flakyFailure`: it counts as passed, and CI systems that know the element list it as flaky |
//! | infra-error | `error` |
//! | unsupported | `skipped` |

use std::fmt::Write as _;
use std::time::Duration;

use super::escape::escape;
use super::{RunReport, ScenarioResult, Verdict};
use crate::events::EventKind;

/// The document.
pub fn render(report: &RunReport) -> String {
    let elapsed = seconds(report.results.iter().map(|result| result.elapsed).sum());
    let (tests, failures) = (report.results.len(), report.count(Verdict::Fail));
    let (errors, skipped) = (report.count(Verdict::InfraError), report.count(Verdict::Unsupported));
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"");
    let mut document = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(document, "<testsuites name=\"sealfax-rig\" {counts} time=\"{elapsed}\">");
    let bench = escape(&report.bench);
    let _ = writeln!(document, "  <testsuite name=\"{bench}\" {counts} skipped=\"{skipped}\" time=\"{elapsed}\">");
    document.push_str("    <properties>\n");
    property(&mut document, "seed", &report.seed.to_string());
    for (name, value) in &report.environment {
        property(&mut document, name, value);
    }
    document.push_str("    </properties>\n");
    for result in &report.results {
        case(&mut document, report, result);
    }
    document.push_str("  </testsuite>\n</testsuites>\n");
    document
}

fn property(document: &mut String, name: &str, value: &str) {
    let _ = writeln!(document, "      <property name=\"{}\" value=\"{}\"/>", escape(name), escape(value));
}

fn case(document: &mut String, report: &RunReport, result: &ScenarioResult) {
    let _ = writeln!(
        document,
        "    <testcase name=\"{}\" classname=\"sealfax.rig.{}\" time=\"{}\">",
        escape(&result.name),
        escape(&report.bench),
        seconds(result.elapsed),
    );
    let (kind, why) = (result.verdict.name(), escape(result.why.as_deref().unwrap_or_default()));
    let _ = match result.verdict {
        Verdict::Pass => Ok(()),
        Verdict::Fail => writeln!(document, "      <failure message=\"{why}\" type=\"{kind}\">{why}</failure>"),
        Verdict::Flaky => writeln!(
            document,
            "      <flakyFailure message=\"{why}\" type=\"{kind}\"><stackTrace>{why}</stackTrace></flakyFailure>"
        ),
        Verdict::Unsupported => writeln!(document, "      <skipped message=\"{why}\"/>"),
        Verdict::InfraError => writeln!(document, "      <error message=\"{why}\" type=\"{kind}\">{why}</error>"),
    };
    let _ = writeln!(document, "      <system-out>{}</system-out>\n    </testcase>", escape(&output(result)));
}

/// What it is, what it exercised, and the files, as the attachments plug-in of Jenkins and GitLab take them: a line each,
/// with the path under which the run has written it. Where `--out` is relative to the project, so are they.
fn output(result: &ScenarioResult) -> String {
    let mut lines =
        vec![result.title.clone(), format!("requirements: {}", super::json::exercised_by(result).join(" "))];
    let screens = result.events.iter().filter_map(|event| match &event.kind {
        EventKind::Screen { png, .. } => png.as_deref(),
        _ => None,
    });
    for path in result.artefacts().into_iter().chain(screens) {
        lines.push(format!("[[ATTACHMENT|{}]]", result.folder.join(path).display()));
    }
    lines.join("\n")
}

/// Surefire's time has three decimals.
fn seconds(elapsed: Duration) -> String {
    format!("{:.3}", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::report::sample;
    use std::path::Path;

    #[test]
    fn verdicts_become_their_junit_kinds() {
        let mut report = sample::report(Path::new("."));
        for verdict in [Verdict::Flaky, Verdict::Unsupported, Verdict::InfraError] {
            let mut result = report.results[1].clone();
            (result.name, result.verdict) = (verdict.name().to_owned(), verdict);
            report.results.push(result);
        }
        insta::assert_snapshot!(render(&report));
    }

    #[test]
    fn what_xml_forbids_does_not_come_through() {
        let mut report = sample::report(Path::new("."));
        report.results[1].why = Some("\u{1b}[31m ]]> \u{0} \u{ffff}".into());
        let document = render(&report);
        assert!(document.contains("\\x1b[31m ]]&gt; \\x00 \\u{ffff}"));
    }
}
