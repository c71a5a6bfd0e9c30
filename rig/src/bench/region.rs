//! A region (T1-T3): a bureau with certificate and history server and the name server, and offices under it, each with a
//! mail server of its own, an adapter and a fax machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealfax_adapter::config::{CorrespondentsConfig, TrustConfig};
use sealfax_client::history::{self, Entry};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::Seams;
use sealfax_drivers::card::piv::Algorithm;
use sealfax_drivers::display::Language;
use sealfax_mailserver::authority::{Authority, AuthorityOptions, DirectoryConfig, DirectoryServer};
use sealfax_mailserver::history::{HistoryConfig, HistoryServer, HistoryTls};
use sealfax_mailserver::mail::{MailConfig, MailServer};
use sealfax_mailserver::web;

use super::liar::Liar;
use super::mail_tls;
use super::on_lab::LabPlan;
use super::on_twin::TwinPlan;
use super::own_directory::{OwnDirectory, Publication};
use super::people::{Character, HANAKO, JIRO, Person, TARO, USUAL};
use super::sim::{ShiftedClock, seams};
use super::site::{HTTP, POP3, SMTP, Site, SitePlan, machine_password};
use crate::endpoint::fax_machine::Telephone;
use crate::events::EventLog;
use crate::instrument::screen::ScreenNumbers;
use crate::scenario::runner::WIRES;
use crate::scenario::{Bench, BenchKind, Failure};
use crate::world::dns::{DnsRecord, DnsServer};
use crate::world::hosts::Hosts;
use crate::world::mails::{self, SentMail};
use crate::world::network::{Capture, Side};

/// Every key of a mail server that has a default keeps it; the others are replaced.
const MAIL_DEFAULTS: &str = r#"
host_name = "mail.invalid"
domains = ["invalid"]
smtp = "127.0.0.1:0"
pop3 = "127.0.0.1:0"
data = ""
dns_servers = []
"#;

/// What a story wants of its region.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Offices by letter; office X has the domain `x.example`.
    pub offices: Vec<char>,
    /// Branches: an office, and the headquarters whose mail server serves it (T1). The others have their own.
    pub branches: BTreeMap<char, char>,
    /// Who has a card, and an account at the office of their domain.
    pub people: Vec<Character>,
    /// The kind of keys on the card of a person, by [`Character::key`]; RSA-2048 for who is not named.
    pub keys: BTreeMap<&'static str, Algorithm>,
    /// How long an adapter holds a document for its sender's card.
    pub hold: Duration,
    /// C11.
    pub batch: usize,
    /// After how long a batch that is not full is reported, and a confirmation that has not come alarms; `None` for as long as
    /// the adapter waits by itself.
    pub patience: Option<Duration>,
    /// Whether screens are saved as pictures.
    pub pictures: bool,
    /// Whether a certificate server that lies takes the place of the true one; see [`Region::liar`].
    pub lying: bool,
    /// Whom and what the adapters believe.
    pub trust: TrustConfig,
    /// The mail servers have TLS, and the adapters insist on it.
    pub mail_tls: bool,
    /// What each office has agreed with some correspondents (V3).
    pub correspondents: BTreeMap<char, CorrespondentsConfig>,
    /// The site runs a directory and an OCSP responder of its own (slapd, `openssl ocsp`): adapters ask these, and our
    /// certificate server only signs what they publish.
    pub own_directory: bool,
    /// The fax machines have their adapters built in (V1): a machine and its adapter are one host with no cable between.
    pub built_in: bool,
    /// Each office has a fingerprint reader beside the card's (V2).
    pub fingerprints: bool,
    /// The offices whose machines are plain ones on a telephone line.
    pub telephones: BTreeMap<char, Telephone>,
    /// The fax machines are of T.37 extended mode.
    pub extended: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            offices: vec!['a', 'b'],
            branches: BTreeMap::new(),
            people: vec![TARO, HANAKO, JIRO],
            keys: BTreeMap::new(),
            hold: Duration::from_secs(540),
            batch: 1,
            patience: None,
            pictures: true,
            lying: false,
            trust: TrustConfig::default(),
            mail_tls: false,
            correspondents: BTreeMap::new(),
            own_directory: false,
            built_in: false,
            fingerprints: false,
            telephones: BTreeMap::new(),
            extended: false,
        }
    }
}

