//! The timeline: a row for each host and lane on one time axis; lamp and buzzer as waveforms, the rest as dots.

use std::fmt::Write as _;

use super::{escape, hue};
use crate::events::{Event, EventKind, Lane};

/// Heights and widths in pixels.
const ROW: usize = 26;
const LABELS: usize = 250;
const WIDTH: usize = 1400;
const HEAD: usize = 24;
/// Room at both ends of the axis, so that the first and the last mark are whole.
const MARGIN: f64 = 10.0;
/// Most marks drawn; an SVG with more is slow to open.
const MOST_MARKS: usize = 4_000;

/// Draws the events of one scenario.
pub(super) fn draw(page: &mut String, events: &[Event], number: usize) {
    let rows = rows(events);
    let end = events.last().map_or(0.0, |event| event.at.as_secs_f64()).max(0.001);
    let place = |seconds: f64| MARGIN + seconds / end * (WIDTH as f64 - 2.0 * MARGIN);
    let scale = |event: &Event| place(event.at.as_secs_f64());
    let height = HEAD + rows.len() * ROW + 6;
    let _ = write!(
        page,
        "<h3>Timeline</h3><div class=timeline><svg class=labels width={LABELS} height={height} role=img aria-label='lanes'>"
    );
    for (row, (host, lane)) in rows.iter().enumerate() {
        let y = HEAD + row * ROW + ROW / 2 + 4;
        let first = row == 0 || rows.get(row - 1).is_some_and(|(before, _)| before != host);
        if first {
            let _ = write!(page, "<text x=4 y={y} class=host style='--h:{}'>{}</text>", hue(host), escape(host));
        }
        let _ = write!(page, "<text x={} y={y} class=lane>{}</text>", LABELS - 8, lane.name());
    }
    let _ = write!(
        page,
        "</svg><div class=scroll><svg width={WIDTH} height={height} viewBox='0 0 {WIDTH} {height}' preserveAspectRatio=none data-width={WIDTH} role=img aria-label='timeline'>"
    );
    grid(page, end, height, &rows, place);
    let mut marks = 0;
    for (row, (host, lane)) in rows.iter().enumerate() {
        let y = HEAD + row * ROW;
        let own = events.iter().enumerate();
        let own = own.filter(|(_, event)| event.host == *host && event.lane == *lane);
        match lane {
            Lane::Lamp | Lane::Buzzer => wave(page, own.map(|(_, event)| event), *lane, y, scale),
            _ => {
                let _ = write!(page, "<g style=--h:{}>", hue(host));
                for (index, event) in own {
                    marks += 1;
                    if marks > MOST_MARKS {
                        break;
                    }
                    // A stroke of no length with round ends: a dot that stays round when the axis is stretched. Its
                    // words stand in the story's row; the script shows them.
                    let (x, y, class) = (scale(event), y + ROW / 2, class(&event.kind));
                    let dot = format!("<path class='dot {class}' d='M{x:.1} {y}h.01'/>");
                    if matches!(event.kind, EventKind::Wire { .. }) {
                        page.push_str(&dot);
                    } else {
                        let _ = write!(page, "<a href=#e{number}-{index}>{dot}</a>");
                    }
                }
                page.push_str("</g>");
            }
        }
    }
    page.push_str("</svg></div></div>");
}

/// Hosts in the order of their first event, their lanes in the order of reports.
fn rows(events: &[Event]) -> Vec<(&str, Lane)> {
    let mut hosts: Vec<&str> = Vec::new();
    for event in events {
        if !hosts.contains(&event.host.as_str()) {
            hosts.push(&event.host);
        }
    }
    let mut rows = Vec::new();
    for host in hosts {
        for lane in Lane::ALL {
            if events.iter().any(|event| event.host == host && event.lane == lane) {
                rows.push((host, lane));
            }
        }
    }
    rows
}

fn class(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Step { .. } => "step",
        EventKind::Security { .. } => "security",
        EventKind::Failure { .. } => "failure",
        EventKind::Action => "action",
        EventKind::Screen { .. } => "screen",
        EventKind::Wire { .. } => "wiredot",
        _ => "note",
    }
}

fn grid(page: &mut String, end: f64, height: usize, rows: &[(&str, Lane)], place: impl Fn(f64) -> f64) {
    for (row, (host, _)) in rows.iter().enumerate() {
        if row > 0 && rows.get(row - 1).is_some_and(|(before, _)| before != host) {
            let y = HEAD + row * ROW;
            let _ = write!(page, "<path class=border d='M0 {y}H{WIDTH}'/>");
        }
    }
    let rough = end / 10.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let mut tick = 0.0;
    while tick <= end {
        let x = place(tick);
        let text = if step >= 1.0 {
            format!("{tick:.0} s")
        } else if step >= 0.001 {
            format!("{:.0} ms", tick * 1e3)
        } else {
            format!("{tick:.6} s")
        };
        let _ = write!(
            page,
            "<path class=grid d='M{x:.1} {HEAD}V{height}' /><text class=tick x={:.1} y=15>{text}</text>",
            x + 3.0
        );
        tick += step;
    }
}

/// A square wave: the lamp's level, or the buzzer's pitch as its height.
fn wave<'a>(
    page: &mut String,
    events: impl Iterator<Item = &'a Event>,
    lane: Lane,
    y: usize,
    scale: impl Fn(&Event) -> f64,
) {
    let (floor, room) = ((y + ROW - 5) as f64, (ROW - 9) as f64);
    let mut path = format!("M0 {floor}");
    for event in events {
        let level = match event.kind {
            EventKind::Level { lit } => f64::from(u8::from(lit)),
            EventKind::Tone { hertz: Some(hertz) } => (f64::from(hertz) / 3000.0).clamp(0.3, 1.0),
            EventKind::Tone { hertz: None } => 0.0,
            _ => continue,
        };
        let x = scale(event);
        let _ = write!(path, "H{x:.1}V{:.1}", floor - level * room);
    }
    let _ = write!(page, "<path class='wave {0}' d='{path}H{WIDTH}V{floor}Z'><title>{0}</title></path>", lane.name());
}
