//! A test with a private pcscd. libpcsclite serves one daemon a process and finds it by the environment, so each such test
//! runs its own test binary again, for itself alone, with a daemon of its own.
#![allow(clippy::panic)]

use std::process::Command;

use sealfax_rig::peer::pcscd::{OwnFolder, SOCKET};

/// Runs `body` in a process of its own that may start a private pcscd, or says why it cannot. Call it first and last in a
/// test.
pub fn in_own_process(body: impl FnOnce()) {
    if let Some(_folder) = OwnFolder::of_this_process() {
        return body();
    }
    if let Err(missing) = sealfax_rig::peer::pcscd::check() {
        let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
        assert!(!strict, "{missing}");
        eprintln!("unsupported: {missing}");
        return;
    }
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let socket = OwnFolder::prepare().unwrap_or_else(|error| panic!("a folder for pcscd: {error}"));
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("the test's own program: {error}"));
    let output = Command::new(program)
        .args([&test, "--exact", "--nocapture", "--test-threads", "1"])
        .env(SOCKET, &socket)
        .output()
        .unwrap_or_else(|error| panic!("the test's own process: {error}"));
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test} in its own process: {}\n{said}\n{complained}", output.status);
    assert!(said.contains("1 passed"), "{test} was not run in its own process:\n{said}");
}
