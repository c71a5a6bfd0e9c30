//! A report of two hundred scenarios with every verdict, made of real runs repeated: it stays under 5 MB however many
//! different screens there are. It is left in `target/tmp/report-many`, where `tests/oracles/report-*.sh` look at it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

use sealfax_rig::events::EventKind;
use sealfax_rig::report::{RunReport, ScenarioResult, Verdict};
use sealfax_rig::scenario;
use sealfax_rig::scenario::runner::{Options, run};

/// How many scenarios, and how many octets they may take.
const SCENARIOS: usize = 200;
const MOST_OCTETS: u64 = 5_000_000;
/// So many of the copies show screens that no other shows, which is more than a page has room for.
const SCREENS_OF_THEIR_OWN: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_scenarios_fit_into_one_page() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report-many");
    let _ = fs::remove_dir_all(&out);
    let chosen = ["confidential-fax", "wrong-pin-three-times"];
    let chosen: Vec<_> = scenario::all().into_iter().filter(|story| chosen.contains(&story.name)).collect();
    assert_eq!(chosen.len(), 2);
    let options = Options::new(out.clone());
    let mut report = run(&chosen, &options, |_| {}).await;
    assert_eq!(
        report.verdict(),
        Verdict::Pass,
        "{:?}",
        report.results.iter().map(|result| &result.why).collect::<Vec<_>>()
    );
    let real = std::mem::take(&mut report.results);
    for (number, result) in real.iter().cycle().take(SCENARIOS).enumerate() {
        report.results.push(copy(result, number, &out));
    }
    report.write_all(&out).unwrap();
    let octets = out.join("report.html").metadata().unwrap().len();
    println!("{SCENARIOS} scenarios, {} events: {octets} octets", events(&report));
    assert!(octets < MOST_OCTETS, "report.html has {octets} octets");
}

fn events(report: &RunReport) -> usize {
    report.results.iter().map(|result| result.events.len()).sum()
}

/// The same story once more, under another name, with one of the five verdicts.
fn copy(result: &ScenarioResult, number: usize, out: &Path) -> ScenarioResult {
    let mut copy = result.clone();
    copy.name = format!("{}-{number}", result.name);
    (copy.verdict, copy.why) = match number {
        17 => (Verdict::Fail, Some("waited 5.000 s in vain for: the lamp of office B <b>\"lit\"</b>".to_owned())),
        58 => (Verdict::Flaky, Some("failed 1 of 3 times: expected: one document is printed, not 2".to_owned())),
        99 => (Verdict::InfraError, Some("no address of 127.0.0.0/8 is free".to_owned())),
        121 => (Verdict::Unsupported, Some("this bench has no slapd".to_owned())),
        _ => return with_screens(copy, number, out),
    };
    copy
}

/// Draws a mark of its own into each screen of a copy.
fn with_screens(mut copy: ScenarioResult, number: usize, out: &Path) -> ScenarioResult {
    if number == 0 || number >= SCREENS_OF_THEIR_OWN {
        return copy;
    }
    for event in &mut copy.events {
        let EventKind::Screen { png: Some(path), .. } = &mut event.kind else { continue };
        let marked = marked(&fs::read(copy.folder.join(path.as_str())).unwrap(), number);
        let name = format!("../marked/{number}-{}", path.replace('/', "-"));
        fs::create_dir_all(out.join("marked")).unwrap();
        fs::write(copy.folder.join(&name), marked).unwrap();
        *path = name;
    }
    copy
}

fn marked(file: &[u8], number: usize) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    let row = frame.width as usize * frame.color_type.samples();
    for bit in 0..16 {
        for y in 100..110 {
            let start = y * row + (40 + bit * 10) * frame.color_type.samples();
            pixels[start..start + 20].fill(if number >> bit & 1 == 1 { 255 } else { 0 });
        }
    }
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, frame.width, frame.height);
    encoder.set_color(frame.color_type);
    encoder.set_compression(png::Compression::Fast);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    out
}
