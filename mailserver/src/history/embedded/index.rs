//! What finds records in the log: a redb file that follows from it. Commits cost no `fsync`; now and then they are written
//! through, and what is missing after a power cut is read from the log again. Addresses stand in it as digests alone, and go
//! when their records are erased.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use sealfax_client::history::{Event, Personal};
use sha2::{Digest as _, Sha256};

use crate::accounts::normalise;
use crate::history::HistoryError;
use crate::history::tree::{event_of, number_of};
use crate::history::view::State;

/// Its name inside the data folder.
pub(super) const FILE: &str = "index.redb";
/// Octets of the file that are kept in memory.
const CACHE: usize = 256 << 20;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("how far");
/// Where in the log each record's frame begins.
const PLACES: TableDefinition<'_, u64, u64> = TableDefinition::new("places");
/// The transmission of a mail and recipient.
const MAILS: TableDefinition<'_, [u8; 16], u64> = TableDefinition::new("transmissions by mail");
/// A transmission's records: event and index, nine octets each.
const TRANSMISSIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("transmissions");
/// Party and transmission.
const PARTIES: TableDefinition<'_, [u8; 16], ()> = TableDefinition::new("transmissions by party");
/// State and transmission, but for what was delivered.
const STATES: TableDefinition<'_, (u8, u64), ()> = TableDefinition::new("transmissions by state");

/// How far the index follows the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// Records.
    pub(super) records: u64,
    /// Octets.
    pub(super) octets: u64,
}

/// A record to be found.
pub(super) struct Filed<'a> {
    pub(super) index: u64,
    pub(super) place: u64,
    pub(super) event: Event,
    /// `None` for one that was erased.
    pub(super) personal: Option<&'a Personal>,
}

/// The index.
#[derive(Debug)]
pub(super) struct Index(Database);

type Result<T> = std::result::Result<T, HistoryError>;

impl Index {
    /// Opens or makes the index in `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        // An empty file is a new database; made here, because the database would let everybody read it.
        let made = OpenOptions::new().create(true).append(true).mode(0o640).open(&path);
        drop(made.map_err(HistoryError::disk(&path))?);
        let database = redb::Builder::new().set_cache_size(CACHE).create(&path).map_err(HistoryError::index)?;
        let write = database.begin_write().map_err(HistoryError::index)?;
        write.open_table(META).map_err(HistoryError::index)?;
        write.open_table(PLACES).map_err(HistoryError::index)?;
        write.open_table(MAILS).map_err(HistoryError::index)?;
        write.open_table(TRANSMISSIONS).map_err(HistoryError::index)?;
        write.open_table(PARTIES).map_err(HistoryError::index)?;
        write.open_table(STATES).map_err(HistoryError::index)?;
        write.commit().map_err(HistoryError::index)?;
        Ok(Self(database))
    }

    /// How far it follows the log.
    pub(super) fn reach(&self) -> Result<Reach> {
        let read = self.0.begin_read().map_err(HistoryError::index)?;
        let meta = read.open_table(META).map_err(HistoryError::index)?;
        let number =
            |name| -> Result<u64> { Ok(meta.get(name).map_err(HistoryError::index)?.map_or(0, |value| value.value())) };
        Ok(Reach { records: number("records")?, octets: number("octets")? })
    }

    /// Files `records`, after which it follows the log up to `reach`; written through if it is `durable`.
    pub(super) fn file<'a>(
        &self,
        records: impl IntoIterator<Item = Filed<'a>>,
        reach: Reach,
        durable: bool,
    ) -> Result<()> {
        let mut write = self.0.begin_write().map_err(HistoryError::index)?;
        write
            .set_durability(if durable { Durability::Immediate } else { Durability::None })
            .map_err(HistoryError::index)?;
        {
            let mut places = write.open_table(PLACES).map_err(HistoryError::index)?;
            let mut mails = write.open_table(MAILS).map_err(HistoryError::index)?;
            let mut transmissions = write.open_table(TRANSMISSIONS).map_err(HistoryError::index)?;
            let mut parties = write.open_table(PARTIES).map_err(HistoryError::index)?;
            let mut states = write.open_table(STATES).map_err(HistoryError::index)?;
            for record in records {
                places.insert(record.index, record.place).map_err(HistoryError::index)?;
                let Some(personal) = record.personal else { continue };
                let mail = mail(&personal.message_id, &personal.recipient);
                let known = mails.get(mail).map_err(HistoryError::index)?.map(|number| number.value());
                let number = known.unwrap_or(record.index);
                let mut events = match known {
                    None => {
                        mails.insert(mail, number).map_err(HistoryError::index)?;
                        for party in names(personal) {
                            parties.insert(at(party, number), ()).map_err(HistoryError::index)?;
                        }
                        Vec::new()
                    }
                    Some(_) => {
                        let row = transmissions.get(number).map_err(HistoryError::index)?;
                        row.map(|row| row.value().to_vec()).unwrap_or_default()
                    }
                };
                let before = (!events.is_empty()).then(|| state(&events));
                events.push(number_of(record.event));
                events.extend_from_slice(&record.index.to_be_bytes());
                transmissions.insert(number, events.as_slice()).map_err(HistoryError::index)?;
                let after = state(&events);
                if before != Some(after) {
                    if let Some(before) = before.filter(|before| *before != State::Delivered) {
                        states.remove((before.number(), number)).map_err(HistoryError::index)?;
                    }
                    if after != State::Delivered {
                        states.insert((after.number(), number), ()).map_err(HistoryError::index)?;
                    }
                }
            }
            let mut meta = write.open_table(META).map_err(HistoryError::index)?;
            meta.insert("records", reach.records).map_err(HistoryError::index)?;
            meta.insert("octets", reach.octets).map_err(HistoryError::index)?;
        }
        write.commit().map_err(HistoryError::index)
    }

    /// Takes the transmission `number` out of all that can be searched. Without `personal`, from which it was made, all is looked
    /// through: that is left to do where an erasing was broken off.
    pub(super) fn forget(&self, number: u64, personal: Option<&Personal>) -> Result<()> {
        let write = self.0.begin_write().map_err(HistoryError::index)?;
        {
            let mut transmissions = write.open_table(TRANSMISSIONS).map_err(HistoryError::index)?;
            let row = transmissions.remove(number).map_err(HistoryError::index)?;
            let state = row.map(|row| state(row.value()));
            if let Some(state) = state {
                let mut states = write.open_table(STATES).map_err(HistoryError::index)?;
                states.remove((state.number(), number)).map_err(HistoryError::index)?;
            }
            let mut mails = write.open_table(MAILS).map_err(HistoryError::index)?;
            let mut parties = write.open_table(PARTIES).map_err(HistoryError::index)?;
            match personal {
                Some(personal) => {
                    mails.remove(mail(&personal.message_id, &personal.recipient)).map_err(HistoryError::index)?;
                    for party in names(personal) {
                        parties.remove(at(party, number)).map_err(HistoryError::index)?;
                    }
                }
                None => {
                    mails.retain(|_, known| known != number).map_err(HistoryError::index)?;
                    parties.retain(|key, ()| !key.ends_with(&number.to_be_bytes())).map_err(HistoryError::index)?;
                }
            }
        }
        write.commit().map_err(HistoryError::index)
    }

    /// One look at the index as it is now.
    pub(super) fn look(&self) -> Result<Look> {
        self.0.begin_read().map(Look).map_err(HistoryError::index)
    }
}

