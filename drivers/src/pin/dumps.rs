//! No core dump of this process: whatever secret passes through it, none is written to a disk when it crashes.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Neither a core file nor a debugger of the same user (prctl(2), PR_SET_DUMPABLE; setrlimit(2), RLIMIT_CORE). For the
/// whole process, from now on; call it first in `main`.
pub fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be limited");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps cannot be forbidden");
    }
}