/// A running region.
pub struct Region {
    /// The one log.
    pub log: EventLog,
    /// Every octet on every wire.
    pub capture: Capture,
    /// The region's wall clock.
    pub clock: ShiftedClock,
    /// The certificate authority.
    pub authority: Arc<Authority>,
    hosts: Hosts,
    seed: u64,
    _dns: DnsServer,
    directory: Option<DirectoryServer>,
    liar: Option<Liar>,
    own_directory: Option<OwnDirectory>,
    history: Option<HistoryServer>,
    history_tls: Option<HistoryTls>,
    mail_servers: BTreeMap<char, MailServer>,
    sites: BTreeMap<char, Site>,
    people: BTreeMap<&'static str, Person>,
    mail_configs: BTreeMap<char, MailConfig>,
    branches: BTreeMap<char, char>,
    _state: tempfile::TempDir,
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Region").field("offices", &self.sites.keys()).finish_non_exhaustive()
    }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::infrastructure(error)
}

impl Region {
    /// Builds and starts everything. State lives in a folder of its own that goes with the region.
    pub async fn start(bench: &Bench, plan: Plan) -> Result<Self, Failure> {
        if plan.built_in && bench.kind != BenchKind::Sim {
            return Err(Failure::Unsupported("fax machine with the adapter built in".into()));
        }
        if !plan.telephones.is_empty() && bench.kind != BenchKind::Sim {
            return Err(Failure::Unsupported("telephone line at a board".into()));
        }
        if plan.patience.is_some() && (bench.twins.is_some() || bench.lab.is_some()) {
            return Err(Failure::Unsupported("times of a board's configuration that a story sets".into()));
        }
        if plan.fingerprints && bench.kind != BenchKind::Sim {
            return Err(Failure::Unsupported("fingerprint reader at a board".into()));
        }
        if let Some(why) = bench.lab.as_ref().and_then(|lab| lab.broken.as_deref()) {
            return Err(broken(why));
        }
        let log = bench.log.clone();
        let hosts = Hosts::allocate().map_err(broken)?;
        let capture = Capture::new(log.clone(), hosts.clone());
        let (wires, told) = (capture.clone(), log.clone());
        bench.evidence.offer(WIRES, "every octet on every wire", move || pcap(&wires, &told));
        let clock = ShiftedClock::default();
        let state = tempfile::tempdir().map_err(broken)?;
        let host = |name: &str| hosts.add(name).map_err(broken);
        let host_seams = |name: &str, side: Side| -> Result<Seams, Failure> {
            let network = Arc::new(capture.network(host(name)?, side));
            Ok(seams(name, bench.seed, network, &clock, &log))
        };

        let dns = DnsServer::start(host("dns")?, &records(&plan, &hosts)?, log.clone()).await.map_err(broken)?;

        let authority_seams = host_seams("directory", Side::Network)?;
        let authority_folder = state.path().join("authority");
        let options = AuthorityOptions::default();
        let authority = Arc::new(Authority::create(&authority_folder, &options, &authority_seams).map_err(broken)?);
        let anchors = state.path().join("anchors.pem");
        let intermediates = state.path().join("intermediates.pem");
        std::fs::write(&anchors, authority.anchor_pem().map_err(broken)?).map_err(broken)?;
        std::fs::write(&intermediates, pem("CERTIFICATE", &authority.issuing_der().map_err(broken)?))
            .map_err(broken)?;

        let mut directory_at = SocketAddr::new(host("directory")?, HTTP);
        let (mut trust, mut liar) = (plan.trust.clone(), None);
        if plan.lying {
            let at = SocketAddr::new(host("liar")?, HTTP);
            let seams = host_seams("liar", Side::Network)?;
            let lies = Liar::start(authority.clone(), seams, at, &state.path().join("liar")).await?;
            let responders = state.path().join("responders.pem");
            std::fs::write(&responders, pem("CERTIFICATE", lies.certificate())).map_err(broken)?;
            directory_at = lies.addr();
            trust.ocsp_responders = Some(responders);
            liar = Some(lies);
        }
        let history_at = SocketAddr::new(host("history")?, HTTP);
        let people = issue_cards(&plan, bench.seed, &authority).await?;
        let mut own_directory = None;
        if plan.own_directory {
            let addresses = (host("slapd")?, host("openssl-ocsp")?);
            let certificates = people.values().map(Publication::of).collect::<Result<Vec<_>, _>>()?;
            let (folder, authority) = (authority_folder.clone(), Arc::clone(&authority));
            let starting =
                tokio::task::spawn_blocking(move || OwnDirectory::start(addresses, certificates, &folder, &authority));
            let running = starting.await.map_err(broken)??;
            directory_at = running.ocsp_addr();
            own_directory = Some(running);
        }
        let ldap = own_directory.as_ref().map(OwnDirectory::ldap);

        let mut region = Self {
            log: log.clone(),
            capture: capture.clone(),
            clock: clock.clone(),
            authority,
            hosts: hosts.clone(),
            seed: bench.seed,
            _dns: dns,
            directory: None,
            liar,
            own_directory,
            history: None,
            history_tls: None,
            mail_servers: BTreeMap::new(),
            sites: BTreeMap::new(),
            people,
            mail_configs: BTreeMap::new(),
            branches: plan.branches.clone(),
            _state: state,
        };
        if region.own_directory.is_none() {
            region.start_directory().await?;
        }
        // A board has no certificate of its own.
        let prove = plan.mail_tls && bench.twins.is_none() && bench.lab.is_none();
        if prove {
            let folder = region.folder("history-tls");
            let issued = mail_tls::history(&folder, &anchors, &region.authority, region.seed)?;
            region.history_tls = Some(issued);
        }
        region.start_history().await?;
        let dns_at = region._dns.address();
        let screens = ScreenNumbers::default();
        let mut starting = Vec::new();
        for letter in &plan.offices {
            if !plan.branches.contains_key(letter) {
                let adapters = prove.then(|| anchors.clone());
                region.start_mail_server(*letter, dns_at, plan.mail_tls, adapters).await?;
            }
        }
        for letter in &plan.offices {
            let mail_at = region.address(&format!("mail-{}", region.headquarters(*letter)))?;
            let name = format!("adapter-{letter}");
            let terminal_side = format!("adapter-{letter}-terminal-port");
            let site_plan = SitePlan {
                letter: *letter,
                title: format!("支部 {0} / Office {0}", letter.to_ascii_uppercase()),
                data: region.folder(&name),
                folder: bench.folder.clone(),
                network: SocketAddr::new(host(&name)?, SMTP),
                towards_terminal: SocketAddr::new(host(&terminal_side)?, SMTP),
                mail_server: mail_at,
                mail_tls: plan.mail_tls.then(|| format!("mail-{}", region.headquarters(*letter))),
                notices_tls: prove
                    .then(|| mail_tls::notices(&name, &region.folder(&name), &region.authority, region.seed))
                    .transpose()?,
                directory: directory_at,
                trust: trust.clone(),
                correspondents: plan.correspondents.get(letter).cloned().unwrap_or_default(),
                ldap: ldap.clone(),
                history: history_at,
                anchors: anchors.clone(),
                intermediates: intermediates.clone(),
                hold: plan.hold,
                batch: plan.batch,
                patience: plan.patience,
                fingerprints: plan.fingerprints,
                telephone: plan.telephones.get(letter).copied(),
                numbers: numbers(&plan.people),
                seed: region.seed,
                extended: plan.extended,
                language: Language::Japanese,
                keep_pictures: plan.pictures || bench.pictures,
                cards: bench.cards,
                twin: bench.twins.as_ref().filter(|twins| twins.offices.contain(*letter)).map(|twins| TwinPlan {
                    image: twins.image.clone(),
                    gpio: twins.gpio,
                    people: plan.people.iter().map(|person| (person.name, person.address)).collect(),
                    clock: clock.clone(),
                }),
                lab: bench.lab.as_ref().and_then(|lab| {
                    Some(LabPlan {
                        board: lab.file.board(*letter)?.clone(),
                        tables: lab.file.adapter_tables.get(letter).cloned().unwrap_or_default(),
                        people: plan.people.iter().map(|person| (person.name, person.address)).collect(),
                        clock: clock.clone(),
                        trouble: bench.trouble.clone(),
                    })
                }),
            };
            let adapter_seams = host_seams(&name, Side::Network)?;
            let terminal_network = Arc::new(capture.network(host(&terminal_side)?, Side::Terminal));
            let machine = if plan.built_in { terminal_side } else { format!("terminal-{letter}") };
            let terminal_seams = host_seams(&machine, Side::Terminal)?;
            let site =
                Site::start(site_plan, adapter_seams, terminal_network, terminal_seams, log.clone(), screens.clone());
            if bench.twins.is_some() || bench.lab.is_some() {
                starting.push(site);
            } else {
                region.sites.insert(*letter, site.await?);
            }
        }
        // A board takes seconds: all of them are switched on together.
        let started = futures_util::future::try_join_all(starting).await?;
        region.sites.extend(plan.offices.iter().copied().zip(started));
        log.step("region", &["T1", "T2", "T3"], "every office has a mail server, an adapter and a fax machine");
        bench.ready();
        Ok(region)
    }

