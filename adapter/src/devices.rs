//! The devices of one adapter, and the tasks that drive them. Which backend each has is decided where the adapter is
//! started.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealfax_drivers::button::{Button, ButtonPress};
use sealfax_drivers::buzzer::{self, Buzzer, BuzzerSignal, Silencer};
use sealfax_drivers::card::{CardChannel, CardEvent, CardReader};
use sealfax_drivers::display::{Album, Display, DisplayError, Drawer, Fault, Screen, Status, Style};
use sealfax_drivers::lamp::{self, Lamp, LampPattern};
use sealfax_drivers::modem::FaxLine;
use sealfax_drivers::person::PersonProof;
use sealfax_drivers::pin::PinPad;
use tokio::sync::{mpsc, watch};

use crate::card::{CardTrouble, InsertedCard, PadListener};
use crate::diagnose::overlay::Overlay;
use crate::diagnose::page;
use crate::flow::card_session::CardInput;
use crate::flow::desk::{Event, Insertion};
use crate::office::Office;
use crate::pulse::Beat;
use crate::typing::Typing;
use crate::workers::Workers;

/// What is plugged into an adapter.
pub struct Devices {
    /// The indicator lamp.
    pub lamp: Box<dyn Lamp>,
    /// The buzzer.
    pub buzzer: Box<dyn Buzzer>,
    /// The button that silences the buzzer.
    pub button: Box<dyn Button>,
    /// The screen.
    pub display: Box<dyn Display>,
    /// The card reader.
    pub reader: Box<dyn CardReader>,
    /// The keypad.
    pub pin_pad: Box<dyn PinPad>,
    /// What is asked for the person beside the card, if anything.
    pub person: Option<Arc<dyn PersonProof>>,
    /// The telephone line of a plain fax machine, if there is one.
    pub fax_line: Option<Box<dyn FaxLine>>,
    /// How the screen is drawn.
    pub style: Style,
    /// What was drawn before, by this adapter or another.
    pub album: Album,
}

impl std::fmt::Debug for Devices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Devices").field("reader", &self.reader.name()).finish_non_exhaustive()
    }
}

/// What a person is shown now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) screen: Screen,
    pub(crate) status: Status,
}

/// The fault band's words, Japanese and English.
const LAMP_FAULT: (&str, &str) = ("ランプ故障", "Lamp failure");
const BUZZER_FAULT: (&str, &str) = ("ブザー故障", "Buzzer failure");

/// Starts a worker for each device. `shown` is what the desk wants seen and heard.
pub(crate) fn start(devices: Devices, office: &Arc<Office>, shown: &watch::Receiver<Shown>, workers: &mut Workers) {
    let Devices { lamp, buzzer, button, display, reader, pin_pad, person: _, fax_line: _, style, album } = devices;
    let (lamp_wish, lamp_wished) = watch::channel(LampPattern::Off);
    let (buzzer_wish, buzzer_wished) = watch::channel(BuzzerSignal::Silent);
    let journal = office.clone();
    workers.spawn(
        "lamp",
        lamp::run(lamp, lamp_wished, move |error| {
            let trouble = error.map(|error| (error.code(), error.to_string()));
            device_trouble(&journal, "LAMP-", LAMP_FAULT, trouble);
        }),
    );
    let journal = office.clone();
    workers.spawn(
        "buzzer",
        buzzer::run(buzzer, buzzer_wished, move |error| {
            let trouble = error.map(|error| (error.code(), error.to_string()));
            device_trouble(&journal, "BUZZER-", BUZZER_FAULT, trouble);
        }),
    );
    let (press, presses) = mpsc::unbounded_channel();
    workers.spawn("button", watch_button(button, press));
    let (showing, journal) = (shown.clone(), office.clone());
    workers.spawn_beating("screen", move |beat| {
        present(display, style, album, showing, lamp_wish, buzzer_wish, presses, journal, beat)
    });
    workers.spawn("reader", watch_reader(reader, office.clone()));
    workers.spawn("keypad", watch_keys(pin_pad, shown.clone(), office.clone()));
}

