//! Streams to and from other hosts.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// A two-way octet stream.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync + Debug + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + Debug + 'static> Stream for T {}

/// A stream of which nothing else need be known.
pub type BoxStream = Box<dyn Stream>;

/// The two verbs of a network.
#[async_trait]
pub trait Network: Send + Sync {
    /// Opens a stream to `to`.
    async fn connect(&self, to: SocketAddr) -> io::Result<BoxStream>;

    /// Listens at `at`; port 0 asks for any free one.
    async fn bind(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>>;
}

/// A listening socket.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Where it listens.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next peer's stream, and who it is.
    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)>;
}

/// The machine's own TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpNetwork;

#[async_trait]
impl Network for TcpNetwork {
    async fn connect(&self, to: SocketAddr) -> io::Result<BoxStream> {
        let stream = TcpStream::connect(to).await?;
        // Line-by-line protocols: a reply must not wait for the peer's delayed acknowledgement.
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    async fn bind(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(TcpListener::bind(at).await?))
    }
}

#[async_trait]
impl Listener for TcpListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }

    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), peer))
    }
}
