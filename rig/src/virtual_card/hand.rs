//! The hand at a card slot, whichever way the card reaches the adapter.

use super::reader::{ApduObserver, CardHandle, SlotHandle};
use super::vpcd::VpcdHandle;
use crate::peer::pcscd::Pcscd;
use crate::twin::vsc::{Plug, VscHandle};

/// A hand at a slot. Clones are the same slot.
#[derive(Debug, Clone)]
pub enum Hand {
    /// At the slot of a reader in software.
    Virtual(SlotHandle),
    /// At the slot of a vpcd reader behind a private pcscd.
    Vpcd {
        /// The slot.
        slot: VpcdHandle,
        /// The daemon, whose end is a pulled plug to every reader it has.
        pcscd: Pcscd,
    },
    /// At the slot of the USB reader of a twin.
    Vsc(VscHandle),
    /// At the slot of a vpcd reader on a board.
    Board(BoardSlot),
}

/// A slot of vpcd on a board, whose reader has no plug but what the bench has for one.
#[derive(Clone)]
pub struct BoardSlot {
    /// The slot.
    pub slot: VpcdHandle,
    /// Works the reader's plug.
    pub plug: Plug,
}

impl std::fmt::Debug for BoardSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.slot.fmt(f)
    }
}

/// How often pcscd looks at a reader that does not interrupt, and a little more.
const LOOKS: std::time::Duration = std::time::Duration::from_millis(650);
/// Until pcscd on a twin has seen what its reader interrupted it for, and the twin's adapter has.
const INTERRUPTS: std::time::Duration = std::time::Duration::from_millis(800);

impl Hand {
    /// Puts a card in; one that was in comes out first.
    pub fn insert(&self, card: &CardHandle) {
        match self {
            Self::Virtual(slot) => slot.insert(card),
            Self::Vpcd { slot, .. } => slot.insert(card),
            Self::Vsc(slot) => slot.insert(card),
            Self::Board(board) => board.slot.insert(card),
        }
    }

    /// Pulls the card out; open channels to it are dead from now on. `None` if none was in.
    pub fn remove(&self) -> Option<CardHandle> {
        match self {
            Self::Virtual(slot) => slot.remove(),
            Self::Vpcd { slot, .. } => slot.remove(),
            Self::Vsc(slot) => slot.remove(),
            Self::Board(board) => board.slot.remove(),
        }
    }

    /// The card that is in.
    pub fn card(&self) -> Option<CardHandle> {
        match self {
            Self::Virtual(slot) => slot.card(),
            Self::Vpcd { slot, .. } => slot.card(),
            Self::Vsc(slot) => slot.card(),
            Self::Board(board) => board.slot.card(),
        }
    }

    /// Until what was last done at the slot has been seen: pcscd looks at its readers every 400 ms.
    pub async fn seen(&self) {
        match self {
            Self::Virtual(_) => {}
            Self::Vpcd { .. } | Self::Board(_) => tokio::time::sleep(LOOKS).await,
            Self::Vsc(_) => tokio::time::sleep(INTERRUPTS).await,
        }
    }

    /// Pulls the reader's plug; a card stays where it is, without power. A vpcd reader has no plug: its pcscd is killed,
    /// and with it the readers of the other offices are gone.
    pub fn unplug(&self) {
        match self {
            Self::Virtual(slot) => slot.unplug(),
            Self::Vsc(slot) => slot.plug(false),
            Self::Board(board) => (board.plug)(false),
            Self::Vpcd { pcscd, .. } => {
                if let Err(error) = pcscd.kill() {
                    tracing::error!(%error, "pcscd");
                }
            }
        }
    }

    /// Plugs the reader in again; a card that is in is seen as inserted anew.
    pub fn plug(&self) {
        match self {
            Self::Virtual(slot) => slot.plug(),
            Self::Vsc(slot) => slot.plug(true),
            Self::Board(board) => (board.plug)(true),
            Self::Vpcd { pcscd, .. } => {
                if let Err(error) = pcscd.ensure() {
                    tracing::error!(%error, "pcscd");
                }
            }
        }
    }

    /// Fault: the card is pulled right after `apdus` more answers, whichever card that is. With 0 it is pulled while
    /// the next command is on its way, which the card then never sees.
    pub fn pull_after(&self, apdus: u32) {
        match self {
            Self::Virtual(slot) => slot.pull_after(apdus),
            Self::Vpcd { slot, .. } => slot.pull_after(apdus),
            Self::Vsc(slot) => slot.pull_after(apdus),
            Self::Board(board) => board.slot.pull_after(apdus),
        }
    }

    /// Fault: the next command is answered with this status word instead of by the card. Several calls queue.
    pub fn fail_next(&self, status: u16) {
        match self {
            Self::Virtual(slot) => slot.fail_next(status),
            Self::Vpcd { slot, .. } => slot.fail_next(status),
            Self::Vsc(slot) => slot.fail_next(status),
            Self::Board(board) => board.slot.fail_next(status),
        }
    }

    /// Who is told of every APDU from now on.
    pub fn observe(&self, observer: ApduObserver) {
        match self {
            Self::Virtual(slot) => slot.observe(observer),
            Self::Vpcd { slot, .. } => slot.observe(observer),
            Self::Vsc(slot) => slot.observe(observer),
            Self::Board(board) => board.slot.observe(observer),
        }
    }
}
