//! efax, the smallest fax program there is for a Class 1 modem: sends raw MH, receives into TIFF, without error correction.
//! What it sends begins with [`HEADER_ROWS`] white rows of its own, where its header would stand; nothing of the system's
//! configuration is read or written.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sealfax_ifax::page::Page;
use sealfax_ifax::t4::{Coding, EncodeOptions, Eol, FillOrder, encode};

use super::process::{PeerError, Process, find};

const PROGRAM: &str = "efax";
const PACKAGE: &str = "efax";

/// Rows that efax puts before every page it sends.
pub const HEADER_ROWS: u32 = 20;

/// Raw T.4 as efax knows it by its first octet, which has to be 0: EOL before every line and RTC. (It reads TIFF as well, but not
/// StripByteCounts, so that what stands behind the strip would become lines.)
const RAW: EncodeOptions = EncodeOptions {
    coding: Coding::ModifiedHuffman,
    eol: Eol::Unaligned,
    rtc: true,
    fill_order: FillOrder::MsbFirst,
    k: 1,
    line_bits: 0,
};

/// Whether it is installed.
pub fn present() -> Result<(), PeerError> {
    find(PROGRAM, PACKAGE).map(drop)
}

/// What efax says that it can do: its option `-c`, whose numbers are those of T.32's +FCC (8.5.1.1).
#[derive(Debug, Clone, Copy)]
pub struct EfaxOptions {
    /// Fine resolution.
    pub fine: bool,
    /// Bits a second, at most.
    pub rate: u32,
}

impl Default for EfaxOptions {
    fn default() -> Self {
        Self { fine: true, rate: 14_400 }
    }
}

impl EfaxOptions {
    fn capabilities(self) -> String {
        format!("{},{},0,2,0,0,0,0", u8::from(self.fine), (self.rate / 2400).saturating_sub(1))
    }
}

/// A call of efax's; the program ends with its handle.
#[derive(Debug)]
pub struct Efax {
    process: Process,
    folder: tempfile::TempDir,
}

impl Efax {
    /// Calls `number` at this modem and sends the pages.
    pub fn send(port: &Path, number: &str, pages: &[Page], options: EfaxOptions) -> Result<Self, PeerError> {
        let folder = tempfile::tempdir().map_err(|error| PeerError::broken(PROGRAM, error))?;
        let mut command = command(port, options)?;
        // One blank for a header: rows without a mark.
        command.args(["-h", " ", "-t", number]);
        for (number, page) in pages.iter().enumerate() {
            let file = folder.path().join(format!("{number}.g3"));
            let octets = [vec![0], encode(page, &RAW)].concat();
            std::fs::write(&file, octets).map_err(|error| PeerError::broken(PROGRAM, error))?;
            command.arg(file);
        }
        let process = Process::start(PROGRAM, command, &folder.path().join("log"))?;
        Ok(Self { process, folder })
    }

    /// Waits for a call at this modem and receives; ready for the call when this returns.
    pub fn receive(port: &Path, options: EfaxOptions) -> Result<Self, PeerError> {
        let folder = tempfile::tempdir().map_err(|error| PeerError::broken(PROGRAM, error))?;
        let mut command = command(port, options)?;
        // The modem answers by itself, and forgets that again at the end.
        command.arg("-w").arg("-iS0=1").arg("-kZ").arg("-r").arg(folder.path().join("page"));
        let mut process = Process::start(PROGRAM, command, &folder.path().join("log"))?;
        process.wait_until(Duration::from_secs(30), |process| {
            process.said().contains("waiting for activity").then_some(())
        })?;
        Ok(Self { process, folder })
    }

    /// Waits until the call is over. efax's exit status is 0 if every page went well; what it said comes with any other.
    pub fn finished(&mut self, patience: Duration) -> Result<(), PeerError> {
        let status = self.process.finished(patience)?;
        if status.success() {
            return Ok(());
        }
        Err(PeerError::broken(PROGRAM, format!("{status}: {}", self.process.said())))
    }

    /// The received pages, each a TIFF file.
    pub fn received(&self) -> Vec<PathBuf> {
        let page = |number: u32| self.folder.path().join(format!("page.{number:03}"));
        (1..).map(page).take_while(|file| file.is_file()).collect()
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.process.said()
    }
}

fn command(port: &Path, options: EfaxOptions) -> Result<Command, PeerError> {
    let mut command = Command::new(find(PROGRAM, PACKAGE)?);
    command.arg("-d").arg(port);
    command.args(["-o1", "-v", "chewmainrxtf", "-l", "+1 555 0100", "-c", &options.capabilities()]);
    Ok(command)
}
