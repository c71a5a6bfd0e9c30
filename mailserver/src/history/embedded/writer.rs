//! The one thread that appends. Whoever registers while a group is written goes into the next one together: one write, one
//! flush and one signature for all of them (group commit). Only then is anybody answered.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use sealfax_client::history::{Checkpoint, Digest256, Event, LogKey, Proof, Receipt, Record};
use sealfax_client::seam::{Clock, Entropy};
use tlog_tiles::tlog;
use tokio::sync::oneshot;

use super::frames::{Frame, FrameFile, LogFile, MOST_UNFINISHED, Next, Part, checkpoints, encode};
use super::hashes::Hashes;
use super::index::{Filed, Index, Reach};
use super::{Head, hashes};
use crate::accounts::normalise;
use crate::history::signing::LogSigner;
use crate::history::tree::{Stored, digests, entry, is_of, tampered};
use crate::history::{Acknowledged, HistoryError};

/// Most records of one group, and most octets after which no further one rides along.
const TOGETHER: (usize, usize) = (1024, 8 << 20);
/// Records after which the index is written through, and how long the first of them waits for it.
const THROUGH: (u64, Duration) = (16 * 1024, Duration::from_secs(5));

/// Whoever waits for a record.
pub(super) type Answer = oneshot::Sender<Result<Acknowledged, HistoryError>>;

/// What the thread is asked for.
pub(super) enum Job {
    /// Take a record in.
    Register { record: Box<Record>, registrar: Option<Digest256>, answer: Answer },
    /// Erase what is personal of a transmission.
    Erase { number: u64, answer: oneshot::Sender<Result<(), HistoryError>> },
}

/// The thread's own.
pub(super) struct Writer {
    pub(super) log: LogFile,
    pub(super) hashes: Hashes,
    pub(super) index: Arc<Index>,
    pub(super) head: Arc<RwLock<Head>>,
    frames: FrameFile,
    signer: LogSigner,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// When the last record was registered: times in the log never go back.
    latest: SystemTime,
    /// Records since the index was written through, and when the first of them came.
    unsaved: (u64, Option<Instant>),
    /// The log could not be brought back to what was answered for: nothing is taken any more.
    broken: bool,
}

/// A record of the group that is being made.
struct Made {
    record: Stored,
    place: u64,
    answers: Vec<Answer>,
}

impl Writer {
    /// Opens the log and brings hashes and index up to it.
    pub(super) fn open(
        folder: &Path,
        signer: LogSigner,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        warn: &mut dyn FnMut(String),
    ) -> Result<Self, HistoryError> {
        std::fs::create_dir_all(folder).map_err(HistoryError::disk(folder))?;
        let log = LogFile::open(folder)?;
        let mut index = Index::open(folder)?;
        let mut reach = index.reach()?;
        let (mut hashes, whole) = Hashes::open(&folder.join(hashes::FILE), reach.records)?;
        if reach.octets > log.end {
            // The log is shorter than what was flushed of it once: that is no power cut.
            let why = format!("the log ends here, but held {} records: it was cut off or rolled back", reach.records);
            let index = count(&log)?;
            return Err(HistoryError::Tampered { index, why });
        }
        // As many records were on the disk once, and answered for.
        let flushed = reach.records;
        // What follows from the log is held against it, and made anew where it does not fit.
        if !whole || !fits(&log, &index, &hashes, reach, signer.key()) {
            warn("hashes and index of the history do not fit its log; both are made anew from it".to_owned());
            drop(index);
            let path = folder.join(super::index::FILE);
            std::fs::remove_file(&path).map_err(HistoryError::disk(&path))?;
            index = Index::open(folder)?;
            reach = Reach::default();
            hashes = Hashes::open(&folder.join(hashes::FILE), 0)?.0;
        }
        let head = Head { checkpoint: Checkpoint { size: 0, root: Digest256(tlog::EMPTY_HASH.0) }, note: "".into() };
        let frames = log.reader().map_err(HistoryError::disk(folder))?;
        let mut writer = Self {
            log,
            hashes,
            index: Arc::new(index),
            head: Arc::new(RwLock::new(head)),
            frames,
            signer,
            clock,
            entropy,
            latest: SystemTime::UNIX_EPOCH,
            unsaved: (0, None),
            broken: false,
        };
        writer.catch_up(folder, reach, flushed, warn)?;
        Ok(writer)
    }

