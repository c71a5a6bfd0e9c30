//! What an adapter needs to talk to the servers, and the seams that every network-facing part of Sealfax is given
//! at start: time, network, chance and journal.
//!
//! * [`ocsp`]: is this certificate valid; [`lookup`]: certificates by address; [`history`]: registered transmissions;
//!   [`http`]: the exchange under all three.
//! * [`seam`]: [`seam::Clock`], [`seam::Network`], [`seam::Entropy`], [`seam::Journal`], bundled as [`seam::Seams`].

pub mod history;
pub mod http;
pub mod lookup;
pub mod ocsp;
pub mod seam;
