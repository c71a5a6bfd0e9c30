//! Times in records: RFC 3339, UTC.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) fn text(time: SystemTime) -> String {
    // Only years beyond 9999 have no such text.
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}

pub(super) fn parse(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(Into::into)
}

pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(*time))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
    let written = String::deserialize(from)?;
    parse(&written).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
}
