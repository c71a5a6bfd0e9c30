//! What the kernel says of a process that forbade its core dumps. Alone in its program: it is for the whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sealfax_drivers::pin::no_core_dumps;

#[test]
fn neither_dump_nor_debugger() {
    no_core_dumps();
    no_core_dumps();
    let dumpable = rustix::process::dumpable_behavior().unwrap();
    assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
    assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
}
