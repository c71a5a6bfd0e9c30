//! A pseudo terminal in the place of a serial port: the board writes and reads at one end, at the other is a device that
//! `tokio-serial` opens like any port.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Both ends.
#[derive(Debug)]
pub struct Pty {
    board: OwnedFd,
    path: PathBuf,
    /// Held, so that the board's end does not hear of every program that comes and goes.
    _port: OwnedFd,
}

impl Pty {
    /// A pair, without echo and without editing, as a port is.
    pub fn open() -> io::Result<Self> {
        let board = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&board)?;
        unlockpt(&board)?;
        let path = PathBuf::from(OsString::from_vec(ptsname(&board, Vec::new())?.into_bytes()));
        let port = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&port)?;
        settings.make_raw();
        tcsetattr(&port, OptionalActions::Now, &settings)?;
        Ok(Self { board, path, _port: port })
    }

    /// The device of the port.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The board's end; clones are the same one.
    pub fn stream(&self) -> io::Result<File> {
        Ok(File::from(self.board.try_clone()?))
    }
}
