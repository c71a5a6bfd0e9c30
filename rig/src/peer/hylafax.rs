//! HylaFAX, the fax server of large sites, at a Class 1 modem: `faxsend` and `faxgetty` alone, without scheduler and network, in
//! a spooling area of their own. Nothing of the system's configuration is read or written. They change to the user `uucp`,
//! so that root alone can start them.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{PeerError, Process, find_for_root};

const PROGRAM: &str = "hylafax";
const PACKAGE: &str = "hylafax-server";
/// The folders that its programs want to find in their spooling area (hylafax-server(5)).
const FOLDERS: [&str; 15] = [
    "archive", "bin", "client", "config", "docq", "doneq", "etc", "info", "locks", "log", "recvq", "sendq", "status",
    "tmp", "pollq",
];

/// Whether it is installed and may be started.
pub fn present() -> Result<(), PeerError> {
    find_for_root("faxsend", PACKAGE)?;
    find_for_root("faxgetty", PACKAGE)?;
    fax_user().map(drop)
}

/// How pages are coded on the line; its numbers are those of sendq(5), `desireddf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One-dimensional.
    ModifiedHuffman = 0,
    /// Two-dimensional.
    ModifiedRead = 1,
    /// T.6; with error correction only.
    ModifiedModifiedRead = 4,
}

/// What HylaFAX may do in a call.
#[derive(Debug, Clone, Copy)]
pub struct HylaFaxOptions {
    /// Bits a second, at most.
    pub rate: u32,
    /// How pages are coded.
    pub format: Format,
    /// Error correction (T.30 Annex A).
    pub ecm: bool,
}

impl Default for HylaFaxOptions {
    fn default() -> Self {
        Self { rate: 14_400, format: Format::ModifiedModifiedRead, ecm: true }
    }
}

/// HylaFAX at a modem.
#[derive(Debug)]
pub struct HylaFax {
    folder: tempfile::TempDir,
    port: PathBuf,
    options: HylaFaxOptions,
    /// Sends or waits for calls.
    process: Option<Process>,
}

impl HylaFax {
    /// A spooling area for the modem at this port; nothing runs yet.
    pub fn at(port: &Path, options: HylaFaxOptions) -> Result<Self, PeerError> {
        present()?;
        let folder = tempfile::tempdir().map_err(broken)?;
        let fax = Self { port: port.to_owned(), options, process: None, folder };
        let here = fax.folder.path();
        std::fs::set_permissions(here, std::fs::Permissions::from_mode(0o755)).map_err(broken)?;
        for name in FOLDERS {
            std::fs::create_dir(here.join(name)).map_err(broken)?;
        }
        std::fs::write(here.join("etc/dialrules"), DIAL_RULES).map_err(broken)?;
        std::fs::write(here.join("etc/xferfaxlog"), "").map_err(broken)?;
        std::fs::write(here.join("etc/config"), "").map_err(broken)?;
        std::fs::write(here.join("etc").join(format!("config.{}", fax.device())), fax.configuration())
            .map_err(broken)?;
        give_to_fax_user(here)?;
        std::os::unix::fs::chown(port, Some(fax_user()?.0), None).map_err(broken)?;
        Ok(fax)
    }

    /// Calls `number` and sends a TIFF/F file of so many pages of 204 x 196 dots per inch, each 1728 pixels wide.
    pub fn send(&mut self, number: &str, tiff: &Path, pages: usize) -> Result<(), PeerError> {
        let here = self.folder.path();
        std::fs::copy(tiff, here.join("docq/pages.tif")).map_err(broken)?;
        std::fs::write(here.join("sendq/q1"), self.job(number, pages)).map_err(broken)?;
        give_to_fax_user(here)?;
        let mut command = Command::new(find_for_root("faxsend", PACKAGE)?);
        command.current_dir(here).args(["-l", "-p", "-m", &self.device(), "sendq/q1"]);
        self.process = Some(Process::start(PROGRAM, command, &here.join("faxsend.log"))?);
        Ok(())
    }

