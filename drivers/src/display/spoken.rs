//! A spoken announcement when an alert comes up: the name and the phrase that stand on the screen, and nothing else, by
//! `espeak-ng` to whatever plays sound, such as the screen's own speakers. Off unless it is configured.

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::{Display, DisplayError, Frame, Language, Screen, ScreenKind, Status, Words};
use crate::buzzer::SILENCE;

/// How soon a voice that speaks is looked at, so that its process is not left behind.
const LOOK: Duration = Duration::from_secs(1);

/// Longer than every phrase with four names.
const LONGEST: usize = 400;

/// How the words of the phrases are read: the voice knows no kanji.
const READINGS: [(&str, &str); 15] = [
    ("親展文書", "しんてんぶんしょ"),
    ("送信者", "そうしんしゃ"),
    ("管理者", "かんりしゃ"),
    ("文書", "ぶんしょ"),
    ("受信", "じゅしん"),
    ("送信", "そうしん"),
    ("宛先", "あてさき"),
    ("確認", "かくにん"),
    ("連絡", "れんらく"),
    ("届", "とど"),
    ("待", "ま"),
    ("入", "い"),
    ("押", "お"),
    ("開", "ひら"),
    ("方", "かた"),
];

/// Speaks.
pub trait Voice: Send {
    /// Begins to say this; what is being said is broken off. Never waits.
    fn say(&mut self, text: &str, language: Language);

    /// Breaks off.
    fn hush(&mut self);

    /// Whether it speaks.
    fn speaks(&mut self) -> bool;
}

/// What is said of a screen; `None`: it is no alert.
pub fn announcement(screen: &Screen, language: Language) -> Option<String> {
    use ScreenKind as K;
    let alert = matches!(
        screen.kind(),
        K::Arrived | K::StillWaiting | K::Held | K::WrongCard | K::PressReceive | K::CannotOpen | K::NotGenuine
    );
    let Words { names, first, .. } = alert.then(|| screen.words(language))?;
    let phrase = |read: &dyn Fn(&str) -> String| {
        let parts = [&first.headline, &first.instruction].into_iter().filter(|part| !part.is_empty());
        parts.map(|part| read(part)).collect::<Vec<_>>().join(" ")
    };
    let text = match language {
        Language::English => {
            let names = if names.is_empty() { String::new() } else { format!("{}. ", names.join(", ")) };
            format!("{names}{}", phrase(&str::to_owned))
        }
        Language::Japanese => {
            // A name in kanji is read in a way that only its owner knows.
            let names = names.iter().filter(|name| name.chars().all(pronounceable));
            let names: String = names.map(|name| format!("{name}さま、")).collect();
            let kana =
                |text: &str| READINGS.iter().fold(text.to_owned(), |text, (kanji, kana)| text.replace(kanji, kana));
            format!("{names}{}", phrase(&kana))
        }
    };
    Some(text.chars().filter(|c| !c.is_control()).take(LONGEST).collect())
}

/// Kana, Latin letters, and what stands between them.
fn pronounceable(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3000}' | ' ' | '-' | '.' | '\'') || c.is_ascii_alphabetic()
}

/// A display with a voice.
pub struct Spoken {
    display: Box<dyn Display>,
    voice: Box<dyn Voice>,
    language: Language,
    said: Option<String>,
    quiet_until: Option<Instant>,
}

impl std::fmt::Debug for Spoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spoken").field("language", &self.language).finish_non_exhaustive()
    }
}

impl Spoken {
    /// `display`, and `voice` says its alerts in the leading language.
    pub fn new(display: Box<dyn Display>, voice: Box<dyn Voice>, language: Language) -> Self {
        Self { display, voice, language, said: None, quiet_until: None }
    }
}

