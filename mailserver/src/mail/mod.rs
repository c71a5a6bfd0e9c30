//! The mail server (Fig. 9, ST801-ST813): takes mail in by SMTP, judges its kind, keeps it, notifies, hands it out by
//! POP3, relays, bounces, and forwards confirmations.

mod administration;
mod config;
mod contacts;
mod credentials;
mod door;
mod escalation;
mod guesses;
mod metrics;
mod outbound;
mod receiver;

pub use administration::{AccountRow, Administration, AskError, Order, QueueRow, Secret, Told, ask};
pub use config::{AddressRange, ConfigError, MailConfig, MailLimits, MailTls};
pub use escalation::Escalation;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sealfax_client::dns::{DnsError, Resolver};
use sealfax_client::seam::Seams;
use sealfax_client::smtp::Upgrade;
use sealfax_client::tls::{ClientTls, Security, ServerTls};
use sealfax_client::{pop3_server, smtp_server};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::contacts::Contacts;
pub(crate) use self::credentials::{Credentials, Unknown};
use self::metrics::Metrics;
use crate::accounts::{Account, Accounts};
use crate::store::{Delivery, EmbeddedStore, News, PostgresStore, QueueItem, Store, StoreError};
use crate::web::{ServeError, Served};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The DNS cannot be asked.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// A port is not to be had.
    #[error("cannot listen at {at} for {protocol}; check that the address is this machine's and the port is free")]
    Bind {
        /// Which protocol.
        protocol: &'static str,
        /// Where.
        at: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The administrator's page does not listen.
    #[error(transparent)]
    Page(#[from] ServeError),
}

/// What the parts of one server share.
struct Core {
    /// Read anew while the server runs; what listens, and where, stays as it was at the start.
    config: RwLock<Arc<MailConfig>>,
    /// Its own name, at the start.
    host: String,
    metrics: Metrics,
    contacts: Contacts,
    seams: Seams,
    store: Arc<dyn Store>,
    accounts: Accounts,
    credentials: Credentials,
    resolver: Resolver,
    /// Whom adapters have to be proven by; `None`: nothing is asked of them.
    adapter_tls: Option<ClientTls>,
    relay_upgrade: Upgrade,
    /// Connections that are open and idle.
    warm: outbound::Warm,
    ahead: outbound::Ahead,
    /// For whom something is being written of which a notice will tell.
    expected: mpsc::Sender<Account>,
    /// Rung when something new is due.
    wake: Arc<Notify>,
}

impl Core {
    /// Runs store work off the network threads.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.store.clone();
        let joined = tokio::task::spawn_blocking(move || work(store.as_ref())).await;
        joined.unwrap_or_else(|error| Err(StoreError::Database(Box::new(error))))
    }

    /// Keeps a mail; no thread waits for it.
    async fn deliver(&self, delivery: Delivery) -> Result<(), StoreError> {
        let (tell, told) = oneshot::channel();
        // Whoever asked may be gone.
        self.store.deliver_then(delivery, Box::new(|outcome| drop(tell.send(outcome))));
        told.await.unwrap_or_else(|_| Err(StoreError::Broken("it ended".to_owned())))
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn config(&self) -> Arc<MailConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn step(&self, ids: &[&'static str], text: impl AsRef<str>) {
        self.seams.journal.step(self.host(), ids, text);
    }

    fn is_ours(&self, domain: &str) -> bool {
        self.config().domains.iter().any(|ours| ours.eq_ignore_ascii_case(domain))
    }
}

/// A running mail server. Dropping it stops everything at once, as a kill would.
pub struct MailServer {
    smtp: SocketAddr,
    pop3: SocketAddr,
    smtps: Option<SocketAddr>,
    pop3s: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    page: Option<Served>,
    accounts: Accounts,
    store: Arc<dyn Store>,
    core: Arc<Core>,
    tls: Option<ServerTls>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for MailServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailServer").field("smtp", &self.smtp).field("pop3", &self.pop3).finish_non_exhaustive()
    }
}

impl MailServer {
    /// Opens the store, binds its ports, and serves.
    pub async fn start(config: MailConfig, seams: Seams) -> Result<Self, StartError> {
        config.check()?;
        let store = open_store(&config, &seams).await?;
        // From here on the store is held: whoever has an order is to find this socket and wait at it.
        let orders = administration::bind(&config.data);
        let accounts = Accounts::open(store.clone(), seams.entropy.clone())?;
        let wake: Arc<Notify> = Arc::default();
        let (woken, known) = (wake.clone(), accounts.clone());
        store.on_news(Box::new(move |news| match news {
            News::Work => woken.notify_one(),
            // The store must not be asked from where it tells.
            News::Accounts => drop(std::thread::spawn({
                let known = known.clone();
                move || known.refresh()
            })),
        }));
        let resolver = Resolver::new(config.dns_servers.clone())?;
        let bind = |protocol, at| {
            let network = seams.network.clone();
            async move {
                let refused = |source| StartError::Bind { protocol, at, source };
                let listener = network.bind(at).await.map_err(refused)?;
                let bound = listener.local_addr().map_err(refused)?;
                Ok::<_, StartError>((listener, bound))
            }
        };
        let tls = config.tls.as_ref().map(|tls| tls.server(&seams.clock)).transpose()?;
        let (smtp_listener, smtp) = bind("SMTP", config.smtp).await?;
        let (pop3_listener, pop3) = bind("POP3", config.pop3).await?;
        let offered = tls.clone().map_or(Security::Clear, Security::Offered);
        let metrics_listener = match config.metrics {
            Some(at) => Some(bind("metrics", at).await?),
            None => None,
        };
        let mut smtp_listeners = vec![(smtp_listener, offered.clone())];
        let mut pop3_listeners = vec![(pop3_listener, offered)];
        let (mut smtps, mut pop3s) = (None, None);
        if let (Some(tls), Some(config)) = (tls.clone(), &config.tls) {
            if let Some(at) = config.smtps {
                let (listener, bound) = bind("SMTP over TLS", at).await?;
                smtp_listeners.push((listener, Security::Implicit(tls.clone())));
                smtps = Some(bound);
            }
            if let Some(at) = config.pop3s {
                let (listener, bound) = bind("POP3 over TLS", at).await?;
                pop3_listeners.push((listener, Security::Implicit(tls)));
                pop3s = Some(bound);
            }
        }
        let (stop, stopped) = watch::channel(false);
        let credentials = Credentials::new(accounts.clone(), config.limits.login_failures);
        let (expected, expecting) = mpsc::channel(64);
        let core = Arc::new(Core {
            adapter_tls: config.adapter_tls(&seams.clock)?,
            relay_upgrade: config.relay_upgrade(&seams.clock),
            warm: outbound::Warm::default(),
            ahead: outbound::Ahead::default(),
            expected,
            host: config.host_name.clone(),
            metrics: Metrics::default(),
            contacts: Contacts::new(seams.clock.now()),
            config: RwLock::new(Arc::new(config.clone())),
            seams: seams.clone(),
            store: store.clone(),
            credentials,
            accounts: accounts.clone(),
            resolver,
            wake,
        });
        let mut tasks = JoinSet::new();
        let receiver = Arc::new(receiver::MailReceiver::new(core.clone()));
        for (listener, security) in smtp_listeners {
            let (receiver, limits, host) = (receiver.clone(), config.limits.smtp(), config.host_name.clone());
            let (journal, stopped) = (seams.journal.clone(), stopped.clone());
            tasks.spawn(smtp_server::serve(listener, security, receiver, limits, host, journal, stopped));
        }
        let door = Arc::new(door::Door::new(core.clone()));
        for (listener, security) in pop3_listeners {
            let (door, limits, host) = (door.clone(), config.limits.pop3(), config.host_name.clone());
            let (journal, stopped) = (seams.journal.clone(), stopped.clone());
            tasks.spawn(pop3_server::serve(listener, security, door, limits, host, journal, stopped));
        }
        let administration = Administration {
            accounts: accounts.clone(),
            store: store.clone(),
            clock: seams.clock.clone(),
            wake: core.wake.clone(),
        };
        let page = match config.administration_http {
            Some(at) => {
                let security = tls.clone().map_or(Security::Clear, Security::Implicit);
                Some(administration::show(at, security, core.clone(), administration.clone()).await?)
            }
            None => None,
        };
        let (data, host) = (config.data.clone(), config.host_name.clone());
        match orders {
            Ok(listener) => {
                let (journal, stopped) = (seams.journal.clone(), stopped.clone());
                tasks.spawn(administration::serve(listener, administration, data, host, journal, stopped));
            }
            // The path may be too long for a socket; mail goes on without.
            Err(error) => seams.journal.failure(&host, "CONTROL-SOCKET", format!("no orders are taken: {error}")),
        }
        let metrics = metrics_listener.as_ref().map(|(_, at)| *at);
        if let Some((listener, _)) = metrics_listener {
            tasks.spawn(metrics::serve(listener, core.clone(), stopped.clone()));
        }
        tasks.spawn(outbound::run(core.clone(), expecting, stopped));
        Ok(Self { smtp, pop3, smtps, pop3s, metrics, page, accounts, store, core, tls, stop, tasks })
    }

    /// Where SMTP listens.
    pub fn smtp_addr(&self) -> SocketAddr {
        self.smtp
    }

    /// Where POP3 listens.
    pub fn pop3_addr(&self) -> SocketAddr {
        self.pop3
    }

    /// Where SMTP listens with TLS from the first octet, if it does.
    pub fn smtps_addr(&self) -> Option<SocketAddr> {
        self.smtps
    }

    /// Where POP3 listens with TLS from the first octet, if it does.
    pub fn pop3s_addr(&self) -> Option<SocketAddr> {
        self.pop3s
    }

    /// Where metrics and health are told, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Where the administrator's page is, if there is one.
    pub fn administration_addr(&self) -> Option<SocketAddr> {
        self.page.as_ref().map(Served::addr)
    }

    /// Takes a new configuration over, and reads the TLS files again, while sessions go on. Names of those keys that hold from
    /// the next start only, where they have changed.
    pub fn reload(&self, config: MailConfig) -> Result<Vec<&'static str>, ConfigError> {
        config.check()?;
        if let (Some(running), Some(tls)) = (&self.tls, &config.tls) {
            running.replace(&tls.server(&self.core.seams.clock)?);
        }
        let later = self.core.config().fixed_keys_changed(&config);
        *self.core.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(later)
    }

    /// The accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The mails in an account's mailbox, as they are held; for inspection.
    pub fn mailbox(&self, address: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let account = crate::accounts::normalise(address);
        let mails = self.store.list(&account)?;
        mails.iter().filter_map(|mail| self.store.read(&account, mail.id).transpose()).collect()
    }

    /// The mails that are on their way to other hosts, in order of arrival; for inspection.
    pub fn queue(&self) -> Result<Vec<QueueItem>, StoreError> {
        self.store.queue()
    }

    /// Stops taking sessions, lets running transactions end, and returns when all is quiet (at most 30 s).
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        if let Some(page) = self.page.take() {
            page.shutdown().await;
        }
        let quiet = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(30), quiet).await;
    }
}

/// Opens the store that the configuration names. A predecessor in the same process may still be letting go of the file.
async fn open_store(config: &MailConfig, seams: &Seams) -> Result<Arc<dyn Store>, StoreError> {
    if let Some(database) = config.database.clone() {
        let (data, entropy) = (config.data.clone(), seams.entropy.clone());
        let opened = tokio::task::spawn_blocking(move || PostgresStore::open(&database, &data, &entropy)).await;
        return Ok(Arc::new(opened.unwrap_or_else(|error| Err(StoreError::Database(Box::new(error))))?));
    }
    let mut attempts = 0;
    loop {
        match EmbeddedStore::open(&config.data, &seams.entropy) {
            Ok(store) => return Ok(Arc::new(store)),
            Err(StoreError::InUse) if attempts < 100 => attempts += 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests;
