//! A PIN pad for the rig: keys come through a channel.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{PinKey, PinPad};

/// A pad whose keys a channel presses.
#[derive(Debug)]
pub struct VirtualPinPad(mpsc::UnboundedReceiver<PinKey>);

impl VirtualPinPad {
    /// A pad and the finger that presses its keys. When every finger is gone, so is the pad.
    pub fn new() -> (mpsc::UnboundedSender<PinKey>, Self) {
        let (finger, keys) = mpsc::unbounded_channel();
        (finger, Self(keys))
    }
}

#[async_trait]
impl PinPad for VirtualPinPad {
    async fn next_key(&mut self) -> Option<PinKey> {
        self.0.recv().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn keys_come_in_order_and_the_end_is_told() {
        let (finger, mut pad) = VirtualPinPad::new();
        finger.send(PinKey::Digit(7)).unwrap();
        finger.send(PinKey::Enter).unwrap();
        drop(finger);
        assert_eq!(pad.next_key().await, Some(PinKey::Digit(7)));
        assert_eq!(pad.next_key().await, Some(PinKey::Enter));
        assert_eq!(pad.next_key().await, None);
    }
}
