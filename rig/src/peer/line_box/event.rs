//! What happens on a line, as the box tells it: one JSON object each.

use std::path::PathBuf;

use serde::Deserialize;

use super::EndName;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LineEvent {
    /// When, in seconds of the line's time.
    pub at: f64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum What {
    /// A modem is there.
    Modem {
        /// At which end.
        end: EndName,
        /// Its serial port.
        port: PathBuf,
    },
    /// The box can be used.
    Ready,
    /// A number was dialled.
    Dial {
        /// By whom.
        end: EndName,
        /// The number.
        number: String,
    },
    /// A call did not come about.
    Refused {
        /// Whose.
        end: EndName,
        /// Busy, or no dialtone.
        why: String,
    },
    /// It rings.
    Ring {
        /// Where.
        end: EndName,
    },
    /// A call was answered.
    Answered {
        /// By whom.
        end: EndName,
    },
    /// A frame of T.30 was on the line.
    Frame {
        /// From whom.
        from: EndName,
        /// Its abbreviation in T.30.
        name: String,
        /// The frame without its check sequence, in hexadecimal.
        octets: String,
    },
    /// The line was cut without a word.
    Cut,
    /// The connection is over.
    Down {
        /// Hangup, cut or no answer.
        why: String,
        /// Whether somebody hung up: "A", "B" or nobody.
        by: String,
        /// Since the answer.
        seconds: f64,
    },
    /// A machine has finished a call.
    Result(CallResult),
    /// A host did not read for so long that a modem had to throw octets away.
    Overrun {
        /// Which modem.
        end: EndName,
    },
    /// The line's time has gone on a little; only the clock hears of it.
    Tick,
    /// The box has ended.
    End,
}

/// How a call was for a machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CallResult {
    /// Which machine.
    pub end: EndName,
    /// libspandsp's number of the result; 0 is success.
    pub result: i32,
    /// The same in words.
    pub text: String,
    /// Bits a second.
    pub rate: u32,
    /// 1 if with error correction.
    pub ecm: u8,
    /// Frames that were sent again.
    pub ecm_retries: u32,
    /// Pages sent and confirmed.
    pub sent: u32,
    /// Pages received.
    pub received: u32,
    /// The last page's coding.
    pub coding: String,
    /// Damaged lines of the last page.
    pub bad_rows: u32,
    /// The other one's identification.
    pub remote: String,
    /// The subaddress that was asked for.
    pub subaddress: String,
}
