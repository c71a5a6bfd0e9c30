//! What a board of the lab writes: its console and its adapter's journal, line by line into the log, and octet by octet into
//! the run's folder. A wire that ends is opened again: a board that is switched off ends every connection to it.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealfax_adapter::service::JournalLine;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::task::JoinSet;

use super::board;
use crate::events::EventLog;
use crate::lab::LabError;
use crate::lab::file::{Board, Wire};
use crate::lab::wire::Open;
use crate::scenario::trouble::Trouble;

/// Until a wire that ended is opened again.
const AGAIN: Duration = Duration::from_millis(500);
/// Longest line that is kept together.
const LONGEST_LINE: u64 = 64 << 10;

/// From when on the journal belongs to this story: a board keeps that of earlier ones, and tells it again to whoever asks
/// anew.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Since {
    /// The story's adapter has not started yet.
    Never,
    /// What the board's own clock calls later than this.
    After(String),
    /// Everything: the board has just been switched on.
    Ever,
}

/// What of the journal is the story's and was not told yet.
#[derive(Debug)]
pub(super) struct News {
    since: Since,
    told: HashSet<String>,
}

impl News {
    fn new() -> Self {
        Self { since: Since::Never, told: HashSet::new() }
    }

    /// The story's adapter starts now, by the board's own clock.
    pub(super) fn after(&mut self, time: String) {
        self.since = Since::After(time);
    }

    /// The board is switched on, and may think that it is earlier than it was.
    pub(super) fn ever(&mut self) {
        self.since = Since::Ever;
    }

    /// Whether a line of this time is of the story and new. Those of several tasks may come a little out of order.
    fn takes(&mut self, time: &str, line: &str) -> bool {
        let ours = match &self.since {
            Since::Never => false,
            Since::After(start) => time > start.as_str(),
            Since::Ever => true,
        };
        ours && self.told.insert(line.to_owned())
    }
}

/// Console and journal, as long as this is kept.
pub(super) struct Journal {
    news: Arc<Mutex<News>>,
    records: Vec<PathBuf>,
    _tasks: JoinSet<()>,
}

impl Journal {
    /// Opens what the bench has of both; the journal that the console brings is taken from there.
    pub(super) fn listen(
        board: &Board,
        name: &str,
        folder: &Path,
        log: &EventLog,
        trouble: &Trouble,
    ) -> Result<Self, LabError> {
        let news = Arc::new(Mutex::new(News::new()));
        let mut this = Self { news: news.clone(), records: Vec::new(), _tasks: JoinSet::new() };
        for (kind, wire) in [("console", &board.console), ("journal", &board.journal)] {
            let Some(wire) = wire else { continue };
            let record = folder.join(format!("{kind}-{name}.log"));
            let _ = std::fs::remove_file(&record);
            this.records.push(record.clone());
            // A port or a program that is not there at all is told at once.
            let open = wire.open()?;
            let (log, name, news) = (log.clone(), name.to_owned(), news.clone());
            let is_journal = kind == "journal";
            let line = move |line: &str| {
                // What it tells comes with its time; a line without one is the kernel's or the unit's.
                match serde_json::from_str::<JournalLine>(line.trim()) {
                    Ok(parsed) => {
                        if news.lock().unwrap_or_else(PoisonError::into_inner).takes(&parsed.time, line) {
                            board::tell(&log, &name, line);
                        }
                    }
                    Err(_) if is_journal => {}
                    Err(_) => board::tell(&log, &name, line),
                }
            };
            this._tasks.spawn(follow(wire.clone(), open, record, line, trouble.clone()));
        }
        if let Some(record) = this.records.first() {
            let path = record.file_name().unwrap_or_default().to_string_lossy();
            log.artefact(name, &path, "what the board wrote");
        }
        Ok(this)
    }

    /// Which lines are the story's.
    pub(super) fn news(&self) -> Arc<Mutex<News>> {
        self.news.clone()
    }

