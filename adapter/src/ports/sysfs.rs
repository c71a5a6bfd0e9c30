//! Network devices as sysfs shows them: where each sits, and whether its link is up.
//!
//! The path is udev's `ID_PATH` (systemd's `path_id`), made from the same links, so that it can be read off
//! `udevadm info` and works without udev as well: from the device upwards, each bus adds its part before what is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::PortName;

/// Longest way up from a device; real ones have about ten steps.
const STEPS: usize = 64;

/// `/sys`, or what a test has in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysfs {
    root: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self { root: PathBuf::from("/sys") }
    }
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// What the kernel calls it now.
    pub name: String,
    /// Its number; one that is unplugged and plugged again has another.
    pub index: u32,
}

/// The state of a port's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// The device is not there.
    Absent,
    /// No cable, nothing at its other end, or switched off.
    Down,
    /// Ready.
    Up,
}

impl Sysfs {
    /// That of a test.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The device that is this port now.
    pub fn find(&self, port: &PortName) -> Option<Interface> {
        match port {
            PortName::Interface(name) => self.interface(name),
            PortName::Path(path) => {
                let name = self.names().into_iter().find(|name| self.id_path(name).as_ref() == Some(path))?;
                self.interface(&name)
            }
        }
    }

    /// Every network device with its path, sorted by name: what the configuration may name.
    pub fn paths(&self) -> Vec<(String, Option<String>)> {
        self.names().into_iter().map(|name| (name.clone(), self.id_path(&name))).collect()
    }

    /// The link of the device that is this port.
    pub fn link(&self, port: &PortName) -> Link {
        let Some(interface) = self.find(port) else { return Link::Absent };
        // `carrier` cannot be read while the device is switched off.
        match self.read(&interface.name, "carrier").as_deref() {
            Some("1") => Link::Up,
            _ => Link::Down,
        }
    }

    /// udev's `ID_PATH` of a network device; `None` for one that sits nowhere.
    pub fn id_path(&self, name: &str) -> Option<String> {
        let device = fs::canonicalize(self.class().join(name).join("device")).ok()?;
        let mut parts: Vec<String> = Vec::new();
        let mut at = Some(device.as_path());
        for _ in 0..STEPS {
            let Some(path) = at.filter(|path| path.starts_with(&self.root)) else { break };
            let Some(bus) = subsystem(path) else {
                at = path.parent();
                continue;
            };
            let sits = path.file_name()?.to_str()?;
            match bus.as_str() {
                // "1-1.2:1.0": bus 1, ports 1 and 2 of the hubs, configuration and interface.
                "usb" => parts.push(format!("usb-0:{}", sits.split_once('-')?.1)),
                "pci" | "platform" | "acpi" | "amba" => parts.push(format!("{bus}-{sits}")),
                _ => {
                    at = path.parent();
                    continue;
                }
            }
            at = above(path, &bus);
        }
        parts.reverse();
        (!parts.is_empty()).then(|| parts.join("-"))
    }

