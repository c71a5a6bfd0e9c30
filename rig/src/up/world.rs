//! The system that runs, and what is done to it. Whatever takes its time (a machine that sends, one that receives) is
//! done beside the rest.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sealfax_ifax::Page;
use serde::Serialize;
use tokio::sync::RwLock;

use super::action::{Action, HELP, PEOPLE};
use crate::bench::people::{Character, Person};
use crate::bench::region::{Plan, Region, pem};
use crate::bench::site::{HTTP, POP3, SMTP, machine_password};
use crate::events::{Event, EventKind, EventLog, Lane};
use crate::scenario::{Bench, Failure};

/// Lines of the journal that a look shows.
const JOURNAL: usize = 200;

/// An office as somebody who looks around sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfficeView {
    /// Its letter.
    pub office: char,
    /// The state of the display, as the reports call it.
    pub screen: &'static str,
    /// What stands on it.
    pub words: String,
    /// Whether the lamp is lit now.
    pub lamp: bool,
    /// The pitch of the buzzer, if it sounds.
    pub buzzer: Option<u16>,
    /// Whose card is in.
    pub card: Option<&'static str>,
    /// Whether the adapter has power.
    pub power: bool,
    /// Whether the adapter's network cable is in.
    pub cable: bool,
    /// Mails that wait for each person of the office at their server.
    pub mailboxes: BTreeMap<&'static str, usize>,
    /// Mails that their server has still to bring to others: relays, confirmations. `None`: the server is stopped.
    pub queue: Option<usize>,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct View {
    /// The offices by letter.
    pub offices: Vec<OfficeView>,
    /// Hosts whose cable is out, and servers that are stopped.
    pub off: Vec<String>,
    /// Transmissions in the history.
    pub history: usize,
    /// The last lines of the journal, oldest first.
    #[serde(skip)]
    pub journal: Vec<String>,
}

/// What people did that the log does not tell.
#[derive(Default)]
struct Hands {
    cards: BTreeMap<char, Character>,
    dark: Vec<char>,
    off: Vec<String>,
}

/// A running system; clones share it.
#[derive(Clone)]
pub struct World {
    region: Arc<RwLock<Region>>,
    hands: Arc<Mutex<Hands>>,
    log: EventLog,
    offices: Vec<char>,
    pages: Arc<Vec<Page>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({:?})", self.offices)
    }
}

impl World {
    /// Starts these offices and the servers around them.
    pub async fn start(bench: &Bench, offices: &[char], pages: Vec<Page>) -> Result<Self, Failure> {
        let here =
            |person: &Character| offices.iter().any(|office| person.address.ends_with(&format!("@{office}.example")));
        let people = PEOPLE.into_iter().filter(here).collect();
        let region = Region::start(bench, Plan { offices: offices.to_vec(), people, ..Plan::default() }).await?;
        Ok(Self {
            region: Arc::new(RwLock::new(region)),
            hands: Arc::default(),
            log: bench.log.clone(),
            offices: offices.to_vec(),
            pages: Arc::new(pages),
        })
    }

    /// The one log.
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Does it, and says what came of it.
    pub async fn act(&self, action: Action) -> Result<String, String> {
        self.done(action).await.map_err(|failure| failure.to_string())
    }

