//! Reads a configuration and says everything that is wrong with it, each with its line: unknown keys with what was probably
//! meant, values that are not what they should be, keys that are missing.

use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::keys;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In which line of the file, from 1; `None` if it is in no single one.
    pub line: Option<usize>,
    /// Which key, and what to do.
    pub what: String,
}

impl Problem {
    /// Something that is in no single line.
    pub fn anywhere(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Reads the configuration `text`, or says all that is wrong with it, in the order of the lines.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors.iter().map(|error| no_toml(text, error)).collect();
    // Keys of a file that is no TOML may stand in the wrong table: they would be blamed for what they are not.
    if problems.is_empty() {
        look_through::<T>(text, table.get_ref(), &[], None, &mut problems);
    }
    if problems.is_empty() {
        match toml::from_str(text) {
            Ok(read) => return Ok(read),
            // What no value shows by itself.
            Err(error) => problems.push(no_toml(text, &error)),
        }
    }
    problems.sort_by_key(|problem| problem.line);
    Err(problems)
}

/// What the TOML reader says, and of which words: it speaks of "duplicate key" without its name.
fn no_toml(text: &str, error: &toml::de::Error) -> Problem {
    let Some(span) = error.span() else {
        return Problem::anywhere(error.message());
    };
    let words = text.get(span.clone()).and_then(|words| words.lines().next()).unwrap_or_default();
    let what = match words.trim() {
        "" => error.message().to_owned(),
        words => format!("{}: `{}`", error.message(), shown(words)),
    };
    Problem { line: Some(line(text, &span)), what }
}

fn look_through<T: DeserializeOwned>(
    text: &str,
    table: &DeTable<'_>,
    path: &[&str],
    begins: Option<usize>,
    problems: &mut Vec<Problem>,
) {
    let known = keys::known::<T>(path).unwrap_or_default();
    for (key, value) in table {
        let name: &str = key.get_ref();
        let at = line(text, &key.span());
        let mut say = |what: String| problems.push(Problem { line: Some(at), what });
        let inner = inner(path, name);
        let full = inner.join(".");
        let is_table = keys::known::<T>(&inner).is_some();
        match value.get_ref() {
            written if !known.contains(&name) => say(unknown::<T>(name, path, known, written.is_table())),
            DeValue::Table(rows) if is_table => look_through::<T>(text, rows, &inner, Some(at), problems),
            _ if is_table => say(format!("`{full}` is a table: write [{full}] and its keys beneath it")),
            DeValue::Table(_) => {
                say(format!("`{full}` is one value, not a table: write {name} = ... in {}", place(path)))
            }
            _ => {
                let written = text.get(value.span()).unwrap_or_default();
                if let Some(why) = keys::fault::<T>(&inner, written) {
                    say(format!("`{full}`: {why}"));
                }
            }
        }
    }
    for name in keys::required::<T>(path) {
        if !table.contains_key(name) {
            let inner = inner(path, name);
            let what = match keys::known::<T>(&inner) {
                Some(_) => format!("the table [{}] is missing", inner.join(".")),
                None => format!("`{name}` is missing; it belongs to {}", place(path)),
            };
            problems.push(Problem { line: begins, what });
        }
    }
}

/// Says that a key is unknown, and what was probably meant: another key of this table, or one of another table.
fn unknown<T: DeserializeOwned>(name: &str, path: &[&str], known: &[&str], is_table: bool) -> String {
    let what = match is_table {
        true => format!("[{}] is no table of this file", inner(path, &shown(name)).join(".")),
        false => format!("`{}` is no key of {}", shown(name), place(path)),
    };
    // One slip in a short word, up to three in a long one; swapped neighbours count as one.
    let distance = |key: &str| strsim::osa_distance(name, key);
    let near = |key: &&&str| distance(key) <= (key.len() / 3).clamp(1, 3);
    let hint = match known.iter().filter(near).min_by_key(|key| distance(key)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let mut homes = Vec::new();
            find_homes::<T>(name, &[], &mut homes);
            if homes.is_empty() { String::new() } else { format!("it belongs to {};", homes.join(" or ")) }
        }
    };
    let mut all = known.to_vec();
    all.sort_unstable();
    format!("{what}; {hint}{}known here: {}", if hint.is_empty() { "" } else { " " }, all.join(", "))
}

