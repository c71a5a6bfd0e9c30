//! The live screen: an office a panel, the journal beneath, the line that is being typed. [`Desk`] is what keys change,
//! [`draw`] puts it on any backend of ratatui.

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::action::HELP;
use super::world::{OfficeView, View};

/// What is typed and chosen.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    line: String,
    chosen: usize,
    help: bool,
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

impl Desk {
    /// A key was pressed; `view` says which offices there are.
    pub fn key(&mut self, key: KeyCode, view: &View) -> Option<Wish> {
        let office = view.offices.get(self.chosen);
        match key {
            KeyCode::F(1) => self.help = !self.help,
            KeyCode::Tab => self.chosen = (self.chosen + 1) % view.offices.len().max(1),
            KeyCode::Esc => (self.help, self.line) = (false, String::new()),
            KeyCode::Backspace => drop(self.line.pop()),
            KeyCode::Enter if !self.line.is_empty() => return Some(Wish::Do(std::mem::take(&mut self.line))),
            KeyCode::F(10) => return Some(Wish::Quit),
            // What is done most often at the chosen office.
            KeyCode::F(key) => return shortcut(key, office?).map(Wish::Do),
            KeyCode::Char('q') if self.line.is_empty() => return Some(Wish::Quit),
            KeyCode::Char('?') if self.line.is_empty() => self.help = !self.help,
            KeyCode::Char(c) => self.line.push(c),
            _ => {}
        }
        None
    }
}

/// F2 to F6 at an office.
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
        6 => Some(format!("send {at} hanako")),
        _ => None,
    }
}

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, desk: &Desk, view: &View) {
    let [offices, journal, answer, line, foot] = Layout::vertical([
        Constraint::Length(9),
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let columns = Layout::horizontal(view.offices.iter().map(|_| Constraint::Fill(1))).split(offices);
    for (number, (office, area)) in view.offices.iter().zip(columns.iter()).enumerate() {
        panel(frame, office, *area, number == desk.chosen);
    }
    let off = if view.off.is_empty() { String::new() } else { format!(" · off: {}", view.off.join(", ")) };
    let title = format!(" journal · history: {} {off} ", view.history);
    if desk.help {
        let text = HELP.join("\n");
        frame.render_widget(Paragraph::new(text).block(Block::bordered().title(" what can be done ")), journal);
    } else {
        let room = usize::from(journal.height.saturating_sub(2));
        let last = view.journal.len().saturating_sub(room);
        let lines: Vec<Line<'_>> = view.journal.iter().skip(last).map(|line| Line::from(line.as_str())).collect();
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), journal);
    }
    if let Some((good, text)) = &desk.answer {
        let (mark, colour) = if *good { ("✓", Color::Green) } else { ("✗", Color::Red) };
        let first = text.lines().next().unwrap_or_default();
        frame.render_widget(Line::styled(format!("{mark} {first}"), Style::new().fg(colour)), answer);
    }
    frame.render_widget(Line::from(format!("> {}▏", desk.line)), line);
    let keys = "F1 help  Tab office  F2 card in  F3 PIN  F4 RECEIVE  F5 card out  F6 send  q quit";
    frame.render_widget(Line::styled(keys, Style::new().add_modifier(Modifier::DIM)), foot);
}

fn panel(frame: &mut Frame<'_>, office: &OfficeView, area: Rect, chosen: bool) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let (sign, colour) = match office.screen {
        _ if !office.power => ("○", Color::DarkGray),
        "idle" => ("·", Color::Gray),
        "arrived" | "press-receive" | "ready" | "pin" | "held" => ("●", Color::Yellow),
        "sent" | "done" | "delivered" => ("✓", Color::Green),
        "sending" | "receiving" | "checking" => ("…", Color::Cyan),
        _ => ("!", Color::Red),
    };
    let screen = if office.power { office.screen } else { "no power" };
    let lamp = if office.lamp { Span::styled("lamp ◉", bold.fg(Color::Yellow)) } else { Span::raw("lamp ○") };
    let buzzer = office.buzzer.map_or("silent".to_owned(), |hertz| format!("♪ {hertz} Hz"));
    let card = office.card.map_or("no card".to_owned(), |who| format!("card of {who}"));
    let mails = office.mailboxes.iter().map(|(who, waiting)| format!("{who} {waiting}"));
    let lines = vec![
        Line::styled(format!("{sign} {screen}"), bold.fg(colour)),
        Line::from(office.words.as_str()),
        Line::from(vec![lamp, Span::raw(format!("  {buzzer}  {card}"))]),
        Line::from(format!("mail waiting: {}", mails.collect::<Vec<_>>().join(", "))),
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

    fn view() -> View {
        let office = |letter, screen, words: &str, lamp, card, who, waiting| OfficeView {
            office: letter,
            screen,
            words: words.to_owned(),
            lamp,
            buzzer: lamp.then_some(1200),
            card,
            power: true,
            mailboxes: [(who, waiting)].into(),
        };
        View {
            offices: vec![
                office('a', "sent", "送信しました / Sent", false, Some("taro"), "taro", 0),
                office('b', "arrived", "佐藤 花子 / A confidential document is waiting", true, None, "hanako", 1),
            ],
            off: vec!["history".into()],
            history: 0,
            journal: (1..30).map(|number| format!("   0.{number:03}  adapter-b  line {number}")).collect(),
        }
    }

    #[test]
    fn two_offices_at_work() {
        let mut terminal = Terminal::new(TestBackend::new(100, 24)).unwrap();
        let mut desk = Desk { answer: Some((true, "sent".into())), ..Desk::default() };
        "insert".chars().for_each(|c| assert_eq!(desk.key(KeyCode::Char(c), &view()), None));
        terminal.draw(|frame| draw(frame, &desk, &view())).unwrap();
        insta::assert_snapshot!(terminal.backend());
    }

    #[test]
    fn keys_do_what_the_foot_says() {
        let mut desk = Desk::default();
        assert_eq!(desk.key(KeyCode::F(2), &view()), Some(Wish::Do("insert taro a".into())));
        assert_eq!(desk.key(KeyCode::Tab, &view()), None);
        assert_eq!(desk.key(KeyCode::F(2), &view()), Some(Wish::Do("insert hanako b".into())));
        assert_eq!(desk.key(KeyCode::F(4), &view()), Some(Wish::Do("receive b".into())));
        "pull b".chars().for_each(|c| assert_eq!(desk.key(KeyCode::Char(c), &view()), None));
        assert_eq!(desk.key(KeyCode::Enter, &view()), Some(Wish::Do("pull b".into())));
        assert_eq!(desk.key(KeyCode::Char('q'), &view()), Some(Wish::Quit));
        assert_eq!(Desk::default().key(KeyCode::Tab, &View::default()), None);
    }
}