impl Display for Spoken {
    fn show(&mut self, screen: &Screen, status: &Status, frame: &Frame) -> Result<(), DisplayError> {
        let text = announcement(screen, self.language);
        if text != self.said {
            // Whatever is still being said is no longer what is shown.
            self.voice.hush();
            let quiet = self.quiet_until.is_some_and(|until| Instant::now() < until);
            if let Some(text) = text.as_ref().filter(|_| !quiet) {
                self.voice.say(text, self.language);
            }
            self.said = text;
        }
        self.display.show(screen, status, frame)
    }

    /// The button that silences the buzzer silences the voice.
    fn wake(&mut self) {
        self.voice.hush();
        self.quiet_until = Instant::now().checked_add(SILENCE);
        self.display.wake();
    }

    fn dark(&self, screen: &Screen, status: &Status) -> bool {
        self.display.dark(screen, status)
    }

    fn attention(&self) -> Option<Duration> {
        let own = self.said.is_some().then_some(LOOK);
        own.into_iter().chain(self.display.attention()).min()
    }

    fn look(&mut self) -> Result<bool, DisplayError> {
        self.voice.speaks();
        self.display.look()
    }
}

/// The speech synthesiser `espeak-ng`.
#[derive(Debug)]
pub struct Espeak {
    program: PathBuf,
    speaking: Option<Child>,
    complained: bool,
}

impl Default for Espeak {
    fn default() -> Self {
        Self::new("espeak-ng")
    }
}

impl Espeak {
    /// By this program.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), speaking: None, complained: false }
    }

    fn start(&self, text: &str, language: Language) -> std::io::Result<Child> {
        let voice = match language {
            Language::Japanese => "ja",
            Language::English => "en",
        };
        // By standard input: command lines can be read by every user.
        let mut child = Command::new(&self.program)
            .args(["-v", voice, "-s", "140", "--stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // Less than a pipe holds, so this does not wait.
        let written = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(text.as_bytes()));
        // Whoever breaks off while it is spoken to says so when it ends.
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(child),
        }
    }

    fn complain(&mut self, why: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!("nothing can be said ({why}); install espeak-ng, or say speech = false under [display]");
        }
    }
}

impl Voice for Espeak {
    fn say(&mut self, text: &str, language: Language) {
        self.hush();
        match self.start(text, language) {
            Ok(child) => self.speaking = Some(child),
            Err(error) => self.complain(&error),
        }
    }

    fn hush(&mut self) {
        if let Some(mut child) = self.speaking.take() {
            // Killed, it ends at once, so this does not wait either.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn speaks(&mut self) -> bool {
        match self.speaking.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => return true,
            Some(Ok(Some(status))) if !status.success() => self.complain(&status),
            Some(Err(error)) => self.complain(&error),
            _ => {}
        }
        self.speaking = None;
        false
    }
}