    /// Reads the log from `reach` on, group by group; the first `flushed` records have to be there.
    fn catch_up(
        &mut self,
        folder: &Path,
        reach: Reach,
        flushed: u64,
        warn: &mut dyn FnMut(String),
    ) -> Result<(), HistoryError> {
        let mut frames = self.log.frames(reach.octets)?;
        let (mut done, mut group, mut records) = (reach, Vec::new(), reach.records);
        let mut last = None;
        loop {
            let place = frames.at;
            match frames.next().map_err(HistoryError::disk(folder))? {
                Next::Frame(Frame::Record { leaf, personal }) => {
                    let read = match entry(records, &leaf, personal.as_deref()) {
                        Ok(read) => read,
                        // Whether that is a torn group or worse shows where its checkpoint should be.
                        _ => break,
                    };
                    self.hashes.push(records, leaf.as_bytes()).map_err(HistoryError::index)?;
                    group.push((read, place));
                    records += 1;
                }
                Next::Frame(Frame::Checkpoint(note)) => {
                    let Ok(said) = self.signer.key().checkpoint(&note) else { break };
                    let root = self.hashes.root(records).map_err(HistoryError::index)?;
                    if said != (Checkpoint { size: records, root }) {
                        break;
                    }
                    self.hashes.write().map_err(HistoryError::disk(folder))?;
                    done = Reach { records, octets: frames.at };
                    self.file(std::mem::take(&mut group), done)?;
                    last = Some((said, note));
                }
                Next::End | Next::Broken => break,
            }
        }
        self.hashes.forget_after(done.records);
        if done.records < flushed {
            return Err(tampered(done.records, "it, or one of those signed together with it, is not what was signed"));
        }
        if self.log.end > done.octets {
            self.put_aside(folder, done, warn)?;
        }
        let (checkpoint, note) = match last {
            Some(last) => last,
            None => self.head_again(done)?,
        };
        if checkpoint.size > 0 {
            let last = self.place(checkpoint.size - 1)?;
            self.latest = entry(checkpoint.size - 1, &last.0, last.1.as_deref())?.leaf.registered;
        }
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = Head { checkpoint, note: note.into() };
        self.write_through()
    }

    /// The checkpoint over a log whose every record the index has; signed anew, for the last one was not read.
    fn head_again(&self, done: Reach) -> Result<(Checkpoint, String), HistoryError> {
        let root = self.hashes.root(done.records).map_err(HistoryError::index)?;
        let said = Checkpoint { size: done.records, root };
        if done.octets == 0 {
            return Ok((said, self.signer.checkpoint(0, root)?));
        }
        // The last group's checkpoint ends the log.
        let mut frames = self.log.frames(self.last_place(done)?)?;
        while let Next::Frame(frame) = frames.next().map_err(HistoryError::disk(Path::new(super::FILE)))? {
            if let Frame::Checkpoint(note) = frame {
                return match self.signer.key().checkpoint(&note)? {
                    signed if signed == said => Ok((said, note)),
                    _ => Err(tampered(done.records, "the tree is not the one whose root was signed")),
                };
            }
        }
        Err(tampered(done.records, "its checkpoint is not there"))
    }

    fn last_place(&self, done: Reach) -> Result<u64, HistoryError> {
        let last = done.records.saturating_sub(1);
        self.index.look()?.place(last)?.ok_or_else(|| tampered(last, "it is not in the index"))
    }

