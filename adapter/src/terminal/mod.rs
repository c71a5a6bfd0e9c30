//! Towards the fax machine: an unmodified terminal (I3) has this adapter as its mail server and needs to know nothing; one on a
//! telephone line is called, and calls.

pub mod modem;
pub mod pop3;
pub mod smtp;
