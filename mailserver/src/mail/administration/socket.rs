//! The socket of a running server, in its data folder, which only its own user may enter: one order in a line of JSON, one
//! line of JSON back.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sealfax_client::seam::Journal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Administration, Order, Told};

/// Longest order, and longest wait for it.
const LONGEST: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

fn place(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Why a running server was not asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// None runs on this data folder.
    #[error("no server runs on this data folder")]
    NoServer,
    /// It does not answer.
    #[error("the server does not answer at its socket; check that it runs, and as the same user")]
    Broken(#[source] io::Error),
}

/// Has the server that runs on `data` carry out an order.
pub async fn ask(data: &Path, order: &Order) -> Result<Told, AskError> {
    let mut stream = UnixStream::connect(place(data)).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NoServer,
        _ => AskError::Broken(error),
    })?;
    let asked = async {
        let mut line = Zeroizing::new(serde_json::to_vec(order)?);
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await?;
        Ok(serde_json::from_slice(&told)?)
    };
    asked.await.map_err(AskError::Broken)
}

/// Binds the socket in a data folder.
pub(in super::super) fn bind(data: &Path) -> io::Result<UnixListener> {
    // The store's lock says that this folder is ours: what lies there is a predecessor's.
    match std::fs::remove_file(place(data)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(place(data))?;
    // Whatever the folder and the umask allow: who may write to it may open mailboxes.
    std::fs::set_permissions(place(data), Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes orders until `stop`.
pub(in super::super) async fn serve(
    listener: UnixListener,
    administration: Administration,
    data: PathBuf,
    host: String,
    journal: Arc<dyn Journal>,
    mut stop: watch::Receiver<bool>,
) {
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (administration, host, journal) = (administration.clone(), host.clone(), journal.clone());
        sessions.spawn(async move {
            if let Err(error) = answer(administration, stream).await {
                journal.note(&host, format!("an order at the socket: {error}"));
            }
        });
    }
    let _ = std::fs::remove_file(place(&data));
}

async fn answer(administration: Administration, stream: UnixStream) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Zeroizing::new(Vec::new());
    timeout(PATIENCE, BufReader::new(read.take(LONGEST)).read_until(b'\n', &mut line)).await??;
    let order: Order = serde_json::from_slice(&line)?;
    let told = tokio::task::spawn_blocking(move || administration.perform(order)).await.map_err(io::Error::other)?;
    write.write_all(&serde_json::to_vec(&told)?).await?;
    write.shutdown().await
}
