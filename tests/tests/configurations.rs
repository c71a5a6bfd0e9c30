//! Configuration files: the examples are good, an unknown key is refused by name, and no text makes a reader panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use sealfax_mailserver::authority::DirectoryConfig;
use sealfax_mailserver::history::HistoryConfig;
use sealfax_mailserver::mail::MailConfig;

const ADAPTER: &str = include_str!("../../adapter/sealfax-adapter.example.toml");
const MAIL_SERVER: &str = include_str!("../../mailserver/sealfax-mailserver.example.toml");

fn adapter(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adapter.toml");
    std::fs::write(&file, text).unwrap();
    sealfax_adapter::Config::read(&file).map(|_| ()).map_err(|error| error.to_string())
}

/// The sections of the mail server's file, each by its own reader.
fn mail_server(text: &str) -> Result<(), String> {
    let sections: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    for (name, section) in sections {
        let text = toml::to_string(&section).map_err(|error| error.to_string())?;
        let explained = |error: &dyn std::error::Error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        match name.as_str() {
            "mail" => drop(MailConfig::from_toml(&text).map_err(|error| explained(&error))?),
            "directory" => drop(toml::from_str::<DirectoryConfig>(&text).map_err(|error| explained(&error))?),
            "history" => drop(toml::from_str::<HistoryConfig>(&text).map_err(|error| explained(&error))?),
            other => return Err(format!("unknown section {other}")),
        }
    }
    Ok(())
}

#[test]
fn the_examples_are_good() {
    adapter(ADAPTER).unwrap();
    mail_server(MAIL_SERVER).unwrap();
    let sections: toml::Table = toml::from_str(MAIL_SERVER).unwrap();
    for name in ["mail", "directory", "history"] {
        assert!(sections.contains_key(name), "the example has no [{name}]");
    }
}

type Reader = fn(&str) -> Result<(), String>;

#[test]
fn an_unknown_key_is_refused_by_name_in_every_section() {
    for (text, read) in [(ADAPTER, adapter as Reader), (MAIL_SERVER, mail_server)] {
        let mut sections = 0;
        for (at, line) in text.match_indices("\n[") {
            let end = at + line.len() + text[at + line.len()..].find('\n').unwrap();
            let wrong = format!("{}\nhots_name = 1{}", &text[..end], &text[end..]);
            let error = read(&wrong).unwrap_err();
            assert!(error.contains("hots_name"), "{error}");
            sections += 1;
        }
        assert!(sections >= 3, "{sections}");
    }
    assert!(adapter(&format!("hots_name = 1\n{ADAPTER}")).unwrap_err().contains("hots_name"));
}

/// A good file with one line gone, doubled, or with something else behind its equals sign.
fn nearly(text: &'static str) -> impl Strategy<Value = String> {
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<bool>().prop_map(|truth| truth.to_string()),
        "\\PC{0,30}".prop_map(|text| format!("{text:?}")),
        "\"[0-9]{1,20}(ns|us|ms|s|m|h|days|months|years)\"",
        "\\[\"[0-9.:/]{0,20}\"(, \"[0-9.]{1,15}/[0-9]{1,3}\")?\\]",
        "\\PC{0,20}",
    ];
    (any::<prop::sample::Index>(), 0u8..3, value).prop_map(move |(index, how, value)| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = index.index(lines.len());
        match how {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            _ => {
                if let Some((key, _)) = lines[at].clone().split_once('=') {
                    lines[at] = format!("{key}= {value}");
                }
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,200}") {
        let _ = adapter(&text);
        let _ = mail_server(&text);
    }

    #[test]
    fn no_damage_makes_a_reader_panic(one in nearly(ADAPTER), other in nearly(MAIL_SERVER)) {
        // What is refused is refused in words.
        for result in [adapter(&one), mail_server(&other)] {
            if let Err(why) = result {
                prop_assert!(!why.trim().is_empty());
            }
        }
    }
}
