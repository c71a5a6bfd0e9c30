//! Times in records: RFC 3339, UTC.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

pub(super) fn text(time: SystemTime) -> String {
    // Only years beyond 9999 have no such text.
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}

/// The time that a text names, from 1970 to 9998: what lies beyond has no text of its own in every zone.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let utc = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    (1970..=9998).contains(&utc.year()).then(|| utc.into())
}

pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    match text(*time) {
        text if text.is_empty() => Err(serde::ser::Error::custom("a time that has no text")),
        text => to.serialize_str(&text),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
    let written = String::deserialize(from)?;
    parse(&written).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_have_no_text_are_not_taken() {
        for beyond in [
            "9999-12-31T23:59:59-23:59",
            "0000-01-01T00:00:00+23:59",
            "9999-12-31T23:00:00Z",
            "1969-12-31T23:59:59Z",
            "",
        ] {
            assert_eq!(parse(beyond), None, "{beyond}");
        }
        let time = parse("2026-11-28T21:00:00.123456789+09:00");
        assert_eq!(time.map(text).as_deref(), Some("2026-11-28T12:00:00.123456789Z"));
    }
}
