//! One start of the board: QEMU, its sockets, and the instruments on them. Cutting the power is killing QEMU: what the
//! guest had not written to its card is lost, as in the field.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::Rng as _;
use sealfax_drivers::display::{Frame, Marker};

use super::console::{self, Said, Shell};
use super::pins::{self, Change, Lines, Look, Pin};
use super::qmp::Qmp;
use super::qtest::Qtest;
use super::screen::{self, Glass};
use super::vsc::VscHandle;
use super::{Image, TwinError, io_error};

/// The emulator.
pub const QEMU: &str = "qemu-system-aarch64";
/// Where the rig is for the adapter: what it connects to leaves through here and ends at the machine's own loopback, and
/// what comes in comes from here.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The board's address on the network's side.
pub const NETWORK_SIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// Its address on the fax machine's side.
pub const TERMINAL_SIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 15);
/// Where its port on the network's side sits, as udev says it (ID_PATH): the second place of the hub.
pub const NETWORK_PORT: &str = "platform-3f980000.usb-usb-0:1.2:1.0";
/// Where its port on the fax machine's side sits.
pub const TERMINAL_PORT: &str = "platform-3f980000.usb-usb-0:1.3:1.0";
/// The USB keypad's name in the guest.
pub const KEYPAD: &str = "QEMU USB Keyboard";
/// Where the lamp is wired (BCM number).
pub const LAMP: Pin = 17;
/// Where the buzzer is.
pub const BUZZER: Pin = 18;
/// Where the button is, to ground.
pub const BUTTON: Pin = 22;

/// How often picture and lines are looked at.
const LOOK: Duration = Duration::from_millis(30);
/// Until QEMU has its sockets.
const SOCKETS: Duration = Duration::from_secs(20);
/// What a command of the shell may take.
const COMMAND: Duration = Duration::from_secs(30);

/// On which of the two ports something is listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Towards the servers.
    Network,
    /// Towards the fax machine.
    Terminal,
}

/// A door of the board, opened at an address of the machine it runs on. The address must be one of 127.0.0.0/8.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    /// On which side.
    pub port: Port,
    /// Where it is opened.
    pub at: SocketAddr,
    /// The TCP port inside.
    pub inside: u16,
}

/// What one start is given.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For sockets and records; it exists. Its path is short, as sockets want it.
    pub folder: PathBuf,
    /// The SD card: an ext4 file system as a whole, of a size that is a power of two.
    pub disk: PathBuf,
    /// What is listened for.
    pub doors: Vec<Door>,
    /// What time it is.
    pub time: SystemTime,
    /// Console, shell and card are others' to connect to: their sockets stand in the folder.
    pub bare: bool,
}

/// Is told that lamp or buzzer changed.
pub type OnSignal = Box<dyn Fn(Change) + Send>;
/// Is told that the screen shows another marker; the closure takes the picture, if one is wanted.
pub type OnScreen = Box<dyn Fn(Marker, &dyn Fn() -> Option<Frame>) + Send>;

/// Who is told of what the instruments see. Each call comes from a thread of its own.
pub struct Witness {
    /// A line on the console.
    pub line: console::OnLine,
    /// Lamp or buzzer changed.
    pub signal: OnSignal,
    /// The screen shows another marker.
    pub screen: OnScreen,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Witness")
    }
}

/// A board with power. Dropping it cuts the power.
#[derive(Debug)]
pub struct Machine {
    qemu: Qemu,
    qmp: Arc<Qmp>,
    qtest: Qtest,
    shell: Option<Arc<Shell>>,
    watching: Arc<AtomicBool>,
    looking: Arc<AtomicBool>,
    folder: PathBuf,
}

