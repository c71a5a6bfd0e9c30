//! `[terminal.modem]`: a plain fax machine on a telephone line instead of an Internet fax machine.

use std::path::PathBuf;
use std::time::Duration;

use sealfax_drivers::modem::Plugged;
use sealfax_drivers::modem::identity::plain_number;
use serde::Deserialize;

/// The modem and what is at the other end of its line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModemConfig {
    /// The modem's port: `/dev/serial/by-id/...` stays the same wherever it is plugged in.
    pub device: PathBuf,
    /// The number at which the machine is called.
    pub machine: String,
    /// The number that the machine shows for this adapter: at most 20 digits, `+` and spaces.
    #[serde(default)]
    pub number: String,
    /// TOML file that says which number or subaddress means which mail addresses.
    #[serde(default)]
    pub numbers: Option<PathBuf>,
    /// Domain of a fax gateway: whole numbers that stand nowhere become `FAX=+number@gateway`.
    #[serde(default)]
    pub gateway: Option<String>,
    /// From which numbers a call is the machine's, and which of them it says when it is called; without it, the number at which
    /// it is called.
    #[serde(default)]
    pub callers: Vec<String>,
    /// Nobody but the machine can be reached on the line: when it is called, it need not say who it is.
    #[serde(default)]
    pub private: bool,
    /// How soon a machine that did not take its pages is called again, in seconds; each time it is twice as long, up to an hour.
    #[serde(default = "ninety")]
    pub redial_seconds: u64,
}

/// Twice in three minutes: in some countries a machine must not dial more often by itself.
fn ninety() -> u64 {
    90
}

impl ModemConfig {
    /// See `redial_seconds`.
    pub fn redial(&self) -> Duration {
        Duration::from_secs(self.redial_seconds)
    }

    /// See `callers`.
    pub fn callers(&self) -> Vec<String> {
        if self.callers.is_empty() { vec![self.machine.clone()] } else { self.callers.clone() }
    }

    /// The line, through the modem on its port.
    pub fn line(&self) -> Plugged {
        Plugged::at(&self.device)
    }

    /// What no single key shows.
    pub(super) fn contradictions(&self) -> Vec<&'static str> {
        let digits = |text: &str, others: &str| text.chars().all(|c| c.is_ascii_digit() || others.contains(c));
        let mut wrong = Vec::new();
        let mut say = |is: bool, what| {
            if is {
                wrong.push(what)
            }
        };
        say(
            self.machine.is_empty() || self.machine.len() > 40 || !digits(&self.machine, "*#+,- ()"),
            "`terminal.modem.machine` is no number that can be dialled; write digits, with a comma for a pause",
        );
        say(
            self.number.len() > 20 || !digits(&self.number, "+ "),
            "`terminal.modem.number` has at most 20 digits, + and spaces",
        );
        say(
            self.numbers.is_none() && self.gateway.is_none(),
            "[terminal.modem] says for nobody whom the machine's calls are for; give `numbers` or `gateway`",
        );
        say(
            !self.private && self.callers().iter().any(|number| plain_number(number).is_none()),
            "`terminal.modem.callers` has to say what the machine's number looks like to others, in digits alone: the number that \
             is dialled has a pause in it, or more",
        );
        say(self.redial_seconds == 0, "`terminal.modem.redial_seconds` is at least 1");
        wrong
    }
}
