//! The one thread that changes the store. Whoever waits while a commit runs goes into the next one together: one frame of the
//! log and one `fdatasync` for all of them (group commit). Only then is anybody answered.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sealfax_client::seam::Entropy;

use super::change::{Change, Logged};
use super::index::Index;
use super::log::{Log, NotAppended};
use super::segments::Segments;
use crate::store::StoreError;

/// Most changes of one commit, and most octets of mail after which no further one rides along.
const TOGETHER: (usize, usize) = (512, 8 << 20);
/// Changes after which the index is written through, and how long the first of them waits for it.
const CHECKPOINT: (usize, Duration) = (8192, Duration::from_secs(5));
/// How long a store that broke is left alone.
const BREATH: Duration = Duration::from_secs(1);

/// Who waits for a change: whether there was what it is about.
pub(super) type Answer = Box<dyn FnOnce(Result<bool, StoreError>) + Send>;

/// What the thread is asked for.
pub(super) enum Job {
    /// A change.
    Change(Box<Change>, Answer),
    /// A copy of the index into this folder, and which octets of which segment belong to it; nothing is taken off the disk
    /// before as many [`Job::Release`] came.
    Hold(PathBuf, SyncSender<Result<Vec<(u64, u64)>, StoreError>>),
    /// The copy is done.
    Release,
}

/// The open index, for everybody who reads; none while the store is broken.
pub(super) type Shared = Arc<RwLock<Option<Arc<Index>>>>;

/// Log and index of a folder.
pub(super) struct Parts {
    pub(super) log: Log,
    pub(super) index: Arc<Index>,
}

impl Parts {
    /// Opens both and brings the index up to the log.
    pub(super) fn open(folder: &Path, segments: &Arc<Segments>, entropy: &dyn Entropy) -> Result<Self, StoreError> {
        let index = Index::open(folder, entropy)?;
        let mut repeated = false;
        let each = |changes: Vec<Logged>, end| {
            repeated = true;
            index.apply(&changes, end).map(drop)
        };
        let log = Log::open(segments.clone(), index.token(), index.cursor()?, each)?;
        // Who is killed again and again does not repeat more and more.
        if repeated {
            index.checkpoint()?;
        }
        index.take_space();
        Ok(Self { log, index: Arc::new(index) })
    }
}

/// The thread's own.
pub(super) struct Writer {
    pub(super) folder: PathBuf,
    pub(super) segments: Arc<Segments>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) shared: Shared,
    pub(super) parts: Option<Parts>,
    pub(super) jobs: Receiver<Job>,
    pub(super) broke: Option<Instant>,
    /// Changes since the last checkpoint, and when the first came.
    pub(super) unsaved: (usize, Option<Instant>),
    pub(super) holding: usize,
}

