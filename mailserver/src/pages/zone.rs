//! Times as people read them: in one time zone, the office's.

use std::str::FromStr;
use std::time::SystemTime;

use maud::{Markup, html};
use sealfax_client::history::time_text;
use serde::{Deserialize, Deserializer};
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// How far the clocks on the wall are ahead of UTC: `+09:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(UtcOffset);

impl Default for Zone {
    fn default() -> Self {
        Self(UtcOffset::UTC)
    }
}

impl FromStr for Zone {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "not a time zone: write it as +09:00";
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'+') => (1, text.get(1..).unwrap_or_default()),
            Some(b'-') => (-1, text.get(1..).unwrap_or_default()),
            _ => return Err(WRONG),
        };
        let (hours, minutes) = rest.split_once(':').ok_or(WRONG)?;
        let number = |digits: &str| match digits.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + (ones - b'0')),
            _ => None,
        };
        let read = |digits: &str, most: u8| {
            number(digits).filter(|value| *value <= most).and_then(|value| i8::try_from(value).ok()).ok_or(WRONG)
        };
        let offset = UtcOffset::from_hms(sign * read(hours, 14)?, sign * read(minutes, 59)?, 0);
        offset.map(Self).map_err(|_| WRONG)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Zone {
    /// What is said of it beside a time.
    pub(crate) fn name(self) -> String {
        let (hours, minutes, _) = self.0.as_hms();
        match (hours, minutes) {
            (0, 0) => "UTC".to_owned(),
            _ => {
                let sign = if self.0.is_negative() { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", hours.unsigned_abs(), minutes.unsigned_abs())
            }
        }
    }

    /// A moment, for people and for programs.
    pub(crate) fn moment(self, time: SystemTime) -> Markup {
        let local = OffsetDateTime::from(time).to_offset(self.0);
        let text = format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            local.year(),
            u8::from(local.month()),
            local.day(),
            local.hour(),
            local.minute(),
            local.second()
        );
        html! { time datetime=(time_text(time)) { (text) span.zone { " " (self.name()) } } }
    }

    /// When the day begins that `text` names, and when the next one does.
    pub(crate) fn day(self, text: &str) -> Option<(SystemTime, SystemTime)> {
        let mut parts = text.splitn(3, '-');
        let mut part = |digits: usize| {
            let part = parts.next()?;
            let plain = part.len() == digits && part.bytes().all(|octet| octet.is_ascii_digit());
            if plain { part.parse::<u16>().ok() } else { None }
        };
        let (year, month, day) = (part(4)?, u8::try_from(part(2)?).ok()?, u8::try_from(part(2)?).ok()?);
        // Before that there was no fax to speak of, and system times are good from 1970 on.
        let date = Date::from_calendar_date(i32::from(year), Month::try_from(month).ok()?, day).ok()?;
        let begins = |date: Date| SystemTime::from(date.with_time(Time::MIDNIGHT).assume_offset(self.0));
        (year >= 1971).then_some(())?;
        Some((begins(date), begins(date.next_day()?)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_are_those_of_the_office() {
        let tokyo: Zone = "+09:00".parse().unwrap();
        let (begins, ends) = tokyo.day("2026-11-28").unwrap();
        assert_eq!(time_text(begins), "2026-11-27T15:00:00Z");
        assert_eq!(ends.duration_since(begins).unwrap(), Duration::from_secs(86_400));
        let said = tokyo.moment(begins).into_string();
        assert!(said.contains("2026-11-28 00:00:00") && said.contains("+09:00"), "{said}");
        assert!(Zone::default().moment(begins).into_string().contains("2026-11-27 15:00:00<span class=\"zone\"> UTC"));
        for wrong in
            ["2026-13-01", "2026-02-30", "26-01-01", "2026-1-1", "+026-01-01", "2026-01-01T00", "0001-01-01", ""]
        {
            assert_eq!(tokyo.day(wrong), None, "{wrong}");
        }
        for wrong in ["09:00", "+9:00", "+15:00", "+09:60", "+", "", "JST", "+09:0é"] {
            assert!(wrong.parse::<Zone>().is_err(), "{wrong}");
        }
    }
}