/// Writes down that a device fails, or is well again, and shows it.
fn device_trouble(
    office: &Office,
    family: &'static str,
    (japanese, english): (&str, &str),
    trouble: Option<(&'static str, String)>,
) {
    let fault = trouble.as_ref().map(|(code, _)| Fault { code, japanese: japanese.into(), english: english.into() });
    match trouble {
        Some((code, why)) => office.failed(code, why),
        None => office.seams.journal.note(office.host(), format!("{english}: it is over")),
    }
    office.set_fault(family, fault);
}

/// The button has a task of its own: nobody waits for a picture to be drawn until the button is looked at.
async fn watch_button(mut button: Box<dyn Button>, presses: mpsc::UnboundedSender<ButtonPress>) {
    while let Some(press) = button.pressed().await {
        if presses.send(press).is_err() {
            return;
        }
    }
    // An adapter without a button goes on.
    std::future::pending::<()>().await;
}

/// Draws every change, and turns it into lamp and buzzer.
#[expect(clippy::too_many_arguments, reason = "each is another device or its wish; the worker owns them all")]
async fn present(
    display: Box<dyn Display>,
    style: Style,
    album: Album,
    mut shown: watch::Receiver<Shown>,
    lamp: watch::Sender<LampPattern>,
    buzzer: watch::Sender<BuzzerSignal>,
    mut presses: mpsc::UnboundedReceiver<ButtonPress>,
    office: Arc<Office>,
    beat: Beat,
) {
    let start = tokio::time::Instant::now();
    let mut silencer = Silencer::default();
    let mut heard = None;
    let drawer = Arc::new(Mutex::new(Drawer::new(album)));
    let mut canvas = Canvas { display: Some(display), trouble: None, office: office.clone() };
    let mut named = None;
    let mut overlay = Overlay::default();
    let (examined, mut pages) = mpsc::unbounded_channel();
    loop {
        beat.beat();
        let Shown { screen, status } = shown.borrow_and_update().clone();
        // Lamp and buzzer stay with the desk, whatever page lies over its screen.
        let over = overlay.over(start.elapsed(), &screen);
        let pattern = screen.lamp();
        if lamp.send_if_modified(|wished| std::mem::replace(wished, pattern) != pattern) {
            tracing::info!(host = office.host(), device = "lamp", "{pattern:?}");
        }
        if named != Some(screen.kind()) {
            named = Some(screen.kind());
            tracing::info!(host = office.host(), device = "screen", "{}", screen.kind().name());
        }
        // A screen calls once when it comes up, and every key of the PIN clicks; a countdown does not.
        let reason = (screen.kind(), matches!(screen, Screen::Pin { .. }).then(|| screen.clone()));
        let signal = silencer.heard(screen.buzzer(), start.elapsed());
        if heard.as_ref() != Some(&reason) {
            heard = Some(reason);
            buzzer.send_replace(signal);
        } else if signal == BuzzerSignal::Silent {
            buzzer.send_if_modified(|wished| std::mem::replace(wished, signal) != signal);
        }
        // The page of the diagnosis is seen until it ends, also on a screen that had gone dark.
        let screen = over.unwrap_or(screen);
        office.set_displayed(screen.clone(), status.clone());
        if !canvas.is_dark(&screen, &status) {
            // Drawing takes tens of milliseconds: not on a thread that mail is waiting for.
            let style = style.clone();
            let drawer = drawer.clone();
            let draw = move |display: &mut dyn Display| {
                let mut drawer = drawer.lock().unwrap_or_else(PoisonError::into_inner);
                display.show(&screen, &status, &drawer.draw(&screen, &status, &style))
            };
            match canvas.with(draw).await {
                Some(Some(())) => canvas.trouble = None,
                Some(None) => {}
                None => return,
            }
        }
        loop {
            let attention = canvas.attention();
            let page_ends = overlay.until().map(|until| start + until);
            // What wakes it, it takes up: only a screen that does not get drawn is stuck.
            beat.waits();
            tokio::select! {
                changed = shown.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                () = until(page_ends) => break,
                Some((lines, advice)) = pages.recv() => {
                    overlay.found(start.elapsed(), lines, advice);
                    break;
                }
                Some(press) = presses.recv() => {
                    // A press that lights the screen has not seen what it shows.
                    let dark = { let Shown { screen, status } = &*shown.borrow(); canvas.is_dark(screen, status) };
                    canvas.wake();
                    match press {
                        ButtonPress::Short => {
                            office.seams.journal.note(office.host(), "the button was pressed: the buzzer is silent for ten minutes");
                            silencer.pressed(start.elapsed());
                            if !overlay.pressed() && !dark {
                                office.tell(Event::Button);
                            }
                        }
                        ButtonPress::Long => {
                            let beneath = shown.borrow().screen.clone();
                            if overlay.held(start.elapsed(), &beneath) {
                                office.seams.journal.note(office.host(), "the button was held: a diagnosis begins");
                                let (inside, examined) = (office.clone(), examined.clone());
                                office.spawn(async move {
                                    // Nobody reads it any more only when the adapter ends.
                                    let _ = examined.send(page::examined(&inside).await);
                                });
                            }
                        }
                    }
                    break;
                }
                () = tokio::time::sleep(attention.unwrap_or_default()), if attention.is_some() => {
                    beat.beat();
                    match canvas.with(|display| display.look()).await {
                        Some(Some(true)) => break,
                        Some(_) => {}
                        None => return,
                    }
                }
            }
        }
    }
}

/// Waits until then; for ever if never.
async fn until(then: Option<tokio::time::Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// The display, which blocks while it draws, and what was last told of it since it last drew.
struct Canvas {
    display: Option<Box<dyn Display>>,
    trouble: Option<String>,
    office: Arc<Office>,
}

impl Canvas {
    /// Does something with the display where it disturbs nobody. `None`: the display broke off; `Some(None)`: it could not,
    /// which is told when it is new. A screen that is not there is no reason to print nothing.
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut dyn Display) -> Result<T, DisplayError> + Send + 'static,
    ) -> Option<Option<T>> {
        let mut display = self.display.take()?;
        let worked = tokio::task::spawn_blocking(move || {
            let result = work(display.as_mut());
            (display, result)
        });
        match worked.await {
            Ok((display, result)) => {
                self.display = Some(display);
                if let Err(error) = &result {
                    let why = error.to_string();
                    if self.trouble.as_ref() != Some(&why) {
                        self.office.failed(error.code(), &why);
                        self.trouble = Some(why);
                    }
                }
                Some(result.ok())
            }
            Err(error) => {
                self.office.failed("DISPLAY-002", error.to_string());
                None
            }
        }
    }

    fn is_dark(&self, screen: &Screen, status: &Status) -> bool {
        self.display.as_ref().is_some_and(|display| display.dark(screen, status))
    }

    fn attention(&self) -> Option<Duration> {
        self.display.as_ref().and_then(|display| display.attention())
    }

    fn wake(&mut self) {
        if let Some(display) = &mut self.display {
            display.wake();
        }
    }
}

