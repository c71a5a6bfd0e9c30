//! The one event log of a run: everything that happens, on one clock, in order (DESIGN.md, "One scenario suite").
//!
//! People, terminals, adapters, servers and the wires between them all write here; the live printer, the reports, the
//! waveforms and the expectations of the scenarios all read from here. Nothing else is evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sealfax_client::seam::{Journal, Record, RecordKind};
use sealfax_drivers::display::ScreenKind;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

/// Most events one log holds; later ones are counted and dropped.
pub const MOST_EVENTS: usize = 500_000;
/// Most octets of text one event holds; the rest is cut and marked with "…".
pub const LONGEST_TEXT: usize = 4096;

/// To which strip of the timeline an event belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lane {
    /// What a person does.
    Person,
    /// The fax machine.
    Terminal,
    /// The adapter's own journal.
    Adapter,
    /// The indicator lamp's line.
    Lamp,
    /// The buzzer's line.
    Buzzer,
    /// The display.
    Screen,
    /// The card and its reader.
    Card,
    /// Mail on its way.
    Smtp,
    /// Mail being fetched.
    Pop3,
    /// Certificates, validity, history.
    Http,
    /// Names.
    Dns,
    /// A mail or certificate server's journal.
    Server,
    /// The history server's journal.
    History,
}

impl Lane {
    /// Every lane, in the order in which a report shows them.
    pub const ALL: [Self; 13] = [
        Self::Person,
        Self::Terminal,
        Self::Screen,
        Self::Lamp,
        Self::Buzzer,
        Self::Card,
        Self::Adapter,
        Self::Server,
        Self::History,
        Self::Smtp,
        Self::Pop3,
        Self::Http,
        Self::Dns,
    ];

    /// The lane's name for people and for file formats.
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Terminal => "terminal",
            Self::Adapter => "adapter",
            Self::Lamp => "lamp",
            Self::Buzzer => "buzzer",
            Self::Screen => "screen",
            Self::Card => "card",
            Self::Smtp => "smtp",
            Self::Pop3 => "pop3",
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Server => "server",
            Self::History => "history",
        }
    }

    /// The lane of a journal's host, by its name: "adapter-a" is an adapter, "mail-hq" a server.
    pub fn of_host(host: &str) -> Self {
        let kind = host.split(['-', '.', ' ']).next().unwrap_or(host);
        match kind {
            "adapter" => Self::Adapter,
            "terminal" | "fax" => Self::Terminal,
            "history" => Self::History,
            "dns" => Self::Dns,
            "card" => Self::Card,
            _ => Self::Server,
        }
    }
}

/// Which way octets go on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the host that opened the connection.
    ToServer,
    /// From the host that listens.
    ToClient,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// Numbered steps or other requirements were carried out.
    Step {
        /// Requirement identifiers.
        ids: Vec<&'static str>,
    },
    /// Something an administrator should look at.
    Security {
        /// Its stable code.
        code: &'static str,
    },
    /// Something failed that should have worked.
    Failure {
        /// Its stable code.
        code: &'static str,
    },
    /// Anything else worth a line.
    Note,
    /// A person did something.
    Action,
    /// A line of a text protocol (secrets redacted), or a summary of octets that are not lines.
    Wire {
        /// The connection's number in the capture.
        connection: u32,
        /// Which way.
        direction: Direction,
        /// Who wrote it, by name.
        from: String,
        /// Who read it, by name.
        to: String,
        /// How many octets this line or summary stands for.
        octets: u64,
    },
    /// The display shows something else.
    Screen {
        /// The bare state.
        #[serde(serialize_with = "screen_kind")]
        screen: ScreenKind,
        /// The words a person reads, in the order in which they stand.
        words: Vec<String>,
        /// The picture, relative to the run's folder; `None` when pictures are not kept.
        png: Option<String>,
    },
    /// An output line changed.
    Level {
        /// Its new level.
        lit: bool,
    },
    /// The buzzer changed.
    Tone {
        /// The pitch, 0 where only on and off can be sensed; `None` is silence.
        hertz: Option<u16>,
    },
    /// The card answered a command (redacted in the transport).
    Apdu {
        /// The command, redacted.
        command: String,
        /// SW1 SW2.
        status: u16,
    },
    /// A file of the run's folder was written.
    Artefact {
        /// Relative to the run's folder.
        path: String,
    },
}

