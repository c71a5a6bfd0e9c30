//! Towards a plain G3 fax machine on a telephone line (`[terminal.modem]`): its calls are answered and become mails for the
//! same door that an Internet fax machine's mails come to, and what a person's card opens is dialled out to it.

mod call;
pub mod coding;
mod machine;
mod numbers;
mod paper;

pub(crate) use call::OnRamp;
pub(crate) use machine::{Machine, run};
pub use numbers::{Numbers, NumbersError};
pub use paper::{Inbound, Outbound, PaperError};
