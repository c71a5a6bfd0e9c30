//! The buzzer: one output that sounds or is silent, and the signals of the product as pulses.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::gpio::LineError;

/// A signal a person can recognise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum BuzzerSignal {
    /// Silence.
    #[default]
    Silent,
    /// Two short sounds, repeated at the interval until the screen changes.
    TwoShort {
        /// From one call to the next; `None` sounds once.
        repeat: Option<Duration>,
    },
    /// One long sound.
    OneLong,
    /// Three rising sounds.
    ThreeRising,
    /// One rising sound.
    OneRising,
    /// Three low sounds.
    ThreeLow,
    /// A key click.
    Click,
}

/// One stretch of sound or silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// How long.
    pub length: Duration,
    /// The pitch in hertz for buzzers that have one; `None` is silence.
    pub hertz: Option<u16>,
}

impl BuzzerSignal {
    /// The signal once, as sounds and the silences between them; nothing for [`BuzzerSignal::Silent`].
    pub fn pulses(self) -> Vec<Pulse> {
        // Buzzers without pitch tell the signals apart by number and length, so no two share both.
        match self {
            Self::Silent => Vec::new(),
            Self::TwoShort { .. } => notes(&[1200, 1200], 120, 120),
            Self::OneLong => notes(&[600], 1000, 0),
            Self::ThreeRising => notes(&[800, 1000, 1300], 150, 80),
            Self::OneRising => vec![note(900, 150), note(1200, 200)],
            Self::ThreeLow => notes(&[350, 350, 350], 300, 150),
            Self::Click => notes(&[2000], 15, 0),
        }
    }

    /// From one call to the next, for a signal that is repeated.
    pub fn repeat(self) -> Option<Duration> {
        match self {
            Self::TwoShort { repeat } => repeat.filter(|every| !every.is_zero()),
            _ => None,
        }
    }
}

fn note(hertz: u16, milliseconds: u64) -> Pulse {
    Pulse { length: Duration::from_millis(milliseconds), hertz: Some(hertz) }
}

fn notes(pitches: &[u16], sound: u64, gap: u64) -> Vec<Pulse> {
    let mut pulses = Vec::new();
    for (n, hertz) in pitches.iter().enumerate() {
        if n > 0 {
            pulses.push(Pulse { length: Duration::from_millis(gap), hertz: None });
        }
        pulses.push(note(*hertz, sound));
    }
    pulses
}

/// Why a buzzer could not be driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuzzerError {
    /// The output line refused.
    #[error("the buzzer's output line could not be driven; check the wiring and that no other program holds the line")]
    Line(#[source] std::io::Error),
    /// Its line on the GPIO chip cannot be had.
    #[error("the buzzer cannot be driven: {0}")]
    Gpio(#[source] LineError),
    /// The pin is not at the level it is driven to.
    #[error(
        "the buzzer is driven to {} and its pin reads the opposite; look for a short circuit at the pin",
        if *.sounds { "sound" } else { "silence" }
    )]
    Stuck {
        /// What was wanted.
        sounds: bool,
    },
}

impl BuzzerError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Line(_) | Self::Gpio(_) => "BUZZER-001",
            Self::Stuck { .. } => "BUZZER-002",
        }
    }
}

/// A buzzer on one output line.
pub trait Buzzer: Send {
    /// Sounds at `hertz` (a buzzer without pitch just sounds), or is silent.
    fn sound(&mut self, hertz: Option<u16>) -> Result<(), BuzzerError>;
}

/// How soon a buzzer that cannot be driven is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Sounds the newest signal; each new value, also an equal one, starts anew. Ends when every sender is gone. However it
/// ends, also by being dropped, the buzzer is left silent. A buzzer that fails is tried again; `tell` hears what is wrong
/// when that changes, and `None` when it is well again.
pub async fn run(
    buzzer: Box<dyn Buzzer>,
    mut signals: watch::Receiver<BuzzerSignal>,
    tell: impl FnMut(Option<BuzzerError>) + Send,
) {
    let mut buzzer = Watched { buzzer: Silent(buzzer), trouble: None, tell };
    loop {
        let signal = *signals.borrow_and_update();
        tokio::select! {
            biased;
            changed = signals.changed() => if changed.is_err() {
                return;
            },
            never = play(&mut buzzer, signal) => match never {},
        }
        buzzer.sound(None);
    }
}

