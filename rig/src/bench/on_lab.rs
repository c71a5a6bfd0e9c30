//! An adapter on a real board of the lab: the board's instruments, wired into the same world as an adapter in process. What
//! they see goes into the same log in the same words. An instrument that the bench has not makes a story *unsupported*, one
//! that breaks an *infra-error* ([`Trouble`]).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealfax_client::seam::{Clock as _, Network};
use sealfax_drivers::button::{ButtonPress, LONG_PRESS};
use sealfax_drivers::gpio::{Input, Output, Pull};
use serde_json::Value;
use tokio::task::JoinSet;

use super::board::{self, Glass, Place};
use super::journal::Journal;
use super::lab_card;
use super::on_twin::{PRESS, READY};
use super::sim::ShiftedClock;
use super::site::{POP3, SMTP, SitePlan};
use crate::events::{EventKind, EventLog, Mark};
use crate::instrument::screen::ScreenNumbers;
use crate::lab::deploy::{self, Content, Shell};
use crate::lab::file::{Board, Line};
use crate::lab::keypad::Keypad;
use crate::lab::power::Power;
use crate::lab::{LabError, chip, frames, keypad, power};
use crate::scenario::Failure;
use crate::scenario::trouble::Trouble;
use crate::twin::screen::Phrasebook;
use crate::virtual_card::Hand;

/// How long a board may take from power to a shell.
const BOOT: Duration = Duration::from_secs(120);

/// What a board is given, beside its office's plan.
#[derive(Debug, Clone)]
pub(super) struct LabPlan {
    /// The board.
    pub(super) board: Board,
    /// Tables of its adapter's configuration.
    pub(super) tables: toml::Table,
    /// Names and addresses that may come up on its screen.
    pub(super) people: Vec<(&'static str, &'static str)>,
    /// The region's clock.
    pub(super) clock: ShiftedClock,
    /// Where trouble is told.
    pub(super) trouble: Trouble,
}

/// The adapter on its board, and the instruments at it.
pub struct OnLab {
    name: String,
    plan: SitePlan,
    lab: LabPlan,
    log: EventLog,
    screens: ScreenNumbers,
    phrasebook: Arc<Phrasebook>,
    hand: Hand,
    shell: Arc<Mutex<Option<Shell>>>,
    journal: Journal,
    power: Option<Arc<Mutex<Box<dyn Power>>>>,
    button: Option<Mutex<Box<dyn Output>>>,
    keypad: Option<Arc<Mutex<Box<dyn Keypad>>>>,
    watching: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

pub(super) fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::infrastructure(format!("lab: {error}"))
}

impl OnLab {
    /// Hands the story's configuration to the board's adapter and waits until that is ready.
    pub(super) async fn start(
        plan: SitePlan,
        lab: LabPlan,
        name: &str,
        network: Arc<dyn Network>,
        log: EventLog,
        screens: ScreenNumbers,
    ) -> Result<Self, Failure> {
        if plan.ldap.is_some() {
            return Err(Failure::Unsupported("way from a board to a site's own directory".into()));
        }
        let board = &lab.board;
        let mut tasks = JoinSet::new();
        let inside = board.network.listened_at();
        let servers = board::ways_out(&mut tasks, inside, &network, &plan).await;
        let servers = servers.map_err(|error| broken(format!("the rig's side of the network, {inside}: {error}")))?;
        for (at, side) in [
            (SocketAddr::new(plan.network.ip(), SMTP), &board.network),
            (SocketAddr::new(plan.towards_terminal.ip(), SMTP), &board.terminal),
            (SocketAddr::new(plan.towards_terminal.ip(), POP3), &board.terminal),
        ] {
            let to = SocketAddr::new(side.reached_at(), at.port());
            board::door(&mut tasks, at, to).await.map_err(broken)?;
        }
        let line = |line: &Option<Line>| line.as_ref().map(sense).transpose().map_err(broken);
        let (lamp, buzzer) = (line(&board.lamp)?, line(&board.buzzer)?);
        for (input, told) in [(lamp, board::lamp as fn(&EventLog, &str, bool)), (buzzer, board::buzzer)] {
            let Some((input, active_low)) = input else { continue };
            let (log, name, trouble) = (log.clone(), name.to_owned(), lab.trouble.clone());
            tasks.spawn(follow(input, active_low, move |active| told(&log, &name, active), trouble));
        }
        let button = board
            .button
            .as_ref()
            .map(|line| Ok(chip(line)?.output(line.line, line.active_low, "sealfax-rig button")?));
        let button = button.transpose().map_err(|error: LabError| broken(error))?;
        let keypad = board.keypad.as_ref().map(keypad::open).transpose().map_err(broken)?;
        let power = board.power.as_ref().map(power::open).transpose().map_err(broken)?;

        let shell = Arc::new(Mutex::new(None));
        let hand = lab_card::hand(board, &lab.trouble, &shell)?;
        hand.observe(board::card(&log, name));
        let journal = Journal::listen(board, name, &plan.folder, &log, &lab.trouble).map_err(broken)?;
        let phrasebook = Arc::new(Phrasebook::of(&lab.people, plan.language));
        let mut on = Self {
            name: name.to_owned(),
            plan,
            lab,
            log,
            screens,
            phrasebook,
            hand,
            shell,
            journal,
            power: power.map(|power| Arc::new(Mutex::new(power))),
            button: button.map(Mutex::new),
            keypad: keypad.map(|keypad| Arc::new(Mutex::new(keypad))),
            watching: Arc::new(AtomicBool::new(true)),
            _tasks: tasks,
        };
        on.deploy(&servers).await?;
        Ok(on)
    }