    /// Waits until what is sent has gone. HylaFAX's reason and the log of its session come if it has not.
    pub fn sent(&mut self, patience: Duration) -> Result<(), PeerError> {
        if let Some(process) = &mut self.process {
            process.finished(patience)?;
        }
        self.process = None;
        let job = std::fs::read_to_string(self.folder.path().join("sendq/q1")).map_err(broken)?;
        let of = |tag: &str| job.lines().find_map(|line| line.strip_prefix(tag)).unwrap_or_default();
        // FaxSendStatus: 2 is send_done.
        if of("returned:") == "2" {
            return Ok(());
        }
        Err(PeerError::broken(PROGRAM, format!("{}\n{}", of("status:"), self.session())))
    }

    /// Waits for calls; ready for one when this returns.
    pub fn answer(&mut self) -> Result<(), PeerError> {
        let here = self.folder.path();
        let mut command = Command::new(find_for_root("faxgetty", PACKAGE)?);
        command.current_dir(here).arg("-p").arg("-q").arg(here).arg(&self.port);
        let mut process = Process::start(PROGRAM, command, &here.join("faxgetty.log"))?;
        let status = here.join("status").join(self.device());
        process.wait_until(Duration::from_secs(60), |_| {
            std::fs::read_to_string(&status).is_ok_and(|status| status.contains("idle")).then_some(())
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// The next file that was received, of a call that is over.
    pub fn received(&mut self, patience: Duration) -> Result<PathBuf, PeerError> {
        let here = self.folder.path();
        let Some(process) = &mut self.process else { return Err(PeerError::broken(PROGRAM, "it waits for no call")) };
        process.wait_until(patience, |_| session_of(here).contains("SESSION END").then_some(()))?;
        let mut files: Vec<PathBuf> = std::fs::read_dir(here.join("recvq"))
            .map_err(broken)?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "tif"))
            .collect();
        files.sort();
        files.pop().ok_or_else(|| PeerError::broken(PROGRAM, format!("nothing was received\n{}", session_of(here))))
    }

    /// The logs of its sessions.
    pub fn session(&self) -> String {
        session_of(self.folder.path())
    }

    /// HylaFAX's name for the port (faxsend(8), "-m").
    fn device(&self) -> String {
        self.port.strip_prefix("/dev").unwrap_or(&self.port).display().to_string().replace('/', "_")
    }

    /// hylafax-config(5): no pauses for the sake of a real modem, a lock of its own, everything logged.
    fn configuration(&self) -> String {
        let on = |is_on: bool| if is_on { "yes" } else { "no" };
        let two_dimensional = self.options.format != Format::ModifiedHuffman;
        let mut text = String::new();
        for (key, value) in [
            ("FAXNumber", "+1.555.0100"),
            ("LocalIdentifier", "\"HYLAFAX\""),
            ("CountryCode", "1"),
            ("AreaCode", "555"),
            ("DialStringRules", "etc/dialrules"),
            ("SessionTracing", "0xFFF"),
            ("ServerTracing", "0xFFF"),
            ("UUCPLockDir", &self.folder.path().join("locks").display().to_string()),
            ("RingsBeforeAnswer", "1"),
            ("SpeakerVolume", "off"),
            ("TagLineFormat", "\"\""),
            ("DeviceMode", "0600"),
            ("ModemType", "Class1"),
            ("ModemResetDelay", "10"),
            ("ModemSoftResetCmdDelay", "0"),
            ("ModemDTRDropDelay", "10"),
            ("Class1AdaptRecvCmd", "AT+FAR=1"),
            // The modem says CONNECT before it sends its training, and what comes too early would be lost.
            ("Class1TMConnectDelay", "400"),
            ("Class1ECMSupport", on(self.options.ecm)),
            ("Class1MRSupport", on(two_dimensional)),
            ("Class1MMRSupport", on(self.options.format == Format::ModifiedModifiedRead)),
            ("Class1RMQueryCmd", self.receives_at()),
        ] {
            let _ = writeln!(text, "{key}:\t{value}");
        }
        text
    }

    /// T.31's modulations up to the rate, as the modem would list them: "!" and a list stand for its answer.
    fn receives_at(&self) -> &'static str {
        match self.options.rate {
            0..=4800 => "\"!24,48\"",
            4801..=9600 => "\"!24,48,72,96\"",
            _ => "\"AT+FRM=?\"",
        }
    }

