//! The hardware-in-the-loop rig: one scenario suite, several benches, one event log, and reports made from it.

pub mod bench;
pub mod bench_peers;
pub mod compare;
pub mod demo;
pub mod endpoint;
pub mod events;
pub mod instrument;
pub mod lab;
pub mod package;
pub mod peer;
pub mod report;
pub mod requirements;
pub mod scenario;
pub mod twin;
pub mod up;
pub mod virtual_card;
pub mod world;
