//! Fax documents: pages and their coding (ITU-T T.4, T.6), TIFF-FX files (RFC 3949), Internet fax mail
//! (ITU-T T.37, RFC 3965), delivery notifications (RFC 8098, RFC 3464) and delivery reports as pages.
//! Everything here is pure: octets in, octets out.

pub mod address;
pub mod dsn;
pub mod extended;
pub mod fit;
pub mod header;
pub mod mail;
pub mod mdn;
pub mod mime;
pub mod mime_bounds;
pub mod page;
pub mod report;
pub mod t4;
pub mod text;
pub mod tiff;

pub use address::{Address, Mailbox};
pub use page::{Page, Resolution};
