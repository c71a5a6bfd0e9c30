//! `cargo rig package`: the adapter as a Debian package, for the board in the field and for a desk, and the servers. cargo-deb writes it from
//! `[package.metadata.deb]` of `adapter/Cargo.toml`; what is built is what the twin runs and what the field gets.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

/// The tool that writes the package; built once, into `target/tools`.
const CARGO_DEB: &str = "3.8.0";
/// Where the compiler for the other architecture is; `tests/cross-setup.sh` makes it.
pub const CROSS: &str = "SEALFAX_CROSS";

/// For which machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arch {
    /// Raspberry Pi and other 64-bit ARM boards.
    Arm64,
    /// Desks and servers.
    Amd64,
}

impl Arch {
    /// Debian's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::Amd64 => "amd64",
        }
    }

    fn triple(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::Amd64 => "x86_64-unknown-linux-gnu",
        }
    }

    fn is_native(self) -> bool {
        match self {
            Self::Arm64 => cfg!(target_arch = "aarch64"),
            Self::Amd64 => cfg!(target_arch = "x86_64"),
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// No compiler for the other architecture.
    #[error(
        "there is no cross compiler at {at}; run `tests/cross-setup.sh DIR` as root, and set SEALFAX_CROSS to that folder"
    )]
    NoCross {
        /// Where it was looked for.
        at: PathBuf,
    },
    /// Cross builds are made on amd64 alone.
    #[error("{0} packages are made on an amd64 machine, or on one of their own kind")]
    NotFromHere(Arch),
    /// A command did not do what it should.
    #[error("{what} failed: {why}; what it said is above")]
    Failed {
        /// Which.
        what: &'static str,
        /// How.
        why: String,
    },
    /// The package is not where it should be.
    #[error("{path} cannot be read")]
    Lost {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Which program goes into a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// One that is built for the field.
    Field,
    /// The one that the tests have built: large and slow, and good for trying what is around it.
    Built,
}

impl Program {
    /// cargo's profile, and the folder that cargo keeps it in.
    fn profile(self, contents: Contents) -> (&'static str, &'static str) {
        match (self, contents) {
            (Self::Field, Contents::Adapter) => ("field", "field"),
            (Self::Field, Contents::MailServer) => ("server", "server"),
            (Self::Built, _) => ("dev", "debug"),
        }
    }
}

/// Whose package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// What stands beside a fax machine.
    Adapter,
    /// The servers.
    MailServer,
}

impl Contents {
    /// The name of package, crate and program alike.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adapter => "sealfax-adapter",
            Self::MailServer => "sealfax-mailserver",
        }
    }
}

/// A finished package.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Package {
    /// Debian's name of the architecture.
    pub arch: &'static str,
    /// The package.
    pub file: PathBuf,
    /// Its size.
    pub octets: u64,
    /// The program in it.
    pub program: PathBuf,
    /// SHA-256 of the program, hexadecimal: the twin's report names the same.
    pub program_sha256: String,
}

/// Makes a package of the workspace at `root` for `arch`, into the folder `out`.
pub fn make(
    root: &Path,
    contents: Contents,
    arch: Arch,
    program: Program,
    out: &Path,
) -> Result<Package, PackageError> {
    let name = contents.name();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let deb = cargo_deb(&target)?;
    let built = Build::new(root, &target, arch)?;
    let (profile, folder) = program.profile(contents);
    if program == Program::Field {
        let mut cargo = built.command("cargo");
        cargo.args(["build", "--profile", profile, "--package", name]);
        if contents == Contents::Adapter {
            cargo.args(["--features", "pcsc"]);
        }
        built.aim(&mut cargo);
        run("cargo build", cargo)?;
    }

    std::fs::create_dir_all(out).map_err(|source| PackageError::Lost { path: out.to_owned(), source })?;
    let file = out.join(format!("{name}_{}-1_{arch}.deb", env!("CARGO_PKG_VERSION")));
    let mut writer = built.command(&deb);
    writer.args(["--no-build", "--package", name, "--profile", profile, "--output"]);
    writer.arg(std::path::absolute(&file).unwrap_or_else(|_| file.clone()));
    if program == Program::Field {
        // The profile strips already, and knows how for the other architecture too.
        writer.arg("--no-strip");
    }
    built.aim(&mut writer);
    run("cargo-deb", writer)?;

    let lost = |path: &Path| {
        let path = path.to_owned();
        move |source| PackageError::Lost { path, source }
    };
    let program = built.program(folder, name);
    let octets = std::fs::metadata(&file).map_err(lost(&file))?.len();
    let digest = Sha256::digest(std::fs::read(&program).map_err(lost(&program))?);
    let program_sha256 = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(Package { arch: arch.name(), file, octets, program, program_sha256 })
}

