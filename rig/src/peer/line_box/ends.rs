//! What is wanted of a line and of its ends, and how the box is told.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Deserialize;

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum EndName {
    /// The first.
    A,
    /// The second.
    B,
}

impl EndName {
    /// Its place among the two.
    pub(super) const fn place(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

impl std::fmt::Display for EndName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// What is at an end.
#[derive(Debug, Clone)]
pub enum End {
    /// A Class 1 modem, for a host.
    Modem(Modem),
    /// A whole fax machine.
    Machine(Machine),
}

/// A Class 1 modem.
#[derive(Debug, Clone, Default)]
pub struct Modem {
    /// Its telephone number; one of the box's own if there is none.
    pub number: Option<String>,
    /// Whether it tells who calls whom (`NMBR = ...` and `NDID = ...` behind the first `RING`).
    pub tells_caller: bool,
}

/// A fax machine of libspandsp's.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its telephone number, which is also its identification (T.30 5.3.6.2.4, CSI and TSI) if there is no other.
    pub number: Option<String>,
    /// Its identification, if it is not its number.
    pub ident: Option<String>,
    /// Where its received pages go: a TIFF file. From the second call on `.2`, `.3` ... is put behind the name.
    pub pages_in: Option<PathBuf>,
    /// What it sends.
    pub pages_out: Option<PathBuf>,
    /// The subaddress that it asks for (SUB).
    pub subaddress: Option<String>,
    /// Error correction mode (T.30 Annex A).
    pub ecm: bool,
    /// Modulations: of "v27" (to 4800 bit/s), "v29" (to 9600), "v17" (to 14400).
    pub modems: &'static [&'static str],
    /// Codings: of "mh", "mr", "t6".
    pub codings: &'static [&'static str],
    /// The least time that it wants for a scan line, in milliseconds (T.30 table 2, bits 21 to 23 of DIS).
    pub scan_ms: u32,
    /// At which ring it answers.
    pub rings: u32,
}

impl Default for Machine {
    /// A machine that can do everything and answers at once.
    fn default() -> Self {
        Self {
            number: None,
            ident: None,
            pages_in: None,
            pages_out: None,
            subaddress: None,
            ecm: true,
            modems: &["v27", "v29", "v17"],
            codings: &["mh", "mr", "t6"],
            scan_ms: 0,
            rings: 1,
        }
    }
}

impl End {
    /// How the box is told of it.
    pub(super) fn argument(&self) -> String {
        let mut options: Vec<(&str, String)> = Vec::new();
        let mut set = |key: &'static str, value: Option<String>| options.extend(value.map(|value| (key, value)));
        let kind = match self {
            Self::Modem(modem) => {
                set("number", modem.number.clone());
                set("caller", modem.tells_caller.then(|| "1".to_owned()));
                "modem"
            }
            Self::Machine(machine) => {
                set("number", machine.number.clone());
                set("ident", machine.ident.clone());
                set("in", machine.pages_in.as_ref().map(|file| file.display().to_string()));
                set("out", machine.pages_out.as_ref().map(|file| file.display().to_string()));
                set("sub", machine.subaddress.clone());
                set("ecm", Some(u8::from(machine.ecm).to_string()));
                set("modems", Some(machine.modems.join("+")));
                set("codings", Some(machine.codings.join("+")));
                set("scan", Some(machine.scan_ms.to_string()));
                set("rings", Some(machine.rings.to_string()));
                "machine"
            }
        };
        let options: Vec<String> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{kind}:{}", options.join(","))
    }
}

/// From when on: so many virtual seconds after the answer, or after a frame of T.30 was on the line.
#[derive(Debug, Clone, Default)]
pub struct Moment {
    /// The frame, as T.30 abbreviates it ("DCS", "CFR", "EOP", "MCF" ...); without one, the answer.
    pub after: Option<&'static str>,
    /// Seconds later.
    pub seconds: f64,
}

