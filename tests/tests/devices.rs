//! Lamp, buzzer, button and screen of a running adapter, on a GPIO chip that is not there: what is missing when it starts is
//! told, the mail doors are open all the same, and what comes later comes to life by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealfax_adapter::{Adapter, Config, Devices, console, hardware};
use sealfax_client::seam::{Journal, Record, RecordKind, Seams, TcpNetwork};
use sealfax_drivers::display::{Display, DisplayError, Frame, Screen, Status, Style};
use sealfax_drivers::gpio::{
    ButtonWiring, BuzzerWiring, Gpio, GpioButton, GpioBuzzer, GpioLamp, LampWiring, VirtualGpio,
};
use sealfax_mailserver::authority::{Authority, AuthorityOptions};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(30);

/// A journal that is kept.
#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

impl Journal for Kept {
    fn record(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }
}

impl Kept {
    fn failures(&self) -> Vec<&'static str> {
        let records = self.0.lock().unwrap();
        records
            .iter()
            .filter(|record| record.kind == RecordKind::Failure)
            .flat_map(|record| record.ids.clone())
            .collect()
    }

    fn texts(&self) -> String {
        self.0.lock().unwrap().iter().map(|record| format!("{}\n", record.text)).collect()
    }
}

/// A screen that is unplugged until somebody plugs it in, and what it shows then.
#[derive(Clone, Default)]
struct Late(Arc<Mutex<(bool, Vec<Status>, bool)>>);

impl Display for Late {
    fn show(&mut self, _: &Screen, status: &Status, _: &Frame) -> Result<(), DisplayError> {
        let mut state = self.0.lock().unwrap();
        state.2 = state.0;
        if !state.0 {
            return Err(DisplayError::Unplugged("HDMI-A-1".into()));
        }
        state.1.push(status.clone());
        Ok(())
    }

    fn attention(&self) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }

    fn look(&mut self) -> Result<bool, DisplayError> {
        let state = self.0.lock().unwrap();
        if !state.0 {
            return Err(DisplayError::Unplugged("HDMI-A-1".into()));
        }
        Ok(!state.2)
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let late = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < late, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn config(folder: &std::path::Path) -> Config {
    let authority = Authority::create(&folder.join("ca"), &AuthorityOptions::default(), &Seams::system()).unwrap();
    let anchors = folder.join("anchors.pem");
    std::fs::write(&anchors, authority.anchor_pem().unwrap()).unwrap();
    let mut config: Config = toml::from_str(include_str!("../../adapter/sealfax-adapter.example.toml")).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.terminal.smtp, config.terminal.pop3, config.network.notices) = (Some(any), Some(any), any);
    config.network.notices_from = vec![IpAddr::from([127, 0, 0, 1])];
    (config.network.anchors, config.network.intermediates) = (anchors, None);
    config.data = folder.join("data");
    config
}

async fn greets(at: SocketAddr) {
    let mut greeting = [0; 4];
    TcpStream::connect(at).await.unwrap().read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_and_what_comes_later_lives() {
    let folder = tempfile::tempdir().unwrap();
    let (gpio, screen, journal) = (VirtualGpio::new(), Late::default(), Arc::new(Kept::default()));
    for line in [17, 18, 22] {
        gpio.hold(line, Some("\"another\""));
    }
    let chip: Arc<dyn Gpio> = Arc::new(gpio.clone());
    let mut devices = console::devices();
    devices.lamp = Box::new(GpioLamp::new(chip.clone(), LampWiring { line: 17, active_low: false, sense: None }));
    devices.buzzer = Box::new(GpioBuzzer::new(chip.clone(), BuzzerWiring { line: 18, active_low: false }));
    devices.button = Box::new(GpioButton::new(chip, ButtonWiring { line: 22, active_low: true }));
    devices.display = Box::new(screen.clone());
    let seams = Seams { journal: journal.clone(), ..Seams::system() };
    let adapter = Adapter::start(config(folder.path()), seams, Arc::new(TcpNetwork), devices).await.unwrap();
    until("all three are told", || {
        let failures = journal.failures();
        ["LAMP-001", "BUZZER-001", "DISPLAY-003"].iter().all(|code| failures.contains(code))
    })
    .await;
    greets(adapter.terminal_smtp().unwrap()).await;
    greets(adapter.notices()).await;
    assert!(journal.texts().contains("held by \"another\""), "{}", journal.texts());

    screen.0.lock().unwrap().0 = true;
    // There is no card reader either, and that band comes first.
    until("the screen lights up", || !screen.0.lock().unwrap().1.is_empty()).await;
    for line in [17, 18, 22] {
        gpio.hold(line, None);
    }
    until("lamp and buzzer are well", || {
        let texts = journal.texts();
        texts.contains("Lamp failure: it is over") && texts.contains("Buzzer failure: it is over")
    })
    .await;
    assert_eq!((gpio.driven(17), gpio.driven(18)), (Some(false), Some(false)));
    until("the button is taken", || gpio.about(22).unwrap().holder.as_deref() == Some("sealfax-button")).await;
    gpio.play(22, Some(false));
    tokio::time::sleep(Duration::from_millis(100)).await;
    gpio.play(22, None);
    until("the button is heard", || journal.texts().contains("the button was pressed")).await;
    // Each was told once, however often it was tried.
    let failures = journal.failures();
    for code in ["LAMP-001", "BUZZER-001", "DISPLAY-003"] {
        assert_eq!(failures.iter().filter(|told| **told == code).count(), 1, "{code} in {failures:?}");
    }
    adapter.shutdown().await;
    until("nobody holds the lines any more", || gpio.about(17).unwrap().holder.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_for_a_board_that_this_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let table = "[gpio]\nchip = \"no-such-chip\"\nlamp = 17\nbuzzer = 18\nbutton = 22\n[display]\nbackend = \"framebuffer\"\ndevice = \"/dev/no-such-fb\"\nspeech = true";
    let table: toml::Table = table.parse().unwrap();
    config.gpio = Some(table["gpio"].clone().try_into().unwrap());
    config.display = Some(table["display"].clone().try_into().unwrap());
    let mut devices: Devices = console::devices();
    hardware::plug_in(&mut devices, &config).unwrap();
    devices.style = Style::default();
    assert_eq!(hardware::safe_state(&config).len(), 2);
    let journal = Arc::new(Kept::default());
    let seams = Seams { journal: journal.clone(), ..Seams::system() };
    let adapter = Adapter::start(config, seams, Arc::new(TcpNetwork), devices).await.unwrap();
    until("all three are told", || {
        let failures = journal.failures();
        ["LAMP-001", "BUZZER-001", "DISPLAY-001"].iter().all(|code| failures.contains(code))
    })
    .await;
    greets(adapter.terminal_smtp().unwrap()).await;
    adapter.shutdown().await;
}