    async fn done(&self, action: Action) -> Result<String, Failure> {
        let ok = |text: &str| Ok(text.to_owned());
        match action {
            Action::Insert(who, at) => {
                let region = self.region.read().await;
                region.site(at)?.insert(&region.person(who)?);
                self.hands(|hands| hands.cards.insert(at, who));
                ok("the card is in")
            }
            Action::Pull(at) => {
                let region = self.region.read().await;
                let person = self.person_at(&region, at)?;
                region.site(at)?.pull(&person);
                self.hands(|hands| hands.cards.remove(&at));
                ok("the card is out")
            }
            Action::Pin(at, digits) => {
                let region = self.region.read().await;
                let person = self.person_at(&region, at)?;
                region.site(at)?.type_pin(&person, digits.as_deref().unwrap_or(person.character.pin)).await;
                ok("typed")
            }
            Action::Button(at, hold) => {
                let region = self.region.read().await;
                let whose = self.hands(|hands| hands.cards.get(&at).copied());
                let Some(person) = whose.or_else(|| PEOPLE.into_iter().find(|person| region.person(*person).is_ok()))
                else {
                    return Err(Failure::expectation("nobody is there"));
                };
                let (site, person) = (region.site(at)?, region.person(person)?);
                if hold {
                    site.hold_button(&person).await
                } else {
                    site.press_button(&person).await
                }
                ok("pressed")
            }
            Action::Send { office, to, subject } => {
                let mut terminal = self.region.read().await.site(office)?.terminal.clone();
                if let Some(who) = self.hands(|hands| hands.cards.get(&office).copied()) {
                    terminal = terminal.sending_as(who.address).map_err(Failure::expectation)?;
                }
                let lcd = terminal.send(&to, &self.pages, &subject).await.map_err(Failure::expectation)?;
                if lcd.sent { Ok(lcd.text) } else { Err(Failure::expectation(lcd.text)) }
            }
            Action::Receive(at) => {
                let terminal = self.region.read().await.site(at)?.terminal.clone();
                let login = format!("fax@{at}.example");
                let printed = terminal.receive(&login, machine_password(at).as_bytes()).await;
                let pages: usize =
                    printed.map_err(Failure::expectation)?.iter().map(|document| document.pages.len()).sum();
                Ok(format!("{pages} page(s) printed"))
            }
            Action::Cable(host, into) => {
                let region = self.region.read().await;
                let address = region.known_address(&host)?;
                if into {
                    region.capture.restore(address)
                } else {
                    region.capture.cut(address)
                }
                self.switched(&format!("cable of {host}"), into);
                ok(if into { "the cable is in" } else { "the cable is out" })
            }
            Action::Power(at, on) => {
                let mut region = self.region.write().await;
                let site = region.site_mut(at)?;
                if on {
                    site.power_on().await?
                } else {
                    site.power_cut().await
                }
                self.hands(|hands| {
                    hands.cards.remove(&at);
                    hands.dark.retain(|dark| *dark != at || !on);
                    if !on && !hands.dark.contains(&at) {
                        hands.dark.push(at);
                    }
                });
                ok(if on { "the power is on" } else { "the power is off" })
            }
            Action::Server(name, start) => {
                self.server(&name, start).await?;
                self.switched(&name, start);
                ok(if start { "started" } else { "stopped" })
            }
            Action::Wait(at, screen, time) => {
                let host = format!("adapter-{at}");
                let shows = |event: &Event| {
                    event.host == host && matches!(event.kind, EventKind::Screen { screen: kind, .. } if kind == screen)
                };
                let last = |event: &Event| event.host == host && matches!(event.kind, EventKind::Screen { .. });
                let mark = self.log.mark_before_last(last);
                let what = format!("{host} shows {}", screen.name());
                self.log.wait_after(mark, &what, time, shows).await?;
                Ok(what)
            }
            Action::Status => Ok(serde_json::to_string(&self.view().await).map_err(Failure::infrastructure)?),
            Action::Help => Ok(HELP.join("\n")),
            Action::Quit => ok("good-bye"),
        }
    }

    async fn server(&self, name: &str, start: bool) -> Result<(), Failure> {
        let mut region = self.region.write().await;
        let letter = name.strip_prefix("mail-").and_then(|letter| letter.chars().next());
        match (name, letter) {
            ("directory", _) if start => return region.start_directory().await,
            ("history", _) if start => return region.start_history().await,
            (_, Some(letter)) if start => return region.restart_mail_server(letter).await,
            ("directory", _) => region.stop_directory().await,
            ("history", _) => region.stop_history().await,
            (_, Some(letter)) if self.offices.contains(&letter) => region.kill_mail_server(letter),
            _ => {
                let why = format!("no server is called {name:?}; there are mail-a ..., directory, history");
                return Err(Failure::expectation(why));
            }
        }
        Ok(())
    }

