//! `cargo rig up`: a bench at work. Offices, servers and fax machines run until they are told to end; a person works there
//! in the terminal, a program through lines, and real clients join by the addresses that are printed.

pub mod action;
pub mod screen;
pub mod world;

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use self::action::Action;
use self::screen::{Desk, Wish};
use self::world::{View, World};
use crate::endpoint::scanner;
use crate::events::EventLog;
use crate::scenario::{Bench, BenchKind, Failure};

/// How often the live screen looks around.
const GLANCE: Duration = Duration::from_millis(100);

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The offices, by letter.
    pub offices: Vec<char>,
    /// What the fax machines send; a built-in letter without it.
    pub document: Option<PathBuf>,
    /// Where pictures of the screens, pages and certificates go.
    pub out: PathBuf,
    /// Everything random follows from it.
    pub seed: u64,
    /// Lines to be done, from a file or from standard input ("-"), instead of the live screen.
    pub script: Option<PathBuf>,
    /// What came of each line as JSON on standard output.
    pub json: bool,
}

/// Runs it to its end; whether everything that was asked for was done.
pub async fn run(options: &Options) -> Result<bool, Failure> {
    if options.script.is_none() && !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Err(Failure::infrastructure(
            "the live screen needs a terminal; without one say --script FILE, or --script -",
        ));
    }
    let pages = scanner::scan(options.document.as_deref()).map_err(Failure::infrastructure)?;
    let folder = |error: std::io::Error| Failure::infrastructure(format!("{}: {error}", options.out.display()));
    std::fs::create_dir_all(&options.out).map_err(folder)?;
    let bench = Bench::new(BenchKind::Sim, options.seed, options.out.clone(), EventLog::new());
    let world = World::start(&bench, &options.offices, pages).await?;
    let invitation = world.invitation(&options.out.join("join")).await?;
    eprintln!("{invitation}");
    match &options.script {
        None => live(world, invitation).await.map(|()| true),
        Some(path) if path == Path::new("-") => script(&world, std::io::stdin(), options.json).await,
        Some(path) => {
            let file = std::fs::File::open(path);
            let file = file.map_err(|error| Failure::infrastructure(format!("{}: {error}", path.display())))?;
            script(&world, file, options.json).await
        }
    }
}

/// Does one line after the other; ends with the last, or at `quit`.
async fn script(world: &World, lines: impl Read + Send + 'static, json: bool) -> Result<bool, Failure> {
    let (mut lines, mut good) = (read(lines), true);
    while let Some(line) = lines.recv().await {
        let line = line.map_err(Failure::infrastructure)?;
        let (action, outcome) = match action::parse(&line) {
            Ok(None) => continue,
            Ok(Some(action)) => (Some(action.clone()), world.act(action).await),
            Err(advice) => (None, Err(advice)),
        };
        good &= outcome.is_ok();
        let (mark, text) = outcome.as_ref().map_or_else(|error| ("✗", error), |text| ("✓", text));
        eprintln!("{mark} {line}: {text}");
        if json {
            let row = serde_json::json!({"schema": 1, "action": line, "ok": outcome.is_ok(), "text": text});
            // A reader that is gone is no failure of ours.
            let _ = writeln!(std::io::stdout(), "{row}");
        }
        if action == Some(Action::Quit) {
            break;
        }
    }
    Ok(good)
}

/// Lines come when somebody writes them: a thread waits for them.
fn read(lines: impl Read + Send + 'static) -> mpsc::Receiver<std::io::Result<String>> {
    let (told, read) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(lines).lines() {
            if told.blocking_send(line).is_err() {
                return;
            }
        }
    });
    read
}

/// The live screen. The terminal is as before afterwards, also after a panic.
async fn live(world: World, invitation: String) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init().map_err(Failure::infrastructure)?;
    let (told, mut answers) = mpsc::unbounded_channel();
    let mut desk = Desk::new(invitation);
    let outcome = loop {
        let view = world.view().await;
        if let Err(error) = terminal.draw(|frame| screen::draw(frame, &desk, &view)) {
            break Err(Failure::infrastructure(error));
        }
        while let Ok(answer) = answers.try_recv() {
            desk.answer = Some(answer);
        }
        match keys(&mut desk, &view).await {
            Ok(None) => {}
            Ok(Some(Wish::Quit)) => break Ok(()),
            Ok(Some(Wish::Do(line))) => match action::parse(&line) {
                Ok(None) => {}
                Ok(Some(Action::Quit)) => break Ok(()),
                Ok(Some(action)) => {
                    let (world, told) = (world.clone(), told.clone());
                    tokio::spawn(async move {
                        let (good, text) = match world.act(action).await {
                            Ok(text) => (true, text),
                            Err(why) => (false, why),
                        };
                        // Nobody to tell any more: the screen is closed.
                        let _ = told.send((good, format!("{line}: {text}")));
                    });
                }
                Err(advice) => desk.answer = Some((false, advice)),
            },
            Err(error) => break Err(Failure::infrastructure(error)),
        }
    };
    ratatui::restore();
    outcome
}

/// Waits a moment for a key.
async fn keys(desk: &mut Desk, view: &View) -> std::io::Result<Option<Wish>> {
    let key = tokio::task::spawn_blocking(|| if event::poll(GLANCE)? { event::read().map(Some) } else { Ok(None) });
    match key.await.map_err(std::io::Error::other)?? {
        Some(Event::Key(key)) if key.kind == KeyEventKind::Press => {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            if control && key.code == KeyCode::Char('c') { Ok(Some(Wish::Quit)) } else { Ok(desk.key(key.code, view)) }
        }
        _ => Ok(None),
    }
}
