//! A chip that is not there: outputs are seen, inputs are played, lines are held by others and wires broken, at will.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Gpio, Input, LineError, LineInfo, Output, Pull};

const CHIP: &str = "virtual";

/// What one line is like.
#[derive(Debug, Clone, Default)]
struct State {
    holder: Option<String>,
    /// As last driven.
    driven: Option<bool>,
    /// What drives the pin harder than an output, or plays an input.
    outside: Option<bool>,
    pulled: Option<bool>,
    /// Every level that was driven.
    history: Vec<bool>,
}

impl State {
    fn level(&self) -> bool {
        self.outside.or(self.driven).or(self.pulled).unwrap_or(false)
    }
}

/// A chip of 54 lines, shared by its clones.
#[derive(Debug, Clone)]
pub struct VirtualGpio {
    lines: Arc<Mutex<BTreeMap<u32, State>>>,
    /// Counts what happened, to wake who waits for a change.
    happened: Arc<watch::Sender<u64>>,
}

impl Default for VirtualGpio {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualGpio {
    /// All lines free, nothing connected.
    pub fn new() -> Self {
        Self { lines: Arc::default(), happened: Arc::new(watch::channel(0).0) }
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<u32, State>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, line: u32, change: impl FnOnce(&mut State)) {
        change(self.lines().entry(line).or_default());
        self.happened.send_modify(|count| *count += 1);
    }

    /// Another program takes a line, or (`None`) lets it go.
    pub fn hold(&self, line: u32, holder: Option<&str>) {
        self.change(line, |state| state.holder = holder.map(str::to_owned));
    }

    /// Something outside drives a line, or (`None`) nothing does any more.
    pub fn play(&self, line: u32, level: Option<bool>) {
        self.change(line, |state| state.outside = level);
    }

    /// As last driven by an output, also after it was let go.
    pub fn driven(&self, line: u32) -> Option<bool> {
        self.lines().get(&line).and_then(|state| state.driven)
    }

    /// Every level that was driven.
    pub fn history(&self, line: u32) -> Vec<bool> {
        self.lines().get(&line).map(|state| state.history.clone()).unwrap_or_default()
    }

    fn take(&self, line: u32, user: &str) -> Result<Held, LineError> {
        if let LineInfo { chip, holder: Some(holder), .. } = self.about(line)? {
            return Err(LineError::Held { chip, line, holder });
        }
        self.hold(line, Some(user));
        Ok(Held { gpio: self.clone(), line, happened: self.happened.subscribe() })
    }
}

impl Gpio for VirtualGpio {
    fn output(&self, line: u32, high: bool, user: &str) -> Result<Box<dyn Output>, LineError> {
        let mut held = self.take(line, user)?;
        held.set(high)?;
        Ok(Box::new(held))
    }

    fn input(&self, line: u32, pull: Pull, user: &str) -> Result<Box<dyn Input>, LineError> {
        let held = self.take(line, user)?;
        self.change(line, |state| state.pulled = (pull != Pull::Off).then_some(pull == Pull::Up));
        Ok(Box::new(held))
    }

    fn about(&self, line: u32) -> Result<LineInfo, LineError> {
        if line >= 54 {
            return Err(LineError::NoLine { chip: CHIP.to_owned(), line });
        }
        let holder = self.lines().get(&line).and_then(|state| state.holder.clone());
        Ok(LineInfo { chip: CHIP.to_owned(), name: format!("GPIO{line}"), holder })
    }
}

/// A line until it is dropped.
struct Held {
    gpio: VirtualGpio,
    line: u32,
    happened: watch::Receiver<u64>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gpio.hold(self.line, None);
    }
}

impl Held {
    fn level(&self) -> Result<bool, LineError> {
        Ok(self.gpio.lines().get(&self.line).is_some_and(State::level))
    }
}

impl Output for Held {
    fn set(&mut self, high: bool) -> Result<(), LineError> {
        self.gpio.change(self.line, |state| {
            state.driven = Some(high);
            state.history.push(high);
        });
        Ok(())
    }

    fn high(&mut self) -> Result<bool, LineError> {
        self.level()
    }
}

#[async_trait]
impl Input for Held {
    fn high(&mut self) -> Result<bool, LineError> {
        self.happened.borrow_and_update();
        self.level()
    }

    async fn changed(&mut self) -> Result<(), LineError> {
        // The sender lives in `self`.
        let _ = self.happened.changed().await;
        Ok(())
    }
}
