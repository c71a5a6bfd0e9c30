//! `junit.xml`, as CI systems read it: one suite, a case a scenario, attachments named in the output.

use super::{RunReport, ScenarioResult, Verdict};
use quick_junit::{NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite};

/// The document.
pub fn render(report: &RunReport) -> Result<String, SerializeError> {
    let mut document = Report::new("sealfax-rig");
    let mut suite = TestSuite::new(report.bench.as_str());
    suite.add_property(Property::new("seed", report.seed.to_string()));
    for (name, value) in &report.environment {
        suite.add_property(Property::new(name.as_str(), value.as_str()));
    }
    for result in &report.results {
        suite.add_test_case(case(report, result));
    }
    let elapsed = report.results.iter().map(|result| result.elapsed).sum();
    suite.set_time(elapsed);
    document.set_time(elapsed);
    document.add_test_suite(suite);
    document.to_string()
}

fn case(report: &RunReport, result: &ScenarioResult) -> TestCase {
    let why = result.why.as_deref().unwrap_or_default();
    let mut status = match result.verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Flaky => {
            let mut status = TestCaseStatus::success();
            let mut failed = TestRerun::new(NonSuccessKind::Failure);
            failed.set_message(why);
            status.add_rerun(failed);
            status
        }
        Verdict::Unsupported => TestCaseStatus::skipped(),
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::InfraError => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if !matches!(result.verdict, Verdict::Pass | Verdict::Flaky) {
        status.set_message(why).set_type(result.verdict.name());
    }
    let mut case = TestCase::new(result.name.as_str(), status);
    case.set_classname(format!("sealfax.rig.{}", report.bench));
    case.set_time(result.elapsed);
    case.add_property(Property::new("title", result.title.as_str()));
    case.add_property(Property::new("requirements", super::json::exercised_by(result).join(" ")));
    // The convention of the JUnit attachments plug-in.
    let attachments = result.artefacts().into_iter().map(|path| {
        let path = result.folder.join(path);
        format!("[[ATTACHMENT|{}]]", path.display())
    });
    let attachments: Vec<_> = attachments.collect();
    if !attachments.is_empty() {
        case.set_system_out(attachments.join("\n"));
    }
    case
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
        insta::assert_snapshot!(render(&report).unwrap());
    }
}
