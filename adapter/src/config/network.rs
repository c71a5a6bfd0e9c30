//! The side of the servers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use sealfax_client::http::Server;
use sealfax_client::ldap::LdapDirectory;
use sealfax_client::lookup::Directory;
use sealfax_client::ocsp::Location;
use sealfax_client::seam::{Clock, Network};
use sealfax_client::tls::{ClientTls, Security, ServerTls, TlsError, TlsName, TlsNetwork};
use serde::Deserialize;

/// The side of the servers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Where notices and confirmations come in.
    pub notices: SocketAddr,
    /// Who may bring them: the mail server's addresses.
    pub notices_from: Vec<IpAddr>,
    /// The mail server's SMTP.
    pub smtp: SocketAddr,
    /// The mail server's POP3.
    pub pop3: SocketAddr,
    /// TLS with the mail server; without it SMTP and POP3 are spoken in clear.
    #[serde(default)]
    pub tls: Option<MailTls>,
    /// What is shown to the mail server under STARTTLS; without it notices and confirmations come in clear.
    #[serde(default)]
    pub notices_tls: Option<NoticesTls>,
    /// The certificate server: look-up by address, and OCSP unless `ocsp` says otherwise.
    pub directory: SocketAddr,
    /// A directory that the site already runs: with it, certificates are looked up there by LDAP and `directory` is
    /// asked for their validity alone.
    #[serde(default)]
    pub ldap: Option<LdapDirectory>,
    /// An OCSP responder of its own, any that follows RFC 6960: `http://host:port/path`.
    #[serde(default)]
    pub ocsp: Option<Location>,
    /// DNS servers for host names in this section.
    #[serde(default)]
    pub dns_servers: Vec<SocketAddr>,
    /// The history server.
    pub history: SocketAddr,
    /// The history's public key: `name+hash+base64`. Without it the server is asked once, and believed from then on.
    #[serde(default)]
    pub history_key: Option<String>,
    /// TLS with the history server; without it records are registered in clear.
    #[serde(default)]
    pub history_tls: Option<MailTls>,
    /// PEM file with the trust anchors.
    pub anchors: PathBuf,
    /// PEM file with the certificates of the issuing authorities between people's certificates and the anchors.
    #[serde(default)]
    pub intermediates: Option<PathBuf>,
}

/// With whom TLS begins with the first octet (RFC 8314, RFC 9110).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailTls {
    /// The server's host name, as in its certificate.
    pub name: String,
    /// PEM file of the anchors that its certificate leads to.
    pub anchors: PathBuf,
}

impl MailTls {
    /// Reads the anchors.
    pub fn client(&self, clock: &Arc<dyn Clock>) -> Result<(ClientTls, TlsName), TlsError> {
        Ok((ClientTls::new(&self.pem()?, clock)?, TlsName::new(&self.name)?))
    }

    /// The same, showing `own` to a server that asks for a certificate.
    pub fn client_showing(&self, own: &NoticesTls, clock: &Arc<dyn Clock>) -> Result<(ClientTls, TlsName), TlsError> {
        let (chain, key) = own.pem()?;
        Ok((ClientTls::with_certificate(&self.pem()?, &chain, &key, clock)?, TlsName::new(&self.name)?))
    }

    fn pem(&self) -> Result<Vec<u8>, TlsError> {
        let read = std::fs::read(&self.anchors);
        read.map_err(|error| TlsError::Anchors(format!("{}: {error}", self.anchors.display())))
    }
}

/// This adapter's own certificate, by which it proves its host name to the mail server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticesTls {
    /// PEM file of the certificate, followed by those above it.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

impl NoticesTls {
    /// Reads the files.
    pub fn server(&self, clock: &Arc<dyn Clock>) -> Result<ServerTls, TlsError> {
        let (chain, key) = self.pem()?;
        ServerTls::new(&chain, &key, None, clock)
    }

    fn pem(&self) -> Result<(Vec<u8>, zeroize::Zeroizing<Vec<u8>>), TlsError> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let chain = read(&self.certificate).map_err(TlsError::Certificates)?;
        Ok((chain, read(&self.key).map_err(TlsError::Key)?.into()))
    }
}

impl NetworkConfig {
    /// How notices and confirmations come in.
    pub fn notices_security(&self, clock: &Arc<dyn Clock>) -> Result<Security, TlsError> {
        self.notices_tls.as_ref().map_or(Ok(Security::Clear), |tls| tls.server(clock).map(Security::Offered))
    }

    /// The way to the mail server: over `network`, with TLS where it is configured.
    pub fn to_mail(&self, network: &Arc<dyn Network>, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Network>, TlsError> {
        match &self.tls {
            None => Ok(network.clone()),
            Some(tls) => {
                let (client, name) = tls.client(clock)?;
                Ok(Arc::new(TlsNetwork::new(network.clone(), client, name)))
            }
        }
    }

    /// The way to the history server, and what it is called: with TLS where it is configured, and then with this adapter's
    /// own certificate, if it has one.
    pub fn to_history(
        &self,
        network: &Arc<dyn Network>,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Arc<dyn Network>, Server), TlsError> {
        let Some(tls) = &self.history_tls else { return Ok((network.clone(), Server::at(self.history))) };
        let (client, name) = match &self.notices_tls {
            Some(own) => tls.client_showing(own, clock)?,
            None => tls.client(clock)?,
        };
        let server = Server { addr: self.history, host: tls.name.clone() };
        Ok((Arc::new(TlsNetwork::new(network.clone(), client, name)), server))
    }

    /// Where correspondents' certificates are looked up.
    pub fn certificates(&self) -> Directory {
        match &self.ldap {
            Some(ldap) => Directory::Ldap(ldap.clone()),
            None => Directory::new(Server::at(self.directory)),
        }
    }
}
