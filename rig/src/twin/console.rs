//! The board's two serial ports: the console, on which kernel and adapter write, and a shell of the rig's own for faults
//! and for looking.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{TwinError, io_error};

/// Is told of each line, without its end.
pub type OnLine = Box<dyn Fn(&str) + Send>;
/// Longest line that is kept together.
const LONGEST_LINE: usize = 64 << 10;

/// Reads the console until the power goes: each line to `lines`, everything into the file `record`.
pub fn listen(stream: UnixStream, record: &Path, lines: OnLine) -> Result<(), TwinError> {
    let file = std::fs::File::options().create(true).append(true).open(record);
    let mut file = file.map_err(io_error(record.display().to_string()))?;
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(buffer) = reader.fill_buf() {
            if buffer.is_empty() {
                break;
            }
            let length = buffer.len();
            let _ = file.write_all(buffer);
            for octet in buffer {
                match octet {
                    b'\n' => {
                        lines(String::from_utf8_lossy(&line).trim_end());
                        line.clear();
                    }
                    other if line.len() < LONGEST_LINE => line.push(*other),
                    _ => {}
                }
            }
            reader.consume(length);
        }
    });
    Ok(())
}

/// What a command of the shell came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit status.
    pub status: i32,
    /// What it wrote, standard error too.
    pub text: String,
}

/// The shell, busybox's, as root.
#[derive(Debug)]
pub struct Shell(Mutex<Talk>);

#[derive(Debug)]
struct Talk {
    reader: BufReader<UnixStream>,
    /// It has answered, and to everything.
    in_step: bool,
}

/// How long a greeting is waited for before the next one.
const GREETING: Duration = Duration::from_millis(500);

/// A mark that stands in nothing else: neither another command's nor that of a process before us.
fn mark() -> String {
    static MARKS: AtomicU64 = AtomicU64::new(1);
    format!("{}.{}", std::process::id(), MARKS.fetch_add(1, Ordering::Relaxed))
}

impl Shell {
    /// Over a connected socket. It need not be up yet.
    pub fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(Talk { reader: BufReader::new(stream), in_step: false }))
    }

    /// Runs a command to its end, which `patience` covers, greeting and all.
    pub fn run(&self, command: &str, patience: Duration) -> Result<Said, TwinError> {
        let mut talk = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let late = Instant::now() + patience;
        if !talk.in_step {
            talk.greet(late).map_err(|error| failed(command, error))?;
        }
        // Until this one has come to its end what the next hears may be of this one.
        talk.in_step = false;
        let said = talk.command(command, late).map_err(|error| failed(command, error))?;
        talk.in_step = true;
        Ok(said)
    }
}

fn failed(command: &str, error: std::io::Error) -> TwinError {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    match error.kind() {
        TimedOut | WouldBlock => TwinError::machine("does not answer", format!("{command}: no word in time")),
        _ => TwinError::machine("is gone", format!("the shell, at {command}: {error}")),
    }
}

impl Talk {
    /// Greets until there is an answer. A port that is only being opened loses octets: of a greeting the worst that can be
    /// left is a word that is no command, of anything with a quotation mark a shell that waits for the second for ever.
    fn greet(&mut self, late: Instant) -> std::io::Result<()> {
        let mark = mark();
        loop {
            self.reader.get_mut().write_all(format!("echo {mark}\n").as_bytes())?;
            match self.read_up_to(|line| line == mark, late.min(Instant::now() + GREETING)) {
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut && Instant::now() < late => {}
                outcome => return outcome.map(|_| ()),
            }
        }
    }

    fn command(&mut self, command: &str, late: Instant) -> std::io::Result<Said> {
        let mark = mark();
        // What is still in the line of an earlier one is skipped.
        let (begin, end) = (format!("<<{mark}"), format!(">>{mark} "));
        let text = format!("echo '{begin}'\n{command}\nstatus=$?; echo; echo '{end}'$status\n");
        self.reader.get_mut().write_all(text.as_bytes())?;
        self.read_up_to(|line| line == begin, late)?;
        let mut said = self.read_up_to(|line| line.starts_with(&end), late)?;
        let status = said.pop().and_then(|line| line.strip_prefix(&end)?.trim().parse().ok());
        // The empty line before it is ours.
        if said.last().is_some_and(String::is_empty) {
            said.pop();
        }
        Ok(Said { status: status.unwrap_or(-1), text: said.join("\n") })
    }

