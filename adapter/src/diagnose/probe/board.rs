//! Supply, storage and screen, as the kernel tells of them.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::super::facts::{ConnectorFacts, DisplayFacts, PowerFacts, StorageFacts, Written};
use super::files::Root;

/// The firmware's flags, as the Raspberry Pi's kernels show them.
const THROTTLED: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";
/// The name of the voltage monitor among the others.
const VOLTAGE_MONITOR: &str = "rpi_volt";
/// Large enough that it does not fit into the last block of a full disk.
const TRIAL: usize = 64 * 1024;

pub(super) fn power(root: &Root) -> PowerFacts {
    let bits = |text: String| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let monitors = root.names("/sys/class/hwmon");
    let alarm = monitors.iter().find_map(|monitor| {
        let folder = format!("/sys/class/hwmon/{monitor}");
        let ours = root.text(format!("{folder}/name")).is_some_and(|name| name == VOLTAGE_MONITOR);
        ours.then(|| root.text(format!("{folder}/in0_lcrit_alarm")).map(|text| text != "0")).flatten()
    });
    PowerFacts {
        throttled: root.text(THROTTLED).and_then(bits),
        alarm,
        millicelsius: root.text("/sys/class/thermal/thermal_zone0/temp").and_then(|text| text.parse().ok()),
    }
}

pub(super) fn storage(root: &Root, path: &str) -> StorageFacts {
    let folder = root.at(path);
    let mounted = root.text("/proc/self/mounts").and_then(|mounts| mount_of(&mounts, path));
    let mut facts = StorageFacts {
        path: path.to_owned(),
        exists: folder.is_dir(),
        read_only: mounted.as_ref().map(|(_, read_only)| *read_only),
        mount: mounted.map(|(mount, _)| mount),
        ..StorageFacts::default()
    };
    if !facts.exists {
        return facts;
    }
    if let Ok(state) = statvfs(&folder) {
        facts.free = state.f_bavail.checked_mul(state.f_frsize);
        facts.total = state.f_blocks.checked_mul(state.f_frsize);
        (facts.free_files, facts.total_files) = (Some(state.f_favail), Some(state.f_files));
        let read_only = state.f_flag.contains(StatVfsMountFlags::RDONLY);
        facts.read_only = Some(read_only || facts.read_only == Some(true));
    }
    if facts.read_only != Some(true) {
        facts.written = trial(&folder);
    }
    facts
}

/// Writes a small file, and takes it away again.
fn trial(folder: &Path) -> Written {
    let path = folder.join(format!(".diagnose-{}", std::process::id()));
    let write = || {
        let mut file = std::fs::File::create(&path)?;
        file.write_all(&vec![0x5a; TRIAL])?;
        file.sync_all()
    };
    let written = write();
    let _ = std::fs::remove_file(&path);
    match written {
        Ok(()) => Written::Done,
        Err(error) => match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Written::Full,
            ErrorKind::ReadOnlyFilesystem => Written::ReadOnly,
            ErrorKind::PermissionDenied => Written::NotAllowed,
            _ => Written::Failed(error.to_string()),
        },
    }
}

/// Where the file system of `path` is mounted, and whether read-only (fstab(5): device, folder, kind, options).
fn mount_of(mounts: &str, path: &str) -> Option<(String, bool)> {
    let mut best: Option<(String, bool)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(mount), _, Some(options)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let mount = mount.replace("\\040", " ");
        let longer = best.as_ref().is_none_or(|(other, _)| mount.len() >= other.len());
        if Path::new(path).starts_with(&mount) && longer {
            best = Some((mount, options.split(',').any(|option| option == "ro")));
        }
    }
    best
}

pub(super) fn display(root: &Root) -> DisplayFacts {
    let connectors = root
        .names("/sys/class/drm")
        .into_iter()
        .filter(|name| name.contains('-') && !name.contains("Writeback"))
        .filter_map(|name| {
            let folder = format!("/sys/class/drm/{name}");
            let modes = root.text(format!("{folder}/modes")).unwrap_or_default();
            Some(ConnectorFacts {
                status: root.text(format!("{folder}/status"))?,
                mode: modes.lines().next().map(str::to_owned),
                name,
            })
        })
        .collect();
    let framebuffers = root
        .names("/sys/class/graphics")
        .into_iter()
        .filter(|name| name.strip_prefix("fb").is_some_and(|rest| rest.parse::<u8>().is_ok()))
        .map(|name| {
            let read = |file: &str| root.text(format!("/sys/class/graphics/{name}/{file}")).unwrap_or_default();
            let size = read("virtual_size").replace(',', "x");
            format!("{name} {} {size}", read("name")).trim_end().to_owned()
        })
        .collect();
    DisplayFacts { connectors, framebuffers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "/dev/root / ext4 rw,noatime 0 0\n\
                      /dev/mmcblk0p3 /var/lib/seal\\040fax ext4 ro,noatime 0 0\n\
                      tmpfs /var tmpfs rw 0 0";
        assert_eq!(mount_of(mounts, "/var/lib/seal fax/adapter"), Some(("/var/lib/seal fax".into(), true)));
        assert_eq!(mount_of(mounts, "/var/lib/other"), Some(("/var".into(), false)));
        assert_eq!(mount_of(mounts, "/etc"), Some(("/".into(), false)));
        assert_eq!(mount_of("nonsense", "/etc"), None);
    }
}
