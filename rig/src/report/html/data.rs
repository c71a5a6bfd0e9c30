//! What the page's script draws a scenario from: events, mails and files as compact JSON (a row an event, names as numbers),
//! deflated (RFC 1950) and in base64, and unpacked when somebody opens that scenario.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use serde_json::{Value, json};

use super::mails::{self, Mail, cut};
use super::pictures::Pictures;
use crate::events::{Direction, Event, EventKind, Lane};
use crate::report::escape::visible;
use crate::report::{ScenarioResult, json::exercised_by};

/// Most events of one scenario; the others are in `events.jsonl`.
const MOST_EVENTS: usize = 6_000;
/// Longest text of one event, in characters.
const LONGEST_TEXT: usize = 400;

/// How much of a scenario is embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Everything.
    Everything,
    /// Not what was said on the wires.
    WithoutWires,
}

#[derive(Serialize)]
struct Data<'a> {
    hosts: Vec<&'a str>,
    events: Vec<Value>,
    left_out: usize,
    declared: &'a [String],
    exercised: Vec<String>,
    mails: Vec<Mail>,
    files: Vec<Value>,
}

/// The scenario as a block of the page. `folder` is where the page will lie.
pub(super) fn pack(result: &ScenarioResult, folder: &Path, detail: Detail, pictures: &mut Pictures) -> String {
    let mut names = Names::default();
    let wires = detail == Detail::Everything;
    let kept = result.events.iter().filter(|event| wires || !matches!(event.kind, EventKind::Wire { .. }));
    let mut last = 0;
    let events: Vec<Value> = kept
        .take(MOST_EVENTS)
        .map(|event| {
            let at = u64::try_from(event.at.as_micros()).unwrap_or(u64::MAX);
            let since = at.saturating_sub(last);
            last = at;
            row(event, since, result, &mut names, pictures)
        })
        .collect();
    let link = |path: &str| {
        let whole = result.folder.join(path);
        whole.strip_prefix(folder).unwrap_or(&whole).display().to_string()
    };
    let (mut letters, mut files) = (Vec::new(), Vec::new());
    for path in result.artefacts() {
        let written = |event: &&Event| matches!(&event.kind, EventKind::Artefact { path: other } if other == path);
        let what = result.events.iter().find(written).map_or("", |event| event.text.as_str());
        let whole = result.folder.join(path);
        if path.ends_with(".eml")
            && let Some(mail) = mails::read(&whole, path, what, link(path))
        {
            letters.push(mail);
            continue;
        }
        let page = (path.starts_with("pages/") && path.ends_with(".png")).then(|| pictures.paper(&whole)).flatten();
        let what = if what == path { String::new() } else { visible(what) };
        files.push(json!([visible(path), link(path), what, page]));
    }
    let data = Data {
        left_out: result.events.len() - events.len(),
        hosts: names.0,
        events,
        declared: &result.requirements,
        exercised: exercised_by(result),
        mails: letters,
        files,
    };
    let text = serde_json::to_vec(&data).unwrap_or_default();
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let packed = packed.write_all(&text).and_then(|()| packed.finish()).unwrap_or_default();
    STANDARD.encode(packed)
}

/// Hosts by number, in the order of their first event.
#[derive(Default)]
struct Names<'a>(Vec<&'a str>);

impl<'a> Names<'a> {
    fn number(&mut self, name: &'a str) -> usize {
        self.0.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.0.push(name);
            self.0.len() - 1
        })
    }
}

/// Microseconds since the event before, lane, host, kind, text, and what the kind has besides.
fn row<'a>(
    event: &'a Event,
    since: u64,
    result: &ScenarioResult,
    names: &mut Names<'a>,
    pictures: &mut Pictures,
) -> Value {
    let lane = Lane::ALL.iter().position(|lane| *lane == event.lane).unwrap_or_default();
    let host = names.number(&event.host);
    let (kind, more) = match &event.kind {
        EventKind::Step { ids } => ("step", json!(ids)),
        EventKind::Security { code } => ("security", json!(code)),
        EventKind::Failure { code } => ("failure", json!(code)),
        EventKind::Action => ("action", Value::Null),
        EventKind::Wire { connection, direction, from, to, octets } => {
            let to_server = *direction == Direction::ToServer;
            ("wire", json!([connection, to_server, names.number(from), names.number(to), octets]))
        }
        EventKind::Screen { screen, png, .. } => {
            let picture = png.as_ref().and_then(|png| pictures.screen(&result.folder.join(png)));
            ("screen", json!([screen.name(), picture]))
        }
        EventKind::Level { lit } => ("level", json!(lit)),
        EventKind::Tone { hertz } => ("tone", json!(hertz)),
        EventKind::Apdu { status, .. } => ("apdu", json!(status)),
        EventKind::Artefact { path } => ("artefact", json!(visible(path))),
        EventKind::Note if event.host == crate::demo::NARRATOR => ("chapter", Value::Null),
        EventKind::Note => ("note", Value::Null),
    };
    json!([since, lane, host, kind, cut(&visible(&event.text), LONGEST_TEXT), more])
}

#[cfg(test)]
pub(super) fn unpack(block: &str) -> Value {
    let packed = STANDARD.decode(block).unwrap_or_default();
    let text = std::io::read_to_string(flate2::read::ZlibDecoder::new(packed.as_slice())).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_event_is_a_row_and_names_are_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let report = sample::report(folder.path());
        let result = &report.results[0];
        let block = pack(result, folder.path(), Detail::Everything, &mut Pictures::default());
        let data = unpack(&block);
        let rows = data["events"].as_array().unwrap();
        assert_eq!(rows.len(), result.events.len());
        let total: u64 = rows.iter().map(|row| row[0].as_u64().unwrap()).sum();
        assert_eq!(u128::from(total), result.events.last().unwrap().at.as_micros());
        assert_eq!(data["hosts"][rows[1][2].as_u64().unwrap() as usize], "Taro");
        assert_eq!(data["exercised"], json!(["C1", "ST601", "ST801", "ST802"]));
        let without = unpack(&pack(result, folder.path(), Detail::WithoutWires, &mut Pictures::default()));
        assert_eq!(without["left_out"], 2);
    }
}
