//! A card reader that PC/SC knows, behind the driver's trait.

use std::time::Duration;

use ::pcsc::{Context, Error, Scope};
use async_trait::async_trait;
use tokio::sync::watch::{self, Receiver};

use super::channel;
use super::error::told;
use super::follow::Follower;
use crate::card::sight::{self, Sight};
use crate::card::{CardChannel, CardError, CardEvent, CardReader};
use crate::pattern::NamePattern;

/// How long a card may take for one command unless it is said otherwise. The slowest thing a card does in a flow is an RSA
/// operation of some seconds; making a key may take longer.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// One reader, chosen by name, with one slot.
pub struct PcscReader {
    name: String,
    timeout: Duration,
    follower: Follower,
    sight: Receiver<Sight>,
    seen: Sight,
}

impl std::fmt::Debug for PcscReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PcscReader").field("name", &self.name).field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl PcscReader {
    /// Begins to follow the reader whose name fits. It need not be there yet, nor need the daemon: events tell when it
    /// comes, and [`CardReader::fault`] why it has not.
    pub fn open(pattern: NamePattern) -> Result<Self, CardError> {
        let (sender, sight) = watch::channel(Sight::EMPTY);
        let name = pattern.to_string();
        let name = if name.is_empty() { "card reader".to_owned() } else { name };
        let follower = Follower::start(pattern, sender)?;
        Ok(Self { name, timeout: COMMAND_TIMEOUT, follower, sight, seen: Sight::EMPTY })
    }

    /// How long a card may take for one command on channels that are opened from now on.
    pub fn with_command_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The names of all readers that PC/SC has now.
    pub fn names() -> Result<Vec<String>, CardError> {
        let context = Context::establish(Scope::User).map_err(told)?;
        let names = match context.list_readers_owned() {
            Ok(names) => names,
            Err(Error::NoReadersAvailable) => Vec::new(),
            Err(error) => return Err(told(error)),
        };
        Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
    }

    /// The whole name of the reader that is followed now.
    pub fn chosen(&self) -> Option<String> {
        self.follower.chosen().map(|name| name.to_string_lossy().into_owned())
    }
}

#[async_trait]
impl CardReader for PcscReader {
    fn name(&self) -> &str {
        &self.name
    }

    async fn next_event(&mut self) -> Result<CardEvent, CardError> {
        sight::next_event(&mut self.sight, &mut self.seen).await
    }

    fn fault(&self) -> Option<CardError> {
        self.follower.absence()
    }

    fn connect(&self) -> Result<Box<dyn CardChannel>, CardError> {
        let name = self.follower.chosen().ok_or_else(|| self.fault().unwrap_or(CardError::NoReader))?;
        Ok(Box::new(channel::open(name, self.timeout)?))
    }
}
