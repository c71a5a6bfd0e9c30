//! The openssl command as a witness.

use std::io;
use std::path::Path;
use std::process::Command;

/// Runs `openssl` in `folder` and returns its standard output; what it complains of is the error.
pub fn openssl(folder: &Path, arguments: &[&str]) -> io::Result<Vec<u8>> {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("openssl {}: {complaint}", arguments.join(" "))))
}

/// Whether the command is at hand. Where it has to be (`SEALFAX_STRICT=1`: CI, and the oracles), its absence is a failure
/// of the first call of [`openssl`].
pub fn present() -> bool {
    crate::at_hand("openssl")
}
