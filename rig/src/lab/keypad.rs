//! The board's PIN pad: a USB port of the rig's host that plays a keyboard, a box of instruments, or somebody who is asked.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::LabError;
use super::file;
use super::instrument_box::InstrumentBox;

/// From key to key: a keyboard is asked every ten milliseconds, for a press and for its end.
const BETWEEN_KEYS: Duration = Duration::from_millis(30);

/// Hands at the PIN pad.
pub trait Keypad: Send {
    /// Types a PIN and Enter.
    fn type_pin(&mut self, who: &str, pin: &str) -> Result<(), LabError>;
}

/// Opens what the bench file says.
pub fn open(keypad: &file::Keypad) -> Result<Box<dyn Keypad>, LabError> {
    match (&keypad.gadget, &keypad.socket) {
        (Some(path), _) => {
            let opened = std::fs::File::options().write(true).open(path);
            let device = opened.map_err(|error| {
                let help = "set up the gadget's keyboard (configfs, function hid) and give this user the device";
                LabError::instrument(format!("the keyboard {}", path.display()), format!("{error}; {help}"))
            })?;
            Ok(Box::new(Gadget { device, path: path.clone() }))
        }
        (_, Some(socket)) => Ok(Box::new(Keys(InstrumentBox::open(socket)?))),
        _ => Ok(Box::new(Somebody)),
    }
}

/// A keyboard by USB's own boot protocol (HID 1.11, appendix B): modifiers, nothing, six keys that are down.
struct Gadget {
    device: std::fs::File,
    path: PathBuf,
}

/// HID usage tables, page 7: Enter, and the digits of the upper row.
const ENTER: u8 = 0x28;

fn usage(digit: u8) -> Option<u8> {
    match digit {
        b'1'..=b'9' => Some(digit - b'1' + 0x1e),
        b'0' => Some(0x27),
        _ => None,
    }
}

impl Keypad for Gadget {
    fn type_pin(&mut self, _who: &str, pin: &str) -> Result<(), LabError> {
        for key in pin.bytes().filter_map(usage).chain([ENTER]) {
            for report in [[0, 0, key, 0, 0, 0, 0, 0], [0; 8]] {
                let written = self.device.write_all(&report);
                written.map_err(|error| {
                    let help = "is the board switched on, and the cable in its USB port?";
                    LabError::instrument(format!("the keyboard {}", self.path.display()), format!("{error}; {help}"))
                })?;
                std::thread::sleep(BETWEEN_KEYS);
            }
        }
        Ok(())
    }
}

struct Keys(InstrumentBox);

impl Keypad for Keys {
    fn type_pin(&mut self, _who: &str, pin: &str) -> Result<(), LabError> {
        for digit in pin.chars().filter(char::is_ascii_digit).map(String::from).chain(["ret".to_owned()]) {
            self.0.key(&digit)?;
            std::thread::sleep(BETWEEN_KEYS);
        }
        Ok(())
    }
}

/// Whoever stands at the bench. PINs of the rig's own cards are nobody's secret.
struct Somebody;

impl Keypad for Somebody {
    fn type_pin(&mut self, who: &str, pin: &str) -> Result<(), LabError> {
        let told = writeln!(std::io::stderr(), "\n>>> At the bench, as {who}: type {pin} and Enter on the PIN pad.\n");
        told.map_err(|error| LabError::instrument("somebody at the bench", error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn reports_of_a_keyboard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hidg0");
        std::fs::write(&path, b"").unwrap();
        let table: file::Keypad = toml::from_str(&format!("gadget = {path:?}")).unwrap();
        open(&table).unwrap().type_pin("Hanako", "190").unwrap();
        let written = std::fs::read(&path).unwrap();
        let down: Vec<u8> = written.chunks(8).map(|report| report[2]).collect();
        assert_eq!(down, [0x1e, 0, 0x26, 0, 0x27, 0, 0x28, 0]);
        let missing: file::Keypad = toml::from_str("gadget = \"/no/such/device\"").unwrap();
        assert!(open(&missing).err().unwrap().to_string().contains("gadget"));
    }
}
