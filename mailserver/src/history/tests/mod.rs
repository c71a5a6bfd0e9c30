//! The history over real sockets, and histories that somebody changed.

mod log;
mod server;
mod tampering;

use std::path::Path;
use std::sync::Arc;

use sealfax_client::history::LogKey;
use sealfax_client::seam::Seams;

use super::suite::{fill, fill_together};
use super::{EmbeddedHistory, History, HistoryError, LogSigner};

const ORIGIN: &str = "history.bureau.example";

fn open(folder: &Path) -> Result<(Arc<dyn History>, LogKey), HistoryError> {
    let (history, key, warned) = open_warned(folder)?;
    assert_eq!(warned, Vec::<String>::new());
    Ok((history, key))
}

/// A history, its key, and what opening it warned of.
type Opened = (Arc<dyn History>, LogKey, Vec<String>);

fn open_warned(folder: &Path) -> Result<Opened, HistoryError> {
    let seams = Seams::system();
    let signer = LogSigner::open(folder, ORIGIN, seams.entropy.as_ref())?;
    let key = signer.key().clone();
    let mut warned = Vec::new();
    let history = EmbeddedHistory::open(folder, signer, seams.clock, seams.entropy, &mut |text| warned.push(text))?;
    Ok((Arc::new(history), key, warned))
}
