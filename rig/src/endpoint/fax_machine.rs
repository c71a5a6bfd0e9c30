//! A plain fax machine (ITU-T T.30) at the other end of an adapter's telephone line: it scans, dials and sends; it answers and
//! prints. It knows nothing of mail. Either it is libspandsp's on a line in a box, or a simulated one on a simulated line.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealfax_adapter::terminal::modem::{Inbound, Outbound};
use sealfax_drivers::modem::{
    Class1, Document, FaxError, FaxLine, Identity, PageFormat, PageWish, Plugged, Resolution, Sent, simulated,
};
use sealfax_ifax::page::Page;
use sealfax_ifax::tiff;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::ifax::{Lcd, TerminalError};
use super::tray::{OutputTray, PrintedDocument};
use crate::events::{EventKind, EventLog, Lane};
use crate::peer::line_box::{End, EndName, LineBox, LineOptions, Machine, Modem, What};
use crate::peer::process::PeerError;

/// The number at which the adapter is called where the line itself does not tell which was dialled.
const ADAPTER: &str = "100";
/// The machine's own number.
pub const MACHINE: &str = "11";
/// How much faster than on a real line octets pass on a simulated one.
const SPEED: f64 = 200.0;
/// How long a call of the box may take, in real time.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// How often it is looked whether something was printed.
const LOOK: Duration = Duration::from_millis(20);

/// What is at the far end of an adapter's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telephone {
    /// A simulated machine on a simulated line: needs nothing installed.
    Simulated,
    /// The same, but not the office's machine: it says that it is another.
    Stranger,
    /// The office's machine by its number, whose pages are noise without lines and without end.
    Garbled,
    /// libspandsp's on a line in a box, whose modem is on a serial port.
    LineBox,
}

/// The machine.
pub struct FaxMachine {
    name: String,
    folder: PathBuf,
    log: EventLog,
    end: FarEnd,
}

enum FarEnd {
    Simulated { orders: mpsc::UnboundedSender<Order>, out: Arc<Out>, worker: JoinHandle<()> },
    Box { line: Arc<LineBox>, paper: PathBuf, looked: AtomicUsize },
}

impl Drop for FaxMachine {
    fn drop(&mut self) {
        if let FarEnd::Simulated { worker, .. } = &self.end {
            worker.abort();
        }
    }
}

impl std::fmt::Debug for FaxMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaxMachine({})", self.name)
    }
}

/// Start was pressed.
struct Order {
    subaddress: String,
    pages: Vec<Page>,
    told: oneshot::Sender<Result<Sent, FaxError>>,
}

/// What lies in the simulated machine's tray.
#[derive(Default)]
struct Out {
    documents: Mutex<Vec<Vec<Page>>>,
    news: Notify,
}

impl FaxMachine {
    /// A machine called `name`, and the line for its adapter.
    pub fn new(
        kind: Telephone,
        name: &str,
        seed: u64,
        log: EventLog,
        folder: &Path,
        state: &Path,
    ) -> Result<(Self, Box<dyn FaxLine>), PeerError> {
        let (end, line): (FarEnd, Box<dyn FaxLine>) = match kind {
            Telephone::Simulated | Telephone::Stranger | Telephone::Garbled => {
                let mut line = simulated::Line::default();
                (line.seed, line.speed) = (seed, SPEED);
                let (near, far) = simulated::line(line);
                let (orders, wanted) = mpsc::unbounded_channel();
                let out = Arc::<Out>::default();
                let number = if kind == Telephone::Stranger { "12" } else { MACHINE };
                let worker = tokio::spawn(work(Class1::new(far), kind, number, wanted, Arc::clone(&out)));
                (FarEnd::Simulated { orders, out, worker }, Box::new(Class1::new(near)))
            }
            Telephone::LineBox => {
                let paper = state.join(format!("{name}.tif"));
                let ends = [
                    &End::Modem(Modem { number: None, tells_caller: true }),
                    &End::Machine(Machine {
                        number: Some(MACHINE.to_owned()),
                        pages_in: Some(paper.clone()),
                        ..Machine::default()
                    }),
                ];
                let line = Arc::new(LineBox::start(&LineOptions::default(), ends)?);
                let near = Plugged::at(line.port(EndName::A)?);
                (FarEnd::Box { line, paper, looked: AtomicUsize::new(0) }, Box::new(near))
            }
        };
        Ok((Self { name: name.to_owned(), folder: folder.to_path_buf(), log, end }, line))
    }

    fn step(&self, ids: &[&'static str], text: impl AsRef<str>) {
        let kind = EventKind::Step { ids: ids.to_vec() };
        self.log.write(Lane::Terminal, &self.name, kind, text);
    }

    fn tray(&self) -> OutputTray<'_> {
        OutputTray { machine: &self.name, folder: &self.folder, log: &self.log }
    }

