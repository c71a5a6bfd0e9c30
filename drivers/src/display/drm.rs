//! A display by the kernel's mode setting (DRM/KMS): the connector that a screen is plugged into, in the mode the screen
//! prefers, on a buffer that the processor draws in. A screen may be plugged in late, unplugged and exchanged.

mod choice;

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use drm::Device as _;
use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::dumbbuffer::DumbBuffer;
use drm::control::{ClipRect, Device as _, ModeFlags, ModeTypeFlags, connector, crtc, framebuffer};

use self::choice::{Offer, choose_mode};
use super::fit::Fit;
use super::pixels::PixelFormat;
use super::rows::Rows;
use super::{Display, DisplayError, Frame, Screen, Status, edid};

/// How often the connector is looked at: reading what the kernel knows costs next to nothing.
const LOOK: Duration = Duration::from_secs(1);

/// So many looks at an empty connector, and it is probed: not every board interrupts when a plug goes in.
const PROBE: u32 = 10;

/// A display device as a file.
#[derive(Debug)]
struct Card(File);

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Card {}
impl drm::control::Device for Card {}

/// The screen behind a display device; neither need be there yet.
#[derive(Debug)]
pub struct DrmDisplay {
    device: Option<PathBuf>,
    card: Option<Card>,
    lit: Option<Lit>,
    looks: u32,
}

impl DrmDisplay {
    /// The screen at this device file; `None` is the first below `/dev/dri` that has connectors.
    pub fn new(device: Option<PathBuf>) -> Self {
        Self { device, card: None, lit: None, looks: 0 }
    }

    /// The name of the screen that is lit: `DELL U2412M, 1920x1080 at HDMI-A-1`.
    pub fn screen(&self) -> Option<&str> {
        self.lit.as_ref().map(|lit| lit.name.as_str())
    }

    /// Finds the device and the screen, and lights it, black.
    fn light(&mut self, probe: bool) -> Result<(), DisplayError> {
        if self.lit.is_some() {
            return Ok(());
        }
        let card = match self.card.take() {
            Some(card) => card,
            None => open(self.device.as_deref())?,
        };
        let lit = Lit::find(&card, probe);
        // A device that answered is kept, and with it the right to set its mode; one that failed is opened anew.
        if matches!(lit, Ok(_) | Err(DisplayError::Unplugged(_))) {
            self.card = Some(card);
        }
        let lit = lit?;
        tracing::info!(screen = lit.name, "the screen is lit");
        self.lit = Some(lit);
        Ok(())
    }

    /// Lets the screen go.
    fn darken(&mut self) {
        if let (Some(lit), Some(card)) = (self.lit.take(), &self.card) {
            lit.free(card);
        }
    }
}

impl Drop for DrmDisplay {
    fn drop(&mut self) {
        self.darken();
        if let Some(card) = &self.card {
            // Closing the device would do; whoever waits for the screen has it a moment earlier.
            let _ = card.release_master_lock();
        }
    }
}

impl Display for DrmDisplay {
    fn show(&mut self, _screen: &Screen, _status: &Status, frame: &Frame) -> Result<(), DisplayError> {
        self.light(true)?;
        let (Some(lit), Some(card)) = (&mut self.lit, &self.card) else { return Ok(()) };
        let drawn = lit.draw(card, frame);
        if drawn.is_err() {
            self.darken();
            self.card = None;
        }
        drawn
    }

