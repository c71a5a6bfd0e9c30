//! The reader and the card in it: waits for an insertion and opens the PIV application.

use std::time::Duration;

use sealfax_drivers::card::piv::Piv;
use sealfax_drivers::card::{CardChannel, CardError, CardEvent, CardReader};

use super::console::Console;
use super::error::CardCommandError;

/// How long a card that is already in may take to be seen, before the person is asked for it.
const GLANCE: Duration = Duration::from_millis(700);

/// A reader at the administrator's desk.
pub struct Station {
    reader: Box<dyn CardReader>,
    wait: Duration,
    inserted: bool,
}

impl std::fmt::Debug for Station {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Station").field("reader", &self.reader.name()).finish_non_exhaustive()
    }
}

impl Station {
    /// A reader, and how long to wait for a card.
    pub fn new(reader: Box<dyn CardReader>, wait: Duration) -> Self {
        Self { reader, wait, inserted: false }
    }

    /// The reader's name.
    pub fn name(&self) -> &str {
        self.reader.name()
    }

    /// Opens the card that is in, or the next one that is inserted. Blocks.
    pub fn open(&mut self, console: &mut dyn Console) -> Result<Piv, CardCommandError> {
        Ok(Piv::select(self.connect(console)?)?)
    }

    /// A channel to it, before anything was said to it.
    pub fn connect(&mut self, console: &mut dyn Console) -> Result<Box<dyn CardChannel>, CardCommandError> {
        if !self.inserted {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| CardError::Reader(error.to_string()))?;
            if !runtime.block_on(insertion(self.reader.as_mut(), GLANCE))? {
                console.say(&format!("Insert the card into {}.", self.reader.name()));
                if !runtime.block_on(insertion(self.reader.as_mut(), self.wait))? {
                    return Err(CardCommandError::NoCard(self.wait.as_secs()));
                }
            }
            self.inserted = true;
        }
        Ok(self.reader.connect()?)
    }
}

/// Waits for an insertion; `false` when none came in time.
async fn insertion(reader: &mut dyn CardReader, wait: Duration) -> Result<bool, CardError> {
    let wanted = async {
        loop {
            match reader.next_event().await? {
                CardEvent::Inserted => return Ok(()),
                CardEvent::ReaderLost => return Err(reader.fault().unwrap_or(CardError::NoReader)),
                _ => {}
            }
        }
    };
    match tokio::time::timeout(wait, wanted).await {
        Ok(Ok(())) => Ok(true),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// A card may take so long to make an RSA key.
#[cfg(feature = "pcsc")]
const KEY_GENERATION: Duration = Duration::from_secs(240);

/// The reader whose name contains `pattern`, or the only one.
#[cfg(feature = "pcsc")]
pub fn open_reader(pattern: Option<&str>) -> Result<Box<dyn CardReader>, CardCommandError> {
    use sealfax_drivers::card::pcsc::PcscReader;
    use sealfax_drivers::pattern::NamePattern;
    let reader = PcscReader::open(NamePattern::new(pattern.unwrap_or_default()))?;
    Ok(Box::new(reader.with_command_timeout(KEY_GENERATION)))
}

/// This build has no card readers, and says how to get one that has.
#[cfg(not(feature = "pcsc"))]
pub fn open_reader(_pattern: Option<&str>) -> Result<Box<dyn CardReader>, CardCommandError> {
    Err(CardCommandError::NoPcsc)
}