impl Machine {
    /// Switches the power on. Gives the machine when QEMU runs; the guest needs seconds more, and says so on the console.
    pub fn start(image: &Image, plan: &Plan, slot: &VscHandle, witness: Witness) -> Result<Self, TwinError> {
        let folder = &plan.folder;
        let mut seed = [0; 64];
        rand::rng().fill_bytes(&mut seed);
        let tree = folder.join("board.dtb");
        image.write_device_tree(&tree, &seed)?;
        for name in ["console", "shell", "qmp", "qtest", "card"] {
            let _ = std::fs::remove_file(folder.join(name));
        }
        let qemu = Qemu::start(command(image, plan, &tree)?, &folder.join("qemu.log"))?;
        let open = |name: &str| qemu.socket(&folder.join(name));
        let Witness { line, signal, screen } = witness;
        let mut shell = None;
        if !plan.bare {
            console::listen(open("console")?, &folder.join("console.log"), line)?;
            shell = Some(Arc::new(Shell::new(open("shell")?)));
        }
        let qmp = Arc::new(Qmp::new(open("qmp")?)?);

        let lines = Arc::new(Mutex::new(Lines::new(&[LAMP, BUZZER])));
        let signal: Arc<Mutex<OnSignal>> = Arc::new(Mutex::new(signal));
        let edges = {
            let (lines, signal) = (lines.clone(), signal.clone());
            Box::new(move |number, rose| {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(change) = lines.edge(number, rose) {
                    signal.lock().unwrap_or_else(PoisonError::into_inner)(change);
                }
            })
        };
        let qtest = Qtest::new(open("qtest")?, edges)?;
        qtest.report_edges(pins::CONTROLLER)?;
        // The button is not pressed; the board's own pull-up is not modelled.
        pins::lay(&qtest, BUTTON, true)?;
        if !plan.bare {
            slot.connect(open("card")?)?;
        }

        let watching = Arc::new(AtomicBool::new(true));
        let looking = Arc::new(AtomicBool::new(true));
        let watch = Watch {
            qtest: qtest.clone(),
            qmp: qmp.clone(),
            lines,
            signal,
            screen,
            picture: folder.join("screen.ppm"),
            on: watching.clone(),
            looking: looking.clone(),
        };
        std::thread::spawn(move || watch.run());
        Ok(Self { qemu, qmp, qtest, shell, watching, looking, folder: folder.clone() })
    }

    /// Runs a command in the guest, as root.
    pub fn shell(&self, command: &str) -> Result<Said, TwinError> {
        let shell = self.shell.as_ref().ok_or_else(|| TwinError::machine("has lent its shell", command))?;
        shell.run(command, COMMAND)
    }

    /// Presses a key of the keypad.
    pub fn key(&self, key: &str) -> Result<(), TwinError> {
        self.qmp.press(key)
    }

    /// Presses the button down, or lets it go.
    pub fn button(&self, down: bool) -> Result<(), TwinError> {
        pins::lay(&self.qtest, BUTTON, !down)
    }

    /// Whether lines and picture are looked at. Each look takes its time from the board, which for figures it need not.
    pub fn look(&self, looking: bool) {
        self.looking.store(looking, Ordering::Relaxed);
    }

    /// QEMU's process.
    pub fn id(&self) -> u32 {
        self.qemu.id
    }