/// What has become of a transmission, and its records.
pub(super) type Row = (State, Vec<(Event, u64)>);

/// The index at one moment.
pub(super) struct Look(redb::ReadTransaction);

/// What transmissions can have in common.
enum Set {
    State(u8),
    Party([u8; 8]),
}

/// Transmissions, newest first.
pub(super) type Numbers = Box<dyn Iterator<Item = Result<u64>>>;

impl Look {
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<redb::ReadOnlyTable<K, V>> {
        self.0.open_table(table).map_err(HistoryError::index)
    }

    /// Where the frame of a record begins.
    pub(super) fn place(&self, index: u64) -> Result<Option<u64>> {
        Ok(self.table(PLACES)?.get(index).map_err(HistoryError::index)?.map(|place| place.value()))
    }

    /// The transmission of a mail to a recipient.
    pub(super) fn of_mail(&self, message_id: &str, recipient: &str) -> Result<Option<u64>> {
        let number = self.table(MAILS)?.get(mail(message_id, recipient)).map_err(HistoryError::index)?;
        Ok(number.map(|number| number.value()))
    }

    /// Those of a mail, whoever its recipients, below `before`.
    pub(super) fn of_message(&self, message_id: &str, before: u64) -> Result<Vec<u64>> {
        let message: [u8; 8] = digest(&[message_id]);
        let key = |last| at(message, last);
        let range = self.table(MAILS)?.range(key(0)..=key(u64::MAX)).map_err(HistoryError::index)?;
        let numbers: Result<Vec<u64>> = range.map(|row| Ok(row.map_err(HistoryError::index)?.1.value())).collect();
        let mut numbers = numbers?;
        numbers.retain(|number| *number < before);
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        Ok(numbers)
    }

    /// What has become of a transmission, and its records.
    pub(super) fn transmission(&self, number: u64) -> Result<Option<Row>> {
        let row = self.table(TRANSMISSIONS)?.get(number).map_err(HistoryError::index)?;
        Ok(row.map(|row| (state(row.value()), events(row.value()).collect())))
    }

    /// Those below `before`.
    pub(super) fn all(&self, before: u64) -> Result<Numbers> {
        let range = self.table(TRANSMISSIONS)?.range(..before).map_err(HistoryError::index)?;
        Ok(Box::new(range.rev().map(|row| Ok(row.map_err(HistoryError::index)?.0.value()))))
    }