    /// Moves every clock of the region by so many seconds.
    pub fn shift_clock(&self, seconds: i64) {
        self.clock.shift(seconds);
        for site in self.sites.values() {
            site.set_clock();
        }
    }

    /// Where a host keeps what survives it: "adapter-a", "mail-b", "history", "authority".
    pub fn folder(&self, name: &str) -> PathBuf {
        self._state.path().join(name)
    }

    /// The office whose mail server serves this one.
    fn headquarters(&self, letter: char) -> char {
        self.branches.get(&letter).copied().unwrap_or(letter)
    }

    /// The address of a host by its name.
    pub fn address(&self, name: &str) -> Result<IpAddr, Failure> {
        self.hosts.add(name).map_err(broken)
    }

    /// The address of a host that is there.
    pub fn known_address(&self, name: &str) -> Result<IpAddr, Failure> {
        let names = || self.hosts.all().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let address = self.hosts.address(name);
        address.ok_or_else(|| Failure::expectation(format!("no host is called {name:?}; there are {}", names())))
    }

    fn seams_of(&self, name: &str) -> Result<Seams, Failure> {
        let network = Arc::new(self.capture.network(self.address(name)?, Side::Network));
        Ok(seams(name, self.seed, network, &self.clock, &self.log))
    }

    /// The seams of a host that is nobody in particular: an attacker, a foreign server.
    pub fn stranger(&self, name: &str) -> Result<Seams, Failure> {
        self.seams_of(name)
    }