    fn attention(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn look(&mut self) -> Result<bool, DisplayError> {
        self.looks = self.looks.wrapping_add(1);
        if let (Some(lit), Some(card)) = (&self.lit, &self.card) {
            match card.get_connector(lit.connector, false) {
                Ok(connector) if connector.state() != connector::State::Disconnected => return Ok(false),
                Ok(_) => self.darken(),
                Err(error) => {
                    self.darken();
                    self.card = None;
                    return Err(failed("the connector", &error));
                }
            }
        }
        self.light(self.looks.is_multiple_of(PROBE))?;
        Ok(true)
    }
}

fn failed(what: &str, why: &dyn std::fmt::Display) -> DisplayError {
    DisplayError::Device(format!("{what}: {why}"))
}

/// Opens a device for setting modes.
fn open(device: Option<&Path>) -> Result<Card, DisplayError> {
    let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path).map(Card);
    if let Some(path) = device {
        return open(path).map_err(|error| failed(&path.display().to_string(), &error));
    }
    let mut paths: Vec<PathBuf> = std::fs::read_dir("/dev/dri")
        .map_err(|error| failed("/dev/dri", &error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("card")))
        .collect();
    paths.sort();
    let mut why = failed("/dev/dri", &"no display device");
    for path in paths {
        // A Raspberry Pi 4 has one device that computes pictures and another that shows them.
        match open(&path).and_then(|card| card.resource_handles().map(|resources| (card, resources))) {
            Ok((card, resources)) if !resources.connectors().is_empty() => return Ok(card),
            Ok(_) => {}
            Err(error) => why = failed(&path.display().to_string(), &error),
        }
    }
    Err(why)
}

/// A screen with our buffer on it.
#[derive(Debug)]
struct Lit {
    name: String,
    connector: connector::Handle,
    buffer: DumbBuffer,
    framebuffer: framebuffer::Handle,
    format: PixelFormat,
    fit: Fit,
    rows: Rows,
    /// One row, kept from picture to picture.
    row: Vec<u8>,
}

impl Lit {
    fn find(card: &Card, probe: bool) -> Result<Self, DisplayError> {
        let resources = card.resource_handles().map_err(|error| failed("the display device", &error))?;
        let mut empty = Vec::new();
        for handle in resources.connectors() {
            let Ok(connector) = card.get_connector(*handle, probe) else { continue };
            if connector.interface() == connector::Interface::Writeback {
                continue;
            }
            if connector.state() != connector::State::Connected {
                empty.push(connector.to_string());
                continue;
            }
            // The list of modes is of the last probe; a plug that just went in was not probed.
            let connector = if probe { connector } else { card.get_connector(*handle, true).unwrap_or(connector) };
            return Self::new(card, &resources, &connector);
        }
        Err(DisplayError::Unplugged(empty.join(", ")))
    }

    fn new(
        card: &Card,
        resources: &drm::control::ResourceHandles,
        connector: &connector::Info,
    ) -> Result<Self, DisplayError> {
        let wrong = |why: &dyn std::fmt::Display| failed(&connector.to_string(), why);
        let offers: Vec<Offer> = connector.modes().iter().map(offer).collect();
        let mode = choose_mode(&offers).and_then(|at| connector.modes().get(at));
        let mode = *mode.ok_or_else(|| wrong(&"the screen offers no picture"))?;
        let crtc = crtc_for(card, resources, connector).ok_or_else(|| wrong(&"nothing drives this connector"))?;
        let (width, height) = (u32::from(mode.size().0), u32::from(mode.size().1));
        let fit = Fit::new(width, height).ok_or_else(|| wrong(&"a screen without pixels"))?;
        let (buffer, framebuffer, format) = memory(card, width, height).map_err(|error| wrong(&error))?;
        let name = screen_name(card, connector.handle()).unwrap_or_else(|| "a screen without name".to_owned());
        let name = format!("{name}, {width}x{height} at {connector}");
        let lit = Self {
            name,
            connector: connector.handle(),
            buffer,
            framebuffer,
            format,
            fit,
            rows: Rows::default(),
            row: Vec::new(),
        };
        match card.set_crtc(crtc, Some(framebuffer), (0, 0), &[connector.handle()], Some(mode)) {
            Ok(()) => Ok(lit),
            Err(error) => {
                lit.free(card);
                let taken = matches!(error.kind(), std::io::ErrorKind::PermissionDenied);
                let hint = if taken { "; another program has the screen, such as a desktop: end it" } else { "" };
                Err(wrong(&format!("{error}{hint}")))
            }
        }
    }