    /// What follows the last whole group is one that a power cut left unfinished, and for which nobody was answered: it is
    /// kept for whoever wants to look at it, and cut off. If more follows, it was answered for and changed since.
    fn put_aside(&mut self, folder: &Path, done: Reach, warn: &mut dyn FnMut(String)) -> Result<(), HistoryError> {
        let octets = self.log.end - done.octets;
        let changed = || tampered(done.records, "it, or one of those signed together with it, is not what was signed");
        if octets > MOST_UNFINISHED {
            return Err(changed());
        }
        let path: PathBuf = folder.join(format!("records.unfinished-{}", done.octets));
        let mut rest = Vec::new();
        self.log.frames(done.octets)?.rest().read_to_end(&mut rest).map_err(HistoryError::disk(&path))?;
        // A group is begun when the one before it is on the disk.
        if checkpoints(&rest) > 1 {
            return Err(changed());
        }
        let keep = || -> std::io::Result<()> {
            // Who and what may stand in it, and no erasing reaches it.
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(&rest)?;
            file.sync_all()?;
            std::fs::File::open(folder)?.sync_all()
        };
        keep().map_err(HistoryError::disk(&path))?;
        warn(format!(
            "{octets} octets after record {} are no whole group, as a power cut leaves them; they are kept as {}",
            done.records,
            path.display()
        ));
        self.log.cut(done.octets)
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let wait =
                self.unsaved.1.map_or(Duration::from_secs(3600), |first| THROUGH.1.saturating_sub(first.elapsed()));
            match jobs.recv_timeout(wait) {
                Ok(job) => self.work(job, jobs),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let (count, first) = self.unsaved;
            if (count >= THROUGH.0 || first.is_some_and(|first| first.elapsed() >= THROUGH.1))
                && let Err(error) = self.write_through()
            {
                // What is not written through is read from the log again; it is tried again after a while.
                tracing::error!(%error, "the history's index cannot be written through");
                self.unsaved = (0, Some(Instant::now()));
            }
        }
        let _ = self.write_through();
    }

    fn work(&mut self, first: Job, jobs: &Receiver<Job>) {
        let (mut next, mut group, mut octets) = (Some(first), Vec::new(), 0);
        let mut erase = None;
        while let Some(job) = next.take() {
            match job {
                Job::Register { record, registrar, answer } => {
                    octets += record.evidence.len();
                    group.push((record, registrar, answer));
                    if group.len() < TOGETHER.0 && octets < TOGETHER.1 {
                        next = jobs.try_recv().ok();
                    }
                }
                Job::Erase { number, answer } => erase = Some((number, answer)),
            }
        }
        if !group.is_empty() {
            self.register(group);
        }
        if let Some((number, answer)) = erase {
            let _ = answer.send(self.erase(number));
        }
    }

    /// One group.
    fn register(&mut self, group: Vec<(Box<Record>, Option<Digest256>, Answer)>) {
        if self.broken {
            for (_, _, answer) in group {
                let _ = answer.send(Err(HistoryError::Closed));
            }
            return;
        }
        let mut made: Vec<Made> = Vec::new();
        let mut places: HashMap<(String, String, Event), usize> = HashMap::new();
        let mut octets = Vec::new();
        let head = self.head.read().unwrap_or_else(PoisonError::into_inner).checkpoint;
        let first = head.size;
        // Whoever changed the hashes is not given a signature for it.
        if self.hashes.root(first).ok() != Some(head.root) {
            for (_, _, answer) in group {
                let _ = answer.send(Err(tampered(first, "the tree is not the one whose root was signed")));
            }
            return;
        }
        for (record, registrar, answer) in group {
            // The same may come twice in one group.
            let key = (record.message_id.clone(), normalise(&record.recipient), record.event);
            if let Some(twin) = places.get(&key).and_then(|at| made.get_mut(*at)) {
                if is_of(&twin.record.leaf, Some(&twin.record.personal), &record) {
                    twin.answers.push(answer);
                } else {
                    let _ = answer.send(Err(HistoryError::Conflict { index: twin.record.leaf.index }));
                }
                continue;
            }
            match self.known(&record) {
                Ok(None) => {}
                Ok(Some(known)) => {
                    let _ = answer.send(Ok(known));
                    continue;
                }
                Err(error) => {
                    let _ = answer.send(Err(error));
                    continue;
                }
            }
            let index = first + made.len() as u64;
            match self.make(&record, registrar, index, &mut octets) {
                Ok(mut one) => {
                    one.answers.push(answer);
                    places.insert(key, made.len());
                    made.push(one);
                }
                Err(error) => {
                    let _ = answer.send(Err(error));
                }
            }
        }
        if made.is_empty() {
            return;
        }
        let end = self.log.end;
        match self.commit(&made, octets) {
            Ok(head) => self.answer(made, &head),
            Err(error) => {
                // Nobody was answered: as if it had never been.
                self.hashes.forget_after(first);
                self.broken = self.log.cut(end).is_err();
                let text = error.to_string();
                for answer in made.into_iter().flat_map(|made| made.answers) {
                    let _ = answer.send(Err(HistoryError::index(std::io::Error::other(text.clone()))));
                }
            }
        }
    }

