//! What an adapter needs to talk to the servers, and the seams that every network-facing part of Sealfax is given
//! at start: time, network, chance and journal.
//!
//! * [`ocsp`]: is this certificate valid; [`certificate`]: what is read from one; [`lookup`]: certificates by address;
//!   [`history`]: registered transmissions; [`http`]: the exchange under all of them; [`ldap`]: certificates from a
//!   directory that a site already runs.
//! * [`smtp`], [`pop3`]: send and fetch mail; [`smtp_server`], [`pop3_server`]: the serving halves, for whoever takes
//!   mail in or hands it out; [`tls`] and [`sasl`] under them; [`dns`]: where to send it.
//! * [`seam`]: [`seam::Clock`], [`seam::Network`], [`seam::Entropy`], [`seam::Journal`], bundled as [`seam::Seams`].

pub mod certificate;
pub mod dns;
mod gate;
pub mod history;
pub mod http;
pub mod ldap;
pub mod lookup;
pub mod ocsp;
pub mod pop3;
pub mod pop3_server;
pub mod sasl;
pub mod seam;
pub mod smtp;
pub mod smtp_server;
pub mod tls;
