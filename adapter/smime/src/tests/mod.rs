//! Whole mails: sealed, opened, attacked. Files made by OpenSSL stand in `tests/fixtures`, with what made them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attack_files;
mod attacks;
mod authorities;
mod certificates;
mod confirmation;
mod foreign;
mod key_agreement;
mod nested;
mod openssl_files;
mod paths;
mod people;
mod receipts;
mod rfc_examples;
mod round_trip;
mod streams;
