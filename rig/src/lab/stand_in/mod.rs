//! A board that is not there: a twin whose connectors are laid out as those of a board on a bench are. Its two serial ports
//! are pseudo terminals, its lines and its keypad a box of instruments, its picture a file, its supply a switch for two
//! programs, its card reader a socket, its networks addresses that ports are forwarded to. The bench `lab` cannot tell it
//! from a board, so that the bench itself can be tried where there is none.

mod connectors;
pub mod pty;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use sealfax_drivers::display::{Frame, Marker, marker};

use super::LabError;
use crate::bench::site::{POP3, SMTP};
use crate::twin::machine::{
    BUTTON, BUZZER, Door, GATEWAY, KEYPAD, LAMP, Machine, NETWORK_PORT, NETWORK_SIDE, Plan, Port, TERMINAL_PORT,
    TERMINAL_SIDE, Witness, make_disk,
};
use crate::twin::pins::Change;
use crate::twin::vsc::VscHandle;
use crate::twin::{Image, TwinError};
use crate::world::hosts::Hosts;
use connectors::Lines;
use pty::Pty;

/// The SD card; a power of two.
const DISK_MEBIBYTES: u64 = 32;
/// How often the supply's switch is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The bench file's name in the folder.
pub const BENCH_FILE: &str = "bench.toml";

/// The board and everything at it. Dropping it takes all of it away.
#[derive(Debug)]
pub struct StandIn {
    folder: PathBuf,
    on: Arc<AtomicBool>,
    supply: Option<std::thread::JoinHandle<()>>,
    _hosts: Hosts,
}

impl StandIn {
    /// Lays out a board that plays this office, switched on, with its bench file ([`BENCH_FILE`]) in `folder`, whose path is
    /// short as sockets want it.
    pub fn start(image: Arc<Image>, folder: &Path, office: char) -> Result<Self, LabError> {
        let broken = |error: &dyn std::fmt::Display| LabError::instrument("the board's stand-in", error);
        let folder = own_folder(folder).map_err(|error| broken(&error))?;
        let hosts = Hosts::allocate().map_err(|error| broken(&error))?;
        let side = |name: &str| hosts.add(name).map_err(|error| broken(&error));
        let (network, terminal) = (side("network")?, side("terminal")?);
        let content = folder.join("sd");
        std::fs::create_dir_all(content.join("state")).map_err(|error| broken(&error))?;
        let disk = folder.join("sd.img");
        make_disk(&disk, &content, DISK_MEBIBYTES).map_err(|error| broken(&error))?;

        let (console, shell) =
            (Pty::open().map_err(|error| broken(&error))?, Pty::open().map_err(|error| broken(&error))?);
        let lines = Lines::listen(&folder.join("lines")).map_err(|error| broken(&error))?;
        let file = bench_file(&folder, office, network, terminal, console.path(), shell.path());
        std::fs::write(folder.join(BENCH_FILE), file).map_err(|error| broken(&error))?;
        std::fs::write(folder.join("power"), "on\n").map_err(|error| broken(&error))?;

        let doors =
            [(Port::Network, network, SMTP), (Port::Terminal, terminal, SMTP), (Port::Terminal, terminal, POP3)];
        let doors = doors.map(|(port, ip, inside)| Door { port, at: SocketAddr::new(ip, inside), inside }).to_vec();
        let on = Arc::new(AtomicBool::new(true));
        let board = Board { image, folder: folder.clone(), disk, doors, lines, console, shell };
        // The first start is ours to report.
        let first = board.switch_on().map_err(|error| broken(&error))?;
        let wanted = on.clone();
        let supply = std::thread::spawn(move || board.supply(first, &wanted));
        Ok(Self { folder, on, supply: Some(supply), _hosts: hosts })
    }

    /// The file that describes it.
    pub fn bench_file(&self) -> PathBuf {
        self.folder.join(BENCH_FILE)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.on.store(false, Ordering::Relaxed);
        if let Some(supply) = self.supply.take() {
            let _ = supply.join();
        }
    }
}

