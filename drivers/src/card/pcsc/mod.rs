//! Card readers over PC/SC (pcsc-lite 1.9 and later).
//!
//! [`PcscReader`] watches one reader from a thread of its own and opens channels, each with a thread of its own as well:
//! a call into PC/SC cannot be broken off, so nobody else ever waits in one. [`watch`] decides, without PC/SC, what a
//! reported state means.

mod channel;
mod error;
mod follow;
mod reader;
pub mod watch;

pub use reader::{COMMAND_TIMEOUT, PcscReader};
