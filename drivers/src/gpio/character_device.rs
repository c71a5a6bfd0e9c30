//! Lines by the kernel's GPIO character device, version 2 of its interface (`linux/gpio.h`): any board whose chip has a
//! driver. Edges come as events; where a chip tells none, the line is read again and again.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use gpiocdev::line::{Bias, EdgeDetection, Value};
use gpiocdev::{Chip, Request};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::{Gpio, Input, LineError, LineInfo, Output, POLL, Pull};

/// Labels of the chips behind the 40-pin header of a Raspberry Pi: models 0 to 3, 4, 5.
pub const HEADER_CHIPS: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];

/// A line with edge events is read this often all the same: not every chip that takes the wish fulfils it.
const NET: Duration = Duration::from_millis(500);

/// A chip that is looked for whenever a line is wanted: its device has another number from start to start, its label not.
#[derive(Debug, Clone)]
pub struct CharacterDevice {
    choice: Option<String>,
}

impl CharacterDevice {
    /// By label, or by device file if it begins with `/`; `None` is the chip of the 40-pin header.
    pub fn new(chip: Option<&str>) -> Self {
        Self { choice: chip.map(str::to_owned) }
    }

    fn fits(&self, found: &Found) -> bool {
        match &self.choice {
            Some(choice) if choice.starts_with('/') => {
                std::fs::canonicalize(choice).is_ok_and(|path| path == found.path)
            }
            Some(choice) => *choice == found.label,
            None => HEADER_CHIPS.contains(&found.label.as_str()),
        }
    }

    fn find(&self) -> Result<Found, LineError> {
        let (mut there, mut denied) = (Vec::new(), None);
        for path in gpiocdev::chip::chips().unwrap_or_default() {
            // The crate's error has no kind; ask the file system first.
            if std::fs::File::open(&path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
                denied = Some(path.display().to_string());
            } else if let Some(found) = Found::open(&path) {
                if self.fits(&found) {
                    return Ok(found);
                }
                there.push(found.name());
            }
        }
        if let Some(what) = denied {
            return Err(LineError::Permission { what });
        }
        let wanted = self.choice.clone().unwrap_or_else(|| "of a 40-pin header".to_owned());
        Err(LineError::NoChip { wanted, there: if there.is_empty() { "none".to_owned() } else { there.join(", ") } })
    }
}

/// A chip that is there.
struct Found {
    chip: Chip,
    path: PathBuf,
    label: String,
    lines: u32,
}

impl Found {
    fn open(path: &Path) -> Option<Self> {
        let chip = Chip::from_path(path).ok()?;
        let info = chip.info().ok()?;
        Some(Self { path: chip.path().to_owned(), chip, label: info.label, lines: info.num_lines })
    }

    fn name(&self) -> String {
        format!("{} ({})", self.label, self.path.display())
    }

    fn about(&self, line: u32) -> Result<LineInfo, LineError> {
        if line >= self.lines {
            return Err(LineError::NoLine { chip: self.name(), line });
        }
        let info = self.chip.line_info(line).map_err(|error| refused(&self.name(), line, &error))?;
        let holder = info.used.then(|| match info.consumer {
            nameless if nameless.is_empty() => "a program without a name".to_owned(),
            consumer => format!("{consumer:?}"),
        });
        Ok(LineInfo { chip: self.name(), name: info.name, holder })
    }

    /// Takes a line as `with` says.
    fn request(
        &self,
        line: u32,
        user: &str,
        with: impl Fn(&mut gpiocdev::request::Builder),
    ) -> Result<Line, LineError> {
        let mut builder = Request::builder();
        builder.on_chip(&self.path).with_line(line).with_consumer(user);
        with(&mut builder);
        match builder.request() {
            Ok(request) => Ok(Line { request, chip: self.name(), line }),
            // Asked after the fact: between asking and taking somebody may come.
            Err(error) => Err(match self.about(line)? {
                LineInfo { chip, holder: Some(holder), .. } => LineError::Held { chip, line, holder },
                _ => refused(&self.name(), line, &error),
            }),
        }
    }
}

fn refused(chip: &str, line: u32, why: &dyn std::fmt::Display) -> LineError {
    LineError::Refused { chip: chip.to_owned(), line, why: why.to_string() }
}

impl Gpio for CharacterDevice {
    fn output(&self, line: u32, high: bool, user: &str) -> Result<Box<dyn Output>, LineError> {
        let request = |builder: &mut gpiocdev::request::Builder| {
            builder.as_output(value(high));
        };
        Ok(Box::new(self.find()?.request(line, user, request)?))
    }