/// What a start of the board needs.
struct Board {
    image: Arc<Image>,
    folder: PathBuf,
    disk: PathBuf,
    doors: Vec<Door>,
    lines: Lines,
    console: Pty,
    shell: Pty,
}

/// A board with power.
struct Powered {
    machine: Arc<Machine>,
    _wires: [connectors::Bridge; 2],
}

impl Board {
    /// Follows the switch until it is no longer wanted.
    fn supply(self, first: Powered, on: &AtomicBool) {
        let mut powered = Some(first);
        while on.load(Ordering::Relaxed) {
            let wanted = std::fs::read_to_string(self.folder.join("power")).unwrap_or_default();
            match (wanted.trim(), &powered) {
                ("off", Some(_)) => {
                    self.lines.press_by(None);
                    powered = None;
                    self.lines.tell(&[(LAMP, false), (BUZZER, false)]);
                    let _ = std::fs::remove_file(self.folder.join("screen.ppm"));
                }
                ("on", None) => match self.switch_on() {
                    Ok(machine) => powered = Some(machine),
                    Err(error) => tracing::error!(%error, "the board's stand-in does not start"),
                },
                _ => {}
            }
            std::thread::sleep(LOOK);
        }
    }

    fn switch_on(&self) -> Result<Powered, TwinError> {
        let plan = Plan {
            folder: self.folder.clone(),
            disk: self.disk.clone(),
            doors: self.doors.clone(),
            time: SystemTime::now(),
            bare: true,
        };
        let lines = self.lines.clone();
        let signal = Box::new(move |change: Change| lines.tell(&[(change.pin, change.high)]));
        let picture = self.folder.join("screen.ppm");
        let screen = Box::new(move |shown: Marker, take: &dyn Fn() -> Option<Frame>| {
            // A few tries: a picture may be half drawn.
            let taken = (0..10).find_map(|_| take().filter(|frame| marker::read(frame) == Some(shown)));
            if let Some(frame) = taken
                && let Err(error) = write_picture(&picture, &frame)
            {
                tracing::error!(%error, "the stand-in's picture");
            }
        });
        let witness = Witness { line: Box::new(|_| {}), signal, screen };
        // A screen that is on and shows nothing, until there is something.
        let black = Frame::of(vec![0; (Frame::WIDTH * Frame::HEIGHT * 3) as usize]);
        write_picture(&self.folder.join("screen.ppm"), &black)
            .map_err(|source| TwinError::Io { what: "the stand-in's picture".into(), source })?;
        let machine = Arc::new(Machine::start(&self.image, &plan, &VscHandle::default(), witness)?);
        let bridge = |name: &str, pty: &Pty| {
            connectors::Bridge::lay(&self.folder.join(name), pty)
                .map_err(|source| TwinError::Io { what: format!("the stand-in's {name}"), source })
        };
        let wires = [bridge("console", &self.console)?, bridge("shell", &self.shell)?];
        self.lines.press_by(Some(Arc::downgrade(&machine)));
        Ok(Powered { machine, _wires: wires })
    }
}

impl Drop for Powered {
    fn drop(&mut self) {
        tracing::debug!(qemu = self.machine.id(), "the stand-in's power is off");
    }
}

/// Makes the folder, or takes one that is ours alone: who could write there would give us commands to run, by the bench file,
/// and whoever gets at the shell is root on the board.
fn own_folder(folder: &Path) -> std::io::Result<PathBuf> {
    let mut options = std::fs::DirBuilder::new();
    options.recursive(true).mode(0o700).create(folder)?;
    let is = std::fs::symlink_metadata(folder)?;
    if !is.is_dir() || is.uid() != rustix::process::geteuid().as_raw() || is.mode() & 0o022 != 0 {
        let why =
            format!("{} is a link, somebody else's, or others may write there; name another folder", folder.display());
        return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why));
    }
    std::fs::canonicalize(folder)
}

