//! The history of one server, in a folder: the log (`records`), which alone counts, and what follows from it: the tree's
//! hashes (`hashes`) and the index (`index.redb`).

mod frames;
mod hashes;
mod index;
mod writer;

use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use sealfax_client::history::{Checkpoint, Digest256, Entry, Proof, Receipt, Record};
use sealfax_client::seam::{Clock, Entropy};
use tlog_tiles::{Tile, tlog};
use tokio::sync::oneshot;

use self::frames::FrameFile;
pub(in crate::history) use self::frames::{FILE, Frame, Frames, Next, Part, encode};
use self::hashes::HashFile;
pub(in crate::history) use self::hashes::first_changed;
use self::index::{Index, Look};
use self::writer::{Job, Writer};
use super::signing::LogSigner;
use super::tree::{digests, entry, tampered};
use super::view::{Query, State, Transmission};
use super::{Acknowledged, History, HistoryError};

/// Registrations that wait for the disk; further ones wait for a place.
const WAITING: usize = 4096;

/// The head of the log: all that was answered for.
#[derive(Debug, Clone)]
pub(super) struct Head {
    checkpoint: Checkpoint,
    note: Arc<str>,
}

/// A history in a folder.
#[derive(Debug)]
pub struct EmbeddedHistory {
    jobs: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
    index: Arc<Index>,
    hashes: HashFile,
    log: FrameFile,
    head: Arc<RwLock<Head>>,
}

impl EmbeddedHistory {
    /// Opens the history in `folder`, making it if there is none; checks its last checkpoint against the tree. What a power
    /// cut left unfinished is put aside; `warn` hears of it.
    pub fn open(
        folder: &Path,
        signer: LogSigner,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        warn: &mut dyn FnMut(String),
    ) -> Result<Self, HistoryError> {
        let writer = Writer::open(folder, signer, clock, entropy, warn)?;
        let disk = || HistoryError::disk(folder);
        let (log, hashes) = (writer.log.reader().map_err(disk())?, writer.hashes.reader().map_err(disk())?);
        let (index, head) = (writer.index.clone(), writer.head.clone());
        let (jobs, work) = sync_channel(WAITING);
        let writer =
            std::thread::Builder::new().name("history".to_owned()).spawn(move || writer.run(&work)).map_err(disk())?;
        Ok(Self { jobs: Some(jobs), writer: Some(writer), index, hashes, log, head })
    }