    fn hands<T>(&self, change: impl FnOnce(&mut Hands) -> T) -> T {
        change(&mut self.hands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn switched(&self, what: &str, on: bool) {
        self.hands(|hands| {
            hands.off.retain(|off| off != what);
            if !on {
                hands.off.push(what.to_owned());
            }
        });
    }

    /// Who has a card in at this office. The region is the caller's: taken once more, it would wait for ever behind whoever
    /// waits to change it.
    fn person_at(&self, region: &Region, at: char) -> Result<Person, Failure> {
        let who = self.hands(|hands| hands.cards.get(&at).copied());
        let who = who.ok_or_else(|| Failure::expectation(format!("no card is in at office {at}; insert one")))?;
        region.person(who)
    }

    /// How everything stands.
    pub async fn view(&self) -> View {
        let region = self.region.read().await;
        let office = |letter: &char| {
            let host = format!("adapter-{letter}");
            let of = |lane: Lane| self.log.last(|event| event.host == host && event.lane == lane);
            let (screen, words) = match of(Lane::Screen).map(|event| (event.kind, event.text)) {
                Some((EventKind::Screen { screen, .. }, text)) => (screen.name(), text),
                _ => ("dark", String::new()),
            };
            let here = PEOPLE.into_iter().filter(|person| person.address.ends_with(&format!("@{letter}.example")));
            let waiting =
                |person: Character| Some((person.key, region.mailbox(&region.person(person).ok()?).ok()?.len()));
            OfficeView {
                office: *letter,
                screen,
                words,
                lamp: matches!(of(Lane::Lamp).map(|event| event.kind), Some(EventKind::Level { lit: true })),
                buzzer: match of(Lane::Buzzer).map(|event| event.kind) {
                    Some(EventKind::Tone { hertz }) => hertz,
                    _ => None,
                },
                card: self.hands(|hands| hands.cards.get(letter).map(|person| person.key)),
                power: self.hands(|hands| !hands.dark.contains(letter)),
                cable: self.hands(|hands| !hands.off.contains(&format!("cable of {host}"))),
                mailboxes: here.filter_map(waiting).collect(),
                queue: region.queued(*letter).ok(),
            }
        };
        let told = |event: &Event| !matches!(event.kind, EventKind::Wire { .. } | EventKind::Apdu { .. });
        let events = self.log.events();
        let lines = events.iter().filter(|event| told(event)).rev().take(JOURNAL);
        let line = |event: &Event| format!("{:>8.3}  {:<10} {}", event.at.as_secs_f64(), event.host, event.text);
        let mut journal: Vec<String> = lines.map(line).collect();
        journal.reverse();
        View {
            offices: self.offices.iter().map(office).collect(),
            off: self.hands(|hands| hands.off.clone()),
            history: region.history().len(),
            journal,
        }
    }

    /// Writes what others need to join into `folder`, and says how: addresses, names, passwords, certificates.
    pub async fn invitation(&self, folder: &Path) -> Result<String, Failure> {
        let region = self.region.read().await;
        let broken =
            |error: std::io::Error| Failure::infrastructure(format!("{}: {error}; check --out", folder.display()));
        std::fs::create_dir_all(folder).map_err(broken)?;
        let anchor = region.authority.anchor_pem().map_err(Failure::infrastructure)?;
        std::fs::write(folder.join("anchor.pem"), anchor).map_err(broken)?;
        let issuing = region.authority.issuing_der().map_err(Failure::infrastructure)?;
        std::fs::write(folder.join("issuing.pem"), pem("CERTIFICATE", &issuing)).map_err(broken)?;
        let mut text = String::new();
        for office in &self.offices {
            let mail = region.known_address(&format!("mail-{office}"))?;
            let adapter = region.known_address(&format!("adapter-{office}-terminal-port"))?;
            let _ = writeln!(text, "office {office}: mail server SMTP {mail}:{SMTP}, POP3 {mail}:{POP3}");
            let _ = writeln!(text, "          for a fax machine SMTP {adapter}:{SMTP}, POP3 {adapter}:{POP3}");
        }
        let directory = region.known_address("directory")?;
        let history = region.known_address("history")?;
        let _ = writeln!(text, "certificates http://{directory}:{HTTP}, history http://{history}:{HTTP}");
        for person in PEOPLE.into_iter().filter_map(|who| region.person(who).ok()) {
            let Person { character, signature, encryption, password, .. } = person;
            for (name, pair) in [("sign", &signature), ("encrypt", &encryption)] {
                let certificate = pem("CERTIFICATE", &pair.certificate);
                std::fs::write(folder.join(format!("{}-{name}.pem", character.key)), certificate).map_err(broken)?;
                std::fs::write(folder.join(format!("{}-{name}.key.pem", character.key)), &pair.key_pem)
                    .map_err(broken)?;
            }
            let _ =
                writeln!(text, "{:<7} {} password {password} PIN {}", character.key, character.address, character.pin);
        }
        let someone = PEOPLE.into_iter().filter_map(|who| region.person(who).ok()).next_back();
        let someone = someone.ok_or_else(|| Failure::expectation("nobody lives in these offices; say --offices"))?;
        let Person { character: Character { key, address, .. }, password, .. } = &someone;
        std::fs::write(folder.join("hello.eml"), hello(address)).map_err(broken)?;
        let (office, folder) = (address.rsplit('@').next().and_then(|domain| domain.chars().next()), folder.display());
        let mail = region.known_address(&format!("mail-{}", office.unwrap_or('a')))?;
        let escaped = address.replace('@', "%40");
        let _ = writeln!(text, "certificates and keys (for demonstrations only) are in {folder}; for example");
        let _ = writeln!(
            text,
            "  openssl ocsp -issuer {folder}/issuing.pem -cert {folder}/{key}-encrypt.pem -CAfile {folder}/anchor.pem \
             -url http://{directory}:{HTTP}/ocsp"
        );
        let _ = writeln!(text, "  curl 'http://{directory}:{HTTP}/certificates/search.cgi?email={escaped}'");
        let _ = writeln!(
            text,
            "  curl smtp://{mail}:{SMTP} --mail-from visitor@elsewhere.example --mail-rcpt {address} -T {folder}/hello.eml"
        );
        let _ = writeln!(text, "  curl pop3://{mail}:{POP3}/ --user '{address}:{password}'");
        let _ = write!(text, "  curl http://{history}:{HTTP}/");
        Ok(text)
    }
}

/// A mail for whoever tries the mail server with a program of their own.
fn hello(to: &str) -> String {
    format!("From: visitor@elsewhere.example\r\nTo: {to}\r\nSubject: Hello\r\n\r\nFrom a client of my own.\r\n")
}