    /// Whether QEMU still runs; if not, what it said last.
    pub fn ended(&self) -> Option<String> {
        let ended = self.qemu.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ended.map(|status| {
            let said = std::fs::read_to_string(self.folder.join("qemu.log")).unwrap_or_default();
            format!("{status}: {}", said.lines().last().unwrap_or_default())
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.watching.store(false, Ordering::Relaxed);
    }
}

/// Looks at lines and picture as long as there is power.
struct Watch {
    qtest: Qtest,
    qmp: Arc<Qmp>,
    lines: Arc<Mutex<Lines>>,
    signal: Arc<Mutex<OnSignal>>,
    screen: OnScreen,
    picture: PathBuf,
    on: Arc<AtomicBool>,
    looking: Arc<AtomicBool>,
}

impl Watch {
    fn run(self) {
        let (mut glass, mut shown) = (Glass::default(), None);
        while self.on.load(Ordering::Relaxed) {
            if !self.looking.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
                continue;
            }
            match self.look(&mut glass) {
                Ok(Some(marker)) if shown != Some(marker) => {
                    shown = Some(marker);
                    (self.screen)(marker, &|| self.take());
                }
                Ok(_) => {}
                Err(_) => return,
            }
            std::thread::sleep(LOOK);
        }
    }

    fn look(&self, glass: &mut Glass) -> Result<Option<Marker>, TwinError> {
        let edges = self.lines.lock().unwrap_or_else(PoisonError::into_inner).edges();
        let look = Look::take(&self.qtest)?;
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for change in lines.looked(edges, &look) {
            self.signal.lock().unwrap_or_else(PoisonError::into_inner)(change);
        }
        drop(lines);
        glass.marker(&self.qtest)
    }

    fn take(&self) -> Option<Frame> {
        self.qmp.screendump(&self.picture).ok()?;
        screen::picture(&std::fs::read(&self.picture).ok()?)
    }
}

/// Makes the SD card: a file system with what a folder holds.
pub fn make_disk(disk: &Path, content: &Path, mebibytes: u64) -> Result<(), TwinError> {
    use crate::peer::process::find;
    let make = find("mkfs.ext4", "e2fsprogs")
        .map_err(|_| TwinError::Missing { program: "mkfs.ext4", package: "e2fsprogs" })?;
    let file = std::fs::File::create(disk).map_err(io_error(disk.display().to_string()))?;
    file.set_len(mebibytes << 20).map_err(io_error(disk.display().to_string()))?;
    let made = Command::new(make).args(["-q", "-F", "-m", "0", "-d"]).arg(content).arg(disk).output();
    let made = made.map_err(io_error("mkfs.ext4"))?;
    if made.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&made.stderr).trim().to_owned();
    Err(TwinError::Build { what: "the SD card".into(), why })
}

/// Whether a twin can be started here at all.
pub fn check() -> Result<PathBuf, TwinError> {
    use crate::peer::process::find;
    for (program, package) in [("mkfs.ext4", "e2fsprogs"), ("setpriv", "util-linux")] {
        find(program, package).map_err(|_| TwinError::Missing { program, package })?;
    }
    find(QEMU, "qemu-system-arm").map_err(|_| TwinError::Missing { program: QEMU, package: "qemu-system-arm" })
}

/// QEMU's version as it says it.
pub fn version() -> Option<String> {
    let said = Command::new(QEMU).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.lines().next()?.strip_prefix("QEMU emulator version ").map(str::to_owned)
}

