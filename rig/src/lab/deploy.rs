//! A shell on the board, and what the rig does in it: asks which board it is, and hands a story's configuration to its
//! adapter, with an empty memory.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;

use super::LabError;
use super::file::{Board, Deploy, Wire};
use super::wire::Open;
use crate::twin::console::{self, Said};

/// What a command may take.
const COMMAND: Duration = Duration::from_secs(30);
/// What the first word may take: a log-in over the network.
const FIRST: Duration = Duration::from_secs(15);
/// Octets of base64 in a line: a terminal that edits its lines takes no more than 4096.
const LINE: usize = 480;

/// A shell as root.
#[derive(Debug)]
pub struct Shell {
    name: String,
    shell: console::Shell,
    _wire: Open,
}

impl Shell {
    /// Opens the wire and waits for an answer.
    pub fn open(wire: &Wire) -> Result<Self, LabError> {
        let open = wire.open()?;
        let shell = console::Shell::new(open.stream()?);
        let this = Self { name: format!("the shell ({})", wire.name()), shell, _wire: open };
        let said = this.shell.run("true", FIRST).map_err(|error| this.broken(error))?;
        if said.status == 0 { Ok(this) } else { Err(this.broken(format!("`true` ends with {}", said.status))) }
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &str) -> Result<Said, LabError> {
        self.shell.run(command, COMMAND).map_err(|error| self.broken(error))
    }

    /// The same for one that has to succeed; gives what it said.
    pub fn must(&self, command: &str) -> Result<String, LabError> {
        let said = self.run(command)?;
        if said.status == 0 {
            return Ok(said.text);
        }
        let last = said.text.trim().lines().last().unwrap_or("it says nothing").to_owned();
        Err(self.broken(format!("{command:?} ends with {}: {last}", said.status)))
    }

    /// Writes a file.
    pub fn put(&self, path: &str, octets: &[u8]) -> Result<(), LabError> {
        let text = base64::engine::general_purpose::STANDARD.encode(octets);
        let (file, part) = (quoted(path), quoted(&format!("{path}.rig")));
        self.must(&format!("mkdir -p \"$(dirname {file})\" && : >{part}"))?;
        for line in text.as_bytes().chunks(LINE) {
            self.must(&format!("echo {} >>{part}", String::from_utf8_lossy(line)))?;
        }
        self.must(&format!("base64 -d {part} >{file} && rm {part}")).map(drop)
    }

    fn broken(&self, why: impl std::fmt::Display) -> LabError {
        LabError::instrument(&self.name, why)
    }
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Which board answers: an error if it is the wrong one.
pub fn identify(shell: &Shell, board: &Board) -> Result<String, LabError> {
    let answer = shell.must(&board.identity_command)?.trim().to_owned();
    if answer == board.identity {
        return Ok(answer);
    }
    let why = format!("it says {answer:?} of itself, the bench file wants {:?}", board.identity);
    Err(LabError::instrument("the wrong board answers", why))
}

/// The SHA-256 of the adapter's program.
pub fn program_sha256(shell: &Shell, deploy: &Deploy) -> Result<String, LabError> {
    let said = shell.must(&format!("sha256sum {}", quoted(&deploy.program)))?;
    let sum = said.split_whitespace().next().unwrap_or_default();
    let is_one = sum.len() == 64 && sum.bytes().all(|octet| octet.is_ascii_hexdigit());
    if is_one { Ok(sum.to_owned()) } else { Err(shell.broken(format!("sha256sum says {said:?}"))) }
}

/// What one story's adapter gets.
#[derive(Debug)]
pub struct Content {
    /// The configuration.
    pub configuration: String,
    /// Files for the folder: name and octets.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// What time it is.
    pub now: SystemTime,
}

/// Stops the adapter and gives it all of it with an empty memory; [`start`] comes after. Gives the board's own time, as its
/// journal writes it: what is older belongs to an earlier story.
pub fn deploy(shell: &Shell, deploy: &Deploy, content: &Content) -> Result<String, LabError> {
    shell.must(&deploy.stop)?;
    let (state, folder) = (quoted(&deploy.state), quoted(&deploy.folder));
    shell.must(&format!("mkdir -p {state} {folder} && find {state} -mindepth 1 -maxdepth 1 -exec rm -rf {{}} +"))?;
    for (name, octets) in &content.files {
        shell.put(&format!("{}/{name}", deploy.folder), octets)?;
    }
    set_clock(shell, content.now)?;
    let time = shell.must("date -u +%Y-%m-%dT%H:%M:%S")?.trim().to_owned();
    // The configuration comes last: something may be waiting for it.
    shell.put(&deploy.config, content.configuration.as_bytes())?;
    if let Some(owner) = &deploy.owner {
        shell.must(&format!("chown -R {} {state} {folder} {}", quoted(owner), quoted(&deploy.config)))?;
    }
    // A power cut may come at any moment of the story.
    shell.must("sync")?;
    Ok(time)
}

/// Starts the adapter.
pub fn start(shell: &Shell, deploy: &Deploy) -> Result<(), LabError> {
    shell.must(&deploy.start).map(drop)
}

/// Sets the board's clock.
pub fn set_clock(shell: &Shell, now: SystemTime) -> Result<(), LabError> {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    shell.must(&format!("date -s @{seconds}")).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn local() -> Shell {
        Shell::open(&toml::from_str("command = [\"sh\"]").unwrap()).unwrap()
    }

    #[test]
    fn a_file_arrives_as_it_is_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's here/adapter.toml");
        let octets: Vec<u8> = (0..5000_u32).map(|number| (number * 7 % 251) as u8).collect();
        local().put(&path.display().to_string(), &octets).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), octets);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_command_that_fails_is_told_with_its_last_words() {
        let error = local().must("echo no such unit; (exit 5)").unwrap_err().to_string();
        assert!(error.contains("ends with 5: no such unit"), "{error}");
    }

    #[test]
    fn the_wrong_board_is_told() {
        let example = super::super::BenchFile::from_toml(super::super::file::EXAMPLE).unwrap();
        let mut board = example.board('b').unwrap().clone();
        board.identity_command = "echo 1000000000000002".into();
        let error = identify(&local(), &board).unwrap_err().to_string();
        assert!(error.contains("wrong board") && error.contains("1000000000000002"), "{error}");
        board.identity = "1000000000000002".into();
        assert_eq!(identify(&local(), &board).unwrap(), "1000000000000002");
    }
}
