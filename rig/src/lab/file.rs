//! The bench file: one TOML file, every key documented in `lab-bench.example.toml`, unknown keys refused with what was
//! probably meant, and everything that is wrong said at once.

mod contradictions;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use sealfax_adapter::config::{self, Problem};
use serde::Deserialize;

use super::LabError;

/// The commented example.
pub const EXAMPLE: &str = include_str!("../../lab-bench.example.toml");

/// A bench with its boards.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchFile {
    /// For reports.
    pub name: String,
    /// The place that has to be reserved first; a bench without it is nobody else's.
    pub labgrid: Option<Labgrid>,
    /// The boards, each by the letter of the office that it plays.
    pub board: Boards,
    /// What the adapters' configurations get beside what a story says, by office: tables as they are.
    #[serde(skip)]
    pub adapter_tables: BTreeMap<char, toml::Table>,
}

/// Up to four boards.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boards {
    /// Office A's.
    pub a: Option<Board>,
    /// Office B's.
    pub b: Option<Board>,
    /// Office C's.
    pub c: Option<Board>,
    /// Office D's.
    pub d: Option<Board>,
}

/// Which place of which coordinator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labgrid {
    /// HOST:PORT.
    pub coordinator: String,
    /// The place.
    pub place: String,
    /// labgrid's client, a program.
    #[serde(default = "labgrid_client")]
    pub client: PathBuf,
    /// How long to stand in the queue when the place is taken.
    #[serde(default)]
    pub wait_seconds: u64,
}

fn labgrid_client() -> PathBuf {
    "labgrid-client".into()
}

/// One board and what is at it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// What the board says of itself when it is asked; any other board is the wrong one.
    pub identity: String,
    /// How it is asked.
    #[serde(default = "serial_number")]
    pub identity_command: String,
    /// How its adapter is stopped and started, and where its files are.
    pub deploy: Deploy,
    /// The side of the servers.
    pub network: Side,
    /// The side of the fax machine.
    pub terminal: Side,
    /// A shell as root.
    pub shell: Wire,
    /// Where kernel and firmware write.
    pub console: Option<Wire>,
    /// Where the adapter's journal comes from; without it, from the console.
    pub journal: Option<Wire>,
    /// The supply.
    pub power: Option<Power>,
    /// Senses the lamp.
    pub lamp: Option<Line>,
    /// Senses the buzzer.
    pub buzzer: Option<Line>,
    /// Closes the button.
    pub button: Option<Line>,
    /// The picture.
    pub screen: Option<Screen>,
    /// The card in the reader.
    pub card: Option<Card>,
    /// How the card reader's plug is pulled.
    pub reader_plug: Option<ReaderPlug>,
    /// The PIN pad.
    pub keypad: Option<Keypad>,
    /// Tables for the adapter's configuration: how this board is wired.
    pub adapter: Option<AdapterTables>,
}

fn serial_number() -> String {
    "tr -d '\\0' </proc/device-tree/serial-number".into()
}

/// See `lab-bench.example.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The adapter's configuration on the board.
    pub config: String,
    /// A folder on the board for what the configuration names.
    pub folder: String,
    /// The folder of its memory; emptied before each story.
    pub state: String,
    /// Stops the adapter; succeeds too when it does not run.
    pub stop: String,
    /// Starts it.
    pub start: String,
    /// Its program.
    #[serde(default = "program")]
    pub program: String,
    /// To whom configuration and memory belong, for `chown`.
    pub owner: Option<String>,
}

fn program() -> String {
    "/usr/bin/sealfax-adapter".into()
}

/// One of the board's two networks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// The board's address there.
    pub address: IpAddr,
    /// Where the rig reaches the board, if something forwards ports between them.
    pub reach: Option<IpAddr>,
    /// The rig as the board sees it.
    pub rig: IpAddr,
    /// Where the rig listens for the board, if something forwards ports between them.
    pub listen: Option<IpAddr>,
}

impl Side {
    /// Where the rig connects to.
    pub fn reached_at(&self) -> IpAddr {
        self.reach.unwrap_or(self.address)
    }

    /// Where the rig listens.
    pub fn listened_at(&self) -> IpAddr {
        self.listen.unwrap_or(self.rig)
    }
}

/// Octets both ways: exactly one of a serial port, a program and a socket.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// A serial port.
    pub serial: Option<PathBuf>,
    /// Its rate.
    #[serde(default = "baud")]
    pub baud: u32,
    /// A program and its arguments; its standard input and output are the wire.
    pub command: Option<Vec<String>>,
    /// A Unix socket.
    pub socket: Option<PathBuf>,
}

fn baud() -> u32 {
    115_200
}

/// A line of a chip of the rig's own, or of a box of instruments.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The chip's label or device.
    pub chip: Option<String>,
    /// The socket of a box.
    pub socket: Option<PathBuf>,
    /// Which line.
    pub line: u32,
    /// Lit, sounding, pressed, switched on at low.
    #[serde(default)]
    pub active_low: bool,
}

/// The supply: a relay's line or two programs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Of the relay.
    pub relay: Option<Line>,
    /// Switches on.
    pub on: Option<Vec<String>>,
    /// Switches off.
    pub off: Option<Vec<String>>,
    /// How long the supply needs to be empty.
    #[serde(default = "off_seconds")]
    pub off_seconds: f64,
}