impl Writer {
    /// Works until nobody can ask for anything any more.
    pub(super) fn run(mut self) {
        loop {
            let wait =
                self.unsaved.1.map_or(Duration::from_secs(3600), |first| CHECKPOINT.1.saturating_sub(first.elapsed()));
            match self.jobs.recv_timeout(wait) {
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let (count, first) = self.unsaved;
            if count >= CHECKPOINT.0 || first.is_some_and(|first| first.elapsed() >= CHECKPOINT.1) {
                self.checkpoint();
            }
        }
        self.checkpoint();
        self.close();
    }

    fn work(&mut self, job: Job) {
        let mut next = Some(job);
        while let Some(job) = next.take() {
            match job {
                Job::Change(change, answer) => {
                    let (mut changes, mut answers) = (vec![*change], vec![answer]);
                    let mut octets = 0;
                    while changes.len() < TOGETHER.0 && octets < TOGETHER.1 {
                        match self.jobs.try_recv() {
                            Ok(Job::Change(change, answer)) => {
                                octets += change.body().map_or(0, |[_, mail]| mail.len());
                                changes.push(*change);
                                answers.push(answer);
                            }
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.commit(changes, answers);
                }
                Job::Hold(to, answer) => {
                    let held = self.hold(&to);
                    self.holding += usize::from(held.is_ok());
                    if answer.send(held).is_err() {
                        self.holding = self.holding.saturating_sub(1);
                    }
                }
                Job::Release => self.holding = self.holding.saturating_sub(1),
            }
        }
    }

    /// Makes the changes last, and only then says so.
    fn commit(&mut self, changes: Vec<Change>, answers: Vec<Answer>) {
        let failed = |answers: Vec<Answer>, error: &dyn Fn() -> StoreError| {
            answers.into_iter().for_each(|answer| answer(Err(error())));
        };
        if let Err(error) = self.mend() {
            let why = error.to_string();
            return failed(answers, &|| StoreError::Broken(why.clone()));
        }
        let Some(parts) = &mut self.parts else { return };
        if changes.iter().any(|change| change.body().is_some()) && !parts.index.take_space() {
            return self.full(changes, answers);
        }
        if parts.log.is_full() {
            let rotated = Self::rotate(parts);
            if let Err(error) = rotated {
                self.fail();
                return failed(answers, &|| StoreError::Broken(error.to_string()));
            }
        }
        let appended = match parts.index.next() {
            Ok(next) => parts.log.append(next, &changes),
            Err(error) => Err(NotAppended::Broken(std::io::Error::other(error))),
        };
        let places = match appended {
            Ok(places) => places,
            Err(NotAppended::Full(_)) => return self.full(changes, answers),
            Err(NotAppended::Broken(error)) => {
                self.fail();
                return failed(answers, &|| StoreError::Broken(error.to_string()));
            }
        };
        let changes: Vec<Logged> =
            changes.into_iter().zip(places).map(|(change, body)| Logged { change, body }).collect();
        match parts.index.apply(&changes, parts.log.end()) {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    answer(Ok(outcome));
                }
                self.unsaved.0 += changes.len();
                self.unsaved.1.get_or_insert_with(Instant::now);
            }
            // The log has the changes; the next opening applies them.
            Err(error) => {
                self.fail();
                failed(answers, &|| StoreError::Broken(error.to_string()));
            }
        }
    }

    /// There is no space. What was deleted since the last checkpoint may still hold some.
    fn full(&mut self, changes: Vec<Change>, answers: Vec<Answer>) {
        if self.unsaved.0 == 0 {
            return self.without_mail(changes, answers);
        }
        self.checkpoint();
        self.unsaved = (0, None);
        self.commit(changes, answers);
    }

    /// There is no space: mail is refused, everything else is done from the reserve.
    fn without_mail(&mut self, changes: Vec<Change>, answers: Vec<Answer>) {
        let pairs = changes.into_iter().zip(answers);
        let (mails, others): (Vec<_>, Vec<_>) = pairs.partition(|(change, _)| change.body().is_some());
        let none_was_mail = mails.is_empty();
        for (_, answer) in mails {
            answer(Err(StoreError::Full));
        }
        if none_was_mail {
            for (_, answer) in others {
                answer(Err(StoreError::Full));
            }
        } else if !others.is_empty() {
            let (changes, answers) = others.into_iter().unzip();
            self.commit(changes, answers);
        }
    }

    /// Begins a new segment with what older ones may be the only ones to say.
    fn rotate(parts: &mut Parts) -> Result<(), StoreError> {
        parts.log.rotate().map_err(StoreError::Disk)?;
        let snapshot = Change::Snapshot { accounts: parts.index.accounts()? };
        match parts.log.append(parts.index.next()?, std::slice::from_ref(&snapshot)) {
            Ok(_) => parts.index.apply(&[Logged { change: snapshot, body: None }], parts.log.end()).map(drop),
            Err(NotAppended::Full(error) | NotAppended::Broken(error)) => Err(StoreError::Disk(error)),
        }
    }

    /// Nobody reads what may be behind the log; it is opened anew later.
    fn fail(&mut self) {
        self.close();
        self.broke = Some(Instant::now());
    }

    fn close(&mut self) {
        self.parts = None;
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.unsaved = (0, None);
    }

    /// Opens a store that broke, not too often.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.parts.is_some() {
            return Ok(());
        }
        if let Some(left) = self.broke.and_then(|broke| BREATH.checked_sub(broke.elapsed())) {
            std::thread::sleep(left);
        }
        self.broke = Some(Instant::now());
        let parts = Parts::open(&self.folder, &self.segments, self.entropy.as_ref())?;
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = Some(parts.index.clone());
        self.parts = Some(parts);
        Ok(())
    }

    /// Writes the index through, and takes off the disk what it no longer knows.
    fn checkpoint(&mut self) {
        let Some(parts) = &self.parts else { return };
        let done = parts.index.checkpoint().and_then(|()| {
            self.unsaved = (0, None);
            if self.holding == 0 { Self::clear(parts, &self.segments) } else { Ok(()) }
        });
        if let Err(error) = done {
            tracing::error!(%error, "the index could not be written through");
            self.fail();
        }
    }

    fn clear(parts: &Parts, segments: &Segments) -> Result<(), StoreError> {
        let freed = parts.index.freed()?;
        let current = parts.log.end().segment;
        let mut gone = Vec::new();
        for segment in segments.list().map_err(StoreError::Disk)? {
            if segment < current && parts.index.live(segment)? == 0 {
                segments.remove(segment).map_err(StoreError::Disk)?;
                gone.push(segment);
            }
        }
        for (segment, offset, length) in freed.iter().filter(|(segment, ..)| !gone.contains(segment)) {
            segments.free(*segment, *offset, *length).map_err(StoreError::Disk)?;
        }
        if freed.is_empty() && gone.is_empty() {
            return Ok(());
        }
        segments.sync().map_err(StoreError::Disk)?;
        parts.index.forget(&freed, &gone)
    }

    fn hold(&mut self, to: &Path) -> Result<Vec<(u64, u64)>, StoreError> {
        self.mend()?;
        let Some(parts) = &self.parts else { return Err(StoreError::Broken("closed".to_owned())) };
        parts.index.checkpoint()?;
        // While nothing is written, the file is a whole index.
        parts.index.copy(to).map_err(StoreError::Disk)?;
        let end = parts.log.end();
        let mut belonging = Vec::new();
        for segment in self.segments.list().map_err(StoreError::Disk)? {
            let length = if segment == end.segment {
                end.offset
            } else {
                self.segments.file(segment).and_then(|file| file.metadata()).map_err(StoreError::Disk)?.len()
            };
            belonging.push((segment, length));
        }
        Ok(belonging)
    }
}
