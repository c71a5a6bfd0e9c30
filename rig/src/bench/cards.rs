//! How a card reaches an adapter: a reader in software, or a slot of a real pcscd and the driver of the field.

use sealfax_drivers::card::CardReader;

use crate::scenario::{Cards, Failure};
use crate::virtual_card::{Hand, VirtualReader};

/// A slot for as long as an adapter has it: the hand at it, and readers of it.
#[derive(Debug)]
pub(super) struct CardSlot {
    hand: Hand,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Each reader has a slot of its own.
    Virtual { name: String },
    /// A slot that all readers share.
    #[cfg(feature = "pcsc")]
    Pcscd(pcscd::Lease),
}

impl CardSlot {
    /// A slot for the adapter of this name, and its first reader.
    pub(super) fn new(cards: Cards, adapter: &str) -> Result<(Self, Box<dyn CardReader>), Failure> {
        match cards {
            Cards::Virtual => {
                let name = format!("reader of {adapter}");
                let (reader, slot) = VirtualReader::new(&name);
                Ok((Self { hand: Hand::Virtual(slot), source: Source::Virtual { name } }, Box::new(reader)))
            }
            #[cfg(feature = "pcsc")]
            Cards::Pcscd => {
                let (hand, lease) = pcscd::lease()?;
                let reader = lease.reader()?;
                Ok((Self { hand, source: Source::Pcscd(lease) }, reader))
            }
            #[cfg(not(feature = "pcsc"))]
            Cards::Pcscd => Err(Failure::Unsupported("path to pcscd; build it with `--features pcsc`".into())),
        }
    }

    /// The hand at the slot.
    pub(super) fn hand(&self) -> &Hand {
        &self.hand
    }

    /// The adapter's power is back, and nothing is in the slot: a reader for it.
    pub(super) fn renew(&mut self) -> Result<Box<dyn CardReader>, Failure> {
        match &self.source {
            Source::Virtual { name } => {
                let (reader, slot) = VirtualReader::new(name);
                self.hand = Hand::Virtual(slot);
                Ok(Box::new(reader))
            }
            #[cfg(feature = "pcsc")]
            Source::Pcscd(lease) => {
                let _ = self.hand.remove();
                lease.reader()
            }
        }
    }
}

#[cfg(feature = "pcsc")]
mod pcscd {
    //! The one private pcscd of this process, its slots lent to one office after the other.

    use std::collections::VecDeque;
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use sealfax_drivers::card::CardReader;
    use sealfax_drivers::card::pcsc::PcscReader;
    use sealfax_drivers::pattern::NamePattern;

    use crate::peer::pcscd::{Pcscd, PcscdError};
    use crate::scenario::Failure;
    use crate::virtual_card::{Hand, VpcdHandle};

    /// Two slots each: more than any region has offices.
    const READERS: [&str; 4] = ["Sealfax A", "Sealfax B", "Sealfax C", "Sealfax D"];

    /// pcscd looks at every slot several times a second.
    const PATIENCE: Duration = Duration::from_secs(10);

    struct Pool {
        pcscd: Pcscd,
        free: Mutex<VecDeque<(String, VpcdHandle)>>,
    }

    fn pool() -> Result<&'static Pool, Failure> {
        static POOL: OnceLock<Result<Pool, Failure>> = OnceLock::new();
        let start = || {
            let pcscd = Pcscd::start(&READERS).map_err(|error| match error {
                PcscdError::Missing { .. } => Failure::Unsupported(format!("pcscd: {error}")),
                error => Failure::infrastructure(error),
            })?;
            let slot = |slot: &crate::peer::pcscd::VpcdSlot| (slot.reader.clone(), VpcdHandle::new(slot.port));
            let free = Mutex::new(pcscd.slots().iter().map(slot).collect());
            Ok(Pool { pcscd, free })
        };
        POOL.get_or_init(start).as_ref().map_err(Clone::clone)
    }

    /// A slot of the pool; it goes back when it is dropped.
    #[derive(Debug)]
    pub(super) struct Lease {
        reader: String,
        slot: VpcdHandle,
    }

    /// A free slot, and the hand at it.
    pub(super) fn lease() -> Result<(Hand, Lease), Failure> {
        let pool = pool()?;
        // An earlier story may have ended while it was killed.
        pool.pcscd.ensure().map_err(Failure::infrastructure)?;
        let free = pool.free.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let (reader, slot) = free.ok_or_else(|| Failure::infrastructure("every slot of pcscd is taken"))?;
        // The last story's card is gone by now: the slots are lent in turn.
        if !slot.is_seen_empty(PATIENCE) {
            return Err(Failure::infrastructure(format!("pcscd does not notice that {reader} is empty")));
        }
        Ok((Hand::Vpcd { slot: slot.clone(), pcscd: pool.pcscd.clone() }, Lease { reader, slot }))
    }

    impl Lease {
        pub(super) fn reader(&self) -> Result<Box<dyn CardReader>, Failure> {
            let reader = PcscReader::open(NamePattern::new(&self.reader)).map_err(Failure::infrastructure)?;
            Ok(Box::new(reader))
        }
    }

    impl Drop for Lease {
        fn drop(&mut self) {
            self.slot.clear();
            if let Ok(pool) = pool() {
                let slot = (std::mem::take(&mut self.reader), self.slot.clone());
                pool.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(slot);
            }
        }
    }
}
