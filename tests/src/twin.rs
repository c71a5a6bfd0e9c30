//! A test on the digital twin, or why there is none here.
#![allow(clippy::panic)]

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sealfax_rig::twin::{Gpio, Image, Offices, TwinError, Twins, machine};

/// Boards that are emulated side by side take each other's time: one test at a time has them.
static BOARDS: Mutex<()> = Mutex::new(());

fn image() -> Result<Image, TwinError> {
    machine::check()?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    Image::open(&workspace.join(Image::PLACE))
}

/// Runs `body` with a bench of twins for these offices, or says why it cannot: a failure where everything has to be (CI).
pub fn on_twins(offices: Offices, gpio: Gpio, body: impl FnOnce(Twins)) {
    match image() {
        Ok(image) => {
            let _boards = BOARDS.lock().unwrap_or_else(PoisonError::into_inner);
            body(Twins { image: Arc::new(image), offices, gpio });
        }
        Err(missing) => {
            let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
            assert!(!strict, "{missing}");
            eprintln!("unsupported: {missing}");
        }
    }
}
