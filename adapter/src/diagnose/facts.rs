//! What a diagnosis judges by: plain facts, gathered once, kept in bundles, replayed offline.
//!
//! Nothing here is secret or names a person: of a card there are dates and numbers, of a server its address and its first
//! words. A field that could not be read is `None`, and what stood in the way is said beside it.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::area::Area;

/// The shape of [`FactSheet`] as it stands in files; raised when a field changes its meaning.
pub const VERSION: u32 = 1;

/// Everything that is known. An area nobody looked at is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FactSheet {
    /// [`VERSION`].
    pub version: u32,
    /// Which program gathered them: "sealfax-adapter 0.1.0".
    pub tool: String,
    /// No true clock shows less: when that program was made, in seconds since 1970.
    pub built: i64,
    /// The adapter's clock when it began, in seconds since 1970.
    pub at: i64,
    /// What the configuration wants.
    pub configuration: Option<ConfigurationFacts>,
    /// The supply and the temperature.
    pub power: Option<PowerFacts>,
    /// Where the adapter's memory lies.
    pub storage: Option<StorageFacts>,
    /// Lamp, buzzer, button.
    pub gpio: Option<GpioFacts>,
    /// The screen.
    pub display: Option<DisplayFacts>,
    /// The card reader and its daemon.
    pub reader: Option<ReaderFacts>,
    /// The card that is in.
    pub card: Option<CardFacts>,
    /// Network interfaces, both ports among them.
    pub ports: Option<PortsFacts>,
    /// The name service.
    pub names: Option<NamesFacts>,
    /// Anchors, and what is on the card.
    pub certificates: Option<CertificatesFacts>,
    /// Who of the servers answers, and what.
    pub servers: Option<ServersFacts>,
    /// Whether somebody keeps the clock.
    pub clock: Option<ClockFacts>,
    /// The daemon.
    pub service: Option<ServiceFacts>,
}

/// Where facts come from: this machine, or a file.
#[async_trait]
pub trait Facts: Send {
    /// A sheet with nothing on it but whose it is and when it was begun.
    fn begin(&mut self) -> FactSheet;

    /// Adds to the sheet what is to be known of an area; it may rely on what stands there already. What cannot be known is
    /// left out: a probe never fails, and never spends a PIN attempt.
    async fn gather(&mut self, area: Area, sheet: &mut FactSheet);
}

/// Facts that were gathered before.
#[derive(Debug, Clone)]
pub struct Recorded(pub FactSheet);

#[async_trait]
impl Facts for Recorded {
    fn begin(&mut self) -> FactSheet {
        let FactSheet { version, ref tool, built, at, .. } = self.0;
        FactSheet { version, tool: tool.clone(), built, at, ..FactSheet::default() }
    }

    async fn gather(&mut self, area: Area, sheet: &mut FactSheet) {
        match area {
            Area::Configuration => sheet.configuration.clone_from(&self.0.configuration),
            Area::Power => sheet.power.clone_from(&self.0.power),
            Area::Storage => sheet.storage.clone_from(&self.0.storage),
            Area::Gpio => sheet.gpio.clone_from(&self.0.gpio),
            Area::Display => sheet.display.clone_from(&self.0.display),
            Area::Reader => sheet.reader.clone_from(&self.0.reader),
            Area::Card => sheet.card.clone_from(&self.0.card),
            Area::TerminalPort | Area::NetworkPort => sheet.ports.clone_from(&self.0.ports),
            Area::Names => sheet.names.clone_from(&self.0.names),
            Area::Certificates => sheet.certificates.clone_from(&self.0.certificates),
            Area::Servers => sheet.servers.clone_from(&self.0.servers),
            Area::Clock => sheet.clock.clone_from(&self.0.clock),
            Area::Service => sheet.service.clone_from(&self.0.service),
        }
    }
}

/// The configuration, as far as checks depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigurationFacts {
    /// The file.
    pub path: String,
    /// Why it is not used.
    pub problem: Option<ConfigurationProblem>,
    /// Whether Japanese stands first.
    pub japanese: bool,
    /// Where the terminal finds its mail servers, here.
    pub terminal: Vec<SocketAddr>,
    /// The servers of `[network]` whose addresses are numbers.
    pub servers: Vec<SocketAddr>,
    /// Where notices come in, here.
    pub notices: Option<SocketAddr>,
    /// Where durable state lives.
    pub data: String,
    /// How far clocks may differ, in seconds.
    pub clock_tolerance: i64,
    /// Lines that are wired; empty without a `[gpio]` table.
    pub lines: Vec<LineWish>,
    /// `gpio.chip`.
    pub chip: Option<String>,
    /// `display.backend`.
    pub display: Option<String>,
    /// `display.device`.
    pub display_device: Option<String>,
    /// `ports.terminal`, a path of udev (ID_PATH).
    pub terminal_path: Option<String>,
    /// `ports.network`.
    pub network_path: Option<String>,
    /// `card.reader`.
    pub reader: Option<String>,
}