/// ST601, ST904: cards come and go.
async fn watch_reader(mut reader: Box<dyn CardReader>, office: Arc<Office>) {
    let mut insertion: Insertion = 0;
    loop {
        match reader.next_event().await {
            Ok(CardEvent::Inserted) => {
                insertion += 1;
                office.set_card(None);
                office.tell(Event::Card(insertion, CardInput::Inserted));
                // A card takes its time to answer its reset.
                let connected = tokio::task::spawn_blocking(move || (reader.connect(), reader)).await;
                let Ok((channel, back)) = connected else {
                    return office.failed("CARD-003", "the card reader's driver broke off");
                };
                reader = back;
                match channel {
                    Ok(channel) => read_card(channel, insertion, &office).await,
                    Err(error) => office.tell(Event::Card(insertion, trouble(&office, error.into()))),
                }
            }
            Ok(CardEvent::Removed) => removed(&office, insertion),
            Ok(CardEvent::ReaderLost) => {
                removed(&office, insertion);
                office.set_reader(false);
                let why = reader.fault().map(|fault| fault.to_string());
                office.failed("CARD-001", why.unwrap_or_else(|| "the card reader is gone; plug it in again".into()));
            }
            Ok(CardEvent::ReaderFound) => office.set_reader(true),
            Ok(_) => {}
            Err(error) => {
                removed(&office, insertion);
                office.set_reader(false);
                office.failed("CARD-001", error.to_string());
                return;
            }
        }
    }
}