    async fn deploy(&mut self, servers: &[u16]) -> Result<(), Failure> {
        self.watch_screen();
        lab_card::connect(self.lab.board.card.as_ref(), &self.hand).await?;
        let board = self.lab.board.clone();
        let place = Place {
            network: board.network.address,
            terminal: board.terminal.address,
            rig: board.network.rig,
            servers,
            folder: &board.deploy.folder,
            state: &board.deploy.state,
        };
        let mut configuration = board::configuration(&self.plan, &self.name, &place);
        let tables = serde_json::to_value(&self.lab.tables).map_err(broken)?;
        board::merge(&mut configuration, if tables.is_null() { Value::Object(Default::default()) } else { tables });
        let mut files = Vec::new();
        for (name, from) in board::files(&self.plan) {
            files.push((name, std::fs::read(from).map_err(broken)?));
        }
        let configuration = toml::to_string(&configuration).map_err(broken)?;
        let content = Content { configuration, files, now: self.lab.clock.now() };
        let (of, news) = (board.clone(), self.journal.news());
        self.in_shell(move |shell| {
            deploy::identify(shell, &of)?;
            let time = deploy::deploy(shell, &of.deploy, &content)?;
            news.lock().unwrap_or_else(PoisonError::into_inner).after(time);
            Ok(())
        })
        .await?;
        let mark = self.log.mark();
        self.in_shell(move |shell| deploy::start(shell, &board.deploy)).await?;
        self.wait_ready(mark).await
    }

    /// The adapter has said that it is ready.
    async fn wait_ready(&self, mark: Mark) -> Result<(), Failure> {
        let what = format!("{} is ready on its board", self.name);
        let ready = self.log.wait_after(mark, &what, READY, |event| {
            event.host == self.name && matches!(&event.kind, EventKind::Step { ids } if ids.contains(&"T3"))
        });
        ready.await.map(drop).map_err(|error| {
            let last = self.journal.last_words();
            broken(format!("{error}; the last words of console and journal: {last}"))
        })
    }

    /// The hand at the slot.
    pub(super) fn hand(&self) -> Hand {
        self.hand.clone()
    }

