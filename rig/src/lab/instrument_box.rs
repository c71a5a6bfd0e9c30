//! A box of instruments at a Unix socket, spoken to in lines: for GPIO that is not the kernel's (a microcontroller behind
//! a small program, a chip of another machine), and for what stands in for a board.
//!
//! The box begins with the level of each of its inputs and the word `ready`; then it tells every change, `17 1`. It is told
//! levels of its outputs, `22 0`, and keys of a PIN pad, `key 5`, `key ret`. Numbers are its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sealfax_drivers::gpio::{Gpio, Input, LineError, LineInfo, Output, Pull};
use tokio::sync::watch;

use super::LabError;

/// Until the box has begun to speak.
const GREETING: Duration = Duration::from_secs(5);

/// The levels that the box told, and whether it is still there.
#[derive(Debug, Clone, Default)]
struct Told {
    levels: BTreeMap<u32, bool>,
    ready: bool,
    gone: bool,
}

impl Told {
    fn hear(&mut self, line: &str) {
        match line.trim().split_once(' ') {
            None if line.trim() == "ready" => self.ready = true,
            Some((number, level)) => {
                if let (Ok(number), "0" | "1") = (number.parse(), level) {
                    self.levels.insert(number, level == "1");
                }
            }
            None => {}
        }
    }
}

/// The box. Clones are the same one; the last one hangs up.
#[derive(Debug, Clone)]
pub struct InstrumentBox(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    at: PathBuf,
    stream: Mutex<UnixStream>,
    told: watch::Receiver<Told>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
}

impl InstrumentBox {
    /// Connects, and waits until the box is ready.
    pub fn open(at: &Path) -> Result<Self, LabError> {
        let name = || format!("the box of instruments at {}", at.display());
        let broken = |error: std::io::Error| LabError::instrument(name(), error);
        let stream = UnixStream::connect(at).map_err(broken)?;
        let mut reader = BufReader::new(stream.try_clone().map_err(broken)?);
        stream.set_read_timeout(Some(GREETING)).map_err(broken)?;
        let mut told = Told::default();
        while !told.ready {
            let mut line = String::new();
            if reader.read_line(&mut line).map_err(broken)? == 0 {
                return Err(LabError::instrument(name(), "it hung up before it was ready"));
            }
            told.hear(&line);
        }
        stream.set_read_timeout(None).map_err(broken)?;
        let (tell, hear) = watch::channel(told);
        std::thread::spawn(move || {
            for line in reader.lines() {
                let Ok(line) = line else { break };
                tell.send_modify(|told| told.hear(&line));
            }
            tell.send_modify(|told| told.gone = true);
        });
        Ok(Self(Arc::new(Connection { at: at.into(), stream: Mutex::new(stream), told: hear })))
    }

    /// Presses a key of the PIN pad: a digit or `ret`.
    pub fn key(&self, key: &str) -> Result<(), LabError> {
        self.say(&format!("key {key}")).map_err(|error| LabError::instrument(self.name(), error))
    }

    fn say(&self, words: &str) -> std::io::Result<()> {
        let mut stream = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(format!("{words}\n").as_bytes())
    }

    fn name(&self) -> String {
        format!("box at {}", self.0.at.display())
    }

    fn refused(&self, line: u32, why: impl std::fmt::Display) -> LineError {
        LineError::Refused { chip: self.name(), line, why: why.to_string() }
    }
}

impl Gpio for InstrumentBox {
    fn output(&self, line: u32, high: bool, _user: &str) -> Result<Box<dyn Output>, LineError> {
        let mut output = BoxLine { of: self.clone(), line, told: self.0.told.clone(), driven: high };
        output.set(high)?;
        Ok(Box::new(output))
    }

    fn input(&self, line: u32, _pull: Pull, _user: &str) -> Result<Box<dyn Input>, LineError> {
        if !self.0.told.borrow().levels.contains_key(&line) {
            let has: Vec<String> = self.0.told.borrow().levels.keys().map(u32::to_string).collect();
            return Err(self.refused(line, format!("it is no input of the box, which has {}", has.join(", "))));
        }
        Ok(Box::new(BoxLine { of: self.clone(), line, told: self.0.told.clone(), driven: false }))
    }

    fn about(&self, line: u32) -> Result<LineInfo, LineError> {
        Ok(LineInfo { chip: self.name(), name: format!("line {line}"), holder: None })
    }
}

struct BoxLine {
    of: InstrumentBox,
    line: u32,
    told: watch::Receiver<Told>,
    driven: bool,
}

impl BoxLine {
    fn level(&mut self) -> Result<bool, LineError> {
        let told = self.told.borrow_and_update();
        if told.gone {
            return Err(self.of.refused(self.line, "the box hung up"));
        }
        Ok(told.levels.get(&self.line).copied().unwrap_or_default())
    }
}

impl Output for BoxLine {
    fn set(&mut self, high: bool) -> Result<(), LineError> {
        self.driven = high;
        let level = u8::from(high);
        self.of.say(&format!("{} {level}", self.line)).map_err(|error| self.of.refused(self.line, error))
    }

    fn high(&mut self) -> Result<bool, LineError> {
        Ok(self.driven)
    }
}

#[async_trait]
impl Input for BoxLine {
    fn high(&mut self) -> Result<bool, LineError> {
        self.level()
    }

    async fn changed(&mut self) -> Result<(), LineError> {
        if self.told.borrow().gone || self.told.changed().await.is_err() {
            return Err(self.of.refused(self.line, "the box hung up"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn levels_keys_and_the_end_of_a_box() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("box");
        let listener = UnixListener::bind(&at).unwrap();
        let (go, going) = std::sync::mpsc::channel::<()>();
        let player = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"17 0\n18 1\nready\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let said: Vec<_> = (0..3).map(|_| lines.next().unwrap().unwrap()).collect();
            stream.write_all(b"17 1\n").unwrap();
            going.recv().unwrap();
            said
        });
        let instruments = InstrumentBox::open(&at).unwrap();
        let mut lamp = instruments.input(17, Pull::Off, "test").unwrap();
        assert!(!lamp.high().unwrap());
        let mut button = instruments.output(22, true, "test").unwrap();
        button.set(false).unwrap();
        instruments.key("5").unwrap();
        lamp.changed().await.unwrap();
        assert!(lamp.high().unwrap());
        let error = instruments.input(19, Pull::Off, "test").err().unwrap().to_string();
        assert!(error.contains("17, 18"), "{error}");
        go.send(()).unwrap();
        assert_eq!(player.join().unwrap(), ["22 1", "22 0", "key 5"]);
        while lamp.changed().await.is_ok() {}
        assert!(lamp.high().is_err());
    }
}
