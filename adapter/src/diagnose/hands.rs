//! Lamp, buzzer and display one by one: a pattern that a person can tell from anything else, and their word for it, unless
//! a sense line proves it.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use sealfax_drivers::buzzer::{Buzzer, BuzzerSignal};
use sealfax_drivers::display::{Display, Frame, Language, Screen, Status};
use sealfax_drivers::lamp::Lamp;
use sealfax_drivers::modem::FaxLine;
use tokio::time::sleep;

use super::catalogue::{self as c, Entry};
use super::report::Finding;
use super::words::{Words, words};

/// How often the lamp blinks.
const BLINKS: u32 = 3;
/// How long it is lit, and dark, each time.
const PHASE: Duration = Duration::from_millis(500);
/// How long a line may take to follow, before its sense is read.
const SETTLE: Duration = Duration::from_millis(50);

/// Reads an input line that is wired to a device's other end; `None`: it could not be read.
pub type Sense = Box<dyn FnMut() -> Option<bool> + Send>;

/// The devices that can be tried, each if it is configured. Opened from the configuration where the drivers are known.
#[derive(Default)]
pub struct Hands {
    /// The lamp.
    pub lamp: Option<Box<dyn Lamp>>,
    /// The input wired to the lamp's other end.
    pub lamp_sense: Option<Sense>,
    /// The buzzer.
    pub buzzer: Option<Box<dyn Buzzer>>,
    /// The screen.
    pub display: Option<Box<dyn Display>>,
    /// The fax modem.
    pub modem: Option<Box<dyn FaxLine>>,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands").finish_non_exhaustive()
    }
}

/// Whoever stands before the device.
pub trait Person: Send {
    /// Asks a question that yes or no answers; no answer is no.
    fn confirm(&mut self, question: &str) -> bool;
    /// Says something.
    fn say(&mut self, text: &str);
}

/// At the terminal.
#[derive(Debug, Clone, Copy, Default)]
pub struct AtTheTerminal;

impl Person for AtTheTerminal {
    fn confirm(&mut self, question: &str) -> bool {
        eprint!("{question} [y/n] ");
        let _ = std::io::stderr().flush();
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        if !std::io::stdin().is_terminal() {
            eprintln!();
        }
        read.is_ok() && matches!(answer.trim().chars().next(), Some('y' | 'Y' | 'は'))
    }

    fn say(&mut self, text: &str) {
        eprintln!("{text}");
    }
}

/// Nobody, who says yes to everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Person for Nobody {
    fn confirm(&mut self, _question: &str) -> bool {
        true
    }

    fn say(&mut self, text: &str) {
        eprintln!("{text}");
    }
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A sense line saw it.
    Proved,
    /// The person saw or heard it, or was not to be asked.
    Confirmed,
    /// It does not work.
    Broken(Finding),
    /// It cannot be tried here, and why.
    Unsupported(Words),
}

impl Outcome {
    /// The process's exit code.
    pub const fn exit(&self) -> u8 {
        match self {
            Self::Proved | Self::Confirmed => 0,
            Self::Broken(_) => 1,
            Self::Unsupported(_) => super::UNSUPPORTED,
        }
    }

    /// The name in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Confirmed => "confirmed",
            Self::Broken(_) => "broken",
            Self::Unsupported(_) => "unsupported",
        }
    }
}

fn broken(entry: &'static Entry, error: &dyn std::error::Error) -> Outcome {
    Outcome::Broken(Finding::new(entry).with("why", crate::trust::with_sources(error)))
}

fn asked(person: &mut dyn Person, question: Words, language: Language, entry: &'static Entry) -> Outcome {
    if person.confirm(question.in_language(language)) {
        Outcome::Confirmed
    } else {
        Outcome::Broken(Finding::new(entry))
    }
}