fn screen_kind<S: serde::Serializer>(kind: &ScreenKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{kind:?}"))
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Since the log began.
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
    /// The strip of the timeline.
    pub lane: Lane,
    /// Where it happened: "adapter-a", "Hanako".
    pub host: String,
    /// One line for a person, control characters escaped.
    pub text: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

fn seconds<S: serde::Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_secs_f64())
}

/// A place in the log: what happens later is after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// Something awaited did not happen in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {:.3} s in vain for: {what}", waited.as_secs_f64())]
pub struct TimedOut {
    /// What was awaited, in words.
    pub what: String,
    /// How long.
    pub waited: Duration,
}

type Subscriber = Box<dyn Fn(&Event) + Send + Sync>;

#[derive(Default)]
struct State {
    events: Vec<Event>,
    dropped: u64,
    waiting: BTreeMap<u64, String>,
    tickets: u64,
    subscribers: Vec<Subscriber>,
}

struct Inner {
    start: Instant,
    wall: SystemTime,
    state: Mutex<State>,
    length: watch::Sender<usize>,
}

/// A handle on the one log of a run. Cheap to clone, safe from any thread.
#[derive(Clone)]
pub struct EventLog(Arc<Inner>);

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventLog({} events)", self.len())
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new()
    }
}

impl EventLog {
    /// An empty log whose clock starts now. Inside a runtime whose time is paused, its time is that runtime's.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            start: Instant::now(),
            wall: SystemTime::now(),
            state: Mutex::default(),
            length: watch::Sender::new(0),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of some other writer must not take the evidence with it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wall clock at the log's beginning.
    pub fn started(&self) -> SystemTime {
        self.0.wall
    }

    /// Since the log's beginning.
    pub fn elapsed(&self) -> Duration {
        self.0.start.elapsed()
    }

    /// Writes one event down, now.
    pub fn write(&self, lane: Lane, host: &str, kind: EventKind, text: impl AsRef<str>) {
        let text = bounded(text.as_ref());
        let mut state = self.state();
        if state.events.len() >= MOST_EVENTS {
            state.dropped = state.dropped.saturating_add(1);
            return;
        }
        // The time is taken under the lock, so that order and time agree.
        let event = Event { at: self.elapsed(), lane, host: host.to_owned(), text, kind };
        for subscriber in &state.subscribers {
            subscriber(&event);
        }
        state.events.push(event);
        let length = state.events.len();
        drop(state);
        self.0.length.send_replace(length);
    }

    /// A person did something: `log.person("Hanako", "inserts her card")`.
    pub fn person(&self, who: &str, text: impl AsRef<str>) {
        self.write(Lane::Person, who, EventKind::Action, text);
    }

    /// Steps were carried out at a host whose lane follows from its name.
    pub fn step(&self, host: &str, ids: &[&'static str], text: impl AsRef<str>) {
        let kind = EventKind::Step { ids: ids.to_vec() };
        self.write(Lane::of_host(host), host, kind, text);
    }

    /// A note at a host whose lane follows from its name.
    pub fn note(&self, host: &str, text: impl AsRef<str>) {
        self.write(Lane::of_host(host), host, EventKind::Note, text);
    }

    /// A file of the run's folder (path relative to it) was written.
    pub fn artefact(&self, host: &str, path: &str, text: impl AsRef<str>) {
        let kind = EventKind::Artefact { path: path.to_owned() };
        self.write(Lane::of_host(host), host, kind, text);
    }

    /// Calls `subscriber` with each later event, in order, under the log's lock: it must be quick and must not use
    /// the log.
    pub fn subscribe(&self, subscriber: impl Fn(&Event) + Send + Sync + 'static) {
        self.state().subscribers.push(Box::new(subscriber));
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.state().events.len()
    }

    /// Whether nothing happened yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events were dropped beyond [`MOST_EVENTS`].
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }

    /// The events after `mark`.
    pub fn since(&self, mark: Mark) -> Vec<Event> {
        self.state().events.iter().skip(mark.0).cloned().collect()
    }

