//! A display for the rig: an observer sees each change of the picture.

use super::{Display, DisplayError, Frame, Screen, Status};

/// What an observer is told.
pub type DisplayObserver = dyn FnMut(&Screen, &Status, &Frame) + Send;

/// A display that is not there; calls its observer whenever the picture changes.
pub struct VirtualDisplay {
    observer: Box<DisplayObserver>,
    last: Option<Frame>,
}

impl VirtualDisplay {
    /// A display watched by `observer`.
    pub fn new(observer: impl FnMut(&Screen, &Status, &Frame) + Send + 'static) -> Self {
        Self { observer: Box::new(observer), last: None }
    }
}

impl std::fmt::Debug for VirtualDisplay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VirtualDisplay")
    }
}

impl Display for VirtualDisplay {
    fn show(&mut self, screen: &Screen, status: &Status, frame: &Frame) -> Result<(), DisplayError> {
        if self.last.as_ref() != Some(frame) {
            (self.observer)(screen, status, frame);
            self.last = Some(frame.clone());
        }
        Ok(())
    }
}
