//! The servers' program and its database, for tests that run, kill and restart them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use sealfax_rig::peer::postgres::{self, PostgresServer};

/// How often a program is killed (`SEALFAX_KILLS`).
pub fn kills() -> u64 {
    std::env::var("SEALFAX_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(25)
}

/// The servers' program, built beside this test.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("sealfax-mailserver");
    assert!(program.is_file(), "{} is not built", program.display());
    program
}

/// A PostgreSQL cluster, where there is one to be had.
pub fn cluster() -> Option<PostgresServer> {
    let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
    match postgres::present() {
        Err(missing) if !strict => {
            eprintln!("unsupported: {missing}");
            None
        }
        _ => Some(PostgresServer::start(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap()),
    }
}