/// Blinks the lamp three times, half a second each, and leaves it dark.
pub async fn lamp(hands: &mut Hands, person: &mut dyn Person, language: Language) -> Outcome {
    let Some(mut lamp) = hands.lamp.take() else {
        return Outcome::Unsupported(words("ランプは設定されていません", "no lamp is configured"));
    };
    let mut sense = hands.lamp_sense.take();
    person.say(words("ランプが3回点滅します", "The lamp blinks three times").in_language(language));
    let outcome = blink(lamp.as_mut(), sense.as_mut()).await;
    // However it went: dark.
    let dark = lamp.set(false);
    match (outcome, dark) {
        (Ok(_), Err(error)) | (Err(Trouble::Line(error)), _) => {
            broken(c::find(error.code()).unwrap_or(&c::LAMP_001), &error)
        }
        (Err(Trouble::Level(wanted)), _) => {
            let level = if wanted { "stays low" } else { "stays high" };
            Outcome::Broken(Finding::new(&c::LAMP_002).with("line", level))
        }
        (Err(Trouble::Sense(wanted)), _) => {
            let sense = if wanted { "dark while the lamp is driven" } else { "lit while the lamp is not driven" };
            Outcome::Broken(Finding::new(&c::LAMP_003).with("sense line", sense))
        }
        (Ok(true), Ok(())) => Outcome::Proved,
        (Ok(false), Ok(())) => {
            let question = words("ランプは3回点滅しましたか", "Did the lamp blink three times?");
            asked(person, question, language, &c::LAMP_101)
        }
    }
}

enum Trouble {
    Line(sealfax_drivers::lamp::LampError),
    Level(bool),
    Sense(bool),
}

/// Whether a sense line saw all of it.
async fn blink(lamp: &mut dyn Lamp, mut sense: Option<&mut Sense>) -> Result<bool, Trouble> {
    let mut proved = sense.is_some();
    for phase in 0..BLINKS * 2 {
        let lit = phase % 2 == 0;
        lamp.set(lit).map_err(Trouble::Line)?;
        sleep(SETTLE).await;
        if lamp.level().map_err(Trouble::Line)? != lit {
            return Err(Trouble::Level(lit));
        }
        match sense.as_mut().map(|sense| sense()) {
            Some(Some(seen)) if seen != lit => return Err(Trouble::Sense(lit)),
            Some(Some(_)) => {}
            Some(None) | None => proved = false,
        }
        sleep(PHASE - SETTLE).await;
    }
    Ok(proved)
}

/// Sounds three rising tones twice, and leaves the buzzer silent.
pub async fn buzzer(hands: &mut Hands, person: &mut dyn Person, language: Language) -> Outcome {
    let Some(mut buzzer) = hands.buzzer.take() else {
        return Outcome::Unsupported(words("ブザーは設定されていません", "no buzzer is configured"));
    };
    person.say(words("ブザーが3回ずつ2度鳴ります", "The buzzer sounds three times, twice").in_language(language));
    let mut played = Ok(());
    'calls: for _ in 0..2 {
        for pulse in BuzzerSignal::ThreeRising.pulses() {
            played = buzzer.sound(pulse.hertz);
            if played.is_err() {
                break 'calls;
            }
            sleep(pulse.length).await;
        }
        played = buzzer.sound(None);
        sleep(PHASE).await;
    }
    let silent = buzzer.sound(None);
    match played.and(silent) {
        Err(error) => broken(&c::BUZZER_001, &error),
        Ok(()) => {
            let question = words("ブザーは鳴りましたか", "Did you hear the buzzer?");
            asked(person, question, language, &c::BUZZER_101)
        }
    }
}

