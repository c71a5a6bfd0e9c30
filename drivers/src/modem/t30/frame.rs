//! Facsimile control fields (ITU-T T.30, 5.3.6.1), as a modem hands them over: the first bit on the line lowest.
//!
//! The lowest bit ("X") of commands and answers is set by who received a DIS: the caller.

/// X.
pub const FROM_CALLER: u8 = 0x01;

/// Digital identification signal.
pub const DIS: u8 = 0x80;
/// Called subscriber identification.
pub const CSI: u8 = 0x40;
/// Non-standard facilities.
pub const NSF: u8 = 0x20;
/// Digital transmit command: the caller wants to receive.
pub const DTC: u8 = 0x81;
/// Password for polling.
pub const PWD: u8 = 0xC1;
/// Selective polling.
pub const SEP: u8 = 0xA1;
/// Calling subscriber identification of one who polls.
pub const CIG: u8 = 0x41;
/// Digital command signal.
pub const DCS: u8 = 0x82;
/// Transmitting subscriber identification.
pub const TSI: u8 = 0x42;
/// Subaddress.
pub const SUB: u8 = 0xC2;
/// Sender identification: the password of a transmission.
pub const SID: u8 = 0xA2;
/// Continue to correct.
pub const CTC: u8 = 0x12;
/// Confirmation to receive.
pub const CFR: u8 = 0x84;
/// Failure to train.
pub const FTT: u8 = 0x44;
/// Response to CTC.
pub const CTR: u8 = 0xC4;
/// End of message.
pub const EOM: u8 = 0x8E;
/// Multipage signal.
pub const MPS: u8 = 0x4E;
/// End of procedure.
pub const EOP: u8 = 0x2E;
/// The same three with a call for the operator.
pub const PRI_EOM: u8 = 0x9E;
/// See [`PRI_EOM`].
pub const PRI_MPS: u8 = 0x5E;
/// See [`PRI_EOM`].
pub const PRI_EOP: u8 = 0x3E;
/// Partial page signal.
pub const PPS: u8 = 0xBE;
/// A partial page ends, the page does not (FCF2 of PPS).
pub const NULL: u8 = 0x00;
/// End of retransmission.
pub const EOR: u8 = 0xCE;
/// Receive ready?
pub const RR: u8 = 0x6E;
/// Message confirmation.
pub const MCF: u8 = 0x8C;
/// Retrain positive.
pub const RTP: u8 = 0xCC;
/// Retrain negative.
pub const RTN: u8 = 0x4C;
/// Procedure interrupt positive.
pub const PIP: u8 = 0xAC;
/// Procedure interrupt negative.
pub const PIN: u8 = 0x2C;
/// Partial page request.
pub const PPR: u8 = 0xBC;
/// Receive not ready.
pub const RNR: u8 = 0xEC;
/// Response for end of retransmission.
pub const ERR: u8 = 0x1C;
/// Disconnect.
pub const DCN: u8 = 0xFA;
/// Command repeat.
pub const CRP: u8 = 0x1A;
/// Facsimile coded data (T.4 Annex A).
pub const FCD: u8 = 0x06;
/// Return to control for partial page (T.4 Annex A).
pub const RCP: u8 = 0x86;

/// The FCF as an answer or command that both sides may send, X taken away. DIS and DTC, CSI and CIG stay what they are.
pub fn plain(fcf: u8) -> u8 {
    if matches!(fcf & 0x0F, 0x00 | 0x01) || matches!(fcf, FCD | RCP) { fcf } else { fcf & !FROM_CALLER }
}

/// Post-message commands without the call for an operator, which nobody here would hear.
pub fn without_operator(fcf: u8) -> u8 {
    match fcf {
        PRI_EOM => EOM,
        PRI_MPS => MPS,
        PRI_EOP => EOP,
        other => other,
    }
}

/// Its name, for the journal.
pub fn name(fcf: u8) -> &'static str {
    match plain(fcf) {
        DIS => "DIS",
        CSI => "CSI",
        NSF => "NSF",
        DTC => "DTC",
        PWD => "PWD",
        SEP => "SEP",
        CIG => "CIG",
        DCS => "DCS",
        TSI => "TSI",
        SUB => "SUB",
        SID => "SID",
        CTC => "CTC",
        CFR => "CFR",
        FTT => "FTT",
        CTR => "CTR",
        EOM => "EOM",
        MPS => "MPS",
        EOP => "EOP",
        PRI_EOM => "PRI-EOM",
        PRI_MPS => "PRI-MPS",
        PRI_EOP => "PRI-EOP",
        PPS => "PPS",
        EOR => "EOR",
        RR => "RR",
        MCF => "MCF",
        RTP => "RTP",
        RTN => "RTN",
        PIP => "PIP",
        PIN => "PIN",
        PPR => "PPR",
        RNR => "RNR",
        ERR => "ERR",
        DCN => "DCN",
        CRP => "CRP",
        FCD => "FCD",
        RCP => "RCP",
        _ => "an unknown frame",
    }
}

/// A number or name of at most 20 characters as CSI, TSI, CIG, SUB, SEP, PWD and SID carry it: last character first.
pub fn text_field(text: &str) -> Vec<u8> {
    let mut field: Vec<u8> =
        text.bytes().filter(|c| c.is_ascii_digit() || matches!(c, b'+' | b' ' | b'*' | b'#')).take(20).collect();
    field.reverse();
    field.resize(20, b' ');
    field
}

/// Reads such a field; what is not printable is left out, for it goes into journals and mails.
pub fn field_text(field: &[u8]) -> String {
    let text: String =
        field.iter().take(20).rev().map(|c| char::from(*c)).filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn fields() {
        let field = text_field("+81 3 1234");
        assert_eq!(field.len(), 20);
        assert_eq!(field.get(9), Some(&b'+'));
        assert_eq!(field_text(&field), "+81 3 1234");
        assert_eq!(field_text(&text_field("a\r\n1")), "1");
        assert_eq!(field_text(b"1\r\n\x002"), "21");
    }

    #[test]
    fn x_is_taken_away_where_it_is_x() {
        assert_eq!(plain(DCS | FROM_CALLER), DCS);
        assert_eq!(plain(DTC), DTC);
        assert_eq!(plain(DCN | FROM_CALLER), DCN);
        assert_eq!(plain(PPS | FROM_CALLER), PPS);
        assert_eq!(plain(CTC | FROM_CALLER), CTC);
    }
}
