//! One board and what is at it. Nothing is switched, pressed or typed: a look must not disturb.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealfax_drivers::display::marker;
use sealfax_drivers::gpio::Pull;

use super::{Findings, Look};
use crate::lab::deploy::{self, Shell};
use crate::lab::file::{Board, Card, Line, Power, Screen, Side};
use crate::lab::{LabError, chip, frames, keypad};

/// Until a capture device has given a picture.
const PICTURE: Duration = Duration::from_secs(5);
/// Until a port has answered.
const ANSWER: Duration = Duration::from_secs(5);

const POWER: (&str, &str) = ("LAB-010", "the power supply");
const CONSOLE: (&str, &str) = ("LAB-020", "the console");
const SHELL: (&str, &str) = ("LAB-021", "the shell");
const JOURNAL: (&str, &str) = ("LAB-022", "the adapter's journal");
const IDENTITY: (&str, &str) = ("LAB-030", "which board it is");
const PROGRAM: (&str, &str) = ("LAB-031", "the adapter's program");
const NETWORK: (&str, &str) = ("LAB-040", "the network's side");
const TERMINAL: (&str, &str) = ("LAB-041", "the fax machine's side");
const LAMP: (&str, &str) = ("LAB-050", "the lamp's sense line");
const BUZZER: (&str, &str) = ("LAB-051", "the buzzer's sense line");
const BUTTON: (&str, &str) = ("LAB-052", "the button's line");
const SCREEN: (&str, &str) = ("LAB-060", "the picture");
const CARD: (&str, &str) = ("LAB-070", "the card's slot");
const KEYPAD: (&str, &str) = ("LAB-080", "the PIN pad");
/// Somebody else's bench is not looked at.
const PLACE: &str = super::PLACE.0;

/// Something asked in the board's shell.
type InShell = fn(&Shell, &Board) -> Result<String, LabError>;

/// Looks at all of it; gives the SHA-256 of the adapter's program.
pub(super) async fn check(findings: &mut Findings, board: &Board) -> Option<String> {
    let power = board.power.clone().map(|power| blocking(move || look_at_power(&power)));
    findings.look(POWER, &[PLACE], "check the relay's chip and line, or the two programs", power).await;
    let console = board.console.clone().map(|wire| async move {
        wire.open().map(|_| format!("{} opens", wire.name())).map_err(|error| error.to_string())
    });
    findings.look(CONSOLE, &[PLACE], "plug the serial adapter in, and see who else has it open", console).await;

    let wire = board.shell.clone();
    let mut shell: Option<Arc<Shell>> = None;
    let opening = async {
        let runtime = tokio::runtime::Handle::current();
        let opened = tokio::task::spawn_blocking(move || {
            let _inside = runtime.enter();
            Shell::open(&wire).map(|shell| (shell, wire.name()))
        });
        let (opened, name) = opened.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        shell = Some(Arc::new(opened));
        Ok(format!("{name} answers"))
    };
    findings
        .look(SHELL, &[PLACE], "switch the board on, and try the shell of the bench file by hand", Some(opening))
        .await;
    let in_shell = |work: InShell| {
        let (shell, board) = (shell.clone(), board.clone());
        blocking(move || {
            let shell = shell.ok_or_else(|| LabError::instrument("the shell", "it is not open"))?;
            work(&shell, &board)
        })
    };
    let journal = board.journal.clone().map(|wire| async move {
        wire.open().map(|_| format!("{} starts", wire.name())).map_err(|error| error.to_string())
    });
    let on_console = board.journal.is_none() && board.console.is_some();
    match journal {
        None if on_console => {
            let told = std::future::ready(Ok("expected on the console".to_owned()));
            findings.look(JOURNAL, &[PLACE, CONSOLE.0], "", Some(told)).await;
        }
        journal => {
            let next = "give the board a [journal]: without it the bench hears nothing of the adapter";
            // A bench that hears nothing can say nothing.
            let deaf = async { Err("neither journal nor console is in the bench file".to_owned()) };
            match journal {
                Some(journal) => findings.look(JOURNAL, &[PLACE], next, Some(journal)).await,
                None => findings.look(JOURNAL, &[PLACE], next, Some(deaf)).await,
            }
        }
    }

    let identity = in_shell(|shell, board| deploy::identify(shell, board).map(|answer| format!("it says {answer:?}")));
    let next = "go to the bench: another board is at these wires, or `identity` is still that of an earlier one";
    findings.look(IDENTITY, &[PLACE, SHELL.0], next, Some(identity)).await;
    let mut program = None;
    let asking = in_shell(|shell, board| deploy::program_sha256(shell, &board.deploy));
    let sum = async {
        let sum = asking.await?;
        program = Some(sum.clone());
        Ok(format!("{}: SHA-256 {sum}", board.deploy.program))
    };
    let next = "install the adapter's package on the board";
    findings.look(PROGRAM, &[PLACE, SHELL.0, IDENTITY.0], next, Some(sum)).await;

    let next = "plug the cable in, and give board and rig the addresses of the bench file";
    let sides: [(_, _, InShell); 2] = [
        (NETWORK, &board.network, |shell, board| has_address(shell, &board.network)),
        (TERMINAL, &board.terminal, |shell, board| has_address(shell, &board.terminal)),
    ];
    for (what, side, work) in sides {
        let on_board = in_shell(work);
        let side = side.clone();
        let look = async move {
            let ours = listens(side.listened_at())?;
            Ok(format!("{ours}; {}", on_board.await?))
        };
        findings.look(what, &[PLACE, SHELL.0, IDENTITY.0], next, Some(look)).await;
    }

    for (what, line, way) in
        [(LAMP, &board.lamp, Way::Sense), (BUZZER, &board.buzzer, Way::Sense), (BUTTON, &board.button, Way::Drive)]
    {
        let look = line.clone().map(|line| blocking(move || look_at_line(&line, way)));
        let next = "see with `gpiodetect` and `gpioinfo` whether the chip is there and who has the line";
        findings.look(what, &[PLACE], next, look).await;
    }
    let screen = board.screen.clone().map(|screen| blocking(move || look_at_screen(&screen)));
    let next = "plug the HDMI cable in at both ends, and see who else has the capture device open";
    findings.look(SCREEN, &[PLACE], next, screen).await;
    let card = board.card.clone().map(|card| blocking(move || look_at_card(&card)));
    let next = "start pcscd with vpcd on the board, and open its port to the rig";
    findings.look(CARD, &[PLACE], next, card).await;
    let pad = board.keypad.clone().map(|pad| {
        blocking(move || {
            keypad::open(&pad)?;
            Ok(match (&pad.gadget, &pad.socket) {
                (Some(gadget), _) => format!("the USB gadget {} opens", gadget.display()),
                (_, Some(socket)) => format!("the box at {} is ready", socket.display()),
                _ => "somebody at the bench is told what to type".to_owned(),
            })
        })
    });
    findings.look(KEYPAD, &[PLACE], "set up the USB gadget, or start the box of instruments", pad).await;
    program
}

