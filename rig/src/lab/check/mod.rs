//! `cargo rig lab check`: each instrument of a bench, and whether the right board answers, before anything is said about the
//! product. Each finding has a name that stays, what was seen, and one next thing to do; what stands on something broken is
//! *blocked*, not failed once more; what the bench has not is *absent*, and stories that need it are unsupported.

mod board;

use std::fmt;

use serde::Serialize;

use super::file::{BenchFile, Labgrid};
use super::lease::{Client, NOBODY};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does what it should.
    Good,
    /// It does not.
    Failed,
    /// What it stands on has failed.
    Blocked,
    /// The bench has none.
    Absent,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `LAB-021`; never given to anything else.
    pub code: &'static str,
    /// Of which office's board; none of the bench as a whole.
    pub board: Option<char>,
    /// What was looked at.
    pub what: &'static str,
    /// How it stands.
    pub state: State,
    /// What was seen.
    pub evidence: String,
    /// The one next thing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<&'static str>,
    /// What it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<&'static str>,
}

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Of this form: 1.
    pub schema: u32,
    /// The bench's name.
    pub bench: String,
    /// In the order in which things stand on each other.
    pub findings: Vec<Finding>,
    /// The program on each board: office and SHA-256.
    pub programs: Vec<(char, String)>,
}

impl Report {
    /// Whether the bench can be used.
    pub fn is_sound(&self) -> bool {
        self.first_failure().is_none()
    }

    /// The first thing that is broken: with it one begins.
    pub fn first_failure(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.state == State::Failed)
    }

    /// What is wrong in one line, with what to do.
    pub fn reason(&self) -> Option<String> {
        let finding = self.first_failure()?;
        let next = finding.next.map(|next| format!("; {next}")).unwrap_or_default();
        Some(format!("{}: {}{next}", finding.name(), finding.evidence))
    }
}

impl Finding {
    fn name(&self) -> String {
        let board = self.board.map(|letter| format!(" board {letter}")).unwrap_or_default();
        format!("{}{board} {}", self.code, self.what)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let mark = match finding.state {
                State::Good => "✓ good   ",
                State::Failed => "✗ failed ",
                State::Blocked => "… blocked",
                State::Absent => "- absent ",
            };
            writeln!(f, "{mark}  {}", finding.name())?;
            writeln!(f, "             {}", finding.evidence)?;
            if let Some(next) = finding.next.filter(|_| finding.state == State::Failed) {
                writeln!(f, "           → {next}")?;
            }
        }
        let failed = self.findings.iter().filter(|finding| finding.state == State::Failed).count();
        match failed {
            0 => writeln!(f, "✓ bench {:?} is sound", self.bench),
            _ => writeln!(f, "✗ {failed} of {} broken on bench {:?}", self.findings.len(), self.bench),
        }
    }
}

/// Collects findings, and knows what has failed so that what stands on it is blocked.
#[derive(Debug, Default)]
struct Findings {
    all: Vec<Finding>,
    board: Option<char>,
}

/// What a look at something found.
type Look = Result<String, String>;

impl Findings {
    fn failed(&self, code: &str) -> bool {
        let bad = |state| matches!(state, State::Failed | State::Blocked);
        self.all.iter().any(|finding| {
            finding.code == code && (finding.board.is_none() || finding.board == self.board) && bad(finding.state)
        })
    }

    /// `look` is `None` for what the bench has not; it is not called if one of `on` has failed.
    async fn look(
        &mut self,
        (code, what): (&'static str, &'static str),
        on: &[&'static str],
        next: &'static str,
        look: Option<impl Future<Output = Look>>,
    ) {
        let finding = |state, evidence: String| Finding {
            code,
            board: self.board,
            what,
            state,
            evidence,
            next: None,
            blocked_by: None,
        };
        let below = on.iter().find(|code| self.failed(code)).copied();
        let finding = match (look, below) {
            (None, _) => finding(State::Absent, "not in the bench file; stories that need it are unsupported".into()),
            (_, Some(below)) => {
                Finding { blocked_by: Some(below), ..finding(State::Blocked, format!("stands on {below}")) }
            }
            (Some(look), None) => match look.await {
                Ok(evidence) => finding(State::Good, evidence),
                Err(evidence) => Finding { next: Some(next), ..finding(State::Failed, evidence) },
            },
        };
        self.all.push(finding);
    }
}

/// The bench as a whole.
const PLACE: (&str, &str) = ("LAB-001", "the place at labgrid");

/// Looks at everything. `ours`: the place is already reserved for this rig.
pub async fn check(file: &BenchFile, ours: bool) -> Report {
    let mut findings = Findings::default();
    let place = file.labgrid.as_ref().map(|labgrid| place(labgrid, ours));
    findings.look(PLACE, &[], "wait for whoever has it, or start the coordinator and create the place", place).await;
    let mut programs = Vec::new();
    for (letter, board) in file.boards() {
        findings.board = Some(letter);
        programs.extend(board::check(&mut findings, board).await.map(|sha256| (letter, sha256)));
    }
    Report { schema: 1, bench: file.name.clone(), findings: findings.all, programs }
}

/// Whether the place is there and nobody else's, and what of it is exported.
async fn place(labgrid: &Labgrid, ours: bool) -> Look {
    let client = Client::of(labgrid);
    let shown = client.ask(&["-p", &labgrid.place, "show"]).await.map_err(|error| error.to_string())?;
    if !ours {
        let holder = client.holder(&labgrid.place).await;
        if holder != NOBODY {
            return Err(format!("{:?} is held by {holder}", labgrid.place));
        }
    }
    let resources = shown.lines().filter(|line| line.starts_with("Matching resource")).count();
    let wanted = shown.lines().skip_while(|line| line.trim() != "matches:").skip(1);
    let wanted = wanted.take_while(|line| line.starts_with("    ")).count();
    let exported = match (wanted, resources) {
        (0, _) => "nothing is to be exported for it".to_owned(),
        (_, 0) => return Err(format!("{:?}: none of its resources is exported; its exporter is away", labgrid.place)),
        (_, resources) => format!("{resources} of its resources exported"),
    };
    let whose = if ours { "reserved for this run" } else { "free" };
    Ok(format!("{:?} at {} is {whose}; {exported}", labgrid.place, labgrid.coordinator))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn says(outcome: Look) -> Option<std::future::Ready<Look>> {
        Some(std::future::ready(outcome))
    }

    #[tokio::test]
    async fn what_stands_on_something_broken_is_blocked() {
        let mut findings = Findings { board: Some('b'), ..Findings::default() };
        findings.look(("LAB-021", "the shell"), &[], "plug it in", says(Err("no answer".into()))).await;
        findings.look(("LAB-030", "which board it is"), &["LAB-021"], "", says(Ok(String::new()))).await;
        findings.look(("LAB-031", "the adapter's program"), &["LAB-030"], "", says(Ok(String::new()))).await;
        findings.look(("LAB-050", "the lamp"), &["LAB-021"], "", None::<std::future::Ready<Look>>).await;
        let states: Vec<_> = findings.all.iter().map(|finding| (finding.state, finding.blocked_by)).collect();
        let blocked = |by| (State::Blocked, Some(by));
        assert_eq!(states, [(State::Failed, None), blocked("LAB-021"), blocked("LAB-030"), (State::Absent, None)]);
        // Another board's troubles are its own.
        findings.board = Some('c');
        assert!(!findings.failed("LAB-021"));
        let report = Report { schema: 1, bench: "x".into(), findings: findings.all, programs: Vec::new() };
        assert_eq!(report.reason().unwrap(), "LAB-021 board b the shell: no answer; plug it in");
    }
}
