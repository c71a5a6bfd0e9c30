//! What the cross-crate tests share: mails made comparable between runs, the openssl command, a PKI made with it, twins, labgrid.

#[cfg(feature = "pcsc")]
pub mod bridge;
pub mod cards;
pub mod labgrid;
pub mod openssl;
#[cfg(feature = "pcsc")]
pub mod pcscd;
pub mod pki;
pub mod redact;
pub mod twin;
