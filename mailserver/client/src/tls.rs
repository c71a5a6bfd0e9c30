//! TLS (RFC 8446, RFC 5246) under the mail protocols and LDAP: rustls over whatever stream the network seam gave, by the
//! time of the clock seam. [`ServerTls`] is what a server shows, [`ClientTls`] what a client believes.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::time::timeout;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::seam::{BoxStream, Clock, Listener, Network};

/// Why there is no TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Not PEM, or none in it.
    #[error("the certificates cannot be used: {0}; give a PEM file with the server's own first, then those above it")]
    Certificates(String),
    /// Not PEM, or not a key.
    #[error("the private key cannot be used: {0}; give the PEM file that was made with the certificate")]
    Key(String),
    /// The anchors that others' certificates are held against.
    #[error("the trust anchors cannot be used: {0}; give a PEM file with at least one")]
    Anchors(String),
    /// Certificate and key do not fit, or are of a kind that is not used.
    #[error("certificate and key are not accepted: {0}")]
    Refused(String),
    /// A name no certificate can bear.
    #[error("{0:?} is no host name; write it as it stands in the server's certificate")]
    Name(String),
}

/// What a server shows to its clients. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls(Arc<RwLock<Arc<ServerConfig>>>);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// A stream after its handshake, or without one.
#[derive(Debug)]
pub struct Secured {
    /// What is said from now on.
    pub stream: BoxStream,
    /// The certificate that the client showed, DER, if it leads to the anchors for clients.
    pub client: Option<Vec<u8>>,
    /// Whether there is TLS on it.
    pub secured: bool,
}

impl ServerTls {
    /// `chain` and `key` in PEM. With `clients`, anchors in PEM, a client may show a certificate of its own; one that leads
    /// elsewhere ends the handshake.
    pub fn new(chain: &[u8], key: &[u8], clients: Option<&[u8]>, clock: &Arc<dyn Clock>) -> Result<Self, TlsError> {
        let chain = certificates(chain).map_err(TlsError::Certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        let refused = |error: &dyn fmt::Display| TlsError::Refused(error.to_string());
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_details(provider.clone(), Arc::new(SeamTime(clock.clone())))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&error))?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(anchors) => {
                let roots = Arc::new(roots(anchors)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).allow_unauthenticated();
                builder.with_client_cert_verifier(verifier.build().map_err(|error| refused(&error))?)
            }
        };
        let config = builder.with_single_cert(chain, key).map_err(|error| refused(&error))?;
        Ok(Self(Arc::new(RwLock::new(Arc::new(config)))))
    }

    /// Shows what the other shows, from the next handshake on, wherever this one was given to.
    pub fn replace(&self, other: &Self) {
        let new = other.current();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    fn current(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The handshake; whoever does not get on with it within half a minute is let go.
    pub async fn accept(&self, stream: BoxStream) -> io::Result<Secured> {
        let shaking = timeout(HANDSHAKE, TlsAcceptor::from(self.current()).accept(stream)).await;
        let stream = shaking.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let shown = stream.get_ref().1.peer_certificates();
        let client = shown.and_then(|chain| chain.first()).map(|certificate| certificate.to_vec());
        Ok(Secured { stream: Box::new(stream), client, secured: true })
    }
}

/// How the sessions of a listener are secured.
#[derive(Debug, Clone, Default)]
pub enum Security {
    /// Not at all.
    #[default]
    Clear,
    /// When the client asks for it: STARTTLS (RFC 3207), STLS (RFC 2595).
    Offered(ServerTls),
    /// From the first octet (RFC 8314).
    Implicit(ServerTls),
}

impl Security {
    /// Whether TLS can be offered to a session that begins in clear.
    pub fn is_offered(&self) -> bool {
        matches!(self, Self::Offered(_))
    }

    /// A new connection, after its handshake if it begins with one.
    pub async fn begin(&self, stream: BoxStream) -> io::Result<Secured> {
        match self {
            Self::Implicit(tls) => tls.accept(stream).await,
            Self::Clear | Self::Offered(_) => Ok(Secured { stream, client: None, secured: false }),
        }
    }

    /// A connection whose client wants TLS now.
    pub async fn upgrade(&self, stream: BoxStream) -> io::Result<Secured> {
        match self {
            Self::Offered(tls) => tls.accept(stream).await,
            Self::Clear | Self::Implicit(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Whom a client believes. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls(Arc<ClientConfig>);

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

impl ClientTls {
    /// `anchors` in PEM: a server's certificate has to lead to one of these, and to no other.
    pub fn new(anchors: &[u8], clock: &Arc<dyn Clock>) -> Result<Self, TlsError> {
        let time = Arc::new(SeamTime(clock.clone()));
        let config = ClientConfig::builder_with_details(Arc::new(ring::default_provider()), time)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Refused(error.to_string()))?
            .with_root_certificates(roots(anchors)?)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// The same, and a server that asks is shown a certificate of one's own: `chain` and `key` in PEM.
    pub fn with_certificate(
        anchors: &[u8],
        chain: &[u8],
        key: &[u8],
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let chain = certificates(chain).map_err(TlsError::Certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        let time = Arc::new(SeamTime(clock.clone()));
        let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
        let config = ClientConfig::builder_with_details(Arc::new(ring::default_provider()), time)
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_root_certificates(roots(anchors)?)
            .with_client_auth_cert(chain, key)
            .map_err(refused)?;
        Ok(Self(Arc::new(config)))
    }

    /// Believes everybody: TLS keeps listeners out, and proves nothing (RFC 7435). For mail to servers of which nothing is
    /// known.
    pub fn unproven(clock: &Arc<dyn Clock>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let anybody = Arc::new(Anybody(provider.clone()));
        let config = ClientConfig::builder_with_details(provider, Arc::new(SeamTime(clock.clone())))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Refused(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(anybody)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// `stream` with TLS on it, once the server has proven that it is `name`.
    pub async fn connect(&self, stream: BoxStream, name: &TlsName) -> io::Result<BoxStream> {
        Ok(Box::new(TlsConnector::from(self.0.clone()).connect(name.0.clone(), stream).await?))
    }
}

/// Takes any certificate; that the server has its key is looked at all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The name that a server has to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsName(ServerName<'static>);

impl TlsName {
    /// A host name, or an address.
    pub fn new(name: &str) -> Result<Self, TlsError> {
        ServerName::try_from(name.to_owned()).map(Self).map_err(|_| TlsError::Name(name.to_owned()))
    }
}

/// A network on which every connection begins with TLS and the server's proof of its name (RFC 8314). There is no way back
/// to clear text.
pub struct TlsNetwork {
    network: Arc<dyn Network>,
    tls: ClientTls,
    name: TlsName,
}

impl TlsNetwork {
    /// Over `network`, to the server called `name`.
    pub fn new(network: Arc<dyn Network>, tls: ClientTls, name: TlsName) -> Self {
        Self { network, tls, name }
    }
}

#[async_trait]
impl Network for TlsNetwork {
    async fn connect(&self, to: SocketAddr) -> io::Result<BoxStream> {
        self.tls.connect(self.network.connect(to).await?, &self.name).await
    }

    async fn bind(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.network.bind(at).await
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| error.to_string())?;
    if read.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(read) }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(TlsError::Anchors)? {
        roots.add(certificate).map_err(|error| TlsError::Anchors(error.to_string()))?;
    }
    Ok(roots)
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
