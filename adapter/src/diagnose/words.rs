//! Words in both languages.

use sealfax_drivers::display::Language;
use serde::Serialize;

/// The same in Japanese and in English.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Words {
    /// In Japanese.
    pub ja: &'static str,
    /// In English.
    pub en: &'static str,
}

/// Both at once.
pub const fn words(ja: &'static str, en: &'static str) -> Words {
    Words { ja, en }
}

impl Words {
    /// In one language.
    pub const fn in_language(self, language: Language) -> &'static str {
        match language {
            Language::Japanese => self.ja,
            Language::English => self.en,
        }
    }
}
