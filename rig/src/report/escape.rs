//! Other people's words inside HTML and XML: they stay words.

use std::fmt::Write as _;

/// `&`, `<`, `>` and both quotes as entities; what cannot be seen, or makes a line read otherwise than it is, in
/// letters. What XML 1.0 forbids does not come through.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(character),
            other => push_visible(&mut safe, other),
        }
    }
    safe
}

/// The same words without entities, for where the page's script sets them as text.
pub(super) fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => safe.push(character),
            other => push_visible(&mut safe, other),
        }
    }
    safe
}

fn push_visible(safe: &mut String, character: char) {
    match character {
        // Direction marks could make a line read otherwise than it is.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        }
        control if control.is_control() => {
            let _ = write!(safe, "\\x{:02x}", u32::from(control));
        }
        other => safe.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup_and_nothing_hides() {
        assert_eq!(escape("a\u{202e}b'\"<\u{7}\u{ffff}"), "a\\u{202e}b&#39;&quot;&lt;\\x07\\u{ffff}");
        assert_eq!(visible("a\u{2066}<\u{0}\n"), "a\\u{2066}<\\x00\n");
    }
}
