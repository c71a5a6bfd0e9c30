//! The history of several servers: PostgreSQL, over which any number of them append to one log. Whoever appends holds the
//! one row that is the log's end; a node brings all that wait in one transaction (group commit).

mod append;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use sealfax_client::history::{Checkpoint, Digest256, Entry, LogKey, Proof, Receipt, Record};
use sealfax_client::seam::{Clock, Entropy};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, QueryBuilder};
use tlog_tiles::Tile;
use tlog_tiles::tlog::{self, Error as TlogError, Hash, HashReader};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use self::append::{Appender, Job};
use super::signing::LogSigner;
use super::tree::{digests, entry};
use super::view::{Query, State, Transmission};
use super::{Acknowledged, History, HistoryError};
use crate::accounts::{domain_of, normalise};

/// Connections of one node.
const CONNECTIONS: u32 = 16;
/// Longest wait for one of them.
const PATIENCE: Duration = Duration::from_secs(10);
/// Registrations that wait.
const WAITING: usize = 4096;
/// Where its tables are, apart from the mail store's in the same database.
const SCHEMA: &str = "sealfax_history";

fn database(error: sqlx::Error) -> HistoryError {
    HistoryError::Database(Box::new(error))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Nanoseconds since 1970; enough until 2262.
fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// A node of a history of several.
#[derive(Debug)]
pub struct PostgresHistory {
    pool: PgPool,
    key: LogKey,
    runtime: Own,
    jobs: mpsc::Sender<Job>,
}

impl PostgresHistory {
    /// Connects to `url`, and makes or brings up to date the tables there.
    pub fn open(
        url: &str,
        signer: LogSigner,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, HistoryError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("history")
            .enable_all()
            .build()
            .map(|runtime| Own(Some(runtime)))
            .map_err(HistoryError::disk(Path::new("")))?;
        let options = PgConnectOptions::from_str(url).map_err(database)?.application_name("sealfax-history");
        let options = options.options([("search_path", SCHEMA)]);
        let first = signer.checkpoint(0, Digest256(tlog::EMPTY_HASH.0))?;
        let opening = async move {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
            let pool = pool.connect_with(options).await.map_err(database)?;
            // Two nodes that start at once must not both make it.
            let mut one = pool.acquire().await.map_err(database)?;
            sqlx::query("SELECT pg_advisory_lock(hashtext($1))")
                .bind(SCHEMA)
                .execute(&mut *one)
                .await
                .map_err(database)?;
            let made = async {
                sqlx::query("CREATE SCHEMA IF NOT EXISTS sealfax_history")
                    .execute(&mut *one)
                    .await
                    .map_err(database)?;
                let migrations = sqlx::migrate!("src/history/postgres/migrations");
                migrations.run(&pool).await.map_err(|error| HistoryError::Database(Box::new(error)))?;
                let text = "INSERT INTO head (size, latest, note) VALUES (0, 0, $1) ON CONFLICT DO NOTHING";
                sqlx::query(text).bind(first).execute(&pool).await.map_err(database)
            };
            let made = made.await;
            let text = "SELECT pg_advisory_unlock(hashtext($1))";
            sqlx::query(text).bind(SCHEMA).execute(&mut *one).await.map_err(database)?;
            made.map(|_| pool.clone())
        };
        let pool = runtime.have(opening)?;
        let key = signer.key().clone();
        let (jobs, work) = mpsc::channel(WAITING);
        let appender = Appender { pool: pool.clone(), signer, clock, entropy };
        runtime.spawn(appender.run(work));
        let history = Self { pool, key, runtime, jobs };
        // Somebody else's log is not gone on with.
        history.checkpoint()?;
        Ok(history)
    }

    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, HistoryError> {
        self.runtime.have(async move { work.await.map_err(database) })
    }

    /// The hashes at these positions.
    fn hashes(&self, positions: Vec<u64>) -> Result<HashMap<u64, Hash>, HistoryError> {
        let pool = self.pool.clone();
        self.wait(async move { append::hashes(&pool, &positions).await })
    }

    /// Has `work` read hashes of the tree: once to learn which, once with them.
    fn with_hashes<T>(&self, work: impl Fn(&dyn Reading) -> Result<T, TlogError>) -> Result<T, HistoryError> {
        let wanted = Wanted::default();
        // What it makes of hashes that are not there is of no interest.
        let _ = work(&wanted);
        let hashes = self.hashes(wanted.0.into_inner())?;
        work(&Known(hashes)).map_err(HistoryError::index)
    }
}

/// A [`HashReader`] behind a pointer.
trait Reading {
    fn read(&self, positions: &[u64]) -> Result<Vec<Hash>, TlogError>;
}

impl HashReader for &dyn Reading {
    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, TlogError> {
        self.read(positions)
    }
}

/// Writes down which hashes are asked for.
#[derive(Default)]
struct Wanted(std::cell::RefCell<Vec<u64>>);

impl Reading for Wanted {
    fn read(&self, positions: &[u64]) -> Result<Vec<Hash>, TlogError> {
        self.0.borrow_mut().extend_from_slice(positions);
        Ok(vec![Hash([0; 32]); positions.len()])
    }
}

/// Hashes that were fetched.
struct Known(HashMap<u64, Hash>);

impl Reading for Known {
    fn read(&self, positions: &[u64]) -> Result<Vec<Hash>, TlogError> {
        self.read_hashes(positions)
    }
}

impl HashReader for Known {
    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, TlogError> {
        positions.iter().map(|at| self.0.get(at).copied().ok_or(TlogError::IndexesNotInTree)).collect()
    }
}

/// A runtime of its own, so that the database can be asked from any thread, also from those of another runtime.
#[derive(Debug)]
struct Own(Option<Runtime>);

impl Own {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(work);
        }
    }

    /// Has it do something, and waits for that.
    fn have<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, HistoryError>> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let (tell, told) = sync_channel(1);
        self.spawn(async move {
            let _ = tell.send(work.await);
        });
        told.recv().unwrap_or(Err(HistoryError::Closed))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // It must not be waited for on a thread of another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl History for PostgresHistory {
    async fn register(&self, record: Record, registrar: Option<Digest256>) -> Result<Acknowledged, HistoryError> {
        let (answer, answered) = oneshot::channel();
        let job = Job { record: Box::new(record), registrar, answer };
        self.jobs.send(job).await.map_err(|_| HistoryError::Closed)?;
        answered.await.map_err(|_| HistoryError::Closed)?
    }

    fn checkpoint(&self) -> Result<(Checkpoint, String), HistoryError> {
        let pool = self.pool.clone();
        let note: String =
            self.wait(async move { sqlx::query_scalar("SELECT note FROM head").fetch_one(&pool).await })?;
        Ok((self.key.checkpoint(&note)?, note))
    }

    fn receipt(&self, index: u64) -> Result<Receipt, HistoryError> {
        let (head, checkpoint) = self.checkpoint()?;
        if index >= head.size {
            return Err(HistoryError::NoSuchRecord(index));
        }
        let pool = self.pool.clone();
        let row: Option<(String, Option<String>)> = self.wait(async move {
            let text = "SELECT leaf, personal FROM records WHERE index = $1";
            sqlx::query_as(text).bind(signed(index)).fetch_optional(&pool).await
        })?;
        let (leaf, personal) = row.ok_or(HistoryError::NoSuchRecord(index))?;
        let path = self.with_hashes(|reader| tlog::prove_record(head.size, index, &reader))?;
        Ok(Receipt { leaf, personal, proof: Proof { index, path: digests(path), checkpoint } })
    }

    fn continues(&self, earlier: u64, later: u64) -> Result<Vec<Digest256>, HistoryError> {
        if earlier > later || later > self.checkpoint()?.0.size {
            return Err(HistoryError::NoSuchRecord(later.max(earlier)));
        }
        if earlier == 0 {
            return Ok(Vec::new());
        }
        self.with_hashes(|reader| tlog::prove_tree(later, earlier, &reader)).map(digests)
    }

    fn tile(&self, tile: &Tile) -> Result<Vec<u8>, HistoryError> {
        self.with_hashes(|reader| tile.read_data(&reader))
    }

    fn leaves(&self, indexes: Range<u64>) -> Result<Vec<String>, HistoryError> {
        let pool = self.pool.clone();
        self.wait(async move {
            let text = "SELECT leaf FROM records WHERE index >= $1 AND index < $2 ORDER BY index";
            sqlx::query_scalar(text).bind(signed(indexes.start)).bind(signed(indexes.end)).fetch_all(&pool).await
        })
    }

    fn stored(&self, indexes: Range<u64>) -> Result<Vec<(String, Option<String>)>, HistoryError> {
        let pool = self.pool.clone();
        self.wait(async move {
            let text = "SELECT leaf, personal FROM records WHERE index >= $1 AND index < $2 ORDER BY index";
            sqlx::query_as(text).bind(signed(indexes.start)).bind(signed(indexes.end)).fetch_all(&pool).await
        })
    }

    fn find(&self, query: &Query, limit: usize) -> Result<Vec<Transmission>, HistoryError> {
        let mut asked = selection(query);
        asked.push(" ORDER BY t.number DESC LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let pool = self.pool.clone();
        let numbers: Vec<i64> = self.wait(async move { asked.build_query_scalar().fetch_all(&pool).await })?;
        self.transmissions(numbers)
    }

    fn transmission(&self, number: u64) -> Result<Option<Transmission>, HistoryError> {
        let pool = self.pool.clone();
        let there: Option<i64> = self.wait(async move {
            let text = "SELECT number FROM transmissions WHERE number = $1";
            sqlx::query_scalar(text).bind(signed(number)).fetch_optional(&pool).await
        })?;
        Ok(self.transmissions(there.into_iter().collect())?.pop())
    }

    fn count(&self, state: State, most: usize) -> Result<usize, HistoryError> {
        let pool = self.pool.clone();
        let count: i64 = self.wait(async move {
            let text = "SELECT count(*) FROM (SELECT 1 FROM transmissions WHERE state = $1 LIMIT $2) counted";
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            sqlx::query_scalar(text).bind(i16::from(state.number())).bind(most).fetch_one(&pool).await
        })?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    async fn erase(&self, number: u64) -> Result<(), HistoryError> {
        let pool = self.pool.clone();
        let (answer, answered) = oneshot::channel();
        // Whoever asks may have no runtime that a database can be asked from.
        self.runtime.spawn(async move {
            let _ = answer.send(append::erase(&pool, number).await);
        });
        answered.await.map_err(|_| HistoryError::Closed)?
    }
}

impl PostgresHistory {
    /// Those with these numbers, in this order.
    fn transmissions(&self, numbers: Vec<i64>) -> Result<Vec<Transmission>, HistoryError> {
        let (pool, wanted) = (self.pool.clone(), numbers.clone());
        let rows: Vec<(i64, i64, String, Option<String>)> = self.wait(async move {
            let text =
                "SELECT transmission, index, leaf, personal FROM records WHERE transmission = ANY($1) ORDER BY index";
            sqlx::query_as(text).bind(wanted).fetch_all(&pool).await
        })?;
        let mut found: HashMap<i64, Vec<Entry>> = HashMap::new();
        for (number, index, leaf, personal) in rows {
            found.entry(number).or_default().push(entry(unsigned(index), &leaf, personal.as_deref())?);
        }
        let made = numbers.into_iter().filter_map(|number| {
            let entries = found.remove(&number)?;
            let state = State::after(entries.iter().map(|entry| entry.leaf.event));
            Some(Transmission { number: unsigned(number), state, entries })
        });
        Ok(made.collect())
    }
}

/// The numbers of what `query` selects.
fn selection(query: &Query) -> QueryBuilder<Postgres> {
    let mut asked = QueryBuilder::new("SELECT t.number FROM transmissions t WHERE true");
    for party in [&query.party, &query.own].into_iter().flatten() {
        let (column, value) = column(party);
        asked.push(format!(" AND (t.sender{column} = ")).push_bind(value.clone());
        asked.push(format!(" OR t.recipient{column} = ")).push_bind(value).push(")");
    }
    for (side, party) in [("sender", &query.sender), ("recipient", &query.recipient)] {
        if let Some(party) = party {
            let (column, value) = column(party);
            asked.push(format!(" AND t.{side}{column} = ")).push_bind(value);
        }
    }
    if let Some(message_id) = &query.message_id {
        asked.push(" AND t.message_id = ").push_bind(message_id.clone());
    }
    if let Some(state) = query.state {
        asked.push(" AND t.state = ").push_bind(i16::from(state.number()));
    }
    if let Some(before) = query.before {
        asked.push(" AND t.number < ").push_bind(signed(before));
    }
    // Records stand in the order in which they were registered.
    for (comparison, time) in [(">=", query.since), ("<", query.until)] {
        if let Some(time) = time {
            asked.push(format!(
                " AND t.number {comparison} coalesce((SELECT r.index FROM records r WHERE r.registered >= "
            ));
            asked.push_bind(nanoseconds(time)).push(" ORDER BY r.registered, r.index LIMIT 1), 9223372036854775807)");
        }
    }
    asked
}

/// In which column a party is looked for: an address, or `@` and a domain.
fn column(party: &str) -> (&'static str, String) {
    match party.starts_with('@') {
        true => ("_office", domain_of(party)),
        false => ("", normalise(party)),
    }
}
