//! `sealfax-mailserver history`: look at a history and check it, without the server.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use sealfax_client::history::{Checkpoint, Event, LogKey, Receipt, time_text};
use sealfax_client::seam::Seams;

use super::export::{self, Evidence};
use super::verify::verify;
use super::view::{Query, State, Transmission};
use super::{EmbeddedHistory, History, HistoryError, LogSigner, PostgresHistory, signing};

/// `sealfax-mailserver history ...`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Folder of the history
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    /// PostgreSQL, for a history that is kept there; the folder is that of its key
    #[arg(long, global = true)]
    database: Option<String>,
    /// Versioned JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: HistoryCommand,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// Print the public key, which everybody needs who wants to check anything
    Key,
    /// Check every record of a folder, or receipts, with nothing but the public key
    Verify {
        /// The public key: itself, or a file that holds it. Default: the one in the folder, which whoever could change the
        /// folder could change as well
        #[arg(long)]
        key: Option<String>,
        /// Receipts, as adapters keep them and the pages give them out: check these
        #[arg(long, num_args = 1..)]
        receipt: Vec<PathBuf>,
        /// Checkpoints or receipts that somebody got earlier: the folder has to hold them
        #[arg(long, num_args = 1..)]
        seen: Vec<PathBuf>,
    },
    /// List transmissions, newest first (the server must not run)
    List(Selection),
    /// Write transmissions as CSV, or evidence of each into a folder (the server must not run)
    Export {
        #[command(flatten)]
        selection: Selection,
        /// CSV into this file
        #[arg(long)]
        csv: Option<PathBuf>,
        /// A signed file for each transmission into this folder
        #[arg(long)]
        evidence: Option<PathBuf>,
    },
    /// Copy all records into an empty folder, to be verified or kept elsewhere (of a folder: the server must not run)
    Copy {
        /// The new folder
        #[arg(long)]
        to: PathBuf,
    },
    /// Erase who and what of transmissions; the records stay provable (the server must not run)
    Erase {
        #[command(flatten)]
        selection: Selection,
        /// Really do it; otherwise only say what would be erased
        #[arg(long)]
        yes: bool,
    },
}

/// Which transmissions.
#[derive(Debug, Args)]
struct Selection {
    /// Only those of this person, or of an office: @office-a.example
    #[arg(long)]
    party: Option<String>,
    /// Only those of this sender
    #[arg(long)]
    sender: Option<String>,
    /// Only those to this recipient
    #[arg(long)]
    recipient: Option<String>,
    /// Only those of this mail
    #[arg(long)]
    message_id: Option<String>,
    /// Only those registered at this RFC 3339 time or later
    #[arg(long)]
    since: Option<String>,
    /// Only those registered before this RFC 3339 time
    #[arg(long)]
    until: Option<String>,
    /// Only those that have become this: overdue, waiting, refused, failed, delivered
    #[arg(long)]
    state: Option<String>,
}

impl Selection {
    fn query(self) -> Result<Query> {
        let time = |name: &str, text: Option<String>| {
            let read = |text: String| {
                sealfax_client::history::parse_time(&text)
                    .ok_or_else(|| miette!("{name}: {text:?} is no RFC 3339 time; write 2026-11-28T00:00:00Z"))
            };
            text.map(read).transpose()
        };
        let state = |word: String| {
            State::of(&word)
                .ok_or_else(|| miette!("{word:?} is no state; say overdue, waiting, refused, failed or delivered"))
        };
        Ok(Query {
            party: self.party,
            sender: self.sender,
            recipient: self.recipient,
            message_id: self.message_id,
            since: time("--since", self.since)?,
            until: time("--until", self.until)?,
            state: self.state.map(state).transpose()?,
            ..Query::default()
        })
    }
}

