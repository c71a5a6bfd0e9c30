//! Dovecot, the POP3 server that most sites know, over Maildirs; an instance of its own on loopback.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{PeerError, Process, find, find_for_root, free_port};

const PROGRAM: &str = "dovecot";
const PACKAGE: &str = "dovecot-pop3d";
/// What opens every mailbox.
pub const PASSWORD: &str = "correct-horse";

/// A running instance; it ends when dropped.
#[derive(Debug)]
pub struct Dovecot {
    process: Process,
    at: SocketAddr,
    folder: tempfile::TempDir,
}

/// Whether it is installed, and may be started: it changes users.
pub fn present() -> Result<(), PeerError> {
    find_for_root(PROGRAM, PACKAGE).map(drop)
}

impl Dovecot {
    /// An instance at a free port of `host`, over the Maildirs in `maildirs`; all mailboxes open with [`PASSWORD`].
    pub fn start(host: IpAddr, maildirs: &Path) -> Result<Self, PeerError> {
        let program = find(PROGRAM, PACKAGE)?;
        let broken = |error: std::io::Error| PeerError::broken(PROGRAM, error);
        let folder = tempfile::tempdir().map_err(broken)?;
        let here = folder.path();
        std::fs::set_permissions(here, std::fs::Permissions::from_mode(0o755)).map_err(broken)?;
        let at = free_port(host).map_err(broken)?;
        let config = here.join("dovecot.conf");
        std::fs::write(&config, configuration(here, at, maildirs)).map_err(broken)?;
        let mut command = Command::new(program);
        command.arg("-F").arg("-c").arg(&config);
        let mut process = Process::start(PROGRAM, command, &here.join("log"))?;
        process.wait_for_port(at, Duration::from_secs(20))?;
        Ok(Self { process, at, folder })
    }

    /// Where POP3 listens.
    pub fn addr(&self) -> SocketAddr {
        self.at
    }

    /// The process above all others of it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where it takes mail by LMTP.
    pub fn lmtp(&self) -> PathBuf {
        self.folder.path().join("lmtp")
    }
}

/// As its manual advises for many sessions; mail is written through as it comes.
fn configuration(folder: &Path, at: SocketAddr, maildirs: &Path) -> String {
    format!(
        "base_dir = {folder}/run\nlog_path = {folder}/dovecot.log\nprotocols = pop3 lmtp\nlisten = {host}\nssl = no\n\
         disable_plaintext_auth = no\nmail_location = maildir:{maildirs}/%n\nmail_uid = 65534\nmail_gid = 65534\n\
         first_valid_uid = 1\ndefault_login_user = nobody\ndefault_internal_user = nobody\n\
         default_internal_group = nogroup\nauth_mechanisms = plain\nmail_max_userip_connections = 1000\n\
         pop3_no_flag_updates = yes\nmail_fsync = always\n\
         passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n\
         userdb {{\n  driver = static\n  args = uid=65534 gid=65534 home={maildirs}/%n\n}}\n\
         service pop3-login {{\n  chroot =\n  service_count = 0\n  process_min_avail = 2\n  client_limit = 1000\n  \
         inet_listener pop3 {{\n    port = {port}\n  }}\n}}\n\
         service pop3 {{\n  process_limit = 200\n}}\n\
         service lmtp {{\n  unix_listener {folder}/lmtp {{\n    mode = 0666\n  }}\n}}\n\
         service anvil {{\n  chroot =\n}}\nservice stats {{\n  chroot =\n}}\n",
        folder = folder.display(),
        maildirs = maildirs.display(),
        host = at.ip(),
        port = at.port(),
    )
}