/// The tables in which a key of this name is known.
fn find_homes<T: DeserializeOwned>(name: &str, path: &[&str], homes: &mut Vec<String>) {
    for key in keys::known::<T>(path).unwrap_or_default() {
        if *key == name {
            homes.push(place(path));
        }
        let inner = inner(path, key);
        if keys::known::<T>(&inner).is_some() {
            find_homes::<T>(name, &inner, homes);
        }
    }
}

fn inner<'a>(path: &[&'a str], name: &'a str) -> Vec<&'a str> {
    path.iter().copied().chain([name]).collect()
}

fn place(path: &[&str]) -> String {
    if path.is_empty() { "the top of the file".to_owned() } else { format!("[{}]", path.join(".")) }
}

/// A key as it was written, bounded and without what a terminal would act on.
fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_default).collect()
}

/// The line, from 1, in which a span begins.
fn line(text: &str, span: &Range<usize>) -> usize {
    text.bytes().take(span.start).filter(|octet| *octet == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::config::Config;

    const EXAMPLE: &str = include_str!("../../sealfax-adapter.example.toml");

    /// The problems of the example with these replacements.
    fn problems(replacements: &[(&str, &str)]) -> Vec<String> {
        let mut text = EXAMPLE.to_owned();
        for (good, bad) in replacements {
            assert!(text.contains(good), "{good}");
            text = text.replacen(good, bad, 1);
        }
        read::<Config>(&text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_slip_is_told_with_what_was_meant() {
        let [problem] = problems(&[("\nhold_seconds", "\nhold_secnods")]).try_into().unwrap();
        assert!(problem.contains("`hold_secnods` is no key of [sending]"), "{problem}");
        assert!(problem.contains("did you mean `hold_seconds`?"), "{problem}");
        let line = EXAMPLE.lines().position(|line| line.starts_with("hold_seconds")).unwrap() + 1;
        assert!(problem.starts_with(&format!("line {line}: ")), "{problem}");
    }

    #[test]
    fn a_key_in_the_wrong_table_is_sent_home() {
        let [problem] =
            problems(&[("\nhold_seconds = 540", "\nhold_seconds = 540\npin_seconds = 1")]).try_into().unwrap();
        assert!(problem.contains("it belongs to [card]; known here: hold_seconds"), "{problem}");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_and_in_order() {
        let all = problems(&[
            ("office =", "ofice ="),
            ("\npop3 = \"192.168.77.1:110\"", "\npop3 = \"192.168.77.1\""),
            ("[confirmations]", "[confirmation]"),
            ("\nbatch = 1", "\nbatch = \"one\""),
            ("\npin_seconds = 300", "\npin_seconds = -1"),
        ]);
        let words =
            ["`office` is missing", "ofice", "`terminal.pop3`", "`card.pin_seconds`", "[confirmation] is no table"];
        assert_eq!(all.len(), words.len(), "{all:#?}");
        for (problem, word) in all.iter().zip(words) {
            assert!(problem.contains(word), "{word}: {all:#?}");
        }
        assert!(all[4].contains("did you mean `confirmations`?"), "{all:#?}");
    }

    #[test]
    fn tables_and_values_are_told_apart() {
        let [problem] =
            problems(&[("[sending]\n", "[sending]\n[office]\n")]).try_into().unwrap_or_else(|all: Vec<_>| {
                // The doubled key is found by the TOML reader itself.
                [all.join("\n")]
            });
        assert!(problem.contains("office"), "{problem}");
        let text = "host_name = \"a\"\noffice = \"b\"\ndata = \"/x\"\nterminal = 5\n[network]\n[language]\n";
        let said = read::<Config>(text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains("`terminal` is a table: write [terminal]"), "{said}");
        assert!(said.contains("`language` is one value"), "{said}");
        assert!(said.contains("`anchors` is missing; it belongs to [network]"), "{said}");
    }

    #[test]
    fn what_is_no_toml_is_said_with_its_line() {
        let all = problems(&[("[terminal]", "[terminal"), ("\nbatch = 1", "\nbatch = = 1")]);
        assert!(!all.is_empty() && all.iter().all(|problem| problem.starts_with("line ")), "{all:#?}");
    }
}
