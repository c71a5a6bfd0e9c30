//! `diagnose --watch`: the checks as a live screen in the terminal, the chosen one's evidence, cause and next action
//! beneath. [`View`] is what is known and chosen, [`draw`] puts it on any backend of ratatui, [`run`] joins both to a
//! terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table, TableState, Wrap};
use sealfax_drivers::display::Language;
use tokio::sync::{mpsc, watch};

use super::area::Area;
use super::engine::{Progress, examine};
use super::facts::Facts;
use super::report::{Check, Health, Report, State, rfc3339};
use super::text::{explanation, mark, summary};

/// From the end of one round to the beginning of the next.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a key may wait.
const GLANCE: Duration = Duration::from_millis(100);

/// What a round tells the screen.
#[derive(Debug)]
enum News {
    Begun(Area),
    Done(Box<Check>),
    Round(Box<Report>),
}

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The end.
    Quit,
    /// Another round at once.
    Again,
}

/// What is on the screen.
#[derive(Debug, Clone)]
pub struct View {
    language: Language,
    checks: Vec<(Area, Option<Check>)>,
    running: Option<Area>,
    chosen: usize,
    report: Option<Report>,
}

impl View {
    /// Nothing is known yet.
    pub fn new(language: Language) -> Self {
        let checks = Area::ALL.into_iter().map(|area| (area, None)).collect();
        Self { language, checks, running: None, chosen: 0, report: None }
    }

    /// This area is being looked at.
    pub fn begun(&mut self, area: Area) {
        self.running = Some(area);
    }

    /// A check is done.
    pub fn done(&mut self, check: Check) {
        if let Some((_, place)) = self.checks.iter_mut().find(|(area, _)| *area == check.area) {
            *place = Some(check);
        }
    }

    /// A round is done.
    pub fn round(&mut self, report: Report) {
        self.running = None;
        self.report = Some(report);
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyCode) -> Option<Wish> {
        let last = self.checks.len().saturating_sub(1);
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Wish::Quit),
            KeyCode::Char('r') => return Some(Wish::Again),
            KeyCode::Up | KeyCode::Char('k') => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.chosen = (self.chosen + 1).min(last),
            KeyCode::Home => self.chosen = 0,
            KeyCode::End => self.chosen = last,
            // To the next thing that is wrong.
            KeyCode::Tab => {
                let wrong = |(_, check): &(Area, Option<Check>)| {
                    check.as_ref().is_some_and(|check| !check.judgement.findings.is_empty())
                };
                let places = (self.chosen + 1..=last).chain(0..=self.chosen);
                let next = places.into_iter().find(|place| self.checks.get(*place).is_some_and(wrong));
                self.chosen = next.unwrap_or(self.chosen);
            }
            _ => {}
        }
        None
    }

    /// How things were in the last whole round.
    pub fn health(&self) -> Health {
        self.report.as_ref().map_or(Health::Healthy, Report::health)
    }

    fn say(&self, ja: &'static str, en: &'static str) -> &'static str {
        match self.language {
            Language::Japanese => ja,
            Language::English => en,
        }
    }
}

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let rows = u16::try_from(view.checks.len()).unwrap_or(u16::MAX);
    let [head, list, detail, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rows.saturating_add(2)),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let last = view.report.as_ref().map_or_else(
        || view.say("最初の点検中です", "the first round is under way").to_owned(),
        |report| format!("{}  {}", rfc3339(report.at), super::text::ending(report, view.language)),
    );
    let title = format!("{}  {last}", view.say("Sealfax 点検", "Sealfax diagnosis"));
    frame.render_widget(Paragraph::new(Line::styled(title, bold)), head);

    let lines = view.checks.iter().map(|(area, check)| row(*area, check.as_ref(), view));
    let widths = [Constraint::Length(2), Constraint::Length(9), Constraint::Length(24), Constraint::Min(20)];
    let table = Table::new(lines, widths)
        .block(Block::bordered())
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol("> ");
    let mut state = TableState::new().with_selected(view.chosen);
    frame.render_stateful_widget(table, list, &mut state);

    let text = view.checks.get(view.chosen).and_then(|(_, check)| check.as_ref()).map(|check| details(check, view));
    let about = view.checks.get(view.chosen).map_or("", |(area, _)| area.title().in_language(view.language));
    let paragraph =
        Paragraph::new(text.unwrap_or_default()).block(Block::bordered().title(about)).wrap(Wrap { trim: false });
    frame.render_widget(paragraph, detail);
    let keys = view
        .say("q 終了   ↑↓ 選択   Tab 次の異常   r もう一度", "q quit   up/down choose   Tab next finding   r again");
    frame.render_widget(Paragraph::new(keys), foot);
}

