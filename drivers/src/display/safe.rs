//! Text that came from outside (names, addresses, office names) made safe to draw: Unicode 16, UAX #9 controls and
//! UTR #36 lookalike tricks cannot hide, reorder or overflow what a person reads.

/// Most characters that are kept of one name or address; longer text ends in an ellipsis.
pub const MAX_CHARS: usize = 64;

/// Text without control characters, bidi controls, invisible characters or runs of spaces, at most 64 characters long.
pub fn safe(text: &str) -> String {
    let mut out = String::new();
    let mut count = 0;
    let mut gap = false;
    let mut marks = 0;
    // A hostile name may be megabytes of invisible characters: only a bounded part is looked at.
    for c in text.chars().take(MAX_CHARS * 16) {
        if c.is_whitespace() || c.is_control() {
            gap = true;
            continue;
        }
        if invisible(c) {
            continue;
        }
        // One accent above a letter is a name; a tower of them paints over its neighbours.
        marks = if combining(c) { marks + 1 } else { 0 };
        if marks > 1 || (marks == 1 && out.is_empty()) {
            continue;
        }
        let space = gap && !out.is_empty();
        if count + usize::from(space) >= MAX_CHARS {
            out.push('…');
            break;
        }
        if space {
            out.push(' ');
            count += 1;
        }
        gap = false;
        out.push(c);
        count += 1;
    }
    out
}

/// Characters that change how others are read and show nothing themselves.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Marks drawn over the letter before them.
fn combining(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{3099}' | '\u{309a}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(safe("  佐藤\u{3000}花子 "), "佐藤 花子");
        assert_eq!(safe("O'Brien"), "O'Brien");
    }

    #[test]
    fn controls_and_overrides_vanish() {
        assert_eq!(safe("Eve\u{202e}ecilA\u{202c}\r\nBcc:\u{200b}x\0"), "EveecilA Bcc:x");
        assert_eq!(safe("\u{301}e\u{301}\u{301}\u{301}"), "e\u{301}");
    }

    #[test]
    fn length_is_bounded() {
        let long = safe(&"x".repeat(100_000));
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
        assert!(long.ends_with('…'));
        assert_eq!(safe(&"\u{200b}".repeat(100_000)), "");
    }

    proptest! {
        #[test]
        fn always_drawable(text in any::<String>()) {
            let safe = safe(&text);
            prop_assert!(safe.chars().count() <= MAX_CHARS + 1);
            prop_assert!(!safe.chars().any(|c| c.is_control() || invisible(c)));
            prop_assert_eq!(safe.trim(), safe.as_str());
        }
    }
}