/// One build: where, and with what.
struct Build<'a> {
    root: &'a Path,
    target: PathBuf,
    /// For another architecture: where its compiler is.
    cross: Option<(Arch, PathBuf)>,
}

impl<'a> Build<'a> {
    fn new(root: &'a Path, target: &Path, arch: Arch) -> Result<Self, PackageError> {
        if arch.is_native() {
            return Ok(Self { root, target: target.to_owned(), cross: None });
        }
        if arch != Arch::Arm64 || !Arch::Amd64.is_native() {
            return Err(PackageError::NotFromHere(arch));
        }
        let prefix = std::env::var_os(CROSS).map_or_else(|| target.join("cross-compiler"), PathBuf::from);
        if !prefix.join("rustc").is_file() {
            return Err(PackageError::NoCross { at: prefix });
        }
        // Another compiler: what it makes for this machine, as build scripts, is not the first one's.
        Ok(Self { root, target: target.join("cross"), cross: Some((arch, prefix)) })
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root).env("CARGO_TARGET_DIR", &self.target);
        if let Some((_, prefix)) = &self.cross {
            let libraries = "/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig";
            command
                .env("RUSTC", prefix.join("rustc"))
                .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
                .env("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc")
                .env("AR_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-ar")
                .env("PKG_CONFIG_ALLOW_CROSS", "1")
                .env("PKG_CONFIG_LIBDIR_aarch64_unknown_linux_gnu", libraries)
                .env_remove("RUSTUP_TOOLCHAIN");
        }
        command
    }

    fn aim(&self, command: &mut Command) {
        if let Some((arch, _)) = &self.cross {
            command.args(["--target", arch.triple()]);
        }
    }

    fn program(&self, folder: &str, name: &str) -> PathBuf {
        let triple = self.cross.as_ref().map_or("", |(arch, _)| arch.triple());
        self.target.join(triple).join(folder).join(name)
    }
}

/// The tool at its exact version, built if it is not there yet: some minutes, once.
fn cargo_deb(target: &Path) -> Result<PathBuf, PackageError> {
    let folder = target.join("tools");
    let tool = folder.join("bin/cargo-deb");
    let is_it = |tool: &Path| {
        let output = Command::new(tool).arg("--version").output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(CARGO_DEB))
    };
    if let Some(there) = [tool.as_path(), Path::new("cargo-deb")].into_iter().find(|tool| is_it(tool)) {
        return Ok(there.to_owned());
    }
    let mut cargo = Command::new("cargo");
    // It copies and compresses: to optimise it takes longer than it ever runs.
    cargo.args(["install", "--quiet", "--locked", "--debug", "--root"]);
    cargo.arg(&folder).arg(format!("cargo-deb@{CARGO_DEB}"));
    run("cargo install cargo-deb", cargo)?;
    Ok(tool)
}

fn run(what: &'static str, mut command: Command) -> Result<(), PackageError> {
    // Standard output is for our own results.
    command.stdin(std::process::Stdio::null()).stdout(io::stderr());
    let failed = |why: String| PackageError::Failed { what, why };
    let status = command.status().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_missing_compiler_is_told_with_the_way_to_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = if Arch::Amd64.is_native() { Arch::Arm64 } else { Arch::Amd64 };
        let target = folder.path().join("nowhere");
        if std::env::var_os(CROSS).is_none() {
            let error = Build::new(folder.path(), &target, foreign).err().unwrap().to_string();
            assert!(error.contains("cross-setup.sh") || error.contains("amd64 machine"), "{error}");
        }
        let native = if Arch::Amd64.is_native() { Arch::Amd64 } else { Arch::Arm64 };
        let build = Build::new(folder.path(), &target, native).unwrap();
        assert_eq!(build.program("field", "sealfax-adapter"), target.join("field/sealfax-adapter"));
    }
}
