//! The live screen: an office a panel, the journal beneath, the line that is being typed. [`Desk`] is what keys change,
//! [`draw`] puts it on any backend of ratatui, of any size from 60 by 20.

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::action::HELP;
use super::world::{OfficeView, View};

/// What stands in the place of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Page {
    #[default]
    Journal,
    Help,
    Join,
}

/// What is typed and chosen.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    line: String,
    /// What was done before, oldest first, and which of these is on the line now, counted from the last.
    before: Vec<String>,
    recalled: usize,
    chosen: usize,
    page: Page,
    /// How many lines the page is scrolled: the journal back from its end, the others down from their beginning.
    scrolled: usize,
    invitation: String,
    /// What came of the last line, and whether it was good.
    pub answer: Option<(bool, String)>,
}

/// What a key means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// This line is to be done.
    Do(String),
    /// The end.
    Quit,
}

/// How far the page keys scroll.
const SCROLL: usize = 5;

impl Desk {
    /// `invitation`: how others join, as it was printed at the start.
    pub fn new(invitation: String) -> Self {
        Self { invitation, ..Self::default() }
    }

    /// A key was pressed; `view` says which offices there are.
    pub fn key(&mut self, key: KeyCode, view: &View) -> Option<Wish> {
        let office = view.offices.get(self.chosen);
        match key {
            KeyCode::F(1) => self.turn(Page::Help),
            KeyCode::F(8) => self.turn(Page::Join),
            KeyCode::F(10) => return Some(Wish::Quit),
            // What is done most often at the chosen office.
            KeyCode::F(key) => return shortcut(key, office?).map(Wish::Do),
            KeyCode::Tab | KeyCode::Right => self.choose(1, view),
            KeyCode::BackTab | KeyCode::Left => self.choose(view.offices.len().max(1) - 1, view),
            KeyCode::Esc => {
                (self.page, self.scrolled, self.recalled) = (Page::Journal, 0, 0);
                self.line.clear();
            }
            KeyCode::Up => self.recall(self.recalled + 1),
            KeyCode::Down => self.recall(self.recalled.saturating_sub(1)),
            KeyCode::PageUp => self.scroll(self.page == Page::Journal),
            KeyCode::PageDown => self.scroll(self.page != Page::Journal),
            KeyCode::Backspace => drop(self.line.pop()),
            KeyCode::Enter if !self.line.trim().is_empty() => {
                let line = std::mem::take(&mut self.line);
                self.before.push(line.clone());
                self.recalled = 0;
                return Some(Wish::Do(line));
            }
            KeyCode::Char('q') if self.line.is_empty() => return Some(Wish::Quit),
            KeyCode::Char('?') if self.line.is_empty() => self.turn(Page::Help),
            KeyCode::Char(c) => self.line.push(c),
            _ => {}
        }
        None
    }

    fn turn(&mut self, to: Page) {
        self.page = if self.page == to { Page::Journal } else { to };
        self.scrolled = 0;
    }

    fn choose(&mut self, by: usize, view: &View) {
        self.chosen = (self.chosen + by) % view.offices.len().max(1);
    }

    fn scroll(&mut self, up: bool) {
        self.scrolled = if up { self.scrolled + SCROLL } else { self.scrolled.saturating_sub(SCROLL) };
    }

    fn recall(&mut self, back: usize) {
        let Some(number) = self.before.len().checked_sub(back) else { return };
        self.recalled = back;
        self.line = self.before.get(number).cloned().unwrap_or_default();
    }

    /// How the verb that is being typed goes on.
    fn hint(&self) -> Option<&'static str> {
        let verb = self.line.split_whitespace().next()?;
        HELP.into_iter().find(|usage| usage.split(", ").any(|one| one.starts_with(verb)))
    }
}