    /// A number on the panel, start, scan, dial, send (ST701-ST703, ST706-ST709).
    pub async fn send(&self, number: &str, pages: &[Page]) -> Result<Lcd, TerminalError> {
        self.step(&["ST701"], format!("number dialled: {number}"));
        self.step(&["ST702"], "start pressed");
        self.step(&["ST703", "I1"], format!("{} page(s) scanned", pages.len()));
        let tiff = tiff::write(pages)?;
        self.tray().keep(&format!("pages/{}-sent.tif", self.name), &tiff)?;
        let failure = match &self.end {
            FarEnd::Simulated { orders, .. } => {
                let (told, outcome) = oneshot::channel();
                let order = Order { subaddress: number.to_owned(), pages: pages.to_vec(), told };
                let _ = orders.send(order);
                match outcome.await {
                    Ok(Ok(_)) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some("the machine is switched off".to_owned()),
                }
            }
            FarEnd::Box { line, .. } => {
                let (line, number) = (Arc::clone(line), number.to_owned());
                let file = self.folder.join(format!("pages/{}-sent.tif", self.name));
                let call = move || {
                    let before = line.events().len();
                    line.dial(EndName::B, &number, Some(&file));
                    line.call(before, LONGEST_CALL)
                };
                match tokio::task::spawn_blocking(call).await {
                    Ok(Ok(results)) if results.iter().all(|result| result.result == 0) => None,
                    Ok(Ok(results)) => Some(results.into_iter().map(|result| result.text).collect()),
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(error) => Some(error.to_string()),
                }
            }
        };
        let (text, sent) = match failure {
            None => ("送信しました / SENT".to_owned(), true),
            Some(why) => (format!("通信エラー / COMMUNICATION ERROR: {why}"), false),
        };
        self.step(&[if sent { "ST708" } else { "ST709" }], format!("LCD: {text}"));
        Ok(Lcd { text, sent, code: None, message_id: String::new() })
    }

    /// The next document that it prints; `None` if none comes in that time.
    pub async fn next_printed(&self, patience: Duration) -> Result<Option<PrintedDocument>, TerminalError> {
        let next = async {
            loop {
                if let Some(pages) = self.take()? {
                    return self.tray().print(pages, Vec::new()).map(Some);
                }
                match &self.end {
                    FarEnd::Simulated { out, .. } => out.news.notified().await,
                    FarEnd::Box { .. } => tokio::time::sleep(LOOK).await,
                }
            }
        };
        tokio::time::timeout(patience, next).await.unwrap_or(Ok(None))
    }

    /// What was printed and not yet looked at.
    fn take(&self) -> Result<Option<Vec<Page>>, TerminalError> {
        match &self.end {
            FarEnd::Simulated { out, .. } => {
                let mut documents = out.documents.lock().unwrap_or_else(PoisonError::into_inner);
                Ok((!documents.is_empty()).then(|| documents.remove(0)))
            }
            FarEnd::Box { line, paper, looked } => {
                let calls: Vec<u32> = (line.events().iter())
                    .filter_map(|event| match &event.what {
                        What::Result(result) if result.end == EndName::B => Some(result.received),
                        _ => None,
                    })
                    .collect();
                // Each call has its number behind the file's name, the first none.
                for (number, received) in calls.iter().enumerate().skip(looked.load(Ordering::SeqCst)) {
                    looked.store(number + 1, Ordering::SeqCst);
                    if *received > 0 {
                        let name = if number == 0 { String::new() } else { format!(".{}", number + 1) };
                        let mut file = paper.clone().into_os_string();
                        file.push(name);
                        let octets = std::fs::read(&file)
                            .map_err(|source| TerminalError::Tray { path: file.clone().into(), source })?;
                        return Ok(Some(tiff::read(&octets, &tiff::Limits::default())?));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// The simulated machine: one line, on which it calls or is called.
async fn work(
    mut line: Class1,
    kind: Telephone,
    number: &str,
    mut wanted: mpsc::UnboundedReceiver<Order>,
    out: Arc<Out>,
) {
    let me = Identity::new(number);
    loop {
        tokio::select! {
            order = wanted.recv() => {
                let Some(order) = order else { return };
                let outcome = if kind == Telephone::Garbled {
                    line.call(ADAPTER, &me, Some(&order.subaddress), &mut Noise).await
                } else {
                    let mut document = Outbound::of_pages(order.pages);
                    line.call(ADAPTER, &me, Some(&order.subaddress), &mut document).await
                };
                let _ = order.told.send(outcome);
            }
            call = line.wait_for_call() => {
                let mut tray = Inbound::default();
                if call.is_ok() && line.answer(&me, &mut tray).await.is_ok() {
                    out.documents.lock().unwrap_or_else(PoisonError::into_inner).push(tray.pages().to_vec());
                    out.news.notify_one();
                }
            }
        }
    }
}

/// Pages of a machine that is broken, or means ill.
struct Noise;

impl Document for Noise {
    fn pages(&self) -> usize {
        3
    }

    fn wants(&self, _: usize) -> PageWish {
        PageWish { width: 1728, resolution: Resolution::Fine }
    }

    fn page(&mut self, page: usize, _: &PageFormat) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let mut state = 0x9e37_79b9_u32.wrapping_add(u32::try_from(page)?);
        let mut octet = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        Ok((0..100_000).map(|_| octet()).collect())
    }
}
