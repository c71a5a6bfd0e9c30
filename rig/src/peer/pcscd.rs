//! A private pcscd with virtual card readers (vsmartcard-vpcd), started by socket activation.
//!
//! libpcsclite finds its daemon by `PCSCLITE_CSOCK_NAME`, reads it once, and serves one daemon a process: a process that
//! wants a private pcscd is started with that variable set ([`SOCKET`]). The readers of one daemon serve all offices.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The variable by which libpcsclite finds its daemon's socket.
pub const SOCKET: &str = "PCSCLITE_CSOCK_NAME";

/// Where Debian's vsmartcard-vpcd keeps its driver.
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
const DAEMON: &str = "/usr/sbin/pcscd";
/// How long a daemon may take to be ready.
const READY: Duration = Duration::from_secs(20);

/// Why there is no private pcscd.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PcscdError {
    /// A package is missing.
    #[error("{path} is not installed; install {package}")]
    Missing {
        /// The file that is looked for.
        path: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The daemon does not start.
    #[error("pcscd does not start: {0}")]
    Start(String),
    /// A file or a socket cannot be made.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> PcscdError {
    let what = what.into();
    move |source| PcscdError::Io { what, source }
}

/// The folder that a process with a private pcscd was started for; it goes with this value.
#[derive(Debug)]
pub struct OwnFolder(PathBuf);

impl OwnFolder {
    /// The name of a socket that [`OwnFolder::prepare`] made up: nobody else's daemon is ever taken for ours.
    const NAME: &str = "sealfax-pcscd.comm";

    /// Makes a folder, and gives the path that a process has to be started with as [`SOCKET`].
    pub fn prepare() -> io::Result<PathBuf> {
        let folder = tempfile::Builder::new().prefix("sealfax-pcscd-").tempdir()?;
        Ok(folder.keep().join(Self::NAME))
    }

    /// The folder of this process, if it was started so.
    pub fn of_this_process() -> Option<Self> {
        let socket = PathBuf::from(std::env::var_os(SOCKET)?);
        (socket.file_name()? == Self::NAME).then(|| socket.parent().map(|folder| Self(folder.to_path_buf())))?
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether a private pcscd with virtual readers can be started here; if not, what is missing.
pub fn check() -> Result<(), PcscdError> {
    present(DAEMON, "pcscd")?;
    present(DRIVER, "vsmartcard-vpcd")
}

fn present(path: &'static str, package: &'static str) -> Result<(), PcscdError> {
    if Path::new(path).exists() { Ok(()) } else { Err(PcscdError::Missing { path, package }) }
}

/// A slot of a virtual reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VpcdSlot {
    /// The reader's name in PC/SC.
    pub reader: String,
    /// The TCP port on which vpcd waits for a card.
    pub port: u16,
}

/// A reader of the daemon's configuration (reader.conf(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderEntry {
    /// FRIENDLYNAME.
    pub name: String,
    /// DEVICENAME.
    pub device: String,
    /// LIBPATH.
    pub library: PathBuf,
    /// CHANNELID.
    pub channel: u32,
}

enum Order {
    Kill,
    /// Kills one that runs first.
    Start,
    /// Unless it runs.
    Ensure,
}

/// A running, killed or restarted pcscd. Ends with its last handle; clones are the same daemon.
#[derive(Clone)]
pub struct Pcscd {
    orders: Arc<Mutex<Orders>>,
    folder: PathBuf,
    slots: Vec<VpcdSlot>,
}

struct Orders {
    to: Sender<Order>,
    done: Receiver<Result<(), PcscdError>>,
}

