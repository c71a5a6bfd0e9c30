//! A keypad that the kernel itself presents (uinput): grabbed, read, unplugged and plugged again.
//!
//! Containers have no `/dev/uinput`; there it is said, and is no failure even where everything else has to be tested.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, EventType, InputEvent, KeyCode};
use sealfax_drivers::pattern::NamePattern;
use sealfax_drivers::pin::{Keypad, KeypadChoice, KeypadError, PinKey, PinPad};

const NAME: &str = "Sealfax test keypad";
const PATIENCE: Duration = Duration::from_secs(20);

fn plug() -> Option<VirtualDevice> {
    let mut keys = AttributeSet::<KeyCode>::new();
    for key in [KeyCode::KEY_KP1, KeyCode::KEY_KP7, KeyCode::KEY_KPENTER, KeyCode::KEY_KPDOT, KeyCode::KEY_NUMLOCK] {
        keys.insert(key);
    }
    VirtualDevice::builder().and_then(|device| device.name(NAME).with_keys(&keys)?.build()).ok()
}

fn press(device: &mut VirtualDevice, key: KeyCode) {
    for value in [1, 0] {
        device.emit(&[InputEvent::new(EventType::KEY.0, key.code(), value)]).unwrap();
    }
}

#[tokio::test]
async fn keys_reach_the_adapter_and_nobody_else() {
    let Some(mut device) = plug() else {
        eprintln!("unsupported: /dev/uinput cannot be used here, so no keypad can be played to the kernel");
        return;
    };
    let mut keypad = Keypad::new(KeypadChoice::Name(NamePattern::new("sealfax*keypad")));
    let late = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = keypad.open() {
        assert!(tokio::time::Instant::now() < late, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let taken = Keypad::new(KeypadChoice::Name(NamePattern::new(NAME))).open();
    assert!(matches!(taken, Err(KeypadError::Taken { .. })), "{taken:?}");
    for key in [KeyCode::KEY_KP7, KeyCode::KEY_NUMLOCK, KeyCode::KEY_KP1, KeyCode::KEY_KPDOT, KeyCode::KEY_KPENTER] {
        press(&mut device, key);
    }
    for wanted in [PinKey::Digit(7), PinKey::Digit(1), PinKey::Cancel, PinKey::Enter] {
        let key = tokio::time::timeout(PATIENCE, keypad.next_key()).await.unwrap();
        assert_eq!(key, Some(wanted));
    }
    // Unplugged: waited for, not given up.
    drop(device);
    let nothing = tokio::time::timeout(Duration::from_millis(200), keypad.next_key()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let mut device = plug().unwrap();
    let typing = tokio::task::spawn_blocking(move || {
        // It may not be grabbed yet: what is typed before is lost, as with any keypad.
        for _ in 0..100 {
            press(&mut device, KeyCode::KEY_KP7);
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let key = tokio::time::timeout(PATIENCE, keypad.next_key()).await.unwrap();
    assert_eq!(key, Some(PinKey::Digit(7)));
    typing.abort();
}