    fn input(&self, line: u32, pull: Pull, user: &str) -> Result<Box<dyn Input>, LineError> {
        let found = self.find()?;
        let bias = match pull {
            Pull::Off => Bias::Disabled,
            Pull::Up => Bias::PullUp,
            Pull::Down => Bias::PullDown,
        };
        let edges = found.request(line, user, |builder| {
            builder.as_input().with_bias(bias).with_edge_detection(EdgeDetection::BothEdges);
        });
        let (line, told) = match edges {
            Ok(line) => (line, true),
            // A chip without interrupts takes no wish for edges.
            Err(LineError::Refused { .. }) => {
                let plain = found.request(line, user, |builder| {
                    builder.as_input().with_bias(bias);
                });
                (plain?, false)
            }
            Err(error) => return Err(error),
        };
        Ok(Box::new(Edges { line: Some(line), watched: None, told, seen: false }))
    }

    fn about(&self, line: u32) -> Result<LineInfo, LineError> {
        self.find()?.about(line)
    }
}

fn value(high: bool) -> Value {
    if high { Value::Active } else { Value::Inactive }
}

/// A line that is ours until it is dropped.
struct Line {
    request: Request,
    chip: String,
    line: u32,
}

impl Line {
    fn high(&self) -> Result<bool, LineError> {
        let value = self.request.lone_value().map_err(|error| refused(&self.chip, self.line, &error))?;
        Ok(value == Value::Active)
    }

    /// Takes all events away; the level is read, so what they were does not matter.
    fn drain(&self) -> gpiocdev::Result<()> {
        while self.request.has_edge_event()? {
            self.request.read_edge_event()?;
        }
        Ok(())
    }
}

impl Output for Line {
    fn set(&mut self, high: bool) -> Result<(), LineError> {
        self.request.set_lone_value(value(high)).map_err(|error| refused(&self.chip, self.line, &error))
    }

    fn high(&mut self) -> Result<bool, LineError> {
        Line::high(self)
    }
}

impl std::os::fd::AsRawFd for Line {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.request.as_raw_fd()
    }
}

/// An input. It is put before the reactor when it is first waited for: it may be opened where there is none.
struct Edges {
    line: Option<Line>,
    watched: Option<AsyncFd<Line>>,
    /// Whether edges are told.
    told: bool,
    /// The level as last read.
    seen: bool,
}

/// Has the reactor tell when a line has events; a line that it does not take comes back.
#[allow(unsafe_code)] // The one call of the reactor for files that are not its own.
fn watch(line: Line) -> Result<AsyncFd<Line>, Line> {
    // SAFETY: the descriptor is the line's own file's, which is open until the line is dropped, and is never another.
    let watched = unsafe { AsyncFd::register_with_interest(line, Interest::READABLE) };
    watched.map_err(|error| error.into_parts().0)
}

#[async_trait]
impl Input for Edges {
    fn high(&mut self) -> Result<bool, LineError> {
        let line = self.watched.as_ref().map(AsyncFd::get_ref).or(self.line.as_ref());
        self.seen = line.map_or(Ok(false), Line::high)?;
        Ok(self.seen)
    }

    async fn changed(&mut self) -> Result<(), LineError> {
        if let Some(line) = self.line.take_if(|_| self.told) {
            match watch(line) {
                Ok(watched) => self.watched = Some(watched),
                Err(line) => (self.line, self.told) = (Some(line), false),
            }
        }
        let Some(watched) = &self.watched else {
            sleep(POLL).await;
            return Ok(());
        };
        let line = watched.get_ref();
        tokio::select! {
            ready = watched.readable() => {
                let mut ready = ready.map_err(|error| refused(&line.chip, line.line, &error))?;
                line.drain().map_err(|error| refused(&line.chip, line.line, &error))?;
                ready.clear_ready();
            }
            () = sleep(NET) => {
                // Another level and nobody said so: this chip promises edges and tells none, as some emulated ones.
                if line.high()? != self.seen && !line.request.has_edge_event().unwrap_or(false) {
                    tracing::info!(chip = line.chip, line = line.line, "no edges are told: the line is polled");
                    self.told = false;
                    self.line = self.watched.take().map(AsyncFd::into_inner);
                }
            }
        }
        Ok(())
    }
}