impl std::fmt::Debug for Pcscd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pcscd").field("folder", &self.folder).field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl Pcscd {
    /// Starts a daemon at the socket that [`SOCKET`] names for this process, with a virtual reader of two slots for each
    /// name: "NAME 00 00" and "NAME 00 01". Its files stand beside the socket.
    pub fn start(names: &[&str]) -> Result<Self, PcscdError> {
        check()?;
        let folder = folder_of_this_process()?;
        let mut slots = Vec::new();
        let mut entries = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let port = two_ports().map_err(io_error("two free ports for vpcd"))?;
            // vpcd keeps its slots in one array of the library: two entries of the same library would share it.
            let library = folder.join(format!("libifdvpcd{number}.so"));
            std::fs::copy(DRIVER, &library).map_err(io_error(format!("a copy of {DRIVER}")))?;
            entries.push(ReaderEntry {
                name: (*name).to_owned(),
                device: format!("/dev/null:0x{port:X}"),
                library,
                channel: port.into(),
            });
            slots.push(VpcdSlot { reader: format!("{name} 00 00"), port });
            slots.push(VpcdSlot { reader: format!("{name} 00 01"), port: port + 1 });
        }
        Self::with_readers(&entries, slots)
    }

    /// Starts a daemon at the socket that [`SOCKET`] names, with any readers.
    pub fn with_readers(entries: &[ReaderEntry], slots: Vec<VpcdSlot>) -> Result<Self, PcscdError> {
        present(DAEMON, "pcscd")?;
        let folder = folder_of_this_process()?;
        let configuration = folder.join("reader.conf.d");
        std::fs::create_dir_all(&configuration).map_err(io_error("the folder of reader configurations"))?;
        for (number, entry) in entries.iter().enumerate() {
            let ReaderEntry { name, device, library, channel } = entry;
            let library = library.display();
            let text =
                format!("FRIENDLYNAME \"{name}\"\nDEVICENAME {device}\nLIBPATH {library}\nCHANNELID 0x{channel:X}\n");
            std::fs::write(configuration.join(format!("reader{number}")), text)
                .map_err(io_error("a reader's configuration"))?;
        }
        let (to, orders) = channel();
        let (tell, done) = channel();
        let of_thread = folder.clone();
        // The daemon is told to end when the thread that started it does: this one lives as long as it is wanted.
        std::thread::Builder::new()
            .name("pcscd".into())
            .spawn(move || keep(&of_thread, &orders, &tell))
            .map_err(io_error("the thread that keeps pcscd"))?;
        let pcscd = Self { orders: Arc::new(Mutex::new(Orders { to, done })), folder, slots };
        pcscd.order(Order::Start)?;
        Ok(pcscd)
    }

    /// The slots of its virtual readers.
    pub fn slots(&self) -> &[VpcdSlot] {
        &self.slots
    }

    /// Kills it, as with SIGKILL.
    pub fn kill(&self) -> Result<(), PcscdError> {
        self.order(Order::Kill)
    }

    /// Starts it again at the same socket with the same readers, killing it first if it still runs.
    pub fn restart(&self) -> Result<(), PcscdError> {
        self.order(Order::Start)
    }

    /// Starts it again if it was killed.
    pub fn ensure(&self) -> Result<(), PcscdError> {
        self.order(Order::Ensure)
    }

    /// What it wrote into its log since its last start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("pcscd.log")).unwrap_or_default()
    }

    fn order(&self, order: Order) -> Result<(), PcscdError> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = || PcscdError::Start("the thread that keeps it ended".into());
        orders.to.send(order).map_err(|_| ended())?;
        orders.done.recv().map_err(|_| ended())?
    }
}

/// The folder of the socket that this process was given.
fn folder_of_this_process() -> Result<PathBuf, PcscdError> {
    let socket = std::env::var_os(SOCKET).map(PathBuf::from);
    socket.as_deref().and_then(Path::parent).map(Path::to_path_buf).ok_or_else(|| {
        PcscdError::Start(format!("{SOCKET} is not set, and a process cannot set it for libpcsclite once it runs"))
    })
}

/// Two free ports that follow each other. vpcd listens on all addresses, so that is where they have to be free.
fn two_ports() -> io::Result<u16> {
    use std::net::{Ipv4Addr, TcpListener};
    for _ in 0..200 {
        let first = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let port = first.local_addr()?.port();
        if port < u16::MAX && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port + 1)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no two ports that follow each other are free"))
}

/// Starts and ends the daemon as it is ordered; ends it at last when nobody is left to order anything.
fn keep(folder: &Path, orders: &Receiver<Order>, tell: &Sender<Result<(), PcscdError>>) {
    let mut child: Option<Child> = None;
    let end = |child: &mut Option<Child>| {
        if let Some(mut child) = child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    };
    while let Ok(order) = orders.recv() {
        let done = match order {
            Order::Kill => {
                end(&mut child);
                Ok(())
            }
            Order::Start => {
                end(&mut child);
                start(folder).map(|started| child = Some(started))
            }
            Order::Ensure if child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None))) => Ok(()),
            Order::Ensure => start(folder).map(|started| child = Some(started)),
        };
        if tell.send(done).is_err() {
            break;
        }
    }
    end(&mut child);
}

fn start(folder: &Path) -> Result<Child, PcscdError> {
    let socket = std::env::var_os(SOCKET).map(PathBuf::from).unwrap_or_default();
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).map_err(io_error(format!("the socket {}", socket.display())))?;
    // pcscd makes this folder even where it is given its socket; as an ordinary user it has to be there.
    let _ = std::fs::create_dir("/run/pcscd");
    let path = folder.join("pcscd.log");
    let log = std::fs::File::create(&path).map_err(io_error("pcscd's log"))?;
    let errors = log.try_clone().map_err(io_error("pcscd's log"))?;
    // sd_listen_fds(3): the socket is descriptor 3, and LISTEN_PID the daemon's own number, which exec keeps. setpriv has
    // the kernel end the daemon with us even when we are killed.
    const SCRIPT: &str = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; \
        exec setpriv --pdeathsig KILL -- \"$0\" --foreground --info -c \"$1\"";
    let mut child = Command::new("/bin/sh")
        .args(["-c", SCRIPT, DAEMON])
        .arg(folder.join("reader.conf.d"))
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(io_error("pcscd"))?;
    let late = Instant::now() + READY;
    loop {
        let said = std::fs::read_to_string(&path).unwrap_or_default();
        if said.contains("daemon ready") {
            return Ok(child);
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(PcscdError::Start(format!("it ended with {status}: {}", said.trim())));
        }
        if Instant::now() > late {
            let _ = child.kill();
            let _ = child.wait();
            return Err(PcscdError::Start(format!("it is not ready after {} s: {}", READY.as_secs(), said.trim())));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
