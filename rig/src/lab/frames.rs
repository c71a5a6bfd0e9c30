//! The board's picture, from wherever the bench has it: a capture device at its HDMI output, a program, a file.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use linuxvideo::format::{PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use sealfax_drivers::display::{Frame, Marker, marker};

use super::LabError;
use super::file::Screen;
use super::pixels::{self, Layout};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long a device may say nothing before whoever waits may ask whether it is still wanted.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A source of pictures.
pub trait Frames {
    /// The next picture; `None` if there is none yet. May take a fraction of a second.
    fn next(&mut self) -> Result<Option<Frame>, LabError>;
}

/// Opens what the bench file says. What is opened stays in this thread.
pub fn open(screen: &Screen) -> Result<Box<dyn Frames>, LabError> {
    match (&screen.v4l2, &screen.command, &screen.file) {
        (Some(device), _, _) => Ok(Box::new(Capture::open(device)?)),
        (_, Some(command), _) => Ok(Box::new(Program::start(command)?)),
        (_, _, Some(file)) => Ok(Box::new(File { path: file.clone(), seen: None })),
        _ => Err(LabError::instrument("the screen", "the bench file names no source of pictures")),
    }
}

/// What it is, for people.
pub fn name(screen: &Screen) -> String {
    match (&screen.v4l2, &screen.command, &screen.file) {
        (Some(device), _, _) => format!("the capture device {}", device.display()),
        (_, Some(command), _) => format!("the pictures of {}", command.first().map(String::as_str).unwrap_or_default()),
        (_, _, Some(file)) => format!("the picture {}", file.display()),
        _ => "no picture".to_owned(),
    }
}

/// Looks until `on` is false, and tells each marker that comes with its picture. `broken` hears why it ended, if it was not
/// asked to.
pub fn watch(
    screen: &Screen,
    on: Arc<AtomicBool>,
    mut seen: impl FnMut(Marker, Frame) + Send + 'static,
    broken: impl FnOnce(LabError) + Send + 'static,
) {
    let screen = screen.clone();
    std::thread::spawn(move || {
        let mut look = || {
            let mut frames = open(&screen)?;
            let mut shown = None;
            while on.load(Ordering::Relaxed) {
                let Some(frame) = frames.next()? else { continue };
                let Some(marker) = marker::read(&frame) else { continue };
                if shown != Some(marker) {
                    shown = Some(marker);
                    seen(marker, frame);
                }
            }
            Ok(())
        };
        if let Err(error) = look() {
            broken(error);
        }
    });
}

/// A picture that somebody replaces.
struct File {
    path: PathBuf,
    seen: Option<(SystemTime, u64)>,
}

impl Frames for File {
    fn next(&mut self) -> Result<Option<Frame>, LabError> {
        use std::os::unix::fs::MetadataExt as _;
        std::thread::sleep(LOOK);
        let Ok(about) = std::fs::metadata(&self.path) else {
            // Its first picture may still come.
            return Ok(None);
        };
        let version = (about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.ino());
        if self.seen == Some(version) {
            return Ok(None);
        }
        let octets = std::fs::read(&self.path)
            .map_err(|error| LabError::instrument(format!("the picture {}", self.path.display()), error))?;
        self.seen = Some(version);
        Ok(crate::twin::screen::picture(&octets))
    }
}

/// Raw pictures from a program, one after the other.
struct Program {
    name: String,
    child: Child,
}

impl Program {
    fn start(command: &[String]) -> Result<Self, LabError> {
        let name = command.first().cloned().unwrap_or_default();
        let mut program = Command::new(&name);
        program.args(command.get(1..).unwrap_or_default());
        let child = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|error| LabError::instrument(format!("the pictures of {name}"), error))?;
        Ok(Self { name, child })
    }
}