    /// Those of a party, an address or `@` and a domain, below `before`.
    pub(super) fn of_party(&self, party: &str, before: u64) -> Result<Numbers> {
        let party = name(party);
        let range = self.table(PARTIES)?.range(at(party, 0)..at(party, before)).map_err(HistoryError::index)?;
        Ok(Box::new(range.rev().map(|row| {
            let key = row.map_err(HistoryError::index)?.0.value();
            Ok(key.last_chunk().map_or(0, |number| u64::from_be_bytes(*number)))
        })))
    }

    /// Those that have become `state`, which is not *delivered*, below `before`.
    pub(super) fn of_state(&self, state: State, before: u64) -> Result<Numbers> {
        let (low, high) = ((state.number(), 0), (state.number(), before));
        let range = self.table(STATES)?.range(low..high).map_err(HistoryError::index)?;
        Ok(Box::new(range.rev().map(|row| Ok(row.map_err(HistoryError::index)?.0.value().1))))
    }

    /// Those of every one of `parties` that have become `state`, if that is given and not *delivered*, below `before`. From one to
    /// the next it takes no more steps than the smallest of these sets has members between them, however large the others are.
    pub(super) fn meeting(&self, state: Option<State>, parties: &[&str], before: u64) -> Result<Numbers> {
        let (by_state, by_party) = (self.table(STATES)?, self.table(PARTIES)?);
        let sets: Vec<Set> = state
            .map(|state| Set::State(state.number()))
            .into_iter()
            .chain(parties.iter().map(|party| Set::Party(name(party))))
            .collect();
        let last = move |set: &Set, below: u64| -> Result<Option<u64>> {
            Ok(match set {
                Set::State(state) => {
                    let row = by_state.range((*state, 0)..(*state, below)).map_err(HistoryError::index)?.next_back();
                    row.transpose().map_err(HistoryError::index)?.map(|row| row.0.value().1)
                }
                Set::Party(party) => {
                    let row =
                        by_party.range(at(*party, 0)..at(*party, below)).map_err(HistoryError::index)?.next_back();
                    let key = row.transpose().map_err(HistoryError::index)?.map(|row| row.0.value());
                    key.map(|key| key.last_chunk().map_or(0, |number| u64::from_be_bytes(*number)))
                }
            })
        };
        let mut below = before;
        Ok(Box::new(std::iter::from_fn(move || {
            // The next one of the first set is looked for in the others; where one has it not, all go on below what it has.
            loop {
                let mut met = None;
                for set in &sets {
                    let wanted = met.map_or(below, |met: u64| met + 1);
                    match last(set, wanted) {
                        Ok(Some(number)) if met.is_none_or(|met| met == number) => met = Some(number),
                        Ok(Some(number)) => {
                            below = number + 1;
                            met = None;
                            break;
                        }
                        Ok(None) => return None,
                        Err(error) => return Some(Err(error)),
                    }
                }
                if let Some(number) = met {
                    below = number;
                    return Some(Ok(number));
                }
            }
        })))
    }

    /// How many have become `state`, which is not *delivered*; counted up to `most`.
    pub(super) fn count(&self, state: State, most: usize) -> Result<usize> {
        Ok(self.of_state(state, u64::MAX)?.take(most).count())
    }
}

fn events(row: &[u8]) -> impl Iterator<Item = (Event, u64)> + '_ {
    row.as_chunks::<9>()
        .0
        .iter()
        .filter_map(|[event, index @ ..]| Some((event_of(*event)?, u64::from_be_bytes(*index))))
}

fn state(row: &[u8]) -> State {
    State::after(events(row).map(|(event, _)| event))
}

fn digest<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part.as_bytes());
        sha.update([0]);
    }
    sha.finalize().first_chunk().copied().unwrap_or([0; N])
}

/// One mail's keys lie together, whoever its recipients.
fn mail(message_id: &str, recipient: &str) -> [u8; 16] {
    at(digest(&[message_id]), u64::from_be_bytes(name(recipient)))
}

fn name(party: &str) -> [u8; 8] {
    digest(&[&normalise(party)])
}

/// Under which names a record is found: both addresses and both offices, each once.
fn names(personal: &Personal) -> Vec<[u8; 8]> {
    let office = |address: &str| address.rsplit_once('@').map(|(_, domain)| name(&format!("@{domain}")));
    let mut names = vec![name(&personal.sender), name(&personal.recipient)];
    names.extend(office(&personal.sender));
    names.extend(office(&personal.recipient));
    names.sort_unstable();
    names.dedup();
    names
}

fn at(party: [u8; 8], number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    let (first, last) = key.split_at_mut(8);
    first.copy_from_slice(&party);
    last.copy_from_slice(&number.to_be_bytes());
    key
}
