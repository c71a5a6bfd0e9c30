//! The servers of Sealfax: mail, certificates, history.

pub mod accounts;
pub mod authority;
pub mod bounce;
pub mod header;
pub mod history;
pub mod kind;
pub mod mail;
pub mod notice;
mod pages;
pub mod store;
pub mod web;
