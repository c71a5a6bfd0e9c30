//! Whoever stands there, proven by more than card and PIN: a fingerprint, a voice (V2, paragraph 0080 of the source
//! document). The site names a program that does it, such as `fprintd-verify`; its exit status 0 is the only proof.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::Instant;

/// How often a program that runs is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// What a program sees of the adapter's environment.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// In the program's arguments, the owner's mail address.
const ADDRESS: &str = "{address}";

/// Why nobody could be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersonError {
    /// The program does not start.
    #[error("{} does not start: {source}; install it, or change `person.program`", .program.display())]
    Start {
        /// Which program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program did not end by itself.
    #[error("{} was ended by signal {signal}; try it by hand", .program.display())]
    Broken {
        /// Which program.
        program: PathBuf,
        /// The signal.
        signal: i32,
    },
}

impl PersonError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Start { .. } => "PERSON-002",
            Self::Broken { .. } => "PERSON-003",
        }
    }
}

/// Something that knows people.
#[async_trait]
pub trait PersonProof: Send + Sync {
    /// Asks whoever stands there, once; true: it is the owner of this mail address. Ends when it is no longer waited for.
    async fn prove(&self, address: &str) -> Result<bool, PersonError>;
}

/// A program that is asked.
#[derive(Debug, Clone)]
pub struct ProofProgram {
    program: PathBuf,
    arguments: Vec<String>,
    patience: Duration,
}

impl ProofProgram {
    /// `{address}` in `arguments` stands for the owner's mail address. No shell reads any of it. Who does not lay down the
    /// right finger within `patience` is not proven.
    pub fn new(program: impl Into<PathBuf>, arguments: Vec<String>, patience: Duration) -> Self {
        Self { program: program.into(), arguments, patience }
    }
}

/// The program and all that it started; none of it outlives the question.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        // Killed, it ends at once.
        let _ = self.0.wait();
    }
}

#[async_trait]
impl PersonProof for ProofProgram {
    async fn prove(&self, address: &str) -> Result<bool, PersonError> {
        let mut command = Command::new(&self.program);
        // What begins with a dash would be an option of the program, and none of ours.
        let address = address.trim_start_matches('-');
        command.args(self.arguments.iter().map(|argument| argument.replace(ADDRESS, address)));
        command.env_clear().env("PATH", PATH).env("LC_ALL", "C.UTF-8").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = command.spawn();
        let started = started.map_err(|source| PersonError::Start { program: self.program.clone(), source })?;
        let mut running = Running(started);
        let late = Instant::now() + self.patience;
        while Instant::now() < late {
            // One that cannot be looked at is looked at until it is late, and then it is no proof.
            if let Ok(Some(status)) = running.0.try_wait() {
                return match status.signal() {
                    Some(signal) => Err(PersonError::Broken { program: self.program.clone(), signal }),
                    None => Ok(status.success()),
                };
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::path::Path;

    fn script(folder: &Path, body: &str) -> PathBuf {
        let program = folder.join("prove");
        std::fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        program
    }

    async fn asked(body: &str, patience: Duration) -> Result<bool, PersonError> {
        let folder = tempfile::tempdir().unwrap();
        let program = script(folder.path(), body);
        let arguments = vec!["-u".to_owned(), "{address}".to_owned()];
        ProofProgram::new(program, arguments, patience).prove("--taro@a.example").await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn only_the_exit_status_0_is_a_proof() {
        assert!(asked("[ $# = 2 ] && [ \"$2\" = taro@a.example ] && [ -z \"$HOME\" ]", LONG).await.unwrap());
        for body in ["exit 1", "exit 126", "yes | head -c 10000000; exit 3", "cat; exit 1"] {
            assert!(!asked(body, LONG).await.unwrap(), "{body}");
        }
        let broken = asked("kill -9 $$", LONG).await.unwrap_err();
        assert_eq!(broken.code(), "PERSON-003");
        let folder = tempfile::tempdir().unwrap();
        let missing = ProofProgram::new(folder.path().join("nothing"), Vec::new(), LONG).prove("a@b.example").await;
        assert_eq!(missing.unwrap_err().code(), "PERSON-002");
    }

    #[tokio::test]
    async fn who_hesitates_is_not_proven_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("child");
        let body = format!("sleep 1000 & echo $! >{}\nwait", note.display());
        let program = script(folder.path(), &body);
        let asking = ProofProgram::new(program, Vec::new(), LONG);
        let question = asking.prove("taro@a.example");
        // The card is pulled: nobody waits any more.
        let wrote = async {
            while std::fs::read_to_string(&note).unwrap_or_default().trim().is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            proof = question => panic!("{proof:?}"),
            () = wrote => {}
        }
        let child = std::fs::read_to_string(&note).unwrap();
        let gone = |child: &str| {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        while !gone(&child) {
            tokio::time::sleep(LOOK).await;
        }
        assert!(!asked("sleep 1000", Duration::from_millis(50)).await.unwrap());
    }
}
