//! What a person sees while figures are made: one line that moves on a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Says where a measurement is.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// On standard error.
    pub fn stderr() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(Some(bar))
    }

    /// Nowhere.
    pub fn silent() -> Self {
        Self(None)
    }

    /// What is being done now.
    pub fn at(&self, text: impl Into<String>) {
        if let Some(bar) = &self.0 {
            let text = text.into();
            if bar.is_hidden() {
                eprintln!("  {text}");
            }
            bar.set_message(text);
        }
    }

    /// A result that stays.
    pub fn say(&self, text: impl AsRef<str>) {
        match &self.0 {
            Some(bar) if bar.is_hidden() => eprintln!("{}", text.as_ref()),
            Some(bar) => bar.println(text.as_ref()),
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
