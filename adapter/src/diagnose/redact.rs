//! Takes out of a text what is nobody's business but its owner's: PINs, passwords, keys, and whom a mail address names.

/// What stands in place of what was taken out.
pub const REMOVED: &str = "[removed]";
/// Parts of a key's name that say that its value is a secret.
const SECRETS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "pin",
    "puk",
    "token",
    "key",
    "credential",
    "credentials",
    "暗証番号",
];
/// A run of letters and digits that long is no word: a key, a hash, a piece of base64.
const NO_WORD: usize = 24;

/// Whether the value of a key with this name is a secret: one of its words says so.
pub fn is_secret(name: &str) -> bool {
    name.to_lowercase().split(['_', '-', '.', ' ']).any(|word| SECRETS.contains(&word))
}

/// A line or several, without secrets.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut armoured = false;
    for line in text.lines() {
        if line.contains("-----BEGIN") {
            armoured = true;
            out.push_str(REMOVED);
            out.push('\n');
        }
        if !armoured {
            out.push_str(&addresses(&tokens(line)));
            out.push('\n');
        }
        armoured &= !line.contains("-----END");
    }
    out
}

/// The same text with the person taken out of every mail address.
pub fn addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, after) = rest.split_at(at);
        let local = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
        let kept = before.trim_end_matches(local);
        out.push_str(kept);
        if kept.len() < before.len() {
            out.push_str(REMOVED);
        }
        out.push('@');
        rest = after.strip_prefix('@').unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Values that follow a telling word, and runs that are no words.
fn tokens(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut telling = false;
    for piece in line.split_inclusive(|c: char| c.is_whitespace() || ",;\"'()[]{}".contains(c)) {
        let word = piece.trim_end_matches(|c: char| c.is_whitespace() || ",;\"'()[]{}".contains(c));
        let tail = piece.get(word.len()..).unwrap_or_default();
        let (name, value) = word.split_once(['=', ':']).unwrap_or((word, ""));
        if is_secret(name) && !value.is_empty() {
            out.push_str(name);
            out.push('=');
            out.push_str(REMOVED);
            telling = false;
        } else if telling && worth_hiding(word) {
            out.push_str(REMOVED);
            telling = false;
        } else if is_no_word(word) {
            out.push_str(REMOVED);
        } else {
            out.push_str(word);
            telling = is_secret(name) || (telling && !worth_hiding(word));
        }
        out.push_str(tail);
    }
    out
}

/// A value after "PIN" or "password" may stand behind "is", "was", "=".
fn worth_hiding(word: &str) -> bool {
    word.chars().any(|c| c.is_ascii_digit()) || word.chars().count() > 12
}

fn is_no_word(word: &str) -> bool {
    let run = word.split(|c: char| !(c.is_ascii_alphanumeric() || c == '+' || c == '=')).map(str::len).max();
    run.is_some_and(|run| run >= NO_WORD) && word.chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
}

/// A configuration without its secrets and comments; one that cannot be read as TOML is redacted line by line.
pub fn configuration(source: &str) -> String {
    match source.parse::<toml::Table>() {
        Ok(mut table) => {
            table.iter_mut().for_each(|(name, value)| hide(name, value));
            toml::to_string(&table).map_or_else(|_| REMOVED.to_owned(), |toml| addresses(&toml))
        }
        Err(_) => text(source),
    }
}

fn hide(name: &str, value: &mut toml::Value) {
    match value {
        toml::Value::Table(table) => table.iter_mut().for_each(|(name, value)| hide(name, value)),
        toml::Value::Array(values) => values.iter_mut().for_each(|value| hide(name, value)),
        toml::Value::Boolean(_) => {}
        // Where a secret lies, or how long it lives, is none.
        _ if is_secret(name) && !name.ends_with("_file") && !name.ends_with("_seconds") => {
            *value = toml::Value::String(REMOVED.to_owned());
        }
        _ => {}
    }
}

/// The same of every text in a JSON value.
pub fn json(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(one) => *one = addresses(one),
        serde_json::Value::Array(values) => values.iter_mut().for_each(json),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(json),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_and_what_stays() {
        for (before, after) in [
            ("the PIN 271828 was typed", "the PIN [removed] was typed"),
            ("pin=1234 rest", "pin=[removed] rest"),
            ("password: himitsu-no-kotoba", "password: [removed]"),
            ("a wrong PIN; 2 tries left", "a wrong PIN; [removed] tries left"),
            ("to <taro@office-a.example>", "to <[removed]@office-a.example>"),
            ("key AAAAB3NzaC1yc2EAAAADAQABAAABgQC7", "key [removed]"),
            ("platform-3f980000.usb-usb-0:1.2:1.0", "platform-3f980000.usb-usb-0:1.2:1.0"),
            ("CARD-001: the card reader is gone", "CARD-001: the card reader is gone"),
        ] {
            assert_eq!(text(before).trim_end(), after);
        }
        let armour = text("before\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nafter");
        assert_eq!(armour, "before\n[removed]\nafter\n");
    }

    #[test]
    fn a_configuration_keeps_its_shape() {
        let source = "host_name = \"a\" # a@b.example\n[card]\npin_seconds = 300\npin = 123456\n\
                      [network.ldap]\nbind_password = \"x\"\npassword_file = \"/etc/x\"\n";
        let redacted = configuration(source);
        assert!(
            redacted.contains("pin_seconds = 300") && redacted.contains("password_file = \"/etc/x\""),
            "{redacted}"
        );
        assert!(!redacted.contains("123456") && !redacted.contains("\"x\"") && !redacted.contains('@'), "{redacted}");
        assert_eq!(configuration("password = hunter22 [").trim_end(), "password = [removed] [");
    }
}