    /// The receipt of a record that stands there already.
    fn known(&self, record: &Record) -> Result<Option<Acknowledged>, HistoryError> {
        record.check().map_err(HistoryError::BadField)?;
        let look = self.index.look()?;
        let Some(number) = look.of_mail(&record.message_id, &record.recipient)? else { return Ok(None) };
        let Some((_, events)) = look.transmission(number)? else { return Ok(None) };
        let Some((_, index)) = events.into_iter().find(|(event, _)| *event == record.event) else { return Ok(None) };
        let (leaf, personal) = self.place(index)?;
        let there = entry(index, &leaf, personal.as_deref())?;
        if !is_of(&there.leaf, there.personal.as_ref(), record) {
            return Err(HistoryError::Conflict { index });
        }
        let head = self.head.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Some(Acknowledged {
            known: true,
            receipt: self.receipt(index, leaf, personal, &head)?,
            head: head.checkpoint,
        }))
    }

    /// Makes the record number `index` and appends its frame to `octets`.
    fn make(
        &mut self,
        record: &Record,
        registrar: Option<Digest256>,
        index: u64,
        octets: &mut Vec<u8>,
    ) -> Result<Made, HistoryError> {
        self.latest = self.latest.max(self.clock.now());
        let stored = Stored::of(record, registrar, index, self.latest, self.entropy.as_ref())?;
        self.hashes.push(index, stored.leaf_text.as_bytes()).map_err(HistoryError::index)?;
        let place = self.log.end + octets.len() as u64;
        encode(Part::Record { leaf: &stored.leaf_text, personal: &stored.personal_text }, octets);
        Ok(Made { record: stored, place, answers: Vec::new() })
    }

    /// Signs, writes and flushes the group. It counts from then on.
    fn commit(&mut self, made: &[Made], mut octets: Vec<u8>) -> Result<Head, HistoryError> {
        let size = made.last().map_or(0, |last| last.record.leaf.index + 1);
        let checkpoint = Checkpoint { size, root: self.hashes.root(size).map_err(HistoryError::index)? };
        let note = self.signer.checkpoint(size, checkpoint.root)?;
        encode(Part::Checkpoint(&note), &mut octets);
        self.log.append(&octets)?;
        self.hashes.write().map_err(HistoryError::disk(Path::new(hashes::FILE)))?;
        let filed = made.iter().map(|made| Filed {
            index: made.record.leaf.index,
            place: made.place,
            event: made.record.leaf.event,
            personal: Some(&made.record.personal),
        });
        self.index.file(filed, Reach { records: size, octets: self.log.end }, false)?;
        self.unsaved.0 += made.len() as u64;
        self.unsaved.1.get_or_insert_with(Instant::now);
        let head = Head { checkpoint, note: note.into() };
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head.clone();
        Ok(head)
    }

    fn answer(&self, made: Vec<Made>, head: &Head) {
        for one in made {
            let receipt =
                self.receipt(one.record.leaf.index, one.record.leaf_text, Some(one.record.personal_text), head);
            let mut known = false;
            for answer in one.answers {
                let told = match &receipt {
                    Ok(receipt) => Ok(Acknowledged { known, receipt: receipt.clone(), head: head.checkpoint }),
                    Err(error) => Err(HistoryError::index(std::io::Error::other(error.to_string()))),
                };
                known = true;
                // Whoever does not wait any more registers again.
                let _ = answer.send(told);
            }
        }
    }

    fn receipt(
        &self,
        index: u64,
        leaf: String,
        personal: Option<String>,
        head: &Head,
    ) -> Result<Receipt, HistoryError> {
        let path = tlog::prove_record(head.checkpoint.size, index, &self.hashes).map_err(HistoryError::index)?;
        let proof = Proof { index, path: digests(path), checkpoint: head.note.to_string() };
        Ok(Receipt { leaf, personal, proof })
    }

    fn place(&self, index: u64) -> Result<(String, Option<String>), HistoryError> {
        let place = self.index.look()?.place(index)?.ok_or(HistoryError::NoSuchRecord(index))?;
        match self.frames.read(place).map_err(HistoryError::disk(Path::new(super::FILE)))? {
            Frame::Record { leaf, personal } => Ok((leaf, personal)),
            Frame::Checkpoint(_) => Err(tampered(index, "another frame stands at its place")),
        }
    }

    fn erase(&mut self, number: u64) -> Result<(), HistoryError> {
        let look = self.index.look()?;
        let (_, events) = look.transmission(number)?.ok_or(HistoryError::NoSuchRecord(number))?;
        let mut whose = None;
        // The index was made from the first of them; it has to go also where a cut left nothing but the index.
        for (_, index) in &events {
            let place = look.place(*index)?.ok_or(HistoryError::NoSuchRecord(*index))?;
            let (leaf, personal) = self.place(*index)?;
            if let Some(personal) = entry(*index, &leaf, personal.as_deref())?.personal {
                self.log.erase(place)?;
                whose.get_or_insert(personal);
            }
        }
        // The index says of how many hashes there are: they are on the disk before it is.
        self.hashes.sync().map_err(HistoryError::disk(Path::new(hashes::FILE)))?;
        self.index.forget(number, whose.as_ref())
    }

    fn file(&mut self, group: Vec<(sealfax_client::history::Entry, u64)>, reach: Reach) -> Result<(), HistoryError> {
        self.unsaved.0 += group.len() as u64;
        let filed = group.iter().map(|(entry, place)| Filed {
            index: entry.leaf.index,
            place: *place,
            event: entry.leaf.event,
            personal: entry.personal.as_ref(),
        });
        self.index.file(filed, reach, false)?;
        if self.unsaved.0 >= THROUGH.0 {
            self.write_through()?;
        }
        Ok(())
    }

    /// Puts hashes and index on the disk: the hashes first, for the index says how many there are.
    fn write_through(&mut self) -> Result<(), HistoryError> {
        if self.unsaved.0 > 0 {
            self.hashes.sync().map_err(HistoryError::disk(Path::new(hashes::FILE)))?;
            let records = self.head.read().unwrap_or_else(PoisonError::into_inner).checkpoint.size;
            let reach = self.index.reach()?;
            debug_assert!(reach.records >= records);
            self.index.file(std::iter::empty(), reach, true)?;
        }
        self.unsaved = (0, None);
        Ok(())
    }
}

/// Whether the tree is the one whose root was signed where the index ends.
fn fits(log: &LogFile, index: &Index, hashes: &Hashes, reach: Reach, key: &LogKey) -> bool {
    if reach.records == 0 {
        return reach.octets == 0;
    }
    let place = index.look().and_then(|look| look.place(reach.records - 1));
    let Ok(Some(place)) = place else { return false };
    let (Ok(mut frames), Ok(root)) = (log.frames(place), hashes.root(reach.records)) else { return false };
    // The last record of the group, then its checkpoint.
    let _ = frames.next();
    let Ok(Next::Frame(Frame::Checkpoint(note))) = frames.next() else { return false };
    key.checkpoint(&note) == Ok(Checkpoint { size: reach.records, root }) && frames.at == reach.octets
}

/// How many whole records stand in the log.
fn count(log: &LogFile) -> Result<u64, HistoryError> {
    let mut frames = log.frames(0)?;
    let mut records = 0;
    while let Next::Frame(frame) = frames.next().map_err(HistoryError::disk(Path::new(super::FILE)))? {
        records += u64::from(matches!(frame, Frame::Record { .. }));
    }
    Ok(records)
}