fn removed(office: &Arc<Office>, insertion: Insertion) {
    office.set_card(None);
    office.tell(Event::Card(insertion, CardInput::Removed));
}

/// What the desk is to know of a card that did not do what it was asked.
pub(crate) fn trouble(office: &Office, trouble: CardTrouble) -> CardInput {
    match trouble {
        CardTrouble::Gone => CardInput::Removed,
        CardTrouble::Unusable(unusable) => {
            office.failed("CARD-002", unusable.why);
            CardInput::Unusable(unusable.fault)
        }
    }
}

/// A3, A4: what needs no PIN is read at once.
async fn read_card(channel: Box<dyn CardChannel>, insertion: Insertion, office: &Arc<Office>) {
    let listener: PadListener = {
        let office = Arc::downgrade(office);
        Box::new(move |asking| {
            if let Some(office) = office.upgrade() {
                office.tell(Event::SigningOnPad(insertion, asking));
            }
        })
    };
    let keypad = office.config.card.keypad.is_some();
    let reading = move || {
        let card = InsertedCard::read(channel)?.telling(listener);
        Ok(if keypad { card.with_keypad() } else { card })
    };
    let read = tokio::task::spawn_blocking(reading).await;
    match read {
        Ok(Ok(card)) => {
            let card = Arc::new(card);
            office.did(&["A3", "A4", "H1"], format!("the card of {} was read", card.identity().owner.address));
            office.set_card(Some((insertion, card)));
            tell_identity(office, insertion);
        }
        Ok(Err(why)) => office.tell(Event::Card(insertion, trouble(office, why))),
        Err(error) => office.failed("CARD-003", error.to_string()),
    }
}

/// Tells the desk who owns the card of this insertion and how many PIN tries are left.
pub(crate) fn tell_identity(office: &Office, insertion: Insertion) {
    if let Some(card) = office.card_of(insertion) {
        let identity = card.identity();
        let input =
            CardInput::Read { owner: identity.owner.clone(), tries_left: identity.tries_left, pad: identity.pad };
        office.tell(Event::Card(insertion, input));
    }
}

/// The same some time later: the tries are the card's to say, since others may have spent some meanwhile.
pub(crate) async fn tell_identity_anew(office: &Office, insertion: Insertion) {
    let Some(card) = office.card_of(insertion) else { return };
    let input = match card.tries_left().await {
        Ok(tries_left) => {
            let identity = card.identity();
            CardInput::Read { owner: identity.owner.clone(), tries_left, pad: identity.pad }
        }
        Err(why) => trouble(office, why),
    };
    office.tell(Event::Card(insertion, input));
}

/// Keys count only while the screen asks for them; a PIN begun for one card does not go on for another, however fast the
/// cards are swapped.
async fn watch_keys(mut pin_pad: Box<dyn PinPad>, mut shown: watch::Receiver<Shown>, office: Arc<Office>) {
    let mut typing = Typing::default();
    loop {
        let present = || office.card().map(|(insertion, _)| insertion);
        typing.shown(&shown.borrow_and_update().screen, present());
        let key = tokio::select! {
            key = pin_pad.next_key() => key,
            changed = shown.changed() => {
                if changed.is_err() { return; }
                continue;
            }
        };
        let Some(key) = key else { return };
        // Asked of this insertion and at this moment, not when the screen last changed.
        typing.shown(&shown.borrow().screen, present());
        if let Some((insertion, input)) = typing.key(key) {
            office.tell(Event::Card(insertion, input));
        }
    }
}

/// The fault band for a missing reader.
pub(crate) fn no_reader() -> Fault {
    Fault {
        code: "CARD-001", japanese: "カード読取装置がありません".into(), english: "No card reader".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealfax_drivers::display::Font;

    #[test]
    fn the_bands_can_be_drawn_without_a_font_of_the_system() {
        for (japanese, english) in [LAMP_FAULT, BUZZER_FAULT] {
            assert!(japanese.chars().chain(english.chars()).all(|c| Font::Bitmap.has(c)), "{japanese}");
        }
    }
}