/// A line of the 40-pin header that the configuration names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineWish {
    /// "lamp", "lamp_sense", "buzzer", "button".
    pub role: String,
    /// BCM number.
    pub line: u32,
}

/// Why the configuration is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigurationProblem {
    /// It cannot be read.
    Missing(String),
    /// It is not what it has to be.
    Unusable(String),
}

/// The supply and the temperature, where the board tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PowerFacts {
    /// The firmware's word: bit 0 under-voltage now, 2 slowed down now, 16 and 18 the same since the start.
    pub throttled: Option<u32>,
    /// `in0_lcrit_alarm` of the voltage monitor: under-voltage since it was last asked.
    pub alarm: Option<bool>,
    /// The processor's temperature in thousandths of a degree Celsius.
    pub millicelsius: Option<i64>,
}

/// Where durable state lives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageFacts {
    /// The folder.
    pub path: String,
    /// Whether it is there.
    pub exists: bool,
    /// Where its file system is mounted.
    pub mount: Option<String>,
    /// Whether that file system takes no writes.
    pub read_only: Option<bool>,
    /// Octets free for an ordinary user.
    pub free: Option<u64>,
    /// Octets in all.
    pub total: Option<u64>,
    /// Files that can still be made; 0 of 0 where the file system does not count them.
    pub free_files: Option<u64>,
    /// Files in all.
    pub total_files: Option<u64>,
    /// What became of a small file written there for a moment.
    pub written: Written,
}

/// What became of a trial write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// Not tried.
    #[default]
    NotTried,
    /// It is possible.
    Done,
    /// No space.
    Full,
    /// Nothing can be written at all.
    ReadOnly,
    /// Not by this user.
    NotAllowed,
    /// Something else.
    Failed(String),
}

/// Lines and who holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpioFacts {
    /// Every chip.
    pub chips: Vec<ChipFacts>,
    /// Label of the chip that has the header.
    pub chosen: Option<String>,
    /// The wired lines.
    pub lines: Vec<LineFacts>,
    /// What stood in the way.
    pub problem: Option<String>,
    /// That it was for want of permission.
    pub not_allowed: bool,
}

/// One chip.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChipFacts {
    /// Its device file.
    pub path: String,
    /// Its label.
    pub label: String,
    /// How many lines it has.
    pub lines: u32,
}

/// One wired line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineFacts {
    /// What it is for.
    pub role: String,
    /// BCM number.
    pub line: u32,
    /// Whether the chip has it.
    pub exists: bool,
    /// Whether somebody holds it.
    pub held: bool,
    /// Who, as they call themselves.
    pub holder: Option<String>,
}

/// The screen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DisplayFacts {
    /// Outputs that a graphics driver has.
    pub connectors: Vec<ConnectorFacts>,
    /// Frame buffers: name and size.
    pub framebuffers: Vec<String>,
}

/// One output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorFacts {
    /// "card0-HDMI-A-1".
    pub name: String,
    /// "connected", "disconnected", "unknown".
    pub status: String,
    /// The mode that the screen likes best.
    pub mode: Option<String>,
}

/// The card reader and its daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReaderFacts {
    /// Whether this program can speak to readers at all.
    pub built: bool,
    /// pcscd's socket.
    pub socket: String,
    /// Whether it is there.
    pub socket_there: bool,
    /// Why nobody answers at it.
    pub refused: Option<String>,
    /// The readers pcscd has.
    pub readers: Vec<String>,
    /// The one that the configuration means.
    pub chosen: Option<String>,
    /// Why it means none.
    pub not_chosen: Option<String>,
    /// Card readers on the USB, whether or not pcscd has them: vendor, product, name.
    pub usb: Vec<String>,
    /// What else stood in the way.
    pub problem: Option<String>,
}

/// Whether a card is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// None.
    #[default]
    Absent,
    /// One that answers.
    Present,
    /// One that another program has for itself.
    Busy,
    /// One that does not answer its reset.
    Mute,
    /// One that broke off, or a reader that did.
    Failed(String),
}

/// The card that is in, without a PIN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CardFacts {
    /// Whether one is in.
    pub presence: Presence,
    /// Whether it has the PIV application (NIST SP 800-73-5).
    pub piv: bool,
    /// PIN tries left, as an empty VERIFY tells; 0 is blocked.
    pub tries_left: Option<u8>,
    /// The two certificates.
    pub certificates: Vec<SlotFacts>,
    /// Whether both speak for one address.
    pub one_owner: Option<bool>,
}

