//! A wire to the board: octets both ways, over a serial port, a program's standard input and output, or a socket. Whatever
//! it is, what reads and writes it has a Unix socket.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::task::JoinHandle;
use tokio_serial::{SerialPortBuilderExt as _, SerialStream};

use super::LabError;
use super::file::Wire;

/// A port that a story before has not quite let go of.
const BUSY: Duration = Duration::from_secs(5);
const BUSY_WORDS: [&str; 2] = ["busy", "exclusive lock"];

/// A wire in use; what keeps it open goes with it.
#[derive(Debug)]
pub struct Open {
    stream: UnixStream,
    _keeper: Keeper,
}

#[derive(Debug)]
enum Keeper {
    Nothing,
    Pump(JoinHandle<()>),
    Program(Child),
}

impl Drop for Keeper {
    fn drop(&mut self) {
        match self {
            Self::Nothing => {}
            Self::Pump(pump) => pump.abort(),
            Self::Program(child) => {
                // With all its children: ssh may have a proxy.
                if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Who reads it in a thread of its own is told.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

impl Open {
    /// The wire's end here; clones are the same wire.
    pub fn stream(&self) -> Result<UnixStream, LabError> {
        self.stream.try_clone().map_err(|error| LabError::instrument("a wire", error))
    }
}

impl Wire {
    /// What it is, for people.
    pub fn name(&self) -> String {
        match (&self.serial, &self.command, &self.socket) {
            (Some(port), _, _) => format!("{} at {} baud", port.display(), self.baud),
            (_, Some(command), _) => command.first().cloned().unwrap_or_default(),
            (_, _, Some(socket)) => socket.display().to_string(),
            _ => "nothing".to_owned(),
        }
    }

    /// Opens it. Needs a runtime around it, for the serial port.
    pub fn open(&self) -> Result<Open, LabError> {
        let broken = |error: &dyn std::fmt::Display| LabError::instrument(self.name(), error);
        if let Some(socket) = &self.socket {
            let stream = UnixStream::connect(socket).map_err(|error| broken(&error))?;
            return Ok(Open { stream, _keeper: Keeper::Nothing });
        }
        let (ours, theirs) = UnixStream::pair().map_err(|error| broken(&error))?;
        if let Some(command) = &self.command {
            let child = run(command, theirs).map_err(|error| broken(&error))?;
            return Ok(Open { stream: ours, _keeper: Keeper::Program(child) });
        }
        let port = self.serial_port().map_err(|error| {
            broken(&format!("{error}; check that its plug is in and that this user is in the group dialout"))
        })?;
        theirs.set_nonblocking(true).map_err(|error| broken(&error))?;
        let theirs = tokio::net::UnixStream::from_std(theirs).map_err(|error| broken(&error))?;
        Ok(Open { stream: ours, _keeper: Keeper::Pump(tokio::spawn(pump(port, theirs))) })
    }

    fn serial_port(&self) -> Result<SerialStream, tokio_serial::Error> {
        let path = self.serial.as_ref().map(|port| port.to_string_lossy()).unwrap_or_default();
        let late = Instant::now() + BUSY;
        loop {
            match tokio_serial::new(path.as_ref(), self.baud).open_native_async() {
                // In the words of the kernel, or of the crate.
                Err(error)
                    if Instant::now() < late && BUSY_WORDS.iter().any(|word| error.description.contains(word)) =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                outcome => return outcome,
            }
        }
    }
}

/// A program in a group of its own, with the wire as its standard input and output. What it says on standard error is
/// lost: it would be taken for the board's words.
fn run(command: &[String], wire: UnixStream) -> std::io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let output: OwnedFd = wire.try_clone()?.into();
    let input: OwnedFd = wire.into();
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

async fn pump(mut port: SerialStream, mut here: tokio::net::UnixStream) {
    let _ = tokio::io::copy_bidirectional(&mut port, &mut here).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::lab::stand_in::pty::Pty;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};

    fn wire(table: &str) -> Wire {
        toml::from_str(table).unwrap()
    }

    #[test]
    fn a_program_is_a_wire_and_ends_with_it() {
        let open = wire("command = [\"sh\", \"-c\", \"read line; echo heard $line; exec sleep 1000\"]").open().unwrap();
        let Keeper::Program(child) = &open._keeper else { panic!("a program") };
        let id = child.id();
        let mut stream = BufReader::new(open.stream().unwrap());
        stream.get_mut().write_all(b"words\n").unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert_eq!(line, "heard words\n");
        drop(open);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
        assert!(wire("command = [\"/no/such/program\"]").open().is_err());
    }

    /// A story lets go of its port a moment after the next one wants it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_port_that_is_still_held_is_waited_for() {
        let pty = Pty::open().unwrap();
        let wire = wire(&format!("serial = {:?}", pty.path()));
        let first = wire.open().unwrap();
        let letting_go = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(first);
        });
        wire.open().unwrap();
        letting_go.await.unwrap();
    }

    /// The other end of a pseudo terminal is a serial port as far as tokio-serial can tell.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_serial_port_both_ways() {
        let pty = Pty::open().unwrap();
        let open = wire(&format!("serial = {:?}", pty.path())).open().unwrap();
        let mut stream = open.stream().unwrap();
        tokio::task::spawn_blocking(move || {
            let mut board = pty.stream().unwrap();
            board.write_all(b"boot\r\n").unwrap();
            let mut six = [0; 6];
            stream.read_exact(&mut six).unwrap();
            assert_eq!(&six, b"boot\r\n");
            stream.write_all(b"ls\n").unwrap();
            let mut three = [0; 3];
            board.read_exact(&mut three).unwrap();
            assert_eq!(&three, b"ls\n");
        })
        .await
        .unwrap();
        drop(open);
    }

    #[tokio::test]
    async fn a_missing_port_says_what_to_look_at() {
        let error = wire("serial = \"/dev/no-such-port\"").open().unwrap_err().to_string();
        assert!(error.contains("/dev/no-such-port at 115200 baud") && error.contains("plug"), "{error}");
    }
}