    /// The last lines of each, for whoever asks why nothing more came.
    pub(super) fn last_words(&self) -> String {
        let last = |record: &PathBuf| {
            let text = std::fs::read(record).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines: Vec<&str> = text.lines().rev().take(5).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
        };
        self.records.iter().map(last).collect::<Vec<_>>().join(" // ")
    }
}

async fn follow(wire: Wire, first: Open, record: PathBuf, line: impl Fn(&str), trouble: Trouble) {
    let mut open = Ok(first);
    loop {
        let ended = match open {
            Ok(open) => read(&wire, open, &record, &line).await,
            Err(error) => Err(error),
        };
        // A cable that is out at the rig's own end is the bench's trouble; a connection to the board is not.
        if wire.serial.is_some() {
            let why = ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
            return trouble.broke(format!("lab: {}: {why}", wire.name()));
        }
        tokio::time::sleep(AGAIN).await;
        open = wire.open();
    }
}

/// Reads to the wire's end.
async fn read(wire: &Wire, open: Open, record: &Path, told: &impl Fn(&str)) -> Result<(), LabError> {
    let failed = |error: std::io::Error| LabError::instrument(wire.name(), error);
    let stream = open.stream()?;
    stream.set_nonblocking(true).map_err(failed)?;
    let mut reader = BufReader::new(tokio::net::UnixStream::from_std(stream).map_err(failed)?);
    let mut file = std::fs::File::options().create(true).append(true).open(record).map_err(failed)?;
    loop {
        let mut line = Vec::new();
        if (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).await.map_err(failed)? == 0 {
            return Ok(());
        }
        let _ = file.write_all(&line);
        told(String::from_utf8_lossy(&line).trim_end());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::events::EventKind;

    #[test]
    fn what_was_told_before_is_not_told_again() {
        let mut news = News::new();
        assert!(!news.takes("2026-11-22T05:00:00.1Z", "a"));
        news.after("2026-11-22T05:00:00".into());
        assert!(!news.takes("2026-11-22T04:59:59.9Z", "b"));
        assert!(news.takes("2026-11-22T05:00:00.1Z", "a"));
        // The connection broke off, and the journal begins anew.
        assert!(!news.takes("2026-11-22T05:00:00.1Z", "a"));
        assert!(news.takes("2026-11-22T05:00:01.2Z", "c"));
        // Another task was a moment earlier, and its line a moment later.
        assert!(news.takes("2026-11-22T05:00:01.1Z", "d"));
        // Switched off and on, without a clock of its own.
        news.ever();
        assert!(news.takes("1970-01-01T00:00:09.0Z", "e"));
        assert!(!news.takes("2026-11-22T05:00:01.2Z", "c"));
        assert!(news.takes("1970-01-01T00:00:10.0Z", "f"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn lines_of_a_program_come_into_the_log_and_into_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let example = crate::lab::BenchFile::from_toml(crate::lab::file::EXAMPLE).unwrap();
        let mut board = example.board('b').unwrap().clone();
        let line = r#"{"time":"2026-11-22T05:00:00.1Z","host":"adapter-b","kind":"step","ids":["T3"],"text":"ready"}"#;
        let script = format!("echo 'Started Sealfax'; sleep 0.3; echo '{line}'; exec sleep 1000");
        board.console = None;
        board.journal = Some(toml::from_str(&format!("command = [\"sh\", \"-c\", {script:?}]")).unwrap());
        let log = EventLog::new();
        let journal = Journal::listen(&board, "adapter-b", folder.path(), &log, &Trouble::default()).unwrap();
        journal.news().lock().unwrap().after("2026-11-22T05:00:00".into());
        let step = |event: &crate::events::Event| matches!(&event.kind, EventKind::Step { ids } if ids.contains(&"T3"));
        log.wait_for("the step", Duration::from_secs(20), step).await.unwrap();
        assert!(journal.last_words().contains("Started Sealfax"), "{}", journal.last_words());
    }
}
