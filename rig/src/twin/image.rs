//! What was built: the files a twin starts from, and what they were made of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{TwinError, io_error};

/// Changes when what is in an image changes so that an older one is of no use any more.
pub(super) const SCHEMA: u32 = 1;
/// The facts of an image; written last, so that half an image is none.
const FACTS: &str = "twin.json";
/// In the device tree of an image; each start puts random octets in its place, since the board has no other source of
/// chance so early.
pub(super) const SEED_PLACE: &[u8; 64] = b"this place in the device tree is for the seed of one start only!";

/// What an image was made of; a report says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// See `SCHEMA`.
    pub schema: u32,
    /// The kernel's version.
    pub kernel: String,
    /// SHA-256 of the `sealfax-adapter` inside, in hexadecimal: the same file as in the package.
    pub adapter_sha256: String,
    /// Its size in octets.
    pub adapter_octets: u64,
    /// Where it was taken from: the package's file name, or "cargo".
    pub adapter_from: String,
    /// Debian packages by name, with their versions.
    pub packages: BTreeMap<String, String>,
}

/// An image in its folder. Machines only read it.
#[derive(Debug, Clone)]
pub struct Image {
    folder: PathBuf,
    /// What it was made of.
    pub facts: Facts,
}

impl Image {
    /// Where an image is unless somebody says otherwise.
    pub const PLACE: &str = "target/twin";

    /// The image in this folder.
    pub fn open(folder: &Path) -> Result<Self, TwinError> {
        let no_image = |why: String| TwinError::NoImage { folder: folder.to_owned(), why };
        let text = std::fs::read_to_string(folder.join(FACTS)).map_err(|error| no_image(error.to_string()))?;
        let facts: Facts = serde_json::from_str(&text).map_err(|error| no_image(error.to_string()))?;
        if facts.schema != SCHEMA {
            return Err(no_image(format!("it is of schema {}, this rig wants {SCHEMA}", facts.schema)));
        }
        let folder = folder.canonicalize().map_err(|error| no_image(error.to_string()))?;
        Ok(Self { folder, facts })
    }

    /// The folder's image is being replaced.
    pub(super) fn forget(folder: &Path) {
        let _ = std::fs::remove_file(folder.join(FACTS));
    }

    /// The image is complete.
    pub(super) fn complete(folder: &Path, facts: &Facts) -> Result<Self, TwinError> {
        let text = serde_json::to_string_pretty(facts)
            .map_err(|error| TwinError::Build { what: "writing down what was built".into(), why: error.to_string() })?;
        std::fs::write(folder.join(FACTS), text + "\n").map_err(io_error(FACTS))?;
        Self::open(folder)
    }

    /// The kernel.
    pub fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The initial RAM file system, which is all the root there is.
    pub fn initrd(&self) -> PathBuf {
        self.folder.join("initrd.cpio")
    }

    /// Writes the device tree of one start.
    pub(super) fn write_device_tree(&self, to: &Path, seed: &[u8; 64]) -> Result<(), TwinError> {
        let mut tree = std::fs::read(self.folder.join("board.dtb")).map_err(io_error("the twin's device tree"))?;
        if let Some(at) = memchr::memmem::find(&tree, SEED_PLACE)
            && let Some(place) = tree.get_mut(at..at + seed.len())
        {
            place.copy_from_slice(seed);
        }
        std::fs::write(to, tree).map_err(io_error(to.display().to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn an_image_that_is_not_there_says_how_to_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = Image::open(folder.path()).unwrap_err();
        assert!(matches!(error, TwinError::NoImage { .. }));
        assert!(error.to_string().contains("cargo rig twin build"), "{error}");
        let old = r#"{"schema":0,"kernel":"","adapter_sha256":"","adapter_octets":0,"adapter_from":"","packages":{}}"#;
        std::fs::write(folder.path().join(FACTS), old).unwrap();
        assert!(Image::open(folder.path()).unwrap_err().to_string().contains("schema 0"));
    }

    #[test]
    fn each_start_has_its_own_seed() {
        let folder = tempfile::tempdir().unwrap();
        let facts = Facts {
            schema: SCHEMA,
            kernel: String::new(),
            adapter_sha256: String::new(),
            adapter_octets: 0,
            adapter_from: String::new(),
            packages: BTreeMap::new(),
        };
        std::fs::write(folder.path().join("board.dtb"), [b"before", SEED_PLACE.as_slice(), b"after"].concat()).unwrap();
        let image = Image::complete(folder.path(), &facts).unwrap();
        let to = folder.path().join("of-this-start.dtb");
        image.write_device_tree(&to, &[7; 64]).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), [b"before", [7; 64].as_slice(), b"after"].concat());
        Image::forget(folder.path());
        assert!(Image::open(folder.path()).is_err());
    }
}