    /// This place in the log.
    pub fn mark(&self) -> Mark {
        Mark(self.len())
    }

    /// The place just before the last event that satisfies `predicate`; the beginning if there is none.
    pub fn mark_before_last(&self, predicate: impl FnMut(&Event) -> bool) -> Mark {
        Mark(self.state().events.iter().rposition(predicate).unwrap_or(0))
    }

    /// The place before the first event.
    pub fn beginning() -> Mark {
        Mark(0)
    }

    /// The first event after `mark` that satisfies `predicate`, if it happened already.
    pub fn find(&self, mark: Mark, predicate: impl FnMut(&&Event) -> bool) -> Option<Event> {
        self.state().events.iter().skip(mark.0).find(predicate).cloned()
    }

    /// The last event that satisfies `predicate`.
    pub fn last(&self, predicate: impl FnMut(&&Event) -> bool) -> Option<Event> {
        self.state().events.iter().rev().find(predicate).cloned()
    }

    /// The numbered steps carried out, in order: time, host, identifiers, text.
    pub fn steps(&self) -> Vec<Event> {
        let state = self.state();
        let steps = state.events.iter().filter(|event| matches!(event.kind, EventKind::Step { .. }));
        steps.cloned().collect()
    }

    /// Every requirement identifier that a step carried.
    pub fn exercised(&self) -> BTreeSet<&'static str> {
        exercised(&self.state().events)
    }

    /// Waits for the first event, past or to come, that satisfies `predicate`. `what` says in words what is awaited:
    /// it is the text of the failure. `deadline` counts from this call.
    pub async fn wait_for(
        &self,
        what: &str,
        deadline: Duration,
        predicate: impl FnMut(&Event) -> bool,
    ) -> Result<Event, TimedOut> {
        self.wait_after(Self::beginning(), what, deadline, predicate).await
    }

    /// Like [`EventLog::wait_for`], of the events after `mark` only.
    pub async fn wait_after(
        &self,
        mark: Mark,
        what: &str,
        deadline: Duration,
        mut predicate: impl FnMut(&Event) -> bool,
    ) -> Result<Event, TimedOut> {
        let _waiting = Waiting::new(self, what);
        let mut length = self.0.length.subscribe();
        let mut seen = mark.0;
        let awaited = async {
            loop {
                length.borrow_and_update();
                {
                    let state = self.state();
                    let new = state.events.get(seen..).unwrap_or_default();
                    if let Some(event) = new.iter().find(|event| predicate(event)) {
                        return event.clone();
                    }
                    seen = seen.max(state.events.len());
                }
                // The sender lives in `self`, so this cannot fail; were it to, the deadline still ends the wait.
                if length.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(deadline, awaited).await.map_err(|_| TimedOut { what: what.to_owned(), waited: deadline })
    }

    /// What is being waited for at this moment, in words: why a run that hangs hangs.
    pub fn waiting_for(&self) -> Vec<String> {
        self.state().waiting.values().cloned().collect()
    }
}

/// Every requirement identifier that a step of `events` carried.
pub fn exercised(events: &[Event]) -> BTreeSet<&'static str> {
    let ids = events.iter().filter_map(|event| match &event.kind {
        EventKind::Step { ids } => Some(ids.iter().copied()),
        _ => None,
    });
    ids.flatten().collect()
}

/// Keeps the words of a wait in the log while the wait lasts, however it ends.
struct Waiting<'a> {
    log: &'a EventLog,
    ticket: u64,
}

impl<'a> Waiting<'a> {
    fn new(log: &'a EventLog, what: &str) -> Self {
        let mut state = log.state();
        state.tickets += 1;
        let ticket = state.tickets;
        state.waiting.insert(ticket, what.to_owned());
        drop(state);
        Self { log, ticket }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.log.state().waiting.remove(&self.ticket);
    }
}

/// One line of at most [`LONGEST_TEXT`] octets, control characters made visible.
fn bounded(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LONGEST_TEXT));
    for character in text.chars() {
        if line.len() + character.len_utf8() > LONGEST_TEXT {
            line.push('…');
            break;
        }
        match character {
            '\t' => line.push(' '),
            control if control.is_control() => line.extend(control.escape_default()),
            other => line.push(other),
        }
    }
    line
}

