//! Cards: APDU round trips through pcscd and vpcd by our driver and by pcsc-lite called directly, and the software's own
//! time from a card's insertion to *press RECEIVE*.

use std::time::Instant;

use sealfax_drivers::display::ScreenKind;

use super::{BenchError, Benchmark, Options, Progress, Row};
use crate::bench::people::HANAKO;
use crate::bench::region::{Plan, Region};
use crate::events::EventLog;
use crate::scenario::stories::{note, taro_sends};
use crate::scenario::{Bench, BenchKind, Failure};

/// This benchmark.
pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "card",
    title: "APDU round trips through pcscd and vpcd, and from a card's insertion to *press RECEIVE*",
    run,
};

/// The process has to be one of its own for a private pcscd (`peer::pcscd::OwnFolder`).
fn run(_: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    let runtime = tokio::runtime::Handle::current();
    progress.at("APDU round trips".to_owned());
    let trips = runtime.block_on(round_trips()).map_err(BenchError::broken)?;
    progress.at("from insertion to press RECEIVE".to_owned());
    let insertion = runtime.block_on(insertion()).map_err(BenchError::broken)?;
    Ok(vec![trips, insertion])
}

/// Round trips through pcscd and vpcd in a second, at least.
#[cfg(feature = "pcsc")]
const ROUND_TRIPS: f64 = 4_000.0;
/// Milliseconds from the insertion to the screen, at most.
const OWN_TIME: f64 = 150.0;

#[cfg(not(feature = "pcsc"))]
async fn round_trips() -> Result<Row, Failure> {
    Err(Failure::Unsupported("path to pcscd; build it with `--features pcsc`".into()))
}

#[cfg(feature = "pcsc")]
async fn round_trips() -> Result<Row, Failure> {
    let (ours, theirs) = tokio::task::spawn_blocking(through_pcscd).await.map_err(Failure::infrastructure)??;
    let what = "APDU round trips through pcscd and vpcd, one channel";
    Ok(Row::more(what, "1/s", ours, "pcsc-lite called directly, without time-outs", theirs).no_less_than(ROUND_TRIPS))
}