impl HistoryArgs {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let json = self.json;
        let data = self.data;
        let database = self.database;
        let folder = || data.clone().ok_or_else(|| miette!("which history? give its folder with --data"));
        match self.command {
            HistoryCommand::Key => {
                let path = folder()?.join(signing::PUBLIC);
                let text = std::fs::read_to_string(&path).into_diagnostic();
                let text = text.wrap_err_with(|| format!("{}: no history was ever started there", path.display()))?;
                println!("{}", text.trim());
                Ok(())
            }
            HistoryCommand::Verify { key, receipt, seen } => {
                let key = key_of(key.as_deref(), data.as_deref())?;
                if !receipt.is_empty() {
                    receipts(&receipt, &key, json)?;
                }
                match data {
                    Some(folder) => whole(&folder, &key, &seen, json),
                    None if receipt.is_empty() => Err(miette!("what is to be checked? give --data or --receipt")),
                    None => Ok(()),
                }
            }
            HistoryCommand::List(selection) => {
                let (history, _) = open(&folder()?, database.as_deref())?;
                list(&history.find(&selection.query()?, usize::MAX).into_diagnostic()?, json)
            }
            HistoryCommand::Export { selection, csv, evidence } => {
                let (history, signer) = open(&folder()?, database.as_deref())?;
                let found = history.find(&selection.query()?, usize::MAX).into_diagnostic()?;
                if csv.is_none() && evidence.is_none() {
                    return Err(miette!("where to? give --csv FILE or --evidence FOLDER"));
                }
                if let Some(path) = csv {
                    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).into_diagnostic()?);
                    export::csv(&found, &mut file).into_diagnostic()?;
                    file.flush().into_diagnostic()?;
                    eprintln!("{} transmissions in {}", found.len(), path.display());
                }
                evidence.map_or(Ok(()), |folder| evidence_of(history.as_ref(), &signer, &found, &folder))
            }
            HistoryCommand::Copy { to } => {
                let (history, _) = open(&folder()?, database.as_deref())?;
                std::fs::create_dir_all(&to).into_diagnostic()?;
                let path = to.join(super::embedded::FILE);
                let file = std::fs::File::create_new(&path).into_diagnostic();
                let file =
                    file.wrap_err_with(|| format!("cannot make {}; the folder has to be empty", path.display()))?;
                let mut file = std::io::BufWriter::new(file);
                let records = export::log(history.as_ref(), &mut file).into_diagnostic()?;
                file.into_inner().into_diagnostic()?.sync_all().into_diagnostic()?;
                std::fs::copy(folder()?.join(signing::PUBLIC), to.join(signing::PUBLIC)).into_diagnostic()?;
                eprintln!("{records} records in {}", to.display());
                Ok(())
            }
            HistoryCommand::Erase { selection, yes } => {
                let (history, _) = open(&folder()?, database.as_deref())?;
                let query = selection.query()?;
                if query == Query::default() {
                    return Err(miette!("that would be all; say which, for example with --until or --party"));
                }
                let found = history.find(&query, usize::MAX).into_diagnostic()?;
                if !yes {
                    eprintln!("{} transmissions would be erased; say --yes to do it.", found.len());
                    return list(&found, json);
                }
                let runtime = tokio::runtime::Builder::new_current_thread().build().into_diagnostic()?;
                for transmission in &found {
                    runtime.block_on(history.erase(transmission.number)).into_diagnostic()?;
                }
                eprintln!("{} transmissions erased; their records stay, without who and what.", found.len());
                Ok(())
            }
        }
    }
}

fn key_of(given: Option<&str>, data: Option<&Path>) -> Result<LogKey> {
    let text = match (given, data) {
        (Some(text), _) if text.contains('+') && !Path::new(text).exists() => text.to_owned(),
        (Some(path), _) => {
            std::fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("cannot read the key {path}"))?
        }
        (None, Some(folder)) => {
            eprintln!("The key is the folder's own; with --key KEY nobody can have put another one there.");
            let path = folder.join(signing::PUBLIC);
            std::fs::read_to_string(&path)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot read the key {}", path.display()))?
        }
        (None, None) => return Err(miette!("by which key? give it with --key")),
    };
    LogKey::parse(&text).into_diagnostic()
}

fn receipt_at(path: &Path) -> Result<Receipt> {
    let text = std::fs::read(path).into_diagnostic().wrap_err_with(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).into_diagnostic().wrap_err_with(|| format!("{} is no receipt", path.display()))
}

fn receipts(paths: &[PathBuf], key: &LogKey, json: bool) -> Result<()> {
    for path in paths {
        let proven = receipt_at(path)?.verify(key).into_diagnostic().wrap_err_with(|| path.display().to_string())?;
        let leaf = &proven.leaf;
        if json {
            println!("{}", serde_json::json!({"schema": 1, "receipt": path, "leaf": leaf, "head": proven.head}));
            continue;
        }
        let who = proven.personal.as_ref().map_or_else(
            || "who and what was erased".to_owned(),
            |personal| format!("{} from {} to {}", personal.message_id, personal.sender, personal.recipient),
        );
        println!(
            "{}: proven: {} at {}, registered {} as record {} of {}: {who}",
            path.display(),
            leaf.event.word(),
            time_text(leaf.at),
            time_text(leaf.registered),
            leaf.index,
            proven.head.size,
        );
    }
    Ok(())
}

