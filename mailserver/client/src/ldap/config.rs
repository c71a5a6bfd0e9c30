//! Where a directory is and how it is asked: the table `[network.ldap]` of the adapter's configuration.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::LdapError;
use super::filter::{Equality, is_attribute};
use super::message::{Scope, Search};

/// Octets of a password file.
const MAX_PASSWORD: usize = 1024;
/// Octets of a distinguished name.
const MAX_NAME: usize = 1024;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Not at all. Certificates are public and verified anyway; who asks for whom can be seen.
    #[default]
    None,
    /// TLS after an exchange in clear (RFC 4511 4.14), usually at port 389.
    Starttls,
    /// TLS from the first octet on, usually at port 636.
    Ldaps,
}

/// A directory that is asked by LDAP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Table")]
pub struct LdapDirectory {
    /// Address and port.
    pub server: SocketAddr,
    /// Where the search begins: "ou=people,dc=example,dc=jp". Empty is the root.
    pub base: String,
    /// How deep it goes.
    pub scope: Scope,
    /// The attribute that bears a person's mail address: "mail".
    pub address_attribute: String,
    /// The attribute that holds certificates (RFC 4523 4.1), without the option `binary`: "userCertificate".
    pub certificate_attribute: String,
    /// Name to log in with; without it the search is anonymous.
    pub bind_dn: Option<String>,
    /// File with the password of `bind_dn`, readable by its owner (and group) alone.
    pub password_file: Option<PathBuf>,
    /// How the connection is protected.
    pub security: Security,
    /// Host name in the server's TLS certificate.
    pub tls_name: Option<String>,
    /// PEM file with the anchors of the server's TLS certificate.
    pub tls_anchors: Option<PathBuf>,
    /// Longest a whole look-up may take.
    pub seconds: u64,
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    server: SocketAddr,
    base: String,
    #[serde(default)]
    scope: Scope,
    address_attribute: Option<String>,
    certificate_attribute: Option<String>,
    bind_dn: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    security: Security,
    tls_name: Option<String>,
    tls_anchors: Option<PathBuf>,
    seconds: Option<u64>,
}

impl TryFrom<Table> for LdapDirectory {
    type Error = LdapError;

    fn try_from(table: Table) -> Result<Self, LdapError> {
        let default = Self::new(table.server, &table.base);
        let directory = Self {
            scope: table.scope,
            address_attribute: table.address_attribute.unwrap_or(default.address_attribute),
            certificate_attribute: table.certificate_attribute.unwrap_or(default.certificate_attribute),
            bind_dn: table.bind_dn,
            password_file: table.password_file,
            security: table.security,
            tls_name: table.tls_name,
            tls_anchors: table.tls_anchors,
            seconds: table.seconds.unwrap_or(default.seconds),
            server: default.server,
            base: default.base,
        };
        directory.check()?;
        Ok(directory)
    }
}

impl LdapDirectory {
    /// An anonymous search for `mail` below `base`, in clear, within ten seconds.
    pub fn new(server: SocketAddr, base: &str) -> Self {
        Self {
            server,
            base: base.to_owned(),
            scope: Scope::default(),
            address_attribute: "mail".to_owned(),
            certificate_attribute: "userCertificate".to_owned(),
            bind_dn: None,
            password_file: None,
            security: Security::None,
            tls_name: None,
            tls_anchors: None,
            seconds: 10,
        }
    }

    /// Whether this can be asked at all; what is wrong otherwise.
    pub fn check(&self) -> Result<(), LdapError> {
        let wrong = |why| Err(LdapError::Configuration(why));
        if !is_attribute(&self.address_attribute) {
            return wrong("address_attribute is not an attribute's name; \"mail\" is usual");
        }
        if !is_attribute(&self.certificate_attribute) {
            return wrong(
                "certificate_attribute is not an attribute's name; write \"userCertificate\", without \";binary\"",
            );
        }
        if self.base.len() > MAX_NAME || self.bind_dn.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return wrong("base and bind_dn may have at most 1024 octets");
        }
        if !(1..=60).contains(&self.seconds) {
            return wrong("seconds must be 1 to 60");
        }
        match (&self.bind_dn, &self.password_file) {
            (Some(name), Some(_)) if !name.is_empty() => {}
            (None, None) => {}
            _ => return wrong("bind_dn and password_file go together; leave both away to search anonymously"),
        }
        if self.bind_dn.is_some() && self.security == Security::None && !self.server.ip().is_loopback() {
            return wrong("the password would travel in clear; add security = \"starttls\" or \"ldaps\"");
        }
        let tls = self.security != Security::None;
        if tls && (self.tls_name.is_none() || self.tls_anchors.is_none()) {
            return wrong("with TLS, tls_name (the server's host name) and tls_anchors (a PEM file) are needed");
        }
        if !tls && (self.tls_name.is_some() || self.tls_anchors.is_some()) {
            return wrong("tls_name and tls_anchors mean nothing without security = \"starttls\" or \"ldaps\"");
        }
        Ok(())
    }

    /// The filter that finds `address`; its text form is what one would give to `ldapsearch`.
    pub fn filter<'a>(&'a self, address: &'a str) -> Equality<'a> {
        Equality { attribute: &self.address_attribute, value: address }
    }

    /// The search for `address`, ready to be encoded.
    pub fn search<'a>(&'a self, address: &'a str) -> Search<'a> {
        Search {
            base: &self.base,
            scope: self.scope,
            filter: self.filter(address),
            attribute: &self.certificate_attribute,
            entries: super::MAX_ENTRIES,
            seconds: u32::try_from(self.seconds).unwrap_or(60),
        }
    }

    /// Whether the password's file, if there is one, can be used; what is wrong otherwise.
    pub fn check_password_file(&self) -> Result<(), LdapError> {
        self.password().map(drop)
    }

    pub(super) fn host(&self) -> String {
        self.server.to_string()
    }

    /// The password, read anew for each look-up: it can be changed while the adapter runs, and is not kept in memory.
    /// Read in one piece into memory that is wiped, which is why no asynchronous file with a buffer of its own does it.
    pub(super) fn password(&self) -> Result<Option<Zeroizing<Vec<u8>>>, LdapError> {
        let Some(path) = &self.password_file else {
            return Ok(None);
        };
        let failed = |why: String| LdapError::PasswordFile { path: path.clone(), why };
        let mut file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let meta = file.metadata().map_err(|error| failed(error.to_string()))?;
        if meta.permissions().mode() & 0o007 != 0 {
            return Err(failed("everybody may read it; run chmod 600 on it".to_owned()));
        }
        let mut password = Zeroizing::new(vec![0; MAX_PASSWORD + 1]);
        let mut length = 0;
        while let Some(room) = password.get_mut(length..).filter(|room| !room.is_empty()) {
            match file.read(room).map_err(|error| failed(error.to_string()))? {
                0 => break,
                read => length += read,
            }
        }
        password.truncate(length);
        if length > MAX_PASSWORD {
            return Err(failed("it is longer than 1024 octets; it should hold the password alone".to_owned()));
        }
        while password.last().is_some_and(|last| matches!(last, b'\r' | b'\n')) {
            password.pop();
        }
        // RFC 4513 5.1.2: a name without a password is no log-in, and yet servers answer it with success.
        if password.is_empty() {
            return Err(failed("it is empty; write the password into it".to_owned()));
        }
        Ok(Some(password))
    }
}