impl Drop for Espeak {
    fn drop(&mut self) {
        self.hush();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::display::VirtualDisplay;
    use std::sync::{Arc, Mutex};

    fn alerts(names: &[&str]) -> Vec<Screen> {
        let all: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        vec![
            Screen::Arrived { names: all.clone() },
            Screen::StillWaiting { names: all.clone(), since: Duration::from_secs(600) },
            Screen::WrongCard { names: all.clone() },
            Screen::PressReceive { name: all[0].clone(), documents: 3 },
            Screen::Held { left: Duration::from_secs(100) },
            Screen::CannotOpen { code: "OPEN-001" },
            Screen::NotGenuine { code: "OPEN-020" },
        ]
    }

    #[test]
    fn what_is_said() {
        let said = |screens: Vec<Screen>, language| -> Vec<String> {
            screens.iter().map(|screen| announcement(screen, language).unwrap()).collect()
        };
        let japanese = [
            "さとう はなこさま、Annaさま、しんてんぶんしょがとどいています。 カードをいれてください",
            "さとう はなこさま、Annaさま、しんてんぶんしょがまっています。 カードをいれてください",
            "さとう はなこさま、Annaさま、このカードはあてさきのかたのものではありません",
            "さとう はなこさま、ファクスのじゅしんボタンをおしてください",
            "カードをいれるとそうしんします",
            "ぶんしょをひらけません。 かんりしゃにれんらくしてください",
            "そうしんしゃをかくにんできません。 かんりしゃにれんらくしてください",
        ];
        assert_eq!(said(alerts(&["さとう はなこ", "Anna"]), Language::Japanese), japanese);
        let english = [
            "Hanako Sato, Anna. A confidential document is waiting. Insert your card",
            "Hanako Sato, Anna. A confidential document is still waiting. Insert your card",
            "Hanako Sato, Anna. This card is not the addressee's",
            "Hanako Sato. Press RECEIVE on the fax machine",
            "Insert your card to send",
            "Cannot be opened. Call your administrator",
            "Sender not confirmed. Call your administrator",
        ];
        assert_eq!(said(alerts(&["Hanako Sato", "Anna"]), Language::English), english);
    }

    /// Every phrase is read from kana, and a name in kanji is not guessed.
    #[test]
    fn no_kanji_is_left_to_the_voice() {
        for screen in alerts(&["佐藤 花子"]) {
            let text = announcement(&screen, Language::Japanese).unwrap();
            assert!(text.chars().all(|c| pronounceable(c) || "、。".contains(c)), "{text}");
        }
    }

    #[test]
    fn what_is_no_alert_is_not_said() {
        let pin = Screen::Pin { name: "Anna".into(), entered: 0, tries_left: 3 };
        for screen in [Screen::Idle, pin, Screen::Sending, Screen::Done { documents: 1 }] {
            assert_eq!(announcement(&screen, Language::English), None);
        }
    }

    #[derive(Clone, Default)]
    struct Recorded(Arc<Mutex<Vec<String>>>);

    impl Voice for Recorded {
        fn say(&mut self, text: &str, _: Language) {
            self.0.lock().unwrap().push(text.to_owned());
        }
        fn hush(&mut self) {}
        fn speaks(&mut self) -> bool {
            false
        }
    }

    #[tokio::test(start_paused = true)]
    async fn once_for_each_alert_and_not_while_silenced() {
        let voice = Recorded::default();
        let inner = Box::new(VirtualDisplay::new(|_, _, _| {}));
        let mut display = Spoken::new(inner, Box::new(voice.clone()), Language::English);
        let show = |display: &mut Spoken, screen: &Screen| {
            display.show(screen, &Status::default(), &Frame::of(Vec::new())).unwrap();
        };
        for seconds in [100, 99, 98] {
            show(&mut display, &Screen::Held { left: Duration::from_secs(seconds) });
        }
        show(&mut display, &Screen::Idle);
        assert_eq!(*voice.0.lock().unwrap(), ["Insert your card to send"]);
        display.wake();
        show(&mut display, &Screen::Held { left: Duration::from_secs(100) });
        show(&mut display, &Screen::Idle);
        assert_eq!(voice.0.lock().unwrap().len(), 1);
        tokio::time::sleep(SILENCE).await;
        show(&mut display, &Screen::Held { left: Duration::from_secs(100) });
        assert_eq!(voice.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_program_gets_the_words_and_one_that_is_missing_is_no_harm() {
        let folder = std::env::temp_dir().join(format!("sealfax-voice-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("voice");
        let script =
            "#!/bin/sh\nwords=$(cat)\n[ \"$words\" != hour ] || exec sleep 3600\necho \"$@: $words\" >\"$0.heard\"\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut voice = Espeak::new(&program);
        voice.say("いれてください", Language::Japanese);
        while voice.speaks() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let heard = std::fs::read_to_string(folder.join("voice.heard")).unwrap();
        assert_eq!(heard, "-v ja -s 140 --stdin: いれてください\n");
        voice.say("hour", Language::English);
        assert!(voice.speaks());
        voice.hush();
        assert!(!voice.speaks());
        std::fs::remove_dir_all(&folder).unwrap();
        let mut voice = Espeak::new("/no/such/voice");
        voice.say("a", Language::English);
        assert!(voice.complained && !voice.speaks());
    }
}
