//! Endpoints: what stands at the ends of the wires and is not under test, as real protocol speakers.

pub mod fax_machine;
pub mod ifax;
mod tray;

pub use sealfax_scanner as scanner;
