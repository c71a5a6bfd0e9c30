//! Instruments: the devices of a simulated adapter, wired to the event log. Each stands behind the driver's trait, so
//! the adapter cannot tell it from hardware.

pub mod buzzer;
pub mod fingerprint;
pub mod keypad;
pub mod lamp;
pub mod screen;