/// Ours and theirs, in turn.
#[cfg(feature = "pcsc")]
fn through_pcscd() -> Result<(f64, f64), Failure> {
    use std::time::Duration;

    use sealfax_drivers::card::CardReader as _;
    use sealfax_drivers::card::pcsc::PcscReader;
    use sealfax_drivers::pattern::NamePattern;

    use crate::peer::pcscd::{Pcscd, PcscdError};
    use crate::virtual_card::VpcdHandle;

    const SELECT: &[u8] = &[0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00];
    /// How many tries are left: the card has nothing to compute.
    const ASK: &[u8] = &[0x00, 0x20, 0x00, 0x80];
    const TURNS: u32 = 5;
    const A_TURN: u32 = 4_000;

    let broken = |error: &dyn std::fmt::Display| Failure::infrastructure(error.to_string());
    let pcscd = Pcscd::start(&["Bench"]).map_err(|error| match error {
        PcscdError::Missing { .. } => Failure::Unsupported(format!("pcscd: {error}")),
        error => broken(&error),
    })?;
    let Some(at) = pcscd.slots().first() else { return Err(broken(&"no slot")) };
    let slot = VpcdHandle::new(at.port);
    slot.insert(&sample_card()?);
    let reader = PcscReader::open(NamePattern::new(&at.reader)).map_err(|error| broken(&error))?;
    let late = Instant::now() + Duration::from_secs(20);
    let mut channel = loop {
        match reader.connect() {
            Ok(channel) => break channel,
            Err(error) if Instant::now() > late => return Err(broken(&error)),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..TURNS {
        channel.transmit(SELECT).map_err(|error| broken(&error))?;
        let begun = Instant::now();
        for _ in 0..A_TURN {
            channel.transmit(ASK).map_err(|error| broken(&error))?;
        }
        ours += begun.elapsed();
        // They want the card for themselves.
        drop(channel);
        theirs += directly(&at.reader, SELECT, ASK, A_TURN).map_err(|error| broken(&error))?;
        channel = reader.connect().map_err(|error| broken(&error))?;
    }
    let count = f64::from(TURNS * A_TURN);
    Ok((count / ours.as_secs_f64(), count / theirs.as_secs_f64()))
}

/// The same by pcsc-lite alone.
#[cfg(feature = "pcsc")]
fn directly(reader: &str, select: &[u8], ask: &[u8], count: u32) -> Result<std::time::Duration, pcsc::Error> {
    use std::time::Duration;

    let context = pcsc::Context::establish(pcsc::Scope::User)?;
    let name = std::ffi::CString::new(reader).unwrap_or_default();
    let late = Instant::now() + Duration::from_secs(5);
    let card = loop {
        match context.connect(&name, pcsc::ShareMode::Exclusive, pcsc::Protocols::ANY) {
            // Our channel is still resetting the card.
            Err(pcsc::Error::SharingViolation) if Instant::now() < late => {
                std::thread::sleep(Duration::from_millis(5));
            }
            connected => break connected?,
        }
    };
    let mut buffer = [0; pcsc::MAX_BUFFER_SIZE];
    card.transmit(select, &mut buffer)?;
    let begun = Instant::now();
    for _ in 0..count {
        card.transmit(ask, &mut buffer)?;
    }
    Ok(begun.elapsed())
}

/// A card with keys that nobody needs.
#[cfg(feature = "pcsc")]
fn sample_card() -> Result<crate::virtual_card::CardHandle, Failure> {
    use sealfax_drivers::card::object::MailboxLogin;
    use sealfax_drivers::pin::Pin;

    use crate::virtual_card::{CardHandle, CardKey, CardProfile, KeyAndCertificate, VirtualCard};

    let key = include_bytes!("../virtual_card/testdata/rsa-signature.key.der");
    let pair = KeyAndCertificate {
        key: CardKey::from_pkcs8_der(key).map_err(Failure::infrastructure)?,
        certificate: Vec::new(),
    };
    let login = MailboxLogin::new("bench@a.example", "none").ok_or_else(|| Failure::infrastructure("login"))?;
    let pin = Pin::new(b"123456").ok_or_else(|| Failure::infrastructure("PIN"))?;
    let profile = CardProfile::new("bench", pair.clone(), pair, login, pin);
    Ok(CardHandle::new(std::sync::Mutex::new(VirtualCard::new(profile))))
}

/// From the insertion to *press RECEIVE*, with a card and a reader that take no time, a person who types at once, and the
/// certificate server asked as ever.
async fn insertion() -> Result<Row, Failure> {
    const TIMES: usize = 9;
    let folder = tempfile::tempdir().map_err(Failure::infrastructure)?;
    let bench = Bench::new(BenchKind::Sim, 1, folder.path().to_path_buf(), EventLog::new());
    let region = Region::start(&bench, Plan { pictures: false, ..Plan::default() }).await?;
    taro_sends(&region, &[HANAKO.address], &note("how long it takes")).await?;
    let (office, hanako) = (region.site('b')?, region.person(HANAKO)?);
    office.sees(ScreenKind::Arrived).await?;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let mark = region.log.mark();
        let begun = Instant::now();
        office.identify(&hanako, ScreenKind::PressReceive).await?;
        times.push(begun.elapsed());
        office.pull(&hanako);
        office.sees_after(mark, ScreenKind::Arrived).await?;
    }
    times.sort_unstable();
    let median = times.get(TIMES / 2).copied().unwrap_or_default();
    let ours = median.as_secs_f64() * 1e3;
    let what = "card insertion to press RECEIVE, the software's own time (median)";
    Ok(Row::alone(what, "ms", ours).no_more_than(OWN_TIME))
}
