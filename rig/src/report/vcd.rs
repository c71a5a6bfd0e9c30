//! `signals.vcd`: lamps and buzzers as waveforms (IEEE 1364-2005, clause 18), for GTKWave and sigrok. The pitch is a real
//! variable: GTKWave draws it, sigrok passes over it, while over a vector of bits sigrok loses the whole file. Names are
//! whole without their scope, which sigrok does not show.

use std::collections::BTreeMap;
use std::io;

use vcd::{IdCode, TimescaleUnit, Value, VarType, Writer};

use super::RunReport;
use crate::events::{Event, EventKind};

struct Wires {
    lamp: IdCode,
    buzzer: IdCode,
    pitch: IdCode,
}

/// The document: one scope a scenario, in it one an adapter. Scenarios follow each other on one time axis, in
/// microseconds, as far apart as they were long.
pub fn render(report: &RunReport) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    let mut writer = Writer::new(&mut document);
    writer.version(concat!("sealfax-rig ", env!("CARGO_PKG_VERSION")))?;
    writer.comment(&format!("bench {}, seed {}", report.bench, report.seed))?;
    writer.timescale(1, TimescaleUnit::US)?;
    let mut wires: Vec<BTreeMap<&str, Wires>> = Vec::new();
    for result in &report.results {
        let mut hosts: BTreeMap<&str, Wires> = BTreeMap::new();
        let signals: Vec<_> = result.events.iter().filter(|event| is_signal(event)).collect();
        if !signals.is_empty() {
            writer.add_module(&identifier(&result.name))?;
            for event in signals {
                if hosts.contains_key(event.host.as_str()) {
                    continue;
                }
                let host = identifier(&event.host);
                writer.add_module(&host)?;
                let lamp = writer.add_wire(1, &format!("{host}_lamp"))?;
                let buzzer = writer.add_wire(1, &format!("{host}_buzzer"))?;
                let pitch = writer.add_var(VarType::Real, 64, &format!("{host}_buzzer_hertz"), None)?;
                hosts.insert(&event.host, Wires { lamp, buzzer, pitch });
                writer.upscope()?;
            }
            writer.upscope()?;
        }
        wires.push(hosts);
    }
    writer.enddefinitions()?;
    writer.timestamp(0)?;
    for wires in wires.iter().flat_map(BTreeMap::values) {
        writer.change_scalar(wires.lamp, Value::V0)?;
        writer.change_scalar(wires.buzzer, Value::V0)?;
        writer.change_real(wires.pitch, 0.0)?;
    }
    let (mut base, mut shown) = (0u64, 0u64);
    for (result, hosts) in report.results.iter().zip(&wires) {
        let mut last = base;
        for event in &result.events {
            let Some(wires) = hosts.get(event.host.as_str()).filter(|_| is_signal(event)) else {
                continue;
            };
            let at = base + u64::try_from(event.at.as_micros()).unwrap_or(u64::MAX - base);
            last = last.max(at);
            if at > shown {
                writer.timestamp(at)?;
                shown = at;
            }
            match event.kind {
                EventKind::Level { lit } => writer.change_scalar(wires.lamp, lit)?,
                EventKind::Tone { hertz } => {
                    writer.change_scalar(wires.buzzer, hertz.is_some())?;
                    writer.change_real(wires.pitch, hertz.unwrap_or(0).into())?;
                }
                _ => {}
            }
        }
        let length = u64::try_from(result.elapsed.as_micros()).unwrap_or(0);
        base = last.max(base.saturating_add(length)) + 1;
    }
    if base > shown {
        writer.timestamp(base)?;
    }
    Ok(document)
}

fn is_signal(event: &Event) -> bool {
    matches!(event.kind, EventKind::Level { .. } | EventKind::Tone { .. })
}

/// VCD identifiers hold no white space; other tools want no more than letters, digits and underscores.
fn identifier(name: &str) -> String {
    let safe = |character: char| {
        if character.is_ascii_alphanumeric() { character } else { '_' }
    };
    name.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::report::sample;
    use std::path::Path;

    #[test]
    fn lamp_and_buzzer_become_waveforms() {
        let document = render(&sample::report(Path::new("."))).unwrap();
        insta::assert_snapshot!(String::from_utf8(document.clone()).unwrap());
        // Read back by the crate's own parser.
        let mut parser = vcd::Parser::new(document.as_slice());
        let header = parser.parse_header().unwrap();
        assert!(header.find_var(&["confidential_fax", "adapter_a", "adapter_a_lamp"]).is_some());
        assert!(parser.all(|command| command.is_ok()));
    }
}
