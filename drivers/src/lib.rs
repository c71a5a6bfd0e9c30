//! Devices of the adapter: lamp, buzzer, button, display, card reader, PIN pad, fax modem, and whatever else knows people.
//!
//! Each device is a small trait, real backends and a virtual one, chosen at run time. Nothing here knows of mail.

pub mod button;
pub mod buzzer;
pub mod card;
pub mod display;
pub mod gpio;
pub mod lamp;
pub mod modem;
pub mod pattern;
pub mod person;
pub mod pin;
