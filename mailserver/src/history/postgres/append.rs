//! The node's one task that appends: all that wait, in one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use sealfax_client::history::{Checkpoint, Digest256, Event, Proof, Receipt, Record};
use sealfax_client::seam::{Clock, Entropy};
use sqlx::{Error, PgConnection, PgExecutor, PgPool};
use tlog_tiles::tlog::{self, Hash};
use tokio::sync::{mpsc, oneshot};

use super::{Known, Reading, Wanted, database, nanoseconds, signed, unsigned};
use crate::accounts::{domain_of, normalise};
use crate::history::signing::LogSigner;
use crate::history::tree::{Stored, digests, entry, event_of, is_of, number_of, tampered};
use crate::history::view::State;
use crate::history::{Acknowledged, HistoryError};

/// Most records of one transaction.
const TOGETHER: usize = 512;

/// Whoever waits for a record.
pub(super) type Answer = oneshot::Sender<Result<Acknowledged, HistoryError>>;

/// A record to be taken in.
pub(super) struct Job {
    pub(super) record: Box<Record>,
    pub(super) registrar: Option<Digest256>,
    pub(super) answer: Answer,
}

/// The task's own.
pub(super) struct Appender {
    pub(super) pool: PgPool,
    pub(super) signer: LogSigner,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// What identifies a record: who registers it again registers nothing new.
type Key = (String, String, Event);

fn key(record: &Record) -> Key {
    (record.message_id.clone(), normalise(&record.recipient), record.event)
}

impl Appender {
    /// Works until nobody can ask any more.
    pub(super) async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::new();
        while jobs.recv_many(&mut waiting, TOGETHER).await > 0 {
            let mut group = Vec::new();
            for job in waiting.drain(..) {
                match job.record.check() {
                    Ok(()) => group.push(job),
                    Err(field) => drop(job.answer.send(Err(HistoryError::BadField(field)))),
                }
            }
            let told = self.append(&group).await;
            let (mut told, lost) = match told {
                Ok(told) => (told.into_iter(), None),
                Err(error) => (Vec::new().into_iter(), Some(error)),
            };
            for job in group {
                let answer = told.next().unwrap_or_else(|| Err(lost.as_ref().map_or(HistoryError::Closed, again)));
                // Whoever does not wait any more registers again.
                let _ = job.answer.send(answer);
            }
        }
    }

    /// One transaction; what each of the group is told.
    async fn append(&self, group: &[Job]) -> Result<Vec<Result<Acknowledged, HistoryError>>, HistoryError> {
        let mut transaction = self.pool.begin().await.map_err(database)?;
        let text = "SELECT size, latest, note FROM head FOR UPDATE";
        let (size, latest, note): (i64, i64, String) =
            sqlx::query_as(text).fetch_one(&mut *transaction).await.map_err(database)?;
        let head = self.signer.key().checkpoint(&note)?;
        let size = unsigned(size);
        if size != head.size {
            return Err(tampered(size, "as many records are not what was signed"));
        }
        let latest = UNIX_EPOCH + Duration::from_nanos(unsigned(latest));
        let registered = latest.max(self.clock.now());

        let mut places = known(&mut transaction, group).await.map_err(database)?;
        let (mut made, mut conflicts): (Vec<Stored>, HashMap<usize, u64>) = Default::default();
        let mut new = vec![false; group.len()];
        for (at, job) in group.iter().enumerate() {
            let index = size + made.len() as u64;
            match places.get(&key(&job.record)) {
                Some(place) if !place.holds(&job.record) => drop(conflicts.insert(at, place.index)),
                Some(_) => {}
                None => {
                    let stored = Stored::of(&job.record, job.registrar, index, registered, self.entropy.as_ref())?;
                    places.insert(key(&job.record), Place::of(&stored));
                    made.push(stored);
                    if let Some(new) = new.get_mut(at) {
                        *new = true;
                    }
                }
            }
        }
        let (head, note) =
            if made.is_empty() { (head, note) } else { self.grow(&mut transaction, head, &made).await? };
        transaction.commit().await.map_err(database)?;

        let indexes: Vec<u64> = places.values().map(|place| place.index).collect();
        let paths = self.paths(head, &indexes).await?;
        let told = group.iter().zip(new).enumerate().map(|(at, (job, new))| {
            if let Some(index) = conflicts.get(&at) {
                return Err(HistoryError::Conflict { index: *index });
            }
            let place = places.get(&key(&job.record)).ok_or(HistoryError::Closed)?;
            let path = paths.get(&place.index).cloned().ok_or(HistoryError::NoSuchRecord(place.index))?;
            let proof = Proof { index: place.index, path, checkpoint: note.clone() };
            let receipt = Receipt { leaf: place.leaf.clone(), personal: place.personal.clone(), proof };
            Ok(Acknowledged { known: !new, receipt, head })
        });
        Ok(told.collect())
    }

