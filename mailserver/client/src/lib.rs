//! What an adapter needs to talk to the servers, and the seams that every network-facing part of Sealfax is given
//! at start: time, network, chance and journal.
//!
//! * [`seam`]: [`seam::Clock`], [`seam::Network`], [`seam::Entropy`], [`seam::Journal`], bundled as [`seam::Seams`].

pub mod seam;