/// Asks the modem what it is and whether it will do. Nothing is dialled.
pub async fn modem(hands: &mut Hands, person: &mut dyn Person) -> Outcome {
    let Some(mut line) = hands.modem.take() else {
        return Outcome::Unsupported(words("モデムは設定されていません", "no modem is configured"));
    };
    let modem = match line.diagnose().await {
        Ok(modem) => modem,
        Err(error) => return broken(&c::MODEM_001, &error),
    };
    let said = modem.identification.join(" ");
    if !modem.has_class_1 {
        return Outcome::Broken(Finding::new(&c::MODEM_002).with("modem", &said).with("classes", &modem.classes));
    }
    let rates: Vec<String> = modem.rates.iter().map(ToString::to_string).collect();
    person.say(&format!("{said}\n+FCLASS=? {}\n{}", modem.classes, rates.join(", ")));
    Outcome::Confirmed
}

/// Shows the test picture until the person has answered.
pub async fn display(hands: &mut Hands, person: &mut dyn Person, language: Language) -> Outcome {
    let Some(mut display) = hands.display.take() else {
        return Outcome::Unsupported(words("画面は設定されていません", "no display is configured"));
    };
    let screen = Screen::Diagnosis { lines: Vec::new(), advice: None };
    let shown = tokio::task::spawn_blocking(move || {
        let shown = display.show(&screen, &Status::default(), &test_picture());
        (display, shown)
    });
    let Ok((display, shown)) = shown.await else {
        return Outcome::Broken(Finding::new(&c::DISPLAY_001).with("why", "the driver broke off"));
    };
    let outcome = match shown {
        Err(error) => broken(&c::DISPLAY_001, &error),
        Ok(()) => {
            let question = words(
                "8本の色の縦帯と、途切れのない白い枠が見えますか",
                "Do you see eight coloured bars and an unbroken white frame around them?",
            );
            asked(person, question, language, &c::DISPLAY_103)
        }
    };
    drop(display);
    outcome
}

