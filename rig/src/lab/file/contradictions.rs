//! What no single key of a bench file shows: an instrument of no kind, or of two.

use sealfax_adapter::config::Problem;

use super::{Board, Card, Keypad, Power, Screen, Wire};

impl Board {
    /// Adds what is wrong with this board, whose table has this name.
    pub(super) fn contradictions(&self, name: &str, problems: &mut Vec<Problem>) {
        let mut one_of = |table: &str, keys: &str, given: &[bool]| {
            let count = given.iter().filter(|given| **given).count();
            if count != 1 {
                let has = if count == 0 { "none" } else { "more than one" };
                problems.push(Problem::anywhere(format!("[{name}.{table}] wants one of {keys}, and has {has}")));
            }
        };
        for (table, wire) in
            [("shell", Some(&self.shell)), ("console", self.console.as_ref()), ("journal", self.journal.as_ref())]
        {
            if let Some(Wire { serial, command, socket, .. }) = wire {
                let command = command.as_ref().is_some_and(|command| !command.is_empty());
                one_of(table, "`serial`, `command` and `socket`", &[serial.is_some(), command, socket.is_some()]);
            }
        }
        for (table, line) in [("lamp", &self.lamp), ("buzzer", &self.buzzer), ("button", &self.button)] {
            if let Some(line) = line {
                one_of(table, "`chip` and `socket`", &[line.chip.is_some(), line.socket.is_some()]);
            }
        }
        if let Some(Power { relay, on, off, .. }) = &self.power {
            let programs = on.as_ref().zip(off.as_ref()).is_some_and(|(on, off)| !on.is_empty() && !off.is_empty());
            one_of("power", "[relay] and the pair of `on` and `off`", &[relay.is_some(), programs]);
            if let Some(relay) = relay {
                one_of("power.relay", "`chip` and `socket`", &[relay.chip.is_some(), relay.socket.is_some()]);
            }
        }
        if let Some(Screen { v4l2, command, file }) = &self.screen {
            let command = command.as_ref().is_some_and(|command| !command.is_empty());
            one_of("screen", "`v4l2`, `command` and `file`", &[v4l2.is_some(), command, file.is_some()]);
        }
        if let Some(Card { vpcd, qemu, switch, person }) = &self.card {
            let switch = switch.as_ref().is_some_and(|switch| !switch.is_empty());
            let given = [vpcd.is_some(), qemu.is_some(), switch, *person];
            one_of("card", "`vpcd`, `qemu`, `switch` and `person`", &given);
        }
        if let Some(Keypad { gadget, socket, person }) = &self.keypad {
            one_of("keypad", "`gadget`, `socket` and `person`", &[gadget.is_some(), socket.is_some(), *person]);
        }
        if self.identity.trim().is_empty() {
            problems.push(Problem::anywhere(format!(
                "`{name}.identity` is empty; ask the board with {:?} and write down what it answers",
                self.identity_command
            )));
        }
    }
}
