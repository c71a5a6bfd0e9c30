//! The journal of a daemon in the form that its configuration asks for: lines for a person, JSON, or journald's fields.
//!
//! Everything goes through `tracing`: the records of the [`Journal`](sealfax_client::seam::Journal) and what libraries have to
//! say. In journald a record's values are the fields `SEALFAX_CODE`, `SEALFAX_STEP`, `SEALFAX_TRANSMISSION`, `SEALFAX_HOST`:
//! `journalctl SEALFAX_TRANSMISSION=1f0a3c77` is one document's way.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::LogForm;

/// One line of the journal as JSON: an object of its own on one line. Fields may be added; who reads should pass over what
/// they do not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// When, by this machine's clock: RFC 3339 in universal time.
    pub time: String,
    /// Which adapter; absent in what a library says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What kind of thing happened.
    pub kind: LineKind,
    /// Of a step: the requirement identifiers that were exercised, `["ST605", "C7"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Of a failure or a security event: its stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The document that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transmission: Option<String>,
    /// One line for a person. Of a screen: its name as in `ScreenKind::name`. Of the lamp: its pattern.
    pub text: String,
}

/// See [`JournalLine::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LineKind {
    /// A numbered step of the source document was carried out.
    Step,
    /// Something an administrator should look at.
    Security,
    /// Something failed that should have worked.
    Failure,
    /// The screen changed to another state. Whom it names is not written down.
    Screen,
    /// The lamp changed to another pattern.
    Lamp,
    /// Anything else worth a line.
    Note,
}

/// Begins to log in this form, everything from `level` on unless `RUST_LOG` says otherwise.
pub fn start(form: LogForm, level: &str) -> io::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    let registry = tracing_subscriber::registry().with(filter);
    let form = match form {
        LogForm::Auto if under_journald() => LogForm::Journald,
        LogForm::Auto => LogForm::Text,
        other => other,
    };
    let begun = match form {
        LogForm::Journald => {
            let journald = tracing_journald::layer()?
                .with_field_prefix(Some("SEALFAX".into()))
                .with_syslog_identifier("sealfax-adapter".into());
            registry.with(journald).try_init()
        }
        LogForm::Json => registry.with(JsonLines::new(io::stderr())).try_init(),
        LogForm::Text | LogForm::Auto => {
            registry.with(tracing_subscriber::fmt::layer().with_writer(io::stderr)).try_init()
        }
    };
    begun.map_err(io::Error::other)
}

/// Whether standard error goes into journald: systemd tells by device and inode (systemd.exec(5), `JOURNAL_STREAM`).
fn under_journald() -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(here) = io::stderr().as_fd().try_clone_to_owned().map(std::fs::File::from) else { return false };
    here.metadata().is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

/// Writes a [`JournalLine`] for each event.
struct JsonLines<W>(Mutex<W>);

impl<W: io::Write> JsonLines<W> {
    fn new(to: W) -> Self {
        Self(Mutex::new(to))
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: io::Write + Send + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut values = Values::default();
        event.record(&mut values);
        let line = values.line(*event.metadata().level(), SystemTime::now());
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            // A console that is gone is no reason to stop.
            let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
        }
    }
}

/// The values of one event.
#[derive(Default)]
struct Values {
    host: Option<String>,
    code: Option<String>,
    step: Option<String>,
    transmission: Option<String>,
    security: bool,
    device: Option<LineKind>,
    message: String,
    others: String,
}

impl Values {
    fn take(&mut self, field: &Field, value: String) {
        match field.name() {
            "host" => self.host = Some(value),
            "code" => self.code = Some(value),
            "step" => self.step = Some(value),
            "transmission" => self.transmission = Some(value),
            "message" => self.message = value,
            "device" if value == "screen" => self.device = Some(LineKind::Screen),
            "device" if value == "lamp" => self.device = Some(LineKind::Lamp),
            other => {
                use fmt::Write as _;
                let _ = write!(self.others, " {other}={value}");
            }
        }
    }

    fn line(self, level: Level, now: SystemTime) -> JournalLine {
        let kind = match self.device {
            Some(device) => device,
            None if self.security => LineKind::Security,
            None if self.step.is_some() => LineKind::Step,
            None if self.code.is_some() || level == Level::ERROR => LineKind::Failure,
            None => LineKind::Note,
        };
        let ids = self.step.iter().flat_map(|ids| ids.split(',')).map(str::to_owned).collect();
        JournalLine {
            time: OffsetDateTime::from(now).format(&Rfc3339).unwrap_or_default(),
            host: self.host,
            kind,
            ids,
            code: self.code,
            transmission: self.transmission,
            text: self.message + &self.others,
        }
    }
}

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "security" {
            self.security = value;
        } else {
            self.take(field, value.to_string());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::sync::Arc;

    use sealfax_client::seam::{Journal, SystemEntropy, TracingJournal, TransmissionId};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(write: impl FnOnce(Arc<dyn Journal>)) -> Vec<JournalLine> {
        let paper = Paper::default();
        let subscriber = tracing_subscriber::registry().with(JsonLines::new(paper.clone()));
        tracing::subscriber::with_default(subscriber, || write(Arc::new(TracingJournal)));
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn each_record_is_one_line_that_can_be_read_back() {
        let id = TransmissionId::draw(&SystemEntropy);
        let lines = lines(|journal| {
            journal.step("adapter-a", &["ST605", "C7"], "destinations\nof 佐藤");
            id.clone().during(|| journal.failure("adapter-a", "SEND-001", "nobody answers"));
            journal.security("adapter-a", "PIN-001", "a wrong PIN");
            journal.note("adapter-a", "hello");
            tracing::info!(host = "adapter-a", device = "screen", "idle");
            tracing::warn!(count = 3, "a library speaks");
        });
        let kinds: Vec<LineKind> = lines.iter().map(|line| line.kind).collect();
        use LineKind::{Failure, Note, Screen, Security, Step};
        assert_eq!(kinds, [Step, Failure, Security, Note, Screen, Note]);
        assert_eq!(
            (lines[0].ids.as_slice(), lines[0].code.as_deref()),
            (["ST605".into(), "C7".into()].as_slice(), None)
        );
        assert_eq!(lines[0].text, "destinations\\x0aof 佐藤");
        assert_eq!(lines[0].host.as_deref(), Some("adapter-a"));
        assert_eq!((lines[1].code.as_deref(), lines[1].transmission.as_deref()), (Some("SEND-001"), Some(id.as_str())));
        assert_eq!(lines[2].code.as_deref(), Some("PIN-001"));
        assert_eq!((lines[4].text.as_str(), lines[5].text.as_str()), ("idle", "a library speaks count=3"));
        assert!(lines.iter().all(|line| OffsetDateTime::parse(&line.time, &Rfc3339).is_ok()));
    }
}
