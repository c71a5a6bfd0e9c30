//! What the cross-crate tests share: mails made comparable between runs, and the openssl command.

pub mod openssl;
pub mod redact;
