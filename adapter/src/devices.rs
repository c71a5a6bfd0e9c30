//! The devices of one adapter, and the tasks that drive them. Which backend each has is decided where the adapter is
//! started.

use std::sync::Arc;

use sealfax_drivers::button::{Button, ButtonPress};
use sealfax_drivers::buzzer::{self, Buzzer, BuzzerSignal, Silencer};
use sealfax_drivers::card::{CardChannel, CardEvent, CardReader};
use sealfax_drivers::display::{Display, Fault, Screen, Status, Style, draw};
use sealfax_drivers::lamp::{self, Lamp, LampPattern};
use sealfax_drivers::pin::{PinEntry, PinEvent, PinPad};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::card::{CardTrouble, InsertedCard};
use crate::flow::card_session::CardInput;
use crate::flow::desk::{Event, Insertion};
use crate::office::Office;

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
    /// How the screen is drawn.
    pub style: Style,
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

/// Starts a task for each device. `shown` is what the desk wants seen and heard.
pub(crate) fn start(devices: Devices, office: &Arc<Office>, shown: &watch::Receiver<Shown>, tasks: &mut JoinSet<()>) {
    let Devices { lamp, buzzer, button, display, reader, pin_pad, style } = devices;
    let (lamp_wish, lamp_wished) = watch::channel(LampPattern::Off);
    let (buzzer_wish, buzzer_wished) = watch::channel(BuzzerSignal::Silent);
    let journal = office.clone();
    tasks.spawn(async move {
        if let Err(error) = lamp::run(lamp, lamp_wished).await {
            journal.failed("LAMP-001", error.to_string());
            std::future::pending::<()>().await;
        }
    });
    let journal = office.clone();
    tasks.spawn(async move {
        if let Err(error) = buzzer::run(buzzer, buzzer_wished).await {
            journal.failed("BUZZER-001", error.to_string());
            std::future::pending::<()>().await;
        }
    });
    tasks.spawn(present(display, style, shown.clone(), lamp_wish, buzzer_wish, button, office.clone()));
    tasks.spawn(watch_reader(reader, office.clone()));
    tasks.spawn(watch_keys(pin_pad, shown.clone(), office.clone()));
}

/// Draws every change, and turns it into lamp and buzzer.
async fn present(
    mut display: Box<dyn Display>,
    style: Style,
    mut shown: watch::Receiver<Shown>,
    lamp: watch::Sender<LampPattern>,
    buzzer: watch::Sender<BuzzerSignal>,
    mut button: Box<dyn Button>,
    office: Arc<Office>,
) {
    let start = tokio::time::Instant::now();
    let mut silencer = Silencer::default();
    let mut has_button = true;
    let mut heard = None;
    loop {
        let Shown { screen, status } = shown.borrow_and_update().clone();
        let pattern = screen.lamp();
        lamp.send_if_modified(|wished| std::mem::replace(wished, pattern) != pattern);
        // A screen calls once when it comes up, and every key of the PIN clicks; a countdown does not.
        let reason = (screen.kind(), matches!(screen, Screen::Pin { .. }).then(|| screen.clone()));
        let signal = silencer.heard(screen.buzzer(), start.elapsed());
        if heard.as_ref() != Some(&reason) {
            heard = Some(reason);
            buzzer.send_replace(signal);
        } else if signal == BuzzerSignal::Silent {
            buzzer.send_if_modified(|wished| std::mem::replace(wished, signal) != signal);
        }
        // Drawing takes tens of milliseconds: not on a thread that mail is waiting for.
        let style = style.clone();
        let drawn = tokio::task::spawn_blocking(move || {
            let frame = draw(&screen, &status, &style);
            let shown = display.show(&screen, &status, &frame);
            (display, shown)
        });
        match drawn.await {
            Ok((back, result)) => {
                display = back;
                if let Err(error) = result {
                    office.failed("DISPLAY-001", error.to_string());
                }
            }
            Err(error) => return office.failed("DISPLAY-002", error.to_string()),
        }
        tokio::select! {
            changed = shown.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            press = button.pressed(), if has_button => match press {
                Some(ButtonPress::Short) => {
                    office.seams.journal.note(office.host(), "the button was pressed: the buzzer is silent for ten minutes");
                    silencer.pressed(start.elapsed());
                }
                Some(ButtonPress::Long) => {}
                None => has_button = false,
            }
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
                match reader.connect() {
                    Ok(channel) => read_card(channel, insertion, &office).await,
                    Err(error) => office.tell(Event::Card(insertion, trouble(&office, error.into()))),
                }
            }
            Ok(CardEvent::Removed) => removed(&office, insertion),
            Ok(CardEvent::ReaderLost) => {
                removed(&office, insertion);
                office.set_reader(false);
                office.failed("CARD-001", "the card reader is gone; plug it in again");
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
    let read = tokio::task::spawn_blocking(move || InsertedCard::read(channel)).await;
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
        let input = CardInput::Read { owner: identity.owner.clone(), tries_left: identity.tries_left };
        office.tell(Event::Card(insertion, input));
    }
}

/// Keys count only while the screen asks for them; a PIN begun for one card does not go on for another, however fast the
/// cards are swapped.
async fn watch_keys(mut pin_pad: Box<dyn PinPad>, mut shown: watch::Receiver<Shown>, office: Arc<Office>) {
    let mut entry = PinEntry::default();
    let mut asked = None;
    loop {
        shown.borrow_and_update();
        let key = tokio::select! {
            key = pin_pad.next_key() => key,
            changed = shown.changed() => {
                if changed.is_err() { return; }
                continue;
            }
        };
        let Some(key) = key else { return };
        // Asked of this insertion and at this moment, not when the screen last changed.
        let asks = matches!(shown.borrow().screen, Screen::Pin { .. } | Screen::PinWrong { .. });
        let asking = office.card().map(|(insertion, _)| insertion).filter(|_| asks);
        if asking != asked {
            entry = PinEntry::default();
            asked = asking;
        }
        let Some(insertion) = asking else { continue };
        let input = match entry.key(key) {
            PinEvent::Changed { entered } => CardInput::PinProgress(entered),
            PinEvent::Complete(pin) => CardInput::PinEntered(pin),
            PinEvent::Cancelled => CardInput::PinCancelled,
            _ => continue,
        };
        office.tell(Event::Card(insertion, input));
    }
}

/// The fault band for a missing reader.
pub(crate) fn no_reader() -> Fault {
    Fault {
        code: "CARD-001", japanese: "カード読取装置がありません".into(), english: "No card reader".into()
    }
}
