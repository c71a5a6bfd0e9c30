//! The servers of Sealfax: mail, certificates, history.

pub mod authority;
pub mod history;
