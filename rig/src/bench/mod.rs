//! Benches: what a scenario runs on. A [`region`] is a whole world on real loopback sockets. On the bench `sim` its adapters
//! run in process (`in_process`), on the bench `twin` on emulated boards ([`on_twin`]), on the
//! bench `lab` on real ones ([`on_lab`]).

pub mod attacker;
mod board;
mod cards;
mod in_process;
mod journal;
mod lab_card;
pub mod liar;
pub mod mail_tls;
pub mod on_lab;
pub mod on_twin;
pub mod own_directory;
pub mod people;
pub mod region;
pub mod sim;
pub mod site;