    fn draw(&mut self, card: &Card, frame: &Frame) -> Result<(), DisplayError> {
        let (width, height) = self.fit.size();
        let due = self.rows.due(&self.fit, frame);
        let pitch = self.buffer.pitch() as usize;
        let mut map = card.map_dumb_buffer(&mut self.buffer).map_err(|error| failed("the screen's memory", &error))?;
        for y in due {
            self.row.clear();
            self.fit.row(frame, y, self.format, &mut self.row);
            // Written once and in order: this memory is slow to read.
            let from = y as usize * pitch;
            if let Some(place) = map.get_mut(from..from + self.row.len()) {
                place.copy_from_slice(&self.row);
            }
        }
        drop(map);
        // For screens that have to be told; the others do not know the call.
        let whole = ClipRect::new(0, 0, width as u16, height as u16);
        let _ = card.dirty_framebuffer(self.framebuffer, &[whole]);
        Ok(())
    }

    fn free(self, card: &Card) {
        let _ = card.destroy_framebuffer(self.framebuffer);
        let _ = card.destroy_dumb_buffer(self.buffer);
    }
}

fn offer(mode: &drm::control::Mode) -> Offer {
    let (width, height) = mode.size();
    Offer {
        width: width.into(),
        height: height.into(),
        hertz: mode.vrefresh(),
        preferred: mode.mode_type().contains(ModeTypeFlags::PREFERRED),
        interlaced: mode.flags().contains(ModeFlags::INTERLACE),
    }
}

/// What can drive a connector: what does already, or else the first that could.
fn crtc_for(
    card: &Card,
    resources: &drm::control::ResourceHandles,
    connector: &connector::Info,
) -> Option<crtc::Handle> {
    let now = connector.current_encoder().and_then(|encoder| card.get_encoder(encoder).ok()?.crtc());
    now.or_else(|| {
        let encoders = connector.encoders().iter().filter_map(|encoder| card.get_encoder(*encoder).ok());
        encoders.flat_map(|encoder| resources.filter_crtcs(encoder.possible_crtcs())).next()
    })
}

/// A buffer of four octets a pixel, or where there is no memory for that, of two.
fn memory(card: &Card, width: u32, height: u32) -> std::io::Result<(DumbBuffer, framebuffer::Handle, PixelFormat)> {
    let make = |fourcc, depth, bits, format| {
        let buffer = card.create_dumb_buffer((width, height), fourcc, bits)?;
        match card.add_framebuffer(&buffer, depth, bits) {
            Ok(framebuffer) => Ok((buffer, framebuffer, format)),
            Err(error) => {
                let _ = card.destroy_dumb_buffer(buffer);
                Err(error)
            }
        }
    };
    make(DrmFourcc::Xrgb8888, 24, 32, PixelFormat::XRGB8888)
        .or_else(|_: std::io::Error| make(DrmFourcc::Rgb565, 16, 16, PixelFormat::RGB565))
}

fn screen_name(card: &Card, connector: connector::Handle) -> Option<String> {
    let properties = card.get_properties(connector).ok()?;
    let blob = properties.iter().find_map(|(property, value)| {
        let info = card.get_property(*property).ok()?;
        (info.name().to_bytes() == b"EDID" && *value != 0).then_some(*value)
    })?;
    edid::name(&card.get_property_blob(blob).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_is_no_display_is_said_and_looked_for_again() {
        let frame = Frame::of(Vec::new());
        for device in ["/dev/dri/no-such-card", "/dev/null"] {
            let mut display = DrmDisplay::new(Some(device.into()));
            let error = display.show(&Screen::Idle, &Status::default(), &frame).unwrap_err();
            assert_eq!(error.code(), "DISPLAY-001");
            assert!(display.look().is_err());
            assert_eq!((display.attention(), display.screen()), (Some(LOOK), None));
        }
    }
}
