//! The card's end of vsmartcard's vpcd: messages with two octets of length; one octet is power or a question for the
//! ATR, anything else a command.

use crate::transport::Card;
use apdu_app::App;
use rustix::net::sockopt::set_tcp_quickack;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

const POWER_OFF: u8 = 0;
const POWER_ON: u8 = 1;
const RESET: u8 = 2;
const ATR: u8 = 4;

/// Puts the card into the slot at `port` and answers until the slot goes away.
pub fn serve<A: App>(port: u16, atr: &[u8], card: &mut Card<A>) -> io::Result<()> {
    let mut slot = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    slot.set_nodelay(true)?;
    loop {
        let Ok(message) = read(&mut slot) else { return Ok(()) };
        let answer = match message.as_slice() {
            [POWER_OFF | POWER_ON | RESET] => {
                card.reset();
                continue;
            }
            [ATR] => atr.to_vec(),
            command => card.transmit(command),
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        // One write: two would wait for each other's acknowledgement.
        if slot.write_all(&[&length.to_be_bytes()[..], &answer].concat()).is_err() {
            return Ok(());
        }
    }
}

/// vpcd writes length and message apart and waits between them for the acknowledgement, which the kernel would hold
/// back for 40 ms; the option has to be set before each read.
fn read(slot: &mut TcpStream) -> io::Result<Vec<u8>> {
    set_tcp_quickack(&*slot, true)?;
    let mut length = [0; 2];
    slot.read_exact(&mut length)?;
    set_tcp_quickack(&*slot, true)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    slot.read_exact(&mut message)?;
    Ok(message)
}