/// F2 to F7 at an office.
fn shortcut(key: u8, office: &OfficeView) -> Option<String> {
    let at = office.office;
    match key {
        2 => {
            // Whoever has mail waiting comes first.
            let someone = office.mailboxes.iter().find(|(_, waiting)| **waiting > 0).or(office.mailboxes.iter().next());
            someone.map(|(who, _)| format!("insert {who} {at}"))
        }
        3 => Some(format!("pin {at}")),
        4 => Some(format!("receive {at}")),
        5 => Some(format!("pull {at}")),
        6 => Some(format!("send {at} {}", if office.mailboxes.contains_key("hanako") { "taro" } else { "hanako" })),
        7 => Some(format!("cable adapter-{at} {}", if office.cable { "out" } else { "in" })),
        _ => None,
    }
}

/// The keys, the most needed first.
const KEYS: [&str; 11] = [
    "F1 help",
    "q quit",
    "Tab office",
    "F2 card in",
    "F3 PIN",
    "F4 RECEIVE",
    "F5 card out",
    "F6 send",
    "F7 cable",
    "F8 join",
    "PgUp/PgDn scroll",
];
/// Narrowest panel in which an office can be read.
const PANEL: u16 = 30;
/// Lines of a panel.
const TALL: u16 = 7;

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, desk: &Desk, view: &View) {
    let whole = frame.area();
    let keys = flow(&KEYS, usize::from(whole.width));
    let across = (whole.width / PANEL).max(1).min(u16::try_from(view.offices.len()).unwrap_or(u16::MAX)).max(1);
    let rows: Vec<_> = view.offices.chunks(usize::from(across)).collect();
    let tall = TALL * u16::try_from(rows.len()).unwrap_or(1);
    let [offices, page, answer, line, foot] = Layout::vertical([
        Constraint::Length(tall),
        Constraint::Min(4),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(u16::try_from(keys.len()).unwrap_or(1)),
    ])
    .areas(whole);
    let areas = Layout::vertical(rows.iter().map(|_| Constraint::Fill(1))).split(offices);
    for (number, (row, area)) in rows.iter().zip(areas.iter()).enumerate() {
        let columns = Layout::horizontal((0..across).map(|_| Constraint::Fill(1))).split(*area);
        for (column, (office, area)) in row.iter().zip(columns.iter()).enumerate() {
            panel(frame, office, *area, number * usize::from(across) + column == desk.chosen);
        }
    }
    paper(frame, desk, view, page);
    match (&desk.answer, desk.hint()) {
        (_, Some(usage)) if !desk.line.is_empty() => {
            frame.render_widget(Line::styled(usage, Style::new().add_modifier(Modifier::DIM)), answer);
        }
        (Some((good, text)), _) => {
            let (mark, colour) = if *good { ("✓", Color::Green) } else { ("✗", Color::Red) };
            let first = text.lines().next().unwrap_or_default();
            frame.render_widget(Line::styled(format!("{mark} {first}"), Style::new().fg(colour)), answer);
        }
        (None, _) => {
            frame.render_widget(Line::from("Type what somebody does, or press a key; F1 says what there is."), answer)
        }
    }
    frame.render_widget(Line::from(format!("> {}▏", desk.line)), line);
    let keys: Vec<_> = keys.into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(keys).style(Style::new().add_modifier(Modifier::DIM)), foot);
}

/// The journal, or what is looked up in its place.
fn paper(frame: &mut Frame<'_>, desk: &Desk, view: &View, area: Rect) {
    let off = if view.off.is_empty() { String::new() } else { format!(" · off: {}", view.off.join(", ")) };
    let journal = format!(" journal · history: {}{off} ", view.history);
    let (title, lines): (String, Vec<&str>) = match desk.page {
        Page::Journal => (journal, view.journal.iter().map(String::as_str).collect()),
        Page::Help => (" what can be done · Esc ends ".into(), HELP.to_vec()),
        Page::Join => (" how real clients join · Esc ends ".into(), desk.invitation.lines().collect()),
    };
    let room = usize::from(area.height.saturating_sub(2));
    let most = lines.len().saturating_sub(room);
    let scrolled = desk.scrolled.min(most);
    let first = if desk.page == Page::Journal { most - scrolled } else { scrolled };
    let lines: Vec<Line<'_>> = lines.into_iter().skip(first).map(Line::from).collect();
    let paper = Paragraph::new(lines).block(Block::bordered().title(title));
    // Addresses and commands are to be read whole; of the journal the newest lines are.
    let paper = if desk.page == Page::Journal { paper } else { paper.wrap(Wrap { trim: false }) };
    frame.render_widget(paper, area);
}

