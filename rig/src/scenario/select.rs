//! Which scenarios a pattern means; a mistyped one is answered with the nearest names.

use super::Scenario;

/// No scenario matches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no scenario matches {pattern:?}; did you mean {}? `list` shows them all", nearest.join(", "))]
pub struct NoMatch {
    /// As typed.
    pub pattern: String,
    /// The nearest names.
    pub nearest: Vec<&'static str>,
}

/// The scenarios that any of the patterns means, in their own order; all without a pattern.
pub fn select(scenarios: &[Scenario], patterns: &[String]) -> Result<Vec<Scenario>, NoMatch> {
    if patterns.is_empty() {
        return Ok(scenarios.to_vec());
    }
    let mut meant = Vec::new();
    for pattern in patterns {
        meant.extend(meant_by(scenarios, pattern)?);
    }
    let chosen = scenarios.iter().filter(|scenario| meant.iter().any(|one| one.name == scenario.name));
    Ok(chosen.copied().collect())
}

/// Those whose name holds `pattern`; `*` stands for anything, then the whole name must match.
fn meant_by(scenarios: &[Scenario], pattern: &str) -> Result<Vec<Scenario>, NoMatch> {
    let exact = scenarios.iter().filter(|scenario| scenario.name == pattern);
    let mut chosen: Vec<Scenario> = exact.copied().collect();
    if chosen.is_empty() {
        let meant = scenarios.iter().filter(|scenario| matches(pattern, scenario.name));
        chosen = meant.copied().collect();
    }
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let mut near: Vec<_> = scenarios.iter().map(|scenario| (distance(pattern, scenario.name), scenario.name)).collect();
    near.sort();
    Err(NoMatch { pattern: pattern.to_owned(), nearest: near.into_iter().take(3).map(|(_, name)| name).collect() })
}

fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains('*') {
        return name.contains(pattern);
    }
    let mut rest = name;
    let mut pieces = pattern.split('*').enumerate().peekable();
    while let Some((number, piece)) = pieces.next() {
        let last = pieces.peek().is_none();
        if last && number > 0 {
            return rest.ends_with(piece);
        }
        let found = if number == 0 { rest.starts_with(piece).then_some(0) } else { rest.find(piece) };
        let Some(start) = found else { return false };
        rest = rest.get(start + piece.len()..).unwrap_or_default();
    }
    rest.is_empty()
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, character) in one.chars().take(100).enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (above, expected) in row.iter_mut().skip(1).zip(&other) {
            let changed = diagonal + usize::from(character != *expected);
            diagonal = *above;
            left = changed.min(*above + 1).min(left + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use futures_util::FutureExt;

    fn named(name: &'static str) -> Scenario {
        let run = |_| async { Ok(()) }.boxed();
        Scenario { name, title: "", requirements: &[], deadline: super::super::DEADLINE, run }
    }

    #[test]
    fn patterns() {
        let scenarios = [named("confidential-fax"), named("wrong-card"), named("wrong-pin"), named("card")];
        let names = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            let chosen = select(&scenarios, &patterns).unwrap();
            chosen.iter().map(|scenario| scenario.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]).len(), 4);
        assert_eq!(names(&["wrong"]), ["wrong-card", "wrong-pin"]);
        assert_eq!(names(&["wrong-*n"]), ["wrong-pin"]);
        assert_eq!(names(&["*fax"]), ["confidential-fax"]);
        // A whole name means that one, though others hold it.
        assert_eq!(names(&["card"]), ["card"]);
        // Several are one list, in the order of the list and without doubles.
        assert_eq!(names(&["wrong-pin", "*fax", "wrong"]), ["confidential-fax", "wrong-card", "wrong-pin"]);
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest() {
        let scenarios = [named("confidential-fax"), named("wrong-card"), named("wrong-pin")];
        let error = select(&scenarios, &["card".into(), "wrogn-pin".into()]).unwrap_err();
        assert_eq!(error.nearest.first(), Some(&"wrong-pin"));
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
