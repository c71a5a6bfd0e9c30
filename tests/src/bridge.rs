//! The other end of `tests/peers/ifd_bridge.c`: a card reader that a test plays to a real pcscd.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use sealfax_rig::peer::pcscd::{Pcscd, PcscdError, ReaderEntry, SOCKET};

/// Return codes of an IFD handler (pcsc-lite, `ifdhandler.h`).
pub mod code {
    /// Done.
    pub const SUCCESS: u32 = 0;
    /// This control code is not ours.
    pub const NOT_SUPPORTED: u32 = 606;
    /// Something broke on the way to the card.
    pub const COMMUNICATION_ERROR: u32 = 612;
    /// A card is in.
    pub const PRESENT: u32 = 615;
    /// No card is in.
    pub const NOT_PRESENT: u32 = 616;
    /// The reader is unplugged.
    pub const NO_SUCH_DEVICE: u32 = 617;
}

/// What a reader does.
pub trait Reader: Send + 'static {
    /// [`code::PRESENT`], [`code::NOT_PRESENT`] or [`code::NO_SUCH_DEVICE`].
    fn presence(&mut self) -> u32;
    /// The card's power is switched; gives its answer to reset.
    fn power(&mut self) -> Vec<u8>;
    /// A command for the card, over protocol T=0 (1) or T=1 (2) as pcscd numbers them; `None`: it broke on the way.
    fn transmit(&mut self, protocol: u32, command: &[u8]) -> Option<Vec<u8>>;
    /// A control code of the reader's own; `None`: not supported.
    fn control(&mut self, code: u32, input: &[u8]) -> Option<Vec<u8>>;
}

/// Whether the handler can be built here; if not, what is missing.
pub fn check() -> Result<(), String> {
    let header = Path::new("/usr/include/PCSC/ifdhandler.h");
    if !header.exists() {
        return Err(format!("{} is not installed; install libpcsclite-dev", header.display()));
    }
    Command::new("cc").arg("--version").output().map_err(|error| format!("cc: {error}"))?;
    Ok(())
}

/// A pcscd of this process's own whose one reader, "Bridge 00 00", is the test.
pub fn start<R: Reader>(reader: Arc<Mutex<R>>) -> Result<Pcscd, PcscdError> {
    let broken = |error: io::Error| PcscdError::Start(format!("the bridge: {error}"));
    let Some(socket) = std::env::var_os(SOCKET) else {
        return Err(PcscdError::Start(format!("{SOCKET} is not set")));
    };
    let folder = Path::new(&socket).parent().unwrap_or(Path::new("/")).to_path_buf();
    let library = folder.join("libifdbridge.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/ifd_bridge.c");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I/usr/include/PCSC", "-o"]).arg(&library).arg(source);
    let built = cc.output().map_err(broken)?;
    if !built.status.success() {
        return Err(PcscdError::Start(String::from_utf8_lossy(&built.stderr).into_owned()));
    }
    let line = folder.join("bridge");
    let listener = UnixListener::bind(&line).map_err(broken)?;
    std::thread::spawn(move || {
        for line in listener.incoming().flatten() {
            let reader = reader.clone();
            std::thread::spawn(move || while answer(&line, &reader).is_ok() {});
        }
    });
    let device = format!("bridge:{}", line.display());
    let entry = ReaderEntry { name: "Bridge".into(), device, library, channel: 1 };
    Pcscd::with_readers(&[entry], Vec::new())
}

/// One call of the handler.
fn answer<R: Reader>(mut line: &UnixStream, reader: &Mutex<R>) -> io::Result<()> {
    let mut head = [0; 9];
    line.read_exact(&mut head)?;
    let [kind, l0, l1, l2, l3, n0, n1, n2, n3] = head;
    let (length, number) = (u32::from_be_bytes([l0, l1, l2, l3]), u32::from_be_bytes([n0, n1, n2, n3]));
    let mut octets = vec![0; length.saturating_sub(4) as usize];
    line.read_exact(&mut octets)?;
    let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
    let (code, octets) = match kind {
        b'P' => (reader.presence(), Vec::new()),
        b'O' => (code::SUCCESS, reader.power()),
        b'T' => match reader.transmit(number, &octets) {
            Some(answer) => (code::SUCCESS, answer),
            None => (code::COMMUNICATION_ERROR, Vec::new()),
        },
        _ => match reader.control(number, &octets) {
            Some(answer) => (code::SUCCESS, answer),
            None => (code::NOT_SUPPORTED, Vec::new()),
        },
    };
    drop(reader);
    let mut whole = code.to_be_bytes().to_vec();
    whole.extend_from_slice(&u32::try_from(octets.len()).unwrap_or_default().to_be_bytes());
    whole.extend_from_slice(&octets);
    line.write_all(&whole)
}