fn row<'a>(area: Area, check: Option<&Check>, view: &View) -> Row<'a> {
    let running = view.running == Some(area);
    let (sign, word, rest, style) = match check {
        None if running => ("»", view.say("点検中", "running"), String::new(), Style::new()),
        None => (" ", "", String::new(), Style::new()),
        Some(check) => {
            let (sign, word) = mark(check);
            let style = match check.judgement.state {
                State::Failed => Style::new().fg(Color::Red),
                State::Ok if check.warns() => Style::new().fg(Color::Yellow),
                State::Ok => Style::new().fg(Color::Green),
                _ => Style::new().fg(Color::DarkGray),
            };
            let sign = if running { "»" } else { sign };
            (sign, word.in_language(view.language), summary(check, view.language), style)
        }
    };
    let title = area.title().in_language(view.language);
    Row::new([Cell::new(sign).style(style), Cell::new(word).style(style), Cell::new(title), Cell::new(rest)])
}

fn details(check: &Check, view: &View) -> Text<'static> {
    let mut lines: Vec<Line<'static>> = explanation(check, view.language).into_iter().map(Line::from).collect();
    lines.extend(check.judgement.evidence.iter().map(|one| Line::from(format!("{}: {}", one.name, one.value))));
    Text::from(lines)
}

/// Shows it until the person has enough; how things were in the last whole round.
pub async fn run(mut facts: Box<dyn Facts>, language: Language) -> std::io::Result<Health> {
    if !std::io::stdout().is_terminal() {
        return Err(std::io::Error::other("standard output is not a terminal; leave --watch out"));
    }
    let (news, heard) = mpsc::unbounded_channel();
    let (again, mut asked) = watch::channel(());
    let rounds = tokio::spawn(async move {
        loop {
            let told = |progress: Progress<'_>| {
                let _ = news.send(match progress {
                    Progress::Begun(area) => News::Begun(area),
                    Progress::Done(check) => News::Done(Box::new(check.clone())),
                });
            };
            let (report, _) = examine(facts.as_mut(), &Area::ALL, told).await;
            if news.send(News::Round(Box::new(report))).is_err() {
                return;
            }
            let _ = tokio::time::timeout(PAUSE, asked.changed()).await;
        }
    });
    // Reading keys blocks.
    let screen = tokio::task::spawn_blocking(move || show(View::new(language), heard, &again)).await;
    rounds.abort();
    screen.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn show(
    mut view: View,
    mut heard: mpsc::UnboundedReceiver<News>,
    again: &watch::Sender<()>,
) -> std::io::Result<Health> {
    let mut terminal = ratatui::try_init()?;
    let ended = follow(&mut terminal, &mut view, &mut heard, again);
    ratatui::try_restore()?;
    ended.map(|()| view.health())
}

/// Draws and listens until the person has enough.
fn follow(
    terminal: &mut ratatui::DefaultTerminal,
    view: &mut View,
    heard: &mut mpsc::UnboundedReceiver<News>,
    again: &watch::Sender<()>,
) -> std::io::Result<()> {
    loop {
        while let Ok(news) = heard.try_recv() {
            match news {
                News::Begun(area) => view.begun(area),
                News::Done(check) => view.done(*check),
                News::Round(report) => view.round(*report),
            }
        }
        terminal.draw(|frame| draw(frame, view))?;
        if !event::poll(GLANCE)? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        // Raw mode takes the terminal's own interrupt away.
        let interrupted = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match view.key(key.code) {
            Some(Wish::Quit) => return Ok(()),
            _ if interrupted => return Ok(()),
            Some(Wish::Again) => {
                again.send_replace(());
            }
            None => {}
        }
    }
}