/// The command line. What each part is for stands in the documentation of QEMU's `raspi3b`.
fn command(image: &Image, plan: &Plan, tree: &Path) -> Result<Command, TwinError> {
    let qemu = check()?;
    let socket = |name: &str| format!("path={},server=on,wait=off", plan.folder.join(name).display());
    let doors = |port| {
        let doors = plan.doors.iter().filter(|door| door.port == port);
        let inside = IpAddr::V4(if port == Port::Network { NETWORK_SIDE } else { TERMINAL_SIDE });
        doors
            .map(|door| format!(",hostfwd=tcp:{}:{}-{inside}:{}", door.at.ip(), door.at.port(), door.inside))
            .collect::<String>()
    };
    if let Some(door) = plan.doors.iter().find(|door| !door.at.ip().is_loopback()) {
        return Err(TwinError::machine("listens on loopback only", door.at));
    }
    let epoch = plan.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // The kernel says errors only: what else stands on the console is the adapter's. iomem=relaxed lets a driver in user
    // space map the GPIO registers; the rest takes away what costs seconds and is of no use here.
    let boot = format!(
        "console=ttyS1,115200 loglevel=1 panic=1 iomem=relaxed nokaslr kvm-arm.mode=none cryptomgr.notests audit=0 \
         apparmor=0 selinux=0 ipv6.disable=1 vt.global_cursor_default=0 twin.epoch={epoch}"
    );
    // setpriv has the kernel end QEMU with us even when we are killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(qemu);
    // One thread for all processors: with one each, the guest takes three times as long.
    command.args([
        "-M",
        "raspi3b",
        "-accel",
        "tcg,thread=single",
        "-display",
        "none",
        "-monitor",
        "none",
        "-no-reboot",
    ]);
    command.arg("-kernel").arg(image.kernel()).arg("-dtb").arg(tree).arg("-initrd").arg(image.initrd());
    command.arg("-append").arg(boot);
    for setting in ["xres=1280", "yres=720", "bpp=32", "pixo=0"] {
        command.args(["-global", &format!("bcm2835-fb.{setting}")]);
    }
    command.args(["-chardev", &format!("socket,id=shell,{}", socket("shell")), "-serial", "chardev:shell"]);
    command.args(["-chardev", &format!("socket,id=console,{}", socket("console")), "-serial", "chardev:console"]);
    command.args(["-qmp", &format!("unix:{},server=on,wait=off", plan.folder.join("qmp").display())]);
    command.args(["-qtest", &format!("unix:{},server=on,wait=off", plan.folder.join("qtest").display())]);
    command.args(["-qtest-log", "none"]);
    command.args(["-chardev", &format!("socket,id=card,{}", socket("card"))]);
    command.args(["-drive", &format!("if=sd,format=raw,file={}", plan.disk.display())]);
    // The guest has no route but to its own network, whose only other host is the gateway.
    let network = format!("user,id=network,ipv6=off,net=10.0.2.0/24,host={GATEWAY}{}", doors(Port::Network));
    let terminal = format!("user,id=terminal,ipv6=off,net=10.9.0.0/24,restrict=on{}", doors(Port::Terminal));
    command.args(["-netdev", &network, "-netdev", &terminal]);
    // All there from the start: plugging in later stalls the emulated controller.
    for device in [
        "usb-hub",
        "usb-ccid,id=reader",
        "ccid-card-passthru,chardev=card",
        "usb-net,netdev=network,mac=52:54:00:00:00:01",
        "usb-net,netdev=terminal,mac=52:54:00:00:00:02",
        "usb-kbd",
    ] {
        command.args(["-device", device]);
    }
    Ok(command)
}

/// The process, kept by a thread that lives as long as it is wanted: `--pdeathsig` means the thread that started it.
#[derive(Debug)]
struct Qemu {
    id: u32,
    stop: Sender<()>,
    ended: Arc<Mutex<Option<String>>>,
    keeper: Option<std::thread::JoinHandle<()>>,
}

impl Qemu {
    fn start(mut command: Command, log: &Path) -> Result<Self, TwinError> {
        let out = std::fs::File::create(log).map_err(io_error("QEMU's log"))?;
        let err = out.try_clone().map_err(io_error("QEMU's log"))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let (stop, stopped) = channel();
        let (tell, started) = channel();
        let ended = Arc::new(Mutex::new(None));
        let says = ended.clone();
        let keep = move || match command.spawn() {
            Ok(child) => {
                let _ = tell.send(Ok(child.id()));
                keep(child, &stopped, &says);
            }
            Err(error) => drop(tell.send(Err(error))),
        };
        let keeper =
            std::thread::Builder::new().name("qemu".into()).spawn(keep).map_err(io_error("a thread for QEMU"))?;
        let id = started.recv().map_err(|error| TwinError::machine("does not start", error))?;
        Ok(Self { id: id.map_err(io_error(QEMU))?, stop, ended, keeper: Some(keeper) })
    }

    /// Connects to one of its sockets, which come up within milliseconds.
    fn socket(&self, path: &Path) -> Result<UnixStream, TwinError> {
        let late = Instant::now() + SOCKETS;
        loop {
            match UnixStream::connect(path) {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    if let Some(status) = ended {
                        let log = path.with_file_name("qemu.log");
                        let said = std::fs::read_to_string(log).unwrap_or_default();
                        return Err(TwinError::machine("does not start", format!("{status}: {}", said.trim())));
                    }
                    if Instant::now() > late {
                        return Err(TwinError::machine("does not start", format!("{}: {error}", path.display())));
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        // Its ports are free when it is gone.
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn keep(mut child: Child, stopped: &Receiver<()>, says: &Mutex<Option<String>>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_millis(50)) {
        if let Ok(Some(status)) = child.try_wait() {
            *says.lock().unwrap_or_else(PoisonError::into_inner) = Some(status.to_string());
            return;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}
