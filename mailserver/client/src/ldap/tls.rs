//! TLS under LDAP (RFC 4513 3): with the anchors and the host name of the configuration.

use std::fmt;

use super::config::LdapDirectory;
use super::error::LdapError;
use crate::seam::{BoxStream, Seams};
use crate::tls::{ClientTls, TlsName};

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
    let name = TlsName::new(name).map_err(|error| failed(error.to_string()))?;
    let unreadable = |why: &dyn fmt::Display| failed(format!("{}: {why}", anchors.display()));
    if tokio::fs::metadata(anchors).await.map_err(|error| unreadable(&error))?.len() > MAX_ANCHORS {
        return Err(unreadable(&"longer than 1 MiB"));
    }
    let pem = tokio::fs::read(anchors).await.map_err(|error| unreadable(&error))?;
    let tls = ClientTls::new(&pem, &seams.clock).map_err(|error| unreadable(&error))?;
    tls.connect(stream, &name).await.map_err(|error| failed(error.to_string()))
}
