//! The board's own watchdog (`watchdog-api` in the kernel's documentation): opened, it has to be fed, or the board starts
//! anew. The letter `V` before closing disarms it; a program that dies does not write it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Where the kernel has it.
const DEVICE: &str = "/dev/watchdog";

/// The armed watchdog. Dropping it does not disarm it.
#[derive(Debug)]
pub struct HardwareWatchdog {
    device: File,
    failing: bool,
}

impl HardwareWatchdog {
    /// That of this board.
    pub fn of_this_board() -> io::Result<Self> {
        Self::arm(Path::new(DEVICE))
    }

    /// Opens the device, and so arms it.
    pub fn arm(device: &Path) -> io::Result<Self> {
        let device = OpenOptions::new().write(true).open(device)?;
        Ok(Self { device, failing: false })
    }

    /// All is well for now.
    pub fn feed(&mut self) {
        let failed = self.device.write_all(b"\0").err();
        if let (Some(error), false) = (&failed, self.failing) {
            tracing::error!(code = "SERVICE-003", %error, "the board's watchdog could not be fed; the board may start anew");
        }
        self.failing = failed.is_some();
    }

    /// The machine goes on without us, as it should.
    pub fn disarm(mut self) {
        if let Err(error) = self.device.write_all(b"V") {
            tracing::error!(code = "SERVICE-003", %error, "the board's watchdog could not be disarmed; the board will start anew");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn it_is_fed_and_disarmed_only_on_purpose() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let written = || std::fs::read(file.path()).unwrap();
        let mut watchdog = HardwareWatchdog::arm(file.path()).unwrap();
        watchdog.feed();
        drop(watchdog);
        assert_eq!(written(), b"\0");
        HardwareWatchdog::arm(file.path()).unwrap().disarm();
        assert_eq!(written(), b"V");
        assert!(HardwareWatchdog::arm(Path::new("/dev/no/watchdog")).is_err());
    }
}
