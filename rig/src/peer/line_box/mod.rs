//! A telephone line in a box: libspandsp's Class 1 modems (ITU-T T.31) and fax machines (T.30) at either end of a line of our
//! own, which rings, is busy, delays, hisses and breaks. The box is a program in C, built where it is wanted, because the
//! product links nothing of it; it has a time of its own and is faster than a real line.

mod clock;
mod ends;
mod event;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use clock::on_line_time;
pub use ends::{Cut, End, EndName, HowCut, LineOptions, Machine, Modem, Moment, Noise, Refusal};
pub use event::{CallResult, LineEvent, What};

use super::process::{PeerError, find};
use clock::Ticks;

const PROGRAM: &str = "line box";
/// The program: file by file.
const SOURCES: [(&str, &str); 9] = [
    ("box.h", include_str!("box.h")),
    ("events.c", include_str!("events.c")),
    ("exchange.c", include_str!("exchange.c")),
    ("line.c", include_str!("line.c")),
    ("machine.c", include_str!("machine.c")),
    ("main.c", include_str!("main.c")),
    ("modem.c", include_str!("modem.c")),
    ("monitor.c", include_str!("monitor.c")),
    ("pace.c", include_str!("pace.c")),
];
/// What it is made from besides a compiler: a header, and the package that has it.
const NEEDS: [(&str, &str); 2] = [("spandsp.h", "libspandsp-dev"), ("tiffio.h", "libtiff-dev")];

/// Whether what it needs is installed.
pub fn present() -> Result<(), PeerError> {
    find("cc", "gcc")?;
    let places = ["/usr/include", "/usr/local/include"].map(PathBuf::from);
    let multiarch = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    for (header, package) in NEEDS {
        let mut folders = places.iter().cloned().chain([PathBuf::from(&multiarch)]);
        if !folders.any(|folder| folder.join(header).is_file()) {
            return Err(PeerError::Missing { program: header, package });
        }
    }
    Ok(())
}

/// A running box; it ends when dropped.
#[derive(Debug)]
pub struct LineBox {
    child: Child,
    shared: Arc<Shared>,
    ports: [Option<PathBuf>; 2],
    /// Holds the program where there was no better place for it.
    _folder: Option<tempfile::TempDir>,
}

/// Between whoever holds the box and the thread that reads what it says.
#[derive(Debug)]
struct Shared {
    events: Mutex<Heard>,
    news: Condvar,
    commands: Mutex<Option<ChildStdin>>,
    ticks: Ticks,
}

#[derive(Debug, Default)]
struct Heard {
    events: Vec<LineEvent>,
    /// What could not be understood, and what the box said on standard error.
    complaints: Vec<String>,
    is_over: bool,
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, line: &str) {
        if let Some(input) = self.commands.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // A box that has ended says so by its events.
            let _ = input.write_all(format!("{line}\n").as_bytes());
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.heard());
        self.news.notify_all();
    }
}

