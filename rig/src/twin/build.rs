//! Builds an image: Debian packages for arm64 are fetched and unpacked, never installed; the adapter comes out of a package
//! or from cargo; the device tree and the initial RAM file system are put together from them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::archive::Archive;
use super::elf;
use super::image::{Facts, Image, SCHEMA, SEED_PLACE};
use super::{TwinError, io_error};
use crate::peer::process::{PeerError, find};

/// The target of the cross build.
const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Names the folder of a cross set-up: in it `env`, to be read by a shell, says how cargo builds for `aarch64-unknown-linux-gnu`.
pub const CROSS: &str = "SEALFAX_CROSS";

/// What is taken from Debian beside the kernel.
const PACKAGES: [&str; 16] = [
    "busybox-static",
    "libc6",
    "libcap2",
    "libccid",
    "libgcc-s1",
    "libgcrypt20",
    "libgpg-error0",
    "liblz4-1",
    "liblzma5",
    "libpcsclite1",
    "libsystemd0",
    "libudev1",
    "libusb-1.0-0",
    "libzstd1",
    "pcscd",
    "zlib1g",
];
/// In the order in which they are loaded, each after what it depends on.
const MODULES: [&str; 11] = [
    "phy-generic",
    "bcm2835-rng",
    "dwc2",
    "cdc_ether",
    "rndis_host",
    "usbhid",
    "hid-generic",
    "evdev",
    "crc32c_generic",
    "ext4",
    "bcm2835",
];
/// Where Debian keeps libraries, with and without merged /usr.
const LIBRARIES: [&str; 2] = ["usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu"];
/// Where the adapter is in its package, and in the twin.
const ADAPTER: &str = "usr/bin/sealfax-adapter";
/// What systemd does for the adapter in the field; its environment is the twin's as well.
const UNIT: &str = include_str!("../../../adapter/package/systemd/sealfax-adapter.service");
const DEVICE_TREE: &str = "broadcom/bcm2837-rpi-3-b.dtb";

/// What to build from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the image goes; downloads are kept beside it in `cache`.
    pub out: PathBuf,
    /// The arm64 package whose adapter is tested; without it cargo builds one.
    pub package: Option<PathBuf>,
    /// Look for newer Debian packages even if there are some.
    pub refresh: bool,
}

fn failed(what: impl Into<String>, why: impl std::fmt::Display) -> TwinError {
    TwinError::Build { what: what.into(), why: why.to_string() }
}

fn program(name: &'static str, package: &'static str) -> Result<PathBuf, TwinError> {
    find(name, package).map_err(|error| match error {
        PeerError::Missing { program, package } => TwinError::Missing { program, package },
        error => failed(name, error),
    })
}

