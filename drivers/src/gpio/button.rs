//! A button on a line, to ground against a pull-up (or the other way): [`Presses`] decides, this reads the line.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::{Gpio, Input, LineError, Presses, Pull};
use crate::button::{Button, ButtonPress};

/// How soon a line that cannot be had is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// How the button is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ButtonWiring {
    /// The line.
    pub line: u32,
    /// Pressed is low: to ground, with the chip's pull-up. Else to 3.3 V, with the pull-down.
    pub active_low: bool,
}

/// A button, tried again for as long as its line cannot be had.
pub struct GpioButton {
    gpio: Arc<dyn Gpio>,
    wiring: ButtonWiring,
    line: Option<Box<dyn Input>>,
    presses: Presses,
    start: Instant,
    next_try: Option<Instant>,
    /// What was last complained of, so that it is said once.
    complaint: Option<String>,
}

impl std::fmt::Debug for GpioButton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpioButton").field("wiring", &self.wiring).finish_non_exhaustive()
    }
}

impl GpioButton {
    /// The button on this line, which is taken when the first press is waited for.
    pub fn new(gpio: Arc<dyn Gpio>, wiring: ButtonWiring) -> Self {
        let start = Instant::now();
        Self { gpio, wiring, line: None, presses: Presses::new(false), start, next_try: None, complaint: None }
    }

    fn open(&mut self) -> Result<(), LineError> {
        let pull = if self.wiring.active_low { Pull::Up } else { Pull::Down };
        let mut line = self.gpio.input(self.wiring.line, pull, "sealfax-button")?;
        self.presses = Presses::new(line.high()? != self.wiring.active_low);
        self.line = Some(line);
        (self.next_try, self.complaint) = (None, None);
        Ok(())
    }

    fn lost(&mut self, error: &LineError) {
        self.line = None;
        self.next_try = Some(Instant::now() + AGAIN);
        let why = error.to_string();
        if self.complaint.as_ref() != Some(&why) {
            tracing::warn!(code = "BUTTON-001", "the button does not work: {why}");
            self.complaint = Some(why);
        }
    }
}

#[async_trait]
impl Button for GpioButton {
    /// Waits however long it takes, also for the line. May be cancelled and called again.
    async fn pressed(&mut self) -> Option<ButtonPress> {
        loop {
            let Some(line) = &mut self.line else {
                // Kept across cancelled calls, so that nobody's hurry makes us look more often.
                if let Some(then) = self.next_try {
                    sleep_until(then).await;
                }
                if let Err(error) = self.open() {
                    self.lost(&error);
                }
                continue;
            };
            let looked = match line.high() {
                Ok(high) => {
                    let press = self.presses.level(high != self.wiring.active_low, self.start.elapsed());
                    if press.is_some() {
                        return press;
                    }
                    let due = self.presses.next().and_then(|due| self.start.checked_add(due));
                    tokio::select! {
                        changed = line.changed() => changed,
                        () = sleep_until(due.unwrap_or(self.start)), if due.is_some() => Ok(()),
                    }
                }
                Err(error) => Err(error),
            };
            if let Err(error) = looked {
                self.lost(&error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::gpio::VirtualGpio;
    use tokio::time::sleep;

    const WIRING: ButtonWiring = ButtonWiring { line: 22, active_low: true };

    async fn push(gpio: &VirtualGpio, milliseconds: u64) {
        gpio.play(22, Some(false));
        sleep(Duration::from_millis(milliseconds)).await;
        gpio.play(22, None);
        sleep(Duration::from_millis(200)).await;
    }

    fn watched(gpio: &VirtualGpio) -> tokio::sync::mpsc::UnboundedReceiver<ButtonPress> {
        let mut button = GpioButton::new(Arc::new(gpio.clone()), WIRING);
        let (tell, told) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(press) = button.pressed().await {
                tell.send(press).unwrap();
            }
        });
        told
    }

    #[tokio::test(start_paused = true)]
    async fn short_and_long() {
        let gpio = VirtualGpio::new();
        let mut told = watched(&gpio);
        sleep(Duration::from_millis(10)).await;
        push(&gpio, 5).await;
        assert!(told.try_recv().is_err());
        push(&gpio, 100).await;
        assert_eq!(told.try_recv(), Ok(ButtonPress::Short));
        gpio.play(22, Some(false));
        sleep(Duration::from_millis(5010)).await;
        assert_eq!(told.try_recv(), Ok(ButtonPress::Long));
        gpio.play(22, None);
        sleep(Duration::from_secs(10)).await;
        assert!(told.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_line_is_waited_for() {
        let gpio = VirtualGpio::new();
        gpio.hold(22, Some("somebody"));
        let mut told = watched(&gpio);
        push(&gpio, 100).await;
        assert!(told.try_recv().is_err());
        gpio.hold(22, None);
        sleep(AGAIN * 2).await;
        push(&gpio, 100).await;
        assert_eq!(told.try_recv(), Ok(ButtonPress::Short));
    }
}
