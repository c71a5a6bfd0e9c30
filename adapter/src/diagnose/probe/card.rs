//! The card reader, its daemon, and the card that is in. No PIN is asked for, and none is shown to the card: the retry
//! counter comes from an empty VERIFY, which never spends a try (NIST SP 800-73-5 part 2, 3.2.1).

use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime};

use sealfax_drivers::card::piv::{PinStatus, Piv, Slot};
use sealfax_drivers::card::{CardChannel, CardError, CardEvent, CardReader};
use sealfax_smime::path;

use super::super::facts::{CardFacts, Presence, ReaderFacts, SlotFacts};
use super::files::Root;
use crate::card_command::hexadecimal;
use crate::flow::normal_address;

/// The environment variable that moves pcscd's socket (pcsc-lite).
const SOCKET_VARIABLE: &str = "PCSCLITE_CSOCK_NAME";
/// Where it is otherwise.
const SOCKET: &str = "/run/pcscd/pcscd.comm";
/// The USB class of smart card readers.
const SMART_CARD: &str = "0b";
/// How long a card that is in may take to be seen.
const GLANCE: Duration = Duration::from_millis(1500);

/// A certificate of the card: public, but it names its owner, so it stays out of the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardCertificate {
    /// Which key's.
    pub slot: Slot,
    /// DER.
    pub der: Vec<u8>,
}

pub(super) fn reader(root: &Root, pattern: Option<&str>) -> ReaderFacts {
    let moved = std::env::var_os(SOCKET_VARIABLE).filter(|_| root.is_real());
    let socket = moved.map_or_else(|| root.at(SOCKET), Into::into);
    let mut facts = ReaderFacts {
        built: cfg!(feature = "pcsc"),
        socket: socket.display().to_string(),
        socket_there: socket.exists(),
        usb: on_the_usb(root),
        ..ReaderFacts::default()
    };
    if facts.socket_there {
        facts.refused = UnixStream::connect(&socket).err().map(|error| error.to_string());
    }
    if facts.socket_there && facts.refused.is_none() && root.is_real() {
        list(&mut facts, pattern);
    }
    facts
}

#[cfg(feature = "pcsc")]
fn list(facts: &mut ReaderFacts, pattern: Option<&str>) {
    use sealfax_drivers::card::pcsc::PcscReader;
    use sealfax_drivers::pattern::NamePattern;
    match PcscReader::names() {
        Ok(names) => {
            match NamePattern::new(pattern.unwrap_or_default()).choose(&names) {
                Ok(name) => facts.chosen = Some(name.clone()),
                Err(error) => facts.not_chosen = Some(error.to_string()),
            }
            facts.readers = names;
        }
        Err(error) => facts.problem = Some(error.to_string()),
    }
}

#[cfg(not(feature = "pcsc"))]
fn list(_facts: &mut ReaderFacts, _pattern: Option<&str>) {}

fn on_the_usb(root: &Root) -> Vec<String> {
    let folder = "/sys/bus/usb/devices";
    let interfaces = root
        .names(folder)
        .into_iter()
        .filter(|name| root.text(format!("{folder}/{name}/bInterfaceClass")).is_some_and(|class| class == SMART_CARD));
    interfaces
        .map(|interface| {
            let device = interface.split(':').next().unwrap_or_default().to_owned();
            let read = |file: &str| root.text(format!("{folder}/{device}/{file}")).unwrap_or_default();
            format!("{}:{} {}", read("idVendor"), read("idProduct"), read("product")).trim_end().to_owned()
        })
        .collect()
}

/// Looks at the card in a reader, and leaves it as it was.
pub async fn look(mut reader: Box<dyn CardReader>) -> (CardFacts, Vec<CardCertificate>) {
    let failed = |error: &CardError| {
        let presence = match error {
            CardError::Removed => Presence::Absent,
            CardError::Mute => Presence::Mute,
            CardError::Reader(why) if why.contains("another program") => Presence::Busy,
            error => Presence::Failed(error.to_string()),
        };
        (CardFacts { presence, ..CardFacts::default() }, Vec::new())
    };
    match tokio::time::timeout(GLANCE, insertion(reader.as_mut())).await {
        Err(_) => return (CardFacts::default(), Vec::new()),
        Ok(Err(error)) => return failed(&error),
        Ok(Ok(())) => {}
    }
    // A card takes its time.
    let read = tokio::task::spawn_blocking(move || reader.connect().and_then(read)).await;
    match read {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&CardError::Reader(error.to_string())),
    }
}

async fn insertion(reader: &mut dyn CardReader) -> Result<(), CardError> {
    loop {
        match reader.next_event().await? {
            CardEvent::Inserted => return Ok(()),
            CardEvent::ReaderLost => return Err(reader.fault().unwrap_or(CardError::NoReader)),
            _ => {}
        }
    }
}

fn read(channel: Box<dyn CardChannel>) -> Result<(CardFacts, Vec<CardCertificate>), CardError> {
    let mut facts = CardFacts { presence: Presence::Present, ..CardFacts::default() };
    let mut piv = match Piv::select(channel) {
        Ok(piv) => piv,
        Err(CardError::Missing(_) | CardError::Status { .. } | CardError::Malformed { .. }) => {
            return Ok((facts, Vec::new()));
        }
        Err(error) => return Err(error),
    };
    facts.piv = true;
    let mut certificates = Vec::new();
    for slot in [Slot::Signature, Slot::KeyManagement] {
        match piv.certificate(slot) {
            Ok(der) => certificates.push(CardCertificate { slot, der }),
            Err(error @ (CardError::Missing(_) | CardError::Malformed { .. } | CardError::Status { .. })) => {
                let problem = Some(error.to_string());
                facts.certificates.push(SlotFacts { slot: slot_name(slot), problem, ..SlotFacts::default() });
            }
            Err(error) => return Err(error),
        }
    }
    facts.tries_left = match piv.pin_tries_left() {
        Ok(PinStatus::TriesLeft(left)) => Some(left),
        Ok(PinStatus::Blocked) => Some(0),
        Ok(PinStatus::Verified) => None,
        Err(CardError::Removed) => return Err(CardError::Removed),
        Err(_) => None,
    };
    describe(&mut facts, &certificates);
    Ok((facts, certificates))
}

/// Adds dates and numbers of the certificates.
pub(super) fn describe(facts: &mut CardFacts, certificates: &[CardCertificate]) {
    for CardCertificate { slot, der } in certificates {
        let dates = path::validity(der).ok();
        facts.certificates.push(SlotFacts {
            slot: slot_name(*slot),
            problem: dates.is_none().then(|| "its octets are no certificate".to_owned()),
            serial: path::serial(der).ok().map(|serial| hexadecimal(&serial)),
            issuer: path::issuer(der).ok(),
            begins: dates.map(|(begins, _)| seconds(begins)),
            ends: dates.map(|(_, ends)| seconds(ends)),
        });
    }
    facts.certificates.sort_by(|a, b| a.slot.cmp(&b.slot));
    if let [a, b] = certificates {
        let owner = |der: &[u8]| path::addresses(der).first().map(|address| normal_address(address));
        facts.one_owner = owner(&a.der).zip(owner(&b.der)).map(|(a, b)| a == b);
    }
}

/// "9C".
pub(super) fn slot_name(slot: Slot) -> String {
    format!("{:02X}", slot.key_reference())
}

/// Seconds since 1970, before it below zero.
pub(super) fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}
