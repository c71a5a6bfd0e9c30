//! The connectors of the board that is not there: its lines and keypad as a box of instruments, its serial ports.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::pty::Pty;
use crate::twin::machine::{BUTTON, BUZZER, LAMP, Machine};
use crate::twin::pins::Pin;

/// Until a socket of QEMU's is there.
const SOCKETS: Duration = Duration::from_secs(20);

/// Levels by pin.
pub(super) type Levels = BTreeMap<Pin, bool>;

/// A box of instruments (`instrument_box`) on the board's pins. Clones are the same one.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    levels: Levels,
    listeners: Vec<UnixStream>,
    machine: Option<Weak<Machine>>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({:?})", self.state().levels)
    }
}

impl Lines {
    /// A box with nothing lit.
    pub(super) fn listen(at: &Path) -> std::io::Result<Self> {
        let _ = std::fs::remove_file(at);
        let listener = UnixListener::bind(at)?;
        let lines = Self(Arc::default());
        lines.state().levels = BTreeMap::from([(LAMP, false), (BUZZER, false)]);
        let weak = Arc::downgrade(&lines.0);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), Some(shared)) = (stream, weak.upgrade()) else { return };
                let lines = Self(shared);
                std::thread::spawn(move || lines.serve(stream));
            }
        });
        Ok(lines)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pins of which board, if it has power.
    pub(super) fn press_by(&self, machine: Option<Weak<Machine>>) {
        self.state().machine = machine;
    }

    /// Pins have these levels now.
    pub(super) fn tell(&self, changes: &[(Pin, bool)]) {
        let mut state = self.state();
        for (pin, high) in changes {
            if state.levels.insert(*pin, *high) == Some(*high) {
                continue;
            }
            let words = format!("{pin} {}\n", u8::from(*high));
            state.listeners.retain_mut(|stream| stream.write_all(words.as_bytes()).is_ok());
        }
    }

    fn serve(&self, mut stream: UnixStream) {
        let Ok(reading) = stream.try_clone() else { return };
        {
            // Under the lock: no change comes between what is told at first and what is told after.
            let mut state = self.state();
            let mut words: String =
                state.levels.iter().map(|(pin, high)| format!("{pin} {}\n", u8::from(*high))).collect();
            words.push_str("ready\n");
            if stream.write_all(words.as_bytes()).is_err() {
                return;
            }
            state.listeners.push(stream);
        }
        for line in BufReader::new(reading).lines() {
            let Ok(line) = line else { return };
            self.hear(&line);
        }
    }

    fn hear(&self, line: &str) {
        // Without power nothing happens.
        let Some(machine) = self.state().machine.as_ref().and_then(Weak::upgrade) else { return };
        let done = match line.trim().split_once(' ') {
            Some(("key", key)) => machine.key(key),
            // What closes the button is told at high.
            Some((pin, level)) if pin == BUTTON.to_string() => machine.button(level == "1"),
            _ => Ok(()),
        };
        if let Err(error) = done {
            tracing::error!(%error, line, "the stand-in's lines");
        }
    }
}

/// One of QEMU's serial sockets and a pseudo terminal, for as long as there is power.
#[derive(Debug)]
pub(super) struct Bridge {
    socket: UnixStream,
    on: Arc<AtomicBool>,
}

impl Bridge {
    pub(super) fn lay(socket: &Path, pty: &Pty) -> std::io::Result<Self> {
        let late = Instant::now() + SOCKETS;
        let socket = loop {
            match UnixStream::connect(socket) {
                Ok(socket) => break socket,
                Err(error) if Instant::now() > late => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let on = Arc::new(AtomicBool::new(true));
        copy(socket.try_clone()?, pty.stream()?, on.clone());
        // What is typed into a board that is off is lost; a read of the terminal must not outlive the bridge.
        let (mut to, mut from, wanted) = (socket.try_clone()?, pty.stream()?, on.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while wanted.load(Ordering::Relaxed) {
                let mut ready = [rustix::event::PollFd::new(&from, rustix::event::PollFlags::IN)];
                let patience = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
                if rustix::event::poll(&mut ready, Some(&patience)).unwrap_or(0) == 0 {
                    continue;
                }
                let Ok(length) = from.read(&mut buffer) else { return };
                if to.write_all(buffer.get(..length).unwrap_or_default()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { socket, on })
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.on.store(false, Ordering::Relaxed);
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// From the board to the terminal. If nobody reads there, it is lost, as at a port that nobody listens to.
fn copy(mut from: UnixStream, mut to: std::fs::File, on: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while on.load(Ordering::Relaxed) {
            let Ok(length @ 1..) = from.read(&mut buffer) else { return };
            let mut rest = buffer.get(..length).unwrap_or_default();
            while !rest.is_empty() {
                let mut ready = [rustix::event::PollFd::new(&to, rustix::event::PollFlags::OUT)];
                let patience = rustix::time::Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
                if rustix::event::poll(&mut ready, Some(&patience)).unwrap_or(0) == 0 {
                    break;
                }
                // A little at a time: a terminal that says it has room may have less than all of it.
                let some = rest.get(..rest.len().min(256)).unwrap_or_default();
                match to.write(some) {
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(_) => return,
                }
            }
        }
    });
}