    fn class(&self) -> PathBuf {
        self.root.join("class/net")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.class()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn interface(&self, name: &str) -> Option<Interface> {
        let index = self.read(name, "ifindex")?.parse().ok()?;
        Some(Interface { name: name.to_owned(), index })
    }

    fn read(&self, name: &str, attribute: &str) -> Option<String> {
        let text = fs::read_to_string(self.class().join(name).join(attribute)).ok()?;
        Some(text.trim().to_owned())
    }
}

fn subsystem(device: &Path) -> Option<String> {
    let link = fs::read_link(device.join("subsystem")).ok()?;
    link.file_name()?.to_str().map(str::to_owned)
}

/// The first device above that is on another bus: a hub is no part of a path of its own, its port is in the device's name.
fn above<'a>(device: &'a Path, bus: &str) -> Option<&'a Path> {
    device.ancestors().skip(1).find(|path| subsystem(path).is_some_and(|other| other != bus))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::os::unix::fs::symlink;

    use super::*;

    /// A sysfs of these devices: name of the network device, and the directories from the top with their buses.
    fn sysfs(devices: &[(&str, &[(&str, &str)])]) -> (tempfile::TempDir, Sysfs) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("class/net")).unwrap();
        for (number, (name, way)) in devices.iter().enumerate() {
            let mut at = root.join("devices");
            for (step, bus) in *way {
                at = at.join(step);
                fs::create_dir_all(&at).unwrap();
                let link = at.join("subsystem");
                if !bus.is_empty() && fs::symlink_metadata(&link).is_err() {
                    symlink(format!("/sys/bus/{bus}"), link).unwrap();
                }
            }
            let net = at.join("net").join(name);
            fs::create_dir_all(&net).unwrap();
            fs::write(net.join("ifindex"), format!("{}\n", number + 2)).unwrap();
            fs::write(net.join("carrier"), "1\n").unwrap();
            if !way.is_empty() {
                symlink("../..", net.join("device")).unwrap();
            }
            symlink(&net, root.join("class/net").join(name)).unwrap();
        }
        (folder, Sysfs::at(root))
    }

    const PI3_HUB: &[(&str, &str)] =
        &[("platform", ""), ("soc", "platform"), ("3f980000.usb", "platform"), ("usb1", "usb"), ("1-1", "usb")];

    fn usb(port: &'static str, interface: &'static str) -> Vec<(&'static str, &'static str)> {
        [PI3_HUB, &[(port, "usb"), (interface, "usb")]].concat()
    }

    #[test]
    fn a_port_has_the_path_that_udev_gives_it() {
        let (first, second) = (usb("1-1.2", "1-1.2:1.0"), usb("1-1.3", "1-1.3:1.0"));
        let (_folder, sysfs) = sysfs(&[
            ("eth1", &first),
            ("eth0", &second),
            ("end0", &[("platform", ""), ("scb", "platform"), ("fd580000.ethernet", "platform")]),
            ("enp0s3", &[("pci0000:00", ""), ("0000:00:03.0", "pci"), ("virtio0", "virtio")]),
            ("enp2s0", &[("pci0000:00", ""), ("0000:00:1c.0", "pci"), ("0000:02:00.0", "pci")]),
            ("veth0", &[]),
        ]);
        let paths: Vec<(String, Option<String>)> = sysfs.paths();
        let of = |name: &str| paths.iter().find(|(known, _)| known == name).unwrap().1.as_deref();
        assert_eq!(of("eth1"), Some("platform-3f980000.usb-usb-0:1.2:1.0"));
        assert_eq!(of("eth0"), Some("platform-3f980000.usb-usb-0:1.3:1.0"));
        assert_eq!(of("end0"), Some("platform-fd580000.ethernet"));
        assert_eq!(of("enp0s3"), Some("pci-0000:00:03.0"));
        assert_eq!(of("enp2s0"), Some("pci-0000:02:00.0"));
        assert_eq!(of("veth0"), None);
    }

    #[test]
    fn whatever_it_is_called_the_port_is_found() {
        let (first, second) = (usb("1-1.2", "1-1.2:1.0"), usb("1-1.3", "1-1.3:1.0"));
        let port = PortName::Path("platform-3f980000.usb-usb-0:1.3:1.0".into());
        let (_folder, one) = sysfs(&[("eth0", &first), ("eth1", &second)]);
        assert_eq!(one.find(&port), Some(Interface { name: "eth1".into(), index: 3 }));
        let (_folder, swapped) = sysfs(&[("eth0", &second), ("eth1", &first)]);
        assert_eq!(swapped.find(&port), Some(Interface { name: "eth0".into(), index: 2 }));
        assert_eq!(swapped.find(&PortName::Interface("eth1".into())).unwrap().index, 3);
        assert_eq!(swapped.find(&PortName::Path("pci-0000:00:03.0".into())), None);
    }

    #[test]
    fn a_link_is_up_down_or_its_device_is_gone() {
        let way = usb("1-1.2", "1-1.2:1.0");
        let (_folder, sysfs) = sysfs(&[("eth0", &way)]);
        let port = PortName::Path("platform-3f980000.usb-usb-0:1.2:1.0".into());
        assert_eq!(sysfs.link(&port), Link::Up);
        let carrier = sysfs.class().join("eth0/carrier");
        fs::write(&carrier, "0\n").unwrap();
        assert_eq!(sysfs.link(&port), Link::Down);
        // Switched off: the kernel answers EINVAL.
        fs::remove_file(&carrier).unwrap();
        assert_eq!(sysfs.link(&port), Link::Down);
        fs::remove_file(sysfs.class().join("eth0")).unwrap();
        assert_eq!(sysfs.link(&port), Link::Absent);
    }
}
