//! The shared store: PostgreSQL, over which any number of servers work as one.
//!
//! What one node tries, no other does: it takes what is due with `SKIP LOCKED` and marks it as its own, until it has settled it
//! or is no longer heard of. Whoever puts something there wakes the others by `NOTIFY`.

mod statements;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::str::FromStr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealfax_client::seam::Entropy;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::runtime::Runtime;

use super::{Delivery, Done, MailboxLock, News, NoticeState, OnNews, QueueItem, Store, StoreError, StoredMail, Usage};
use crate::accounts::Account;

/// How often a node says that it lives, and for how long it is believed.
const HEARTBEAT: Duration = Duration::from_secs(5);
const BELIEVED: &str = "30 seconds";
/// Connections of one node.
const CONNECTIONS: u32 = 16;
/// Longest wait for one of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// The channel of `NOTIFY`; what is said there is a [`News`].
const CHANNEL: &str = "sealfax_mail";

/// A node of the shared store.
pub struct PostgresStore {
    pool: PgPool,
    /// Its own, so that it can be asked from any thread, also from those of another runtime.
    runtime: Option<Runtime>,
    node: i64,
    token: i64,
    on_news: Arc<Mutex<Option<OnNews>>>,
    /// The file that says who it is, locked.
    _identity: File,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("node", &self.node).finish_non_exhaustive()
    }
}

fn database(error: sqlx::Error) -> StoreError {
    StoreError::Database(Box::new(error))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

impl PostgresStore {
    /// Connects to `url`, and brings the tables there up to this version. Whoever worked with `folder` before is dead: what it
    /// had at hand, also by words of its that are still on their way, is everybody's at once.
    pub fn open(url: &str, folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Self, StoreError> {
        let (identity, node, before) = identity(folder, entropy)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()
            .map_err(StoreError::Folder)?;
        let options = PgConnectOptions::from_str(url).map_err(database)?;
        let on_news: Arc<Mutex<Option<OnNews>>> = Arc::default();
        let told = on_news.clone();
        let opening = async move {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
            let pool = pool.connect_with(options.application_name("sealfax-mailserver")).await.map_err(database)?;
            migrate(&pool).await?;
            if let Some(before) = before {
                statements::leave(&pool, before).await.map_err(database)?;
            }
            statements::join(&pool, node).await.map_err(database)?;
            let token = sqlx::query_scalar("SELECT token FROM token").fetch_one(&pool).await.map_err(database)?;
            tokio::spawn(live(pool.clone(), node));
            tokio::spawn(listen(pool.clone(), told));
            Ok::<_, StoreError>((pool, token))
        };
        let (pool, token) = on(&runtime, opening)?;
        Ok(Self { pool, runtime: Some(runtime), node, token, on_news, _identity: identity })
    }

    /// Has the database do something, whatever thread asks.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(runtime) = &self.runtime else { return Err(StoreError::Broken("closed".to_owned())) };
        on(runtime, async move { work.await.map_err(database) })
    }
}

fn on<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let (tell, told) = sync_channel(1);
    runtime.spawn(async move { tell.send(work.await) });
    told.recv().unwrap_or_else(|_| Err(StoreError::Broken("its runtime ended".to_owned())))
}

/// Who works with this folder from now on, and who did before; nobody else may at the same time.
fn identity(folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<(File, i64, Option<i64>), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(StoreError::Folder)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    let mut file = options.open(folder.join("node")).map_err(StoreError::Folder)?;
    file.try_lock().map_err(|_| StoreError::InUse)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(StoreError::Folder)?;
    let mut octets = [0u8; 8];
    entropy.fill(&mut octets);
    let node = i64::from_le_bytes(octets);
    let written = file.set_len(0).and_then(|()| file.write_all_at(node.to_string().as_bytes(), 0));
    written.and_then(|()| file.sync_all()).map_err(StoreError::Folder)?;
    Ok((file, node, text.trim().parse().ok()))
}