/// Replaces a picture (PPM) in one step.
pub fn write_picture(path: &Path, frame: &Frame) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let head = format!("P6\n{} {}\n255\n", Frame::WIDTH, Frame::HEIGHT);
    std::fs::write(&part, [head.as_bytes(), frame.rgb()].concat())?;
    std::fs::rename(&part, path)
}

/// The bench with this board alone.
fn bench_file(folder: &Path, office: char, network: IpAddr, terminal: IpAddr, console: &Path, shell: &Path) -> String {
    let (folder, console, shell) = (folder.display(), console.display(), shell.display());
    let loopback = Ipv4Addr::LOCALHOST;
    format!(
        r#"# A bench whose only board is a twin that stands in for one. Written anew at each start.
name = "stand-in"

[board.{office}]
identity = "40:54:00:00:00:01"
identity_command = "cat /sys/class/net/*/address | grep :01"

[board.{office}.deploy]
config = "/data/adapter.toml"
folder = "/data"
state = "/data/state"
# The first process starts the adapter whenever there is a configuration.
stop = "rm -f /data/adapter.toml; killall -q -9 sealfax-adapter; sleep 0.1; true"
start = "true"
program = "/usr/bin/sealfax-adapter"

[board.{office}.network]
address = "{NETWORK_SIDE}"
reach = "{network}"
rig = "{GATEWAY}"
listen = "{loopback}"

[board.{office}.terminal]
address = "{TERMINAL_SIDE}"
reach = "{terminal}"
rig = "{GATEWAY}"
listen = "{loopback}"

[board.{office}.shell]
serial = "{shell}"

[board.{office}.console]
serial = "{console}"

[board.{office}.power]
on = ["sh", "-c", "echo on >{folder}/power"]
off = ["sh", "-c", "echo off >{folder}/power"]
off_seconds = 0.5

[board.{office}.lamp]
socket = "{folder}/lines"
line = {LAMP}

[board.{office}.buzzer]
socket = "{folder}/lines"
line = {BUZZER}

[board.{office}.button]
socket = "{folder}/lines"
line = {BUTTON}

[board.{office}.screen]
file = "{folder}/screen.ppm"

[board.{office}.card]
qemu = "{folder}/card"

[board.{office}.reader_plug]
unplug = "{unplug}"
plug = "{plug}"

[board.{office}.keypad]
socket = "{folder}/lines"

[board.{office}.adapter.gpio]
backend = "rppal"
lamp = {LAMP}
buzzer = {BUZZER}
button = {BUTTON}

[board.{office}.adapter.display]
backend = "framebuffer"
device = "/dev/fb0"
blank_seconds = 0

[board.{office}.adapter.ports]
terminal = "{TERMINAL_PORT}"
network = "{NETWORK_PORT}"

[board.{office}.adapter.card]
keypad = "{KEYPAD}"
"#,
        unplug = crate::bench::on_twin::UNPLUG,
        plug = crate::bench::on_twin::PLUG,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let place = tempfile::tempdir().unwrap();
        let ours = place.path().join("ours");
        assert!(own_folder(&ours).is_ok() && own_folder(&ours).is_ok());
        assert_eq!(std::fs::metadata(&ours).unwrap().mode() & 0o777, 0o700);
        let link = place.path().join("link");
        symlink(&ours, &link).unwrap();
        assert!(own_folder(&link).is_err());
        std::fs::set_permissions(&ours, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(own_folder(&ours).unwrap_err().to_string().contains("name another folder"));
    }

    #[test]
    fn its_bench_file_is_good() {
        let at = |last| IpAddr::V4(Ipv4Addr::new(127, 20, 0, last));
        let text = bench_file(Path::new("/x"), 'b', at(1), at(2), Path::new("/dev/pts/1"), Path::new("/dev/pts/2"));
        let file = super::super::BenchFile::from_toml(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(file.board('b').unwrap().network.reached_at(), at(1));
    }
}
