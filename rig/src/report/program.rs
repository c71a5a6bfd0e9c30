//! Which program ran: the SHA-256 of the rig's own executable, so that a report says what it is a report of.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

/// SHA-256 of this process's executable in hexadecimal; `None` where the system does not let it be read. It is looked at
/// once: the file is large, and a process does not change its program.
pub fn sha256() -> Option<&'static str> {
    static HASH: OnceLock<Option<String>> = OnceLock::new();
    HASH.get_or_init(|| of_self().ok()).as_deref()
}

fn of_self() -> io::Result<String> {
    // Of the program that runs, even if another one has taken its name since.
    let mut file = File::open("/proc/self/exe").or_else(|_| File::open(std::env::current_exe()?))?;
    let mut digest = Sha256::new();
    let mut octets = vec![0; 1 << 20];
    loop {
        match file.read(&mut octets)? {
            0 => break,
            read => digest.update(octets.get(..read).unwrap_or_default()),
        }
    }
    Ok(digest.finalize().iter().map(|octet| format!("{octet:02x}")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn it_is_the_hash_of_this_program() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let whole: String = Sha256::digest(file).iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(sha256(), Some(whole.as_str()));
    }
}