/// White noise on the line.
#[derive(Debug, Clone)]
pub struct Noise {
    /// Its level in dBm0.
    pub level: f64,
    /// What follows from a seed can be had again.
    pub seed: u32,
    /// At which end it is heard; at both if none is said.
    pub towards: Option<EndName>,
    /// When it begins.
    pub from: Moment,
    /// For how many seconds; else until the end of the call.
    pub lasts: Option<f64>,
}

/// How a line is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HowCut {
    /// Nothing is heard any more, and nobody is told: as when a cable is pulled.
    Silence,
    /// The modems are told that the call is over.
    Hangup,
}

/// A line that breaks.
#[derive(Debug, Clone)]
pub struct Cut {
    /// When.
    pub at: Moment,
    /// At the how many-th such frame; 1 is the first.
    pub nth: u32,
    /// How.
    pub how: HowCut,
}

/// Calls that do not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The called line is busy.
    Busy,
    /// It rings and nobody answers.
    NoAnswer,
    /// There is no exchange at the other side of the socket.
    NoDialtone,
}

/// A line.
#[derive(Debug, Clone)]
pub struct LineOptions {
    /// Delay one way, in milliseconds.
    pub delay_ms: u32,
    /// Noise on it.
    pub noise: Vec<Noise>,
    /// Where it breaks.
    pub cut: Option<Cut>,
    /// So many first calls that do not come about.
    pub refuse: Option<(Refusal, u32)>,
    /// At most so many times as fast as real time; 0 is as fast as it can.
    pub factor: f64,
    /// The same while a host at a modem may think and type.
    pub think: f64,
    /// Whether somebody's clock may go with that of the line, see [`super::on_line_time`].
    pub leads_clock: bool,
    /// Whether libspandsp's log is wanted, see [`super::LineBox::complaints`].
    pub verbose: bool,
}

impl Default for LineOptions {
    /// A good line, as fast as it can, in step with a host that lives in real time.
    fn default() -> Self {
        Self {
            delay_ms: 40,
            noise: Vec::new(),
            cut: None,
            refuse: None,
            factor: 0.0,
            think: 1.0,
            leads_clock: false,
            verbose: false,
        }
    }
}

impl LineOptions {
    /// For other people's programs, whose time-outs are in real time: twenty times as fast as that.
    pub fn for_real_time() -> Self {
        Self { factor: 20.0, ..Self::default() }
    }

    /// For a host whose clock follows the line's: nobody waits for anything, and time-outs are in virtual time.
    pub fn for_line_time() -> Self {
        Self { leads_clock: true, think: 10.0, ..Self::default() }
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("--delay={}", self.delay_ms)];
        arguments.push(format!("--factor={}", self.factor));
        arguments.push(format!("--think={}", self.think));
        for noise in &self.noise {
            let mut text = format!("--noise=level={},seed={},from={}", noise.level, noise.seed, noise.from.seconds);
            if let Some(end) = noise.towards {
                let _ = write!(text, ",towards={end}");
            }
            if let Some(frame) = noise.from.after {
                let _ = write!(text, ",after={frame}");
            }
            if let Some(lasts) = noise.lasts {
                let _ = write!(text, ",until={}", noise.from.seconds + lasts);
            }
            arguments.push(text);
        }
        if let Some(cut) = &self.cut {
            let how = if cut.how == HowCut::Silence { "silence" } else { "hangup" };
            let mut text = format!("--cut=seconds={},nth={},how={how}", cut.at.seconds, cut.nth);
            if let Some(frame) = cut.at.after {
                let _ = write!(text, ",after={frame}");
            }
            arguments.push(text);
        }
        if let Some((refusal, calls)) = self.refuse {
            let how = match refusal {
                Refusal::Busy => "busy",
                Refusal::NoAnswer => "no-answer",
                Refusal::NoDialtone => "no-dialtone",
            };
            arguments.extend([format!("--refuse={how}"), format!("--refuse-calls={calls}")]);
        }
        if self.leads_clock {
            arguments.push("--tick=20".to_owned());
        }
        if self.verbose {
            arguments.push("--verbose".to_owned());
        }
        arguments
    }
}
