//! How modems differ from ITU-T T.31, in one table: found by what they say of themselves (`ATI`, `+FMI?`, `+FMM?`).

/// How a kind of modem wants to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// What it is called here.
    pub name: &'static str,
    /// What it says of itself contains one of these, in capitals; the first row that fits counts.
    says: &'static [&'static str],
    /// Sent once after `E0V1Q0`; refused ones do no harm. `X4` has the modem listen for the dial tone before it dials and tell
    /// a busy line from one where nobody lifts.
    pub init: &'static [&'static str],
    /// Asks for the caller's number; the first that is not refused.
    pub caller_id: &'static [&'static str],
    /// Turns adaptive reception on (`+FAR`); then `+FCERROR` becomes `+FRH:3` and a `CONNECT`.
    pub adaptive: Option<&'static str>,
    /// Silence before an answer, waited for on the line (`+FRS`), in units of 10 ms; `None`: the modem never comes back
    /// from it, silence of our own (`+FTS`) must do.
    pub silence_heard: Option<u8>,
    /// Silence of our own between two signals (`+FTS`), in units of 10 ms: 75 ms at least (T.30, 5.3.2).
    pub silence_sent: u8,
    /// After `+FCERROR` the modem is in `+FRH=3` already and sends `CONNECT` by itself.
    pub listens_after_other_carrier: bool,
    /// Software flow control (XON, XOFF) while sending, for modems that have no RTS/CTS in fax mode.
    pub software_flow: bool,
}

const STANDARD: Quirks = Quirks {
    name: "T.31",
    says: &[],
    init: &["S0=0", "S7=60", "X4", "&K3", "&D2", "&C1"],
    caller_id: &["+VCID=1", "#CID=1", "*ID1"],
    adaptive: None,
    silence_heard: Some(7),
    silence_sent: 8,
    listens_after_other_carrier: false,
    software_flow: false,
};

/// The table.
pub const TABLE: &[Quirks] = &[
    Quirks { name: "spandsp", says: &["SPANDSP", "WWW.SOFT-SWITCH.ORG"], init: &["S0=0"], ..STANDARD },
    Quirks { name: "simulated", says: &["SEALFAX SIMULATED"], init: &["S0=0"], ..STANDARD },
    // USR and 3Com Courier and Sportster: flow control has its own commands.
    Quirks {
        name: "USRobotics",
        says: &["U.S. ROBOTICS", "USROBOTICS", "3COM", "SPORTSTER", "COURIER"],
        init: &["S0=0", "S7=60", "X4", "&H1&R2", "&D2", "&C1"],
        caller_id: &["#CID=1", "+VCID=1"],
        ..STANDARD
    },
    // Conexant and Rockwell chips, most USB modems: +FAE is theirs, +FAR works.
    Quirks {
        name: "Conexant",
        says: &["CONEXANT", "ROCKWELL", "CX93", "RC32", "ACF3", "V90", "CXT"],
        caller_id: &["+VCID=1", "#CID=1"],
        adaptive: Some("+FAR=1"),
        ..STANDARD
    },
    // Agere and Lucent: +FRS is known to wait for ever on lines that are never quite still.
    Quirks {
        name: "Lucent",
        says: &["LUCENT", "AGERE", "VENUS"],
        init: &["S0=0", "S7=60", "X4", "\\Q3", "&D2", "&C1"],
        silence_heard: None,
        ..STANDARD
    },
    // MultiTech: dependable; flow control has its own commands.
    Quirks {
        name: "MultiTech",
        says: &["MULTITECH", "MULTI-TECH", "MT56", "MT5634", "MT9234"],
        init: &["S0=0", "S7=60", "X4", "&E4&E13", "&D2", "&C1"],
        caller_id: &["+VCID=1", "S51=1", "#CID=1"],
        ..STANDARD
    },
    // Old chips that switch RTS/CTS off in fax mode.
    Quirks { name: "Sierra", says: &["SIERRA", "SQ3", "SEMICONDUCTOR SYSTEMS"], software_flow: true, ..STANDARD },
];

impl Quirks {
    /// The row for a modem that says this of itself; what nobody knows is taken to keep to T.31.
    pub fn of(identification: &str) -> Self {
        let identification = identification.to_ascii_uppercase();
        TABLE.iter().find(|row| row.says.iter().any(|word| identification.contains(word))).copied().unwrap_or(STANDARD)
    }
}

impl Default for Quirks {
    fn default() -> Self {
        STANDARD
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn known_and_unknown() {
        assert_eq!(Quirks::of("U.S. Robotics 56K FAX USB").name, "USRobotics");
        assert_eq!(Quirks::of("CX93001-EIS_V0.2002-V92").name, "Conexant");
        assert_eq!(Quirks::of("something new"), Quirks::default());
        for row in TABLE {
            let virtual_line = ["spandsp", "simulated"].contains(&row.name);
            assert!(virtual_line || row.init.contains(&"X4"), "{}: deaf to tones", row.name);
            assert!(row.silence_sent >= 8, "{}: less than 75 ms", row.name);
        }
    }
}
