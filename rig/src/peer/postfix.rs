//! Postfix, the mail server that most sites know: an instance of its own in a folder of its own, which takes mail on loopback
//! and delivers into Maildirs, or to an LMTP server.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{PeerError, Process, find, find_for_root, free_port};

const PROGRAM: &str = "postfix";
const PACKAGE: &str = "postfix";
/// Whose the Maildirs are: no user's.
const NOBODY: u32 = 65534;

/// What is delivered where.
#[derive(Debug, Clone)]
pub struct PostfixOptions {
    /// The domain whose mailboxes are here.
    pub domain: String,
    /// Local parts of the mailboxes.
    pub boxes: Vec<String>,
    /// Where an LMTP server takes mail instead; a path.
    pub lmtp: Option<PathBuf>,
    /// Lines of main.cf for the rest.
    pub main: String,
}

/// A running instance; it ends when dropped.
#[derive(Debug)]
pub struct Postfix {
    process: Process,
    at: SocketAddr,
    folder: tempfile::TempDir,
}

/// Whether it is installed, and may be started: it changes users.
pub fn present() -> Result<(), PeerError> {
    find_for_root(PROGRAM, PACKAGE).map(drop)
}

impl Postfix {
    /// An instance at a free port of `host`.
    pub fn start(host: IpAddr, options: &PostfixOptions) -> Result<Self, PeerError> {
        let program = find(PROGRAM, PACKAGE)?;
        let broken = |error: std::io::Error| PeerError::broken(PROGRAM, error);
        let folder = tempfile::tempdir().map_err(broken)?;
        let here = folder.path();
        // Its processes are of several users.
        std::fs::set_permissions(here, std::fs::Permissions::from_mode(0o755)).map_err(broken)?;
        for (name, mode) in [("conf", 0o755), ("queue", 0o755), ("data", 0o700), ("mail", 0o777)] {
            let path = here.join(name);
            std::fs::create_dir(&path).map_err(broken)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).map_err(broken)?;
        }
        let at = free_port(host).map_err(broken)?;
        std::fs::write(here.join("conf/main.cf"), main_cf(here, at, options)).map_err(broken)?;
        std::fs::write(here.join("conf/master.cf"), master_cf(at)).map_err(broken)?;
        let boxes: String =
            options.boxes.iter().map(|name| format!("{name}@{domain} {name}/\n", domain = options.domain)).collect();
        std::fs::write(here.join("conf/boxes"), boxes).map_err(broken)?;
        let owned = Command::new("chown").arg("postfix").arg(here.join("data")).status().map_err(broken)?;
        let checked = Command::new(&program).arg("-c").arg(here.join("conf")).arg("check").output().map_err(broken)?;
        if !owned.success() || !checked.status.success() {
            return Err(PeerError::broken(PROGRAM, String::from_utf8_lossy(&checked.stderr)));
        }
        let mut command = Command::new("/usr/lib/postfix/sbin/master");
        command.arg("-c").arg(here.join("conf")).arg("-d");
        let mut process = Process::start(PROGRAM, command, &here.join("log"))?;
        process.wait_for_port(at, Duration::from_secs(20))?;
        Ok(Self { process, at, folder })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.at
    }

    /// The process above all others of it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where the Maildirs are, each under its local part.
    pub fn maildirs(&self) -> PathBuf {
        self.folder.path().join("mail")
    }
}

/// postconf(5). Bounds that would hold a load generator back are lifted; everything that makes mail last is as it comes.
fn main_cf(folder: &Path, at: SocketAddr, options: &PostfixOptions) -> String {
    let mut text = String::new();
    let transport =
        options.lmtp.as_ref().map_or_else(|| "virtual".to_owned(), |path| format!("lmtp:unix:{}", path.display()));
    let _ = write!(
        text,
        "compatibility_level = 3.6\nsmtputf8_enable = yes\nqueue_directory = {folder}/queue\ndata_directory = {folder}/data\n\
         command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
         setgid_group = postdrop\ninet_interfaces = {host}\ninet_protocols = ipv4\nmyhostname = mail.{domain}\n\
         mydestination =\nmynetworks = 127.0.0.0/8\nvirtual_mailbox_domains = {domain}\n\
         virtual_mailbox_base = {folder}/mail\nvirtual_mailbox_maps = texthash:{folder}/conf/boxes\n\
         virtual_uid_maps = static:{NOBODY}\nvirtual_gid_maps = static:{NOBODY}\nvirtual_mailbox_limit = 0\n\
         message_size_limit = 0\nvirtual_transport = {transport}\nsmtpd_client_connection_count_limit = 0\n\
         smtpd_client_connection_rate_limit = 0\nin_flow_delay = 0\nmaillog_file_prefixes = {folder}\n\
         maillog_file = {folder}/maillog\n{more}\n",
        folder = folder.display(),
        host = at.ip(),
        domain = options.domain,
        more = options.main,
    );
    text
}

/// master(5): what Debian runs, without change of root.
fn master_cf(at: SocketAddr) -> String {
    format!(
        "{at} inet n - n - 100 smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\ntlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
         verify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\n\
         smtp unix - - n - - smtp\nrelay unix - - n - - smtp\nerror unix - - n - - error\n\
         retry unix - - n - - error\ndiscard unix - - n - - discard\nvirtual unix - n n - - virtual\n\
         lmtp unix - - n - - lmtp\nanvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\n\
         postlog unix-dgram n - n - 1 postlogd\n"
    )
}