    /// The supply is switched off, and stays so until it is empty.
    pub(super) async fn power_cut(&mut self) {
        self.watching.store(false, Ordering::Relaxed);
        *self.shell.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if self.switch(false).await {
            let seconds = self.lab.board.power.as_ref().map_or(0.0, |power| power.off_seconds);
            tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 600.0))).await;
        }
    }

    /// The board starts from its own disk as it is.
    pub(super) async fn power_on(&mut self) -> Result<(), Failure> {
        let mark = self.log.mark();
        // A board without a battery may think that it is earlier than it was.
        self.journal.news().lock().unwrap_or_else(PoisonError::into_inner).ever();
        if !self.switch(true).await {
            return Err(self.lab.trouble.seen().unwrap_or_else(|| broken("the power does not come back")));
        }
        self.watching = Arc::new(AtomicBool::new(true));
        self.watch_screen();
        lab_card::connect(self.lab.board.card.as_ref(), &self.hand).await?;
        self.wait_ready(mark).await
    }

    async fn switch(&self, on: bool) -> bool {
        let Some(power) = self.power.clone() else {
            self.lab.trouble.lacks(format!("power relay at the board of {}", self.name));
            return false;
        };
        let switching = tokio::task::spawn_blocking(move || {
            power.lock().unwrap_or_else(PoisonError::into_inner).set(on).map_err(|error| error.to_string())
        });
        match switching.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => true,
            Err(why) => {
                self.lab.trouble.broke(format!("lab: the power: {why}"));
                false
            }
        }
    }

    /// Does something in the board's shell, which is opened when it is needed: a board that boots has none yet.
    async fn in_shell<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shell) -> Result<T, LabError> + Send + 'static,
    ) -> Result<T, Failure> {
        let (shell, wire) = (self.shell.clone(), self.lab.board.shell.clone());
        let runtime = tokio::runtime::Handle::current();
        let working = tokio::task::spawn_blocking(move || {
            let _inside = runtime.enter();
            let mut shell = shell.lock().unwrap_or_else(PoisonError::into_inner);
            let late = std::time::Instant::now() + BOOT;
            while shell.is_none() {
                match Shell::open(&wire) {
                    Ok(opened) => *shell = Some(opened),
                    Err(error) if std::time::Instant::now() > late => return Err(error),
                    Err(_) => std::thread::sleep(Duration::from_millis(500)),
                }
            }
            let shell = shell.as_ref().ok_or_else(|| LabError::instrument("the shell", "it is not open"))?;
            work(shell)
        });
        working.await.map_err(broken)?.map_err(broken)
    }

    fn watch_screen(&self) {
        let Some(screen) = &self.lab.board.screen else { return };
        let glass = Glass {
            log: self.log.clone(),
            name: self.name.clone(),
            screens: self.screens.clone(),
            phrasebook: self.phrasebook.clone(),
            folder: self.plan.keep_pictures.then(|| self.plan.folder.clone()),
        };
        let (trouble, watching) = (self.lab.trouble.clone(), self.watching.clone());
        let seen = move |marker, frame: sealfax_drivers::display::Frame| glass.shows(marker, &|| Some(frame.clone()));
        frames::watch(screen, watching, seen, move |error| trouble.broke(format!("lab: {error}")));
    }

    /// A card is about to come: there must be a reader for it.
    pub(super) fn before_a_card(&self) {
        if self.lab.board.card.is_none() {
            self.lab.trouble.lacks(format!("card for the reader of {}", self.name));
        }
    }

    /// The board's clock follows the region's, which a story has moved.
    pub(super) fn set_clock(&self) {
        let shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        let set = shell.as_ref().map(|shell| lab_card::waiting(|| deploy::set_clock(shell, self.lab.clock.now())));
        if let Some(Err(error)) = set {
            self.lab.trouble.broke(format!("lab: the clock of {}: {error}", self.name));
        }
    }

    /// Types a PIN and Enter. The log says that keys were pressed, never which.
    pub(super) async fn type_pin(&self, who: &str, pin: &str) {
        self.log.person(who, "types the PIN");
        let Some(keypad) = self.keypad.clone() else {
            return self.lab.trouble.lacks(format!("PIN pad at the board of {}", self.name));
        };
        let (who, pin) = (who.to_owned(), pin.to_owned());
        let typing = tokio::task::spawn_blocking(move || {
            keypad
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .type_pin(&who, &pin)
                .map_err(|error| error.to_string())
        });
        if let Err(why) = typing.await.unwrap_or_else(|error| Err(error.to_string())) {
            self.lab.trouble.broke(format!("lab: {why}"));
        }
    }

    /// Presses the button, or holds it.
    pub(super) async fn press_button(&self, who: &str, press: ButtonPress) {
        let (how, down) = match press {
            ButtonPress::Short => ("presses the button", PRESS),
            ButtonPress::Long => ("holds the button", LONG_PRESS + PRESS),
        };
        self.log.person(who, how);
        let (Some(button), Some(line)) = (&self.button, &self.lab.board.button) else {
            return self.lab.trouble.lacks(format!("way to press the button of {}", self.name));
        };
        for (pressed, time) in [(true, down), (false, PRESS)] {
            let set = button.lock().unwrap_or_else(PoisonError::into_inner).set(pressed != line.active_low);
            if let Err(error) = set {
                return self.lab.trouble.broke(format!("lab: the button of {}: {error}", self.name));
            }
            tokio::time::sleep(time).await;
        }
    }
}

impl Drop for OnLab {
    fn drop(&mut self) {
        self.watching.store(false, Ordering::Relaxed);
        // The board goes on; the next story finds its slot empty.
        let _ = self.hand.remove();
    }
}

/// A sense line, and whether it is active at low.
fn sense(line: &Line) -> Result<(Box<dyn Input>, bool), LabError> {
    // What senses has a resistor of its own.
    Ok((chip(line)?.input(line.line, Pull::Off, "sealfax-rig sense")?, line.active_low))
}

/// Tells every change of a line, which is inactive at first.
async fn follow(mut input: Box<dyn Input>, active_low: bool, told: impl Fn(bool), trouble: Trouble) {
    let mut was = false;
    loop {
        let outcome = match input.high() {
            Ok(high) => {
                let active = high != active_low;
                if active != was {
                    was = active;
                    told(active);
                }
                input.changed().await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            return trouble.broke(format!("lab: a sense line: {error}"));
        }
    }
}