/// A certificate on the card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlotFacts {
    /// "9C", "9D".
    pub slot: String,
    /// Why there is none to speak of.
    pub problem: Option<String>,
    /// Serial number, hexadecimal.
    pub serial: Option<String>,
    /// The issuer's name.
    pub issuer: Option<String>,
    /// notBefore, seconds since 1970.
    pub begins: Option<i64>,
    /// notAfter, seconds since 1970.
    pub ends: Option<i64>,
}

/// Network interfaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortsFacts {
    /// All of them.
    pub interfaces: Vec<InterfaceFacts>,
    /// Which way IPv4 goes.
    pub routes: Vec<RouteFacts>,
    /// `net.ipv4.ip_forward`.
    pub forwarding: Option<bool>,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InterfaceFacts {
    /// What it is called today.
    pub name: String,
    /// Where it is plugged in (udev's ID_PATH); `None`: it is no device.
    pub path: Option<String>,
    /// Whether there is a link; `None`: it is switched off, which hides it.
    pub carrier: Option<bool>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// One way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFacts {
    /// Through which interface.
    pub interface: String,
    /// To which network.
    pub network: std::net::Ipv4Addr,
    /// How many bits of it count.
    pub prefix: u8,
}

/// The name service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamesFacts {
    /// Each server asked for each name.
    pub asked: Vec<NameFacts>,
}

/// One question to one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFacts {
    /// Who was asked.
    pub server: SocketAddr,
    /// For which name.
    pub name: String,
    /// What came of it.
    pub answer: NameAnswer,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameAnswer {
    /// So many addresses.
    Addresses(usize),
    /// There is no such name.
    NotFound,
    /// No answer.
    None(String),
}

/// Certificates in files and on the card, by the adapter's own clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificatesFacts {
    /// The files that the configuration names.
    pub files: Vec<FileFacts>,
    /// The paths of the card's certificates.
    pub paths: Vec<PathFacts>,
}

/// A file of certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileFacts {
    /// The key of the configuration that names it.
    pub key: String,
    /// The file.
    pub path: String,
    /// How many it holds.
    pub count: usize,
    /// When the first of them ends, seconds since 1970.
    pub ends: Option<i64>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

/// The path of one certificate to our anchors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathFacts {
    /// "9C", "9D".
    pub slot: String,
    /// The code that the screen would show: "CARD-102"; `None`: it holds.
    pub code: Option<String>,
    /// `PATH-…` and its words.
    pub detail: String,
    /// Whether another time would change the answer.
    pub of_time: bool,
}

/// The servers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServersFacts {
    /// Each of them.
    pub servers: Vec<ServerFacts>,
    /// What the certificate server says of the card's certificates.
    pub card: Vec<StatusFacts>,
}

/// One server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerFacts {
    /// "smtp", "pop3", "directory", "ocsp", "history", "ldap": the key of `[network]`.
    pub role: String,
    /// Address, or host and port.
    pub address: String,
    /// What came of it.
    pub reached: Reached,
    /// Its first words, or its status.
    pub said: String,
    /// The server's clock minus ours, in seconds, where it tells the time.
    pub ahead: Option<i64>,
    /// Why what it presents is not believed.
    pub distrust: Option<Distrust>,
}

/// What came of a try to reach somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// It answered as its kind does.
    #[default]
    Yes,
    /// No connection, or no answer.
    No(String),
    /// Its name has no address.
    NoName(String),
    /// Something answered, but not what belongs there.
    Strange(String),
}

/// Why what a server presents is not believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distrust {
    /// `OCSP-005`, `LDAP-010`.
    pub code: String,
    /// In words.
    pub why: String,
    /// Whether a clock may be all that is wrong.
    pub of_time: bool,
}

/// What the certificate server says of a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusFacts {
    /// "9C", "9D".
    pub slot: String,
    /// The code that the screen would show; `None`: it is good.
    pub code: Option<String>,
}

/// Whether somebody keeps the clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClockFacts {
    /// Whether systemd-timesyncd runs and has set the clock; `None`: it does not run.
    pub synchronised: Option<bool>,
    /// Whether there is a clock that goes on without power.
    pub battery: Option<bool>,
}

/// The daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceFacts {
    /// The adapter's doors, and whether somebody listens there.
    pub doors: Vec<DoorFacts>,
    /// What systemd says of the unit, if it can be asked.
    pub unit: Option<UnitFacts>,
}

/// One door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorFacts {
    /// "terminal.smtp", "terminal.pop3", "network.notices", "status.listen".
    pub key: String,
    /// Where it has to be.
    pub at: SocketAddr,
    /// Whether somebody listens there.
    pub open: bool,
}

/// A unit of systemd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitFacts {
    /// "active", "failed", "inactive".
    pub active: String,
    /// "running", "dead".
    pub sub: String,
    /// "success", "exit-code", "watchdog".
    pub result: String,
    /// How often it was started again.
    pub restarts: u32,
}
