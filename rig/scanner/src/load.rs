//! Reading the file that somebody named, and what they may have meant where there is none.

use std::io::Read as _;
use std::path::Path;

use crate::MAX_OCTETS;
use crate::error::{DocumentError, ScanError};

pub(crate) fn load(path: &Path) -> Result<Vec<u8>, ScanError> {
    let open = std::fs::File::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ScanError::NotFound { path: path.to_owned(), suggestion: nearest_name(path) },
        _ => ScanError::Read { path: path.to_owned(), source },
    })?;
    let mut data = Vec::new();
    let read = open.take(MAX_OCTETS + 1).read_to_end(&mut data);
    read.map_err(|source| ScanError::Read { path: path.to_owned(), source })?;
    if data.len() as u64 > MAX_OCTETS {
        return Err(ScanError::Document { path: path.to_owned(), source: DocumentError::TooLarge });
    }
    Ok(data)
}

/// The name in the same folder that a typing mistake separates least from the one given.
fn nearest_name(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_string_lossy().to_lowercase();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = std::fs::read_dir(folder).ok()?.take(1000).filter_map(Result::ok);
    let scored = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let scored = scored.map(|name| (distance(&wanted, &name.to_lowercase()), name));
    let (mistakes, name) = scored.min()?;
    (mistakes <= 2 + wanted.chars().count() / 8).then(|| folder.join(name).display().to_string())
}

/// Characters to insert, remove or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(256).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(256).enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (cb, pair) in b.iter().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
