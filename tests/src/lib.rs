//! What the cross-crate tests share: mails made comparable between runs, the openssl command, a PKI made with it, twins, labgrid.

#[cfg(feature = "pcsc")]
pub mod bridge;
pub mod cards;
pub mod fax;
pub mod labgrid;
pub mod openssl;
#[cfg(feature = "pcsc")]
pub mod pcscd;
pub mod pki;
pub mod redact;
pub mod servers;
pub mod twin;

/// Whether a command is at hand. Where it has to be (`SEALFAX_STRICT=1`: CI, and the oracles), its absence is a failure of
/// its first call.
pub fn at_hand(command: &str) -> bool {
    let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
    let here = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(command).is_file()));
    if !here && !strict {
        eprintln!("{command} is not installed: this comparison is not made");
    }
    here || strict
}