fn off_seconds() -> f64 {
    2.0
}

/// The picture: exactly one source.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screen {
    /// A capture device of the kernel.
    pub v4l2: Option<PathBuf>,
    /// A program that writes pictures of 1280 x 720, three octets a pixel, one after the other.
    pub command: Option<Vec<String>>,
    /// A picture (PPM) that is replaced whenever the screen changes.
    pub file: Option<PathBuf>,
}

/// The card: exactly one kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// vpcd's port on the board: the rig's own card, through pcscd and the field's driver.
    pub vpcd: Option<SocketAddr>,
    /// The socket of QEMU's reader.
    pub qemu: Option<PathBuf>,
    /// Cards of plastic, changed by a program.
    pub switch: Option<Vec<String>>,
    /// Cards of plastic, changed by a person.
    #[serde(default)]
    pub person: bool,
}

/// Commands for the board's shell that take the card reader away and bring it back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderPlug {
    /// As if its plug were pulled.
    pub unplug: String,
    /// As if it were put in again.
    pub plug: String,
}

/// The PIN pad: exactly one kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keypad {
    /// A USB gadget of the rig's host that is a keyboard.
    pub gadget: Option<PathBuf>,
    /// The socket of a box.
    pub socket: Option<PathBuf>,
    /// Somebody at the bench is told what to type.
    #[serde(default)]
    pub person: bool,
}

/// Tables of `sealfax-adapter.example.toml` that say how the board is wired.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterTables {
    /// Lamp, buzzer and button.
    pub gpio: Option<config::GpioConfig>,
    /// The screen.
    pub display: Option<config::DisplayConfig>,
    /// Which Ethernet device is which.
    pub ports: Option<config::PortsConfig>,
    /// Reader and keypad.
    pub card: Option<config::CardConfig>,
}

impl BenchFile {
    /// Reads a bench file, or says all that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, LabError> {
        let text = std::fs::read_to_string(path).map_err(|source| LabError::NoFile { path: path.into(), source })?;
        Self::from_toml(&text).map_err(|problems| LabError::Unusable { path: path.into(), problems })
    }

    /// The same from its text.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Problem>> {
        let mut file: Self = config::read_toml(text)?;
        let problems = file.contradictions();
        if !problems.is_empty() {
            return Err(problems);
        }
        file.adapter_tables = adapter_tables(text);
        Ok(file)
    }

    /// The boards that there are, by office.
    pub fn boards(&self) -> impl Iterator<Item = (char, &Board)> {
        let Boards { a, b, c, d } = &self.board;
        [('a', a), ('b', b), ('c', c), ('d', d)]
            .into_iter()
            .filter_map(|(letter, board)| board.as_ref().map(|board| (letter, board)))
    }

    /// The board that plays this office.
    pub fn board(&self, letter: char) -> Option<&Board> {
        self.boards().find(|(of, _)| *of == letter).map(|(_, board)| board)
    }

    /// What no single key shows.
    fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.boards().next().is_none() {
            problems.push(Problem::anywhere("there is no board: write [board.b] for the one that plays office B"));
        }
        for (letter, board) in self.boards() {
            board.contradictions(&format!("board.{letter}"), &mut problems);
        }
        problems
    }
}

/// The adapter's tables of each board as they are written.
fn adapter_tables(text: &str) -> BTreeMap<char, toml::Table> {
    let whole: toml::Table = toml::from_str(text).unwrap_or_default();
    let boards = whole.get("board").and_then(toml::Value::as_table);
    let of = |(letter, board): (&String, &toml::Value)| {
        Some((letter.chars().next()?, board.get("adapter")?.as_table()?.clone()))
    };
    boards.into_iter().flatten().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn problems(good: &str, bad: &str) -> String {
        assert!(EXAMPLE.contains(good), "{good}");
        let problems = BenchFile::from_toml(&EXAMPLE.replacen(good, bad, 1)).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_example_is_good_and_names_every_instrument() {
        let file = BenchFile::from_toml(EXAMPLE).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let board = file.board('b').unwrap();
        assert!(board.console.is_some() && board.journal.is_some() && board.power.is_some());
        assert!(board.lamp.is_some() && board.buzzer.is_some() && board.button.is_some());
        assert!(board.screen.is_some() && board.card.is_some() && board.keypad.is_some());
        assert!(file.labgrid.is_some());
        assert!(file.adapter_tables[&'b'].contains_key("gpio"));
    }

    #[test]
    fn a_slip_is_told_with_what_was_meant() {
        let said = problems("active_low = true", "active_lwo = true");
        assert!(said.contains("`active_lwo` is no key of [board.b."), "{said}");
        assert!(said.contains("did you mean `active_low`?"), "{said}");
        let said = problems("[board.b.screen]", "[board.b.sceen]");
        assert!(said.contains("did you mean `screen`?"), "{said}");
    }

    #[test]
    fn an_instrument_is_of_exactly_one_kind() {
        let said = problems("\nv4l2 =", "\nfile = \"/x.ppm\"\nv4l2 =");
        let wants = "[board.b.screen] wants one of `v4l2`, `command` and `file`, and has more than one";
        assert!(said.contains(wants), "{said}");
        let said = problems("\ngadget = \"/dev/hidg0\"", "");
        assert!(said.contains("[board.b.keypad] wants one of") && said.contains("has none"), "{said}");
    }
}