impl Frames for Program {
    fn next(&mut self) -> Result<Option<Frame>, LabError> {
        let broken = |why: &dyn std::fmt::Display| LabError::instrument(format!("the pictures of {}", self.name), why);
        let pipe = self.child.stdout.as_mut().ok_or_else(|| broken(&"it has no output"))?;
        // Between two pictures there may be nothing for long.
        let mut ready = [PollFd::new(pipe, PollFlags::IN)];
        if poll(&mut ready, Some(&PATIENCE)).map_err(|error| broken(&error))? == 0 {
            return Ok(None);
        }
        let mut rgb = vec![0; (Frame::WIDTH * Frame::HEIGHT * 3) as usize];
        match pipe.read_exact(&mut rgb) {
            Ok(()) => Ok(Some(Frame::of(rgb))),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(broken(&"it ended")),
            Err(error) => Err(broken(&error)),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A capture device of the kernel (V4L2, streaming).
struct Capture {
    name: String,
    stream: ReadStream,
    layout: Layout,
    size: (u32, u32),
    row_octets: usize,
}

/// What devices at HDMI outputs give, best first: without loss, and small enough for USB 2 at last.
const LAYOUTS: [(PixelFormat, Layout); 4] = [
    (PixelFormat::RGB3, Layout::Rgb3),
    (PixelFormat::BGR3, Layout::Bgr3),
    (PixelFormat::YUYV, Layout::Yuyv),
    (PixelFormat::MJPG, Layout::Mjpg),
];

impl Capture {
    fn open(path: &Path) -> Result<Self, LabError> {
        let name = format!("the capture device {}", path.display());
        let broken = |what: &str, why: &dyn std::fmt::Display| LabError::instrument(&name, format!("{what}: {why}"));
        let device = linuxvideo::Device::open(path)
            .map_err(|error| broken("it cannot be opened, check its plug and the group video", &error))?;
        let offers: Vec<PixelFormat> =
            device.formats(linuxvideo::BufType::VIDEO_CAPTURE).flatten().map(|format| format.pixel_format()).collect();
        let choice = LAYOUTS.iter().find(|(offered, _)| offers.contains(offered));
        let Some((wanted, layout)) = choice else {
            let why = format!("it offers {offers:?}");
            return Err(broken("it gives none of RGB3, BGR3, YUYV and MJPG", &why));
        };
        let device = device
            .video_capture(PixFormat::new(Frame::WIDTH, Frame::HEIGHT, *wanted))
            .map_err(|error| broken("it captures nothing", &error))?;
        let format = device.format();
        if format.pixel_format() != *wanted {
            return Err(broken("it takes another format than it offers", &format.pixel_format()));
        }
        let (size, row_octets) = ((format.width(), format.height()), format.bytes_per_line() as usize);
        if size.0 * Frame::HEIGHT != size.1 * Frame::WIDTH {
            return Err(broken("its picture is not 16 to 9", &format!("{} x {}", size.0, size.1)));
        }
        let stream = device.into_stream().map_err(|error| broken("it does not stream", &error))?;
        Ok(Self { stream, layout: *layout, size, row_octets, name: name.clone() })
    }
}

impl Frames for Capture {
    fn next(&mut self) -> Result<Option<Frame>, LabError> {
        let mut ready = [PollFd::new(&self.stream, PollFlags::IN)];
        let count = poll(&mut ready, Some(&PATIENCE)).map_err(|error| LabError::instrument(&self.name, error))?;
        if count == 0 {
            return Ok(None);
        }
        let (layout, (width, height), row_octets) = (self.layout, self.size, self.row_octets);
        // A picture that the line spoiled is none; the next one comes.
        let read = self.stream.dequeue(|octets| {
            Ok((!octets.is_error()).then(|| pixels::frame(layout, width, height, row_octets, &octets)).flatten())
        });
        read.map_err(|error| LabError::instrument(&self.name, error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::sync::mpsc::channel;

    fn screen(table: &str) -> Screen {
        toml::from_str(table).unwrap()
    }

    fn picture(kind: sealfax_drivers::display::Screen) -> (Marker, Frame) {
        use sealfax_drivers::display::{Language, Status, Style, draw};
        let style = Style { language: Language::Japanese, ..Style::default() };
        (Marker::of(&kind, Language::Japanese), draw(&kind, &Status::default(), &style))
    }

    #[test]
    fn a_file_that_is_replaced_tells_each_screen_once() {
        use sealfax_drivers::display::Screen::{Idle, PinBlocked};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("screen.ppm");
        let (tell, told) = channel();
        let on = Arc::new(AtomicBool::new(true));
        let table = format!("file = {path:?}");
        watch(&screen(&table), on.clone(), move |marker, _| tell.send(marker).unwrap(), |error| panic!("{error}"));
        for kind in [Idle, Idle, PinBlocked] {
            let (marker, frame) = picture(kind);
            crate::lab::stand_in::write_picture(&path, &frame).unwrap();
            if let Ok(seen) = told.recv_timeout(Duration::from_millis(500)) {
                assert_eq!(seen, marker);
            }
        }
        on.store(false, Ordering::Relaxed);
    }

    #[test]
    fn a_program_writes_pictures_and_its_end_is_told() {
        let (wanted, frame) = picture(sealfax_drivers::display::Screen::Idle);
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("raw");
        std::fs::write(&raw, frame.rgb()).unwrap();
        let mut frames = open(&screen(&format!("command = [\"cat\", {raw:?}]"))).unwrap();
        let seen = std::iter::repeat_with(|| frames.next().unwrap()).flatten().next().unwrap();
        assert_eq!(marker::read(&seen), Some(wanted));
        let error = std::iter::repeat_with(|| frames.next()).find_map(Result::err).unwrap().to_string();
        assert!(error.contains("it ended"), "{error}");
    }

    #[test]
    fn a_capture_device_that_is_not_there_says_so() {
        let error = open(&screen("v4l2 = \"/dev/no-such-video\"")).err().unwrap().to_string();
        assert!(error.contains("/dev/no-such-video") && error.contains("plug"), "{error}");
        // Nor is any other device taken for one.
        assert!(open(&screen("v4l2 = \"/dev/null\"")).is_err());
    }
}
