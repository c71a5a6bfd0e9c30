//! The history over real sockets, and histories that somebody changed.

mod log;
mod server;
mod tampering;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sealfax_client::history::{Digest256, Event, LogKey, Record};
use sealfax_client::seam::Seams;

use super::{EmbeddedHistory, History, HistoryError, LogSigner};

const ORIGIN: &str = "history.bureau.example";

fn record(number: u32, event: Event) -> Record {
    let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + u64::from(number));
    Record {
        event,
        message_id: format!("<{number}@a.example.jp>"),
        sender: "taro@a.example.jp".to_owned(),
        recipient: format!("hanako{}@b.example.jp", number % 3),
        sent,
        at: sent + Duration::from_secs(60),
        content_digest: Digest256::of(&number.to_be_bytes()),
        evidence_digest: Digest256::default(),
        evidence: Vec::new(),
    }
    .with_evidence(format!("{} of {number}", event.word()).as_bytes())
}

fn open(folder: &Path) -> Result<(EmbeddedHistory, LogKey), HistoryError> {
    let (history, key, warned) = open_warned(folder)?;
    assert_eq!(warned, Vec::<String>::new());
    Ok((history, key))
}

fn open_warned(folder: &Path) -> Result<(EmbeddedHistory, LogKey, Vec<String>), HistoryError> {
    let seams = Seams::system();
    let signer = LogSigner::open(folder, ORIGIN, seams.entropy.as_ref())?;
    let key = signer.key().clone();
    let mut warned = Vec::new();
    let history = EmbeddedHistory::open(folder, signer, seams.clock, seams.entropy, &mut |text| warned.push(text))?;
    Ok((history, key, warned))
}

/// Registers one after the other: each is a group of its own.
async fn fill(history: &EmbeddedHistory, numbers: std::ops::Range<u32>) {
    for number in numbers {
        history.register(record(number, Event::Submission), None).await.unwrap();
    }
}

/// Registers all at once: a few groups.
async fn fill_together(history: &Arc<EmbeddedHistory>, numbers: std::ops::Range<u32>) {
    let tasks: Vec<_> = numbers
        .map(|number| {
            let history = history.clone();
            tokio::spawn(async move { history.register(record(number, Event::Submission), None).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