/// Runs a command to its end; what it complained of is the reason when it fails.
fn run(what: &str, command: &mut Command) -> Result<Vec<u8>, TwinError> {
    let output = command.output().map_err(|error| failed(what, error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = complaint.lines().rev().take(6).collect();
    Err(failed(what, format!("{}: {}", output.status, last.into_iter().rev().collect::<Vec<_>>().join(" / "))))
}

/// Builds the image; `say` hears what is being done.
pub fn build(options: &Options, say: &mut dyn FnMut(&str)) -> Result<Image, TwinError> {
    // Asked for before the long work, not after it.
    let compiler = program("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")?;
    let dtc = program("dtc", "device-tree-compiler")?;
    program("mkfs.ext4", "e2fsprogs")?;
    let out = &options.out;
    let cache = out.join("cache");
    std::fs::create_dir_all(&cache).map_err(io_error(cache.display().to_string()))?;
    Image::forget(out);

    say("Debian packages for arm64");
    let (root, packages) = packages(&cache, options.refresh)?;
    let kernel = kernel_version(&root)?;
    copy(&root.join(format!("boot/vmlinuz-{kernel}")), &out.join("vmlinuz"))?;

    say(if options.package.is_some() {
        "the adapter of the package"
    } else {
        "the adapter, by cargo; the first time takes long"
    });
    let adapter = match &options.package {
        Some(package) => of_package(package, &cache)?,
        None => of_cargo(&cache)?,
    };
    if !elf::is_aarch64(&adapter) {
        return Err(failed("the adapter", "it is not a program for arm64; build the package with `--arch arm64`"));
    }

    say("device tree and initial RAM file system");
    device_tree(&dtc, &root, &kernel, out)?;
    let preload = preload(&compiler, &cache)?;
    let initrd = initial_ram(&root, &kernel, &adapter, &preload)?;
    std::fs::write(out.join("initrd.cpio"), initrd).map_err(io_error("initrd.cpio"))?;

    let from = options.package.as_deref().and_then(Path::file_name).and_then(OsStr::to_str);
    let facts = Facts {
        schema: SCHEMA,
        kernel,
        adapter_sha256: Sha256::digest(&adapter).iter().map(|octet| format!("{octet:02x}")).collect(),
        adapter_octets: adapter.len() as u64,
        adapter_from: from.unwrap_or("cargo").to_owned(),
        packages,
    };
    Image::complete(out, &facts)
}

fn copy(from: &Path, to: &Path) -> Result<(), TwinError> {
    std::fs::copy(from, to).map(drop).map_err(io_error(from.display().to_string()))
}

/// Fetches and unpacks what is wanted of Debian. Gives the folder, and the packages with their versions.
fn packages(cache: &Path, refresh: bool) -> Result<(PathBuf, BTreeMap<String, String>), TwinError> {
    let (debs, root, done) = (cache.join("debs"), cache.join("root"), cache.join("packages.txt"));
    let wanted = PACKAGES.join(" ");
    let known = std::fs::read_to_string(&done).unwrap_or_default();
    if refresh || known.trim() != wanted {
        for folder in [&debs, &root] {
            let _ = std::fs::remove_dir_all(folder);
            std::fs::create_dir_all(folder).map_err(io_error(folder.display().to_string()))?;
        }
        let _ = std::fs::remove_file(&done);
        let apt = Apt::new(cache)?;
        let kernel = apt.kernel()?;
        let names = PACKAGES.iter().map(|name| format!("{name}:arm64")).chain([format!("{kernel}:arm64")]);
        // As root apt would give the download to a user of its own, who may not write here.
        let mut download = apt.command("apt-get");
        download.args(["-q", "-o", "APT::Sandbox::User=root", "download"]).args(names).current_dir(&debs);
        run("apt-get download", &mut download)?;
        let unpack = program("dpkg-deb", "dpkg")?;
        for deb in files(&debs)? {
            run("dpkg-deb", Command::new(&unpack).arg("--extract").arg(&deb).arg(&root))?;
        }
        std::fs::write(&done, wanted).map_err(io_error("packages.txt"))?;
    }
    // The file names say it: NAME_VERSION_ARCHITECTURE.deb, a colon of the version as %3a.
    let mut versions = BTreeMap::new();
    for deb in files(&debs)? {
        let name = deb.file_name().and_then(OsStr::to_str).unwrap_or_default().replace("%3a", ":");
        let mut parts = name.split('_');
        if let (Some(name), Some(version)) = (parts.next(), parts.next()) {
            versions.insert(name.to_owned(), version.to_owned());
        }
    }
    Ok((root, versions))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, TwinError> {
    let entries = std::fs::read_dir(folder).map_err(io_error(folder.display().to_string()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// apt, with lists for arm64: the machine's own if it has them, else lists of ours, which touch nothing of the machine.
struct Apt {
    own_lists: Option<PathBuf>,
}

impl Apt {
    fn new(cache: &Path) -> Result<Self, TwinError> {
        program("apt-get", "apt")?;
        let dpkg = program("dpkg", "dpkg")?;
        let foreign = run("dpkg", Command::new(dpkg).arg("--print-foreign-architectures"))?;
        let machine = Self { own_lists: None };
        if String::from_utf8_lossy(&foreign).split_whitespace().any(|name| name == "arm64") && machine.kernel().is_ok()
        {
            return Ok(machine);
        }
        let lists = cache.join("apt");
        std::fs::create_dir_all(lists.join("lists/partial")).map_err(io_error("apt's lists"))?;
        std::fs::create_dir_all(lists.join("archives/partial")).map_err(io_error("apt's archives"))?;
        std::fs::write(lists.join("status"), "").map_err(io_error("apt's status"))?;
        let own = Self { own_lists: Some(lists.canonicalize().map_err(io_error("apt's lists"))?) };
        run("apt-get update", own.command("apt-get").args(["-q", "-o", "APT::Sandbox::User=root", "update"]))?;
        Ok(own)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C");
        if let Some(lists) = &self.own_lists {
            let option = |name: &str, value: &str| ["-o".to_owned(), format!("{name}={value}")];
            let place = |name: &str| lists.join(name).display().to_string();
            command.args(option("APT::Architecture", "arm64")).args(option("APT::Architectures", "arm64"));
            command.args(option("Dir::State::Lists", &place("lists")));
            command.args(option("Dir::State::status", &place("status")));
            command.args(option("Dir::Cache", &lists.display().to_string()));
        }
        command
    }

    /// The package with the kernel that Debian's `linux-image-arm64` stands for.
    fn kernel(&self) -> Result<String, TwinError> {
        let shown = run("apt-cache depends", self.command("apt-cache").args(["depends", "linux-image-arm64:arm64"]))?;
        let shown = String::from_utf8_lossy(&shown).into_owned();
        let depends = shown.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let mut kernels =
            depends.map(|name| name.trim_end_matches(":arm64")).filter(|name| name.starts_with("linux-image-"));
        kernels.next().map(str::to_owned).ok_or_else(|| failed("the kernel's package", "linux-image-arm64 names none"))
    }
}

fn kernel_version(root: &Path) -> Result<String, TwinError> {
    let modules = [root.join("lib/modules"), root.join("usr/lib/modules")].into_iter().find(|folder| folder.is_dir());
    let found = modules.map(|folder| files(&folder)).transpose()?.unwrap_or_default();
    let version = found.first().and_then(|folder| folder.file_name()).and_then(OsStr::to_str);
    version.map(str::to_owned).ok_or_else(|| failed("the kernel", "its package has no modules"))
}

/// The adapter that a package brings.
fn of_package(package: &Path, cache: &Path) -> Result<Vec<u8>, TwinError> {
    let unpack = program("dpkg-deb", "dpkg")?;
    let place = cache.join("package");
    let _ = std::fs::remove_dir_all(&place);
    run("dpkg-deb", Command::new(unpack).arg("--extract").arg(package).arg(&place))?;
    std::fs::read(place.join(ADAPTER)).map_err(io_error(format!("{ADAPTER} of {}", package.display())))
}

/// The adapter as cargo builds it for the board: optimised, with PC/SC.
fn of_cargo(cache: &Path) -> Result<Vec<u8>, TwinError> {
    let Some(prefix) = std::env::var_os(CROSS).map(PathBuf::from) else {
        return Err(failed(
            "the adapter",
            format!("there is no cross compiler: name its folder in {CROSS}, or give an arm64 package with --package"),
        ));
    };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let target = cache.canonicalize().map_err(io_error("the cache"))?.join("cargo");
    let mut shell = Command::new("sh");
    shell.args(["-c", ". \"$0\" && exec \"$@\""]).arg(prefix.join("env"));
    shell.args(["cargo", "build", "--quiet", "--release", "--locked", "--target", TARGET]);
    shell.args(["--package", "sealfax-adapter", "--features", "pcsc", "--bin", "sealfax-adapter", "--target-dir"]);
    shell.arg(&target).current_dir(workspace);
    // What cargo says of this rig's own build is not for that one.
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"] {
        shell.env_remove(name);
    }
    run("cargo build for the board", &mut shell)?;
    let built = target.join(TARGET).join("release/sealfax-adapter");
    std::fs::read(&built).map_err(io_error(built.display().to_string()))
}

/// Debian's device tree of the board, what `guest/board.dtsi` adds, and a place for each start's seed.
fn device_tree(dtc: &Path, root: &Path, kernel: &str, out: &Path) -> Result<(), TwinError> {
    let binary = root.join(format!("usr/lib/linux-image-{kernel}")).join(DEVICE_TREE);
    // Debian's trees come without what would silence the warnings.
    let source = run("dtc", Command::new(dtc).args(["-q", "-I", "dtb", "-O", "dts"]).arg(&binary))?;
    let seed: String = SEED_PLACE.iter().map(|octet| format!("{octet:02x} ")).collect();
    let mut whole = source;
    whole.extend_from_slice(include_bytes!("guest/board.dtsi"));
    whole.extend_from_slice(format!("/ {{ chosen {{ rng-seed = [{seed}]; }}; }};\n").as_bytes());
    let place = out.join("board.dts");
    std::fs::write(&place, whole).map_err(io_error("board.dts"))?;
    let to = out.join("board.dtb");
    run("dtc", Command::new(dtc).args(["-q", "-I", "dts", "-O", "dtb", "-o"]).arg(&to).arg(&place)).map(drop)
}

/// See `guest/usbfs_whole_reads.c`.
fn preload(compiler: &Path, cache: &Path) -> Result<Vec<u8>, TwinError> {
    let (source, library) = (cache.join("usbfs_whole_reads.c"), cache.join("usbfs_whole_reads.so"));
    std::fs::write(&source, include_bytes!("guest/usbfs_whole_reads.c")).map_err(io_error("usbfs_whole_reads.c"))?;
    let mut compile = Command::new(compiler);
    compile.args(["-O2", "-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source).arg("-ldl");
    run("aarch64-linux-gnu-gcc", &mut compile)?;
    std::fs::read(&library).map_err(io_error("usbfs_whole_reads.so"))
}

/// The guest's root: busybox, pcscd with its driver, the adapter, the libraries of them all, a few kernel modules.
fn initial_ram(root: &Path, kernel: &str, adapter: &[u8], preload: &[u8]) -> Result<Vec<u8>, TwinError> {
    let mut archive = Archive::default();
    for folder in ["bin", "sbin", "dev", "proc", "sys", "run", "tmp", "data", "root", "var", "etc/reader.conf.d"] {
        archive.folder(folder);
    }
    let environment: Vec<&str> = UNIT.lines().filter_map(|line| line.strip_prefix("Environment=")).collect();
    archive.file("etc/sealfax/environment", 0o644, environment.join("\n").as_bytes());
    archive.file("init", 0o755, include_bytes!("guest/init"));
    archive.file("bin/busybox", 0o755, &first(root, &["bin/busybox", "usr/bin/busybox"])?);
    archive.link("bin/sh", "busybox");

    let mut programs = vec![adapter.to_vec(), preload.to_vec()];
    archive.file(ADAPTER, 0o755, adapter);
    archive.file("usr/lib/usbfs_whole_reads.so", 0o644, preload);
    let pcscd = first(root, &["usr/sbin/pcscd"])?;
    archive.file("usr/sbin/pcscd", 0o755, &pcscd);
    programs.push(pcscd);
    archive.file("etc/libccid_Info.plist", 0o644, &first(root, &["etc/libccid_Info.plist"])?);
    let bundle = "usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents";
    archive.link(&format!("{bundle}/Info.plist"), "/etc/libccid_Info.plist");
    let driver = first(root, &[&format!("{bundle}/Linux/libccid.so")])?;
    archive.file(&format!("{bundle}/Linux/libccid.so"), 0o644, &driver);
    programs.push(driver);
    for (name, octets) in libraries(root, &programs)? {
        archive.file(&format!("usr/lib/aarch64-linux-gnu/{name}"), 0o755, &octets);
    }
    archive.file("lib/ld-linux-aarch64.so.1", 0o755, &loader(root)?);

    let mut list = String::new();
    for (name, octets) in modules(root, kernel)? {
        archive.file(&format!("lib/modules/{name}.ko"), 0o644, &octets);
        list.push_str(&format!("/lib/modules/{name}.ko\n"));
    }
    archive.file("lib/modules/order", 0o644, list.as_bytes());
    Ok(archive.finish())
}

fn first(root: &Path, places: &[&str]) -> Result<Vec<u8>, TwinError> {
    let place = places.iter().map(|place| root.join(place)).find(|path| path.exists());
    let place = place.ok_or_else(|| failed("the guest", format!("the packages bring no {}", places.join(" or "))))?;
    std::fs::read(&place).map_err(io_error(place.display().to_string()))
}

fn loader(root: &Path) -> Result<Vec<u8>, TwinError> {
    const NAME: &str = "ld-linux-aarch64.so.1";
    let places: Vec<String> = LIBRARIES.iter().map(|folder| format!("{folder}/{NAME}")).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    first(root, &places)
}

/// The libraries that these programs need, and what those need in turn, by name.
fn libraries(root: &Path, programs: &[Vec<u8>]) -> Result<BTreeMap<String, Vec<u8>>, TwinError> {
    let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut wanted: Vec<String> = programs.iter().flat_map(|program| elf::needed(program)).collect();
    // pcscd opens it when it first needs it, without being linked to it.
    wanted.push("libgcc_s.so.1".into());
    while let Some(name) = wanted.pop() {
        if found.contains_key(&name) || name.starts_with("ld-linux") {
            continue;
        }
        let places = LIBRARIES.map(|folder| format!("{folder}/{name}"));
        let places = places.each_ref().map(String::as_str);
        let octets = first(root, &places)?;
        wanted.extend(elf::needed(&octets));
        found.insert(name, octets);
    }
    Ok(found)
}

/// The kernel modules in the order in which they can be loaded.
fn modules(root: &Path, kernel: &str) -> Result<Vec<(String, Vec<u8>)>, TwinError> {
    let bases = ["lib/modules", "usr/lib/modules"].map(|place| root.join(place).join(kernel));
    let mut places = BTreeMap::new();
    for base in bases {
        walk(&base.join("kernel"), &mut places);
    }
    let mut loaded = Vec::new();
    let mut seen = BTreeSet::new();
    for name in MODULES {
        load(&name.replace('-', "_"), &places, &mut seen, &mut loaded)?;
    }
    Ok(loaded)
}

/// Every module file below a folder, by its name as the kernel writes it.
fn walk(folder: &Path, places: &mut BTreeMap<String, PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, places);
        } else if let Some((name, _)) = path.file_name().and_then(OsStr::to_str).and_then(|name| name.split_once(".ko"))
        {
            places.insert(name.replace('-', "_"), path.clone());
        }
    }
}

fn load(
    name: &str,
    places: &BTreeMap<String, PathBuf>,
    seen: &mut BTreeSet<String>,
    loaded: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), TwinError> {
    if !seen.insert(name.to_owned()) {
        return Ok(());
    }
    // What is no file is built in.
    let Some(place) = places.get(name) else { return Ok(()) };
    let octets = match place.extension().and_then(OsStr::to_str) {
        Some("xz") => run("xz", Command::new("xz").arg("--decompress").arg("--stdout").arg(place))?,
        _ => std::fs::read(place).map_err(io_error(place.display().to_string()))?,
    };
    for other in depends(&octets) {
        load(&other, places, seen, loaded)?;
    }
    loaded.push((name.to_owned(), octets));
    Ok(())
}

/// The `depends=` line of a module's `.modinfo` section: names, separated by commas.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = memchr::memmem::find(module, KEY) else { return Vec::new() };
    let rest = module.get(at + KEY.len()..).unwrap_or_default();
    let line = rest.split(|octet| *octet == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(line).into_owned();
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_module_comes_after_what_it_depends_on() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, depends: &str| {
            let text = format!("\x7fELF\0license=GPL\0depends={depends}\0intree=Y\0");
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("usbhid.ko", "hid,usbcore");
        write("hid.ko", "");
        write("usbcore.ko", "usb-common");
        write("usb-common.ko", "");
        let mut places = BTreeMap::new();
        walk(folder.path(), &mut places);
        let (mut seen, mut loaded) = (BTreeSet::new(), Vec::new());
        for name in ["usbhid", "hid", "built_in"] {
            load(name, &places, &mut seen, &mut loaded).unwrap();
        }
        let names: Vec<_> = loaded.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["hid", "usb_common", "usbcore", "usbhid"]);
    }
}
