//! One device among several, chosen by its name as a person writes it into a configuration: part of the name, or a
//! pattern with `*`, without regard to case.

use std::fmt;

/// Part of a name, or a pattern with `*` for the whole name. Case does not count; empty fits every name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamePattern(String);

/// Why a pattern did not choose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotChosen {
    /// No name fits.
    #[error("none of the names fits {pattern:?}; there is: {}", list(.there))]
    None {
        /// The pattern.
        pattern: String,
        /// All names.
        there: Vec<String>,
    },
    /// Several names fit, and none is exactly the pattern.
    #[error("{pattern:?} fits several: {}; write more of the name", list(.fitting))]
    Several {
        /// The pattern.
        pattern: String,
        /// The names that fit.
        fitting: Vec<String>,
    },
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "),
    }
}

impl NamePattern {
    /// A pattern.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether a name fits.
    pub fn fits(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.to_lowercase(), name.to_lowercase());
        if !pattern.contains('*') {
            return name.contains(&pattern);
        }
        // Each piece at its first place after the one before: enough for `*`, which takes whatever stands between.
        let mut pieces = pattern.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    /// The one name that fits. A name that is the pattern itself wins over longer ones.
    pub fn choose<'a, S: AsRef<str>>(&self, names: &'a [S]) -> Result<&'a S, NotChosen> {
        if let Some(exact) = names.iter().find(|name| name.as_ref().eq_ignore_ascii_case(&self.0)) {
            return Ok(exact);
        }
        let mut fitting = names.iter().filter(|name| self.fits(name.as_ref()));
        let owned = |names: &mut dyn Iterator<Item = &'a S>| names.map(|name| name.as_ref().to_owned()).collect();
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(NotChosen::None { pattern: self.0.clone(), there: owned(&mut names.iter()) }),
            _ => {
                let fitting = owned(&mut names.iter().filter(|name| self.fits(name.as_ref())));
                Err(NotChosen::Several { pattern: self.0.clone(), fitting })
            }
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const READERS: [&str; 3] = ["Gemalto PC Twin Reader (70D7E2EE) 00 00", "Rig A 01 00", "Rig A 01 01"];

    #[test]
    fn part_of_a_name_or_a_pattern() {
        for (pattern, name, fits) in [
            ("", "anything", true),
            ("twin", READERS[0], true),
            ("TWIN reader", READERS[0], true),
            ("twin*", READERS[0], false),
            ("gem*twin*00", READERS[0], true),
            ("gem*twin*01", READERS[0], false),
            ("rig*0*0", READERS[1], true),
            ("*", "anything", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*a*b*", "xxbxaxb", true),
            ("*a*b*", "xxbxa", false),
            ("[x]", "reader [X] 00", true),
        ] {
            assert_eq!(NamePattern::new(pattern).fits(name), fits, "{pattern:?} and {name:?}");
        }
    }

    #[test]
    fn one_none_or_several() {
        assert_eq!(NamePattern::new("01 01").choose(&READERS), Ok(&READERS[2]));
        assert_eq!(NamePattern::default().choose(&READERS[..1]), Ok(&READERS[0]));
        assert_eq!(NamePattern::new("Rig").choose(&["Rig", "Rig 2"]), Ok(&"Rig"), "the whole name is no doubt");
        let none = NamePattern::new("omni").choose(&READERS[1..]).unwrap_err();
        assert_eq!(none.to_string(), r#"none of the names fits "omni"; there is: "Rig A 01 00", "Rig A 01 01""#);
        let several = NamePattern::new("rig").choose(&READERS).unwrap_err();
        assert_eq!(several.to_string(), r#""rig" fits several: "Rig A 01 00", "Rig A 01 01"; write more of the name"#);
        let nothing = NamePattern::default().choose::<&str>(&[]).unwrap_err();
        assert_eq!(nothing.to_string(), r#"none of the names fits ""; there is: nothing"#);
    }

    proptest! {
        #[test]
        fn any_part_fits_and_any_gap_can_be_a_star(name in "[a-zA-Z0-9 ]{1,30}", a in 0usize..31, b in 0usize..31) {
            let (a, b) = (a.min(name.len()), b.min(name.len()));
            let (a, b) = (a.min(b), a.max(b));
            prop_assert!(NamePattern::new(name[a..b].to_uppercase()).fits(&name));
            let starred = format!("{}*{}", &name[..a], &name[b..]);
            prop_assert!(NamePattern::new(starred).fits(&name));
        }
    }
}