/// Plays a signal and its repeats, then waits for ever.
async fn play<T: FnMut(Option<BuzzerError>)>(buzzer: &mut Watched<T>, signal: BuzzerSignal) -> Infallible {
    let pulses = signal.pulses();
    let mut call = Instant::now();
    loop {
        let mut end = call;
        for pulse in &pulses {
            buzzer.sound(pulse.hertz);
            end += pulse.length;
            sleep_until(end).await;
        }
        // A call that is missed is not made up for; silence has to be certain.
        while !buzzer.sound(None) {
            sleep(AGAIN).await;
        }
        let next = signal.repeat().and_then(|every| call.checked_add(every));
        match next {
            // An interval shorter than the signal itself sounds without a pause.
            Some(next) => call = next.max(end),
            None => return std::future::pending().await,
        }
        sleep_until(call).await;
    }
}

/// A buzzer and what is known to be wrong with it.
struct Watched<T> {
    buzzer: Silent,
    /// In words, and whether it shows at sound or at silence, if not at both.
    trouble: Option<(String, Option<bool>)>,
    tell: T,
}

impl<T: FnMut(Option<BuzzerError>)> Watched<T> {
    /// Whether the buzzer did as it was told.
    fn sound(&mut self, hertz: Option<u16>) -> bool {
        match self.buzzer.0.sound(hertz) {
            Ok(()) => {
                // A buzzer that does not sound is silent when it should be: that proves nothing.
                let well = |at: &Option<bool>| at.is_none_or(|sounds| sounds == hertz.is_some());
                if self.trouble.as_ref().is_some_and(|(_, at)| well(at)) {
                    self.trouble = None;
                    (self.tell)(None);
                }
                true
            }
            Err(error) => {
                let at = match error {
                    BuzzerError::Stuck { sounds } => Some(sounds),
                    _ => None,
                };
                let trouble = Some((error.to_string(), at));
                if self.trouble != trouble {
                    self.trouble = trouble;
                    (self.tell)(Some(error));
                }
                false
            }
        }
    }
}

/// Leaves the buzzer silent when dropped.
struct Silent(Box<dyn Buzzer>);

impl Drop for Silent {
    fn drop(&mut self) {
        if let Err(error) = self.0.sound(None) {
            tracing::warn!(%error, "the buzzer may have stayed on");
        }
    }
}

/// How long one press of the button silences the buzzer.
pub const SILENCE: Duration = Duration::from_secs(600);

/// Decides what of the signals is heard: nothing for [`SILENCE`] after the button was pressed. Pure: the caller brings
/// the time, counted from any fixed start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Silencer {
    until: Option<Duration>,
}

impl Silencer {
    /// The button was pressed at `now`.
    pub fn pressed(&mut self, now: Duration) {
        self.until = Some(now.saturating_add(SILENCE));
    }

    /// Whether the buzzer is silenced at `now`.
    pub fn silenced(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// When the silence ends, if one lasts at `now`: the time to let a repeated signal be heard again.
    pub fn until(&self, now: Duration) -> Option<Duration> {
        self.until.filter(|until| now < *until)
    }

    /// What is heard of `signal` at `now`.
    pub fn heard(&self, signal: BuzzerSignal, now: Duration) -> BuzzerSignal {
        if self.silenced(now) { BuzzerSignal::Silent } else { signal }
    }
}

/// A buzzer for the rig: an observer sees each change of the sound.
pub struct VirtualBuzzer {
    observer: Box<dyn FnMut(Option<u16>) + Send>,
    now: Option<u16>,
}

impl VirtualBuzzer {
    /// A silent buzzer watched by `observer`, which is called only when the sound changes.
    pub fn new(observer: impl FnMut(Option<u16>) + Send + 'static) -> Self {
        Self { observer: Box::new(observer), now: None }
    }
}

impl std::fmt::Debug for VirtualBuzzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VirtualBuzzer({:?})", self.now)
    }
}