fn whole(folder: &Path, key: &LogKey, seen: &[PathBuf], json: bool) -> Result<()> {
    let mut earlier: Vec<Checkpoint> = Vec::new();
    for path in seen {
        let text = std::fs::read_to_string(path).into_diagnostic()?;
        let head = match serde_json::from_str::<Receipt>(&text) {
            Ok(receipt) => receipt.verify(key).map(|proven| proven.head),
            Err(_) => key.checkpoint(&text),
        };
        earlier.push(head.into_diagnostic().wrap_err_with(|| path.display().to_string())?);
    }
    let bar = |records: u64| eprint!("\r{records} records ");
    let mut progress = |records| {
        if !json {
            bar(records);
        }
    };
    let verified = verify(folder, key, &earlier, &mut progress);
    let verified = match verified {
        Ok(verified) => verified,
        Err(error @ HistoryError::Tampered { .. }) if json => {
            let HistoryError::Tampered { index, why } = &error else { return Err(error).into_diagnostic() };
            println!("{}", serde_json::json!({"schema": 1, "good": false, "record": index, "why": why}));
            return Err(error).into_diagnostic();
        }
        Err(error) => return Err(error).into_diagnostic(),
    };
    let head = verified.head;
    if json {
        println!(
            "{}",
            serde_json::json!({
                "schema": 1, "good": true, "records": head.size, "root": head.root, "erased": verified.erased,
                "unfinished": verified.unfinished,
            })
        );
        return Ok(());
    }
    eprint!("\r");
    println!("{} records, unbroken and signed; root {}", head.size, head.root);
    if verified.erased > 0 {
        println!("Who and what of {} of them was erased.", verified.erased);
    }
    if verified.unfinished > 0 {
        println!("{} more are being taken in, or were left unfinished by a power cut.", verified.unfinished);
    }
    Ok(())
}

/// The history itself, which the server must not have open.
fn open(folder: &Path, database: Option<&str>) -> Result<(Box<dyn History>, LogSigner)> {
    let seams = Seams::system();
    let public = std::fs::read_to_string(folder.join(signing::PUBLIC))
        .into_diagnostic()
        .wrap_err_with(|| format!("{}: no history was ever started there", folder.display()))?;
    let key = LogKey::parse(&public).into_diagnostic()?;
    let signer = LogSigner::open(folder, key.origin(), seams.entropy.as_ref()).into_diagnostic()?;
    let mut warn = |text: String| eprintln!("{text}");
    let history: Box<dyn History> = match database {
        None => {
            let opened = EmbeddedHistory::open(folder, signer.clone(), seams.clock, seams.entropy, &mut warn);
            Box::new(opened.into_diagnostic()?)
        }
        Some(url) => {
            let opened = PostgresHistory::open(url, signer.clone(), seams.clock, seams.entropy);
            Box::new(opened.into_diagnostic()?)
        }
    };
    Ok((history, signer))
}

fn list(found: &[Transmission], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::json!({"schema": 2, "transmissions": found}));
        return Ok(());
    }
    for transmission in found {
        let events: Vec<&str> = transmission.entries.iter().map(|entry| Event::word(entry.leaf.event)).collect();
        println!(
            "{:8}  {}  {:9}  {} -> {}  ({})",
            transmission.number,
            time_text(transmission.sent()),
            transmission.state.word(),
            transmission.sender().unwrap_or("(erased)"),
            transmission.recipient().unwrap_or("(erased)"),
            events.join(", "),
        );
    }
    Ok(())
}

fn evidence_of(history: &dyn History, signer: &LogSigner, found: &[Transmission], folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).into_diagnostic()?;
    for transmission in found {
        let (text, note) = Evidence::of(history, signer.key(), transmission)
            .and_then(|evidence| evidence.signed(signer))
            .into_diagnostic()?;
        let path = folder.join(format!("transmission-{}.json", transmission.number));
        std::fs::write(&path, text).into_diagnostic()?;
        std::fs::write(path.with_extension("json.sig"), note).into_diagnostic()?;
    }
    eprintln!("Evidence of {} transmissions in {}", found.len(), folder.display());
    Ok(())
}