/// Words one after the other, in lines of this width.
fn flow(words: &[&str], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut().filter(|line| line.chars().count() + 2 + word.chars().count() <= width) {
            Some(line) => {
                line.push_str("  ");
                line.push_str(word);
            }
            None => lines.push((*word).to_owned()),
        }
    }
    lines
}

fn panel(frame: &mut Frame<'_>, office: &OfficeView, area: Rect, chosen: bool) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let (sign, colour) = match office.screen {
        _ if !office.power => ("○", Color::DarkGray),
        "idle" => ("·", Color::Gray),
        "arrived" | "press-receive" | "ready" | "pin" | "held" | "person" => ("●", Color::Yellow),
        "sent" | "done" | "delivered" => ("✓", Color::Green),
        "sending" | "receiving" | "checking" | "diagnosis" => ("…", Color::Cyan),
        _ => ("!", Color::Red),
    };
    let screen = if office.power { office.screen } else { "no power" };
    let lamp = if office.lamp { Span::styled("lamp ◉", bold.fg(Color::Yellow)) } else { Span::raw("lamp ○") };
    let buzzer = office.buzzer.map_or("silent".to_owned(), |hertz| format!("♪ {hertz} Hz"));
    let card = office.card.map_or("no card".to_owned(), |who| format!("{who}'s card"));
    let mut mails: Vec<String> = office.mailboxes.iter().map(|(who, waiting)| format!("{who} {waiting}")).collect();
    mails.push(office.queue.map_or("no server".to_owned(), |queue| format!("queue {queue}")));
    let mut state = vec![Span::styled(format!("{sign} {screen}"), bold.fg(colour))];
    if !office.cable {
        state.push(Span::styled("  cable out", bold.fg(Color::Red)));
    }
    let lines = vec![
        Line::from(state),
        Line::from(vec![lamp, Span::raw(format!("  {buzzer}  {card}"))]),
        Line::from(format!("mail: {}", mails.join(", "))),
        // Last, because it may take more lines than there are.
        Line::from(office.words.as_str()),
    ];
    let title = format!(" {} office {} ", if chosen { "▶" } else { " " }, office.office);
    let border = if chosen { bold } else { Style::new() };
    let block = Block::bordered().title(title).border_style(border);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }).block(block), area);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn office(letter: char, who: &'static str, waiting: usize) -> OfficeView {
        OfficeView {
            office: letter,
            screen: "idle",
            words: "待機中 / Ready".to_owned(),
            lamp: false,
            buzzer: None,
            card: None,
            power: true,
            cable: true,
            mailboxes: [(who, waiting)].into(),
            queue: Some(0),
        }
    }

    fn view() -> View {
        View {
            offices: vec![
                OfficeView {
                    screen: "sent",
                    words: "送信しました / Sent".into(),
                    card: Some("taro"),
                    ..office('a', "taro", 0)
                },
                OfficeView {
                    screen: "arrived",
                    words: "佐藤 花子 / A confidential document is waiting".into(),
                    lamp: true,
                    buzzer: Some(1200),
                    queue: None,
                    cable: false,
                    ..office('b', "hanako", 1)
                },
            ],
            off: vec!["history".into()],
            history: 0,
            journal: (1..60).map(|number| format!("   0.{number:03}  adapter-b  line {number}")).collect(),
        }
    }

    fn drawn(width: u16, height: u16, desk: &Desk, view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, desk, view)).unwrap();
        terminal.backend().to_string()
    }

    fn typed(desk: &mut Desk, line: &str) {
        line.chars().for_each(|c| assert_eq!(desk.key(KeyCode::Char(c), &view()), None));
    }

    #[test]
    fn two_offices_at_work() {
        let mut desk = Desk { answer: Some((true, "sent".into())), ..Desk::default() };
        insta::assert_snapshot!(drawn(100, 24, &desk, &view()));
        typed(&mut desk, "ins");
        insta::assert_snapshot!("smallest", drawn(60, 20, &desk, &view()));
    }

    #[test]
    fn whatever_the_size_everything_is_there() {
        let mut many = view();
        many.offices.extend([office('c', "yuki", 0), office('d', "jiro", 3)]);
        for (width, height) in [(60, 20), (80, 25), (100, 30), (132, 43), (200, 50)] {
            for view in [&view(), &many] {
                let seen = drawn(width, height, &Desk::default(), view);
                for office in &view.offices {
                    assert!(seen.contains(&format!("office {}", office.office)), "{width}x{height}\n{seen}");
                    assert!(seen.contains(office.screen), "{width}x{height}\n{seen}");
                }
                for word in
                    ["line 59", "lamp ◉", "hanako 1", "cable out", "no server", "> ", "F1 help", "q quit", "F8 join"]
                {
                    assert!(seen.contains(word), "{word} at {width}x{height}\n{seen}");
                }
            }
        }
        // Smaller, it still does not break.
        for size in 1..20 {
            drawn(size * 3, size, &Desk::default(), &many);
        }
    }

    #[test]
    fn pages_are_turned_and_scrolled() {
        let invitation: Vec<String> = (1..40).map(|number| format!("address {number}")).collect();
        let mut desk = Desk::new(invitation.join("\n"));
        desk.key(KeyCode::PageUp, &view());
        let seen = drawn(80, 25, &desk, &view());
        assert!(seen.contains("line 54") && !seen.contains("line 59"), "{seen}");
        desk.key(KeyCode::F(8), &view());
        assert!(drawn(80, 25, &desk, &view()).contains("address 1 "));
        (0..20).for_each(|_| drop(desk.key(KeyCode::PageDown, &view())));
        assert!(drawn(80, 25, &desk, &view()).contains("address 39"));
        desk.key(KeyCode::F(1), &view());
        assert!(drawn(80, 25, &desk, &view()).contains("insert NAME OFFICE"));
        desk.key(KeyCode::Esc, &view());
        assert!(drawn(80, 25, &desk, &view()).contains("line 59"));
    }

    #[test]
    fn keys_do_what_the_foot_says() {
        let mut desk = Desk::default();
        assert_eq!(desk.key(KeyCode::F(2), &view()), Some(Wish::Do("insert taro a".into())));
        assert_eq!(desk.key(KeyCode::F(6), &view()), Some(Wish::Do("send a hanako".into())));
        assert_eq!(desk.key(KeyCode::F(7), &view()), Some(Wish::Do("cable adapter-a out".into())));
        assert_eq!(desk.key(KeyCode::Tab, &view()), None);
        assert_eq!(desk.key(KeyCode::F(2), &view()), Some(Wish::Do("insert hanako b".into())));
        assert_eq!(desk.key(KeyCode::F(4), &view()), Some(Wish::Do("receive b".into())));
        assert_eq!(desk.key(KeyCode::F(6), &view()), Some(Wish::Do("send b taro".into())));
        assert_eq!(desk.key(KeyCode::F(7), &view()), Some(Wish::Do("cable adapter-b in".into())));
        typed(&mut desk, "pull b");
        assert_eq!(desk.key(KeyCode::Enter, &view()), Some(Wish::Do("pull b".into())));
        // What was done before is done again with two keys.
        desk.key(KeyCode::Up, &view());
        assert_eq!(desk.key(KeyCode::Enter, &view()), Some(Wish::Do("pull b".into())));
        desk.key(KeyCode::Up, &view());
        desk.key(KeyCode::Down, &view());
        assert_eq!(desk.key(KeyCode::Char('q'), &view()), Some(Wish::Quit));
        assert_eq!(Desk::default().key(KeyCode::Tab, &View::default()), None);
    }
}
