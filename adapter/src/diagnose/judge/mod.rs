//! The judges: facts in, findings out. No file, no socket, no clock.

mod board;
mod card;
mod clock;
mod network;
mod trust;

use super::area::Area;
use super::engine::Known;
use super::facts::FactSheet;
use super::report::{Judgement, State};
use super::words::words;

/// What is to be said of an area.
pub fn judge(area: Area, sheet: &FactSheet, known: &Known) -> Judgement {
    let judgement = match area {
        Area::Configuration => board::configuration(sheet),
        Area::Power => board::power(sheet),
        Area::Storage => board::storage(sheet),
        Area::Gpio => board::gpio(sheet),
        Area::Display => board::display(sheet),
        Area::Reader => card::reader(sheet),
        Area::Card => card::card(sheet),
        Area::TerminalPort => network::terminal_port(sheet),
        Area::NetworkPort => network::network_port(sheet, known),
        Area::Names => network::names(sheet),
        Area::Certificates => trust::certificates(sheet, known),
        Area::Servers => trust::servers(sheet, known),
        Area::Clock => clock::clock(sheet),
        Area::Service => network::service(sheet, known),
    };
    judgement.unwrap_or_else(|| Judgement::plain(State::Unknown(words("記録がありません", "nothing was recorded"))))
}
