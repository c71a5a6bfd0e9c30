//! What a modem is attached by: any stream of octets, with the control lines of a serial port where there are some.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream to a modem.
pub trait Port: AsyncRead + AsyncWrite + Unpin + Send {
    /// Raises or drops DTR; dropping it makes most modems hang up. Nothing happens where there is no such line.
    fn set_data_terminal_ready(&mut self, _on: bool) {}

    /// Turns software flow control on or off: on only while sending, for XON and XOFF are data in what is received.
    fn set_software_flow(&mut self, _on: bool) {}
}

/// Any stream, without control lines: a PTY, a socket, memory.
#[derive(Debug)]
pub struct Plain<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for Plain<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Plain<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Port for Plain<S> {}
