//! OpenLDAP's `slapd`, a directory as sites already run it: its own folder, an mdb database, entries of inetOrgPerson
//! with certificates (RFC 2798, RFC 4523), an index on `mail`.

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::process::{PeerError, Process, find, free_port};

const PROGRAM: &str = "slapd";
const PACKAGE: &str = "slapd";
/// Where everything stands.
pub const SUFFIX: &str = "dc=example";
/// Where the people stand.
pub const PEOPLE: &str = "ou=people,dc=example";
/// Who may do everything.
pub const ROOT: &str = "cn=root,dc=example";
/// The password of [`ROOT`].
pub const PASSWORD: &str = "directory-root";

/// Somebody in the directory.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Relative name below [`PEOPLE`]: becomes `uid`.
    pub uid: String,
    /// Mail addresses.
    pub mail: Vec<String>,
    /// Certificates, DER.
    pub certificates: Vec<Vec<u8>>,
}

/// What else a directory is told.
#[derive(Debug, Clone, Default)]
pub struct SlapdOptions {
    /// Lines of slapd.conf(5) for the database: access rules, limits.
    pub database: String,
    /// Lines of slapd.conf(5) before the database: TLS.
    pub global: String,
    /// More entries, as LDIF (RFC 2849): referrals.
    pub ldif: String,
    /// TLS from the first octet on; the certificate is among `global`.
    pub ldaps: bool,
}

/// A running directory; it ends when dropped.
#[derive(Debug)]
pub struct Slapd {
    process: Process,
    at: SocketAddr,
    _folder: tempfile::TempDir,
}

/// Whether it is installed.
pub fn present() -> Result<(), PeerError> {
    find(PROGRAM, PACKAGE).map(drop)
}

impl Slapd {
    /// A directory at a free port of `host` that holds `entries`.
    pub fn start(
        host: IpAddr,
        entries: impl IntoIterator<Item = Entry>,
        options: &SlapdOptions,
    ) -> Result<Self, PeerError> {
        let program = find(PROGRAM, PACKAGE)?;
        let broken = |error: std::io::Error| PeerError::broken(PROGRAM, error);
        let folder = tempfile::tempdir().map_err(broken)?;
        let here = folder.path();
        std::fs::create_dir(here.join("data")).map_err(broken)?;
        let config = here.join("slapd.conf");
        std::fs::write(&config, configuration(here, options)).map_err(broken)?;
        load(&program, here, &config, entries, &options.ldif)?;
        let at = free_port(host).map_err(broken)?;
        let mut command = Command::new(&program);
        let scheme = if options.ldaps { "ldaps" } else { "ldap" };
        command.arg("-h").arg(format!("{scheme}://{at}/")).arg("-f").arg(&config).args(["-d", "0"]);
        let mut process = Process::start(PROGRAM, command, &here.join("log"))?;
        process.wait_for_port(at, Duration::from_secs(20))?;
        Ok(Self { process, at, _folder: folder })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.at
    }

    /// The process, to be measured, frozen or killed.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// slapd.conf(5). `loglevel 0` and no synchronous writes: what is measured is looking up.
fn configuration(folder: &Path, options: &SlapdOptions) -> String {
    let mut text = String::new();
    for schema in ["core", "cosine", "inetorgperson"] {
        let _ = writeln!(text, "include /etc/ldap/schema/{schema}.schema");
    }
    // Debian's slapd loads the database's module; others have it built in.
    if let Some(modules) = ["/usr/lib/ldap", "/usr/libexec/openldap"].iter().find(|path| Path::new(path).is_dir()) {
        let _ = writeln!(text, "modulepath {modules}\nmoduleload back_mdb");
    }
    let _ = write!(
        text,
        "pidfile {folder}/pid\nloglevel 0\n{global}\n\
         database mdb\nsuffix \"{SUFFIX}\"\nrootdn \"{ROOT}\"\nrootpw {PASSWORD}\ndirectory {folder}/data\n\
         maxsize 2147483648\nindex objectClass eq\nindex mail eq\ndbnosync\n{database}\n",
        folder = folder.display(),
        global = options.global,
        database = options.database,
    );
    text
}

/// Writes the entries as LDIF and loads them offline, which is the fast way.
fn load(
    program: &Path,
    folder: &Path,
    config: &Path,
    entries: impl IntoIterator<Item = Entry>,
    more: &str,
) -> Result<(), PeerError> {
    let broken = |error: std::io::Error| PeerError::broken(PROGRAM, error);
    let path = folder.join("entries.ldif");
    let mut file = BufWriter::new(std::fs::File::create(&path).map_err(broken)?);
    let write = |file: &mut BufWriter<std::fs::File>| -> std::io::Result<()> {
        writeln!(file, "dn: {SUFFIX}\nobjectClass: domain\ndc: example\n")?;
        writeln!(file, "dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n")?;
        for entry in entries {
            file.write_all(entry.ldif().as_bytes())?;
        }
        file.write_all(more.as_bytes())?;
        file.flush()
    };
    write(&mut file).map_err(broken)?;
    drop(file);
    // slapadd is slapd by another name.
    let slapadd: PathBuf = program.with_file_name("slapadd");
    let output = Command::new(slapadd).arg("-q").arg("-f").arg(config).arg("-l").arg(&path).output().map_err(broken)?;
    if !output.status.success() {
        return Err(PeerError::broken("slapadd", String::from_utf8_lossy(&output.stderr)));
    }
    std::fs::remove_file(&path).map_err(broken)
}

impl Entry {
    /// One record of LDIF.
    fn ldif(&self) -> String {
        let mut text = format!(
            "dn: uid={uid},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n",
            uid = self.uid
        );
        for mail in &self.mail {
            // In base64, so that no address can be anything but a value.
            let _ = writeln!(text, "mail:: {}", STANDARD.encode(mail));
        }
        for certificate in &self.certificates {
            let _ = writeln!(text, "userCertificate;binary:: {}", STANDARD.encode(certificate));
        }
        text.push('\n');
        text
    }
}