async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/postgres/migrations");
    let known = MIGRATIONS.iter().map(|migration| unsigned(migration.version)).max().unwrap_or_default();
    match MIGRATIONS.run(pool).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => Err(StoreError::Format { found: unsigned(found), known }),
        Err(error) => Err(StoreError::Database(Box::new(error))),
    }
}

/// Says again and again that this node lives.
async fn live(pool: PgPool, node: i64) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        if let Err(error) = statements::beat(&pool, node).await {
            tracing::warn!(%error, "the database does not hear that this node lives");
        }
    }
}

/// Passes on what other nodes say.
async fn listen(pool: PgPool, on_news: Arc<Mutex<Option<OnNews>>>) {
    let tell = |news| {
        if let Some(on_news) = &*on_news.lock().unwrap_or_else(PoisonError::into_inner) {
            on_news(news);
        }
    };
    loop {
        if let Ok(mut listener) = PgListener::connect_with(&pool).await
            && listener.listen(CHANNEL).await.is_ok()
        {
            // What was said while nobody listened.
            tell(News::Accounts);
            tell(News::Work);
            while let Ok(said) = listener.try_recv().await {
                match said.as_ref().map(|said| said.payload()) {
                    Some("accounts") => tell(News::Accounts),
                    Some(_) => tell(News::Work),
                    None => break,
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        let (pool, node) = (self.pool.clone(), self.node);
        // What it was trying is everybody's again.
        let _ = self.wait(async move {
            statements::leave(&pool, node).await?;
            pool.close().await;
            Ok(())
        });
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A mailbox that is open here; given back when dropped.
struct Lock {
    pool: PgPool,
    node: i64,
    account: String,
    runtime: tokio::runtime::Handle,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let (pool, node, account) = (self.pool.clone(), self.node, std::mem::take(&mut self.account));
        let (tell, told) = sync_channel(1);
        self.runtime.spawn(async move {
            // A database that is away hears of it when it is back.
            while statements::unlock(&pool, node, &account).await.is_err() && !pool.is_closed() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let _ = tell.send(());
        });
        // Whoever comes next, in a moment maybe, finds it free.
        let _ = told.recv_timeout(Duration::from_secs(1));
    }
}

impl MailboxLock for Lock {}

impl Store for PostgresStore {
    fn deliver(&self, delivery: Delivery) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.wait(async move { statements::deliver(&pool, &delivery).await })
    }

    fn deliver_then(&self, delivery: Delivery, done: Done) {
        let pool = self.pool.clone();
        let work = async move { done(statements::deliver(&pool, &delivery).await.map_err(database)) };
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }

    fn list(&self, account: &str) -> Result<Vec<StoredMail>, StoreError> {
        let (pool, account, token) = (self.pool.clone(), account.to_owned(), self.token);
        self.wait(async move { statements::list(&pool, &account, token).await })
    }

    fn usage(&self, account: &str) -> Result<Usage, StoreError> {
        let (pool, account) = (self.pool.clone(), account.to_owned());
        self.wait(async move { statements::usage(&pool, &account).await })
    }

    fn read(&self, account: &str, id: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let (pool, account) = (self.pool.clone(), account.to_owned());
        self.wait(async move { statements::read(&pool, &account, signed(id)).await })
    }

    fn delete(&self, account: &str, ids: &[u64], now: u64) -> Result<(), StoreError> {
        let (pool, account) = (self.pool.clone(), account.to_owned());
        let ids: Vec<i64> = ids.iter().copied().map(signed).collect();
        self.wait(async move {
            let mut step = pool.begin().await?;
            statements::delete(&mut step, &account, &ids, signed(now)).await?;
            step.commit().await
        })
    }

    fn lock(&self, account: &str) -> Result<Option<Box<dyn MailboxLock>>, StoreError> {
        let (pool, node, name) = (self.pool.clone(), self.node, account.to_owned());
        let Some(runtime) = self.runtime.as_ref().map(|runtime| runtime.handle().clone()) else { return Ok(None) };
        let locked = self.wait(async move { statements::lock(&pool, node, &name).await })?;
        // Made only where it is ours: who drops it gives it back.
        let lock = || Lock { pool: self.pool.clone(), node, account: account.to_owned(), runtime };
        Ok(locked.then(|| Box::new(lock()) as Box<dyn MailboxLock>))
    }

    fn due(&self, now: u64, but: &[String]) -> Result<(Vec<QueueItem>, Option<u64>), StoreError> {
        let (pool, node, but) = (self.pool.clone(), self.node, but.to_vec());
        self.wait(async move { statements::due(&pool, node, signed(now), &but).await })
    }

    fn queue(&self) -> Result<Vec<QueueItem>, StoreError> {
        let pool = self.pool.clone();
        self.wait(async move { statements::queue(&pool).await })
    }

    fn queue_length(&self) -> Result<u64, StoreError> {
        let pool = self.pool.clone();
        let counted = self.wait(async move { sqlx::query_scalar("SELECT count(*) FROM queue").fetch_one(&pool).await });
        counted.map(unsigned)
    }

    fn queued_body(&self, item: &QueueItem) -> Result<Option<Vec<u8>>, StoreError> {
        let (pool, body) = (self.pool.clone(), signed(item.body));
        self.wait(async move {
            sqlx::query_scalar("SELECT body FROM bodies WHERE id = $1").bind(body).fetch_optional(&pool).await
        })
    }

    fn settle(&self, id: u64, item: Option<QueueItem>, then: Option<Delivery>) -> Result<bool, StoreError> {
        let (pool, node) = (self.pool.clone(), self.node);
        self.wait(async move {
            let mut step: Transaction<'_, Postgres> = pool.begin().await?;
            let known = statements::settle(&mut step, node, signed(id), item.as_ref()).await?;
            if let (true, Some(delivery)) = (known, &then) {
                statements::deliver(&mut *step, delivery).await?;
            }
            step.commit().await?;
            Ok(known)
        })
    }

    fn notices_due(&self, now: u64) -> Result<(Vec<NoticeState>, Option<u64>), StoreError> {
        let (pool, node) = (self.pool.clone(), self.node);
        self.wait(async move { statements::notices_due(&pool, node, signed(now)).await })
    }

    fn notices(&self) -> Result<Vec<NoticeState>, StoreError> {
        let pool = self.pool.clone();
        self.wait(async move { statements::notices(&pool).await })
    }

    fn settle_notice(&self, was: NoticeState, state: Option<NoticeState>) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        self.wait(async move { statements::settle_notice(&pool, &was, state.as_ref()).await })
    }

    fn answer_notice(&self, account: &str, id: u64) -> Result<(), StoreError> {
        let (pool, account) = (self.pool.clone(), account.to_owned());
        self.wait(async move { statements::answer_notice(&pool, &account, signed(id)).await })
    }

    fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let pool = self.pool.clone();
        self.wait(async move {
            let rows =
                sqlx::query_scalar::<_, sqlx::types::Json<Account>>("SELECT account FROM accounts ORDER BY address");
            Ok(rows.fetch_all(&pool).await?.into_iter().map(|row| row.0).collect())
        })
    }

    fn put_account(&self, account: &Account) -> Result<(), StoreError> {
        let (pool, account) = (self.pool.clone(), account.clone());
        self.wait(async move { statements::put_account(&pool, &account).await })
    }

    fn remove_account(&self, address: &str) -> Result<bool, StoreError> {
        let (pool, address) = (self.pool.clone(), address.to_owned());
        self.wait(async move {
            let mut step = pool.begin().await?;
            let existed = statements::remove_account(&mut step, &address).await?;
            step.commit().await?;
            Ok(existed)
        })
    }

    fn rename_account(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        let (pool, from, to) = (self.pool.clone(), from.to_owned(), to.to_owned());
        self.wait(async move {
            let mut step = pool.begin().await?;
            let existed = statements::rename_account(&mut step, &from, &to).await?;
            step.commit().await?;
            Ok(existed)
        })
    }

    fn backup(&self, _: &Path) -> Result<(), StoreError> {
        Err(StoreError::BackupElsewhere)
    }

    fn on_news(&self, tell: OnNews) {
        *self.on_news.lock().unwrap_or_else(PoisonError::into_inner) = Some(tell);
    }
}