    fn head_now(&self) -> Head {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A full queue waits for the disk, and so does whoever asks; the runtime's threads do not.
    async fn submit(&self, job: Job) -> Result<(), HistoryError> {
        match self.jobs.as_ref().ok_or(HistoryError::Closed)?.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job)) => {
                let jobs = self.jobs.clone().ok_or(HistoryError::Closed)?;
                let sent = tokio::task::spawn_blocking(move || jobs.send(job).is_ok()).await;
                if sent.unwrap_or(false) { Ok(()) } else { Err(HistoryError::Closed) }
            }
            Err(TrySendError::Disconnected(_)) => Err(HistoryError::Closed),
        }
    }

    fn frame(&self, look: &Look, index: u64) -> Result<Option<(String, Option<String>)>, HistoryError> {
        let Some(place) = look.place(index)? else { return Ok(None) };
        let read = self.log.read(place).map_err(HistoryError::disk(Path::new(FILE)))?;
        match read {
            Frame::Record { leaf, personal } => Ok(Some((leaf, personal))),
            Frame::Checkpoint(_) => Err(tampered(index, "another frame stands at its place")),
        }
    }

    fn entry_in(&self, look: &Look, index: u64) -> Result<Entry, HistoryError> {
        let (leaf, personal) = self.frame(look, index)?.ok_or(HistoryError::NoSuchRecord(index))?;
        entry(index, &leaf, personal.as_deref())
    }

    fn transmission_in(&self, look: &Look, number: u64) -> Result<Option<Transmission>, HistoryError> {
        let Some((_, events)) = look.transmission(number)? else { return Ok(None) };
        let entries: Result<Vec<Entry>, _> = events.iter().map(|(_, index)| self.entry_in(look, *index)).collect();
        let entries = entries?;
        // What has become of it is said by what is signed, and not by the index.
        let state = State::after(entries.iter().map(|entry| entry.leaf.event));
        Ok(Some(Transmission { number, state, entries }))
    }

    /// Below which number a transmission was first registered before `until`; above, not before `since`; of a log of `size`.
    fn first_at(&self, look: &Look, size: u64, time: std::time::SystemTime) -> Result<u64, HistoryError> {
        // Records stand in the order in which they were registered.
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry_in(look, middle)?.leaf.registered < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

#[async_trait]
impl History for EmbeddedHistory {
    async fn register(&self, record: Record, registrar: Option<Digest256>) -> Result<Acknowledged, HistoryError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Register { record: Box::new(record), registrar, answer };
        self.submit(job).await?;
        answered.await.map_err(|_| HistoryError::Closed)?
    }

    fn checkpoint(&self) -> Result<(Checkpoint, String), HistoryError> {
        let head = self.head_now();
        Ok((head.checkpoint, head.note.to_string()))
    }

    fn receipt(&self, index: u64) -> Result<Receipt, HistoryError> {
        let head = self.head_now();
        if index >= head.checkpoint.size {
            return Err(HistoryError::NoSuchRecord(index));
        }
        let (leaf, personal) = self.frame(&self.index.look()?, index)?.ok_or(HistoryError::NoSuchRecord(index))?;
        let path = tlog::prove_record(head.checkpoint.size, index, &self.hashes).map_err(HistoryError::index)?;
        let proof = Proof { index, path: digests(path), checkpoint: head.note.to_string() };
        Ok(Receipt { leaf, personal, proof })
    }

    fn continues(&self, earlier: u64, later: u64) -> Result<Vec<Digest256>, HistoryError> {
        if later > self.head_now().checkpoint.size || earlier > later {
            return Err(HistoryError::NoSuchRecord(later.max(earlier)));
        }
        if earlier == 0 {
            return Ok(Vec::new());
        }
        tlog::prove_tree(later, earlier, &self.hashes).map(digests).map_err(HistoryError::index)
    }

    fn tile(&self, tile: &Tile) -> Result<Vec<u8>, HistoryError> {
        tile.read_data(&self.hashes).map_err(HistoryError::index)
    }

    fn leaves(&self, indexes: Range<u64>) -> Result<Vec<String>, HistoryError> {
        let look = self.index.look()?;
        let leaf = |index| {
            let Some(place) = look.place(index)? else { return Ok(None) };
            let leaf = self.log.leaf(place).map_err(HistoryError::disk(Path::new(FILE)))?;
            leaf.map(Some).ok_or_else(|| tampered(index, "another frame stands at its place"))
        };
        indexes.map_while(|index| leaf(index).transpose()).collect()
    }

    fn stored(&self, indexes: Range<u64>) -> Result<Vec<(String, Option<String>)>, HistoryError> {
        let look = self.index.look()?;
        indexes.map_while(|index| self.frame(&look, index).transpose()).collect()
    }

    fn find(&self, query: &Query, limit: usize) -> Result<Vec<Transmission>, HistoryError> {
        // The head first: what it counts is in the index by then.
        let size = self.head_now().checkpoint.size;
        let look = self.index.look()?;
        let mut before = query.before.unwrap_or(u64::MAX);
        if let Some(until) = query.until {
            before = before.min(self.first_at(&look, size, until)?);
        }
        let from = query.since.map_or(Ok(0), |since| self.first_at(&look, size, since))?;
        let numbers: index::Numbers = match &query.message_id {
            Some(message_id) => Box::new(look.of_message(message_id, before)?.into_iter().map(Ok)),
            // What was delivered is most of it, and in no index of its own.
            None => match (query.state.filter(|state| *state != State::Delivered), query.parties().as_slice()) {
                (None, []) => look.all(before)?,
                (None, [party]) => look.of_party(party, before)?,
                (Some(state), []) => look.of_state(state, before)?,
                (state, parties) => look.meeting(state, parties, before)?,
            },
        };
        let mut found = Vec::new();
        for number in numbers {
            let number = number?;
            if number < from || found.len() >= limit {
                break;
            }
            if let Some(transmission) = self.transmission_in(&look, number)?
                && query.selects(&transmission)
            {
                found.push(transmission);
            }
        }
        Ok(found)
    }

    fn transmission(&self, number: u64) -> Result<Option<Transmission>, HistoryError> {
        self.transmission_in(&self.index.look()?, number)
    }

    fn count(&self, state: State, most: usize) -> Result<usize, HistoryError> {
        self.index.look()?.count(state, most)
    }

    async fn erase(&self, number: u64) -> Result<(), HistoryError> {
        let (answer, answered) = oneshot::channel();
        self.submit(Job::Erase { number, answer }).await?;
        answered.await.map_err(|_| HistoryError::Closed)?
    }
}

impl Drop for EmbeddedHistory {
    fn drop(&mut self) {
        // The thread ends when nobody can ask any more; what waits is finished, and the index written through.
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
