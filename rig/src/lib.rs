//! The hardware-in-the-loop rig: one scenario suite, several benches, one event log, and reports made from it.

pub mod bench;
pub mod demo;
pub mod endpoint;
pub mod events;
pub mod instrument;
pub mod report;
pub mod requirements;
pub mod scenario;
pub mod virtual_card;
pub mod world;
