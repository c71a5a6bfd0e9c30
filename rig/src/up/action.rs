//! What a person may do at a bench at work, as one line each. Pure: words in, an [`Action`] or advice out.

use std::time::Duration;

use sealfax_drivers::display::ScreenKind;

use crate::bench::people::{Character, HANAKO, JIRO, TARO, YUKI};

/// Everybody who can be called.
pub const PEOPLE: [Character; 4] = [TARO, HANAKO, JIRO, YUKI];

/// How long `wait` waits unless it says otherwise.
const WAIT: Duration = Duration::from_secs(20);

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A card is put in.
    Insert(Character, char),
    /// The card is taken out.
    Pull(char),
    /// A PIN is typed; without one, that of the card in the slot.
    Pin(char, Option<String>),
    /// The adapter's button is pressed, or held.
    Button(char, bool),
    /// The fax machine sends to these addresses.
    Send {
        /// At this office.
        office: char,
        /// To them.
        to: Vec<String>,
        /// The subject.
        subject: String,
    },
    /// RECEIVE is pressed on the fax machine.
    Receive(char),
    /// The network cable of a host is pulled out (`false`) or put in.
    Cable(String, bool),
    /// The power of an adapter goes off (`false`) or on.
    Power(char, bool),
    /// A server is killed (`false`) or started: "mail-a", "directory", "history".
    Server(String, bool),
    /// Waits until a display shows this.
    Wait(char, ScreenKind, Duration),
    /// Says how everything stands.
    Status,
    /// Says what can be done.
    Help,
    /// The end.
    Quit,
}

/// What can be done, a line each.
pub const HELP: [&str; 13] = [
    "insert NAME OFFICE            insert hanako b",
    "pull OFFICE                   the card is taken out",
    "pin OFFICE [DIGITS]           without digits, the right one",
    "button OFFICE, hold OFFICE    the adapter's button, pressed or held",
    "send OFFICE TO[,TO] [SUBJECT] send a hanako Offer: who has a card in, or the machine, sends",
    "receive OFFICE                RECEIVE on the fax machine",
    "cable HOST out|in             cable adapter-b out",
    "power OFFICE off|on           the adapter's power",
    "server NAME stop|start        mail-a, directory or history",
    "wait OFFICE SCREEN [SECONDS]  wait b press-receive 10",
    "status                        how everything stands",
    "help                          this",
    "quit                          the end",
];

/// Reads a line; the error says what would be right. Empty lines and those that begin with `#` are nothing.
pub fn parse(line: &str) -> Result<Option<Action>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let (verb, rest) = words.split_first().map_or(("", &[][..]), |(verb, rest)| (*verb, rest));
    let action = match (verb, rest) {
        ("insert" | "i", [name, at]) => Action::Insert(person(name)?, office(at)?),
        ("pull" | "p", [at]) => Action::Pull(office(at)?),
        ("pin", [at]) => Action::Pin(office(at)?, None),
        ("pin", [at, digits]) => Action::Pin(office(at)?, Some((*digits).to_owned())),
        ("button", [at]) => Action::Button(office(at)?, false),
        ("hold", [at]) => Action::Button(office(at)?, true),
        ("send" | "s", [at, to, subject @ ..]) => {
            let to = to.split(',').map(address).collect::<Result<_, _>>()?;
            let subject = if subject.is_empty() { "Confidential".to_owned() } else { subject.join(" ") };
            Action::Send { office: office(at)?, to, subject }
        }
        ("receive" | "r", [at]) => Action::Receive(office(at)?),
        ("cable", [host, way]) => Action::Cable((*host).to_owned(), on(way, "out", "in")?),
        ("power", [at, way]) => Action::Power(office(at)?, on(way, "off", "on")?),
        ("server", [name, way]) => Action::Server((*name).to_owned(), on(way, "stop", "start")?),
        ("wait" | "w", [at, screen]) => Action::Wait(office(at)?, kind(screen)?, WAIT),
        ("wait" | "w", [at, screen, seconds]) => {
            let seconds =
                seconds.trim_end_matches('s').parse().map_err(|_| format!("{seconds:?} is no number of seconds"))?;
            Action::Wait(office(at)?, kind(screen)?, Duration::from_secs(seconds))
        }
        ("status", []) => Action::Status,
        ("help" | "?", []) => Action::Help,
        ("quit" | "q", []) => Action::Quit,
        _ => {
            let usage = HELP.iter().find(|usage| usage.split([' ', ',']).next() == Some(verb));
            return Err(usage.map_or_else(
                || format!("I do not know {verb:?}; say help"),
                |usage| format!("write it as: {}", usage.trim()),
            ));
        }
    };
    Ok(Some(action))
}

fn office(word: &str) -> Result<char, String> {
    let mut letters = word.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii_lowercase() => Ok(letter),
        _ => Err(format!("{word:?} is no office; offices are letters: a, b, ...")),
    }
}

fn person(word: &str) -> Result<Character, String> {
    let names = || PEOPLE.map(|person| person.key).join(", ");
    let found = PEOPLE.into_iter().find(|person| person.key == word || person.address == word);
    found.ok_or_else(|| format!("nobody is called {word:?}; there are {}", names()))
}

fn address(word: &str) -> Result<String, String> {
    if word.contains('@') { Ok(word.to_owned()) } else { person(word).map(|person| person.address.to_owned()) }
}

fn on(word: &str, no: &str, yes: &str) -> Result<bool, String> {
    match word {
        word if word == no => Ok(false),
        word if word == yes => Ok(true),
        _ => Err(format!("say {no} or {yes}, not {word:?}")),
    }
}

fn kind(word: &str) -> Result<ScreenKind, String> {
    let names = || ScreenKind::ALL.map(ScreenKind::name).join(", ");
    ScreenKind::named(word).ok_or_else(|| format!("no screen is called {word:?}; there are {}", names()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_actions() {
        assert_eq!(parse("insert hanako b"), Ok(Some(Action::Insert(HANAKO, 'b'))));
        assert_eq!(parse(" pin b 314159 "), Ok(Some(Action::Pin('b', Some("314159".into())))));
        let to = vec!["hanako@b.example".to_owned(), "x@y.example".to_owned()];
        let sent = Action::Send { office: 'a', to, subject: "An offer".into() };
        assert_eq!(parse("send a hanako,x@y.example An offer"), Ok(Some(sent)));
        assert_eq!(parse("cable adapter-b out"), Ok(Some(Action::Cable("adapter-b".into(), false))));
        let wait = Action::Wait('b', ScreenKind::PressReceive, Duration::from_secs(5));
        assert_eq!(parse("wait b press-receive 5s"), Ok(Some(wait)));
        assert_eq!(parse("  # nothing"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_right() {
        for (line, advice) in [
            ("insert hanako", "insert NAME OFFICE"),
            ("insert nobody b", "taro, hanako, jiro, yuki"),
            ("pull office-b", "letters"),
            ("power b maybe", "off or on"),
            ("wait b tea", "press-receive"),
            ("fly", "say help"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(advice), "{line}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_much(line in ".{0,80}") {
            let _ = parse(&line);
        }
    }
}
