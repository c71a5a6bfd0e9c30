//! The board's GPIO lines as somebody with a probe sees them (BCM2835 ARM Peripherals, chapter 6): an output is high when
//! its pin is an output and its latch is set; an input is what the rig lays on it.

use super::TwinError;
use super::qtest::Qtest;

/// QEMU's name of the controller.
pub const CONTROLLER: &str = "/machine/soc/peripherals/gpio";
/// The controller's registers as the processor sees them.
const BASE: u64 = 0x3f20_0000;
/// GPFSEL0 and those after it: three bits a pin, ten pins a register.
const FUNCTION_SELECT: u64 = BASE;
const SET: u64 = BASE + 0x1c;
const CLEAR: u64 = BASE + 0x28;
const LEVEL: u64 = BASE + 0x34;
/// In GPFSELn.
const OUTPUT: u32 = 0b001;

/// A pin by its BCM number, of the first 32: those of the 40-pin header.
pub type Pin = u8;

/// An output line changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub pin: Pin,
    /// Its level now.
    pub high: bool,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    pin: Pin,
    output: bool,
    latch: bool,
}

impl Line {
    fn high(self) -> bool {
        self.output && self.latch
    }
}

/// What is known of the watched lines. Edges tell at once; that a pin stops being an output makes no edge, and is only seen
/// by looking.
#[derive(Debug)]
pub struct Lines {
    lines: Vec<Line>,
    edges: u64,
}

impl Lines {
    /// All low, as after power comes on.
    pub fn new(pins: &[Pin]) -> Self {
        let line = |pin: &Pin| Line { pin: *pin, output: false, latch: false };
        Self { lines: pins.iter().map(line).collect(), edges: 0 }
    }

    /// How many edges there were: a look is only good if none came while it was taken.
    pub fn edges(&self) -> u64 {
        self.edges
    }

    /// An edge of any pin of the controller. Only outputs have them.
    pub fn edge(&mut self, number: u32, rose: bool) -> Option<Change> {
        self.edges += 1;
        let line = self.lines.iter_mut().find(|line| u32::from(line.pin) == number)?;
        let before = line.high();
        (line.output, line.latch) = (true, rose);
        (line.high() != before).then_some(Change { pin: line.pin, high: line.high() })
    }

    /// What a look at the registers showed, taken when there had been `edges` edges.
    pub fn looked(&mut self, edges: u64, look: &Look) -> Vec<Change> {
        if edges != self.edges {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for line in &mut self.lines {
            let before = line.high();
            (line.output, line.latch) = (look.is_output(line.pin), look.level(line.pin));
            if line.high() != before {
                changes.push(Change { pin: line.pin, high: line.high() });
            }
        }
        changes
    }
}

/// The registers at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    function: [u32; 4],
    level: u32,
}

impl Look {
    /// Looks now.
    pub fn take(qtest: &Qtest) -> Result<Self, TwinError> {
        let select = |number: u64| FUNCTION_SELECT + 4 * number;
        let words = qtest.read_words(&[select(0), select(1), select(2), select(3), LEVEL])?;
        match words.as_slice() {
            [a, b, c, d, level] => Ok(Self { function: [*a, *b, *c, *d], level: *level }),
            _ => Err(TwinError::machine("answers strangely", "too few registers")),
        }
    }

    /// Whether a pin is an output.
    pub fn is_output(&self, pin: Pin) -> bool {
        let select = self.function.get(usize::from(pin / 10)).copied().unwrap_or_default();
        select >> (u32::from(pin % 10) * 3) & 0b111 == OUTPUT
    }

    /// A pin's level or latch.
    pub fn level(&self, pin: Pin) -> bool {
        self.level.checked_shr(u32::from(pin)).is_some_and(|level| level & 1 == 1)
    }
}

/// Lays a level on an input. Pull-ups are not modelled: what is not laid on a pin is low.
pub fn lay(qtest: &Qtest, pin: Pin, high: bool) -> Result<(), TwinError> {
    let bit = 1u32.checked_shl(u32::from(pin)).unwrap_or_default();
    qtest.write_word(if high { SET } else { CLEAR }, bit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn look(outputs: &[Pin], level: u32) -> Look {
        let mut function = [0; 4];
        for pin in outputs {
            function[usize::from(pin / 10)] |= OUTPUT << (u32::from(pin % 10) * 3);
        }
        Look { function, level }
    }

    #[test]
    fn edges_of_the_watched_pins() {
        let mut lines = Lines::new(&[17, 18]);
        assert_eq!(lines.edge(17, true), Some(Change { pin: 17, high: true }));
        assert_eq!(lines.edge(17, true), None);
        assert_eq!(lines.edge(22, true), None);
        assert_eq!(lines.edge(17, false), Some(Change { pin: 17, high: false }));
    }

    #[test]
    fn a_pin_that_is_let_go_is_dark_though_its_latch_stays() {
        let mut lines = Lines::new(&[17]);
        lines.edge(17, true);
        assert!(lines.looked(1, &look(&[17], 1 << 17)).is_empty());
        assert_eq!(lines.looked(1, &look(&[], 1 << 17)), [Change { pin: 17, high: false }]);
        // A pin that becomes an output with its latch set makes no edge either.
        assert_eq!(lines.looked(1, &look(&[17], 1 << 17)), [Change { pin: 17, high: true }]);
    }

    #[test]
    fn a_look_that_an_edge_overtook_is_not_believed() {
        let mut lines = Lines::new(&[17]);
        let before = lines.edges();
        lines.edge(17, true);
        assert!(lines.looked(before, &look(&[17], 0)).is_empty());
        assert_eq!(lines.looked(lines.edges(), &look(&[17], 0)), [Change { pin: 17, high: false }]);
    }

    #[test]
    fn pins_of_every_register() {
        let look = look(&[9, 10, 27], 1 << 27 | 1 << 31);
        assert_eq!([9, 10, 17, 27].map(|pin| look.is_output(pin)), [true, true, false, true]);
        assert_eq!([27, 31, 30, 40].map(|pin| look.level(pin)), [true, true, false, false]);
    }
}