    /// Writes the new records and the new head.
    async fn grow(
        &self,
        transaction: &mut PgConnection,
        Checkpoint { size, root: signed_root }: Checkpoint,
        made: &[Stored],
    ) -> Result<(Checkpoint, String), HistoryError> {
        // What is on the right edge is all that new nodes are built upon.
        let edge = if size == 0 { Vec::new() } else { tlog::sub_tree_index(0, size, Vec::new()) };
        let mut all = hashes(&mut *transaction, &edge).await.map_err(database)?;
        // Whoever changed records and hashes is not given a signature for it.
        let known = Known(all);
        if tlog::tree_hash(size, &known).ok().map(|root| Digest256(root.0)) != Some(signed_root) {
            return Err(tampered(size, "the tree is not the one whose root was signed"));
        }
        all = known.0;
        let mut new: (Vec<i64>, Vec<Vec<u8>>) = Default::default();
        let mut position = tlog::stored_hash_count(size);
        for stored in made {
            let known = Known(std::mem::take(&mut all));
            let grown = tlog::stored_hashes(stored.leaf.index, stored.leaf_text.as_bytes(), &known);
            let grown = grown.map_err(HistoryError::index)?;
            all = known.0;
            for hash in grown {
                new.0.push(signed(position));
                new.1.push(hash.0.to_vec());
                all.insert(position, hash);
                position += 1;
            }
        }
        let head = size + made.len() as u64;
        let known = Known(all);
        let root = Digest256(tlog::tree_hash(head, &known).map_err(HistoryError::index)?.0);
        let note = self.signer.checkpoint(head, root)?;
        write(transaction, made, new).await.map_err(database)?;
        let latest = made.last().map_or(0, |last| nanoseconds(last.leaf.registered));
        let text = "UPDATE head SET size = $1, latest = $2, note = $3";
        let update = sqlx::query(text).bind(signed(head)).bind(latest).bind(&note);
        update.execute(transaction).await.map_err(database)?;
        Ok((Checkpoint { size: head, root }, note))
    }

    /// The way of each record to the root.
    async fn paths(&self, head: Checkpoint, indexes: &[u64]) -> Result<HashMap<u64, Vec<Digest256>>, HistoryError> {
        let prove = |reader: &dyn Reading| -> Result<Vec<_>, tlog::Error> {
            indexes.iter().map(|index| Ok((*index, tlog::prove_record(head.size, *index, &reader)?))).collect()
        };
        let positions = {
            let wanted = Wanted::default();
            let _ = prove(&wanted);
            wanted.0.into_inner()
        };
        let known = Known(hashes(&self.pool, &positions).await.map_err(database)?);
        let proven = prove(&known).map_err(HistoryError::index)?;
        Ok(proven.into_iter().map(|(index, path)| (index, digests(path))).collect())
    }
}

/// Erases what is personal of a transmission; nobody appends meanwhile.
pub(super) async fn erase(pool: &PgPool, number: u64) -> Result<(), HistoryError> {
    let mut transaction = pool.begin().await.map_err(database)?;
    let text = "SELECT size FROM head FOR UPDATE";
    sqlx::query(text).execute(&mut *transaction).await.map_err(database)?;
    let text = "DELETE FROM transmissions WHERE number = $1";
    let gone = sqlx::query(text).bind(signed(number)).execute(&mut *transaction).await.map_err(database)?;
    if gone.rows_affected() == 0 {
        return Err(HistoryError::NoSuchRecord(number));
    }
    let text = "UPDATE records SET personal = NULL WHERE transmission = $1";
    sqlx::query(text).bind(signed(number)).execute(&mut *transaction).await.map_err(database)?;
    transaction.commit().await.map_err(database)
}

/// The same failure for one more of those whom it concerns.
fn again(error: &HistoryError) -> HistoryError {
    match error {
        HistoryError::Tampered { index, why } => tampered(*index, why),
        other => HistoryError::Database(Box::new(std::io::Error::other(other.to_string()))),
    }
}

/// A record that stands in the log, or will when the transaction holds.
struct Place {
    index: u64,
    leaf: String,
    personal: Option<String>,
}

impl Place {
    fn of(stored: &Stored) -> Self {
        Self { index: stored.leaf.index, leaf: stored.leaf_text.clone(), personal: Some(stored.personal_text.clone()) }
    }

    fn holds(&self, record: &Record) -> bool {
        entry(self.index, &self.leaf, self.personal.as_deref())
            .is_ok_and(|entry| is_of(&entry.leaf, entry.personal.as_ref(), record))
    }
}