    /// Starts the certificate server (again).
    pub async fn start_directory(&mut self) -> Result<(), Failure> {
        let config = DirectoryConfig {
            host_name: "directory".into(),
            http: SocketAddr::new(self.address("directory")?, HTTP),
            data: self.folder("authority"),
            limits: Default::default(),
        };
        let seams = self.seams_of("directory")?;
        self.directory = Some(DirectoryServer::start(config, self.authority.clone(), seams).await.map_err(broken)?);
        Ok(())
    }

    /// The certificate server that lies, in a region that is planned with one.
    pub fn liar(&self) -> Result<&Liar, Failure> {
        self.liar.as_ref().ok_or_else(|| broken("this region has no lying certificate server"))
    }

    /// Stops the certificate server.
    pub async fn stop_directory(&mut self) {
        self.log.note("directory", "the certificate server is stopped");
        if let Some(directory) = self.directory.take() {
            directory.shutdown().await;
        }
    }

    /// Starts the history server (again).
    pub async fn start_history(&mut self) -> Result<(), Failure> {
        let config = HistoryConfig {
            host_name: "history".into(),
            http: SocketAddr::new(self.address("history")?, HTTP),
            data: self.folder("history"),
            database: None,
            origin: None,
            tls: self.history_tls.clone(),
            auditors: Vec::new(),
            everybody_reads: true,
            utc_offset: Default::default(),
            limits: web::Limits { body: 256 * 1024, ..web::Limits::default() },
        };
        let seams = self.seams_of("history")?;
        self.history = Some(HistoryServer::start(config, None, seams).await.map_err(broken)?);
        Ok(())
    }

    /// Stops the history server.
    pub async fn stop_history(&mut self) {
        self.log.note("history", "the history server is stopped");
        if let Some(history) = self.history.take() {
            history.shutdown().await;
        }
    }

    /// How transmissions ended, by the history: printed, returned, refused.
    pub fn history(&self) -> Vec<Entry> {
        let all = self.history.as_ref().map(HistoryServer::list).unwrap_or_default();
        let ended = [history::Event::Retrieval, history::Event::NonDelivery, history::Event::Refusal];
        all.into_iter().filter(|entry| ended.contains(&entry.leaf.event)).collect()
    }

    /// Everything in the history.
    pub fn records(&self) -> Vec<Entry> {
        self.history.as_ref().map(HistoryServer::list).unwrap_or_default()
    }

    /// The public key of the history.
    pub fn history_key(&self) -> Option<history::LogKey> {
        self.history.as_ref().map(|server| server.key().clone())
    }