impl LineBox {
    /// A line with these two ends; it is ready when this returns.
    pub fn start(options: &LineOptions, ends: [&End; 2]) -> Result<Self, PeerError> {
        present()?;
        let (program, folder) = program()?;
        let mut child = Command::new(program)
            .args(options.arguments())
            .args(ends.map(End::argument))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| PeerError::broken(PROGRAM, error))?;
        let shared = Arc::new(Shared {
            events: Mutex::default(),
            news: Condvar::new(),
            commands: Mutex::new(child.stdin.take()),
            ticks: Ticks::default(),
        });
        if let Some(says) = child.stdout.take() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || listen(&shared, BufReader::new(says)));
        }
        if let Some(complains) = child.stderr.take() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for line in BufReader::new(complains).lines().map_while(Result::ok) {
                    shared.tell(|heard| heard.complaints.push(line));
                }
            });
        }
        let mut line = Self { child, shared, ports: [None, None], _folder: folder };
        line.wait(Duration::from_secs(30), |event| matches!(event.what, What::Ready))?;
        for event in line.events() {
            if let What::Modem { end, port } = event.what
                && let Some(place) = line.ports.get_mut(end.place())
            {
                *place = Some(port);
            }
        }
        Ok(line)
    }

    /// The serial port of the modem at this end; a machine has none.
    pub fn port(&self, end: EndName) -> Result<&Path, PeerError> {
        let port = self.ports.get(end.place()).and_then(Option::as_deref);
        port.ok_or_else(|| PeerError::broken(PROGRAM, format!("at end {end} there is no modem")))
    }

    /// What has happened so far.
    pub fn events(&self) -> Vec<LineEvent> {
        self.shared.heard().events.clone()
    }

    /// What the box complained about: with [`LineOptions::verbose`], libspandsp's log.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.heard().complaints.clone()
    }

    /// Waits for the first event that is so; for at most `patience` of real time, and not longer than the box lives.
    pub fn wait(&self, patience: Duration, is_so: impl FnMut(&LineEvent) -> bool) -> Result<LineEvent, PeerError> {
        self.wait_after(0, patience, is_so)
    }

    /// The same among the events that follow the first `after`.
    pub fn wait_after(
        &self,
        after: usize,
        patience: Duration,
        mut is_so: impl FnMut(&LineEvent) -> bool,
    ) -> Result<LineEvent, PeerError> {
        let begin = Instant::now();
        let mut heard = self.shared.heard();
        let mut seen = after;
        loop {
            if let Some(event) = heard.events.iter().skip(seen).find(|event| is_so(event)) {
                return Ok(event.clone());
            }
            seen = heard.events.len().max(after);
            let left = patience.saturating_sub(begin.elapsed());
            if left.is_zero() || heard.is_over {
                let why = if heard.is_over { "it has ended" } else { "it did not come" };
                return Err(PeerError::broken(PROGRAM, format!("{why}; {}", heard.events_and_complaints())));
            }
            heard = self.shared.news.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until a call is over, and says how the machines at the ends saw it.
    pub fn call(&self, after: usize, patience: Duration) -> Result<Vec<CallResult>, PeerError> {
        let over = |event: &LineEvent| matches!(event.what, What::Down { .. } | What::Refused { .. });
        self.wait_after(after, patience, over)?;
        let results = self.events().into_iter().skip(after).filter_map(|event| match event.what {
            What::Result(result) => Some(result),
            _ => None,
        });
        Ok(results.collect())
    }

    /// The machine at this end calls a number, and sends a TIFF file if there is one.
    pub fn dial(&self, end: EndName, number: &str, pages: Option<&Path>) {
        let file = pages.map(|file| format!(" {}", file.display())).unwrap_or_default();
        self.shared.command(&format!("dial {end} {number}{file}"));
    }

    /// Cuts the line.
    pub fn cut(&self, how: HowCut) {
        self.shared.command(match how {
            HowCut::Silence => "cut silence",
            HowCut::Hangup => "cut hangup",
        });
    }
}

impl Drop for LineBox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Heard {
    fn events_and_complaints(&self) -> String {
        let events: Vec<String> = self.events.iter().map(|event| format!("{event:?}")).collect();
        [events, self.complaints.clone()].concat().join("\n")
    }
}

/// Every line that the box says, until its end.
fn listen(shared: &Shared, says: impl std::io::BufRead) {
    for line in says.lines().map_while(Result::ok) {
        match serde_json::from_str::<LineEvent>(&line) {
            Ok(LineEvent { at, what: What::Tick }) => {
                shared.ticks.follow(Duration::from_secs_f64(at));
                shared.command("go");
            }
            Ok(event) => shared.tell(|heard| heard.events.push(event)),
            Err(error) => shared.tell(|heard| heard.complaints.push(format!("{error}: {line}"))),
        }
    }
    shared.tell(|heard| heard.is_over = true);
    shared.ticks.end();
}

/// The program, built once for these sources and kept beside the one that runs now; or in a folder of its own.
fn program() -> Result<(PathBuf, Option<tempfile::TempDir>), PeerError> {
    let broken = |error: std::io::Error| PeerError::broken(PROGRAM, error);
    let mut hasher = DefaultHasher::new();
    SOURCES.hash(&mut hasher);
    let name = format!("sealfax-line-box-{:016x}", hasher.finish());
    let beside = std::env::current_exe().ok().and_then(|program| program.parent().map(|folder| folder.join(&name)));
    if let Some(built) = beside.as_ref().filter(|file| file.is_file()) {
        return Ok((built.clone(), None));
    }
    let folder = tempfile::tempdir().map_err(broken)?;
    let built = folder.path().join("line-box");
    compile(folder.path(), &built)?;
    // Tests run side by side: what is complete is put in its place at once, or another has done so.
    if let Some(place) = beside {
        let unfinished = place.with_extension(std::process::id().to_string());
        if std::fs::copy(&built, &unfinished).and_then(|_| std::fs::rename(&unfinished, &place)).is_ok() {
            return Ok((place, None));
        }
    }
    Ok((built, Some(folder)))
}

fn compile(folder: &Path, program: &Path) -> Result<(), PeerError> {
    let compiler = find("cc", "gcc")?;
    let broken = |error: std::io::Error| PeerError::broken("cc", error);
    for (name, text) in SOURCES {
        std::fs::write(folder.join(name), text).map_err(broken)?;
    }
    let files = SOURCES.iter().map(|(name, _)| *name).filter(|name| name.ends_with(".c"));
    let output = Command::new(compiler)
        .current_dir(folder)
        .args(["-std=gnu17", "-O2", "-Wall", "-Wextra", "-o"])
        .arg(program)
        .args(files)
        .args(["-lspandsp", "-ltiff", "-lutil", "-lm"])
        .output()
        .map_err(broken)?;
    if output.status.success() {
        return Ok(());
    }
    Err(PeerError::broken("cc", String::from_utf8_lossy(&output.stderr)))
}
