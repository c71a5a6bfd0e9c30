//! A history for other programs, and for a court: CSV, and evidence of single transmissions with the proof of every event.

use std::io::{self, Write};

use sealfax_client::history::{Digest256, LogKey, Receipt, time_text};
use serde::Serialize;

use super::embedded::{Part, encode};
use super::view::Transmission;
use super::{History, HistoryError, LogSigner};

/// Writes `transmissions` as CSV (RFC 4180), one record a line.
pub(super) fn csv(transmissions: &[Transmission], to: &mut dyn Write) -> io::Result<()> {
    csv_head(to)?;
    csv_rows(transmissions, to)
}

/// The line that names the columns.
pub(super) fn csv_head(to: &mut dyn Write) -> io::Result<()> {
    write!(
        to,
        "transmission,record,event,evidence name,state,sent,at,registered,sender,recipient,message id,content sha-256,\
         evidence sha-256,registrar sha-256\r\n"
    )
}

/// The lines below it.
pub(super) fn csv_rows(transmissions: &[Transmission], to: &mut dyn Write) -> io::Result<()> {
    for transmission in transmissions {
        for entry in &transmission.entries {
            let leaf = &entry.leaf;
            let person = |field: fn(&sealfax_client::history::Personal) -> &String| {
                entry.personal.as_ref().map_or_else(String::new, |personal| cell(field(personal)))
            };
            write!(
                to,
                "{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
                transmission.number,
                leaf.index,
                leaf.event.word(),
                leaf.event.evidence_name(),
                transmission.state.word(),
                time_text(leaf.sent),
                time_text(leaf.at),
                time_text(leaf.registered),
                person(|personal| &personal.sender),
                person(|personal| &personal.recipient),
                person(|personal| &personal.message_id),
                leaf.content_digest,
                leaf.evidence_digest,
                leaf.registrar.map_or_else(String::new, |registrar| registrar.to_string()),
            )?;
        }
    }
    Ok(())
}

/// Writes all records and the checkpoint over them as a log file: a copy that can be verified, and restored from.
pub fn log(history: &dyn History, to: &mut dyn Write) -> Result<u64, HistoryError> {
    const TOGETHER: u64 = 1000;
    let disk = || HistoryError::disk(std::path::Path::new(super::embedded::FILE));
    let (head, note) = history.checkpoint()?;
    let mut octets = Vec::new();
    for first in (0..head.size).step_by(1000) {
        for (leaf, personal) in history.stored(first..head.size.min(first + TOGETHER))? {
            let part = match &personal {
                Some(personal) => Part::Record { leaf: &leaf, personal },
                None => Part::Erased(&leaf),
            };
            encode(part, &mut octets);
        }
        to.write_all(&octets).map_err(disk())?;
        octets.clear();
    }
    if head.size > 0 {
        encode(Part::Checkpoint(&note), &mut octets);
    }
    to.write_all(&octets).map_err(disk())?;
    Ok(head.size)
}

/// A cell that no spreadsheet takes for a formula.
fn cell(text: &str) -> String {
    let guarded = match text.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => format!("'{text}"),
        // The same in full width, which some take for them.
        Some(_) if text.starts_with(['＝', '＋', '－', '＠']) => format!("'{text}"),
        _ => text.to_owned(),
    };
    if guarded.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

/// One transmission, with what proves each of its events to anybody who has the history's key.
#[derive(Debug, Serialize)]
pub(super) struct Evidence {
    schema: u8,
    /// The history.
    origin: String,
    key: String,
    transmission: u64,
    state: &'static str,
    sender: Option<String>,
    recipient: Option<String>,
    message_id: Option<String>,
    events: Vec<Proved>,
}

/// One event.
#[derive(Debug, Serialize)]
struct Proved {
    /// Its name after ETSI EN 319 522-1.
    name: &'static str,
    event: &'static str,
    at: String,
    registered: String,
    receipt: Receipt,
}

impl Evidence {
    /// Of a transmission of `history`.
    pub(super) fn of(history: &dyn History, key: &LogKey, transmission: &Transmission) -> Result<Self, HistoryError> {
        let events: Result<Vec<Proved>, HistoryError> = transmission
            .entries
            .iter()
            .map(|entry| {
                Ok(Proved {
                    name: entry.leaf.event.evidence_name(),
                    event: entry.leaf.event.word(),
                    at: time_text(entry.leaf.at),
                    registered: time_text(entry.leaf.registered),
                    receipt: history.receipt(entry.leaf.index)?,
                })
            })
            .collect();
        Ok(Self {
            schema: 1,
            origin: key.origin().to_owned(),
            key: key.to_string(),
            transmission: transmission.number,
            state: transmission.state.word(),
            sender: transmission.sender().map(str::to_owned),
            recipient: transmission.recipient().map(str::to_owned),
            message_id: transmission.message_id().map(str::to_owned),
            events: events?,
        })
    }

    /// As a file, and the note that signs it.
    pub(super) fn signed(&self, signer: &LogSigner) -> Result<(String, String), HistoryError> {
        let text = serde_json::to_string_pretty(self).map_err(HistoryError::index)? + "\n";
        let note = format!(
            "sealfax evidence\n{}\ntransmission {} of {}\n",
            Digest256::of(text.as_bytes()),
            self.transmission,
            self.origin
        );
        Ok((text, signer.note(&note)?))
    }
}