    /// Starts an office's mail server for the first time.
    async fn start_mail_server(
        &mut self,
        letter: char,
        dns: SocketAddr,
        tls: bool,
        adapter_anchors: Option<PathBuf>,
    ) -> Result<(), Failure> {
        let name = format!("mail-{letter}");
        let address = self.address(&name)?;
        let branches = self.branches.iter().filter(|(_, headquarters)| **headquarters == letter);
        let served: Vec<char> = [letter].into_iter().chain(branches.map(|(branch, _)| *branch)).collect();
        let mut relay_from = Vec::new();
        for office in &served {
            let adapter = self.address(&format!("adapter-{office}"))?;
            relay_from.push(adapter.to_string().parse().map_err(broken)?);
        }
        let folder = self.folder(&format!("{name}-tls"));
        let issue = || mail_tls::issue(&name, address, &folder, &self.authority, self.seed);
        let config = MailConfig {
            tls: tls.then(issue).transpose()?,
            adapter_anchors,
            host_name: name.clone(),
            domains: served.iter().map(|office| format!("{office}.example")).collect(),
            smtp: SocketAddr::new(address, SMTP),
            pop3: SocketAddr::new(address, POP3),
            data: self.folder(&name),
            dns_servers: vec![dns],
            relay_port: SMTP,
            notice_port: SMTP,
            relay_from,
            retry_schedule: vec![Duration::from_millis(300)],
            ..toml::from_str(MAIL_DEFAULTS).map_err(broken)?
        };
        self.mail_configs.insert(letter, config);
        self.restart_mail_server(letter).await?;
        let mut accounts: Vec<(String, String, String, Vec<String>)> = Vec::new();
        for office in served {
            let domain = format!("@{office}.example");
            let here = self.people.values().filter(|person| person.character.address.ends_with(&domain));
            accounts.extend(here.map(|person| {
                let character = person.character;
                let adapters = vec![format!("adapter-{office}")];
                (character.address.to_owned(), character.name.to_owned(), person.password.clone(), adapters)
            }));
            accounts.push((format!("fax{domain}"), "Fax machine".to_owned(), machine_password(office), vec![]));
        }
        let known = self.mail_server(letter)?.accounts().clone().cheap();
        // Hashed and written.
        let added = tokio::task::spawn_blocking(move || {
            accounts.into_iter().try_for_each(|(address, name, password, adapters)| {
                known.add(&address, &name, &Password::new(password.into_bytes()), &adapters).map(|_| ())
            })
        });
        added.await.map_err(broken)?.map_err(broken)
    }

    /// Starts an office's mail server again.
    pub async fn restart_mail_server(&mut self, letter: char) -> Result<(), Failure> {
        let config = self.mail_configs.get(&letter).cloned().ok_or_else(|| broken("no such office"))?;
        let seams = self.seams_of(&format!("mail-{letter}"))?;
        self.mail_servers.insert(letter, MailServer::start(config, seams).await.map_err(broken)?);
        Ok(())
    }

    /// Somebody stands in the place of an office's mail server, with a certificate of another authority.
    pub async fn mail_impostor(&mut self, letter: char, other: &Authority) -> Result<(), Failure> {
        let (name, config) = (format!("mail-{letter}"), self.mail_configs.get_mut(&letter));
        let config = config.ok_or_else(|| broken("no such office"))?;
        let folder = self._state.path().join(format!("{name}-impostor"));
        config.tls = Some(mail_tls::issue(&name, config.smtp.ip(), &folder, other, self.seed)?);
        self.kill_mail_server(letter);
        self.restart_mail_server(letter).await
    }

    /// Kills an office's mail server as `kill -9` would.
    pub fn kill_mail_server(&mut self, letter: char) {
        self.log.note(&format!("mail-{letter}"), "the mail server is killed");
        self.mail_servers.remove(&letter);
    }

    /// An office's mail server.
    pub fn mail_server(&self, letter: char) -> Result<&MailServer, Failure> {
        self.mail_servers.get(&letter).ok_or_else(|| broken(format!("mail-{letter} is not running")))
    }

    /// An office.
    pub fn site(&self, letter: char) -> Result<&Site, Failure> {
        self.sites.get(&letter).ok_or_else(|| broken(format!("there is no office {letter}")))
    }

    /// An office, to be changed.
    pub fn site_mut(&mut self, letter: char) -> Result<&mut Site, Failure> {
        self.sites.get_mut(&letter).ok_or_else(|| broken(format!("there is no office {letter}")))
    }

