//! Why benches differ where the product does not: one row a reason. A row explains as little as it can.

use super::Facet;

struct Reason {
    facet: Facet,
    /// What the difference is about contains one of these; anything, if there are none.
    about: &'static [&'static str],
    /// It is there on `sim` and missing on `twin`, or the other way round; `None` for both.
    missing_on: Option<&'static str>,
    why: &'static str,
}

const REASONS: &[Reason] = &[
    Reason {
        facet: Facet::Screen,
        about: &[" Checking: ", " Receiving: ", " Sending: ", " Pin: ", " PinWrong: "],
        missing_on: Some("twin"),
        why: "a display in process tells every change; a picture is looked at 30 times a second, and drawn more slowly",
    },
    Reason {
        facet: Facet::Screen,
        about: &["CARD-001"],
        missing_on: None,
        why: "the band of a fault is not in the picture's marker; the board's reader is there a moment after its adapter",
    },
    Reason {
        facet: Facet::Screen,
        about: &[" Held: "],
        missing_on: None,
        why: "a countdown shows other seconds when other things take their time",
    },
    Reason {
        facet: Facet::Code,
        about: &["CARD-001", "CARD-002", "CARD-003"],
        missing_on: None,
        why: "a reader on USB behind pcscd tells of a pulled card at another moment than a reader in software",
    },
    Reason {
        facet: Facet::Wire,
        about: &["adapter-"],
        missing_on: None,
        why: "a port in the emulated network is opened by QEMU, which answers before the adapter does",
    },
    Reason {
        facet: Facet::Artefact,
        about: &["console-adapter-", "journal-adapter-"],
        missing_on: None,
        why: "a board on a bench writes on a wire, and what it wrote is kept",
    },
];

/// The reason for a difference between these benches.
pub(super) fn why(facet: Facet, what: &str, counts: [usize; 2], benches: [&str; 2]) -> Option<&'static str> {
    // Two runs of one bench have no reason to differ.
    let [a, b] = benches;
    if a == b {
        return None;
    }
    let missing = match counts {
        [0, _] => Some(a),
        [_, 0] => Some(b),
        _ => None,
    };
    // What an emulated board shows later than a display in process, a real one behind a capture does too.
    let real_board = |reason: &Reason| reason.missing_on == Some("twin") && missing == Some("lab");
    let fits = |reason: &&Reason| {
        reason.facet == facet
            && (reason.about.is_empty() || reason.about.iter().any(|about| what.contains(about)))
            && (reason.missing_on.is_none() || reason.missing_on == missing || real_board(reason))
    };
    REASONS.iter().find(fits).map(|reason| reason.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_holds_between_benches_only_and_one_way() {
        let what = "adapter-b Checking: カードを確認しています";
        assert!(why(Facet::Screen, what, [1, 0], ["sim", "twin"]).is_some());
        assert!(why(Facet::Screen, what, [0, 1], ["twin", "sim"]).is_some());
        assert!(why(Facet::Screen, what, [0, 1], ["sim", "twin"]).is_none());
        assert!(why(Facet::Screen, what, [1, 0], ["sim", "sim"]).is_none());
        assert!(why(Facet::Screen, what, [1, 0], ["sim", "lab"]).is_some());
        assert!(why(Facet::Screen, what, [0, 1], ["sim", "lab"]).is_none());
        assert!(why(Facet::Screen, "adapter-b Done: ", [1, 0], ["sim", "twin"]).is_none());
        assert!(why(Facet::Verdict, "pass", [1, 0], ["sim", "twin"]).is_none());
    }
}