/// The journal seam of a program under test, as a writer into the log. Hosts find their lane by name unless one was
/// given with [`HostJournal::with`].
#[derive(Debug, Clone)]
pub struct HostJournal {
    log: EventLog,
    lanes: BTreeMap<String, Lane>,
}

impl HostJournal {
    /// A journal over `log`.
    pub fn new(log: EventLog) -> Self {
        Self { log, lanes: BTreeMap::new() }
    }

    /// Puts the records of `host` into `lane`, whatever its name.
    #[must_use]
    pub fn with(mut self, host: &str, lane: Lane) -> Self {
        self.lanes.insert(host.to_owned(), lane);
        self
    }
}

impl Journal for HostJournal {
    fn record(&self, record: Record) {
        let lane = self.lanes.get(&record.host).copied().unwrap_or_else(|| Lane::of_host(&record.host));
        let code = record.ids.first().copied().unwrap_or("?");
        let kind = match record.kind {
            RecordKind::Step => EventKind::Step { ids: record.ids },
            RecordKind::Security => EventKind::Security { code },
            RecordKind::Failure => EventKind::Failure { code },
            _ => EventKind::Note,
        };
        self.log.write(lane, &record.host, kind, record.text);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_journal_finds_the_lane_and_keeps_the_steps() {
        let log = EventLog::new();
        let journal: Arc<dyn Journal> = Arc::new(HostJournal::new(log.clone()).with("odd", Lane::History));
        journal.step("adapter-a", &["ST605", "ST606"], "destination hanako@b.example");
        journal.security("mail-a", "SMTP-004", "bare LF");
        journal.note("odd", "hello");
        let events = log.events();
        assert_eq!(
            events.iter().map(|event| event.lane).collect::<Vec<_>>(),
            [Lane::Adapter, Lane::Server, Lane::History]
        );
        assert_eq!(log.exercised().into_iter().collect::<Vec<_>>(), ["ST605", "ST606"]);
        assert_eq!(log.steps().len(), 1);
        assert_eq!(events[1].kind, EventKind::Security { code: "SMTP-004" });
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_event_and_not_before() {
        let log = EventLog::new();
        let writer = log.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            writer.person("Hanako", "inserts her card");
        });
        let event = log.wait_for("the card", Duration::from_secs(5), |event| event.lane == Lane::Person).await.unwrap();
        assert_eq!(event.at, Duration::from_secs(3));
        task.await.unwrap();
        // What happened before the mark does not count.
        let mark = log.mark();
        let late = log.wait_after(mark, "another card", Duration::from_secs(5), |_| true).await;
        assert_eq!(late.unwrap_err().to_string(), "waited 5.000 s in vain for: another card");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_wait_says_what_it_hangs_on() {
        let log = EventLog::new();
        let waiter = log.clone();
        let task = tokio::spawn(async move {
            let _ = waiter.wait_for("the lamp of office B", Duration::from_secs(60), |_| false).await;
        });
        tokio::task::yield_now().await;
        assert_eq!(log.waiting_for(), ["the lamp of office B"]);
        task.abort();
        let _ = task.await;
        assert!(log.waiting_for().is_empty());
    }

    #[test]
    fn text_is_one_bounded_line() {
        let log = EventLog::new();
        log.note("mail-a", "a\r\nb\u{1b}[31m");
        log.note("mail-a", "語".repeat(LONGEST_TEXT));
        let events = log.events();
        assert_eq!(events[0].text, "a\\r\\nb\\u{1b}[31m");
        assert!(events[1].text.len() <= LONGEST_TEXT + '…'.len_utf8());
        assert!(events[1].text.ends_with('…'));
    }

    #[test]
    fn a_subscriber_sees_each_event_in_order() {
        let log = EventLog::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        log.subscribe(move |event| sink.lock().unwrap().push(event.text.clone()));
        for number in 0..3 {
            log.note("mail-a", number.to_string());
        }
        assert_eq!(*seen.lock().unwrap(), ["0", "1", "2"]);
    }
}
