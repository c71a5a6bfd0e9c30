//! A display by the kernel's frame buffer device (`linux/fb.h`): any size, 16, 24 or 32 bits a pixel, written row by row.
//!
//! The text console draws on the same memory. Its blinking cursor is kept off the picture by
//! `vt.global_cursor_default=0` on the kernel's command line.

mod screen_info;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use self::screen_info::{ScreenInfo, screen_info};
use super::fit::Fit;
use super::rows::Rows;
use super::{Display, DisplayError, Frame, Screen, Status};

/// How soon a frame buffer that is not there is looked for again.
const AGAIN: Duration = Duration::from_secs(2);

/// So many octets are written at once: a system call for every row would be many, the whole picture much memory.
const PORTION: usize = 128 * 1024;

/// A frame buffer; it need not be there yet.
#[derive(Debug)]
pub struct FramebufferDisplay {
    device: PathBuf,
    file: Option<File>,
    fit: Option<Fit>,
    rows: Rows,
}

impl FramebufferDisplay {
    /// The frame buffer of this device file, `/dev/fb0` if `None`.
    pub fn new(device: Option<PathBuf>) -> Self {
        Self { device: device.unwrap_or_else(|| "/dev/fb0".into()), file: None, fit: None, rows: Rows::default() }
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> DisplayError {
        DisplayError::Device(format!("{}: {why}", self.device.display()))
    }

    fn draw(&mut self, file: &File, frame: &Frame) -> Result<(), DisplayError> {
        // Asked each time: another program may have set another mode.
        let info = screen_info(file).map_err(|error| self.failed(&error))?;
        let ScreenInfo { width, height, .. } = info;
        let format = info.format().ok_or_else(|| self.failed(&format!("no true colour screen: {info:?}")))?;
        let fit = self.fit.take().filter(|fit| fit.size() == (width, height));
        if fit.is_none() {
            self.rows = Rows::default();
        }
        let fit = fit.or_else(|| Fit::new(width, height));
        let fit = fit.ok_or_else(|| self.failed(&format!("a screen of {width} by {height} pixels")))?;
        let mut portion = Vec::with_capacity(PORTION + info.row_octets);
        let mut due = self.rows.due(&fit, frame).into_iter().peekable();
        while let Some(y) = due.next() {
            let from = portion.len();
            fit.row(frame, y, format, &mut portion);
            portion.resize(from + info.row_octets, 0);
            let goes_on = due.peek() == Some(&(y + 1));
            if portion.len() >= PORTION || !goes_on {
                let begin = info.first_octet() + (u64::from(y) + 1) * info.row_octets as u64 - portion.len() as u64;
                // Of the last row, only the pixels: what is after it may not be there.
                let spare = info.row_octets.saturating_sub(width as usize * format.octets());
                let last = if y + 1 == height { portion.len().saturating_sub(spare) } else { portion.len() };
                let written = file.write_all_at(portion.get(..last).unwrap_or_default(), begin);
                if let Err(error) = written {
                    self.rows = Rows::default();
                    return Err(self.failed(&error));
                }
                portion.clear();
            }
        }
        self.fit = Some(fit);
        Ok(())
    }
}

impl Display for FramebufferDisplay {
    fn show(&mut self, _screen: &Screen, _status: &Status, frame: &Frame) -> Result<(), DisplayError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let opened = OpenOptions::new().read(true).write(true).open(&self.device);
                opened.map_err(|error| self.failed(&error))?
            }
        };
        self.draw(&file, frame)?;
        self.file = Some(file);
        Ok(())
    }

    fn attention(&self) -> Option<Duration> {
        self.file.is_none().then_some(AGAIN)
    }

    fn look(&mut self) -> Result<bool, DisplayError> {
        Ok(self.file.is_none() && self.device.exists())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_is_no_frame_buffer_is_said_and_waited_for() {
        let frame = Frame::of(vec![0; 1280 * 720 * 3]);
        for device in ["/dev/no-such-fb", "/dev/null"] {
            let mut display = FramebufferDisplay::new(Some(device.into()));
            let error = display.show(&Screen::Idle, &Status::default(), &frame).unwrap_err();
            assert!(error.to_string().contains(device), "{error}");
            assert_eq!(display.attention(), Some(AGAIN));
            assert_eq!(display.look().unwrap(), device == "/dev/null");
        }
    }
}
