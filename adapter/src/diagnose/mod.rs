//! `sealfax-adapter diagnose`: what is wrong with this adapter, shown by facts, with the likeliest cause and the one next
//! thing to do. What stands on something broken is *blocked*, not failed once more; a PIN attempt is never spent.
//!
//! [`probe`] gathers facts ([`facts`]), [`engine`] walks through the areas ([`area`]) and has each judged by `judge`, whose
//! findings are those of the [`catalogue`]. Facts are the only thing judges know: that is why a bundle can be judged
//! elsewhere, and every fault played in a test. The same report is told in words ([`text`]), as JSON ([`report`]), as a live
//! screen ([`watch`]), and on the screen at the fax machine ([`overlay`]).

pub mod area;
mod arguments;
pub mod bundle;
pub mod catalogue;
pub mod engine;
pub mod facts;
pub mod hands;
mod judge;
pub mod overlay;
pub mod page;
pub mod probe;
pub mod redact;
pub mod report;
pub mod text;
pub mod watch;
mod words;

#[cfg(test)]
mod tests;

pub use arguments::{Assent, DiagnoseArgs, One, Tongue};
pub use words::Words;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use sealfax_client::seam::Seams;
use sealfax_drivers::display::Language;
use serde_json::json;

use area::Area;
use engine::examine;
use facts::{FactSheet, Facts, Recorded};
use hands::{Hands, Outcome, Person};
use probe::{CardSource, Live, Root};
use report::{Report, State};

/// The exit code of a wrong command line, and of a tool that cannot work.
pub const TOOL: u8 = 3;
/// The exit code of what there is no driver for, or nothing configured.
pub const UNSUPPORTED: u8 = 4;

/// What `diagnose card` looks at.
const OF_THE_CARD: [Area; 5] = [Area::Configuration, Area::Reader, Area::Card, Area::Clock, Area::Certificates];
/// What `diagnose network` looks at.
const OF_THE_NETWORK: [Area; 6] =
    [Area::Configuration, Area::TerminalPort, Area::NetworkPort, Area::Names, Area::Servers, Area::Clock];
/// How long a card is waited for, and how often it is looked for.
const CARD: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(1));

/// Runs the command. Human text goes to standard error, JSON alone to standard output.
pub async fn run(args: DiagnoseArgs, hands: Hands) -> ExitCode {
    let code = match perform(&args, hands).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("diagnose: {}", crate::trust::with_sources(error.as_ref()));
            TOOL
        }
    };
    ExitCode::from(code)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn perform(args: &DiagnoseArgs, hands: Hands) -> Result<u8, Failure> {
    match args.one {
        None if args.watch => {
            let language = language(args, None).await;
            Ok(watch::run(Box::new(live(args)), language).await?.exit())
        }
        None => {
            let mut facts: Box<dyn Facts> = match &args.from {
                Some(path) => Box::new(Recorded(bundle::read(path)?)),
                None => Box::new(live(args)),
            };
            let (report, sheet) = examine(facts.as_mut(), &Area::ALL, |_| {}).await;
            if let Some(path) = &args.bundle {
                let journal = if args.root == std::path::Path::new("/") { bundle::journal() } else { String::new() };
                let configuration = std::fs::read_to_string(&args.config).unwrap_or_default();
                bundle::write(path, &report, &sheet, &configuration, &journal)?;
            }
            tell(args, &report, &sheet).await
        }
        Some(One::Network) => {
            let (report, sheet) = examine(&mut live(args), &OF_THE_NETWORK, |_| {}).await;
            tell(args, &report, &sheet).await
        }
        Some(One::Card(assent)) => {
            let (report, sheet) = card(args, person(assent).as_mut()).await;
            tell(args, &report, &sheet).await
        }
        Some(One::Modem) => {
            let mut hands = hands;
            tried(args, "modem", &hands::modem(&mut hands, &mut hands::Nobody).await).await
        }
        Some(One::Lamp(assent)) => tried(args, "lamp", &trial(args, hands, assent, Device::Lamp).await).await,
        Some(One::Buzzer(assent)) => tried(args, "buzzer", &trial(args, hands, assent, Device::Buzzer).await).await,
        Some(One::Display(assent)) => tried(args, "display", &trial(args, hands, assent, Device::Display).await).await,
    }
}