    /// sendq(5).
    fn job(&self, number: &str, pages: usize) -> String {
        // A page's session parameters in two hexadecimal digits (fine; 1728 pixels; unlimited length; coding), and what
        // comes after it: S another page of the same kind, P nothing.
        let coding = match self.options.format {
            Format::ModifiedHuffman => 0,
            Format::ModifiedRead => 1,
            Format::ModifiedModifiedRead => 3,
        };
        let parameters = 1 | 2 << 4 | coding << 6;
        let handling: String =
            (1..=pages).map(|page| format!("{parameters:02x}{}", if page == pages { 'P' } else { 'S' })).collect();
        let rate = (self.options.rate / 2400).saturating_sub(1);
        let ecm = if self.options.ecm { 2 } else { 0 };
        let format = self.options.format as u8;
        let device = self.device();
        let soon = u64::from(u32::MAX);
        format!(
            "tts:0\nkilltime:{soon}\nretrytime:0\nstate:6\nnpages:0\ntotpages:{pages}\nntries:0\nndials:0\ntotdials:0\n\
             maxdials:1\ntottries:0\nmaxtries:1\npagewidth:209\nresolution:196\npagelength:297\npriority:127\nschedpri:127\n\
             minbr:0\ndesiredbr:{rate}\ndesiredst:0\ndesiredec:{ecm}\ndesireddf:{format}\ndesiredtl:0\nuseccover:0\n\
             usexvres:1\nexternal:{number}\nnumber:{number}\nmailaddr:nobody\nsender:nobody\njobid:1\njobtag:\n\
             pagehandling:{handling}\nmodem:{device}\nreceiver:\ncompany:\nlocation:\ncover:\nclient:localhost\nowner:nobody\n\
             groupid:1\nsignalrate:\ndataformat:\njobtype:facsimile\ntagline:\nsubaddr:\npasswd:\ndoneop:default\ncommid:\n\
             notify:none\nfax:0::docq/pages.tif\n"
        )
    }
}

/// Numbers are dialled as they are.
const DIAL_RULES: &str = "CanonicalNumber := [\n]\nDialString := [\n]\n";

fn broken(error: std::io::Error) -> PeerError {
    PeerError::broken(PROGRAM, error)
}

fn session_of(here: &Path) -> String {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(here.join("log")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.retain(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('c')));
    files
        .iter()
        .filter_map(|file| std::fs::read(file).ok())
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect()
}

/// User and group of HylaFAX's on Debian.
fn fax_user() -> Result<(u32, u32), PeerError> {
    let users = std::fs::read_to_string("/etc/passwd").map_err(broken)?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields
        .filter(|fields| fields.first() == Some(&"uucp"))
        .find_map(|fields| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)));
    found.ok_or_else(|| PeerError::broken(PROGRAM, "there is no user uucp"))
}

/// Everything in the spooling area belongs to the user that HylaFAX becomes.
fn give_to_fax_user(folder: &Path) -> Result<(), PeerError> {
    let (user, group) = fax_user()?;
    std::os::unix::fs::chown(folder, Some(user), Some(group)).map_err(broken)?;
    for entry in std::fs::read_dir(folder).map_err(broken)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            give_to_fax_user(&entry.path())?;
        } else {
            std::os::unix::fs::chown(entry.path(), Some(user), Some(group)).map_err(broken)?;
        }
    }
    Ok(())
}