/// Eight bars, white to black as on every test card, over a ramp of greys, with a white frame at the very edge.
pub fn test_picture() -> Frame {
    const BARS: [[u8; 3]; 8] = [
        [235, 235, 235],
        [235, 235, 16],
        [16, 235, 235],
        [16, 235, 16],
        [235, 16, 235],
        [235, 16, 16],
        [16, 16, 235],
        [16, 16, 16],
    ];
    /// Pixels of the frame's edge.
    const EDGE: u32 = 4;
    let (width, height) = (Frame::WIDTH, Frame::HEIGHT);
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let edge = x < EDGE || y < EDGE || x >= width - EDGE || y >= height - EDGE;
            let pixel = if edge {
                [255; 3]
            } else if y < height * 3 / 4 {
                BARS.get((x * 8 / width) as usize).copied().unwrap_or_default()
            } else {
                [u8::try_from(x * 255 / width).unwrap_or(255); 3]
            };
            rgb.extend_from_slice(&pixel);
        }
    }
    Frame::of(rgb)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::{Arc, Mutex};

    use sealfax_drivers::buzzer::VirtualBuzzer;
    use sealfax_drivers::display::VirtualDisplay;
    use sealfax_drivers::lamp::{LampError, VirtualLamp};

    use super::*;

    #[tokio::test]
    async fn a_modem_tells_what_it_is_and_one_that_is_not_there_is_found_out() {
        use sealfax_drivers::modem::{Class1, Plugged, simulated};
        let (near, _far) = simulated::line(simulated::Line::default());
        let mut hands = Hands { modem: Some(Box::new(Class1::new(near))), ..Hands::default() };
        assert_eq!(modem(&mut hands, &mut Nobody).await, Outcome::Confirmed);
        assert!(matches!(modem(&mut hands, &mut Nobody).await, Outcome::Unsupported(_)));
        let absent = Plugged::at(std::path::Path::new("/dev/there-is-no-such-modem"));
        let mut hands = Hands { modem: Some(Box::new(absent)), ..Hands::default() };
        let Outcome::Broken(finding) = modem(&mut hands, &mut Nobody).await else { panic!("it is not there") };
        assert_eq!(finding.entry.code, "MODEM-001");
    }

    /// Answers as told, and counts the questions.
    #[derive(Default)]
    struct Somebody {
        yes: bool,
        asked: u32,
    }

    impl Person for Somebody {
        fn confirm(&mut self, _question: &str) -> bool {
            self.asked += 1;
            self.yes
        }

        fn say(&mut self, _text: &str) {}
    }

    fn wired(follows: bool) -> (Arc<Mutex<Vec<bool>>>, Hands) {
        let (seen, last) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(false)));
        let (log, driven) = (seen.clone(), last.clone());
        let lamp = VirtualLamp::new(move |lit| {
            log.lock().unwrap().push(lit);
            *driven.lock().unwrap() = lit;
        });
        let sense: Sense = Box::new(move || Some(follows && *last.lock().unwrap()));
        (seen, Hands { lamp: Some(Box::new(lamp)), lamp_sense: Some(sense), ..Hands::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_sense_line_proves_the_lamp_and_nobody_is_asked() {
        let (seen, mut hands) = wired(true);
        let mut person = Somebody::default();
        assert_eq!(lamp(&mut hands, &mut person, Language::English).await, Outcome::Proved);
        assert_eq!((person.asked, seen.lock().unwrap().as_slice()), (0, [true, false].repeat(3).as_slice()));
        let (seen, mut hands) = wired(false);
        let outcome = lamp(&mut hands, &mut person, Language::English).await;
        assert!(matches!(&outcome, Outcome::Broken(finding) if finding.entry == &c::LAMP_003), "{outcome:?}");
        assert_eq!(seen.lock().unwrap().last(), Some(&false));
    }

    #[tokio::test(start_paused = true)]
    async fn without_one_the_person_has_the_word() {
        for (yes, exit) in [(true, 0), (false, 1)] {
            let (_, mut hands) = wired(true);
            hands.lamp_sense = None;
            hands.buzzer = Some(Box::new(VirtualBuzzer::new(|_| {})));
            hands.display = Some(Box::new(VirtualDisplay::new(|_, _, _| {})));
            let mut person = Somebody { yes, asked: 0 };
            assert_eq!(lamp(&mut hands, &mut person, Language::Japanese).await.exit(), exit);
            assert_eq!(buzzer(&mut hands, &mut person, Language::Japanese).await.exit(), exit);
            assert_eq!(display(&mut hands, &mut person, Language::Japanese).await.exit(), exit);
            assert_eq!(person.asked, 3);
            // What is not configured is not called broken.
            assert_eq!(lamp(&mut hands, &mut person, Language::Japanese).await.exit(), 4);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_refuses_is_the_lamps_own_code() {
        struct Held;
        impl Lamp for Held {
            fn set(&mut self, _: bool) -> Result<(), LampError> {
                Err(LampError::Line(std::io::Error::other("busy")))
            }
            fn level(&mut self) -> Result<bool, LampError> {
                Ok(false)
            }
        }
        let mut hands = Hands { lamp: Some(Box::new(Held)), ..Hands::default() };
        let outcome = lamp(&mut hands, &mut Nobody, Language::English).await;
        assert!(matches!(&outcome, Outcome::Broken(finding) if finding.entry.code == "LAMP-001"), "{outcome:?}");
    }

    #[test]
    fn the_picture_has_its_frame_and_its_bars() {
        let frame = test_picture();
        assert_eq!(frame.rgb().len(), (Frame::WIDTH * Frame::HEIGHT * 3) as usize);
        let pixel = |x: u32, y: u32| {
            let at = ((y * Frame::WIDTH + x) * 3) as usize;
            frame.rgb()[at..at + 3].to_vec()
        };
        assert_eq!((pixel(0, 0), pixel(1279, 719)), (vec![255; 3], vec![255; 3]));
        assert_eq!((pixel(80, 100), pixel(1200, 100)), (vec![235; 3], vec![16; 3]));
    }
}