    /// The lines up to this one, and it.
    fn read_up_to(&mut self, last: impl Fn(&str) -> bool, late: Instant) -> std::io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.read_line(late)?;
            lines.push(line);
            if lines.last().is_some_and(|line| last(line)) {
                return Ok(lines);
            }
        }
    }

    fn read_line(&mut self, late: Instant) -> std::io::Result<String> {
        let mut line = Vec::new();
        loop {
            // A patience of nothing would be one without end.
            let patience = late.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.reader.get_ref().set_read_timeout(Some(patience))?;
            let read = match self.reader.read_until(b'\n', &mut line) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Err(std::io::ErrorKind::TimedOut.into());
                }
                read => read?,
            };
            if line.last() == Some(&b'\n') {
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::io::Read as _;

    /// A shell at the end of a line that loses the first octets of what is sent.
    fn shell_behind(lost: usize) -> (UnixStream, std::process::Child) {
        let (ours, mut port) = UnixStream::pair().unwrap();
        let mut sh = std::process::Command::new("sh");
        sh.stdin(std::process::Stdio::piped()).stdout(std::os::fd::OwnedFd::from(port.try_clone().unwrap()));
        let mut sh = sh.stderr(std::process::Stdio::null()).spawn().unwrap();
        let mut into = sh.stdin.take().unwrap();
        std::thread::spawn(move || {
            port.read_exact(&mut vec![0; lost]).unwrap();
            // Some at a time: what the library would do in one go holds the pipe while it waits.
            let mut some = [0; 64];
            while let Ok(length @ 1..) = port.read(&mut some) {
                into.write_all(&some[..length]).unwrap();
            }
        });
        (ours, sh)
    }

    #[test]
    fn a_command_and_its_status() {
        let (ours, mut sh) = shell_behind(0);
        let shell = Shell::new(ours.try_clone().unwrap());
        let said = shell.run("printf '17\\n\\nno end of line'; (exit 3)", Duration::from_secs(30)).unwrap();
        assert_eq!(said, Said { status: 3, text: "17\n\nno end of line".into() });
        // What comes late of a command that was given up is not taken for the next one's.
        let given_up = shell.run("sleep 0.3; echo late", Duration::from_millis(50)).unwrap_err().to_string();
        assert!(given_up.contains("does not answer") && given_up.contains("sleep 0.3"), "{given_up}");
        let said = shell.run("echo next", Duration::from_secs(30)).unwrap();
        assert_eq!(said, Said { status: 0, text: "next".into() });
        ours.shutdown(std::net::Shutdown::Both).unwrap();
        sh.wait().unwrap();
    }

    /// As a port does while the board starts.
    #[test]
    fn whatever_a_port_loses_at_first_the_shell_comes_into_step() {
        for lost in [1, 5, 8, 11, 13] {
            let (ours, mut sh) = shell_behind(lost);
            let said = Shell::new(ours.try_clone().unwrap()).run("echo '\"'", Duration::from_secs(30));
            assert_eq!(said.unwrap(), Said { status: 0, text: "\"".into() }, "{lost} octets lost");
            ours.shutdown(std::net::Shutdown::Both).unwrap();
            sh.wait().unwrap();
        }
    }

    #[test]
    fn lines_are_told_and_kept() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("console.log");
        let (told, heard) = std::sync::mpsc::channel();
        listen(ours, &record, Box::new(move |line| told.send(line.to_owned()).unwrap())).unwrap();
        theirs.write_all(b"one\r\ntw").unwrap();
        theirs.write_all(b"o\nrest").unwrap();
        drop(theirs);
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(std::fs::read(&record).unwrap(), b"one\r\ntwo\nrest");
    }
}
