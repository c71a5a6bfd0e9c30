//! The QEMU machine protocol: JSON, a command and its answer on a line each. Keys of the USB keypad, pictures of the screen.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::{TwinError, io_error};

const PATIENCE: Duration = Duration::from_secs(20);

/// The socket.
#[derive(Debug)]
pub struct Qmp(Mutex<BufReader<UnixStream>>);

impl Qmp {
    /// Over a connected socket; reads the greeting and leaves the negotiation behind.
    pub fn new(stream: UnixStream) -> Result<Self, TwinError> {
        stream.set_read_timeout(Some(PATIENCE)).map_err(io_error("the machine protocol's socket"))?;
        let mut reader = BufReader::new(stream);
        let greeting = line(&mut reader)?;
        if greeting.get("QMP").is_none() {
            return Err(TwinError::machine("answers strangely", greeting));
        }
        let qmp = Self(Mutex::new(reader));
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and gives what it returns.
    pub fn execute(&self, command: &'static str, arguments: &Value) -> Result<Value, TwinError> {
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |error: std::io::Error| TwinError::machine("is gone", error);
        let text = format!("{}\n", json!({"execute": command, "arguments": arguments}));
        reader.get_mut().write_all(text.as_bytes()).map_err(gone)?;
        loop {
            let mut answer = line(&mut reader)?;
            if let Some(error) = answer.get("error") {
                return Err(TwinError::machine("refuses", format!("{command}: {error}")));
            }
            // Events come in between.
            if let Some(returned) = answer.get_mut("return") {
                return Ok(returned.take());
            }
        }
    }

    /// Presses and lets go of a key of the USB keypad (a `QKeyCode`: `1`, `ret`, `backspace`, `esc`).
    pub fn press(&self, key: &str) -> Result<(), TwinError> {
        let event = |down: bool| json!({"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": key}}});
        self.execute("input-send-event", &json!({"events": [event(true), event(false)]})).map(drop)
    }

    /// Writes what the screen shows into a file (PPM).
    pub fn screendump(&self, to: &Path) -> Result<(), TwinError> {
        self.execute("screendump", &json!({"filename": to, "format": "ppm"})).map(drop)
    }
}

fn line(reader: &mut BufReader<UnixStream>) -> Result<Value, TwinError> {
    let mut text = String::new();
    let read = reader.read_line(&mut text).map_err(|error| TwinError::machine("does not answer", error))?;
    if read == 0 {
        return Err(TwinError::machine("is gone", "the machine protocol's socket is closed"));
    }
    serde_json::from_str(&text).map_err(|error| TwinError::machine("answers strangely", error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_key_and_an_error_with_events_in_between() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let machine = std::thread::spawn(move || {
            let mut reader = BufReader::new(theirs);
            let mut asked = Vec::new();
            let answers = [
                "{\"return\": {}}\n",
                "{\"event\": \"RESUME\", \"timestamp\": {}}\n{\"return\": {}}\n",
                "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n",
            ];
            reader.get_mut().write_all(b"{\"QMP\": {\"version\": {}}}\n").unwrap();
            for answer in answers {
                let mut text = String::new();
                reader.read_line(&mut text).unwrap();
                asked.push(text);
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        let qmp = Qmp::new(ours).unwrap();
        qmp.press("5").unwrap();
        let error = qmp.screendump(Path::new("/x.ppm")).unwrap_err().to_string();
        assert!(error.contains("screendump") && error.contains("no"), "{error}");
        let asked = machine.join().unwrap();
        assert!(asked[1].contains("\"data\":\"5\"") && asked[1].contains("\"down\":true"), "{}", asked[1]);
    }
}
