//! What a bench can still show of a story that did not pass: made only then, and also when the story was broken off at its
//! deadline.

use std::sync::{Arc, Mutex, PoisonError};

/// A file's path in the story's folder, what it is, and its octets once they are asked for.
type Record = (&'static str, &'static str, Box<dyn Fn() -> Vec<u8> + Send>);

/// Shared by everything on one bench during one story.
#[derive(Clone, Default)]
pub struct Evidence(Arc<Mutex<Vec<Record>>>);

impl std::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Evidence")
    }
}

impl Evidence {
    /// Whoever wants to know why will want this file.
    pub fn offer(&self, path: &'static str, text: &'static str, octets: impl Fn() -> Vec<u8> + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((path, text, Box::new(octets)));
    }

    /// Everything that was offered: path, what it is, octets.
    pub fn collect(&self) -> Vec<(&'static str, &'static str, Vec<u8>)> {
        let offered = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        offered.into_iter().map(|(path, text, octets)| (path, text, octets())).collect()
    }
}
