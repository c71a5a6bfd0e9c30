//! TLS under LDAP (RFC 4513 3): rustls over whatever stream the network seam gave, with the anchors and the host name of
//! the configuration and the time of the clock seam.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::config::LdapDirectory;
use super::error::LdapError;
use crate::seam::{BoxStream, Clock, Seams};

/// Octets of a file of anchors.
const MAX_ANCHORS: u64 = 1 << 20;

/// `stream` with TLS on it, once the server has proved its name.
pub(super) async fn connect(
    stream: BoxStream,
    seams: &Seams,
    directory: &LdapDirectory,
) -> Result<BoxStream, LdapError> {
    let failed = |why: String| LdapError::Tls { host: directory.host(), why };
    let (Some(name), Some(anchors)) = (&directory.tls_name, &directory.tls_anchors) else {
        return Err(LdapError::Configuration("TLS needs tls_name and tls_anchors"));
    };
    let name = ServerName::try_from(name.clone()).map_err(|_| failed("tls_name is not a host name".to_owned()))?;
    let unreadable = |why: &dyn fmt::Display| failed(format!("{}: {why}", anchors.display()));
    if tokio::fs::metadata(anchors).await.map_err(|error| unreadable(&error))?.len() > MAX_ANCHORS {
        return Err(unreadable(&"longer than 1 MiB"));
    }
    let pem = tokio::fs::read(anchors).await.map_err(|error| unreadable(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(&"it holds no certificate"));
    }
    let time = Arc::new(SeamTime(Arc::clone(&seams.clock)));
    let config = ClientConfig::builder_with_details(Arc::new(ring::default_provider()), time)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream =
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| failed(error.to_string()))?;
    Ok(Box::new(stream))
}

/// The clock seam for rustls.
struct SeamTime(Arc<dyn Clock>);

impl fmt::Debug for SeamTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeamTime")
    }
}

impl TimeProvider for SeamTime {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.0.now().duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}
