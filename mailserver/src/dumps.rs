//! No core dump of this process: whatever key or passphrase passes through it, none is written to a disk when it
//! crashes.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Neither a core file nor a debugger of the same user (prctl(2), PR_SET_DUMPABLE; setrlimit(2), RLIMIT_CORE). For the
/// whole process, from now on; call it first.
pub fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        eprintln!("Warning: core dumps cannot be limited: {error}");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        eprintln!("Warning: core dumps cannot be forbidden: {error}");
    }
}
