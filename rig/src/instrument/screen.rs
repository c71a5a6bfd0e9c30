//! A display that keeps a record: every changed screen with its words, and as `screens/NNN-host-kind.png`.
//!
//! Nobody who stands before a fax machine waits for a PNG file: pictures are encoded beside the story, and [`developed`]
//! waits until all are written.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use sealfax_drivers::display::{Display, DisplayError, Frame, Language, Screen, ScreenKind, Status};

use crate::events::{EventKind, EventLog, Lane};

/// Numbers the pictures of one run across all its adapters, so that a folder listing is the story.
#[derive(Debug, Clone, Default)]
pub struct ScreenNumbers(Arc<AtomicU32>);

/// The display of one adapter.
#[derive(Debug)]
pub struct RecordedDisplay {
    log: EventLog,
    host: String,
    language: Language,
    folder: Option<PathBuf>,
    numbers: ScreenNumbers,
    last: Option<(Screen, Frame)>,
}

impl RecordedDisplay {
    /// A display of `host`; pictures go to `folder/screens`, or nowhere if `None`. `language` is the leading one.
    pub fn new(log: EventLog, host: &str, language: Language, folder: Option<PathBuf>, numbers: ScreenNumbers) -> Self {
        Self { log, host: host.to_owned(), language, folder, numbers, last: None }
    }
}

impl ScreenNumbers {
    /// Saves what `host` shows as the next picture of `folder/screens`, and gives its path relative to `folder`.
    pub fn keep(&self, folder: &Path, host: &str, kind: ScreenKind, frame: &Frame) -> Result<String, DisplayError> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let safe = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
        let host: String = host.chars().map(safe).collect();
        let path = format!("screens/{number:03}-{host}-{}.png", kind.name());
        let whole = folder.join(&path);
        let failed = |error: std::io::Error| DisplayError::Device(format!("{}: {error}", whole.display()));
        std::fs::create_dir_all(folder.join("screens")).map_err(failed)?;
        let _ = darkroom().send(Job::Develop { frame: frame.clone(), to: whole });
        Ok(path)
    }
}

/// Waits until every picture that was kept so far is written.
pub fn developed() {
    let (done, told) = sync_channel(1);
    if darkroom().send(Job::Tell(done)).is_ok() {
        let _ = told.recv();
    }
}

enum Job {
    Develop { frame: Frame, to: PathBuf },
    Tell(SyncSender<()>),
}

/// Most frames that wait, 2.7 MB each: beyond, whoever keeps one waits too.
const WAITING: usize = 12;
fn darkroom() -> &'static SyncSender<Job> {
    static DARKROOM: OnceLock<SyncSender<Job>> = OnceLock::new();
    DARKROOM.get_or_init(|| {
        let (jobs, to_do) = sync_channel(WAITING);
        std::thread::spawn(move || develop(&to_do));
        jobs
    })
}

fn develop(jobs: &Receiver<Job>) {
    for job in jobs {
        match job {
            Job::Develop { frame, to } => {
                if let Err(error) = std::fs::write(&to, frame.to_png()) {
                    tracing::error!(%error, "the picture {} could not be written", to.display());
                }
            }
            Job::Tell(done) => {
                let _ = done.send(());
            }
        }
    }
}

impl Display for RecordedDisplay {
    fn show(&mut self, screen: &Screen, status: &Status, frame: &Frame) -> Result<(), DisplayError> {
        if self.last.as_ref().is_some_and(|(shown, drawn)| shown == screen && drawn == frame) {
            return Ok(());
        }
        let text = screen.words(self.language).text();
        let mut words: Vec<String> = text.lines().map(str::to_owned).collect();
        // The band at the edge is read too.
        words.extend(
            status.fault.as_ref().map(|fault| format!("{} {} / {}", fault.code, fault.japanese, fault.english)),
        );
        let png = match &self.folder {
            Some(folder) => Some(self.numbers.keep(folder, &self.host, screen.kind(), frame)?),
            None => None,
        };
        let line = words.join(" / ");
        self.last = Some((screen.clone(), frame.clone()));
        let kind = EventKind::Screen { screen: screen.kind(), words, png };
        self.log.write(Lane::Screen, &self.host, kind, line);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn each_change_is_a_picture_with_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let log = EventLog::new();
        let numbers = ScreenNumbers::default();
        let place = Some(folder.path().to_path_buf());
        let mut display = RecordedDisplay::new(log.clone(), "adapter-b", Language::Japanese, place, numbers);
        let frame = Frame::of(vec![0; (Frame::WIDTH * Frame::HEIGHT * 3) as usize]);
        let arrived = Screen::Arrived { names: vec!["山田 花子".into()] };
        for screen in [Screen::Idle, Screen::Idle, arrived] {
            display.show(&screen, &Status::default(), &frame).unwrap();
        }
        let events = log.events();
        assert_eq!(events.len(), 2);
        assert!(events[1].text.contains("山田 花子"), "{}", events[1].text);
        developed();
        for name in ["001-adapter-b-idle.png", "002-adapter-b-arrived.png"] {
            assert!(folder.path().join("screens").join(name).exists(), "{name}");
        }
    }
}