    /// Somebody of the plan.
    pub fn person(&self, who: Character) -> Result<Person, Failure> {
        self.people.get(who.key).cloned().ok_or_else(|| broken(format!("{} is not in the plan", who.called)))
    }

    /// The mails in a person's mailbox at their mail server, as the server holds them.
    pub fn mailbox(&self, person: &Person) -> Result<Vec<Vec<u8>>, Failure> {
        let letter = person.character.address.rsplit('@').next().and_then(|domain| domain.chars().next());
        let server = self.mail_server(self.headquarters(letter.ok_or_else(|| broken("no domain"))?))?;
        server.mailbox(person.character.address).map_err(broken)
    }

    /// How many mails are on their way from an office's mail server to other hosts.
    pub fn queued(&self, letter: char) -> Result<usize, Failure> {
        Ok(self.mail_server(self.headquarters(letter))?.queue().map_err(broken)?.len())
    }

    /// Every mail sent over SMTP so far.
    pub fn sent_mails(&self) -> Vec<SentMail> {
        mails::sent(&self.capture, &self.hosts)
    }

    /// Every octet on every wire, for Wireshark.
    pub fn pcap(&self) -> Vec<u8> {
        pcap(&self.capture, &self.log)
    }

    /// The directory and OCSP responder that the site runs itself.
    pub fn own_directory(&mut self) -> Result<&mut OwnDirectory, Failure> {
        self.own_directory.as_mut().ok_or_else(|| broken("this region has no directory of its own"))
    }

    /// Revokes both certificates of a person.
    pub fn revoke(&self, person: &Person) -> Result<(), Failure> {
        use sealfax_client::seam::Clock as _;
        self.log.person("Administrator", format!("revokes the card of {}", person.character.called));
        for pair in [&person.signature, &person.encryption] {
            self.authority
                .revoke_certificate(&pair.certificate, x509_cert::ext::pkix::CrlReason::KeyCompromise, self.clock.now())
                .map_err(broken)?;
        }
        Ok(())
    }
}

fn pcap(capture: &Capture, log: &EventLog) -> Vec<u8> {
    let began = log.started().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut octets = Vec::new();
    // Writing to memory cannot fail.
    let _ = capture.write_pcap(&mut octets, began);
    octets
}

/// RSA keys take a moment each; people queue at two counters.
async fn issue_cards(
    plan: &Plan,
    seed: u64,
    authority: &Arc<Authority>,
) -> Result<BTreeMap<&'static str, Person>, Failure> {
    let mut counters = Vec::new();
    for character in plan.people.iter().copied() {
        let authority = authority.clone();
        let algorithm = plan.keys.get(character.key).copied().unwrap_or(Algorithm::Rsa2048);
        counters.push(tokio::task::spawn_blocking(move || {
            Person::issue_with(character, algorithm, seed, &authority, USUAL)
        }));
    }
    let mut people = BTreeMap::new();
    for counter in counters {
        let person = counter.await.map_err(broken)??;
        people.insert(person.character.key, person);
    }
    Ok(people)
}

/// MX for every domain, SRV and A for every adapter.
fn records(plan: &Plan, hosts: &Hosts) -> Result<Vec<DnsRecord>, Failure> {
    let mut records = Vec::new();
    for letter in &plan.offices {
        let server = (!plan.branches.contains_key(letter)).then(|| format!("mail-{letter}"));
        for name in server.into_iter().chain([format!("adapter-{letter}")]) {
            let IpAddr::V4(address) = hosts.add(&name).map_err(broken)? else { continue };
            records.push(DnsRecord::A { name, address });
        }
        records.push(DnsRecord::Mx {
            domain: format!("{letter}.example"),
            preference: 10,
            exchange: format!("mail-{}", plan.branches.get(letter).unwrap_or(letter)),
        });
        records.push(DnsRecord::Srv {
            service: format!("_sealfax._tcp.adapter-{letter}"),
            priority: 0,
            weight: 0,
            port: SMTP,
            target: format!("adapter-{letter}"),
        });
    }
    Ok(records)
}

/// A PEM block (RFC 7468).
pub fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// The telephone number of each person: 101, 102 ... in their order.
fn numbers(people: &[Character]) -> BTreeMap<&'static str, String> {
    people.iter().zip(101u32..).map(|(person, number)| (person.address, number.to_string())).collect()
}
