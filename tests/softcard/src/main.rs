//! `softcard PORT`: a PIV card that nobody here wrote (piv-authenticator on trussed, NIST SP 800-73-4) in the slot that
//! vsmartcard's vpcd offers at PORT of loopback. For tests: its random numbers are not fit for anything else.
//!
//! The card is blank as its maker ships it: management key, PIN and unblocking key are the well-known ones. It lives in
//! memory from start to end, so what is written outlives a reset and a closed channel, and nothing else.

mod dispatch;
mod transport;
mod vpcd;

use piv_authenticator::{Authenticator, Options};
use std::process::ExitCode;
use trussed::virt::{self, StoreConfig};

/// T=0 and T=1 offered, no historical octets: whoever wants to know what it is has to ask.
const ATR: [u8; 5] = [0x3B, 0x80, 0x80, 0x01, 0x01];

fn main() -> ExitCode {
    let Some(port) = std::env::args().nth(1).and_then(|port| port.parse().ok()) else {
        eprintln!("softcard: give the port of a vpcd slot");
        return ExitCode::from(2);
    };
    // trussed's clients do not travel between threads: the card answers on the thread that made it.
    let served = virt::with_platform(StoreConfig::ram(), |platform| {
        platform.run_client_with_backends("piv", dispatch::Dispatch::default(), dispatch::BACKENDS, |client| {
            let options = Options::default().uuid(Some([7; 16]));
            vpcd::serve(port, &ATR, &mut transport::Card::new(Authenticator::new(client, options)))
        })
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("softcard: no slot at port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}
