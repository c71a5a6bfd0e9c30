//! The simulated world around the programs under test: hosts with addresses and cables of their own, names, and a
//! record of every octet between them. Only loopback, ever.

pub mod dns;
pub mod hosts;
pub mod mails;
pub mod network;
pub mod pcap;
pub mod transcript;
