//! Benches: what a scenario runs on. [`sim`] builds a whole region in process, on real loopback sockets.

pub mod attacker;
pub mod people;
pub mod region;
pub mod sim;
pub mod site;
