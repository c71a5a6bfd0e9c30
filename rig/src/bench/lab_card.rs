//! How a story's card reaches a board of the lab.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::on_lab::broken;
use crate::lab::deploy::Shell;
use crate::lab::file::{Board, Card};
use crate::scenario::Failure;
use crate::scenario::trouble::Trouble;
use crate::twin::vsc::VscHandle;
use crate::virtual_card::{BoardSlot, Hand, VpcdHandle};

/// Until QEMU has its socket, and until it has taken the rig's reader.
const READER: Duration = Duration::from_secs(20);

/// The hand at the board's slot.
pub(super) fn hand(board: &Board, trouble: &Trouble, shell: &Arc<Mutex<Option<Shell>>>) -> Result<Hand, Failure> {
    let Some(card) = &board.card else { return Ok(Hand::Vsc(VscHandle::default())) };
    let plug = plug(board, trouble, shell);
    match card.vpcd {
        Some(at) => {
            // Whoever is refused here would wait for a card in vain.
            std::net::TcpStream::connect_timeout(&at, Duration::from_secs(5))
                .map_err(|error| broken(format!("vpcd at {at}: {error}")))?;
            Ok(Hand::Board(BoardSlot { slot: VpcdHandle::at(at), plug }))
        }
        None if card.qemu.is_some() => {
            let slot = VscHandle::default();
            slot.plug_by(plug);
            Ok(Hand::Vsc(slot))
        }
        None => {
            let what = "card that bears a story's own certificates: cards of plastic keep theirs; use `vpcd`";
            Err(Failure::Unsupported(what.into()))
        }
    }
}

/// The reader's plug, worked by commands on the board.
fn plug(board: &Board, trouble: &Trouble, shell: &Arc<Mutex<Option<Shell>>>) -> crate::twin::vsc::Plug {
    let commands = board.reader_plug.clone();
    let (trouble, shell) = (trouble.clone(), shell.clone());
    Arc::new(move |plugged| {
        let Some(commands) = &commands else {
            return trouble.lacks("way to pull the plug of a board's card reader; see `reader_plug`");
        };
        let shell = shell.lock().unwrap_or_else(PoisonError::into_inner);
        let command = if plugged { &commands.plug } else { &commands.unplug };
        let said = shell.as_ref().map(|shell| waiting(|| shell.must(command)));
        if let Some(Err(error)) = said {
            trouble.broke(format!("lab: the card reader's plug: {error}"));
        }
    })
}

/// The reader's other end: QEMU's is there anew after each power cut; vpcd's is connected to with each card.
pub(super) async fn connect(card: Option<&Card>, hand: &Hand) -> Result<(), Failure> {
    let (Some(at), Hand::Vsc(slot)) = (card.and_then(|card| card.qemu.clone()), hand.clone()) else { return Ok(()) };
    let connecting = tokio::task::spawn_blocking(move || {
        let late = Instant::now() + READER;
        let stream = loop {
            match UnixStream::connect(&at) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > late => return Err(format!("the reader at {}: {error}", at.display())),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        slot.connect(stream).map_err(|error| error.to_string())?;
        if slot.wait_ready(READER) {
            Ok(())
        } else {
            Err(format!("the reader at {} does not take the rig's", at.display()))
        }
    });
    connecting.await.map_err(broken)?.map_err(broken)
}

/// Waits for the board in the midst of a story, while others go on with what this thread had to do: among them the pump of
/// a serial port, without which there is no answer.
pub(super) fn waiting<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
