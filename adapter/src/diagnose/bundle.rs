//! A bundle: what a technician sends to somebody who cannot come. A gzip'd tar with the report, the facts it was made of,
//! the configuration and the last lines of the journal, all redacted; the same facts give the same octets.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::{Compression, GzBuilder, read::GzDecoder};

use super::facts::{FactSheet, VERSION};
use super::redact;
use super::report::Report;

/// Names of what is in it.
const REPORT: &str = "report.json";
const FACTS: &str = "facts.json";
const CONFIGURATION: &str = "configuration.toml";
const JOURNAL: &str = "journal.txt";
/// No file in a bundle is longer, unpacked.
const LONGEST: u64 = 8 << 20;
/// Nobody's bundle has more files.
const MOST_FILES: usize = 64;
/// Lines of the journal.
const LINES: &str = "400";

/// Why there is no bundle, or none that can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file.
    #[error("cannot use the file {path}; check its place and its rights")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error(
        "{path} is neither a bundle nor its facts.json ({why}); make one with `sealfax-adapter diagnose --bundle FILE`"
    )]
    NoBundle {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Of a newer program.
    #[error("the facts are of version {found}, and this program knows up to {VERSION}; take a newer program")]
    TooNew {
        /// Their version.
        found: u32,
    },
    /// It cannot be put into words.
    #[error("the report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Writes a bundle; `configuration` is the file as it is, `journal` as it comes.
pub fn write(
    path: &Path,
    report: &Report,
    sheet: &FactSheet,
    configuration: &str,
    journal: &str,
) -> Result<(), BundleError> {
    let octets = pack(report, sheet, configuration, journal)?;
    let failed = |source| BundleError::File { path: path.to_owned(), source };
    let mut file = std::fs::File::create(path).map_err(failed)?;
    file.write_all(&octets).and_then(|()| file.sync_all()).map_err(failed)
}

/// The octets of a bundle.
pub fn pack(report: &Report, sheet: &FactSheet, configuration: &str, journal: &str) -> Result<Vec<u8>, BundleError> {
    let (mut report, mut facts) = (report.json(), serde_json::to_value(sheet)?);
    redact::json(&mut report);
    redact::json(&mut facts);
    let files = [
        (REPORT, serde_json::to_string_pretty(&report)?),
        (FACTS, serde_json::to_string_pretty(&facts)?),
        (CONFIGURATION, redact::configuration(configuration)),
        (JOURNAL, redact::text(journal)),
    ];
    // No time, no owner, no name of the file within: only what was found.
    let packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut archive = tar::Builder::new(packer);
    let memory = |source| BundleError::File { path: PathBuf::new(), source };
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, name, text.as_bytes()).map_err(memory)?;
    }
    archive.into_inner().and_then(|packer| packer.finish()).map_err(memory)
}

/// The facts of a bundle, or of a `facts.json` taken from one.
pub fn read(path: &Path) -> Result<FactSheet, BundleError> {
    let failed = |source| BundleError::File { path: path.to_owned(), source };
    let mut octets = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut octets)).map_err(failed)?;
    let wrong = |why: String| BundleError::NoBundle { path: path.to_owned(), why };
    let text = if octets.starts_with(&[0x1f, 0x8b]) {
        unpack(&octets).map_err(|error| wrong(error.to_string()))?.ok_or_else(|| wrong(format!("it has no {FACTS}")))?
    } else {
        octets
    };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    // serde takes a list for a struct, too.
    if !value.is_object() {
        return Err(wrong("it is no JSON object".to_owned()));
    }
    let sheet: FactSheet = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    match sheet.version {
        0 => Err(wrong("it has no version".to_owned())),
        found if found > VERSION => Err(BundleError::TooNew { found }),
        _ => Ok(sheet),
    }
}

fn unpack(octets: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    // What a stranger packed small may be large.
    let mut archive = tar::Archive::new(GzDecoder::new(octets).take(LONGEST * 4));
    for entry in archive.entries()?.take(MOST_FILES) {
        let entry = entry?;
        if entry.path()?.as_os_str() == FACTS {
            let mut text = Vec::new();
            entry.take(LONGEST).read_to_end(&mut text)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// The last lines of the daemon's journal, where there is one.
pub fn journal() -> String {
    let arguments = ["--unit", "sealfax-adapter", "--lines", LINES, "--no-pager", "--output", "short-iso"];
    match Command::new("journalctl").args(arguments).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(output) => format!("journalctl: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => format!("journalctl: {error}"),
    }
}
