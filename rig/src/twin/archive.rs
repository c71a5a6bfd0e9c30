//! An initial RAM file system as the kernel unpacks it: a cpio archive in the "newc" form (`initramfs-buffer-format` in
//! the kernel's documentation). Made in memory, so that nobody has to be root and two builds of the same files are equal.

const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// An archive that is being written. Paths are absolute in the guest, without the leading slash.
#[derive(Debug, Default)]
pub(super) struct Archive {
    octets: Vec<u8>,
    folders: std::collections::BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// A file; the folders above it come by themselves.
    pub(super) fn file(&mut self, path: &str, mode: u32, octets: &[u8]) {
        self.folders_above(path);
        self.entry(path, REGULAR | mode, octets);
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.folders_above(path);
        self.entry(path, LINK | 0o777, target.as_bytes());
    }

    /// An empty folder.
    pub(super) fn folder(&mut self, path: &str) {
        self.folders_above(path);
        if self.folders.insert(path.to_owned()) {
            self.entry(path, FOLDER | 0o755, &[]);
        }
    }

    fn folders_above(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            let above = path.get(..at).unwrap_or_default().to_owned();
            if self.folders.insert(above.clone()) {
                self.entry(&above, FOLDER | 0o755, &[]);
            }
        }
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.octets
    }

    /// One entry: thirteen numbers of eight hexadecimal digits behind the magic, then name and content, each padded to
    /// four octets.
    fn entry(&mut self, path: &str, mode: u32, octets: &[u8]) {
        self.entries += 1;
        let links = if mode & FOLDER == FOLDER { 2 } else { 1 };
        let size = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        let name = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
        self.octets.extend_from_slice(b"070701");
        for number in [self.entries, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name, 0] {
            self.octets.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.octets.extend_from_slice(path.as_bytes());
        self.octets.push(0);
        self.pad();
        self.octets.extend_from_slice(octets);
        self.pad();
    }

    fn pad(&mut self) {
        while !self.octets.len().is_multiple_of(4) {
            self.octets.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn headers_are_110_octets_and_everything_is_padded() {
        let mut archive = Archive::default();
        archive.file("bin/x", 0o755, b"hello");
        let octets = archive.finish();
        assert!(octets.len().is_multiple_of(4));
        // "bin", then "bin/x", then the trailer.
        assert_eq!(octets.windows(6).filter(|window| window == b"070701").count(), 3);
        assert_eq!(&octets[110..114], b"bin\0");
        let file = &octets[116..];
        assert_eq!(&file[14..22], b"000081ed");
        assert_eq!(&file[110..116], b"bin/x\0");
        assert_eq!(&file[116..121], b"hello");
    }

    #[test]
    fn a_folder_stands_once_and_before_what_is_in_it() {
        let mut archive = Archive::default();
        archive.file("etc/a/b", 0o644, b"");
        archive.folder("etc/a");
        archive.link("etc/a/c", "b");
        let text = String::from_utf8_lossy(&archive.finish()).into_owned();
        assert_eq!(text.matches("etc/a\0").count(), 1);
        assert!(text.find("etc\0").unwrap() < text.find("etc/a\0").unwrap());
    }
}