fn live(args: &DiagnoseArgs) -> Live {
    Live::new(Root::new(&args.root), &args.config, Seams::system(), CardSource::Configured)
}

fn person(assent: Assent) -> Box<dyn Person> {
    if assent.yes { Box::new(hands::Nobody) } else { Box::new(hands::AtTheTerminal) }
}

#[derive(Clone, Copy)]
enum Device {
    Lamp,
    Buzzer,
    Display,
}

async fn trial(args: &DiagnoseArgs, mut hands: Hands, assent: Assent, device: Device) -> Outcome {
    let language = language(args, None).await;
    let mut person = person(assent);
    match device {
        Device::Lamp => hands::lamp(&mut hands, person.as_mut(), language).await,
        Device::Buzzer => hands::buzzer(&mut hands, person.as_mut(), language).await,
        Device::Display => hands::display(&mut hands, person.as_mut(), language).await,
    }
}

/// Looks at the card, and waits a while for one if nobody said not to.
async fn card(args: &DiagnoseArgs, person: &mut dyn Person) -> (Report, FactSheet) {
    let mut facts = live(args);
    let mut outcome = examine(&mut facts, &OF_THE_CARD, |_| {}).await;
    let absent = |(report, _): &(Report, FactSheet)| {
        report.check(Area::Card).is_some_and(|check| matches!(check.judgement.state, State::Skipped(_)))
    };
    let waits = !matches!(args.one, Some(One::Card(Assent { yes: true })));
    if waits && absent(&outcome) {
        let language = language(args, Some(&outcome.1)).await;
        person.say(words::words("カードを入れてください", "Insert a card").in_language(language));
        let (patience, pause) = CARD;
        let end = tokio::time::Instant::now() + patience;
        while absent(&outcome) && tokio::time::Instant::now() < end {
            tokio::time::sleep(pause).await;
            outcome = examine(&mut facts, &OF_THE_CARD, |_| {}).await;
        }
    }
    outcome
}

/// The language that was asked for, else that of the configuration, else Japanese.
async fn language(args: &DiagnoseArgs, sheet: Option<&FactSheet>) -> Language {
    if let Some(tongue) = args.language {
        return tongue.into();
    }
    let japanese = match sheet {
        Some(sheet) => sheet.configuration.as_ref().is_none_or(|configuration| configuration.japanese),
        None => {
            let mut sheet = FactSheet::default();
            live(args).gather(Area::Configuration, &mut sheet).await;
            sheet.configuration.is_none_or(|configuration| configuration.japanese)
        }
    };
    if japanese { Language::Japanese } else { Language::English }
}

async fn tell(args: &DiagnoseArgs, report: &Report, sheet: &FactSheet) -> Result<u8, Failure> {
    if args.json {
        writeln!(std::io::stdout(), "{}", report.json())?;
    } else {
        eprint!("{}", text::report(report, language(args, Some(sheet)).await));
    }
    Ok(report.health().exit())
}

/// Tells of the trial of one device.
async fn tried(args: &DiagnoseArgs, device: &str, outcome: &Outcome) -> Result<u8, Failure> {
    let language = language(args, None).await;
    if args.json {
        let (finding, why) = match outcome {
            Outcome::Broken(finding) => (Some(finding.json()), None),
            Outcome::Unsupported(why) => (None, Some(why)),
            Outcome::Proved | Outcome::Confirmed => (None, None),
        };
        let answer = json!({
            "version": report::VERSION, "device": device, "result": outcome.name(), "finding": finding, "why": why,
            "exit": outcome.exit(),
        });
        writeln!(std::io::stdout(), "{answer}")?;
        return Ok(outcome.exit());
    }
    let said = match outcome {
        Outcome::Proved => words::words("✓ 確認線で動作を確認しました", "✓ the sense line proves that it works"),
        Outcome::Confirmed => words::words("✓ 動作しています", "✓ it works"),
        Outcome::Unsupported(why) => *why,
        Outcome::Broken(finding) => {
            let entry = finding.entry;
            eprintln!("✗ {}  {}", entry.code, entry.title.in_language(language));
            for one in &finding.evidence {
                eprintln!("    {}: {}", one.name, one.value);
            }
            entry.action
        }
    };
    eprintln!("{}", said.in_language(language));
    Ok(outcome.exit())
}
