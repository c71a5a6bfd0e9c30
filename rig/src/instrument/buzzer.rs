//! A buzzer whose line is sensed: every change of pitch goes into the log.

use sealfax_drivers::buzzer::{Buzzer, BuzzerError};

use crate::events::{EventKind, EventLog, Lane};

/// The buzzer of one adapter.
#[derive(Debug)]
pub struct SensedBuzzer {
    log: EventLog,
    host: String,
    hertz: Option<u16>,
}

impl SensedBuzzer {
    /// A silent buzzer.
    pub fn new(log: EventLog, host: &str) -> Self {
        Self { log, host: host.to_owned(), hertz: None }
    }
}

impl Buzzer for SensedBuzzer {
    fn sound(&mut self, hertz: Option<u16>) -> Result<(), BuzzerError> {
        if hertz != self.hertz {
            self.hertz = hertz;
            let text = hertz.map_or("silent".to_owned(), |hertz| format!("{hertz} Hz"));
            self.log.write(Lane::Buzzer, &self.host, EventKind::Tone { hertz }, text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn pitches_are_written_and_repeats_are_not() {
        let log = EventLog::new();
        let mut buzzer = SensedBuzzer::new(log.clone(), "adapter-a");
        for hertz in [None, Some(880), Some(880), Some(1760), None] {
            buzzer.sound(hertz).unwrap();
        }
        let texts: Vec<_> = log.events().into_iter().map(|event| event.text).collect();
        assert_eq!(texts, ["880 Hz", "1760 Hz", "silent"]);
    }
}
