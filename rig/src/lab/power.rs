//! The board's supply: a relay on a line of the rig's, or programs that switch one.

use std::process::{Command, Stdio};
use std::time::Duration;

use sealfax_drivers::gpio::Output;

use super::file;
use super::{LabError, chip};

/// What a switch's program may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The supply.
pub trait Power: Send {
    /// Switches it.
    fn set(&mut self, on: bool) -> Result<(), LabError>;
}

/// Opens what the bench file says, without switching anything: a relay is taken over closed, which is how a bench stands.
pub fn open(power: &file::Power) -> Result<Box<dyn Power>, LabError> {
    match (&power.relay, &power.on, &power.off) {
        (Some(line), _, _) => {
            let output = chip(line)?.output(line.line, !line.active_low, "sealfax-rig power")?;
            Ok(Box::new(Relay { output, active_low: line.active_low }))
        }
        (None, Some(on), Some(off)) => Ok(Box::new(Programs { on: on.clone(), off: off.clone() })),
        _ => Err(LabError::instrument("the power", "the bench file names neither a relay nor programs")),
    }
}

struct Relay {
    output: Box<dyn Output>,
    active_low: bool,
}

impl Power for Relay {
    fn set(&mut self, on: bool) -> Result<(), LabError> {
        Ok(self.output.set(on != self.active_low)?)
    }
}

struct Programs {
    on: Vec<String>,
    off: Vec<String>,
}

impl Power for Programs {
    fn set(&mut self, on: bool) -> Result<(), LabError> {
        run(if on { &self.on } else { &self.off })
    }
}

/// Runs a program to its end; what it says is the reason if it fails.
pub(super) fn run(command: &[String]) -> Result<(), LabError> {
    let name = command.join(" ");
    let broken = |why: &dyn std::fmt::Display| LabError::instrument(&name, why);
    let (program, arguments) = command.split_first().ok_or_else(|| broken(&"no program is named"))?;
    let mut switch = Command::new(program);
    switch.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = switch.spawn().map_err(|error| broken(&error))?;
    let late = std::time::Instant::now() + PATIENCE;
    while child.try_wait().map_err(|error| broken(&error))?.is_none() {
        if std::time::Instant::now() > late {
            let _ = child.kill();
            let _ = child.wait();
            return Err(broken(&format!("it is not done after {} s", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().map_err(|error| broken(&error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    Err(broken(&format!("{}: {}", output.status, said.trim().lines().last().unwrap_or("it says nothing"))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn programs_switch_and_tell_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let relay = folder.path().join("relay");
        let say = |word: &str| format!("[\"sh\", \"-c\", \"echo {word} >{}\"]", relay.display());
        let table: file::Power = toml::from_str(&format!("on = {}\noff = {}", say("on"), say("off"))).unwrap();
        let mut power = open(&table).unwrap();
        power.set(false).unwrap();
        assert_eq!(std::fs::read_to_string(&relay).unwrap(), "off\n");
        power.set(true).unwrap();
        assert_eq!(std::fs::read_to_string(&relay).unwrap(), "on\n");
        let error =
            run(&["sh".into(), "-c".into(), "echo the fuse is gone >&2; exit 3".into()]).unwrap_err().to_string();
        assert!(error.ends_with("exit status: 3: the fuse is gone"), "{error}");
    }
}