/// Those of the group that stand in the log already.
async fn known(transaction: &mut PgConnection, group: &[Job]) -> Result<HashMap<Key, Place>, Error> {
    let (ids, recipients): (Vec<&str>, Vec<String>) =
        group.iter().map(|job| (job.record.message_id.as_str(), normalise(&job.record.recipient))).unzip();
    let text = "SELECT t.message_id, t.recipient, r.event, r.index, r.leaf, r.personal
        FROM unnest($1::text[], $2::text[]) AS asked (message_id, recipient)
        JOIN transmissions t USING (message_id, recipient) JOIN records r ON r.transmission = t.number";
    let rows: Vec<(String, String, i16, i64, String, Option<String>)> =
        sqlx::query_as(text).bind(ids).bind(recipients).fetch_all(transaction).await?;
    let places = rows.into_iter().filter_map(|(id, recipient, event, index, leaf, personal)| {
        Some(((id, recipient, event_of(event)?), Place { index: unsigned(index), leaf, personal }))
    });
    Ok(places.collect())
}

/// The hashes at these positions.
pub(super) async fn hashes(from: impl PgExecutor<'_>, positions: &[u64]) -> Result<HashMap<u64, Hash>, Error> {
    let mut wanted: Vec<i64> = positions.iter().map(|position| signed(*position)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let text = "SELECT position, hash FROM hashes WHERE position = ANY($1)";
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(text).bind(wanted).fetch_all(from).await?;
    let read = rows.into_iter().filter_map(|(at, hash)| Some((unsigned(at), Hash(hash.try_into().ok()?))));
    Ok(read.collect())
}

/// Writes records, hashes and what can be searched.
async fn write(
    transaction: &mut PgConnection,
    made: &[Stored],
    (positions, hashes): (Vec<i64>, Vec<Vec<u8>>),
) -> Result<(), Error> {
    let text = "INSERT INTO hashes SELECT * FROM unnest($1::bigint[], $2::bytea[])";
    sqlx::query(text).bind(positions).bind(hashes).execute(&mut *transaction).await?;

    // The first record of a mail to a recipient gives the transmission its number.
    let text =
        "INSERT INTO transmissions (number, message_id, recipient, sender, recipient_office, sender_office, state)
        SELECT *, $7 FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
        ON CONFLICT (message_id, recipient) DO NOTHING";
    let each = |field: &dyn Fn(&Stored) -> String| made.iter().map(field).collect::<Vec<String>>();
    let indexes: Vec<i64> = made.iter().map(|stored| signed(stored.leaf.index)).collect();
    let ids = each(&|stored| stored.personal.message_id.clone());
    let recipients = each(&|stored| normalise(&stored.personal.recipient));
    sqlx::query(text)
        .bind(&indexes)
        .bind(&ids)
        .bind(&recipients)
        .bind(each(&|stored| normalise(&stored.personal.sender)))
        .bind(each(&|stored| domain_of(&stored.personal.recipient)))
        .bind(each(&|stored| domain_of(&stored.personal.sender)))
        .bind(i16::from(State::Waiting.number()))
        .execute(&mut *transaction)
        .await?;
    let text = "INSERT INTO records (index, leaf, personal, event, registered, transmission)
        SELECT n.index, n.leaf, n.personal, n.event, n.registered, t.number
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::smallint[], $5::bigint[], $6::text[], $7::text[])
            AS n (index, leaf, personal, event, registered, message_id, recipient)
        JOIN transmissions t ON t.message_id = n.message_id AND t.recipient = n.recipient";
    let inserted = sqlx::query(text)
        .bind(&indexes)
        .bind(each(&|stored| stored.leaf_text.clone()))
        .bind(each(&|stored| stored.personal_text.clone()))
        .bind(made.iter().map(|stored| i16::from(number_of(stored.leaf.event))).collect::<Vec<i16>>())
        .bind(made.iter().map(|stored| nanoseconds(stored.leaf.registered)).collect::<Vec<i64>>())
        .bind(&ids)
        .bind(&recipients)
        .execute(&mut *transaction)
        .await?;
    // Every one has its transmission, for nobody else writes meanwhile.
    if inserted.rows_affected() != made.len() as u64 {
        return Err(Error::RowNotFound);
    }

    // What has become of those that something else than their submission happened to.
    let text = "SELECT t.number, array_agg(r.event ORDER BY r.index) FROM transmissions t
        JOIN records r ON r.transmission = t.number
        WHERE t.number IN (SELECT transmission FROM records WHERE index = ANY($1) AND event > 0) GROUP BY t.number";
    let rows: Vec<(i64, Vec<i16>)> = sqlx::query_as(text).bind(&indexes).fetch_all(&mut *transaction).await?;
    let (numbers, states): (Vec<i64>, Vec<i16>) = rows
        .into_iter()
        .map(|(number, events)| {
            let events = events.into_iter().filter_map(event_of);
            (number, i16::from(State::after(events).number()))
        })
        .unzip();
    let text = "UPDATE transmissions t SET state = n.state
        FROM unnest($1::bigint[], $2::smallint[]) AS n (number, state) WHERE t.number = n.number AND t.state <> n.state";
    sqlx::query(text).bind(numbers).bind(states).execute(transaction).await?;
    Ok(())
}
