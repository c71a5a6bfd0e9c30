//! A lamp whose line is sensed: every change of level goes into the log.

use sealfax_drivers::lamp::{Lamp, LampError};

use crate::events::{EventKind, EventLog, Lane};

/// The lamp of one adapter.
#[derive(Debug)]
pub struct SensedLamp {
    log: EventLog,
    host: String,
    lit: bool,
}

impl SensedLamp {
    /// A dark lamp.
    pub fn new(log: EventLog, host: &str) -> Self {
        Self { log, host: host.to_owned(), lit: false }
    }
}

impl Lamp for SensedLamp {
    fn set(&mut self, lit: bool) -> Result<(), LampError> {
        if lit != self.lit {
            self.lit = lit;
            let text = if lit { "lit" } else { "dark" };
            self.log.write(Lane::Lamp, &self.host, EventKind::Level { lit }, text);
        }
        Ok(())
    }

    fn level(&mut self) -> Result<bool, LampError> {
        Ok(self.lit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_changes_are_written() {
        let log = EventLog::new();
        let mut lamp = SensedLamp::new(log.clone(), "adapter-a");
        for lit in [false, true, true, false] {
            lamp.set(lit).unwrap();
            assert_eq!(lamp.level().unwrap(), lit);
        }
        let kinds: Vec<_> = log.events().into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::Level { lit: true }, EventKind::Level { lit: false }]);
    }
}