/// On a thread that may wait.
async fn blocking(work: impl FnOnce() -> Result<String, LabError> + Send + 'static) -> Look {
    let done = tokio::task::spawn_blocking(move || work().map_err(|error| error.to_string())).await;
    done.unwrap_or_else(|error| Err(error.to_string()))
}

fn look_at_power(power: &Power) -> Result<String, LabError> {
    if let Some(line) = &power.relay {
        return look_at_line(line, Way::Drive);
    }
    let programs = [&power.on, &power.off].map(|command| command.iter().flatten().next().cloned().unwrap_or_default());
    for program in &programs {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = if program.contains('/') {
            std::path::Path::new(program).is_file()
        } else {
            std::env::split_paths(&path).any(|place| place.join(program).is_file())
        };
        if !there {
            return Err(LabError::instrument(program, "there is no such program"));
        }
    }
    Ok(format!("{} and {} are there; nothing was switched", programs[0], programs[1]))
}

#[derive(Clone, Copy)]
enum Way {
    Sense,
    Drive,
}

fn look_at_line(line: &Line, way: Way) -> Result<String, LabError> {
    let chip = chip(line)?;
    let about = chip.about(line.line)?;
    if let Some(holder) = about.holder {
        return Err(LabError::instrument(format!("line {} of {}", line.line, about.chip), format!("{holder} has it")));
    }
    match way {
        // Taking an output would drive it.
        Way::Drive => Ok(format!("line {} of {} is free", line.line, about.chip)),
        Way::Sense => {
            let high = chip.input(line.line, Pull::Off, "sealfax-rig check")?.high()?;
            let state = if high != line.active_low { "active" } else { "at rest" };
            Ok(format!("line {} of {} is {state}", line.line, about.chip))
        }
    }
}

fn look_at_screen(screen: &Screen) -> Result<String, LabError> {
    let mut source = frames::open(screen)?;
    let late = Instant::now() + PICTURE;
    while Instant::now() < late {
        let Some(frame) = source.next()? else { continue };
        let shown = match marker::read(&frame) {
            Some(marker) => format!("its marker says {}", marker.kind.name()),
            None => "no marker on it: no adapter is drawing now".to_owned(),
        };
        return Ok(format!("{} gives one; {shown}", frames::name(screen)));
    }
    let why = format!("no picture within {} s, or of another shape than 16 to 9", PICTURE.as_secs());
    Err(LabError::instrument(frames::name(screen), why))
}

fn look_at_card(card: &Card) -> Result<String, LabError> {
    if let Some(at) = card.vpcd {
        TcpStream::connect_timeout(&at, ANSWER)
            .map_err(|error| LabError::instrument(format!("vpcd at {at}"), error))?;
        return Ok(format!("vpcd at {at} waits for a card"));
    }
    if let Some(socket) = &card.qemu {
        let there = std::fs::metadata(socket).map(drop);
        there.map_err(|error| LabError::instrument(socket.display(), error))?;
        return Ok(format!("QEMU's reader at {}", socket.display()));
    }
    Ok("cards of plastic; stories with cards are unsupported with them".to_owned())
}

/// Whether this machine has the address, which it has if it can be listened at.
fn listens(at: IpAddr) -> Look {
    let bound = TcpListener::bind(SocketAddr::new(at, 0));
    bound.map(|_| format!("the rig listens at {at}")).map_err(|error| format!("the rig cannot listen at {at}: {error}"))
}

/// Whether the board has its address.
fn has_address(shell: &Shell, side: &Side) -> Result<String, LabError> {
    let said = shell.must("ip -o addr show")?;
    let wanted = format!(" {}/", side.address);
    if said.contains(&wanted) {
        return Ok(format!("the board has {}", side.address));
    }
    Err(LabError::instrument("the board", format!("it has no address {}", side.address)))
}
