//! Programs of other people that take part in stories, tests and measurements: each started for one of them alone, on
//! loopback, with a folder of its own, and ended when dropped.

pub mod dovecot;
pub mod efax;
pub mod hylafax;
pub mod line_box;
pub mod openssl_ocsp;
pub mod pcscd;
pub mod postfix;
pub mod postgres;
pub mod process;
pub mod slapd;