impl Buzzer for VirtualBuzzer {
    fn sound(&mut self, hertz: Option<u16>) -> Result<(), BuzzerError> {
        if hertz != self.now {
            self.now = hertz;
            (self.observer)(hertz);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::sync::{Arc, Mutex};

    type Seen = Arc<Mutex<Vec<(u128, Option<u16>)>>>;

    fn watched() -> (Seen, Box<VirtualBuzzer>) {
        let seen = Seen::default();
        let start = Instant::now();
        let log = seen.clone();
        let buzzer = VirtualBuzzer::new(move |hertz| {
            log.lock().unwrap().push((start.elapsed().as_millis(), hertz));
        });
        (seen, Box::new(buzzer))
    }

    #[test]
    fn signals_differ_even_without_pitch() {
        let signals = [
            BuzzerSignal::TwoShort { repeat: None },
            BuzzerSignal::OneLong,
            BuzzerSignal::ThreeRising,
            BuzzerSignal::OneRising,
            BuzzerSignal::ThreeLow,
            BuzzerSignal::Click,
        ];
        let mut rhythms: Vec<Vec<(Duration, bool)>> =
            signals.iter().map(|s| s.pulses().iter().map(|p| (p.length, p.hertz.is_some())).collect()).collect();
        rhythms.sort();
        rhythms.dedup();
        assert_eq!(rhythms.len(), signals.len());
        for signal in signals {
            assert!(signal.pulses().last().unwrap().hertz.is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_until_the_screen_changes() {
        let (seen, buzzer) = watched();
        let (send, receive) = watch::channel(BuzzerSignal::TwoShort { repeat: Some(Duration::from_secs(60)) });
        let task = tokio::spawn(run(buzzer, receive, |_| {}));
        sleep(Duration::from_millis(60_050)).await;
        send.send(BuzzerSignal::Silent).unwrap();
        sleep(Duration::from_secs(600)).await;
        drop(send);
        task.await.unwrap();
        let short = Some(1200);
        let expected = [(0, short), (120, None), (240, short), (360, None), (60_000, short), (60_050, None)];
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_clicks_and_the_end_is_silent() {
        let (seen, buzzer) = watched();
        let (send, receive) = watch::channel(BuzzerSignal::Click);
        let task = tokio::spawn(run(buzzer, receive, |_| {}));
        sleep(Duration::from_millis(100)).await;
        send.send(BuzzerSignal::Click).unwrap();
        sleep(Duration::from_millis(5)).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let click = Some(2000);
        let expected = [(0, click), (15, None), (100, click), (105, None)];
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_buzzer_that_cannot_be_driven_is_told_once_and_sounds_when_it_can() {
        struct Moody(Arc<Mutex<bool>>, Seen);
        impl Buzzer for Moody {
            fn sound(&mut self, hertz: Option<u16>) -> Result<(), BuzzerError> {
                if *self.0.lock().unwrap() {
                    return Err(BuzzerError::Line(std::io::Error::other("held")));
                }
                self.1.lock().unwrap().push((0, hertz));
                Ok(())
            }
        }
        let (broken, seen, told) = (Arc::new(Mutex::new(true)), Seen::default(), Arc::new(Mutex::new(Vec::new())));
        let (send, receive) = watch::channel(BuzzerSignal::Silent);
        let log = told.clone();
        let buzzer = Box::new(Moody(broken.clone(), seen.clone()));
        tokio::spawn(run(buzzer, receive, move |error| log.lock().unwrap().push(error.map(|error| error.code()))));
        send.send(BuzzerSignal::Click).unwrap();
        sleep(Duration::from_secs(10)).await;
        assert_eq!(*told.lock().unwrap(), [Some("BUZZER-001")]);
        assert!(seen.lock().unwrap().is_empty());
        *broken.lock().unwrap() = false;
        sleep(Duration::from_secs(10)).await;
        send.send(BuzzerSignal::Click).unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(*told.lock().unwrap(), [Some("BUZZER-001"), None]);
        assert!(seen.lock().unwrap().contains(&(0, Some(2000))));
    }

    #[test]
    fn the_button_silences_for_ten_minutes() {
        let mut silencer = Silencer::default();
        let minute = Duration::from_secs(60);
        assert_eq!(silencer.heard(BuzzerSignal::OneLong, minute), BuzzerSignal::OneLong);
        silencer.pressed(minute);
        assert_eq!(silencer.until(minute), Some(minute * 11));
        assert_eq!(silencer.heard(BuzzerSignal::OneLong, minute * 10), BuzzerSignal::Silent);
        assert_eq!(silencer.heard(BuzzerSignal::OneLong, minute * 11), BuzzerSignal::OneLong);
        silencer.pressed(Duration::MAX);
        assert!(silencer.silenced(minute));
    }
}
